"""Feasible points of a question: sampled, moved into the constraints in floats, made rational, and checked exactly.

Equalities are solved for a variable each, linear ones by elimination, others where they are affine in a variable that
occurs in no other; inequalities that are each other's negative count as one equality. What is left free is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from flint import fmpq_mpoly

from bileveldsl.certify.clock import check
from bileveldsl.certify.scalars import (
    ONE,
    ZERO,
    NotDifferentiable,
    Scalar,
    balls,
    evaluate,
    exact_value,
    gradient,
    negated,
    number,
    occurring,
    polynomials,
    power,
    product,
    ring,
    substitute,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question

Point = dict[int, Fraction]
_SCALES = (1.0, 1.0, 4.0, 32.0, 1000.0)
_SWEEPS = 12
_OVER = 1.25  # steps into a constraint go beyond its boundary by this
_LINEAR_SIZE = 60  # variables of equalities that are eliminated
_VIOLATED = 200  # constraints that points are moved into in one sweep


@dataclass(frozen=True)
class Solved:
    """A variable that an equality gives: minus `rest` over `slope`."""

    index: int
    rest: Scalar
    slope: Scalar


class Points:
    """The points that satisfy everything a witness for a question must.

    Examples
    --------
    See `refute_convex`.
    """

    def __init__(self, question: Question):
        self.question = question
        self.lo, self.hi = question.lo, question.hi
        self.reach = math.inf
        """How far from zero points are looked for, where their bounds allow it."""
        conditions = question.statement.conditions
        used = occurring(question.root, *(c.root for c in (*question.constraints, *conditions)))
        self.indices = tuple(sorted(used | set(question.own)))
        self.whole = [k for k in self.indices if question.statement.variables[k].integer]
        self.equalities, self.inequalities = _sides(question)
        self.solved = _eliminated(self.equalities, self._preferred())
        self.free = [k for k in self.indices if k not in {s.index for s in self.solved} and self.lo[k] < self.hi[k]]
        self.strict: list[Scalar] = []
        self.apart: list[Scalar] = []
        for c in conditions:
            if c.relation in ("> 0", ">= 0"):
                self.strict.append(negated(c.root))
            elif c.relation == "!= 0":
                self.apart.append(c.root)
            else:
                self.strict += [total([c.root, number(-1)]), total([negated(c.root), number(-1)])]

    def _preferred(self) -> list[int]:
        """The variables, from the one an equality is solved for most gladly."""
        own = set(self.question.own)
        width = self.hi - self.lo
        kept = [k for k in self.indices if width[k] > 0]
        return sorted(kept, key=lambda k: (k in self.whole, k not in own, -width[k], k))

    # ---- floats ----

    def sample(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Points of the box at several scales, shape (count, variables), moved towards feasibility."""
        lo, hi = self.lo, self.hi
        scale = np.resize(_SCALES, count)[:, None]
        start = np.where(np.isfinite(lo), lo, np.where(np.isfinite(hi), hi, 0.0))
        spread = random.standard_normal((count, len(lo))) * scale
        bounded = np.isfinite(lo) & np.isfinite(hi)
        with np.errstate(all="ignore"):
            inside = lo + random.random((count, len(lo))) * (hi - lo)
        away = np.where(np.isfinite(lo), np.abs(spread), np.where(np.isfinite(hi), -np.abs(spread), spread))
        points = np.where(bounded, inside, start + away)
        # Ends and zeros are where curvature vanishes or changes its sign.
        ends = random.random(points.shape)
        points = np.where(ends < 0.06, np.where(np.isfinite(lo), lo, 0.0), points)
        points = np.where(ends > 0.94, np.where(np.isfinite(hi), hi, 0.0), points)
        points[0] = 0.0
        points[1:3] = np.where(bounded, [0.5 * (lo + hi)], points[1:3]) if bounded.all() else points[1:3]
        return self.moved(self.within(points))

    def within(self, points: np.ndarray) -> np.ndarray:
        points = points.copy()
        points[:, self.whole] = np.round(points[:, self.whole])
        return self.completed(np.clip(np.clip(points, -self.reach, self.reach), self.lo, self.hi))

    def completed(self, points: np.ndarray) -> np.ndarray:
        """The points with the solved variables as the equalities say."""
        points = points.copy()
        with np.errstate(all="ignore"):
            for s in self.solved:
                rest, slope = evaluate([s.rest, s.slope], points)
                points[:, s.index] = -rest / slope
        return points

    def violation(self, points: np.ndarray) -> np.ndarray:
        """By how much the worst constraint is violated, at most 0 at feasible points; NaN is a violation."""
        with np.errstate(all="ignore"):
            solved = [s.index for s in self.solved]
            beyond = np.maximum(self.lo - points, points - self.hi)[:, solved]
            values = [*evaluate(self._limits, points), *beyond.T]
            values += [np.where(v == 0, 1.0, -np.inf) for v in evaluate(self.apart, points)]
        worst = np.max(values, axis=0) if len(values) else np.full(len(points), -np.inf)
        return np.where(np.isnan(worst), np.inf, worst)

    @property
    def _limits(self) -> list[Scalar]:
        return [*self.inequalities, *self.strict]

    @cached_property
    def _slopes(self) -> list[tuple[Scalar, dict[int, Scalar]]]:
        """Every constraint with its slopes in the free variables, the solved ones following them."""
        bounds = [f for s in self.solved for f in self._bounds(s.index)]
        try:
            pairs = [(f, self._total_gradient(f)) for f in (*self._limits, *bounds)]
        except NotDifferentiable:
            return []
        return [(f, slopes) for f, slopes in pairs if slopes]

    def _bounds(self, index: int) -> Iterator[Scalar]:
        if math.isfinite(self.lo[index]):
            yield total([number(Fraction(self.lo[index])), negated(variable(index))])
        if math.isfinite(self.hi[index]):
            yield total([variable(index), number(-Fraction(self.hi[index]))])

    def _total_gradient(self, root: Scalar) -> dict[int, Scalar]:
        slopes = _slopes_of(root)
        for s in reversed(self.solved):
            outer = slopes.pop(s.index, None)
            if outer is None:
                continue
            factor = negated(product([outer, power(s.slope, -1)]))
            for k, inner in _slopes_of(total([s.rest, product([s.slope, variable(s.index)])])).items():
                if k != s.index:
                    slopes[k] = total([slopes.get(k, ZERO), product([factor, inner])])
        free = set(self.free)
        return {k: slope for k, slope in slopes.items() if k in free}

    def moved(self, points: np.ndarray) -> np.ndarray:
        """The points after steps against their violated constraints, one constraint after the other."""
        if not self._slopes or not self.free:
            return points
        limits = [f for f, _ in self._slopes]
        for _ in range(_SWEEPS):
            violated = np.flatnonzero((evaluate(limits, points) > 0).any(1))
            if not len(violated):
                break
            for number_ in violated[:_VIOLATED]:
                limit, slopes = self._slopes[number_]
                f, *g = evaluate([limit, *slopes.values()], points)
                with np.errstate(all="ignore"):
                    square = np.sum(np.square(g), axis=0)
                    step = np.where((f > 0) & (square > 0), _OVER * f / square, 0.0)
                    change = np.nan_to_num(step * np.array(g), nan=0.0, posinf=0.0, neginf=0.0)
                points = points.copy()
                points[:, list(slopes)] -= change.T
                points = self.within(points)
        return points

    # ---- rationals ----

    def rational(self, point: np.ndarray) -> Point | None:
        """The point with its free variables as they are and the rest as the equalities say, if that is rational."""
        exact = {k: Fraction(float(point[k])) for k in self.indices}
        for s in self.solved:
            rest, slope = exact_value(s.rest, exact), exact_value(s.slope, exact)
            if rest is None or not slope:
                return None
            exact[s.index] = -rest / slope
        return exact

    def is_feasible(self, point: Point) -> bool:
        """Whether everything is proved to hold at a rational point, conditions strictly."""
        if any(not (self.lo[k] <= point[k] <= self.hi[k]) for k in self.indices):
            return False
        return (
            all(_is_negative(root, point, False) for root in self.inequalities)
            and all(_is_negative(root, point, True) for root in self.strict)
            and all(_is_nonzero(root, point) for root in self.apart)
            and all(exact_value(root, point) == 0 for root in self.equalities)
        )


