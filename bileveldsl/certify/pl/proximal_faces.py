"""Points of a box that are stationary for it, on its faces, and low points: they refute the proximal inequality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from itertools import product as pairs

import numpy as np

from bileveldsl.certify.cover import finite_box, scattered
from bileveldsl.certify.pl.bends import Proof
from bileveldsl.certify.pl.curves import degenerate_refutation
from bileveldsl.certify.pl.landscape import Landscape, shortened
from bileveldsl.certify.pl.stationary import (
    Point,
    Terrain,
    krawczyk_refutation,
    stationary_refutation,
    written,
)  # fmt: skip
from bileveldsl.certify.scalars import balls, evaluate, gradient, number, substitute, variable
from bileveldsl.certify.statement import Question

FLAT = 1e-9
"""A slope that is taken for none."""

_FACES = 60
_STARTS, _SAMPLES = 24, 256
_ROUNDS, _AROUND = 20, 48  # of the search for a low point


class Face(Terrain):
    """A function on a face of the box of its own variables: some are at bounds which hold them there.

    A point has a value for each of the variables, those at bounds among them.
    """

    def __init__(self, question: Question, fixed: Mapping[int, Fraction], lowest: np.ndarray):
        self.whole, self.fixed, self.lowest = question, dict(fixed), lowest
        self.own = tuple(v for v in question.own if v not in fixed)
        [self.root] = substitute([question.root], {variable(v): number(c) for v, c in fixed.items()})
        self.question = replace(question, root=self.root, own=self.own)
        self.landscape = Landscape(self.root, self.own)
        self.slopes = gradient(self.root, self.own)
        found = self.landscape.stationary(self._starts()) if self.own else self._starts()[:1]
        self.stationary = np.array([place for place in found if self._holds(place)]).reshape(-1, len(question.lo))

    def _starts(self) -> np.ndarray:
        low, high = finite_box(self.whole.lo, self.whole.hi)
        points = low + scattered(_STARTS, len(low)) * (high - low)
        for v, c in self.fixed.items():
            points[:, v] = float(c)
        return points

    def _holds(self, place: np.ndarray) -> bool:
        """Whether a point lies in the box, and the bounds hold the variables that are at them."""
        own = list(self.whole.own)
        inside = (place[own] >= self.whole.lo[own]) & (place[own] <= self.whole.hi[own])
        fixed = sorted(self.fixed)
        slopes = np.array([s[0] for s in evaluate(gradient(self.whole.root, fixed), place[None])])
        signs = np.array([1.0 if self.fixed[v] == self.whole.lo[v] else -1.0 for v in fixed])
        return bool(inside.all() and (slopes * signs > FLAT).all())

    def point(self, place: np.ndarray, tolerance: float = 1e-7) -> Point:
        return {v: inside(self.whole, v, float(place[v]), tolerance) for v in self.whole.own}

    def value(self, at: Point) -> tuple[float, float] | None:
        ball = balls([self.whole.root], at)[0]
        return (float(ball.lower()) - 1e-300, float(ball.upper()) + 1e-300) if ball.is_finite() else None


def inside(question: Question, v: int, value: float, tolerance: float) -> Fraction:
    """A short rational near a float, between the bounds of a variable."""
    low, high = question.lo[v], question.hi[v]
    if value in (low, high):
        return Fraction(value)
    near = shortened(value, tolerance)
    return Fraction(low) if near < low else Fraction(high) if near > high else near


def refute_by_points(question: Question) -> Proof | None:
    """A stationary point for the box that is no minimizer, or a degenerate one, of a function of its own variables."""
    lowest = lowest_point(question)
    for fixed in islice(_faces(question), _FACES):
        face = Face(question, fixed, lowest)
        found = stationary_refutation(face)
        if found is not None:
            return found
        if not face.own:
            continue
        found = krawczyk_refutation(face)
        if found is not None:
            return {**found, "fixed": written(face.fixed)}
        found = degenerate_refutation(face)
        if found is not None:
            return _inward(face, found)
    return None


def _faces(question: Question) -> Iterator[Point]:
    """Which own variables are at which of their bounds: none, then one after the other, all of them early."""
    sides = []
    for v in question.own:
        ends = [Fraction(float(e)) for e in (question.lo[v], question.hi[v]) if np.isfinite(e)]
        sides.append([None, *ends])
    faces = [{v: c for v, c in zip(question.own, each, strict=True) if c is not None} for each in pairs(*sides)]
    yield from sorted(faces, key=lambda face: min(len(face), 2 * (len(question.own) - len(face)) + 1))


def _inward(face: Face, found: Proof) -> Proof | None:
    """The proof with the line turned into the box, if that can be."""
    start = {int(v): Fraction(c) for v, c in found["stationary"].items()}
    step = {int(v): Fraction(c) for v, c in found["direction"].items()}
    for sign in (1, -1):
        if all(face.whole.lo[v] < start[v] if sign * c < 0 else c == 0 or start[v] < face.whole.hi[v]
               for v, c in step.items()):  # fmt: skip
            return {**found, "direction": written({v: sign * c for v, c in step.items()})}
    return None


def lowest_point(question: Question) -> np.ndarray:
    """Where a function of its own variables is lowest between their bounds, as it seems: a search that narrows."""
    own = list(question.own)
    landscape = Landscape(question.root, own)
    low, high = finite_box(question.lo, question.hi)
    shares = scattered(_SAMPLES, len(low))
    corners = np.array(list(islice(pairs((0.0, 0.5, 1.0), repeat=len(own)), _SAMPLES // 2)))
    shares[: len(corners), own] = corners
    points, best = low + shares * (high - low), low
    for k in range(_ROUNDS):
        values = landscape.values(points)
        best = points[int(np.argmin(np.where(np.isfinite(values), values, np.inf)))]
        points = np.repeat(best[None], _AROUND, axis=0)
        moves = 0.5 ** (k + 1) * (high - low)[own] * (2 * scattered(_AROUND, len(own), 3) - 1)
        points[1:, own] = np.clip(points[:, own] + moves, question.lo[own], question.hi[own])[1:]
    return best
