"""Quadratic functions of the own variables, read off term by term: their second derivatives, if these are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flint import fmpq

from bileveldsl.certify.check.terms import Rejected, Table

_WORK = 30_000_000  # products of numbers


@dataclass
class _Form:
    """sum_ij quadratic_ij y_i y_j / 2 + linear'y + what is affine in y with coefficients that are not numbers.

    `value` is that of a fixed node which is a number; `loose` says whether there is more than numbers of y; `fixed`
    whether no own variable occurs.
    """

    quadratic: dict[tuple[int, int], fmpq] = field(default_factory=dict)
    linear: dict[int, fmpq] = field(default_factory=dict)
    value: fmpq | None = None
    loose: bool = False

    @property
    def fixed(self) -> bool:
        return not self.quadratic and not self.linear and not self.loose


def second_derivatives(table: Table, root: int, own: Sequence[int]) -> dict[tuple[int, int], fmpq] | None:
    """The Hessian by positions i <= j where each entry is seen to be a number; None where one is not.

    Examples
    --------
    >>> table = Table()
    >>> y = table.var(0)
    >>> second_derivatives(table, table.power(table.add([y, table.var(1)]), 2), [0])
    {(0, 0): 2}
    """
    places = {index: k for k, index in enumerate(own)}
    made: dict[int, _Form | None] = {}
    budget = [_WORK]
    for node in table.reachable([root]):
        made[node] = _made(table, node, [made[child] for child in table.arguments[node]], places, budget)
    form = made[root]
    return None if form is None else form.quadratic


def _made(
    table: Table, node: int, parts: list[_Form | None], places: dict[int, int], budget: list[int]
) -> _Form | None:
    operation, value = table.operation[node], table.value[node]
    if operation == "num":
        return _Form(value=value)
    if operation == "var":
        return _Form(linear={places[value]: fmpq(1)}) if value in places else _Form()
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if operation == "+":
        return _sum(known, budget)
    if operation == "*" or (operation == "^" and value == 2):
        result: _Form | None = known[0]
        for other in known[1:] if operation == "*" else known:
            result = None if result is None else _product(result, other, budget)
        return result
    return _Form() if all(part.fixed for part in known) else None


def _sum(parts: list[_Form], budget: list[int]) -> _Form:
    result = _Form()
    for part in parts:
        _spend(budget, len(part.quadratic) + len(part.linear))
        for pair, q in part.quadratic.items():
            result.quadratic[pair] = result.quadratic[pair] + q if pair in result.quadratic else q
        for k, c in part.linear.items():
            result.linear[k] = result.linear[k] + c if k in result.linear else c
        result.loose |= part.loose
    if all(part.fixed and part.value is not None for part in parts):
        result.value = sum((part.value for part in parts if part.value is not None), fmpq(0))
    return result


def _product(a: _Form, b: _Form, budget: list[int]) -> _Form | None:
    if b.fixed:
        a, b = b, a
    if a.fixed:
        return _scaled(b, a.value, budget)
    if a.loose or b.loose or a.quadratic or b.quadratic:
        return None
    _spend(budget, len(a.linear) * len(b.linear))
    result = _Form(loose=True)  # each linear part times the constant of the other
    for i, p in a.linear.items():
        for j, q in b.linear.items():
            pair = (i, j) if i <= j else (j, i)
            entry = p * q if i != j else 2 * p * q
            result.quadratic[pair] = result.quadratic[pair] + entry if pair in result.quadratic else entry
    return result


def _scaled(form: _Form, by: fmpq | None, budget: list[int]) -> _Form | None:
    """A form times a fixed node, which is a number if it is given."""
    if by is None:
        return None if form.quadratic else _Form(loose=not form.fixed)
    _spend(budget, len(form.quadratic) + len(form.linear))
    quadratic = {pair: by * q for pair, q in form.quadratic.items()}
    value = None if form.value is None else by * form.value
    return _Form(quadratic, {k: by * c for k, c in form.linear.items()}, value, form.loose)


def _spend(budget: list[int], work: int) -> None:
    budget[0] -= work
    if budget[0] < 0:
        raise Rejected("a quadratic form is too large")
