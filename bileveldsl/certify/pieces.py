"""A scalar node as a sum of weighted functions of affine nodes: the terms that second-order bounds are made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
    distinct_axes,
    rename,
)  # fmt: skip
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.parts import factors, part, terms
from bileveldsl.certify.scalar import derivative, infimum


@dataclass(frozen=True, eq=False)
class Bent:
    """The sum over `over` and the labels of `inner` of the weights times phi(inner), phi'' in `second`.

    `second` is over `labels`, or one interval; `inner` is affine in the variables, the weights do not hold them.
    """

    weights: tuple[Expr, ...]
    over: tuple[Axis, ...]
    second: Interval
    labels: tuple[Axis, ...]
    inner: Expr


@dataclass(frozen=True, eq=False)
class Form:
    """The weights times y'Ky, y one variable without other labels and K a matrix of data."""

    weights: tuple[Expr, ...]
    matrix: Symbol
    variable: Symbol


@dataclass(frozen=True, eq=False)
class Curved:
    """A sum of weights times a node of which no more is known than how it bends."""

    weights: tuple[Expr, ...]
    node: Expr


@dataclass(frozen=True, eq=False)
class Affine:
    """A part without second derivatives."""

    node: Expr


Piece = Bent | Form | Curved | Affine

_KNOWN: dict[Any, Interval] = {
    f.softplus: Interval.of(np.asarray(0.0), np.asarray(0.25)),
    f.huber: Interval.of(np.asarray(0.0), np.asarray(1.0)),
}
"""The range of the second derivative of functions in their first argument, where the others are >= 0."""
_HINGE = Interval.of(np.asarray(0.0), np.asarray(2.0))
"""Of the square of max(0, t)."""
_UPWARD = Interval.of(np.asarray(0.0), np.asarray(np.inf))


