"""Whole certificates: digest, statement, scopes, the kinds of proofs, and what is said of constraints and sets."""

import json

import pytest
from check_statements import REALS, X, Y, accepts, certificate, checked, claim, digest, statement
from flint import fmpq

from bileveldsl.certify.check import check_certificate
from bileveldsl.certify.check.goals import Bend
from bileveldsl.certify.check.reading import read
from bileveldsl.certify.check.refutations import quotient
from bileveldsl.certify.check.region import context_of

SQUARE = ["^", "y", 2]
FORM = ["+", SQUARE, ["*", "y", "w"], ["^", "w", 2]]  # eigenvalues of the Hessian: 1 and 3
QUADRATIC = {"kind": "quadratic"}
TWO_SIDED = {"kind": "two-sided", "below": QUADRATIC, "above": QUADRATIC}


def _stated(function, constraints=(), conditions=(), integers=(), **bounds):
    boxes = {name: (level, *bounds.get(name, REALS)) for name, level in (("x", X), ("y", Y), ("w", Y))}
    functions = {"upper.objective": ["*", "x", "x", SQUARE], "lower.objective": function}
    return statement(boxes, functions, constraints, conditions, integers)


FORMED = _stated(FORM)


# ---- the file -------------------------------------------------------------------------------


def test_a_certificate_is_accepted_as_text_and_as_an_object():
    whole = certificate(FORMED, claim(), claim(fact="strongly_convex", constant="1", proof=QUADRATIC))
    for form in (whole, json.dumps(whole), json.dumps(whole, indent=1)):
        results = check_certificate(form, FORMED)
        assert [(r.of, r.fact, r.verdict, r.accepted) for r in results] == [
            ("lower.objective", "convex", "proved", True),
            ("lower.objective", "strongly_convex", "proved", True),
        ]


def test_the_digest_and_the_statement_are_compared():
    whole = certificate(FORMED, claim())
    [result] = check_certificate({**whole, "digest": "0" * 64}, FORMED)
    assert not result.accepted and "digest" in result.reason
    [result] = check_certificate(whole, _stated(SQUARE))
    assert not result.accepted and "statement" in result.reason
    [result] = check_certificate({**whole, "model": "n"}, FORMED)
    assert not result.accepted


def test_one_is_not_true_in_a_statement():
    other = json.loads(json.dumps(FORMED))
    other["nodes"][0][1] = False  # the variable number 0
    assert other == FORMED
    whole = certificate(other, claim())
    assert not any(r.accepted for r in check_certificate(whole, FORMED))
    assert not any(r.accepted for r in check_certificate(certificate(other, claim()), other))


@pytest.mark.parametrize(
    "form",
    ["", "{", "[]", "5", "null", '"x"', "[" * 100_000, '{"a":' * 100_000, '{"claims": NaN}', "{}", None, 7, [],
     {"claims": []}, {"schema": "bileveldsl.certificate/1"}, {1: 2}],
)  # fmt: skip
def test_what_is_no_certificate_is_not_accepted(form):
    [result] = check_certificate(form, FORMED)
    assert not result.accepted and result.reason


def test_a_name_that_stands_twice():
    text = json.dumps(certificate(FORMED, claim()))
    [result] = check_certificate('{"model": "other", ' + text[1:], FORMED)
    assert not result.accepted and "twice" in result.reason


def test_deep_and_strange_values_within_a_claim():
    deep = QUADRATIC
    for _ in range(50_000):
        deep = {"kind": "stronger", "constant": "0", "proof": deep}
    assert not any(
        r.accepted for r in check_certificate({**certificate(FORMED), "claims": [claim(proof=deep)]}, FORMED)
    )
    nested = QUADRATIC
    for _ in range(150):
        nested = {"kind": "stronger", "constant": "0", "proof": nested}
    assert not accepts(FORMED, claim(proof=nested))
    for strange in (None, 5, "composition", [], {"kind": ["composition"]}, {"kind": None}, {}, {"kind": "x" * 10**6}):
        whole = {**claim(), "proof": strange}
        assert not accepts(FORMED, whole)
    for strange in (None, [], 5, "x", {}, {"of": {}}, {**claim(), "more": 1}, {**claim(), "scope": "box"}):
        assert not accepts(FORMED, strange)


