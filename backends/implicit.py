"""Implicit differentiation: the hyper-gradient from the follower's optimality conditions, in a quasi-Newton method.

For a strongly convex follower, y(x) solves f_y(x, y) = 0 and phi(x) = F(x, y(x)) has the gradient
F_x - f_xy w with f_yy w = F_y. The follower is solved by Newton's method from a predicted point, the adjoint
equation with the same Hessian, and phi is minimized over the bounds of x by L-BFGS-B (Byrd, Lu, Nocedal, Zhu 1995).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import optimize

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.execute.certified import certified
from bileveldsl.execute.driver import guarded
from bileveldsl.execute.follower import DENSE_LIMIT, FollowerSolver
from bileveldsl.execute.monitor import Stop

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program

ADJOINT_ACCURACY = 1e-10
"""Largest relative residual of the adjoint equation; L-BFGS-B needs gradients that agree with the values."""

ATTEMPTS = 3
"""Searches of the leader, each from where the one before stalled."""


@dataclass(frozen=True)
class Implicit:
    """The backend `implicit`."""

    name: str = "implicit"
    summary: str = "hyper-gradient by implicit differentiation, follower by Newton's method, leader by L-BFGS-B"
    capabilities: Capabilities = Capabilities(  # noqa: RUF009
        follower="unconstrained",
        engines=("numpy", "jax"),
        evidence="local",
        needs=(("lower.objective", "strongly_convex"),),
    )
    options: tuple[Option, ...] = (
        Option("max_iterations", int, 1000, "iterations of the leader", at_least=1),
        Option("memory", int, 30, "pairs that L-BFGS-B keeps", at_least=1),
        Option("follower_tolerance", float, 1e-11, "on the norm of f_y, relative to its start, or on the certified "
               "distance to the answer, relative to its size", above=0.0),
        Option(
            "linear_solver", str, None, "preconditioner for systems with f_yy: a Cholesky factor (auto up to "
            f"{DENSE_LIMIT} variables) or none", choices=("cholesky", "cg"),
        ),
    )  # fmt: skip

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        return why_not(self.name, self.capabilities, program, facts)

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Minimize phi over the bounds of x; `monitor.tolerance` is on the norm of its projected gradient."""
        with np.errstate(all="ignore"):  # values tell
            return guarded(lambda: self._minimize(problem, options, monitor), problem, monitor)

    def _minimize(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        dense = (
            problem.ny <= DENSE_LIMIT if options["linear_solver"] is None else options["linear_solver"] == "cholesky"
        )
        accuracy = min(ADJOINT_ACCURACY, 1e-3 * monitor.tolerance)
        known = certified(problem)
        phi = HyperObjective(problem, options["follower_tolerance"], dense, accuracy, known.mu if known else 0.0)
        x = np.array(problem.x_start)
        # L-BFGS-B measures the largest component of the projected gradient, we its length.
        most = options["max_iterations"]
        settings = {
            "maxfun": 20 * most, "maxcor": options["memory"],
            "ftol": 0.0, "gtol": 0.5 * monitor.tolerance / np.sqrt(max(1, problem.nx)),
        }  # fmt: skip
        iterations, norm = 0, np.inf
        objective: Callable[[np.ndarray], tuple[float, np.ndarray]] = phi
        for _ in range(ATTEMPTS):
            result = optimize.minimize(
                objective, x, jac=True, method="L-BFGS-B", bounds=optimize.Bounds(problem.x_lower, problem.x_upper),
                options={**settings, "maxiter": most - iterations}, callback=lambda x: phi.report(monitor, x),
            )  # fmt: skip
            x, iterations = result.x, iterations + result.get("nit", 0)  # none where the bounds fix every variable
            norm = projected_norm(problem, x, phi(x)[1])
            if norm <= monitor.tolerance or iterations >= most:
                break
            objective = phi.differences(x)  # the search may have met the rounding of the values
        status: Literal["converged", "limit", "failed"]
        status = "converged" if norm <= monitor.tolerance else "limit" if iterations >= most else "failed"
        message = {
            "converged": f"converged in {iterations} iterations",
            "limit": f"stopped at the limit of {most} iterations",
            "failed": "the line search finds no better point",
        }[status]
        measures = {"hypergradient_norm": norm, "follower_residual": phi.residual}
        return RawPoint(x, phi.y, status, message, measures, iterations)


@dataclass
class HyperObjective:
    """phi(x) and its gradient; keeps the follower's last answer and adjoint to predict the next."""

    problem: CompiledProblem
    tolerance: float
    dense: bool
    accuracy: float = ADJOINT_ACCURACY
    modulus: float = 0.0
    x: np.ndarray | None = None
    y: np.ndarray = field(default_factory=lambda: np.zeros(0))
    adjoint: np.ndarray | None = None
    residual: float = float("nan")
    value: float = float("nan")
    gradient: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        self._follower = FollowerSolver(self.problem, self.tolerance, self.dense, self.modulus, self.tolerance)

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Where phi has no value, it is taken to rise as steeply as it fell, so that a line search comes back."""
        if self.x is not None and np.array_equal(x, self.x):
            return self.value, self.gradient
        problem, follower = self.problem, self._follower
        start = np.array(problem.y_start) if self.x is None else self._predicted(x)
        if self.x is None:
            follower.tolerance *= max(1.0, float(np.linalg.norm(np.asarray(problem.grad_f_y(x, start)))))
        y, residual = follower.solve(x, start)
        value, upper_x, upper_y = (np.asarray(part) for part in problem.value_and_grad_F(x, y))
        adjoint = follower.apply_inverse(x, y, upper_y, self.accuracy, self.adjoint)
        gradient = upper_x - np.asarray(problem.cross(x, y, adjoint))
        if not (np.isfinite(residual) and np.isfinite(value) and np.isfinite(gradient).all()):
            if self.x is None:
                raise Stop("not finite", "the hyper-objective or its gradient is not finite")
            return self.value + abs(float(self.gradient @ (x - self.x))), -self.gradient
        self.x, self.y, self.adjoint, self.residual = np.array(x), y, adjoint, residual
        self.value, self.gradient = float(value), gradient
        return self.value, self.gradient

    def differences(self, origin: np.ndarray) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """phi - phi(origin) from gradients by the trapezoid rule, which near the origin loses no digits."""
        _, first = self(origin)

        def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
            _, gradient = self(x)
            return 0.5 * float((first + gradient) @ (x - origin)), gradient

        return objective

    def _predicted(self, x: np.ndarray) -> np.ndarray:
        """The follower's answer to first order: dy = -f_yy^-1 f_yx dx."""
        assert self.x is not None
        moved = np.asarray(self.problem.cross_T(self.x, self.y, x - self.x))
        predicted = self.y - self._follower.apply_inverse(self.x, self.y, moved, 0.1)
        before, after = (np.linalg.norm(np.asarray(self.problem.grad_f_y(x, y))) for y in (self.y, predicted))
        return predicted if after < before else self.y

    def report(self, monitor: Monitor, x: np.ndarray) -> None:
        value, gradient = self(x)
        self.problem.count(iterations=1)
        monitor.report(
            value, {"hypergradient_norm": projected_norm(self.problem, x, gradient)}, (x, self.y), merit=value
        )


def projected_norm(problem: CompiledProblem, x: np.ndarray, gradient: np.ndarray) -> float:
    """The length of the projected gradient step, zero exactly at a first-order point of the box."""
    return float(np.linalg.norm(x - np.clip(x - gradient, problem.x_lower, problem.x_upper)))
