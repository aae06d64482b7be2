"""The largest constant that can be proved: the inequality's worst pair of points, and constants to try below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from bileveldsl.certify.clock import share, until
from bileveldsl.certify.cover import scattered
from bileveldsl.certify.pl.landscape import FAR, Landscape, starts
from bileveldsl.certify.pl.rational import rounded_down
from bileveldsl.certify.statement import Question

T = TypeVar("T")
SHARES = (0.999, 0.99, 0.97, 0.9, 0.75, 0.5, 0.25, 0.1)
"""Of an upper bound, to try."""

_TRY = 0.5  # of the time that is left, for one constant
_STEPS = (0.6, 0.85, 0.95, 0.985)
_LOW = (0.3, 0.1)
_AROUND = 384
_MINIMIZERS = 12
_MOVES = 80


@dataclass(frozen=True)
class Pair:
    """Points p and q with the same other variables: `ratio` = |grad g(p)|^2 / 2 / (g(p) - g(q)), about the least."""

    ratio: float
    p: np.ndarray
    q: np.ndarray


def largest(
    upper: float, proved: Callable[[Fraction], T | None], shares: Sequence[float] = SHARES
) -> tuple[Fraction, T] | None:
    """The first constant that is proved, from an upper bound downwards, with what proves it; short rationals."""
    for constant in _constants(upper, shares):
        with until(share(_TRY)):
            found = proved(constant)
            if found is not None:
                return constant, found
    return None


def _constants(upper: float, shares: Sequence[float]) -> Iterator[Fraction]:
    if not np.isfinite(upper) or upper <= 0:
        return
    near = Fraction(upper).limit_denominator(100)
    if near > 0 and abs(float(near) - upper) <= 1e-7 * upper:
        yield near
    for part in shares:
        yield rounded_down(upper * part)


def climbed(upper: float, proved: Callable[[Fraction], T | None]) -> tuple[Fraction, T] | None:
    """A constant that is proved, found from below, where one that is too large costs much."""
    if not np.isfinite(upper) or upper <= 0:
        return None
    best: tuple[Fraction, T] | None = None
    for part in (*_STEPS, *_LOW):
        if best is not None and part < _STEPS[0]:
            break
        constant, found = rounded_down(upper * part), None
        with until(share(_TRY)):
            found = proved(constant)
        if found is not None:
            best = constant, found
        elif best is not None:
            break
    return best


def worst_pair(question: Question) -> Pair | None:
    """Where the PL inequality seems to be tightest; None where no minimizer is found."""
    landscape = Landscape(question.root, question.own)
    own = list(question.own)
    found = landscape.descended(starts(question))
    values = landscape.values(found)
    size = np.abs(landscape.slopes(found)).max(1) if own else np.zeros(len(found))
    best: Pair | None = None
    lowest: dict[bytes, int] = {}
    others = [i for i in range(found.shape[1]) if i not in own]
    for k in np.argsort(values):
        lowest.setdefault(found[k, others].tobytes(), int(k))
    near = np.isfinite(values) & (size < 1e-6 * (1 + np.abs(values))) & (np.abs(found).max(1) < FAR)
    usable = [k for k in lowest.values() if near[k]]
    for k in usable[:_MINIMIZERS]:
        points = np.repeat(found[k : k + 1], _AROUND, axis=0)
        radii = 2.0 ** np.linspace(-7, 6, _AROUND)[:, None]
        points[:, own] += radii * (2 * scattered(_AROUND, len(own), 3) - 1)
        ratios = _ratios(landscape, points, values[k])
        j = int(ratios.argmin())
        if best is None or ratios[j] < best.ratio:
            best = Pair(float(ratios[j]), points[j], found[k])
    return best and _improved(landscape, best)


def _ratios(landscape: Landscape, points: np.ndarray, lowest: float) -> np.ndarray:
    above = landscape.values(points) - lowest
    with np.errstate(all="ignore"):
        ratios = 0.5 * (landscape.slopes(points) ** 2).sum(1) / above
    return np.where(np.isfinite(ratios) & (above > 1e-9 * (1 + abs(lowest))), ratios, np.inf)


def _improved(landscape: Landscape, pair: Pair) -> Pair:
    """A pattern search for a lower ratio from a sampled point."""
    point, ratio = pair.p, pair.ratio
    lowest = float(landscape.values(pair.q[None])[0])
    radius = 0.25 * float(np.abs(point - pair.q).max())
    moves = np.concatenate([np.eye(len(landscape.own)), -np.eye(len(landscape.own))])
    for _ in range(_MOVES):
        trials = np.repeat(point[None], len(moves), axis=0)
        trials[:, landscape.own] += radius * moves
        ratios = _ratios(landscape, trials, lowest)
        k = int(ratios.argmin())
        if ratios[k] < ratio:
            point, ratio = trials[k], float(ratios[k])
        else:
            radius *= 0.5
    return Pair(ratio, point, pair.q)
