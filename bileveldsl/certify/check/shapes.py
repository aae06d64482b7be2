"""How a function of one number bends over a range, and whether it rises or falls there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from flint import fmpq

from bileveldsl.certify.check.elementary import FUNCTIONS
from bileveldsl.certify.check.ranges import ONE, Range, at_most, less

_ABOVE_TURN, _BELOW_TURN = fmpq(3679, 10000), fmpq(3678, 10000)  # 1/e = 0.36787944...


class Shape(NamedTuple):
    """Whether a function is convex and concave (both: affine) over a range, and the sign of its slope or 0."""

    convex: bool
    concave: bool
    direction: int = 0


def shape(name: str, r: Range) -> Shape | None:
    """The shape of a function of one argument, which must be defined on the range; None where it is not known."""
    return _SHAPES[name](r) if name in _SHAPES else None


def power_shape(exponent: Range, whole: int | None, r: Range) -> Shape | None:
    """The shape of a power on the part of a range where it is defined; the exponent is fixed, `whole` if an integer."""
    if whole is not None and whole > 0:
        if whole == 1:
            return Shape(True, True, 1)
        return Shape(True, False, sign(r)) if whole % 2 == 0 else Shape(r.nonnegative, r.nonpositive, 1)
    if whole is not None and whole < 0 and r.nonpositive:
        return Shape(True, False, 1) if whole % 2 == 0 else Shape(False, True, -1)
    if whole is not None and not r.nonnegative:
        return None
    return _real_power(exponent)


def _real_power(exponent: Range) -> Shape | None:
    """Of a base >= 0, the exponent anywhere in a range."""
    if at_most(ONE, exponent.lo):
        return Shape(True, at_most(exponent.hi, ONE), 1)
    if exponent.nonnegative and at_most(exponent.hi, ONE):
        return Shape(False, True, 1)
    return Shape(True, False, -1) if exponent.nonpositive else None


def exponential_shape(base: Range) -> Shape:
    """The shape of base^t for a base > 0 that is fixed."""
    return Shape(True, False, 1 if at_most(ONE, base.lo) else -1 if at_most(base.hi, ONE) else 0)


def sign(r: Range) -> int:
    return 1 if r.nonnegative else -1 if r.nonpositive else 0


def _by_sign(direction: int, convex_above: bool) -> Callable[[Range], Shape]:
    """Functions with an inflection at 0."""

    def rule(r: Range) -> Shape:
        above, below = r.nonnegative, r.nonpositive
        return Shape(above, below, direction) if convex_above else Shape(below, above, direction)

    return rule


def _periodic(name: str, slope: Callable[[Range], Range]) -> Callable[[Range], Shape]:
    """sin and cos: the second derivative is the negative of the value."""

    def rule(r: Range) -> Shape:
        value = FUNCTIONS[name](r)
        return Shape(value.nonpositive, value.nonnegative, sign(slope(r)))

    return rule


def _tan(r: Range) -> Shape | None:
    value = FUNCTIONS["tan"](r)  # the second derivative has its sign
    return Shape(value.nonnegative, value.nonpositive, 1) if value.defined else None


def _xlogx(r: Range) -> Shape:
    return Shape(True, False, 1 if less(_ABOVE_TURN, r.lo) else -1 if less(r.hi, _BELOW_TURN) else 0)


def _abs(r: Range) -> Shape:
    return Shape(True, r.nonnegative or r.nonpositive, sign(r))


_SHAPES: dict[str, Callable[[Range], Shape | None]] = {
    "exp": lambda r: Shape(True, False, 1),
    "log": lambda r: Shape(False, True, 1),
    "softplus": lambda r: Shape(True, False, 1),
    "abs": _abs,
    "xlogx": _xlogx,
    "sin": _periodic("sin", FUNCTIONS["cos"]),
    "cos": _periodic("cos", lambda r: -FUNCTIONS["sin"](r)),
    "tan": _tan,
    "asin": _by_sign(1, True),
    "acos": _by_sign(-1, False),
    "atan": _by_sign(1, False),
    "sinh": _by_sign(1, True),
    "cosh": lambda r: Shape(True, False, sign(r)),
    "tanh": _by_sign(1, False),
    "sigmoid": _by_sign(1, False),
}
