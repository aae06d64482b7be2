"""Disciplined composition on the expression DAG: how each node bends in given variables, for every value of the rest.

The rules are those of disciplined convex programming (Grant, Boyd, Ye 2006) with three additions: multipliers may
depend on the other variables, their sign coming from rigorous ranges; a smooth function of few affine arguments may
be decided by its own second derivatives over the ranges of those arguments; and log of a sum of exponentials and
square roots of sums of squares are recognised. Curvature is that on the domain, and every rule makes sure that
the domain is convex.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import sympy

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.expr import (
    Contract,
    Expr,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    argument,
    topological,
)  # fmt: skip
from bileveldsl.certify.atoms import SMOOTH_FUNCTIONS, Atom, atom, integer_power, real_power
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.parts import Dependence, factors, part, terms
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.scalar import semidefinite

Kind = Literal["constant", "affine", "convex", "concave", "unknown"]
_FLIPPED: dict[Kind, Kind] = {"convex": "concave", "concave": "convex"}
_TERMS = 100  # up to which a product is multiplied out
_SHOWN = 100  # characters
_ARGUMENTS = 3  # affine arguments up to which second derivatives are looked at


@dataclass(frozen=True, eq=False)
class Curvature:
    """How a node bends in the variables, every element of it, and what decided it.

    For kind "unknown" `node` is the innermost expression for which no rule holds and `reason` says why.
    """

    kind: Kind
    node: Expr | None = None
    reason: str = ""

    @property
    def convex(self) -> bool:
        return self.kind in ("constant", "affine", "convex")

    @property
    def concave(self) -> bool:
        return self.kind in ("constant", "affine", "concave")

    @property
    def affine(self) -> bool:
        return self.kind in ("constant", "affine")

    @property
    def flipped(self) -> Curvature:
        return Curvature(_FLIPPED.get(self.kind, self.kind), self.node, self.reason)

    @property
    def why(self) -> str:
        return f"{shown(self.node)} {self.reason}" if self.node is not None else self.reason


def shown(node: Expr) -> str:
    """A node as text that fits into a sentence."""
    text = repr(node)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class Composition:
    """The curvature of nodes in `symbols`, every other symbol anywhere in its range; each node judged once.

    Examples
    --------
    >>> import numpy as np
    >>> from bileveldsl.calculus.expr import apply, argument, leaf, multiply
    >>> from bileveldsl.certify.ranges import box
    >>> x, y = Symbol("x", "variable"), Symbol("y", "variable")
    >>> free = box(np.array(-np.inf), np.array(np.inf))
    >>> bends = Composition([y], Ranges({x: free, y: free}))
    >>> bends(multiply(apply(sympy.exp(argument(0)), [leaf(x)]), leaf(y), leaf(y))).kind
    'convex'
    >>> bends(multiply(leaf(x), leaf(y), leaf(y))).why
    'x may be negative or positive: it lies in [-inf, inf]'
    """

    def __init__(self, symbols: Iterable[Symbol], ranges: Ranges):
        self.depends = Dependence(symbols)
        self.ranges = ranges
        self._memo: dict[Expr, Curvature] = {}

    def __call__(self, node: Expr) -> Curvature:
        if node not in self._memo:
            for each in topological([node]):
                if each not in self._memo:
                    self._memo[each] = self._judge(each)
        return self._memo[node]

    def _judge(self, node: Expr) -> Curvature:
        if not self.depends(node):
            return Curvature("constant")
        if isinstance(node, Map):
            return self._map(node)
        if isinstance(node, Contract):
            return self._product(node, node.children)
        if isinstance(node, Reduce):
            return self._reduce(node)
        if isinstance(node, Select | Scatter):
            return self(node.children[0])
        assert isinstance(node, Leaf), f"{type(node).__name__} depends on no variable"
        return Curvature("affine")

    # ---- elementwise functions ----

    def _map(self, node: Map) -> Curvature:
        found = self._by_rule(node)
        if found.kind != "unknown":
            return found
        for kind, sign in (("convex", 1), ("concave", -1)):
            if self._bends(node, sign):
                return Curvature(kind)  # type: ignore[arg-type]
        return found

    def _by_rule(self, node: Map) -> Curvature:
        fn = node.fn
        if fn.is_Add:
            return self._sum(node, [self(term) for term in terms(node)])
        if fn.is_Mul:
            return self._product(node, factors(node))
        if fn.is_Pow:
            return self._power(node, part(node, fn.base), part(node, fn.exp))
        if fn.func in (f.maximum, f.minimum, sympy.Max, sympy.Min):
            return self._extremum(node, fn.func in (f.maximum, sympy.Max), [part(node, a) for a in fn.args])
        args = [part(node, a) for a in fn.args]
        if fn.func is f.huber and not self.depends(args[1]) and self.ranges(args[1]).nonnegative:
            range_ = self.ranges(args[0])
            direction: Literal[-1, 0, 1] = 1 if range_.nonnegative else -1 if range_.nonpositive else 0
            return self._compose(node, Atom(True, False, direction), args[0])
        if fn.func is f.relative_entropy:
            return self._relative_entropy(node, *args)
        if fn.func is sympy.log and self._log_convex(args[0]):
            return Curvature("convex")
        shape = atom(fn.func, self.ranges(args[0])) if len(args) == 1 else None
        return self._compose(node, shape, args[0])

    def _sum(self, node: Expr, parts: Sequence[Curvature]) -> Curvature:
        unknown = next((p for p in parts if p.kind == "unknown"), None)
        if unknown:
            return unknown
        kinds = {p.kind for p in parts} - {"constant", "affine"}
        if len(kinds) == 2:
            return Curvature("unknown", node, "adds convex and concave terms")
        return Curvature(kinds.pop() if kinds else "affine")

    def _product(self, node: Map | Contract, parts: Sequence[Expr]) -> Curvature:
        """A product, summed or not: a multiplier of known sign times a function of the variables."""
        fixed = [p for p in parts if not self.depends(p)]
        bending = [p for p in parts if self.depends(p)]
        found = self._of_factors(node, bending)
        if found.kind == "unknown" and len(bending) > 1 and isinstance(node, Map):
            opened = sympy.expand_mul(node.fn)  # the whole product, its multiplier included
            if opened.is_Add and len(opened.args) <= _TERMS:
                return self(part(node, opened))
        if found.affine or found.kind == "unknown" or not fixed:
            return found
        multiplier = self.multiplier(fixed)
        if multiplier.nonnegative:
            return found
        if multiplier.nonpositive:
            return found.flipped
        culprit = next(p for p in fixed if not (self.ranges(p).nonnegative or self.ranges(p).nonpositive))
        low, high = self.ranges(culprit).least, self.ranges(culprit).greatest
        return Curvature("unknown", culprit, f"may be negative or positive: it lies in [{low:g}, {high:g}]")

    def multiplier(self, fixed: Sequence[Expr]) -> Interval:
        """One interval for a product of factors, equal pairs being squares."""
        powers = {p: fixed.count(p) for p in fixed}
        hulls = [self._hull(p).power(n) for p, n in powers.items()]
        return reduce(lambda a, b: a * b, hulls)

    def _hull(self, node: Expr) -> Interval:
        range_ = self.ranges(node)
        return range_.hull(tuple(range(range_.lo.ndim)))

    def _of_factors(self, node: Map | Contract, bending: Sequence[Expr]) -> Curvature:
        if len(bending) == 1:
            return self(bending[0])
        if len(bending) == 2 and bending[0] is bending[1]:
            shape = _SQUARE if self(bending[0]).affine else integer_power(2, self.ranges(bending[0]))
            return self._compose(node, shape, bending[0])
        if len(bending) == 2 and isinstance(node, Map):
            first, second = bending
            if self._quadratic_over_linear(first, second) or self._quadratic_over_linear(second, first):
                return Curvature("convex")
        return Curvature("unknown", node, "is a product of expressions that both vary with the follower's decision")

    def _quadratic_over_linear(self, over: Expr, under: Expr) -> bool:
        """a^2 / b with a affine, b concave and positive."""
        square = isinstance(over, Map) and over.fn.is_Pow and over.fn.exp == 2
        inverse = isinstance(under, Map) and under.fn.is_Pow and under.fn.exp == -1
        if not (square and inverse):
            return False
        assert isinstance(over, Map) and isinstance(under, Map)
        below = part(under, under.fn.base)
        return self(part(over, over.fn.base)).affine and self(below).concave and self.ranges(below).nonnegative

    def _power(self, node: Map, base: Expr, exponent: Expr) -> Curvature:
        if self.depends(exponent):
            if self.depends(base) or not self.ranges(base).positive:
                return Curvature("unknown", node, "is a power whose base is not known to be fixed and positive")
            grows, shrinks = self.ranges(base).least >= 1, self.ranges(base).greatest <= 1
            return self._compose(node, Atom(True, False, 1 if grows else -1 if shrinks else 0), exponent)
        range_, fixed = self.ranges(base), node.fn.exp
        if fixed.is_Integer:
            shape = integer_power(int(fixed), range_)
        elif fixed.is_Rational or range_.nonnegative:
            shape = real_power(self._hull(exponent))
        else:
            shape = None
        found = self._compose(node, shape, base)
        if found.kind == "unknown" and self._hull(exponent).least >= 0.5 and self._sum_of_squares(base):
            return Curvature("convex")  # a norm, to a power of at least 1
        return found

    def _extremum(self, node: Map, largest: bool, args: Sequence[Expr]) -> Curvature:
        parts = [self(a) for a in args]
        if all(p.convex if largest else p.concave for p in parts):
            return Curvature("convex" if largest else "concave")
        unknown = next((p for p in parts if p.kind == "unknown"), None)
        wrong = "a concave expression" if largest else "a convex expression"
        return unknown or Curvature("unknown", node, f"is a {'maximum' if largest else 'minimum'} over {wrong}")

    def _relative_entropy(self, node: Map, x: Expr, y: Expr) -> Curvature:
        # x log(x / y) is jointly convex; for a fixed x >= 0 it decreases in y.
        decreasing = not self.depends(x) and self.ranges(x).nonnegative
        if self(x).affine and (self(y).affine or (decreasing and self(y).concave)):
            return Curvature("convex")
        return Curvature("unknown", node, "is a relative entropy of expressions that are not affine")

    def _compose(self, node: Expr, shape: Atom | None, inner: Expr) -> Curvature:
        """A function of one argument, of known shape over the range of that argument, after a node."""
        inside = self(inner)
        if inside.kind == "unknown":
            return inside
        if shape is None:
            return Curvature("unknown", node, "has no known curvature over the range of its argument")
        if not self._domain_is_convex(shape, inner, inside):
            return Curvature("unknown", node, "may have a domain that is not convex")
        if shape.convex and shape.concave and inside.affine:
            return Curvature("affine")
        with_, against = shape.direction > 0, shape.direction < 0
        if shape.convex and (inside.affine or (inside.convex and with_) or (inside.concave and against)):
            return Curvature("convex")
        if shape.concave and (inside.affine or (inside.concave and with_) or (inside.convex and against)):
            return Curvature("concave")
        if inside.affine or not (shape.convex or shape.concave):
            return Curvature("unknown", node, "bends both ways over the range of its argument")
        outer = "convex" if shape.convex else "concave"
        return Curvature("unknown", node, f"is a {outer} function of a {inside.kind} expression")

    def _domain_is_convex(self, shape: Atom, inner: Expr, inside: Curvature) -> bool:
        if shape.domain == "real" or inside.affine:
            return True
        range_ = self.ranges(inner)
        return {
            "nonnegative": inside.concave or range_.nonnegative,
            "positive": inside.concave or range_.positive,
            "negative": inside.convex or (-range_).positive,
            "unit": range_.least >= -1 and range_.greatest <= 1,
        }[shape.domain]

    # ---- reductions ----

    def _reduce(self, node: Reduce) -> Curvature:
        child = node.children[0]
        inside = self(child)
        if inside.kind == "unknown":
            return inside
        if node.operation == "min":
            return Curvature("concave") if inside.concave else Curvature("unknown", node, "is taken over convex terms")
        if node.operation == "norm":
            if inside.affine or (inside.convex and self.ranges(child).nonnegative):
                return Curvature("convex")
            return Curvature("unknown", node, "is a norm of expressions that are not affine")
        return Curvature("convex") if inside.convex else Curvature("unknown", node, "is taken over concave terms")

    # ---- recognised forms ----

    def _log_convex(self, node: Expr) -> bool:
        """Whether log(node) is convex: sums and products of exponentials of convex expressions."""
        if not self.depends(node):
            return self.ranges(node).nonnegative
        if isinstance(node, Select):
            return self._log_convex(node.children[0])
        if isinstance(node, Contract):
            return all(map(self._log_convex, node.children))
        if not isinstance(node, Map):
            return False
        if node.fn.is_Add or node.fn.is_Mul:
            return all(map(self._log_convex, terms(node) if node.fn.is_Add else factors(node)))
        if node.fn.func is sympy.exp:
            return self(part(node, node.fn.args[0])).convex
        if node.fn.is_Pow and not self.depends(part(node, node.fn.exp)):
            return self._hull(part(node, node.fn.exp)).nonnegative and self._log_convex(part(node, node.fn.base))
        return False

    def _sum_of_squares(self, node: Expr) -> bool:
        """Whether a node is a sum of squares of affine expressions and of what does not vary."""
        if not self.depends(node):
            return self.ranges(node).nonnegative
        if isinstance(node, Map) and node.fn.is_Add:
            return all(map(self._sum_of_squares, terms(node)))
        if isinstance(node, Map) and node.fn.is_Pow:
            return node.fn.exp == 2 and self(part(node, node.fn.base)).affine
        if isinstance(node, Contract) or (isinstance(node, Map) and node.fn.is_Mul):
            parts = node.children if isinstance(node, Contract) else factors(node)
            fixed, bending = [p for p in parts if not self.depends(p)], [p for p in parts if self.depends(p)]
            if fixed and not self.multiplier(fixed).nonnegative:
                return False
            if len(bending) == 2 and bending[0] is bending[1]:
                return self(bending[0]).affine
            return len(bending) == 1 and self._sum_of_squares(bending[0])
        return False

    # ---- second derivatives ----

    def _bends(self, node: Map, sign: int) -> bool:
        """Whether the Hessian of a function of few affine arguments decides its curvature."""
        varying = [k for k, child in enumerate(node.children) if self.depends(child)]
        if len(varying) > _ARGUMENTS or len(node.children) > 2 * _ARGUMENTS:
            return False
        if not all(self(node.children[k]).affine for k in varying) or not self.smooth(node):
            return False
        return semidefinite(node.fn, varying, [self.ranges(child) for child in node.children], sign)

    def smooth(self, node: Map) -> bool:
        """Whether a Map is twice continuously differentiable in its varying children, its domain being convex.

        On the boundary of the domain, where a square root has no derivative, it need only be continuous.
        """
        varying = {argument(k) for k, child in enumerate(node.children) if self.depends(child)}
        inner = [e for e in node.fn.atoms(sympy.Pow, sympy.Function) if e.free_symbols & varying]
        return all(self._smooth_at(node, e) for e in inner)

    def _smooth_at(self, node: Map, e: sympy.Expr) -> bool:
        args = [part(node, a) for a in e.args]
        if e.is_Pow:
            if e.exp.is_Integer and e.exp >= 0:
                return True
            if self.depends(args[1]):
                return self.ranges(args[0]).positive
            return self._base_is_smooth(args[0], divisor=e.exp.is_Integer)
        if e.func is f.relative_entropy:
            return all(self(a).affine for a in args)
        if e.func not in SMOOTH_FUNCTIONS:
            return False
        if e.func in (sympy.log, f.xlogx):
            return self._base_is_smooth(args[0], divisor=False)
        range_ = self.ranges(args[0])
        if e.func is sympy.tan:
            return atom(sympy.tan, range_) is not None
        inside = range_.least > -1 and range_.greatest < 1
        return e.func not in (sympy.asin, sympy.acos) or inside or self(args[0]).affine

    def _base_is_smooth(self, base: Expr, divisor: bool) -> bool:
        """Whether a base stays away from 0, or reaches it only on the boundary of a convex set.

        A divisor may have either sign, so it must be known; a logarithm or a root is defined for one sign only.
        """
        range_, bend = self.ranges(base), self(base)
        if range_.positive or (bend.concave and (range_.nonnegative or not divisor)):
            return True
        return divisor and ((-range_).positive or (range_.nonpositive and bend.convex))


_SQUARE = Atom(True, False, 0)
