"""Diagonal bounds of the Hessian of large structured functions: sums of weighted functions of affine maps.

A term sum_e c_e(x) phi(a_e'y - b_e) with c_e phi'' in [alpha, beta] has a Hessian between alpha A'A and beta A'A. Where
each row of A has one entry the bound is kept for each element of y; else it is that of the verified extreme
eigenvalues of A'A. For functions that are not twice differentiable the bounds are those of f - y'Dy/2 being convex
(below) and concave (above).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np
import sympy

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.derivative import Derivative, jacobian
from bileveldsl.calculus.expr import (
    ONE,
    Axis,
    Contract,
    Delta,
    Expr,
    Leaf,
    Map,
    Reduce,
    Select,
    Symbol,
    apply,
    argument,
    contract,
    distinct_axes,
    multiply,
    rename,
    symbols_of,
)  # fmt: skip
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.interval import REALS, Interval, gamma
from bileveldsl.certify.parts import factors, multiplications, part, terms
from bileveldsl.certify.ranges import aligned, scatter, total
from bileveldsl.certify.scalar import derivative, infimum
from bileveldsl.certify.spectrum import greatest_eigenvalue, least_eigenvalue

Bounds = dict[Symbol, Interval]
"""For each symbol the lower and upper bound of the diagonal, shape (1, *symbol.shape)."""

_GRAM_SIZE = 1500
_GRAM_WORK = 4e9  # multiplications
_ENTRIES = 1 << 24
_TINY = 2.0**-1000
_UPWARD = Interval.of(np.asarray(0.0), np.asarray(np.inf))


class Modulus:
    """Bounds of the Hessian of scalar nodes in the follower's variables by that of their terms.

    Examples
    --------
    >>> import numpy as np
    >>> from bileveldsl.calculus.expr import leaf, subtract
    >>> from bileveldsl.certify.ranges import Ranges, box
    >>> x, y = Symbol("x", "variable"), Symbol("y", "variable")
    >>> free = box(np.array(-np.inf), np.array(np.inf))
    >>> toy = apply(argument(0) ** 2, [subtract(leaf(y), leaf(x))])
    >>> bounds = Modulus(Composition([y], Ranges({x: free, y: free})), [y])(toy)
    >>> bounds[y].least, bounds[y].greatest
    (2.0, 2.0)
    """

    def __init__(self, composition: Composition, symbols: Sequence[Symbol]):
        self.composition = composition
        self.symbols = tuple(symbols)
        self._spectra: dict[Expr, tuple[tuple[Symbol, ...], float, float]] = {}

    def __call__(self, root: Expr) -> Bounds:
        """Bounds D, E of a scalar node with D <= Hessian <= E for every value of every variable in its box."""
        found = self._add(self._product([term], ()) for term in terms(root))
        return {s: found.get(s) or Interval.point(np.zeros((1, *s.shape))) for s in self.symbols}

    def _add(self, bounds: Iterable[Bounds]) -> Bounds:
        """The sum; a symbol that is left out, here and below, has the bound 0."""
        whole: Bounds = {}
        for each in bounds:
            for symbol, bound in each.items():
                whole[symbol] = whole[symbol] + bound if symbol in whole else bound
        return whole

    # ---- terms ----

    def _product(self, parts: Sequence[Expr], over: tuple[Axis, ...]) -> Bounds:
        """Of the sum over labels of a product."""
        fixed = [p for p in parts if not self.composition.depends(p)]
        bending = [p for p in parts if self.composition.depends(p)]
        if not bending:
            return {}
        if len(bending) == 1:
            return self._factor(fixed, bending[0], over)
        if len(bending) == 2 and bending[0] is bending[1] and self.composition(bending[0]).affine:
            return self._atom(fixed, Interval.point(2.0), (), bending[0], over)
        return self._by_curvature(fixed, contract(bending, ()), over)

    def _factor(self, fixed: Sequence[Expr], node: Expr, over: tuple[Axis, ...]) -> Bounds:
        """Of the sum over labels of fixed factors times a node."""
        if self.composition(node).affine:
            return {}
        if isinstance(node, Map):
            if node.fn.is_Add:
                return self._add(self._product([*fixed, term], over) for term in terms(node))
            if node.fn.is_Mul:
                return self._product([*fixed, *factors(node)], over)
            bend = self._bend(node)
            if bend is not None:
                second, labels, inner = bend
                return self._atom(fixed, second, labels, inner, over)
        if isinstance(node, Contract):
            names = self._fresh(node.over, fixed, node, over)
            children = [rename(child, names) for child in node.children]
            return self._product([*fixed, *children], (*over, *names.values()))
        if isinstance(node, Reduce) and node.operation == "logsumexp" and self.composition(node.children[0]).affine:
            # The Hessian of log-sum-exp is diag(p) - pp', between 0 and 1/2.
            inner = rename(node.children[0], self._fresh(node.over, fixed, node, over))
            return self._atom(fixed, Interval.of(np.asarray(0.0), np.asarray(0.5)), (), inner, over)
        return self._by_curvature(fixed, node, over)

    def _fresh(
        self, bound: Sequence[Axis], fixed: Sequence[Expr], node: Expr, over: Sequence[Axis]
    ) -> dict[Axis, Axis]:
        taken = {*over, *node.axes, *bound, *(a for p in fixed for a in p.axes)}
        return dict(zip(bound, distinct_axes([a.dim for a in bound], taken), strict=True))

    def _by_curvature(self, fixed: Sequence[Expr], node: Expr, over: tuple[Axis, ...]) -> Bounds:
        """No number is known, but perhaps a sign."""
        found = self.composition(node)
        side = _UPWARD if found.convex else -_UPWARD if found.concave else REALS
        bound = side * self._weight(fixed)
        reached = symbols_of(node)
        return {s: self._spread(bound, s) for s in self.symbols if s in reached}

    def _weight(self, fixed: Sequence[Expr]) -> Interval:
        return self.composition.multiplier(fixed).map(lambda a: a.reshape(())) if fixed else Interval.point(1.0)

    def _spread(self, bound: Interval, symbol: Symbol) -> Interval:
        return bound.map(lambda a: np.broadcast_to(a, (1, *symbol.shape)))

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
        if fn.func is f.softplus and fn.args[0] == argument(place):
            return Interval.of(np.asarray(0.0), np.asarray(0.25)), (), inner
        known = fn.func is f.huber and fn.args[0] == argument(place) and self._nonnegative(fn.args[1], children)
        if not known and not self.composition.smooth(node):
            return None
        second = derivative(derivative(fn, argument(place)), argument(place))
        bend = apply(second, children)
        range_ = self.composition.ranges(bend)
        if self.composition.depends(bend):
            ranges = [self.composition.ranges(child) for child in children]
            low, high = infimum(second, ranges).lower, -infimum(-second, ranges).lower
            # A second derivative that is positive everywhere in y need not be bounded away from 0 there.
            range_ = Interval.of(np.maximum(range_.lo, low), np.minimum(range_.hi, high))
        return range_, bend.axes, inner

    def _nonnegative(self, threshold: sympy.Expr, children: Sequence[Expr]) -> bool:
        return self.composition.ranges(apply(threshold, children)).nonnegative

    def _atom(
        self, fixed: Sequence[Expr], second: Interval, labels: tuple[Axis, ...], inner: Expr, over: tuple[Axis, ...]
    ) -> Bounds:
        """Of the sum over labels of fixed factors times a function of an affine node with a given second derivative."""
        wanted = (*over, *(a for a in inner.axes if a not in over))
        weights = [aligned(self.composition.ranges(p), p.axes, wanted) for p in fixed]
        if second.lo.ndim:
            second = aligned(second, labels, wanted)
        bend = reduce(lambda a, b: a * b, [*weights, second])
        bend = bend.map(lambda a: a.reshape((1,) * (1 + len(wanted) - a.ndim) + a.shape))
        apart = [k for k, axis in enumerate(wanted) if axis not in inner.axes]
        bend = total(bend, tuple(1 + k for k in apart), [wanted[k].size for k in apart])
        bend = aligned(bend, [a for a in wanted if a in inner.axes], inner.axes)
        return self._separable(bend, inner) or self._by_spectrum(bend, inner)

    def _separable(self, bend: Interval, inner: Expr) -> Bounds | None:
        """Where each element of the affine node is one element of one variable."""
        if isinstance(inner, Leaf):
            return {inner.symbol: self._spread(bend, inner.symbol)}
        child = inner.children[0] if isinstance(inner, Select) else None
        if isinstance(inner, Select) and isinstance(child, Leaf):
            targets = tuple(axis for axis, _ in inner.at)
            axes = (*(a for a in child.axes if a not in targets), *targets)
            places = aligned(scatter(bend, inner.axes, inner.at, inner.along), axes, child.axes)
            return {child.symbol: self._spread(places, child.symbol)}
        return None

    def _by_spectrum(self, bend: Interval, inner: Expr) -> Bounds:
        if inner not in self._spectra:
            self._spectra[inner] = self._spectrum(inner)
        reached, least, greatest = self._spectra[inner]
        bound = Interval.of(np.asarray(bend.least), np.asarray(bend.greatest), bend.positive)
        bound = bound * Interval.of(np.asarray(least), np.asarray(greatest))
        return {s: self._spread(bound, s) for s in reached}

    # ---- affine maps ----

    def _spectrum(self, inner: Expr) -> tuple[tuple[Symbol, ...], float, float]:
        """The symbols in an affine node, and bounds of the eigenvalues of A'A for its matrix A."""
        reached = tuple(s for s in self.symbols if s in symbols_of(inner))
        each = [self._gram(derivative) for derivative in jacobian(inner, reached)]
        if len(each) == 1:
            return reached, *each[0]
        # |[A B]|^2 <= |A|^2 + |B|^2; nothing is said of the least eigenvalue of several blocks.
        sizes = [Interval.of(np.asarray(0.0), np.asarray(greatest)) for _, greatest in each]
        return reached, 0.0, reduce(lambda a, b: a + b, sizes).greatest

    def _gram(self, derivative: Derivative) -> tuple[float, float]:
        """Bounds of the eigenvalues of A'A for one block of columns."""
        if self.composition.depends(derivative.expr):
            return 0.0, math.inf
        matrix, rows, columns = _without_identities(derivative)
        fresh = distinct_axes([a.dim for a in columns], [*matrix.axes, *rows, *columns])
        twins = dict(zip(columns, fresh, strict=True))
        product = contract([matrix, rename(matrix, twins)], rows)
        size = math.prod(a.size for a in columns)
        if size <= _GRAM_SIZE and multiplications([product]) <= _GRAM_WORK:
            labels = (*columns, *twins.values())
            range_ = aligned(self.composition.ranges(product), product.axes, labels)
            full = tuple(a.size for a in labels)
            square = range_.map(lambda a: np.broadcast_to(a, (1, *full)).reshape(1, size, size))
            return max(float(least_eigenvalue(square)[0]), 0.0), float(greatest_eigenvalue(square)[0])
        return 0.0, self._norm(matrix, rows, columns)

    def _norm(self, matrix: Expr, rows: Sequence[Axis], columns: Sequence[Axis]) -> float:
        """An upper bound of |A|^2: the lesser of |A|_1 |A|_inf and the square of the Frobenius norm."""
        labels = (*rows, *columns)
        full = tuple(a.size for a in labels)
        size = math.prod(full)
        if size > _ENTRIES:
            return math.inf
        range_ = aligned(self.composition.ranges(matrix), matrix.axes, labels)
        with np.errstate(all="ignore"):
            entries = np.broadcast_to(range_.abs().hi, (1, *full)).reshape(math.prod(a.size for a in rows), -1)
            margin = 1 + gamma(2 * size + 8)
            norms = entries.sum(0).max() * entries.sum(1).max() * margin, (entries**2).sum() * margin + _TINY * size
        return float(np.nextafter(min(norms), np.inf))


def _without_identities(derivative: Derivative) -> tuple[Expr, list[Axis], list[Axis]]:
    """A matrix B over rows and columns such that the derivative is B times identities between other labels."""
    parts = factors(derivative.expr)
    identities = [p for p in parts if isinstance(p, Delta)]
    rest = [p for p in parts if not isinstance(p, Delta)]
    gone = [a for p in identities for a in p.axes]
    crossing = all(sum(a in derivative.rows for a in p.axes) == 1 for p in identities)
    if not crossing or len(set(gone)) < len(gone) or any(a in gone for p in rest for a in p.axes):
        rest, gone = [derivative.expr], []
    rows, columns = ([a for a in side if a not in gone] for side in (derivative.rows, derivative.columns))
    return multiply(*rest) if rest else ONE, rows, columns