def _slopes_of(root: Scalar) -> dict[int, Scalar]:
    """The slopes of a node in its variables that are not identically zero."""
    indices = sorted(occurring(root))
    return {k: slope for k, slope in zip(indices, gradient(root, indices), strict=True) if slope is not ZERO}


def _is_negative(root: Scalar, point: Point, strictly: bool) -> bool:
    value = exact_value(root, point)
    if value is not None:
        return value < 0 if strictly else value <= 0
    return bool(balls([root], point)[0] < 0)


def _is_nonzero(root: Scalar, point: Point) -> bool:
    value = exact_value(root, point)
    if value is not None:
        return value != 0
    ball = balls([root], point)[0]
    return bool(ball > 0) or bool(ball < 0)


# ---- equalities -----------------------------------------------------------------------------


def _sides(question: Question) -> tuple[list[Scalar], list[Scalar]]:
    """The equalities, also those written as two inequalities, and the other inequalities."""
    equalities = [c.root for c in question.constraints if c.relation == "== 0"]
    rest = [c.root for c in question.constraints if c.relation != "== 0"]
    indices = sorted(occurring(*rest))
    context = ring(indices)
    seen: dict[str, Scalar] = {}
    paired: set[Scalar] = set()
    for root in rest:
        check()
        found = polynomials([root], indices, context)
        if found is None:
            continue
        other = seen.get(str(-found[0]))
        if other is not None and other not in paired:
            paired |= {root, other}
            equalities.append(root)
        seen[str(found[0])] = root
    return equalities, [root for root in rest if root not in paired]


