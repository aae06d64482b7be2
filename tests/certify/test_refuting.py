"""Witnesses against convexity, upper bounds of moduli and lower bounds of smoothness, all exact and feasible."""

from __future__ import annotations

from fractions import Fraction

import pytest
from asked import context, is_accepted, is_refuted, question
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl.certify.boxes import best_bounds, prove_bend
from bileveldsl.certify.check.goals import Bend
from bileveldsl.certify.check.kinds import kind_of
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.refuting import lower_smoothness, refute_convex, upper_modulus
from bileveldsl.certify.refuting.curvature import negative_direction
from bileveldsl.certify.refuting.points import Points
from bileveldsl.certify.scalars import exact_value
from bileveldsl.certify.statement import Question

NOT_CONVEX = [  # objective, x, y, constraints
    ("y^2 + 3*sin(y)^2", "x", "y", ""),
    ("y^3", "x", "y", ""),
    ("y^3", "x", "y >= -1e-9", ""),
    ("-4e-11*y^2 + x", "x", "y", ""),
    ("1e-11*cos(y)", "x", "y", ""),
    ("x*y^2", "x in [-1e-12, 1]", "y", ""),
    ("y1^2 + y2^2 + 2.0000000001*y1*y2", "x", "y1; y2", ""),
    ("(y1 - y2)^2 - 1e-10*y3^2", "x", "y1; y2; y3", ""),
    ("1e10*(y1 - y2)^2 - 1e-10*y1^2", "x", "y1; y2", ""),
    ("y^4 - 1e-8*y^2", "x", "y", ""),
    ("sin(x)*y^2 + y^4", "x in [-3, 3]", "y", ""),
    ("y1*y2", "x", "y1; y2", ""),
    ("y1^2*y2^2 + y3^2", "x", "y1; y2; y3", ""),
    ("y1^4*y2^2 + y1^2*y2^4 - 3*y1^2*y2^2 + 1", "x", "y1; y2", ""),
    ("log(y)", "x", "y >= 0", ""),
    ("exp(-y^2)", "x", "y in [-0.8, 2]", ""),
    ("x*y1^2 + y1*y2", "x in [0, 1]", "y1; y2", ""),
    # Feasible points have to be looked for:
    ("-y1^2", "x in [0, 1]", "y1; y2", "c: y1^2 + y2^2 <= 1e-4; d: y1 >= 0.009"),
    ("y1^3 + y2^2", "x in [0, 9]", "y1; y2", "c: y1 + y2 == x; d: y1 <= -2; e: y2 <= 11"),
    ("y1*y2", "x", "y1; y2; y3", "c: y1 + y2 + y3 == 1; d: y1 - 2*y2 == x; e: y3 >= 5"),
    ("y1*y2 + x", "x in [1, 2]", "y1; y2", "c: y1 + y2 <= 3; d: y1 + y2 >= 3"),
    ("y1*y2", "x in [1, 2]", "y1 in [0, 4]; y2", "c: x*y2 == y1^2 + 1"),
    (
        "-y1^2 + y2",
        "x in [0.1, 10]",
        "y1 in [0.1, 10]; y2 in [0.1, 10]",
        "c: 4*x/y2 + 2*x^(-0.71)/y2 <= 1; d: y1*y2 >= 90",
    ),
]


@pytest.mark.parametrize(("objective", "x", "y", "constraints"), NOT_CONVEX)
def test_witnesses_are_found_and_are_accepted(objective: str, x: str, y: str, constraints: str) -> None:
    asked = question(objective, x, y, constraints)
    proof = refute_convex(asked)
    assert proof is not None and proof["kind"] == "curvature" and is_refuted(asked, proof)
    assert is_refuted(asked, proof, "strongly_convex")
    assert not is_refuted(asked, {**proof, "direction": {}})
    if constraints:
        assert not is_refuted(asked, {**proof, "point": {}})
        moved = {k: str(Fraction(v) + 100) for k, v in proof["point"].items()}
        assert not is_refuted(asked, {**proof, "point": moved})


