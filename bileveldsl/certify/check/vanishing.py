"""Curvature that vanishes in the limit: along a ray that stays feasible, v'Hv comes as close to 0 as one likes.

The proof is ``{"kind": "vanishing", "point": {...}, "ray": {...}, "direction": {...}}``, the ray being the points
``point + t ray`` for t >= 0. A function that is strongly convex with a modulus mu > 0 has v'Hv >= mu v'v everywhere.
"""

from __future__ import annotations

from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.ranges import INF, Range, at_most, less
from bileveldsl.certify.check.rates import growth
from bileveldsl.certify.check.reading import point, record
from bileveldsl.certify.check.region import require_twice_differentiable
from bileveldsl.certify.check.terms import Rejected


def check(context: Context, goal: Bend, proof: Any) -> None:
    """Returns if a ray shows that no modulus is positive; raises Rejected if it does not."""
    fields = record(proof, {"kind", "point", "ray", "direction"})
    count, table = len(context.problem.variables), context.table
    start, ray, direction = (point(fields[name], count) for name in ("point", "ray", "direction"))
    if len(start) < count:
        raise Rejected("the point has no value for some variable")
    sides = {k: _side(context, k, value, ray.get(k, fmpq(0))) for k, value in start.items()}
    moving = {k: v for k, v in direction.items() if v != 0}
    if not moving or any(k not in goal.own or context.box[k].exact for k in moving):
        raise Rejected("the direction is not one of own variables that can move")
    index = max([count, *(k + 1 for k in context.box)])
    t = table.var(index)
    line = {
        table.var(k): table.add([table.num(value), table.mul([table.num(ray.get(k, fmpq(0))), t])])
        for k, value in start.items()
    }
    _require_feasible(context, line, index)
    require_twice_differentiable(context.within(sides), goal.root, goal.own)
    entries = hessian(table, goal.root, sorted(moving))
    own = sorted(moving)
    terms = []
    for (i, j), entry in entries.items():
        weight = moving[own[i]] * moving[own[j]] * (1 if i == j else 2)
        terms.append(table.mul([table.num(weight), *table.substituted([entry], line)]))
    if not growth(table, table.add(terms), index).tends_to_at_most_zero:
        raise Rejected("the curvature does not vanish along the ray")


def _side(context: Context, index: int, value: fmpq, step: fmpq) -> Range:
    """The values of a variable along the ray, which have to lie within its bounds."""
    box = context.box[index]
    if not box.contains(value) or (step > 0 and box.hi != INF) or (step < 0 and box.lo != -INF):
        raise Rejected("the ray leaves the bounds")
    return Range(-INF if step < 0 else value, INF if step > 0 else value)


def _require_feasible(context: Context, line: dict[int, int], index: int) -> None:
    """The conditions hold with room, and the constraints of the level, all along the ray."""
    conditions = context.problem.conditions
    constraints = [c for c in context.problem.constraints if c.level == context.level]
    nodes = context.table.substituted([*(c.node for c in conditions), *(c.node for c in constraints)], line)
    ranges = iter(enclose(context.table, nodes, {index: Range(fmpq(0), INF)}))
    for condition, r in zip(conditions, ranges, strict=False):
        inside = r.nonzero if condition.relation == "!= 0" else r.positive
        if condition.relation == "in [-1, 1]":
            inside = less(fmpq(-1), r.lo) and less(r.hi, fmpq(1))
        if not inside or not r.defined:
            raise Rejected("a condition was not seen to hold along the ray")
    for constraint, r in zip(constraints, ranges, strict=True):
        holds = r.exact and r.lo == 0 if constraint.relation == "== 0" else at_most(r.hi, fmpq(0))
        if not holds or not r.defined:
            raise Rejected("a constraint was not seen to hold along the ray")
