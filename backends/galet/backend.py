"""GALET: the hyper-gradient for followers whose Hessian may be singular (Xiao, Lu, Chen, NeurIPS 2023).

For a follower with the PL inequality, min F s.t. f_y = 0 has multipliers w although its constraints are not regular:

    R_x = F_x + f_xy w        R_w = f_yy (F_y + f_yy w)        R_y = f - min f(x, .)

and (x, y) is eps-stationary where |R_x| <= eps, |R_w| <= eps and R_y <= eps^2 (Chen, Xu, Zhang 2024, Definition C.1).

`form = krylov` solves f_yy w = -F_y by MINRES from the last w: the least-squares solution that the published w-loop
seeks, at the condition number of f_yy and not at its square. The follower is brought to rest by a truncated Newton
method and x moves by the spectral projected gradient method (Birgin, Martinez, Raydan 2000), so no step size has to be
known. Where f_yy is singular and F_y has a part outside its range, best answers of the follower differ for the leader,
and y moves along -(F_y + f_yy w) among them (optimistic ties).

`form = paper` alternates N gradient steps on y, T on |F_y + f_yy w|^2 / 2 and one on x, each from where it stood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bileveldsl.backends.galet.follower import follower_work, settle
from bileveldsl.backends.galet.krylov import Krylov
from bileveldsl.backends.galet.measures import within
from bileveldsl.backends.galet.published import Published

from bileveldsl.backend import Capabilities, Option, RawPoint
from bileveldsl.execute.certified import certified
from bileveldsl.execute.driver import Solver
from bileveldsl.execute.many import Iterative
from bileveldsl.execute.polish import polished

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem

PRODUCTS = 2000  # most products with f_yy for the follower's answer at the end


@dataclass(frozen=True)
class Galet(Iterative):
    """The backend `galet`.

    Its points have R_x, R_w and the root of R_y within the tolerance, and y brought to rest at x.
    """

    name: str = "galet"
    summary: str = "hyper-gradient by MINRES for followers with the PL inequality, whose Hessian may be singular"
    capabilities: Capabilities = Capabilities(follower="bounds", engines=("numpy", "jax"), evidence="local")  # noqa: RUF009
    options: tuple[Option, ...] = (
        Option("form", str, "krylov", "MINRES and a line search, or the published loops", choices=("krylov", "paper")),
        Option("max_iterations", int, 5000, "steps of the leader", at_least=1),
        Option("N", int, 5, "steps on y of form = paper, fewer where a small gap is certified", at_least=1),
        Option("T", int, 5, "steps on w of form = paper", at_least=1),
        Option("alpha", float, None, "step size on x of form = paper; auto adapts it", above=0.0),
        Option("beta", float, None, "step size on y of form = paper; auto: 1 / the curvature met", above=0.0),
        Option("rho", float, None, "step size on w of form = paper; auto: an exact line search", above=0.0),
    )

    def method(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Solver[Any]:
        """The form that the options ask for."""
        boxes = (problem.x_lower, problem.x_upper), (problem.y_lower, problem.y_upper)
        known = certified(problem)
        if known is not None:
            known.tell(monitor)
        if options["form"] == "paper":
            steps = options["alpha"], options["beta"], options["rho"]
            return Published(options["N"], options["T"], *steps, *boxes, monitor.tolerance, known)
        return Krylov(*boxes, monitor.tolerance, known)

    def finished(
        self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor, result: RawPoint
    ) -> RawPoint:
        """The follower's answer at the end."""
        if result.status == "converged" and not within(result.measures, monitor.tolerance):
            result = replace(result, status="failed", message="the line search finds no better point")
        return polished(problem, result, Settled())


@dataclass(frozen=True)
class Settled:
    """The follower's answer to rounding, by a few Newton steps."""

    def __call__(self, problem: CompiledProblem, oracles: Oracles, x: Any, y: Any) -> tuple[Any, dict[str, Any]]:
        response = settle(oracles, x, y, (problem.y_lower, problem.y_upper), 0.0, 20, PRODUCTS)
        return response.y, follower_work(response.calls)
