"""The coefficients of 1, t and t^2 of a function of arguments whose coefficients are given, as balls.

Around the point each function is one of those that are infinitely often differentiable, else it is rejected; of
arguments that do not vary with t nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from flint import arb, fmpq

from bileveldsl.certify.check.balls import BALLS, ball_power
from bileveldsl.certify.check.terms import Rejected

Coefficients = tuple[arb, arb | None, arb | None]
"""Of 1, t and t^2; None for a coefficient that is 0."""

Slopes = tuple[arb, arb, arb]
"""The value of a function at a point, its first derivative, and half its second one."""


def function(operation: str, value: Any, arguments: Sequence[Coefficients]) -> Coefficients:
    """An operation of the table, or a reduction, on coefficients."""
    if operation == "+":
        return reduce(plus, arguments)
    if operation == "*":
        return reduce(times, arguments)
    if operation == "norm":
        return _power(reduce(plus, (times(a, a) for a in arguments)), fmpq(1, 2))
    if operation == "logsumexp":
        return _log_sum_exp(arguments)
    if operation in ("max", "min"):
        return _extreme(operation, arguments)
    if not any(_moves(a) for a in arguments):
        balls = [a[0] for a in arguments]
        return (ball_power(balls[0], value) if operation == "^" else BALLS[operation](*balls)), None, None
    if operation == "^":
        return _power(arguments[0], value)
    if operation in _BINARY:
        return _BINARY[operation](*arguments)
    return _composed(arguments[0], _UNARY[operation])


def _moves(a: Coefficients) -> bool:
    return a[1] is not None or a[2] is not None


def plus(a: Coefficients, b: Coefficients) -> Coefficients:
    return a[0] + b[0], _sum(a[1], b[1]), _sum(a[2], b[2])


def times(a: Coefficients, b: Coefficients) -> Coefficients:
    first = _sum(_product(a[0], b[1]), _product(a[1], b[0]))
    second = _sum(_sum(_product(a[0], b[2]), _product(a[1], b[1])), _product(a[2], b[0]))
    return a[0] * b[0], first, second


def _sum(a: arb | None, b: arb | None) -> arb | None:
    return b if a is None else a if b is None else a + b


def _product(a: arb | None, b: arb | None) -> arb | None:
    return None if a is None or b is None else a * b


def _composed(a: Coefficients, slopes: Callable[[arb], Slopes]) -> Coefficients:
    if not _moves(a):
        raise Rejected("an operation has no argument that varies")
    value, first, second = slopes(a[0])
    square = _product(second, _product(a[1], a[1]))
    return value, _product(first, a[1]), _sum(_product(first, a[2]), square)


def _power(a: Coefficients, exponent: fmpq) -> Coefficients:
    if not _moves(a):
        return ball_power(a[0], exponent), None, None
    if exponent == 2:
        return times(a, a)
    base = a[0]
    smooth = (exponent >= 0 or base != 0) if exponent.q == 1 else base > 0
    _require(smooth)
    if exponent.q == 1 and exponent >= 0:
        zero = arb(0)
        first = exponent * ball_power(base, exponent - 1) if exponent >= 1 else zero
        second = exponent * (exponent - 1) / 2 * ball_power(base, exponent - 2) if exponent >= 2 else zero
        return _composed(a, lambda x: (ball_power(x, exponent), arb(first), arb(second)))
    value = ball_power(base, exponent)
    first = arb(exponent) * value / base
    return _composed(a, lambda x: (value, first, arb(exponent - 1) / 2 * first / base))


def _require(holds: bool) -> None:
    if not holds:
        raise Rejected("the function may not be twice differentiable around the point")


# ---- functions of one argument --------------------------------------------------------------


def _exp(x: arb) -> Slopes:
    value = x.exp()
    return value, value, value / 2


def _log(x: arb) -> Slopes:
    _require(x > 0)
    return x.log(), 1 / x, -1 / (2 * x * x)


def _abs(x: arb) -> Slopes:
    _require(x != 0)
    return abs(x), arb(1 if x > 0 else -1), arb(0)


def _level(name: str) -> Callable[[arb], Slopes]:
    def slopes(x: arb) -> Slopes:
        _require(x != 0)
        return BALLS[name](x), arb(0), arb(0)

    return slopes


def _sin(x: arb) -> Slopes:
    sine, cosine = x.sin_cos()
    return sine, cosine, -sine / 2


def _cos(x: arb) -> Slopes:
    sine, cosine = x.sin_cos()
    return cosine, -sine, -cosine / 2


def _tan(x: arb) -> Slopes:
    value = x.tan()
    return value, 1 + value * value, value * (1 + value * value)


def _arc(sign: int) -> Callable[[arb], Slopes]:
    def slopes(x: arb) -> Slopes:
        _require(x > -1 and x < 1)
        root = (1 - x * x).rsqrt()
        return (x.asin() if sign > 0 else x.acos()), sign * root, sign * x * root**3 / 2

    return slopes


def _atan(x: arb) -> Slopes:
    slope = 1 / (1 + x * x)
    return x.atan(), slope, -x * slope * slope


def _sinh(x: arb) -> Slopes:
    sine, cosine = x.sinh_cosh()
    return sine, cosine, sine / 2


def _cosh(x: arb) -> Slopes:
    sine, cosine = x.sinh_cosh()
    return cosine, sine, cosine / 2


def _tanh(x: arb) -> Slopes:
    value = x.tanh()
    slope = 1 / x.cosh() ** 2
    return value, slope, -value * slope


def _sigmoid(x: arb) -> Slopes:
    value, other = BALLS["sigmoid"](x), BALLS["sigmoid"](-x)
    return value, value * other, value * other * (other - value) / 2


def _softplus(x: arb) -> Slopes:
    value, other = BALLS["sigmoid"](x), BALLS["sigmoid"](-x)
    return BALLS["softplus"](x), value, value * other / 2


def _xlogx(x: arb) -> Slopes:
    _require(x > 0)
    return x * x.log(), x.log() + 1, 1 / (2 * x)


_UNARY: dict[str, Callable[[arb], Slopes]] = {
    "exp": _exp,
    "log": _log,
    "abs": _abs,
    "sin": _sin,
    "cos": _cos,
    "tan": _tan,
    "asin": _arc(1),
    "acos": _arc(-1),
    "atan": _atan,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "softplus": _softplus,
    "sigmoid": _sigmoid,
    "xlogx": _xlogx,
    "sign": _level("sign"),
    "step": _level("step"),
}


# ---- functions of several arguments ---------------------------------------------------------


def _huber(x: Coefficients, d: Coefficients) -> Coefficients:
    size, half = (abs(x[0]), arb(1) / 2)
    _require(size < d[0] or (size > d[0] and size > 0))
    if size < d[0]:
        return times((half, None, None), times(x, x))
    away = function("abs", None, [x]) if _moves(x) else (size, None, None)
    return times(d, plus(away, times((-half, None, None), d)))


def _relative_entropy(x: Coefficients, y: Coefficients) -> Coefficients:
    _require(x[0] > 0 and y[0] > 0)
    logs = [function("log", None, [each]) for each in (x, y)]
    return times(x, plus(logs[0], times((arb(-1), None, None), logs[1])))


def _pow(base: Coefficients, exponent: Coefficients) -> Coefficients:
    _require(base[0] > 0)
    return function("exp", None, [times(exponent, function("log", None, [base]))])


_BINARY: dict[str, Callable[[Coefficients, Coefficients], Coefficients]] = {
    "huber": _huber,
    "relative_entropy": _relative_entropy,
    "pow": _pow,
}


def _extreme(name: str, arguments: Sequence[Coefficients]) -> Coefficients:
    """The one argument that is greater, or less, than all others."""
    if not any(map(_moves, arguments)):
        return BALLS[name](*(a[0] for a in arguments)), None, None
    sign = 1 if name == "max" else -1
    best = max(arguments, key=lambda a: float((sign * a[0]).mid()))
    _require(all(a is best or sign * best[0] > sign * a[0] for a in arguments))
    return best


def _log_sum_exp(arguments: Sequence[Coefficients]) -> Coefficients:
    top = max((a[0].mid() for a in arguments), key=float)
    away = [plus(a, (-top, None, None)) for a in arguments]
    total = reduce(plus, (function("exp", None, [a]) for a in away))
    return plus((top, None, None), function("log", None, [total]))
