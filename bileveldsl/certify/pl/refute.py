"""The Polyak-Lojasiewicz inequality refuted, with any constant, at some values of the other variables."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from bileveldsl.certify.clock import timed
from bileveldsl.certify.cover import finite_box
from bileveldsl.certify.pl.bends import Proof, restated
from bileveldsl.certify.pl.curves import (
    asymptotic_refutation,
    degenerate_refutation,
    open_ray_refutation,
    ray_refutation,
    vanishing_refutation,
)  # fmt: skip
from bileveldsl.certify.pl.landscape import shortened
from bileveldsl.certify.pl.prove import is_unconstrained
from bileveldsl.certify.pl.reductions import reduction
from bileveldsl.certify.pl.stationary import (
    Point,
    Terrain,
    krawczyk_refutation,
    monotone,
    monotone_refutation,
    stationary_refutation,
    written,
)  # fmt: skip
from bileveldsl.certify.scalars import NotDifferentiable, balls, call, number, occurring, substitute, variable
from bileveldsl.certify.statement import Question

_OWN = 12
_REFUTATIONS = (
    monotone_refutation, stationary_refutation, krawczyk_refutation, degenerate_refutation, ray_refutation,
    asymptotic_refutation,
)  # fmt: skip


@timed()
def refute(question: Question) -> Proof | None:
    """A proof that the inequality fails with every constant, or that there is no minimizer; None where none is found.

    Parameters
    ----------
    question : the function, its own variables and the boxes of the others

    Returns
    -------
    A proof of one of the kinds "stationary", "krawczyk", "no-stationary", "degenerate", "ray", "asymptotic", or of kind
    "affine" with one of these about a function of fewer variables.
    """
    if not question.own or len(question.own) > _OWN or not is_unconstrained(question):
        return None
    try:
        return _refute(question)
    except NotDifferentiable:
        return None


def _refute(question: Question) -> Proof | None:
    reduced = reduction(question)
    if reduced is not None:
        inner = _refute(reduced.question)
        return inner and reduced.wrap(inner)
    for others in _places(question):
        at = {variable(v): number(c) for v, c in others.items()}
        terrain = Terrain(replace(question, root=substitute([question.root], at)[0]))
        for refutation in _REFUTATIONS:
            found = refutation(terrain)
            if found is not None:
                return {**found, "point": written(others)}
        vanishing = vanishing_refutation(question, others)
        if vanishing is not None:
            return vanishing
    return None


@timed()
def refute_for_all(question: Question, weight: int) -> Proof | None:
    """A proof that there is no minimizer for some values of the others, whatever the positive value of one of them."""
    if not question.own or len(question.own) > _OWN or not is_unconstrained(question):
        return None
    growing = {variable(weight): call("exp", variable(weight))}  # any positive number
    for others in _places(question):
        kept = {v: c for v, c in others.items() if v != weight}
        try:
            [root] = substitute([question.root], {variable(v): number(c) for v, c in kept.items()})
            found = open_ray_refutation(replace(question, root=root), weight)
            found = found or monotone(restated(question, {weight: (-math.inf, math.inf)}), *substitute([root], growing))
        except NotDifferentiable:
            return None
        if found is not None:
            return {**found, "point": written(kept)}
    return None


def _places(question: Question) -> Iterator[Point]:
    """Exact values of the other variables where all conditions on them hold: from their boxes, and 0."""
    conditions = [c for c in question.statement.conditions if not occurring(c.root) & set(question.own)]
    used = sorted(occurring(question.root, *(c.root for c in conditions)) - set(question.own))
    low, high = finite_box(question.lo, question.hi)
    seen: list[Point] = []
    for share in (0.5, 0.0, 1.0, None, 0.25, 0.75):
        point = {}
        for v in used:
            value = 0.0 if share is None else float(low[v] + share * (high[v] - low[v]))
            between = share not in (0.0, 1.0)  # at an end the sign of what vanishes near it may be another
            near = shortened(value, 0.01 * float(high[v] - low[v])) if between else Fraction(value)
            point[v] = min(max(near, Fraction(float(low[v]))), Fraction(float(high[v])))
        if point not in seen and all(_holds(c.relation, balls([c.root], point)[0]) for c in conditions):
            seen.append(point)
            yield point


def _holds(relation: str, ball) -> bool:
    if relation == "in [-1, 1]":
        return bool(abs(ball) < 1)
    return bool(ball != 0) if relation == "!= 0" else bool(ball > 0)


