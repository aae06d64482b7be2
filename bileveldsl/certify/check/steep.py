"""Curvature without a bound: along a ray that stays in the region, v'Hv is a polynomial that is not constant."""

from __future__ import annotations

from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.polynomials import polynomial, ring
from bileveldsl.certify.check.ranges import INF
from bileveldsl.certify.check.reading import point, record
from bileveldsl.certify.check.region import require_twice_differentiable
from bileveldsl.certify.check.terms import Rejected


def check(context: Context, goal: Bend, proof: Any) -> None:
    """Shows that the Hessian of a node has no bound on the region."""
    fields = record(proof, {"kind", "point", "ray", "direction"})
    count = len(context.problem.variables)
    start, ray, direction = (point(fields[name], count) for name in ("point", "ray", "direction"))
    table = context.table
    _require_within(context, start, ray)
    require_twice_differentiable(context, goal.root, goal.own)
    places = {index: k for k, index in enumerate(goal.own)}
    if not direction or any(index not in places for index in direction):
        raise Rejected("the direction is not one of the own variables")
    [t] = ring(1).gens()
    line = {table.var(k): value + ray.get(k, fmpq(0)) * t for k, value in start.items()}
    total = t - t
    for (i, j), entry in hessian(table, goal.root, list(goal.own)).items():
        weight = direction.get(goal.own[i], fmpq(0)) * direction.get(goal.own[j], fmpq(0)) * (1 if i == j else 2)
        if weight != 0:
            value = polynomial(table, entry, line)
            if value is None:
                raise Rejected("the curvature is no polynomial along the ray")
            total += weight * value
    if total.is_constant():
        raise Rejected("the curvature does not grow along the ray")


def _require_within(context: Context, start: dict[int, fmpq], ray: dict[int, fmpq]) -> None:
    """The whole ray lies in the boxes, and no condition bounds what moves along it."""
    if any(k not in start for k in range(len(context.problem.variables))):
        raise Rejected("the point has no value for some variable")
    for index, value in start.items():
        box, step = context.box[index], ray.get(index, fmpq(0))
        if not box.contains(value) or (step > 0 and box.hi != INF) or (step < 0 and box.lo != -INF):
            raise Rejected("the ray leaves the region")
    moving = {k for k, step in ray.items() if step != 0}
    if any(context.table.variables([c.node]) & moving for c in context.conditions):
        raise Rejected("a condition bounds what moves along the ray")
