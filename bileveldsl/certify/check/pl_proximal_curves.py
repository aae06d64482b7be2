"""Refutations of the proximal inequality between bounds along lines and curves in the box; see `pl_proximal_points`."""

from __future__ import annotations

from typing import Any

from flint import fmpq_poly

from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import PL, Context
from bileveldsl.certify.check.pl_asymptotics import growth
from bileveldsl.certify.check.pl_forms import fresh, half_square
from bileveldsl.certify.check.pl_proximal_points import inside, is_held
from bileveldsl.certify.check.pl_series import series
from bileveldsl.certify.check.pl_stationary import others
from bileveldsl.certify.check.ranges import INF, ZERO, Range, less
from bileveldsl.certify.check.reading import mapping, point, rational, record, sequence
from bileveldsl.certify.check.terms import Rejected

_OWN = 50
_DEGREE = 40
Rational = tuple[fmpq_poly, fmpq_poly]


def check_falling(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """The derivative along a direction in which the box is endless is negative everywhere: there is no minimizer."""
    fields = record(proof, {"kind", "point", "direction"})
    here = others(context, goal, fields["point"])
    direction = point(fields["direction"], fresh(context))
    if not set(direction) <= set(goal.own):
        raise Rejected("the direction is not one of the own variables")
    if any((c > 0 and context.box[v].hi != INF) or (c < 0 and context.box[v].lo != -INF) for v, c in direction.items()):
        raise Rejected("the direction leads out of the bounds")
    table, moving = context.table, sorted(direction)
    slope = table.add(
        table.mul([table.num(direction[v]), s])
        for v, s in zip(moving, gradient(table, goal.root, moving), strict=True)
    )
    pinned = {v: Range(c, c) for v, c in here.items()}
    [r] = enclose(table, [slope], {**{v: context.box[v] for v in goal.own}, **pinned})
    if not (r.defined and r.negative):
        raise Rejected("the derivative along the direction may not be negative")


def check_degenerate(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """On a line from a stationary point into the box D is of higher order than g - g(stationary point).

    If the point is a minimizer then no constant fits near it; if it is none then it refutes the inequality itself. A
    coordinate that does not move and is held by a bound, with room, stays so near the point and counts as 0.
    """
    fields = record(proof, {"kind", "point", "stationary", "direction"})
    here = others(context, goal, fields["point"])
    table, start = context.table, inside(context, goal, fields["stationary"])
    step = point(fields["direction"], fresh(context))
    if not set(step) <= set(goal.own):
        raise Rejected("the direction is not one of the own variables")
    for v, c in step.items():
        box = context.box[v]
        if (c > 0 and not less(start[v], box.hi)) or (c < 0 and not less(box.lo, start[v])):
            raise Rejected("the line leaves the bounds at once")
    line = {**{v: [c] for v, c in here.items()}, **{v: [start[v], step.get(v, ZERO)] for v in goal.own}}
    rise, *steep = series(table, [goal.root, *gradient(table, goal.root, goal.own)], line)
    first = next((k for k, c in enumerate(rise) if k and c != 0), None)
    if first is None:
        raise Rejected("the value is not seen to change")
    for v, slope in zip(goal.own, steep, strict=True):
        held = slope and slope[0] != 0 and step.get(v, ZERO) == 0
        if held and is_held(context, v, start[v], Range(slope[0], slope[0])):
            continue
        order = next((k for k, c in enumerate(slope) if c != 0), len(slope))
        if order == 0 or 2 * order <= first:
            raise Rejected("the derivatives are not seen to be of higher order than the value")


def check_asymptotic(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """Along curves p and q in the box, rational in t, |grad g(p)|^2 is of smaller order than g(p) - g(q) > 0.

    Other variables may move along with them, within their boxes from some t on; t goes to infinity.
    """
    fields = record(proof, {"kind", "point", "curve", "lower"})
    table, own = context.table, set(goal.own)
    curve, lower = (_curve(context, fields[name]) for name in ("curve", "lower"))
    moving = {v: c for v, c in curve.items() if v not in own}
    if not own <= set(curve) or set(lower) != own:
        raise Rejected("a curve has not one function for each own variable")
    here = others(context, goal, fields["point"], frozenset(moving))
    if set(moving) & set(here):
        raise Rejected("a variable has a value and moves")
    tied = table.variables(c.node for c in context.conditions if table.operation[c.node] != "var")
    if tied & set(moving):
        raise Rejected("a condition ties a variable that moves to others")
    for found in (curve, lower):
        for v, function in found.items():
            _require_within(context, v, function)
    second = {v: fresh(context) + k for k, v in enumerate(goal.own)}
    [below] = table.substituted([goal.root], {table.var(v): table.var(w) for v, w in second.items()})
    above = table.add([goal.root, table.negate(below)])
    steep = half_square(table, gradient(table, goal.root, goal.own))
    constants = {v: (fmpq_poly([c]), fmpq_poly([1])) for v, c in here.items()}
    slope, rise = growth(table, [steep, above], {**constants, **curve, **{second[v]: lower[v] for v in goal.own}})
    smaller = slope.order < rise.order or (slope.order == rise.order and slope.range.exact and slope.range.lo == 0)
    if not smaller or rise.range.lo <= 0:
        raise Rejected("the gradient is not seen to be of smaller order than the value")


def _curve(context: Context, data: Any) -> dict[int, Rational]:
    """Rational functions of t by variable: two lists of coefficients, of the powers of t from 0 on, over and under."""
    found = {}
    for key, parts in mapping(data, _OWN).items():
        [index] = point({key: "0"}, fresh(context))
        over, under = (fmpq_poly([rational(c) for c in sequence(p, _DEGREE)]) for p in _pair(parts))
        if under == 0:
            raise Rejected("a rational function has no denominator")
        found[index] = (over, under)
    return found


def _pair(data: Any) -> list[Any]:
    parts = sequence(data, 2)
    if len(parts) != 2:
        raise Rejected("a rational function is not written as two polynomials")
    return parts


def _require_within(context: Context, index: int, function: Rational) -> None:
    """Rejects unless a variable stays in its box from some t on."""
    box = context.box.get(index)
    if box is None:
        raise Rejected("a variable moves that has no box")
    over, under = function
    for end, sign in ((box.lo, 1), (box.hi, -1)):
        if isinstance(end, float):
            continue
        gap = sign * (over - end * under)
        if (gap != 0 or box.apart) and (gap == 0 or (gap[gap.degree()] > 0) != (under[under.degree()] > 0)):
            raise Rejected("a variable moves out of its box")
