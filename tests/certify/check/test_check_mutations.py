"""No mutant of a certificate is accepted, and none makes the checker raise."""

import pytest
from check_statements import REALS, X, Y, certificate, claim, statement
from mutations import altered, mutants

from bileveldsl.certify.check import check_certificate

COMPOSITION, QUADRATIC = {"kind": "composition"}, {"kind": "quadratic"}
FORM = ["+", ["^", "y", 2], ["*", "y", "w"], ["^", "w", 2]]
BOXES = {"x": (X, -1, 1), "y": (Y, *REALS), "w": (Y, *REALS)}


def _curvature(at, direction):
    return {"kind": "curvature", "point": at, "direction": direction}


def _quadratic():
    stated = statement(BOXES, {"upper.objective": ["*", "x", "y"], "lower.objective": FORM})
    low, high = (
        _curvature({"1": "0", "2": "0"}, {"1": "1", "2": "-1"}),
        _curvature({"1": "1", "2": "0"}, {"1": "1", "2": "1"}),
    )
    two_sided = {"kind": "two-sided", "below": QUADRATIC, "above": QUADRATIC}
    return certificate(
        stated,
        claim(),
        claim(proof=QUADRATIC),
        claim(fact="strongly_convex", constant="1", proof=QUADRATIC, constant_upper="1", proof_upper=low),
        claim(fact="strongly_convex", constant="1/2", proof={"kind": "stronger", "constant": "1", "proof": QUADRATIC}),
        claim(fact="smooth", constant="3", proof=two_sided, constant_upper="3", proof_upper=high),
        claim(fact="pl", constant="1", y="all", proof={"kind": "strong", "proof": QUADRATIC}),
    )


def _constrained():
    boxes = {**BOXES, "w": (Y, 0, 5)}
    disc = [("disc[0]", Y, ["+", FORM, -4], "<= 0"), ("disc[1]", Y, ["+", ["abs", "y"], -2], "<= 0")]
    line = [("line", Y, ["+", "y", ["*", "x", "w"], -1], "== 0")]
    objective = ["+", ["*", ["exp", "x"], ["^", "y", 2]], ["abs", "w"], ["^", "w", 4], ["^", "w", 2]]
    two_sided = {"kind": "two-sided", "below": QUADRATIC, "above": QUADRATIC}
    ring = {"kind": "family", "members": [{"constant": "3", "proof": two_sided}]}
    convex = [*disc, *line, ("ring", Y, ["+", FORM, -9], "<= 0")]
    stated = statement(boxes, {"lower.objective": objective}, convex, [(["+", "x", 2], "> 0")])
    parts = {
        "kind": "sum",
        "parts": [
            {"terms": [0, 1, 2], "shift": "0", "proof": COMPOSITION},
            {"terms": [3], "shift": "0", "proof": QUADRATIC},
        ],
    }
    nodes = [["var", 2], ["^", 0, "2"], ["num", "2"], ["num", "1/2"], ["*", [1, 3]], ["var", 1], ["^", 5, "2"]]
    nodes += [["var", 0], ["exp", 7], ["*", [8, 6]], ["*", [2, 4]], ["abs", 0], ["^", 0, "4"], ["+", [9, 10, 11, 12]]]
    assert nodes[13][0] == "+"
    return certificate(
        stated,
        claim(),
        claim(proof=parts),
        claim("disc", proof={"kind": "family", "members": [QUADRATIC, COMPOSITION]}),
        claim("ring", proof=QUADRATIC),
        claim("line", proof={"kind": "affine-equality"}),
        claim("ring", fact="smooth", constant="3", proof=ring),
        claim("lower.feasible_set", proof={"kind": "constraints"}),
    )


def _pointwise():
    square = ["+", ["^", "y", 2], ["^", "w", 2]]
    stated = statement(
        {**BOXES, "x": (X, *REALS)}, {"lower.objective": ["+", ["*", ["exp", "x"], square], ["abs", "y"]]}
    )
    nodes = [["var", 0], ["exp", 0], ["num", "2"], ["*", [2, 1]], ["var", 1], ["var", 2], ["^", 4, "2"], ["^", 5, "2"],
             ["+", [6, 7]], ["num", "1/2"], ["*", [9, 8]], ["abs", 4]]  # fmt: skip
    proof = {"kind": "pointwise", "nodes": nodes, "modulus": 3, "strong": 10, "rest": 11, "strong_proof": QUADRATIC,
             "rest_proof": COMPOSITION}  # fmt: skip
    return certificate(stated, claim(fact="strongly_convex", x="pointwise", proof=proof))


