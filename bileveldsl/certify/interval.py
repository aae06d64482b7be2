"""Arrays of real intervals, rounded outward: what an operation returns holds every value it can take.

Sums, products and quotients are rounded only when they are inexact: the error of a float operation is itself
a float, found by error-free transformations (Dekker 1971; Knuth, TAOCP 4.2.2), and its sign says in which
direction to step. So 2 * 1 stays [2, 2].

Where a function is undefined on part of an interval, the result holds its values on the rest; where it is
undefined everywhere the result is the whole line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

LARGEST = np.finfo(np.float64).max
UNIT = 2.0**-53
_SMALL_SUM = 4096


@dataclass(frozen=True, eq=False)
class Interval:
    """`lo <= value <= hi` elementwise; arrays of one value share `lo is hi`.

    `positive` says that every value exceeds 0, which `lo` cannot when the infimum 0 is not attained (exp).
    """

    lo: np.ndarray
    hi: np.ndarray
    positive: bool = False

    @staticmethod
    def of(lo: np.ndarray, hi: np.ndarray, positive: bool = False) -> Interval:
        """An interval from float bounds; a NaN, or no value at all, becomes the whole line."""
        if lo is hi and np.isfinite(lo).all():
            return Interval(lo, lo, bool((lo > 0).all()))
        if not (lo <= hi).all():
            lo, hi = np.where(np.isnan(lo), -np.inf, lo), np.where(np.isnan(hi), np.inf, hi)
            empty = lo > hi
            lo, hi, positive = np.where(empty, -np.inf, lo), np.where(empty, np.inf, hi), positive and not empty.any()
        lo, hi = np.minimum(lo, LARGEST), np.maximum(hi, -LARGEST)
        return Interval(lo, lo if (lo == hi).all() else hi, positive or bool((lo > 0).all()))

    @staticmethod
    def point(value: np.ndarray | float) -> Interval:
        """Floats, each standing for the dyadic rational it is."""
        array = np.asarray(value, dtype=np.float64)
        return Interval.of(array, array)

    @staticmethod
    def rational(value: Fraction) -> Interval:
        lo, hi = round_down(value), round_up(value)
        return Interval.point(lo) if lo == hi else Interval.of(np.asarray(lo), np.asarray(hi))

    @property
    def exact(self) -> bool:
        return self.lo is self.hi

    @property
    def least(self) -> float:
        return float(self.lo.min(initial=np.inf))

    @property
    def greatest(self) -> float:
        return float(self.hi.max(initial=-np.inf))

    @property
    def nonnegative(self) -> bool:
        return self.least >= 0

    def satisfies(self, relation: str) -> bool:
        """Whether all values satisfy a condition of a domain: `> 0`, `>= 0`, `!= 0` or `in [-1, 1]`.

        Examples
        --------
        >>> Interval.of(np.array([0.0]), np.array([2.0])).satisfies(">= 0")
        True
        """
        if relation == "in [-1, 1]":
            return bool(self.least >= -1 and self.greatest <= 1)
        if relation == ">= 0":
            return bool(self.nonnegative)
        return bool(self.positive or (relation == "!= 0" and self.greatest < 0))

    @property
    def nonpositive(self) -> bool:
        return self.greatest <= 0

    @property
    def zero(self) -> bool:
        return self.nonnegative and self.nonpositive

    def map(self, reshape: Callable[[np.ndarray], np.ndarray]) -> Interval:
        """The same values in other places: `reshape` moves, repeats or drops elements of an array."""
        lo = reshape(self.lo)
        return Interval(lo, lo if self.exact else reshape(self.hi), self.positive)

    def hull(self, axes: tuple[int, ...]) -> Interval:
        """One interval over each group of elements; the grouped axes keep size 1."""
        return Interval(self.lo.min(axes, keepdims=True), self.hi.max(axes, keepdims=True), self.positive)

    def __neg__(self) -> Interval:
        lo = -self.hi
        return Interval(lo, lo if self.exact else -self.lo, bool((self.hi < 0).all()))

    def __add__(self, other: Interval) -> Interval:
        positive = (self.positive and other.nonnegative) or (other.positive and self.nonnegative)
        return Interval.of(add_down(self.lo, other.lo), add_up(self.hi, other.hi), positive)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        down, up = products(*_pairs(self, other))
        return Interval.of(down.min((0, 1)), up.max((0, 1)), self.positive and other.positive)

    def __truediv__(self, other: Interval) -> Interval:
        if ((other.lo <= 0) & (other.hi >= 0)).any():
            return self * other.reciprocal()
        down, up = quotients(*_pairs(self, other))
        return Interval.of(down.min((0, 1)), up.max((0, 1)), self.positive and other.positive)

    def reciprocal(self) -> Interval:
        """1 / value where it is defined; the whole line where 0 lies inside."""
        one = np.asarray(1.0)
        with np.errstate(all="ignore"):
            lo = np.where(self.hi == 0, -np.inf, quotients(one, self.hi)[0])
            hi = np.where(self.lo == 0, np.inf, quotients(one, self.lo)[1])
        inside = (self.lo < 0) & (self.hi > 0) | (self.lo == 0) & (self.hi == 0)
        lo, hi = np.where(inside, -np.inf, lo), np.where(inside, np.inf, hi)
        return Interval.of(lo, hi, self.nonnegative and not inside.any())

    def abs(self) -> Interval:
        lo = np.maximum(np.maximum(self.lo, -self.hi), 0.0)
        hi = np.maximum(-self.lo, self.hi)
        return Interval.of(lo, hi, self.positive)

    def power(self, exponent: int) -> Interval:
        """An integer power, 0 excluded from the base when the exponent is negative."""
        if exponent < 0:
            return self.power(-exponent).reciprocal()
        if exponent % 2 == 0:
            base = self.abs()
            lo, hi = _power(base.lo, exponent, 0), _power(base.hi, exponent, 1)
        else:
            below, above = np.abs(self.lo), np.abs(self.hi)
            lo = np.where(self.lo >= 0, _power(below, exponent, 0), -_power(below, exponent, 1))
            hi = np.where(self.hi >= 0, _power(above, exponent, 1), -_power(above, exponent, 0))
        return Interval.of(lo, hi, self.positive)

    def maximum(self, other: Interval) -> Interval:
        positive = self.positive or other.positive
        return Interval.of(np.maximum(self.lo, other.lo), np.maximum(self.hi, other.hi), positive)

    def minimum(self, other: Interval) -> Interval:
        return -(-self).maximum(-other)

    def clip(self, lo: float, hi: float) -> Interval:
        """The part of each interval within bounds; the whole line where there is none."""
        return Interval.of(np.maximum(self.lo, lo), np.minimum(self.hi, hi), self.positive)

    def meet(self, other: Interval) -> Interval:
        """What two enclosures of the same values leave."""
        lo, hi = np.maximum(self.lo, other.lo), np.minimum(self.hi, other.hi)
        return Interval.of(lo, hi, self.positive or other.positive)

    def sum(self, axes: tuple[int, ...]) -> Interval:
        """The sum over some axes, which are dropped."""
        lo, hi = sum_down(self.lo, axes), -sum_down(-self.hi, axes)
        return Interval.of(lo, hi, self.positive)


REALS = Interval.of(np.asarray(-np.inf), np.asarray(np.inf))


def round_down(value: Fraction) -> float:
    """The largest float that is not above a rational."""
    try:
        nearest = value.numerator / value.denominator
    except OverflowError:
        return LARGEST if value > 0 else -math.inf
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def round_up(value: Fraction) -> float:
    return -round_down(-value)


def add_down(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        total = a + b
        part = total - a
        error = (a - (total - part)) + (b - part)
        return np.where(error >= 0, total, np.nextafter(total, -np.inf))


def add_up(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -add_down(-a, -b)


def products(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a * b rounded down and up; 0 * inf is 0, since an infinite end point is never attained."""
    with np.errstate(all="ignore"):
        product, error, safe = _product(a, b)
        zero = (a == 0) | (b == 0)
        down = np.where(safe & (error >= 0), product, np.nextafter(product, -np.inf))
        up = np.where(safe & (error <= 0), product, np.nextafter(product, np.inf))
        return np.where(zero, 0.0, down), np.where(zero, 0.0, up)


