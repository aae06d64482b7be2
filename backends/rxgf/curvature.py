"""Whether a stationary point of the follower can be a minimum: the signs of f_yy where y is free to move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bileveldsl.execute.follower import DENSE_LIMIT

if TYPE_CHECKING:
    from bileveldsl.backends.rxgf.stationarity import Stationarity

    from bileveldsl.execute.problem import CompiledProblem

NEGATIVE = 1e-8  # relative to the largest eigenvalue


def second_order(problem: CompiledProblem, stationarity: Stationarity, x: np.ndarray, y: np.ndarray) -> str | None:
    """What the follower's point is where f_yy has negative curvature on its free variables, in words; else None.

    Variables at their bounds and active constraints do not move. Large followers get the least eigenvalue only.
    """
    moving = _moving(problem, stationarity, x, y)
    if not moving.shape[1] or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    if problem.ny <= DENSE_LIMIT:
        matrix = moving.T @ np.asarray(problem.hessian_yy(x, y)) @ moving
        if not np.isfinite(matrix).all():
            return None
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    else:
        values = _extremes(problem, moving, x, y)
    zero = NEGATIVE * float(np.abs(values).max())
    if values.min() >= -zero:
        return None
    kind = "a saddle" if values.max() > zero else "a maximum"
    return f"but at {kind} of the follower's objective, not at a minimum: f_yy has the eigenvalue {values.min():.3g}"


def _moving(problem: CompiledProblem, stationarity: Stationarity, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A basis of the directions in which y can move both ways."""
    from scipy.linalg import null_space

    free = (problem.y_lower < y) & (y < problem.y_upper)
    basis = np.eye(problem.ny)[:, free]
    rows = stationarity.rows
    if rows is None or not basis.shape[1]:
        return basis
    body = rows.matrix @ np.concatenate([x, y])
    width = 1e-6 * (1 + np.abs(body))
    active = (body - rows.lower <= width) | (rows.upper - body <= width)
    held = rows.matrix[active][:, stationarity.nx :].toarray() @ basis
    return basis @ null_space(held) if len(held) else basis


def _extremes(problem: CompiledProblem, moving: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least and the largest eigenvalue, by Lanczos."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    size = moving.shape[1]

    def product(v: np.ndarray) -> np.ndarray:
        return moving.T @ np.asarray(problem.hvp(x, y, moving @ v.ravel()))

    try:
        operator = LinearOperator((size, size), matvec=product, dtype=float)
        return eigsh(operator, k=2, which="BE", v0=np.ones(size), tol=1e-4, return_eigenvectors=False)
    except ArpackError:
        return np.zeros(1)
