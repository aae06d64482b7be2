"""Curvature without a bound: along a ray that stays in the region it grows, for all t or at turns of sines."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.certify.clock import check, timed
from bileveldsl.certify.narrowing import affine, linear
from bileveldsl.certify.piecewise import beside_kinks, seams
from bileveldsl.certify.refuting.growth import growths
from bileveldsl.certify.scalars import (
    Matrix,
    NotDifferentiable,
    Scalar,
    call,
    enclose,
    exact_value,
    number,
    occurring,
    polynomials,
    power,
    product,
    ring,
    substitute,
    topological,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_RAYS = 40
_STARTS = (1, 3)
_SINGULAR = 12
_TRIED = (0, 1, -1, 2, -2)
_TURNS = (Fraction(0), Fraction(1), Fraction(2), Fraction(3, 2))
_VARIABLES = 12


@timed()
def unbounded_curvature(question: Question) -> dict[str, Any] | None:
    """A proof that no L bounds the second derivatives of a function: along a ray they grow.

    The proof is ``{"kind": "steep", "point": {...}, "ray": {...}, "direction": {...}}``: the curvature v'Hv at
    ``point + t ray``, which lies in the region for every t >= 0, grows without bound; with ``"turn": "p/q"`` it does
    for t = p/q + 2 pi k, k = 0, 1, ..., where sines and cosines of whole multiples of t have one value.
    """
    try:
        entries = beside_kinks(question.root, question.own)
    except NotDifferentiable:
        return None
    moving = sorted(occurring(*entries.values()))
    own = {k: question.own[k] for pair in entries for k in pair}
    if not 0 < len(moving) <= _VARIABLES or len(own) > _VARIABLES:
        return None
    # Beyond a kink the ray has to start beyond it.
    for wanted in _STARTS if seams(question.root, question.own) else _STARTS[:1]:
        point = {k: _start(question, k, wanted) for k in range(len(question.statement.variables))}
        found = _along_rays(question, entries, own, moving, point)
        found = found or _towards_points(question, entries, own, point)
        if found is not None:
            return found
    return None


def _along_rays(
    question: Question, entries: Matrix, own: dict[int, int], moving: list[int], point: dict[int, Fraction]
) -> dict[str, Any] | None:
    t = len(point)
    for ray in itertools.islice(_rays(question, moving), _RAYS):
        if question.expired:
            return None
        line = {
            variable(k): total([number(value), product([number(ray.get(k, 0)), variable(t)])])
            for k, value in point.items()
        }
        if not _keeps(question, line, 0.0):
            continue
        found = _growing(entries, own, line, t)
        if found is not None:
            way = {"ray": {str(k): str(v) for k, v in ray.items()}}
            return {"kind": "steep", "point": {str(k): text(v) for k, v in point.items()}, **way, **found}
    return None


def _towards_points(
    question: Question, entries: Matrix, own: dict[int, int], start: dict[int, Fraction]
) -> dict[str, Any] | None:
    """Along point + toward / t, t >= 1, near which a root, a quotient or a logarithm stops being smooth."""
    t = len(start)
    for point, toward in _singular(question, start):
        check()
        line = {
            variable(k): total([number(value), product([number(toward.get(k, 0)), power(variable(t), -1)])])
            for k, value in point.items()
        }
        if not _stays(question, line, point, toward):
            continue
        found = _growing(entries, own, line, t)
        if found is not None:
            way = {"ray": {}, "toward": {str(k): str(v) for k, v in toward.items()}}
            return {"kind": "steep", "point": {str(k): text(v) for k, v in point.items()}, **way, **found}
    return None


def _growing(
    entries: Matrix, own: dict[int, int], line: dict[Scalar, Scalar], t: int
) -> dict[str, Any] | None:
    """A direction in which the curvature on a line grows without bound, and what shows it."""
    along = dict(zip(entries, substitute(list(entries.values()), line), strict=True))
    for direction in _directions(sorted(own)):
        found = _grows(_curvature(along, direction), t)
        if found is not None:
            return {"direction": {str(own[k]): str(v) for k, v in direction.items()}, **found}
    return None


def _singular(
    question: Question, start: dict[int, Fraction]
) -> Iterator[tuple[dict[int, Fraction], dict[int, Fraction]]]:
    """Points where an argument is 0, each with the variables that move away from there."""
    found: dict[Scalar, None] = {}
    for node in topological([question.root]):
        root = node.op == "^" and (node.value < 0 or node.value.denominator > 1)
        if root or node.op in ("log", "xlogx", "abs", "relative_entropy"):
            found |= dict.fromkeys(a for a in node.args if occurring(a))
    for argument in list(found)[:_SINGULAR]:
        for point, places in _zeros(argument, question, start):
            for sign in (1, -1):
                yield point, {k: sign * _room(question, k) for k in places}


def _zeros(
    argument: Scalar, question: Question, start: dict[int, Fraction]
) -> Iterator[tuple[dict[int, Fraction], list[int]]]:
    """Points where a node is 0, and the variables that were chosen so: by its affine parts, or one of the others."""
    point, places = dict(start), list[int]()
    for part in topological([argument])[::-1]:
        form = affine(part)
        free = [] if form is None else [k for k in form[0] if k not in places]
        if form is not None and free and set(places).isdisjoint(form[0]):
            k = free[0]
            rest = form[1] + sum((c * point[i] for i, c in form[0].items() if i != k), Fraction(0))
            point[k] = -rest / form[0][k]
            places.append(k)
    if places and exact_value(argument, point) == 0:
        yield point, places
        return
    for k in sorted(occurring(argument)):
        ends = [Fraction(float(end)) for end in (question.lo[k], question.hi[k]) if math.isfinite(end)]
        for value in (*ends, *map(Fraction, _TRIED)):
            if exact_value(argument, {**start, k: value}) == 0:
                yield {**start, k: value}, [k]


def _room(question: Question, k: int) -> Fraction:
    """How far a variable may be moved, 1/2 at most."""
    width = float(question.hi[k]) - float(question.lo[k])
    return Fraction(min(width, 1.0)) / 2


def _stays(
    question: Question, line: dict[Scalar, Scalar], point: dict[int, Fraction], toward: dict[int, Fraction]
) -> bool:
    """Whether the points for t >= 1 lie within the bounds and may satisfy the conditions."""
    ends = {k: (value, value + toward.get(k, 0)) for k, value in point.items()}
    if any(min(pair) < question.lo[k] or max(pair) > question.hi[k] for k, pair in ends.items()):
        return False
    return _keeps(question, line, 1.0)


def _keeps(question: Question, line: dict[Scalar, Scalar], first: float) -> bool:
    """Whether conditions may hold along a line, and it meets no kink, for all t from the first on."""
    conditions, kinks = question.statement.conditions, seams(question.root, question.own)
    lo, hi = np.zeros((2, 1, len(question.lo) + 1))
    lo[0, -1], hi[0, -1] = first, math.inf
    found = enclose(substitute([*(c.root for c in conditions), *kinks], line), lo, hi)
    if not all(r.positive or (-r).positive for r in found[len(conditions) :]):
        return False
    return all(r.least >= 0 for c, r in zip(conditions, found, strict=False) if c.relation in ("> 0", ">= 0"))


def _start(question: Question, k: int, wanted: int) -> Fraction:
    """A value inside the bounds, the one that is wanted where it is."""
    lo, hi = float(question.lo[k]), float(question.hi[k])
    if lo < wanted < hi:
        return Fraction(wanted)
    if math.isfinite(lo) and math.isfinite(hi):
        return (Fraction(lo) + 3 * Fraction(hi)) / 4
    return Fraction(lo) + wanted if math.isfinite(lo) else Fraction(hi) - wanted


def _rays(question: Question, moving: list[int]) -> Iterator[dict[int, int]]:
    """Directions of the region that never leave it: axes, and pairs of them."""
    ends = [(k, 1) for k in moving if math.isinf(question.hi[k])]
    ends += [(k, -1) for k in moving if math.isinf(question.lo[k])]
    yield from ({k: sign} for k, sign in ends)
    yield from ({a: s, b: r} for (a, s), (b, r) in itertools.combinations(ends, 2) if a != b)


def _directions(places: list[int]) -> Iterator[dict[int, int]]:
    yield from ({k: 1} for k in places)
    for a, b in itertools.combinations(places, 2):
        yield {a: 1, b: 1}


def _curvature(along: Matrix, direction: dict[int, int]) -> Scalar:
    return total(
        product([number(direction[i] * direction[j] * (1 if i == j else 2)), entry])
        for (i, j), entry in along.items()
        if i in direction and j in direction
    )


def _grows(curvature: Scalar, t: int) -> dict[str, str] | None:
    """What a proof says besides that a function of t grows: nothing, or the turn; None where it is not seen to."""
    if _diverges(curvature, t):
        return {}
    for turn in _TURNS:
        values = dict(_at_turn(curvature, t, turn))
        if values and _diverges(substitute([curvature], values)[0], t):
            return {"turn": text(turn)}
    return None


def _diverges(node: Scalar, t: int) -> bool:
    found = polynomials([node], [t], ring([t]))
    if found is not None:
        return not found[0].is_constant()
    [growth] = growths([node])
    return growth is not None and growth.degree > 0 and growth.sign != 0


def _at_turn(node: Scalar, t: int, turn: Fraction) -> Iterator[tuple[Scalar, Scalar]]:
    """Sines and cosines of m t + c, m whole, with their values at t = turn + 2 pi k."""
    for each in topological([node]):
        form = linear(each.args[0]) if each.op in ("sin", "cos") else None
        if form is not None and form[0].get(t, Fraction(0)).denominator == 1:
            yield each, call(each.op, number(form[0].get(t, Fraction(0)) * turn + form[1]))
