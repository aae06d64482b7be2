"""Curvature that vanishes in the limit: no modulus of strong convexity is positive, though none is seen to be zero."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.certify.clock import check, timed
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.piecewise import beside_kinks
from bileveldsl.certify.refuting.growth import NOTHING, Growth, NotKnown, added, growths
from bileveldsl.certify.refuting.points import Points
from bileveldsl.certify.scalars import (
    Matrix,
    NotDifferentiable,
    Scalar,
    enclose,
    number,
    occurring,
    product,
    substitute,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_VARIABLES = 12
_RAYS = 60
_STARTS = 3

Ray = dict[int, int]


@timed()
def vanishing(question: Question) -> dict[str, Any] | None:
    """A proof that no mu > 0 is a modulus of strong convexity: along a ray the curvature tends to 0, or lower.

    The proof is ``{"kind": "vanishing", "point": {...}, "ray": {...}, "direction": {...}}``: the points
    ``point + t ray`` are feasible for every t >= 0.

    Parameters
    ----------
    question : the function and where it is asked about

    Returns
    -------
    dict of kind "vanishing", or None where none was found
    """
    own = [k for k in question.own if question.lo[k] < question.hi[k]]
    try:
        entries = beside_kinks(question.root, own)
    except NotDifferentiable:
        return None
    moving = sorted(occurring(*entries.values()))
    if not own or len(moving) > _VARIABLES or len(own) > _VARIABLES:
        return None
    for start in _starts(question):
        for ray in itertools.islice(_rays(question, moving), _RAYS):
            if not _stays(question, start, ray):
                continue
            direction = _vanishing_direction(entries, own, _line(start, ray, len(question.lo)))
            if direction is not None:
                return {
                    "kind": "vanishing",
                    "point": {str(k): text(v) for k, v in start.items()},
                    "ray": {str(k): str(v) for k, v in ray.items()},
                    "direction": {str(k): str(v) for k, v in direction.items()},
                }
    return None


def _starts(question: Question) -> Iterator[dict[int, Fraction]]:
    """Feasible points with a value for every variable."""
    points = Points(question)
    sampled = points.sample(64, np.random.default_rng(0))
    rounded = points.within(np.round(sampled))
    found = 0
    for place in rounded[np.argsort(np.abs(rounded).sum(1), kind="stable")]:
        exact = points.rational(place) if points.violation(place[None])[0] <= 0 else None
        if exact is not None and points.is_feasible(exact):
            yield {k: exact.get(k, Fraction(float(place[k]))) for k in range(len(question.lo))}
            found += 1
            if found == _STARTS:
                return


def _rays(question: Question, moving: list[int]) -> Iterator[Ray]:
    """Directions along which the box has no end: axes, then pairs of them."""
    ends = [(k, 1) for k in moving if math.isinf(question.hi[k])]
    ends += [(k, -1) for k in moving if math.isinf(question.lo[k])]
    yield from ({k: sign} for k, sign in ends)
    for (i, a), (j, b) in itertools.combinations(ends, 2):
        if i != j:
            yield {i: a, j: b}


def _line(start: dict[int, Fraction], ray: Ray, t: int) -> dict[Scalar, Scalar]:
    """The variables along the ray, over one variable t."""
    return {
        variable(k): total([number(value), product([number(ray.get(k, 0)), variable(t)])]) for k, value in start.items()
    }


def _stays(question: Question, start: dict[int, Fraction], ray: Ray) -> bool:
    """Whether conditions and constraints hold all along the ray."""
    conditions, constraints = question.statement.conditions, question.constraints
    if not conditions and not constraints:
        return True
    t = len(question.lo)
    roots = substitute([c.root for c in (*conditions, *constraints)], _line(start, ray, t))
    lo, hi = np.zeros((1, t + 1)), np.zeros((1, t + 1))
    hi[0, t] = np.inf
    for c, x in zip((*conditions, *constraints), enclose(roots, lo, hi), strict=True):
        least, greatest = x.least, x.greatest
        if c.relation in ("> 0", ">= 0"):
            holds = least > 0
        elif c.relation == "!= 0":
            holds = least > 0 or greatest < 0
        elif c.relation == "in [-1, 1]":
            holds = least > -1 and greatest < 1
        else:
            holds = greatest <= 0 and (c.relation == "<= 0" or least >= 0)
        if not holds:
            return False
    return True


def _vanishing_direction(entries: Matrix, own: list[int], line: dict[Scalar, Scalar]) -> dict[int, int] | None:
    """A direction of few variables in which the curvature tends to 0 or lower along a ray."""
    found = dict(zip(entries, growths(substitute(list(entries.values()), line)), strict=True))
    size = range(len(own))
    directions: list[dict[int, int]] = [{i: 1} for i in size]
    directions += [{i: 1, j: sign} for i, j in itertools.combinations(size, 2) for sign in (-1, 1)]
    for direction in directions:
        check()
        parts: list[Growth | None] = [NOTHING]
        for (i, j), each in found.items():
            weight = direction.get(i, 0) * direction.get(j, 0) * (1 if i == j else 2)
            if weight:
                parts.append(None if each is None else Growth(each.degree, each.factor * Interval.point(float(weight))))
        known = [part for part in parts if part is not None]
        try:
            if len(known) == len(parts) and added(known).tends_to_at_most_zero:
                return {own[k]: v for k, v in direction.items()}
        except NotKnown:
            continue
    return None
