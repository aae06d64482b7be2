"""Curvature without a bound: along a ray that stays in the region, v'Hv grows.

The proof is ``{"kind": "steep", "point": {...}, "ray": {...}, "direction": {...}}``, the ray being the points
``point + t ray`` for t >= 0. With a further field ``"toward": {...}`` they are ``point + t ray + toward / t`` for
t >= 1, which come near the point in some variables without reaching it. With ``"turn": "p/q"`` only those of
t = p/q + 2 pi k, k = 0, 1, ..., are looked at, where sines and cosines of whole multiples of t have one value.
"""

from __future__ import annotations

from typing import Any

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.polynomials import polynomial, ring
from bileveldsl.certify.check.rates import growth
from bileveldsl.certify.check.rays import curvature, read_ray
from bileveldsl.certify.check.reading import rational, record
from bileveldsl.certify.check.terms import Rejected, Table


def check(context: Context, goal: Bend, proof: Any) -> None:
    """Returns if a ray shows that no bound of the Hessian holds on the region; raises Rejected if it does not.

    A polynomial in t that is not constant has no bound, and neither has what grows like a positive power of t or
    faster: where its limit points, divided by the power, are all of one sign.
    """
    fields = record(proof, {"kind", "point", "ray", "direction"}, {"turn", "toward"})
    table = context.table
    ray = read_ray(context, fields["point"], fields["ray"], fields.get("toward", {}))
    bend = curvature(context, goal, ray, fields["direction"])
    if "turn" in fields:
        bend = _at_turns(table, bend, ray.t, rational(fields["turn"]))
    form = _polynomial(table, bend, ray.t)
    if form is not None:
        grows = not form.is_constant()
    else:
        grows = growth(table, bend, ray.t).diverges
    if not grows:
        raise Rejected("the curvature is not seen to grow along the ray")


def _polynomial(table: Table, node: int, t: int) -> fmpq_mpoly | None:
    [generator] = ring(1).gens()
    return polynomial(table, node, {table.var(t): generator})


def _at_turns(table: Table, node: int, t: int, first: fmpq) -> int:
    """A node for t in first + 2 pi k alone: the sine of m t + c, m whole, is the one of m first + c."""
    values = {}
    for each in table.reachable([node]):
        if table.operation[each] in ("sin", "cos"):
            [argument] = table.arguments[each]
            form = _polynomial(table, argument, t)
            if form is not None and form.total_degree() <= 1:
                slope = form.to_dict().get((1,), fmpq(0))
                if slope.q == 1:
                    value = form.to_dict().get((0,), fmpq(0)) + slope * first
                    values[each] = table.call(table.operation[each], [table.num(value)])
    return table.substituted([node], values)[0]
