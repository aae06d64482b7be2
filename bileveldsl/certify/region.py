"""Where a follower's facts are claimed: boxes of all variables, and points that the follower may choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bileveldsl.calculus.expr import ZERO, Expr, Leaf, Symbol, depends_on, subtract, symbols_of
from bileveldsl.certify.cover import finite_box, scattered
from bileveldsl.certify.curvature import Composition, shown
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.ranges import Ranges, aligned, box
from bileveldsl.language.diagnostics import Span
from bileveldsl.program import DomainCondition, Level, Program, Variable

if TYPE_CHECKING:
    from bileveldsl.certify.statement import Statement

Values = Mapping[Symbol, np.ndarray]
_TRIALS = 8


class Region:
    """The boxes of a program's variables, and the set that one level chooses from.

    Parameters
    ----------
    program, level
        The level is one of the program.
    statement
        The program written out, whose box is narrower, where there is one.
    """

    def __init__(self, program: Program, level: Level, statement: Statement | None = None):
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
        if statement is not None:
            lower, upper = statement.box
            elements = statement.elements
            self.boxes = {s: box(lower[elements[s]], upper[elements[s]]) for s in self.boxes}
            own = {int(k) for symbol in level.symbols for k in elements[symbol].flat}
            self._narrowed |= any(step.variable in own for step in statement.steps)

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
        if bounded or self._narrowed:
            return False
        ranges = Ranges(self.boxes)
        own = [c for c in self.conditions if depends_on(c.expr, self.level.symbols)]
        return all(ranges(c.expr).satisfies(c.relation) for c in own)

    def domain_obstacle(self, composition: Composition, conditions: tuple[DomainCondition, ...]) -> str:
        """Why the set where some conditions hold may not be convex in the follower's variables; empty if it is."""
        for condition in conditions:
            if composition.depends(condition.expr) and not _keeps_convex(condition, composition):
                return f"the domain {shown(condition.expr)} {condition.relation} may not be convex"
        return ""

    def objective_conditions(self) -> tuple[DomainCondition, ...]:
        """The conditions that may come from the objective: all but those written in a constraint."""
        spans = [c.span for c in self.level.constraints]
        return tuple(c for c in self.conditions if not any(_contains(span, c.span) for span in spans))

    # ---- points ----

    @cached_property
    def _slacks(self) -> list[tuple[Expr, bool]]:
        """What must be >= 0 for each side of each constraint, and whether the follower's variables are in it."""
        pairs = [p for c in self.level.constraints for p in ((c.lower, c.body), (c.body, c.upper))]
        slacks = [subtract(high, low) for low, high in pairs if low is not None and high is not None]
        return [(slack, depends_on(slack, self.level.symbols)) for slack in slacks]

    @cached_property
    def constrained(self) -> list[Variable]:
        """The variables in the follower's constraints and in the domain."""
        occurring = symbols_of(*(slack for slack, _ in self._slacks), *(c.expr for c in self.conditions))
        return [v for v in self.program.variables if v.symbol in occurring]

    def inside(self, values: Values) -> np.ndarray:
        """At which points of a batch every constraint is proved to hold with room around it.

        Variables without a value may take any of a few. Constraints that hold only the leader's variables need
        no room. With an equality in the follower's variables, or one that its bounds fix, no point has room.
        """
        count = len(next(iter(values.values()))) if values else 1
        result = np.zeros(count, dtype=bool)
        if any((v.lower == v.upper).any() or v.kind != "continuous" for v in self.level.variables):
            return result
        for rest in self._completions(values):
            result |= self._holds({**rest, **values}, count)
            if result.all():
                break
        return result

    def completed(self, values: Values) -> Values:
        """A point inside with values for the other variables of the constraints too, where they are found."""
        batch = {symbol: value[None] for symbol, value in values.items()}
        for rest in self._completions(batch):
            if self._holds({**rest, **batch}, 1)[0]:
                return {symbol: value[0] for symbol, value in {**rest, **batch}.items()}
        return values

    def _completions(self, values: Values) -> Iterator[dict[Symbol, np.ndarray]]:
        """A few choices for the variables of the constraints that have no value yet."""
        free = [v for v in self.constrained if v.symbol not in values]
        choices = [{v.symbol: np.zeros(v.symbol.shape) if v.start is None else v.start for v in free}]
        if free:
            for share in (0.0, 0.25, 0.5, 0.75, 1.0):
                choices.append({v.symbol: _between(v, np.full(v.symbol.shape, share)) for v in free})
            for k in range(_TRIALS):
                shares = scattered(1, sum(v.lower.size for v in free), 1 + k)[0]
                parts = np.split(shares, np.cumsum([v.lower.size for v in free])[:-1])
                pairs = zip(free, parts, strict=True)
                choices.append({v.symbol: _between(v, share.reshape(v.symbol.shape)) for v, share in pairs})
        for choice in choices:
            near = {v: choice[v.symbol] if v.kind == "continuous" else np.round(choice[v.symbol]) for v in free}
            yield {v.symbol: np.clip(value, v.lower, v.upper)[None] for v, value in near.items()}

    def _holds(self, values: Values, count: int) -> np.ndarray:
        ranges = Ranges({symbol: Interval.point(value) for symbol, value in values.items()})
        result = np.ones(count, dtype=bool)
        for v in self.program.variables:
            if v.kind != "continuous" and v.symbol in values:
                whole = values[v.symbol] == np.round(values[v.symbol])
                result &= whole.reshape(len(whole), -1).all(1)
        for slack, strict in self._slacks:
            result &= _above(ranges(slack), strict)
        for condition in self.conditions:
            result &= _within(ranges(condition.expr), condition.relation)
        return result


def _between(variable: Variable, share: np.ndarray) -> np.ndarray:
    low, high = finite_box(variable.lower, variable.upper)
    return low + share * (high - low)


def _above(difference: Interval, strict: bool) -> np.ndarray:
    least = difference.lo.reshape(len(difference.lo), -1).min(1)
    return np.asarray(least > 0 if strict else least >= 0)


def _within(range_: Interval, relation: str) -> np.ndarray:
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
