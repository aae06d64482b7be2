"""Rigorous enclosures of the scalar functions that a Map node may apply, over arrays of intervals.

Transcendental functions are evaluated by FLINT's ball arithmetic (arb) at the end points, where they are
monotone between them, and rounded outward to floats; a function that is not known here is the whole line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache, reduce
from typing import Any

import flint
import numpy as np
import sympy
from flint import arb

from bileveldsl.calculus import functions as f
from bileveldsl.certify.clock import check
from bileveldsl.certify.interval import LARGEST, REALS, Interval

Environment = Mapping[sympy.Symbol, Interval]

_PRECISION = 96
_MANY = 4096


def enclose(fn: sympy.Expr, values: Environment) -> Interval:
    """Every value of a scalar function when each symbol takes any value of its interval, elementwise.

    Parameters
    ----------
    fn : sympy expression over the symbols of `values`
    values : intervals whose arrays broadcast against each other

    Examples
    --------
    >>> import numpy as np, sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> box = Interval.of(np.array([-1.0]), np.array([2.0]))
    >>> square = enclose(x**2, {x: box})
    >>> square.lo.tolist(), square.hi.tolist()
    ([0.0], [4.0])
    """
    memo: dict[sympy.Expr, Interval] = {}

    def value(e: sympy.Expr) -> Interval:
        if e not in memo:
            check()
            memo[e] = _enclose(e, values, value)
        return memo[e]

    return value(fn)


def _enclose(e: sympy.Expr, values: Environment, value: Callable[[sympy.Expr], Interval]) -> Interval:
    if e.is_Symbol:
        return values[e]
    if e.is_Rational or e.is_Float:
        e = sympy.Rational(e)
        return Interval.rational(Fraction(int(e.p), int(e.q)))
    if e.is_Number or e.is_NumberSymbol:
        return _number(e)
    if e.is_Add:
        return reduce(lambda a, b: a + b, map(value, e.args))
    if e.is_Mul:
        return _product(e, value)
    if e.is_Pow:
        return _power(e, value)
    rule = _FUNCTIONS.get(e.func)
    return rule(*map(value, e.args)) if rule else REALS


def _product(e: sympy.Expr, value: Callable[[sympy.Expr], Interval]) -> Interval:
    """Factors over divisors, so that 1/n of an exact product is rounded once."""
    over: list[Interval] = []
    under: list[Interval] = []
    for factor in e.args:
        inverse = factor.is_Pow and factor.exp == -1
        (under if inverse else over).append(value(factor.base if inverse else factor))
    result = reduce(lambda a, b: a * b, over) if over else Interval.point(1.0)
    return reduce(lambda a, b: a / b, under, result)


def _power(e: sympy.Expr, value: Callable[[sympy.Expr], Interval]) -> Interval:
    if e.exp.is_Rational:
        return fixed_power(value(e.base), Fraction(int(e.exp.p), int(e.exp.q)))
    return general_power(value(e.base), value(e.exp))


def fixed_power(base: Interval, exponent: Fraction) -> Interval:
    """A power with a rational exponent; a root takes the part of the base that is not negative."""
    if exponent.denominator == 1:
        return base.power(int(exponent)) if abs(exponent) <= 1000 else REALS
    if exponent.denominator == 2:
        return _monotone("sqrt", base, 0.0).power(exponent.numerator)
    size = _monotone(("power", abs(exponent)), base, 0.0)
    return size.reciprocal() if exponent < 0 else size


def general_power(base: Interval, exponent: Interval) -> Interval:
    return _exp(exponent * _monotone("log", base, 0.0)) if base.positive else REALS


def _number(e: sympy.Expr) -> Interval:
    if e == sympy.pi:
        ball = _at_precision(arb.pi)
    elif e == sympy.E:
        ball = _at_precision(lambda: arb(1).exp())
    else:
        return REALS
    return Interval.of(np.asarray(below(ball)), np.asarray(above(ball)))


# ---- floats from balls ----------------------------------------------------------------------


def _at_precision(compute: Callable[[], arb]) -> arb:
    with flint.ctx.workprec(_PRECISION):
        return compute()


def below(ball: arb) -> float:
    """A float that is not above any number of the ball."""
    with flint.ctx.workprec(_PRECISION):
        lower = ball.lower()
        candidate = float(lower)
        if math.isnan(candidate):
            return -math.inf
        if candidate == math.inf:
            return LARGEST
        return candidate if arb(candidate) <= lower else math.nextafter(candidate, -math.inf)


def above(ball: arb) -> float:
    return -below(-ball)


def _softplus(x: arb) -> arb:
    tail = (-abs(x)).exp().log1p()
    return x + tail if x > 0 else tail


_BALLS: dict[str, tuple[Callable[[arb], arb], float, float]] = {  # the function, its limits at -inf and inf
    "exp": (arb.exp, 0.0, math.inf),
    "log": (arb.log, -math.inf, math.inf),
    "sqrt": (arb.sqrt, 0.0, math.inf),
    "tanh": (arb.tanh, -1.0, 1.0),
    "sinh": (arb.sinh, -math.inf, math.inf),
    "cosh": (arb.cosh, math.inf, math.inf),
    "tan": (arb.tan, -math.inf, math.inf),
    "atan": (arb.atan, -1.5707963267948968, 1.5707963267948968),  # pi/2 lies between the floats around it
    "asin": (arb.asin, -math.inf, math.inf),
    "acos": (arb.acos, math.inf, -math.inf),
    "sin": (arb.sin, -1.0, 1.0),
    "sigmoid": (lambda x: 1 / (1 + (-x).exp()), 0.0, 1.0),
    "softplus": (_softplus, 0.0, math.inf),
    "xlogx": (lambda x: x * x.log(), -math.inf, math.inf),
}


@lru_cache(maxsize=1 << 16)
def _at(name: Any, x: float) -> tuple[float, float]:
    """Bounds of a function at a float, or of its limit at an infinity."""
    if isinstance(name, tuple):
        return _rational_power(name[1], x)
    ball, at_minus, at_plus = _BALLS[name]
    if math.isinf(x):
        limit = at_plus if x > 0 else at_minus
        return limit, limit
    if x == 0 and name in ("log", "xlogx"):
        limit = -math.inf if name == "log" else 0.0
        return limit, limit
    result = _at_precision(lambda: ball(arb(x)))
    return below(result), above(result)


def _rational_power(exponent: Fraction, x: float) -> tuple[float, float]:
    if x == 0 or math.isinf(x):
        return x, x
    result = _at_precision(lambda: arb(x) ** (arb(exponent.numerator) / arb(exponent.denominator)))
    return below(result), above(result)


# ---- shapes of functions --------------------------------------------------------------------


def _few(x: Interval) -> Interval:
    """Elements hulled along all axes but the first (the batch) where there are too many to treat one by one."""
    return x.hull(tuple(range(1, x.lo.ndim))) if x.lo.size > _MANY and x.lo.ndim > 1 else x


def _each(name: Any, ends: np.ndarray, side: int) -> np.ndarray:
    return np.array([_at(name, x)[side] for x in ends.ravel().tolist()], dtype=np.float64).reshape(ends.shape)


def _monotone(name: Any, x: Interval, start: float = -math.inf, end: float = math.inf, sign: int = 1) -> Interval:
    """A function that increases (sign 1) or decreases on its domain [start, end]."""
    x = _few(x)
    if start > -math.inf or end < math.inf:
        x = x.clip(start, end)
    low, high = (x.lo, x.hi) if sign > 0 else (x.hi, x.lo)
    return Interval.of(_each(name, low, 0), _each(name, high, 1))


def _exp(x: Interval) -> Interval:
    result = _monotone("exp", x)
    return Interval.of(np.maximum(result.lo, 0.0), result.hi, positive=True)


def _logistic(name: str, most: float) -> Callable[[Interval], Interval]:
    def rule(x: Interval) -> Interval:
        result = _monotone(name, x)
        return Interval.of(np.maximum(result.lo, 0.0), np.minimum(result.hi, most), positive=True)

    return rule


def _sine(x: Interval, quarter_turns: int = 0) -> Interval:
    """sin(x + quarter_turns pi/2): the end points, and +-1 where an extremum may lie between them."""
    x = _few(x)
    both = zip(x.lo.ravel().tolist(), x.hi.ravel().tolist(), strict=True)
    bounds = [_sine_between(a, b, quarter_turns) for a, b in both]
    array = np.array(bounds, dtype=np.float64).reshape((*x.lo.shape, 2))
    return Interval.of(array[..., 0], array[..., 1])


@lru_cache(maxsize=1 << 16)
def _sine_between(a: float, b: float, quarter_turns: int) -> tuple[float, float]:
    if not (math.isfinite(a) and math.isfinite(b)) or b - a > 7 or max(-a, b) > 2.0**40:
        return -1.0, 1.0
    with flint.ctx.workprec(_PRECISION):
        ends = [arb.sin(arb(x) + quarter_turns * arb.pi() / 2) for x in (a, b)]
        lo, hi = min(map(below, ends)), max(map(above, ends))
        # Maxima lie at 1/4 of a turn, minima at 3/4: does a whole number of turns fall between?
        turns = [(arb(x) / arb.pi() * 2 + quarter_turns) / 4 for x in (a, b)]
        if _integer_between(turns[0] - arb(1) / 4, turns[1] - arb(1) / 4):
            hi = 1.0
        if _integer_between(turns[0] - arb(3) / 4, turns[1] - arb(3) / 4):
            lo = -1.0
    return max(lo, -1.0), min(hi, 1.0)


def _integer_between(a: arb, b: arb) -> bool:
    """Whether an integer may lie between two balls; false only if certainly none does."""
    return math.ceil(below(a)) <= math.floor(above(b))


def _tangent(x: Interval) -> Interval:
    """tan over intervals within one branch; the whole line across a pole."""
    x = _few(x)

    def branch(end: np.ndarray) -> np.ndarray:
        return np.array([_branch(v) for v in end.ravel().tolist()], dtype=np.float64).reshape(end.shape)

    low, high = branch(x.lo), branch(x.hi)
    same = low == high  # NaN, where the branch is not certain, equals nothing
    lo = np.where(same, _each("tan", np.where(same, x.lo, 0.0), 0), -np.inf)
    hi = np.where(same, _each("tan", np.where(same, x.hi, 0.0), 1), np.inf)
    return Interval.of(lo, hi)


@lru_cache(maxsize=1 << 12)
def _branch(x: float) -> float:
    if abs(x) > 2.0**40:
        return math.nan
    with flint.ctx.workprec(_PRECISION):
        turns = arb(x) / arb.pi() + arb(1) / 2
        low, high = math.floor(below(turns)), math.floor(above(turns))
    return float(low) if low == high else math.nan


def _xlogx(x: Interval) -> Interval:
    """Decreasing to its minimum -1/e at 1/e, then increasing."""
    x = _few(x).clip(0.0, math.inf)
    ends = [(_each("xlogx", end, 0), _each("xlogx", end, 1)) for end in (np.maximum(x.lo, 0), np.maximum(x.hi, 0))]
    lowest = -above(_at_precision(lambda: (-arb(1)).exp()))
    turning = (x.lo <= 0.36787944117144234) & (x.hi >= 0.36787944117144228)  # the floats around 1/e
    lo = np.where(turning, lowest, np.minimum(ends[0][0], ends[1][0]))
    return Interval.of(np.where(x.lo < 0, -np.inf, lo), np.where(x.lo < 0, np.inf, np.maximum(ends[0][1], ends[1][1])))


def _relative_entropy(x: Interval, y: Interval) -> Interval:
    return _xlogx(x) - x.clip(0.0, math.inf) * _monotone("log", y, 0.0)


def _huber(x: Interval, d: Interval) -> Interval:
    """m (|x| - m/2) with m = min(|x|, d): it increases in |x| and in d >= 0."""
    if not d.nonnegative:
        return REALS
    half = Interval.point(0.5)

    def at(size: Interval, threshold: Interval) -> Interval:
        inner = size.minimum(threshold)
        return inner * (size - inner * half)

    size = x.abs()
    low = at(Interval.of(size.lo, size.lo), Interval.of(d.lo, d.lo))
    if not (np.isfinite(size.hi).all() and np.isfinite(d.hi).all()):
        return Interval.of(low.lo, np.full_like(low.lo, np.inf))
    return Interval.of(low.lo, at(Interval.of(size.hi, size.hi), Interval.of(d.hi, d.hi)).hi)


def _clip(x: Interval, d: Interval) -> Interval:
    return x.maximum(-d).minimum(d)


def _exceed(x: Interval, d: Interval) -> Interval:
    return (x.abs() - d).maximum(Interval.point(0.0))


def _inside(x: Interval, d: Interval) -> Interval:
    size = x.abs()
    return Interval.of(np.where(size.hi <= d.lo, 1.0, 0.0), np.where(size.lo > d.hi, 0.0, 1.0))


def _step(x: Interval) -> Interval:
    lo = np.where(x.lo > 0, 1.0, np.where(x.lo == 0, 0.5, 0.0))
    return Interval.of(lo, np.where(x.hi < 0, 0.0, np.where(x.hi == 0, 0.5, 1.0)))


def _sign(x: Interval) -> Interval:
    return Interval.of(np.sign(x.lo), np.sign(x.hi))


def _equal(a: Interval, b: Interval) -> Interval:
    apart = (a.hi < b.lo) | (a.lo > b.hi)
    return Interval.of(np.zeros(apart.shape), np.where(apart, 0.0, 1.0))


def _divide0(x: Interval, r: Interval) -> Interval:
    quotient = x / r
    touches = (r.lo <= 0) & (r.hi >= 0)
    lo = np.where(touches, np.minimum(quotient.lo, 0.0), quotient.lo)
    return Interval.of(lo, np.where(touches, np.maximum(quotient.hi, 0.0), quotient.hi))


def _fold(join: Callable[[Interval, Interval], Interval]) -> Callable[..., Interval]:
    return lambda *args: reduce(join, args)


_FUNCTIONS: dict[Any, Callable[..., Interval]] = {
    sympy.exp: _exp,
    sympy.log: lambda x: _monotone("log", x, 0.0),
    sympy.Abs: Interval.abs,
    sympy.sign: _sign,
    sympy.sin: _sine,
    sympy.cos: lambda x: _sine(x, 1),
    sympy.tan: _tangent,
    sympy.asin: lambda x: _monotone("asin", x, -1.0, 1.0),
    sympy.acos: lambda x: _monotone("acos", x, -1.0, 1.0, -1),
    sympy.atan: lambda x: _monotone("atan", x),
    sympy.sinh: lambda x: _monotone("sinh", x),
    sympy.cosh: lambda x: _monotone("cosh", x.abs(), 0.0),
    sympy.tanh: lambda x: _monotone("tanh", x).clip(-1.0, 1.0),
    sympy.Max: _fold(Interval.maximum),
    sympy.Min: _fold(Interval.minimum),
    f.softplus: _logistic("softplus", math.inf),
    f.sigmoid: _logistic("sigmoid", 1.0),
    f.huber: _huber,
    f.clip: _clip,
    f.exceed: _exceed,
    f.inside: _inside,
    f.step: _step,
    f.maximum: _fold(Interval.maximum),
    f.minimum: _fold(Interval.minimum),
    f.equal: _equal,
    f.xlogx: _xlogx,
    f.relative_entropy: _relative_entropy,
    f.divide0: _divide0,
}

def _side(x: Interval) -> Interval:
    """The sign of a number, at 0 whichever of the two serves; at 0 alone both."""
    above, below = (x.lo >= 0) & (x.hi > 0), (x.hi <= 0) & (x.lo < 0)
    return Interval.of(np.where(above, 1.0, -1.0), np.where(below, -1.0, 1.0))


RULES: dict[str, Callable[..., Interval]] = {
    "pi": lambda: _number(sympy.pi),
    "e": lambda: _number(sympy.E),
    "side": _side,
    "exp": _exp, "abs": Interval.abs, "sin": _sine, "max": _fold(Interval.maximum), "min": _fold(Interval.minimum),
    **{
        function.__name__: rule
        for function, rule in _FUNCTIONS.items()
        if function in (
            sympy.log, sympy.sign, sympy.cos, sympy.tan, sympy.asin, sympy.acos, sympy.atan, sympy.sinh, sympy.cosh,
            sympy.tanh, f.softplus, f.sigmoid, f.huber, f.step, f.xlogx, f.relative_entropy,
        )
    },
}  # fmt: skip
"""The enclosure of each function by the name it has in statements."""
