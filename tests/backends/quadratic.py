"""A random bilevel program of which everything is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bileveldsl import Model, dot, sumsq


@dataclass(frozen=True)
class Quadratic:
    """F = (y - t)'C(y - t)/2 + |x - d|^2/2 and f = y'Ay/2 - y'Bx, with A and C positive definite."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    t: np.ndarray
    d: np.ndarray

    @staticmethod
    def random(seed: int, nx: int = 3, ny: int = 4, kappa: float = 5.0) -> Quadratic:
        """A has eigenvalues from 1 to kappa, C from 0.5 to 1."""
        random = np.random.default_rng(seed)

        def definite(low: float, high: float) -> np.ndarray:
            basis, _ = np.linalg.qr(random.standard_normal((ny, ny)))
            matrix = (basis * np.linspace(low, high, ny)) @ basis.T
            return (matrix + matrix.T) / 2

        B, t, d = random.standard_normal((ny, nx)), random.standard_normal(ny), random.standard_normal(nx)
        return Quadratic(definite(1.0, kappa), B, definite(0.5, 1.0), t, d)

    def model(self, bounds: tuple[float, float] | None = None, constant: float = 0.0) -> Model:
        """The program, with bounds of x where they are given, and a constant added to F."""
        ny, nx = self.B.shape
        m = Model("quadratic")
        n, p = m.dim("n", size=nx), m.dim("p", size=ny)
        A, C = m.param("A", p, p, value=self.A), m.param("C", p, p, value=self.C)
        B, t, d = m.param("B", p, n, value=self.B), m.param("t", p, value=self.t), m.param("d", n, value=self.d)
        x, y = m.upper.var("x", n, between=bounds), m.lower.var("y", p)
        m.upper.minimize(constant + dot(y - t, C @ (y - t)) / 2 + sumsq(x - d) / 2)
        m.lower.minimize(dot(y, A @ y) / 2 - dot(y, B @ x))
        return m

    def F(self, x: np.ndarray, y: np.ndarray) -> float:
        return (y - self.t) @ self.C @ (y - self.t) / 2 + (x - self.d) @ (x - self.d) / 2

    def answer(self, x: np.ndarray, sigma: float = 0.0) -> np.ndarray:
        """The minimizer of f + sigma F in y."""
        return np.linalg.solve(self.A + sigma * self.C, self.B @ x + sigma * self.C @ self.t)

    def phi(self, x: np.ndarray) -> float:
        return self.F(x, self.answer(x))

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Of phi."""
        return x - self.d + self.B.T @ np.linalg.solve(self.A, self.C @ (self.answer(x) - self.t))

    def optimum(self) -> np.ndarray:
        """The minimizer of phi without bounds."""
        return self._root(self.gradient)

    def penalty_optimum(self, sigma: float, other: float) -> np.ndarray:
        """The minimizer of (h_sigma - h_other) / (sigma - other), where h_s(x) = min_y f + s F."""

        def slope(x: np.ndarray, s: float) -> np.ndarray:
            return -self.B.T @ self.answer(x, s) + s * (x - self.d)

        return self._root(lambda x: (slope(x, sigma) - slope(x, other)) / (sigma - other))

    def _root(self, gradient) -> np.ndarray:
        """Of an affine map."""
        origin = gradient(np.zeros(self.d.size))
        return np.linalg.solve(np.column_stack([gradient(e) - origin for e in np.eye(self.d.size)]), -origin)
