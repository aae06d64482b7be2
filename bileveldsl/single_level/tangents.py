"""A convex quadratic program by linear ones, where the quadratic solver fails.

The quadratic part has a column of its own, above every tangent at a point that a linear program came to (Kelley, The
cutting-plane method for solving convex programs, J. SIAM 8, 1960); each linear program bounds the value from below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import highspy
import numpy as np
from scipy import sparse

from bileveldsl.execute.layout import Layout, Part
from bileveldsl.single_level.linear import Linear

MOST = 300
"""Tangents for one program."""
ACCURACY = 1e-9
"""On the quadratic part, relative to 1 and its size."""


@dataclass(frozen=True, eq=False)
class Tangency:
    """The last point, what the optimal value is not below, and the multipliers of columns and rows there."""

    z: np.ndarray
    bound: float
    duals: tuple[np.ndarray, np.ndarray]


def epigraph(linear: Linear) -> Linear:
    """The program with the quadratic part replaced by one more column, not below zero."""
    size, m = linear.size, linear.matrix.shape[0]
    part = Part("quadratic part", (1,), slice(size, size + 1))
    return replace(
        linear, columns=Layout((*linear.columns.parts, part), size + 1), hessian=None,
        lower=np.append(linear.lower, 0.0), upper=np.append(linear.upper, math.inf),
        integer=np.append(linear.integer, False), cost=np.append(linear.cost, 1.0),
        matrix=sparse.csr_array(sparse.hstack([linear.matrix, sparse.csr_array((m, 1))])),
    )  # fmt: skip


def minimize(solver: highspy.Highs, linear: Linear) -> Tangency | Literal["infeasible", "failed"]:
    """The optimum of a program whose epigraph form `solver` holds with the present ranges.

    Where a linear program is unbounded, a tangent is taken where it ends in a box, which grows.
    """
    assert linear.hessian is not None
    size, m, box = linear.size, linear.matrix.shape[0], 10.0
    found: Tangency | None = None
    for _ in range(MOST):
        solver.run()
        status, point = solver.getModelStatus(), np.array(solver.getSolution().col_value)
        boxed = status == highspy.HighsModelStatus.kUnbounded
        if boxed:
            status, point = _run_boxed(solver, size, box)
            box *= 2.0
        if status == highspy.HighsModelStatus.kInfeasible:
            return "failed" if boxed else "infeasible"
        if status != highspy.HighsModelStatus.kOptimal:
            return "failed"
        slope = linear.hessian @ point[:size]
        square = 0.5 * float(point[:size] @ slope)
        if not boxed:
            solution = solver.getSolution()
            duals = np.asarray(solution.col_dual)[:size], np.asarray(solution.row_dual)[:m]
            found = Tangency(point[:size], float(solver.getInfo().objective_function_value), duals)
            if square - point[size] <= ACCURACY * (1.0 + square):
                return found
        used = np.append(np.flatnonzero(slope), size).astype(np.int32)
        solver.addRow(-square, math.inf, len(used), used, np.append(-slope[used[:-1]], 1.0))
    return found or "failed"


def _run_boxed(solver: highspy.Highs, size: int, box: float) -> tuple[highspy.HighsModelStatus, np.ndarray]:
    """How a run ends, and where, with all columns that have no bounds, but for the last, within a box."""
    lp, every = solver.getLp(), np.arange(size, dtype=np.int32)
    low, high = np.array(lp.col_lower_)[:size], np.array(lp.col_upper_)[:size]
    least = np.where(low > -np.inf, low, np.minimum(-box, high))
    most = np.where(high < np.inf, high, np.maximum(box, low))
    solver.changeColsBounds(size, every, least, most)
    solver.run()
    status, point = solver.getModelStatus(), np.array(solver.getSolution().col_value)
    solver.changeColsBounds(size, every, low, high)
    return status, point
