"""Dense attempts to contradict what was proved: random points of the region, in floating point.

Sampling proves nothing; a single contradiction beyond roundoff would show a proof to be wrong.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from flint import arb, fmpq

from bileveldsl.certify.facts import Fact
from bileveldsl.certify.scalars import Matrix, NotDifferentiable, Scalar, balls, evaluate, gradient, hessian
from bileveldsl.certify.statement import Statement

POINTS = 20_000
CONFIRMED = 200  # suspects of each function that are looked at in exact arithmetic
ROUNDOFF = 1e-7  # of the size of what is compared


def contradictions(fact: Fact, found: Statement, root: Scalar, own: tuple[int, ...], points: int = POINTS) -> int:
    """At how many random points a proved fact of a function seems not to hold."""
    rng = np.random.default_rng(0)
    x = _scattered(found, points, rng)
    try:
        return _pl(fact, root, own, x, rng) if fact.fact == "pl" else _curvature(fact, root, own, x)
    except NotDifferentiable:  # of PL such a function has only what strong convexity gives; of smooth nothing is tried
        return 0 if fact.fact == "smooth" else _midpoints(fact, found, root, own, x, rng)


def _scattered(found: Statement, points: int, rng: np.random.Generator) -> np.ndarray:
    """Points of the box; along infinite sides at scales from 0.01 to 100."""
    lo, hi = found.box
    scale = 10.0 ** rng.uniform(-2, 2, (points, 1))
    start = np.where(np.isfinite(lo), lo, np.where(np.isfinite(hi), hi, 0.0))
    step = rng.standard_normal((points, len(lo))) * scale
    away = np.where(np.isfinite(lo), np.abs(step), np.where(np.isfinite(hi), -np.abs(step), step))
    inside = np.where(np.isfinite(lo), lo, 0) + rng.random((points, len(lo))) * np.where(
        np.isfinite(hi - lo), hi - lo, 0
    )
    return np.where(np.isfinite(lo) & np.isfinite(hi), inside, start + away)


def _curvature(fact: Fact, root: Scalar, own: tuple[int, ...], x: np.ndarray) -> int:
    entries = hessian(root, own)
    matrices = np.zeros((len(x), len(own), len(own)))
    for (i, j), values in zip(entries, evaluate(list(entries.values()), x), strict=True):
        matrices[:, i, j] = matrices[:, j, i] = values
    usable = np.flatnonzero(np.isfinite(matrices).all((1, 2)))
    values, vectors = np.linalg.eigh(matrices[usable])
    constant = fact.constant or 0.0
    if fact.fact == "smooth":
        ends = np.where(values[:, -1] > -values[:, 0], len(own) - 1, 0)
        suspects = np.flatnonzero(np.abs(values).max(1) > constant)
    else:
        ends = np.zeros(len(usable), dtype=int)
        suspects = np.flatnonzero(values[:, 0] < constant)
    wrong = 0
    for k in suspects[:CONFIRMED]:
        v = [Fraction(c) for c in vectors[k][:, ends[k]].tolist()]
        curvature = _quadratic(entries, v, x[usable[k]]) / _arb(sum(c * c for c in v))
        wrong += bool(abs(curvature) > _arb(constant) if fact.fact == "smooth" else curvature < _arb(constant))
    return wrong


def _arb(value: Fraction | float) -> arb:
    exact = Fraction(value)
    return arb(fmpq(exact.numerator, exact.denominator))


def _quadratic(entries: Matrix, v: list[Fraction], point: np.ndarray) -> arb:
    """v'Hv at a point as a ball: what is a contradiction in floats may be roundoff."""
    values = balls(list(entries.values()), {k: Fraction(c) for k, c in enumerate(point.tolist())})
    terms = [
        value * _arb(v[i] * v[j] * (1 if i == j else 2)) for (i, j), value in zip(entries, values, strict=True)
    ]
    return sum(terms, arb(0))


def _midpoints(
    fact: Fact, found: Statement, root: Scalar, own: tuple[int, ...], x: np.ndarray, rng: np.random.Generator
) -> int:
    other = x.copy()
    other[:, own] = _scattered(found, len(x), rng)[:, own]
    ends = evaluate([root], np.concatenate([x, other, (x + other) / 2]))[0].reshape(3, -1)
    share = Fraction(fact.constant or 0.0) / 8
    with np.errstate(all="ignore"):
        suspects = np.flatnonzero(ends[2] - (ends[0] + ends[1]) / 2 + float(share) * ((x - other) ** 2).sum(1) > 0)
    wrong = 0
    for k in suspects[:CONFIRMED]:
        a, b = ([Fraction(c) for c in row.tolist()] for row in (x[k], other[k]))
        middle = [(p + q) / 2 for p, q in zip(a, b, strict=True)]
        at = [balls([root], dict(enumerate(point)))[0] for point in (a, b, middle)]
        distance = sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
        wrong += bool(at[2] - (at[0] + at[1]) / 2 + _arb(share * distance) > 0)
    return wrong


def _pl(fact: Fact, root: Scalar, own: tuple[int, ...], x: np.ndarray, rng: np.random.Generator) -> int:
    """|gradient|^2 / 2 against mu times the height above the lowest point found by descent from many starts."""
    slopes = gradient(root, own)
    wrong = 0
    for row in x[rng.integers(0, len(x), 40)]:
        batch = np.repeat(row[None], len(x) // 40, 0)
        batch[:, own] = x[: len(batch), own]
        values = evaluate([root, *slopes], batch)
        lowest = _descended(root, slopes, own, batch[np.argsort(values[0])[:20]])
        height = values[0] - lowest
        square = (values[1:] ** 2).sum(0) / 2
        usable = np.isfinite(square) & np.isfinite(height)
        size = np.abs(values[0]) + abs(lowest)
        wrong += int((square < (fact.constant or 0.0) * (height - 1e-9 * size) * (1 - ROUNDOFF))[usable].sum())
    return wrong


def _descended(root: Scalar, slopes: list[Scalar], own: tuple[int, ...], x: np.ndarray) -> float:
    """The lowest value that descent with halved steps reaches, an upper bound of the infimum."""
    x, step = x.copy(), np.full(len(x), 1.0)
    value = evaluate([root], x)[0]
    for _ in range(200):
        direction = evaluate(slopes, x).T
        trial = x.copy()
        trial[:, own] -= step[:, None] * direction
        new = evaluate([root], trial)[0]
        better = new < value
        x[better], value[better] = trial[better], new[better]
        step = np.where(better, step * 1.5, step / 2)
    return float(np.nanmin(value))
