"""How scalar nodes grow along a ray, where no other variable than t occurs: about a number times a power of t.

A node has growth (p, C) if every limit point of node / t^p, as t goes to infinity, lies in the interval C. The degree p
is a rational, -inf for what falls faster than every power (exp(-t)) and inf for what grows faster; then C only says
the sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.elementary import RULES, fixed_power
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.scalars import Scalar, topological

Degree = Fraction | float


class NotKnown(Exception):
    """A node whose growth these rules do not tell."""


@dataclass(frozen=True)
class Growth:
    """A degree and the interval of the factor."""

    degree: Degree
    factor: Interval

    @property
    def sign(self) -> int:
        """1 or -1 if the node has this sign for all large t, 0 if that is not known."""
        return 1 if self.factor.least > 0 else -1 if self.factor.greatest < 0 else 0

    @property
    def tends_to_at_most_zero(self) -> bool:
        """Whether no limit point of the node itself is positive."""
        # Of a positive degree, a factor that may be 0 hides a lower degree, which may be positive too.
        return self.degree < 0 or self.sign < 0 or (self.degree == 0 and self.factor.greatest <= 0)


def _number(value: float) -> Interval:
    return Interval.point(np.array(value))


NOTHING = Growth(-math.inf, _number(0.0))


def growths(roots: Sequence[Scalar]) -> list[Growth | None]:
    """The growth of nodes in which t alone occurs, None where it is not known.

    Examples
    --------
    >>> from bileveldsl.certify.scalars import ONE, power, total, variable
    >>> t = variable(0)
    >>> growths([power(total([ONE, power(t, 2)]), Fraction(-1, 2))])[0].degree
    Fraction(-1, 1)
    """
    found: dict[Scalar, Growth | None] = {}
    for node in topological(roots):
        check()
        parts = [found[a] for a in node.args]
        known = [part for part in parts if part is not None]
        try:
            found[node] = _growth(node, known) if len(known) == len(parts) else None
        except NotKnown:
            found[node] = None
    return [found[root] for root in roots]


def _growth(node: Scalar, parts: list[Growth]) -> Growth:
    if node.op == "num":
        return _of(Fraction(0), Interval.rational(node.value))
    if node.op == "var":
        return _of(Fraction(1), _number(1.0))
    if node.op == "+":
        return added(parts)
    if node.op == "*":
        return _product(parts)
    if node.op == "^":
        return _power(parts[0], node.value)
    if node.op in ("pi", "e"):
        return _of(Fraction(0), RULES[node.op]())
    if node.op in ("max", "min"):
        return _greatest(node.op, parts)
    if node.op == "side" and parts[0].sign:
        return _of(Fraction(0), _number(float(parts[0].sign)))
    if node.op in _ENTIRE or node.op == "log":
        return _function(node.op, parts[0])
    raise NotKnown


def _of(degree: Degree, factor: Interval) -> Growth:
    if not (math.isfinite(factor.least) and math.isfinite(factor.greatest)):
        raise NotKnown
    return Growth(degree, Interval.of(factor.lo, factor.hi))


def added(parts: Sequence[Growth]) -> Growth:
    """The growth of a sum."""
    degree = max(part.degree for part in parts)
    highest = [part for part in parts if part.degree == degree]
    if degree == math.inf:
        if len({part.sign for part in highest}) > 1:
            raise NotKnown
        return highest[0]
    factor = highest[0].factor
    for part in highest[1:]:
        factor = factor + part.factor
    return _of(degree, factor)


def _greatest(op: str, parts: Sequence[Growth]) -> Growth:
    """Of max and min: beside the highest power of t, what has a lower one is 0 in the limit."""
    if not all(math.isfinite(part.degree) for part in parts):
        raise NotKnown
    degree = max(part.degree for part in parts)
    return _of(degree, RULES[op](*[part.factor if part.degree == degree else _number(0.0) for part in parts]))


def _product(parts: Sequence[Growth]) -> Growth:
    fast = any(part.degree == math.inf for part in parts)
    if any(part.degree == -math.inf for part in parts):
        if fast:
            raise NotKnown
        return NOTHING
    if fast:
        signs = [part.sign for part in parts]
        if 0 in signs:
            raise NotKnown
        return Growth(math.inf, _number(float(math.prod(signs))))
    degree, factor = parts[0].degree, parts[0].factor
    for part in parts[1:]:
        degree, factor = degree + part.degree, factor * part.factor
    return _of(degree, factor)


def _power(base: Growth, exponent: Fraction) -> Growth:
    if base.degree == math.inf:
        if exponent < 0:
            return NOTHING
        if base.sign < 0 and exponent.denominator != 1:
            raise NotKnown
        return Growth(math.inf, _number(-1.0 if base.sign < 0 and exponent.numerator % 2 else 1.0))
    if base.degree == -math.inf and exponent > 0:
        return NOTHING
    if exponent < 0 and not base.sign:
        raise NotKnown
    if exponent.denominator != 1 and base.factor.least < 0:
        raise NotKnown
    return _of(base.degree * exponent, fixed_power(base.factor, exponent))


def _function(name: str, u: Growth) -> Growth:
    if name == "abs" and math.isfinite(u.degree):
        return _of(u.degree, RULES[name](u.factor))
    if name in _LIKE_IDENTITY and u.degree < 0:
        return u
    if u.degree <= 0:
        limit = u.factor if u.degree == 0 else _number(0.0)
        if name == "log" and not limit.least > 0:
            raise NotKnown
        return _of(Fraction(0), RULES[name](limit))
    if name in ("sin", "cos"):
        return _of(Fraction(0), Interval.of(np.array(-1.0), np.array(1.0)))
    if name == "log" or not u.sign:
        raise NotKnown
    if name in ("exp", "softplus", "sigmoid") and u.sign < 0:
        return NOTHING
    if name in ("exp", "cosh"):
        return Growth(math.inf, _number(1.0))
    if name == "sinh":
        return Growth(math.inf, _number(float(u.sign)))
    if name in ("softplus", "abs"):
        return u if u.sign > 0 else Growth(u.degree, -u.factor)
    if name == "atan":
        return _of(Fraction(0), RULES["pi"]() * _number(0.5 * u.sign))
    return _of(Fraction(0), _number(float(u.sign)))  # sigmoid (1, since u > 0) and tanh


_LIKE_IDENTITY = frozenset({"sin", "sinh", "tanh", "atan"})  # near 0
_ENTIRE = frozenset({"exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "softplus", "sigmoid", "abs"})