def _refuted():
    boxes = {**BOXES, "y": (Y, -2, 2)}
    stated = statement(boxes, {"lower.objective": ["+", ["*", "x", ["^", "y", 2]], ["cos", "y"], ["^", "w", 4]]})
    bent = _curvature({"0": "-1", "1": "1/2", "2": "0"}, {"1": "1"})
    flat = _curvature({"0": "1/2", "1": "0", "2": "0"}, {"2": "3"})
    middle = {"kind": "midpoint", "from": {"0": "-1", "1": "-1", "2": "0"}, "to": {"0": "-1", "1": "1", "2": "0"}}
    return certificate(
        stated,
        claim(verdict="refuted", proof=bent),
        claim(verdict="refuted", proof=middle),
        claim(verdict="refuted", fact="strongly_convex", proof=flat),
    )


def _kinked():
    """A slope with a kink, and functions of the leader with a kink and with second derivatives without a bound."""
    slope = ["+", ["*", 3, ["^", ["min", "y", 0], 2]], ["^", ["max", 0, "y"], 2], ["^", "w", 2]]
    kink = ["+", ["abs", ["+", "y", ["*", -1, "w"]]], ["^", "x", 2]]
    tree = {"rows": [0], "atoms": [], "tree": [[1, "0"], 0, 0]}
    proof = {"kind": "piecewise", "blocks": [tree, {"rows": [1], "atoms": [], "tree": [0]}]}
    at = {"kind": "kink", "point": {"0": "1/2", "1": "1", "2": "1"}, "direction": {"1": "1"}}
    return certificate(
        statement({**BOXES, "x": (X, -1, 1)}, {"upper.objective": kink, "lower.objective": slope}),
        claim(fact="strongly_convex", constant="2", proof=proof),
        claim(fact="smooth", constant="6", proof={"kind": "two-sided", "below": proof, "above": proof}),
        claim(fact="pl", constant="2", y="all", proof={"kind": "strong", "proof": proof}),
        claim("upper.objective", fact="smooth", verdict="refuted", proof=at),
    )


def _steep():
    """Second derivatives that grow towards a point, and at turns of a sine."""
    stated = statement(
        {**BOXES, "y": (Y, 0, 4)},
        {"upper.objective": ["*", ["^", "w", 2], ["sin", "w"]], "lower.objective": ["^", "y", "3/2"]},
    )
    start = {"0": "0", "1": "0", "2": "0"}
    toward = {"kind": "steep", "point": start, "ray": {}, "toward": {"1": "1"}, "direction": {"1": "1"}}
    turn = {"kind": "steep", "point": start, "ray": {"2": "1"}, "turn": "1", "direction": {"2": "1"}}
    return certificate(
        stated,
        claim(verdict="refuted", fact="smooth", proof=toward),
        claim("upper.objective", verdict="refuted", fact="smooth", proof=turn),
    )


CERTIFICATES = {
    "quadratic": _quadratic, "constrained": _constrained, "pointwise": _pointwise, "refuted": _refuted,
    "kinked": _kinked, "steep": _steep,
}  # fmt: skip


@pytest.mark.parametrize("name", CERTIFICATES)
def test_no_mutant_is_accepted(name):
    whole = CERTIFICATES[name]()
    assert all(r.accepted for r in check_certificate(whole, whole["statement"])), check_certificate(
        whole, whole["statement"]
    )
    count = 0
    for mutant in mutants(whole, most=60):
        results = check_certificate(mutant.certificate, mutant.statement)
        result = results[mutant.claim if len(results) > 1 else 0]
        assert not result.accepted and result.reason, mutant.name
        count += 1
    assert count > 60


@pytest.mark.parametrize("name", CERTIFICATES)
def test_every_altered_proof_is_answered(name):
    whole = CERTIFICATES[name]()
    for mutant in altered(whole, most=30):
        results = check_certificate(mutant.certificate, mutant.statement)
        assert len(results) == len(whole["claims"])
        assert all(r.accepted or r.reason for r in results)


def test_statements_that_are_broken():
    """The caller's statement is trusted, but one that is broken is still answered."""
    whole = _quadratic()
    for wrong in (None, 5, [], {}, {"form": "array"}, {"form": "scalar"}, {**whole["statement"], "nodes": []}):
        results = check_certificate(certificate(wrong, claim()), wrong)
        assert not any(r.accepted for r in results)
