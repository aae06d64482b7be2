"""Positive semidefinite matrices: exact ones, and all symmetric matrices between two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from flint import arb, ctx, fmpq

from bileveldsl.certify.check.ranges import ZERO, Range, at_most, greatest
from bileveldsl.certify.check.terms import Rejected

SIZE = 1_000
_SMALL, _LARGE = 12, 200  # rows beyond which balls are tried first, and beyond which they must decide
_PRECISION = 256
_FEW = 5


def is_semidefinite(matrix: Sequence[Sequence[fmpq]], strictly: bool = False) -> bool:
    """Whether a symmetric rational matrix is positive semidefinite (definite), by elimination.

    Large matrices are eliminated in balls first, which shows most of those that are definite, and then exactly.

    Examples
    --------
    >>> is_semidefinite([[fmpq(1), fmpq(2)], [fmpq(2), fmpq(4)]])
    True
    >>> is_semidefinite([[fmpq(1), fmpq(2)], [fmpq(2), fmpq(4) - fmpq(1, 10**30)]])
    False
    """
    size = len(matrix)
    if size > SIZE:
        raise Rejected(f"a matrix has more than {SIZE} rows")
    if any(len(row) != size for row in matrix):
        raise Rejected("a matrix is not square")
    if any(matrix[i][j] != matrix[j][i] for i in range(size) for j in range(i)):
        return False
    lower = [list(row[: i + 1]) for i, row in enumerate(matrix)]
    if size > _SMALL:
        with ctx.workprec(_PRECISION):
            if _eliminated([[arb(entry) for entry in row] for row in lower], True):
                return True
    if size > _LARGE:
        raise Rejected(f"a matrix of more than {_LARGE} rows is not seen to be definite")
    return _eliminated(lower, strictly)


def _eliminated(rest: list[list[Any]], strictly: bool) -> bool:
    """Whether elimination of a lower triangle meets positive pivots only; or zeros, if their columns are zero."""
    for k in range(len(rest)):
        pivot = rest[k][k]
        if not (pivot > 0 or (pivot == 0 and not strictly)):
            return False
        # A ball around 0 is neither equal to 0 nor unequal, and stays.
        column = [(i, rest[i][k]) for i in range(k + 1, len(rest)) if not rest[i][k] == 0]  # noqa: SIM201
        if pivot == 0:
            if column:  # a zero on the diagonal asks for a zero row
                return False
            continue
        for place, (i, entry) in enumerate(column):
            ratio, row = entry / pivot, rest[i]
            for j, other in column[: place + 1]:
                row[j] -= ratio * other
    return True


def range_matrix_is_semidefinite(matrix: Sequence[Sequence[Range]]) -> bool:
    """Whether every symmetric matrix with entries in the ranges is positive semidefinite (sufficient, not necessary).

    By dominance of the diagonal (Gershgorin), also scaled; where that fails, small matrices are decided by their
    vertices, larger ones by the middle matrix less what outweighs the radii. Entries (i, j) and (j, i) have one range.

    Examples
    --------
    >>> one, small = Range(fmpq(1), fmpq(2)), Range(-fmpq(1, 2), fmpq(1, 2))
    >>> range_matrix_is_semidefinite([[one, small], [small, one]])
    True
    """
    size = len(matrix)
    if size > SIZE:
        raise Rejected(f"a matrix has more than {SIZE} rows")
    if not all(entry.defined for row in matrix for entry in row):
        return False
    if any(not matrix[i][i].nonnegative for i in range(size)):
        return False
    kept = [i for i in range(size) if any(not _is_zero(matrix[i][j]) for j in range(size))]
    rows = [[matrix[i][j] for j in kept] for i in kept]
    radii = [[None if not r.finite else greatest(-r.lo, r.hi) for r in row] for row in rows]
    if not kept or _dominant(rows, radii, [fmpq(1)] * len(kept)) or _dominant(rows, radii, _scales(rows, radii)):
        return True
    if any(r is None for i, row in enumerate(radii) for j, r in enumerate(row) if i != j):
        return False
    return _vertices_are_semidefinite(rows) if len(kept) <= _FEW else _middle_less_radii(rows)


def _is_zero(r: Range) -> bool:
    return r.finite and r.lo == 0 and r.hi == 0


def _dominant(rows: list[list[Range]], sizes: list[list[fmpq | None]], scales: list[fmpq]) -> bool:
    """Whether D A D is diagonally dominant with a diagonal >= 0: d_i a_ii >= sum_j d_j |a_ij|."""
    for i, row in enumerate(rows):
        total = ZERO
        for j, size in enumerate(sizes[i]):
            if i != j:
                if size is None:
                    return False
                total += size * scales[j]
        if not at_most(total, row[i].lo * scales[i]):
            return False
    return True


def _scales(rows: list[list[Range]], sizes: list[list[fmpq | None]]) -> list[fmpq]:
    """Scales that even out the rows: a few steps of d_i <- sum_j d_j |a_ij| / a_ii, in few digits."""
    scales = [1.0] * len(rows)
    try:
        diagonal = [_float(row[i].lo) for i, row in enumerate(rows)]
        entries = [[_float(s) if s is not None else 0.0 for s in row] for row in sizes]
        for _ in range(12):
            fresh = [
                (sum(e * s for j, (e, s) in enumerate(zip(row, scales, strict=True)) if j != i) / diagonal[i])
                for i, row in enumerate(entries)
            ]
            top = max(fresh)
            scales = [max((f / top + s) / 2, 1e-9) for f, s in zip(fresh, scales, strict=True)]
    except (OverflowError, ZeroDivisionError, ValueError):
        return [fmpq(1)] * len(rows)
    return [fmpq(max(round(s * 1024), 1), 1024) for s in scales]


def _float(x: fmpq) -> float:
    return int(x.p) / int(x.q)


def _vertices_are_semidefinite(rows: list[list[Range]]) -> bool:
    """Whether all vertices that may have the least eigenvalue are semidefinite (Rohn 1994, Theorem 2)."""
    size = len(rows)
    for signs in product((True, False), repeat=size - 1):
        z = (True, *signs)
        vertex = [[row[j].lo if z[i] == z[j] else row[j].hi for j in range(size)] for i, row in enumerate(rows)]
        if not is_semidefinite(vertex):
            return False
    return True


def _middle_less_radii(rows: list[list[Range]]) -> bool:
    """Whether the middle matrix less the sum of the radii of each row on its diagonal is semidefinite."""
    size = len(rows)
    middle = [[(r.lo + r.hi) / 2 if i != j else r.lo for j, r in enumerate(row)] for i, row in enumerate(rows)]
    for i, row in enumerate(rows):
        middle[i][i] -= sum(((row[j].hi - row[j].lo) / 2 for j in range(size) if j != i), ZERO)
    return is_semidefinite(middle)
