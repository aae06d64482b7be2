"""Three points on a line that show a function not convex, where it has no second derivatives to show it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import numpy as np

from bileveldsl.certify.clock import share, timed, until
from bileveldsl.certify.refuting.curvature import refute_by_curvature
from bileveldsl.certify.refuting.points import Point, Points
from bileveldsl.certify.scalars import balls, evaluate, exact_value
from bileveldsl.certify.statement import Question, text

_COUNT = 1024
_ASKED = 16
_PRECISION = 192
_BY_CURVATURE = 0.7  # of the time that is left


@timed()
def refute_convex(question: Question) -> dict[str, Any] | None:
    """A proof that a function is not convex in its own variables: negative curvature, or else three points.

    Parameters
    ----------
    question : the function and where it is asked about

    Returns
    -------
    dict of kind "curvature" or "midpoint", at feasible points, or None where none was found
    """
    with until(share(_BY_CURVATURE)):
        found = refute_by_curvature(question)
        if found is not None:
            return found
    return refute_by_midpoint(question)


def refute_by_midpoint(question: Question) -> dict[str, Any] | None:
    """A proof of kind "midpoint": two points and their midpoint, all feasible, where f is above the mean of f."""
    points = Points(question)
    own = [k for k in question.own if question.lo[k] < question.hi[k]]
    if not own:
        return None
    random = np.random.default_rng(0)
    first = _short(points.sample(_COUNT, random), points)
    steps = np.zeros_like(first)
    steps[:, own] = random.standard_normal((_COUNT, len(own))) * 4.0 ** -random.integers(-2, 5, (_COUNT, 1))
    steps[random.random(steps.shape) < 0.4] = 0.0
    second = _short(first + steps, points)
    others = [k for k in points.indices if k not in question.own]
    middle = 0.5 * (first + second)
    values = evaluate([question.root], np.concatenate([first, second, middle]))[0].reshape(3, -1)
    with np.errstate(all="ignore"):
        excess = values[2] - 0.5 * (values[0] + values[1])
        relative = excess / (1e-12 + np.abs(values).sum(0))
    usable = (first[:, others] == second[:, others]).all(1)
    for triple in (first, second, middle):
        usable &= points.violation(triple) <= 0
    usable &= np.isfinite(excess) & (relative > 1e-13)
    order = np.flatnonzero(usable)[np.argsort(-relative[usable], kind="stable")][:_ASKED]
    for k in order:
        proof = _proved(question, points, first[k], second[k])
        if proof is not None:
            return proof
    return None


def _short(points: np.ndarray, within: Points) -> np.ndarray:
    return within.within(np.round(points * 16) / 16)


def _proved(question: Question, points: Points, first: np.ndarray, second: np.ndarray) -> dict[str, Any] | None:
    a, b = points.rational(first), points.rational(second)
    if a is None or b is None or any(a[k] != b[k] for k in points.indices if k not in question.own):
        return None
    middle = {k: (a[k] + b[k]) / 2 for k in a}
    if not all(points.is_feasible(p) for p in (a, b, middle)) or not _is_above(question, a, b, middle):
        return None
    return {"kind": "midpoint", "from": _written(a), "to": _written(b)}


def _is_above(question: Question, a: Point, b: Point, middle: Point) -> bool:
    values = [exact_value(question.root, p) for p in (a, b, middle)]
    known = [v for v in values if v is not None]
    if len(known) == 3:
        return known[2] > (known[0] + known[1]) / Fraction(2)
    with flint.ctx.workprec(_PRECISION):
        low, high, mid = (balls([question.root], p)[0] for p in (a, b, middle))
        return bool(2 * mid > low + high)


def _written(point: Point) -> dict[str, str]:
    return {str(k): text(v) for k, v in sorted(point.items())}