def test_the_claims_are_judged_one_by_one():
    results = checked(FORMED, claim(fact="smooth", constant="2", proof=TWO_SIDED), {}, claim())
    assert [r.accepted for r in results] == [False, False, True]


# ---- constants ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "constant", "holds"),
    [
        ("strongly_convex", "1", True), ("strongly_convex", "1/2", True),
        ("strongly_convex", "10000000000000000001/10000000000000000000", False), ("strongly_convex", "0", False),
        ("strongly_convex", "-1", False), ("smooth", "3", True), ("smooth", "7/2", True),
        ("smooth", "29999999999999999999/10000000000000000000", False), ("smooth", "-3", False),
    ],
)  # fmt: skip
def test_constants_of_a_quadratic_function(fact, constant, holds):
    proof = QUADRATIC if fact == "strongly_convex" else TWO_SIDED
    assert accepts(FORMED, claim(fact=fact, constant=constant, proof=proof)) == holds


def test_stronger_proofs():
    stronger = {"kind": "stronger", "constant": "1", "proof": QUADRATIC}
    assert accepts(FORMED, claim(fact="strongly_convex", constant="99/100", proof=stronger))
    assert accepts(FORMED, claim(proof=stronger))
    assert not accepts(FORMED, claim(fact="strongly_convex", constant="101/100", proof=stronger))
    weaker = {**stronger, "constant": "2"}
    assert not accepts(FORMED, claim(fact="strongly_convex", constant="1", proof=weaker))
    assert not accepts(_stated(["*", -1, SQUARE]), claim(proof={**stronger, "constant": "-5"}))
    smooth = {"kind": "stronger", "constant": "3", "proof": TWO_SIDED}
    assert accepts(FORMED, claim(fact="smooth", constant="4", proof=smooth))
    assert not accepts(FORMED, claim(fact="smooth", constant="2", proof=smooth))
    assert not accepts(FORMED, claim(fact="smooth", constant="4", proof={**smooth, "constant": "2"}))


def test_constants_stand_where_they_say_something():
    assert not accepts(FORMED, claim(constant="1"))
    assert not accepts(FORMED, claim(fact="strongly_convex", proof=QUADRATIC))
    assert not accepts(FORMED, claim(fact="strongly_convex", constant=1, proof=QUADRATIC))
    assert not accepts(FORMED, claim(fact="strongly_convex", constant="1.0", proof=QUADRATIC))
    assert not accepts(FORMED, claim(constant_upper="1"))
    assert not accepts(FORMED, claim(x="pointwise"))


def test_a_quadratic_proof_needs_numbers():
    for function in (["^", "y", 4], ["*", "x", SQUARE], ["abs", "y"], ["exp", "y"]):
        assert not accepts(_stated(function), claim(proof=QUADRATIC))
    assert accepts(_stated(["+", SQUARE, ["*", "x", "y"], ["exp", "x"], ["abs", "x"]]), claim(proof=QUADRATIC))


