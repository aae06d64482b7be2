"""The backend `rxgf`: its options, the start, the form, and what is reported of the end point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from bileveldsl.backends.galet.backend import proved, settled
from bileveldsl.backends.galet.follower import follower_work, settle
from bileveldsl.backends.rxgf.curvature import second_order
from bileveldsl.backends.rxgf.discrete import Discrete, schedule
from bileveldsl.backends.rxgf.flow import integrate
from bileveldsl.backends.rxgf.problem import Relaxed
from bileveldsl.backends.rxgf.sequential import WIDE, WIDTH, SequentialQcqp

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.execute.driver import guarded, run
from bileveldsl.language.diagnostics import BlvError, Diagnostic

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program

ACCURACY = 1e-2  # of y, from which a fixed eps follows
FORMS = ("qcqp", "qp1", "qp2", "rxgd", "flow")


@dataclass(frozen=True)
class Rxgf:
    """The backend `rxgf`.

    Each form minimizes F within a tube |r| <= eps around the follower's stationary points, by products with f_yy and
    f_xy and without any linear system in them. It can't tell minima of the follower from its maxima and saddles.
    """

    name: str = "rxgf"
    summary: str = "relaxed gradient flow along the follower's optimality conditions, by Hessian-vector products"
    capabilities: Capabilities = Capabilities(  # noqa: RUF009
        follower="constrained", upper_constraints=True, engines=("numpy", "jax"), evidence="stationary"
    )
    options: tuple[Option, ...] = (
        Option("form", str, "qcqp", "sequential QCQP, QPs with a schedule, Euler steps, or the flow", choices=FORMS),
        Option("eps", float, None, "width of the tube; auto removes its bias (qcqp), or is 0.01 mu", above=0.0),
        Option("alpha", float, None, "rate of approach to the tube (qcqp: up to 1); auto by form", above=0.0),
        Option("gamma", float, None, "scale of the steps; auto adapts it", above=0.0),
        Option("start", str, "solved", "y: the follower's answer to x, or as given", choices=("solved", "given")),
        Option("max_iterations", int, 10000, "steps; the horizon K of the schedules", at_least=1),
        Option("horizon", float, 400.0, "time at which the flow ends", above=0.0),
    )  # fmt: skip

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        """None, or why not: constraints must be linear."""
        from bileveldsl.backends.rxgf.stationarity import rows_of

        if reason := why_not(self.name, self.capabilities, program, facts):
            return reason
        symbols = [symbol for level in program.levels for symbol in level.symbols]
        for level in program.levels:
            for constraint in level.constraints:
                try:
                    rows_of([constraint], symbols)
                except ValueError:
                    return f"the constraint {constraint.label} is not linear; {self.name} accepts linear ones"
        return None

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """A KKT point of the relaxed problem with the follower's answer computed anew (where it has no constraints).

        F at the end point itself may lie below phi, since there the follower is not yet at rest.

        Raises
        ------
        BlvError
            E608 for the JAX engine, where constraints or the flow need NumPy.
        """
        form, tolerance = options["form"], monitor.tolerance
        relaxed = Relaxed.of(problem, quadratic=form == "qcqp")
        if problem.engine.name != "numpy" and (form == "flow" or relaxed.programme is not None):
            what = "the flow" if form == "flow" else "a model with constraints"
            text = f"the engine is {problem.engine.name!r}, and {what} needs NumPy"
            raise BlvError([Diagnostic("E608", text, help=f"with {self.name} use --engine numpy here, or no engine")])
        modulus = proved(problem, "strongly_convex", "pl")
        eps = options["eps"] or (None if form in ("qcqp", "qp1", "qp2") else ACCURACY * min(modulus or 1.0, 1.0))
        start = self._start(problem, options["start"] == "solved" and relaxed.stationarity.rows is None)
        given = problem.x_start, problem.y_start
        problem.x_start, problem.y_start = start
        try:
            if form == "flow":
                assert eps is not None  # only the sequential forms choose their own
                settings = options["alpha"] or 0.1, float(eps), options["horizon"]
                result = guarded(lambda: integrate(relaxed, problem, start, *settings, monitor), problem, monitor)
            elif form == "qcqp":
                alpha = options["alpha"] or 0.5
                width = WIDE if _convex(problem) else WIDTH
                solver: Any = SequentialQcqp(relaxed, min(alpha, 1.0), eps, options["gamma"], tolerance, modulus, width)
                result = run(solver, problem, monitor, options["max_iterations"])
                if result.status == "converged" and result.measures["kkt_residual"] > tolerance:
                    result = replace(result, status="failed", message="the line search finds no better point")
            else:
                alpha, longest = schedule(form, options["max_iterations"])
                alpha = options["alpha"] or alpha
                solver = Discrete(form, relaxed, alpha, options["gamma"], longest, eps or 0.0, tolerance, modulus)
                result = run(solver, problem, monitor, options["max_iterations"])
        finally:
            problem.x_start, problem.y_start = given
        return self._finished(problem, relaxed, result, eps, monitor)

    def _start(self, problem: CompiledProblem, solved: bool) -> tuple[np.ndarray, np.ndarray]:
        """The first point; where the follower has no answer near the given y, that y."""
        if not solved:
            return problem.x_start, problem.y_start
        engine, box = problem.engine, (problem.y_lower, problem.y_upper)

        def answer(constants: Any, x: Any, y: Any) -> Any:
            return settle(problem.bind(constants), x, y, box, 1e-8)

        response = engine.jit(answer)(
            problem.constants.arrays, engine.asarray(problem.x_start), engine.asarray(problem.y_start)
        )
        problem.count(**follower_work(response.calls))
        y = np.array(response.y, dtype=float)
        return problem.x_start, y if np.isfinite(y).all() else problem.y_start

    def _finished(
        self, problem: CompiledProblem, relaxed: Relaxed, result: RawPoint, eps: float | None, monitor: Monitor
    ) -> RawPoint:
        """The follower's answer at x, or where it is at no minimum, the word that it isn't."""
        if eps is not None:
            monitor.notes.append(f"the leader moved in the tube |f_y| <= {eps:.3g}, which shifts its decision")
        kind = second_order(problem, relaxed.stationarity, result.x, result.y)
        if kind is not None:
            status = "failed" if result.status == "converged" else result.status
            return replace(result, status=status, message=f"{result.message}, {kind}")
        return result if relaxed.stationarity.rows is not None else settled(problem, result)


def _convex(problem: CompiledProblem) -> bool:
    of = f"{problem.follower}.objective"
    return any(f.of == of and f.fact in ("convex", "strongly_convex") and f.holds for f in problem.facts)
