"""The measurements at a point, and the status that they imply."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bileveldsl.backend import kink
from bileveldsl.solution import Status, Verification
from bileveldsl.verify import smooth
from bileveldsl.verify.measured import Measured

if TYPE_CHECKING:
    from bileveldsl.calculus.expr import Symbol
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Level, Program


SEARCHED = 100
"""Variables of a smooth follower that is not known to be convex, up to which its global minimum is searched for."""


@dataclass(frozen=True)
class Verified:
    """The measurements, the status they imply, and the sentence that explains it."""

    verification: Verification
    status: Status
    message: str
    objective: float = math.nan  # of the upper level, minimized


def verify_point(
    problem: CompiledProblem,
    x: np.ndarray,
    y: np.ndarray,
    facts: Iterable[Fact],
    *,
    seed: int = 0,
    tol: float = 1e-6,
    bound: float = -math.inf,
    duals: Mapping[str, np.ndarray] | None = None,
) -> Verified:
    """Measure a point of a problem with one follower, both levels minimizing.

    Parameters
    ----------
    problem
        Its functions are evaluated, never its backend's results.
    x, y
        Flat float64 points of the upper and the lower level.
    facts
        What is known of the follower; only `proved` (or `assumed`, and then said so) convexity makes a local solve
        of the follower's problem count as evidence of optimality.
    bound
        A lower bound of the upper objective that a global search gave.
    duals
        Multipliers of the follower's constraints by label, where the upper level uses them.

    Returns
    -------
    Verified
        `lower_gap` is relative to 1 + |f|. Without proved convexity or a global solve of the follower's problem it is
        None: no better answer of the follower among many starts is no bound.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Verified(Verification(tolerance=tol), Status.NOT_VERIFIED, "the point is not finite")
    known = {(fact.of, fact.fact): fact for fact in facts if fact.holds}
    program, named = problem.program, {**problem.x.unpack(x), **problem.y.unpack(y)}
    values = {variable.symbol: named[variable.name] for variable in program.variables}
    if _by_gradients(program):
        measured = smooth.measure(problem, x, y, known, seed, tol)
        if measured.gap is None and not measured.doubt and measured.better <= tol and problem.ny <= SEARCHED:
            measured = _searched(measured, program.lower[0], values, float(problem.f(x, y)), seed)
    else:
        from bileveldsl.verify import constrained  # with the solvers of the follower's problem

        measured = constrained.measure(program, values, known, duals or {}, seed, tol)
    return judge(measured, tol, bound)


def _searched(m: Measured, lower: Level, values: Mapping[Symbol, np.ndarray], f: float, seed: int) -> Measured:
    """The measurements with the gap that a global search for the follower's answer leaves, if it comes to an end."""
    from bileveldsl.verify.constrained import lower_gap

    gap, method, better = lower_gap(lower, values, f, None, seed)
    return m if gap is None else replace(m, gap=gap, method=method, better=better)


def _by_gradients(program: Program) -> bool:
    """Whether nothing but bounds restricts the levels and all functions are smooth."""
    free = not any(level.constraints for level in program.levels) and not program.priced
    return free and all(v.kind == "continuous" for v in program.variables) and kink(*program.levels) is None


def judge(m: Measured, tol: float, bound: float = -math.inf) -> Verified:
    """The status that the measurements imply, and why."""
    gap = (m.objective - bound) / (1 + abs(m.objective)) if math.isfinite(bound) else None
    verification = Verification(
        m.gap, m.method, m.upper_violation, m.lower_violation, m.hypergradient,
        bound if math.isfinite(bound) else None, gap, tol,
    )  # fmt: skip
    status, message = _status(m, tol, gap)
    return Verified(verification, status, message, m.objective)


def _status(m: Measured, tol: float, global_gap: float | None) -> tuple[Status, str]:
    if m.doubt:
        return Status.NOT_VERIFIED, m.doubt
    violated = max(m.upper_violation, m.lower_violation)
    if violated > tol:
        level = "upper" if m.upper_violation >= m.lower_violation else "lower"
        return Status.NOT_VERIFIED, f"a bound or constraint of the {level} level is violated by {violated:.1e}"
    if m.better > tol:
        text = f"the follower has a better answer: its objective can fall by {m.better:.1e} (relative)"
        return Status.NOT_VERIFIED, text
    if m.gap is None:
        return _without_gap(m)
    if m.gap > tol:
        return Status.NOT_VERIFIED, f"the follower's objective may be {m.gap:.1e} (relative) above its minimum"
    follower = f"lower gap {m.gap:.1e} by {m.method}"
    if global_gap is not None and abs(global_gap) <= tol:
        return Status.GLOBALLY_OPTIMAL, f"{follower}, global gap {max(global_gap, 0.0):.1e}"
    if m.at_rest:
        return Status.LOCALLY_OPTIMAL, f"{follower}, {m.rest}" + _open(global_gap)
    return Status.FEASIBLE, f"the follower answers optimally ({follower}), but {m.rest}" + _open(global_gap)


def _open(global_gap: float | None) -> str:
    if global_gap is None:
        return ""
    if global_gap < 0:
        return f"; the bound of the search lies above the value by {-global_gap:.1e} (relative), which is inconsistent"
    return f"; a bound leaves a gap of {global_gap:.1e} (relative)"


def _without_gap(m: Measured) -> tuple[Status, str]:
    searched = m.method == "multi-start"
    why = "the follower is not known to be convex" if searched else "the follower's problem could not be solved again"
    if m.at_rest:
        text = f"{why}; {smooth.RANDOM_STARTS + 2} starting points gave it no better answer, which proves nothing"
        return Status.STATIONARY, text if searched else why
    return Status.NOT_VERIFIED, f"{why}, and {m.rest}"
