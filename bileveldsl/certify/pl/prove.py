"""The Polyak-Lojasiewicz inequality proved: rules are tried from the cheapest on."""

from __future__ import annotations

from collections.abc import Mapping

from bileveldsl.certify.clock import share, timed, until
from bileveldsl.certify.pl.exterior import core_exterior_rule
from bileveldsl.certify.pl.minimizer import minimizer_rule
from bileveldsl.certify.pl.reductions import reduction
from bileveldsl.certify.pl.rules import (
    Proved,
    least_squares_rule,
    product_rule,
    separable_rule,
    singular_rule,
    strong_rule,
)  # fmt: skip
from bileveldsl.certify.pl.search import worst_pair
from bileveldsl.certify.scalars import NotDifferentiable, occurring
from bileveldsl.certify.statement import Question, text

_PART = 0.4  # of the time that is left, for one of the rules that may take long
Known = Mapping[str, Proved]
"""Facts proved before, by name, such as "strongly_convex", with their constants and proofs."""


@timed()
def prove(question: Question, known: Known | None = None) -> Proved | None:
    """A constant mu > 0 with |grad g|^2 / 2 >= mu (g - min g) for all own y and all other variables in their boxes.

    That there are minimizers is part of the claim.

    Parameters
    ----------
    question : the function g, its own variables y and the boxes of the others
    known : a proof of strong convexity, if there is one

    Returns
    -------
    mu and its proof, or None

    References
    ----------
    Karimi, Nutini, Schmidt (2016), Linear convergence of gradient methods under the Polyak-Lojasiewicz condition.
    """
    if not question.own or not is_unconstrained(question):
        return None
    strong = (known or {}).get("strongly_convex")
    if strong is not None:
        return strong[0], {"kind": "strong", "proof": strong[1]}
    try:
        return _prove(question)
    except NotDifferentiable:
        return None


def is_unconstrained(question: Question) -> bool:
    """Whether own variables may take any values, the function being defined and unconstrained at all of them."""
    return question.everything and not any(occurring(c.root) & set(question.own) for c in question.constraints)


def _prove(question: Question) -> Proved | None:
    if not set(question.own) <= occurring(question.root) and not set(question.own) & occurring(question.root):
        return None
    for rule in (product_rule, separable_rule):
        found = rule(question, _prove)
        if found is not None:
            return found
    found = singular_rule(question)
    if found is not None:
        return found
    reduced = reduction(question)
    if reduced is not None:
        inner = _prove(reduced.question)
        if inner is not None:
            constants = {"norm": text(reduced.norm), "constant": text(inner[0])}
            return inner[0] / reduced.norm, reduced.wrap(inner[1]) | constants
    for simple in (least_squares_rule, strong_rule):
        with until(share(_PART)):
            found = simple(question)
            if found is not None:
                return found
    pair = worst_pair(question)
    if pair is None:
        return None
    with until(share(_PART)):
        found = minimizer_rule(question, pair)
        if found is not None:
            return found
    return core_exterior_rule(question, pair)