def quotients(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a / b rounded down and up, for b != 0; 0 for an infinite b, which is never attained."""
    with np.errstate(all="ignore"):
        quotient = a / b
        product, error, safe = _product(quotient, b)
        remainder = (a - product) - error  # exact: a and quotient * b agree to half their digits
        remainder = np.where(b > 0, remainder, -remainder)
        safe &= np.abs(a) > 2.0**-900
        zero = (a == 0) | np.isinf(b)
        down = np.where(safe & (remainder >= 0), quotient, np.nextafter(quotient, -np.inf))
        up = np.where(safe & (remainder <= 0), quotient, np.nextafter(quotient, np.inf))
        return np.where(zero, 0.0, down), np.where(zero, 0.0, up)


def _pairs(a: Interval, b: Interval) -> tuple[np.ndarray, np.ndarray]:
    """Every end point of one interval beside every one of another, along two new axes in front."""
    depth = max(a.lo.ndim, b.lo.ndim)
    ends = []
    for x in (a, b):
        array = x.lo[None] if x.exact else np.stack([x.lo, x.hi])
        ends.append(array.reshape(len(array), *(1,) * (depth - x.lo.ndim), *x.lo.shape))
    return ends[0][:, None], ends[1][None]


def _product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a * b, its rounding error, and where that error is exact (no overflow or underflow on the way)."""
    product = a * b
    a_high, b_high = _high(a), _high(b)
    a_low, b_low = a - a_high, b - b_high
    error = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    size = np.abs(product)
    safe = (size > 2.0**-900) & (size < 2.0**1000) & (np.abs(a) < 2.0**990) & (np.abs(b) < 2.0**990)
    return product, error, safe


def _high(a: np.ndarray) -> np.ndarray:
    scaled = 134217729.0 * a
    return scaled - (scaled - a)


def sum_down(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """A lower bound of the sum over some axes: the best one for few values, else by the bound gamma_n sum|v|."""
    kept = [k for k in range(values.ndim) if k not in axes]
    rows = values.transpose([*kept, *axes]).reshape([values.shape[k] for k in kept] + [-1])
    if values.size <= _SMALL_SUM:
        flat = rows.reshape(-1, rows.shape[-1])
        return np.array([_exact_sum_down(row) for row in flat.tolist()]).reshape(rows.shape[:-1])
    with np.errstate(all="ignore"):
        slack = gamma(rows.shape[-1] + 2) * np.abs(rows).sum(-1)
        return np.nextafter(rows.sum(-1) - np.nextafter(slack, np.inf), -np.inf)


def _exact_sum_down(values: list[float]) -> float:
    try:
        total = math.fsum(values)
        if not math.isfinite(total):
            return total
        return total if math.fsum([*values, -total]) >= 0 else math.nextafter(total, -math.inf)
    except OverflowError:
        return -math.inf


def gamma(n: int) -> float:
    """Bounds the relative error of n roundings from above (Higham, Accuracy and Stability, 3.1)."""
    return math.nextafter(1.01 * n * UNIT, 1.0) if n * UNIT < 0.005 else math.inf


def _power(base: np.ndarray, exponent: int, side: int) -> np.ndarray:
    """base^exponent rounded down (side 0) or up (side 1), for base >= 0, by repeated squaring."""
    result = np.ones_like(base)
    while exponent:
        if exponent & 1:
            result = products(result, base)[side]
        exponent >>= 1
        base = products(base, base)[side] if exponent else base
    return result
