"""Certified numbers as text: rounded so that what is printed is still a bound."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

DIGITS = 6


def at_least(value: float) -> str:
    """A lower bound, rounded down.

    Examples
    --------
    >>> at_least(2.0), at_least(2 / 3), at_least(-1 / 3)
    ('2', '0.666666', '-0.333334')
    """
    return _written(value, ROUND_FLOOR)


def at_most(value: float) -> str:
    """An upper bound, rounded up.

    Examples
    --------
    >>> at_most(2.0), at_most(2 / 3), at_most(1e-20 / 3)
    ('2', '0.666667', '3.33334e-21')
    """
    return _written(value, ROUND_CEILING)


def _written(value: float, rounding: str) -> str:
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    rounded = Context(prec=DIGITS, rounding=rounding).create_decimal(Decimal(value))
    short = f"{float(rounded):.{DIGITS}g}"
    return short if Decimal(short) == rounded else str(rounded)  # among the least of floats digits are few
