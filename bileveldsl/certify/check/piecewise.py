"""Functions that are once continuously differentiable and have their second derivatives in pieces, such as huber.

The proof is that of a cover, by the kind "piecewise": its matrix is that of the second derivatives on either side of
each kink of the gradient.

Why that is enough. Let the slopes of f, by the rules of differentiation, hold no jump once ``w side(u) = w`` is used
where w vanishes for u <= 0 (so that it holds whatever side(0) is), and likewise ``u side(u) = |u|``. Smooth functions,
abs, max, min and huber of Lipschitz functions are Lipschitz, so f and these slopes are, near every point inside. A
Lipschitz function is differentiable almost everywhere (Rademacher), its gradient vanishes almost everywhere where it is
0 itself (Stampacchia), and so the rules hold almost everywhere whatever side(0) is: the slopes are the gradient of f,
since they are continuous and f is the integral of its slope along almost every line; and what the rules make of the
slopes is almost everywhere their derivative, a symmetric matrix H. If sign H + shift I is semidefinite almost
everywhere, then sign f + shift/2 |y|^2 is convex along almost every line, and by continuity along all. A kink
of f itself, as of |y|, leaves a jump in the slopes, and nothing is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.cover import check_entries
from bileveldsl.certify.check.derivatives import gradient, jacobian
from bileveldsl.certify.check.enclosures import Enclosure, enclose
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.region import is_smooth
from bileveldsl.certify.check.terms import Rejected, Table

_KINKED = frozenset({"abs", "max", "min"})
_OPEN = ("> 0", "!= 0")
_FACTORS = 100


def check(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """Returns if the trees of a proof show the goal; raises Rejected if they do not."""
    check_entries(context, goal, jacobian(context.table, slopes(context, goal.root, goal.own), goal.own, True), proof)


def slopes(context: Context, root: int, own: Sequence[int]) -> list[int]:
    """The gradient, seen to be Lipschitz near each point inside the region, on which the function is continuous."""
    table = context.table
    [whole] = enclose(table, [root], context.box, context.known)
    if not whole.defined:
        raise Rejected("the function may not be defined on all of the region")
    for condition in context.conditions:
        plain = table.operation[condition.node] == "var" or condition.relation in _OPEN
        if not plain and table.dependent([condition.node], own):
            raise Rejected("a condition may leave the region without an inside")
    found = [without_jumps(table, slope) for slope in gradient(table, root, own, True)]
    _require_lipschitz(context, [root, *found], own)
    return found


def _require_lipschitz(context: Context, roots: Sequence[int], own: Sequence[int]) -> None:
    table = context.table
    enclosure = Enclosure(table, roots, context.known)
    ranges = dict(zip(enclosure.nodes, enclosure.all(context.interior), strict=True))
    moving = table.dependent(roots, own)
    for node in moving:
        operation, arguments = table.operation[node], table.arguments[node]
        around = [ranges[a] for a in arguments]
        if operation in _KINKED and all(r.defined for r in around):
            continue
        if operation == "huber" and arguments[1] not in moving and around[1].nonnegative and around[0].defined:
            continue
        if not is_smooth(operation, table.value[node], around, [a in moving for a in arguments]):
            raise Rejected(f"{operation} may have a jump in its slope, or none, on the interior")


def without_jumps(table: Table, root: int) -> int:
    """A node in which the sides are left out that multiply what vanishes on the other side."""
    made: dict[int, int] = {}
    for node in table.reachable([root]):
        arguments = [made[a] for a in table.arguments[node]]
        operation = table.operation[node]
        if operation == "*":
            made[node] = _product(table, [f for a in arguments for f in _factors(table, a)])
        elif operation == "+":
            made[node] = table.add(arguments)
        elif operation == "^":
            made[node] = table.power(arguments[0], table.value[node])
        else:
            made[node] = table.call(operation, arguments) if arguments else node
    return made[root]


def _factors(table: Table, node: int) -> tuple[int, ...]:
    return table.arguments[node] if table.operation[node] == "*" else (node,)


def _product(table: Table, factors: list[int]) -> int:
    if len(factors) > _FACTORS:
        return table.mul(factors)
    k = 0
    while k < len(factors):
        others = factors[:k] + factors[k + 1 :]
        simpler = _with_side(table, factors[k], others)
        if simpler is None:
            k += 1
        else:
            factors, k = simpler, 0
    return table.mul(factors)


def _with_side(table: Table, factor: int, others: list[int]) -> list[int] | None:
    """The factors of a product without a side among them; None where it does not go away."""
    if table.operation[factor] == "side":
        [u] = table.arguments[factor]
        size = table.call("abs", [u])
        for k, other in enumerate(others):
            rest = others[:k] + others[k + 1 :]
            for base, swapped in ((u, size), (size, u)):
                if other == base:
                    return [*rest, swapped]
                if table.operation[other] == "^" and table.arguments[other] == (base,) and _is_whole(table, other):
                    return [*rest, table.power(base, table.value[other] - 1), swapped]
        return None
    found = _half(table, factor)
    if found is None:
        return None
    u, s = found
    for k, other in enumerate(others):  # u (1 + side(u)) / 2 = max(u, 0), and u (1 - side(u)) / 2 = min(u, 0)
        whole = table.operation[other] == "^" and _is_whole(table, other)
        base = table.arguments[other][0] if whole else other
        if u in (base, table.negate(base)):
            part = table.call("max" if (s > 0) == (u == base) else "min", [base, table.num(0)])
            left = [table.power(base, table.value[other] - 1)] if whole else []
            return [*others[:k], *others[k + 1 :], *left, part]
    # The factor is 1 where u > 0 and 0 where u < 0; on u <= 0 the choices that u decides are known.
    w = table.mul(others)
    for kink in table.reachable([w]):
        value = _beyond(table, kink, u, s)
        if value is not None and table.number(table.substituted([w], {kink: value})[0]) == 0:
            return others
    return None


def _is_whole(table: Table, node: int) -> bool:
    return bool(table.value[node].q == 1 and table.value[node] > 1)


def _half(table: Table, node: int) -> tuple[int, int] | None:
    """u and s of a node 1/2 + s/2 side(u), s being 1 or -1."""
    terms = table.arguments[node] if table.operation[node] == "+" else ()
    half = [t for t in terms if table.number(t) == fmpq(1, 2)]
    rest = [t for t in terms if t not in half]
    if len(half) != 1 or len(rest) != 1 or table.operation[rest[0]] != "*":
        return None
    factors = table.arguments[rest[0]]
    numbers = [table.value[f] for f in factors if table.operation[f] == "num"]
    sides = [f for f in factors if table.operation[f] == "side"]
    if len(factors) != 2 or len(sides) != 1 or numbers not in ([fmpq(1, 2)], [fmpq(-1, 2)]):
        return None
    return table.arguments[sides[0]][0], 1 if numbers[0] > 0 else -1


def _beyond(table: Table, kink: int, u: int, s: int) -> int | None:
    """What a max or min of two is where s u <= 0, if u is the one that decides it."""
    operation, arguments = table.operation[kink], table.arguments[kink]
    if operation not in ("max", "min") or len(arguments) != 2:
        return None
    first, last = arguments
    ahead = table.add([first, table.negate(last)] if operation == "max" else [last, table.negate(first)])
    if ahead != u:
        return None
    return last if s > 0 else first


