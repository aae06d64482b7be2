"""The checker's verdict on proofs of the Polyak-Lojasiewicz inequality and of its refutations."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from asked import context
from flint import fmpq

from bileveldsl.certify.check.goals import PL, pl
from bileveldsl.certify.check.kinds import kind_of
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.statement import Question


def reason_against(asked: Question, mu: Fraction, proof: Any) -> str:
    """Why the checker rejects a proof of the inequality; empty if it accepts it."""
    where, root = context(asked)
    try:
        pl(where, root, asked.own, fmpq(mu.numerator, mu.denominator), json.loads(json.dumps(proof)))
    except Rejected as error:
        return str(error) or "rejected"
    return ""


def reason_against_refutation(asked: Question, proof: Any) -> str:
    where, root = context(asked)
    written = json.loads(json.dumps(proof))
    try:
        kind_of(written, "pl refutation")(where, PL(root, asked.own, fmpq(0)), written)
    except Rejected as error:
        return str(error) or "rejected"
    return ""


def reason_against_upper(asked: Question, constant: Fraction, proof: Any) -> str:
    where, root = context(asked)
    written = json.loads(json.dumps(proof))
    value = fmpq(constant.numerator, constant.denominator)
    try:
        kind_of(written, "pl upper")(where, PL(root, asked.own, fmpq(0)), value, written)
    except Rejected as error:
        return str(error) or "rejected"
    return ""
