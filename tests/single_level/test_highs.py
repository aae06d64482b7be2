"""Linear, quadratic and mixed-integer programs by HiGHS: values, multipliers, and the truth about failures."""

import _thread
import math
import threading
import time

import numpy as np
import pytest
from scipy import sparse

import bileveldsl as blv
from bileveldsl.execute.layout import Layout, Part
from bileveldsl.reduce.kkt import kkt_form
from bileveldsl.single_level.highs import Relaxation, irreducible_infeasible_set, solve
from bileveldsl.single_level.linear import Linear, Pairs, flatten, is_convex, obstacle
from bileveldsl.single_level.program import SingleLevel

INF = math.inf


def single(text):
    """The upper level of a model as a program of its own."""
    program = blv.loads("model t\nupper {\n" + text + "\n}\nlower { var unused; minimize unused^2 }").program()
    upper = program.upper
    return SingleLevel(upper.variables, upper.objective, upper.constraints)


def test_a_linear_program_and_its_multipliers():
    def text(right):
        return f"var x >= 0; var y >= 0; minimize 2*x + 3*y; a: x + 2*y >= {right}; b: -4 <= x - y <= 1; c: x + y <= 90"

    answer = solve(single(text(10)))
    assert (answer.status, answer.objective, answer.bound) == ("optimal", pytest.approx(46 / 3), pytest.approx(46 / 3))
    moved = solve(single(text(10.001)))
    assert (moved.objective - answer.objective) / 0.001 == pytest.approx(float(answer.duals["a"]))
    assert float(answer.duals["b"]) == pytest.approx(1 / 3)  # of both sides of the range moved together
    assert answer.duals["c"] == 0.0


def test_the_multiplier_of_a_range_whose_sides_vary():
    answer = solve(single("var x >= 0; var u in [1, 1]; minimize x; a: u <= x <= 8*u"))
    assert answer.objective == pytest.approx(1.0)
    assert answer.duals["a"] == pytest.approx(1.0)


@pytest.mark.parametrize(("text", "status"), [
    ("var x >= 0; minimize -x", "unbounded"),
    ("var x >= 0; minimize -x; a: x <= -1", "infeasible"),
    ("var x >= 0; var y; minimize -x + y; a: x - y <= 1; b: x - y >= 2", "infeasible"),
    ("var x : integer >= 0; var y >= 0; minimize -x - y; a: x - y <= 0.5", "unbounded"),
    ("var x : integer in [0, 9]; minimize x; a: 0.2 <= x <= 0.8", "infeasible"),
    ("var x; minimize x^2 - 2*x", "optimal"),
    ("var x; var y; minimize x^2 - y", "unbounded"),
    ("var x; var y; minimize x^2 - y; a: x + y <= 1; b: x + y >= 2", "infeasible"),
])  # fmt: skip
def test_the_status_is_told_apart(text, status):
    assert solve(single(text)).status == status


def test_convex_quadratic_programs():
    answer = solve(single("var x >= 0; var y >= 0; minimize x^2 + x*y + y^2 - 3*x; a: x + y >= 2"))
    # on x + y = 2: x^2 + 2x - x^2 + (2-x)^2 - 3x, least at x = 2.5 > 2, so that x = 2, y = 0
    assert answer.objective == pytest.approx(-2.0, abs=1e-6)
    assert float(answer.duals["a"]) == pytest.approx(1.0, abs=1e-5)


def test_a_mixed_integer_program():
    own = "var x : integer in [0, 9]; var y in [0, 9]; minimize -3*x - 2*y"
    answer = solve(single(own + "; a: 2*x + y <= 7.5; b: x + 3*y <= 12"))
    best = min(-3 * x - 2 * min(7.5 - 2 * x, (12 - x) / 3) for x in range(4))
    assert (answer.status, answer.objective) == ("optimal", pytest.approx(best))
    assert answer.bound <= answer.objective


def test_an_unbounded_program_that_presolve_calls_infeasible():
    rows = np.array([[-3, 2, 1, 2, 1], [-1, -2, 3, 3, -3], [1, -2, 0, 3, -1]], dtype=float)
    primal = np.vstack([rows, np.hstack([np.zeros((6, 2)), np.vstack([np.eye(3), -np.eye(3)])])])
    dual = np.array([[1, 3, 0, 1, 0, 0, -1, 0, 0], [2, 3, 3, 0, 1, 0, 0, -1, 0], [1, -3, -1, 0, 0, 1, 0, 0, -1.0]])
    matrix = np.block([[primal, np.zeros((9, 9))], [np.zeros((3, 5)), dual]])
    nothing = np.zeros(0, dtype=np.int64)
    linear = Linear(
        (), Layout((Part("z", (14,), slice(0, 14)),), 14), np.r_[[-INF] * 5, [0.0] * 9], np.full(14, INF),
        np.zeros(14, dtype=bool), np.r_[-3.0, -3, 1, 2, -2, [0.0] * 9], 0.0, None, sparse.csr_array(matrix),
        np.r_[[-INF] * 9, 3.0, -1, 3], np.r_[5.0, 3, 5, [4.0] * 6, 3, -1, 3], {}, {}, Pairs(nothing, nothing, nothing),
    )  # fmt: skip
    assert Relaxation(linear).solve() == "unbounded"


