"""The checker of the proximal inequality: false claims, mutants of true ones, and each rule where it must not apply."""

from __future__ import annotations

import copy
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent / "check"))

from check_statements import REALS, X, Y, certificate, claim, statement
from mutations import altered, mutants

import bileveldsl as blv
from bileveldsl.certify.check import check_certificate
from bileveldsl.certify.lower_level import certify

QUADRATIC = {"kind": "quadratic"}
STRONG = {"kind": "strong", "proof": QUADRATIC}


def proximal(proof: Any, curvature: str = "2") -> dict[str, Any]:
    return {"kind": "proximal", "curvature": curvature, "proof": proof}


def line(*cuts: str) -> dict[str, Any]:
    return {"kind": "line", "tree": [{"cuts": list(cuts)}]}


def stated(objective: Any, y: tuple[Any, Any] = (0, 1), x: tuple[Any, Any] = (0, 1), **more: Any) -> dict[str, Any]:
    own = {"y": (Y, *y), **{name: (Y, *ends) for name, ends in more.items()}}
    return statement({"x": (X, *x), **own}, {"lower.objective": objective})


def of(about: dict[str, Any], constant: str, proof: Any, verdict: str = "proved", **more: Any) -> str:
    """Why a claim of the inequality is rejected; empty if it is accepted."""
    constants = {"constant": constant} if verdict == "proved" else {}
    whole = certificate(about, claim(fact="pl", verdict=verdict, proof=proof, **constants, **more))
    [result] = check_certificate(whole, about)
    return "" if result.accepted else result.reason or "rejected"


SQUARE, CUBE, SLOPE = ["^", "y", 2], ["^", "y", 3], ["*", -1, "y"]
RIDGE = ["^", ["+", "y", ["*", -1, "w"]], 2]


def ridge(constant: str = "2", curvature: str = "2", direction: tuple[str, ...] = ("1", "-1"), inner: Any = STRONG):
    return {"kind": "ridge", "direction": list(direction), "constant": constant, "curvature": curvature, "proof": inner}


# ---- models ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "objective, y, verdict, kind",
    [("x*cos(y)", "y in [1, 5]", "proved", "line"), ("x*y^2", "y in [-1, 2]", "proved", "strongly_convex"),
     ("x*cos(y)", "y in [-1, 5]", "refuted", "stationary"), ("x*y", "y in [0, 1]", "proved", "line")],
)  # fmt: skip
def test_what_is_certified_of_a_model_is_accepted(objective, y, verdict, kind):
    model = blv.loads(f"upper {{ var x in [1, 2]; minimize x*y }}; lower {{ var {y}; minimize {objective} }}")
    fact = next(f for f in certify(model.program()) if f.fact == "pl" and f.of == "lower.objective")
    assert (fact.verdict, fact.rule, fact.y, fact.x) == (verdict, kind, "region", "box")
    assert ("curvature" in fact.witness) == (verdict == "proved")
    made = model.certify()
    assert [c["scope"]["y"] for c in made.claims if c["fact"] == "pl"] == ["region"]
    assert made.verify(model).accepted


# ---- what is accepted, and its mutants ------------------------------------------------------


def _rules():
    shifted = ["^", ["+", "y", ["*", -1, "x"]], 2]
    wave = ["+", ["^", "y", 2], ["*", 3, ["^", ["sin", "y"], 2]]]
    cuts = [str(Fraction(k, 32)) for k in range(9, 64)]
    tree = {"kind": "line", "tree": [[0, "1/2"], {"cuts": cuts}, {"cuts": cuts}]}
    upper = {"kind": "pl-ratio", "point": {"0": "1"}, "p": {"1": "2"}, "q": {"1": "1/4"}}
    separable = {"kind": "separable", "parts": [
        {"own": [1], "constant": "2", "curvature": "2", "proof": STRONG},
        {"own": [2], "constant": "1/4", "curvature": "1", "proof": line()},
    ]}  # fmt: skip
    return [
        (stated(shifted), claim(fact="pl", constant="2", proof=proximal(STRONG))),
        (stated(["+", SQUARE, ["*", 2, "w"]], w=(0, 4)), claim(fact="pl", constant="1/4", proof=proximal(separable))),
        (stated(RIDGE, (-5, 10), w=(-5, 10)), claim(fact="pl", constant="2", proof=proximal(ridge()))),
        (stated(["+", wave, ["*", "x", "y"]], ("1/4", 2)),
         claim(fact="pl", constant="1/20", proof=proximal(tree, "3"), constant_upper="20", proof_upper=upper)),
    ]  # fmt: skip


