"""Interval arithmetic holds the exact result, and no more than rounding needs."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy
from hypothesis import example, given
from hypothesis import strategies as st

from bileveldsl.calculus import functions as f
from bileveldsl.certify.elementary import enclose
from bileveldsl.certify.interval import Interval, gamma, round_down, round_up, sum_down

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TINY_AND_HUGE = st.sampled_from([0.0, -0.0, 5e-324, 2.2e-308, 1e-200, 1.7e308, -1.7e308, 1.0, 2.0**53 + 2])
NUMBERS = FLOATS | TINY_AND_HUGE | st.integers(-9, 9).map(float)
OPERATIONS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
}  # fmt: skip
t = sympy.Symbol("t", real=True)


def between(lo, value, hi):
    return (lo == -math.inf or Fraction(lo) <= value) and (hi == math.inf or value <= Fraction(hi))


@given(NUMBERS, NUMBERS, st.sampled_from(sorted(OPERATIONS)))
@example(1e-300, 1e-300, "*")
@example(5e-324, 3.0, "/")
@example(1.7e308, 1.7e308, "+")
def test_operations_on_numbers_are_rounded_outward_by_at_most_one_float(a, b, name):
    if name == "/" and b == 0:
        return
    result = OPERATIONS[name](Interval.point(np.array(a)), Interval.point(np.array(b)))
    lo, hi = float(result.lo), float(result.hi)
    exact = OPERATIONS[name](Fraction(a), Fraction(b))
    assert between(lo, exact, hi)
    if 1e-250 < abs(exact) < 1e250 and min(abs(a), abs(b)) > 1e-250 and max(abs(a), abs(b)) < 1e250:
        assert hi <= math.nextafter(lo, math.inf)
        assert (lo == hi) == (Fraction(lo) == exact)


@given(st.lists(NUMBERS, min_size=4, max_size=4), st.fractions(0, 1), st.fractions(0, 1), st.sampled_from("+-*/"))
def test_operations_on_intervals_hold_every_pair(ends, share, other, name):
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    p, q = Fraction(a) + share * (Fraction(b) - Fraction(a)), Fraction(c) + other * (Fraction(d) - Fraction(c))
    if name == "/" and q == 0:
        return
    x, y = Interval.of(np.array(a), np.array(b)), Interval.of(np.array(c), np.array(d))
    result = OPERATIONS[name](x, y)
    assert between(float(result.lo), OPERATIONS[name](p, q), float(result.hi))


@given(st.lists(NUMBERS, min_size=2, max_size=2), st.fractions(0, 1), st.integers(-5, 6))
def test_powers(ends, share, exponent):
    a, b = sorted(ends)
    p = Fraction(a) + share * (Fraction(b) - Fraction(a))
    if exponent < 0 and p == 0:
        return
    result = Interval.of(np.array(a), np.array(b)).power(exponent)
    assert between(float(result.lo), p**exponent, float(result.hi))


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_sums_of_few_values_are_the_best_bounds(values):
    bound = float(sum_down(np.array(values), (0,)))
    exact = sum(map(Fraction, values))
    assert bound == -math.inf or Fraction(bound) <= exact
    if abs(exact) < 1e300 and max(map(abs, values)) < 1e300:
        assert Fraction(math.nextafter(bound, math.inf)) > exact


def test_sums_of_many_values():
    values = np.random.default_rng(0).normal(size=20_000) * 10.0 ** np.arange(20_000).astype(int).clip(0, 9)
    exact = sum(map(Fraction, values.tolist()))
    low, high = float(sum_down(values, (0,))), -float(sum_down(-values, (0,)))
    assert Fraction(low) <= exact <= Fraction(high)
    assert high - low <= 3 * gamma(20_000) * np.abs(values).sum()


@given(st.fractions())
def test_rationals(value):
    low, high = round_down(value), round_up(value)
    assert Fraction(low) <= value <= Fraction(high)
    assert high <= math.nextafter(low, math.inf)


def test_infinite_ends_and_empty_domains():
    whole = Interval.of(np.array(-np.inf), np.array(np.inf))
    zero = Interval.point(0.0)
    assert (whole * zero).zero  # a finite number times 0
    assert (float((whole * whole).lo), float((whole * whole).hi)) == (-np.inf, np.inf)
    assert float(whole.power(2).lo) == 0
    assert not np.isfinite(whole.reciprocal().lo)
    below = Interval.of(np.array(-2.0), np.array(-1.0))
    assert enclose(sympy.log(t), {t: below}).least == -np.inf  # nowhere defined: nothing is known
    assert enclose(1 / t, {t: zero}).greatest == np.inf


def test_a_positive_infimum_that_is_not_attained_is_remembered():
    whole = Interval.of(np.array(-np.inf), np.array(np.inf))
    grown = enclose(sympy.exp(t), {t: whole})
    assert grown.least == 0 and grown.positive
    assert enclose(2 * sympy.exp(t) + t**2, {t: whole}).positive
    assert not enclose(t**2, {t: whole}).positive
    assert enclose(f.sigmoid(t), {t: whole}).positive
    assert not enclose(f.sigmoid(t) - 1, {t: whole}).positive


def _arb(fn, at):
    """The value of a function by FLINT at 300 bits, None where it is not real."""
    import operator
    from functools import reduce

    if fn == t:
        return at
    if fn.is_Rational:
        return flint.arb(int(fn.p)) / int(fn.q)
    args = [_arb(a, at) for a in fn.args]
    if any(a is None for a in args):
        return None
    if fn.is_Add or fn.is_Mul:
        return reduce(operator.add if fn.is_Add else operator.mul, args)
    if fn.is_Pow:
        value = args[0] ** (args[1] if not fn.exp.is_Integer else int(fn.exp))
    else:
        one = flint.arb(1)
        value = {
            sympy.exp: flint.arb.exp, sympy.log: flint.arb.log, sympy.sin: flint.arb.sin, sympy.cos: flint.arb.cos,
            sympy.tan: flint.arb.tan, sympy.asin: flint.arb.asin, sympy.acos: flint.arb.acos,
            sympy.atan: flint.arb.atan, sympy.sinh: flint.arb.sinh, sympy.cosh: flint.arb.cosh,
            sympy.tanh: flint.arb.tanh, sympy.Abs: abs, f.softplus: lambda a: a.exp().log1p(),
            f.sigmoid: lambda a: one / (one + (-a).exp()), f.xlogx: lambda a: a * a.log() if a != 0 else a,
            f.huber: lambda a, d: a * a / 2 if abs(a) <= d else d * (abs(a) - d / 2),
            f.clip: lambda a, d: a if abs(a) <= d else d * a.sgn(),
        }[fn.func](*args)  # fmt: skip
    return value if value.is_finite() else None


ELEMENTARY = [
    sympy.exp(t), sympy.log(t), sympy.sin(t), sympy.cos(t), sympy.tan(t), sympy.asin(t), sympy.acos(t),
    sympy.atan(t), sympy.sinh(t), sympy.cosh(t), sympy.tanh(t), sympy.Abs(t), sympy.sqrt(t),
    t ** sympy.Rational(2, 3), t ** sympy.Rational(-5, 2), f.softplus(t), f.sigmoid(t), f.xlogx(t),
    f.huber(t, sympy.Rational(3, 2)), f.clip(t, 2), sympy.Integer(3) ** t, t**3 - 2 * t, 1 / (1 + t**2),
]  # fmt: skip
REALS = st.floats(-30, 30) | st.sampled_from([0.0, 1.0, -1.0, math.pi / 2, 3 * math.pi / 2, 1 / math.e, 1e-300, 700.0])


@pytest.mark.parametrize("fn", ELEMENTARY, ids=str)
@given(st.lists(REALS, min_size=2, max_size=2), st.floats(0, 1))
def test_elementary_functions_hold_their_values(fn, ends, share):
    a, b = sorted(ends)
    point = min(max(a + share * (b - a), a), b)
    with flint.ctx.workprec(300):
        value = _arb(fn, flint.arb(point))
        if value is None:
            return
        result = enclose(fn, {t: Interval.of(np.array([a]), np.array([b]))})
        assert flint.arb(result.least) <= value.upper() and value.lower() <= flint.arb(result.greatest)
        narrow = enclose(fn, {t: Interval.point(np.array([point]))})
        width = flint.arb(narrow.greatest) - flint.arb(narrow.least)
        assert width <= 1e-12 * (1 + abs(value)) or abs(value) > 1e15  # near a pole the branch is not certain
