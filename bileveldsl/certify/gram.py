"""Verified bounds of the eigenvalues of A'A for the matrix A of an affine node, by one of three ways by its size.

Small matrices are multiplied out in intervals; large ones by one float product, whose error is bounded in the
Frobenius norm, and a verified factorization of the smaller of A'A and AA'; beyond that there is |A|_1 |A|_inf, for
which no matrix is formed, so that data kept as a list of nonzeros stay one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from bileveldsl.calculus.derivative import Derivative, gradient, jacobian
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    ONE,
    ZERO,
    Axis,
    Contract,
    Delta,
    Expr,
    Leaf,
    Map,
    Scatter,
    Select,
    Symbol,
    add,
    apply,
    argument,
    contract,
    multiply,
    rebuild,
    symbols_of,
    topological,
)  # fmt: skip
from bileveldsl.calculus.functions import partials
from bileveldsl.certify.clock import check
from bileveldsl.certify.interval import Interval, gamma
from bileveldsl.certify.parts import Dependence, factors
from bileveldsl.certify.ranges import Ranges, aligned
from bileveldsl.certify.spectrum import extreme_eigenvalues, greatest_eigenvalue, least_eigenvalue
from bileveldsl.language.data.mapped import is_mapped

_SMALL = 1 << 18  # multiplications
_SMALL_SIZE = 40
_ENTRIES, _LISTED = 1 << 27, 1 << 22  # of a matrix that is formed; of one with elements at positions
_PART = 1 << 20  # entries
_WORK = 1e11  # multiplications
_AT_ONCE = 1e9  # multiplications between two looks at the clock
_TINY = 2.0**-1000
_LARGEST_FORM = 5000  # rows
_FORM_BITS = 40
_PROOF_BITS = 45
"""The bounds of large matrices leave room for a proof that computes with this many bits."""


@dataclass(frozen=True)
class Gram:
    """Bounds of the eigenvalues of A'A; `positive` is one of its least nonzero eigenvalue, 0 where none is known.

    `rows`, `columns` and `trace` (about the sum of the squares of the entries of A, nan where it was not formed)
    tell a reader of a proof which matrix is meant.
    """

    symbols: tuple[Symbol, ...]
    rows: int
    columns: int
    trace: float
    least: float
    greatest: float
    positive: float


def gram(node: Expr, symbols: Sequence[Symbol], ranges: Ranges) -> Gram:
    """Bounds for a node that is affine in the symbols, its coefficients anywhere in their ranges.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim, leaf
    >>> n, p = Dim("n", 3), Dim("p", 2)
    >>> X, w = Symbol("X", "data", (n, p), np.eye(3, 2) * 2), Symbol("w", "variable", (p,))
    >>> found = gram(contract([leaf(X), leaf(w)], w.axes), [w], Ranges({}))
    >>> found.least, found.greatest
    (4.0, 4.0)
    """
    occurring = symbols_of(node)
    reached = tuple(s for s in symbols if s in occurring)
    blocks = _without_identities(jacobian(node, reached))
    rows = math.prod(axis.size for axis in blocks[0].rows)
    columns = sum(math.prod(axis.size for axis in block.columns) for block in blocks)
    small = rows * columns * columns <= _SMALL and columns <= _SMALL_SIZE
    listed = any(isinstance(n, Select | Scatter) for n in topological([b.expr for b in blocks]))
    most = _LISTED if listed else _ENTRIES
    if rows * columns > most or (not small and rows * columns * min(rows, columns) > _WORK):
        in_files = any(is_mapped(s.value) for s in occurring if s.role == "data")
        return Gram(reached, rows, columns, math.nan, 0.0, math.inf if in_files else _norm(node, reached), 0.0)
    entries = _entries(blocks, rows, ranges)
    if not (_is_finite(entries.lo) and _is_finite(entries.hi)):
        return Gram(reached, rows, columns, math.nan, 0.0, math.inf, 0.0)
    pairs = zip(_parts(entries.lo), _parts(entries.hi), strict=True)
    trace = sum(float(np.maximum(low**2, high**2).sum()) for low, high in pairs)
    bounds = (_by_intervals if small else _by_factorization)(entries)
    return Gram(reached, rows, columns, trace, *bounds)


def form(matrix: Symbol, variable: Symbol) -> Gram:
    """Bounds of the eigenvalues of K + K', the Hessian of y'Ky, for a matrix of data.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim
    >>> n = Dim("n", 2)
    >>> K, y = Symbol("K", "data", (n, n), np.array([[0.0, 1.0], [1.0, 0.0]])), Symbol("y", "variable", (n,))
    >>> found = form(K, y)
    >>> bool(-2.000001 < found.least <= -2 and 2 <= found.greatest < 2.000001)
    True
    """
    values = np.asarray(matrix.value)
    size = len(values)
    if values.dtype != np.float64 or size > _LARGEST_FORM or not _is_finite(values):
        return Gram((variable,), size, size, math.nan, -math.inf, math.inf, 0.0)
    whole = values + values.T
    scale = _largest(whole)
    # Each sum is rounded by at most a part of 2^-53; a proof needs more room.
    error = size * scale * 2.0**-52
    least, greatest = extreme_eigenvalues(whole, error)
    if least < 0:  # of a large matrix only a positive least eigenvalue is found as it is
        least = max(least, -extreme_eigenvalues(-whole, error)[1])
    slack = size * scale * 2.0**-_FORM_BITS
    least, greatest = math.nextafter(least - slack, -math.inf), math.nextafter(greatest + slack, math.inf)
    return Gram((variable,), size, size, float((values**2).sum()), least, greatest, 0.0)


# ---- the matrix of an affine node -----------------------------------------------------------


def _without_identities(derivatives: Sequence[Derivative]) -> list[Derivative]:
    """Matrices B such that each derivative is B times the same identities: of them the eigenvalues are the same."""
    shared: set[Axis] | None = None
    for derivative in derivatives:
        rows = set(_identities(derivative))
        shared = rows if shared is None else shared & rows
    result = []
    for derivative in derivatives:
        gone = {row: column for row, column in _identities(derivative).items() if row in (shared or ())}
        labels = {*gone, *gone.values()}
        kept = [p for p in factors(derivative.expr) if not (isinstance(p, Delta) and labels.issuperset(p.axes))]
        left, right = (tuple(a for a in side if a not in labels) for side in (derivative.rows, derivative.columns))
        result.append(Derivative(multiply(*kept) if kept else ONE, left, right))
    return result


def _identities(derivative: Derivative) -> dict[Axis, Axis]:
    """Each row label that occurs in nothing but an identity matrix, with the column label on its other side."""
    parts = factors(derivative.expr)
    uses = [axis for p in parts for axis in p.axes]
    found = {}
    for p in parts:
        if isinstance(p, Delta) and all(uses.count(axis) == 1 for axis in p.axes):
            inside = [axis for axis in p.axes if axis in derivative.rows]
            if len(inside) == 1:
                found[inside[0]] = next(axis for axis in p.axes if axis != inside[0])
    return found


def _entries(blocks: Sequence[Derivative], rows: int, ranges: Ranges) -> Interval:
    """The blocks beside each other, shape (rows, columns)."""
    pieces = []
    for block in blocks:
        labels = (*block.rows, *block.columns)
        full = tuple(axis.size for axis in labels)
        range_ = aligned(ranges(block.expr), block.expr.axes, labels)
        ends = [np.broadcast_to(end, (1, *full)).reshape(rows, -1) for end in (range_.lo, range_.hi)]
        pieces.append(Interval.of(ends[0], ends[0] if range_.exact else ends[1]))
    if len(pieces) == 1:
        return pieces[0]
    return Interval.of(np.hstack([p.lo for p in pieces]), np.hstack([p.hi for p in pieces]))


# ---- three ways to bound its eigenvalues ----------------------------------------------------


def _by_intervals(entries: Interval) -> tuple[float, float, float]:
    square = _product(entries)
    least = max(float(least_eigenvalue(square)[0]), 0.0)
    greatest = float(greatest_eigenvalue(square)[0])
    positive = least
    if entries.lo.shape[0] < entries.lo.shape[1]:
        least, positive = 0.0, max(float(least_eigenvalue(_product(entries.map(np.transpose)))[0]), 0.0)
    return least, greatest, positive


def _product(entries: Interval) -> Interval:
    """A'A in intervals, as a batch of one matrix."""
    products = entries.map(lambda a: a[:, :, None]) * entries.map(lambda a: a[:, None, :])
    square, diagonal = products.sum((0,)), entries.power(2).sum((0,))
    lo, hi = square.lo.copy(), square.hi.copy()
    np.fill_diagonal(lo, diagonal.lo)
    np.fill_diagonal(hi, diagonal.hi)
    return Interval.of(lo[None], hi[None])


