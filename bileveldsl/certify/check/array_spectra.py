"""Proofs that the eigenvalues of A'A lie between two numbers, in integers.

A is rounded to integers of about 47 bits, piece by piece as it is read, the smaller of A'A and AA' formed exactly from
these, and a shift of it shown to be positive semidefinite: small matrices by elimination over the rationals, large
ones by an approximate factor whose residual is smaller than a part of the shift.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul

from flint import fmpq, fmpz, fmpz_mat

from bileveldsl.certify.check.array_factors import BLOCK, Blocks, shifted_is_semidefinite, starts
from bileveldsl.certify.check.terms import Rejected

_BITS = 47  # of an entry of A
_PIECE = 1 << 20  # entries that are read at once
_EXACT = 40  # rows
_WORK = 1.1e11  # multiplications

Rows = Sequence[Sequence[int]]
FloatRow = Callable[[int, int, int], Sequence[float]]
"""The entries of a row of a matrix from one column up to another."""
IntegerRow = Callable[[int, int, int], Sequence[int]]


class Matrix:
    """A real matrix A = (integers + errors) / 2^shift, every error less than `error` in size, or 0 where that is 0.

    `row` gives the integers; `trace` is an upper bound of the sum of squares of A's entries, near it.
    """

    def __init__(self, row: IntegerRow, rows: int, columns: int, shift: int, trace: fmpq, error: int):
        self._row = row
        self.rows = rows
        self.columns = columns
        self.shift = shift
        self.trace = trace
        self.exact = error == 0
        self._square: Blocks | None = None
        # |E| <= error sqrt(rows * columns) / 2^shift in the Euclidean norm
        self.error = fmpq(error * (math.isqrt(rows * columns) + 1)) * fmpq(2) ** -shift

    @property
    def unit(self) -> fmpq:
        return fmpq(2) ** (-2 * self.shift)

    @property
    def norm_above(self) -> fmpq:
        """An upper bound of the eigenvalues of A'A, for which nothing is formed."""
        return self.trace

    @property
    def wide(self) -> bool:
        return self.rows < self.columns

    @property
    def _size(self) -> int:
        return min(self.rows, self.columns)

    def square(self) -> Blocks:
        """The smaller of A'A and AA' for the integers, without the unit."""
        if self._square is None:
            if self.rows * self.columns * self._size > _WORK:
                raise Rejected("a matrix is too large")
            self._square = self._products_of_rows() if self.wide else self._products_of_columns()
        return self._square

    def _products_of_columns(self) -> Blocks:
        """A'A, as a sum over some rows at a time."""
        found: dict[tuple[int, int], fmpz_mat] = {}
        step = max(_PIECE // self.columns, 1)
        for start in range(0, self.rows, step):
            rows = [self._row(r, 0, self.columns) for r in range(start, min(start + step, self.rows))]
            pieces = [fmpz_mat([row[c : c + BLOCK] for row in rows]) for c in starts(self.columns)]
            _add_products(found, [piece.transpose() for piece in pieces], pieces)
        return found

    def _products_of_rows(self) -> Blocks:
        """AA', as a sum over some columns at a time."""
        found: dict[tuple[int, int], fmpz_mat] = {}
        step = max(_PIECE // self.rows, 1)
        for start in range(0, self.columns, step):
            stop = min(start + step, self.columns)
            pieces = [fmpz_mat([self._row(r, start, stop) for r in range(k, min(k + BLOCK, self.rows))])
                      for k in starts(self.rows)]  # fmt: skip
            _add_products(found, pieces, [piece.transpose() for piece in pieces])
        return found

    @property
    def spectrum(self) -> tuple[fmpq, fmpq] | None:
        """The least and the greatest eigenvalue of the smaller of A'A and AA', where that is small and diagonal."""
        if not self.exact or not 0 < self._size <= _EXACT:
            return None
        square = self.square()[0, 0].tolist()
        if any(v for i, row in enumerate(square) for j, v in enumerate(row) if i != j):
            return None
        diagonal = [fmpq(square[k][k]) * self.unit for k in range(len(square))]
        return min(diagonal), max(diagonal)

    def require_least(self, bound: fmpq) -> None:
        """Rejects unless every eigenvalue of the smaller of A'A and AA' is at least a bound >= 0."""
        # The least singular value changes by at most |E|.
        wanted = bound + 2 * self.error * root_above(bound) + self.error**2
        if not shifted_is_semidefinite(self.square(), 1, -ceiling(wanted / self.unit)):
            raise Rejected("an eigenvalue is not shown to be as large as the proof says")

    def require_greatest(self, bound: fmpq) -> None:
        """Rejects unless every eigenvalue of A'A is at most a bound."""
        if self.trace <= bound:
            return
        wanted = bound - 2 * self.error * root_above(bound)
        if not shifted_is_semidefinite(self.square(), -1, _floor(wanted / self.unit)):
            raise Rejected("an eigenvalue is not shown to be as small as the proof says")


def _add_products(found: dict[tuple[int, int], fmpz_mat], left: Sequence[fmpz_mat], right: Sequence[fmpz_mat]) -> None:
    for i, a in enumerate(left):
        for j, b in enumerate(right[: i + 1]):
            product = a * b
            found[i, j] = found[i, j] + product if (i, j) in found else product


class Symmetric:
    """K + K' = (integers + errors) / 2^shift, every error less than 2 in size; `trace` is about that of K'K."""

    def __init__(self, blocks: Blocks, size: int, shift: int, trace: fmpq):
        self._blocks = blocks
        self.size = size
        self.trace = trace
        self._unit = fmpq(2) ** -shift
        self._error = 2 * size  # of the matrix, in the Euclidean norm, in units

    def require_least(self, bound: fmpq) -> None:
        """Rejects unless every eigenvalue is at least a bound."""
        if not shifted_is_semidefinite(self._blocks, 1, -ceiling(bound / self._unit) - self._error):
            raise Rejected("an eigenvalue is not shown to be as large as the proof says")

    def require_greatest(self, bound: fmpq) -> None:
        """Rejects unless every eigenvalue is at most a bound."""
        if not shifted_is_semidefinite(self._blocks, -1, _floor(bound / self._unit) - self._error):
            raise Rejected("an eigenvalue is not shown to be as small as the proof says")


def of_form(values: Sequence[float], size: int) -> Symmetric:
    """K + K' for a square matrix K of floats, row after row."""
    if size**3 > _WORK:
        raise Rejected("a matrix is too large")
    shift = _shift(max(max(values, default=0.0), -min(values, default=0.0)))
    scale = 2.0**shift

    def block(i: int, j: int) -> fmpz_mat:
        rows = range(i * BLOCK, min((i + 1) * BLOCK, size))
        stop = min((j + 1) * BLOCK, size)
        return fmpz_mat([[int(v * scale) for v in values[r * size + j * BLOCK : r * size + stop]] for r in rows])

    count = len(starts(size))
    blocks = {(i, j): block(i, j) + block(j, i).transpose() for i in range(count) for j in range(i + 1)}
    return Symmetric(blocks, size, shift, fmpq(*_sum_of_squares(values).as_integer_ratio()))


def _shift(largest: float) -> int:
    """By what power of 2 the entries of a matrix are multiplied."""
    shift = _BITS - math.frexp(largest)[1] if largest else 0
    if not -900 < shift < 900:
        raise Rejected("the entries of a matrix are too large or too small")
    return shift


def rounded(row: FloatRow, rows: int, columns: int, products: bool = False) -> Matrix:
    """A matrix of floats, or of products of two that are rounded to floats."""
    largest = max((max(map(abs, row(r, 0, columns)), default=0.0) for r in range(rows)), default=0.0)
    shift = _shift(largest)
    scale = 2.0**shift
    exact = not products and all((v * scale).is_integer() for r in range(rows) for v in row(r, 0, columns))
    # Every square is rounded by at most a part of 2^-53, or by 2^-1074 where it is tiny; their sums, once.
    squares = math.fsum(_sum_of_squares(row(r, 0, columns)) for r in range(rows))
    trace = fmpq(*max(squares * (1 + 2.0**-49), rows * columns * 2.0**-1000).as_integer_ratio())
    error = 0 if exact else 2 if products else 1
    return Matrix(lambda *place: [int(v * scale) for v in row(*place)], rows, columns, shift, trace, error)


def _sum_of_squares(values: Sequence[float]) -> float:
    return math.fsum(map(mul, values, values))


def of_integers(rows: Rows) -> Matrix:
    """A matrix of integers."""
    trace = fmpq(sum(sum(map(mul, row, row)) for row in rows))
    return Matrix(lambda r, start, stop: rows[r][start:stop], len(rows), len(rows[0]) if rows else 0, 0, trace, 0)


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
    return of_integers([[v << up for v in row] for row in whole]), fmpq(1, below) / fmpq(2) ** up


def ceiling(x: fmpq) -> int:
    return -int((-x).floor())


def _floor(x: fmpq) -> int:
    return int(x.floor())


def root_above(x: fmpq) -> fmpq:
    """A number that is at least the square root."""
    return fmpq(math.isqrt(max(ceiling(x * fmpq(2) ** 128), 0)) + 1, fmpz(2) ** 64)
