"""Exact sums of squares: what is found is an identity, and what is not nonnegative is never found."""

import itertools
import math
import random
import time
from fractions import Fraction

import flint
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl.certify.clock import until
from bileveldsl.certify.sos import is_sos, largest
from bileveldsl.certify.sos.rounding import is_semidefinite


def gens(names):
    return flint.fmpq_mpoly_ctx.get(names.split(), "degrevlex").gens()


x, y, u, v = gens("x y u v")
MOTZKIN = x**4 * y**2 + x**2 * y**4 - 3 * x**2 * y**2 + 1


def holds(polynomial, found, inequalities=()):
    """Whether a decomposition is the identity it says, with semidefinite Gram matrices."""
    exact = found.polynomial(inequalities, polynomial.context()) == polynomial
    return exact and all(is_semidefinite(block.gram) for block in found.blocks)


@pytest.mark.parametrize(
    "polynomial",
    [
        x**2 + 1,
        0 * x,
        x**0 * 7,
        (x - y) ** 2,
        (3 * x - 1) ** 2 * y**2 + (7 * y - 1) ** 2,
        (x + y + u) ** 4 * (u + v) ** 2,  # needs its face in more than one step
        (x * y + u - 1) ** 2 * (x * v + y) ** 2 + v**2 + u**4 * y**2,
        (x**2 - 2) ** 2 + (x * y - 2) ** 2,
        x**4 + 2 * x**2 * y**2 + y**4 - 2 * x * y + 1,
        MOTZKIN * (1 + x**2 + y**2),
        MOTZKIN * (x**2 + y**2),
        (1 + x**2) * u**2 + x * u * v + v**2,
        1000000 * x**2 + 2 * x * y + flint.fmpq(1, 1000000) * y**2,
        x**4 * flint.fmpq(1, 10**12) + x**2 * y**2 * 10**9 + 1,
    ],
)
def test_sums_of_squares_are_found(polynomial):
    found = is_sos(polynomial)
    assert found is not None and holds(polynomial, found)


@pytest.mark.parametrize(
    "polynomial",
    [
        MOTZKIN,
        x,
        -(x**0),
        x**2 - flint.fmpq(1, 10**11),
        (x - y) ** 2 - flint.fmpq(1, 10**11) * y**2,
        x**4 + 2 * x**2 * y**2 + y**4 - 2 * x * y + flint.fmpq(1, 4) - flint.fmpq(1, 10**9),
        u**2 + 2 * (1 + flint.fmpq(1, 10**11)) * u * v + v**2,
        -flint.fmpq(4, 10**11) * y**2,
        x**2 * y**2 + x**3,
    ],
)
def test_what_is_no_sum_of_squares_is_not_found(polynomial):
    assert is_sos(polynomial) is None


@pytest.mark.parametrize(
    ("polynomial", "inequalities"),
    [
        (x - 1, [x - 2]),
        (x * y, [x, 1 - x, y, 1 - y]),
        (1 - x**2, [x + 1, 1 - x]),
        (6 * y * u**2, [y, 10 - y]),
        (2 - x**3 - x, [x + 1, 1 - x]),
        (1 - x * y, [4 - x**2 - y**2 * 4]),
        (3 - x**2 - y**2 + x * y, [x + 1, 1 - x, y + 1, 1 - y]),
        ((1000 - x) * (x - 10) * u**2 + v**2, [x - 10, 1000 - x]),
    ],
)
def test_inequalities_are_multiplied_in_where_they_are_needed(polynomial, inequalities):
    assert is_sos(polynomial) is None
    found = is_sos(polynomial, inequalities)
    assert found is not None and holds(polynomial, found, inequalities)


@pytest.mark.parametrize(
    ("polynomial", "inequalities"),
    [
        (x - 2 - flint.fmpq(1, 10**11), [x - 2]),
        (1 - x**2 - flint.fmpq(1, 10**11), [x + 1, 1 - x]),
        (x * y - flint.fmpq(1, 10**11), [x, 1 - x, y, 1 - y]),
        (x, []),
        (y, [x]),
    ],
)
def test_what_is_negative_somewhere_between_the_bounds_is_not_found(polynomial, inequalities):
    assert is_sos(polynomial, inequalities) is None