@pytest.mark.parametrize(("objective", "x", "y", "constraints"), [
    ("y^3", "x", "y >= 0", ""), ("y^4", "x", "y", ""), ("exp(x)*y^2", "x", "y", ""), ("(y1 - y2)^2", "x", "y1; y2", ""),
    ("y1^2 + y2^2 + 2*y1*y2", "x", "y1; y2", ""), ("sqrt(1 + y^2)", "x", "y", ""), ("y", "x", "y", ""),
    ("sin(x)*y^2 + y^4", "x in [0, 3]", "y", ""), ("softplus(y) + x", "x", "y", ""), ("1/y", "x", "y >= 0", ""),
    ("(y1/3 - y2/7)^2", "x", "y1; y2", ""), ("(y1/3 - y2/7 + y3/11)^2*exp(x)", "x", "y1; y2; y3", ""),
    # It bends down, but at no feasible point, or only along a variable that cannot move.
    ("y^3", "x", "y", "c: y >= exp(x)"), ("-y1^2 + y2^2", "x", "y1 in [2, 2]; y2", ""),
    ("max(y, -y)*2 + y^2", "x", "y", ""), ("y^3", "x", "y", "c: y^2 <= -1"),
])  # fmt: skip
def test_no_witness_where_there_is_none(objective: str, x: str, y: str, constraints: str) -> None:
    assert refute_convex(question(objective, x, y, constraints)) is None


@pytest.mark.parametrize(("objective", "x", "y", "constraints"), [
    ("abs(y) - abs(y - 1)", "x", "y", ""), ("min(y, x)", "x", "y", ""),
    ("max(y1, y2) - abs(y1 + x)", "x", "y1; y2", ""),
    ("min(y1, y2)", "x", "y1; y2", "c: y1 + y2 == x"),
])  # fmt: skip
def test_kinks_are_shown_by_three_points(objective: str, x: str, y: str, constraints: str) -> None:
    asked = question(objective, x, y, constraints)
    proof = refute_convex(asked)
    assert proof is not None and proof["kind"] == "midpoint" and is_refuted(asked, proof)
    assert not is_refuted(asked, {**proof, "to": proof["from"]})


def test_a_constraint_may_be_asked_about() -> None:
    asked = question("y1 + y2", "x", "y1 in [0, 1]; y2 in [0, 1]", "c: y1*y2 <= 1/4")
    other = Question(asked.statement, asked.statement.constraints[0].root, asked.own, "lower")
    proof = refute_convex(other)
    assert proof is not None and proof["kind"] == "curvature"
    point = {int(k): Fraction(v) for k, v in proof["point"].items()}
    assert exact_value(asked.statement.constraints[0].root, point) <= 0  # type: ignore[operator]


def upper_is_accepted(asked: Question, fact: str, constant: Fraction, proof: object) -> bool:
    where, root = context(asked)
    value = fmpq(constant.numerator, constant.denominator)
    try:
        kind_of(proof, f"{fact} upper")(where, Bend(root, asked.own, 1, fmpq(0)), value, proof)
    except Rejected:
        return False
    return True


