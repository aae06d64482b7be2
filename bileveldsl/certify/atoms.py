"""What the rules of composition need to know of scalar functions: curvature, direction and domain over a range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import sympy

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.expr import argument
from bileveldsl.certify.elementary import enclose
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.scalar import derivative, nonnegative

Domain = Literal["real", "nonnegative", "positive", "negative", "unit"]
Direction = Literal[-1, 0, 1]


@dataclass(frozen=True)
class Atom:
    """A function of one number over a range: its bend, the sign of its slope (0: not known), its domain."""

    convex: bool
    concave: bool
    direction: Direction
    domain: Domain = "real"


def atom(function: Any, range_: Interval) -> Atom | None:
    """The shape of a function of one argument over its range, or None for one that is not known."""
    if function in _SHAPES:
        return _SHAPES[function](range_)
    if function not in _SMOOTH:
        return None
    t = argument(0)
    if function is sympy.tan and not np.isfinite(enclose(sympy.tan(t), {t: range_}).lo).all():
        return None  # a pole may lie within the range
    slope = derivative(function(t), t)
    bend = derivative(slope, t)
    direction: Direction = 1 if nonnegative(slope, [range_]) else -1 if nonnegative(-slope, [range_]) else 0
    return Atom(nonnegative(bend, [range_]), nonnegative(-bend, [range_]), direction, _SMOOTH[function])


def integer_power(exponent: int, range_: Interval) -> Atom | None:
    """The shape of a power with a whole exponent; None where the base takes both signs and is a divisor."""
    even = exponent % 2 == 0
    if exponent > 0:
        return Atom(True, False, _sign(range_)) if even else Atom(range_.nonnegative, range_.nonpositive, 1)
    if range_.nonnegative:
        return Atom(True, False, -1, "positive")
    if range_.nonpositive:
        return Atom(even, not even, 1 if even else -1, "negative")
    return None


def real_power(exponent: Interval) -> Atom | None:
    """The shape of a power of a base >= 0 whose exponent may be any number of an interval."""
    if exponent.least >= 1:
        return Atom(True, exponent.greatest <= 1, 1, "nonnegative")
    if exponent.nonnegative and exponent.greatest <= 1:
        return Atom(False, True, 1, "nonnegative")
    return Atom(True, False, -1, "positive") if exponent.nonpositive else None


def _sign(range_: Interval) -> Direction:
    return 1 if range_.nonnegative else -1 if range_.nonpositive else 0


def _xlogx(range_: Interval) -> Atom:
    """Decreasing up to 1/e = 0.36787944..., increasing from there."""
    return Atom(True, False, 1 if range_.least >= 0.3679 else -1 if range_.greatest <= 0.3678 else 0, "nonnegative")


_SHAPES: dict[Any, Callable[[Interval], Atom]] = {
    sympy.exp: lambda r: Atom(True, False, 1),
    sympy.log: lambda r: Atom(False, True, 1, "positive"),
    sympy.Abs: lambda r: Atom(True, False, _sign(r)),
    f.softplus: lambda r: Atom(True, False, 1),
    f.xlogx: _xlogx,
}

_SMOOTH: dict[Any, Domain] = {
    sympy.sin: "real", sympy.cos: "real", sympy.tan: "real", sympy.atan: "real", sympy.sinh: "real",
    sympy.cosh: "real", sympy.tanh: "real", f.sigmoid: "real", sympy.asin: "unit", sympy.acos: "unit",
}  # fmt: skip

SMOOTH_FUNCTIONS = frozenset({*_SMOOTH, sympy.exp, sympy.log, f.softplus, f.xlogx, f.relative_entropy})
"""Functions twice continuously differentiable in the interior of their domain."""
