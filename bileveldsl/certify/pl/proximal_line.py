"""The proximal inequality of a function of one variable, by ranges of its derivatives over cells between its bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.certify.clock import share, until
from bileveldsl.certify.cover import finite_box, scattered
from bileveldsl.certify.pl.bends import Proof
from bileveldsl.certify.pl.rational import rounded_down
from bileveldsl.certify.scalars import enclose, evaluate, gradient, occurring
from bileveldsl.certify.statement import Question, text

_SHARES = ((0.3, 0.6, 0.9, 0.99), (0.1,), (0.02,))  # of the constant that is seen at samples, as long as one holds
_TRY = 0.5  # of the time that is left, for one constant
_SAMPLES, _GRID = 48, 400
_FIRST, _MOST = 8, 128  # cells of a column
_COLUMNS = 200
_MARGIN = 1 + 1e-6  # for what the checker's ranges may be wider
_WAYS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # where cells end on an infinite side


def line_rule(question: Question) -> tuple[Fraction, Fraction, Proof] | None:
    """mu, the curvature and the proof of kind "line" for a function of one own variable; None where none is found.

    See `check.pl_proximal_line` for the conditions on each cell.
    """
    line = _Line(question)
    if not line.ends[0] < line.ends[-1]:
        return None
    seen = line.constant_seen()
    for shares in _SHARES if 0 < seen < math.inf else ():
        best: tuple[Fraction, Fraction, Proof] | None = None
        for part in shares:
            mu, found = rounded_down(seen * part), None
            with until(share(_TRY)):
                found = line.tree(float(mu))
            if found is None:
                break
            best = mu, max(mu, _up(found[1])), {"kind": "line", "tree": found[0]}
        if best is not None:
            return best
    return None


def _up(value: float) -> Fraction:
    """A short rational above a positive float."""
    down = rounded_down(value * 1.01)
    return down if down >= Fraction(value) else Fraction(value)


@dataclass(frozen=True)
class _Cells:
    """Bounds of g' and g'' over cells, and of g' at their right ends; the cells as they lie from left to right."""

    left: np.ndarray
    right: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bend: np.ndarray
    end_low: np.ndarray
    end_high: np.ndarray

    def needed(self, mu: float) -> tuple[float, np.ndarray]:
        """The least curvature with which the inequality is seen right of the minimizer, or inf and cells to halve."""
        long = (self.low <= 0) & (self.high >= 0) & (self.bend < mu * _MARGIN)
        falling = np.flatnonzero(self.high < 0)
        first = int(falling[-1]) + 1 if len(falling) else 0
        if long.any() or (first == len(self.left) and np.isinf(self.right[-1])):
            return math.inf, long
        gap = top = base = 0.0
        needed, bent = mu, True
        shares = np.zeros(len(self.left))
        for k in range(first, len(self.left)):
            curved = self.bend[k] >= mu * _MARGIN
            low = max(self.low[k], base) if curved else self.low[k]
            bent = bent and curved
            shares[k] = self.high[k] * (self.right[k] - self.left[k]) if self.high[k] > 0 else 0.0
            reached = gap + shares[k]
            if not curved and not 2 * mu * reached * _MARGIN <= low * low:
                shares[k] = math.inf
                return math.inf, shares > reached / 16
            highest = self.end_high[k] if curved else self.high[k]
            if not bent and np.isfinite(self.left[0]):
                steepest = top if curved else max(top, highest)
                steep = max(2 * mu * steepest / low, 2 * mu if curved else 0.0)
                room = self.left[k] - self.left[0]
                needed = max(needed, min(steep, self.high[k] / room if room > 0 else math.inf))
            end = max(self.end_high[k], 0.0)
            gap = min(reached, end * end / (2 * mu)) if np.isfinite(end) else reached
            top = max(top, highest)
            base = max(self.end_low[k], low, 0.0)
        return needed, np.zeros(len(self.left), dtype=bool)


class _Line:
    """A function of one own variable between its bounds."""

    def __init__(self, question: Question):
        self.question, self.root = question, question.root
        [self.own] = question.own
        [slope] = gradient(question.root, question.own)
        [bend] = gradient(slope, question.own)
        self.others = sorted(occurring(slope) - {self.own})
        self.roots = [slope, bend, *gradient(slope, self.others)]
        self.ends = _ends(float(question.lo[self.own]), float(question.hi[self.own]))

    # ---- guesses ----

    def constant_seen(self) -> float:
        """The least s^2 / 2 over the gap at sample points: about the largest constant that can hold."""
        low, high = finite_box(self.question.lo, self.question.hi)
        others = low + scattered(_SAMPLES, len(low)) * (high - low)
        shares = np.array([0.0, 1.0, 0.5])
        others[:3] = low + shares[:, None] * (high - low)
        ends = self.ends
        left = ends[0] if math.isfinite(ends[0]) else ends[1] - _WAYS[-1]
        right = ends[-1] if math.isfinite(ends[-1]) else ends[-2] + _WAYS[-1]
        grid = np.linspace(left, right, _GRID)
        points = others.repeat(_GRID, axis=0)
        points[:, self.own] = np.tile(grid, _SAMPLES)
        values, slopes = (v.reshape(_SAMPLES, _GRID) for v in evaluate([self.root, self.roots[0]], points))
        gap = values - values.min(axis=1, keepdims=True)
        held = ((grid == ends[0]) & (slopes > 0)) | ((grid == ends[-1]) & (slopes < 0))
        with np.errstate(all="ignore"):
            ratios = np.where(held, 0.0, slopes**2 / 2) / gap
        used = gap > 1e-7 * (np.median(gap, axis=1, keepdims=True) + 1e-300)
        return float(np.where(used & np.isfinite(ratios), ratios, np.inf).min(initial=np.inf))

    # ---- columns: boxes of the others, with cells ----

    def tree(self, mu: float) -> tuple[list[Any], float] | None:
        """The tree of columns with the curvature that they need, or None."""
        return self._tree(mu, self.question.lo.copy(), self.question.hi.copy(), self.ends, [_COLUMNS])

    def _tree(
        self, mu: float, lo: np.ndarray, hi: np.ndarray, ends: np.ndarray, budget: list[int]
    ) -> tuple[list[Any], float] | None:
        """Cells are halved where the inequality is not even seen for the middle of the others, else these are."""
        middle, wide = _middle(lo, hi), bool((hi > lo)[self.others].any())
        budget[0] -= 1
        while budget[0] >= 0:
            needed, long = self._judged(mu, lo, hi, ends)
            if math.isfinite(needed):
                return [{"cuts": [text(float(e)) for e in ends[1:-1]]}], needed * _MARGIN
            if wide:
                at_middle, long = self._judged(mu, middle, middle, ends)
                if math.isfinite(at_middle):
                    return self._halves(mu, lo, hi, ends, budget)
            long &= np.isfinite(ends[:-1]) & np.isfinite(ends[1:])
            if len(ends) + long.sum() > _MOST or not long.any():
                return None
            ends = np.sort(np.concatenate([ends, (ends[:-1] + (ends[1:] - ends[:-1]) / 2)[long]]))
            if not (np.diff(ends) > 0).all():
                return None
        return None

    def _halves(
        self, mu: float, lo: np.ndarray, hi: np.ndarray, ends: np.ndarray, budget: list[int]
    ) -> tuple[list[Any], float] | None:
        axis = self._axis(lo, hi)
        at = float(_middle(lo, hi)[axis])
        parts: list[Any] = [[axis, text(at)]]
        curvature = mu
        for part in (0, 1):
            sides = [lo.copy(), hi.copy()]
            sides[1 - part][axis] = at
            inner = self._tree(mu, sides[0], sides[1], ends, budget)
            if inner is None:
                return None
            parts += inner[0]
            curvature = max(curvature, inner[1])
        return parts, curvature

    def _judged(self, mu: float, lo: np.ndarray, hi: np.ndarray, ends: np.ndarray) -> tuple[float, np.ndarray]:
        """The curvature with which the inequality is seen on a box of the others, or inf and cells to halve."""
        needed, long = 0.0, np.zeros(len(ends) - 1, dtype=bool)
        for side, order in zip(self._cells(lo, hi, ends), (1, -1), strict=True):
            curvature, halved = side.needed(mu)
            needed, long = max(needed, curvature), long | halved[::order]
        return float(needed), long

    def _axis(self, lo: np.ndarray, hi: np.ndarray) -> int:
        """The other variable with whose box g' changes most."""
        mixed = enclose(self.roots[2:], lo[None], hi[None])
        sizes = {v: (max(-m.least, m.greatest) * (hi[v] - lo[v]), hi[v] - lo[v])
                 for m, v in zip(mixed, self.others, strict=True) if hi[v] > lo[v]}  # fmt: skip
        return max(sizes, key=lambda v: sizes[v])

    def _cells(self, lo: np.ndarray, hi: np.ndarray, ends: np.ndarray) -> tuple[_Cells, _Cells]:
        """The cells, and those of y -> g(-y) from left to right."""
        count, inner = len(ends) - 1, ends[np.isfinite(ends)]
        low, high = (np.tile(e, (count + 2 * len(inner), 1)) for e in (lo, hi))
        low[:count, self.own], high[:count, self.own] = ends[:-1], ends[1:]
        low[count:, self.own] = high[count:, self.own] = np.tile(inner, 2)
        bounded = np.isfinite(lo[self.others]).all() and np.isfinite(hi[self.others]).all()
        middle = _middle(lo, hi)[self.others]
        low[count + len(inner) :, self.others] = high[count + len(inner) :, self.others] = middle
        found = [(np.array(r.lo), np.array(r.hi)) for r in enclose(self.roots, low, high)]
        cells, at, centre = (slice(0, count), slice(count, count + len(inner)), slice(count + len(inner), None))
        at_low, at_high = (np.full(len(ends), e) for e in (-np.inf, np.inf))
        finite = np.isfinite(ends)
        at_low[finite], at_high[finite] = found[0][0][at], found[0][1][at]
        if bounded:
            sizes = [np.maximum(-m[0][at], m[1][at]) * (hi[v] - lo[v]) / 2
                     for m, v in zip(found[2:], self.others, strict=True)]  # fmt: skip
            spread = np.sum(sizes, axis=0) * _MARGIN if sizes else np.zeros(len(inner))
            at_low[finite] = np.fmax(at_low[finite], found[0][0][centre] - spread)
            at_high[finite] = np.fmin(at_high[finite], found[0][1][centre] + spread)
        bend_low, bend_high, length = found[1][0][cells], found[1][1][cells], ends[1:] - ends[:-1]
        with np.errstate(all="ignore"):  # 0 times an infinite length is 0
            least, most = (np.where(b == 0, 0.0, b * length)
                           for b in (np.minimum(bend_low, 0), np.maximum(bend_high, 0)))  # fmt: skip
        slope_low = np.fmax.reduce([found[0][0][cells], at_low[:-1] + least, at_low[1:] - most])
        slope_high = np.fmin.reduce([found[0][1][cells], at_high[:-1] + most, at_high[1:] - least])
        rising = _Cells(ends[:-1], ends[1:], slope_low, slope_high, bend_low,
                        np.fmax(slope_low, at_low[1:]), np.fmin(slope_high, at_high[1:]))  # fmt: skip
        falling = _Cells(*(part[::-1] for part in (
            -ends[1:], -ends[:-1], -slope_high, -slope_low, bend_low,
            np.fmax(-slope_high, -at_high[:-1]), np.fmin(-slope_low, -at_low[:-1]),
        )))  # fmt: skip
        return rising, falling


def _ends(lower: float, upper: float) -> np.ndarray:
    """Where the first cells end: evenly between finite bounds, ever further apart where there is none."""
    if math.isfinite(lower) and math.isfinite(upper):
        return np.linspace(lower, upper, _FIRST + 1)
    start = next((end for end in (lower, upper) if math.isfinite(end)), 0.0)
    inner = [start] if math.isinf(lower) and math.isinf(upper) else []
    inner += [start + w for w in _WAYS] if math.isinf(upper) else []
    inner += [start - w for w in _WAYS] if math.isinf(lower) else []
    return np.array([lower, *sorted(inner), upper])


def _middle(lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    low, high = finite_box(lo, hi)
    return low + (high - low) / 2
