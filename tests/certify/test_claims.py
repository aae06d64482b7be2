"""Claims of a model against its facts, and the pages that explain what goes wrong."""

import re
from fractions import Fraction

import pytest
from programs import LOWER, scalar_program, x, y
from sympy import Abs, exp, sin

import bileveldsl as blv
from bileveldsl.calculus.functions import huber
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.check import check
from bileveldsl.language.pages import codes, page
from bileveldsl.program import Claim


def checked(formula, mode, fact, constant=None, boxes=None):
    claim = Claim(mode, fact, None if constant is None else Fraction(constant), LOWER)
    made = scalar_program(formula, boxes, claims=[claim])
    known, diagnostics = check_claims(made, certify(made, budget_seconds=100.0))
    own = {f.fact: f for f in known if f.of == "lower.objective"}
    return own, [d.code for d in diagnostics], diagnostics


@pytest.mark.parametrize(
    ("formula", "fact", "constant", "expected"),
    [
        ((y - x) ** 2, "strongly_convex", None, []),
        ((y - x) ** 2, "strongly_convex", 2, []),
        ((y - x) ** 2, "strongly_convex", Fraction(2) + Fraction(1, 10**9), ["E502"]),
        ((y - x) ** 2, "smooth", 2, []),
        ((y - x) ** 2, "smooth", Fraction(19, 10), ["E502"]),
        ((y - x) ** 2, "pl", 2, []),
        (exp(x) * y**2, "strongly_convex", None, ["E501"]),
        (exp(x) * y**2, "convex", None, []),
        (y**4, "strongly_convex", None, ["E502"]),
        (y**4, "smooth", None, ["E502"]),
        (Abs(y), "smooth", None, ["E502"]),
        (sin(x) * y**2, "convex", None, ["E502"]),
        (y**2 + 3 * sin(y) ** 2, "pl", None, []),
        (y**2 + 5 * sin(y) ** 2, "pl", None, ["E502"]),
        (huber(y, 1), "pl", None, ["E501"]),
    ],
)
def test_required_properties(formula, fact, constant, expected):
    _, found, diagnostics = checked(formula, "require", fact, constant)
    assert found == expected
    for diagnostic in diagnostics:
        assert diagnostic.label and diagnostic.help and diagnostic.span is LOWER


def test_a_constant_that_is_too_large_names_what_was_proved():
    _, found, (diagnostic,) = checked(y**2 + 3 * sin(y) ** 2, "require", "pl", Fraction(1754, 10_000))
    assert found == ["E501"]
    assert re.search(r"only 0\.17\d* was proved", diagnostic.label)


def test_assumed_properties_become_facts_that_say_so():
    known, found, _ = checked(huber(y, 1), "assume", "pl", Fraction(1, 10))
    assert found == []
    assert (known["pl"].verdict, known["pl"].constant) == ("assumed", 0.1)
    assert known["convex"].verdict == "proved"


def test_what_is_proved_stays_proved():
    known, found, _ = checked((y - x) ** 2, "assume", "strongly_convex", 1)
    assert found == [] and known["strongly_convex"].verdict == "proved"
    assert known["strongly_convex"].constant == 2.0


def test_what_is_refuted_cannot_be_assumed():
    known, found, _ = checked(-(y**2), "assume", "strongly_convex")
    assert found == ["E502"] and known["strongly_convex"].verdict == "refuted"


def test_assumed_strong_convexity_brings_convexity():
    # It is 1 + y^2 between its kinks and 3 y^2 - 1 beyond, but no rule sees the kinks bend upwards.
    formula = Abs(y**2 - 1) + 2 * y**2
    assert checked(formula, "require", "convex")[1] == ["E501"]
    known, found, _ = checked(formula, "assume", "strongly_convex", 1)
    assert found == []
    assert (known["strongly_convex"].verdict, known["convex"].verdict) == ("assumed", "assumed")


def diagnose(text):
    return [d.code for d in check(blv.loads(text)).diagnostics]


@pytest.mark.parametrize("code", ["E501", "E502"])
def test_the_pages(code):
    written = page(code)
    assert re.match(rf"# {code}: [^\n]*[^.\n]\n\n[\w`]", written)
    example, fix = re.findall(r"```blv\n(.*?)```", written, re.DOTALL)
    assert (diagnose(example), diagnose(fix)) == ([code], [])


def test_every_code_has_a_page():
    assert {code for code in codes() if code.startswith("E5")} == {"E501", "E502", "E503"}
