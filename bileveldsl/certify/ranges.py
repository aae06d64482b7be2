"""Rigorous ranges of the nodes of an expression DAG, variables in their boxes and data at their values.

Every range is an array of intervals with a leading axis for a batch of boxes and one axis for each label of the
node; an axis of size 1 stands for a label along which the interval does not change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Delta,
    Expr,
    IndexMap,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    argument,
    topological,
)  # fmt: skip
from bileveldsl.certify.clock import check
from bileveldsl.certify.elementary import enclose
from bileveldsl.certify.interval import REALS, Interval, add_down, gamma
from bileveldsl.certify.parts import Dependence

_BROADCAST = 1 << 18  # elements of a product that are worth forming one by one
_ELEMENTWISE = 1 << 20  # elements of a function that are worth enclosing one by one
_IDENTITY = 2000
_ONE_BY_ONE = 4096  # elements that are added at equal positions, up to which each rounding is seen to
_TINY = 2.0**-1000


class Ranges:
    """The ranges of nodes over one batch of boxes, each computed once.

    `boxes` gives an interval for each variable, its arrays of shape (batch, *symbol.shape) with size 1 where
    the bounds do not differ; other symbols are at their values, and a symbol without one may be any number.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Symbol, leaf, multiply
    >>> y = Symbol("y", "variable")
    >>> ranges = Ranges({y: Interval.of(np.array([-1.0]), np.array([3.0]))})
    >>> square = ranges(multiply(leaf(y), leaf(y)))
    >>> square.least, square.greatest
    (0.0, 9.0)
    """

    def __init__(self, boxes: Mapping[Symbol, Interval], base: Ranges | None = None):
        self.boxes: Mapping[Symbol, Interval] = boxes if base is None else {**base.boxes, **boxes}
        self._memo: dict[Expr, Interval] = {}
        self._base = base
        self._moves = Dependence(boxes)

    def within(self, boxes: Mapping[Symbol, Interval]) -> Ranges:
        """The ranges with some boxes replaced; nodes without these variables are not computed again."""
        return Ranges(boxes, self)

    def __call__(self, node: Expr) -> Interval:
        if self._base is not None and not self._moves(node):
            return self._base(node)
        if node not in self._memo:
            for each in topological([node]):
                if each not in self._memo:
                    check()
                    outside = self._base if self._base is not None and not self._moves(each) else None
                    self._memo[each] = self._range(each) if outside is None else outside(each)
        return self._memo[node]

    def _range(self, node: Expr) -> Interval:
        if isinstance(node, Leaf):
            return aligned(self._symbol(node.symbol), node.axes, node.axes)
        if isinstance(node, Delta):
            if node.axes[0].size > _IDENTITY:
                return Interval.of(np.zeros((1, 1, 1)), np.ones((1, 1, 1)))
            return Interval.point(np.eye(node.axes[0].size)[None])
        inside = [self._memo[child] for child in node.children]
        if isinstance(node, Map):
            axes = node.axes
            values = [aligned(x, child.axes, axes) for x, child in zip(inside, node.children, strict=True)]
            if math.prod(np.broadcast_shapes(*(x.lo.shape for x in values))) > _ELEMENTWISE:
                values = [x.hull(tuple(range(1, 1 + len(axes)))) for x in values]
            result = enclose(node.fn, {argument(k): x for k, x in enumerate(values)})
            return result.map(lambda a: a.reshape((1,) * (1 + len(axes) - a.ndim) + a.shape))
        if isinstance(node, Contract):
            return _contract(node, inside)
        child = node.children[0]
        if isinstance(node, Reduce):
            return _reduce(node, inside[0], child.axes)
        if isinstance(node, Select):
            return _select(inside[0], child.axes, node.at)
        if isinstance(node, Scatter):
            return scatter(inside[0], child.axes, node.at, node.along)
        raise TypeError(type(node))

    def _symbol(self, symbol: Symbol) -> Interval:
        if symbol in self.boxes:
            return self.boxes[symbol]
        if symbol.value is None:
            return REALS.map(lambda a: a.reshape((1,) * (1 + len(symbol.shape))))
        value = np.asarray(symbol.value)
        if value.dtype.kind in "iu" and (np.abs(value.astype(np.float64)) >= 2.0**53).any():
            near = value.astype(np.float64)[None]
            return Interval.of(np.nextafter(near, -np.inf), np.nextafter(near, np.inf))
        return Interval.point(np.asarray(value, dtype=np.float64)[None])


def box(lower: np.ndarray, upper: np.ndarray) -> Interval:
    """The interval of a variable from its bounds, as one batch; equal bounds share one element."""
    lo, hi = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if lo.size and (lo == lo.flat[0]).all() and (hi == hi.flat[0]).all():
        one = (1,) * lo.ndim
        lo, hi = lo.flat[0].reshape(one), hi.flat[0].reshape(one)
    return Interval.of(lo[None], hi[None])


def aligned(x: Interval, axes: Sequence[Axis], wanted: Sequence[Axis]) -> Interval:
    """The axes of an array put in the wanted order, with size 1 for a label that it lacks."""
    order = [0, *(1 + axes.index(a) for a in wanted if a in axes)]
    gaps = tuple(1 + k for k, a in enumerate(wanted) if a not in axes)
    if order == list(range(len(order))) and not gaps:
        return x
    return x.map(lambda a: np.expand_dims(a.transpose(order), gaps))


# ---- contractions ---------------------------------------------------------------------------


def _contract(node: Contract, factors: Sequence[Interval]) -> Interval:
    wanted = (*node.axes, *node.over)
    parts = [aligned(x, child.axes, wanted) for x, child in zip(factors, node.children, strict=True)]
    summed = tuple(range(1 + len(node.axes), 1 + len(wanted)))
    if math.prod(np.broadcast_shapes(*(x.lo.shape for x in parts))) > _BROADCAST:
        if len(factors) == 2 and all(np.isfinite(x.lo).all() and np.isfinite(x.hi).all() for x in factors):
            return _matrix_product(node, factors)
        parts = [x.hull(tuple(range(1, 1 + len(wanted)))) for x in parts]
    # A factor that occurs twice is a square, which a product of intervals would not know to be nonnegative.
    places = {child: [k for k, other in enumerate(node.children) if other is child] for child in node.children}
    powers = [parts[places[child][0]].power(len(places[child])) for child in places]
    return total(reduce(lambda a, b: a * b, powers), summed, [axis.size for axis in node.over])


def total(x: Interval, axes: tuple[int, ...], sizes: Sequence[int]) -> Interval:
    """The sum over axes, each of which may stand for `sizes` equal elements."""
    if not axes:
        return x
    times = math.prod(size for axis, size in zip(axes, sizes, strict=True) if x.lo.shape[axis] == 1)
    summed = x.sum(axes)
    return summed if times == 1 else summed * Interval.point(float(times))


def _matrix_product(node: Contract, factors: Sequence[Interval]) -> Interval:
    """Two factors by float matrix products of midpoints and radii, with a bound for every rounding.

    However the sum is ordered, a product of m-term sums has an error of at most gamma_m times the product
    of the absolute values (Higham, Accuracy and Stability, 3.5), and each underflow adds at most 2^-1074.
    """
    numbers = {axis: k for k, axis in enumerate((*node.axes, *node.over))}
    labels = [[numbers[axis] for axis in child.axes] for child in node.children]
    shapes = [tuple(axis.size for axis in child.axes) for child in node.children]
    batch = max(x.lo.shape[0] for x in factors)

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = (np.broadcast_to(v, (batch, *shape)) for v, shape in zip((a, b), shapes, strict=True))
        out = [numbers[axis] for axis in node.axes]
        return np.stack([np.einsum(a[k], labels[0], b[k], labels[1], out, optimize=True) for k in range(batch)])

    with np.errstate(all="ignore"):
        middles = [x.lo if x.exact else 0.5 * (x.lo + x.hi) for x in factors]
        ends = list(zip(factors, middles, strict=True))
        radii = [np.where(x.hi > x.lo, np.nextafter(np.maximum(x.hi - m, m - x.lo), np.inf), 0.0) for x, m in ends]
        sizes = [np.abs(m) for m in middles]
        middle = product(*middles)
        count = math.prod(axis.size for axis in node.over)
        error = gamma(count + 4) * product(*sizes) + _TINY * count
        if not all(x.exact for x in factors):
            error = error + product(sizes[0], radii[1]) + product(radii[0], sizes[1]) + product(*radii)
        error = np.nextafter(error * (1 + gamma(count + 16)), np.inf)
        return Interval.of(np.nextafter(middle - error, -np.inf), np.nextafter(middle + error, np.inf))


# ---- other nodes ----------------------------------------------------------------------------


def _reduce(node: Reduce, x: Interval, axes: Sequence[Axis]) -> Interval:
    places = tuple(1 + axes.index(axis) for axis in node.over)
    sizes = [axis.size for axis in node.over]
    if node.operation == "norm":
        squares = total(x.power(2), places, sizes)
        return enclose(sympy.sqrt(argument(0)), {argument(0): squares})
    if node.operation == "min":
        return Interval.of(x.lo.min(places), x.hi.min(places))
    largest = Interval.of(x.lo.max(places), x.hi.max(places))
    if node.operation == "max":
        return largest
    # max <= logsumexp <= max + log(count)
    count = enclose(sympy.log(sympy.Integer(math.prod(sizes))), {})
    return Interval.of(largest.lo, (largest + count).hi)


def _select(x: Interval, axes: Sequence[Axis], at: Sequence[tuple[Axis, IndexMap]]) -> Interval:
    kept = [k for k, axis in enumerate(axes) if axis not in {a for a, _ in at}]
    places = [axes.index(axis) for axis, _ in at]
    order = [0, *(1 + k for k in kept), *(1 + k for k in places)]
    indices = tuple(index.positions for _, index in at)

    def take(a: np.ndarray) -> np.ndarray:
        moved = a.transpose(order)
        chosen = [i if moved.shape[1 + len(kept) + k] > 1 else np.zeros_like(i) for k, i in enumerate(indices)]
        kept_whole: tuple[Any, ...] = (slice(None),) * (1 + len(kept))
        return moved[(*kept_whole, *chosen)]

    return x.map(take)


def scatter(x: Interval, axes: Sequence[Axis], at: Sequence[tuple[Axis, IndexMap]], along: Axis | None) -> Interval:
    """The range of a Scatter: the elements of `x` along the label `along` added at their positions."""
    kept = tuple(axis for axis in axes if axis != along)
    indices = np.broadcast_arrays(*(np.atleast_1d(index.positions) for _, index in at))
    count = indices[0].size
    values = aligned(x, axes, (*kept, along) if along else kept)
    if along is None:
        values = values.map(lambda a: a[..., None])
    values = values.map(lambda a: np.broadcast_to(a, (*a.shape[:-1], count)))
    shape = (*values.lo.shape[:-1], *(axis.size for axis, _ in at))
    distinct = len({tuple(position) for position in np.stack(indices, -1).tolist()}) == count

    def add(ends: np.ndarray) -> np.ndarray:
        result = np.zeros(shape)
        if distinct:
            everywhere: Any = (..., *indices)
            result[everywhere] = ends
        elif count > _ONE_BY_ONE:
            scattered: Any = (..., *indices)
            sizes = np.zeros(shape)
            with np.errstate(all="ignore"):
                np.add.at(result, scattered, ends)
                np.add.at(sizes, scattered, np.abs(ends))
                below = np.nextafter(result - np.nextafter(gamma(count + 2) * sizes, np.inf), -np.inf)
            return np.where(sizes == 0, 0.0, below)
        else:
            for k in range(count):
                place: Any = (..., *(index[k] for index in indices))
                result[place] = add_down(result[place], ends[..., k])
        return result

    return Interval.of(add(values.lo), -add(-values.hi))
