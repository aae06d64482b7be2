"""Strong convexity for each value of the other variables, by a multiplier that is positive, perhaps with infimum 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from bileveldsl.certify import boxes
from bileveldsl.certify.clock import timed
from bileveldsl.certify.scalars import (
    NotDifferentiable,
    Scalar,
    enclose,
    hessian,
    number,
    occurring,
    product,
    topological,
    total,
)  # fmt: skip
from bileveldsl.certify.spectrum import least_rational_eigenvalue
from bileveldsl.certify.statement import Question, written
from bileveldsl.certify.sums import Addends


@timed()
def pointwise(question: Question, parts: Sequence[Addends]) -> dict[str, Any] | None:
    """A proof of strong convexity with a modulus that is a positive function of the other variables.

    The function is `modulus * strong + rest` with `strong` quadratic of modulus 1 and `rest` convex.
    """
    own = frozenset(question.own)
    groups: dict[Scalar, list[Scalar]] = {}
    for addend, _ in parts:
        weight, bent = _split(addend, own)
        if weight.op != "num":
            groups.setdefault(weight, []).append(bent)
    for weight, members in groups.items():
        (range_,) = enclose([weight], question.lo[None], question.hi[None])
        mu = _modulus(total(members), question.own)
        if not range_.positive or mu is None:
            continue
        strong = product([number(1 / mu), total(members)])
        rest = [(a, convex) for a, convex in parts if _split(a, own)[0] is not weight]
        proof = _convex(question, rest)
        if proof is not None:
            return _proof(product([number(mu), weight]), strong, total(a for a, _ in rest), proof)
    return None


def _split(addend: Scalar, own: frozenset[int]) -> tuple[Scalar, Scalar]:
    """An addend as a multiplier without own variables, without a number, times the rest."""
    factors = addend.args if addend.op == "*" else (addend,)
    fixed = [f for f in factors if f.op != "num" and not occurring(f) & own]
    return product(fixed), product(f for f in factors if f not in fixed)


def _modulus(root: Scalar, indices: Sequence[int]) -> Fraction | None:
    """The modulus of a quadratic function, if it is one and strongly convex."""
    try:
        entries = hessian(root, indices)
    except NotDifferentiable:
        return None
    if any(entry.op != "num" for entry in entries.values()):
        return None
    rows = [[Fraction(0)] * len(indices) for _ in indices]
    for (i, j), entry in entries.items():
        rows[i][j] = rows[j][i] = entry.value
    least = least_rational_eigenvalue(rows)
    return Fraction(least) if least > 0 else None


def _convex(question: Question, rest: Sequence[Addends]) -> dict[str, Any] | None:
    if all(convex for _, convex in rest):
        return {"kind": "composition"}
    return boxes.prove_bend(replace(question, root=total(a for a, _ in rest)), 1, 0)


def _proof(modulus: Scalar, strong: Scalar, rest: Scalar, rest_proof: dict[str, Any]) -> dict[str, Any]:
    places = {node: k for k, node in enumerate(topological([modulus, strong, rest]))}
    return {
        "kind": "pointwise",
        "nodes": [written(node, places) for node in places],
        "modulus": places[modulus],
        "strong": places[strong],
        "rest": places[rest],
        "strong_proof": {"kind": "quadratic"},
        "rest_proof": rest_proof,
    }
