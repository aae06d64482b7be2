"""Second derivatives without a bound: a ray in the region along which the curvature in a direction grows for ever."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.certify.scalars import (
    NotDifferentiable,
    Scalar,
    hessian,
    number,
    occurring,
    polynomials,
    product,
    ring,
    substitute,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_RAYS = 40
_VARIABLES = 12


def unbounded_curvature(question: Question) -> dict[str, Any] | None:
    """A proof that no L bounds the second derivatives of a function: along a ray they are a polynomial that grows.

    The proof is ``{"kind": "steep", "point": {...}, "ray": {...}, "direction": {...}}``: the curvature v'Hv at
    ``point + t ray``, which lies in the region for every t >= 0, is a polynomial in t of degree 1 or more.
    """
    try:
        entries = hessian(question.root, question.own)
    except NotDifferentiable:
        return None
    moving = sorted(occurring(*entries.values()))
    own = {k: question.own[k] for pair in entries for k in pair}
    if not 0 < len(moving) <= _VARIABLES or len(own) > _VARIABLES:
        return None
    bound = set().union(*(occurring(c.root) for c in question.statement.conditions), frozenset())
    point = {k: _start(question, k) for k in moving}
    t = len(question.statement.variables)
    for ray in itertools.islice(_rays(question, [k for k in moving if k not in bound]), _RAYS):
        line = {
            variable(k): total([number(value), product([number(ray.get(k, 0)), variable(t)])])
            for k, value in point.items()
        }
        along = dict(zip(entries, substitute(list(entries.values()), line), strict=True))
        for direction in _directions(sorted(own)):
            if _grows(along, direction, t):
                return {
                    "kind": "steep",
                    "point": {str(k): text(_start(question, k)) for k in range(t)},
                    "ray": {str(k): str(v) for k, v in ray.items()},
                    "direction": {str(own[k]): str(v) for k, v in direction.items()},
                }
    return None


def _start(question: Question, k: int) -> Fraction:
    lo, hi = float(question.lo[k]), float(question.hi[k])
    return Fraction(float(np.clip(1.0, lo, hi)))


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


def _grows(along: dict[tuple[int, int], Scalar], direction: dict[int, int], t: int) -> bool:
    terms = [
        product([number(direction[i] * direction[j] * (1 if i == j else 2)), entry])
        for (i, j), entry in along.items()
        if i in direction and j in direction
    ]
    found = polynomials([total(terms)], [t], ring([t]))
    return found is not None and not found[0].is_constant()