def _refutations():
    at, low = {"1": "0"}, {"1": "-1"}
    point = {"0": "0"}
    cosine = ["+", ["cos", "y"], ["*", "x", "y"]]
    cube = {"kind": "krawczyk", "point": point, "fixed": {}, "centre": {"1": "1/1000"}, "radius": "1/100",
            "inverse": [["-1"]], "lower": {"1": "2"}}  # fmt: skip
    held = {"kind": "stationary", "point": {}, "stationary": {"1": "0", "2": "0"}, "lower": {"1": "0", "2": "3"}}
    edge = {"kind": "krawczyk", "point": {}, "fixed": {"1": "0"}, "centre": {"2": "0"}, "radius": "1/10",
            "inverse": [["-1/2"]], "lower": {"1": "0", "2": "3"}}  # fmt: skip
    way = {"0": [["0", "1"], ["0", "0", "1"]], "1": [["1/2"], ["1"]]}
    return [
        (stated(CUBE, (-1, 1)), {"kind": "stationary", "point": {}, "stationary": at, "lower": low}),
        (stated(["+", "y", ["*", -1, ["^", "w", 2]]], w=(-1, 4)), held),
        (stated(["+", "y", ["*", -1, ["^", "w", 2]]], w=(-1, 4)), edge),
        (stated(cosine, (-1, 3)), cube),
        (stated(CUBE), {"kind": "degenerate", "point": {}, "stationary": at, "direction": {"1": "1"}}),
        (stated(["*", "x", "y"]), {"kind": "asymptotic", "point": {}, "curve": way, "lower": {"1": [["0"], ["1"]]}}),
        (stated(["exp", SLOPE], (0, "inf")), {"kind": "falling", "point": {}, "direction": {"1": "1"}}),
        (stated(["+", CUBE, ["^", "w", 2]], w=(-1, 1)),
         {"kind": "part", "own": [1], "proof": {"kind": "degenerate", "point": {}, "stationary": at,
                                                "direction": {"1": "1"}}}),
    ]  # fmt: skip


TRUE = [certificate(about, made) for about, made in _rules()]
TRUE += [certificate(about, claim(fact="pl", verdict="refuted", proof=proof)) for about, proof in _refutations()]


@pytest.mark.parametrize("whole", TRUE, ids=lambda whole: whole["claims"][0]["proof"]["kind"])
def test_no_mutant_is_accepted(whole):
    assert all(r.accepted for r in check_certificate(whole, whole["statement"])), check_certificate(
        whole, whole["statement"]
    )
    count = 0
    for mutant in mutants(whole, most=60):
        assert not any(r.accepted for r in check_certificate(mutant.certificate, mutant.statement)), mutant.name
        count += 1
    assert count > 20


@pytest.mark.parametrize("whole", TRUE, ids=lambda whole: whole["claims"][0]["proof"]["kind"])
def test_every_altered_proof_is_answered(whole):
    for mutant in altered(whole, most=40):
        results = check_certificate(mutant.certificate, mutant.statement)
        assert len(results) == 1 and all(r.accepted or r.reason for r in results)


# ---- false claims ---------------------------------------------------------------------------


def test_a_slope_needs_its_constant_and_its_curvature():
    """On [0, 1] y has D(y, a) / 2 = min(1, a y (2 - a y)) / 2 >= mu y for mu <= 1/2 and a >= 2 mu alone."""
    about = stated("y")
    assert of(about, "1/2", proximal(line(), "1")) == ""
    assert of(about, "1/4", proximal(line(), "1/2")) == ""
    assert of(about, "51/100", proximal(line(), "10")) != ""
    assert "curvature" in of(about, "1/4", proximal(line(), "1/3"))
    assert of(about, "1/4", proximal(line(), "1/8")) != ""


@pytest.mark.parametrize("cuts", [(), ("1/2",), ("1/4", "1/2", "3/4")])
def test_functions_with_other_minima_or_none_are_rejected(cuts):
    for objective, ends in (
        (CUBE, (-1, 1)), (["*", -1, SQUARE], (-1, 2)), (["sin", ["*", 4, "y"]], (-1, 2)),
        ([*["+"], ["^", "y", 4], ["*", -1, SQUARE]], (-1, 1)), (["exp", SLOPE], (0, "inf")), (SLOPE, (0, "inf")),
        ("y", ("-inf", 1)), (["*", "x", "y"], (0, 1)),
    ):  # fmt: skip
        assert of(stated(objective, ends), "1/100000000", proximal(line(*cuts), "1000000")) != ""


