"""Where nodes come from: each expression of a program leads back to the text that it was written as."""

from textwrap import dedent

import pytest

import bileveldsl as blv
from bileveldsl.calculus.expr import apply, argument, negate, subtract, topological
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region


def culprits(text):
    """What decides each function of the follower whose curvature is unknown, as it is written."""
    program = blv.loads(text).program()
    return list(found(program))


def found(program):
    (lower,) = program.lower
    bends = Composition(lower.symbols, Ranges(Region(program, lower).boxes))
    objective = lower.objective if lower.sense == "minimize" else negate(lower.objective)
    excesses = [(subtract(c.body, c.upper), c.span) for c in lower.constraints if c.upper is not None]
    for root, within in [(objective, lower.objective_span), *excesses]:
        node = bends(root).node
        yield None if node is None else (program.places.find(node, within) or within).text


def model(objective, extra="", sense="minimize", variables="var y[n]"):
    return f"""
dim n = 3
param a[n] = [1, 2, 3]
{extra.split(";")[0]}
upper {{ var x[n] in [-1, 1]; minimize sum(x) + sum(y) }}
lower {{
  {variables}
  {sense} {objective}
  {extra.partition(";")[2]}
}}
"""


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("sumsq(y) + sum(a * sin(y))", "sin(y)"),
        ("sumsq(y) + exp(x[0])*sum(y) + x[1]*y[2]^2", "x[1]"),
        ("sumsq(y) - y[0]^2*y[1]^2 + sum(exp(y))", "y[0]^2*y[1]^2"),
        ("sum(y^3) + sum(exp(y))", "y^3"),
        ("sum(y[i]^3 for i in n) + 1", "y[i]^3"),
        ("sum(x[i]*y[i]^4 for i in n)", "x[i]"),
        ("(sin(y[0] + y[1])) + sumsq(y)", "(sin(y[0] + y[1]))"),
        ("log(1 + exp(sum(cos(y)) / 2)) + sumsq(y)", "cos(y)"),
        ("a @ tanh(y) + sumsq(y)", "tanh(y)"),
    ],
)
def test_the_deciding_expression_is_found_in_the_objective(objective, expected):
    assert culprits(model(objective))[0] == expected


def test_maximizing_turns_the_sign_and_keeps_the_place():
    assert culprits(model("2*sum(sin(y)) - sumsq(y)", sense="maximize"))[0] == "sin(y)"
    assert culprits(model("- sum(y^4)*x[0] - sumsq(y)", sense="maximize"))[0] == "x[0]"


def test_a_definition_is_shown_where_it_stands():
    text = model("r + sumsq(y)", "let r = sum(a * sin(y) * exp(x)); cap: y[0] <= 1")
    assert culprits(text)[0] == "sin(y)"


def test_an_equal_expression_elsewhere_does_not_lead_astray():
    program = blv.loads(
        "upper { var x in [0, 1]; minimize x + sin(y) }; lower { var y; minimize x*exp(y) + sin(y) }"
    ).program()
    (lower,) = program.lower
    node = apply(blv_sin(), [leaf_of(lower)])
    place = program.places.find(node, lower.objective_span)
    assert place.start > lower.span.start and place.text == "sin(y)"
    assert program.places.find(node, program.upper.objective_span).start < lower.span.start


def blv_sin():
    import sympy

    return sympy.sin(argument(0))


def leaf_of(level):
    from bileveldsl.calculus.expr import leaf

    return leaf(level.symbols[0])


def test_families_keep_the_place_under_their_own_labels():
    text = model("sumsq(y)", "; fam[i in n]: x[i]*y[i]^2 + a[i] <= 4")
    assert culprits(text) == [None, "x[i]"]


def test_a_part_of_a_sum_stands_where_its_terms_do():
    text = "upper { var x in [0, 1]; minimize x*y }; lower { var y; minimize x + sin(y) + y^2 + 3 }"
    program = blv.loads(text).program()
    (lower,) = program.lower
    y = leaf_of(lower)
    part = apply(blv_sin() + argument(0) ** 2, [y])
    assert program.places.find(part, lower.objective_span).text == "sin(y) + y^2"
    assert program.places.find(apply(7 * blv_sin(), [y]), lower.objective_span).text == "sin(y)"
    assert program.places.find(apply(argument(0) ** 5, [y]), lower.objective_span).text == "y"


def test_every_place_is_one_of_the_source():
    program = blv.loads(model("sumsq(y - a) + sum(exp(x)*y^2)", "let r = sum(x); cap: r + y[0] <= 1")).program()
    for node in topological([part for level in program.levels for part in level.expressions]):
        for span in program.places.spans.get(node, ()):
            assert span.text.strip() and span.source.text


def test_models_in_python_point_to_the_python_file():
    m = blv.Model("embedded")
    x = m.upper.var("x", between=(-1, 1))
    y = m.lower.var("y")
    m.upper.minimize(x * y)
    m.lower.minimize(y**2 + blv.sin(3 * y))
    (text,) = found(m.program())
    assert text == "blv.sin(3 * y)"


def test_a_long_sum_is_no_burden():
    terms = " + ".join(f"{k}*y^2" for k in range(1, 400))
    text = dedent(f"""
        upper {{ var x in [0, 1]; minimize x*y }}
        lower {{ var y; minimize {terms} + sin(1e6*y) }}
    """)
    assert culprits(text)[0] == "sin(1e6*y)"