def test_sums_of_parts():
    stated = _stated(["+", SQUARE, ["abs", "y"], ["^", "w", 2], ["exp", "w"]])

    def parts(*groups):
        return {"kind": "sum", "parts": [{"terms": t, "shift": s, "proof": p} for t, s, p in groups]}

    composition = {"kind": "composition"}
    good = parts(([0, 2], "-2", QUADRATIC), ([1, 3], "0", composition))
    assert accepts(stated, claim(fact="strongly_convex", constant="2", proof=good))
    assert not accepts(stated, claim(fact="strongly_convex", constant="201/100", proof=good))
    for bad in (
        parts(([0, 2], "-2", QUADRATIC), ([1], "0", composition)),
        parts(([0, 2], "-2", QUADRATIC), ([0, 1, 3], "0", composition)),
        parts(([0, 2, 2], "-2", QUADRATIC), ([1, 3], "0", composition)),
        parts(([0, 2], "-2", QUADRATIC), ([1, 3], "0", composition), ([], "-1", QUADRATIC)),
        parts(([0, 2], "-2", QUADRATIC), ([1, 3], "-1", composition)),
        parts(([0, 2], "-3", QUADRATIC), ([1, 3], "1", composition)),
        parts(([0], "-2", QUADRATIC), ([1, 2, 3], "0", composition)),
        parts(([0, 2], "-2", QUADRATIC), ([1, 3], "0", QUADRATIC)),
        parts(([0, 2], "-2", QUADRATIC), ([1, 4], "0", composition)),
        parts(),
    ):
        assert not accepts(stated, claim(fact="strongly_convex", constant="2", proof=bad)), bad
    assert not accepts(FORMED, claim(proof=parts(([0, 1, 2], "0", {"kind": "sum", "parts": []}))))


def test_a_concave_part_may_be_outweighed():
    stated = _stated(["+", ["*", 3, SQUARE], ["*", 3, ["^", "w", 2]], ["*", -1, SQUARE], ["*", -1, ["^", "w", 2]]])
    proof = {
        "kind": "sum",
        "parts": [
            {"terms": [0, 1], "shift": "-6", "proof": QUADRATIC},
            {"terms": [2, 3], "shift": "2", "proof": QUADRATIC},
        ],
    }
    assert accepts(stated, claim(fact="strongly_convex", constant="4", proof=proof))
    assert not accepts(stated, claim(fact="strongly_convex", constant="9/2", proof=proof))


def test_strong_convexity_for_each_x():
    stated = _stated(
        ["+", ["*", ["exp", "x"], SQUARE], ["*", ["exp", "x"], ["^", "w", 2]], ["abs", "y"], ["*", "x", "y"]]
    )
    nodes = [
        ["var", 0], ["var", 1], ["var", 2], ["exp", 0], ["^", 1, "2"], ["^", 2, "2"], ["num", "1/2"], ["+", [4, 5]],
        ["*", [6, 7]], ["abs", 1], ["*", [0, 1]], ["+", [9, 10]], ["num", "2"], ["*", [12, 3]],
    ]  # fmt: skip
    proof = {
        "kind": "pointwise", "nodes": nodes, "modulus": 13, "strong": 8, "rest": 11, "strong_proof": QUADRATIC,
        "rest_proof": {"kind": "composition"},
    }  # fmt: skip
    good = claim(fact="strongly_convex", x="pointwise", proof=proof)
    assert accepts(stated, good)
    assert not accepts(stated, {**good, "constant": "1"})
    assert not accepts(stated, {**good, "scope": {"x": "box", "y": "region"}, "constant": "1"})
    for change in ({"modulus": 0}, {"modulus": 1}, {"modulus": 3}, {"strong": 7}, {"rest": 9}, {"rest": 2}):
        assert not accepts(stated, {**good, "proof": {**proof, **change}}), change
    zero = [*nodes, ["*", [0, 0]], ["num", "0"], ["+", [11, 15]]]
    plain = _stated(["+", ["*", "x", "x", SQUARE], ["*", "x", "x", ["^", "w", 2]]], x=("-1", "1"))
    half = {**proof, "nodes": [*zero, ["*", [12, 14]]], "modulus": 17, "rest": 15}
    assert not accepts(plain, {**good, "proof": half})  # at x = 0 the modulus is 0
    bounded = _stated(["+", ["*", "x", "x", SQUARE], ["*", "x", "x", ["^", "w", 2]]], x=("1/10", "1"))
    assert accepts(bounded, {**good, "proof": half})


# ---- scope ----------------------------------------------------------------------------------


