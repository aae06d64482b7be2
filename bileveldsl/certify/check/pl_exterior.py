"""Proofs of kind "core-exterior": strong convexity around the minimizer, large gradients elsewhere.

With c the centre and Q the cube |y_i - c_i| <= core: on Q the Hessian is at least m I, m >= mu ("inside"), so that
there g >= gamma = g(c) - |grad g(c)|^2 / (2 m), and the inequality holds against the least value on Q. Outside of Q

    |grad g|^2 / 2 - mu (g - gamma) >= 0   and   (y - c)' grad g >= 0,

and by the second no value on a ray from c beyond Q is below the one where it leaves Q: that least value is min g.
Both are proved for each k and sign where Q ends at c_k +- core up to the radius ("near", the others up to the radius
as well), and where y_k = c_k +- (radius + t), y_j = c_j + (radius + t) u_j with t >= 0, |u_j| <= 1 ("far"), as
polynomials in t whose coefficients are proved to be >= 0.
"""

from __future__ import annotations

from typing import Any

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.goals import PL, Context, bend
from bileveldsl.certify.check.pl_forms import half_square, is_atom, require_nonnegative, whole_space
from bileveldsl.certify.check.polynomials import polynomial, ring
from bileveldsl.certify.check.ranges import INF, Range
from bileveldsl.certify.check.reading import rational, record, sequence
from bileveldsl.certify.check.terms import Rejected, Table

_OWN = 6


def check(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """Returns if the proof shows the goal; raises Rejected if it does not."""
    fields = record(proof, {"kind", "centre", "core", "modulus", "radius", "inside", "near", "far"})
    context = whole_space(context, goal)
    own = goal.own
    centre = [rational(c) for c in sequence(fields["centre"], _OWN)]
    core, radius = rational(fields["core"]), rational(fields["radius"])
    near, far = sequence(fields["near"], 2 * _OWN), sequence(fields["far"], 2 * _OWN)
    if len(centre) != len(own) or not 0 < core <= radius or not len(near) == len(far) == 2 * len(own):
        raise Rejected("the cubes, or proofs for all of their sides, are missing")

    def cube(size: fmpq) -> dict[int, Range]:
        return {v: Range(c - size, c + size) for v, c in zip(own, centre, strict=True)}

    modulus = rational(fields["modulus"])
    if modulus < goal.mu:
        raise Rejected("the function is not convex enough on the core")
    bend(context.within(cube(core)), goal.root, own, 1, -modulus, fields["inside"])
    outside = _conditions(context.table, goal, centre, modulus)
    sides = [(k, sign) for k in range(len(own)) for sign in (1, -1)]
    for (k, sign), side_near, side_far in zip(sides, near, far, strict=True):
        low, high = sorted((centre[k] + sign * core, centre[k] + sign * radius))
        require_nonnegative(context, outside, side_near, {**cube(radius), own[k]: Range(low, high)})
        beyond = _beyond(context.table, goal, outside, centre, radius, k, sign)
        shares = {v: Range(fmpq(-1), fmpq(1)) for v in own}
        require_nonnegative(context, beyond, side_far, {**shares, own[k]: Range(fmpq(0), INF)})


def _conditions(table: Table, goal: PL, centre: list[fmpq], modulus: fmpq) -> list[int]:
    slopes = gradient(table, goal.root, goal.own)
    here = {table.var(v): table.num(c) for v, c in zip(goal.own, centre, strict=True)}
    value, *steep = table.substituted([goal.root, *slopes], here)
    gamma = table.add([value, table.mul([table.num(-1 / modulus), half_square(table, steep)])])
    above = table.add([goal.root, table.negate(gamma)])
    gap = table.add([half_square(table, slopes), table.mul([table.num(-goal.mu), above])])
    steps = [table.add([table.var(v), table.num(-c)]) for v, c in zip(goal.own, centre, strict=True)]
    return [gap, table.add(table.mul(pair) for pair in zip(steps, slopes, strict=True))]


def _beyond(
    table: Table, goal: PL, roots: list[int], centre: list[fmpq], radius: fmpq, k: int, sign: int
) -> list[int]:
    """The coefficients of the powers of t, the own variable k standing for t and the others for u."""
    length = table.add([table.var(goal.own[k]), table.num(radius)])
    values = {}
    for j, (v, c) in enumerate(zip(goal.own, centre, strict=True)):
        step = table.mul([length, table.num(sign) if j == k else table.var(v)])
        values[table.var(v)] = table.add([table.num(c), step])
    far = table.substituted(roots, values)
    return [c for root in far for c in _coefficients(table, root, table.var(goal.own[k]))]


def _coefficients(table: Table, root: int, variable: int) -> list[int]:
    """The coefficients, which may contain the variable within functions, of a node as a polynomial in a variable."""
    leaves = [n for n in table.reachable([root]) if is_atom(table, n)]
    if variable not in leaves:
        return [root]
    gens = ring(len(leaves)).gens()
    found = polynomial(table, root, dict(zip(leaves, gens, strict=False)))
    if found is None:
        raise Rejected("a condition is no polynomial in the distance")
    place = leaves.index(variable)
    parts: list[dict[tuple[int, ...], fmpq]] = [{} for _ in range(1 + int(found.degrees()[place]))]
    for exponents, coefficient in found.terms():
        powers = list(map(int, exponents))
        degree, powers[place] = powers[place], 0
        parts[degree][tuple(powers)] = coefficient
    return [_node(table, gens[0].context().from_dict(part), leaves) for part in reversed(parts)]


def _node(table: Table, p: fmpq_mpoly, leaves: list[int]) -> int:
    return table.add(
        table.mul([table.num(c), *(table.power(n, int(e)) for n, e in zip(leaves, exponents, strict=True) if e)])
        for exponents, c in p.terms()
    )
