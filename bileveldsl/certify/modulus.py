"""Diagonal bounds of the Hessian of large structured functions: sums of weighted functions of affine maps.

A term sum_e c_e(x) phi(a_e'y - b_e) with c_e phi'' in [alpha, beta] has a Hessian between alpha A'A and beta A'A. Where
each row of A has one entry the bound is kept for each element of y; else it is that of the verified extreme
eigenvalues of A'A. For functions that are not twice differentiable the bounds are those of f - y'Dy/2 being convex
(below) and concave (above).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.expr import (
    Axis,
    Expr,
    Leaf,
    Select,
    Symbol,
    add,
    apply,
    argument,
    constant,
    contract,
    multiply,
    rename,
    scatter,
    symbols_of,
)  # fmt: skip
from bileveldsl.calculus.expr import reduce as reduce_node
from bileveldsl.certify import ranges as r
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.gram import Gram, form, gram
from bileveldsl.certify.interval import REALS, Interval
from bileveldsl.certify.pieces import Affine, Bent, Curved, Form, Piece, Pieces
from bileveldsl.certify.statement import text

Bounds = dict[Symbol, Interval]
"""For each symbol the lower and upper bound of the diagonal, shape (1, *symbol.shape)."""

_UPWARD = Interval.of(np.asarray(0.0), np.asarray(np.inf))


@dataclass(frozen=True, eq=False)
class _Bounded:
    """A piece with its bounds; of a bent one also the weighted second derivative over the labels of the affine node."""

    piece: Piece
    bounds: Bounds
    bend: Interval | None = None
    spectrum: Gram | None = None


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
        self._pieces = Pieces(composition)
        self._grams: dict[Expr, Gram] = {}
        self._memo: dict[Expr, list[_Bounded]] = {}

    def __call__(self, root: Expr) -> Bounds:
        """Bounds D, E of a scalar node with D <= Hessian <= E for every value of every variable in its box."""
        found = _sum(each.bounds for each in self._bounded(root))
        return {s: found.get(s) or Interval.point(np.zeros((1, *s.shape))) for s in self.symbols}

    def _bounded(self, root: Expr) -> list[_Bounded]:
        if root not in self._memo:
            self._memo[root] = [self._bound(piece) for piece in self._pieces(root)]
        return self._memo[root]

    # ---- bounds of pieces ----

    def _bound(self, piece: Piece) -> _Bounded:
        if isinstance(piece, Affine):
            return _Bounded(piece, {})
        if isinstance(piece, Curved):  # no number is known, but perhaps a sign
            found = self.composition(piece.node)
            side = _UPWARD if found.convex else -_UPWARD if found.concave else REALS
            reached = symbols_of(piece.node)
            bound = side * self._weight(piece.weights)
            return _Bounded(piece, {s: _spread(bound, s) for s in self.symbols if s in reached})
        if isinstance(piece, Form):
            spectrum = form(piece.matrix, piece.variable)
            weight = self._weight(piece.weights)
            bound = weight * Interval.of(np.asarray(spectrum.least), np.asarray(spectrum.greatest))
            return _Bounded(piece, {piece.variable: _spread(bound, piece.variable)}, weight, spectrum)
        bend = self._weighted(piece)
        separable = _separable(bend, piece.inner)
        if separable is not None:
            return _Bounded(piece, separable, bend)
        if piece.inner not in self._grams:
            self._grams[piece.inner] = gram(piece.inner, self.symbols, self.composition.ranges)
        spectrum = self._grams[piece.inner]
        bound = Interval.of(np.asarray(bend.least), np.asarray(bend.greatest), bend.positive)
        bound = bound * Interval.of(np.asarray(spectrum.least), np.asarray(spectrum.greatest))
        return _Bounded(piece, {s: _spread(bound, s) for s in spectrum.symbols}, bend, spectrum)

    def _weight(self, fixed: Sequence[Expr]) -> Interval:
        return self.composition.multiplier(fixed).map(lambda a: a.reshape(())) if fixed else Interval.point(1.0)

    def _weighted(self, piece: Bent) -> Interval:
        """The weights times the second derivative, summed over the labels that the affine node lacks."""
        wanted = _labels(piece)
        weights = [r.aligned(self.composition.ranges(p), p.axes, wanted) for p in piece.weights]
        second = r.aligned(piece.second, piece.labels, wanted) if piece.second.lo.ndim else piece.second
        bend = reduce(lambda a, b: a * b, [*weights, second])
        bend = bend.map(lambda a: a.reshape((1,) * (1 + len(wanted) - a.ndim) + a.shape))
        inner = piece.inner
        apart = [k for k, axis in enumerate(wanted) if axis not in inner.axes]
        if apart:
            bend = r.total(bend, tuple(1 + k for k in apart), [wanted[k].size for k in apart])
        return r.aligned(bend, [a for a in wanted if a in inner.axes], inner.axes)

    # ---- what follows from the pieces ----

    def at_each(self, root: Expr) -> Expr | None:
        """A lower bound mu(x) of the least eigenvalue of the Hessian as an expression in the other variables.

        None where there is none but a number. For `sum(softplus(A @ y)) + exp(x)/2 * sumsq(y)` it is `exp(x)`.
        """
        below: dict[Symbol, list[Expr]] = {s: [] for s in self.symbols}
        for each in self._bounded(root):
            shares = self._shares(each)
            for symbol, bound in each.bounds.items():
                if symbol in shares:
                    below[symbol].append(shares[symbol])
                elif bound.least != 0:
                    if not math.isfinite(bound.least):
                        return None
                    below[symbol].append(constant(bound.least))
        least = [reduce_node("min", total, total.axes) for total in (add(*b, constant(0)) for b in below.values())]
        whole = reduce(lambda a, b: apply(f.minimum(argument(0), argument(1)), [a, b]), least)
        return whole if any(s.role == "variable" for s in symbols_of(whole)) else None

    def _shares(self, each: _Bounded) -> dict[Symbol, Expr]:
        """For a piece with weights >= 0 that vary, what it adds to the lower bound of each symbol it bounds from 0."""
        piece, bend = each.piece, each.bend
        if not isinstance(piece, Bent) or bend is None or not self._weight(piece.weights).nonnegative:
            return {}
        number = piece.second.least * (each.spectrum.least if each.spectrum else 1.0)
        if not 0 < number < math.inf or not any(s.role == "variable" for s in symbols_of(*piece.weights)):
            return {}
        inner = piece.inner
        weight = contract(piece.weights, [a for a in _labels(piece) if a not in inner.axes])
        share = multiply(constant(number), weight)
        if each.spectrum is not None:
            least = reduce_node("min", share, share.axes)
            return dict.fromkeys(each.spectrum.symbols, least)
        if isinstance(inner, Select):
            child = inner.children[0]
            assert isinstance(child, Leaf)
            share, inner = scatter(share, inner.at, inner.along), child
        assert isinstance(inner, Leaf)
        return {inner.symbol: rename(share, dict(zip(inner.axes, inner.symbol.axes, strict=True)))}

    def polyak_lojasiewicz(self, root: Expr) -> float:
        """A constant of the inequality for root = h(A y), h strongly convex; 0 where the root has no such form.

        With `h'' >= alpha` it is alpha times the least nonzero eigenvalue of A'A (Karimi, Nutini, Schmidt 2016, 2.3).
        """
        moving = [each for each in self._bounded(root) if each.bounds or not isinstance(each.piece, Bent)]
        inner = {each.piece.inner for each in moving if isinstance(each.piece, Bent)}
        spectrum = next((each.spectrum for each in moving), None)
        if len(inner) != 1 or spectrum is None or not all(isinstance(each.piece, Bent) for each in moving):
            return 0.0
        bends = [each.bend for each in moving if each.bend is not None]
        alpha = sum((Interval.point(b.least) for b in bends), Interval.point(0.0))
        return max((alpha * Interval.point(spectrum.positive)).least, 0.0)

    def proof(self, root: Expr, fact: str) -> dict[str, Any]:
        """What a checker needs besides the root: bounds of spectra, of quadratic forms, and of second derivatives."""
        spectra: dict[int, dict[str, Any]] = {}
        forms: list[dict[str, Any]] = []
        seconds: dict[tuple[str, str], None] = {}
        for each in self._bounded(root):
            gram_, bend = each.spectrum, each.bend
            if isinstance(each.piece, Bent) and not each.piece.second.exact:
                seconds[text(each.piece.second.least), text(each.piece.second.greatest)] = None
            if gram_ is None or bend is None or math.isnan(gram_.trace):
                continue
            hint: dict[str, Any] = {"rows": gram_.rows, "columns": gram_.columns, "trace": str(Fraction(gram_.trace))}
            if isinstance(each.piece, Form):
                forms.append(hint | {"least": str(Fraction(gram_.least)), "greatest": str(Fraction(gram_.greatest))})
                continue
            low = gram_.positive if fact == "pl" else gram_.least
            if low > 0 and (bend.least > 0 or bend.positive) and fact != "smooth":
                hint["least"] = str(Fraction(low))
            if gram_.greatest < math.inf and (fact == "smooth" or bend.least < 0):
                hint["greatest"] = str(Fraction(gram_.greatest))
            if len(hint) > 3:
                spectra[id(gram_)] = hint
        proof = {"kind": "structure", "spectra": list(spectra.values()), "seconds": [list(pair) for pair in seconds]}
        return proof | ({"forms": forms} if forms else {})


def _labels(piece: Bent) -> tuple[Axis, ...]:
    return (*piece.over, *(a for a in piece.inner.axes if a not in piece.over))


def _sum(bounds: Iterable[Bounds]) -> Bounds:
    """The sum; a symbol that is left out has the bound 0."""
    whole: Bounds = {}
    for each in bounds:
        for symbol, bound in each.items():
            whole[symbol] = whole[symbol] + bound if symbol in whole else bound
    return whole


def _spread(bound: Interval, symbol: Symbol) -> Interval:
    return bound.map(lambda a: np.broadcast_to(a, (1, *symbol.shape)))


def _separable(bend: Interval, inner: Expr) -> Bounds | None:
    """The bounds where each element of the affine node is one element of one variable."""
    if isinstance(inner, Leaf):
        return {inner.symbol: _spread(bend, inner.symbol)}
    child = inner.children[0] if isinstance(inner, Select) else None
    if isinstance(inner, Select) and isinstance(child, Leaf):
        targets = tuple(axis for axis, _ in inner.at)
        axes = (*(a for a in child.axes if a not in targets), *targets)
        places = r.aligned(r.scatter(bend, inner.axes, inner.at, inner.along), axes, child.axes)
        return {child.symbol: _spread(places, child.symbol)}
    return None
