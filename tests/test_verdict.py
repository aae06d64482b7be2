"""What follows from facts: classes, theorems with their numbers, what is sound, and how it is said."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bileveldsl as blv
from bileveldsl.certify.facts import Fact
from bileveldsl.check import TOLERANCE
from bileveldsl.solution import encode
from bileveldsl.verdict.bounds import at_least, at_most
from bileveldsl.verdict.constants import constants, holding
from bileveldsl.verdict.follower import judge_follower
from bileveldsl.verdict.text import claim_text, facts_text, verdict_text, witness_text
from bileveldsl.verdict.theorems import answering, penalty_settings

QUADRATIC = "upper { var x in [0, 1]; minimize (x - y)^2 }; lower { var y; minimize (y - x)^2 }"
CONSTRAINED = """
upper { var x in [0, 1]; minimize x + y[0] }
lower { var y[2] in [0, 3]; minimize sumsq(y) - x*y[0]; cap: y[0] + y[1] >= 1 }
"""
OF = "lower.objective"
STRONG = (
    Fact(OF, "convex", "proved"), Fact(OF, "strongly_convex", "proved", 2.0, 2.0),
    Fact(OF, "smooth", "proved", 8.0, 7.5), Fact(OF, "pl", "proved", 2.0),
)  # fmt: skip
PL = (Fact(OF, "convex", "refuted"), Fact(OF, "pl", "proved", 0.17, 0.1755), Fact(OF, "smooth", "proved", 8.0))
CONVEX = (Fact(OF, "convex", "proved"), Fact(OF, "strongly_convex", "refuted", None, 0.0), Fact(OF, "pl", "unknown"))
SMOOTH_F = Fact("upper.objective", "smooth", "proved", 4.0)
CONVEX_F = Fact("upper.objective", "convex", "proved")


def program(text=QUADRATIC):
    return blv.loads(text).program()


def judged(facts, text=QUADRATIC):
    made = program(text)
    return judge_follower(made, made.lower[0], facts, TOLERANCE)


def values(settings):
    return {(s.symbol, s.formula): s.value for s in settings}


# ---- numbers ----


@given(st.floats(-1e300, 1e300))
def test_printed_bounds_are_bounds_and_nearly_the_number(value):
    low, high = (Fraction(text(value)) for text in (at_least, at_most))
    assert low <= Fraction(value) <= high
    assert high - low <= abs(Fraction(value)) / 10**5


@pytest.mark.parametrize("assumed", [False, True])
def test_the_settings_of_theorem_4_1(assumed):
    made = program()
    verdict = "assumed" if assumed else "proved"
    facts = [*(replace(f, verdict=verdict) for f in STRONG), SMOOTH_F]
    found = constants(made, made.lower[0], holding(facts))
    # f takes at least half of the modulus for sigma <= mu / (2 L_F) = 1/4, and l = 8, kappa = 8 / 1
    assert (found.penalty_mu, found.sigma_max) == (1.0, pytest.approx(0.25))
    by_name = {s.symbol: s.value for s in penalty_settings(found, 1e-2)}
    sigma = 1e-2 / (8 * 8**3)
    assert by_name["sigma"] == pytest.approx(sigma)
    assert by_name["lambda"] == pytest.approx(1 / sigma)
    assert by_name["tau"] == pytest.approx(1 / (4 * sigma + 8))
    assert by_name["K"] == math.ceil(8 * math.log(8 / sigma))
    assert by_name["eta"] == pytest.approx(1 / (8 * 8 * 8**3))
    assert by_name["T"] == pytest.approx(8 * 8**3 / 1e-4)


def test_a_convex_leader_keeps_the_modulus_for_every_penalty():
    made = program()
    found = constants(made, made.lower[0], holding([*STRONG, CONVEX_F, SMOOTH_F]))
    assert (found.penalty_mu, found.sigma_max) == (2.0, math.inf)


def test_the_modulus_of_the_penalty_is_not_overstated():
    rng = np.random.default_rng(0)
    for _ in range(100):
        f = rng.standard_normal((4, 4))
        f = f @ f.T + 0.1 * np.eye(4)
        F = rng.standard_normal((4, 4)) * 10.0 ** rng.integers(-3, 4)
        F = F + F.T
        mu, L_F = np.linalg.eigvalsh(f)[0], np.abs(np.linalg.eigvalsh(F)).max()
        made = program()
        facts = [Fact(OF, "strongly_convex", "proved", mu), Fact("upper.objective", "smooth", "proved", L_F)]
        found = constants(made, made.lower[0], holding(facts))
        least = np.linalg.eigvalsh(found.sigma_max * F + f)[0]
        assert least >= found.penalty_mu * (1 - 1e-9)


def test_step_counts_gain_a_digit_and_the_stopping_rule_is_true():
    rng = np.random.default_rng(1)
    f = rng.standard_normal((5, 5))
    f = f @ f.T + 0.05 * np.eye(5)
    (mu, *_, L), flat = np.linalg.eigvalsh(f), np.linalg.eigh(f)[1][:, 0]
    made = program()
    facts = [Fact(OF, "strongly_convex", "proved", mu), Fact(OF, "smooth", "proved", L)]
    found = values(answering(constants(made, made.lower[0], holding(facts)), 1e-6))
    y = start = rng.standard_normal(5)
    for _ in range(found["steps", "(L_f / mu) log 10"]):
        y = y - found["step", "1 / L_f"] * f @ y
    assert y @ f @ y <= 0.1 * start @ f @ start
    z = momentum = start
    for _ in range(3 * found["accelerated steps", "sqrt(L_f / mu) log 10"]):
        z, last = momentum - f @ momentum / L, z
        momentum = z + (np.sqrt(L) - np.sqrt(mu)) / (np.sqrt(L) + np.sqrt(mu)) * (z - last)
    assert z @ f @ z <= 2 * 1e-3 * start @ f @ start  # the bound has a factor of at most 2 before the digits
    for direction in (start, flat):  # in the second both rules are tight
        small = direction / np.linalg.norm(f @ direction)
        near, nearer = small * found["|grad f|", "sqrt(2 mu eps)"], small * found["|grad f|", "mu eps"]
        assert near @ f @ near / 2 <= 1e-6 * (1 + 1e-9) and np.linalg.norm(nearer) <= 1e-6 * (1 + 1e-9)
    assert near @ f @ near / 2 == pytest.approx(1e-6) and np.linalg.norm(nearer) == pytest.approx(1e-6)
    assert found["steps", "(L_f / mu) log 10"] == math.ceil(L / mu * math.log(10))  # quadratics need but half of it


def test_the_slope_of_the_leader_is_bounded_where_it_can_be():
    made = program("upper { var x in [-1, 2]; minimize 3*x*y + sin(y) }; lower { var y; minimize (y - x)^2 }")
    found = constants(made, made.lower[0], holding(STRONG))
    assert found.C_F is not None and 7.0 <= found.C_F.value <= 7.0 + 1e-9  # 3 * 2 + 1
    assert judged(STRONG).constants.C_F is None  # the slope of (x - y)^2 has no bound


def test_the_weight_of_the_gap_is_enough():
    text = "upper { var x in [0, 1]; minimize 3*y + x }; lower { var y; minimize (y - x)^2 }"
    found = judged(STRONG, text)
    (weight,) = next(t.settings for t in found.theorems if "PBGD" in t.method)
    # the least of 3 y + lambda (y - x)^2 lies 9 / (4 lambda) below 3 x
    assert 9 / (4 * weight.value) <= TOLERANCE <= 9.1 / (4 * weight.value)


def test_constants_that_are_missing_are_named():
    names = " ".join(judged([*STRONG, CONVEX_F]).constants.missing)
    assert "L_F" in names and "C_F" in names and "mu" not in names and "rho" not in names  # both are quadratic
    f2ba = next(t for t in judged([*STRONG, CONVEX_F]).theorems if t.method == "F2BA")
    assert f2ba.missing == judged([*STRONG, CONVEX_F]).constants.missing


def test_pointwise_moduli_and_those_on_a_region_are_no_constants():
    pointwise = [replace(f, x="pointwise") for f in STRONG]
    assert judged(pointwise).constants.mu is None
    assert "Bound the leader's variables" in " ".join(judged(pointwise).warnings)
    assert judged([Fact(OF, "pl", "proved", 1.0, y="region")]).constants.mu is None
    assert judged([Fact(OF, "pl", "proved", 1.0, y="region")]).bend == "unknown"


BOUNDED = "upper { var x in [0, 1]; minimize (x - y)^2 }; lower { var y in [-3, 2]; minimize (y - x)^2 }"
PROXIMAL = Fact(OF, "pl", "proved", 0.1, 0.1755, y="region", witness={"curvature": 3.0})


def test_the_proximal_inequality_makes_a_bounded_follower_pl_and_nothing_else():
    smooth = Fact(OF, "smooth", "proved", 8.0, y="region")
    found = judged([Fact(OF, "convex", "refuted"), PROXIMAL, smooth, SMOOTH_F, CONVEX_F], BOUNDED)
    assert (found.title, found.bend) == ("PL follower, bounded", "PL")
    assert (found.constants.mu.value, found.constants.curvature.value, found.constants.kappa) == (0.1, 3.0, 80.0)
    # the theorems of followers without bounds do not speak of it, nor does that of the penalty
    assert [t.method for t in found.theorems] == ["projected gradient"]
    assert not {"f2ba", "galet", "rxgf", "pbgd", "implicit"} & names(found.sound)
    assert found.constants.penalty_mu is None
    assert {s.symbol: s.value for s in found.answering} == {"D(y, c)": pytest.approx(0.2 * TOLERANCE)}
    by_name = {s.symbol: s.value for s in found.theorems[0].settings}
    assert by_name == {"step": 1 / 8, "steps": math.ceil(80 * math.log(10))}
    text = "\n".join(verdict_text(found, TOLERANCE))
    assert "bounds hold its variables" in text and "D(y, a) is" in text and "projected gradient (" in text
    json.dumps(encode(found.to_json()), allow_nan=False)


def test_a_claim_of_the_proximal_inequality_says_from_where_on():
    proof = {"kind": "proximal", "curvature": "61/100", "proof": {}}
    claim = {"of": OF, "fact": "pl", "verdict": "proved", "constant": "1/5", "scope": {"x": "box", "y": "region"}}
    said = f"{OF} PL, mu >= 1/5, between bounds, c <= 61/100"
    assert claim_text({**claim, "proof": proof}) == said
    assert claim_text({**claim, "proof": {"kind": "stronger", "constant": "1/4", "proof": proof}}) == said


def test_a_curvature_above_the_smoothness_shortens_the_step():
    steep = replace(PROXIMAL, witness={"curvature": 20.0})
    found = judged([steep, Fact(OF, "smooth", "proved", 8.0, y="region")], BOUNDED)
    assert found.constants.kappa == 200.0
    assert next(s.value for s in found.theorems[0].settings if s.symbol == "step") == 1 / 20


def test_the_proximal_inequality_says_nothing_without_its_curvature_or_of_other_constraints():
    assert judged([replace(PROXIMAL, witness={})], BOUNDED).bend == "unknown"
    assert judged([replace(PROXIMAL, verdict="refuted")], BOUNDED).bend == "unknown"
    found = judged([PROXIMAL], CONSTRAINED)
    assert found.bend == "unknown" and found.constants.curvature is None and not found.answering


def test_extreme_constants_give_no_settings_and_no_exception():
    for mu, L in ((5e-324, 1e308), (1e-300, 1.0), (1e-60, 1e60), (1e308, 1e308)):
        facts = [Fact(OF, "strongly_convex", "proved", mu), Fact(OF, "smooth", "proved", L), CONVEX_F]
        found = judged(facts)
        json.dumps(encode(found.to_json()), allow_nan=False)
        assert "\n".join(verdict_text(found, TOLERANCE))


# ---- what is sound ----


def names(methods):
    return {backend for method in methods for backend in method.backends}


def test_a_strongly_convex_follower():
    found = judged([*STRONG, CONVEX_F, SMOOTH_F])
    assert found.title == "strongly convex follower, unconstrained"
    assert (found.form, found.warnings) == ("quadratic", ())
    assert names(found.sound) >= {"implicit", "f2ba", "galet", "rxgf", "kkt", "milp", "scip"}
    assert not found.doubtful
    assert [t.method for t in found.theorems] == ["implicit differentiation", "F2BA", "GALET", "RXGF"]


def test_a_nonconvex_pl_follower_needs_the_penalty_to_be_pl_for_f2ba():
    found = judged([*PL, SMOOTH_F, CONVEX_F])
    assert found.title == "PL follower, unconstrained"
    assert names(found.sound) >= {"galet", "kkt"} and "f2ba" in names(found.doubtful)
    assert [t.method for t in found.theorems] == ["GALET"]
    penalty = Fact("lower.penalty", "pl", "proved", 0.1, witness={"sigma": {"upper": "1/10"}})
    found = judged([*PL, SMOOTH_F, penalty])
    assert "f2ba" in names(found.sound)
    assert found.constants.penalty_mu == 0.1
    assert 0.1 - 1e-15 < Fraction(found.constants.sigma_max) <= Fraction(1, 10)  # the float 0.1 is above
    sigma = next(s for t in found.theorems if t.method == "F2BA" for s in t.settings if s.symbol == "sigma")
    assert sigma.value <= 0.1


def test_example_4_1_is_warned_of():
    found = judged([*PL, Fact("lower.penalty", "pl", "refuted")])
    assert "Example 4.1" in " ".join(found.warnings)
    assert "proved not to be PL" in next(m.why for m in found.doubtful if m.backends == ("f2ba",))


def test_merely_convex_followers_are_warned_of():
    found = judged(CONVEX)
    assert "Theorem 3.2" in " ".join(found.warnings)
    assert "kkt" in names(found.sound) and {"f2ba", "galet", "implicit"} <= names(found.doubtful)
    assert not judged([*CONVEX[:2], Fact(OF, "pl", "proved", 4.0)]).warnings  # PL is enough


def test_a_constrained_follower_has_exact_conditions_where_they_are_affine_or_have_room():
    facts = [*STRONG, Fact("lower.feasible_set", "convex", "proved")]
    found = judged(facts, CONSTRAINED)
    assert found.title == "strongly convex follower, constrained" and not found.theorems
    assert "Slater" not in found.sound[0].why and found.sound[0].backends == ("milp", "kkt")
    curved = CONSTRAINED.replace("y[0] + y[1] >= 1", "sumsq(y) <= 4")
    assert "Slater" in judged(facts, curved).sound[0].why
    slater = Fact("lower.feasible_set", "slater", "proved")
    assert "Slater" not in judged([*facts, slater], curved).sound[0].why
    assert "kkt" in names(judged(STRONG, CONSTRAINED).doubtful)  # the set is not known to be convex


def test_a_nonconvex_follower_is_left_to_global_search():
    found = judged([Fact(OF, "convex", "refuted")])
    assert found.title == "nonconvex follower, unconstrained"
    assert names(found.sound) == {"scip"}


def test_whole_numbers_are_warned_of():
    found = judged(STRONG, QUADRATIC.replace("var y;", "var y : integer in [0, 5];"))
    assert "whole values" in " ".join(found.warnings) and not found.theorems


def test_what_is_assumed_is_said():
    found = judged([replace(f, verdict="assumed") for f in STRONG])
    assert f"{OF} strongly_convex" in found.assumed
    text = "\n".join(verdict_text(found, TOLERANCE))
    assert "ASSUMES" in text and "(ASSUMED)" in text
    assert "ASSUMED" in "\n".join(facts_text(program(), [(replace(STRONG[1], verdict="assumed"), None, None)]))


# ---- text ----


def test_facts_are_grouped_and_two_sided():
    text = "\n".join(facts_text(program(), [(fact, None, None) for fact in STRONG]))
    assert text.startswith("lower.objective as a function of y, for every x within bounds\n")
    assert "mu = 2\n" in text and "7.5 <= L <= 8" in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_a_refutation_shows_its_point():
    witness = {"point": {"x": -1.0, "y": [0.0] * 9}, "direction": {"y": [1.0] * 9}, "curvature": -2.0}
    assert all(part in witness_text(witness) for part in ("x = -1", "at most -2", "..."))
    assert "chord" in witness_text({"from": {"y": 0.0}, "to": {"y": 1.0}, "excess": 0.5})
    assert witness_text({"point": {}, "centre": {"y": -1.0}}) == "near y = -1"


@pytest.mark.parametrize("facts", [STRONG, PL, CONVEX, (), (*STRONG, SMOOTH_F, CONVEX_F)])
def test_the_text_is_short_lines(facts):
    lines = list(verdict_text(judged(facts), TOLERANCE))
    assert lines[0].startswith("Verdict: ") and all(len(line) <= 120 for line in lines)
