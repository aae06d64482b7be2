"""Upper constraints by the augmented Lagrangian, against solutions worked out by hand."""

import numpy as np
import pytest
from bileveldsl.backends.augmented import Augmented

from bileveldsl import loads
from bileveldsl.solution import Status
from bileveldsl.solve import solve_with
from bileveldsl.testing import check_all


def test_conformance():
    check_all(Augmented())


@pytest.mark.parametrize(
    ("constraint", "x"),
    [
        ("cap: x + y <= 4", 2.0),  # y = x, so x + y = 4 binds below the free optimum x = 3
        ("cap: x + y <= 7", 3.0),  # does not bind
        ("tie: x*y == 2.25", 1.5), ("band: 3.5 <= y <= 9", 3.5), ("floor: y^2 >= 16", 4.0),
    ],
)  # fmt: skip
def test_the_constrained_optimum_of_a_follower_that_copies(constraint, x):
    upper = f"upper {{ var x in [0, 10] start 1; minimize (x - 3)^2; {constraint} }}"
    text = f"model m; {upper}; lower {{ var y; minimize (y - x)^2 }}"
    solution = solve_with(loads(text), Augmented())
    assert solution.status is Status.LOCALLY_OPTIMAL, solution.message
    assert solution["x"] == pytest.approx(x, abs=1e-6)
    assert solution.upper.objective == pytest.approx((x - 3) ** 2, abs=1e-5)
    assert solution.verification.upper_violation <= 1e-6


def test_a_family_of_constraints_projects_onto_the_simplex():
    """min |y - t|^2 over y >= 0, sum y = 1, with y = x: the projection of t onto the simplex."""
    target = np.array([0.9, 0.6, -0.2])
    text = """model simplex
dim n = 3
param t[n] = [0.9, 0.6, -0.2]
upper { var x[n] start 0; minimize sumsq(y - t); whole: sum(y) == 1; each[i in n]: y[i] >= 0 }
lower { var y[n]; minimize sumsq(y - x) }
"""
    solution = solve_with(loads(text), Augmented())
    shift = next(s for s in np.linspace(0, 1, 100001) if np.maximum(target - s, 0).sum() <= 1)
    assert np.allclose(solution["y"], np.maximum(target - shift, 0), atol=1e-4)
    assert solution.status is Status.LOCALLY_OPTIMAL


def test_constraints_that_cannot_hold_end_at_a_limit_and_are_not_called_solved():
    text = "model m; upper { var x in [0, 1]; minimize x; never: y >= 2 }; lower { var y; minimize (y - x)^2 }"
    solution = solve_with(loads(text), Augmented(), options={"max_solves": 6})
    assert solution.status in (Status.LIMIT, Status.NOT_VERIFIED)
    assert "violated" in solution.message


@pytest.mark.parametrize(
    ("sense", "objective", "constraint", "label", "slope"),
    [
        ("minimize", "(x - 3)^2", "cap: x + y <= {}", "cap", lambda b: b / 2 - 3),
        ("minimize", "(x - 3)^2", "cap: x + y <= {} + 5", "cap", lambda b: 0),
        ("minimize", "(x - 3)^2", "floor: y >= {}", "floor", lambda b: 2 * (b - 3)),
        ("minimize", "(x - 3)^2", "band: {} <= y <= {} + 1", "band", lambda b: 2 * (b - 3)),
        ("minimize", "(x - 3)^2", "tie: 2*y == {}", "tie", lambda b: b / 2 - 3),
        ("maximize", "-(x - 3)^2", "cap: x + y <= {}", "cap", lambda b: 3 - b / 2),
    ],
)  # fmt: skip
def test_duals_are_derivatives_by_the_right_hand_side(sense, objective, constraint, label, slope):
    b = 4.0
    text = f"upper {{ var x in [0, 10] start 1; {sense} {objective}; {constraint.format(b, b)} }}"
    solution = solve_with(loads(f"model m; {text}; lower {{ var y; minimize (y - x)^2 }}"), Augmented())
    assert solution.duals[label] == pytest.approx(slope(b), abs=1e-4)
