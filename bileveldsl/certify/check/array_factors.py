"""Proofs that a large symmetric matrix of integers is positive semidefinite, by a factor whose residual is computed.

The matrix is kept as the blocks of its lower triangle, so that nearly all work is products of integer matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from operator import mul

from flint import arb, arb_mat, ctx, fmpq, fmpz, fmpz_mat

from bileveldsl.certify.check.matrices import is_semidefinite

BLOCK = 128
"""Rows and columns of a block."""

_FACTOR_BITS = 48  # of an entry of a factor
_INVERSE_BITS = 60
_EXACT = 40  # rows up to which elimination is exact

Blocks = Mapping[tuple[int, int], fmpz_mat]
"""The blocks (i, j), j <= i, of a symmetric matrix; only the last ones may be smaller."""


def starts(size: int) -> range:
    return range(0, size, BLOCK)


def from_rows(lower: list[list[int]]) -> Blocks:
    """The blocks of a matrix given by the rows of its lower triangle."""
    size = len(lower)
    whole = [[lower[max(i, j)][min(i, j)] for j in range(size)] for i in range(size)]
    return {
        (a // BLOCK, b // BLOCK): fmpz_mat([row[b : b + BLOCK] for row in whole[a : a + BLOCK]])
        for a in starts(size) for b in starts(size) if b <= a
    }  # fmt: skip


def diagonal(blocks: Blocks) -> list[int]:
    """The diagonal of a symmetric matrix."""
    found: list[int] = []
    while (len(found) // BLOCK,) * 2 in blocks and len(found) % BLOCK == 0:
        block = blocks[(len(found) // BLOCK,) * 2]
        found += [int(block[k, k]) for k in range(block.nrows())]
    return found


def shifted_is_semidefinite(blocks: Blocks, sign: int, shift: int) -> bool:
    """Whether sign * S + shift I is shown positive semidefinite, S given by its blocks.

    Examples
    --------
    >>> blocks = from_rows([[2], [1, 2]])
    >>> shifted_is_semidefinite(blocks, 1, -1), shifted_is_semidefinite(blocks, -1, 2)
    (True, False)
    """
    entries = [sign * v + shift for v in diagonal(blocks)]
    if not entries:
        return True
    if min(entries) < 0:
        return False
    if len(entries) <= _EXACT:
        rows = [[sign * fmpq(v) for v in row] for row in blocks[0, 0].tolist()]
        for k, row in enumerate(rows):
            row[k] = fmpq(entries[k])
        return is_semidefinite(rows)
    # What the residual may take: about what rounding the factor to so many bits costs.
    spare = (max(entries) * len(entries)) >> (_FACTOR_BITS - 2)
    return _factorizes(blocks, sign, shift, spare, max(entries))


def _factorizes(blocks: Blocks, sign: int, shift: int, spare: int, largest: int) -> bool:
    """Whether |P - spare I - L L'| <= spare in the Euclidean norm for some L, where P = sign S + shift I.

    L is found block by block in floats and rounded integers, and nothing is asked of how it was found: the residual
    is computed exactly, in units of 4^-h of those of P.
    """
    h = _FACTOR_BITS - (largest.bit_length() + 1) // 2
    up = max(h, 0)  # P is multiplied by 4^up, L L' by 4^(up - h)
    down = up - h
    factor: dict[tuple[int, int], fmpz_mat] = {}
    squares = fmpq(0)
    count = 1 + max(i for i, _ in blocks)
    for j in range(count):
        inverse, fine = None, 0
        for i in range(j, count):
            rest = blocks[i, j] * (sign * 4**up)
            if i == j:
                rest += _identity(rest.nrows(), (shift - spare) * 4**up)
            for k in range(j):
                rest -= factor[i, k] * factor[j, k].transpose() * 4**down
            if i == j:
                triangle = _triangle(rest, down)
                if triangle is None:
                    return False
                factor[j, j] = _whole(triangle, rest.nrows())
                if j + 1 < count:
                    inverse, fine = _inverse(triangle)
            else:
                assert inverse is not None  # there are rows below the diagonal block
                factor[i, j] = _below(rest, inverse, fine + 2 * down)
            error = rest - factor[i, j] * factor[j, j].transpose() * 4**down
            squares += _squares_above(error) * (1 if i == j else 2)
    return squares <= (fmpq(spare) * fmpq(4) ** up) ** 2


def _identity(size: int, value: int) -> fmpz_mat:
    return fmpz_mat(size, size, [value if i == j else 0 for i in range(size) for j in range(size)])


def _squares_above(matrix: fmpz_mat) -> fmpq:
    """An upper bound of the sum of the squares of the entries."""
    with ctx.workprec(64):
        found: arb = arb_mat(matrix * matrix.transpose()).trace()
        return found.upper().fmpq()


def _triangle(block: fmpz_mat, down: int) -> list[list[float]] | None:
    """About the lower triangular factor of a diagonal block, in units of 4^down; None if there is none."""
    scale, size = 2 * down, block.nrows()
    top = [[float(int(v) >> scale) for v in row] for row in block.tolist()]
    triangle: list[list[float]] = []
    for k in range(size):
        row: list[float] = []
        for j in range(k):
            other = triangle[j]
            row.append((top[k][j] - sum(map(mul, row, other))) / other[j])
        square = top[k][k] - sum(map(mul, row, row))
        if not square > 0 or math.isinf(square):
            return None
        row.append(math.sqrt(square))
        triangle.append(row)
    return triangle


def _whole(triangle: list[list[float]], size: int) -> fmpz_mat:
    return fmpz_mat([[*map(round, row), *[0] * (size - len(row))] for row in triangle])


def _inverse(triangle: list[list[float]]) -> tuple[fmpz_mat, int]:
    """The transposed inverse of a lower triangular matrix times a power of 2, rounded, and the exponent."""
    size = len(triangle)
    columns: list[list[float]] = [[] for _ in range(size)]  # column j from its diagonal on
    for k, row in enumerate(triangle):
        for j in range(k):
            columns[j].append(-sum(map(mul, row[j:k], columns[j])) / row[k])
        columns[k].append(1 / row[k])
    fine = _INVERSE_BITS - math.frexp(max(abs(v) for column in columns for v in column))[1]
    upright = [[*[0] * j, *(round(math.ldexp(v, fine)) for v in column)] for j, column in enumerate(columns)]
    return fmpz_mat(upright), fine


def _below(rest: fmpz_mat, inverse: fmpz_mat, bits: int) -> fmpz_mat:
    """A block times the inverse, less so many bits."""
    product = rest * inverse
    return fmpz_mat(product.nrows(), product.ncols(), list(_shifted(product, bits)))


def _shifted(product: fmpz_mat, bits: int) -> Iterator[fmpz]:
    if bits < 0:
        return (v << -bits for v in product.entries())
    half = fmpz(1) << bits >> 1
    return ((v + half) >> bits for v in product.entries())
