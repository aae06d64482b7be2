"""Functions with kinks, or with kinks in their slopes: what is accepted holds, and what is false is rejected."""

from __future__ import annotations

import copy
import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from asked import context, is_accepted, question
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl.certify.boxes import best_bounds
from bileveldsl.certify.check import kink as kinks
from bileveldsl.certify.check.goals import Bend
from bileveldsl.certify.check.kinds import kind_of
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.refuting import kink
from bileveldsl.certify.scalars import evaluate
from bileveldsl.certify.statement import Question
from bileveldsl.certify.steepness import unbounded_curvature

X = "x in [-1, 1]"
ONE_BOX: dict[str, Any] = {"kind": "piecewise", "blocks": [{"rows": [0], "atoms": [], "tree": [0]}]}


@pytest.mark.parametrize(("objective", "y", "mu", "L"), [
    ("huber(y - x)", "y", 0, 1), ("huber(y - 1) + y^2/1000", "y", Fraction(1, 500), Fraction(501, 500)),
    ("huber(y) - huber(y - 1)/2 + y^2", "y", Fraction(3, 2), 3), ("y*abs(y)", "y", None, 2),
    ("y*abs(y) + 3*y^2", "y", 4, 8), ("max(y, 0)^2", "y", 0, 2),
    ("max(y - x, 0)^2 - y^2/10", "y", None, Fraction(9, 5)),
    ("min(y, 0)^2*3 + max(0, y)^2", "y", 2, 6), ("(max(y, 1) - 1)^2 + y^2", "y", 2, 4),
    ("max(1 - y1 - y2, 0)^2 + y1^2 + y2^2", "y1; y2", 2, 6), ("abs(y)^3", "y in [-1, 2]", 0, 12),
    ("max(y, 0)*y + y^2", "y", 2, 4), ("huber(y1 - y2) + y1*y2", "y1; y2", None, 1),
])  # fmt: skip
def test_bounds_of_once_differentiable_functions(
    objective: str, y: str, mu: Fraction | int | None, L: Fraction | int
) -> None:
    asked = question(objective, X, y)
    found = best_bounds(asked)
    assert found.L is not None and found.L_proof is not None and L <= found.L <= Fraction(51, 50) * L
    for side, sign in (("below", 1), ("above", -1)):
        assert is_accepted(asked, found.L_proof[side], sign, found.L)
    less = L - Fraction(1, 10**6)
    assert not all(is_accepted(asked, found.L_proof[side], sign, less) for side, sign in (("below", 1), ("above", -1)))
    if mu is not None:
        assert found.mu is not None and mu >= found.mu >= mu - Fraction(1, 50) * (1 + abs(mu))
        assert is_accepted(asked, found.mu_proof, 1, -found.mu)
        assert not is_accepted(asked, found.mu_proof, 1, -mu - Fraction(1, 10**6))


@pytest.mark.parametrize("objective", [
    "abs(y)", "-abs(y) + y^2", "max(y, 1)^2", "y*abs(y - 1)", "min(y^2, (y - 1)^2)", "max(y, 0)", "max(0, y)*(y - 1)",
    "abs(y)*cos(y)", "max(y, -y)", "sqrt(abs(y) + 1)", "huber(y, x)", "abs(y)^1.5", "exp(-abs(y))", "max(y, 2*y)^2 + y",
])  # fmt: skip
def test_a_jump_in_the_slope_is_not_overlooked(objective: str) -> None:
    asked = question(objective, "x in [-1, 1]")
    for sign in (1, -1):
        assert not is_accepted(asked, ONE_BOX, sign, 10**6)


def test_every_part_of_a_proof_counts() -> None:
    asked = question("min(y, 0)^2*3 + max(0, y)^2")
    proof = best_bounds(asked).mu_proof
    assert is_accepted(asked, proof, 1, -2)
    wrong: list[dict[str, Any]] = [
        {"kind": "cover"}, {"kind": "quadratic"}, {"kind": "composition"}, {"blocks": []}, {"blocks": None},
        {"blocks": [{"rows": [], "atoms": [], "tree": [0]}]}, {"blocks": [{"rows": [0], "atoms": [], "tree": []}]},
        {"blocks": [{"rows": [1], "atoms": [], "tree": [0]}]}, {"further": 1},
    ]  # fmt: skip
    for change in wrong:
        assert not is_accepted(asked, {**copy.deepcopy(proof or {}), **change}, 1, -2), change