def test_all_is_everything():
    assert accepts(FORMED, claim(y="all"))
    assert not accepts(_stated(FORM, y=("0", "inf")), claim(y="all"))
    assert not accepts(_stated(FORM, integers=["y"]), claim(y="all"))
    assert accepts(_stated(FORM, x=("0", "1"), integers=["x"]), claim(y="all"))
    assert not accepts(_stated(["+", FORM, ["*", 0, ["log", "y"]]], conditions=[("y", "> 0")]), claim(y="all"))
    assert accepts(_stated(["+", FORM, ["log", "x"]], conditions=[("x", "> 0")]), claim(y="all"))
    assert accepts(_stated(FORM, conditions=[(["+", 1, SQUARE], "> 0")]), claim(y="all"))


def test_the_leader_is_judged_in_all_variables():
    joint = claim("upper.objective")
    assert not accepts(FORMED, joint)  # x^2 y^2 is convex in each variable
    assert accepts(
        statement({"x": (X, *REALS), "y": (Y, *REALS)}, {"upper.objective": ["^", ["+", "x", "y"], 2]}), joint
    )


def test_hessians_need_smooth_functions():
    """y |y| has the derivative 2|y| and a second derivative but at 0; sqrt(y^2) is |y|."""
    for function in (["*", "y", ["abs", "y"]], ["^", SQUARE, "1/2"], ["max", SQUARE, 0], ["^", SQUARE, "5/4"]):
        stated = _stated(function)
        for proof in (QUADRATIC, {"kind": "sos"}, {"kind": "cover"}):
            assert not accepts(stated, claim(proof=proof))
    steps = _stated(["+", SQUARE, ["step", "y"]], y=("0", "inf"))
    assert not accepts(steps, claim(proof=QUADRATIC))
    assert not accepts(_stated(["+", SQUARE, ["sign", "y"]], y=("0", "inf")), claim(proof=QUADRATIC))
    assert accepts(_stated(["+", SQUARE, ["sign", "y"]], y=("1", "inf")), claim(proof=QUADRATIC))


# ---- refutations ----------------------------------------------------------------------------


def _bent(at, direction, **rest):
    proof = {"kind": "curvature", "point": at, "direction": direction}
    return claim(verdict="refuted", proof=proof, **rest)


def test_negative_curvature():
    saddle = _stated(["*", "y", "w"], y=("-1", "1"), w=("-1", "1"))
    assert accepts(saddle, _bent({"1": "0", "2": "0"}, {"1": "1", "2": "-1"}))
    assert accepts(saddle, _bent({"1": "1", "2": "-1"}, {"1": "1", "2": "-1"}))
    assert accepts(saddle, _bent({"1": "0", "2": "0"}, {"1": "1", "2": "-1"}, fact="strongly_convex"))
    for at, direction in (
        ({"1": "0", "2": "0"}, {"1": "1", "2": "1"}),
        ({"1": "0", "2": "0"}, {"1": "1"}),
        ({"1": "0", "2": "0"}, {}),
        ({"1": "0", "2": "0"}, {"1": "0"}),
        ({"1": "0", "2": "0"}, {"0": "1"}),
        ({"1": "2", "2": "0"}, {"1": "1", "2": "-1"}),
    ):
        assert not accepts(saddle, _bent(at, direction)), (at, direction)
    assert accepts(saddle, _bent({"1": "0", "2": "0"}, {"1": "1"}, fact="strongly_convex"))


def test_the_point_is_feasible():
    cubic = ["+", ["^", "y", 3], ["*", 0, "x"]]
    down = _bent({"1": "-1", "2": "0"}, {"1": "1"})
    assert accepts(_stated(cubic), down)
    assert not accepts(_stated(cubic, y=("0", "inf")), down)
    assert accepts(_stated(cubic, y=("-1", "inf")), down)
    assert not accepts(_stated(cubic, y=("-1", "-1")), down)
    assert not accepts(_stated(cubic, [("cut", Y, ["*", -1, "y"], "<= 0")]), down)
    assert accepts(_stated(cubic, [("cut", Y, "y", "<= 0")]), down)
    assert accepts(_stated(cubic, [("cut", X, ["*", -1, "y"], "<= 0")]), down)
    assert not accepts(_stated(cubic, [("cut", Y, ["+", "y", "x"], "<= 0")]), down)  # x has no value
    assert accepts(_stated(cubic, [("cut", Y, ["+", ["exp", "y"], -1], "<= 0")]), down)
    assert not accepts(_stated(cubic, [("cut", Y, ["+", ["exp", "y"], -1], "== 0")]), down)
    assert accepts(_stated(cubic, [("cut", Y, ["+", "y", 1], "== 0")]), down)
    assert not accepts(_stated(cubic, conditions=[(["+", "y", 1], ">= 0")]), down)
    assert accepts(_stated(cubic, conditions=[(["+", "y", 2], ">= 0")]), down)


