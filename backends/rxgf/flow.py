"""RXGF in continuous time (Sharifi et al., 2501.16520): dz/dt = d(z), which keeps the tube |r| <= eps.

d(z) is the point nearest to -F'(z) with h'(z) d <= -alpha (h - eps^2), so that h - eps^2 decays like exp(-alpha t);
bounds and rows are kept in the same way. The equation is integrated by LSODA until d = 0.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from bileveldsl.backends.rxgf.problem import Relaxed

from bileveldsl.backend import RawPoint

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem

WINDOWS = 100  # between two of them the run is reported


def integrate(
    relaxed: Relaxed,
    problem: CompiledProblem,
    start: tuple[np.ndarray, np.ndarray],
    alpha: float,
    eps: float,
    horizon: float,
    monitor: Monitor,
) -> RawPoint:
    """The flow from a start to time `horizon`, or to where |d| is within the monitor's tolerance."""
    from scipy.integrate import solve_ivp

    inner = relaxed.stationarity
    z = np.asarray(relaxed.start(problem, *start))
    latest: tuple[np.ndarray, np.ndarray, float, float] | None = None  # the solver's event asks where its step ended

    def derive(z: np.ndarray) -> tuple[np.ndarray, float, float]:
        nonlocal latest
        if latest is None or not np.array_equal(latest[0], z):
            monitor.check()
            piece = inner.residual(problem, z)
            p = inner.pull(problem, z, piece, 2 * piece.value)
            h = float(piece.value @ piece.value)
            slope = relaxed.slope(problem, z)
            d, lam = relaxed.step(problem.engine, z, slope, p, alpha * (eps**2 - h), 0.0)
            latest = np.array(z), d, float(lam), h
        return latest[1:]

    def at_rest(_: float, z: np.ndarray) -> float:
        return float(np.linalg.norm(derive(z)[0])) - monitor.tolerance

    at_rest.terminal = True  # type: ignore[attr-defined]
    status: Literal["converged", "limit", "failed"] = "limit"
    message, measures, window = f"stopped at time {horizon:g}", dict[str, float](), 0
    for window in range(1, WINDOWS + 1):
        span = horizon * (window - 1) / WINDOWS, horizon * window / WINDOWS
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the status tells
            result: Any = solve_ivp(lambda _, z: derive(z)[0], span, z, "LSODA", events=at_rest, rtol=1e-8, atol=1e-10)
        z = np.clip(result.y[:, -1], *relaxed.box)
        d, lam, h = derive(z)
        measures = {
            "kkt_residual": float(np.linalg.norm(d)), "lower_residual": h**0.5, "complementarity": lam * abs(h - eps**2)
        }  # fmt: skip
        x, y = inner.split(z)
        problem.count(iterations=1)
        monitor.report(float(problem.F(x, y)), measures, (x, y))
        if result.status < 0:
            status, message = "failed", f"the integration stopped at time {result.t[-1]:.3g}"
            break
        if measures["kkt_residual"] <= 1.01 * monitor.tolerance:
            status, message = "converged", f"at rest at time {result.t[-1]:.4g}"
            break
    x, y = inner.split(z)
    return RawPoint(x, y, status, message, measures, window)
