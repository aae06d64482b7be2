"""Refutations of the inequality along curves: the square of the gradient is of smaller order than g - min g."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flint import fmpq, fmpq_poly

from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.goals import PL, Context
from bileveldsl.certify.check.pl_asymptotics import growth
from bileveldsl.certify.check.pl_forms import everywhere, fresh, half_square
from bileveldsl.certify.check.pl_series import series
from bileveldsl.certify.check.pl_stationary import others, without_value
from bileveldsl.certify.check.polynomials import polynomial, ring
from bileveldsl.certify.check.ranges import ZERO
from bileveldsl.certify.check.reading import mapping, point, rational, record, sequence
from bileveldsl.certify.check.terms import Rejected

_DEGREE = 40
_OWN = 1_000


def check_ray(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """From "start" in "direction" the function goes to -inf: as a polynomial, or by its growth.

    Other variables that have no value at the point may have any positive one: the leading coefficient is a
    polynomial in them without positive terms.
    """
    fields = record(proof, {"kind", "point", "start", "direction"})
    free = everywhere(context, goal.root, goal.own)
    table = context.table
    start, direction = (_own_part(context, goal, fields[name]) for name in ("start", "direction"))
    open_ = without_value(free, goal, fields["point"])
    here = others(free, goal, fields["point"], open_)
    gens = ring(1 + len(open_)).gens()
    line = {table.var(v): gens[0].context().constant(c) for v, c in here.items()}
    line |= {table.var(v): start[v] + direction[v] * gens[0] for v in goal.own}
    line |= {table.var(v): g for v, g in zip(sorted(open_), gens[1:], strict=True)}
    found = polynomial(table, goal.root, line)
    if found is not None:
        degree = int(found.degrees()[0])
        leading = [c for exponents, c in found.terms() if int(exponents[0]) == degree]
        if degree < 1 or not all(c < 0 for c in leading):
            raise Rejected("the function is not seen to be unbounded below")
        return
    if open_:
        raise Rejected("the function is no polynomial along the ray")
    curve = {v: (fmpq_poly([start[v], direction[v]]), fmpq_poly([1])) for v in goal.own}
    [g] = growth(table, [goal.root], {**_constants(here), **curve})
    if not (g.order > (ZERO, ZERO) and g.range.hi < 0):
        raise Rejected("the function is not seen to be unbounded below")


def check_asymptotic(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """Along curves p and q, rational in t, |grad g(p)|^2 is of smaller order as t -> inf than g(p) - g(q) > 0.

    Other variables may move along with them, within their boxes from some t on.
    """
    fields = record(proof, {"kind", "point", "curve", "lower"})
    free = everywhere(context, goal.root, goal.own)
    table, own = context.table, set(goal.own)
    curve, lower = (_curve(context, fields[name]) for name in ("curve", "lower"))
    moving = frozenset(curve) - own
    if not own <= set(curve) or set(lower) != own:
        raise Rejected("a curve has not one function for each own variable")
    here = others(free, goal, fields["point"], moving)
    if moving & set(here):
        raise Rejected("a variable has a value and moves")
    for v in moving:
        _require_within(free, v, curve[v])
    second = {v: fresh(context) + k for k, v in enumerate(goal.own)}
    [below] = table.substituted([goal.root], {table.var(v): table.var(w) for v, w in second.items()})
    above = table.add([goal.root, table.negate(below)])
    steep = half_square(table, gradient(table, goal.root, goal.own))
    along = {**_constants(here), **curve, **{second[v]: lower[v] for v in goal.own}}
    slope, rise = growth(table, [steep, above], along)
    smaller = slope.order < rise.order or (slope.order == rise.order and slope.range.exact and slope.range.lo == 0)
    if not smaller or rise.range.lo <= 0:
        raise Rejected("the gradient is not seen to be of smaller order than the value")


def _require_within(context: Context, index: int, function: tuple[fmpq_poly, fmpq_poly]) -> None:
    """Rejects unless a variable stays in its box from some t on, and no condition ties it to others."""
    box = context.box.get(index)
    if box is None or any(
        context.table.operation[c.node] != "var" and index in context.table.variables([c.node])
        for c in context.conditions
    ):
        raise Rejected("a variable moves that may not")
    over, under = function
    for end, sign in ((box.lo, 1), (box.hi, -1)):
        if isinstance(end, float):
            continue
        gap = sign * (over - end * under)
        if gap != 0 and (gap[gap.degree()] > 0) != (under[under.degree()] > 0):
            raise Rejected("a variable moves out of its box")


def _curve(context: Context, data: Any) -> dict[int, tuple[fmpq_poly, fmpq_poly]]:
    """Rational functions of t by variable: two lists of coefficients, of the powers of t from 0 on, over and under."""
    found = {}
    for key, value_ in mapping(data, _OWN).items():
        [index] = point({key: "0"}, fresh(context))
        parts = [fmpq_poly([rational(c) for c in sequence(p, _DEGREE)]) for p in sequence(value_, 2)]
        if len(parts) != 2 or parts[1] == 0:
            raise Rejected("a rational function is not written as two polynomials")
        found[index] = (parts[0], parts[1])
    return found


def check_degenerate(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """On a line through a stationary point, |grad g|^2 is of higher order than g - g(stationary point).

    If the point is a minimizer then no constant fits near it; if it is none then it refutes the inequality itself.
    """
    fields = record(proof, {"kind", "point", "stationary", "direction"})
    here = others(everywhere(context, goal.root, goal.own), goal, fields["point"])
    table = context.table
    start, direction = (_own_part(context, goal, fields[name]) for name in ("stationary", "direction"))
    slopes = gradient(table, goal.root, goal.own)
    line = {**{v: [c] for v, c in here.items()}, **{v: [start[v], direction[v]] for v in goal.own}}
    rise, *steep = series(table, [goal.root, *slopes], line)
    if any(not s or s[0] != 0 for s in steep):
        raise Rejected("the point is not stationary")
    orders = [next((k for k, c in enumerate(s) if c != 0), len(s)) for s in steep]
    first = next((k for k, c in enumerate(rise) if k and c != 0), None)
    if first is None or any(2 * k <= first for k in orders):
        raise Rejected("the gradient is not seen to be of higher order than the value")


def _own_part(context: Context, goal: PL, data: Any) -> dict[int, fmpq]:
    found = point(data, fresh(context))
    if not set(found) <= set(goal.own):
        raise Rejected("a variable is not an own one")
    return {v: found.get(v, fmpq(0)) for v in goal.own}


def _constants(here: Mapping[int, fmpq]) -> dict[int, tuple[fmpq_poly, fmpq_poly]]:
    return {v: (fmpq_poly([c]), fmpq_poly([1])) for v, c in here.items()}
