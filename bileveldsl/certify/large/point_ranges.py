"""Ranges at single points, and where a function is smooth around one: as tight as rounding allows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import sympy

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Expr,
    Leaf,
    Map,
    Reduce,
    Symbol,
    apply,
    argument,
    contract,
    leaf,
    subtract,
)  # fmt: skip
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.elementary import enclose
from bileveldsl.certify.interval import Interval, gamma
from bileveldsl.certify.parts import part
from bileveldsl.certify.ranges import Ranges, aligned

_AT_ONCE, _MOST = 4096, 1 << 18  # elements
_BLOCK = 1 << 20  # elements of data
_TINY = 2.0**-1000


class PointRanges(Ranges):
    """Ranges where every box is one point."""

    def _range(self, node: Expr) -> Interval:
        if isinstance(node, Reduce) and node.operation == "logsumexp":
            return self._log_sum_exp(node)
        if isinstance(node, Map):
            inside = [aligned(self._memo[child], child.axes, node.axes) for child in node.children]
            return enclosed(node.fn, inside) if inside else super()._range(node)
        if isinstance(node, Contract) and len(node.children) > 2:
            return self._by_pairs(node)
        if isinstance(node, Contract) and (found := self._by_rows(node)) is not None:
            return found
        return super()._range(node)

    def within(self, boxes: Mapping[Symbol, Interval]) -> PointRanges:
        return PointRanges(boxes, self)

    def _by_rows(self, node: Contract) -> Interval | None:
        """Exact data times a vector, some rows at a time, so that no copy of the data is made; None for other sums.

        However the sum is ordered, one of m products errs by at most gamma_m times the sum of their absolute values
        (Higham, Accuracy and Stability, 3.5), and each underflow adds at most 2^-1074.
        """
        if len(node.children) != 2:
            return None
        data, vector = sorted(node.children, key=lambda child: -len(child.axes))
        values = data.symbol.value if isinstance(data, Leaf) and data.symbol not in self.boxes else None
        if values is None or len(data.axes) != 2 or len(vector.axes) != 1 or node.over != vector.axes:
            return None
        values, factor = np.asarray(values), self._memo[vector]
        finite = bool((np.isfinite(factor.lo) & np.isfinite(factor.hi)).all())
        if values.dtype != np.float64 or len(factor.lo) != 1 or not finite:
            return None
        lo, hi = (np.broadcast_to(end[0], vector.shape) for end in (factor.lo, factor.hi))
        middle = lo if factor.exact else 0.5 * (lo + hi)
        radius = np.zeros_like(lo) if factor.exact else np.nextafter(np.maximum(hi - middle, middle - lo), np.inf)
        along_rows = vector.axes[0] == data.axes[1]
        count, length = (data.shape if along_rows else data.shape[::-1])
        sums = np.zeros((2, count))
        step = max(_BLOCK // max(values.shape[1], 1), 1)
        with np.errstate(all="ignore"):
            for start in range(0, len(values), step):
                here = slice(start, start + step)
                block = values[here]
                size = np.abs(block)
                margin = gamma(2 * length + 16)
                if along_rows:
                    sums[0, here] = block @ middle
                    sums[1, here] = size @ (margin * np.abs(middle) + radius)
                else:
                    sums[0] += middle[here] @ block
                    sums[1] += (margin * np.abs(middle[here]) + radius[here]) @ size
            error = np.nextafter(sums[1] * (1 + gamma(2 * length + 16)) + _TINY * length, np.inf)
            below, above = np.nextafter(sums[0] - error, -np.inf), np.nextafter(sums[0] + error, np.inf)
            return Interval.of(below[None], above[None])

    def _by_pairs(self, node: Contract) -> Interval:
        """A sum of products of several factors, two of which are taken together first: as few elements as can be."""
        places = sorted(range(len(node.children)), key=lambda k: len(node.children[k].axes))
        *others, largest = [node.children[k] for k in places]
        for k, child in enumerate(others):
            rest = [*others[:k], *others[k + 1 :]]
            inner = [a for a in child.axes if a in node.over and not any(a in each.axes for each in rest)]
            if inner and set(inner) <= set(largest.axes):
                return self._with(contract([largest, child], inner), rest, node, inner)
        return self._with(contract(others[:2], ()), [*others[2:], largest], node, ())

    def _with(self, pair: Expr, rest: Sequence[Expr], node: Contract, gone: Sequence[Axis]) -> Interval:
        """The sum with two factors replaced by a symbol that has the range of their product."""
        product = Symbol("", "variable", tuple(a.dim for a in pair.axes))
        whole = self(pair).map(lambda a: np.broadcast_to(a, (1, *pair.shape)))
        sum_ = contract([leaf(product, pair.axes), *rest], [a for a in node.over if a not in gone])
        return aligned(self.within({product: whole})(sum_), sum_.axes, node.axes)

    def _log_sum_exp(self, node: Reduce) -> Interval:
        """max + log sum exp(. - max), any numbers near the greatest elements being as good as these."""
        (child,) = node.children
        inside = self._memo[child]
        places = tuple(1 + child.axes.index(axis) for axis in node.over)
        with np.errstate(all="ignore"):
            top = np.nan_to_num(inside.lo.max(places, keepdims=True))
        away = inside - Interval.point(top)
        total = enclosed(sympy.exp(argument(0)), [away]).sum(places)
        return enclosed(sympy.log(argument(0)), [total]) + Interval.point(top.reshape(total.lo.shape))


def enclosed(fn: sympy.Expr, values: Sequence[Interval]) -> Interval:
    """A function of `argument(0), ...` elementwise, some at a time: of too many at once only the hull is told."""
    shape = np.broadcast_shapes(*(v.lo.shape for v in values)) if values else (1,)
    count = math.prod(shape)
    if not _AT_ONCE < count <= _MOST:
        found = enclose(fn, {argument(k): v for k, v in enumerate(values)})
        return found.map(lambda a: a.reshape((1,) * (len(shape) - a.ndim) + a.shape))
    lo, hi = np.empty((2, count))
    flat = [v.map(lambda a: np.broadcast_to(a, shape).reshape(1, -1)) for v in values]
    for start in range(0, count, _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        chosen = {argument(k): Interval.of(v.lo[:, here], v.hi[:, here]) for k, v in enumerate(flat)}
        part_ = enclose(fn, chosen)
        lo[here], hi[here] = part_.lo, part_.hi
    return Interval.of(lo.reshape(shape), hi.reshape(shape))


class PointComposition(Composition):
    """What is smooth around a point, be it not smooth everywhere."""

    def _smooth_at(self, node: Map, e: sympy.Expr) -> bool:
        if e.func in (sympy.Abs, sympy.sign, f.step):
            return self._apart(part(node, e.args[0]))
        if e.func in (f.maximum, f.minimum):
            return self._apart(subtract(part(node, e.args[0]), part(node, e.args[1])))
        if e.func is f.huber:
            size = apply(sympy.Abs(argument(0)), [part(node, e.args[0])])
            return self._apart(subtract(size, part(node, e.args[1])))
        return super()._smooth_at(node, e)

    def _apart(self, node: Expr) -> bool:
        found = self.ranges(node)
        return bool(((found.lo > 0) | (found.hi < 0)).all())
