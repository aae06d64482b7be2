"""Refutations of the proximal inequality between bounds for every mu > 0 and every curvature, by points.

D(y, a) counts a coordinate as 0 where its bound holds it, the derivative pointing out of the box, and as at most its
squared derivative elsewhere. A point where all of D is 0 would be a minimizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import gradient, hessian
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import PL, Context, deeper, kind_name
from bileveldsl.certify.check.pl_forms import fresh
from bileveldsl.certify.check.pl_proximal import own_index
from bileveldsl.certify.check.pl_rules import flat
from bileveldsl.certify.check.pl_stationary import others, own_point, value
from bileveldsl.certify.check.ranges import ZERO, Range, less, number
from bileveldsl.certify.check.reading import point, rational, record, sequence
from bileveldsl.certify.check.terms import Rejected

_OWN = 50
Point = dict[int, fmpq]


def check_part(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """Some terms of a sum, which have none of the other own variables in common with the rest, refute it for the sum.

    Where the rest is least its part of D is 0, so that the inequality of the sum would be one of these terms.
    """
    from bileveldsl.certify.check.pl_kinds import PROXIMAL_REFUTATIONS  # the kinds are built on this module

    fields, table = record(proof, {"kind", "own", "proof"}), context.table
    own = tuple(own_index(index, goal.own) for index in sequence(fields["own"], _OWN))
    if not own or len(set(own)) < len(own):
        raise Rejected("a part is of no variables, or of one twice")
    mine = [t for t in flat(table, goal.root, "+") if table.variables([t]) & set(own)]
    if table.variables(mine) & (set(goal.own) - set(own)):
        raise Rejected("a term is of two parts")
    check = PROXIMAL_REFUTATIONS.get(kind_name(fields["proof"]))
    if check is None:
        raise Rejected("this is not a kind of refutation of the proximal inequality")
    check(deeper(context), PL(table.add(mine), own, goal.mu), fields["proof"])


def check_stationary(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """At "stationary" each derivative is exactly 0 or held by a bound, and the value at "lower" is less."""
    fields = record(proof, {"kind", "point", "stationary", "lower"})
    here = others(context, goal, fields["point"])
    at = inside(context, goal, fields["stationary"])
    for v, slope in zip(goal.own, gradient(context.table, goal.root, goal.own), strict=True):
        found = value(context, slope, {**here, **at})
        if not (found.exact and found.lo == 0) and not is_held(context, v, at[v], found):
            raise Rejected("a derivative is not seen to vanish, or to be held by a bound")
    below = value(context, goal.root, {**here, **inside(context, goal, fields["lower"])})
    if not less(below.hi, value(context, goal.root, {**here, **at}).lo):
        raise Rejected("the value elsewhere is not lower")


def check_krawczyk(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """A cube of the variables that are not "fixed" at bounds which hold them has a point without derivatives.

    All of its values are above the one at "lower". That there is such a point is Krawczyk's test, see `pl_stationary`.
    """
    fields = record(proof, {"kind", "point", "fixed", "centre", "radius", "inverse", "lower"})
    here = others(context, goal, fields["point"])
    fixed, centre = (point(fields[name], fresh(context)) for name in ("fixed", "centre"))
    if set(fixed) & set(centre) or set(fixed) | set(centre) != set(goal.own) or len(goal.own) > _OWN:
        raise Rejected("not each own variable is fixed or has a centre")
    radius, free = rational(fields["radius"]), sorted(centre)
    cube = {v: Range(c - radius, c + radius) for v, c in centre.items()}
    pinned = {v: Range(c, c) for v, c in {**here, **fixed}.items()}
    for v in free:
        if radius <= 0 or not (context.box[v].contains(cube[v].lo) and context.box[v].contains(cube[v].hi)):
            raise Rejected("the cube is not within the bounds")
    _require_zero(context, goal.root, {**here, **fixed}, centre, cube, fields["inverse"])
    slopes = dict(zip(goal.own, gradient(context.table, goal.root, goal.own), strict=True))
    held = enclose(context.table, [slopes[v] for v in sorted(fixed)], {**pinned, **cube})
    if not all(is_held(context, v, fixed[v], s) for v, s in zip(sorted(fixed), held, strict=True)):
        raise Rejected("a bound does not hold its variable")
    [above] = enclose(context.table, [goal.root], {**pinned, **cube})
    below = value(context, goal.root, {**here, **inside(context, goal, fields["lower"])})
    if not above.defined or not less(below.hi, above.lo):
        raise Rejected("the value elsewhere is not lower")


def _require_zero(
    context: Context, root: int, here: Point, centre: Point, cube: Mapping[int, Range], matrix: Any
) -> None:
    """Rejects unless the derivatives in the variables of a cube vanish together somewhere in it.

    With F these derivatives, J their Jacobian and Y any matrix, they do if c - Y F(c) + (I - Y J(B)) (B - c) lies in
    the interior of the cube B around c (Krawczyk 1969; Moore 1977).
    """
    free = sorted(cube)
    inverse = [[rational(y) for y in sequence(row, len(free))] for row in sequence(matrix, len(free))]
    if len(inverse) != len(free) or any(len(row) != len(free) for row in inverse):
        raise Rejected("a matrix is malformed")
    table, zero = context.table, number(0)
    slopes = [value(context, s, {**here, **centre}) for s in gradient(table, root, free)]
    entries = hessian(table, root, free)
    box = {**{v: Range(c, c) for v, c in here.items()}, **cube}
    jacobian = dict(zip(entries, enclose(table, list(entries.values()), box), strict=True))
    for i, row in enumerate(inverse):
        moved, spread = zero, ZERO
        for y, slope in zip(row, slopes, strict=True):
            moved = moved - number(y) * slope
        for j in range(len(free)):
            entry = number(int(i == j))
            for k, y in enumerate(row):
                entry = entry - number(y) * jacobian.get((min(k, j), max(k, j)), zero)
            if not entry.defined or not entry.finite:
                raise Rejected("the Hessian is not bounded on the cube")
            spread += max(abs(entry.lo), abs(entry.hi))
        radius = (cube[free[i]].hi - cube[free[i]].lo) / 2
        if not moved.defined or not moved.finite or max(abs(moved.lo), abs(moved.hi)) + spread * radius >= radius:
            raise Rejected("no stationary point is seen in the cube")


def check_ratio(context: Context, goal: PL, constant: fmpq, proof: dict[str, Any]) -> None:
    """No mu exceeds a constant, with any curvature a: D(p, a) / 2 <= constant (g(p) - g(q)), and g(p) > g(q)."""
    fields = record(proof, {"kind", "point", "p", "q"})
    here = others(context, goal, fields["point"])
    p, q = (inside(context, goal, fields[name]) for name in ("p", "q"))
    above = value(context, goal.root, {**here, **p}) - value(context, goal.root, {**here, **q})
    steep = ZERO
    for v, slope in zip(goal.own, gradient(context.table, goal.root, goal.own), strict=True):
        s = value(context, slope, {**here, **p})
        if not is_held(context, v, p[v], s):
            steep += max(s.lo * s.lo, s.hi * s.hi) / 2
    if not less(ZERO, above.lo) or less(constant * above.lo, steep):
        raise Rejected("the constant is not seen to be an upper bound")


# ---- points ---------------------------------------------------------------------------------


def inside(context: Context, goal: PL, data: Any) -> Point:
    """A value for each own variable, between its bounds."""
    found = own_point(context, goal, data)
    if not all(context.box[v].contains(c) for v, c in found.items()):
        raise Rejected("a point is not within the bounds")
    return found


def is_held(context: Context, v: int, at: fmpq, slope: Range) -> bool:
    """Whether a bound keeps a variable from moving against its derivative."""
    box = context.box[v]
    held = box.exact or (at == box.lo and slope.nonnegative) or (at == box.hi and slope.nonpositive)
    return bool(slope.defined and held)
