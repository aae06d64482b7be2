"""The follower's problem for a fixed leader: Newton's method, and the adjoint equation with the same Hessian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

if TYPE_CHECKING:
    from bileveldsl.execute.problem import CompiledProblem

DENSE_LIMIT = 1000
"""Followers up to this size have Cholesky factors of their Hessian as preconditioners."""

STALE_LIMIT = 10
"""Iterations after which a factor from an earlier point is replaced by one from here."""


@dataclass
class FollowerSolver:
    """Newton's method with a line search for min_y f(x, y), for a smooth follower without constraints.

    Systems with f_yy are solved by conjugate gradients on Hessian-vector products. A small follower keeps a Cholesky
    factor of its Hessian as preconditioner: at its own point it solves at once, near it in a few iterations.

    Parameters
    ----------
    problem
        Its `f`, `grad_f_y`, `hvp` and `hessian_yy` are used, and counted.
    tolerance
        On the norm of f_y.
    dense
        Whether to factor Hessians.
    modulus
        A certified mu of f(x, .), by which |f_y| / mu bounds the distance to the answer.
    reach
        That distance, relative to 1 + |y|, at which it stops as well.
    """

    problem: CompiledProblem
    tolerance: float
    dense: bool
    modulus: float = 0.0
    reach: float = 0.0
    max_iterations: int = 200
    _factor: tuple[np.ndarray, bool] | None = None

    def solve(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        """The follower's answer from a starting point, and the norm of its gradient there."""
        gradient = np.asarray(self.problem.grad_f_y(x, y))
        size = float(np.linalg.norm(gradient))
        for _ in range(self.max_iterations):
            near = self.modulus * self.reach * (1 + float(np.linalg.norm(y)))
            if not max(self.tolerance, near) < size < np.inf:
                break
            direction = -self.apply_inverse(x, y, gradient, max(min(0.1, size), 0.1 * self.tolerance / size))
            if direction @ gradient >= 0:
                direction = -gradient
            moved = self._search(x, y, gradient, size, direction)
            if moved is None:
                break
            y, gradient, size = moved
        return y, size

    def apply_inverse(
        self, x: np.ndarray, y: np.ndarray, vector: np.ndarray, accuracy: float, start: np.ndarray | None = None
    ) -> np.ndarray:
        """f_yy^-1 vector to a relative accuracy of the residual, from a guess where there is one."""
        if not self.dense:
            return self._conjugate_gradients(x, y, vector, accuracy, start, 10 * vector.size)[0]
        if self._factor is not None:
            solution, done = self._conjugate_gradients(x, y, vector, accuracy, start, STALE_LIMIT)
            if done:
                return solution
        self._factor = self._factorize(np.asarray(self.problem.hessian_yy(x, y)))
        return self._conjugate_gradients(x, y, vector, accuracy, None, 10 * vector.size)[0]

    def _factorize(self, hessian: np.ndarray) -> tuple[np.ndarray, bool] | None:
        """A Cholesky factor; an indefinite Hessian is shifted until it has one, which keeps descent directions."""
        if not np.isfinite(hessian).all():
            return None
        shift, scale = 0.0, max(float(np.abs(np.diag(hessian)).max(initial=0.0)), 1e-8)
        while True:
            try:
                return linalg.cho_factor(hessian + shift * np.eye(len(hessian)), lower=True, check_finite=False)
            except linalg.LinAlgError:
                shift = max(10 * shift, 1e-10 * scale)

    def _precondition(self, vector: np.ndarray) -> np.ndarray:
        return vector.copy() if self._factor is None else linalg.cho_solve(self._factor, vector, check_finite=False)

    def _conjugate_gradients(
        self, x: np.ndarray, y: np.ndarray, vector: np.ndarray, accuracy: float, start: np.ndarray | None, most: int
    ) -> tuple[np.ndarray, bool]:
        """The solution and whether it is accurate; it stops at negative curvature, still with a descent direction."""
        solution = np.zeros_like(vector) if start is None else start.copy()
        residual = vector.copy() if start is None else vector - np.asarray(self.problem.hvp(x, y, start))
        goal = accuracy * float(np.linalg.norm(vector))
        direction = scaled = self._precondition(residual)
        product = float(residual @ scaled)
        for _ in range(most):
            if float(np.linalg.norm(residual)) <= goal:
                return solution, True
            image = np.asarray(self.problem.hvp(x, y, direction))
            curvature = float(direction @ image)
            if not curvature > 0:
                return (solution if solution.any() else self._precondition(vector)), True
            length = product / curvature
            solution += length * direction
            residual -= length * image
            scaled = self._precondition(residual)
            product, before = float(residual @ scaled), product
            direction = scaled + (product / before) * direction
        return solution, float(np.linalg.norm(residual)) <= goal

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
