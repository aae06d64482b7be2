"""Curvature that vanishes along a ray: what is accepted holds, and what only looks like it is rejected."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from asked import context, is_refuted, question
from flint import fmpq

from bileveldsl.certify.check.rates import growth
from bileveldsl.certify.check.terms import Rejected, Table
from bileveldsl.certify.refuting import vanishing
from bileveldsl.certify.refuting.growth import growths
from bileveldsl.certify.scalars import substitute, variable
from bileveldsl.certify.statement import Question

STRONG = "strongly_convex"


def ray(along: dict[str, str], direction: dict[str, str], point: dict[str, str] | None = None) -> dict[str, Any]:
    return {"kind": "vanishing", "point": point or {"0": "0", "1": "0"}, "ray": along, "direction": direction}


@pytest.mark.parametrize(("objective", "x", "y", "constraints"), [
    ("exp(y)", "x", "y", ""), ("exp(x)*y^2 + x*y", "x", "y", ""), ("softplus(y)", "x", "y", ""),
    ("log(1 + exp(y))", "x", "y", ""), ("sqrt(1 + y^2)", "x", "y", ""), ("log(exp(y1) + exp(y2))", "x", "y1; y2", ""),
    ("y^2/(1 + x^2)", "x", "y", ""), ("y1^2/y2", "x", "y1; y2 >= 0.5", ""), ("1/y", "x", "y >= 0.5", ""),
    ("exp(y1) + y2^2", "x", "y1; y2", "c: y1 + y2 <= 3"), ("-log(y) + x", "x", "y >= 0.5", ""),
    ("y^2*sigmoid(x)", "x", "y", ""),
])  # fmt: skip
def test_vanishing_curvature_is_found_and_accepted(objective: str, x: str, y: str, constraints: str) -> None:
    asked = question(objective, x, y, constraints)
    proof = vanishing(asked)
    assert proof is not None and is_refuted(asked, proof, STRONG)
    assert not is_refuted(asked, proof, "convex")
    for key in ("point", "ray", "direction"):
        changed = copy.deepcopy(proof)
        changed[key] = {}
        assert not is_refuted(asked, changed, STRONG)
    turned = copy.deepcopy(proof)
    turned["ray"] = {k: v.removeprefix("-") if v.startswith("-") else f"-{v}" for k, v in proof["ray"].items()}
    if objective in ("exp(y)", "exp(x)*y^2 + x*y", "1/y", "y^2*sigmoid(x)"):
        assert not is_refuted(asked, turned, STRONG)


@pytest.mark.parametrize(("objective", "x", "y", "constraints"), [
    ("y^2 + exp(y)", "x", "y", ""), ("y^2 + sqrt(1 + y^2)", "x", "y", ""), ("exp(y)", "x", "y >= -20", ""),
    ("exp(y)", "x", "y", "c: y >= -20"), ("exp(y)", "x", "y", "c: y >= x; d: x >= -3"),
    ("y^2*(1 + exp(x))", "x", "y", ""), ("exp(y)", "x", "y", "c: y^3 >= -100"),
    ("exp(y) + 0*log(100 + y)", "x", "y", ""),
    ("y^4 + y^2", "x", "y", ""), ("y^2*(2 + sin(x))", "x", "y", ""), ("cosh(y)", "x", "y", ""),
])  # fmt: skip
def test_what_does_not_vanish_is_not_found(objective: str, x: str, y: str, constraints: str) -> None:
    assert vanishing(question(objective, x, y, constraints)) is None


@pytest.mark.parametrize(("objective", "proof"), [
    ("y^2 + exp(y)", ray({"1": "-1"}, {"1": "1"})), ("y^2*(2 + sin(x))", ray({"0": "1"}, {"1": "1"})),
    ("exp(y)", ray({"1": "1"}, {"1": "1"})), ("exp(y)", ray({}, {"1": "1"})), ("exp(y)", ray({"1": "-1"}, {"0": "1"})),
    ("exp(y)", ray({"1": "-1"}, {"1": "0"})), ("exp(y)", ray({"1": "-1"}, {"1": "1"}, {"1": "0"})),
    ("exp(y)", ray({"9": "-1"}, {"1": "1"})), ("exp(y)", ray({"1": "-1"}, {"9": "1"})),
    ("exp(y)", {**ray({"1": "-1"}, {"1": "1"}), "more": 0}), ("exp(y)", {**ray({"1": "-1"}, {"1": "1"}), "ray": []}),
    ("abs(y)", ray({"0": "1"}, {"1": "1"})),
])  # fmt: skip
def test_other_rays_are_rejected(objective: str, proof: dict[str, Any]) -> None:
    assert not is_refuted(question(objective), proof, STRONG)


def test_a_ray_stays_within_bounds_constraints_and_conditions() -> None:
    down = ray({"1": "-1"}, {"1": "1"})
    assert is_refuted(question("exp(y)"), down, STRONG)
    assert not is_refuted(question("exp(y)", "x", "y >= -100"), down, STRONG)
    assert not is_refuted(question("exp(y)", "x", "y", "c: y >= -100"), down, STRONG)
    assert not is_refuted(question("exp(y)", "x", "y", "c: y^3 >= -100"), down, STRONG)
    assert not is_refuted(question("exp(y) + 0*log(100 + y)", "x", "y"), down, STRONG)
    assert not is_refuted(question("exp(y)", "x", "y", "c: y + exp(y) == 1"), down, STRONG)
    outside = ray({"1": "-1"}, {"1": "1"}, {"0": "5", "1": "0"})
    assert not is_refuted(question("exp(y)", "x in [0, 1]"), outside, STRONG)


def test_a_difference_of_equal_growth_hides_what_is_left() -> None:
    # (t + sqrt t) - t grows: degree 1 with factor 0 says nothing.
    table = Table()
    t = table.var(0)
    left = table.add([table.add([t, table.power(t, fmpq(1, 2))]), table.mul([table.num(-1), t])])
    found = growth(table, left, 0)
    assert found.degree == 1 and not found.tends_to_at_most_zero
    asked = question("y^2*(sqrt(x^2 + x + 1) - x)/2", "x >= 0", "y")  # tends to y^2/4
    assert not is_refuted(asked, ray({"0": "1"}, {"1": "1"}), STRONG) and vanishing(asked) is None


@pytest.mark.parametrize(("text", "degree"), [
    ("y^3 - y", 3), ("1/(1 + y^2)", -2), ("sqrt(1 + y^2)/(1 + y)", 0), ("exp(-y)*y^5", -float("inf")),
    ("exp(y) - y^9", float("inf")), ("sin(y)/y", -1), ("atan(y)*y", 1), ("softplus(y) + softplus(-y)", 1),
    ("sigmoid(-y)*y^2", -float("inf")), ("tanh(y)^2", 0), ("abs(-y)", 1), ("cosh(y)^(-1)", -float("inf")),
])  # fmt: skip
def test_degrees(text: str, degree: float) -> None:
    asked = question(text, "x", "y >= 1")
    (found,) = growths(substitute([asked.root], {variable(1): variable(2)}))
    assert found is not None and float(found.degree) == degree
    where, root = context(asked)
    table = where.table
    [node] = table.substituted([root], {table.var(1): table.var(2)})
    assert float_of(growth(table, node, 2).degree) == degree


def float_of(value: Any) -> float:
    return value if isinstance(value, float) else int(value.p) / int(value.q)


@pytest.mark.parametrize(
    "text", ["sinh(y)*exp(-y)", "exp(y) - exp(2*y)", "log(y)", "exp(y)*sin(y)", "1/sin(y)", "y^x", "max(y, exp(y))"]
)
def test_what_is_not_known_is_not_guessed(text: str) -> None:
    asked: Question = question(text, "x in [1, 2]", "y >= 1")
    values = {variable(1): variable(2), variable(0): variable(2)}
    assert growths(substitute([asked.root], values)) == [None]
    where, root = context(asked)
    table = where.table
    [node] = table.substituted([root], {table.var(k): table.var(2) for k in (0, 1)})
    with pytest.raises(Rejected):
        growth(table, node, 2)
