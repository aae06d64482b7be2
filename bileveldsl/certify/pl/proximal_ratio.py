"""Upper bounds of the constant of the proximal inequality between bounds, from pairs of points."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from bileveldsl.certify.clock import timed
from bileveldsl.certify.cover import finite_box, scattered
from bileveldsl.certify.pl.bends import Proof
from bileveldsl.certify.pl.landscape import Landscape
from bileveldsl.certify.pl.places import places
from bileveldsl.certify.pl.proximal_faces import inside, lowest_point
from bileveldsl.certify.pl.stationary import Point, written
from bileveldsl.certify.scalars import balls, gradient, number, substitute, variable
from bileveldsl.certify.statement import Question

_SAMPLES = 256


@timed()
def upper_between_bounds(question: Question) -> tuple[Fraction, Proof] | None:
    """A constant that no constant of the inequality exceeds with any curvature, and its proof of kind "pl-ratio".

    At a point p of the box where no bound holds a variable D(p, a) <= |grad g(p)|^2: over g(p) - g(q) that is it.
    """
    best: tuple[float, Point, Point, Point] | None = None
    own = list(question.own)
    low, high = finite_box(question.lo, question.hi)
    for others in places(question):
        at = {variable(v): number(c) for v, c in others.items()}
        [root] = substitute([question.root], at)
        fixed = replace(question, root=root)
        landscape, lowest = Landscape(root, own), lowest_point(fixed)
        points = low + (high - low) * (1 + 254 * scattered(_SAMPLES, len(low))) / 256
        near = np.repeat(lowest[None], _SAMPLES, axis=0)
        radii = 2.0 ** -np.linspace(1, 10, _SAMPLES)[:, None]
        near[:, own] += radii * (points - near)[:, own]
        points = np.concatenate([points, near])
        gap = landscape.values(points) - landscape.values(lowest[None])
        with np.errstate(all="ignore"):
            ratios = (landscape.slopes(points) ** 2).sum(1) / (2 * gap)
        ratios = np.where((gap > 1e-7 * (1 + np.abs(gap).max())) & np.isfinite(ratios), ratios, np.inf)
        k = int(ratios.argmin())
        if best is None or ratios[k] < best[0]:
            p, q = ({v: inside(question, v, float(place[v]), 1e-5) for v in own} for place in (points[k], lowest))
            best = float(ratios[k]), others, p, q
    if best is None or not np.isfinite(best[0]):
        return None
    _, others, p, q = best
    slopes = [abs(ball) for ball in balls(gradient(question.root, own), {**others, **p})]
    high_ball, low_ball = (balls([question.root], {**others, **at})[0] for at in (p, q))
    above = high_ball - low_ball
    if not above > 0 or not all(s.is_finite() for s in slopes) or not best[0] > 0:
        return None
    bound = (sum((s * s for s in slopes), above * 0) / (2 * above)).upper()
    proof: Proof = {"kind": "pl-ratio", "point": written(others), "p": written(p), "q": written(q)}
    return _slightly_more(float(bound)), proof


def _slightly_more(bound: float) -> Fraction:
    """A rational of few digits above a positive bound that was rounded."""
    unit = Fraction(10) ** (math.floor(math.log10(bound)) - 4)
    return (Fraction(bound * (1 + 1e-12)) // unit + 1) * unit
