"""Convexity by rules of composition (Grant, Boyd, Ye 2006), with exact ranges for what multiplies.

A node is judged on the region, where all its functions are defined, which is asked first, and which is convex in the
own variables, which is asked of the conditions. Multipliers may depend on all other variables; what no rule decides is
opened into a sum of monomials, or decided by its second derivatives if it is a function of few affine expressions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.elementary import power
from bileveldsl.certify.check.enclosures import Ranges
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.polynomials import normal_form, polynomials, ring
from bileveldsl.certify.check.quadratic import definiteness, is_nonnegative_quadratic
from bileveldsl.certify.check.ranges import ONE, at_most, number
from bileveldsl.certify.check.reading import record
from bileveldsl.certify.check.second import FewArguments
from bileveldsl.certify.check.shapes import Shape, exponential_shape, power_shape, shape, sign
from bileveldsl.certify.check.terms import Rejected

_TERMS = 100  # of a product that is multiplied out
_PRODUCTS = 20_000
_QUADRATIC = 100  # variables of a quadratic form
_ATTEMPTS = 300  # at multiplying out and at second derivatives


class Curvature(NamedTuple):
    """Both for an affine node, neither for one of which nothing is known."""

    convex: bool
    concave: bool

    @property
    def affine(self) -> bool:
        return self.convex and self.concave

    @property
    def known(self) -> bool:
        return self.convex or self.concave

    @property
    def flipped(self) -> Curvature:
        return Curvature(self.concave, self.convex)


AFFINE, CONVEX, CONCAVE, UNKNOWN = (
    Curvature(True, True),
    Curvature(True, False),
    Curvature(False, True),
    Curvature(False, False),
)


def check(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """sign * root is convex by composition; any further curvature that the goal grants is not needed."""
    record(proof, {"kind"})
    if goal.shift < 0:
        raise Rejected("composition says nothing of strong convexity")
    composition = composition_of(context, goal.own)
    if not composition.ranges(goal.root).defined:
        raise Rejected("the function may not be defined on all of the region")
    found = composition(goal.root)
    if not (found.convex if goal.sign > 0 else found.concave):
        raise Rejected(f"the rules of composition do not show the function {'convex' if goal.sign > 0 else 'concave'}")


def composition_of(context: Context, own: Sequence[int]) -> Composition:
    key = ("composition", tuple(own))
    if key not in context.memo:
        context.memo[key] = Composition(context, own)
    found: Composition = context.memo[key]
    return found


class Composition:
    """The curvature of nodes in the own variables, for all values of the others."""

    def __init__(self, context: Context, own: Sequence[int]):
        self.table = context.table
        self.own = tuple(own)
        self.ranges = Ranges(context.table, context.box, context.known)
        self.few = FewArguments(context, own, self.moves)
        self._attempts = _ATTEMPTS
        self._memo: dict[int, Curvature] = {}
        self._moving: dict[int, bool] = {}

    def __call__(self, node: int) -> Curvature:
        for each in self.table.reachable([node], self._memo):
            self._memo[each] = self._judge(each) if self.moves(each) else AFFINE
        return self._memo[node]

    def moves(self, node: int) -> bool:
        """Whether an own variable occurs in a node."""
        for each in self.table.reachable([node], self._moving):
            if self.table.operation[each] == "var":
                self._moving[each] = self.table.value[each] in self.own
            else:
                self._moving[each] = any(self._moving[child] for child in self.table.arguments[each])
        return self._moving[node]

    # ---- nodes ----

    def _judge(self, node: int) -> Curvature:
        found = self._by_rule(node)
        if found.known or self._attempts <= 0 or self.table.operation[node] == "var":
            return found
        self._attempts -= 1
        found = self._opened(node)
        return found if found.known else self._by_few(node)

    def _affine(self, node: int) -> bool:
        return self(node).affine

    def _by_few(self, node: int) -> Curvature:
        if self.few.bends(node, self._affine, 1):
            return CONVEX
        return CONCAVE if self.few.bends(node, self._affine, -1) else UNKNOWN

    def _by_rule(self, node: int) -> Curvature:
        operation, arguments = self.table.operation[node], self.table.arguments[node]
        if operation == "var":
            return AFFINE
        if operation == "+":
            found = self._sum(arguments, [self(term) for term in arguments])
            return found if found.known else self._by_groups(arguments)
        if operation == "*":
            return self._product(node)
        if operation == "^":
            return self._power(arguments[0], self.table.value[node])
        if operation == "pow":
            return self._general_power(*arguments)
        if operation in ("max", "min"):
            parts = [self(a) for a in arguments]
            if operation == "max":
                return CONVEX if all(p.convex for p in parts) else UNKNOWN
            return CONCAVE if all(p.concave for p in parts) else UNKNOWN
        if operation == "huber":
            return self._huber(*arguments)
        if operation == "relative_entropy":
            return self._relative_entropy(*arguments)
        if operation == "log" and self._log_convex(arguments[0]):
            return CONVEX
        return self._compose(shape(operation, self.ranges(arguments[0])), arguments[0])

    def _compose(self, outer: Shape | None, inner: int) -> Curvature:
        inside = self(inner)
        if outer is None or not inside.known:
            return UNKNOWN
        up, down = outer.direction > 0, outer.direction < 0
        rises = inside.affine or (inside.convex and up) or (inside.concave and down)
        falls = inside.affine or (inside.concave and up) or (inside.convex and down)
        return Curvature(outer.convex and rises, outer.concave and falls)

    # ---- sums ----

    def _sum(self, terms: Sequence[int], parts: Sequence[Curvature]) -> Curvature:
        """A sum whose terms, the quadratic ones taken together, bend one way."""
        convex, concave = [p.convex for p in parts], [p.concave for p in parts]
        if all(convex) or all(concave):
            return Curvature(all(convex), all(concave))
        return Curvature(self._outweighed(terms, convex, True), self._outweighed(terms, concave, False))

    def _affine_parts(self, node: int) -> set[int]:
        """The largest affine nodes under a node."""
        found: set[int] = set()
        seen, stack = {node}, [node]
        while stack:
            each = stack.pop()
            if self(each).affine:
                found.add(each)
            else:
                fresh = {child for child in self.table.arguments[each] if self.moves(child)} - seen
                seen |= fresh
                stack += fresh
        return found

    def _outweighed(self, terms: Sequence[int], good: Sequence[bool], convex: bool) -> bool:
        """Whether the quadratic terms that bend the wrong way are outweighed by others in the same variables."""
        inside = self.table.variables([t for t, well in zip(terms, good, strict=True) if not well])
        own = [index for index in self.own if index in inside]
        if len(own) > _QUADRATIC:
            return False
        generators = self._indeterminates([self.table.var(index) for index in own])
        total = ring(len(own)).constant(0)
        for term, well in zip(terms, good, strict=True):
            part = self._polynomial(term, generators)
            if part is not None and part.total_degree() <= 2:
                total += part
            elif not well:
                return False
        return definiteness(total, len(own))[0 if convex else 1]

    def _indeterminates(self, nodes: Sequence[int]) -> dict[int, fmpq_mpoly]:
        return dict(zip(nodes, ring(len(nodes)).gens(), strict=False))

    def _polynomial(self, node: int, generators: dict[int, fmpq_mpoly]) -> fmpq_mpoly | None:
        try:
            return polynomials(self.table, [node], generators, _PRODUCTS)[0]
        except Rejected:  # too large to be of use here
            return None

    def _by_groups(self, terms: Sequence[int]) -> Curvature:
        """A sum of functions, each the sum of the terms that share affine expressions."""
        bending = [k for k, term in enumerate(terms) if not self(term).affine]
        parent = list(range(len(terms)))

        def group(k: int) -> int:
            while parent[k] != k:
                parent[k] = parent[parent[k]]
                k = parent[k]
            return k

        first: dict[int, int] = {}
        for k in bending:
            for part in self._affine_parts(terms[k]):
                parent[group(k)] = group(first.setdefault(part, k))
        groups: dict[int, list[int]] = {}
        for k in bending:
            groups.setdefault(group(k), []).append(terms[k])
        if len(groups) < 2:
            return UNKNOWN
        parts = [self(self.table.add(each)) for each in groups.values()]
        return Curvature(all(p.convex for p in parts), all(p.concave for p in parts))

    # ---- products and powers ----

    def _factors(self, node: int) -> dict[int, fmpq]:
        """The powers of which a node is the product, where it is defined."""
        exponents: Counter[int] = Counter()
        stack = [(node, ONE)]
        while stack:
            each, exponent = stack.pop()
            operation, arguments = self.table.operation[each], self.table.arguments[each]
            if operation == "*" and exponent.q == 1:
                stack += [(child, exponent) for child in arguments]
            elif operation == "^" and exponent.q == 1:
                stack.append((arguments[0], exponent * self.table.value[each]))
            else:
                exponents[each] += exponent  # type: ignore[assignment]
        return {base: fmpq(exponent) for base, exponent in exponents.items()}

    def _product(self, node: int) -> Curvature:
        """A multiplier of known sign times a product of powers."""
        factors = self._factors(node)
        found = self._monomial({b: e for b, e in factors.items() if e != 0 and self.moves(b)})
        if not found.convex and not found.concave and self._log_convex(node):
            return CONVEX
        if found.affine or not found.known:
            return found
        fixed = [power(self.ranges(b), e) for b, e in factors.items() if not self.moves(b)]
        multiplier = reduce(lambda a, b: a * b, fixed, number(1))
        return found if multiplier.nonnegative else found.flipped if multiplier.nonpositive else UNKNOWN

    def _monomial(self, powers: dict[int, fmpq]) -> Curvature:
        """A product of powers b^e: concave for e >= 0 that add up to at most 1, convex for e <= 0 and for one e > 0
        where all add up to at least 1 (Boyd and Vandenberghe 2004, exercise 3.36 and section 3.2.4)."""
        if len(powers) <= 1:
            return next((self._power(b, e) for b, e in powers.items()), AFFINE)
        rising = [b for b, e in powers.items() if e > 0]
        concave = all(
            self(b).concave and self.ranges(b).nonnegative for b, e in powers.items() if e < 0 or len(rising) > 1
        )
        total = sum(powers.values(), fmpq(0))
        if len(rising) == len(powers):
            return CONCAVE if concave and total <= 1 else UNKNOWN
        if not rising:
            return CONVEX if concave else UNKNOWN
        if len(rising) > 1 or total < 1 or not concave:
            return UNKNOWN
        above, exponent = self(rising[0]), powers[rising[0]]
        even = exponent.q == 1 and exponent.p % 2 == 0
        grows = above.convex and self.ranges(rising[0]).nonnegative
        return CONVEX if grows or (even and above.affine) else UNKNOWN

    def _power(self, base: int, exponent: fmpq) -> Curvature:
        if exponent == 1:
            return self(base)
        whole = int(exponent.p) if exponent.q == 1 else None
        found = self._compose(power_shape(number(exponent), whole, self.ranges(base)), base)
        if not found.known and exponent >= fmpq(1, 2) and self._sum_of_squares(base):
            return CONVEX  # a norm, to a power of at least 1
        return found

    def _general_power(self, base: int, exponent: int) -> Curvature:
        below, above = self.ranges(base), self.ranges(exponent)
        if not self.moves(exponent):
            return self._compose(power_shape(above, None, below), base) if below.nonnegative else UNKNOWN
        if self.moves(base) or not below.positive:
            return UNKNOWN
        return self._compose(exponential_shape(below), exponent)

    def _sum_of_squares(self, node: int) -> bool:
        """Whether the root of a node is the norm of affine, of nonnegative convex and of fixed expressions."""
        if not self.moves(node):
            return self.ranges(node).nonnegative
        if self.table.operation[node] == "+":
            return all(map(self._sum_of_squares, self.table.arguments[node])) or self.is_definite(node)
        factors = self._factors(node)
        moving = [(b, e) for b, e in factors.items() if self.moves(b) and e != 0]
        fixed = [power(self.ranges(b), e) for b, e in factors.items() if not self.moves(b)]
        if not reduce(lambda a, b: a * b, fixed, number(1)).nonnegative or len(moving) != 1:
            return False
        [(base, exponent)] = moving
        if exponent == 1:
            return self.table.operation[base] == "+" and self._sum_of_squares(base)
        if exponent != 2:
            return False
        inside, r = self(base), self.ranges(base)
        return inside.affine or (inside.convex and r.nonnegative) or (inside.concave and r.nonpositive)

    def is_definite(self, node: int) -> bool:
        """Whether a node is a quadratic polynomial that is nowhere negative."""
        p = self._polynomial(node, self._indeterminates([self.table.var(index) for index in self.own]))
        return p is not None and p.total_degree() <= 2 and is_nonnegative_quadratic(p, len(self.own))

    # ---- other functions ----

    def _huber(self, size: int, threshold: int) -> Curvature:
        if self.moves(threshold) or not self.ranges(threshold).nonnegative:
            return UNKNOWN
        return self._compose(Shape(True, False, sign(self.ranges(size))), size)

    def _relative_entropy(self, x: int, y: int) -> Curvature:
        # x log(x / y) is jointly convex; for a fixed x >= 0 it decreases in y.
        decreasing = not self.moves(x) and self.ranges(x).nonnegative
        return CONVEX if self(x).affine and (self(y).affine or (decreasing and self(y).concave)) else UNKNOWN

    def _log_convex(self, node: int) -> bool:
        """Whether the logarithm of a node is convex: sums and products of exponentials of convex expressions."""
        if not self.moves(node):
            return self.ranges(node).nonnegative
        operation, arguments = self.table.operation[node], self.table.arguments[node]
        if operation in ("+", "*", "max"):
            return all(map(self._log_convex, arguments))
        if operation == "exp":
            return self(arguments[0]).convex
        if operation == "pow" and not self.moves(arguments[0]) and self.ranges(arguments[0]).positive:
            inside, base = self(arguments[1]), self.ranges(arguments[0])
            return inside.affine or (inside.convex and at_most(ONE, base.lo))
        if operation == "^":
            exponent = self.table.value[node]
            if exponent < 0:
                return self(arguments[0]).concave and self.ranges(arguments[0]).nonnegative
            return self._log_convex(arguments[0])
        return False

    # ---- what no rule decides ----

    def _opened(self, node: int) -> Curvature:
        """A polynomial of other nodes as the sum of its monomials, first with what is fixed left whole."""
        for whole in (lambda each: not self.moves(each), lambda each: False):
            opened = normal_form(self.table, node, _TERMS, _PRODUCTS, whole)
            if opened is not None and opened != node:
                terms = self.table.arguments[opened] if self.table.operation[opened] == "+" else (opened,)
                found = self._sum(terms, [self._by_rule(t) if self.moves(t) else AFFINE for t in terms])
                if found.known:
                    return found
        return UNKNOWN
