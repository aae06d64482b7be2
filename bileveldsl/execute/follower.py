"""The follower's problem for a fixed leader: Newton's method, and the adjoint equation with the same Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

if TYPE_CHECKING:
    from bileveldsl.execute.problem import CompiledProblem

DENSE_LIMIT = 400
"""Followers up to this size get a Cholesky factor of their Hessian, larger ones conjugate gradients."""


@dataclass
class FollowerSolver:
    """Newton's method with a line search for min_y f(x, y), for a smooth follower without constraints.

    Parameters
    ----------
    problem
        Its `f`, `grad_f_y`, `hvp` and `hessian_yy` are used, and counted.
    tolerance
        On the norm of f_y.
    dense
        Factor the Hessian, or solve with it by conjugate gradients on Hessian-vector products.
    """

    problem: CompiledProblem
    tolerance: float
    dense: bool
    max_iterations: int = 200
    _factor: tuple[np.ndarray, bool] | None = None

    def solve(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        """The follower's answer from a starting point, and the norm of its gradient there."""
        gradient = np.asarray(self.problem.grad_f_y(x, y))
        size = float(np.linalg.norm(gradient))
        for _ in range(self.max_iterations):
            if not size > self.tolerance:
                break
            self._factor = None
            direction = -self.apply_inverse(x, y, gradient, min(0.1, size))
            if direction @ gradient >= 0:
                direction = -gradient
            moved = self._search(x, y, gradient, size, direction)
            if moved is None:
                break
            y, gradient, size = moved
        self._factor = None
        return y, size

    def apply_inverse(self, x: np.ndarray, y: np.ndarray, vector: np.ndarray, accuracy: float) -> np.ndarray:
        """f_yy^-1 vector, to a relative accuracy where it is computed iteratively."""
        if self.dense:
            if self._factor is None:
                self._factor = self._factorize(np.asarray(self.problem.hessian_yy(x, y)))
            return linalg.cho_solve(self._factor, vector)
        return self._conjugate_gradients(x, y, vector, accuracy)

    def hold(self) -> None:
        """Forget the factor of an earlier point."""
        self._factor = None

    def _factorize(self, hessian: np.ndarray) -> tuple[np.ndarray, bool]:
        """A Cholesky factor; an indefinite Hessian is shifted until there is one, which keeps descent directions."""
        shift, scale = 0.0, max(float(np.abs(np.diag(hessian)).max(initial=0.0)), 1e-8)
        while True:
            try:
                return linalg.cho_factor(hessian + shift * np.eye(len(hessian)), lower=True, check_finite=False)
            except linalg.LinAlgError:
                shift = max(10 * shift, 1e-10 * scale)
                if not np.isfinite(hessian).all():
                    return np.eye(len(hessian)), True

    def _conjugate_gradients(self, x: np.ndarray, y: np.ndarray, vector: np.ndarray, accuracy: float) -> np.ndarray:
        """Truncated at negative curvature, where the last iterate is still a descent direction."""
        solution = np.zeros_like(vector)
        residual = vector.copy()
        direction = residual.copy()
        square = float(residual @ residual)
        goal = (accuracy**2) * square
        for _ in range(10 * vector.size):
            if square <= goal or square == 0:
                break
            image = np.asarray(self.problem.hvp(x, y, direction))
            curvature = float(direction @ image)
            if not curvature > 0:
                return solution if solution.any() else vector
            length = square / curvature
            solution += length * direction
            residual -= length * image
            new = float(residual @ residual)
            direction = residual + (new / square) * direction
            square = new
        return solution

    def _search(
        self, x: np.ndarray, y: np.ndarray, gradient: np.ndarray, size: float, direction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, float] | None:
        """Backtrack to a sufficient decrease of f, or of |f_y| where f no longer resolves the step."""
        value, slope, length = float(self.problem.f(x, y)), float(gradient @ direction), 1.0
        resolution = 1e-14 * (1 + abs(value))
        for _ in range(60):
            trial = y + length * direction
            trial_value = float(self.problem.f(x, trial))
            decrease = trial_value <= value + 1e-4 * length * slope
            if decrease or abs(trial_value - value) <= resolution:
                trial_gradient = np.asarray(self.problem.grad_f_y(x, trial))
                trial_size = float(np.linalg.norm(trial_gradient))
                if np.isfinite(trial_size) and (trial_size < size or (decrease and trial_value < value - resolution)):
                    return trial, trial_gradient, trial_size
            length *= 0.5
        return None
