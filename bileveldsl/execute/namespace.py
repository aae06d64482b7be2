"""The functions that generated code calls: an array module (NumPy or JAX) and what the module lacks.

Each function gives the mathematical value wherever that is finite, also for huge arguments, and lets NaN through.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

Array = Any
"""A float64 array or scalar of the engine's module."""

Axes = int | tuple[int, ...]


class Namespace:
    """An array module with the functions of `bileveldsl.calculus.functions` and the reductions added."""

    def __init__(self, arrays: ModuleType, special: ModuleType):
        self._arrays = arrays
        self.softplus = lambda x: arrays.logaddexp(x, 0.0)
        self.sigmoid = special.expit
        self.xlogx = lambda x: special.xlogy(x, x)
        self.relative_entropy = special.rel_entr

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._arrays, name)
        setattr(self, name, function)  # found at once from now on
        return function

    # Where a comparison decides, heaviside is used for it lets NaN through and a `where` would not.

    def huber(self, x: Array, d: Array) -> Array:
        inner = self.minimum(self.abs(x), d)
        return inner * (self.abs(x) - 0.5 * inner)

    def clip_to(self, x: Array, d: Array) -> Array:
        return self.minimum(self.maximum(x, -d), d)

    def exceed(self, x: Array, d: Array) -> Array:
        return self.maximum(self.abs(x) - d, 0.0)

    def inside(self, x: Array, d: Array) -> Array:
        return self.heaviside(d - self.abs(x), 1.0)

    def step(self, x: Array) -> Array:
        return self.heaviside(x, 0.5)

    def indicator_equal(self, a: Array, b: Array) -> Array:
        return self.where(a == b, 1.0, 0.0)

    def divide0(self, x: Array, r: Array) -> Array:
        zero = r == 0
        return self.where(zero, 0.0, x / self.where(zero, 1.0, r))

    def logsumexp(self, a: Array, axis: Axes) -> Array:
        largest = self._arrays.max(a, axis=axis, keepdims=True, initial=-math.inf)
        shift = self.where(self.isfinite(largest), largest, 0.0)  # a row of -inf gives -inf, one with inf gives inf
        total = self._arrays.sum(self.exp(a - shift), axis=axis)
        return self.log(total) + self.reshape(shift, total.shape)

    def max(self, a: Array, axis: Axes) -> Array:
        return self._arrays.max(a, axis=axis, initial=-math.inf)

    def min(self, a: Array, axis: Axes) -> Array:
        return self._arrays.min(a, axis=axis, initial=math.inf)

    def norm(self, a: Array, axis: Axes) -> Array:
        """The Euclidean norm, scaled by a power of two so that no square overflows or underflows."""
        largest = self._arrays.max(self.abs(a), axis=axis, keepdims=True, initial=0.0)
        scale = self.ldexp(1.0, self.clip(self.frexp(largest)[1], -1020, 1020))
        total = self._arrays.sum(self.square(a / scale), axis=axis)
        return self.sqrt(total) * self.reshape(scale, total.shape)


class NumpyNamespace(Namespace):
    """NumPy with SciPy's special functions."""

    def __init__(self) -> None:
        import numpy
        import scipy.special

        super().__init__(numpy, scipy.special)

    def solve_triangular(self, upper: Array, right: Array, trans: int = 0) -> Array:
        """By LU: SciPy's triangular solver takes milliseconds for some matrices of the quasi-Newton methods."""
        return self.linalg.solve(upper.T if trans else upper, right)

    def add_at(self, base: Array, shape: tuple[int, ...], *pieces: tuple[tuple[Any, ...], Array, bool]) -> Array:
        """A copy of `base`, broadcast to `shape`, with values added at indices; `True` says that none repeats."""
        result = self._arrays.array(self._arrays.broadcast_to(base, shape), dtype=float)
        for index, values, unique in pieces:
            if unique:
                result[index] += values
            else:
                self._arrays.add.at(result, index, values)
        return result


class JaxNamespace(Namespace):
    """jax.numpy with JAX's special functions."""

    def __init__(self) -> None:
        import jax.numpy
        import jax.scipy.linalg
        import jax.scipy.special

        super().__init__(jax.numpy, jax.scipy.special)
        self.solve_triangular = jax.scipy.linalg.solve_triangular
        entropy = self.relative_entropy
        self.relative_entropy = lambda x, y: self.where(self.isnan(x + y), x + y, entropy(x, y))  # JAX: inf for NaN

    def add_at(self, base: Array, shape: tuple[int, ...], *pieces: tuple[tuple[Any, ...], Array, bool]) -> Array:
        """A copy of `base`, broadcast to `shape`, with values added at indices; `True` says that none repeats."""
        result = self._arrays.broadcast_to(self._arrays.asarray(base, dtype=float), shape)
        for index, values, unique in pieces:
            result = result.at[index].add(values, unique_indices=unique)
        return result