def test_no_curvature_at_a_kink():
    kinked = _stated(["+", ["abs", "y"], ["*", -1, SQUARE]])
    assert not accepts(kinked, _bent({"1": "0"}, {"1": "1"}))
    assert accepts(kinked, _bent({"1": "1"}, {"1": "1"}))
    root = _stated(["^", ["+", SQUARE, ["^", "w", 2]], "1/2"])
    assert not accepts(root, _bent({"1": "0", "2": "0"}, {"1": "1"}, fact="strongly_convex"))
    assert accepts(root, _bent({"1": "1", "2": "0"}, {"1": "1"}, fact="strongly_convex"))


def test_curvature_that_is_no_rational_number():
    waves = _stated(["sin", "y"])
    assert accepts(waves, _bent({"1": "1"}, {"1": "1"}))
    assert not accepts(waves, _bent({"1": "-1"}, {"1": "1"}))
    nearly = _stated(["+", ["*", "1/2", SQUARE], ["*", -1, ["exp", "y"]]])
    assert not accepts(nearly, _bent({"1": "0"}, {"1": "1"}))
    assert accepts(nearly, _bent({"1": "1/1000000000000000000000"}, {"1": "1"}))
    assert not accepts(nearly, _bent({"1": "-1/1000000000000000000000"}, {"1": "1"}))


def test_tiny_negative_curvature_counts():
    assert accepts(_stated(["*", "-1/100000000000", SQUARE]), _bent({"1": "0"}, {"1": "1"}))


def test_midpoints():
    def above(a, b, **rest):
        return claim(verdict="refuted", proof={"kind": "midpoint", "from": a, "to": b}, **rest)

    valley = _stated(["min", "y", ["*", -1, "y"]], x=("0", "1"))
    whole = {"0": "0", "2": "0"}
    assert accepts(valley, above({"1": "-1", **whole}, {"1": "1", **whole}))
    assert accepts(valley, above({"1": "-1"}, {"1": "1"}))
    assert accepts(valley, above({"1": "-1"}, {"1": "1"}, fact="strongly_convex"))
    assert not accepts(valley, above({"1": "1"}, {"1": "2"}))
    assert not accepts(valley, above({"1": "-1", "0": "0"}, {"1": "1", "0": "1"}))
    assert not accepts(valley, above({"1": "-1"}, {"1": "1", "0": "1"}))
    assert not accepts(valley, above({}, {}))
    assert not accepts(_stated(["abs", "y"]), above({"1": "-1"}, {"1": "1"}))
    hole = _stated(["min", "y", ["*", -1, "y"]], [("cut", Y, ["+", 1, ["*", -4, SQUARE]], "<= 0")])
    assert not accepts(hole, above({"1": "-1"}, {"1": "1"}))
    assert accepts(_stated(["*", -1, ["exp", ["abs", "y"]]]), above({"1": "-1"}, {"1": "1"}))
    product = _stated(["*", "x", "y"], x=("-1", "1"))  # not convex in x and y together, which is not claimed
    assert not accepts(product, above({"0": "-1", "1": "1"}, {"0": "1", "1": "-1"}))


