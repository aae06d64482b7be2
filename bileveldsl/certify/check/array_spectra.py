"""Proofs that the eigenvalues of A'A lie between two numbers, in integers.

A is rounded to integers of about 46 bits, the smaller of A'A and AA' formed exactly, and a shift of it shown to be
positive semidefinite: small matrices by elimination over the rationals; large ones by an approximate factor whose
residual, computed exactly, is smaller in the maximum norm than a part of the shift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from flint import fmpq, fmpz, fmpz_mat

from bileveldsl.certify.check.matrices import is_semidefinite
from bileveldsl.certify.check.terms import Rejected

_BITS = 46  # of an entry of A
_FACTOR_BITS = 48  # of an entry of a factor
_INVERSE_BITS = 60
_BLOCK = 96
_STRIPE = 512
_EXACT = 40  # rows
_WORK = 1e12  # multiplications

Rows = list[list[int]]


class Matrix:
    """A real matrix A = (integers + error) / 2^shift, every entry of the error at most 1/2 in size, or 0 if `exact`."""

    def __init__(self, rows: Rows, shift: int, exact: bool):
        self.rows = rows
        self.columns = len(rows[0]) if rows else 0
        self.shift = shift
        self.exact = exact
        self._square: Rows | None = None
        squares = sum(sum(map(mul, row, row)) for row in rows)
        self.trace = fmpq(squares) * self.unit
        # |E| <= sqrt(rows * columns) / 2 / 2^shift in the Euclidean norm
        self.error = fmpq(0) if exact else fmpq(math.isqrt(len(rows) * self.columns) + 1, 2) * fmpq(2) ** -shift

    @property
    def unit(self) -> fmpq:
        return fmpq(2) ** (-2 * self.shift)

    @property
    def norm_above(self) -> fmpq:
        """An upper bound of the eigenvalues of A'A, for which nothing is formed."""
        return (root_above(self.trace) + self.error) ** 2

    @property
    def wide(self) -> bool:
        return len(self.rows) < self.columns

    def square(self) -> Rows:
        """The smaller of A'A and AA' for the integers, without the unit."""
        if self._square is None:
            if len(self.rows) * self.columns * min(len(self.rows), self.columns) > _WORK:
                raise Rejected("a matrix is too large")
            vectors = self.rows if self.wide else list(map(list, zip(*self.rows, strict=True)))
            self._square = _products(vectors)
        return self._square

    @property
    def spectrum(self) -> tuple[fmpq, fmpq] | None:
        """The least and the greatest eigenvalue of the smaller of A'A and AA', where that is small and diagonal."""
        if not self.exact or min(len(self.rows), self.columns) > _EXACT:
            return None
        square = self.square()
        if any(v for row in square for v in row[:-1]):
            return None
        diagonal = [fmpq(row[-1]) * self.unit for row in square]
        return min(diagonal), max(diagonal)

    def require_least(self, bound: fmpq) -> None:
        """Rejects unless every eigenvalue of the smaller of A'A and AA' is at least a bound >= 0."""
        # The least singular value changes by at most |E|.
        wanted = bound + 2 * self.error * root_above(bound) + self.error**2
        if not shifted_is_semidefinite(self.square(), 1, -ceiling(wanted / self.unit)):
            raise Rejected("an eigenvalue is not shown to be as large as the proof says")

    def require_greatest(self, bound: fmpq) -> None:
        """Rejects unless every eigenvalue of A'A is at most a bound."""
        wanted = bound - 2 * self.error * root_above(bound)
        if self.trace <= wanted:
            return
        if not shifted_is_semidefinite(self.square(), -1, _floor(wanted / self.unit)):
            raise Rejected("an eigenvalue is not shown to be as small as the proof says")


def rounded(rows: Sequence[Sequence[float]]) -> Matrix:
    """A matrix of floats."""
    largest = max((max(map(abs, row), default=0.0) for row in rows), default=0.0)
    shift = _BITS - math.frexp(largest)[1] if largest else 0
    if not -900 < shift < 900:
        raise Rejected("the entries of a matrix are too large or too small")
    scale = 2.0**shift
    whole = [[round(v * scale) for v in row] for row in rows]
    exact = all(all(map(float.__eq__, map(float, ints), (v * scale for v in row)))
                for ints, row in zip(whole, rows, strict=True))  # fmt: skip
    return Matrix(whole, shift, exact)


