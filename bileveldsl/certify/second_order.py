"""Bounds of the Hessian of a scalar function in some of its variables, each with its proof."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.certify import boxes, refuting, sos, sums
from bileveldsl.certify.clock import share, timed, until
from bileveldsl.certify.interval import Interval, round_down, round_up
from bileveldsl.certify.pointwise import pointwise
from bileveldsl.certify.scalars import Matrix, NotDifferentiable, hessian
from bileveldsl.certify.spectrum import least_eigenvalue, least_rational_eigenvalue
from bileveldsl.certify.statement import Question
from bileveldsl.certify.steepness import unbounded_curvature

Proof = dict[str, Any]
_EXACT_SIZE = 10
_LARGEST = 1500  # variables of a constant Hessian
_PART = 0.5  # of the time that is left, for one way among several
_CLOSE = 0.05  # of what is seen at points: a bound this close is not improved by sums of squares


@dataclass(frozen=True)
class Bound:
    """A float on the safe side of what is proved, and the proof, or None where it has no form that can be written."""

    value: float
    proof: Proof | None


@dataclass(frozen=True)
class Bends:
    """How a function bends: `mu <= inf of the least eigenvalue <= mu_upper`, `L_lower <= sup |eigenvalue| <= L`.

    `refuted` is the proof that it is not convex, `vanishing` that no mu > 0 and `steep` that no L holds everywhere,
    `pointwise` that there is a mu > 0 for each value of the other variables.
    What was not proved is None; `rule` says where mu comes from.
    """

    mu: Bound | None = None
    mu_upper: Bound | None = None
    L: Bound | None = None
    L_lower: Bound | None = None
    refuted: Proof | None = None
    vanishing: Proof | None = None
    steep: Proof | None = None
    pointwise: Proof | None = None
    rule: str = "hessian"


@timed(Bends())
def second_order(question: Question, convex: bool, parts: Sequence[sums.Addends] | None) -> Bends:
    """Everything that second derivatives tell of a function.

    Parameters
    ----------
    question
        The function, and where it is asked about.
    convex
        Whether it is known to be convex.
    parts
        Its addends, each with whether it is convex by itself.
    """
    try:
        matrix = hessian(question.root, question.own)
    except NotDifferentiable:
        return _with_kinks(question, convex, parts)
    if all(entry.op == "num" for entry in matrix.values()):
        found = _constant(matrix, len(question.own))
        convex |= found.mu is not None and found.mu.value >= 0
        return _seen(found if convex else replace(found, refuted=refuting.refute_convex(question)), question)
    found = Bends()
    with until(share(_PART)):
        found = found if convex else Bends(refuted=refuting.refute_convex(question))
    with until(share(_PART)):
        found = _by_boxes(found, question)
    with until(share(_PART)):
        found = _seen(found, question)
    if found.L is None:
        found = replace(found, steep=unbounded_curvature(question))
    if found.refuted is not None or (_is_close(found) and (convex or found.mu is not None)):
        return found
    found = _by_sum(found, question, parts)
    if not (_is_close(found) and (convex or found.mu is not None)):
        with until(share(_PART)):
            better = sos.best_modulus(question)
            found = found if better is None else _with_modulus(found, *better, "sums of squares")
    if found.mu is None or found.mu.value <= 0:
        by_point = pointwise(question, parts) if parts else None
        found = replace(found, vanishing=refuting.vanishing(question), pointwise=by_point)
    return found


def lipschitz(question: Question) -> Bound | None:
    """A constant with which the gradient changes at most, by a constant Hessian or over boxes, proved on two sides."""
    try:
        matrix = hessian(question.root, question.own)
    except NotDifferentiable:
        return _by_boxes(Bends(), question).L
    if all(entry.op == "num" for entry in matrix.values()):
        return _constant(matrix, len(question.own)).L
    return _by_boxes(Bends(), question).L


def _with_kinks(question: Question, convex: bool, parts: Sequence[sums.Addends] | None) -> Bends:
    """What the second derivatives on each side of kinks tell, and kinks themselves."""
    found = Bends()
    with until(share(_PART)):
        found = _by_boxes(found, question)
    found = _by_sum(found, question, parts)
    with until(share(_PART)):
        found = _seen(found, question)
    if not convex and (found.mu is None or found.mu.value < 0):
        found = replace(found, refuted=refuting.refute_convex(question))
    if found.L is None:
        found = replace(found, steep=refuting.kink(question) or unbounded_curvature(question))
    if not _is_close(found):
        found = replace(found, vanishing=refuting.vanishing(question))
    return found


def _is_close(found: Bends) -> bool:
    """Whether a better modulus is not worth looking for: the bound is near what is seen, or the infimum near zero."""
    if found.mu_upper is None:
        return False
    seen = found.mu_upper.value
    return seen <= 0 or (found.mu is not None and found.mu.value >= (1 - _CLOSE) * seen)


def _constant(matrix: Matrix, size: int) -> Bends:
    """Of a Hessian of numbers: exact elimination for few variables, a verified factorization for more."""
    proof: Proof = {"kind": "quadratic"}
    places = {k: place for place, k in enumerate(sorted({k for pair in matrix for k in pair}))}
    if len(places) > _LARGEST:
        return Bends(rule="quadratic")
    entries = {(places[i], places[j]): entry.value for (i, j), entry in matrix.items()}
    rest = 0.0 if len(places) < size else math.inf  # the eigenvalue of rows that hold nothing
    least = min(_least(entries, len(places)), rest)
    greatest = max(-_least({pair: -value for pair, value in entries.items()}, len(places)), -rest)
    size_bound = max(greatest, -least, 0.0)
    two_sided = {"kind": "two-sided", "below": proof, "above": proof}
    return Bends(
        Bound(least, proof) if math.isfinite(least) else None,
        mu_upper=Bound(0.0, None) if rest == 0 else None,
        L=Bound(size_bound, two_sided) if math.isfinite(size_bound) else None,
        rule="quadratic",
    )


def _least(entries: Mapping[tuple[int, int], Fraction], size: int) -> float:
    """A lower bound of the eigenvalues of a symmetric matrix given by its upper triangle; inf where it is empty."""
    if not size:
        return math.inf
    if size <= _EXACT_SIZE:
        rows = [[entries.get((min(i, j), max(i, j)), Fraction(0)) for j in range(size)] for i in range(size)]
        return least_rational_eigenvalue(rows)
    low, high = np.zeros((2, 1, size, size))
    for (i, j), value in entries.items():
        low[0, i, j] = low[0, j, i] = round_down(value)
        high[0, i, j] = high[0, j, i] = round_up(value)
    return float(least_eigenvalue(Interval.of(low, high))[0])


def _by_boxes(found: Bends, question: Question) -> Bends:
    bounds = boxes.best_bounds(question)
    mu = None if bounds.mu is None else _safe(bounds.mu, bounds.mu_proof, round_down)
    L = None if bounds.L is None else _safe(bounds.L, bounds.L_proof, round_up)
    return replace(found, mu=mu, L=L)


def _by_sum(found: Bends, question: Question, parts: Sequence[sums.Addends] | None) -> Bends:
    if not parts or len(parts) < 2:
        return found
    better = sums.modulus(question, parts)
    return found if better is None else _with_modulus(found, *better, "sum")


def _with_modulus(found: Bends, mu: Fraction, proof: Proof, rule: str) -> Bends:
    better = _safe(mu, proof, round_down)
    if found.mu is not None and better.value <= found.mu.value:
        return found
    return replace(found, mu=better, rule=rule)


def _safe(value: Fraction, proof: Proof | None, turn: Callable[[Fraction], float]) -> Bound:
    """A float on the safe side of a proved rational, and the proof of the rational marked as the stronger one."""
    near = turn(value)
    return Bound(near, proof if proof is None or Fraction(near) == value else stronger(proof, value))


def stronger(proof: Proof, constant: Fraction) -> Proof:
    """A proof of a better constant than the claimed one."""
    return {"kind": "stronger", "constant": str(constant), "proof": proof}


def _seen(found: Bends, question: Question) -> Bends:
    """With the other sides of the bounds, which hold at single points."""
    upper = refuting.upper_modulus(question, -math.inf if found.mu is None else found.mu.value)
    lower = refuting.lower_smoothness(question, math.inf if found.L is None else found.L.value)
    return replace(
        found,
        mu_upper=found.mu_upper if upper is None else Bound(round_up(upper[0]), upper[1]),
        L_lower=None if lower is None else Bound(round_down(lower[0]), lower[1]),
    )