def test_a_function_that_is_curved_without_end_is_accepted():
    assert of(stated(SQUARE, (-1, "inf")), "2", proximal(line())) == ""
    assert of(stated(SQUARE, ("-inf", "inf")), "2", proximal(line("0"))) == ""
    assert of(stated(SQUARE, (-1, "inf")), "21/10", proximal(line(), "3")) != ""


def test_the_tree_of_the_others_covers_their_box():
    about = stated(["*", ["+", "x", "1/2"], "y"])
    whole = {"kind": "line", "tree": [[0, "1/2"], {"cuts": []}, {"cuts": []}]}
    assert of(about, "1/12", proximal(whole, "3")) == ""
    for tree in ([[0, "1/2"], {"cuts": []}], [[0, "1/2"]], [], [{"cuts": []}, {"cuts": []}], [[0, "2"], {"cuts": []}],
                 [[1, "1/2"], {"cuts": []}, {"cuts": []}], [[7, "1/2"], {"cuts": []}, {"cuts": []}],
                 [{"cuts": ["2"]}], [{"cuts": ["1/2", "1/2"]}], [{"cuts": ["0"]}]):  # fmt: skip
        assert of(about, "1/100", proximal({"kind": "line", "tree": tree}, "3")) != ""


def test_a_ridge_pays_for_its_shortest_entry():
    wide = ["^", ["+", ["*", 2, "y"], ["*", -1, "w"]], 2]
    about = stated(wide, w=(0, 1))
    assert of(about, "2", proximal(ridge(direction=("2", "-1")))) == ""
    assert of(about, "3", proximal(ridge(direction=("2", "-1")), "8")) != ""
    assert of(about, "2", proximal(ridge("8", "8", ("2", "-1")), "8")) != ""  # h has the constant 2 alone
    for direction in (("1", "-1"), ("2", "0"), ("2",), ("-2", "-1")):
        assert of(about, "1/100", proximal(ridge(direction=direction))) != ""
    assert of(stated(wide, w=(0, "inf")), "1/2", proximal(ridge(direction=("2", "-1")))) != ""


def test_slopes_of_one_sign_pay_for_their_spread():
    about = stated(["*", "y", "w"], (1, 2), w=(1, 2))  # slopes in [1, 2], sides of length 1
    corner = {"kind": "corner"}
    assert of(about, "1/4", proximal(corner, "1")) == ""
    assert of(about, "26/100", proximal(corner, "4")) != "" and of(about, "1/4", proximal(corner, "99/100")) != ""
    for other in (stated(["*", "y", "w"], (0, 2), w=(1, 2)), stated(["*", "y", "w"], (1, 2), w=(1, "inf")),
                  stated(["*", "y", "w"], (-1, 2), w=(1, 2)), stated(["*", "y", "x"], (1, 2), w=(1, 2))):  # fmt: skip
        assert of(other, "1/1000", proximal(corner, "4")) != ""


def test_what_has_no_bound_at_all_may_be_proved_as_such():
    about = stated(["+", SQUARE, "w"], REALS, w=(0, 1))
    parts = [
        {"own": [1], "constant": "2", "curvature": "2", "proof": {"kind": "free", "proof": STRONG}},
        {"own": [2], "constant": "1/2", "curvature": "1", "proof": line()},
    ]
    separable = proximal({"kind": "separable", "parts": parts})
    assert of(about, "1/2", separable) == ""
    assert of(stated(["+", SQUARE, "w"], (-1, "inf"), w=(0, 1)), "1/2", separable) != ""


def test_the_parts_of_a_sum_are_its_parts():
    about = stated(["+", SQUARE, ["^", "w", 2], ["*", "y", "w", "1/2"]], w=(0, 1))
    parts = [{"own": [v], "constant": "2", "curvature": "2", "proof": STRONG} for v in (1, 2)]
    assert of(about, "1", proximal({"kind": "separable", "parts": parts})) != ""
    apart = stated(["+", SQUARE, ["^", "w", 2]], w=(0, 1))
    assert of(apart, "2", proximal({"kind": "separable", "parts": parts})) == ""
    for wrong in (parts[:1], [*parts, parts[0]], [{**parts[0], "own": [0]}, parts[1]], [{**parts[0], "own": []}]):
        assert of(apart, "1", proximal({"kind": "separable", "parts": wrong})) != ""
    # a part of which nothing is known makes the sum's inequality no other than its own
    other = stated(["+", CUBE, ["*", "y", "w"]], w=(-1, 1))
    point = {"kind": "degenerate", "point": {}, "stationary": {"1": "0"}, "direction": {"1": "1"}}
    assert of(other, "", {"kind": "part", "own": [1], "proof": point}, "refuted") != ""


