"""Values of scalar nodes: exact, as balls, as floats, and enclosures over batches of boxes; polynomials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any

import flint
import numpy as np
from flint import arb, fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from bileveldsl.certify.clock import check
from bileveldsl.certify.elementary import RULES, fixed_power, general_power
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.scalars.node import Scalar, topological

_EXPONENT = 64  # of a power of a polynomial
_TERMS = 100_000  # of a polynomial that is multiplied out
_DIGITS = 4096  # bits of an exact power
_PRECISION = 192


def enclose(roots: Sequence[Scalar], lo: np.ndarray, hi: np.ndarray) -> list[Interval]:
    """Every value that nodes take over boxes with end points of shape (batch, variables), outward; shape (batch,).

    Where a function is undefined on a part of a box, the interval holds its values on the rest.

    Examples
    --------
    >>> from bileveldsl.certify.scalars.node import power, variable
    >>> square = enclose([power(variable(0), 2)], np.array([[-1.0]]), np.array([[2.0]]))[0]
    >>> square.lo.tolist(), square.hi.tolist()
    ([0.0], [4.0])
    """
    done: dict[Scalar, Interval] = {}
    for node in _order(tuple(roots)):
        check()
        done[node] = enclose_node(node, [done[a] for a in node.args], lo, hi)
    return [done[root].map(lambda a: np.broadcast_to(a, (len(lo),))) for root in roots]


@lru_cache(maxsize=64)
def _order(roots: tuple[Scalar, ...]) -> list[Scalar]:
    """The nodes under roots that are asked for again and again, over other boxes or at other points."""
    return topological(roots)


def enclose_node(node: Scalar, args: list[Interval], lo: np.ndarray, hi: np.ndarray) -> Interval:
    """Every value of a node whose arguments lie in intervals, over boxes."""
    if node.op == "num":
        return Interval.rational(node.value)
    if node.op == "var":
        return Interval.of(lo[:, node.value], hi[:, node.value])
    if node.op == "+":
        return reduce(lambda a, b: a + b, args)
    if node.op == "*":
        return reduce(lambda a, b: a * b, args)
    if node.op == "^":
        return fixed_power(args[0], node.value)
    if node.op == "pow":
        return general_power(*args)
    return RULES[node.op](*args)


# ---- points ----


def exact_value(root: Scalar, point: Mapping[int, Fraction]) -> Fraction | None:
    """The value at a rational point, or None where it is undefined or found by no rational arithmetic."""
    done: dict[Scalar, Fraction | None] = {}
    for node in topological([root]):
        check()
        done[node] = _exact(node, [done[a] for a in node.args], point)
    return done[root]


def _exact(node: Scalar, args: list[Fraction | None], point: Mapping[int, Fraction]) -> Fraction | None:
    if node.op == "num":
        return node.value
    if node.op == "var":
        return point[node.value]
    known = [a for a in args if a is not None]
    if len(known) < len(args):
        return None
    if node.op == "+":
        return sum(known, Fraction(0))
    if node.op == "*":
        return math.prod(known, start=Fraction(1))
    if node.op in ("max", "min"):
        return max(known) if node.op == "max" else min(known)
    if node.op == "abs":
        return abs(known[0])
    if node.op == "^":
        return _exact_power(known[0], node.value)
    if node.op == "huber":
        size, d = abs(known[0]), known[1]
        return size * size / 2 if size <= d else d * (size - d / 2)
    if node.op == "side":
        return None if known[0] == 0 else Fraction(1 if known[0] > 0 else -1)
    value = _AT_SPECIAL.get((node.op, known[0])) if known else None
    return None if value is None else Fraction(value)


_AT_SPECIAL: dict[tuple[str, Fraction | int], int] = {
    ("exp", 0): 1, ("log", 1): 0, ("sin", 0): 0, ("cos", 0): 1, ("tan", 0): 0, ("asin", 0): 0, ("atan", 0): 0,
    ("acos", 1): 0, ("sinh", 0): 0, ("cosh", 0): 1, ("tanh", 0): 0, ("xlogx", 0): 0, ("xlogx", 1): 0,
}  # fmt: skip


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator == 1:
        if base == 0:
            return Fraction(0) if exponent > 0 else None
        if abs(exponent) * max(base.numerator.bit_length(), base.denominator.bit_length()) > _DIGITS:
            return None
        return base ** int(exponent)
    if exponent.denominator != 2 or base < 0 or (base == 0 and exponent < 0):
        return None
    over, under = math.isqrt(base.numerator), math.isqrt(base.denominator)
    if over * over != base.numerator or under * under != base.denominator:
        return None
    return _exact_power(Fraction(over, under), Fraction(exponent.numerator))


def balls(roots: Sequence[Scalar], point: Mapping[int, Fraction]) -> list[arb]:
    """Balls that hold the values at a rational point; one that is not finite says nothing."""
    with flint.ctx.workprec(_PRECISION):
        done: dict[Scalar, arb] = {}
        for node in topological(roots):
            check()
            done[node] = _ball(node, [done[a] for a in node.args], point)
        return [done[root] for root in roots]


def _arb(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


def _ball(node: Scalar, args: list[arb], point: Mapping[int, Fraction]) -> arb:
    if node.op == "num":
        return _arb(node.value)
    if node.op == "var":
        return _arb(point[node.value])
    if node.op == "+":
        return sum(args, arb(0))
    if node.op == "*":
        return math.prod(args, start=arb(1))
    if node.op == "^":
        if node.value.denominator == 1:
            return args[0] ** int(node.value)
        return args[0].sqrt() ** int(2 * node.value) if node.value.denominator == 2 else args[0] ** _arb(node.value)
    return _BALLS[node.op](*args)


def _step(u: arb) -> arb:
    return arb(1) if u > 0 else arb(0) if u < 0 else arb("nan")


def _huber(x: arb, d: arb) -> arb:
    size = abs(x)
    return x * x / 2 if size <= d else d * (size - d / 2) if size > d else arb("nan")


_BALLS: dict[str, Callable[..., arb]] = {
    "pi": lambda: arb.pi(),
    "e": lambda: arb(1).exp(),
    "exp": arb.exp, "log": arb.log, "abs": abs, "sin": arb.sin, "cos": arb.cos, "tan": arb.tan,
    "asin": arb.asin, "acos": arb.acos, "atan": arb.atan, "sinh": arb.sinh, "cosh": arb.cosh, "tanh": arb.tanh,
    "softplus": lambda u: u.exp().log1p() if not u > 50 else u + (-u).exp().log1p(),
    "sigmoid": lambda u: 1 / (1 + (-u).exp()),
    "xlogx": lambda u: u * u.log(),
    "sign": lambda u: arb(1) if u > 0 else arb(-1) if u < 0 else arb("nan"),
    "side": lambda u: arb(1) if u > 0 else arb(-1) if u < 0 else arb("nan"),
    "step": _step,
    "huber": _huber,
    "relative_entropy": lambda x, y: x * (x / y).log(),
    "pow": lambda a, b: (b * a.log()).exp(),
    "max": lambda *u: reduce(arb.max, u),
    "min": lambda *u: reduce(arb.min, u),
}  # fmt: skip


def evaluate(roots: Sequence[Scalar], points: np.ndarray) -> np.ndarray:
    """Float values at points of shape (batch, variables), shape (roots, batch); NaN where undefined. No proof."""
    done: dict[Scalar, Any] = {}
    with np.errstate(all="ignore"):
        for node in _order(tuple(roots)):
            check()
            args = [done[a] for a in node.args]
            if node.op == "num":
                done[node] = np.float64(nearest(node.value))
            elif node.op == "var":
                done[node] = points[:, node.value]
            elif node.op == "^":
                done[node] = np.power(args[0], int(node.value) if node.value.denominator == 1 else float(node.value))
            else:
                done[node] = _FLOATS[node.op](*args)
        return np.array([np.broadcast_to(done[root], (len(points),)) for root in roots])


def nearest(value: Fraction) -> float:
    """The float next to a rational, infinite beyond the range of floats."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_FLOATS: dict[str, Callable[..., Any]] = {
    "+": lambda *u: reduce(np.add, u),
    "*": lambda *u: reduce(np.multiply, u),
    "pi": lambda: np.float64(math.pi),
    "e": lambda: np.float64(math.e),
    "exp": np.exp, "log": np.log, "abs": np.abs, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "sign": np.sign,
    "softplus": lambda u: np.logaddexp(0.0, u),
    "sigmoid": lambda u: 1 / (1 + np.exp(-u)),
    "xlogx": lambda u: np.where(u == 0, 0.0, u * np.log(u)),
    "step": lambda u: np.heaviside(u, 0.5),
    "side": lambda u: np.where(u == 0, np.nan, np.sign(u)),
    "huber": lambda x, d: np.where(np.abs(x) <= d, x * x / 2, d * (np.abs(x) - d / 2)),
    "relative_entropy": lambda x, y: np.where(x == 0, 0.0, x * np.log(x / y)),
    "pow": np.power,
    "max": lambda *u: reduce(np.maximum, u),
    "min": lambda *u: reduce(np.minimum, u),
}  # fmt: skip


