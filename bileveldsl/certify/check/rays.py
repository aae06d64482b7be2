"""Rays of points, and ways to a point: whether they stay in the region of a claim, and the curvature along them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.ranges import INF, Range, at_most, less
from bileveldsl.certify.check.reading import point
from bileveldsl.certify.check.reductions import collected
from bileveldsl.certify.check.region import require_smooth_by, require_twice_differentiable
from bileveldsl.certify.check.terms import Rejected


@dataclass(frozen=True)
class Ray:
    """The points start + t step + toward / t for all t > 0 of a range, where t is a variable after all others.

    What is not moved away from its start by `step` may come near it by `toward`, without reaching it.
    """

    start: Mapping[int, fmpq]
    step: Mapping[int, fmpq]
    toward: Mapping[int, fmpq]
    t: int

    @property
    def range(self) -> Range:
        """The values of t."""
        return Range(fmpq(1) if self.toward else fmpq(0), INF)

    def line(self, context: Context) -> dict[int, int]:
        """The variables along the ray, as nodes."""
        table = context.table
        t, zero = table.var(self.t), fmpq(0)
        moved = {k: [table.mul([table.num(self.step.get(k, zero)), t])] for k in self.start}
        for k, part in self.toward.items():
            moved[k].append(table.mul([table.num(part), table.power(t, -1)]))
        return {table.var(k): table.add([table.num(v), *moved[k]]) for k, v in self.start.items()}

    def on(self, context: Context, nodes: Sequence[int]) -> list[int]:
        """Nodes along the ray."""
        return [collected(context.table, n) for n in context.table.substituted(list(nodes), self.line(context))]

    def side(self, k: int) -> Range:
        """The values of a variable along the ray, and its start."""
        start, step, part = self.start[k], self.step.get(k, fmpq(0)), self.toward.get(k, fmpq(0))
        if part == 0:
            return Range(-INF if step < 0 else start, INF if step > 0 else start)
        return Range(min(start, start + part), max(start, start + part), start == 0)


def read_ray(context: Context, start: Any, step: Any, toward: Any) -> Ray:
    """A ray from a point with a value for every variable; Rejected where it leaves the bounds or the conditions."""
    count = len(context.problem.variables)
    parts = {k: v for k, v in point(toward, count).items() if v != 0}
    ray = Ray(point(start, count), point(step, count), parts, max([count, *(k + 1 for k in context.box)]))
    if len(ray.start) < count:
        raise Rejected("the point has no value for some variable")
    for k in ray.start:
        box, side = context.box[k], ray.side(k)
        if k in parts and ray.step.get(k, fmpq(0)) != 0:
            raise Rejected("a variable is moved in two ways")
        passes = not side.nonzero and at_most(side.lo, fmpq(0)) and at_most(fmpq(0), side.hi)
        if not at_most(box.lo, side.lo) or not at_most(side.hi, box.hi) or (box.apart and passes):
            raise Rejected("the ray leaves the bounds")
    conditions = context.problem.conditions
    nodes = ray.on(context, [c.node for c in conditions])
    for condition, r in zip(conditions, enclose(context.table, nodes, {ray.t: ray.range}), strict=True):
        inside = r.nonzero if condition.relation == "!= 0" else r.positive
        if condition.relation == "in [-1, 1]":
            inside = less(fmpq(-1), r.lo) and less(r.hi, fmpq(1))
        if not inside or not r.defined:
            raise Rejected("a condition was not seen to hold along the ray")
    return ray


def require_feasible(context: Context, ray: Ray) -> None:
    """Rejects unless the constraints of the level hold all along a ray."""
    constraints = [c for c in context.problem.constraints if c.level == context.level]
    nodes = ray.on(context, [c.node for c in constraints])
    for constraint, r in zip(constraints, enclose(context.table, nodes, {ray.t: ray.range}), strict=True):
        holds = r.exact and r.lo == 0 if constraint.relation == "== 0" else at_most(r.hi, fmpq(0))
        if not holds or not r.defined:
            raise Rejected("a constraint was not seen to hold along the ray")


def curvature(context: Context, goal: Bend, ray: Ray, direction: Any) -> int:
    """v'Hv along a ray as a node of t, the function being twice continuously differentiable all around it."""
    table = context.table
    moving = {k: v for k, v in point(direction, len(context.problem.variables)).items() if v != 0}
    if not moving or any(k not in goal.own or context.box[k].exact for k in moving):
        raise Rejected("the direction is not one of own variables that can move")
    _require_smooth(context, goal, ray)
    own = sorted(moving)
    terms = []
    for (i, j), entry in hessian(table, goal.root, own, True).items():
        weight = moving[own[i]] * moving[own[j]] * (1 if i == j else 2)
        terms.append(table.mul([table.num(weight), *ray.on(context, [entry])]))
    return collected(table, table.add(terms))


def _require_smooth(context: Context, goal: Bend, ray: Ray) -> None:
    """Rejects unless the function is twice continuously differentiable all around the ray, by its values along it."""
    if not ray.toward:
        require_twice_differentiable(context.within({k: ray.side(k) for k in ray.start}), goal.root, goal.own)
        return
    table = context.table
    nodes = table.reachable([goal.root])
    along = enclose(table, ray.on(context, nodes), {ray.t: ray.range})
    require_smooth_by(table, goal.root, goal.own, dict(zip(nodes, along, strict=True)))