def rational(rows: Sequence[Sequence[fmpq]]) -> tuple[Matrix, fmpq]:
    """A rational matrix as one of integers, exact, times a number."""
    below = fmpz(1)
    for row in rows:
        for entry in row:
            below = below.lcm(entry.q)
            if below.bit_length() > 4096:
                raise Rejected("the entries of a matrix have no common denominator of moderate size")
    whole = [[int((entry * below).p) for entry in row] for row in rows]
    largest = max((abs(v) for row in whole for v in row), default=0)
    up = max(_BITS - largest.bit_length(), 0)  # bounds of eigenvalues are rounded to the same unit
    return Matrix([[v << up for v in row] for row in whole], 0, True), fmpq(1, below) / fmpq(2) ** up


def _products(vectors: Rows) -> Rows:
    """The scalar products of integer vectors, in stripes, each pair once."""
    count, length = len(vectors), len(vectors[0]) if vectors else 0
    starts = range(0, count, _STRIPE)
    stripes = [vectors[s : s + _STRIPE] for s in starts]
    upright = [fmpz_mat(len(s), length, [v for row in s for v in row]) for s in stripes]
    result: Rows = [[] for _ in range(count)]  # the lower triangle, and somewhat more
    for i, left in enumerate(upright):
        for right in upright[: i + 1]:
            block = (left * right.transpose()).table()
            for k, row in enumerate(block):
                result[i * _STRIPE + k] += map(int, row)
    return [row[: k + 1] for k, row in enumerate(result)]


def ceiling(x: fmpq) -> int:
    return -int((-x).floor())


def _floor(x: fmpq) -> int:
    return int(x.floor())


def root_above(x: fmpq) -> fmpq:
    """A number that is at least the square root."""
    return fmpq(math.isqrt(max(ceiling(x * fmpq(2) ** 128), 0)) + 1, fmpz(2) ** 64)


# ---- positive semidefinite matrices ---------------------------------------------------------


def shifted_is_semidefinite(lower: Rows, sign: int, shift: int) -> bool:
    """Whether sign * S + shift I is shown positive semidefinite, S given by its lower triangle in integers.

    Examples
    --------
    >>> shifted_is_semidefinite([[2], [1, 2]], 1, -1), shifted_is_semidefinite([[2], [1, 2]], -1, 2)
    (True, False)
    """
    size = len(lower)
    diagonal = [sign * row[-1] + shift for row in lower]
    if not diagonal:
        return True
    if min(diagonal) < 0:
        return False
    if size <= _EXACT:
        entries = [[fmpq(sign * v) for v in row] for row in lower]
        for k, row in enumerate(entries):
            row[k] = fmpq(diagonal[k])
        return is_semidefinite([[entries[max(i, j)][min(i, j)] for j in range(size)] for i in range(size)])
    # What the residual may take: about what rounding the factor to so many bits costs.
    spare = (max(diagonal) * size) >> (_FACTOR_BITS - 2)
    return _factorizes(lower, sign, shift, spare)


def _factorizes(lower: Rows, sign: int, shift: int, spare: int) -> bool:
    """Whether |P - spare I - L L'| <= spare in the maximum norm for some L, where P = sign S + shift I.

    L is found block by block in floats and rounded integers, and nothing is asked of how it was found: the residual
    is computed exactly, in units of 4^-h of those of P.
    """
    size = len(lower)
    h = _FACTOR_BITS - (max(sign * row[-1] + shift for row in lower).bit_length() + 1) // 2
    up = max(h, 0)  # P is multiplied by 4^up, L L' by 4^(up - h)
    down = up - h
    factor: Rows = [[] for _ in range(size)]
    residual = [0] * size
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        rest = _less_products(lower, factor, start, stop, sign, shift - spare, up, down)
        found = _block(rest, down, stop - start)
        if found is None:
            return False
        triangle, below = found
        for k in range(start, size):
            factor[k] += triangle[k - start] if k < stop else below[k - stop]
        _add_residual(residual, rest, factor, start, stop, down)
    return max(residual) <= spare << (2 * up)


