"""Smooth programs by SciPy: SLSQP (Kraft 1988) for small ones, the trust-region interior point method for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import optimize

from bileveldsl.execute.monitor import Stop
from bileveldsl.single_level.local import LocalPoint, Settings
from bileveldsl.single_level.multipliers import multipliers
from bileveldsl.single_level.nlp import Nlp

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor

SMALL = 100
"""SLSQP works with dense matrices."""

HUGE = 1e30
"""Stands for values that are no numbers, so that searches turn back."""


RESIDUAL = 1e-3
"""Largest remaining slope, relative to 1 + |grad f|, of a point that counts as converged."""


def minimize(nlp: Nlp, start: np.ndarray, settings: Settings, monitor: Monitor | None = None) -> LocalPoint:
    """A point that satisfies the first-order conditions, from a start at which the functions are defined."""
    latest = [start]

    def watch(z: np.ndarray, *_: Any) -> None:
        latest[0] = np.array(z)
        if monitor is not None:
            monitor.check()

    method = _slsqp if nlp.n + nlp.m <= SMALL else _trust_constr
    stopped = ""
    try:
        with np.errstate(all="ignore"):
            iterations, at_limit = method(nlp, start, settings, watch)
            if nlp.violation(latest[0]) > _active(settings):  # from the nearest feasible point once more
                restored = _restored(nlp, latest[0])
                if nlp.violation(restored) <= _active(settings):
                    watch(restored)
                    iterations, at_limit = method(nlp, restored, settings, watch)
    except Stop as stop:
        iterations, at_limit, stopped = 0, True, stop.message
    return _judged(nlp, np.clip(latest[0], nlp.lower, nlp.upper), settings, iterations, at_limit, stopped)


def _slsqp(nlp: Nlp, start: np.ndarray, settings: Settings, watch: Callable[..., None]) -> tuple[int, bool]:
    equal = nlp.row_lower == nlp.row_upper
    below, above = np.isfinite(nlp.row_lower) & ~equal, np.isfinite(nlp.row_upper) & ~equal

    def inequalities(z: np.ndarray) -> np.ndarray:
        rows = _number(nlp.constraints(z), -HUGE)
        return np.append(rows[below] - nlp.row_lower[below], nlp.row_upper[above] - rows[above])

    def slopes(z: np.ndarray) -> np.ndarray:
        matrix = nlp.jacobian_matrix(z).toarray()
        return _number(np.vstack([matrix[below], -matrix[above]]))

    constraints = [
        {"type": "eq", "fun": lambda z: _number((nlp.constraints(z) - nlp.row_lower)[equal]),
         "jac": lambda z: _number(nlp.jacobian_matrix(z).toarray()[equal])},
        {"type": "ineq", "fun": inequalities, "jac": slopes},
    ]  # fmt: skip
    found = optimize.minimize(
        lambda z: _number(nlp.objective(z), HUGE), start, jac=lambda z: _number(nlp.gradient(z)), method="SLSQP",
        bounds=optimize.Bounds(nlp.lower, nlp.upper), constraints=constraints, callback=watch,
        options={"maxiter": settings.max_iterations, "ftol": 1e-4 * settings.tolerance},
    )  # fmt: skip
    watch(found.x)
    return int(found.get("nit", 0)), found.status == 9


def _trust_constr(nlp: Nlp, start: np.ndarray, settings: Settings, watch: Callable[..., None]) -> tuple[int, bool]:
    def hessian(z: np.ndarray, weights: np.ndarray) -> Any:
        return nlp.hessian_matrix(z, weights, scale=0.0)

    constraint = optimize.NonlinearConstraint(
        nlp.constraints, nlp.row_lower, nlp.row_upper, jac=nlp.jacobian_matrix, hess=hessian
    )
    # Its measure of optimality leaves the complementarity of the barrier out, so only the step length may stop it.
    options = {"maxiter": settings.max_iterations, "gtol": 0.0, "xtol": 1e-2 * settings.tolerance}
    found = optimize.minimize(
        lambda z: _number(nlp.objective(z), HUGE), start, jac=nlp.gradient, method="trust-constr",
        hess=lambda z: nlp.hessian_matrix(z, np.zeros(nlp.m)), bounds=optimize.Bounds(nlp.lower, nlp.upper),
        constraints=[constraint] if nlp.m else [], callback=watch, options=options,
    )  # fmt: skip
    watch(found.x)
    return int(found.nit), found.status == 0


def _number(value: Any, instead: float = 0.0) -> Any:
    return np.where(np.isnan(value), instead, np.clip(value, -HUGE, HUGE))


def _judged(
    nlp: Nlp, z: np.ndarray, settings: Settings, iterations: int, at_limit: bool, stopped: str
) -> LocalPoint:
    """The point with the status that its own numbers give it."""
    active = _active(settings)
    found = multipliers(nlp, z, active)
    objective, violation = nlp.objective(z), nlp.violation(z)
    status: Literal["optimal", "infeasible", "unbounded", "limit", "failed"]
    slope = 1.0 + float(np.max(np.abs(nlp.gradient(z)), initial=0.0))
    if stopped:
        status, message = "limit", stopped
    elif violation <= active and found.residual <= RESIDUAL * slope:
        status, message = "optimal", f"converged in {iterations} iterations"
    elif violation > active and _least_violation(nlp, z):
        status, message = "infeasible", "the violation of the constraints is locally least and not zero"
    elif violation <= active and objective < -1e15:
        status, message = "unbounded", "the iterates diverge"
    elif at_limit:
        status, message = "limit", "stopped at the limit of iterations"
    else:
        status, message = "failed", "no better point was found"
    return LocalPoint(status, message, z, objective, found.rows, found.lower, found.upper, iterations)


def _active(settings: Settings) -> float:
    return max(1e-6, 10 * settings.tolerance)


def _excess(nlp: Nlp, z: np.ndarray) -> np.ndarray:
    rows = nlp.constraints(z)
    return np.maximum(rows - nlp.row_upper, 0.0) - np.maximum(nlp.row_lower - rows, 0.0)


def _restored(nlp: Nlp, z: np.ndarray) -> np.ndarray:
    """A point with locally least squares of the violations."""

    def squares(z: np.ndarray) -> tuple[float, np.ndarray]:
        excess = _number(_excess(nlp, z), HUGE)
        return 0.5 * float(excess @ excess), _number(nlp.jacobian_matrix(z).T @ excess)

    bounds = optimize.Bounds(nlp.lower, nlp.upper)
    options = {"maxiter": 1000, "ftol": 1e-16, "gtol": 1e-10}
    return np.asarray(optimize.minimize(squares, z, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)


def _least_violation(nlp: Nlp, z: np.ndarray) -> bool:
    """Whether no small step lessens the sum of squares of the violations."""
    restored = _restored(nlp, z)
    return bool(np.linalg.norm(_excess(nlp, restored)) > 0.1 * np.linalg.norm(_excess(nlp, z)))
