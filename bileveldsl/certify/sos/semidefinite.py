"""The semidefinite program of a sum of squares, in floating point: guesses for what is then proved exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bileveldsl.certify.clock import check, left
from bileveldsl.certify.sos.blocks import Block, Entry, Monomial, reached

_SECONDS = 4e-9  # of an interior-point run, per square of the entries times the moments
_LONGEST = 3.0
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Optimum:
    """The largest value, the Gram matrices that reach it, one per block, and the moments that bound it.

    The moments are those of the monomials in `reached(entries)`.
    """

    value: float
    grams: list[np.ndarray]
    moments: np.ndarray


def maximize(
    polynomial: dict[Monomial, float],
    direction: dict[Monomial, float],
    blocks: Sequence[Block],
    entries: Sequence[Entry],
) -> Optimum | None:
    """The largest t for which `polynomial - t * direction` is the sum of the blocks with semidefinite Gram matrices.

    Solved as the problem of moments: minimize L(polynomial) with L(direction) = 1 and the moment matrices
    semidefinite; the Gram matrices are its dual variables. None if the solver fails, there is no such t, or the
    time would not do.
    """
    import clarabel
    from scipy import sparse

    rows = {m: k for k, m in enumerate(reached(entries))}
    if not rows.keys() >= polynomial.keys() | direction.keys():
        return None
    if _SECONDS * len(entries) ** 2 * len(rows) > min(left(), _LONGEST):
        return None
    data, row, column = [], [], []
    for m, c in direction.items():
        data.append(c)
        row.append(0)
        column.append(rows[m])
    for k, e in enumerate(entries, start=1):
        check()
        scale = -1.0 if e.i == e.j else -math.sqrt(0.5)
        for m, coefficient in e.terms.items():
            data.append(scale * float(coefficient))
            row.append(k)
            column.append(rows[m])
    matrix = sparse.csc_matrix((data, (row, column)), (len(entries) + 1, len(rows)))
    objective = np.zeros(len(rows))
    for m, c in polynomial.items():
        objective[rows[m]] = c
    right = np.zeros(len(entries) + 1)
    right[0] = 1
    cones = [clarabel.ZeroConeT(1), *(clarabel.PSDTriangleConeT(len(b.basis)) for b in blocks)]
    nothing = sparse.csc_matrix((len(rows), len(rows)))
    solution = clarabel.DefaultSolver(nothing, objective, matrix, right, cones, _settings()).solve()
    check()
    if str(solution.status) not in _USABLE:
        return None
    moments, grams = np.array(solution.x), np.array(solution.z)
    if not (np.isfinite(moments).all() and np.isfinite(grams).all()):
        return None
    return Optimum(float(solution.obj_val), _matrices(grams[1:], blocks), moments)


_USABLE = {"Solved", "AlmostSolved", "InsufficientProgress", "MaxIterations"}  # the exact test decides anyway


def _settings() -> object:
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.max_iter = 60
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
    settings.time_limit = min(left(), 1e6)
    return settings


def _matrices(triangles: np.ndarray, blocks: Sequence[Block]) -> list[np.ndarray]:
    """The symmetric matrices of the stacked upper triangles with off-diagonal entries times sqrt(2)."""
    result, start = [], 0
    for block in blocks:
        n = len(block.basis)
        j, i = np.tril_indices(n)
        upper = triangles[start : start + len(i)] * np.where(i == j, 1, math.sqrt(0.5))
        matrix = np.zeros((n, n))
        matrix[i, j] = matrix[j, i] = upper
        result.append(matrix)
        start += len(i)
    return result
