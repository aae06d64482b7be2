"""Bounds of Hessians by sums of squares: convexity, moduli of strong convexity, constants of smoothness."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint

from bileveldsl.certify.clock import timed
from bileveldsl.certify.scalars import NotDifferentiable, Scalar, hessian, topological
from bileveldsl.certify.sos.decomposition import Decomposition, is_sos, largest
from bileveldsl.certify.sos.forms import Form, NotPolynomial, forms
from bileveldsl.certify.statement import Question, written

Found = tuple[Fraction, Decomposition, int]


@timed()
def prove_bend(question: Question, sign: int, shift: Fraction) -> dict[str, Any] | None:
    """A proof that `sign * H + shift * I` is positive semidefinite in the region, H the Hessian in the own variables.

    Parameters
    ----------
    question : whose `root` is a polynomial or rational function of variables and of bounded other nodes
    sign : 1 or -1
    shift : how much of the identity is added

    Returns
    -------
    The proof, or None if none was found; of the form
    ``{"kind": "sos", "nodes": [...], "parts": [{"rows": [0, 2], "indeterminates": [0, 3], "denominators": [[4, 2]],
    "shift": "-1", "power": 0, "sides": [["lower", 0, "1/2"], ["condition", 4]],
    "blocks": [{"multiplier": [0], "basis": [{"0,1,0,1": "1"}], "gram": [["1/4"]]}]}]}``.

    Notes
    -----
    A part speaks of rows of H, positions of own variables, that no entry joins to others; rows in no part are zero.
    With z the `indeterminates` and d the `denominators` (numbers of `nodes`, which are written as in a statement)
    and v one component for each of the rows, the identity of polynomials is
    ``prod(d^e) (1 + |z|^2)^power v'(sign H + shift I)v = sum of blocks``, each e even or d positive; a block is
    the product of the numbered `sides` times ``basis' gram basis``, the exponents of a monomial being those of z and
    then those of v. A side ``["lower", k, c]`` is ``z[k] - c``, ``["upper", k, c]`` is ``c - z[k]`` and
    ``["condition", n]`` is the statement's condition n.
    """

    def solve(form: Form) -> Found | None:
        goal = sign * form.bend + flint.fmpq(shift.numerator, shift.denominator) * form.norm
        inequalities = [side.polynomial for side in form.sides]
        for power in _powers(form):
            found = is_sos(goal * _denominator(form) ** power, inequalities)
            if found is not None:
                return shift, found, power
        return None

    return _proof(question, solve, whole=shift < 0)


@timed()
def best_modulus(question: Question) -> tuple[Fraction, dict[str, Any]] | None:
    """The largest modulus of convexity that is found, in few digits, with the proof of `prove_bend(question, 1, -mu)`.

    It may be 0; None if none of at least 0 is found.
    """
    proof = _proof(question, lambda form: _least(form, 1, Fraction(0)), whole=False)
    if proof is None:
        return None
    whole = sum(len(part["rows"]) for part in proof["parts"]) == len(question.own)
    return max(Fraction(0), -_shift(proof)) if whole else Fraction(0), proof


@timed()
def best_smoothness(question: Question) -> tuple[Fraction, dict[str, Any]] | None:
    """The least constant of smoothness that is found, a short rational, and its two-sided proof."""

    def side(sign: int) -> dict[str, Any] | None:
        return _proof(question, lambda form: None if form.grows else _least(form, sign), whole=False)

    below = side(1)
    above = side(-1) if below is not None else None
    if below is None or above is None:
        return None
    constant = max(Fraction(0), _shift(below), _shift(above))
    return constant, {"kind": "two-sided", "below": below, "above": above}


def _least(form: Form, sign: int, at_most: Fraction | None = None) -> Found | None:
    """The least shift, `at_most` so large, for which a form is found to be nonnegative."""
    wanted = None if at_most is None else -at_most
    for power in _powers(form):
        factor = _denominator(form) ** power
        inequalities = [side.polynomial for side in form.sides]
        found = largest(sign * form.bend * factor, form.norm * factor, inequalities, at_least=wanted)
        if found is not None:
            return -found[0], found[1], power
    return None


def _powers(form: Form) -> range:
    """Which powers of the denominator to try: with bounds, multipliers of higher degree do the same and more."""
    return range(1) if form.sides else range(2)


def _denominator(form: Form) -> flint.fmpq_mpoly:
    """1 plus the sum of squares of the indeterminates (Reznick, "Uniform denominators in Hilbert's problem", 1995)."""
    gens = form.bend.context().gens()
    return sum((z * z for z in gens[: len(form.indeterminates)]), form.bend.context().constant(1))


def _proof(question: Question, solve: Callable[[Form], Found | None], whole: bool) -> dict[str, Any] | None:
    """The parts that `solve` gives put together; None if one is missing, or an own variable where all must be there."""
    try:
        found = forms(question, hessian(question.root, question.own))
    except (NotDifferentiable, NotPolynomial):
        return None
    if whole and sum(len(form.rows) for form in found) < len(question.own):
        return None
    leaves = [leaf for form in found for leaf in (*form.indeterminates, *(base for base, _ in form.denominators))]
    places = {node: k for k, node in enumerate(topological(leaves))}
    parts = []
    for form in found:
        solved = solve(form)
        if solved is None:
            return None
        parts.append(_part(form, places, *solved))
    return {"kind": "sos", "nodes": [written(node, places) for node in places], "parts": parts}


def _part(
    form: Form, places: dict[Scalar, int], shift: Fraction, decomposition: Decomposition, power: int
) -> dict[str, Any]:
    used = sorted({k for block in decomposition.blocks for k in block.factors})
    blocks = decomposition.to_json()
    for block in blocks:
        block["multiplier"] = [used.index(k) for k in block["multiplier"]]
    return {
        "rows": list(form.rows),
        "indeterminates": [places[leaf] for leaf in form.indeterminates],
        "denominators": [[places[base], e] for base, e in form.denominators],
        "shift": str(shift),
        "power": power,
        "sides": [form.sides[k].written for k in used],
        "blocks": blocks,
    }


def _shift(proof: dict[str, Any]) -> Fraction:
    """The shift that all parts of a proof are good for."""
    return max((Fraction(part["shift"]) for part in proof["parts"]), default=Fraction(0))
