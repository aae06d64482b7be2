"""Functions whose second derivatives are numbers, and sums of functions that are proved one by one."""

from __future__ import annotations

from typing import Any

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.derivatives import hessian
from bileveldsl.certify.check.forms import second_derivatives
from bileveldsl.certify.check.goals import Bend, Context, bend
from bileveldsl.certify.check.matrices import is_semidefinite
from bileveldsl.certify.check.polynomials import polynomial, ring
from bileveldsl.certify.check.reading import position, rational, record, sequence
from bileveldsl.certify.check.terms import Rejected


def check(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """The matrix sign * H + shift * I, of numbers alone, is positive semidefinite by exact elimination."""
    record(proof, {"kind"})
    size = len(goal.own)
    matrix = [[fmpq(0)] * size for _ in range(size)]
    entries = second_derivatives(context.table, goal.root, goal.own) or _derived(context, goal)
    for (i, j), value in entries.items():
        matrix[i][j] = matrix[j][i] = goal.sign * value
    for i in range(size):
        matrix[i][i] += goal.shift
    if not is_semidefinite(matrix):
        raise Rejected("the matrix of second derivatives, shifted, has a negative eigenvalue")


def _derived(context: Context, goal: Bend) -> dict[tuple[int, int], fmpq]:
    """The second derivatives by differentiation, where powers cancel."""
    entries = {}
    for place, node in hessian(context.table, goal.root, goal.own).items():
        value = constant(context, node)
        if value is None:
            raise Rejected("a second derivative is not a number")
        entries[place] = value
    return entries


def constant(context: Context, node: int) -> fmpq | None:
    """The value of a node that is a number, as a polynomial if need be; None if it is none."""
    table = context.table
    variables = sorted(table.variables([node]))
    generators = dict(zip(map(table.var, variables), ring(len(variables)).gens(), strict=False))
    p = polynomial(table, node, generators)
    return None if p is None or not p.is_constant() else _value(p)


def _value(p: fmpq_mpoly) -> fmpq:
    return fmpq(0) if p.is_zero() else p.leading_coefficient()


def check_sum(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """The addends of a sum in groups, each with a goal of its own; what they need adds up to at most the shift."""
    fields = record(proof, {"kind", "parts"})
    table = context.table
    if table.operation[goal.root] != "+":
        raise Rejected("the function is not a sum")
    addends = table.arguments[goal.root]
    left = set(range(len(addends)))
    shifts = fmpq(0)
    for part in sequence(fields["parts"]):
        group = record(part, {"terms", "shift", "proof"})
        places = [position(k, len(addends)) for k in sequence(group["terms"])]
        if not set(places) <= left or len(set(places)) < len(places) or not places:
            raise Rejected("an addend is in two groups, or a group is empty")
        left -= set(places)
        shift = rational(group["shift"])
        shifts += shift
        chosen = [addends[k] for k in places]
        node = chosen[0] if len(chosen) == 1 else table.node("+", tuple(chosen))
        bend(context, node, goal.own, goal.sign, shift, group["proof"])
    if left or shifts > goal.shift:
        raise Rejected("an addend is in no group" if left else "the groups need more than the goal grants")


def check_stronger(context: Context, goal: Bend, proof: dict[str, Any]) -> None:
    """A modulus of strong convexity that is at least what the goal asks for."""
    fields = record(proof, {"kind", "constant", "proof"})
    shift = -rational(fields["constant"])
    if shift > goal.shift:
        raise Rejected("what is proved is not stronger than the claim")
    bend(context, goal.root, goal.own, goal.sign, shift, fields["proof"])


# ---- quadratic forms ------------------------------------------------------------------------


def _coefficients(p: fmpq_mpoly, size: int) -> list[list[fmpq]]:
    """The symmetric matrix M with p = (y, 1) M (y, 1)'."""
    matrix = [[fmpq(0)] * (size + 1) for _ in range(size + 1)]
    for exponents, coefficient in p.to_dict().items():
        places = [k for k, e in enumerate(exponents[:size]) for _ in range(int(e))]
        i, j = (places + [size] * 2)[:2]
        matrix[i][j] += coefficient / 2
        matrix[j][i] += coefficient / 2
    return matrix


def definiteness(p: fmpq_mpoly, size: int) -> tuple[bool, bool]:
    """Whether a polynomial of degree at most 2 is convex, and whether it is concave."""
    rows = [row[:size] for row in _coefficients(p, size)[:size]]
    return is_semidefinite(rows), is_semidefinite([[-entry for entry in row] for row in rows])


def is_nonnegative_quadratic(p: fmpq_mpoly, size: int) -> bool:
    """Whether a polynomial of degree at most 2 is nowhere negative, and so a sum of squares of affine functions."""
    return is_semidefinite(_coefficients(p, size))
