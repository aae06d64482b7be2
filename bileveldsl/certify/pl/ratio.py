"""Upper bounds of the constant of the inequality, from pairs of points."""

from __future__ import annotations

import math
from fractions import Fraction

from bileveldsl.certify.clock import timed
from bileveldsl.certify.pl.bends import Proof
from bileveldsl.certify.pl.landscape import shortened
from bileveldsl.certify.pl.prove import is_unconstrained
from bileveldsl.certify.pl.search import Pair, worst_pair
from bileveldsl.certify.scalars import (
    NotDifferentiable,
    balls,
    exact_value,
    gradient,
    number,
    occurring,
    power,
    substitute,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text


@timed()
def upper_constant(question: Question) -> tuple[Fraction, Proof] | None:
    """A constant that no constant of the inequality exceeds: |grad g(p)|^2 / 2 over g(p) - g(q) at two points.

    Parameters
    ----------
    question : the function, its own variables and the boxes of the others

    Returns
    -------
    The constant and its proof of kind "pl-ratio", or None where no such points are found
    """
    if not question.own or not is_unconstrained(question):
        return None
    try:
        pair = worst_pair(question)
        return None if pair is None else _proved(question, pair)
    except NotDifferentiable:
        return None


def _proved(question: Question, pair: Pair) -> tuple[Fraction, Proof] | None:
    others = {v: _within(question, v, float(pair.p[v])) for v in sorted(occurring(question.root) - set(question.own))}
    at = {variable(v): number(c) for v, c in others.items()}
    [root] = substitute([question.root], at)
    steep = total(power(s, 2) for s in gradient(root, question.own))
    p, q = ({v: shortened(float(place[v]), 1e-5) for v in question.own} for place in (pair.p, pair.q))
    slope, high = balls([steep, root], p)
    low = balls([root], q)[0]
    if not (slope.is_finite() and high.is_finite() and low.is_finite() and high > low):
        return None
    bound = float((slope / (2 * (high - low))).upper())
    points = {"point": others, "p": p, "q": q}
    written = {name: {str(v): text(c) for v, c in values.items()} for name, values in points.items()}
    exact = [v for v in (exact_value(steep, p), exact_value(root, p), exact_value(root, q)) if v is not None]
    constant = exact[0] / (2 * (exact[1] - exact[2])) if len(exact) == 3 else _slightly_more(bound)
    return constant, {"kind": "pl-ratio", **written}


def _within(question: Question, index: int, value: float) -> Fraction:
    near = shortened(value)
    low, high = question.lo[index], question.hi[index]
    return Fraction(low) if near < low else Fraction(high) if near > high else near


def _slightly_more(bound: float) -> Fraction:
    """A rational of few digits above a bound that was rounded."""
    unit = Fraction(10) ** (math.floor(math.log10(bound)) - 4) if bound > 0 else Fraction(1, 10**9)
    return (Fraction(bound * (1 + 1e-12)) // unit + 1) * unit
