"""Convexity of the nodes of a model over arrays: rules for sums, reductions and selections, around those of scalars.

An elementwise function of affine nodes is judged by the scalar rules as a function of scalar variables, each in the
range of its node: if it is convex in these it is convex in whatever they depend on affinely.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce

from flint import fmpq

from bileveldsl.certify.check.array_model import Model
from bileveldsl.certify.check.array_ranges import ArrayRanges
from bileveldsl.certify.check.composition import (
    AFFINE,
    CONCAVE,
    CONVEX,
    UNKNOWN,
    Composition,
    Curvature,
)  # fmt: skip
from bileveldsl.certify.check.convex_domain import require_convex_region
from bileveldsl.certify.check.elementary import power
from bileveldsl.certify.check.goals import Context
from bileveldsl.certify.check.ranges import Range
from bileveldsl.certify.check.reading import Condition, Problem
from bileveldsl.certify.check.terms import Rejected


class Moving:
    """Which nodes depend on some symbols."""

    def __init__(self, model: Model, own: Iterable[int]):
        self._model = model
        self._own = frozenset(own)
        self._memo: dict[int, bool] = {}

    def __call__(self, scalar: int) -> bool:
        """Of a node of the table."""
        return self.any(self._model.table.variables([scalar]))

    def any(self, nodes: Iterable[int]) -> bool:
        return any(map(self.node, nodes))

    def node(self, k: int) -> bool:
        stack = [k]
        while stack:
            node = self._model.nodes[stack[-1]]
            fresh = [c for c in node.children if c not in self._memo]
            if fresh:
                stack += fresh
                continue
            own = node.kind == "leaf" and node.symbol in self._own
            self._memo[stack.pop()] = own or any(self._memo[c] for c in node.children)
        return self._memo[k]


class ArrayCurvature:
    """The curvature of nodes in some symbols, for all values of the others."""

    def __init__(self, model: Model, ranges: ArrayRanges, moves: Moving):
        self.model = model
        self.ranges = ranges
        self.moves = moves
        self._nodes: dict[int, Curvature] = {}
        self._scalars: dict[int, Curvature] = {}

    def __call__(self, scalar: int) -> Curvature:
        """Of a node of the table, every element of it."""
        if scalar not in self._scalars:
            for k in sorted(self.model.table.variables([scalar])):
                self.node(k)
            self._scalars[scalar] = self._function(scalar)
        return self._scalars[scalar]

    def node(self, k: int) -> Curvature:
        seen, stack = {k}, [k]
        while stack:
            fresh = {c for c in self.model.nodes[stack.pop()].children if c not in self._nodes} - seen
            seen |= fresh
            stack += fresh
        for each in sorted(seen):  # children stand before those who use them, renamed ones too
            if each not in self._nodes:
                self._nodes[each] = self._node(each) if self.moves.node(each) else AFFINE
        return self._nodes[k]

    def context(self, scalars: Sequence[int]) -> Context:
        """Nodes of the table as functions of scalar variables in the ranges of the nodes that they stand for."""
        table = self.model.table
        below = table.reachable(scalars)
        atoms = [table.value[n] for n in below if table.operation[n] == "var"]
        conditions = tuple(Condition(n, relation) for n in below for relation in self.ranges.relations(n))
        own = tuple(k for k in sorted(atoms) if self.moves.node(k))
        box = {k: self.ranges.node(k).whole for k in atoms}
        return Context(Problem(table, (), {}, (), ()), own, box, conditions)

    def require_convex_region(self) -> None:
        """Rejects unless the conditions are met on a set that is convex in the symbols."""
        scalars = [self.model.scalar[node] for node, _ in self.ranges.conditions]
        context = self.context(scalars)
        if not all(self.node(k).affine for k in context.own):
            raise Rejected("the domain may not be convex")
        require_convex_region(context, context.own)

    # ---- functions of scalars ----

    def _function(self, scalar: int) -> Curvature:
        table = self.model.table
        if not self.moves(scalar):
            return AFFINE
        if table.operation[scalar] == "var":
            return self.node(table.value[scalar])
        context = self.context([scalar])
        if all(self.node(k).affine for k in table.variables([scalar])):
            return Composition(context, context.own)(scalar)
        arguments = table.arguments[scalar]
        if table.operation[scalar] == "+":
            return self._combined(map(self, arguments))
        if table.operation[scalar] == "*":
            return UNKNOWN if all(map(self.moves, arguments)) else self._product(arguments)
        parts = [self(a) for a in arguments]
        if table.operation[scalar] in ("exp", "max", "softplus") and all(p.convex for p in parts):
            return CONVEX
        if table.operation[scalar] in ("log", "min") and all(p.concave for p in parts):
            return CONCAVE
        if table.operation[scalar] == "^" and table.value[scalar] >= 1 and parts[0].convex:
            return CONVEX if self.ranges(arguments[0]).whole.nonnegative else UNKNOWN
        return UNKNOWN

    def _combined(self, parts: Iterable[Curvature]) -> Curvature:
        return reduce(lambda a, b: Curvature(a.convex and b.convex, a.concave and b.concave), parts, AFFINE)

    def _product(self, factors: Sequence[int]) -> Curvature:
        """Multipliers of known sign times one node that varies, or the square of an affine one."""
        moving = [s for s in factors if self.moves(s)]
        fixed = self.multiplier([s for s in factors if not self.moves(s)])
        if len(moving) == 1:
            found = self(moving[0])
        elif len(moving) == 2 and moving[0] == moving[1] and self(moving[0]).affine:
            found = CONVEX
        else:
            found = self(self.model.table.mul(moving))
        if found.affine or fixed.nonnegative:
            return found
        return found.flipped if fixed.nonpositive else UNKNOWN

    def multiplier(self, fixed: Sequence[int]) -> Range:
        """One range for a product, equal factors being powers."""
        counts = Counter(fixed)
        ranges = [power(self.ranges(s).whole, fmpq(n)) for s, n in counts.items()]
        return reduce(lambda a, b: a * b, ranges, Range(fmpq(1), fmpq(1)))

    # ---- nodes ----

    def _node(self, k: int) -> Curvature:
        model, node = self.model, self.model.nodes[k]
        if node.kind == "leaf":
            return AFFINE
        if node.kind == "map":
            return self(model.scalar[k])
        inside = [model.scalar[c] for c in node.children]
        if node.kind == "contract":
            return self._product(inside)
        found = self(inside[0])
        if node.kind in ("select", "scatter"):
            return found
        if node.kind in ("logsumexp", "max"):
            return CONVEX if found.convex else UNKNOWN
        if node.kind == "min":
            return CONCAVE if found.concave else UNKNOWN
        growing = found.convex and self.ranges(inside[0]).whole.nonnegative
        return CONVEX if found.affine or growing else UNKNOWN  # a norm