def test_bounds_on_the_other_side():
    def with_upper(fact, constant, upper, at, direction, proof):
        other = {"kind": "curvature", "point": at, "direction": direction}
        return claim(fact=fact, constant=constant, proof=proof, constant_upper=upper, proof_upper=other)

    at, least, greatest = {"1": "0", "2": "0"}, {"1": "1", "2": "-1"}, {"1": "1", "2": "1"}
    assert accepts(FORMED, with_upper("strongly_convex", "1", "1", at, least, QUADRATIC))
    assert accepts(FORMED, with_upper("strongly_convex", "1", "3", at, greatest, QUADRATIC))
    assert not accepts(FORMED, with_upper("strongly_convex", "1", "99/100", at, least, QUADRATIC))
    assert not accepts(FORMED, with_upper("strongly_convex", "1", "2", at, greatest, QUADRATIC))
    assert accepts(FORMED, with_upper("smooth", "3", "3", at, greatest, TWO_SIDED))
    assert not accepts(FORMED, with_upper("smooth", "3", "301/100", at, greatest, TWO_SIDED))
    down = _stated(["*", -1, SQUARE])
    assert accepts(down, with_upper("smooth", "2", "2", at, {"1": "1"}, TWO_SIDED))


# ---- constraints and sets -------------------------------------------------------------------


def _family(*proofs):
    return {"kind": "family", "members": list(proofs)}


COMPOSITION = {"kind": "composition"}
DISC = ("disc", Y, ["+", SQUARE, ["^", "w", 2], ["*", -1, ["exp", "x"]]], "<= 0")
LINE = ("line", Y, ["+", "y", ["*", "x", "w"], -1], "== 0")
SET = claim("lower.feasible_set", proof={"kind": "constraints"})


def test_constraints():
    stated = _stated(FORM, [DISC, LINE])
    assert accepts(stated, claim("disc"), claim("disc", proof=_family(QUADRATIC)))
    assert accepts(stated, claim("line", proof={"kind": "affine-equality"}))
    assert not accepts(stated, claim("line"))
    assert not accepts(stated, claim("disc", proof={"kind": "affine-equality"}))
    assert not accepts(stated, claim("none"))
    assert not accepts(stated, claim("disc", proof=_family()))
    assert not accepts(stated, claim("disc", proof=_family(QUADRATIC, QUADRATIC)))
    assert not accepts(stated, claim("disc", fact="strongly_convex", constant="1", proof=_family(QUADRATIC)))
    assert not accepts(
        _stated(FORM, [("e", Y, ["+", SQUARE, -1], "== 0")]), claim("e", proof={"kind": "affine-equality"})
    )
    assert not accepts(_stated(FORM, [("e", Y, SQUARE, "== 0")]), claim("e"))


def test_families_need_every_member():
    members = [("cap[0]", Y, ["+", SQUARE, -1], "<= 0"), ("cap[1]", Y, ["+", ["abs", "w"], -1], "<= 0")]
    stated = _stated(FORM, members)
    assert accepts(stated, claim("cap", proof=_family(QUADRATIC, COMPOSITION)))
    assert accepts(stated, claim("cap"), claim("cap[1]"))
    assert not accepts(stated, claim("cap", proof=_family(QUADRATIC)))
    assert not accepts(stated, claim("cap", proof=_family(COMPOSITION, QUADRATIC)))
    assert not accepts(stated, claim("ca"))
    down = [*members, ("cap[2]", Y, ["+", 1, ["*", -1, SQUARE]], "<= 0")]
    other = _stated(FORM, down, y=("1", "1"), w=("-1", "1"))
    assert not accepts(other, claim("cap"))
    bent = {"kind": "curvature", "point": {"1": "1", "2": "0"}, "direction": {"1": "1"}}
    wide = _stated(FORM, down)
    assert accepts(wide, claim("cap", verdict="refuted", proof=_family(None, None, bent)))
    assert not accepts(wide, claim("cap", verdict="refuted", proof=_family(bent)))
    assert not accepts(wide, claim("cap", verdict="refuted", proof=_family(None)))
    assert not accepts(wide, claim("cap", verdict="refuted", proof=_family(None, None, None, bent)))


