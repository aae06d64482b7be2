"""What the forms of RXGF share: the point z, its bounds, the functions F and h = |r + shift|^2, and the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from bileveldsl.backends.rxgf.stationarity import Rows, Stationarity, rows_of
from bileveldsl.backends.rxgf.subproblem import Programme, closed_form, within_bounds

if TYPE_CHECKING:
    from bileveldsl.execute.engine import Engine
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem


@dataclass(frozen=True, eq=False)
class Relaxed:
    """min F(z) s.t. |r(z) + shift|^2 <= eps^2, z within `box`, and `rows` where a level has linear constraints."""

    stationarity: Stationarity
    box: tuple[np.ndarray, np.ndarray]
    rows: Rows | None
    programme: Programme | None

    @staticmethod
    def of(problem: CompiledProblem, quadratic: bool) -> Relaxed:
        """Of a compiled problem; `quadratic` for steps within balls.

        Raises
        ------
        ValueError
            When a constraint is not affine.
        """
        stationarity = Stationarity.of(problem)
        free = np.full(stationarity.multipliers, np.inf)
        low = np.concatenate([problem.x_lower, problem.y_lower, -free])
        high = np.concatenate([problem.x_upper, problem.y_upper, free])
        levels = problem.program.levels
        if not any(level.constraints for level in levels):
            return Relaxed(stationarity, (low, high), None, None)
        symbols = tuple(symbol for level in levels for symbol in level.symbols)
        rows = _with_bounds(rows_of([c for level in levels for c in level.constraints], symbols), low, high)
        return Relaxed(stationarity, (low, high), rows, Programme(rows, quadratic))

    @property
    def bounded(self) -> bool:
        return bool(np.isfinite(self.box[0]).any() or np.isfinite(self.box[1]).any())

    def start(self, oracles: Oracles, x: Any, y: Any) -> Any:
        """The point with multipliers zero; the nearest one that keeps the rows."""
        xp = oracles.engine.xp
        z = xp.concatenate([x, y, xp.zeros(self.stationarity.multipliers)])
        if self.programme is None:
            return z
        nothing = np.zeros(len(z))
        return z + self.programme.solve(nothing, nothing, 1.0, 0.0, z)[0]

    def value(self, oracles: Oracles, z: Any) -> Any:
        return oracles.F(*self.stationarity.split(z))

    def slope(self, oracles: Oracles, z: Any) -> Any:
        """The gradient of F by z."""
        xp = oracles.engine.xp
        return xp.concatenate([*oracles.grad_F(*self.stationarity.split(z)), xp.zeros(self.stationarity.multipliers)])

    def step(self, engine: Engine, z: Any, v: Any, p: Any, c: Any, omega: Any, reach: float = 1.0) -> tuple[Any, Any]:
        """d and lam of the subproblem at z; `reach` * d stays within bounds and rows."""
        if self.programme is not None:
            return self.programme.solve(v, p, c, omega, z, reach)
        if not self.bounded:
            return closed_form(engine.xp, v, p, c, omega)
        return within_bounds(engine, v, p, c, omega, ((self.box[0] - z) / reach, (self.box[1] - z) / reach))


def _with_bounds(rows: Rows, low: np.ndarray, high: np.ndarray) -> Rows:
    """The rows over all of z, with the finite bounds as rows."""
    from scipy import sparse

    missing = len(low) - rows.matrix.shape[1]
    wide = sparse.hstack([rows.matrix, sparse.csr_array((rows.size, missing))])
    bounded = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
    unit = sparse.csr_array((np.ones(len(bounded)), (np.arange(len(bounded)), bounded)), shape=(len(bounded), len(low)))
    matrix = sparse.csr_array(sparse.vstack([wide, unit]))
    return Rows(matrix, np.concatenate([rows.lower, low[bounded]]), np.concatenate([rows.upper, high[bounded]]))
