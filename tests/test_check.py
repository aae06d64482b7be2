"""`check`: what decides stands with its place, the verdict is in the report, and reasons are told once."""

import json

import pytest

import bileveldsl as blv
from bileveldsl.calculus.expr import apply, argument, leaf
from bileveldsl.certify import lower_level
from bileveldsl.certify.facts import Fact
from bileveldsl.check import check
from bileveldsl.solution import encode

TEXT = """model wave
upper { var x in [0, 2]; minimize (x - 1)^2 + y^2 }
lower { var y; minimize y^2 + x*exp(3*y) }
"""


@pytest.fixture
def undecided(monkeypatch):
    """The prover stops at exp(3*y), with a point where the objective is said to bend down."""

    def certify(program, budget):
        import sympy

        (lower,) = program.lower
        node = apply(sympy.exp(3 * argument(0)), [leaf(lower.symbols[0])])
        why = "it bends down at the point of the witness"
        witness = {"point": {"x": 2.0, "y": 1.0}, "direction": {"y": 1.0}}
        of = "lower.objective"
        return (
            Fact(of, "convex", "refuted", why=why, witness=witness, culprit=node),
            Fact(of, "strongly_convex", "refuted", why="it is not convex", witness=witness, culprit=node),
            Fact(of, "smooth", "proved", 24.0, 23.0, rule="hessian", modulus=None),
            Fact(of, "pl", "unknown", why="no rule applies"),
        )

    monkeypatch.setattr(lower_level, "certify", certify)


def test_what_decides_is_shown_as_it_is_written_with_its_place(undecided):
    found = check(blv.loads(TEXT))
    lines = found.text().splitlines()
    assert "      what decides: exp(3*y)  (<text>:3:33)" in lines
    assert "      it bends down at x = 2, y = 1 in the direction y = 1" in lines
    assert sum("what decides" in line for line in lines) == 1  # not again for the next fact
    culprit = found.facts_json()[0]["culprit"]
    assert (culprit["formula"], culprit["path"]) == ("exp(3*y)", "<text>")
    assert culprit["range"]["start"] == {"line": 3, "column": 33, "offset": TEXT.index("exp(3*y)")}
    assert found.facts_json()[2]["culprit"] is None


def test_the_verdict_is_in_the_report_and_is_json(undecided):
    found = check(blv.loads(TEXT))
    assert found.verdict["class"] == "nonconvex follower, unconstrained"
    (follower,) = found.verdict["followers"]
    assert follower["class"] == found.verdict["class"] and follower["bend"] == "nonconvex"
    assert {"sound", "doubtful", "theorems", "constants", "warnings", "answering", "penalty"} <= follower.keys()
    json.dumps(encode({"facts": found.facts_json(), "verdict": found.verdict}), allow_nan=False)


def test_methods_with_the_same_objection_share_a_line():
    text = TEXT.replace("var y;", "var y in [0, 1]; cap: x + y <= 2;")
    lines = check(blv.loads(text)).text().splitlines()
    (shared,) = [line for line in lines if "has constraint (cap)" in line]
    assert shared.startswith("not ") and shared.count(",") >= 3 and shared.endswith("each accepts none")


def test_a_model_with_errors_has_no_text():
    found = check(blv.loads(TEXT.replace("exp(3*y)", "exp(3*z)")))
    assert found.text() == "" and found.errors and found.facts_json() == []


def test_several_followers_have_a_verdict_each():
    text = TEXT + "lower second { var z in [0, 1]; maximize x*z }"
    found = check(blv.loads(text))
    assert [each["name"] for each in found.verdict["followers"]] == ["lower", "second"]
    assert found.text().count("\nVerdict: ") == 2
