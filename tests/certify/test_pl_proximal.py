"""The proximal inequality between bounds: known constants, refutations, and what follows from it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from asked import context, question
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from bileveldsl.certify.check import pl_proximal
from bileveldsl.certify.check.goals import PL
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.pl import (
    Proximal,
    is_bounded,
    prove_between_bounds,
    refute_between_bounds,
    upper_between_bounds,
)  # fmt: skip
from bileveldsl.certify.scalars import evaluate, gradient
from bileveldsl.certify.statement import Question
from bileveldsl.verify.smooth import proximal_square

TWO = "y1 in [-5, 10]; y2 in [-5, 10]"

PROVED = [  # objective, x, y, a constant that is reached, one that no constant exceeds, kind
    ("-y", "x", "y in [-1, 2]", "0.09", "1/6", "line"),
    ("x*y", "x in [1, 3]", "y in [0, 1]", "0.25", "1/2", "line"),
    ("3*y1 - x*y2", "x in [1, 2]", "y1 in [0, 1]; y2 in [0, 4]", "0.1", "1/8", "separable"),
    ("(y - x)^2 + 3*sin(y - x)^2", "x in [0, 1/8]", "y in [-2, 3]", "0.05", "0.1756", "line"),
    ("y^2 + 3*sin(y)^2", "x", "y in [1/4, 3]", "0.1", "0.3", "line"),
    ("y*x1 - x2*y^2", "x1 in [1, 2]; x2 in [0, 2/5]", "y in [0, 1]", "0.01", "0.0334", "line"),
    ("cos(y)", "x", "y in [1, 5]", "0.05", "0.3", "line"),
    ("(x - tan(y))^2", "x in [-1, 1]", "y in [-6/5, 6/5]", "0.5", "2.001", "line"),
    ("(y1 - y2)^2", "x", TWO, "2", "4.01", "ridge"),
    ("cos(y1 - 2*y2 + x)", "x in [0, 1/10]", "y1 in [1, 2]; y2 in [-1, 0]", "0.01", "5.01", "ridge"),
    ("(y1 - y2)^2 + (y3 - x)^2", "x in [0, 1]", f"{TWO}; y3 in [0, 2]", "2", "4.01", "separable"),
    ("u*v + x*u", "x in [0, 1/2]", "u in [1, 2]; v in [1, 2]", "0.1", "0.51", "corner"),
    ("u^2 + 3*sin(u)^2 - v", "x", "u; v in [0, 1]", "0.1", "0.1756", "separable"),
    ("y^2/2", "x", "y >= -1", "1", "1.01", "strong"),
]

REFUTED = [  # objective, x, y, kind
    ("y^3", "x", "y in [-1, 1]", "stationary"),
    ("y^3", "x", "y in [0, 1]", "degenerate"),
    ("x*y", "x in [-1, 1]", "y in [0, 1]", "asymptotic"),
    ("x*y^2", "x in [0, 1]", "y in [-1, 1]", "asymptotic"),
    ("y^2 - cos(2*pi*y)", "x", "y in [-5, 10]", "krawczyk"),
    ("sin(y)", "x", "y in [1, 7]", "krawczyk"),
    ("-y^2", "x", "y in [0, 2]", "stationary"),
    ("exp(-y)", "x", "y >= 0", "falling"),
    ("-y^2", "x", "y in [-1, 2]", "stationary"),
    ("y1*y2", "x", "y1 in [-1, 1]; y2 in [-1, 1]", "stationary"),
    ("y1^4 + (y2 - x)^2", "x in [0, 1]", "y1 in [-1, 1]; y2 in [0, 2]", "part"),
]


def within_time(asked: Question, seconds: float = 20) -> Question:
    return replace(asked, deadline=time.monotonic() + seconds)


def reason_against(asked: Question, found: Proximal, mu: Fraction | None = None) -> str:
    """Why the checker rejects a proof; empty if it accepts it."""
    where, root = context(asked)
    value = found.mu if mu is None else mu
    goal = PL(root, asked.own, fmpq(value.numerator, value.denominator))
    try:
        pl_proximal.check(where, goal, json.loads(json.dumps(found.written())))
    except Rejected as error:
        return str(error) or "rejected"
    return ""


@pytest.mark.parametrize("objective, x, y, reached, most, kind", PROVED)
def test_the_inequality_is_proved(objective, x, y, reached, most, kind):
    asked = question(objective, x, y)
    found = prove_between_bounds(within_time(asked)) if kind != "strong" else Proximal(
        Fraction(1), Fraction(1), {"kind": "strong", "proof": {"kind": "quadratic"}}
    )  # fmt: skip
    assert is_bounded(asked) and found is not None and found.proof["kind"] == kind
    assert Fraction(reached) <= found.mu <= Fraction(most)
    assert reason_against(asked, found) == ""
    assert reason_against(asked, found, Fraction(most) * Fraction(21, 20)) != ""
    assert contradictions(asked, float(found.mu), float(found.curvature)) == 0
    above = upper_between_bounds(within_time(asked))
    assert above is not None and found.mu <= above[0]


def contradictions(asked: Question, mu: float, curvature: float, groups: int = 6, each: int = 400) -> int:
    """At how many points D(y, curvature) / 2 < mu (g - min g), the least value being that of descents and of a grid."""
    rng, own = np.random.default_rng(0), list(asked.own)
    low = np.where(np.isfinite(asked.lo), asked.lo, -8.0)
    high = np.where(np.isfinite(asked.hi), asked.hi, low + 16)
    slopes, wrong = gradient(asked.root, own), 0
    for k in range(groups):
        points = np.tile(low + rng.choice([0.0, 1.0, rng.random()], len(low)) * (high - low), (each, 1))
        shares = rng.random((each, len(own)))
        shares[: each // 2] = np.round(2 * shares[: each // 2]) / 2 if k % 2 else shares[: each // 2]
        points[:, own] = low[own] + shares * (high - low)[own]
        values, *slope = evaluate([asked.root, *slopes], points)
        best = [
            optimize.minimize(
                lambda y, at=points[i]: evaluate([asked.root], _moved(at, own, y))[0][0], points[i, own],
                bounds=list(zip(low[own], high[own], strict=True)),
            ).fun
            for i in np.argsort(values)[:2]
        ]  # fmt: skip
        gaps = values - min([*best, values.min()])
        for point, gap, s in zip(points, gaps, np.array(slope).T, strict=True):
            square = proximal_square(point[own], s, (asked.lo[own], asked.hi[own]), curvature)
            wrong += bool(square / 2 < mu * gap * (1 - 1e-7) - 1e-7 * (1 + np.abs(values).max()) * mu)
    return wrong


def _moved(point: np.ndarray, own: list[int], y: np.ndarray) -> np.ndarray:
    moved = point[None].copy()
    moved[0, own] = y
    return moved


@pytest.mark.parametrize("objective, x, y, kind", REFUTED)
def test_the_inequality_is_refuted(objective, x, y, kind):
    asked = question(objective, x, y)
    proof = refute_between_bounds(within_time(asked))
    assert is_bounded(asked) and proof is not None and proof["kind"] == kind
    assert reason_against_refutation(asked, proof) == ""
    assert prove_between_bounds(within_time(asked, 1)) is None


def reason_against_refutation(asked: Question, proof) -> str:
    where, root = context(asked)
    try:
        pl_proximal.check_refutation(where, PL(root, asked.own, fmpq(0)), json.loads(json.dumps(proof)))
    except Rejected as error:
        return str(error) or "rejected"
    return ""


@pytest.mark.parametrize("objective, x, y, reached, most, kind", PROVED)
def test_what_holds_is_not_refuted(objective, x, y, reached, most, kind):
    assert refute_between_bounds(within_time(question(objective, x, y), 2)) is None


@pytest.mark.parametrize(
    "objective, y, constraints",
    [
        ("log(y) + y^2", "y in [0, 1]", ""), ("abs(y - 1) + y^2", "y in [0, 2]", ""),
        ("sqrt(y) + y^2", "y in [0, 1]", ""), ("y^2", "y : integer in [0, 3]", ""),
        ("y^2", "y in [0, 3]", "c: y <= x"),
    ],
)  # fmt: skip
def test_only_smooth_functions_between_bounds_are_judged(objective, y, constraints):
    declared = question(objective, "x in [0, 1]", y, constraints)
    assert not is_bounded(declared)
    proof = Proximal(Fraction(1), Fraction(1), {"kind": "strong", "proof": {"kind": "quadratic"}})
    if not constraints:
        assert reason_against(declared, proof) != ""


# ---- random functions -----------------------------------------------------------------------

coefficients = st.integers(-3, 3)


@settings(max_examples=8, deadline=None)
@given(coefficients, coefficients, coefficients, st.integers(0, 3), st.integers(0, 2), st.integers(1, 3))
def test_random_functions_of_one_variable(a, b, c, wave, start, length):
    objective = f"{a}*y + {b}*y^2 + {c}*x*y + {wave}*cos(2*y + x) + y^3/2"
    asked = question(objective, "x in [0, 1/4]", f"y in [{start}, {start + length}]")
    found = prove_between_bounds(within_time(asked, 0.7))
    refuted = refute_between_bounds(within_time(asked, 0.7))
    assert found is None or refuted is None
    if refuted is not None:
        assert reason_against_refutation(asked, refuted) == ""
    if found is not None:
        assert reason_against(asked, found) == ""
        assert contradictions(asked, float(found.mu), float(found.curvature), groups=3) == 0


# ---- D, and what follows --------------------------------------------------------------------

ends = st.floats(-3, 3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(ends, ends, ends, ends), min_size=1, max_size=3), st.floats(0.1, 10))
def test_d_is_the_least_value_of_its_quadratic(rows, a):
    lower = np.array([min(p, q) for p, q, *_ in rows])
    upper = np.array([max(p, q) for p, q, *_ in rows])
    y, s = np.clip(np.array([r[2] for r in rows]), lower, upper), np.array([r[3] for r in rows])
    z = np.clip(y - s / a, lower, upper)
    least = float(s @ (z - y) + a / 2 * (z - y) @ (z - y))
    assert proximal_square(y, s, (lower, upper), a) == pytest.approx(-2 * a * least, abs=1e-12, rel=1e-12)
    assert proximal_square(y, s, (lower, upper), 2 * a) >= proximal_square(y, s, (lower, upper), a) - 1e-12
    assert proximal_square(y, s, (lower, upper), a) <= s @ s + 1e-12


@pytest.mark.parametrize(
    "objective, x, y",
    [p[:3] for p in PROVED if p[5] in ("line", "separable", "corner") and all("in" in v for v in p[2].split(";"))],
)
def test_projected_gradient_steps_shrink_the_gap_as_the_theorem_says(objective, x, y):
    asked = question(objective, x, y)
    found = prove_between_bounds(within_time(asked))
    assert found is not None
    own, rng = list(asked.own), np.random.default_rng(1)
    low, high = asked.lo[own], asked.hi[own]
    slopes = gradient(asked.root, own)
    point = np.where(np.isfinite(asked.lo), asked.lo, 0.0)[None].copy()
    grid = np.tile(point, (20_000, 1))
    grid[:, own] = low + rng.random((20_000, len(own))) * (high - low)
    grid[: 3 ** len(own), own] = np.array(list(np.ndindex(*(3,) * len(own)))) / 2 * (high - low) + low
    least = evaluate([asked.root], grid)[0].min()
    bends = [b[np.isfinite(b)] for s in slopes for b in evaluate(gradient(s, own), grid)]
    a = max(float(found.curvature), len(own) * 1.01 * max(np.abs(b).max() for b in bends))  # at least L
    point[0, own] = low + rng.random(len(own)) * (high - low)
    gap = evaluate([asked.root], point)[0][0] - least
    for _ in range(30):
        step = np.array([s[0] for s in evaluate(slopes, point)]) / a
        point[0, own] = np.clip(point[0, own] - step, low, high)
        new = evaluate([asked.root], point)[0][0] - least
        assert new <= (1 - float(found.mu) / a) * gap + 1e-6
        gap = new
