"""The multipliers of the follower's constraints at a point: the least residual of its optimality conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bileveldsl.backends.rxgf.stationarity import Rows

    from bileveldsl.execute.problem import CompiledProblem

NEAR = 1e-6  # of a constraint or bound that is taken for active, relative


def duals(problem: CompiledProblem, rows: Rows, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """By label, as derivatives of the follower's least value with respect to the right-hand sides.

    They minimize |f_y - A_y' dual - bounds| over duals of active constraints with the signs of their sides.
    """
    from scipy import sparse
    from scipy.optimize import lsq_linear

    body = rows.matrix @ np.concatenate([x, y])
    unit = sparse.identity(problem.ny, format="csr")
    matrix = sparse.vstack([rows.matrix[:, problem.nx :], unit]).tocsr()
    point = np.concatenate([body, y])
    low = np.concatenate([rows.lower, problem.y_lower])
    high = np.concatenate([rows.upper, problem.y_upper])
    width = NEAR * (1 + np.abs(point))
    at_low, at_high = point - low <= width, high - point <= width
    active = np.flatnonzero(at_low | at_high)
    found = np.zeros(len(point))
    if len(active):
        # A lower side can only raise the least value when it rises, an upper one only lower it.
        least, most = np.where(at_high[active], -np.inf, 0.0), np.where(at_low[active], np.inf, 0.0)
        gradient = np.asarray(problem.grad_f_y(x, y))
        found[active] = lsq_linear(matrix[active].T, gradient, (least, most), tol=1e-14, lsmr_tol="auto").x
    result, start = {}, 0
    for constraint in problem.program.lower[0].constraints:
        shape = tuple(axis.size for axis in constraint.axes)
        stop = start + int(np.prod(shape))
        result[constraint.label] = found[start:stop].reshape(shape)
        start = stop
    return result
