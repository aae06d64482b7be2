"""Optimality conditions of the follower as constraints: local solutions by interior points, from several starts.

The follower's problem is replaced by its Karush-Kuhn-Tucker conditions. The resulting program with complementarities
is relaxed, solved for a falling relaxation, and then exactly on the branches that are found (`single_level.mpcc`).
Where the conditions are not sufficient, the follower is asked for better answers, and points at which it has one are
cut off. Where they may not even be necessary, a second search is over those of Fritz John.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.execute.driver import guarded
from bileveldsl.reduce.kkt import KktForm, fritz_john_form, kkt_form
from bileveldsl.single_level import ipopt
from bileveldsl.single_level.mpcc import RELAXATIONS
from bileveldsl.single_level.search import Candidate, Plan, Search
from bileveldsl.single_level.stationarity import classify

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program

STARTS = {True: 8, False: 12}
"""By whether the follower is convex."""


@dataclass(frozen=True)
class Kkt:
    """The backend `kkt`."""

    name: str = "kkt"
    summary: str = "local optimum over the follower's optimality conditions, relaxed and then branch by branch"
    capabilities: Capabilities = Capabilities(  # noqa: RUF009
        follower="constrained", upper_constraints=True, duals=True, evidence="local",
    )  # fmt: skip
    options: tuple[Option, ...] = (
        Option("starts", int, None, "points to start from (auto: 8 for a convex follower, else 12)", at_least=1),
        Option("form", str, "scholtes", "how complementarity is relaxed", choices=("scholtes", "fischer_burmeister")),
        Option("relaxation", float, RELAXATIONS[0], "the first relaxation of the complementarity", above=0.0),
        Option("reduction", float, 1e-2, "each relaxation over the one before", above=0.0, at_most=0.9),
        Option("max_iterations", int, 200, "iterations for each relaxation", at_least=1),
    )

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        return why_not(self.name, self.capabilities, program, facts)

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """The best of the local solutions from all starts at which the follower has no better answer."""
        with np.errstate(all="ignore"):  # values tell
            return guarded(lambda: _solve(problem, options, monitor), problem, monitor)


def _solve(problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
    if missing := ipopt.available():
        monitor.notes.append(f"SciPy's solvers stood in: {missing}")
    form = kkt_form(problem.program, problem.facts)
    convex = form.sufficient is not None
    count = options["starts"] or STARTS[convex]
    relaxations = _relaxations(options["relaxation"], options["reduction"])
    search = Search(problem, convex, Plan(options["form"], relaxations, options["max_iterations"]), monitor)
    search.run(form.program, convex, count)
    if form.necessary is None and not problem.program.priced:
        search.run(fritz_john_form(problem.program), False, -(-count // 2))
    best = search.best
    return _nothing(search) if best is None else _point(search, best, form)


def _relaxations(first: float, factor: float) -> tuple[float, ...]:
    values = [first]
    while values[-1] > 1.01 * RELAXATIONS[-1]:
        values.append(max(RELAXATIONS[-1], factor * values[-1]))
    return tuple(values)


def _point(search: Search, best: Candidate, form: KktForm) -> RawPoint:
    x, y = search.split(best.point.z)
    stationarity = classify(best.mpcc, best.point.z)
    measures = {
        "complementarity": best.mpcc.complementarity(best.point.z), "stationarity_residual": stationarity.residual,
        "follower_improvement": best.better,
    }  # fmt: skip
    kind = f"{stationarity.kind}-stationary" if stationarity.kind != "none" else "not shown to be stationary"
    parts = [f"{kind}, the best of {len(search.found)} solutions from {len(search.endings)} searches"]
    if form.sufficient is None:
        parts.append("the follower's conditions are necessary only")
    if form.necessary is None:
        parts.append("the follower's constraints are not known to be qualified: Fritz John points were searched, too")
    if not best.accepted:
        parts.append("at every point found the follower has a better answer")
    return RawPoint(
        x, y, "converged" if best.accepted else "failed", "; ".join(parts), measures, len(search.endings),
        duals=_duals(search, best, form),
    )  # fmt: skip


def _duals(search: Search, best: Candidate, form: KktForm) -> dict[str, np.ndarray]:
    """Of the follower's constraints, where the point came from conditions that have them."""
    program = search.problem.program
    values = best.mpcc.nlp.unpack(best.point.z if program.priced else best.conditions.moderate(best.point.z))
    (lower,) = program.lower
    if any(variable.symbol not in values for variable in form.program.variables):
        return {}
    return {c.label: evaluate(form.duals[c.dual], values, c.axes) for c in lower.constraints if c.dual in form.duals}


def _nothing(search: Search) -> RawPoint:
    """What the searches say where none found a solution."""
    last = search.endings[-1]
    x, y = search.split(last.z)
    statuses = {ending.status for ending in search.endings}
    if "unbounded" in statuses:
        return RawPoint(x, y, "unbounded", "the leader's objective fell without end along feasible points")
    if statuses == {"infeasible"}:
        message = f"all {len(search.endings)} searches ended where the violation is least but not zero: no proof"
        return RawPoint(x, y, "infeasible", message)
    return RawPoint(x, y, "failed", f"no search led to a solution: {last.message}")
