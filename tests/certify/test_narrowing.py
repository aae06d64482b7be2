"""Bounds that follow from linear constraints."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import bileveldsl as blv
from bileveldsl.certify.narrowing import linear, narrow
from bileveldsl.certify.scalars import call, number, product, total, variable
from bileveldsl.certify.statement import statement


def _row(coefficients: dict[int, int], constant: int) -> object:
    return total([*(product([number(a), variable(k)]) for k, a in coefficients.items()), number(constant)])


def test_a_simplex_bounds_its_variables() -> None:
    steps = narrow(
        [("lower", _row({0: 1, 1: 2}, -6), "<= 0")], ["lower", "lower"], np.zeros(2), np.full(2, math.inf)
    )
    assert {(s.variable, s.upper, s.value) for s in steps} == {(0, True, 6.0), (1, True, 3.0)}


def test_the_leader_does_not_bound_the_follower() -> None:
    row = ("upper", _row({0: 1, 1: 1}, -4), "<= 0")
    steps = narrow([row], ["upper", "lower"], np.zeros(2), np.full(2, math.inf))
    assert [(s.variable, s.value) for s in steps] == [(0, 4.0)]


def test_rounding_is_outward() -> None:
    (step,) = narrow([("lower", _row({0: 3}, -1), "<= 0")], ["lower"], np.zeros(1), np.array([math.inf]))
    assert Fraction(step.value) >= Fraction(1, 3) > Fraction(math.nextafter(step.value, 0))


def test_products_are_not_linear() -> None:
    assert linear(product([variable(0), variable(1)])) is None
    assert linear(call("exp", variable(0))) is None
    assert linear(product([number(2), total([variable(0), number(1)])])) == ({0: 2}, 2)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_feasible_point_is_lost(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 4))
    whole = st.integers(-4, 4)
    point = [data.draw(whole) for _ in range(size)]
    rows = []
    for _ in range(data.draw(st.integers(1, 4))):
        a = {k: data.draw(whole) for k in range(size)}
        value = sum(a[k] * point[k] for k in a)
        slack = data.draw(st.integers(0, 3))
        rows.append(("lower", _row(a, -value - slack), "<= 0" if slack else "== 0"))
    lower = np.array([data.draw(st.sampled_from([-math.inf, p - 1.0, float(p)])) for p in point])
    upper = np.array([data.draw(st.sampled_from([math.inf, p + 1.0, float(p)])) for p in point])
    for step in narrow(rows, ["lower"] * size, lower, upper):
        assert (step.value >= point[step.variable]) if step.upper else (step.value <= point[step.variable])


def test_facts_use_what_the_constraints_imply() -> None:
    text = """
    model m
    upper { var x >= 0; minimize x - y; c: x <= 2 }
    lower { var y >= 0; minimize y^3 - x*y; d: y + x <= 5 }
    """
    found = statement(blv.loads(text).program())
    assert found is not None
    assert [v.upper for v in found.variables] == [math.inf, math.inf]
    assert found.box[1].tolist() == [2.0, 5.0]
    assert [step["value"] for step in found.to_json()["narrowing"]] == ["2", "5"]
