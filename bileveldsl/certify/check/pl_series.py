"""Nodes as power series in s, with exact rational coefficients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from flint import ctx, fmpq, fmpq_series

from bileveldsl.certify.check.terms import Rejected, Table

_LENGTH = 24
_FUNCTIONS = frozenset({"exp", "log", "sin", "cos", "tan", "atan", "asin", "sinh", "cosh", "tanh"})


def series(table: Table, roots: Sequence[int], line: Mapping[int, Sequence[fmpq]]) -> list[list[fmpq]]:
    """The coefficients that are known of nodes when variables are polynomials in s; Rejected if not rational.

    Examples
    --------
    >>> table = Table()
    >>> series(table, [table.call("sin", [table.var(0)])], {0: [fmpq(0), fmpq(1)]})[0][:4]
    [0, 1, 0, -1/6]
    """
    cap = ctx.cap
    ctx.cap = _LENGTH
    try:
        made: dict[int, fmpq_series] = {}
        for node in table.reachable(roots):
            made[node] = _made(table, node, [made[a] for a in table.arguments[node]], line)
        return [[made[root][k] for k in range(min(_LENGTH, made[root].prec))] for root in roots]
    except (ValueError, ZeroDivisionError, NotImplementedError) as error:
        raise Rejected("a function has no power series with rational coefficients") from error
    finally:
        ctx.cap = cap


def _made(table: Table, node: int, parts: list[fmpq_series], line: Mapping[int, Sequence[fmpq]]) -> fmpq_series:
    operation = table.operation[node]
    if operation == "num":
        return fmpq_series([table.value[node]])
    if operation == "var":
        return fmpq_series(list(line[table.value[node]]))
    if operation == "+":
        return sum(parts[1:], parts[0])
    if operation == "*":
        return math.prod(parts[1:], start=parts[0])
    if operation == "^":
        return _power(parts[0], table.value[node])
    if operation in _FUNCTIONS:
        return getattr(parts[0], operation)()
    raise Rejected(f"{operation} is not expanded in a series")


def _power(base: fmpq_series, exponent: fmpq) -> fmpq_series:
    if exponent.q == 2:
        base, exponent = base.sqrt(), exponent * 2
    if exponent.q != 1 or abs(exponent) > 200:
        raise Rejected("a power is not expanded in a series")
    if exponent < 0:
        base, exponent = fmpq_series([1]) / base, -exponent
    result = fmpq_series([1])
    for _ in range(int(exponent)):
        result = result * base
    return result
