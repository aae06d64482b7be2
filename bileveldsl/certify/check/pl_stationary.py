"""Refutations of the inequality by stationary points: every one would be a minimizer, and there would be one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import gradient, hessian
from bileveldsl.certify.check.enclosures import ball, enclose, exact
from bileveldsl.certify.check.goals import CONDITIONS, PL, Context
from bileveldsl.certify.check.pl_forms import LINE, everywhere, fresh, half_square
from bileveldsl.certify.check.ranges import ZERO, Range, less, lower, number, upper
from bileveldsl.certify.check.reading import point, rational, record, sequence
from bileveldsl.certify.check.terms import Rejected

_OWN = 50
Point = dict[int, fmpq]


def check_stationary(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """The gradient vanishes exactly at "stationary", and the value at "lower" is less."""
    fields = record(proof, {"kind", "point", "stationary", "lower"})
    here = others(everywhere(context, goal.root, goal.own), goal, fields["point"])
    at = {**here, **own_point(context, goal, fields["stationary"])}
    below = {**here, **own_point(context, goal, fields["lower"])}
    for slope in gradient(context.table, goal.root, goal.own):
        if exact(context.table, slope, at) != 0:
            raise Rejected("the gradient is not seen to vanish")
    if not less(value(context, goal.root, below).hi, value(context, goal.root, at).lo):
        raise Rejected("the value elsewhere is not lower")


def check_krawczyk(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """A cube around "centre" holds a stationary point, and all of its values are above the one at "lower".

    With F the gradient, J its Jacobian and Y any matrix, there is a zero of F in the cube B around c if
    c - Y F(c) + (I - Y J(B)) (B - c) lies in the interior of B (Krawczyk 1969; Moore 1977).
    """
    fields = record(proof, {"kind", "point", "centre", "radius", "inverse", "lower"})
    free = everywhere(context, goal.root, goal.own)
    here = others(free, goal, fields["point"])
    table, own, size = context.table, goal.own, len(goal.own)
    centre, radius = own_point(context, goal, fields["centre"]), rational(fields["radius"])
    inverse = [[rational(v) for v in sequence(row, size)] for row in sequence(fields["inverse"], size)]
    if radius <= 0 or size > _OWN or len(inverse) != size or any(len(row) != size for row in inverse):
        raise Rejected("a cube or a matrix is malformed")
    pinned = {v: Range(c, c) for v, c in here.items()}
    cube = {**pinned, **{v: Range(centre[v] - radius, centre[v] + radius) for v in own}}
    slopes = [value(context, s, {**here, **centre}) for s in gradient(table, goal.root, own)]
    entries = hessian(table, goal.root, own)
    jacobian = dict(zip(entries, enclose(table, list(entries.values()), cube), strict=True))
    zero = number(0)
    for i, row in enumerate(inverse):
        moved = zero
        for y, slope in zip(row, slopes, strict=True):
            moved = moved - number(y) * slope
        spread = ZERO
        for j in range(size):
            entry = number(int(i == j))
            for k, y in enumerate(row):
                entry = entry - number(y) * jacobian.get((min(k, j), max(k, j)), zero)
            if not entry.defined or not entry.finite:
                raise Rejected("the Hessian is not bounded on the cube")
            spread += max(abs(entry.lo), abs(entry.hi)) * radius
        if not moved.defined or not moved.finite or max(abs(moved.lo), abs(moved.hi)) + spread >= radius:
            raise Rejected("no stationary point is seen in the cube")
    [values] = enclose(table, [goal.root], cube)
    below = value(context, goal.root, {**here, **own_point(context, goal, fields["lower"])})
    if not values.defined or not less(below.hi, values.lo):
        raise Rejected("the value elsewhere is not lower")


def check_no_stationary(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """The derivative along a direction is positive everywhere: there is no minimizer.

    Other variables that have no value at the point may have any positive one.
    """
    fields = record(proof, {"kind", "point", "direction"})
    free = everywhere(context, goal.root, goal.own)
    open_ = without_value(free, goal, fields["point"])
    here = others(free, goal, fields["point"], open_)
    direction = point(fields["direction"], fresh(context))
    if not set(direction) <= set(goal.own):
        raise Rejected("the direction is not one of the own variables")
    table = context.table
    slopes = gradient(table, goal.root, sorted(direction))
    slope = table.add(table.mul([table.num(direction[v]), s]) for v, s in zip(sorted(direction), slopes, strict=True))
    positive = {v: Range(ZERO, context.box[v].hi, True) for v in open_}
    [r] = enclose(table, [slope], {**{v: Range(c, c) for v, c in here.items()}, **positive})
    if not (r.defined and r.positive):
        raise Rejected("the derivative along the direction may not be positive")


# ---- points ---------------------------------------------------------------------------------


def others(context: Context, goal: PL, data: Any, free: frozenset[int] = frozenset()) -> Point:
    """Values of the variables that are not own ones, possible ones, for all that occur but those in `free`."""
    here = point(data, fresh(context))
    needed = context.table.variables([goal.root, *(c.node for c in context.conditions)]) - set(goal.own) - free
    if not needed <= set(here) or set(here) & set(goal.own):
        raise Rejected("the point has not exactly one value for each of the other variables")
    for index, at in here.items():
        if not context.box.get(index, LINE).contains(at):
            raise Rejected("the point is not within the bounds")
    for condition in context.conditions:
        if context.table.variables([condition.node]) & free:
            continue
        r, limit = value(context, condition.node, here), CONDITIONS[condition.relation]
        if less(r.lo, limit.lo) or less(limit.hi, r.hi) or (limit.apart and not r.nonzero):
            raise Rejected("the point does not satisfy a condition")
    return here


def without_value(context: Context, goal: PL, data: Any) -> frozenset[int]:
    """The other variables that occur and have no value; Rejected where one of them cannot be positive."""
    given = set(point(data, fresh(context)))
    found = frozenset(context.table.variables([goal.root]) - set(goal.own) - given)
    if not all(v in context.box and less(ZERO, context.box[v].hi) for v in found):
        raise Rejected("a variable without a value cannot be positive")
    return found


def own_point(context: Context, goal: PL, data: Any) -> Point:
    found = point(data, fresh(context))
    if set(found) != set(goal.own):
        raise Rejected("a point has not one value for each own variable")
    return found


def value(context: Context, node: int, at: Mapping[int, fmpq]) -> Range:
    """A narrow range that holds the value at a point."""
    known = exact(context.table, node, at)
    if known is not None:
        return number(known)
    [found] = ball(context.table, [node], at)
    if not found.is_finite():
        raise Rejected("a value is not defined at a point")
    return Range(lower(found), upper(found))


def check_ratio(context: Context, goal: PL, constant: fmpq, proof: dict[str, Any]) -> None:
    """No constant of the inequality exceeds one: |grad g(p)|^2 / 2 <= constant (g(p) - g(q)), and g(p) > g(q)."""
    fields = record(proof, {"kind", "point", "p", "q"})
    here = others(everywhere(context, goal.root, goal.own), goal, fields["point"])
    p, q = ({**here, **own_point(context, goal, fields[name])} for name in ("p", "q"))
    above = value(context, goal.root, p) - value(context, goal.root, q)
    steep = value(context, half_square(context.table, gradient(context.table, goal.root, goal.own)), p)
    if not less(ZERO, above.lo) or less(constant * above.lo, steep.hi):
        raise Rejected("the constant is not seen to be an upper bound")