def _eliminated(equalities: Sequence[Scalar], preferred: Sequence[int]) -> list[Solved]:
    """The variables that equalities give, in the order to compute them."""
    linear, others = [], []
    indices = sorted(occurring(*equalities))
    context = ring(indices)
    for root in equalities:
        check()
        found = polynomials([root], indices, context)
        if found is not None and found[0].total_degree() <= 1 and len(indices) <= _LINEAR_SIZE:
            linear.append(_row(found[0], indices))
        else:
            others.append(root)
    solved = _reduced(linear, [k for k in preferred if k in indices])
    taken = {k for row in linear for k in row if k is not None}
    last: list[Solved] = []
    left = list(others)
    while True:
        found_one = next(_affine(left, taken, preferred), None)
        if found_one is None:
            return [*solved, *reversed(last)]
        root, each = found_one
        left.remove(root)
        last.append(each)


def _affine(left: Sequence[Scalar], taken: set[int], preferred: Sequence[int]) -> Iterator[tuple[Scalar, Solved]]:
    """Equalities with a variable in which they are affine and that occurs in no other."""
    for root in left:
        others = occurring(*(r for r in left if r is not root)) | taken
        for k in preferred:
            if k in others or k not in occurring(root):
                continue
            try:
                slope = gradient(root, [k])[0]
            except NotDifferentiable:
                break
            if k not in occurring(slope):
                yield root, Solved(k, substitute([root], {variable(k): number(0)})[0], slope)


def _row(p: fmpq_mpoly, indices: Sequence[int]) -> dict[int | None, Fraction]:
    """The coefficients of a linear polynomial by variable, None for the constant."""
    row: dict[int | None, Fraction] = {}
    for exponents, value in p.terms():
        place = next((k for k, e in zip(indices, exponents, strict=True) if e), None)
        row[place] = Fraction(int(value.p), int(value.q))
    return row


def _reduced(rows: Sequence[dict[int | None, Fraction]], preferred: Sequence[int]) -> list[Solved]:
    """Gauss and Jordan's elimination: each row solved for a variable, by those that no row is solved for."""
    done: dict[int, dict[int | None, Fraction]] = {}
    for row in rows:
        check()
        current = dict(row)
        for k, other in done.items():
            _subtract(current, other, current.get(k, Fraction(0)))
        pivot = next((k for k in preferred if current.get(k)), None)
        if pivot is None:
            continue
        scaled = {k: v / current[pivot] for k, v in current.items()}
        for other in done.values():
            _subtract(other, scaled, other.get(pivot, Fraction(0)))
        done[pivot] = scaled
    return [Solved(pivot, _sum(row, pivot), ONE) for pivot, row in done.items()]


def _subtract(row: dict[int | None, Fraction], other: dict[int | None, Fraction], times: Fraction) -> None:
    if times:
        for k, v in other.items():
            row[k] = row.get(k, Fraction(0)) - times * v


def _sum(row: dict[int | None, Fraction], pivot: int) -> Scalar:
    terms = [number(v) if k is None else product([number(v), variable(k)]) for k, v in row.items() if k != pivot]
    return total(terms)
