"""Values of the other variables at which the inequality is tried to be refuted."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from flint import arb

from bileveldsl.certify.cover import finite_box, scattered
from bileveldsl.certify.pl.landscape import shortened
from bileveldsl.certify.pl.stationary import Point
from bileveldsl.certify.scalars import balls, occurring
from bileveldsl.certify.statement import Question


def places(question: Question) -> Iterator[Point]:
    """Exact values of the other variables where all conditions on them hold: from their boxes, and 0."""
    conditions = [c for c in question.statement.conditions if not occurring(c.root) & set(question.own)]
    used = sorted(occurring(question.root, *(c.root for c in conditions)) - set(question.own))
    low, high = finite_box(question.lo[used], question.hi[used])
    shares = [np.full(len(used), each) for each in (0.5, 0.0, 1.0)]
    shares += [-low / np.where(high > low, high - low, 1.0), *scattered(3, len(used))]
    seen: list[Point] = []
    for each in shares:
        point = {}
        for k, v in enumerate(used):
            value, width = float(low[k] + each[k] * (high[k] - low[k])), float(high[k] - low[k])
            between = each[k] not in (0.0, 1.0)  # at an end the sign of what vanishes near it may be another
            near = shortened(value, 0.01 * width) if between else Fraction(value)
            point[v] = min(max(near, Fraction(float(low[k]))), Fraction(float(high[k])))
        if point not in seen and all(_holds(c.relation, balls([c.root], point)[0]) for c in conditions):
            seen.append(point)
            yield point


def _holds(relation: str, ball: arb) -> bool:
    if relation == "in [-1, 1]":
        return bool(abs(ball) < 1)
    return bool(ball != 0) if relation == "!= 0" else bool(ball > 0)