def _less_products(lower: Rows, factor: Rows, start: int, stop: int, sign: int, shift: int, up: int, down: int) -> Rows:
    """The columns from start to stop of P 4^up - L L' 4^down, from the row `start` on, for the L found so far."""
    size, width = len(lower), stop - start
    if start:
        whole = fmpz_mat(size - start, start, [v for row in factor[start:] for v in row])
        panel = fmpz_mat(width, start, [v for row in factor[start:stop] for v in row])
        products: list[list[int]] = [list(map(int, row)) for row in (whole * panel.transpose()).table()]
    else:
        products = [[0] * width for _ in range(size)]
    result = []
    for k in range(start, size):
        entries = lower[k][start:stop]
        row = [((sign * v) << (2 * up)) - (p << (2 * down)) for v, p in zip(entries, products[k - start], strict=False)]
        if k < stop:
            row[k - start] += shift << (2 * up)
        result.append(row)
    return result


def _block(rest: Rows, down: int, width: int) -> tuple[Rows, Rows] | None:
    """The rounded factor of the diagonal block, and those of the rows below it; None if there is none."""
    scale = 2 * down
    top = [[float(v >> scale) for v in row] for row in rest[:width]]
    triangle: list[list[float]] = []
    for k in range(width):
        row: list[float] = []
        for j in range(k):
            other = triangle[j]
            row.append((top[k][j] - sum(map(mul, row, other))) / other[j])
        square = top[k][k] - sum(map(mul, row, row))
        if not square > 0 or math.isinf(square):
            return None
        row.append(math.sqrt(square))
        triangle.append(row)
    rounded_triangle = [[*map(round, row), *[0] * (width - len(row))] for row in triangle]
    if len(rest) == width:
        return rounded_triangle, []
    inverse = _inverse(triangle)
    largest = max(abs(v) for row in inverse for v in row)
    fine = _INVERSE_BITS - math.frexp(largest)[1]
    whole = fmpz_mat(width, width, [round(math.ldexp(row[j], fine)) if j < len(row) else 0
                                    for row in inverse for j in range(width)])  # fmt: skip
    # L21 = C21 inv(L11)'
    entries = fmpz_mat(len(rest) - width, width, [v >> scale for row in rest[width:] for v in row])
    half = 1 << (fine - 1) if fine > 0 else 0
    table = (entries * whole.transpose()).table()
    below = [[(int(v) + half) >> fine if fine >= 0 else int(v) << -fine for v in row] for row in table]
    return rounded_triangle, below


def _inverse(triangle: list[list[float]]) -> list[list[float]]:
    """The inverse of a lower triangular matrix, row by row."""
    size = len(triangle)
    columns: list[list[float]] = [[] for _ in range(size)]  # column j from its diagonal on
    for k, row in enumerate(triangle):
        for j in range(k):
            columns[j].append(-sum(map(mul, row[j:k], columns[j])) / row[k])
        columns[k].append(1 / row[k])
    return [[columns[j][k - j] for j in range(k + 1)] for k in range(size)]


def _add_residual(residual: list[int], rest: Rows, factor: Rows, start: int, stop: int, down: int) -> None:
    """Adds the absolute values of the columns from start to stop of the residual to the sums of their rows."""
    size, width = len(factor), stop - start
    left = fmpz_mat(size - start, width, [v for row in factor[start:] for v in row[start:stop]])
    right = fmpz_mat(width, width, [v for row in factor[start:stop] for v in row[start:stop]])
    products = (left * right.transpose()).table()
    for k, (row, product) in enumerate(zip(rest, products, strict=True)):
        errors = [abs(v - (int(p) << (2 * down))) for v, p in zip(row, product, strict=False)]
        residual[start + k] += sum(errors)
        if k >= width:
            for j, error in enumerate(errors):
                residual[start + j] += error
        else:
            for j, error in enumerate(errors[:k]):
                residual[start + j] += error