def test_inequalities_are_left_alone_where_they_are_not_needed():
    found = is_sos(x**2 + y**2 - x * y, [x, 1 - x])
    assert found is not None and not any(block.factors for block in found.blocks)


@pytest.mark.parametrize(
    ("polynomial", "direction", "inequalities", "value"),
    [
        (2 * (1 + x**2) * u**2 + 2 * x * u * v + 2 * v**2, u**2 + v**2, [], "3/2"),
        (u**2 + 4 * v**2, u**2 + v**2, [], "1"),
        (x**2 - 2 * x + 4, x**0, [], "3"),
        ((2 - x**2) * u**2, u**2, [x + 1, 1 - x], "1"),
        (x * u**2, u**2, [x - 100, 200 - x], "100"),
        (x**2 * flint.fmpq(2, 7) + flint.fmpq(1, 60), x**0, [], "1/60"),
        (x**2 * u**2, u**2, [], "0"),
        (x**2 - flint.fmpq(1, 8), x**0, [], "-1/8"),
    ],
)
def test_a_rational_optimum_is_reached(polynomial, direction, inequalities, value):
    found = largest(polynomial, direction, inequalities)
    assert found is not None and found[0] == Fraction(value)
    rest = polynomial - flint.fmpq(found[0].numerator, found[0].denominator) * direction
    assert holds(rest, found[1], inequalities)


def test_an_irrational_optimum_is_approached_from_below():
    value, _ = largest(2 * u**2 + 6 * u * v + 5 * v**2, u**2 + v**2)
    assert 0 < (7 - math.sqrt(45)) / 2 - value < 1e-4


def test_what_is_unbounded_below_has_no_largest_value():
    assert largest(x**3, x**0) is None
    assert largest(x**2 * u**2 - x**4 * u**2, u**2) is None


def test_values_that_are_too_small_are_not_proved():
    assert largest(x**2 + 1, x**0, at_least=Fraction(2)) is None
    assert largest(x**2 + 1, x**0, at_least=Fraction(1))[0] == 1


def test_nothing_is_found_after_the_deadline():
    found = []
    with until(time.monotonic() - 1) as work:
        found.append(is_sos(x**2 + 1))
    assert work.cut and not found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 3), scale=st.sampled_from([1, 10**4, flint.fmpq(1, 10**4)]))
def test_sums_of_many_squares_are_found(seed, n, scale):
    rng = random.Random(seed)
    z = gens(" ".join(f"z{k}" for k in range(n)))
    quadratic = [math.prod(c) for c in itertools.combinations_with_replacement([z[0] ** 0, *z], 2)]
    squares = [sum(rng.randint(-5, 5) * m for m in quadratic) ** 2 for _ in range(len(quadratic) + 4)]
    polynomial = sum(squares, 0 * z[0]).compose(*(scale * w for w in z))
    found = is_sos(polynomial)
    assert found is not None and holds(polynomial, found)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_rational_zero_is_no_obstacle(seed):
    rng = random.Random(seed)
    zero = [flint.fmpq(rng.randint(-3, 3), rng.randint(1, 3)) for _ in "xy"]
    x, y = gens("x y")
    monomials = [x, y, x**2, x * y, y**2]
    forms = [sum((rng.randint(-3, 3) * m for m in monomials), 0 * x) for _ in range(8)]
    polynomial = sum(((f - f(*zero)) ** 2 for f in forms), 0 * x)
    found = is_sos(polynomial)
    assert found is not None and holds(polynomial, found)
    assert is_sos(polynomial - flint.fmpq(1, 10**12)) is None


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(st.fractions(-3, 3, max_denominator=7), min_size=6, max_size=6),
    nudge=st.sampled_from([Fraction(0), Fraction(1, 10**20)]),
)
def test_exact_elimination_sees_every_negative_eigenvalue(entries, nudge):
    a, b, c, d, e, f = (flint.fmpq(q.numerator, q.denominator) for q in entries)
    rows = flint.fmpq_mat([[a, b, c], [d, e, f]])
    gram = rows.transpose() * rows  # of rank 2 at most, hence with determinant 0
    assert is_semidefinite(gram)
    less = gram - flint.fmpq_mat([[flint.fmpq(nudge.numerator, nudge.denominator) * (i == j) for j in range(3)]
                                  for i in range(3)])  # fmt: skip
    assert is_semidefinite(less) is (nudge == 0)
