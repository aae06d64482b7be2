"""Ranges where variables are far out: they hold every value, and are bounded where the function is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from asked import context, is_accepted, question
from flint import fmpq

from bileveldsl.certify.boxes import best_bounds
from bileveldsl.certify.boxes.tails import enclose_tails
from bileveldsl.certify.check.enclosures import enclose
from bileveldsl.certify.check.ranges import INF, Range
from bileveldsl.certify.check.tails import Tails
from bileveldsl.certify.scalars import enclose as enclose_floats
from bileveldsl.certify.scalars import evaluate

X = "x in [-1, 1]"
FALLING = [
    "y^4*exp(-y^2)", "y^3*exp(-y)", "y*sin(y)/(1 + y^2)", "(y - x)^2*exp(-(y - x)^2/3)", "log(1 + exp(y))*exp(-y^2)",
    "softplus(y)*exp(-2*y)", "y^6*exp(-(1 + x^2)*y^2)", "y/(1 + exp(y))", "y^2*sigmoid(-y)", "y^2*(1 - sigmoid(y))",
    "y^3*(1 - tanh(y)^2)", "log(1 + y^2)/y", "exp(2*y)/(1 + exp(y))^2", "y^2*exp(3*y - y^2)", "(y^2 + y)/(1 + y^2)",
    "sqrt(1 + y^2)/(2 + y)", "y^2*exp(-y^2)*cosh(y)", "abs(y)^2.5*exp(-abs(y))", "log(exp(y) + 2)/y^2",
    "y^2*exp(-(2 + x)*y) + 3", "(y + 1)^3/(y^3 + y)", "exp(-y)*sinh(y)", "tanh(y) + 1/y", "exp(1/y)*y/(1 + y)",
]  # fmt: skip
RISING = ["y^2", "exp(y)*x", "y*sin(y)", "softplus(y)", "log(y)*x", "exp(y^2)/y^9", "exp(y - x*y)", "y^2*exp(-x*y)"]


def _values(text: str, least: float, side: int) -> tuple[Any, np.ndarray]:
    """The question, with values at points that reach far out."""
    asked = question(text, X, "y")
    sizes = least * np.concatenate([[1.0], np.linspace(1, 4, 300), np.geomspace(1, 1e6, 300)])
    points = np.array([[x, side * t] for x, t in itertools.product((-1, -0.3, 0, 1), sizes)])
    values = evaluate([asked.root], points)[0]
    return asked, values[np.isfinite(values)]


@pytest.mark.parametrize("text", [*FALLING, *RISING])
def test_ranges_hold_all_values(text: str) -> None:
    for least, side in ((1.5, 1), (3.0, 1), (10.0, 1), (3.0, -1)):
        if side < 0 and text.startswith(("log(y)", "y/(1", "exp(1/y)*y", "sqrt(1 + y^2)", "(y + 1)^3", "log(exp")):
            continue
        asked, values = _values(text, least, side)
        where, root = context(asked)
        ends = Range(fmpq(int(2 * least), 2), INF) if side > 0 else Range(-INF, fmpq(int(-2 * least), 2))
        box = {0: Range(fmpq(-1), fmpq(1)), 1: ends}
        [found] = Tails(where.table, [root], {})(box, enclose(where.table, [root], box))
        low, high = _float(found.lo), _float(found.hi)
        lo, hi = np.array([[-1.0, least if side > 0 else -np.inf]]), np.array([[1.0, np.inf if side > 0 else -least]])
        [floats] = enclose_tails([asked.root], enclose_floats([asked.root], lo, hi), lo, hi)
        for a, b in ((low, high), (floats.least, floats.greatest)):
            assert a - 1e-9 * (1 + abs(a)) <= values.min() and values.max() <= b + 1e-9 * (1 + abs(b)), (least, side)
        if text in FALLING and side > 0 and least > 9:
            assert math.isfinite(low) and math.isfinite(high) and math.isfinite(floats.least + floats.greatest)


def _float(x: Any) -> float:
    return x if isinstance(x, float) else int(x.p) / int(x.q)


def test_bounds_are_those_at_the_maximum() -> None:
    """t^4 exp(-t^2) is greatest at t = 2^(1/2), with 4 exp(-2); beyond, at the end."""
    for least, most in ((1, 4 * math.exp(-2)), (3, 81 * math.exp(-9))):
        where, root = context(question("y^4*exp(-y^2)", X, "y"))
        box = {1: Range(fmpq(least), INF)}
        [found] = Tails(where.table, [root], {})(box, enclose(where.table, [root], box))
        assert most * (1 - 1e-12) <= _float(found.hi) <= most * (1 + 1e-12) and found.lo == 0


@pytest.mark.parametrize(("objective", "y", "L"), [
    ("y^2*exp(-y^2)", "y", 2.0), ("y^2/2 + 20*exp(-(y - 9)^2)", "y", 39.0), ("exp(-(y - x)^2)", "y", 2.0),
    ("tanh(y)*y", "y", 2.0), ("y/(1 + exp(-y))", "y", 0.5), ("y*exp(-y)", "y >= 0", 2.0),
    ("1/(1 + (y - x)^2)", "y", 2.0), ("exp(-y)*y^2 + y^2", "y >= 0", 4.0),
])  # fmt: skip
def test_smoothness_on_the_whole_line(objective: str, y: str, L: float) -> None:
    asked = question(objective, X, y)
    found = best_bounds(asked)
    assert found.L is not None and found.L_proof is not None and L <= found.L <= 1.05 * L
    sides: Sequence[tuple[str, int]] = (("below", 1), ("above", -1))
    assert all(is_accepted(asked, found.L_proof[side], sign, found.L) for side, sign in sides)
    less = Fraction(9, 10) * found.L
    assert not all(is_accepted(asked, found.L_proof[side], sign, less) for side, sign in sides)


@pytest.mark.parametrize(("objective", "shift"), [
    ("y^4*exp(-y^2)*y^2 + y^3", 1000), ("exp(y)", 1000), ("y^2*sin(y)", 1000), ("log(1 + exp(y))*y^2", 1000),
    ("exp(-x*y)*y^2", 1000), ("y^3/(1 + y^2)*y", 1),
])  # fmt: skip
def test_what_is_not_bounded_is_not_shown_to_be(objective: str, shift: int) -> None:
    asked = question(objective, X, "y")
    for tree in ([0], [[1, "0"], 0, 0], [[1, "8"], [1, "-8"], 0, 0, 0]):
        proof = {"kind": "cover", "blocks": [{"rows": [0], "atoms": [], "tree": tree}]}
        assert not all(is_accepted(asked, proof, sign, shift) for sign in (1, -1))
