"""Symbolic derivatives of scalar nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

from bileveldsl.certify.clock import check
from bileveldsl.certify.scalars.node import (
    ONE,
    ZERO,
    Scalar,
    call,
    negated,
    number,
    occurring,
    power,
    product,
    topological,
    total,
    variable,
)  # fmt: skip

Matrix = dict[tuple[int, int], Scalar]
"""The upper triangle of a symmetric matrix by positions; what is left out is zero."""


class NotDifferentiable(Exception):
    """A node that has no derivative everywhere: abs, max, min, huber, sign, step."""


def gradient(root: Scalar, indices: Sequence[int], kinks: bool = False) -> list[Scalar]:
    """The partial derivatives by some variables, by reverse accumulation.

    With `kinks` those of abs, max, min and huber are of a side, written by "side", the sign of its argument.

    Examples
    --------
    >>> gradient(product([variable(0), power(variable(1), 2)]), [0])
    [(v1)^2]
    """
    wanted = frozenset(indices)
    order = topological([root])
    moving = _depending(order, wanted)
    collected: dict[Scalar, list[Scalar]] = {root: [ONE]}
    for node in reversed(order):
        if node not in moving or node not in collected:
            continue
        check()
        adjoint = total(collected[node])
        collected[node] = [adjoint]
        for child, partial in _of_a_side(node, moving) if kinks else _partials(node, moving):
            collected.setdefault(child, []).append(product([adjoint, partial]))
    return [total(collected.get(variable(i), [])) if variable(i) in moving else ZERO for i in indices]


def hessian(root: Scalar, indices: Sequence[int]) -> Matrix:
    """The second derivatives by some variables: the entries that are not identically zero, row <= column."""
    return dict(_hessian(root, tuple(indices)))


@lru_cache(maxsize=16)
def _hessian(root: Scalar, indices: tuple[int, ...]) -> Matrix:
    entries: Matrix = {}
    for row, slope in enumerate(gradient(root, indices)):
        used = occurring(slope)
        columns = [c for c in range(row, len(indices)) if indices[c] in used]
        for column, entry in zip(columns, gradient(slope, [indices[c] for c in columns]), strict=True):
            if entry is not ZERO:
                entries[row, column] = entry
    return entries


def _depending(order: Sequence[Scalar], wanted: frozenset[int]) -> set[Scalar]:
    moving: set[Scalar] = set()
    for node in order:
        if (node.op == "var" and node.value in wanted) or any(a in moving for a in node.args):
            moving.add(node)
    return moving


def _of_a_side(node: Scalar, moving: set[Scalar]) -> list[tuple[Scalar, Scalar]]:
    """The arguments that move, with the derivative by each where no two of what is compared are equal."""
    args = node.args
    if node.op == "side":
        return []
    if node.op == "abs":
        return [(args[0], call("side", args[0]))]
    if node.op == "huber" and args[1] not in moving:
        return [(args[0], call("min", call("max", args[0], negated(args[1])), args[1]))]
    if node.op not in ("max", "min"):
        return _partials(node, moving)
    found, taken = [], ONE
    for k, first in enumerate(args[:-1]):
        other = args[k + 1] if k + 2 == len(args) else call(node.op, *args[k + 1 :])
        ahead = total([first, negated(other)] if node.op == "max" else [other, negated(first)])
        half, side = number(Fraction(1, 2)), call("side", ahead)
        found.append((first, product([taken, total([half, product([half, side])])])))
        taken = product([taken, total([half, product([number(Fraction(-1, 2)), side])])])
    return [(a, d) for a, d in (*found, (args[-1], taken)) if a in moving]


def _partials(node: Scalar, moving: set[Scalar]) -> list[tuple[Scalar, Scalar]]:
    """The arguments that move, each with the derivative by it."""
    args = node.args
    if node.op == "+":
        return [(a, ONE) for a in args if a in moving]
    if node.op == "*":
        return [(a, product(args[:k] + args[k + 1 :])) for k, a in enumerate(args) if a in moving]
    if node.op == "^":
        return [(args[0], product([number(node.value), power(args[0], node.value - 1)]))]
    if node.op == "pow":
        base, exponent = args
        by_base = product([exponent, call("pow", base, total([exponent, number(-1)]))])
        return [(a, d) for a, d in ((base, by_base), (exponent, product([node, call("log", base)]))) if a in moving]
    if node.op == "relative_entropy":
        x, y = args
        slopes = (total([call("log", x), negated(call("log", y)), ONE]), negated(product([x, power(y, -1)])))
        return [(a, d) for a, d in zip(args, slopes, strict=True) if a in moving]
    rule = _SLOPES.get(node.op)
    if node.op == "var":
        return []
    if rule is None:
        raise NotDifferentiable(node.op)
    return [(args[0], rule(args[0]))]


def _one_minus_square(u: Scalar) -> Scalar:
    return total([ONE, negated(power(u, 2))])


_SLOPES: dict[str, Callable[[Scalar], Scalar]] = {
    "exp": lambda u: call("exp", u),
    "log": lambda u: power(u, -1),
    "sin": lambda u: call("cos", u),
    "cos": lambda u: negated(call("sin", u)),
    "tan": lambda u: total([ONE, power(call("tan", u), 2)]),
    "asin": lambda u: power(_one_minus_square(u), Fraction(-1, 2)),
    "acos": lambda u: negated(power(_one_minus_square(u), Fraction(-1, 2))),
    "atan": lambda u: power(total([ONE, power(u, 2)]), -1),
    "sinh": lambda u: call("cosh", u),
    "cosh": lambda u: call("sinh", u),
    "tanh": lambda u: _one_minus_square(call("tanh", u)),
    "softplus": lambda u: call("sigmoid", u),
    "sigmoid": lambda u: product([call("sigmoid", u), call("sigmoid", negated(u))]),
    "xlogx": lambda u: total([ONE, call("log", u)]),
}