def test_the_two_inequalities_are_not_mistaken_for_each_other():
    bounded, free = stated(SQUARE), stated(SQUARE, REALS)
    assert of(bounded, "2", STRONG) != "" and of(bounded, "2", STRONG, y="all") != ""
    assert of(bounded, "2", proximal(STRONG), y="all") != ""
    assert of(free, "2", STRONG, y="all") == "" and of(free, "2", proximal(STRONG), y="all") != ""


def test_bounds_alone_may_limit_the_follower():
    about = {**stated(SQUARE), "constraints": []}
    limited = statement(
        {"x": (X, 0, 1), "y": (Y, 0, 1)}, {"lower.objective": SQUARE}, [("c", Y, ["+", "y", ["*", -1, "x"]], "<= 0")]
    )
    domain = statement({"x": (X, 0, 1), "y": (Y, 0, 1)}, {"lower.objective": ["+", SQUARE, ["log", "y"]]}, [],
                       [("y", "> 0")])  # fmt: skip
    whole = copy.deepcopy(about)
    whole["variables"][1]["integer"] = True
    kink = stated(["+", SQUARE, ["abs", ["+", "y", "-1/2"]]])
    assert of(about, "2", proximal(STRONG)) == ""
    for wrong in (limited, domain, whole, kink):
        assert of(wrong, "1/1000", proximal(STRONG)) != ""
        assert of(wrong, "1/1000", proximal(line(), "1000")) != ""


def test_points_that_are_no_minima_must_lie_between_the_bounds_and_rest_there():
    about = stated(["+", CUBE, ["*", -1, "y"]], (0, 1))  # falls to 1 / sqrt(3), then rises to 1
    def stationary(at, low):
        return {"kind": "stationary", "point": {}, "stationary": {"1": at}, "lower": {"1": low}}

    for at, low in (("0", "1/2"), ("1", "1/2"), ("1/2", "3/5"), ("-1", "-2")):
        assert of(about, "", stationary(at, low), "refuted") != ""
    held = stated(["+", ["*", -1, SQUARE], "y"], (0, 3))  # at 0 a bound holds it, and at 3 it is lower
    assert of(held, "", stationary("0", "3"), "refuted") == ""
    assert of(held, "", stationary("0", "4"), "refuted") != ""
    assert of(held, "", stationary("3", "0"), "refuted") != ""


def test_lines_and_curves_stay_between_the_bounds():
    def degenerate(step):
        return {"kind": "degenerate", "point": {}, "stationary": {"1": "0"}, "direction": {"1": step}}

    assert of(stated(CUBE), "", degenerate("1"), "refuted") == "" != of(stated(CUBE), "", degenerate("-1"), "refuted")
    falling = {"kind": "falling", "point": {}, "direction": {"1": "1"}}
    assert of(stated(["exp", SLOPE], (0, "inf")), "", falling, "refuted") == ""
    assert of(stated(["exp", SLOPE], (0, 5)), "", falling, "refuted") != ""  # it is least at 5

    def way(low, start="1/2", end="0"):
        curve = {"0": [["0", "1", low], ["0", "0", "1"]], "1": [[start], ["1"]]}  # x is low + 1 / t
        return {"kind": "asymptotic", "point": {}, "curve": curve, "lower": {"1": [[end], ["1"]]}}

    about = stated(["*", "x", "y"])
    assert of(about, "", way("0"), "refuted") == ""
    for wrong in (way("0", start="3/2"), way("0", end="-1"), way("1"), way("0", start="0", end="1/2")):
        assert of(about, "", wrong, "refuted") != ""
    assert of(stated(["*", "x", "y"], x=(1, 3)), "", way("0"), "refuted") != ""  # there 1/2 is a constant


def test_an_upper_bound_of_the_constant_counts_what_no_bound_holds():
    about = stated("y")
    made = claim(fact="pl", constant="1/2", proof=proximal(line(), "1"))
    def accepted(bound, p, q):
        proof = {"kind": "pl-ratio", "point": {}, "p": {"1": p}, "q": {"1": q}}
        whole = certificate(about, {**made, "constant_upper": bound, "proof_upper": proof})
        return check_certificate(whole, about)[0].accepted

    assert accepted("1/2", "1", "0") and accepted("1", "1/2", "0")
    assert not accepted("49/100", "1", "0") and not accepted("1/2", "0", "1") and not accepted("1/4", "2", "0")
