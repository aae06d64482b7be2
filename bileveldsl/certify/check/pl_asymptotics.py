"""How functions behave as t goes to infinity: f(t) / (t^a (log t)^b) has all of its limit points in a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flint import fmpq, fmpq_poly

from bileveldsl.certify.check.elementary import FUNCTIONS, power
from bileveldsl.certify.check.ranges import ONE, ZERO, Range
from bileveldsl.certify.check.terms import Rejected, Table

_DEGREE = 400
_NONE = fmpq(-(10**6))  # the exponent of what decays faster than any power, or is 0
_CONTINUOUS = frozenset({"exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "softplus", "sigmoid"})
Order = tuple[fmpq, fmpq]
Rational = tuple[fmpq_poly, fmpq_poly]


@dataclass(frozen=True)
class Growth:
    """All limit points of f(t) / (t^a (log t)^b), order = (a, b), as t goes to infinity lie in the (finite) range."""

    order: Order
    range: Range

    def __add__(self, other: Growth) -> Growth:
        if self.order == other.order:
            return Growth(self.order, self.range + other.range)
        return self if self.order > other.order else other

    def __mul__(self, other: Growth) -> Growth:
        order = (self.order[0] + other.order[0], self.order[1] + other.order[1])
        return Growth(order, self.range * other.range)


VANISHING = Growth((_NONE, ZERO), Range(ZERO, ZERO))


def growth(table: Table, roots: Sequence[int], curve: Mapping[int, Rational]) -> list[Growth]:
    """The growth of nodes when variables are rational functions of t, over and under; Rejected if it is not found.

    Examples
    --------
    >>> table = Table()
    >>> root = table.call("log", [table.add([table.num(1), table.power(table.var(0), 2)])])
    >>> growth(table, [root], {0: (fmpq_poly([0, 1]), fmpq_poly([1]))})
    [Growth(order=(0, 1), range=Range(2, 2, False, True))]
    """
    exact: dict[int, Rational] = {}
    found: dict[int, Growth] = {}
    for node in table.reachable(roots):
        function = _rational(table, node, exact, curve)
        if function is not None:
            exact[node] = function
            found[node] = _of(function)
        else:
            found[node] = _combined(table, node, [found[a] for a in table.arguments[node]])
    return [found[root] for root in roots]


def _rational(table: Table, node: int, exact: Mapping[int, Rational], curve: Mapping[int, Rational]) -> Rational | None:
    """A node as an exact rational function of t, reduced."""
    operation, arguments = table.operation[node], table.arguments[node]
    if operation == "num":
        return fmpq_poly([table.value[node]]), fmpq_poly([1])
    if operation == "var":
        return curve[table.value[node]]
    if operation not in ("+", "*", "^") or any(a not in exact for a in arguments):
        return None
    over, under = exact[arguments[0]]
    if operation == "^":
        exponent = table.value[node]
        if exponent.q != 1 or (exponent < 0 and over == 0):
            return None
        times = int(abs(exponent))
        _bound(times * max(over.degree(), under.degree(), 0))
        over, under = over**times, under**times
        return (under, over) if exponent < 0 else (over, under)
    for a in arguments[1:]:
        p, q = exact[a]
        _bound(over.degree() + under.degree() + p.degree() + q.degree())
        over, under = (over * q + p * under, under * q) if operation == "+" else (over * p, under * q)
        common = over.gcd(under)
        over, under = over // common, under // common
    return over, under


def _bound(degree: int) -> None:
    if degree > _DEGREE:
        raise Rejected("a function along the curve is of too high a degree")


def _of(function: Rational) -> Growth:
    over, under = function
    if over == 0:
        return VANISHING
    leading = over[over.degree()] / under[under.degree()]
    return Growth((fmpq(over.degree() - under.degree()), ZERO), Range(leading, leading))


def _combined(table: Table, node: int, parts: list[Growth]) -> Growth:
    operation = table.operation[node]
    if operation in ("+", "*"):
        result = parts[0]
        for part in parts[1:]:
            result = result + part if operation == "+" else result * part
        return _checked(result)
    if operation in ("pi", "e"):
        return Growth((ZERO, ZERO), FUNCTIONS[operation]())
    if operation == "^":
        exponent, base = table.value[node], parts[0]
        signed = exponent.q == 1 and (exponent > 0 or base.range.hi < 0)
        if not (signed or base.range.lo > 0):
            raise Rejected("the size of a base is not known along the curve")
        return _checked(Growth((base.order[0] * exponent, base.order[1] * exponent), power(base.range, exponent)))
    if len(parts) != 1:
        raise Rejected(f"{operation} is not followed along a curve")
    return _checked(_applied(operation, parts[0]))


def _checked(g: Growth) -> Growth:
    if not g.range.defined or not g.range.finite:
        raise Rejected("a function is not followed along the curve")
    return g


def _applied(operation: str, inner: Growth) -> Growth:
    zero = (ZERO, ZERO)
    if operation == "log":
        return _logarithm(inner)
    if operation not in _CONTINUOUS:
        raise Rejected(f"{operation} is not followed along a curve")
    if inner.order <= zero:
        return Growth(zero, FUNCTIONS[operation](inner.range if inner.order == zero else Range(ZERO, ZERO)))
    if operation in ("sin", "cos"):
        return Growth(zero, Range(-ONE, ONE))
    if inner.range.lo > 0:
        if operation == "softplus":
            return inner
        if operation in ("tanh", "sigmoid"):
            return Growth(zero, Range(ONE, ONE))
    if inner.range.hi < 0:
        if operation in ("exp", "softplus", "sigmoid"):
            # exp(-c t^a) decays faster than any power; exp(-c (log t)^b) at least tends to 0
            return VANISHING if inner.order[0] > 0 else Growth(zero, Range(ZERO, ZERO))
        if operation == "tanh":
            return Growth(zero, Range(-ONE, -ONE))
    if operation == "atan":
        return Growth(zero, FUNCTIONS["atan"](Range(-float("inf"), float("inf"))))
    raise Rejected(f"{operation} is not followed along the curve")


def _logarithm(inner: Growth) -> Growth:
    """log(c t^a (log t)^b) = a log t + O(log log t), and log c where a = b = 0."""
    if inner.range.lo <= 0:
        raise Rejected("the logarithm is of what may not be positive")
    if inner.order == (ZERO, ZERO):
        return Growth((ZERO, ZERO), FUNCTIONS["log"](inner.range))
    if inner.order[0] == 0:
        raise Rejected("a logarithm of a logarithm is not followed along the curve")
    return Growth((ZERO, ONE), Range(inner.order[0], inner.order[0]))
