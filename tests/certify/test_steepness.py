"""Functions whose second derivatives have no bound, and proofs of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flint import fmpq

import bileveldsl as blv
from bileveldsl.certify.check import steep
from bileveldsl.certify.check.goals import Bend
from bileveldsl.certify.check.reading import read
from bileveldsl.certify.check.region import context_of
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.statement import Question, Statement, statement
from bileveldsl.certify.steepness import unbounded_curvature


def _question(objective: str, own: str = "var y1\nvar y2", other: str = "var x") -> Question:
    text = f"model m\nupper {{ {other}; minimize 0 }}\nlower {{\n{own}\nminimize {objective}\n}}"
    found = statement(blv.loads(text).program())
    assert isinstance(found, Statement)
    return Question(found, found.functions["lower.objective"], found.own("lower"), "lower")


def _check(question: Question, proof: Any) -> None:
    written = question.statement.to_json()
    problem = read({k: v for k, v in written.items() if k != "narrowing"})
    root = problem.functions["lower.objective"]
    context = context_of(problem, question.own, [root])
    steep.check(context, Bend(root, question.own, 1, fmpq(0)), proof)


@pytest.mark.parametrize("objective", ["y1^4 + y2", "y1^2*y2 + y2^2", "x*y1^2", "(y1*y2 - 1)^2", "y1^2 + x^2*y2^2"])
def test_growth_along_a_ray_is_found_and_checked(objective: str) -> None:
    question = _question(objective)
    proof = unbounded_curvature(question)
    assert proof is not None
    _check(question, proof)


@pytest.mark.parametrize(
    ("objective", "own"),
    [
        ("y1^2 + y1*y2", "var y1\nvar y2"),
        ("y1^4 + y2", "var y1 in [-1, 1]\nvar y2"),
        ("sin(y1) + y2^2", "var y1\nvar y2"),
    ],
)
def test_bounded_curvature_is_not_refuted(objective: str, own: str) -> None:
    assert unbounded_curvature(_question(objective, own)) is None


def test_false_proofs_are_refused() -> None:
    question = _question("y1^4 + y2^2", "var y1\nvar y2 >= 0")
    proof = unbounded_curvature(question)
    assert proof is not None
    other: list[dict[str, Any]] = [
        {"ray": {"2": "1"}}, {"ray": {}}, {"ray": {"2": "-1"}}, {"direction": {"2": "1"}}, {"direction": {}},
        {"direction": {"0": "1"}}, {"point": {"0": "1"}}, {"point": {"0": "0", "1": "0", "2": "-1"}},
        {"ray": {"7": "1"}}, {"ray": {"1": 1}}, {"ray": 3},
    ]  # fmt: skip
    for change in other:
        with pytest.raises(Rejected):
            _check(question, {**copy.deepcopy(proof), **change})


def test_a_bounded_side_stops_the_ray() -> None:
    question = _question("y1^4", "var y1 <= 2")
    proof = unbounded_curvature(question)
    assert proof is not None and proof["ray"] == {"1": "-1"}
    with pytest.raises(Rejected, match="leaves the bounds"):
        _check(question, {**proof, "ray": {"1": "1"}})
