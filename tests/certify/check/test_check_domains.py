"""Conditions on the domain: the same ones in other words, and those that the leader's functions bring along."""

from __future__ import annotations

from typing import Any

import pytest
from check_statements import REALS, X, Y, accepts, claim, statement

import bileveldsl as blv
from bileveldsl.certificate import certificate_of
from bileveldsl.certify.lower_level import certify

BOXES = {"x": (X, *REALS), "z": (X, -1, "inf"), "y": (Y, *REALS), "w": (Y, *REALS)}
LOWER = ["+", ["^", "y", 2], ["^", "w", 2]]
QUOTIENT = ["+", ["*", ["^", ["+", "x", ["*", -1, "y"]], 2], ["^", "x", -2]], -1]


def _stated(constraints: Any = (), conditions: Any = (), upper: Any = "x", lower: Any = LOWER) -> dict[str, Any]:
    return statement(BOXES, {"upper.objective": upper, "lower.objective": lower}, constraints, conditions)


def test_a_square_differs_from_0_where_its_base_does() -> None:
    rows = [("c", Y, QUOTIENT, "<= 0"), ("d", X, ["+", "x", "y"], "<= 0")]
    for condition in (["^", "x", 2], ["*", "x", ["^", "x", 3]], "x", ["*", 2, "x"]):
        stated = _stated(rows, [(condition, "!= 0")])
        assert accepts(stated, claim("c")), condition
        assert accepts(stated, claim("d")), condition
    for condition in (["^", ["+", "x", 1], 2], "z", ["+", ["^", "x", 2], "z"]):
        assert not accepts(_stated(rows, [(condition, "!= 0")]), claim("c")), condition
    assert not accepts(_stated(rows), claim("c"))


def test_the_domain_of_an_objective_is_not_made_larger() -> None:
    for condition in ("y", ["^", "y", 2]):
        assert not accepts(_stated((), [(condition, "!= 0")]), claim())
    assert not accepts(_stated((), [("y", "!= 0")], lower=["^", "y", -2]), claim())


@pytest.mark.parametrize(("known", "relation", "root", "holds"), [
    (["+", ["*", 2, "z"], 2], "!= 0", ["+", "z", 1], True), (["+", "z", 1], "!= 0", ["+", 1, "z"], True),
    (["+", ["*", -2, "z"], -2], "!= 0", ["+", "z", 1], True), (["+", ["*", 2, "z"], 3], "!= 0", ["+", "z", 1], False),
    (["+", "z", "x", 1], "!= 0", ["+", "z", 1], False), (["+", ["*", 3, "x"], -3], "> 0", ["+", "x", -1], True),
    (["+", ["*", -3, "x"], 3], "> 0", ["+", "x", -1], False),
])  # fmt: skip
def test_multiples_of_what_a_condition_is_on(known: Any, relation: str, root: Any, holds: bool) -> None:
    objective = ["+", ["*", ["^", "y", 2], ["^", root, -1]], ["^", "w", 2]]
    assert accepts(_stated((), [(known, relation)], lower=objective), claim()) is holds


def test_the_leader_is_judged_where_its_functions_have_a_value() -> None:
    for upper in (["^", ["+", "z", 1], -1], ["*", -1, ["log", ["+", "z", 1]]], ["*", -1, ["^", ["+", "x", 3], "1/2"]]):
        stated = _stated(upper=upper)
        assert accepts(stated, claim("upper.objective")), upper
        assert not accepts(stated, claim("upper.objective", y="all")), upper
        assert not accepts(_stated(lower=["+", upper, LOWER]), claim()), upper
    for upper in (["^", "x", -2], ["^", "x", -1], ["log", ["+", "z", 1]], ["^", ["+", ["^", "x", 2], -1], "1/2"]):
        assert not accepts(_stated(upper=upper), claim("upper.objective")), upper


@pytest.mark.parametrize("upper", ["x^-2 + y", "-abs(x)/x^2 + y", "1/x + y"])
def test_a_pole_is_not_bridged(upper: str) -> None:
    text = f"upper {{ var x in [-1, 1]; minimize {upper} }}; lower {{ var y; minimize (y - x)^2 }}"
    model = blv.loads(text)
    program = model.program()
    facts = certify(program)
    assert not any(f.verdict == "proved" for f in facts if f.of == "upper.objective")
    unchecked = certificate_of(model, program, facts).unchecked
    assert not [u for u in unchecked if u["of"] == "upper.objective" and u["verdict"] != "unknown"]


def test_a_constraint_with_a_pole_is_not_convex() -> None:
    text = "upper {{ var x in [-1, 1]; minimize x }}; lower {{ var y in [{}, 1]; minimize (y - x)^2\n c: y^-2 <= 9 }}"
    for least, verdict in ((-1, "unknown"), (0, "proved")):
        model = blv.loads(text.format(least))
        program = model.program()
        facts = certify(program)
        [fact] = [f for f in facts if f.of == "c" and f.fact == "convex"]
        assert fact.verdict in (verdict, "refuted" if least < 0 else verdict)
        unchecked = certificate_of(model, program, facts).unchecked
        assert not [u for u in unchecked if u["of"] == "c" and u["verdict"] in ("proved", "refuted")]
