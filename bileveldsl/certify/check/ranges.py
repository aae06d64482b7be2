"""Intervals with exact rational end points, which are rounded outward once they grow long.

Short rationals stay exact, so that a bound that is attained is not lost to rounding; 0 times an infinite end point is 0
where the 0 is exact, as it is for every finite number that the infinite end stands for.
"""

from __future__ import annotations

import math
from typing import Any

from flint import arb, ctx, fmpq

End = Any
"""An fmpq, or a float that is inf or -inf."""

INF = math.inf
_EXACT = 192  # bits of a number that is kept as it is
PRECISION = 80
"""Bits that a rounded end point keeps."""
_EXPONENT = 1 << 14  # end points lie within 2^-_EXPONENT and 2^_EXPONENT, or are 0 or infinite
_HUGE, _SMALL = fmpq(2) ** _EXPONENT, fmpq(1) / fmpq(2) ** _EXPONENT
_MOST, _LEAST = arb(_HUGE), arb(_SMALL)
ZERO, ONE = fmpq(0), fmpq(1)


class Range:
    """All real numbers from `lo` to `hi`; `apart` that 0 is not among the values, `defined` that there is a value.

    For a function over a box: its value lies in the range at every point of the box where it has one, and
    `defined` says that it has one at every point.
    """

    __slots__ = ("apart", "defined", "hi", "lo")

    def __init__(self, lo: End, hi: End, apart: bool = False, defined: bool = True):
        self.lo = lo
        self.hi = hi
        self.apart = apart
        self.defined = defined

    def __repr__(self) -> str:
        return f"Range({self.lo}, {self.hi}, {self.apart}, {self.defined})"

    @property
    def finite(self) -> bool:
        return type(self.lo) is not float and type(self.hi) is not float

    @property
    def exact(self) -> bool:
        return self.finite and self.lo == self.hi

    @property
    def nonnegative(self) -> bool:
        return type(self.lo) is not float and self.lo.p >= 0

    @property
    def nonpositive(self) -> bool:
        return type(self.hi) is not float and self.hi.p <= 0

    @property
    def positive(self) -> bool:
        """Whether every value is greater than 0."""
        return type(self.lo) is not float and (self.lo.p > 0 or (self.apart and self.lo.p == 0))

    @property
    def negative(self) -> bool:
        return type(self.hi) is not float and (self.hi.p < 0 or (self.apart and self.hi.p == 0))

    @property
    def nonzero(self) -> bool:
        return self.apart or self.positive or self.negative

    def contains(self, value: fmpq) -> bool:
        return at_most(self.lo, value) and at_most(value, self.hi) and not (self.apart and value == 0)

    def __neg__(self) -> Range:
        return Range(-self.hi, -self.lo, self.apart, self.defined)

    def __add__(self, other: Range) -> Range:
        a, b, c, d = self.lo, self.hi, other.lo, other.hi
        lo = -INF if type(a) is float or type(c) is float else _down(a + c)
        hi = INF if type(b) is float or type(d) is float else _up(b + d)
        apart = (self.apart or other.apart) and (
            (self.nonnegative and other.nonnegative) or (self.nonpositive and other.nonpositive)
        )
        return Range(lo, hi, apart, self.defined and other.defined)

    def __sub__(self, other: Range) -> Range:
        return self + (-other)

    def __mul__(self, other: Range) -> Range:
        lo, hi = _products(self.lo, self.hi, other.lo, other.hi)
        apart = self.nonzero and other.nonzero
        return Range(_down(lo), _up(hi), apart, self.defined and other.defined)

    def meet(self, other: Range) -> Range:
        """The values in both; where there are none, the first."""
        lo = other.lo if at_most(self.lo, other.lo) else self.lo
        hi = other.hi if at_most(other.hi, self.hi) else self.hi
        if not at_most(lo, hi):
            return self
        return Range(lo, hi, self.apart or other.apart, self.defined)

    def hull(self, other: Range) -> Range:
        lo, hi = least(self.lo, other.lo), greatest(self.hi, other.hi)
        return Range(lo, hi, self.nonzero and other.nonzero, self.defined and other.defined)

    def undefined(self) -> Range:
        """The same values, at some points of the box none."""
        return Range(self.lo, self.hi, self.apart, False)


WHOLE = Range(-INF, INF)
NOWHERE = Range(-INF, INF, False, False)


def number(value: fmpq | int) -> Range:
    exact = fmpq(value)
    return Range(_down(exact), _up(exact), exact != 0)


# ---- end points -----------------------------------------------------------------------------


def at_most(a: End, b: End) -> bool:
    """Whether a <= b."""
    if type(a) is float:
        return a < 0 or (type(b) is float and b > 0)
    return b > 0 if type(b) is float else bool(a <= b)


def less(a: End, b: End) -> bool:
    return not at_most(b, a)


def least(first: End, *rest: End) -> End:
    for end in rest:
        if at_most(end, first):
            first = end
    return first


def greatest(first: End, *rest: End) -> End:
    for end in rest:
        if at_most(first, end):
            first = end
    return first


def sign_of(a: End) -> fmpq:
    return fmpq((a > 0) - (a < 0))


def _below_zero(a: End) -> bool:
    return a < 0 if type(a) is float else bool(a.p < 0)


def _above_zero(a: End) -> bool:
    return a > 0 if type(a) is float else bool(a.p > 0)


def _products(a: End, b: End, c: End, d: End) -> tuple[End, End]:
    """The least and the greatest product of numbers from a to b and from c to d."""
    if _below_zero(a):
        if not _below_zero(c):
            return _times(a, d), _times(b, c if _below_zero(b) else d)
        if not _above_zero(d):
            return _times(b, d if _below_zero(b) else c), _times(a, c)
        if not _above_zero(b):
            return _times(a, d), _times(a, c)
        return least(_times(a, d), _times(b, c)), greatest(_times(a, c), _times(b, d))
    return _times(b if _below_zero(c) else a, c), _times(a if _below_zero(d) else b, d)


def _times(a: End, b: End) -> End:
    """The limit of products of finite numbers; 0 times anything is 0."""
    if type(a) is not float and type(b) is not float:
        return a * b
    if (type(a) is not float and a == 0) or (type(b) is not float and b == 0):
        return ZERO
    return INF if _below_zero(a) == _below_zero(b) else -INF


def _down(a: End) -> End:
    if type(a) is float or a.height_bits() <= _EXACT:
        return a
    with ctx.workprec(PRECISION):
        return lower(arb(a))


def _up(a: End) -> End:
    if type(a) is float or a.height_bits() <= _EXACT:
        return a
    with ctx.workprec(PRECISION):
        return upper(arb(a))


def lower(ball: arb) -> End:
    """A lower end point for what a ball holds, in the working precision; -inf where the ball is no number."""
    if not ball.is_finite():
        return -INF
    end = ball.lower()
    if end > _LEAST:
        return end.fmpq() if end < _MOST else _HUGE
    if end < -_LEAST:
        return end.fmpq() if end > -_MOST else -INF
    return ZERO if end >= 0 else -_SMALL


def upper(ball: arb) -> End:
    return -lower(-ball)
