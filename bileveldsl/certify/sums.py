"""Sums whose parts are convex for different reasons: some terms give the modulus, the rest need only be convex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from bileveldsl.calculus.expr import Expr
from bileveldsl.certify.boxes import best_bounds
from bileveldsl.certify.clock import timed
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.parts import terms
from bileveldsl.certify.scalars import Matrix, NotDifferentiable, Scalar, hessian, occurring, total
from bileveldsl.certify.scalars.expansion import NotExpanded
from bileveldsl.certify.statement import Question

Addends = tuple[Scalar, bool]


def addends(root: Expr, composition: Composition, question: Question) -> list[Addends] | None:
    """The addends of a question's function, each with whether disciplined composition proves it convex.

    None when they are not those of the expression `root`: terms that are equal were merged, or one cancelled.
    """
    found: list[Addends] = []
    for term in terms(root):
        try:
            scalar: Any = question.statement.write(term)[()]
        except NotExpanded:
            return None
        found += [(each, composition(term).convex) for each in (scalar.args if scalar.op == "+" else (scalar,))]
    found = [each for each in found if each[0].op != "num"]
    whole = question.root
    parts = [a for a in (whole.args if whole.op == "+" else (whole,)) if a.op != "num"]
    same = len(found) == len(parts) and {a for a, _ in found} == set(parts)
    return found if same else None


@timed()
def modulus(question: Question, parts: Sequence[Addends]) -> tuple[Fraction, dict[str, Any]] | None:
    """A modulus of strong convexity by the terms that are quadratic in the own variables, or not convex by themselves.

    The others are convex by composition, so that their kinks and their size do not matter.
    """
    own = frozenset(question.own)
    rest = [a for a, convex in parts if convex and not _is_quadratic(a, question.own, own)]
    core = [a for a, _ in parts if a not in rest]
    if not rest or not core or question.root.op != "+":
        return None
    found = best_bounds(replace(question, root=total(core)), smooth=False)
    if found.mu is None or found.mu <= 0 or found.mu_proof is None:
        return None
    places = {node: k for k, node in enumerate(question.root.args)}
    proof = {
        "kind": "sum",
        "parts": [
            {"terms": sorted(places[a] for a in core), "shift": str(-found.mu), "proof": found.mu_proof},
            {"terms": [k for a, k in places.items() if a not in core], "shift": "0", "proof": {"kind": "composition"}},
        ],
    }
    return found.mu, proof


def _is_quadratic(root: Scalar, indices: Sequence[int], own: frozenset[int]) -> bool:
    try:
        matrix: Matrix = hessian(root, indices)
    except NotDifferentiable:
        return False
    return not occurring(*matrix.values()) & own
