"""Points, directions and segments that show what a function is not; all of them feasible, and checked exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from flint import arb, ctx, fmpq

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.enclosures import PRECISIONS, ball, exact, is_sharp
from bileveldsl.certify.check.goals import Bend, Context
from bileveldsl.certify.check.ranges import ZERO, Range, at_most, less, lower, upper
from bileveldsl.certify.check.reading import point, record
from bileveldsl.certify.check.region import require_feasible, require_smooth_at
from bileveldsl.certify.check.terms import Rejected


def not_convex(context: Context, goal: Bend, proof: Any) -> None:
    """The curvature along a direction is negative at a feasible point."""
    if not less(quotient(context, goal, proof, ZERO).hi, ZERO):
        raise Rejected("the curvature is not negative at the point")


def not_strongly_convex(context: Context, goal: Bend, proof: Any) -> None:
    """The curvature along a direction is not positive at a feasible point."""
    if not at_most(quotient(context, goal, proof, ZERO).hi, ZERO):
        raise Rejected("the curvature may be positive at the point")


def quotient(context: Context, goal: Bend, proof: Any, *limits: fmpq) -> Range:
    """The range of v'Hv / v'v at a feasible point around which the function is twice continuously differentiable.

    It is so small that it tells the value from some numbers, where these are not the value.

    The Hessian is continuous there and the boxes have room in the direction, if perhaps on one side only, so that
    there are points inside, as near as one likes, with nearly the same curvature.
    """
    fields = record(proof, {"kind", "point", "direction"})
    count = len(context.problem.variables)
    at, direction = point(fields["point"], count), point(fields["direction"], count)
    moving = {k: v for k, v in direction.items() if v != 0}
    if not moving or not set(moving) <= set(goal.own):
        raise Rejected("the direction is not one of the own variables")
    for index in moving:
        if context.box[index].exact:
            raise Rejected("the direction moves a variable that its bounds fix")
    require_feasible(context, at)
    own = sorted(moving)
    require_smooth_at(context, goal.root, own, at)
    return _quotient(context, goal.root, own, at, moving, limits)


def _quotient(
    context: Context, root: int, own: list[int], at: Mapping[int, fmpq], direction: Mapping[int, fmpq],
    limits: Sequence[fmpq],
) -> Range:  # fmt: skip
    entries = hessian(context.table, root, own, True)
    square = reduce(lambda a, b: a + b, [v * v for v in direction.values()])
    weights = [direction[own[i]] * direction[own[j]] * (1 if i == j else 2) / square for i, j in entries]
    values = [exact(context.table, node, at) for node in entries.values()]
    known = [value for value in values if value is not None]
    if len(known) == len(values):
        value = sum((w * value for w, value in zip(weights, known, strict=True)), fmpq(0))
        return Range(value, value)
    for precision in PRECISIONS:
        with ctx.workprec(precision):
            balls = ball(context.table, list(entries.values()), at, precision)
            total = sum((arb(w) * b for w, b in zip(weights, balls, strict=True)), arb(0))
            found = Range(lower(total), upper(total))
        if found.finite and not any(found.contains(limit) for limit in limits):
            break
    if not found.finite:
        raise Rejected("the curvature is not defined at the point")
    return found


def midpoint(context: Context, goal: Bend, proof: Any) -> None:
    """f exceeds the mean of its values at two feasible points in the middle of them, which is feasible too."""
    fields = record(proof, {"kind", "from", "to"})
    count = len(context.problem.variables)
    first, second = point(fields["from"], count), point(fields["to"], count)
    if set(first) != set(second):
        raise Rejected("the two points do not have the same variables")
    if any(first[k] != second[k] for k in first if k not in goal.own):
        raise Rejected("the two points differ in what is not an own variable")
    middle = {k: (first[k] + second[k]) / 2 for k in first}
    for each in (first, second, middle):
        require_feasible(context, each)
    if not _excess(context, goal.root, first, middle, second) > 0:
        raise Rejected("the function does not exceed the mean of its values in the middle")


def _excess(context: Context, root: int, *line: Mapping[int, fmpq]) -> Any:
    """The value in the middle of three points less the mean of the others, exact or a ball."""
    values = [exact(context.table, root, each) for each in line]
    known = [value for value in values if value is not None]
    if len(known) == 3:
        return known[1] - (known[0] + known[2]) / 2
    for precision in PRECISIONS:
        with ctx.workprec(precision):
            low, at, high = (ball(context.table, [root], each, precision)[0] for each in line)
            excess = at - (low + high) / 2
        if is_sharp(excess):
            break
    if not excess.is_finite():
        raise Rejected("the function is not defined at the points")
    return excess


def bounds_modulus(context: Context, goal: Bend, constant: fmpq, proof: Any) -> None:
    """No modulus of strong convexity exceeds a constant: v'Hv <= constant v'v somewhere."""
    if not at_most(quotient(context, goal, proof, constant).hi, constant):
        raise Rejected("the curvature may exceed the constant at the point")


def bounds_lipschitz(context: Context, goal: Bend, constant: fmpq, proof: Any) -> None:
    """No Lipschitz constant of the gradient is less than a constant: |v'Hv| >= constant v'v somewhere."""
    r = quotient(context, goal, proof, constant, -constant)
    if less(r.lo, constant) and less(-constant, r.hi):
        raise Rejected("the curvature may be smaller than the constant at the point")