# ---- polynomials ----


def ring(indices: Sequence[int], extra: Sequence[str] = ()) -> fmpq_mpoly_ctx:
    """The polynomials in some variables, `v0` for variable 0, and in further names."""
    return fmpq_mpoly_ctx.get([*(f"v{i}" for i in indices), *extra], "degrevlex")


def polynomials(roots: Sequence[Scalar], indices: Sequence[int], context: fmpq_mpoly_ctx) -> list[fmpq_mpoly] | None:
    """Nodes as polynomials in variables, which are the first generators of the context; None if one is not.

    Examples
    --------
    >>> from bileveldsl.certify.scalars.node import power, total, variable
    >>> polynomials([power(total([variable(3), variable(5)]), 2)], [3, 5], ring([3, 5]))
    [v3^2 + 2*v3*v5 + v5^2]
    """
    generators = dict(zip(indices, context.gens(), strict=False))
    done: dict[Scalar, fmpq_mpoly] = {}
    for node in topological(roots):
        check()
        args = [done[a] for a in node.args]
        if node.op == "num":
            done[node] = context.constant(fmpq(node.value.numerator, node.value.denominator))
        elif node.op == "var" and node.value in generators:
            done[node] = generators[node.value]
        elif node.op == "+":
            done[node] = sum(args[1:], args[0])
        elif node.op == "*" and math.prod(map(len, args)) <= _TERMS:
            done[node] = math.prod(args[1:], start=args[0])
        elif node.op == "^" and _is_power(args[0], node.value):
            done[node] = args[0] ** int(node.value)
        else:
            return None
    return [done[root] for root in roots]


def _is_power(base: fmpq_mpoly, exponent: Fraction) -> bool:
    """Whether a power is a polynomial, and one that can be written out."""
    if exponent.denominator != 1 or not 0 < exponent <= _EXPONENT:
        return False
    return math.comb(len(base) + int(exponent) - 1, int(exponent)) <= _TERMS
