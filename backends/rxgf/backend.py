"""The backend `rxgf`: its options, the start, the form, and what is reported of the end point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bileveldsl.backends.galet.backend import Settled
from bileveldsl.backends.rxgf.curvature import second_order
from bileveldsl.backends.rxgf.discrete import Discrete, schedule
from bileveldsl.backends.rxgf.flow import integrate
from bileveldsl.backends.rxgf.multipliers import duals
from bileveldsl.backends.rxgf.problem import Relaxed
from bileveldsl.backends.rxgf.sequential import WIDE, WIDTH, SequentialQcqp
from bileveldsl.backends.rxgf.start import Answered
from bileveldsl.backends.rxgf.stationarity import Stationarity, rows_of

from bileveldsl.backend import Capabilities, Option, RawPoint
from bileveldsl.execute.certified import certified
from bileveldsl.execute.driver import Solver, guarded
from bileveldsl.execute.many import Iterative
from bileveldsl.execute.polish import polished
from bileveldsl.language.diagnostics import BlvError, Diagnostic

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program

ACCURACY = 1e-2  # of y, from which a fixed eps follows
FORMS = ("qcqp", "qp1", "qp2", "rxgd", "flow")


@dataclass(frozen=True)
class Rxgf(Iterative):
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

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        """None, or why not: constraints must be linear."""
        if reason := super().admits(program, facts):
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
        if options["form"] != "flow":
            return super().solve(problem, options, monitor)
        self._require_numpy(problem, "the flow")
        result = guarded(lambda: self._flow(problem, options, monitor), problem, monitor)
        return self.finished(problem, options, monitor, result)

    def method(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Solver[Any] | None:
        """The form that the options ask for; None for the flow, which is an ODE."""
        form, tolerance = options["form"], monitor.tolerance
        if form == "flow":
            return None
        relaxed = Relaxed.of(problem, quadratic=form == "qcqp")
        if relaxed.programme is not None:
            self._require_numpy(problem, "a model with constraints")
        modulus, eps = _modulus(problem), self._eps(problem, options)
        solver: Solver[Any]
        if form == "qcqp":
            alpha, width = min(options["alpha"] or 0.5, 1.0), WIDE if _convex(problem) else WIDTH
            solver = SequentialQcqp(relaxed, alpha, eps, options["gamma"], tolerance, modulus, width)
        else:
            alpha, longest = schedule(form, options["max_iterations"])
            alpha = options["alpha"] or alpha
            solver = Discrete(form, relaxed, alpha, options["gamma"], longest, eps or 0.0, tolerance, modulus)
        solved = options["start"] == "solved" and relaxed.stationarity.rows is None
        return Answered(solver, (problem.y_lower, problem.y_upper)) if solved else solver

    def finished(
        self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor, result: RawPoint
    ) -> RawPoint:
        """The follower's answer at x, or where it is at no minimum, the word that it isn't."""
        eps, stationarity = self._eps(problem, options), Stationarity.of(problem)
        if eps is not None:
            note = f"the leader moved in the tube |f_y| <= {eps:.3g}, which shifts its decision"
            monitor.notes += [note] if note not in monitor.notes else []
        stalled = options["form"] == "qcqp" and result.measures.get("kkt_residual", 0.0) > monitor.tolerance
        if result.status == "converged" and stalled:
            result = replace(result, status="failed", message="the line search finds no better point")
        kind = second_order(problem, stationarity, result.x, result.y)
        if kind is not None:
            status = "failed" if result.status == "converged" else result.status
            return replace(result, status=status, message=f"{result.message}, {kind}")
        if stationarity.rows is not None:
            return replace(result, duals=duals(problem, stationarity.rows, result.x, result.y))
        return polished(problem, result, Settled())

    def _require_numpy(self, problem: CompiledProblem, what: str) -> None:
        if problem.engine.name != "numpy":
            text = f"the engine is {problem.engine.name!r}, and {what} needs NumPy"
            raise BlvError([Diagnostic("E608", text, help=f"with {self.name} use --engine numpy here, or no engine")])

    def _eps(self, problem: CompiledProblem, options: Mapping[str, Any]) -> float | None:
        """The width of the tube; None where the form finds its own."""
        modulus = _modulus(problem)
        own = options["form"] in ("qcqp", "qp1", "qp2")
        return options["eps"] or (None if own else ACCURACY * min(modulus or 1.0, 1.0))

    def _flow(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """The flow from the follower's answer, or from the given point."""
        relaxed, eps = Relaxed.of(problem, quadratic=False), self._eps(problem, options)
        start = RawPoint(problem.x_start, problem.y_start, "limit", "")
        if options["start"] == "solved" and relaxed.stationarity.rows is None:
            start = polished(problem, start, Settled())
        settings = options["alpha"] or 0.1, float(eps or 0.0), options["horizon"]
        return integrate(relaxed, problem, (start.x, start.y), *settings, monitor)


def _modulus(problem: CompiledProblem) -> float | None:
    known = certified(problem)
    return None if known is None else known.mu


def _convex(problem: CompiledProblem) -> bool:
    of = f"{problem.follower}.objective"
    return any(f.of == of and f.fact in ("convex", "strongly_convex") and f.holds for f in problem.facts)
