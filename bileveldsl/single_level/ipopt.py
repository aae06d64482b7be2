"""Smooth programs by IPOPT, the primal-dual interior point method of Wächter and Biegler (2006), through cyipopt."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bileveldsl.execute.monitor import Stop
from bileveldsl.single_level.local import LocalPoint, Settings
from bileveldsl.single_level.nlp import Nlp

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor

INFINITY = 2e19
"""IPOPT takes bounds beyond 1e19 for none."""

STATUS: dict[int, tuple[Literal["optimal", "infeasible", "unbounded", "limit", "failed"], str]] = {
    0: ("optimal", "converged"),
    1: ("optimal", "converged to an acceptable accuracy"),
    2: ("infeasible", "the violation of the constraints is locally least and not zero"),
    3: ("failed", "the search direction became too small"),
    4: ("unbounded", "the iterates diverge"),
    6: ("optimal", "a feasible point was found"),
    -1: ("limit", "stopped at the limit of iterations"),
    -2: ("failed", "no point with a smaller violation of the constraints was found"),
    -3: ("failed", "no search direction could be computed"),
    -4: ("limit", "stopped at the limit of time"),
    -13: ("failed", "the functions or their derivatives are not finite"),
}
TOO_FEW_DEGREES_OF_FREEDOM = -10


def available() -> str | None:
    """None, or what is missing and how to get it."""
    if importlib.util.find_spec("cyipopt") is None:
        return "IPOPT is not installed: pip install 'bileveldsl[ipopt]'"
    return None


def minimize(nlp: Nlp, start: np.ndarray, settings: Settings, monitor: Monitor | None = None) -> LocalPoint:
    """A point that satisfies the first-order conditions, from a start at which the functions are defined."""
    found, code = _run(nlp, start, settings, monitor)
    if code == TOO_FEW_DEGREES_OF_FREEDOM:  # redundant equations: within a tolerance they are inequalities
        equal = nlp.row_lower == nlp.row_upper
        low = np.where(equal, nlp.row_lower - settings.tolerance, nlp.row_lower)
        high = np.where(equal, nlp.row_upper + settings.tolerance, nlp.row_upper)
        found, _ = _run(nlp.with_bounds(row_lower=low, row_upper=high), start, settings, monitor)
    return found


def _run(nlp: Nlp, start: np.ndarray, settings: Settings, monitor: Monitor | None) -> tuple[LocalPoint, int]:
    import cyipopt

    callbacks = _Callbacks(nlp, monitor)
    kept = callbacks.rows
    problem = cyipopt.Problem(
        n=nlp.n, m=len(kept), problem_obj=callbacks,
        lb=np.maximum(nlp.lower, -INFINITY), ub=np.minimum(nlp.upper, INFINITY),
        cl=np.maximum(nlp.row_lower[kept], -INFINITY), cu=np.minimum(nlp.row_upper[kept], INFINITY),
    )  # fmt: skip
    for name, value in _options(settings).items():
        problem.add_option(name, value)
    warm = settings.warm
    given = (
        {} if warm is None
        else {"lagrange": warm.multipliers[kept], "zl": warm.lower_multipliers, "zu": warm.upper_multipliers}
    )  # fmt: skip
    try:
        z, info = problem.solve(start, **given)
    finally:
        problem.close()
    multipliers = np.zeros(nlp.m)
    multipliers[kept] = info["mult_g"]
    status, message = STATUS.get(info["status"], ("failed", f"IPOPT stopped with code {info['status']}"))
    if isinstance(callbacks.error, Stop):
        status, message = "limit", callbacks.error.message
    elif callbacks.error is not None:
        raise callbacks.error
    z = np.asarray(z, dtype=float)
    point = LocalPoint(
        status, message, z, nlp.objective(z), multipliers, np.asarray(info["mult_x_L"]),
        np.asarray(info["mult_x_U"]), callbacks.iterations,
    )  # fmt: skip
    return point, info["status"]


def _options(settings: Settings) -> dict[str, Any]:
    tolerance = settings.tolerance
    options: dict[str, Any] = {
        "print_level": 0, "sb": "yes", "tol": tolerance, "constr_viol_tol": tolerance, "compl_inf_tol": tolerance,
        "dual_inf_tol": 1e3 * tolerance, "max_iter": settings.max_iterations, "honor_original_bounds": "yes",
        "acceptable_tol": 1e2 * tolerance, "acceptable_constr_viol_tol": 1e2 * tolerance,
    }  # fmt: skip
    if settings.exact_bounds:
        options["bound_relax_factor"] = 0.0
    if settings.warm is not None:
        push = 1e-9
        options |= {"warm_start_init_point": "yes", "mu_init": 1e-6}
        options |= dict.fromkeys(("warm_start_bound_push", "warm_start_bound_frac", "warm_start_mult_bound_push",
                                  "warm_start_slack_bound_push", "warm_start_slack_bound_frac"), push)  # fmt: skip
    return options | dict(settings.options)


def _finite(method: Callable[..., Any]) -> Callable[..., Any]:
    """A callback whose values must be numbers: IPOPT shortens its step where they are not.

    An exception must not pass through the solver; it is kept, and the run ends.
    """

    @functools.wraps(method)
    def call(self: _Callbacks, *arguments: Any) -> Any:
        from cyipopt import CyIpoptEvaluationError

        if self.error is None:
            try:
                value = method(self, *arguments)
                if np.isfinite(value).all():
                    return value
            except BaseException as error:
                self.error = error
        raise CyIpoptEvaluationError

    return call


class _Callbacks:
    """The functions of a program as cyipopt asks for them; rows without bounds are left out."""

    def __init__(self, nlp: Nlp, monitor: Monitor | None):
        self.nlp, self.monitor = nlp, monitor
        self.rows = np.nonzero(np.isfinite(nlp.row_lower) | np.isfinite(nlp.row_upper))[0]
        number = np.full(nlp.m, -1)
        number[self.rows] = np.arange(len(self.rows))
        self._entries = np.nonzero(number[nlp.jacobian_rows] >= 0)[0]
        self._structure = (number[nlp.jacobian_rows][self._entries], nlp.jacobian_columns[self._entries])
        self.iterations = 0
        self.error: BaseException | None = None

    @_finite
    def objective(self, z: np.ndarray) -> float:
        return self.nlp.objective(z)

    @_finite
    def gradient(self, z: np.ndarray) -> np.ndarray:
        return self.nlp.gradient(z)

    @_finite
    def constraints(self, z: np.ndarray) -> np.ndarray:
        return self.nlp.constraints(z)[self.rows]

    @_finite
    def jacobian(self, z: np.ndarray) -> np.ndarray:
        return self.nlp.jacobian(z)[self._entries]

    @_finite
    def hessian(self, z: np.ndarray, multipliers: np.ndarray, scale: float) -> np.ndarray:
        everywhere = np.zeros(self.nlp.m)
        everywhere[self.rows] = multipliers
        return self.nlp.hessian(z, everywhere, scale)

    def jacobianstructure(self) -> tuple[np.ndarray, np.ndarray]:
        return self._structure

    def hessianstructure(self) -> tuple[np.ndarray, np.ndarray]:
        return self.nlp.hessian_rows, self.nlp.hessian_columns

    def intermediate(self, *progress: Any) -> bool:
        """Whether to go on."""
        self.iterations = progress[1]
        try:
            if self.monitor is not None:
                self.monitor.check()
        except BaseException as error:  # raised again once IPOPT has returned
            self.error = error
        return self.error is None