def test_the_gradients_of_constraints_change_at_most_with_the_constant_of_a_member():
    members = [("cap[0]", Y, ["+", SQUARE, -1], "<= 0"), ("cap[1]", Y, ["+", ["*", 3, FORM], -1], "== 0")]
    stated = _stated(FORM, members)

    def smooth(constant, *constants, **more):
        parts = [{"constant": c, "proof": TWO_SIDED} for c in constants]
        return claim("cap", fact="smooth", constant=constant, proof=_family(*parts), **more)

    assert accepts(stated, smooth("9", "2", "9"))
    better = {"constant": "9", "proof": {"kind": "stronger", "constant": "9", "proof": TWO_SIDED}}
    assert accepts(stated, claim("cap", fact="smooth", constant="9", proof=_family(better, better)))
    for constants in (("8", "2", "8"), ("9", "1", "9"), ("9", "2", "8"), ("8", "2", "9"), ("9", "2"), ("9", "-2", "9")):
        assert not accepts(stated, smooth(*constants))
    assert not accepts(stated, claim("cap", fact="smooth", constant="9", proof=TWO_SIDED))
    at = {"kind": "curvature", "point": {"1": "0", "2": "0"}, "direction": {"1": "1", "2": "1"}}
    assert not accepts(stated, smooth("9", "2", "9", constant_upper="9", proof_upper=at))
    steep = {"kind": "steep", "point": {"0": "0", "1": "1", "2": "0"}, "ray": {"1": "1"}, "direction": {"1": "1"}}
    quartic = _stated(FORM, [members[0], ("cap[1]", Y, ["+", ["^", "y", 4], -1], "<= 0")])
    assert accepts(quartic, claim("cap", fact="smooth", verdict="refuted", proof=_family(None, steep)))
    assert not accepts(quartic, claim("cap", fact="smooth", verdict="refuted", proof=_family(steep)))
    assert not accepts(quartic, claim("cap", fact="convex", verdict="refuted", proof=_family(None, steep)))


def test_feasible_sets():
    assert accepts(_stated(FORM, [DISC, LINE]), claim("disc"), claim("line", proof={"kind": "affine-equality"}), SET)
    assert accepts(_stated(FORM, [DISC, LINE]), SET, claim("disc"))  # an affine constraint needs no claim
    assert not accepts(_stated(FORM, [DISC, LINE]), SET)
    assert accepts(_stated(FORM), SET)
    results = checked(_stated(FORM, [DISC]), claim("disc", proof=QUADRATIC), claim("disc", proof={"kind": "sos"}), SET)
    assert [r.accepted for r in results] == [True, False, True]
    ring = ("ring", Y, ["+", 1, ["*", -1, SQUARE]], "<= 0")
    bent = {"kind": "curvature", "point": {"1": "1"}, "direction": {"1": "1"}}
    refuted = claim("ring", verdict="refuted", proof=bent)
    results = checked(_stated(FORM, [ring]), refuted, SET)
    assert [r.accepted for r in results] == [True, False]
    assert not accepts(_stated(FORM, [DISC], integers=["w"]), claim("disc"), SET)
    assert not accepts(_stated(FORM, conditions=[(["+", SQUARE, -1], "> 0")]), SET)
    assert not accepts(_stated(FORM), claim("upper.feasible_set", proof={"kind": "constraints"}))
    assert not accepts(_stated(FORM), claim("other.feasible_set", proof={"kind": "constraints"}))
    assert not accepts(_stated(FORM, [LINE]), {**SET, "scope": {"x": "box", "y": "all"}})
    assert not accepts(_stated(FORM, [DISC]), claim("disc"), claim("lower.feasible_set"))


def test_upper_constraints_are_judged_in_all_variables():
    stated = _stated(FORM, [("top", X, ["*", "x", SQUARE], "<= 0"), ("cup", X, ["+", FORM, ["^", "x", 2]], "<= 0")])
    assert not accepts(stated, claim("top"))
    assert accepts(stated, claim("cup"))


# ---- the inequality -------------------------------------------------------------------------


