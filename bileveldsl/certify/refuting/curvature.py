"""Negative curvature at feasible points, found in floats by sampling and local search, proved by exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import flint
import numpy as np
from flint import arb, fmpq

from bileveldsl.certify.clock import check, share, timed, until
from bileveldsl.certify.piecewise import beside_kinks, seams
from bileveldsl.certify.refuting.points import Point, Points
from bileveldsl.certify.scalars import (
    Matrix,
    NotDifferentiable,
    Scalar,
    balls,
    evaluate,
    exact_value,
    nearest,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_COUNT = 256  # points sampled at a time
_BATCHES = 3
_KEPT = 24
_ROUNDS = 12
_GRIDS = (0, 1, 3, 6, 10, 16, 26)  # binary digits after the point that a witness may have
_ASKED = 6  # candidates that are checked exactly
_PRECISION = 192
_INFEASIBLE = 1e200  # scores from here on are of points that are not feasible
_IDLE = 3
_REACHES = (math.inf, 16.0, 2.0)
_TINY = 1e-12
_USEFUL = 0.01  # of a proved bound: one on its other side that is this close tells nothing new
_SEARCHING = 0.5  # of the time that is left; the rest is for making sure of what was found
_LARGEST = 60  # variables of a Hessian

Vector = list[Fraction]
Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Witness:
    """A feasible point and a direction, with the second derivative there over the square of the direction."""

    point: Point
    direction: dict[int, Fraction]
    quotient: Fraction

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "curvature",
            "point": {str(k): text(v) for k, v in sorted(self.point.items())},
            "direction": {str(k): text(v) for k, v in sorted(self.direction.items()) if v},
        }


class Curvature:
    """Second derivatives of a question's function in those of its own variables that can move."""

    def __init__(self, question: Question):
        self.question = question
        self.points = Points(question)
        self._samples: list[np.ndarray] = []
        self.own = [k for k in question.own if question.lo[k] < question.hi[k]]
        self.seams = seams(question.root, self.own)
        self.entries: Matrix = beside_kinks(question.root, self.own)

    def within(self, reach: float) -> Curvature:
        """The same with points looked for no farther from zero, where their bounds allow it."""
        near = copy(self)
        near.points, near._samples = copy(self.points), []
        near.points.reach = reach
        return near

    def sample(self, batch: int) -> np.ndarray:
        """Points of a batch by its number, the same for whatever is asked of the function."""
        while len(self._samples) <= batch:
            random = np.random.default_rng(len(self._samples))  # the same question gets the same answer
            self._samples.append(self.points.sample(_COUNT, random))
        return self._samples[batch]

    def matrices(self, points: np.ndarray) -> np.ndarray:
        """Hessians at points, shape (batch, own, own), NaN where they are not defined."""
        size = len(self.own)
        result = np.zeros((len(points), size, size))
        values = evaluate([*self.seams, *self.entries.values(), self.question.root], points)
        kinked = (values[: len(self.seams)] == 0).any(0)
        values = values[len(self.seams) :]
        for (i, j), value in zip(self.entries, values, strict=False):
            result[:, i, j] = result[:, j, i] = value
        result[~np.isfinite(values[-1]) | kinked] = np.nan
        return result

    def eigenvalues(self, points: np.ndarray) -> np.ndarray:
        """The eigenvalues, shape (batch, own), NaN where there are none."""
        matrices = self.matrices(points)
        usable = np.isfinite(matrices).all((1, 2))
        found = np.linalg.eigvalsh(np.where(usable[:, None, None], matrices, 0.0))
        return np.where(usable[:, None], found, np.nan)

    # ---- search in floats ----

    def candidates(self, score: Score, enough: float = -math.inf) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Points with their scores in batches, feasible ones of low score first: samples, then steps from the best.

        The batches end when a few in a row brought nothing new, or a score is as low as is enough.
        """
        best, values = self._ranked(self.sample(0), score)
        yield best, values
        for batch in range(1, _BATCHES):
            if len(values) and values[0] <= enough:
                return
            best, values = _merged(best, values, *self._ranked(self.sample(batch), score))
            yield best, values
        random = np.random.default_rng(_BATCHES)
        idle = 0
        for k in range(_ROUNDS):
            if not len(best) or idle > _IDLE or values[0] <= enough:
                return
            near = np.repeat(best, 6, axis=0)
            steps = random.standard_normal(near.shape) * 2.0 ** (-k / 1.5) * np.maximum(1.0, np.abs(near))
            with np.errstate(all="ignore"):
                width = self.points.hi - self.points.lo
            steps *= np.where(np.isfinite(width), np.minimum(width, 2.0) / 2, 1.0)
            steps *= random.random(near.shape) < 0.5
            before = values[0]
            best, values = _merged(
                best, values, *self._ranked(self.points.moved(self.points.within(near + steps)), score)
            )
            idle = 0 if values[0] < before - 1e-3 * abs(before) else idle + 1
            yield best, values

    def _ranked(self, points: np.ndarray, score: Score) -> tuple[np.ndarray, np.ndarray]:
        violation = self.points.violation(points)
        values = np.where(violation <= 0, score(points), np.inf)
        # Points that violate a constraint are kept behind all others, as places to search from.
        behind = _INFEASIBLE * (1 + np.clip(violation, 0, 1e50))
        values = np.where(np.isfinite(violation) & (violation > 0), behind, values)
        values = np.where(np.isnan(values), np.inf, values)
        order = np.argsort(values, kind="stable")[:_KEPT]
        order = order[np.isfinite(values[order])]
        return points[order], values[order]

    def shortened(self, points: np.ndarray, score: Score, most: float) -> list[np.ndarray]:
        """Feasible points of few digits near some points, whose score is at most a bound, shortest first."""
        points = points[:_ASKED]
        if not len(points):
            return []
        grids = np.repeat(2.0 ** np.array(_GRIDS), len(points))[:, None]
        near = self.points.within(np.round(np.tile(points, (len(_GRIDS), 1)) * grids) / grids)
        near = np.concatenate([near, points])
        good = (self.points.violation(near) <= 0) & (score(near) <= most)
        return list(near[good])

    def noise(self, points: np.ndarray) -> float:
        """The size of eigenvalues that floats cannot tell from 0."""
        return float(1e-9 * np.nanmax(np.abs(self.eigenvalues(points))))

    # ---- proof ----

    def quotient(self, point: Point, direction: Vector, sign: int) -> Fraction | None:
        """An upper bound of sign v'Hv / v'v, exact where it is rational; None where there is none."""
        if not all(_is_nonzero(seam, point) for seam in self.seams):
            return None
        pairs = {place: node for place, node in self.entries.items() if direction[place[0]] and direction[place[1]]}
        square = sum((v * v for v in direction), Fraction(0))
        weights = [sign * direction[i] * direction[j] * (1 if i == j else 2) / square for i, j in pairs]
        exact = [exact_value(node, point) for node in pairs.values()]
        known = [value for value in exact if value is not None]
        if len(known) == len(exact):
            return sum((w * value for w, value in zip(weights, known, strict=True)), Fraction(0))
        with flint.ctx.workprec(_PRECISION):
            found = zip(weights, balls(list(pairs.values()), point), strict=True)
            ball = sum((arb(fmpq(w.numerator, w.denominator)) * b for w, b in found), arb(0))
            if not ball.is_finite():
                return None
            mantissa, exponent = ball.upper().man_exp()
        return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)

    def witness(self, place: np.ndarray, sign: int, close: float) -> Witness | None:
        """The point with a short direction in which sign v'Hv / v'v is about least: up to `close` of its size."""
        point = self.points.rational(place)
        if point is None or not self.points.is_feasible(point):
            return None
        matrix = sign * self.matrices(place[None])[0]
        if not np.isfinite(matrix).all():
            return None
        values, vectors = np.linalg.eigh(matrix)
        most = values[0] + close * abs(values[0]) + 1e-13 * np.abs(values).max()
        best: Witness | None = None
        for vector in _directions(vectors[:, 0], matrix, most):
            direction = [Fraction(float(v)) for v in vector]
            quotient = self.quotient(point, direction, sign)
            if quotient is not None and (best is None or quotient < best.quotient):
                best = Witness(point, dict(zip(self.own, direction, strict=True)), quotient)
                if quotient < 0 or float(quotient) <= most:
                    break
        return best

    def exact_witness(self, place: np.ndarray) -> Witness | None:
        """A direction of negative curvature at a point where the second derivatives are rational, by elimination."""
        point = self.points.rational(place)
        if point is None or not self.points.is_feasible(point):
            return None
        matrix = [[Fraction(0)] * len(self.own) for _ in self.own]
        for (i, j), node in self.entries.items():
            value = exact_value(node, point)
            if value is None:
                return None
            matrix[i][j] = matrix[j][i] = value
        direction = negative_direction(matrix)
        if direction is None:
            return None
        quotient = self.quotient(point, direction, 1)
        return None if quotient is None else Witness(point, dict(zip(self.own, direction, strict=True)), quotient)


def _is_nonzero(node: Scalar, point: Point) -> bool:
    value = exact_value(node, point)
    if value is not None:
        return value != 0
    [ball] = balls([node], point)
    return bool(ball > 0) or bool(ball < 0)


def _directions(vector: np.ndarray, matrix: np.ndarray, most: float) -> Iterator[np.ndarray]:
    """Directions of few digits, the shortest first, whose quotient is at most a bound; the vector itself last."""
    axis = np.argmin(np.diag(matrix))
    rounded = [np.round(vector / np.abs(vector).max() * 2.0**k) / 2.0**k for k in (0, 1, 2, 4, 7, 12, 20, 30)]
    for candidate in (np.eye(len(vector))[axis], *rounded):
        square = candidate @ candidate
        if square and candidate @ matrix @ candidate <= most * square:
            yield candidate
    yield vector


def negative_direction(matrix: list[Vector]) -> Vector | None:
    """A vector with v'Av < 0 for a symmetric rational matrix, found by elimination; None if there is none.

    Examples
    --------
    >>> negative_direction([[Fraction(1), Fraction(2)], [Fraction(2), Fraction(1)]])
    [Fraction(-2, 1), Fraction(1, 1)]
    """
    size = len(matrix)
    rest = [row[:] for row in matrix]
    vector = [Fraction(0)] * size
    kept: list[tuple[int, Vector]] = []
    for k in range(size):
        check()
        pivot = rest[k][k]
        beside = next((j for j in range(k + 1, size) if rest[k][j]), None)
        if pivot < 0:
            vector[k] = Fraction(1)
            break
        if pivot == 0 and beside is not None:
            vector[beside] = Fraction(1)
            vector[k] = -(rest[beside][beside] + 1) / (2 * rest[k][beside])
            break
        if pivot:
            kept.append((k, rest[k][:]))
            for i in range(k + 1, size):
                factor = rest[i][k] / pivot
                for j in range(k, size):
                    rest[i][j] -= factor * rest[k][j]
    else:
        return None
    for k, row in reversed(kept):  # the eliminated variables take the values that are best for the rest
        vector[k] = -sum((row[j] * vector[j] for j in range(k + 1, size)), Fraction(0)) / row[k]
    return vector


def _merged(
    points: np.ndarray, values: np.ndarray, more: np.ndarray, found: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    points, values = np.concatenate([points, more]), np.concatenate([values, found])
    order = np.argsort(values, kind="stable")[:_KEPT]
    return points[order], values[order]


# ---- what is asked --------------------------------------------------------------------------


@timed()
def refute_by_curvature(question: Question) -> dict[str, Any] | None:
    """A proof of kind "curvature" that the function is not convex in its own variables, or None."""
    curvature = _curvature(question)
    if curvature is None:
        return None

    def score(points: np.ndarray) -> np.ndarray:
        return curvature.eigenvalues(points)[:, 0]

    for number_, (points, values) in enumerate(curvature.candidates(score)):
        feasible = points[values < _INFEASIBLE]
        if not len(feasible):
            continue
        least = values[0]
        if least < 0:
            # Of points of clearly negative curvature those close to zero make the plainest witnesses.
            plain = feasible[np.argsort(np.abs(feasible).sum(1), kind="stable")]
            plain = plain[score(plain) < 10 * -curvature.noise(feasible)]
            most = -curvature.noise(feasible)
            for place in [*curvature.shortened(plain, score, most), *feasible][:_ASKED]:
                witness = curvature.witness(place, 1, 0.75)
                if witness is not None and witness.quotient < 0:
                    return witness.to_json()
        if number_ < 2 and least < curvature.noise(feasible[:1]):
            for place in feasible[:_ASKED]:
                witness = curvature.exact_witness(place)
                if witness is not None:
                    return witness.to_json()
    return None


@timed()
def upper_modulus(question: Question, proved: float = -math.inf) -> tuple[Fraction, dict[str, Any]] | None:
    """An upper bound of every modulus of strong convexity, with a proof of kind "curvature"; None if none was found.

    It is not looked for closer than is useful beside a modulus that is `proved`.
    """
    curvature = _curvature(question)
    if curvature is None:
        return None
    enough = proved + _USEFUL * abs(proved) + _TINY
    found = _extreme(curvature, lambda points: curvature.eigenvalues(points)[:, 0], lambda points: 1, enough)
    return None if found is None else (_above(found.quotient), found.to_json())


@timed()
def lower_smoothness(question: Question, proved: float = math.inf) -> tuple[Fraction, dict[str, Any]] | None:
    """A lower bound of every constant of smoothness, with a proof of kind "curvature"; None if none was found.

    It is not looked for closer than is useful beside a constant that is `proved`.
    """
    curvature = _curvature(question)
    if curvature is None:
        return None

    def score(points: np.ndarray) -> np.ndarray:
        return -np.abs(curvature.eigenvalues(points)).max(1)

    def sign(point: np.ndarray) -> int:
        values = curvature.eigenvalues(point[None])[0]
        return 1 if -values[0] > values[-1] else -1

    found = _extreme(curvature, score, sign, _TINY - (1 - _USEFUL) * proved)
    return None if found is None else (-_above(found.quotient), found.to_json())


def _extreme(
    curvature: Curvature, score: Score, sign: Callable[[np.ndarray], int], enough: float
) -> Witness | None:
    """The witness with about the least score; where floats fail far out, it is looked for closer to zero."""
    best: Witness | None = None
    for reach in _REACHES:
        with until(math.inf):  # the best that was found before the time is up counts
            near = curvature if reach == math.inf else curvature.within(reach)
            last = None
            with until(share(_SEARCHING)):
                for points, values in near.candidates(score, enough):
                    last = points[values < _INFEASIBLE], values[values < _INFEASIBLE]
            if last is None or not len(last[0]):
                continue
            points, values = last
            witness = _shortest(near, points, score, float(values[0]), sign)
            if witness is not None and (best is None or witness.quotient < best.quotient):
                best = witness
            if best is not None and nearest(best.quotient) <= max(enough, values[0] + 0.05 * abs(values[0]) + _TINY):
                break
    return best


def _shortest(
    curvature: Curvature, points: np.ndarray, score: Score, least: float, sign: Callable[[np.ndarray], int]
) -> Witness | None:
    for slack in (0.001, 0.02, 0.5):
        for place in curvature.shortened(points, score, least + slack * abs(least) + _TINY)[:_ASKED]:
            witness = curvature.witness(place, sign(place), slack)
            if witness is not None:
                return witness
    return None


def _above(value: Fraction) -> Fraction:
    """A number of few digits that is not less."""
    if value.denominator <= 1000:
        return value
    unit = Fraction(10) ** (len(str(abs(value.numerator))) - len(str(value.denominator)) - 5)
    return math.ceil(value / unit) * unit


@lru_cache(maxsize=1)
def _curvature(question: Question) -> Curvature | None:
    if len(question.own) > _LARGEST:
        return None
    try:
        found = Curvature(question)
    except NotDifferentiable:
        return None
    return found if found.own else None
