"""SCIP: globally optimal answers, by spatial branch and bound.

Where the follower's Karush-Kuhn-Tucker conditions are equivalent to its optimality, one search over them answers.
Otherwise bounds are closed from both sides (`bileveldsl.single_level.closing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.execute.monitor import Stop
from bileveldsl.program import Program
from bileveldsl.reduce.kkt import kkt_form
from bileveldsl.single_level.closing import Closing, has_conditions
from bileveldsl.single_level.program import Answer
from bileveldsl.single_level.scip import missing
from bileveldsl.single_level.unsupported import Unsupported

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem


@dataclass(frozen=True)
class Scip:
    """The backend `scip`."""

    name: str = "scip"
    summary: str = "global optimum by spatial branch and bound, over optimality conditions or closing bounds"
    capabilities: Capabilities = Capabilities(  # noqa: RUF009
        follower="constrained", upper_constraints=True, nonsmooth=True, integer=True, duals=True, evidence="global",
    )  # fmt: skip
    options: tuple[Option, ...] = (
        Option("gap", float, 1e-6, "between the answer and the bound, relative to 1 + |F|", above=0.0),
        Option("follower_gap", float, 1e-9, "by which the follower's answer may miss its minimum, relative", above=0.0),
        Option("max_iterations", int, 200, "relaxations that are solved", at_least=1),
    )  # fmt: skip

    def available(self) -> str | None:
        return missing()

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        facts = tuple(facts)
        if (reason := why_not(self.name, self.capabilities, program, facts)) is not None:
            return reason
        if program.priced:
            if not has_conditions(program):
                return "the upper level uses multipliers, and the follower is not smooth or has integer variables"
            if not kkt_form(program, facts).exact:
                return "the upper level uses multipliers, and the follower is not known to be convex and qualified"
        return None

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Search until the gap between the best answer and the bound is closed."""
        search = Closing(problem.program, problem.facts, options, monitor)
        try:
            with np.errstate(all="ignore"):  # values tell
                answer = search.run()
        except Stop as stop:
            answer = search.best(stop.message)
        except KeyboardInterrupt:
            monitor.stopped = "interrupt"
            answer = search.best("interrupted")
        except Unsupported as error:
            answer = Answer("failed", str(error))
        return _raw(problem, answer, search.iterations)


def _raw(problem: CompiledProblem, answer: Answer, iterations: int) -> RawPoint:
    """The answer as flat vectors, not a number where there is none."""
    values = {symbol.name: value for symbol, value in (answer.values or {}).items()}
    x, y = (
        layout.pack(values) if values else np.full(layout.size, np.nan) for layout in (problem.x, problem.y)
    )
    status = {"optimal": "converged"}.get(answer.status, answer.status)
    return RawPoint(x, y, status, answer.message, {}, iterations, answer.bound, answer.duals)  # type: ignore[arg-type]