_PIECES = ("huber(y - {a})", "max(y - {a}, 0)^2", "abs(y - {a})*(y - {a})", "sin(y)", "(y - {a})^2",
           "huber(2*y + {a}, 0.5)", "min(y, 0)^2*cos({a})", "abs(y + {a})^3")  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([-3, -1, 1, 2]), st.sampled_from(_PIECES), st.integers(-2, 2)),
                min_size=1, max_size=3))  # fmt: skip
def test_slopes_of_random_sums_change_within_the_bounds(parts: list[tuple[int, str, int]]) -> None:
    terms = [f"({c})*({piece.format(a=f'({a})')})" for c, piece, a in parts]
    asked = question(" + ".join(["y^2/3", *terms]), X, "y in [-4, 4]")
    found = best_bounds(asked)
    if found.mu is None or found.L is None:
        return
    assert is_accepted(asked, found.mu_proof, 1, -found.mu)
    points = np.zeros((2000, 2))
    points[:, 1] = np.sort(np.random.default_rng(0).uniform(-4, 4, 2000))
    values = evaluate([asked.root], points)[0]
    slopes = np.diff(values) / np.diff(points[:, 1])
    middles = (points[1:, 1] + points[:-1, 1]) / 2
    gaps = np.diff(middles)
    bends = np.diff(slopes)[gaps > 1e-4] / gaps[gaps > 1e-4]
    assert bends.min() >= float(found.mu) - 1e-3 and np.abs(bends).max() <= float(found.L) + 1e-3


# ---- kinks of the function itself -----------------------------------------------------------


def _kink_is_accepted(asked: Question, proof: Any) -> bool:
    where, root = context(asked)
    try:
        kinks.check(where, Bend(root, asked.own, 1, fmpq(0)), proof)
    except Rejected:
        return False
    return True


@pytest.mark.parametrize(("objective", "y"), [
    ("abs(y - x)", "y"), ("max(abs(y - 1), 2*y)", "y"), ("max(y, 1)^2 + y^2", "y"), ("abs(y1 - y2) + y1^2", "y1; y2"),
    ("min(y^2, (y - 3)^2)", "y"), ("exp(-abs(y))", "y"), ("max(y1, y2, x)", "y1; y2"), ("y + abs(exp(y) - 1)", "y"),
    ("abs(y)*exp(x)", "y in [-1, 1]"), ("max(0, 1 - x*y)", "y"), ("sqrt(abs(y) + 1)", "y"),
])  # fmt: skip
def test_kinks_are_found_and_accepted(objective: str, y: str) -> None:
    asked = question(objective, X, y)
    proof = kink(asked)
    assert proof is not None and _kink_is_accepted(asked, proof)
    first = sorted(proof["point"])[-1]
    elsewhere = {**proof["point"], first: str(Fraction(proof["point"][first]) + Fraction(1, 97))}
    wrong: list[dict[str, Any]] = [
        {"direction": {}}, {"direction": {"0": "1"}}, {"point": {}}, {"direction": {"9": "1"}}, {"point": None},
        {"point": elsewhere}, {"more": 1},
    ]  # fmt: skip
    for change in wrong:
        assert not _kink_is_accepted(asked, {**proof, **change}), change


@pytest.mark.parametrize("objective", [
    "abs(y)^3", "max(y, 0)^2", "y*abs(y)", "huber(y)", "y^2", "max(y, y)", "max(y, -y) - abs(y) + y",
    "max(y, 2*y) - max(0, y)", "max(abs(y) - 1, 0)^2",
])  # fmt: skip
def test_no_kink_where_there_is_none(objective: str) -> None:
    asked = question(objective, X, "y in [-2, 2]")
    assert kink(asked) is None
    for x, at in itertools.product(("0", "1/2"), ("0", "1", "-1", "1/2", "2", "-2")):
        proof = {"kind": "kink", "point": {"0": x, "1": at}, "direction": {"1": "1"}}
        assert not _kink_is_accepted(asked, proof)


