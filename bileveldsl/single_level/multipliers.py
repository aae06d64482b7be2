"""Multipliers of a smooth program at a given point, by least squares within their signs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from bileveldsl.single_level.nlp import Nlp

DENSE = 200
"""Systems with at most this many unknowns are solved by dense least squares, others by a sparse linear program."""


@dataclass(frozen=True, eq=False)
class Multipliers:
    """gradient f + J' rows - lower + upper = residual, with the signs of active constraints; others are zero."""

    rows: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    residual: float


def nearest(matrix: sparse.sparray, target: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, float]:
    """The u within bounds for which matrix u is nearest to the target, and the largest remaining difference.

    Nearest in the sum of squares, or for many unknowns in the largest difference.
    """
    if not matrix.shape[1]:
        return np.zeros(0), float(np.max(np.abs(target), initial=0.0))
    if not matrix.shape[0]:
        return np.clip(np.zeros(matrix.shape[1]), low, high), 0.0
    fixed = low == high
    shifted = target - matrix[:, fixed] @ low[fixed]
    solution = low.copy()
    if not fixed.all():
        solve = _least_squares if np.count_nonzero(~fixed) <= DENSE else _least_difference
        solution[~fixed] = solve(sparse.csc_array(matrix)[:, ~fixed], shifted, low[~fixed], high[~fixed])
    return solution, float(np.max(np.abs(matrix @ solution - target)))


def _least_squares(matrix: sparse.csc_array, target: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return optimize.lsq_linear(matrix.toarray(), target, (low, high), method="bvls", tol=1e-14).x


def _least_difference(matrix: sparse.csc_array, target: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """min t with -t <= matrix u - target <= t."""
    rows, columns = matrix.shape
    most = np.full((rows, 1), -1.0)
    both = sparse.block_array([[matrix, most], [-matrix, most]], format="csc")
    bounds = np.append(np.stack([low, high], axis=1), [[0.0, np.inf]], axis=0)
    cost = np.append(np.zeros(columns), 1.0)
    found = optimize.linprog(cost, A_ub=both, b_ub=np.append(target, -target), bounds=bounds, method="highs")
    return np.clip(np.zeros(columns), low, high) if found.x is None else np.clip(found.x[:-1], low, high)


def multipliers(nlp: Nlp, z: np.ndarray, tolerance: float = 1e-6) -> Multipliers:
    """Those for which the gradient of the Lagrangian is least; constraints within the tolerance are active."""
    rows = nlp.constraints(z)
    row_low, row_high = signs(rows, nlp.row_lower, nlp.row_upper, tolerance)
    low, high = signs(z, nlp.lower, nlp.upper, tolerance)
    matrix = sparse.hstack([nlp.jacobian_matrix(z).T, sparse.eye_array(nlp.n)], format="csc")
    bounds = np.append(row_low, low), np.append(row_high, high)
    solution, residual = nearest(matrix, -nlp.gradient(z), *bounds)
    own = solution[nlp.m :]
    return Multipliers(solution[: nlp.m], np.maximum(-own, 0.0), np.maximum(own, 0.0), residual)


def signs(value: np.ndarray, lower: np.ndarray, upper: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the multipliers: at least zero at an upper bound, at most zero at a lower one, zero between."""
    at_lower, at_upper = value <= lower + tolerance, value >= upper - tolerance
    return np.where(at_lower, -np.inf, 0.0), np.where(at_upper, np.inf, 0.0)
