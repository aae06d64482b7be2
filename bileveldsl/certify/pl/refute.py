"""The Polyak-Lojasiewicz inequality refuted, with any constant, at some values of the other variables."""

from __future__ import annotations

import math
from dataclasses import replace

from bileveldsl.certify.clock import timed
from bileveldsl.certify.pl.bends import Proof, restated
from bileveldsl.certify.pl.curves import (
    asymptotic_refutation,
    degenerate_refutation,
    open_ray_refutation,
    ray_refutation,
    vanishing_refutation,
)  # fmt: skip
from bileveldsl.certify.pl.places import places
from bileveldsl.certify.pl.prove import is_unconstrained
from bileveldsl.certify.pl.reductions import reduction
from bileveldsl.certify.pl.stationary import (
    Terrain,
    krawczyk_refutation,
    monotone,
    monotone_refutation,
    stationary_refutation,
    written,
)  # fmt: skip
from bileveldsl.certify.scalars import NotDifferentiable, call, number, substitute, variable
from bileveldsl.certify.statement import Question

_OWN = 12
_REFUTATIONS = (
    monotone_refutation, stationary_refutation, krawczyk_refutation, degenerate_refutation, ray_refutation,
    asymptotic_refutation,
)  # fmt: skip


@timed()
def refute(question: Question) -> Proof | None:
    """A proof that the inequality fails with every constant, or that there is no minimizer; None where none is found.

    Parameters
    ----------
    question : the function, its own variables and the boxes of the others

    Returns
    -------
    A proof of one of the kinds "stationary", "krawczyk", "no-stationary", "degenerate", "ray", "asymptotic", or of kind
    "affine" with one of these about a function of fewer variables.
    """
    if not question.own or len(question.own) > _OWN or not is_unconstrained(question):
        return None
    try:
        return _refute(question)
    except NotDifferentiable:
        return None


def _refute(question: Question) -> Proof | None:
    reduced = reduction(question)
    if reduced is not None:
        inner = _refute(reduced.question)
        return inner and reduced.wrap(inner)
    for others in places(question):
        at = {variable(v): number(c) for v, c in others.items()}
        terrain = Terrain(replace(question, root=substitute([question.root], at)[0]))
        for refutation in _REFUTATIONS:
            found = refutation(terrain)
            if found is not None:
                return {**found, "point": written(others)}
        vanishing = vanishing_refutation(question, others)
        if vanishing is not None:
            return vanishing
    return None


@timed()
def refute_for_all(question: Question, weight: int) -> Proof | None:
    """A proof that there is no minimizer for some values of the others, whatever the positive value of one of them."""
    if not question.own or len(question.own) > _OWN or not is_unconstrained(question):
        return None
    growing = {variable(weight): call("exp", variable(weight))}  # any positive number
    for others in places(question):
        kept = {v: c for v, c in others.items() if v != weight}
        try:
            [root] = substitute([question.root], {variable(v): number(c) for v, c in kept.items()})
            found = open_ray_refutation(replace(question, root=root), weight)
            found = found or monotone(restated(question, {weight: (-math.inf, math.inf)}), *substitute([root], growing))
        except NotDifferentiable:
            return None
        if found is not None:
            return {**found, "point": written(kept)}
    return None
