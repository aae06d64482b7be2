"""Branch and bound on complementarities and integers against enumeration, and how it ends early."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from bileveldsl.execute.layout import Layout, Part
from bileveldsl.single_level.branch import Search
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import Linear, Pairs
from bileveldsl.single_level.mip import rounded_up, with_binaries

INF = math.inf


def problem(cost, matrix, low, high, pairs, whole=(), upper=INF, hessian=None, lower=0.0):
    """Columns between `lower` and `upper`; a pair (row or column at its lower end, column)."""
    size = len(cost)
    integer = np.zeros(size, dtype=bool)
    integer[list(whole)] = True
    first, second = (np.array([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1))
    return Linear(
        (), Layout((Part("z", (size,), slice(0, size)),), size), np.full(size, lower), np.full(size, upper), integer,
        np.array(cost, dtype=float), 0.0, None if hessian is None else sparse.csr_array(np.array(hessian, dtype=float)),
        sparse.csr_array(np.array(matrix, dtype=float).reshape(-1, size)), np.array(low, dtype=float),
        np.array(high, dtype=float), {}, {}, Pairs(first, np.zeros(len(pairs), dtype=bool), second),
    )  # fmt: skip


def linear_complementarity(random, n):
    """min c'z with z >= 0, M z + q >= 0, z'(M z + q) = 0, and one more row."""
    M, q, c = random.integers(-3, 4, (n, n)), random.integers(-4, 5, n), random.integers(-3, 4, n)
    row = random.integers(-2, 4, n)
    return c, np.vstack([M, row]), np.append(-q, -INF), np.append(np.full(n, INF), 6)


def solvable(n, seed=7):
    """The same with M >= 0 and positive on its diagonal, for which there is an answer (of several)."""
    random = np.random.default_rng(seed)
    M = random.integers(0, 4, (n, n)) + 2 * np.eye(n)
    q, c = random.integers(-9, 0, n), random.integers(-3, 4, n)
    return problem(c, M, -q, np.full(n, INF), [(n + k, k) for k in range(n)], upper=10.0)


def enumerated(c, matrix, low, high, whole, most):
    """The least value over all patterns of the pairs and all whole numbers up to `most`."""
    n, best = len(c), INF
    for pattern in itertools.product((False, True), repeat=n):
        for values in itertools.product(range(most + 1), repeat=len(whole)):
            bounds = [(0, 0 if zero else None) for zero in pattern]
            for column, value in zip(whole, values, strict=True):
                bounds[column] = (value, 0 if pattern[column] and value else value)
            if any(b is not None and a > b for a, b in bounds):
                continue
            slack_zero = ~np.array(pattern)
            equal, right = matrix[:n][slack_zero], low[:n][slack_zero]
            below = np.vstack([-matrix[:n], matrix[n:]])
            result = linprog(c, below, np.append(-low[:n], high[n]), equal, right, bounds, options={"presolve": False})
            if result.status == 3:
                return -INF
            if result.status == 0:
                best = min(best, result.fun)
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.booleans())
def test_complementarities_and_integers_are_those_of_enumeration(seed, n, discrete):
    c, matrix, low, high = linear_complementarity(np.random.default_rng(seed), n)
    whole = (0,) if discrete else ()
    if discrete:  # keep the integer bounded, so that enumeration is finite
        matrix, low, high = np.vstack([matrix, np.eye(n)[:1]]), np.append(low, -INF), np.append(high, 3)
    linear = problem(c, matrix, low, high, [(n + k, k) for k in range(n)], whole)
    expected = enumerated(c, matrix[: n + 1], low[: n + 1], high[: n + 1], whole, 3)
    search = Search(linear)
    outcome = search.solve()
    if expected in (INF, -INF):
        assert outcome == ("infeasible" if expected == INF else "unbounded")
    else:
        assert outcome == "optimal"
        assert search.value == pytest.approx(expected, abs=1e-6)
        assert search.bound <= search.value <= search.bound + 2e-6 * max(1, abs(expected))
        assert linear.violation(search.z) <= 1e-6
        assert np.minimum(linear.slacks(search.z), search.z[linear.pairs.multiplier]).max() <= 1e-9


def test_a_box_whose_two_sides_are_both_complementary():
    """Column 0 in [0, 1] with multipliers 1 and 2: 2 - 1 = 0.5, so that one of the ends holds."""
    linear = problem([1, 0, 0], [[0, -1, 1]], [0.5], [0.5], [(0, 1), (0, 2)], upper=1.0)
    sides = Pairs(linear.pairs.slack, np.array([False, True]), linear.pairs.multiplier)
    search = Search(replace(linear, pairs=sides))
    assert search.solve() == "optimal"
    assert search.z == pytest.approx([1.0, 0.0, 0.5])


def test_a_convex_quadratic_objective():
    # (a - 2)^2 + (b - 1)^2 with a b = 0
    linear = problem([-4, -2], [], [], [], [(0, 1)], hessian=[[2, 0], [0, 2]])
    search = Search(linear)
    assert search.solve() == "optimal"
    assert search.z == pytest.approx([2.0, 0.0], abs=1e-6)
    assert search.value == pytest.approx(-4.0)


def test_an_unbounded_relaxation_with_a_bounded_answer():
    # minimize -a - b, a b = 0, a <= 3, b <= 5 written so that their sum alone is unbounded: c = a + b - d
    linear = problem([-1, -1, 0], [[1, 0, -1], [0, 1, -1]], [-INF, -INF], [3, 5], [(0, 1), (0, 2), (1, 2)])
    search = Search(linear)
    assert search.solve() == "optimal"
    assert search.value == pytest.approx(-5.0)


def test_a_search_that_is_stopped_keeps_its_bound_and_can_go_on():
    linear = solvable(14)
    whole, paused = Search(linear), Search(linear)
    assert whole.solve() == "optimal"
    outcome = paused.solve(most=2)
    assert outcome == "limit" and paused.nodes == 2
    assert paused.bound <= whole.value
    assert paused.solve() == "optimal"
    assert paused.value == pytest.approx(whole.value)


def test_a_check_that_raises_leaves_the_search_readable():
    def check(search):
        if search.nodes == 3:
            raise KeyboardInterrupt

    search = Search(solvable(14), check=check)
    with pytest.raises(KeyboardInterrupt):
        search.solve()
    assert search.bound <= search.value


def test_binaries_need_bounds_on_both_sides():
    assert with_binaries(problem([1, 1], [], [], [], [(0, 1)])) is None
    linear = solvable(8)
    search, binaries = Search(linear), Relaxation(with_binaries(linear), integers=True)
    assert search.solve() == binaries.solve() == "optimal"
    assert binaries.value == pytest.approx(search.value, abs=1e-4)


@given(st.floats(-1e9, 1e9))
def test_rounding_up_is_up_and_short(value):
    rounded = float(rounded_up(value))
    assert value <= rounded <= value + 1.1e-3 * max(1.0, abs(value))
    assert float(rounded_up(rounded)) == rounded