def test_an_end_of_the_bounds_is_no_kink() -> None:
    asked = question("abs(y)", X, "y >= 0")
    assert kink(asked) is None
    assert not _kink_is_accepted(asked, {"kind": "kink", "point": {"0": "0", "1": "0"}, "direction": {"1": "1"}})


# ---- second derivatives that grow -----------------------------------------------------------


def _is_steep(asked: Question, proof: Any) -> bool:
    where, root = context(asked)
    try:
        kind_of(proof, "smooth refutation")(where, Bend(root, asked.own, 1, fmpq(0)), proof)
    except Rejected:
        return False
    return True


@pytest.mark.parametrize(("objective", "x", "y", "field"), [
    ("sin(x)*y^2 + y^4", "x in [-3, 3]", "y", ""), ("(x + y1 - sin(y2))^2", "x", "y1; y2", ""),
    ("exp(y)", "x", "y", ""),
    ("y^2*sin(y)", "x", "y", "turn"), ("x^2*cos(2*y)", "x", "y", ""), ("y*log(y)", "x", "y in [0, 4]", "toward"),
    ("sqrt(y1^2 + y2^2)", "x", "y1; y2", "toward"), ("y^1.5", "x", "y in [0, 4]", "toward"),
    ("abs(y - x)^1.5", "x", "y", "toward"), ("abs(y)^3 + y^2", "x", "y", ""), ("1/y", "x", "y in [0, 1]", "toward"),
    ("y*log(y) + (1 - y)*log(1 - y)", "x", "y in [0, 1]", "toward"), ("max(y, 0)^3", "x", "y", ""),
])  # fmt: skip
def test_growth_of_all_kinds_is_found_and_accepted(objective: str, x: str, y: str, field: str) -> None:
    asked = question(objective, x, y)
    proof = unbounded_curvature(asked)
    assert proof is not None and (not field or field in proof) and _is_steep(asked, proof)
    wrong: list[dict[str, Any]] = [{"direction": {}}, {"direction": {"0": "1"}}, {"point": {"0": "0"}}, {"more": 1}]
    wrong += [{"turn": 1}, {"toward": None}, {"ray": None}, {"ray": {}, "toward": {}}, {"toward": {"0": "x"}}]
    for change in wrong:
        assert not _is_steep(asked, {**proof, **change}), change
    if field:
        assert not _is_steep(asked, {k: v for k, v in proof.items() if k != field})


@pytest.mark.parametrize(("objective", "y", "proof"), [
    ("y^2*sin(y)", "y", {"ray": {"1": "1"}, "turn": "0", "direction": {"1": "0"}}),
    ("sin(y)", "y", {"ray": {"1": "1"}, "turn": "1"}), ("y*sin(y/2)", "y", {"ray": {"1": "1"}, "turn": "1"}),
    ("y^1.5", "y in [0, 4]", {"ray": {}, "toward": {"1": "-1"}}), ("y^3", "y", {"ray": {}, "toward": {"1": "1"}}),
    ("y^1.5", "y in [1, 4]", {"ray": {}, "toward": {"1": "1"}}), ("y^2.5", "y >= 0", {"ray": {}, "toward": {"1": "1"}}),
    ("abs(y)^3", "y", {"ray": {}, "toward": {"1": "1"}}), ("1/y", "y in [0, 1]", {"ray": {"1": "1"}}),
    ("y^1.5", "y in [0, 4]", {"ray": {"1": "1"}, "toward": {"1": "1"}}), ("log(1 + exp(y))", "y", {"ray": {"1": "1"}}),
])  # fmt: skip
def test_growth_that_is_not_there(objective: str, y: str, proof: dict[str, Any]) -> None:
    asked = question(objective, X, y)
    at = "1" if "[1" in y else "0"
    for start in (at, "1"):
        full = {"kind": "steep", "point": {"0": "0", "1": start}, "direction": {"1": "1"}, **proof}
        assert not _is_steep(asked, full)
