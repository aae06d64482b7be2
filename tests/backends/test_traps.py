"""Bilevel programs that are easily solved wrongly: every backend that takes one gives the same right answer, or none.

What each is for: tools that drop the optimistic choice among ties, take multipliers of a follower without an answer,
turn a sense around, or rely on multipliers that are unique.
"""

import numpy as np
import pytest

from bileveldsl import loads, registry
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.reduce import REDUCTIONS, reduce_program

TRAPS = {
    "ties": (
        "upper { var x in [0, 4]; minimize (x - 3)^2 - y }; "
        "lower { var y in [0, 3]; var z in [0, 1]; minimize z; cap: y + z <= x + 1 }", -3.0),
    "ties that the leader's constraint decides": (
        "upper { var x in [0, 2]; minimize x - y; even: y == z }; "
        "lower { var y >= 0; var z >= 0; minimize -y - z; cap: y + z <= x }", 0.0),
    "no minimum for some decisions": (
        "upper { var x in [-1, 1]; minimize x + y }; lower { var y >= 0; minimize x*y }", 0.0),
    "no answer for some decisions": (
        "upper { var x in [0, 4]; minimize y - x }; lower { var y in [0, 1]; minimize y; cap: x + y <= 2 }", -2.0),
    "a lower level that maximizes": (
        "upper { var x in [0, 4]; maximize x + y }; "
        "lower { var y in [0, 9]; maximize 2*y - x; cap: x + y <= 6; most: y <= 5 - x/2 }", 6.0),
    "both levels maximize what the other wants least": (
        "upper { var x in [0, 2]; maximize x - 3*y }; lower { var y in [0, 5]; maximize y; cap: y <= 3 - x }", -1.0),
    "degenerate multipliers": (
        "upper { var x in [-2, 2]; minimize (x - 1)^2 + y }; "
        "lower { var y; minimize y; a: y >= x; b: y >= -x; c: y >= 0; d: 2*y >= x - y }", 0.75),
    "constraints written twice": (
        "upper { var x in [0, 4]; minimize (x - 1)^2 - y }; "
        "lower { var y; minimize -y; a: y <= x; b: y <= x; c: 2*y <= 2*x; d: y <= 3 }", -1.25),
    "a follower's constraint is not the leader's": (  # moved up, 0 would be reached at x = 0, y = 2
        "upper { var x in [0, 2]; minimize abs(y - 2) + x }; lower { var y >= 0; minimize y; cap: y >= 1 - x }", 1.0),
    "points at rest for the follower that are no answers": (
        "upper { var x in [-1, 1]; minimize (y - 1)^2 + (x - 0.5)^2 }; "
        "lower { var y in [-2, 2]; minimize (y^2 - 1)^2 + x*y }", None),
}  # fmt: skip
"""With the least (or, where the leader maximizes, greatest) value of the leader; None for one found on a grid."""


def on_a_grid():
    """For x > 0 the follower's best well is near -1; at 0 both are as good."""
    x, y = np.linspace(-1, 1, 401), np.linspace(-2, 2, 1601)
    f = (y[None] ** 2 - 1) ** 2 + x[:, None] * y[None]
    answers = f <= f.min(1, keepdims=True) + 1e-9
    F = (y[None] - 1) ** 2 + (x[:, None] - 0.5) ** 2
    return float(F[answers].min())


@pytest.mark.parametrize("name", TRAPS)
def test_the_answer_with_no_options_is_right_and_proved(name):
    text, best = TRAPS[name]
    solution = loads(f"model trap; {text}").solve(time_limit=30)
    assert solution.status.value == "globally_optimal", solution.message
    assert solution.upper.objective == pytest.approx(on_a_grid() if best is None else best, abs=1e-4)


@pytest.mark.parametrize("backend", ["milp", "scip", "kkt"])
@pytest.mark.parametrize("name", TRAPS)
def test_no_backend_claims_a_wrong_answer(name, backend):
    text, best = TRAPS[name]
    model = loads(f"model trap; {text}")
    program = model.program()
    facts, _ = check_claims(program, certify(program))
    small = reduce_program(program, REDUCTIONS, facts)
    offered = {b.name: b for b in registry.backends()}[backend]
    if offered.available() or offered.admits(small.program, small.facts):
        return
    solution = model.solve(backend, time_limit=30)
    best = on_a_grid() if best is None else best
    sign = 1 if program.upper.sense == "minimize" else -1
    if solution.status.value in ("globally_optimal", "locally_optimal", "feasible"):
        assert sign * solution.upper.objective >= sign * best - 1e-4
    if solution.status.value == "globally_optimal":
        assert solution.upper.objective == pytest.approx(best, abs=1e-4)
    assert solution.status.value not in ("infeasible", "unbounded", "lower_infeasible", "lower_unbounded")
