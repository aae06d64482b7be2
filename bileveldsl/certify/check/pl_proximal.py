"""The proximal Polyak-Lojasiewicz inequality of a function whose variables are bounded: what it says, and its rules.

With Y the box of the own variables, c the curvature and g smooth on Y,

    D(y, a) = -2 a min over z in Y of <grad g(y), z - y> + (a/2) |z - y|^2,

the inequality is D(y, a) / 2 >= mu (g(y) - min g) for all y in Y and all a >= c (Karimi, Nutini, Schmidt 2016, (12)
and (13)). D is the sum over the coordinates i of

    s^2, where r >= s / a,    and else 2 a r s - (a r)^2 >= a r s,

with s = |dg/dy_i| and r the room that y_i has to move against its derivative; it increases with a, and D <= |grad g|^2.
That a minimizer exists is a part of the claim. A proof is {"kind": "proximal", "curvature": c, "proof": {...}}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import PL, Context, bend, boxes, deeper, kind_name, pl
from bileveldsl.certify.check.pl_forms import fresh, is_zero
from bileveldsl.certify.check.pl_rules import flat
from bileveldsl.certify.check.ranges import Range
from bileveldsl.certify.check.reading import position, rational, record, sequence
from bileveldsl.certify.check.region import require_smooth, without_own_conditions
from bileveldsl.certify.check.terms import Rejected

_OWN = 1_000


@dataclass(frozen=True)
class Proximal:
    """D(y, a) / 2 >= mu (root - min root) for all y in the box of the own variables and all a >= curvature."""

    root: int
    own: tuple[int, ...]
    mu: fmpq
    curvature: fmpq


def check(context: Context, goal: PL, proof: Any) -> None:
    """Returns if a proof shows the inequality between the bounds; raises Rejected if it does not."""
    if kind_name(proof) != "proximal":
        raise Rejected("the inequality of a bounded follower is the proximal one")
    fields = record(proof, {"kind", "curvature", "proof"})
    wanted = Proximal(goal.root, goal.own, goal.mu, rational(fields["curvature"]))
    near(closed(context, goal.root, goal.own), wanted, fields["proof"])


def check_refutation(context: Context, goal: PL, proof: Any) -> None:
    """The same for a proof that the inequality holds with no mu > 0, whatever the curvature."""
    from bileveldsl.certify.check.pl_kinds import PROXIMAL_REFUTATIONS  # the kinds are built on this module

    found = PROXIMAL_REFUTATIONS.get(kind_name(proof))
    if found is None:
        raise Rejected("this is not a kind of refutation of the proximal inequality")
    found(closed(context, goal.root, goal.own), goal, proof)


def check_upper(context: Context, goal: PL, constant: fmpq, proof: Any) -> None:
    """The same for a proof that no mu exceeds a constant, whatever the curvature."""
    from bileveldsl.certify.check.pl_kinds import PROXIMAL_UPPERS  # the kinds are built on this module

    found = PROXIMAL_UPPERS.get(kind_name(proof))
    if found is None:
        raise Rejected("this is not a kind of bound of the constant of the proximal inequality")
    found(closed(context, goal.root, goal.own), goal, constant, proof)


def near(context: Context, goal: Proximal, proof: Any) -> None:
    """Returns if a proof shows the goal where the boxes of the own variables are closed; raises Rejected if not."""
    from bileveldsl.certify.check.pl_kinds import PROXIMAL_KINDS  # the kinds are built on this module

    found = PROXIMAL_KINDS.get(kind_name(proof))
    if found is None:
        raise Rejected("this is not a kind of proof of the proximal inequality")
    if goal.mu <= 0 or goal.curvature < goal.mu:
        raise Rejected("the constant is not positive, or exceeds the curvature")
    found(deeper(context), goal, proof)


def closed(context: Context, root: int, own: tuple[int, ...]) -> Context:
    """The context with the own variables in their boxes, ends included, once a node is seen to be smooth there.

    Rejects unless the conditions on own variables hold everywhere between the bounds.
    """
    variables = context.problem.variables
    if not own or any(variables[v].integer for v in own):
        raise Rejected("there is no own variable, or one takes whole values")
    bounds = boxes(context.problem, ())
    whole = context.within({v: bounds[v] for v in own})
    wide = without_own_conditions(whole, own, whole.box, "everywhere between the bounds")
    [value] = enclose(wide.table, [root], wide.box, wide.known)
    if not value.defined:
        raise Rejected("the function may not be defined everywhere between the bounds")
    require_smooth(wide.table, root, own, wide.box, wide.known)
    return wide


# ---- rules ----------------------------------------------------------------------------------


def check_strong(context: Context, goal: Proximal, proof: dict[str, Any]) -> None:
    """A function strongly convex with modulus mu satisfies the inequality with mu and every curvature from mu on.

    The min over z in D(y, mu) bounds g(z) - g(y) from below, so that D(y, mu) / 2 >= mu (g(y) - min g).
    """
    bend(context, goal.root, goal.own, 1, -goal.mu, record(proof, {"kind", "proof"})["proof"])


def check_separable(context: Context, goal: Proximal, proof: dict[str, Any]) -> None:
    """A sum of functions of different own variables has the least of their constants and the greatest curvature.

    D is the sum of theirs, and a variable that does not occur adds nothing to it.
    """
    written, table = sequence(record(proof, {"kind", "parts"})["parts"], _OWN), context.table
    parts = [record(part, {"own", "constant", "curvature", "proof"}) for part in written]
    owns = [[own_index(index, goal.own) for index in sequence(part["own"], _OWN)] for part in parts]
    shared = [index for own in owns for index in own]
    terms = flat(table, goal.root, "+")
    if len(set(shared)) < len(shared) or not table.variables(terms) & set(goal.own) <= set(shared):
        raise Rejected("the parts do not share the own variables among them")
    for part, own in zip(parts, owns, strict=True):
        constant, curvature = rational(part["constant"]), rational(part["curvature"])
        if constant < goal.mu or curvature > goal.curvature or not own:
            raise Rejected("the constants of a part are too weak")
        mine = [t for t in terms if table.variables([t]) & set(own)]
        if any(table.variables([t]) & (set(shared) - set(own)) for t in mine):
            raise Rejected("a term is of two parts")
        near(context, Proximal(table.add(mine), tuple(own), constant, curvature), part["proof"])


def own_index(index: Any, own: tuple[int, ...]) -> int:
    if isinstance(index, bool) or not isinstance(index, int) or index not in own:
        raise Rejected("a variable is not an own one")
    return index


def check_ridge(context: Context, goal: Proximal, proof: dict[str, Any]) -> None:
    """h(w'y) has min(w_i^2) times the constant and the curvature of h between the ends of w'y, all w_i being nonzero.

    A step of h by tau within its room R is one of y along the rooms r_i of its coordinates, R = sum |w_i| r_i, with
    |step|^2 = tau^2 sum r_i^2 / R^2 <= tau^2 / min(w_i^2): D of the function at min(w_i^2) a is at least
    min(w_i^2) times that of h at a. h is read off the way from the corner where w'y is least to that where it is
    greatest: the function is constant where w'y is, the slopes being multiples of w.
    """
    fields = record(proof, {"kind", "direction", "constant", "curvature", "proof"})
    table, own = context.table, goal.own
    direction = [rational(c) for c in sequence(fields["direction"], _OWN)]
    sides = [context.box[v] for v in own]
    if len(direction) != len(own) or 0 in direction or not all(side.finite for side in sides):
        raise Rejected("the direction has not one nonzero entry for each of the bounded variables")
    slopes = gradient(table, goal.root, own)
    first, w = slopes[0], direction[0]
    crossed = [
        table.add([table.mul([table.num(w), s]), table.mul([table.num(-c), first])])
        for s, c in zip(slopes[1:], direction[1:], strict=True)
    ]
    if not is_zero(table, crossed):
        raise Rejected("the gradient is not seen to be along the direction")
    low = [side.lo if c > 0 else side.hi for side, c in zip(sides, direction, strict=True)]
    high = [side.hi if c > 0 else side.lo for side, c in zip(sides, direction, strict=True)]
    start, end = (sum((c * e for c, e in zip(direction, ends, strict=True)), fmpq(0)) for ends in (low, high))
    if not start < end:
        raise Rejected("the bounds leave no room")
    scale = min(c * c for c in direction)
    constant, curvature = rational(fields["constant"]), rational(fields["curvature"])
    if scale * constant < goal.mu or scale * curvature > goal.curvature:
        raise Rejected("the constants of the function of one variable are too weak")
    t = fresh(context)
    along = {
        table.var(v): table.add([table.num(a - start * (b - a) / (end - start)),
                                 table.mul([table.num((b - a) / (end - start)), table.var(t)])])
        for v, a, b in zip(own, low, high, strict=True)
    }  # fmt: skip
    [root] = table.substituted([goal.root], along)
    inside = context.within({t: Range(start, end)}, (t,))
    near(inside, Proximal(root, (t,), constant, curvature), fields["proof"])


def check_corner(context: Context, goal: Proximal, proof: dict[str, Any]) -> None:
    """A function each of whose derivatives has one sign, with |dg/dy_i| in [l_i, h_i], h_i finite and l_i > 0.

    Its minimizer is a corner, from which y is r_i <= w_i away, w_i being the length of the side: r_i is the room that
    D knows of, and g(y) - min g <= sum h_i r_i, while D(y, a) >= sum min(l_i^2, a l_i r_i).
    """
    record(proof, {"kind"})
    slopes = gradient(context.table, goal.root, goal.own)
    for v, slope in zip(goal.own, enclose(context.table, slopes, context.box, context.known), strict=True):
        side, size = context.box[v], slope if slope.nonnegative else -slope
        if not slope.defined or not size.finite or not side.finite or not size.lo > 0:
            raise Rejected("a derivative may have both signs, or no bound")
        if size.lo * size.lo < 2 * goal.mu * size.hi * (side.hi - side.lo):
            raise Rejected("the constant is too large for the slopes")
        if goal.curvature * size.lo < 2 * goal.mu * size.hi:
            raise Rejected("the curvature is too small for the slopes")


def check_free(context: Context, goal: Proximal, proof: dict[str, Any]) -> None:
    """Where no own variable has a bound D is |grad g|^2, and the inequality that of the whole space."""
    pl(context.within({}, goal.own), goal.root, goal.own, goal.mu, record(proof, {"kind", "proof"})["proof"])


def component(context: Context, data: Any) -> int:
    """The index of a variable that has a box."""
    index = position(data, fresh(context))
    if index not in context.box:
        raise Rejected("a variable has no box")
    return index
