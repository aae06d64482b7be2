"""Exact linear algebra on short rational matrices, and rationals near floats."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

Vector = list[Fraction]
Matrix = list[Vector]


def reduced(matrix: Sequence[Sequence[Fraction]]) -> tuple[Matrix, list[int]]:
    """The reduced row echelon form without zero rows, and the columns of its pivots."""
    rows: Matrix = [list(row) for row in matrix]
    pivots: list[int] = []
    for column in range(len(rows[0]) if rows else 0):
        done = len(pivots)
        chosen = next((r for r in range(done, len(rows)) if rows[r][column]), None)
        if chosen is None:
            continue
        rows[done], rows[chosen] = rows[chosen], rows[done]
        rows[done] = [entry / rows[done][column] for entry in rows[done]]
        for r, row in enumerate(rows):
            if r != done and row[column]:
                rows[r] = [a - row[column] * b for a, b in zip(row, rows[done], strict=True)]
        pivots.append(column)
    return rows[: len(pivots)], pivots


def null_space(matrix: Sequence[Sequence[Fraction]], size: int) -> Matrix:
    """A basis of the vectors that a matrix with `size` columns takes to zero.

    Examples
    --------
    >>> null_space([[Fraction(1), Fraction(-1)]], 2)
    [[Fraction(1, 1), Fraction(1, 1)]]
    """
    rows, pivots = reduced(matrix)
    basis = []
    for free in (k for k in range(size) if k not in pivots):
        vector = [Fraction(int(k == free)) for k in range(size)]
        for row, pivot in zip(rows, pivots, strict=True):
            vector[pivot] = -row[free]
        basis.append(vector)
    return basis


def orthogonal(rows: Sequence[Sequence[Fraction]]) -> Matrix:
    """Orthogonal vectors with the same span as the rows, none of them zero."""
    basis: Matrix = []
    for row in rows:
        vector = list(row)
        for other in basis:
            share = dot(row, other) / dot(other, other)
            vector = [a - share * b for a, b in zip(vector, other, strict=True)]
        if any(vector):
            basis.append(vector)
    return basis


def dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def null_space_near(samples: np.ndarray, most: int = 1000) -> Matrix:
    """Vectors with short rational entries that are nearly orthogonal to all rows of a float array."""
    scale = np.abs(samples).max(1, keepdims=True)
    rows = samples[(scale > 1e-12).ravel()] / scale[scale > 1e-12][:, None]
    size = samples.shape[1]
    if not len(rows):
        return [[Fraction(int(i == j)) for i in range(size)] for j in range(size)]
    values, vectors = np.linalg.svd(rows, full_matrices=True)[1:]
    rank = int((values > 1e-9 * values[0]).sum())
    if rank == size:
        return []
    basis = vectors[rank:]
    # Elimination with full pivoting makes the entries of a rational space short.
    for k in range(len(basis)):
        row, column = divmod(int(np.abs(basis[k:]).argmax()), size)
        basis[[k, k + row]] = basis[[k + row, k]]
        basis[k] /= basis[k, column]
        others = np.arange(len(basis)) != k
        basis[others] -= np.outer(basis[others, column], basis[k])
    return [[Fraction(float(v)).limit_denominator(most) for v in row] for row in basis]


def rounded_down(value: float, digits: int = 3) -> Fraction:
    """A decimal with few significant digits that is not above a positive float."""
    exponent = int(np.floor(np.log10(value))) - digits + 1
    unit = Fraction(10) ** exponent
    exact = Fraction(value)
    return (exact // unit) * unit
