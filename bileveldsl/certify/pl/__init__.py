"""The Polyak-Lojasiewicz inequality |grad g(y)|^2 / 2 >= mu (g(y) - min g) for all y and all values of the others.

That a minimizer exists for all values of the others is a part of it. Where the own variables are bounded, it is
the proximal inequality, which `check.pl_proximal` states.
"""

from bileveldsl.certify.pl.penalty import Penalty, penalty, penalty_question
from bileveldsl.certify.pl.prove import is_unconstrained, prove
from bileveldsl.certify.pl.proximal import Proximal, is_bounded, prove_between_bounds
from bileveldsl.certify.pl.proximal_ratio import upper_between_bounds
from bileveldsl.certify.pl.proximal_refute import refute_between_bounds
from bileveldsl.certify.pl.ratio import upper_constant
from bileveldsl.certify.pl.refute import refute

__all__ = [
    "Penalty",
    "Proximal",
    "is_bounded",
    "is_unconstrained",
    "penalty",
    "penalty_question",
    "prove",
    "prove_between_bounds",
    "refute",
    "refute_between_bounds",
    "upper_between_bounds",
    "upper_constant",
]