def test_the_inequality_is_one_of_the_whole_space():
    strong = {"kind": "strong", "proof": QUADRATIC}
    pl = claim(fact="pl", constant="1", y="all", proof=strong)
    assert accepts(FORMED, pl)
    assert not accepts(FORMED, {**pl, "constant": "2"})
    assert not accepts(FORMED, {**pl, "scope": {"x": "box", "y": "region"}})
    assert not accepts(_stated(FORM, y=("0", "inf")), pl)
    assert not accepts(_stated(FORM, [LINE]), pl)
    assert accepts(_stated(FORM, [("top", X, "y", "<= 0")]), pl)


def test_penalty_functions():
    stated = _stated(FORM, x=("-1", "1"))
    strong = {"kind": "sum", "parts": [{"terms": [0], "shift": "0", "proof": COMPOSITION},
                                       {"terms": [1], "shift": "-1", "proof": QUADRATIC}]}  # fmt: skip
    whole = claim("lower.penalty", "strongly_convex", strong, constant="1", sigma={"upper": "1/10"})
    assert accepts(stated, whole)
    assert not accepts(stated, {**whole, "constant": "2"})
    assert not accepts(stated, {k: v for k, v in whole.items() if k != "sigma"})
    assert not accepts(stated, {**whole, "sigma": {"upper": "-1"}})
    assert not accepts(stated, {**whole, "of": "upper.penalty"})
    assert not accepts(stated, {**whole, "of": "lower.objective"})


def test_the_digest_of_the_tests_is_that_of_the_file():
    whole = certificate(FORMED, claim())
    assert digest(whole) == whole["digest"]


def test_curvature_that_cancels():
    """The second derivative of softplus at 781 is about exp(-781), a difference of nearly 1 and 1."""
    problem = read(_stated(["softplus", "y"]))
    root = problem.functions["lower.objective"]
    proof = {"kind": "curvature", "point": {"1": "781"}, "direction": {"1": "1"}}
    curvature = quotient(context_of(problem, (1, 2), [root], Y), Bend(root, (1, 2), 1, fmpq(0)), proof, fmpq(0))
    assert fmpq(6, 10**340) < curvature.lo <= curvature.hi < fmpq(7, 10**340)
    refuted = claim(verdict="refuted", fact="strongly_convex", proof=proof)
    assert not accepts(_stated(["softplus", "y"]), refuted)


def test_a_modulus_is_one_of_the_other_variables():
    """exp(y) (y^2 + w^2) / 2 is exp(y) times a function of modulus 1, and not even convex."""
    square = ["*", "1/2", ["+", SQUARE, ["^", "w", 2]]]
    nodes = [["var", 1], ["var", 2], ["^", 0, "2"], ["^", 1, "2"], ["+", [2, 3]], ["num", "1/2"], ["*", [5, 4]],
             ["num", "0"], ["exp", 0], ["var", 0], ["exp", 9]]  # fmt: skip
    proof = {"kind": "pointwise", "nodes": nodes, "modulus": 8, "strong": 6, "rest": 7, "strong_proof": QUADRATIC,
             "rest_proof": COMPOSITION}  # fmt: skip
    claimed = claim(fact="strongly_convex", x="pointwise", proof=proof)
    assert not accepts(_stated(["*", ["exp", "y"], square]), claimed)
    assert accepts(_stated(["*", ["exp", "x"], square]), {**claimed, "proof": {**proof, "modulus": 10}})


def test_the_domain_of_a_constraint_is_convex():
    """y^2 where 0 log(y^2 - 1) is defined is convex on each of two half-lines."""
    outside = ["+", SQUARE, -1]
    cut = ("cut", Y, ["+", SQUARE, ["*", 0, ["log", outside]]], "<= 0")
    assert not accepts(_stated(FORM, [cut], [(outside, "> 0")]), claim("cut", proof=QUADRATIC))
    assert accepts(_stated(FORM, [cut], [(outside, "> 0")], y=("2", "inf")), claim("cut", proof=QUADRATIC))
