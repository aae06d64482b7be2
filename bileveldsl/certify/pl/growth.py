"""Behaviour of nodes along curves: orders as t goes to infinity, and power series at a point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import flint
import numpy as np
from flint import fmpq, fmpq_poly, fmpq_series

from bileveldsl.certify.clock import check
from bileveldsl.certify.elementary import RULES, fixed_power
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.scalars import Scalar, topological

_DEGREE = 200
_NONE = Fraction(-(10**6))
_LENGTH = 24
_CONTINUOUS = ("exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "softplus", "sigmoid")
_SERIES = ("exp", "log", "sin", "cos", "tan", "atan", "asin", "sinh", "cosh", "tanh")
Rational = tuple[fmpq_poly, fmpq_poly]
Order = tuple[Fraction, Fraction]
ORIGIN: Order = (Fraction(0), Fraction(0))


class NotFollowed(Exception):
    """A function whose behaviour along a curve is not found."""


@dataclass(frozen=True)
class Growth:
    """f(t) / (t^a (log t)^b), order = (a, b), has its limit points between `lo` and `hi` as t goes to infinity."""

    order: Order
    lo: Fraction
    hi: Fraction

    @property
    def vanishes(self) -> bool:
        return self.lo == 0 == self.hi

    def __add__(self, other: Growth) -> Growth:
        if self.order == other.order:
            return Growth(self.order, self.lo + other.lo, self.hi + other.hi)
        return max(self, other, key=lambda g: g.order)

    def __mul__(self, other: Growth) -> Growth:
        ends = [a * b for a in (self.lo, self.hi) for b in (other.lo, other.hi)]
        return Growth((self.order[0] + other.order[0], self.order[1] + other.order[1]), min(ends), max(ends))


def growth(roots: Sequence[Scalar], curve: Mapping[int, Rational]) -> list[Growth]:
    """The growth of nodes when variables are rational functions of t; NotFollowed where it is not found."""
    exact: dict[Scalar, Rational] = {}
    found: dict[Scalar, Growth] = {}
    for node in topological(roots):
        check()
        function = _rational(node, exact, curve)
        if function is None:
            found[node] = _combined(node, [found[a] for a in node.args])
            continue
        exact[node] = function
        over, under = function
        if over == 0:
            found[node] = _point((_NONE, Fraction(0)), Fraction(0))
        else:
            leading = over[over.degree()] / under[under.degree()]
            order = (Fraction(over.degree() - under.degree()), Fraction(0))
            found[node] = _point(order, Fraction(int(leading.p), int(leading.q)))
    return [found[root] for root in roots]


def _point(order: Order, value: Fraction) -> Growth:
    return Growth(order, value, value)


def _rational(node: Scalar, exact: Mapping[Scalar, Rational], curve: Mapping[int, Rational]) -> Rational | None:
    if node.op == "num":
        return fmpq_poly([fmpq(node.value.numerator, node.value.denominator)]), fmpq_poly([1])
    if node.op == "var":
        return curve[node.value]
    if node.op not in ("+", "*", "^") or any(a not in exact for a in node.args):
        return None
    over, under = exact[node.args[0]]
    if node.op == "^":
        if node.value.denominator != 1 or (node.value < 0 and over == 0):
            return None
        times = int(abs(node.value))
        if times * max(over.degree(), under.degree()) > _DEGREE:
            raise NotFollowed
        over, under = over**times, under**times
        return (under, over) if node.value < 0 else (over, under)
    for arg in node.args[1:]:
        p, q = exact[arg]
        if over.degree() + under.degree() + p.degree() + q.degree() > _DEGREE:
            raise NotFollowed
        over, under = (over * q + p * under, under * q) if node.op == "+" else (over * p, under * q)
        common = over.gcd(under)
        over, under = over // common, under // common
    return over, under


def _combined(node: Scalar, parts: list[Growth]) -> Growth:
    if node.op == "+":
        return sum(parts[1:], parts[0])
    if node.op == "*":
        return math.prod(parts[1:], start=parts[0])
    if node.op == "^":
        base = parts[0]
        signed = node.value.denominator == 1 and (node.value > 0 or base.hi < 0)
        if not (signed or base.lo > 0):
            raise NotFollowed
        order = (base.order[0] * node.value, base.order[1] * node.value)
        return _ranged(order, fixed_power(_interval(base), node.value))
    if node.op in ("pi", "e"):
        return _ranged(ORIGIN, RULES[node.op]())
    if len(parts) != 1:
        raise NotFollowed
    return _applied(node.op, parts[0])


def _interval(g: Growth) -> Interval:
    return Interval.of(
        np.array([np.nextafter(float(g.lo), -np.inf) if Fraction(float(g.lo)) > g.lo else float(g.lo)]),
        np.array([np.nextafter(float(g.hi), np.inf) if Fraction(float(g.hi)) < g.hi else float(g.hi)]),
    )


def _ranged(order: Order, range_: Interval) -> Growth:
    if not (math.isfinite(range_.least) and math.isfinite(range_.greatest)):
        raise NotFollowed
    return Growth(order, Fraction(range_.least), Fraction(range_.greatest))


def _applied(op: str, inner: Growth) -> Growth:
    if op == "log":
        if inner.lo <= 0:
            raise NotFollowed
        if inner.order == ORIGIN:
            return _ranged(ORIGIN, RULES["log"](_interval(inner)))
        if inner.order[0] == 0:
            raise NotFollowed
        return _point((Fraction(0), Fraction(1)), inner.order[0])
    if op not in _CONTINUOUS:
        raise NotFollowed
    if inner.order <= ORIGIN:
        at = inner if inner.order == ORIGIN else _point(ORIGIN, Fraction(0))
        return _ranged(ORIGIN, RULES[op](_interval(at)))
    if op in ("sin", "cos"):
        return Growth(ORIGIN, Fraction(-1), Fraction(1))
    if inner.lo > 0 and op == "softplus":
        return inner
    if inner.lo > 0 and op in ("tanh", "sigmoid"):
        return _point(ORIGIN, Fraction(1))
    if inner.hi < 0 and op in ("exp", "softplus", "sigmoid"):
        return _point((_NONE, Fraction(0)) if inner.order[0] > 0 else ORIGIN, Fraction(0))
    if inner.hi < 0 and op == "tanh":
        return _point(ORIGIN, Fraction(-1))
    raise NotFollowed


# ---- series ---------------------------------------------------------------------------------


def series(roots: Sequence[Scalar], line: Mapping[int, Sequence[Fraction]]) -> list[list[fmpq]]:
    """The coefficients that are known of nodes as power series in s, when variables are polynomials in s."""
    cap = flint.ctx.cap
    flint.ctx.cap = _LENGTH
    try:
        made: dict[Scalar, fmpq_series] = {}
        for node in topological(roots):
            check()
            made[node] = _expanded(node, [made[a] for a in node.args], line)
        return [[made[root][k] for k in range(min(_LENGTH, made[root].prec))] for root in roots]
    except (ValueError, ZeroDivisionError) as error:
        raise NotFollowed from error
    finally:
        flint.ctx.cap = cap


def _expanded(node: Scalar, parts: list[fmpq_series], line: Mapping[int, Sequence[Fraction]]) -> fmpq_series:
    if node.op == "num":
        return fmpq_series([fmpq(node.value.numerator, node.value.denominator)])
    if node.op == "var":
        return fmpq_series([fmpq(c.numerator, c.denominator) for c in line[node.value]])
    if node.op == "+":
        return sum(parts[1:], parts[0])
    if node.op == "*":
        return math.prod(parts[1:], start=parts[0])
    if node.op == "^" and node.value.denominator <= 2 and abs(node.value) <= 64:
        base = parts[0].sqrt() if node.value.denominator == 2 else parts[0]
        times = int(node.value * node.value.denominator)
        return math.prod([base if times > 0 else fmpq_series([1]) / base] * abs(times), start=fmpq_series([1]))
    if node.op in _SERIES:
        return getattr(parts[0], node.op)()
    raise NotFollowed
