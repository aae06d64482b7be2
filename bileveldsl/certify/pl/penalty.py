"""The penalty function sigma f + g of first-order methods, f the leader's and g the follower's objective."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from bileveldsl.certify import boxes, sos
from bileveldsl.certify.pl.bends import Proof, restated
from bileveldsl.certify.pl.prove import Known, is_unconstrained, prove
from bileveldsl.certify.pl.refute import refute, refute_for_all
from bileveldsl.certify.scalars import Scalar, product, total, variable
from bileveldsl.certify.statement import Question, ScalarVariable

_HALVINGS = 20
_TRIED = (Fraction(1), Fraction(1, 8), Fraction(1, 64))


@dataclass(frozen=True)
class Penalty:
    """What is known of sigma f + g for 0 < sigma <= `sigma`: `mu` if the inequality is proved, None if refuted."""

    sigma: Fraction
    mu: Fraction | None
    proof: Proof


def penalty_question(question: Question, upper: Scalar, sigma: Fraction) -> Question:
    """The question of sigma f + g, sigma being a further variable in [0, sigma] with the number after all others.

    Parameters
    ----------
    question : the follower's objective g
    upper : the leader's objective f, to be minimized
    sigma : the largest weight
    """
    statement = question.statement
    weight = len(statement.variables)
    more = ScalarVariable("sigma", "penalty", 0.0, float(sigma), False)
    root = total([product([variable(weight), upper]), question.root])
    return replace(question, statement=replace(statement, variables=(*statement.variables, more)), root=root)


def penalty(question: Question, upper: Scalar, known: Known | None = None) -> Penalty | None:
    """The inequality for sigma f + g with one constant for all sigma in (0, bound], or a proof that there is none.

    Parameters
    ----------
    question : the follower's objective g
    upper : the leader's objective f, to be minimized
    known : a proof that g is strongly convex, if there is one

    Returns
    -------
    Penalty or None

    Notes
    -----
    With g strongly convex with modulus m and the Hessian of f at least -L I, the bound is the largest power 1/2^k with
    m - L/2^k >= m/2. Otherwise sigma is a variable like those of the leader. It is the assumption (a) of
    Chen, Xu, Zhang (2024), On finding small hyper-gradients in bilevel optimization, Assumption 4.1.
    """
    if not is_unconstrained(question):
        return None
    strong = (known or {}).get("strongly_convex")
    if strong is not None:
        found = _bent(question, upper, strong)
        if found is not None:
            return found
    refuted = refute_for_all(penalty_question(question, upper, _TRIED[0]), len(question.statement.variables))
    if refuted is not None:
        return Penalty(_TRIED[0], None, refuted)
    refuted = refute(penalty_question(question, upper, _TRIED[-1]))
    if refuted is not None:
        return Penalty(_TRIED[-1], None, refuted)
    for sigma in _TRIED:
        proved = prove(penalty_question(question, upper, sigma))
        if proved is not None:
            return Penalty(sigma, *proved)
    return None


def _bent(question: Question, upper: Scalar, strong: tuple[Fraction, Proof]) -> Penalty | None:
    """By strong convexity of g and a lower bound of the Hessian of f."""
    above = replace(question, root=upper)
    L, proof = _least_curvature(above)
    if proof is None:
        return None
    modulus, lower = strong
    sigma = next((Fraction(1, 2**k) for k in range(_HALVINGS) if 2**k * modulus / 2 >= L), None)
    if sigma is None:
        return None
    weight = len(question.statement.variables)
    parts = {"constant": str(modulus), "lower": lower, "L": str(L), "upper": proof}
    written = {"kind": "penalty", "sigma": weight, **parts}
    return Penalty(sigma, modulus - sigma * L, written)


def _least_curvature(question: Question) -> tuple[Fraction, Proof | None]:
    """L >= 0 with the Hessian at least -L I, and the proof."""
    plain = restated(question, {})
    convex = boxes.prove_bend(plain, 1, Fraction(0))
    if convex is not None:
        return Fraction(0), convex
    found = boxes.best_bounds(plain)
    if found.mu is not None and found.mu_proof is not None:
        return max(Fraction(0), -found.mu), found.mu_proof
    squares = sos.best_smoothness(plain)
    return (Fraction(0), None) if squares is None else (squares[0], squares[1]["below"])
