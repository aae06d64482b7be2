"""Where a follower's facts are claimed: boxes of all variables, and points that the follower may choose."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bileveldsl.calculus.expr import ZERO, Expr, Leaf, Symbol, depends_on, subtract, symbols_of
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.ranges import Ranges, aligned, box
from bileveldsl.language.diagnostics import Span
from bileveldsl.program import DomainCondition, Level, Program

Values = Mapping[Symbol, np.ndarray]


class Region:
    """The boxes of a program's variables, and the set that one follower chooses from."""

    def __init__(self, program: Program, level: Level):
        self.program, self.level = program, level
        self.conditions = tuple(c for c in program.domain if not _within_upper(c, program.upper))
        self.boxes = {v.symbol: box(v.lower, v.upper) for v in program.variables}
        self._narrowed = False
        for constraint in level.constraints:
            if isinstance(constraint.body, Leaf) and constraint.body.symbol in level.symbols:
                self._narrow(constraint.body, constraint.lower, constraint.upper)
        for condition in self.conditions:
            # A variable under a logarithm or square root is nonnegative wherever the model is defined.
            if isinstance(condition.expr, Leaf) and condition.relation in ("> 0", ">= 0"):
                self._narrow(condition.expr, ZERO, None)

    def _narrow(self, variable: Leaf, lower: Expr | None, upper: Expr | None) -> None:
        """Narrows the box of a variable by bounds without variables."""
        symbol = variable.symbol
        for bound, up in ((lower, False), (upper, True)):
            if bound is None or symbol not in self.boxes or any(s.role == "variable" for s in symbols_of(bound)):
                continue
            value = aligned(Ranges({})(bound), bound.axes, variable.axes)
            ends = (np.full_like(value.lo, -np.inf), value.hi) if up else (value.lo, np.full_like(value.hi, np.inf))
            limit = Interval.of(*ends)
            self.boxes[symbol] = self.boxes[symbol].meet(limit)
            self._narrowed |= symbol in self.level.symbols

    @property
    def everything(self) -> bool:
        """Whether the facts hold for all values of the follower's variables."""
        bounded = any(v.bounded or v.kind != "continuous" for v in self.level.variables)
        restricted = any(depends_on(c.expr, self.level.symbols) for c in self.conditions)
        return not (bounded or restricted or self._narrowed)

    def domain_obstacle(self, composition: Composition, conditions: tuple[DomainCondition, ...]) -> str:
        """Why the set where some conditions hold may not be convex in the follower's variables; empty if it is."""
        for condition in conditions:
            if composition.depends(condition.expr) and not _keeps_convex(condition, composition):
                return f"the domain {condition.expr!r} {condition.relation} may not be convex"
        return ""

    def objective_conditions(self) -> tuple[DomainCondition, ...]:
        """The conditions that may come from the objective: all but those written in a constraint."""
        spans = [c.span for c in self.level.constraints]
        return tuple(c for c in self.conditions if not any(_contains(span, c.span) for span in spans))

    # ---- points ----

    def inside(self, values: Values) -> np.ndarray:
        """At which points of a batch every constraint is proved to hold with room around it.

        Constraints that hold only the leader's variables need no room. With an equality in the follower's
        variables, or a variable that its bounds fix, no point has room.
        """
        count = len(next(iter(values.values()))) if values else 1
        if any((v.lower == v.upper).any() or v.kind != "continuous" for v in self.level.variables):
            return np.zeros(count, dtype=bool)
        ranges = Ranges(self._completed(values))
        result = np.ones(count, dtype=bool)
        for constraint in self.level.constraints:
            sides = [e for e in (constraint.body, constraint.lower, constraint.upper) if e is not None]
            strict = any(depends_on(e, self.level.symbols) for e in sides)
            for low, high in ((constraint.lower, constraint.body), (constraint.body, constraint.upper)):
                if low is not None and high is not None:
                    result &= _above(ranges(subtract(high, low)), strict)
        for condition in self.conditions:
            result &= _holds(ranges(condition.expr), condition.relation)
        return result

    def _completed(self, values: Values) -> dict[Symbol, Interval]:
        """Points for every variable: those given, for the others their start or the number nearest to 0."""
        result = {}
        for v in self.program.variables:
            nearest = np.clip(np.zeros(v.symbol.shape) if v.start is None else v.start, v.lower, v.upper)
            result[v.symbol] = Interval.point(values.get(v.symbol, nearest[None]))
        return result


def _above(difference: Interval, strict: bool) -> np.ndarray:
    least = difference.lo.reshape(len(difference.lo), -1).min(1)
    return np.asarray(least > 0 if strict else least >= 0)


def _holds(range_: Interval, relation: str) -> np.ndarray:
    lo, hi = (end.reshape(len(end), -1) for end in (range_.lo, range_.hi))
    if relation == "!= 0":
        each = (lo > 0) | (hi < 0)
    else:
        each = (lo > -1) & (hi < 1) if relation == "in [-1, 1]" else lo > 0
    return np.asarray(each.all(1))


def _keeps_convex(condition: DomainCondition, composition: Composition) -> bool:
    expr: Expr = condition.expr
    bend, range_ = composition(expr), composition.ranges(expr)
    if condition.relation == ">= 0":
        return bend.concave or range_.nonnegative
    if condition.relation == "> 0":
        return bend.concave or range_.positive
    if condition.relation == "in [-1, 1]":
        return bend.affine or (range_.least >= -1 and range_.greatest <= 1)
    above = range_.positive or (range_.nonnegative and bend.concave)
    return above or (-range_).positive or (range_.nonpositive and bend.convex)


def _within_upper(condition: DomainCondition, upper: Level) -> bool:
    return any(_contains(span, condition.span) for span in (upper.objective_span, *(c.span for c in upper.constraints)))


def _contains(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end
