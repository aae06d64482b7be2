"""The ranges of the functions a node may apply, over intervals."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from flint import arb, ctx, fmpq

from bileveldsl.certify.check.balls import BALLS, ball_power
from bileveldsl.certify.check.ranges import (
    INF,
    NOWHERE,
    ONE,
    PRECISION,
    ZERO,
    End,
    Range,
    at_most,
    greatest,
    least,
    lower,
    sign_of,
    upper,
)
from bileveldsl.certify.check.terms import rational_power

_HALF = fmpq(1, 2)
_FAR = fmpq(1 << 20)  # beyond which exponentials are taken at this point
_CHEAP = 768  # bits of a power that is computed exactly
_TURNS = fmpq(1 << 40)  # beyond which periodic functions take all their values

# ---- powers ---------------------------------------------------------------------------------


def power(x: Range, exponent: fmpq) -> Range:
    """A power of an interval; without a value where the base may be 0 (or negative, for a root) but must not."""
    if exponent == 0:
        return Range(ONE, ONE, True, x.defined)
    if exponent.q != 1:
        return _root(x, exponent)
    even = exponent.p % 2 == 0
    if exponent < 0 and not x.nonzero:
        return NOWHERE
    if x.nonnegative:
        return _of_nonnegative(x.lo, x.hi, exponent, x)
    if x.nonpositive:
        mirrored = _of_nonnegative(-x.hi, -x.lo, exponent, x)
        return mirrored if even else -mirrored
    if exponent < 0:
        return _of_nonnegative(ZERO, greatest(-x.lo, x.hi), exponent, x) if even else Range(-INF, INF, True, x.defined)
    if even:
        return _of_nonnegative(ZERO, greatest(-x.lo, x.hi), exponent, x)
    below, above = (_of_nonnegative(ZERO, end, exponent, x).hi for end in (-x.lo, x.hi))
    return Range(-below, above, x.apart, x.defined)


def _root(x: Range, exponent: fmpq) -> Range:
    """A power whose exponent is not whole, of a base >= 0."""
    defined = x.nonnegative if exponent > 0 else x.positive
    if not at_most(ZERO, x.hi) or (exponent < 0 and x.hi == 0):
        return NOWHERE
    result = _of_nonnegative(greatest(x.lo, ZERO), x.hi, exponent, x)
    return result if defined else result.undefined()


def _of_nonnegative(lo: End, hi: End, exponent: fmpq, x: Range) -> Range:
    """A power of all numbers from lo >= 0 to hi, with 0 left out where `x` leaves it out."""
    first, last = (lo, hi) if exponent > 0 else (hi, lo)
    return Range(_power_end(first, exponent, lower), _power_end(last, exponent, upper), x.nonzero, x.defined)


def _power_end(x: End, exponent: fmpq, rounded: Callable[[arb], End]) -> End:
    if type(x) is float:
        return INF if exponent > 0 else ZERO
    if x == 0:
        return ZERO if exponent > 0 else INF
    if x == 1:
        return ONE
    if x.height_bits() * abs(exponent.p) <= _CHEAP:
        value = rational_power(x, exponent)
        if value is not None:
            return value
    with ctx.workprec(PRECISION):
        end = rounded(ball_power(arb(x), exponent))
    return ZERO if type(end) is float and rounded is lower else end


# ---- one argument ---------------------------------------------------------------------------


@lru_cache(maxsize=1 << 14)
def _at(function: Callable[[arb], arb], x: fmpq, rounded: Callable[[arb], End]) -> End:
    with ctx.workprec(PRECISION):
        return rounded(function(arb(x)))


def _monotone(
    function: Callable[[arb], arb], least_value: End, greatest_value: End, sign: int = 1
) -> Callable[[Range], Range]:
    """A function that increases (or decreases) on the whole line, from one limit to the other."""

    def rule(x: Range) -> Range:
        first, last = (x.lo, x.hi) if sign > 0 else (x.hi, x.lo)
        lo = least_value if _beyond(first, -sign) else greatest(least_value, _at(function, _near(first), lower))
        hi = greatest_value if _beyond(last, sign) else least(greatest_value, _at(function, _near(last), upper))
        return Range(lo, hi, False, x.defined)

    return rule


def _beyond(x: End, sign: int) -> bool:
    """Whether a number is so far out, in one direction, that only the limit there bounds the function."""
    return at_most(_FAR, x if sign > 0 else -x)


def _near(x: End) -> fmpq:
    return greatest(-_FAR, least(_FAR, x))


def _apart(rule: Callable[[Range], Range]) -> Callable[[Range], Range]:
    """A function that is nowhere 0."""

    def apart(x: Range) -> Range:
        result = rule(x)
        return Range(result.lo, result.hi, True, result.defined)

    return apart


def _odd(rule: Callable[[Range], Range]) -> Callable[[Range], Range]:
    """A function that is 0 exactly at 0."""

    def odd(x: Range) -> Range:
        result = rule(x)
        return Range(result.lo, result.hi, x.nonzero, result.defined)

    return odd


def _within(
    rule: Callable[[Range], Range], start: End, end: End, holds: Callable[[Range], bool]
) -> Callable[[Range], Range]:
    """A function defined where `holds` says, whose closure is [start, end]."""

    def restricted(x: Range) -> Range:
        lo, hi = greatest(x.lo, start), least(x.hi, end)
        if not at_most(lo, hi):
            return NOWHERE
        result = rule(Range(lo, hi, x.apart, x.defined))
        return result if holds(x) else result.undefined()

    return restricted


def _log(x: Range) -> Range:
    lo = -INF if type(x.lo) is float or x.lo == 0 else ZERO if x.lo == 1 else _at(arb.log, x.lo, lower)
    hi = INF if type(x.hi) is float else -INF if x.hi == 0 else ZERO if x.hi == 1 else _at(arb.log, x.hi, upper)
    return NOWHERE if hi == -INF else Range(lo, hi, False, x.defined)


def _xlogx(x: Range) -> Range:
    """Decreasing to its minimum -1/e at 1/e, then increasing."""
    with ctx.workprec(PRECISION):
        turn = (-arb(1)).exp()
    turning = at_most(x.lo, upper(turn)) and at_most(lower(turn), x.hi)
    first, last = (_xlogx_end(x.lo), _xlogx_end(x.hi))
    lo = -upper(turn) if turning else least(first[0], last[0])
    return Range(lo, greatest(first[1], last[1]), False, x.defined)


def _xlogx_end(x: End) -> tuple[End, End]:
    if type(x) is float:
        return INF, INF
    if x == 0 or x == 1:
        return ZERO, ZERO
    return _at(BALLS["xlogx"], x, lower), _at(BALLS["xlogx"], x, upper)


def _abs(x: Range) -> Range:
    if x.nonnegative:
        return x
    return -x if x.nonpositive else Range(ZERO, greatest(-x.lo, x.hi), x.apart, x.defined)


def _cosh(x: Range) -> Range:
    result = _COSH_UPWARD(_abs(x))
    return Range(greatest(result.lo, ONE), result.hi, True, x.defined)


def _sine(quarter: int) -> Callable[[Range], Range]:
    """sin(x + quarter pi/2): the end points, and 1 or -1 where an extremum may lie between them."""

    def rule(x: Range) -> Range:
        if not x.finite or x.hi - x.lo > 7 or greatest(-x.lo, x.hi) > _TURNS:
            return Range(-ONE, ONE, False, x.defined)
        with ctx.workprec(PRECISION + 64):
            balls = [arb(end) + quarter * (arb.pi() / 2) for end in (x.lo, x.hi)]
            turns = [ball / arb.pi() / 2 for ball in balls]  # maxima lie at 1/4 of a turn, minima at 3/4
            top = _whole_between(turns[0] - arb(1) / 4, turns[1] - arb(1) / 4)
            bottom = _whole_between(turns[0] - arb(3) / 4, turns[1] - arb(3) / 4)
            values = [ball.sin() for ball in balls] if x.lo != 0 or x.hi != 0 else [arb(quarter)]
        with ctx.workprec(PRECISION):
            lo = -ONE if bottom else greatest(-ONE, least(*map(lower, values)))
            hi = ONE if top else least(ONE, greatest(*map(upper, values)))
        return Range(lo, hi, False, x.defined)

    return rule


def _whole_between(a: arb, b: arb) -> bool:
    """Whether a whole number may lie between two balls; false only if certainly none does."""
    first, last = lower(a), upper(b)
    return not (at_most(first, last) and first.ceil() > last.floor())


def _tan(x: Range) -> Range:
    if not x.finite or greatest(-x.lo, x.hi) > _TURNS:
        return NOWHERE
    with ctx.workprec(PRECISION + 64):
        turns = [arb(end) / arb.pi() + arb(1) / 2 for end in (x.lo, x.hi)]  # poles at whole numbers
    if _whole_between(*turns):
        return NOWHERE
    only_zero = at_most(-ONE, x.lo) and at_most(x.hi, ONE)  # the only zero near 0 is 0
    lo, hi = (ZERO if end == 0 else _at(arb.tan, end, side) for end, side in ((x.lo, lower), (x.hi, upper)))
    return Range(lo, hi, x.nonzero and only_zero, x.defined)


def _sign(x: Range) -> Range:
    return Range(sign_of(x.lo), sign_of(x.hi), x.nonzero, x.defined)


def _side(x: Range) -> Range:
    """The sign of a number, at 0 whichever of the two serves."""
    return Range(ONE if x.nonnegative else -ONE, -ONE if x.nonpositive and not x.nonnegative else ONE, True, x.defined)


def _step(x: Range) -> Range:
    lo = ONE if x.positive else _HALF if x.nonnegative else ZERO
    hi = ZERO if x.negative else _HALF if x.nonpositive else ONE
    return Range(lo, hi, x.nonnegative, x.defined)


# ---- several arguments ----------------------------------------------------------------------


def _max(*parts: Range) -> Range:
    lo, hi = greatest(*[p.lo for p in parts]), greatest(*[p.hi for p in parts])
    apart = any(p.positive for p in parts) or all(p.negative for p in parts)
    return Range(lo, hi, apart, all(p.defined for p in parts))


def _min(*parts: Range) -> Range:
    return -_max(*[-p for p in parts])


def _huber(x: Range, d: Range) -> Range:
    """m (|x| - m/2) with m = min(|x|, d): it increases in |x| and in d >= 0."""
    defined = x.defined and d.defined
    if not d.nonnegative:
        return Range(-INF, INF, False, defined)
    size = _abs(x)
    unbounded = type(size.hi) is float and d.hi != 0
    hi = INF if unbounded else _huber_at(ZERO if type(size.hi) is float else size.hi, d.hi)
    return Range(_huber_at(size.lo, d.lo), hi, size.positive and d.positive, defined)


def _huber_at(size: fmpq, threshold: End) -> fmpq:
    inner = least(size, threshold)
    return inner * (size - inner / 2)


def _relative_entropy(x: Range, y: Range) -> Range:
    """x log x - x log y, where x >= 0 and y > 0."""
    inside = FUNCTIONS["xlogx"](x)
    return inside - Range(greatest(x.lo, ZERO), x.hi, x.apart, x.defined) * FUNCTIONS["log"](y)


def _pow(base: Range, exponent: Range) -> Range:
    defined = base.defined and exponent.defined
    if exponent.exact:
        result = power(base, exponent.lo)
        return Range(result.lo, result.hi, result.apart, result.defined and defined)
    if not (base.positive or (base.nonnegative and exponent.positive)):
        return NOWHERE
    logarithm = _log(base) if base.hi != 0 else None
    if logarithm is None:
        return Range(ZERO, ZERO, False, defined)
    result = FUNCTIONS["exp"](exponent * logarithm)
    return Range(result.lo, result.hi, base.positive, defined)


def _constant(value: Callable[[], arb]) -> Callable[[], Range]:
    def rule() -> Range:
        with ctx.workprec(PRECISION):
            ball = value()
        return Range(lower(ball), upper(ball), True)

    return rule


# ---- by name --------------------------------------------------------------------------------

_COSH_UPWARD = _monotone(arb.cosh, ONE, INF)


def _quarter_turn() -> fmpq:
    with ctx.workprec(PRECISION):
        return upper(arb.pi() / 2)


_QUARTER = _quarter_turn()
_IN_UNIT = (-ONE, ONE, lambda x: at_most(-ONE, x.lo) and at_most(x.hi, ONE))

FUNCTIONS: dict[str, Callable[..., Range]] = {
    "pi": _constant(BALLS["pi"]),
    "e": _constant(BALLS["e"]),
    "exp": _apart(_monotone(arb.exp, ZERO, INF)),
    "log": _within(_log, ZERO, INF, lambda x: x.positive),
    "abs": _abs,
    "sin": _sine(0),
    "cos": _sine(1),
    "tan": _tan,
    "asin": _odd(_within(_monotone(arb.asin, -_QUARTER, _QUARTER), *_IN_UNIT)),
    "acos": _within(_monotone(arb.acos, ZERO, 2 * _QUARTER, -1), *_IN_UNIT),
    "atan": _odd(_monotone(arb.atan, -_QUARTER, _QUARTER)),
    "sinh": _odd(_monotone(arb.sinh, -INF, INF)),
    "cosh": _cosh,
    "tanh": _odd(_monotone(arb.tanh, -ONE, ONE)),
    "softplus": _apart(_monotone(BALLS["softplus"], ZERO, INF)),
    "sigmoid": _apart(_monotone(BALLS["sigmoid"], ZERO, ONE)),
    "xlogx": _within(_xlogx, ZERO, INF, lambda x: x.nonnegative),
    "sign": _sign,
    "step": _step,
    "side": _side,
    "huber": _huber,
    "relative_entropy": _relative_entropy,
    "pow": _pow,
    "max": _max,
    "min": _min,
}
