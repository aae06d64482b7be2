"""The Polyak-Lojasiewicz inequality: known constants, refutations, and functions made to fool."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from asked import is_accepted, question
from hypothesis import given, settings
from hypothesis import strategies as st
from pl_verdicts import reason_against, reason_against_refutation, reason_against_upper

from bileveldsl.certify import boxes
from bileveldsl.certify.pl import penalty, prove, refute, upper_constant
from bileveldsl.certify.pl.bends import strong_convexity
from bileveldsl.certify.pl.landscape import Landscape, starts
from bileveldsl.certify.pl.reductions import bend_by_reduction, reduction
from bileveldsl.certify.scalars import number, power, product, total, variable
from bileveldsl.certify.statement import Question

TWO, THREE = "y1; y2", "y1; y2; y3"

PROVED = [  # objective, x, y, a constant that is reached, kind
    ("y^2 + 3*sin(y)^2", "x", "y", 0.17, "core-exterior"),
    ("(y - x^2)^2 + 3*sin(y - x^2)^2", "x", "y", 0.17, "affine"),
    ("(2 + sin(x))*(y^2 + 3*sin(y)^2)", "x in [-3, 3]", "y", 0.165, "product"),
    ("y^2 + x*sin(y)^2", "x in [0, 3]", "y", 0.118, "core-exterior"),
    ("(x + y1 - sin(y2))^2/2", "x", TWO, 1, "product"),
    ("(x + y1 - sin(y2))^2", "x", TWO, 2, "affine"),
    ("(y1 - y2 - x)^2", "x", TWO, 4, "quadratic-singular"),
    ("(x + y1 - sin(y2))^2 + (y3 - sin(y1))^2", "x", THREE, 0.75, "nls"),
    ("y1^2 + y2^2 + y1^4*y2^2", "x", TWO, 1.99, "pl-sos"),
    ("(y1*y2 - x)^2 + 2*(y1^2 + y2^2)", "x in [-1, 1]", TWO, 1.9, "pl-sos"),
    ("(x*y1 + y2 - 1)^2", "x in [1, 2]", TWO, 4, "nls"),
    ("(1 + x^2)*y1^2 + x*y1*y2 + y2^2", "x", TWO, 1.5, "strong"),
    ("exp(x)*y^2 + x*y", "x in [-5, 5]", "y", 0.0134, "strong"),
    ("y1^2 + 3*sin(y1)^2 + (y2 - x)^2 + (y3 - y2)^2 + x", "x in [-1, 1]", THREE, 0.17, "separable"),
    ("y^2 + 2*sin(y)^2 + x*y", "x in [-1, 1]", "y", 0.2, "core-exterior"),
    ("(y - sin(x))^2 + 3*sin(y - sin(x))^2 + y", "x in [-1, 1]", "y", 0.03, "affine"),
    ("y1^2 - 2*y1*y2 + y2^2 + 4*y1 - 4*y2 + 7", "x", TWO, 4, "separable"),
]

REFUTED = [  # objective, x, y, kind
    ("y^2 + 5*sin(y)^2", "x", "y", "krawczyk"),
    ("y1^4*y2^2 + y1^2*y2^4 - 3*y1^2*y2^2 + 1", "x", TWO, "stationary"),
    ("(y1 - x)^2 + (y2 - x^2)^4", "x", TWO, "affine"),
    ("y1^4 + y2^4 - 4*y1*y2", "x", TWO, "stationary"),
    ("x*y", "x in [-1, 1]", "y", "no-stationary"),
    ("sin(x)*y^2 + y^4", "x in [-3, 3]", "y", "degenerate"),
    ("sin(x)*y^2 + y^4", "x in [0, 3]", "y", "degenerate"),
    ("sin(x + y1 - y2)^2", "x", TWO, "affine"),
    ("log(1 + exp(y))", "x", "y", "no-stationary"),
    ("exp(y1) + y2^2", "x", TWO, "no-stationary"),
    ("log(exp(y1) + exp(y2))", "x", TWO, "no-stationary"),
    ("(y1^2 + y2 - 11)^2 + (y1 + y2^2 - 7)^2", "x", TWO, "krawczyk"),
    ("(y1*y2 - 1)^2", "x", TWO, "stationary"),
    ("(y^2 - 1)^2", "x", "y", "stationary"),
    ("y^2/2 + 20*exp(-(y - 9)^2)", "x", "y", "krawczyk"),
    ("x*y^2", "x in [-1e-9, 1]", "y", "ray"),
    ("y^4", "x", "y", "degenerate"),
    ("cos(y) + y^2/2", "x", "y", "degenerate"),
    ("100*(y2 - y1^2)^2 + (1 - y1)^2", "x", TWO, "asymptotic"),
    ("log(1 + y^2)", "x", "y", "asymptotic"),
    ("(tanh(y) - x)^2/2", "x in [-1/2, 1/2]", "y", "asymptotic"),
    ("sqrt(1 + y^2)", "x", "y", "asymptotic"),
    ("exp(x)*y^2 + x*y", "x", "y", "asymptotic"),  # for each x, but with no constant for all of them
    ("y1^2 - y2^2", "x", TWO, "ray"),
    ("y1^2 - y2^3", "x", TWO, "degenerate"),
    # a second minimum far away, a nearly flat one, and one that is only a little higher
    ("(y - 100)^2*((y + 100)^2 + 1)", "x", "y", "krawczyk"),
    ("(y^2 - 1)^2/100 + (y - 1)^2/1000", "x", "y", "krawczyk"),
    ("(y^2 - 1)^2*(1 + y^2) + y/1000", "x", "y", "krawczyk"),
]


def within_time(asked: Question, seconds: float = 20) -> Question:
    return replace(asked, deadline=time.monotonic() + seconds)


@pytest.mark.parametrize("objective, x, y, reached, kind", PROVED)
def test_the_inequality_is_proved(objective, x, y, reached, kind):
    asked = question(objective, x, y)
    found = prove(within_time(asked))
    assert found is not None
    mu, proof = found
    assert mu >= Fraction(str(reached))
    assert proof["kind"] == kind
    assert reason_against(asked, mu, proof) == ""
    assert_not_contradicted(asked, mu)


def assert_not_contradicted(asked: Question, mu: Fraction) -> None:
    """Neither by the best pair of points found nor by many others."""
    upper = upper_constant(asked)
    assert upper is not None
    assert mu <= upper[0]
    assert reason_against_upper(asked, *upper) == ""
    assert reason_against_upper(asked, upper[0] * Fraction(99, 100), upper[1]) != ""
    landscape, own = Landscape(asked.root, asked.own), list(asked.own)
    lowest = landscape.descended(starts(asked))
    points = np.repeat(lowest, 400, axis=0)
    shares = np.random.default_rng(7).normal(size=(len(points), len(own)))
    points[:, own] += shares * 10.0 ** np.linspace(-3, 3, len(points))[:, None]
    gap = np.repeat(landscape.values(lowest), 400)
    rise = landscape.values(points) - gap
    slopes = 0.5 * (landscape.slopes(points) ** 2).sum(1)
    assert (slopes >= float(mu) * rise - 1e-6 * (1 + np.abs(gap) + slopes)).all()


@pytest.mark.parametrize("objective, x, y, kind", REFUTED)
def test_the_inequality_is_refuted(objective, x, y, kind):
    asked = question(objective, x, y)
    proof = refute(within_time(asked))
    assert proof is not None
    assert proof["kind"] == kind
    assert reason_against_refutation(asked, proof) == ""


@pytest.mark.parametrize("objective, x, y, reached, kind", [p for p in PROVED if p[4] != "separable"])
def test_what_is_proved_is_not_refuted(objective, x, y, reached, kind):
    assert refute(within_time(question(objective, x, y), 2)) is None


@pytest.mark.parametrize("objective, x, y, kind", REFUTED[:12])
def test_what_is_refuted_is_not_proved(objective, x, y, kind):
    assert prove(within_time(question(objective, x, y), 0.5)) is None


@pytest.mark.parametrize(
    "objective, y, constraints",
    [
        ("y^2", "y in [0, 1]", ""),
        ("y^2", "y >= 0", ""),
        ("y1^2 + y2^2", TWO, "c: y1 + y2 <= 1"),
        ("abs(y)", "y", ""),
        ("y^2*log(y)", "y", ""),
    ],
)
def test_bounded_constrained_and_nonsmooth_followers_are_left_alone(objective, y, constraints):
    asked = within_time(question(objective, "x", y, constraints), 2)
    assert prove(asked) is None
    assert refute(asked) is None
    assert upper_constant(asked) is None


def test_a_known_modulus_is_taken():
    asked = question("y^2 + y^4")
    known = strong_convexity(asked)
    assert known is not None
    mu, proof = known
    found = prove(asked, {"strongly_convex": known})
    assert found == (mu, {"kind": "strong", "proof": proof})
    assert reason_against(asked, *found) == ""


@settings(deadline=None, max_examples=15)
@given(st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=3))
def test_least_squares_have_their_least_nonzero_eigenvalue(rows):
    asked = question("y1^2 + y2^2 + y3^2", "x", THREE)
    y = [variable(v) for v in asked.own]
    residuals = [total([*(product([number(a), v]) for a, v in zip(row, y, strict=True)), number(-1)]) for row in rows]
    root = total(product([number(Fraction(1, 2)), power(r, 2)]) for r in residuals)
    statement = replace(asked.statement, functions={**asked.statement.functions, "lower.objective": root})
    asked = replace(asked, statement=statement, root=root)
    eigenvalues = np.linalg.eigvalsh(np.array(rows, dtype=float).T @ np.array(rows, dtype=float))
    nonzero = eigenvalues[eigenvalues > 1e-9 * max(1.0, eigenvalues[-1])]
    found = prove(within_time(asked))
    if not any(map(any, rows)):
        assert found is None
        return
    assert found is not None
    mu, proof = found
    assert 0.95 * nonzero[0] <= mu <= nonzero[0] * (1 + 1e-9)
    assert reason_against(asked, mu, proof) == ""


# ---- the penalty ----------------------------------------------------------------------------


def penalty_of(asked: Question, upper):
    strong = strong_convexity(asked)
    return penalty(within_time(asked), upper, None if strong is None else {"strongly_convex": strong})


def test_the_penalty_of_a_strongly_convex_follower():
    asked = question("(y - x)^2/2", "x in [-1, 1]")
    y = variable(asked.own[0])
    found = penalty_of(asked, product([number(-1), power(y, 2)]))
    assert found is not None
    assert (found.sigma, found.mu, found.proof["kind"]) == (Fraction(1, 4), Fraction(1, 2), "penalty")


def test_the_inequality_of_the_follower_is_not_that_of_the_penalty():
    """Example 4.1 of Chen, Xu and Zhang: f = x y1, g = y2^2/2."""
    asked = question("y2^2/2", "x", TWO)
    assert prove(asked) is not None
    x, first = (variable(v) for v in range(2))
    found = penalty_of(asked, product([x, first]))
    assert found is not None
    assert found.mu is None
    assert found.proof["kind"] == "ray"
    assert "3" not in found.proof["point"]  # for every weight


def test_a_singular_follower_with_a_leader_that_bends_along_its_solutions():
    asked = question("(y1 - y2)^2", "x", TWO)
    first, second = (variable(v) for v in asked.own)
    across, along = (power(total([first, product([number(s), second])]), 2) for s in (-1, 1))
    same, other = penalty_of(asked, across), penalty_of(asked, along)
    assert same is not None
    assert other is not None
    assert same.mu == 4
    assert other.mu is None  # for each weight, but with no constant for all of them


# ---- changes of variables -------------------------------------------------------------------


@pytest.mark.parametrize(
    "objective, x, y, sign, shift",
    [
        ("(y1 - y2 - x)^4 + (y1 - y2)", "x", TWO, 1, 0),
        ("sin(y1 + y2 - x)", "x", TWO, 1, 2),
        ("sin(y1 + y2 - x)", "x", TWO, -1, 3),
        ("(y - x^2)^2 + 3*sin(y - x^2)", "x", "y", 1, 1),
        ("(y - x^2)^4 + 3*(y - x^2)^2", "x", "y", 1, -6),
    ],
)
def test_a_change_of_variables_keeps_how_a_function_bends(objective, x, y, sign, shift):
    asked = question(objective, x, y)
    proof = bend_by_reduction(asked, sign, Fraction(shift), boxes.prove_bend)
    assert proof is not None
    assert proof["kind"] == "affine"
    assert is_accepted(asked, proof, sign, shift)
    assert not is_accepted(asked, proof, sign, Fraction(shift) - Fraction(1, 100))


def test_variables_that_are_tied_are_not_dropped():
    assert reduction(question("(y1 - y2)^2 + y1", "x", TWO)) is None
    assert reduction(question("(y - x)^2 + y*x", "x", "y")) is None
    assert reduction(question("exp(x)*(y - x)^2", "x", "y")) is None


def test_a_variable_of_the_domain_is_moved_only_within_it():
    asked = question("(y - sqrt(x))^2 + 3*sin(y - sqrt(x))^2", "x")
    found = prove(within_time(asked))
    assert found is not None
    assert found[1]["kind"] == "affine"
    assert reason_against(asked, *found) == ""
    asked = question("(y - log(x))^2 + 5*sin(y - log(x))^2", "x in [-1, 4]")
    refuted = refute(asked)
    assert refuted is not None
    assert refuted["kind"] == "affine"
    assert reason_against_refutation(asked, refuted) == ""
