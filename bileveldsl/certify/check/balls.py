"""The values of the functions a node may apply: as balls that hold them, and exact ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from flint import arb, fmpq

from bileveldsl.certify.check.ranges import ONE, ZERO, greatest, least, sign_of
from bileveldsl.certify.check.terms import rational_power


def ball_power(x: arb, exponent: fmpq) -> arb:
    if exponent.q == 1:
        return x**exponent.p
    return arb(0) if x.is_zero() and exponent > 0 else x**exponent if x >= 0 else arb.nan()


def _ball_xlogx(x: arb) -> arb:
    return x if x.is_zero() else x * x.log()


def _ball_softplus(x: arb) -> arb:
    tail = (-abs(x)).exp().log1p()
    return x + tail if x > 0 else tail if x <= 0 else x.exp().log1p()


def _ball_step(x: arb) -> arb:
    return arb(1) if x > 0 else arb(0) if x < 0 else arb(1) / 2 if x.is_zero() else arb.nan()


def _ball_sign(x: arb) -> arb:
    return arb(1) if x > 0 else arb(-1) if x < 0 else x if x.is_zero() else arb.nan()


def _ball_huber(x: arb, d: arb) -> arb:
    if d < 0:
        return d * (abs(x) - d / 2)
    inner = abs(x).min(d)
    return inner * (abs(x) - inner / 2) if d >= 0 else arb.nan()


def _ball_relative_entropy(x: arb, y: arb) -> arb:
    if not y > 0:
        return arb.nan()
    return x if x.is_zero() else x * (x / y).log()


def _ball_pow(base: arb, exponent: arb) -> arb:
    if base > 0:
        return (exponent * base.log()).exp()
    if base.is_zero() and exponent > 0:
        return arb(0)
    whole = exponent.unique_fmpz() if exponent.is_exact() else None
    return arb.nan() if whole is None else base**whole


BALLS: dict[str, Callable[..., arb]] = {
    "pi": arb.pi,
    "e": lambda: arb(1).exp(),
    "exp": arb.exp,
    "log": arb.log,
    "abs": abs,
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "asin": arb.asin,
    "acos": arb.acos,
    "atan": arb.atan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "softplus": _ball_softplus,
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "xlogx": _ball_xlogx,
    "sign": _ball_sign,
    "step": _ball_step,
    "side": lambda x: arb(1) if x > 0 else arb(-1) if x < 0 else arb.nan(),
    "huber": _ball_huber,
    "relative_entropy": _ball_relative_entropy,
    "pow": _ball_pow,
    "max": lambda *parts: reduce(arb.max, parts),
    "min": lambda *parts: reduce(arb.min, parts),
}


# ---- exact values ---------------------------------------------------------------------------


def exact(operation: str, parts: list[fmpq]) -> fmpq | None:
    """A value that is a rational number and known to be; None else."""
    if operation in ("max", "min"):
        return greatest(*parts) if operation == "max" else least(*parts)
    if operation == "pow":
        return rational_power(*parts)
    if operation == "huber":
        size, threshold = abs(parts[0]), parts[1]
        return size * size / 2 if size <= threshold else threshold * (size - threshold / 2)
    if operation == "relative_entropy":
        x, y = parts
        return ZERO if y > 0 and (x == 0 or x == y) else None
    if not parts:
        return None
    [x] = parts
    if operation == "abs":
        return abs(x)
    if operation == "side":
        return None if x == 0 else sign_of(x)
    if operation in ("sign", "step"):
        return sign_of(x) if operation == "sign" else (sign_of(x) + 1) / 2
    return _SPECIAL.get((operation, int(x))) if x in (0, 1) else None


_SPECIAL = {
    **{(name, 0): ZERO for name in ("sin", "tan", "asin", "atan", "sinh", "tanh", "xlogx")},
    **{(name, 0): ONE for name in ("exp", "cos", "cosh")},
    **{(name, 1): ZERO for name in ("log", "acos", "xlogx")},
    ("sigmoid", 0): fmpq(1, 2),
}
