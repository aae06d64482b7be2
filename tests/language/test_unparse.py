"""The text of a tree: parsing it gives an equal tree, and no parenthesis in it can go."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Source, Span
from bileveldsl.language.outline import KEYWORDS
from bileveldsl.language.parse import load_source, parse
from bileveldsl.language.reader import Rejected, read
from bileveldsl.language.unparse import unparse, unparse_expression

# Hypothesis would like shorter trees to print.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

MODELS = sorted((Path(__file__).parent / "models").glob("*.blv"))
HERE = Span(Source("test", ""), 0, 0)


def node(kind, *values, **named):
    """A strategy for nodes of a kind, from strategies for its fields."""
    return st.builds(kind, *values, **named, span=st.just(HERE))


def tuples(elements, least=0, most=3):
    return st.lists(elements, min_size=least, max_size=most).map(tuple)


identifiers = st.text(alphabet="abxyzλ_1", min_size=1, max_size=4).filter(
    lambda word: not word[0].isdigit() and word not in KEYWORDS
)
strings = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=6)
decimals = st.builds(
    lambda digits, exponent: Fraction(digits) * Fraction(10) ** exponent,
    st.integers(0, 10**9),
    st.integers(-30, 30),
)
names = node(ast.Name, identifiers)
numbers = node(ast.Number, st.one_of(st.integers(0, 20).map(Fraction), decimals))
leaves = st.one_of(names, numbers, node(ast.Infinity), node(ast.Text, strings))


def generators(expressions):
    domains = st.one_of(names, node(ast.Range, numbers, expressions))
    return tuples(node(ast.Generator, tuples(names, least=1), domains), least=1, most=2)


def conditions(expressions):
    comparisons = st.sampled_from(["<=", ">=", "==", "!=", "<", ">"])
    tests = st.one_of(node(ast.Compare, comparisons, expressions, expressions), node(ast.Member, expressions, names))
    return st.recursive(
        tests,
        lambda inner: st.one_of(
            node(ast.Logical, st.just("not"), st.tuples(inner)),
            node(ast.Logical, st.sampled_from(["and", "or"]), tuples(inner, least=2)),
        ),
        max_leaves=3,
    )


def guards(expressions):
    return st.one_of(st.none(), conditions(expressions))


def compound(inner):
    slices = node(ast.Slice, st.one_of(st.none(), inner), st.one_of(st.none(), inner))
    return st.one_of(
        node(ast.Unary, st.sampled_from("+-"), inner),
        node(ast.Binary, st.sampled_from("+-*/@^"), inner, inner),
        node(ast.Binary, st.sampled_from("+-*/@^"), inner, inner),
        node(ast.Call, identifiers, tuples(inner), tuples(node(ast.Keyword, identifiers, inner), most=2)),
        node(ast.Call, identifiers, st.tuples(inner), st.just(()), generators(inner), guards(inner)),
        node(ast.Index, inner, tuples(st.one_of(inner, slices), least=1)),
        node(ast.Attribute, inner, identifiers),
        node(ast.Tuple, tuples(inner, least=2)),
    )


expressions = st.recursive(leaves, compound, max_leaves=5)
maybe = st.one_of(st.none(), expressions)
axes = tuples(st.one_of(names, node(ast.Number, st.integers(0, 10**7).map(Fraction))))
lists = st.recursive(
    node(ast.List, tuples(expressions)), lambda inner: node(ast.List, tuples(inner, least=1)), max_leaves=3
)
sources = node(ast.DataSource, strings, tuples(strings))


@st.composite
def contents(draw, values):
    """A value, or a source, or neither."""
    kind = draw(st.integers(0, 2))
    return {"value": draw(values) if kind == 1 else None, "source": draw(sources) if kind == 2 else None}


@st.composite
def constraints(draw):
    ends = st.sampled_from(["<=", ">="])
    pair = draw(st.booleans())
    relations = (draw(ends),) * 2 if pair else (draw(st.sampled_from(["<=", ">=", "=="])),)
    operands = tuple(draw(expressions) for _ in range(len(relations) + 1))
    label = draw(st.one_of(st.none(), identifiers))
    over = draw(st.one_of(st.just(()), generators(expressions))) if label else ()
    guard = draw(guards(expressions)) if over else None
    return ast.Constraint(label, operands, relations, over, guard, span=HERE)


docs = st.sampled_from(["", "one line", "two\nlines"])
lets = node(ast.Let, identifiers, axes, expressions, docs)
statements = st.one_of(
    node(
        ast.Var,
        identifiers,
        axes,
        st.sampled_from(["continuous", "integer", "binary"]),
        maybe,
        maybe,
        maybe,
        docs,
    ),
    constraints(),
    lets,
    node(ast.Ties, st.sampled_from(["optimistic", "pessimistic"])),
    node(ast.Claim, st.sampled_from(["require", "assume"]), identifiers, maybe),
    node(ast.Minibatch, names),
)
objectives = node(ast.Objective, st.sampled_from(["minimize", "maximize"]), expressions)


@st.composite
def levels(draw, role, name):
    body = draw(st.lists(statements, max_size=2))
    body.insert(draw(st.integers(0, len(body))), draw(objectives))
    return ast.Level(role, name, tuple(body), span=HERE)


@st.composite
def models(draw):
    ranges = node(ast.Range, expressions, expressions)
    declarations = st.one_of(
        node(ast.Dim, identifiers, maybe, docs),
        st.builds(
            lambda name, within, content: ast.Set(name, within, **content, span=HERE),
            identifiers,
            tuples(names),
            contents(st.one_of(lists, ranges)),
        ),
        st.builds(
            lambda name, axes, content: ast.Param(name, axes, **content, span=HERE),
            identifiers,
            axes,
            contents(st.one_of(expressions, lists)),
        ),
        lets,
    )
    settings = st.one_of(
        strings, st.booleans(), decimals, decimals.map(lambda v: -v), st.sampled_from([float("inf"), -float("inf")])
    )
    options = st.dictionaries(identifiers, settings, max_size=3).map(
        lambda chosen: ast.Options(tuple(ast.Option(k, v, span=HERE) for k, v in chosen.items()), span=HERE)
    )
    followers = draw(st.lists(identifiers, max_size=2, unique=True))
    items = [draw(levels("upper", "upper"))]
    items += [draw(levels("lower", name)) for name in followers or ["lower"]]
    items += draw(st.lists(declarations, max_size=2)) + draw(st.lists(options, max_size=1))
    return ast.Model(draw(identifiers), tuple(draw(st.permutations(items))), draw(docs), span=HERE)


def said(tree):
    """Docs and the types of options, which the equality of trees leaves out."""
    found: list[Any] = []
    for item in tree.items:
        if isinstance(item, ast.Options):
            found += [(option.name, type(option.value)) for option in item.options]
        elif isinstance(item, ast.Level):
            found += [getattr(statement, "doc", "") for statement in item.statements]
        else:
            found.append(item.doc)
    return found


@settings(max_examples=30, deadline=None)
@given(models())
def test_parsing_the_text_of_a_tree_gives_the_tree(tree):
    text = unparse(tree)
    again = parse(Source("test.blv", text))
    assert again == tree and again.doc == tree.doc and said(again) == said(tree)
    assert unparse(again) == text


def reread(text):
    reading = read(Source("test.blv", f"let r = {text}"), "statements")
    if reading.diagnostics:
        raise BlvError(reading.diagnostics)
    (let,) = reading.nodes
    return let.value


@settings(max_examples=100, deadline=None)
@given(expressions)
def test_no_parentheses_can_go(tree):
    text = unparse_expression(tree)
    assert reread(text) == tree
    assume('"' not in text)
    opened = []
    for offset, character in enumerate(text):
        if character in "([":
            opened.append(offset)
        elif character in ")]":
            start = opened.pop()
            before = text[start - 1 : start]
            if character == "]" or before.isalnum() or before == "_":
                continue  # an index or a call
            shorter = f"{text[:start]} {text[start + 1 : offset]} {text[offset + 1 :]}"
            with suppress(Rejected, BlvError):
                assert reread(shorter) != tree, f"{text} could be {shorter}"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_printing_a_sample_model_again_changes_nothing(path):
    tree = parse(load_source(path))
    text = unparse(tree)
    assert parse(Source(str(path), text)) == tree
    assert unparse(parse(Source(str(path), text))) == text


def test_the_layout():
    text = '''\
#: A model.
#: Of two lines.
model a

dim n = 2
dim m

set A within (S, T) from "a.csv"

#: Costs.
param c[n, 3] = [[1, 2], [3, -4]]
param d

upper {
  var x[n] : integer in [0, inf] start 1
  var y >= 0
  var z <= 1
  minimize -x^2 + (y - z) * 2
}

lower f {
  #: The cap.
  cap[i in n, (j, k) in A if i != j and (i == 1 or not j == 2)]: 0 <= x[i] <= 1
  x[:, 1:, :2] @ X.T == sum(c[i] for i in 1..n - 1)
  let r[n] = huber(x, delta=0.5)
  maximize x
  ties pessimistic
  require pl(0.1)
  assume smooth
  minibatch n
}

options {
  tol = -1e-8
  name = "a ""b"""
  fast = true
}
'''
    assert unparse(parse(Source("a.blv", text))) == text


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("0", "0"), ("1_000", "1000"), ("100000", "100000"), ("1000000", "1e6"), ("0.0010", "0.001"),
        ("1e-8", "1e-8"), ("12345.678", "12345.678"), ("0.00012", "1.2e-4"), ("123456789", "123456789"),
        ("1.50E+20", "1.5e20"), (".5", "0.5"),
    ],
)  # fmt: skip
def test_numbers_are_short(written, printed):
    assert unparse_expression(reread(written)) == printed
    assert reread(printed) == reread(written)


@pytest.mark.parametrize("value", [0.1, 5e-324, 2**-1074 * 3, 1.7976931348623157e308, 1 / 3, 2.0**70])
def test_every_double_is_printed_exactly(value):
    number = ast.Number(Fraction(value), span=HERE)
    assert reread(unparse_expression(number)) == number


@pytest.mark.parametrize(
    ("value", "alone", "power", "product"),
    [
        (Fraction(-3), "-3", "(-3)^x", "x / -3"),
        (Fraction(1, 3), "1 / 3", "(1 / 3)^x", "x / (1 / 3)"),
        (Fraction(-1, 3), "-(1 / 3)", "(-(1 / 3))^x", "x / -(1 / 3)"),
    ],
)
def test_a_number_that_only_python_can_build_is_printed_as_the_operation_that_gives_it(value, alone, power, product):
    number, x = ast.Number(value, span=HERE), ast.Name("x", span=HERE)
    trees: list[ast.Expression] = [number, ast.Binary("^", number, x, span=HERE), ast.Binary("/", x, number, span=HERE)]
    for tree, text in zip(trees, (alone, power, product), strict=True):
        assert unparse_expression(tree) == text
        assert unparse_expression(reread(text)) == text


def test_a_string_with_a_line_end_is_refused():
    text = ast.Text("a\nb", span=HERE)
    with pytest.raises(BlvError, match="E116"):
        unparse_expression(text)


def test_a_condition_has_a_text_of_its_own():
    tree = ast.Member(ast.Tuple((ast.Name("i", span=HERE), ast.Name("j", span=HERE)), span=HERE),
                      ast.Name("A", span=HERE), span=HERE)  # fmt: skip
    assert unparse_expression(tree) == "(i, j) in A"


def test_a_chain_of_thousands_of_terms_needs_no_recursion():
    terms = " - ".join(f"x{k} * {k}" for k in range(5_000))
    assert unparse_expression(reread(terms)) == terms
