"""Bounds of the least eigenvalue over interval matrices, in floats for the search and exactly for what is claimed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from flint import fmpq

from bileveldsl.certify.clock import check

Rationals = list[list[fmpq]]
VERTICES = 5
"""Size up to which the vertices of an interval matrix are looked at one by one."""
_HUGE = 1e150
_WORK = 1e6  # between two looks at the clock: matrices times the cubes of their sizes


def least(lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    """The least eigenvalue over each interval matrix of shape (batch, n, n), about: floats without a proof.

    For small matrices it is attained at a vertex, one for each choice of signs of an eigenvector (Hertz, IEEE
    Trans. Automat. Control 37, 1992); larger ones are their midpoint less the spectral radius of their radii.

    Examples
    --------
    >>> float(least(np.array([[[2.0, -1.0], [-1.0, 2.0]]]), np.array([[[2.0, 1.0], [1.0, 2.0]]]))[0].round(9))
    1.0
    """
    size = lo.shape[-1]
    place = np.arange(size)
    usable = (lo[:, place, place] > -_HUGE).all(1)
    spread = np.maximum(np.abs(lo), np.abs(hi))
    spread[:, place, place] = 0.0
    usable &= (spread < _HUGE).all((1, 2))
    if size == 1:
        return np.where(usable, lo[:, 0, 0], -np.inf)
    lo, hi = (np.where(usable[:, None, None], np.clip(end, -_HUGE, _HUGE), 0.0) for end in (lo, hi))
    if size <= VERTICES:
        low = np.where(signs(size), lo[:, None], hi[:, None])
        low[..., place, place] = lo[:, place, place][:, None]
        found = spectra(low)[..., 0].min(1)
    else:
        middle, radius = lo + 0.5 * (hi - lo), 0.5 * (hi - lo)
        middle[:, place, place], radius[:, place, place] = lo[:, place, place], 0.0
        found = spectra(middle)[:, 0] - np.abs(spectra(radius)).max(1)
    return np.where(usable, found, -np.inf)


def spectra(matrices: np.ndarray) -> np.ndarray:
    """The eigenvalues of symmetric matrices, shape (batch, ..., n), in ascending order."""
    step = max(1, int(_WORK * len(matrices) / (1 + matrices.size * matrices.shape[-1])))
    found = np.empty(matrices.shape[:-1])
    for k in range(0, len(matrices), step):
        check()
        found[k : k + step] = np.linalg.eigvalsh(matrices[k : k + step])
    return found


@lru_cache
def signs(size: int) -> np.ndarray:
    """Where the products of the signs of each choice are positive, shape (2^(size - 1), size, size)."""
    choices = np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=size - 1)])
    return choices[:, :, None] * choices[:, None, :] > 0


def is_bounded_below(lo: np.ndarray, hi: np.ndarray, bound: fmpq) -> bool:
    """Whether every symmetric matrix of one interval matrix is proved to have no eigenvalue under a bound."""
    size = len(lo)
    place = np.arange(size)
    outer = ~np.eye(size, dtype=bool)
    if not np.isfinite(lo[place, place]).all() or not (np.isfinite(lo) & np.isfinite(hi))[outer].all():
        return False
    return all(is_semidefinite(matrix) for matrix in _extremes(lo, hi, bound))


def _extremes(lo: np.ndarray, hi: np.ndarray, bound: fmpq) -> Iterator[Rationals]:
    """Rational matrices which, if all are semidefinite, make every matrix of the interval at least the bound."""
    size = len(lo)
    low, high = ([[rational(x) for x in row] for row in end] for end in (lo, np.where(np.isfinite(hi), hi, 0.0)))
    if size <= VERTICES:
        same = [[low[i][j] == high[i][j] or i == j for j in range(size)] for i in range(size)]
        choices = signs(size) if not all(map(all, same)) else signs(size)[:1]
        for choice in choices:
            yield [[low[i][j] - bound if i == j else low[i][j] if choice[i, j] else high[i][j] for j in range(size)]
                   for i in range(size)]  # fmt: skip
        return
    middle = [[(low[i][j] + high[i][j]) / 2 if i != j else low[i][i] - bound for j in range(size)] for i in range(size)]
    radius = [[(high[i][j] - low[i][j]) / 2 if i != j else fmpq(0) for j in range(size)] for i in range(size)]
    weights = [rational(w) for w in _perron(np.array([[float(r.p) / float(r.q) for r in row] for row in radius]))]
    for i, row in enumerate(radius):
        middle[i][i] -= sum((r * w for r, w in zip(row, weights, strict=True)), fmpq(0)) / weights[i]
    yield middle


def _perron(radius: np.ndarray) -> np.ndarray:
    """Positive weights with which the weighted row sums are about the spectral radius, of few digits."""
    vector = np.abs(np.linalg.eigh(radius)[1][:, -1])
    return np.maximum(np.round(vector * 64), 1.0)


def rational(value: float) -> fmpq:
    """A float as the rational it is."""
    return fmpq(*float(value).as_integer_ratio())


def is_semidefinite(matrix: Rationals) -> bool:
    """Whether a symmetric rational matrix is positive semidefinite, by exact elimination.

    Examples
    --------
    >>> is_semidefinite([[fmpq(1), fmpq(1)], [fmpq(1), fmpq(1)]])
    True
    """
    rest = [row[:] for row in matrix]
    for k, row in enumerate(rest):
        check()
        pivot = row[k]
        if pivot < 0 or (pivot == 0 and any(entry != 0 for entry in row[k + 1 :])):
            return False
        for i in range(k + 1, len(rest)) if pivot else ():
            if rest[i][k] != 0:
                factor = rest[i][k] / pivot
                for j in range(k + 1, len(rest)):
                    rest[i][j] -= factor * row[j]
    return True
