"""Python's numbers as exact literals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import isinf, isnan
from numbers import Integral, Rational, Real

from bileveldsl.language.ast import Binary, Expression, Infinity, Number, Unary
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail

_LARGEST_DOUBLE = (2**53 - 1) * 2**971
_MOST_DECIMALS = 400


def exact(value: object, span: Span) -> Fraction | float | None:
    """The exact value of a Python or NumPy number, +-inf as a float; None of what is no number.

    A float is the decimal it prints: `0.1` is 1/10, in Python as in the text of a model.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        return Fraction(int(value))
    if isinstance(value, Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, Decimal):
        if value.is_finite():
            return Fraction(value)
        value = float("nan") if value.is_nan() else float(value)
    if not isinstance(value, Real):
        return None
    real = float(value)
    if isnan(real):
        fail("E267", "nan is no number of a model", span, shown=value, help="remove or replace missing values first")
    return real if isinf(real) else _printed(real)


@lru_cache(maxsize=4096)
def _printed(value: float) -> Fraction:
    return Fraction(repr(value))


def number(value: Fraction | float, span: Span) -> Expression:
    """The tree that the text of a number has: a sign and a fraction such as 1/3 are operations."""
    if isinstance(value, float):
        return Infinity(span=span) if value > 0 else Unary("-", Infinity(span=span), span=span)
    top, bottom = value.numerator, value.denominator
    if abs(top) > _LARGEST_DOUBLE * bottom:
        fail("E267", "this number is beyond what a float64 holds", span, help="rescale the model")
    if not is_decimal(value):
        return Binary("/", number(Fraction(top), span), number(Fraction(bottom), span), span=span)
    return Number(value, span=span) if top >= 0 else Unary("-", Number(-value, span=span), span=span)


def is_decimal(value: Fraction) -> bool:
    """Whether the number is written with a few hundred decimals at most."""
    rest, decimals = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        decimals = max(decimals, count)
    return rest == 1 and decimals <= _MOST_DECIMALS
