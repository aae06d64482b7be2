"""Strong convexity with a modulus that depends on the other variables and is positive, if perhaps not bounded away."""

from __future__ import annotations

from typing import Any

from flint import fmpq

from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.goals import Bend, Context, bend
from bileveldsl.certify.check.polynomials import leaves, polynomials, ring
from bileveldsl.certify.check.reading import position, read_nodes, record
from bileveldsl.certify.check.terms import Rejected, Table

_LEAVES = 1_000


def check(context: Context, goal: Bend, proof: Any) -> None:
    """root = modulus * strong + rest, modulus > 0 without own variables, strong with modulus 1, rest convex.

    The proof is {"kind": "pointwise", "nodes": [...], "modulus": i, "strong": j, "rest": k, "strong_proof": P,
    "rest_proof": Q} with its own nodes, written as those of a statement.
    """
    fields = record(proof, {"kind", "nodes", "modulus", "strong", "rest", "strong_proof", "rest_proof"})
    table = context.table
    numbers = read_nodes(table, fields["nodes"], len(context.problem.variables))
    modulus, strong, rest = (numbers[position(fields[n], len(numbers))] for n in ("modulus", "strong", "rest"))
    if table.variables([modulus]) & set(goal.own):
        raise Rejected("the modulus depends on the own variables")
    ranges = enclose(table, [modulus, strong, rest], context.box, context.known)
    if not all(r.defined for r in ranges) or not ranges[0].positive:
        raise Rejected("the modulus may not be positive, or a part not defined")
    total = table.add([table.mul([modulus, strong]), rest])
    if not is_same(table, goal.root, total):
        raise Rejected("the function is not the sum of the parts")
    bend(context, strong, goal.own, 1, fmpq(-1), fields["strong_proof"])
    bend(context, rest, goal.own, 1, fmpq(0), fields["rest_proof"])


def is_same(table: Table, a: int, b: int) -> bool:
    """Whether two nodes are the same polynomial of variables and of other nodes."""
    if a == b:
        return True
    places = leaves(table, [a, b], _LEAVES)
    if places is None:
        return False
    p, q = polynomials(table, [a, b], dict(zip(places, ring(len(places)).gens(), strict=False)))
    return p is not None and q is not None and bool(p == q)
