"""The follower's optimality conditions as one residual r(z) = 0 of flat points z = (x, y, nu), with its derivative.

Without bounds and constraints r is f_y. Otherwise it is the natural residual of the conditions

    y - P(y - f_y - A_y' nu)  and  c - Q(c + nu),   c = A_x x + A_y y,

with the projections P onto the bounds of y and Q onto those of the constraints, and nu the multipliers: zero exactly
where y and nu satisfy them. It has kinks; its derivative is the one of the piece on which a point lies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bileveldsl.program import Constraint

if TYPE_CHECKING:
    from scipy import sparse

    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear constraints `lower <= matrix @ (x, y) <= upper`."""

    matrix: sparse.csr_array
    lower: np.ndarray
    upper: np.ndarray

    @property
    def size(self) -> int:
        return len(self.lower)


def rows_of(constraints: Iterable[Constraint], symbols: Iterable[Any]) -> Rows:
    """The rows of affine constraints, in order, each in C order of its labels.

    Raises
    ------
    ValueError
        When a constraint is not affine in the symbols.
    """
    from scipy import sparse

    from bileveldsl.calculus.expr import ZERO, subtract
    from bileveldsl.calculus.sparse import affine_form

    symbols = tuple(symbols)
    columns = sum(int(np.prod(symbol.shape)) for symbol in symbols)
    matrices, lowers, uppers = [sparse.csr_array((0, columns))], [np.zeros(0)], [np.zeros(0)]
    for constraint in constraints:
        low, high = constraint.lower, constraint.upper
        moving = low if low is not None else high
        body = affine_form(subtract(constraint.body, moving or ZERO), constraint.axes, symbols)
        size = len(body.constant)
        width = np.full(size, np.inf)
        if low is not None and high is not None:
            gap = affine_form(subtract(high, low), constraint.axes, symbols)
            if gap.matrix.nnz:
                raise ValueError(f"the range of {constraint.label} varies")
            width = gap.constant
        matrices.append(body.matrix)
        lowers.append(np.full(size, -np.inf) if low is None else -body.constant)
        uppers.append(-body.constant if low is None else width - body.constant)
    return Rows(sparse.csr_array(sparse.vstack(matrices)), np.concatenate(lowers), np.concatenate(uppers))


class Residual(NamedTuple):
    """r at a point, and on which piece of it the point lies: 1 for free variables, 1 for active constraints."""

    value: Any
    free: Any
    active: Any


@dataclass(frozen=True, eq=False)
class Stationarity:
    """r and its derivative for one problem; `rows` are the follower's constraints, none on the JAX engine."""

    nx: int
    ny: int
    y_box: tuple[np.ndarray, np.ndarray]
    rows: Rows | None = None

    @staticmethod
    def of(problem: CompiledProblem) -> Stationarity:
        (lower,) = problem.program.lower
        symbols = (*problem.program.upper.symbols, *lower.symbols)
        rows = rows_of(lower.constraints, symbols) if lower.constraints else None
        return Stationarity(problem.nx, problem.ny, (problem.y_lower, problem.y_upper), rows)

    @property
    def multipliers(self) -> int:
        return self.rows.size if self.rows else 0

    def split(self, z: Any) -> tuple[Any, Any]:
        """x and y of a flat point."""
        return z[: self.nx], z[self.nx : self.nx + self.ny]

    def residual(self, oracles: Oracles, z: Any) -> Residual:
        """r(z), which costs one f_y."""
        xp = oracles.engine.xp
        x, y = self.split(z)
        slope = oracles.grad_f_y(x, y)
        if self.rows is not None:
            slope = slope + (self.rows.matrix.T @ z[self.nx + self.ny :])[self.nx :]
        low, high = self.y_box
        free = xp.where((low <= y - slope) & (y - slope <= high), 1.0, 0.0)
        value = y - xp.clip(y - slope, low, high)
        if self.rows is None:
            return Residual(value, free, xp.zeros(0))
        body, nu = self.rows.matrix @ z[: self.nx + self.ny], z[self.nx + self.ny :]
        held = np.clip(body + nu, self.rows.lower, self.rows.upper)
        equal = self.rows.lower == self.rows.upper
        active = np.where(((self.rows.lower < body + nu) & (body + nu < self.rows.upper)) & ~equal, 0.0, 1.0)
        return Residual(np.concatenate([value, body - held]), free, active)

    def pull(self, oracles: Oracles, z: Any, piece: Residual, q: Any) -> Any:
        """J(z)' q with J the derivative of r: one product with f_yy and one with f_xy, by the same vector."""
        xp = oracles.engine.xp
        x, y = self.split(z)
        along = piece.free * q[: self.ny]
        by_x, by_y = oracles.cross(x, y, along), oracles.hvp(x, y, along) + (1 - piece.free) * q[: self.ny]
        if self.rows is None:
            return xp.concatenate([by_x, by_y])
        on_rows = q[self.ny :]
        by_point = np.concatenate([by_x, by_y]) + self.rows.matrix.T @ (piece.active * on_rows)
        by_nu = self.rows.matrix @ np.concatenate([np.zeros(self.nx), along]) - (1 - piece.active) * on_rows
        return np.concatenate([by_point, by_nu])
