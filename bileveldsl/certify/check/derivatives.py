"""First and second derivatives as nodes of the table, by reverse accumulation.

A derivative is that wherever the function is differentiable; whether it is so where it matters is asked elsewhere
(`region.require_twice_differentiable`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from flint import fmpq

from bileveldsl.certify.check.terms import Rejected, Table

_SHORT = 8  # factors up to which the product of all others is written out


def gradient(table: Table, root: int, variables: Sequence[int], kinks: bool = False) -> list[int]:
    """The derivative of a node in each of some variables (indices).

    With `kinks` that of max, min and abs is the one of a side, written by "side": the sign of its argument, whose value
    at 0 is not said. Without them only the slope of abs is known, by "sign", which has none.

    Examples
    --------
    >>> table = Table()
    >>> y = table.var(0)
    >>> [slope] = gradient(table, table.power(y, fmpq(3)), [0])
    >>> slope == table.mul([table.num(3), table.power(y, fmpq(2))])
    True
    """
    moving = table.dependent([root], variables)
    shares: dict[int, list[int]] = {root: [table.num(1)]}
    for node in sorted(moving, reverse=True):
        received = shares.get(node)
        if received is None or table.operation[node] == "var":
            continue
        adjoint = shares[node][0] if len(received) == 1 else table.add(received)
        if table.number(adjoint) == 0:
            continue
        for child, slope in _kinked(table, node, moving) if kinks else slopes_of(table, node, moving):
            share = adjoint if slope is None else table.mul([adjoint, slope])
            if table.number(share) != 0:
                shares.setdefault(child, []).append(share)
    return [table.add(shares.get(table.var(index), [])) for index in variables]


def hessian(table: Table, root: int, variables: Sequence[int], kinks: bool = False) -> dict[tuple[int, int], int]:
    """The second derivatives by positions i <= j among the variables; entries that are zero are left out.

    With `kinks` those of one side of what has kinks.

    Examples
    --------
    >>> table = Table()
    >>> x, y = table.var(0), table.var(1)
    >>> list(hessian(table, table.mul([x, y]), [0, 1]))
    [(0, 1)]
    """
    key = ("hessian", root, tuple(variables), kinks)
    if key in table.memo:
        return dict(table.memo[key])
    entries = jacobian(table, gradient(table, root, variables, kinks), variables, kinks)
    table.memo[key] = dict(entries)
    return entries


def jacobian(
    table: Table, slopes: Sequence[int], variables: Sequence[int], kinks: bool = False
) -> dict[tuple[int, int], int]:
    """The derivatives of the components of a gradient, as of `hessian`."""
    entries = {}
    for i, slope in enumerate(slopes):
        for k, entry in enumerate(gradient(table, slope, variables[i:], kinks)):
            if table.number(entry) != 0:
                entries[i, i + k] = entry
    return entries


def _kinked(table: Table, node: int, moving: set[int]) -> Iterator[tuple[int, int | None]]:
    operation, arguments = table.operation[node], table.arguments[node]
    if operation == "side":
        return
    if operation == "abs":
        yield arguments[0], table.call("side", arguments)
    elif operation in ("max", "min"):
        yield from _chosen(table, operation, arguments, moving)
    else:
        yield from slopes_of(table, node, moving)


def _chosen(
    table: Table, operation: str, arguments: tuple[int, ...], moving: set[int]
) -> Iterator[tuple[int, int | None]]:
    """The arguments with 1 for the one that is taken, 0 for all others: the first or the choice of the rest."""
    half, taken = table.num(fmpq(1, 2)), table.num(1)
    for k, argument in enumerate(arguments[:-1]):
        rest = arguments[k + 1 :]
        other = rest[0] if len(rest) == 1 else table.node(operation, rest)
        ahead = table.add([argument, table.negate(other)] if operation == "max" else [other, table.negate(argument)])
        side = table.call("side", [ahead])
        if argument in moving:
            yield argument, table.mul([taken, table.add([half, table.mul([half, side])])])
        taken = table.mul([taken, table.add([half, table.mul([table.num(fmpq(-1, 2)), side])])])
    if arguments[-1] in moving:
        yield arguments[-1], taken


def slopes_of(table: Table, node: int, moving: set[int]) -> Iterator[tuple[int, int | None]]:
    """The moving arguments of a node with the derivative of the node by each, None for 1."""
    operation, arguments = table.operation[node], table.arguments[node]
    if operation == "+":
        yield from ((child, None) for child in arguments if child in moving)
    elif operation == "*":
        yield from _factor_slopes(table, arguments, moving)
    elif operation == "^":
        exponent = table.value[node]
        yield arguments[0], table.mul([table.num(exponent), table.power(arguments[0], exponent - 1)])
    elif operation == "pow":
        base, exponent_ = arguments
        if base in moving:
            lower = table.call("pow", [base, table.add([exponent_, table.num(-1)])])
            yield base, table.mul([exponent_, lower])
        if exponent_ in moving:
            yield exponent_, table.mul([node, table.call("log", [base])])
    elif operation == "huber":
        size, threshold = arguments
        if threshold in moving:
            raise Rejected("huber has no derivative in its threshold")
        clipped = table.call("max", [size, table.negate(threshold)])
        yield size, table.call("min", [clipped, threshold])
    elif operation == "relative_entropy":
        x, y = arguments
        inverse = table.power(y, -1)
        if x in moving:
            yield x, table.add([table.call("log", [table.mul([x, inverse])]), table.num(1)])
        if y in moving:
            yield y, table.mul([table.num(-1), x, inverse])
    elif operation in _SLOPES:
        yield arguments[0], _SLOPES[operation](table, arguments[0], node)
    else:
        raise Rejected(f"{operation} has no derivative everywhere")


def _factor_slopes(table: Table, factors: tuple[int, ...], moving: set[int]) -> Iterator[tuple[int, int]]:
    counts = Counter(factors)
    distinct = list(counts)
    powers = [table.power(f, counts[f]) for f in distinct]
    before, after = _running(table, powers), _running(table, powers[::-1])[::-1]
    for k, factor in enumerate(distinct):
        if factor in moving:
            count = counts[factor]
            own = [table.num(count), table.power(factor, count - 1)]
            if len(powers) <= _SHORT:
                yield factor, table.mul([*own, *powers[:k], *powers[k + 1 :]])
            else:
                yield factor, table.mul([*own, before[k], after[k]])


def _running(table: Table, powers: Sequence[int]) -> list[int]:
    """The products of the factors before each; of interest for long products only."""
    products = [table.num(1)]
    if len(powers) > _SHORT:
        for power in powers[:-1]:
            products.append(table.mul([products[-1], power]))
    return products


def _one_minus(table: Table, node: int) -> int:
    return table.add([table.num(1), table.negate(node)])


def _arc(table: Table, x: int, sign: int) -> int:
    return table.mul([table.num(sign), table.power(_one_minus(table, table.power(x, 2)), fmpq(-1, 2))])


_SLOPES: dict[str, Callable[[Table, int, int], int]] = {
    # by the argument and the node itself
    "exp": lambda t, x, node: node,
    "log": lambda t, x, node: t.power(x, -1),
    "abs": lambda t, x, node: t.call("sign", [x]),
    "sin": lambda t, x, node: t.call("cos", [x]),
    "cos": lambda t, x, node: t.negate(t.call("sin", [x])),
    "tan": lambda t, x, node: t.add([t.num(1), t.power(node, 2)]),
    "asin": lambda t, x, node: _arc(t, x, 1),
    "acos": lambda t, x, node: _arc(t, x, -1),
    "atan": lambda t, x, node: t.power(t.add([t.num(1), t.power(x, 2)]), -1),
    "sinh": lambda t, x, node: t.call("cosh", [x]),
    "cosh": lambda t, x, node: t.call("sinh", [x]),
    "tanh": lambda t, x, node: _one_minus(t, t.power(node, 2)),
    "softplus": lambda t, x, node: t.call("sigmoid", [x]),
    "sigmoid": lambda t, x, node: t.mul([node, _one_minus(t, node)]),
    "xlogx": lambda t, x, node: t.add([t.call("log", [x]), t.num(1)]),
    "sign": lambda t, x, node: t.num(0),
    "step": lambda t, x, node: t.num(0),
}