def test_conflicts_are_irreducible():
    program = single("""
        var x in [0, 4]; var y in [0, 4]; var z in [0, 1]; minimize x
        a: x + y >= 9
        b: x - y <= 3
        c: z + x <= 5""")
    assert irreducible_infeasible_set(program) == ("a", "x", "y")
    assert irreducible_infeasible_set(single("var x in [0, 4]; minimize x; a: x >= 1")) == ()


def test_what_is_not_linear_is_named():
    assert obstacle(single("var x; var y; minimize x; a: x <= 1; b: x*y <= 1")) == "the constraint b is not linear"
    assert "quadratic" in obstacle(single("var x; minimize exp(x)"))
    assert "not convex" in obstacle(single("var x; var y; minimize x*y"))
    assert obstacle(single("var x; var y; minimize (x - y)^2 + x")) is None


def test_convexity_is_proved_not_guessed():
    direction = np.array([[1.0], [1 / 3]])
    square = direction @ direction.T
    assert is_convex(sparse.csr_array(square + 1e-9 * np.eye(2)))
    assert not is_convex(sparse.csr_array(square - 1e-6 * np.eye(2)))
    assert not is_convex(sparse.csr_array([[0.0, 1.0], [1.0, 0.0]]))
    assert is_convex(sparse.csr_array((3, 3)))


def test_slacks_share_the_rows_and_bounds_they_come_from():
    program = blv.loads("""model t
        upper { var x in [0, 1]; minimize y }
        lower { var y in [0, 5]; minimize y; a: 1 <= 2*x + y <= 3; b: y <= 4 }""").program()
    linear = flatten(kkt_form(program, ()).program)
    assert linear.matrix.shape[0] == 3  # a, b and stationarity
    z = np.zeros(linear.size)
    z[:2] = 1.0, 0.5
    assert sorted(linear.slacks(z)) == pytest.approx([0.5, 0.5, 1.5, 3.5, 4.5])


@pytest.mark.parametrize("seed", range(5))
def test_tangents_give_what_the_quadratic_solver_gives(seed, monkeypatch):
    random = np.random.default_rng(seed)
    half, c, A = random.normal(size=(3, 5)), random.normal(size=5), random.normal(size=(3, 5))
    terms = " + ".join(
        "(" + " + ".join(f"({w:.3f})*x{k}" for k, w in enumerate(row)) + ")^2" for row in half
    ) + "".join(f" + ({w:.3f})*x{k}" for k, w in enumerate(c))
    rows = [f"r{i}: {' + '.join(f'({w:.3f})*x{k}' for k, w in enumerate(row))} <= 1" for i, row in enumerate(A)]
    program = single("; ".join([*(f"var x{k} in [-1, 2]" for k in range(5)), f"minimize {terms}", *rows]))
    expected = solve(program)
    monkeypatch.setattr(Relaxation, "_run", lambda self: "failed")
    found = solve(program)
    assert found.status == expected.status == "optimal"
    assert found.objective == pytest.approx(expected.objective, abs=1e-6)
    assert found.bound <= found.objective
    for label in expected.duals:
        assert found.duals[label] == pytest.approx(expected.duals[label], abs=1e-4)


def test_an_interrupt_stops_a_long_linear_program():
    """A large one that takes many seconds; without a stop the test would take as long."""
    source = np.random.default_rng(0)
    size = 3000
    matrix = sparse.random_array((size, size), density=0.05, format="csr", rng=source)
    linear = Linear(
        (), Layout((Part("z", (size,), slice(0, size)),), size), np.zeros(size), np.full(size, INF),
        np.zeros(size, dtype=bool), source.uniform(1, 2, size), 0.0, None, matrix, source.uniform(1, 2, size),
        np.full(size, INF), {}, {}, Pairs(*(np.zeros(0, dtype=np.int64),) * 3),
    )  # fmt: skip
    relaxation = Relaxation(linear)
    threading.Timer(0.5, _thread.interrupt_main).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        relaxation.solve()
    assert time.monotonic() - begin < 2.5
