"""What a backend accepts is said in words, and its settings are typed, checked and never ignored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bileveldsl import loads
from bileveldsl.backend import Capabilities, Option, kink, parse_options, why_not
from bileveldsl.certify.facts import Fact
from bileveldsl.language.diagnostics import BlvError

OPTIONS = (
    Option("sigma", float, 0.1, "weight", above=0, at_most=1),
    Option("inner", int, None, "inner steps", at_least=1),
    Option("step", float, 1.0, "step size"),
    Option("central", bool, True, "central differences"),
    Option("rule", str, "fixed", "step rule", choices=("fixed", "adaptive")),
)


def refusals(given):
    with pytest.raises(BlvError) as caught:
        parse_options("f2ba", OPTIONS, given)
    return caught.value.diagnostics


def test_without_settings_the_defaults_hold():
    assert parse_options("f2ba", OPTIONS, {}) == {
        "sigma": 0.1, "inner": None, "step": 1.0, "central": True, "rule": "fixed",
    }  # fmt: skip


def test_texts_become_values_of_the_options_type():
    given = {"sigma": "1e-3", "inner": "20", "step": "-2", "central": "False", "rule": "adaptive"}
    found = parse_options("f2ba", OPTIONS, given)
    assert found == {"sigma": 1e-3, "inner": 20, "step": -2.0, "central": False, "rule": "adaptive"}
    assert [type(value) for value in found.values()] == [float, int, float, bool, str]


def test_values_from_python_are_taken_as_they_are():
    assert parse_options("f2ba", OPTIONS, {"sigma": 1, "inner": 5.0, "central": False})["inner"] == 5
    assert parse_options("f2ba", OPTIONS, {"inner": "auto"})["inner"] is None


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_number_is_taken_exactly_where_it_is_in_range(number):
    if 0 < number <= 1:
        assert parse_options("f2ba", OPTIONS, {"sigma": repr(number)})["sigma"] == number
    else:
        assert refusals({"sigma": repr(number)})[0].code == "E605"


@pytest.mark.parametrize(
    ("key", "value", "expects"),
    [
        ("sigma", "0", "a number > 0 <= 1"), ("sigma", "auto", "a number"), ("sigma", "ten", "a number"),
        ("sigma", True, "a number"), ("inner", "1.5", "a whole number >= 1 or auto"), ("inner", "0", "whole"),
        ("inner", "1e999", "whole"), ("step", "inf", "a number"), ("step", "nan", "a number"),
        ("central", "maybe", "true or false"), ("central", "1", "true or false"),
        ("rule", "Fixed", "fixed or adaptive"), ("rule", "auto", "fixed or adaptive"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_what_is_expected(key, value, expects):
    (diagnostic,) = refusals({key: value})
    assert diagnostic.code == "E605"
    assert expects in diagnostic.help


def test_every_wrong_setting_is_reported_at_once_and_unknown_names_get_a_suggestion():
    first, second = refusals({"sgima": "1", "inner": "x"})
    assert (first.code, second.code) == ("E604", "E605")
    assert 'did you mean "sigma"' in first.help


UNLIMITED = Capabilities(
    "constrained", upper_constraints=True, several_followers=True, nonsmooth=True, integer=True, pessimistic=True
)
LEAST = Capabilities(follower="unconstrained", upper_bounds=False)
PLAIN = ("var x", "minimize x^2 + y^2", "var y", "minimize (y - x)^2")


def program(upper_variable, upper_rest, lower_variable, lower_rest, more=""):
    import bileveldsl as blv

    text = f"model m\nupper {{ {upper_variable}; {upper_rest} }}\nlower {{ {lower_variable}; {lower_rest} }}\n{more}"
    return blv.loads(text).program()


def test_a_plain_program_is_accepted_by_the_least_capable():
    assert why_not("b", LEAST, program(*PLAIN), ()) is None


@pytest.mark.parametrize(
    ("position", "text", "words"),
    [
        (0, "var x in [0, 1]", "upper level has bounds (x)"),
        (0, "var x : integer", "integer variables (x)"),
        (1, "minimize x^2 + y^2; cap: x + y <= 1", "upper level has constraint (cap)"),
        (1, "minimize abs(x - y)", "uses abs"),
        (1, "minimize x^2 + max(x, y)", "not smooth"),
        (2, "var y >= 0", "the follower has bounds (y)"),
        (3, "minimize (y - x)^2; cap: y <= 1; floor: y >= -1", "the follower has constraints (cap, floor)"),
        (3, "minimize (y - x)^2; ties pessimistic", "pessimistic ties"),
    ],
)
def test_what_is_not_declared_is_refused_with_its_names(position, text, words):
    parts = [*PLAIN]
    parts[position] = text
    refused = program(*parts)
    reason = why_not("b", LEAST, refused, ())
    assert reason is not None and words in reason
    assert why_not("b", UNLIMITED, refused, ()) is None


def test_several_followers_are_counted():
    several = program(*PLAIN, more="lower second { var z; minimize (z - x)^2 }")
    assert "2 followers (lower, second)" in str(why_not("b", LEAST, several, ()))
    assert why_not("b", UNLIMITED, several, ()) is None


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([], "could not be proved"),
        ([("lower.objective", "strongly_convex", "unknown")], "could not be proved"),
        ([("lower.objective", "strongly_convex", "refuted")], "could not be proved"),
        ([("lower.objective", "strongly_convex", "refuted"), ("penalty", "pl", "refuted")], "is refuted"),
        ([("upper.objective", "strongly_convex", "proved")], "could not be proved"),
        ([("lower.objective", "strongly_convex", "proved")], None),
        ([("penalty", "pl", "assumed")], None),
    ],
)
def test_one_of_the_facts_that_are_needed_must_hold(facts, words):
    needs = (("lower.objective", "strongly_convex"), ("penalty", "pl"))
    needy = Capabilities(follower="unconstrained", needs=needs)
    reason = why_not("b", needy, program(*PLAIN), [Fact(*fact) for fact in facts])
    assert reason is None if words is None else words in reason


def test_a_unique_answer_makes_pessimistic_ties_harmless():
    pessimistic = program(*PLAIN[:3], "minimize (y - x)^2; ties pessimistic")
    assert why_not("b", LEAST, pessimistic, [Fact("lower.objective", "strongly_convex", "proved")]) is None


def test_a_kink_is_found_deep_inside_and_smooth_functions_have_none():
    deep = program("var x", "minimize x^2 + sumsq(y)", "var y[3]", "minimize sumsq(y) + exp(sum(abs(y - x)))")
    assert "abs" in str(why_not("b", LEAST, deep, ()))
    smooth = program(*PLAIN[:3], "minimize (y - x)^2 + softplus(y) + sqrt(1 + y^2)")
    assert why_not("b", LEAST, smooth, ()) is None


def test_capabilities_are_described_in_words():
    assert LEAST.describe() == (
        "a follower without constraints or bounds, no bounds or constraints on the upper level, smooth functions"
    )
    words = UNLIMITED.describe()
    for word in ("constraints", "several followers", "nonsmooth", "integer", "pessimistic"):
        assert word in words


def test_numpy_numbers_are_numbers():
    assert parse_options("f2ba", OPTIONS, {"sigma": np.float64(0.5)})["sigma"] == 0.5


@pytest.mark.parametrize(
    ("lower", "anywhere", "along_y"),
    [
        ("abs(x) + y^2", "abs", None), ("abs(x - y)", "abs", "abs"), ("abs(x)*y^2 + max(y, 1)", "abs", "maximum"),
        ("max(x, 2)*y + exp(y)", "maximum", None), ("norm(v) + y^2", "norm", "norm"), ("y^2 + x*v[0]", None, None),
    ],
)  # fmt: skip
def test_kinks_along_some_variables_are_told_from_kinks_along_others(lower, anywhere, along_y):
    text = f"model m; dim n = 2; upper {{ var x; minimize x }}; lower {{ var y; var v[n]; minimize {lower} }}"
    (level,) = loads(text).program().lower
    assert (kink(level), kink(level, of=level.symbols)) == (anywhere, along_y)
