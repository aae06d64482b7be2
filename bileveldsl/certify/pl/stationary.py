"""Refutations by stationary points that are no minimizers, and by functions that have no stationary points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from itertools import product as pairs
from typing import Any

import numpy as np

from bileveldsl.certify.pl.bends import Proof
from bileveldsl.certify.pl.landscape import FAR, Landscape, shortened, starts
from bileveldsl.certify.scalars import (
    Scalar,
    balls,
    enclose,
    exact_value,
    gradient,
    hessian,
    number,
    product,
    total,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_RADII = (2.0**-24, 2.0**-18, 2.0**-12, 2.0**-7)
_OWN = 8
Point = dict[int, Fraction]


class Terrain:
    """A function of its own variables alone, with its stationary points and a low point as they seem to be."""

    def __init__(self, question: Question):
        self.question, self.root, self.own = question, question.root, question.own
        self.landscape = Landscape(self.root, self.own)
        self.slopes = gradient(self.root, self.own)
        zeros = np.zeros(len(question.lo) - len(self.own))
        begun = np.concatenate([starts(question, zeros, radius) for radius in (0.5, 2.0, 6.0, 20.0)])
        self.stationary = self.landscape.stationary(begun)
        ends = self.landscape.descended(begun)
        ends = ends[np.abs(ends).max(1) < FAR]
        values = self.landscape.values(ends)
        usable = np.isfinite(values)
        self.lowest = ends[usable][np.argmin(values[usable])] if usable.any() else np.zeros(len(question.lo))

    def point(self, place: np.ndarray, tolerance: float = 1e-7) -> Point:
        """Short rational values of the own variables near floats."""
        return {v: shortened(float(place[v]), tolerance) for v in self.own}

    def value(self, at: Point) -> tuple[float, float] | None:
        """Bounds of the value at a rational point."""
        ball = balls([self.root], at)[0]
        return (float(ball.lower()) - 1e-300, float(ball.upper()) + 1e-300) if ball.is_finite() else None

    def is_above(self, at: Point, low: Point) -> bool:
        """Whether the value at one point exceeds that at another, by more than rounding could make up."""
        high, below = self.value(at), self.value(low)
        return high is not None and below is not None and high[0] > below[1] + 1e-12 * (1 + abs(below[1]))


def written(point: Point) -> dict[str, str]:
    return {str(v): text(c) for v, c in point.items()}


def exact_stationary(terrain: Terrain) -> Iterator[Point]:
    """Stationary points that are rational, the gradient being exactly 0."""
    for place in terrain.stationary:
        at = terrain.point(place, 1e-4)
        if all(exact_value(slope, at) == 0 for slope in terrain.slopes):
            yield at


def stationary_refutation(terrain: Terrain) -> Proof | None:
    """An exact stationary point above another point."""
    low = terrain.point(terrain.lowest)
    for at in exact_stationary(terrain):
        if terrain.is_above(at, low):
            return {"kind": "stationary", "stationary": written(at), "lower": written(low)}
    return None


def krawczyk_refutation(terrain: Terrain) -> Proof | None:
    """A cube that holds a stationary point, all of it above another point."""
    if len(terrain.own) > _OWN:
        return None
    low = terrain.point(terrain.lowest)
    base = terrain.value(low)
    values = terrain.landscape.values(terrain.stationary) if len(terrain.stationary) else np.zeros(0)
    if base is None:
        return None
    for k in np.argsort(-values):
        if values[k] <= base[1] + 1e-6 * (1 + abs(base[1])):
            break
        found = _enclosed(terrain, terrain.stationary[k], base[1])
        if found is not None:
            return {"kind": "krawczyk", **found, "lower": written(low)}
    return None


def _enclosed(terrain: Terrain, place: np.ndarray, base: float) -> dict[str, Any] | None:
    own = terrain.own
    bends = terrain.landscape.hessians(place[None])[0]
    if not np.linalg.cond(bends) < 1e10:
        return None
    centre = {v: Fraction(round(float(place[v]) * 2**40), 2**40) for v in own}
    scale = 2.0**20 / max(1e-300, float(np.abs(np.linalg.inv(bends)).max()))
    inverse = np.round(np.linalg.inv(bends) * scale) / scale if scale < 1e300 else np.linalg.inv(bends)
    slopes = [abs(ball) for ball in balls(terrain.slopes, centre)]
    if not all(s.is_finite() for s in slopes):
        return None
    moved = np.abs(inverse) @ np.array([float(s.upper()) for s in slopes])
    entries = hessian(terrain.root, own)
    for radius in _RADII:
        lo, hi = np.zeros((1, len(terrain.question.lo))), np.zeros((1, len(terrain.question.lo)))
        for v in own:
            lo[0, v], hi[0, v] = float(centre[v]) - 1.0001 * radius, float(centre[v]) + 1.0001 * radius
        below, above = np.zeros_like(bends), np.zeros_like(bends)
        for (i, j), range_ in zip(entries, enclose(list(entries.values()), lo, hi) if entries else [], strict=True):
            below[i, j] = below[j, i] = range_.least
            above[i, j] = above[j, i] = range_.greatest
        if not np.isfinite(below).all() or not np.isfinite(above).all():
            continue
        middle, spread = (below + above) / 2, (above - below) / 2
        gap = np.abs(np.eye(len(own)) - inverse @ middle) + np.abs(inverse) @ spread
        if (moved + gap.sum(1) * radius < 0.9 * radius).all():
            value = enclose([terrain.root], lo, hi)[0].least
            if value > base + 1e-9 * (1 + abs(base)):
                return {
                    "centre": written(centre), "radius": text(radius),
                    "inverse": [[text(Fraction(v)) for v in row] for row in inverse.tolist()],
                }  # fmt: skip
    return None


def monotone_refutation(terrain: Terrain) -> Proof | None:
    """A direction along which the function increases everywhere."""
    return monotone(terrain.question, terrain.root)


def monotone(question: Question, root: Scalar) -> Proof | None:
    """A direction along which a function increases for all values in the boxes."""
    slopes = gradient(root, question.own)
    for direction in directions(question.own):
        slope = total(product([number(direction.get(v, 0)), s]) for v, s in zip(question.own, slopes, strict=True))
        if _is_positive(slope, question):
            return {"kind": "no-stationary", "direction": written(direction)}
    return None


def _is_positive(slope: Scalar, question: Question) -> bool:
    range_ = enclose([slope], question.lo[None], question.hi[None])[0]
    return range_.positive or range_.least > 0


def directions(own: Sequence[int]) -> Iterator[Point]:
    """Axes, the diagonal of all and those of pairs, with both signs."""
    for v in own:
        for sign in (1, -1):
            yield {v: Fraction(sign)}
    if len(own) > 2:
        for sign in (1, -1):
            yield {v: Fraction(sign) for v in own}
    if len(own) <= 6:
        for (a, b), (p, q) in pairs(combinations(own, 2), pairs((1, -1), repeat=2)):
            yield {a: Fraction(p), b: Fraction(q)}
