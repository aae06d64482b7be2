"""Questions about the follower of small models, and the checker's verdict on proofs of them."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

from flint import fmpq

import bileveldsl as blv
from bileveldsl.certify.check.goals import Bend, Context, bend
from bileveldsl.certify.check.kinds import kind_of
from bileveldsl.certify.check.reading import read
from bileveldsl.certify.check.region import context_of
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.statement import Question, Statement, statement


def question(objective: str, x: str = "x", y: str = "y", constraints: str = "") -> Question:
    """The follower's objective; variables are declared as in "y1 in [0, 1]; y2", constraints as "c: y1 <= x"."""
    declared = ["\n".join(f"  var {v.strip()}" for v in each.split(";")) for each in (x, y)]
    rows = "\n".join(f"  {c.strip()}" for c in constraints.split(";"))
    upper = f"upper {{\n{declared[0]}\n  minimize 0\n}}"
    lower = f"lower {{\n{declared[1]}\n  minimize {objective}\n{rows}\n}}"
    found = statement(blv.loads(f"model m\n{upper}\n{lower}").program())
    assert isinstance(found, Statement)
    return Question(found, found.functions["lower.objective"], found.own("lower"), "lower")


def context(asked: Question) -> tuple[Context, int]:
    """The checker's view of a question, from its JSON text."""
    problem = read(json.loads(json.dumps(asked.statement.to_json())))
    root = problem.functions["lower.objective"]
    return replace(context_of(problem, asked.own, [root]), level="lower"), root


def is_accepted(asked: Question, proof: Any, sign: int, shift: Fraction | int) -> bool:
    """Whether the checker takes a proof that sign H + shift I is semidefinite."""
    where, root = context(asked)
    value = fmpq(Fraction(shift).numerator, Fraction(shift).denominator)
    try:
        bend(where, root, asked.own, sign, value, json.loads(json.dumps(proof)))
    except Rejected:
        return False
    return True


def is_refuted(asked: Question, proof: Any, fact: str = "convex") -> bool:
    """Whether the checker takes a proof that the objective is not convex (or not strongly convex)."""
    where, root = context(asked)
    written = json.loads(json.dumps(proof))
    try:
        kind_of(written, f"{fact} refutation")(where, Bend(root, asked.own, 1, fmpq(0)), written)
    except Rejected:
        return False
    return True
