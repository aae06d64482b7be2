"""The proximal inequality between bounds refuted for every constant, by points and by ways of other variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import islice
from itertools import product as pairs

import numpy as np
from flint import fmpq, fmpq_poly

from bileveldsl.certify.clock import share, timed, until
from bileveldsl.certify.cover import finite_box
from bileveldsl.certify.pl.bends import Proof
from bileveldsl.certify.pl.curves import asymptotic
from bileveldsl.certify.pl.growth import Rational
from bileveldsl.certify.pl.places import places
from bileveldsl.certify.pl.proximal import groups
from bileveldsl.certify.pl.proximal_faces import FLAT, inside, refute_by_points
from bileveldsl.certify.pl.stationary import Point, directions, written
from bileveldsl.certify.scalars import (
    NotDifferentiable,
    Scalar,
    enclose,
    evaluate,
    gradient,
    number,
    occurring,
    product,
    substitute,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question

_OWN = 6


@timed()
def refute_between_bounds(question: Question) -> Proof | None:
    """A proof that the inequality fails with every constant and curvature, or that there is no minimizer; else None.

    Parameters
    ----------
    question : the function g, with the bounds of its own variables and the boxes of the others; `is_bounded`

    Returns
    -------
    A proof of one of the kinds "stationary", "krawczyk", "falling", "degenerate", "asymptotic", or of kind "part" with
    one of these about some terms of a sum, the others being of other own variables
    """
    parts = groups(question)
    try:
        for own, root in parts:
            with until(share(1 / len(parts))):
                found = _refute(replace(question, root=root, own=own)) if len(own) <= _OWN else None
                if found is not None:
                    return found if own == question.own else {"kind": "part", "own": list(own), "proof": found}
    except NotDifferentiable:
        return None
    return None


def _refute(question: Question) -> Proof | None:
    first, *rest = list(places(question)) or [{}]
    return _at_places(question, [first]) or _vanishing(question) or _at_places(question, rest)


def _at_places(question: Question, found: Iterable[Point]) -> Proof | None:
    """A refutation at some values of the other variables."""
    for others in found:
        [root] = substitute([question.root], {variable(v): number(c) for v, c in others.items()})
        proof = _falling(question, root) or refute_by_points(replace(question, root=root))
        if proof is not None:
            return {**proof, "point": written(others)}
    return None


def _falling(question: Question, root: Scalar) -> Proof | None:
    """A direction without a bound along which the function of its own variables alone falls everywhere."""
    for direction in directions(question.own):
        ends = [question.hi[v] if c > 0 else -question.lo[v] for v, c in direction.items()]
        if np.isfinite(ends).any():
            continue
        slopes = gradient(root, sorted(direction))
        fall = total(product([number(-direction[v]), s]) for v, s in zip(sorted(direction), slopes, strict=True))
        range_ = enclose([fall], question.lo[None], question.hi[None])[0]
        if range_.least > 0 or range_.positive:
            return {"kind": "falling", "direction": written(direction)}
    return None


# ---- curves ---------------------------------------------------------------------------------


def _vanishing(question: Question) -> Proof | None:
    """A way of one other variable along which all slopes at a point vanish faster than its height over another point.

    The slopes vanish where the way ends, as those of x*y do for x = 0.
    """
    for others, moving, end, p in _ends(question):
        kept = {v: c for v, c in others.items() if v != moving}
        [root] = substitute([question.root], {variable(v): number(c) for v, c in kept.items()})
        for sign in (1, -1):
            room = question.hi[moving] - float(end) if sign > 0 else float(end) - question.lo[moving]
            if not room > 0:
                continue
            way: Rational = (fmpq_poly([sign, _fmpq(end)]), fmpq_poly([0, 1]))
            for q in map(partial(_at, question), (0.0, 1.0, 0.5)):
                curve, lower = ({v: (fmpq_poly([_fmpq(c)]), fmpq_poly([1])) for v, c in at.items()} for at in (p, q))
                found = asymptotic(root, question.own, {**curve, moving: way}, lower)
                if found is not None:
                    return {**found, "point": written(kept)}
    return None


def _ends(question: Question) -> Iterator[tuple[Point, int, Fraction, Point]]:
    """Values of one other variable at which the slopes at a point p vanish, the rest being somewhere."""
    slopes = gradient(question.root, question.own)
    for others, p in pairs(islice(places(question), 3), map(partial(_at, question), (0.5, 0.25, 0.75))):
        for moving in others:
            low, high = (e[moving] for e in finite_box(question.lo, question.hi))
            points = np.zeros((65, len(question.lo)))
            for v, c in {**others, **p}.items():
                points[:, v] = float(c)
            points[:, moving] = np.linspace(low, high, 65)
            sizes = np.abs(np.array(evaluate(slopes, points))).sum(0)
            end = inside(question, moving, _root(slopes, points[int(np.argmin(sizes))], moving), 1e-6)
            points[0, moving] = float(end)
            if np.abs(np.array(evaluate(slopes, points[:1]))).max() <= FLAT:
                yield others, moving, end, p


def _root(slopes: list[Scalar], point: np.ndarray, moving: int) -> float:
    """Where the first slope that changes with a variable vanishes, by Newton's method."""
    at, slope = point[None].copy(), next((s for s in slopes if moving in occurring(s)), None)
    if slope is None:
        return float(at[0, moving])
    roots = [slope, *gradient(slope, [moving])]
    with np.errstate(all="ignore"):
        for _ in range(30):
            value, steep = evaluate(roots, at)
            at[0, moving] -= value[0] / steep[0]
    found = at[0, moving] if np.isfinite(at[0, moving]) else point[moving]
    return float(found)


def _at(question: Question, part: float) -> Point:
    """A point of the box of the own variables."""
    low, high = finite_box(question.lo, question.hi)
    return {v: Fraction(float(low[v] + part * (high[v] - low[v]))) for v in question.own}


def _fmpq(value: Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)