def _by_factorization(entries: Interval) -> tuple[float, float, float]:
    with np.errstate(all="ignore"):
        middle = entries.lo if entries.exact else 0.5 * (entries.lo + entries.hi)
        radius = 0.0 if entries.exact else float(np.maximum(entries.hi - middle, middle - entries.lo).max())
    rows, columns = middle.shape
    wide = rows < columns
    square = _squared(middle.T if wide else middle)
    length = max(rows, columns)
    margin = 1 + gamma(2 * middle.size + 8)
    trace = float(np.trace(square)) * margin
    # Products of m-term sums err by at most gamma_m |a_i| |a_j|, in the Frobenius norm gamma_m trace (Higham, 3.5).
    error = 0.0 if _is_exact(middle, length) else gamma(length + 4) * trace + _TINY * middle.size
    least, greatest = extreme_eigenvalues(square, error)
    # With A = C + R: |A'A - C'C| <= 2 |C| |R| + |R|^2.
    spread = math.nextafter(radius, math.inf) * math.sqrt(middle.size) * margin if radius else 0.0
    slack = 2 * math.sqrt(max(greatest, 0.0)) * margin * (spread + _rounding(middle)) + spread**2 * margin
    slack += len(square) * greatest * 2.0**-_PROOF_BITS
    least = max(math.nextafter(least - slack * margin, -math.inf), 0.0)
    return 0.0 if wide else least, math.nextafter(greatest + slack * margin, math.inf), least


