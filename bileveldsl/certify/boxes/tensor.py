"""A matrix whose entries are polynomials in generators: its coefficients in bases that are nowhere negative on a box.

Where every coefficient matrix is semidefinite, so is the matrix (for Bernstein's basis, see Garloff, The Bernstein
algorithm, 1993). On a finite side the basis is Bernstein's, on an infinite one the powers of the distance from its
end. Generators are the variables, and the nodes that are no polynomials in them, each over its own range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import fmpq

from bileveldsl.certify.boxes.eigenvalues import Rationals, is_semidefinite, rational, spectra
from bileveldsl.certify.boxes.generators import in_generators
from bileveldsl.certify.clock import check
from bileveldsl.certify.scalars import Matrix, Scalar

_SIZE = 600  # coefficients of one entry
_NUMBERS = 20_000  # of all entries
_TINY = 1e-13
_AT_ONCE = 1 << 18  # coefficients between two looks at the clock


@dataclass(frozen=True, eq=False)
class Tensor:
    """The coefficients by powers of the generators, rationals of shape (degrees + 1, size, size)."""

    generators: tuple[Scalar, ...]
    coefficients: np.ndarray

    @staticmethod
    def of(entries: Matrix, size: int) -> Tensor | None:
        """The matrix with these entries; None where it is too large."""
        written = in_generators(list(entries.values()))
        if written is None:
            return None
        generators, found = written
        degrees = [max((p.degrees()[k] for p in found if p != 0), default=0) for k in range(len(generators))]
        terms = math.prod(d + 1 for d in degrees)
        if terms > _SIZE or terms * size**2 > _NUMBERS:
            return None
        coefficients = np.full((*(d + 1 for d in degrees), size, size), fmpq(0), dtype=object)
        for (i, j), p in zip(entries, found, strict=True):
            for exponents, value in p.terms():
                place = tuple(int(e) for e in exponents)
                coefficients[(*place, i, j)] = coefficients[(*place, j, i)] = value
        return Tensor(tuple(generators), coefficients)

    @cached_property
    def _floats(self) -> np.ndarray:
        return np.vectorize(lambda x: int(x.p) / int(x.q), otypes=[float])(self.coefficients)

    def least(self, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
        """A lower bound of the least eigenvalue over boxes of the generators, shape (batch, generators), about."""
        step = max(1, _AT_ONCE // self.coefficients.size)
        if len(lo) > step:
            return np.concatenate([self.least(lo[k : k + step], hi[k : k + step]) for k in range(0, len(lo), step)])
        check()
        count, size = lo.shape[1], self.coefficients.shape[-1]
        value = np.broadcast_to(self._floats, (len(lo), *self._floats.shape))
        endless = np.isinf(lo) | np.isinf(hi)
        size_of = np.abs(value) if endless.any() else value
        with np.errstate(all="ignore"):
            for k in range(count):
                steps = _steps(self.coefficients.shape[k] - 1, lo[:, k], hi[:, k])
                value = _along(steps, value, k)
                size_of = _along(np.abs(steps), size_of, k) if endless.any() else value
            beyond = _beyond(self.coefficients.shape[:count], endless)
        flat, sizes = value.reshape(len(lo), -1, size, size), size_of.reshape(len(lo), -1, size, size)
        usable = np.isfinite(flat).all((1, 2, 3))
        flat = np.where(usable[:, None, None, None], flat, 0.0)
        found = flat[..., 0, 0] if size == 1 else spectra(flat)[..., 0]
        bad = (beyond & (found < -_TINY * np.abs(sizes).max((2, 3)))).any(1)
        return np.where(usable & ~bad, np.where(beyond, np.inf, found).min(1), -np.inf)

    def is_bounded_below(self, lo: Sequence[float], hi: Sequence[float], bound: fmpq) -> bool:
        """Whether the least eigenvalue over one box of the generators is proved to be at least a bound."""
        count, size = len(lo), self.coefficients.shape[-1]
        value = self.coefficients
        for k in range(count):
            check()
            steps = _exact_steps(self.coefficients.shape[k] - 1, float(lo[k]), float(hi[k]))
            if steps is None:
                return False
            value = np.moveaxis(np.tensordot(steps, np.moveaxis(value, k, 0), (1, 0)), 0, k)
        open_ = np.array([np.isinf(lo) | np.isinf(hi)])
        beyond = _beyond(self.coefficients.shape[:count], open_)[0]
        matrices = value.reshape(-1, size, size)
        bounds = [fmpq(0) if far else bound for far in beyond]
        return all(is_semidefinite(_less(m, b)) for m, b in zip(matrices, bounds, strict=True))


def _along(steps: np.ndarray, value: np.ndarray, k: int) -> np.ndarray:
    """Matrices applied to one axis of the coefficients, shape (batch, d + 1, d + 1)."""
    return np.moveaxis(np.einsum("bij,bj...->bi...", steps, np.moveaxis(value, 1 + k, 1)), 1, 1 + k)


def _less(matrix: np.ndarray, bound: fmpq) -> Rationals:
    return [[x - bound if i == j else x for j, x in enumerate(row)] for i, row in enumerate(matrix)]


def _beyond(shape: Sequence[int], infinite: np.ndarray) -> np.ndarray:
    """Which coefficients belong to a power of a generator without bound, shape (batch, coefficients)."""
    raised = np.stack([index.ravel() > 0 for index in np.indices(shape)]) if shape else np.zeros((0, 1), dtype=bool)
    return (infinite[:, :, None] & raised[None]).any(1)


def _steps(degree: int, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """The matrices from coefficients of powers to those of the basis on each side, shape (batch, d + 1, d + 1)."""
    finite = np.isfinite(lo) & np.isfinite(hi)
    origin, turn = np.where(np.isfinite(lo), lo, hi), np.where(np.isfinite(lo), 1.0, -1.0)
    width = np.where(finite, hi - lo, 1.0)
    j, m = np.indices((degree + 1, degree + 1))
    shift = _choose(degree) * np.where(m >= j, origin[:, None, None] ** np.maximum(m - j, 0), 0.0)
    shift *= (turn * width)[:, None, None] ** j
    if degree == 0:
        return np.ones_like(shift)
    bernstein = _bernstein(degree)
    return np.where(finite[:, None, None], np.einsum("ij,bjk->bik", bernstein, shift), shift)


def _choose(degree: int) -> np.ndarray:
    return np.array([[float(math.comb(m, j)) for m in range(degree + 1)] for j in range(degree + 1)])


def _bernstein(degree: int) -> np.ndarray:
    return np.array([[math.comb(i, j) / math.comb(degree, j) for j in range(degree + 1)] for i in range(degree + 1)])


def _exact_steps(degree: int, lo: float, hi: float) -> np.ndarray | None:
    if degree == 0:
        return np.array([[fmpq(1)]], dtype=object)
    if math.isinf(lo) and math.isinf(hi):
        return None
    finite = math.isfinite(lo) and math.isfinite(hi)
    origin, turn = (rational(lo), 1) if math.isfinite(lo) else (rational(hi), -1)
    step = (rational(hi) - rational(lo) if finite else fmpq(1)) * turn
    size = range(degree + 1)
    shift = [[math.comb(m, j) * origin ** (m - j) * step**j if m >= j else fmpq(0) for m in size] for j in size]
    if finite:
        weights = [[fmpq(math.comb(i, j), math.comb(degree, j)) for j in size] for i in size]
        shift = [[sum((w * shift[j][m] for j, w in enumerate(row)), fmpq(0)) for m in size] for row in weights]
    return np.array(shift, dtype=object)