class Pieces:
    """The pieces of scalar nodes in the variables of a composition.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Symbol, leaf, subtract
    >>> from bileveldsl.certify.ranges import Ranges, box
    >>> x, y = Symbol("x", "variable"), Symbol("y", "variable")
    >>> free = box(np.array(-np.inf), np.array(np.inf))
    >>> toy = apply(argument(0) ** 2, [subtract(leaf(y), leaf(x))])
    >>> [(piece.inner, piece.second.least) for piece in Pieces(Composition([y], Ranges({x: free, y: free})))(toy)]
    [(y, 2.0)]
    """

    def __init__(self, composition: Composition):
        self.composition = composition

    def __call__(self, root: Expr) -> Iterator[Piece]:
        for term in terms(root):
            yield from self._product([term], ())

    def _product(self, parts: Sequence[Expr], over: tuple[Axis, ...]) -> Iterator[Piece]:
        """Of the sum over labels of a product."""
        fixed = [p for p in parts if not self.composition.depends(p)]
        bending = [p for p in parts if self.composition.depends(p)]
        if len(bending) == 1:
            yield from self._factor(fixed, bending[0], over)
        elif len(bending) == 2 and bending[0] is bending[1] and self.composition(bending[0]).affine:
            yield Bent(tuple(fixed), over, Interval.point(2.0), (), bending[0])
        elif len(bending) == 2 and bending[0] is bending[1]:
            yield from self._factor(fixed, apply(argument(0) ** 2, [bending[0]]), over)
        elif bending:
            yield self._form(fixed, bending, over) or Curved(tuple(fixed), contract(bending, ()))

    def _form(self, fixed: Sequence[Expr], bending: Sequence[Expr], over: tuple[Axis, ...]) -> Form | None:
        """A sum of products as a quadratic form with the elements of an array of data as its coefficients."""
        apart, labels, waiting = list[Expr](), over, [*fixed, *bending]
        while waiting:
            each = waiting.pop()
            if isinstance(each, Contract) and self.composition.depends(each):
                names = self._fresh(each.over, [*apart, *waiting], each, labels)
                labels += tuple(names.values())
                waiting += [rename(child, names) for child in each.children]
            else:
                apart.append(each)
        own = [p for p in apart if self.composition.depends(p)]
        data = [p for p in apart if p not in own and p.axes]
        if len(own) != 2 or len(data) != 1 or not all(isinstance(p, Leaf) for p in (*own, *data)):
            return None
        first, second, matrix = (p for p in (*own, *data) if isinstance(p, Leaf))
        if first.symbol is not second.symbol or matrix.symbol.role != "data" or len(first.axes) != 1:
            return None
        if {*first.axes, *second.axes} != set(matrix.axes) or set(labels) != set(matrix.axes) or len(labels) != 2:
            return None
        return Form(tuple(p for p in apart if not p.axes), matrix.symbol, first.symbol)

    def _factor(self, fixed: Sequence[Expr], node: Expr, over: tuple[Axis, ...]) -> Iterator[Piece]:
        """Of the sum over labels of fixed factors times a node."""
        if self.composition(node).affine:
            yield Affine(node)
        elif isinstance(node, Map) and node.fn.is_Add:
            for term in terms(node):
                yield from self._product([*fixed, term], over)
        elif isinstance(node, Map) and node.fn.is_Mul:
            yield from self._product([*fixed, *factors(node)], over)
        elif isinstance(node, Map) and (bend := self._bend(node)) is not None:
            yield Bent(tuple(fixed), over, *bend)
        elif isinstance(node, Contract):
            names = self._fresh(node.over, fixed, node, over)
            children = [rename(child, names) for child in node.children]
            yield from self._product([*fixed, *children], (*over, *names.values()))
        elif isinstance(node, Reduce) and node.operation == "logsumexp" and self.composition(node.children[0]).affine:
            # The Hessian of log-sum-exp is diag(p) - pp', between 0 and 1/2.
            inner = rename(node.children[0], self._fresh(node.over, fixed, node, over))
            yield Bent(tuple(fixed), over, Interval.of(np.asarray(0.0), np.asarray(0.5)), (), inner)
        else:
            yield Curved(tuple(fixed), node)

    def _fresh(
        self, bound: Sequence[Axis], fixed: Sequence[Expr], node: Expr, over: Sequence[Axis]
    ) -> dict[Axis, Axis]:
        taken = {*over, *node.axes, *bound, *(a for p in fixed for a in p.axes)}
        return dict(zip(bound, distinct_axes([a.dim for a in bound], taken), strict=True))

    # ---- functions of one affine expression ----

    def _bend(self, node: Map) -> tuple[Interval, tuple[Axis, ...], Expr] | None:
        """The second derivative of a Map as a function of one affine node: its range, over which labels, the node."""
        outermost = node.fn.func(*(a if a.is_number else argument(k) for k, a in enumerate(node.fn.args)))
        whole = self._second(node, node.fn, node.children)
        return whole or self._second(node, outermost, [part(node, a) for a in node.fn.args])

    def _second(
        self, node: Map, fn: sympy.Expr, children: Sequence[Expr]
    ) -> tuple[Interval, tuple[Axis, ...], Expr] | None:
        """The same for one way to see the Map as a function of its children."""
        varying = [k for k, child in enumerate(children) if self.composition.depends(child)]
        if len(varying) != 1 or not self.composition(children[varying[0]]).affine:
            return None
        place, inner = varying[0], children[varying[0]]
        if fn.func in _KNOWN:
            slope = derivative(fn.args[0], argument(place))
            fixed = argument(place) not in slope.free_symbols.union(*(a.free_symbols for a in fn.args[1:]))
            if fixed and all(self.composition.ranges(apply(a, children)).nonnegative for a in fn.args[1:]):
                square = apply(slope**2, children)
                return self.composition.ranges(square) * _KNOWN[fn.func], square.axes, inner
        if (hinge := _hinge(fn, argument(place))) is not None:
            square = apply(hinge**2, children)
            return self.composition.ranges(square) * _HINGE, square.axes, inner
        if not self.composition.smooth(node):
            return None
        second = _root_of_quadratic(fn, argument(place)) or derivative(derivative(fn, argument(place)), argument(place))
        bend = apply(second, children)
        range_ = self.composition.ranges(bend)
        if self.composition.depends(bend):
            ranges = [self.composition.ranges(child) for child in children]
            low, high = infimum(second, ranges).lower, -infimum(-second, ranges).lower
            # A second derivative that is positive everywhere in y need not be bounded away from 0 there.
            range_ = Interval.of(np.maximum(range_.lo, low), np.minimum(range_.hi, high))
            side = self.composition(node)
            if side.convex or side.concave:
                range_ = range_.meet(_UPWARD if side.convex else -_UPWARD)
        return range_, bend.axes, inner


def _hinge(fn: sympy.Expr, t: sympy.Symbol) -> sympy.Expr | None:
    """The slope of e where the function is the square of max(0, e), e affine in t; None of another function."""
    if not fn.is_Pow or fn.exp != 2 or fn.base.func is not f.maximum or not any(a.is_zero for a in fn.base.args):
        return None
    slope = derivative(next((a for a in fn.base.args if not a.is_zero), sympy.Integer(0)), t)
    return None if t in slope.free_symbols else slope


def _root_of_quadratic(fn: sympy.Expr, t: sympy.Symbol) -> sympy.Expr | None:
    """The second derivative of the square root of a q that is quadratic in t, written with t in one place only.

    It is (2 q q'' - q'^2) / (4 q^(3/2)), and the numerator does not vary with t.
    """
    if not fn.is_Pow or fn.exp != f.HALF:
        return None
    slope = derivative(fn.base, t)
    bend = derivative(slope, t)
    if t in bend.free_symbols:
        return None
    numerator = 2 * fn.base * bend - slope**2
    return numerator.xreplace({t: sympy.Integer(0)}) / (4 * fn.base ** sympy.Rational(3, 2))