def _squared(matrix: np.ndarray) -> np.ndarray:
    """A'A in floats, some columns at a time; of an array in its file, some rows at a time."""
    size = matrix.shape[1]
    if not matrix.flags.aligned:  # else a product would copy the whole of it
        result = np.zeros((size, size))
        step = max(1, _PART // size)
        for k in range(0, len(matrix), step):
            check()
            part = np.ascontiguousarray(matrix[k : k + step])
            result += part.T @ part
        return result
    result = np.empty((size, size))
    step = max(1, int(_AT_ONCE / (1 + matrix.size)))
    for k in range(0, size, step):
        check()
        end = min(k + step, size)
        result[k:end, :end] = matrix[:, k:end].T @ matrix[:, :end]
        result[:k, k:end] = result[k:end, :k].T
    return result


def _parts(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows after the others: what is computed of all at once takes as much memory as the data."""
    step = max(1, _PART // max(matrix.shape[1], 1))
    return (matrix[k : k + step] for k in range(0, len(matrix), step))


def _is_finite(matrix: np.ndarray) -> bool:
    return all(bool(np.isfinite(part).all()) for part in _parts(matrix))


def _largest(matrix: np.ndarray) -> float:
    return max((float(np.abs(part).max(initial=0.0)) for part in _parts(matrix)), default=0.0)


def _is_exact(matrix: np.ndarray, length: int) -> bool:
    """Whether the float product is exact: all entries are whole, and no sum leaves the whole numbers of floats."""
    if _largest(matrix) ** 2 * length >= 2.0**53:
        return False
    return all(bool((part == np.round(part)).all()) for part in _parts(matrix))


def _rounding(matrix: np.ndarray) -> float:
    """A bound in the Frobenius norm of rounding the entries to some bits of the largest."""
    return math.sqrt(matrix.size) * _largest(matrix) * 2.0**-_PROOF_BITS


def _norm(node: Expr, symbols: Sequence[Symbol]) -> float:
    """The upper bound |A|_1 |A|_inf of |A|^2, without A: from the sums of |a_ij| along rows and along columns."""
    absolute = _absolute(node, symbols)
    if absolute is None:
        return math.inf
    ones = {symbol: np.ones(symbol.shape) for symbol in symbols}
    # All numbers are >= 0, so that every rounding is a relative one, and there are fewer than these.
    order = topological([absolute])
    margin = 1 + gamma(64 + 8 * sum(math.prod(each.shape) for each in order))
    along_rows = float(evaluate(absolute, ones).max(initial=0.0))
    slopes = gradient(contract([absolute], absolute.axes), symbols)
    along_columns = max(float(evaluate(slope, ones).max(initial=0.0)) for slope in slopes)
    return math.nextafter(along_rows * along_columns * margin**3, math.inf)


def _absolute(node: Expr, symbols: Sequence[Symbol]) -> Expr | None:
    """The linear part of an affine node with all its coefficients replaced by their absolute values.

    None unless the coefficients are products of data and numbers, none of them so large or small that a product
    could leave the range of floats.
    """
    depends = Dependence(symbols)
    done: dict[Expr, Expr | None] = {}
    for each in topological([node], through=depends):
        if not depends(each):
            done[each] = _size(each)
        elif isinstance(each, Leaf):
            done[each] = each
        elif isinstance(each, Map):
            slopes = partials(each.fn)
            pairs = [(done[child], _size(apply(slopes[symbol], each.children)))
                     for symbol, child in each.operands.items() if depends(child) and symbol in slopes]  # fmt: skip
            known = [multiply(a, b) for a, b in pairs if a is not None and b is not None]
            done[each] = add(*known, ZERO) if len(known) == len(pairs) else None
        elif isinstance(each, Contract | Select | Scatter):
            inside = [child for child in map(done.get, each.children) if child is not None]
            done[each] = rebuild(each, inside) if len(inside) == len(each.children) else None
        else:
            done[each] = None
    return done[node]


def _size(node: Expr) -> Expr | None:
    """The absolute value of a product of data and numbers."""
    for each in topological([node]):
        if isinstance(each, Leaf):
            value = each.symbol.value
            if each.symbol.role == "variable" or value is None or not _moderate(np.abs(value)):
                return None
        elif isinstance(each, Map):
            if not all(part.is_Symbol or part.is_Rational for part in sympy.Mul.make_args(each.fn)):
                return None
            number = each.fn.as_coeff_Mul()[0]
            if not _moderate(np.abs(np.asarray(float(number)))):
                return None
        elif not isinstance(each, Select | Delta):
            return None
    return apply(sympy.Abs(argument(0)), [node])


def _moderate(sizes: np.ndarray) -> bool:
    return bool(((sizes == 0) | (sizes > 2.0**-60) & (sizes < 2.0**60)).all())
