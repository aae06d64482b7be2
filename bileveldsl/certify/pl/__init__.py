"""The Polyak-Lojasiewicz inequality |grad g(y)|^2 / 2 >= mu (g(y) - min g) for all y and all values of the others.

That a minimizer exists for all values of the others is a part of it.
"""

from bileveldsl.certify.pl.penalty import Penalty, penalty, penalty_question
from bileveldsl.certify.pl.prove import is_unconstrained, prove
from bileveldsl.certify.pl.ratio import upper_constant
from bileveldsl.certify.pl.refute import refute

__all__ = ["Penalty", "is_unconstrained", "penalty", "penalty_question", "prove", "refute", "upper_constant"]
