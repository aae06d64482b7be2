"""The step: the point nearest to -v in a half space or a ball, within bounds and linear rows.

    min |d + v|^2 / 2   s.t.  p'd + omega |d|^2 <= c,   lower <= d <= upper,   rows

With v the gradient of F and p that of h this is the QP of RXGF (omega = 0) and the QCQP of Sharifi et al. (2505.14647);
lam is the multiplier of the first constraint. Where that constraint cannot be met, d minimizes its left side.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from bileveldsl.backends.rxgf.stationarity import Rows

from bileveldsl.execute.engine import Engine
from bileveldsl.execute.follower import DENSE_LIMIT
from bileveldsl.execute.monitor import Stop

LARGEST = 1e16  # multiplier from which the constraint is taken to have no feasible point
ROOT_STEPS = 200
ACCURACY = 1e-15  # of lam, relative


def closed_form(xp: Any, v: Any, p: Any, c: Any, omega: Any) -> tuple[Any, Any]:
    """d and lam without bounds; `omega` may be zero.

    On a half space lam = [-v'p - c]_+ / |p|^2; on a ball d is the projection of -v, with centre -p / (2 omega) and
    squared radius |p|^2 / (4 omega^2) + c / omega.
    """
    square = xp.vdot(p, p)
    ball = omega > 0
    safe = xp.where(ball, omega, 1.0)
    centre = -p / (2 * safe)
    radius = xp.sqrt(xp.maximum(square / (4 * safe**2) + c / safe, 1e-16 * square / safe**2))
    away = -v - centre
    distance = xp.sqrt(xp.vdot(away, away))
    outside = (distance > radius) & (radius > 0)
    reach = xp.where(outside, distance / xp.where(radius > 0, radius, 1.0), 1.0)
    on_ball = xp.maximum((reach - 1) / (2 * safe), 0.0)
    on_plane = xp.where(square > 0, xp.maximum(-xp.vdot(v, p) - c, 0.0) / xp.where(square > 0, square, 1.0), 0.0)
    lam = xp.where(ball, on_ball, on_plane)
    d = xp.where(ball, centre + away / reach, -v - on_plane * p)
    return d, lam


def within_bounds(engine: Engine, v: Any, p: Any, c: Any, omega: Any, bounds: tuple[Any, Any]) -> tuple[Any, Any]:
    """d and lam within bounds: where the closed form leaves them, lam is the root of a decreasing function.

    For a given lam the step is known, d(lam) = clip(-(v + lam p) / (1 + 2 omega lam)), and its excess over c decreases
    in lam; the root is found by the Illinois method.
    """
    xp = engine.xp

    def step(lam: Any) -> Any:
        return xp.clip(-(v + lam * p) / (1 + 2 * omega * lam), *bounds)

    def excess(lam: Any) -> Any:
        d = step(lam)
        return xp.vdot(p, d) + omega * xp.vdot(d, d) - c

    def search(guess: Any) -> tuple[Any, Any]:
        def wider(ends: tuple[Any, ...]) -> tuple[Any, ...]:
            _, high, _, at_high = ends
            return high, 4 * high, at_high, excess(4 * high)

        def narrower(s: tuple[Any, ...]) -> tuple[Any, ...]:
            low, high, at_low, at_high, count = s
            between = high - at_high * (high - low) / (at_high - at_low)
            middle = xp.where(count % 4 == 3, 0.5 * (low + high), between)
            value = excess(middle)
            above = value > 0
            return (xp.where(above, middle, low), xp.where(above, high, middle), xp.where(above, value, 0.5 * at_low),
                    xp.where(above, 0.5 * at_high, value), count + 1)  # fmt: skip

        def apart(s: tuple[Any, ...]) -> Any:
            return (s[1] - s[0] > ACCURACY * s[1]) & (s[3] < 0) & (s[2] > 0) & (s[4] < ROOT_STEPS)

        zero, first = 0.0 * guess, xp.maximum(guess, 1e-8)
        ends = (zero, first, excess(zero), excess(first))
        ends = engine.while_loop(lambda ends: (ends[3] > 0) & (ends[1] < LARGEST), wider, ends)
        high = engine.while_loop(apart, narrower, (*ends, 0))[1]
        lam = xp.where(excess(zero) > 0, high, 0.0)
        return step(lam), lam

    d, lam = closed_form(xp, v, p, c, omega)
    within = ((bounds[0] <= d) & (d <= bounds[1])).all()
    return engine.cond(within, lambda lam: (d, lam), search, lam)


@dataclass(eq=False)
class Programme:
    """The same within linear rows as well, by cvxpy: canonicalized once, then solved for new parameters."""

    rows: Rows
    omega: bool

    def __post_init__(self) -> None:
        import cvxpy as cp
        from scipy import sparse

        size = self.rows.matrix.shape[1]
        self._below, self._above = np.isfinite(self.rows.upper), np.isfinite(self.rows.lower)
        self._matrix = sparse.csr_array(sparse.vstack([self.rows.matrix[self._below], -self.rows.matrix[self._above]]))
        self._d, self._v, self._p = cp.Variable(size), cp.Parameter(size), cp.Parameter(size)
        self._c, self._omega = cp.Parameter(), cp.Parameter(nonneg=True)
        self._right = cp.Parameter(self._matrix.shape[0])
        self._fixed = sparse.csr_matrix(self._matrix) @ self._d <= self._right
        left = self._p @ self._d
        if self.omega:
            left = left + self._omega * cp.sum_squares(self._d)
        self._first = left <= self._c
        distance = cp.sum_squares(self._d) / 2 + self._v @ self._d
        self._nearest = cp.Problem(cp.Minimize(distance), [self._first, self._fixed])
        ridge = cp.sum_squares(self._d) / 2  # keeps the step finite where p'd alone is not bounded below
        self._restoring = cp.Problem(cp.Minimize(left + ridge), [self._fixed])

    def solve(
        self, v: np.ndarray, p: np.ndarray, c: float, omega: float, at: np.ndarray, reach: float = 1.0
    ) -> tuple[np.ndarray, float]:
        """d and lam where `at + reach * d` keeps the rows.

        Raises
        ------
        Stop
            When the rows have no point.
        """
        import cvxpy as cp

        # Parameters of ordinary size: the solver's tolerances are absolute.
        scale = 1 / (max(float(np.linalg.norm(p)), abs(float(c)), float(omega)) or 1.0)
        body = self.rows.matrix @ at
        self._v.value, self._p.value, self._c.value, self._omega.value = v, scale * p, scale * c, scale * omega
        right = np.concatenate([(self.rows.upper - body)[self._below], (body - self.rows.lower)[self._above]]) / reach
        self._right.value = right
        for problem in (self._nearest, self._restoring):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
            except cp.SolverError:
                continue
            if problem.status in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
                if problem is self._restoring:
                    return np.array(self._d.value), LARGEST
                return self._exact(v, p, c, omega, right, max(float(np.sum(self._first.dual_value)) * scale, 0.0))
        raise Stop("not finite", "no point is known that satisfies the linear constraints")

    def _exact(
        self, v: np.ndarray, p: np.ndarray, c: float, omega: float, right: np.ndarray, lam: float
    ) -> tuple[np.ndarray, float]:
        """The closed form on the rows that the interior-point solution has found active, if it fits there.

        That solution is accurate to the root of the solver's tolerance only, which is not enough for steps that vanish.
        """
        from scipy.linalg import svd

        found = np.array(self._d.value)
        slack = right - self._matrix @ found
        active = np.ravel(self._fixed.dual_value) > slack
        if active.sum() > DENSE_LIMIT:
            return found, lam
        held = self._matrix[active].toarray()
        left, sizes, across = svd(held)
        rank = int((sizes > 1e-12 * sizes.max(initial=0.0)).sum())
        fixed = across[:rank].T @ ((left[:, :rank].T @ right[active]) / sizes[:rank])
        basis = across[rank:].T
        rest = c - p @ fixed - omega * (fixed @ fixed)
        t, exact = closed_form(np, basis.T @ v, basis.T @ p, rest, omega)
        d = fixed + basis @ t
        reachable = p @ d + omega * (d @ d) - c <= 1e-9 * (1 + abs(c))
        kept = (self._matrix @ d - right <= 1e-10 * (1 + np.abs(right))).all()
        near = np.linalg.norm(d - found) <= 1e-3 * (1 + np.linalg.norm(found))
        return (d, float(exact)) if reachable and kept and near else (found, lam)
