"""Dense attempts to contradict what was proved: random points of the region, in floating point.

Sampling proves nothing; a single contradiction beyond roundoff would show a proof to be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from flint import arb, fmpq

from bileveldsl.certify.facts import Fact
from bileveldsl.certify.scalars import (
    Matrix,
    NotDifferentiable,
    Scalar,
    balls,
    evaluate,
    gradient,
    hessian,
    negated,
    number,
    product,
    total,
)
from bileveldsl.certify.statement import Statement

POINTS = 20_000
CONFIRMED = 200  # suspects of each function that are looked at in exact arithmetic
GROUPS, STARTS, STEPS = 40, 20, 200  # of PL: values of the others' variables, descents for each, and their steps
_ENTRIES = 4_000_000  # of the matrices looked at together
ROUNDOFF = 1e-7  # of the size of what is compared


def contradictions(fact: Fact, found: Statement, points: int = POINTS) -> int:
    """At how many random points a proved fact seems not to hold, other than by roundoff.

    Facts of feasible sets are those of their constraints, and nothing more is tried.
    """
    rng = np.random.default_rng(0)
    x = _scattered(found, points, rng)
    wrong = int(_crossed(fact))
    for root, own in _judged(fact, found):
        try:
            if fact.fact == "pl":
                wrong += _pl(fact, found, root, own, x, rng)
            else:
                wrong += _curvature(fact, root, own, x)
        except NotDifferentiable:  # of the slopes of a function with kinks nothing is tried
            if fact.fact not in ("smooth", "pl"):
                wrong += _midpoints(fact, found, root, own, x, rng)
    return wrong


def _crossed(fact: Fact) -> bool:
    """Whether a constant lies on the wrong side of the bound on its other side."""
    if fact.constant is None or fact.constant_upper is None:
        return False
    return fact.constant < fact.constant_upper if fact.fact == "smooth" else fact.constant > fact.constant_upper


def _judged(fact: Fact, found: Statement) -> Iterator[tuple[Scalar, tuple[int, ...]]]:
    """The functions that a fact speaks of, with the variables that they are judged in."""
    if fact.of in found.functions:
        level = fact.of.removesuffix(".objective")
        yield found.functions[fact.of], _own(found, level)
    if fact.of.endswith(".penalty"):
        level = fact.of.removesuffix(".penalty")
        for share in (1, Fraction(1, 10), Fraction(1, 1000)):
            sigma = number(Fraction(fact.witness["sigma"]["upper"]) * share)
            upper, lower = found.functions["upper.objective"], found.functions[f"{level}.objective"]
            yield total([product([sigma, upper]), lower]), _own(found, level)
    for c in found.constraints:
        if c.label == fact.of or c.label.startswith(f"{fact.of}["):
            yield c.root, _own(found, c.level)
            if c.relation == "== 0":
                yield negated(c.root), _own(found, c.level)


def _own(found: Statement, level: str) -> tuple[int, ...]:
    return tuple(range(len(found.variables))) if level == "upper" else found.own(level)


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
    if not entries:
        return int(fact.fact == "strongly_convex")
    chunk = max(1, _ENTRIES // len(own) ** 2)
    return sum(_bent_wrongly(fact, entries, len(own), x[k : k + chunk]) for k in range(0, len(x), chunk))


def _bent_wrongly(fact: Fact, entries: Matrix, size: int, x: np.ndarray) -> int:
    matrices = np.zeros((len(x), size, size))
    for (i, j), values in zip(entries, evaluate(list(entries.values()), x), strict=True):
        matrices[:, i, j] = matrices[:, j, i] = values
    usable = np.flatnonzero(np.isfinite(matrices).all((1, 2)))
    if not len(usable):
        return 0
    values, vectors = np.linalg.eigh(matrices[usable])
    constant = fact.constant or 0.0
    if fact.fact == "smooth":
        ends = np.where(values[:, -1] > -values[:, 0], size - 1, 0)
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


def _pl(
    fact: Fact, found: Statement, root: Scalar, own: tuple[int, ...], x: np.ndarray, rng: np.random.Generator
) -> int:
    """D(y, a) / 2 against mu times the height above the lowest point found by descent from many starts.

    D(y, a) = -2a min_z <gradient, z - y> + a/2 |z - y|^2 between bounds, and |gradient|^2 where there are none.
    """
    slopes = gradient(root, own)
    lo, hi = (end[list(own), None] for end in found.box)
    groups = min(GROUPS, len(x))
    batch = x[rng.integers(0, len(x), groups)].repeat(len(x) // groups, axis=0)
    batch[:, own] = x[: len(batch), own]
    value, *slope = evaluate([root, *slopes], batch)
    height = value.reshape(groups, -1)
    starts = np.argsort(height, axis=1)[:, :STARTS] + np.arange(groups)[:, None] * height.shape[1]
    lowest = _descended(root, slopes, own, batch[starts.ravel()], lo, hi).reshape(groups, -1)
    least = np.fmin(np.nanmin(lowest, axis=1, initial=np.inf), np.nanmin(height, axis=1, initial=np.inf))[:, None]
    y, down = batch[:, own].T, np.array(slope)
    room = np.where(down > 0, y - lo, hi - y)
    moved = np.minimum(np.abs(down), fact.witness.get("curvature", 1.0) * room)
    square = (moved * (2 * np.abs(down) - moved)).sum(0).reshape(groups, -1) / 2
    allowed = (height - least - 1e-9 * (np.abs(height) + np.abs(least))) * (1 - ROUNDOFF)
    usable = np.isfinite(square) & np.isfinite(allowed)
    return int((square < (fact.constant or 0.0) * allowed)[usable].sum())


def _descended(
    root: Scalar, slopes: list[Scalar], own: tuple[int, ...], x: np.ndarray, lo: np.ndarray, hi: np.ndarray
) -> np.ndarray:
    """The lowest values that projected descent with halved steps reaches, upper bounds of the least."""
    x, step = x.copy(), np.full(len(x), 1.0)
    value, *slope = evaluate([root, *slopes], x)
    for _ in range(STEPS):
        trial = x.copy()
        trial[:, own] = np.clip(trial[:, own].T - step * np.array(slope), lo, hi).T
        new, *new_slope = evaluate([root, *slopes], trial)
        better = new < value
        x[better], value[better] = trial[better], new[better]
        for old, fresh in zip(slope, new_slope, strict=True):
            old[better] = fresh[better]
        step = np.where(better, step * 1.5, step / 2)
    return value
