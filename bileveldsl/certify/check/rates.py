"""How nodes grow along a ray: each is about a number times a power of t, for t that grows without bound.

A node has growth (p, C) if every limit point of node / t^p, as t goes to infinity, lies in the range C. The degree p
is a rational, -inf for what falls faster than every power (exp(-t)) and inf for what grows faster; then C only says
the sign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.elementary import FUNCTIONS, power
from bileveldsl.certify.check.ranges import INF, Range
from bileveldsl.certify.check.terms import Rejected, Table

_DEGREE = 10_000
_ENTIRE = frozenset({"exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "softplus", "sigmoid", "abs"})
_LIKE_IDENTITY = frozenset({"sin", "sinh", "tanh", "atan"})  # near 0
_ZERO, _ONE = fmpq(0), fmpq(1)


@dataclass(frozen=True)
class Growth:
    """A degree, which is an fmpq or a float that is inf or -inf, and the range of the factor."""

    degree: Any
    factor: Range

    @property
    def tends_to_at_most_zero(self) -> bool:
        """Whether no limit point of the node itself is positive."""
        # Of a positive degree, a factor that may be 0 hides a lower degree, which may be positive too.
        return _less(self.degree, _ZERO) or self.sign < 0 or (self.degree == 0 and self.factor.hi <= 0)

    @property
    def diverges(self) -> bool:
        """Whether the absolute value of the node grows without bound."""
        return _less(_ZERO, self.degree) and self.sign != 0

    @property
    def sign(self) -> int:
        """1 or -1 if the node has this sign for all large t, 0 if that is not known."""
        return 1 if self.factor.lo > 0 else -1 if self.factor.hi < 0 else 0


NOTHING = Growth(-INF, Range(_ZERO, _ZERO))


def growth(table: Table, root: int, t: int) -> Growth:
    """The growth of a node in which no variable but t occurs; Rejected where it is not known.

    Examples
    --------
    >>> table = Table()
    >>> t = table.var(0)
    >>> inverse = table.power(table.add([table.num(1), table.power(t, 2)]), fmpq(-1, 2))
    >>> growth(table, inverse, 0).degree
    -1
    """
    found: dict[int, Growth] = {}
    for node in table.reachable([root]):
        found[node] = _growth(table, node, [found[a] for a in table.arguments[node]], t)
    return found[root]


def _growth(table: Table, node: int, parts: list[Growth], t: int) -> Growth:
    operation, value = table.operation[node], table.value[node]
    if operation == "num":
        return _of(_ZERO, Range(value, value))
    if operation == "var":
        if value != t:
            raise Rejected("a variable has no value along the ray")
        return _of(_ONE, Range(_ONE, _ONE))
    if operation == "+":
        return _sum(parts)
    if operation == "*":
        counts = Counter(table.arguments[node])
        each = dict(zip(table.arguments[node], parts, strict=True))
        return _product([_power(each[a], fmpq(n)) for a, n in counts.items()])
    if operation == "^":
        return _power(parts[0], value)
    if operation in ("pi", "e"):
        return _of(_ZERO, FUNCTIONS[operation]())
    if operation in ("max", "min"):
        return _greatest(operation, parts)
    if operation == "side" and parts[0].sign:
        return _of(_ZERO, Range(fmpq(parts[0].sign), fmpq(parts[0].sign)))
    if operation in _ENTIRE or operation == "log":
        return _function(operation, parts[0])
    raise Rejected(f"the growth of {operation} along a ray is not known")


def _of(degree: Any, factor: Range) -> Growth:
    if not factor.finite or not factor.defined:
        raise Rejected("the growth along the ray is not known")
    # That a value is never 0 says nothing of its limit points.
    return Growth(degree, Range(factor.lo, factor.hi))


def _less(a: Any, b: Any) -> bool:
    if isinstance(a, float):
        return a < 0 and b != a
    return b > 0 if isinstance(b, float) else bool(a < b)


def _sum(parts: Sequence[Growth]) -> Growth:
    degree = parts[0].degree
    for part in parts:
        degree = part.degree if _less(degree, part.degree) else degree
    highest = [part for part in parts if part.degree == degree]
    if degree == INF:
        if len({part.sign for part in highest}) > 1:
            raise Rejected("the growth of a sum along the ray is not known")
        return highest[0]
    factor = highest[0].factor
    for part in highest[1:]:
        factor = factor + part.factor
    return _of(degree, factor)


def _greatest(operation: str, parts: Sequence[Growth]) -> Growth:
    """Of max and min: beside the highest power of t, what has a lower one is 0 in the limit."""
    if any(isinstance(part.degree, float) for part in parts):
        raise Rejected("the growth of the greatest of some along the ray is not known")
    degree = max(part.degree for part in parts)
    factors = [part.factor if part.degree == degree else Range(_ZERO, _ZERO) for part in parts]
    return _of(degree, FUNCTIONS[operation](*factors))


def _product(parts: Sequence[Growth]) -> Growth:
    fast = any(part.degree == INF for part in parts)
    if any(part.degree == -INF for part in parts):
        if fast:
            raise Rejected("the growth of a product along the ray is not known")
        return NOTHING
    if fast:
        if not all(part.sign for part in parts):
            raise Rejected("the growth of a product along the ray is not known")
        return _fast(-1 if sum(part.sign < 0 for part in parts) % 2 else 1)
    degree, factor = parts[0].degree, parts[0].factor
    for part in parts[1:]:
        degree, factor = degree + part.degree, factor * part.factor
    return _of(_bounded(degree), factor)


def _power(base: Growth, exponent: fmpq) -> Growth:
    if exponent == 0:
        return _of(_ZERO, Range(_ONE, _ONE))
    if base.degree == INF:
        if exponent < 0:
            return NOTHING
        if base.sign < 0 and exponent.q != 1:
            raise Rejected("a root of a negative number")
        return _fast(-1 if base.sign < 0 and exponent.p % 2 else 1)
    if base.degree == -INF:
        if exponent < 0:
            raise Rejected("the growth of a quotient along the ray is not known")
        return NOTHING
    if exponent < 0 and not base.sign:
        raise Rejected("the growth of a quotient along the ray is not known")
    return _of(_bounded(base.degree * exponent), power(base.factor, exponent))


def _function(operation: str, u: Growth) -> Growth:
    if operation == "abs" and not isinstance(u.degree, float):
        return _of(u.degree, FUNCTIONS[operation](u.factor))
    if operation in _LIKE_IDENTITY and _less(u.degree, _ZERO):
        return u
    if not _less(_ZERO, u.degree):
        limit = u.factor if u.degree == 0 else Range(_ZERO, _ZERO)
        if operation == "log" and not limit.lo > 0:
            raise Rejected("the growth of a logarithm along the ray is not known")
        return _of(_ZERO, FUNCTIONS[operation](limit))
    if operation in ("sin", "cos"):
        return _of(_ZERO, Range(-_ONE, _ONE))
    if operation == "log" or not u.sign:
        raise Rejected(f"the growth of {operation} along the ray is not known")
    if operation in ("exp", "softplus", "sigmoid") and u.sign < 0:
        return NOTHING
    if operation in ("exp", "cosh"):
        return _fast(1)
    if operation == "sinh":
        return _fast(u.sign)
    if operation in ("softplus", "abs"):
        return u if u.sign > 0 else Growth(u.degree, -u.factor)
    if operation == "atan":
        return _of(_ZERO, FUNCTIONS["pi"]() * Range(fmpq(u.sign, 2), fmpq(u.sign, 2)))
    return _of(_ZERO, Range(fmpq(u.sign), fmpq(u.sign)))  # sigmoid (1, since u > 0) and tanh


def _fast(sign: int) -> Growth:
    return Growth(INF, Range(fmpq(sign), fmpq(sign)))


def _bounded(degree: fmpq) -> fmpq:
    if degree.height_bits() > _DEGREE:
        raise Rejected("a degree has too many digits")
    return degree
