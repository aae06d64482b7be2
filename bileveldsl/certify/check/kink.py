"""Kinks: points inside at which a function is not differentiable, so that no L bounds how fast its gradient changes.

The proof is ``{"kind": "kink", "point": {...}, "direction": {...}}``. The derivatives of f along v and along -v, each
taken to one side only, add up to 0 wherever f is differentiable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import slopes_of
from bileveldsl.certify.check.enclosures import PRECISIONS, ball, enclose, exact
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.ranges import Range, less
from bileveldsl.certify.check.reading import point, record
from bileveldsl.certify.check.region import is_smooth, require_inside
from bileveldsl.certify.check.terms import Rejected, Table


def check(context: Context, goal: Bend, proof: Any) -> None:
    """Returns if the function has a kink inside the region; raises Rejected if that is not seen."""
    fields = record(proof, {"kind", "point", "direction"})
    count = len(context.problem.variables)
    at, direction = point(fields["point"], count), point(fields["direction"], count)
    moving = {k: v for k, v in direction.items() if v != 0}
    if len(at) < count or not set(moving) <= set(goal.own):
        raise Rejected("the point has not a value for each variable, or the direction is not one of own variables")
    for k in moving:
        if not less(context.box[k].lo, at[k]) or not less(at[k], context.box[k].hi):
            raise Rejected("the point has no room on both sides")
    require_inside(context, at)
    table = context.table
    jump = table.add([_one_sided(table, goal.root, at, {k: s * v for k, v in moving.items()}) for s in (1, -1)])
    value = exact(table, jump, at)
    if (_sharp(table, jump, at) if value is None else value) == 0:
        raise Rejected("the derivatives to both sides agree")


def _sharp(table: Table, node: int, at: Mapping[int, fmpq]) -> int:
    """The sign of a node that is not known to be rational, 0 where it may be 0."""
    for precision in PRECISIONS:
        [value] = ball(table, [node], at, precision)
        if value > 0 or value < 0:
            return 1 if value > 0 else -1
    return 0


def _one_sided(table: Table, root: int, at: Mapping[int, fmpq], direction: Mapping[int, fmpq]) -> int:
    """The derivative of a node at a point, along a direction to one side, as a node.

    By the chain rule, which holds for one-sided derivatives of functions that are Lipschitz near the point
    (Shapiro 1990): the one of |u| is |u'| where u is 0, that of the greatest of some the greatest of those of the ones
    that are greatest.
    """
    moving = table.dependent([root], direction)
    found: dict[int, int] = {}
    for node in table.reachable([root]):
        if node not in moving:
            continue
        operation, arguments = table.operation[node], table.arguments[node]
        if operation == "var":
            found[node] = table.num(direction[table.value[node]])
        elif operation == "abs":
            sign, slope = _sign(table, arguments[0], at), found[arguments[0]]
            found[node] = table.call("abs", [slope]) if sign == 0 else table.mul([table.num(sign), slope])
        elif operation in ("max", "min"):
            slopes = [found.get(a, table.num(0)) for a in _taken(table, operation, arguments, at)]
            found[node] = slopes[0] if len(slopes) == 1 else table.call(operation, slopes)
        else:
            here = [_range(table, a, at) for a in arguments]
            smooth = operation == "huber" and arguments[1] not in moving and here[1].nonnegative
            if not smooth and not is_smooth(operation, table.value[node], here, [a in moving for a in arguments]):
                raise Rejected(f"{operation} may have no derivative at the point")
            pairs = slopes_of(table, node, moving)
            found[node] = table.add(
                found[child] if slope is None else table.mul([slope, found[child]]) for child, slope in pairs
            )
    return found.get(root, table.num(0))


def _range(table: Table, node: int, at: Mapping[int, fmpq]) -> Range:
    value = exact(table, node, at)
    if value is not None:
        return Range(value, value)
    return enclose(table, [node], {k: Range(v, v) for k, v in at.items()})[0]


def _sign(table: Table, node: int, at: Mapping[int, fmpq]) -> int:
    value = exact(table, node, at)
    sign = _sharp(table, node, at) if value is None else (value > 0) - (value < 0)
    if value is None and sign == 0:
        raise Rejected("which side of a kink the point lies on is not seen")
    return int(sign)


def _taken(table: Table, operation: str, arguments: tuple[int, ...], at: Mapping[int, fmpq]) -> list[int]:
    """The arguments that have the value of a max or min, every comparison being decided."""
    best: list[int] = []
    for argument in arguments:
        ahead = 1 if not best else _sign(table, table.add([argument, table.negate(best[0])]), at)
        if operation == "min" and best:
            ahead = -ahead
        if ahead >= 0:
            best = [argument] if ahead > 0 else [*best, argument]
    return best