@pytest.mark.parametrize(("objective", "x", "y", "mu", "size"), [
    ("y^2 + 3*sin(y)^2", "x", "y", -4.0, 8.0), ("y^2 + x*sin(y)/4", "x in [0, 1]", "y", 1.75, 2.25),
    ("(1 + x^2)*y1^2 + x*y1*y2 + y2^2", "x in [-1, 1]", "y1; y2", 1.5858, 4.4142),
    ("(y1 - y2)^2", "x", "y1; y2", 0.0, 4.0),
    ("y^3", "x", "y in [0, 2]", 0.0, 12.0), ("softplus(y)", "x", "y in [-1, 9]", 0.000123, 0.25),
    ("log(1 + exp(y))", "x", "y", 0.0, 0.25), ("y^4 - 2*x*y^3", "x in [-1, 1]", "y in [-1, 1]", -3.0, 24.0),
    ("(y1 - x)^2 + (y2 - x^2)^4", "x in [-1, 1]", "y1 in [-1, 1]; y2 in [-1, 2]", 0.0, 48.0),
    ("y1^2 + y2^2*(1 + x)", "x in [0, 1]", "y1; y2", 2.0, 4.0),
])  # fmt: skip
def test_bounds_at_points_are_close_to_the_best(objective: str, x: str, y: str, mu: float, size: float) -> None:
    asked = question(objective, x, y)
    upper, lower = upper_modulus(asked), lower_smoothness(asked)
    assert upper is not None and mu - 1e-9 <= upper[0] <= mu + 0.01 * (abs(mu) + 0.01)
    assert lower is not None and 0.98 * size <= lower[0] <= size + 1e-6
    assert upper_is_accepted(asked, "strongly_convex", *upper) and upper_is_accepted(asked, "smooth", *lower)
    assert not upper_is_accepted(asked, "strongly_convex", upper[0] - Fraction(1, 5), upper[1])
    assert not upper_is_accepted(asked, "smooth", lower[0] + Fraction(1, 5), lower[1])


def test_bounds_at_points_are_at_feasible_ones() -> None:
    asked = question("y1^3 + y2^2", "x in [1, 2]", "y1; y2", "c: y1 >= x; d: y1 + y2 == 4")
    found = upper_modulus(asked)
    assert found is not None and found[0] == 2  # not 6 y1 with y1 < 1
    lower = lower_smoothness(question("y1^3 + y2^2", "x in [1, 2]", "y1; y2", "c: y1 >= x; d: y1 <= 3"))
    assert lower is not None and lower[0] == 18


def test_equalities_hold_exactly() -> None:
    constraints = "c: y1/3 + y2/7 == x; d: y3 - y1 == 1/11; e: -y2 - y1 <= 1; f: y2 + y1 <= -1"
    asked = question("y1*y2", "x in [0, 1]", "y1; y2; y3", constraints)
    points = Points(asked)
    assert len(points.solved) == 3 and not points.inequalities
    proof = refute_convex(asked)
    assert proof is not None and is_refuted(asked, proof)


def test_directions_are_found_by_elimination() -> None:
    for matrix in (
        [[0, 1], [1, 0]], [[1, 2, 0], [2, 4, 1], [0, 1, 5]], [[2, 0], [0, -1]], [[0, 0, 0], [0, 0, 3], [0, 3, 100]],
    ):  # fmt: skip
        rows = [[Fraction(v) for v in row] for row in matrix]
        v = negative_direction(rows)
        assert v is not None
        assert sum(v[i] * rows[i][j] * v[j] for i in range(len(v)) for j in range(len(v))) < 0
    assert negative_direction([[Fraction(1), Fraction(1)], [Fraction(1), Fraction(1)]]) is None


terms = st.sampled_from(
    ["y1^2", "y2^2", "y1*y2", "y1^3", "x*y1^2", "x*y2", "y1^2*y2^2", "sin(y1)", "exp(y1 - y2)", "y2^4", "x*y1*y2"]
)
factors = st.sampled_from([-1, 1, 2, 4])
sums = st.lists(st.tuples(factors, terms), min_size=1, max_size=4, unique_by=lambda part: part[1])


@settings(deadline=None, max_examples=20)
@given(sums)
def test_random_sums_are_proved_or_refuted_and_never_both(parts: list[tuple[int, str]]) -> None:
    asked = question(" + ".join(f"{c}*{t}" for c, t in parts), "x in [-1, 2]", "y1 in [-1, 1]; y2 in [0, 2]")
    proof, witness = prove_bend(asked, 1, 0), refute_convex(asked)
    assert proof is None or witness is None
    assert proof is None or is_accepted(asked, proof, 1, 0)
    assert witness is None or is_refuted(asked, witness)
    found, upper = best_bounds(asked), upper_modulus(asked)
    assert upper is not None and (found.mu is None or found.mu <= upper[0])
    if witness is None:
        assert found.mu is not None and found.mu >= -Fraction(1, 100)
