"""Proofs of the inequality |grad g|^2 / 2 >= mu (g - min g) from the form of g; all say that minimizers exist."""

from __future__ import annotations

from typing import Any

from flint import fmpq

from bileveldsl.certify.check.derivatives import gradient, hessian
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import PL, Context, bend, pl
from bileveldsl.certify.check.pl_forms import (
    fresh,
    half_square,
    is_zero,
    require_nonnegative,
    require_semidefinite,
    whole_space,
)  # fmt: skip
from bileveldsl.certify.check.ranges import less
from bileveldsl.certify.check.reading import position, rational, read_nodes, record, sequence
from bileveldsl.certify.check.reductions import collected
from bileveldsl.certify.check.terms import Rejected, Table

_OWN = 1_000


def check_strong(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """A strongly convex function satisfies the inequality with its modulus, at a kink by every subgradient s.

    The least value of g(y) + s'(z - y) + mu/2 |z - y|^2 over z, which is nowhere above g(z), is g(y) - |s|^2 / (2 mu).
    """
    inner = record(proof, {"kind", "proof"})["proof"]
    bend(whole_space(context, goal, smooth=False), goal.root, goal.own, 1, -goal.mu, inner)


def check_product(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """w(x) h(y) with w >= weight > 0 has `weight` times the constant of h."""
    fields = record(proof, {"kind", "weight", "constant", "proof"})
    context, table = whole_space(context, goal), context.table
    weight, constant = rational(fields["weight"]), rational(fields["constant"])
    factors = flat(table, goal.root, "*")
    moving = table.dependent(factors, goal.own)
    [r] = enclose(table, [table.mul(f for f in factors if f not in moving)], context.box, context.known)
    if not r.defined or weight <= 0 or less(r.lo, weight) or weight * constant < goal.mu:
        raise Rejected("the weight is too small")
    pl(context, table.mul(f for f in factors if f in moving), goal.own, constant, fields["proof"])


def check_separable(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """A sum of functions of different own variables has the least of their constants."""
    fields = record(proof, {"kind", "parts"})
    context, table = whole_space(context, goal), context.table
    parts = [record(part, {"own", "constant", "proof"}) for part in sequence(fields["parts"], _OWN)]
    owns = [[_own(index, goal) for index in sequence(part["own"], _OWN)] for part in parts]
    if sorted(index for own in owns for index in own) != sorted(goal.own):
        raise Rejected("the parts do not share the own variables among them")
    terms = flat(table, goal.root, "+")
    for part, own in zip(parts, owns, strict=True):
        constant = rational(part["constant"])
        if constant < goal.mu:
            raise Rejected("the constant of a part is too small")
        mine = [t for t in terms if table.variables([t]) & set(own)]
        if any(table.variables([t]) & (set(goal.own) - set(own)) for t in mine):
            raise Rejected("a term is of two parts")
        pl(context, table.add(mine), own, constant, part["proof"])


def _own(index: Any, goal: PL) -> int:
    if isinstance(index, bool) or not isinstance(index, int) or index not in goal.own:
        raise Rejected("a variable is not an own one")
    return index


def flat(table: Table, root: int, operation: str) -> list[int]:
    """The terms of a sum, or the factors of a product, those of sums (products) within it among them."""
    if table.operation[root] != operation:
        return [root]
    found, stack = [], [root]
    while stack:
        node = stack.pop()
        if table.operation[node] == operation:
            stack += table.arguments[node]
        else:
            found.append(node)
    return found


# ---- quadratics and squares -----------------------------------------------------------------


def check_quadratic_singular(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """A quadratic that is constant along the columns of N, with H + kappa N N' - mu I positive semidefinite.

    H N = 0 and H + kappa N N' > 0 make N span the null space of H, on whose complement H is at least mu; the
    linear part is orthogonal to N, thus in the range of H, so that a minimizer exists.
    """
    fields = record(proof, {"kind", "null", "kappa", "proof"})
    context, table, size = whole_space(context, goal), context.table, len(goal.own)
    entries = hessian(table, goal.root, goal.own)
    if table.variables(entries.values()) & set(goal.own):
        raise Rejected("the function is not quadratic")
    kappa = rational(fields["kappa"])
    null = [[rational(c) for c in sequence(column, size)] for column in sequence(fields["null"], size)]
    if any(len(column) != size for column in null):
        raise Rejected("a direction has not the length of the own variables")
    slopes = gradient(table, goal.root, goal.own)
    if not is_zero(table, [along(table, slopes, column) for column in null]):
        raise Rejected("the function is not seen to be constant along a direction")
    rows = []
    for i in range(size):
        shifts = [sum((kappa * n[i] * n[j] for n in null), fmpq(0)) - (goal.mu if i == j else 0) for j in range(size)]
        row = [entries.get((min(i, j), max(i, j)), table.num(0)) for j in range(size)]
        rows.append([table.add([e, table.num(s)]) for e, s in zip(row, shifts, strict=True)])
    require_semidefinite(context, rows, fields["proof"])


def along(table: Table, slopes: list[int], direction: list[fmpq]) -> int:
    """The derivative along a direction."""
    return table.add(table.mul([table.num(c), s]) for c, s in zip(direction, slopes, strict=True))


def check_least_squares(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """sum_k c_k(x) phi_k(x, y)^2 + const(x), c > 0, with J J' - (mu/2) diag(1/c) positive semidefinite.

    With C = diag(c): |grad g|^2 / 2 = 2 phi'C J J'C phi >= mu phi'C phi = mu (g - const). J J' is bounded away from 0,
    so that y' = -J'(J J')^-1 phi(y), along which phi decays at a bounded speed of y, ends where phi = 0: const = min g.
    """
    fields = record(proof, {"kind", "proof"})
    context, table = whole_space(context, goal), context.table
    weights, residuals = squares(table, goal)
    for r in enclose(table, weights, context.box, context.known):
        if not (r.defined and r.positive):
            raise Rejected("a weight of a square may not be positive")
    slopes = [gradient(table, phi, goal.own) for phi in residuals]
    bound = [table.mul([table.num(goal.mu / 2), table.power(c, -1)]) for c in weights]
    rows = []
    for i, left in enumerate(slopes):
        row = [table.add(_product(table, a, b) for a, b in zip(left, right, strict=True)) for right in slopes]
        row[i] = table.add([row[i], table.negate(bound[i])])
        rows.append(row)
    require_semidefinite(context, rows, fields["proof"])


def _product(table: Table, a: int, b: int) -> int:
    return table.power(a, 2) if a == b else table.mul([a, b])


def squares(table: Table, goal: PL) -> tuple[list[int], list[int]]:
    """The weights and what is squared in a sum of squares; terms without own variables are left out."""
    weights, residuals = [], []
    for term in flat(table, goal.root, "+"):
        factors = flat(table, term, "*")
        moving = table.dependent(factors, goal.own)
        own = [f for f in factors if f in moving]
        if not own:
            continue
        halves = []
        for factor in own:
            exponent = table.value[factor]
            if table.operation[factor] != "^" or exponent.q != 1 or exponent <= 0 or exponent.p % 2:
                raise Rejected("a term is no square")
            halves.append(table.power(table.arguments[factor][0], exponent / 2))
        weights.append(table.mul(f for f in factors if f not in moving))
        residuals.append(table.mul(halves))
    if not weights:
        raise Rejected("there are no squares")
    return weights, residuals


# ---- a known minimizer, and the penalty ------------------------------------------------------


def check_minimizer(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """A minimizer s(x) is given: g - g(s) and |grad g|^2 / 2 - mu (g - g(s)) are proved to be nonnegative."""
    fields = record(proof, {"kind", "nodes", "minimizer", "proof"})
    context, table = whole_space(context, goal), context.table
    nodes = read_nodes(table, fields["nodes"], fresh(context))
    minimizer = [nodes[position(n, len(nodes))] for n in sequence(fields["minimizer"], len(goal.own))]
    if len(minimizer) != len(goal.own) or table.variables(minimizer) & set(goal.own):
        raise Rejected("the minimizer has not one value for each own variable, from the others")
    if not all(r.defined for r in enclose(table, minimizer, context.box, context.known)):
        raise Rejected("the minimizer may not be defined for all values of the other variables")
    values = {table.var(v): s for v, s in zip(goal.own, minimizer, strict=True)}
    [lowest] = table.substituted([goal.root], values)
    above = collected(table, table.add([goal.root, table.negate(lowest)]))
    gap = table.add([half_square(table, gradient(table, goal.root, goal.own)), table.mul([table.num(-goal.mu), above])])
    require_nonnegative(context, [above, gap], fields["proof"])


def check_penalty(context: Context, goal: PL, proof: dict[str, Any]) -> None:
    """sigma f + g with g strongly convex and f at least -L I bent: the Hessian is at least (constant - sigma L) I.

    Where there is none: g - constant/2 |y|^2 and f + L/2 |y|^2 are convex, and so sigma f + g is strongly convex.
    """
    fields = record(proof, {"kind", "sigma", "constant", "lower", "L", "upper"})
    context, table = whole_space(context, goal, smooth=False), context.table
    sigma = position(fields["sigma"], 10**7)
    constant, bound = rational(fields["constant"]), rational(fields["L"])
    r = context.box.get(sigma)
    if sigma in goal.own or r is None or less(r.lo, fmpq(0)) or not r.finite:
        raise Rejected("sigma is no bounded nonnegative other variable")
    weight = table.var(sigma)
    f = gradient(table, goal.root, [sigma])[0]
    g = table.substituted([goal.root], {weight: table.num(0)})[0]
    if not is_zero(table, [table.add([goal.root, table.negate(g), table.mul([table.num(-1), weight, f])])]):
        raise Rejected("the function is not seen to be sigma f + g")
    if sigma in table.variables([f]) or goal.mu > min(constant - r.lo * bound, constant - r.hi * bound):
        raise Rejected("the constant is too large")
    bend(context, g, goal.own, 1, -constant, fields["lower"])
    bend(context, f, goal.own, 1, bound, fields["upper"])
