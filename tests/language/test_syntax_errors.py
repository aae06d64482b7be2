"""Each mistake has its own code, place and mend; all errors of a text in one run, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.outline import lexemes
from bileveldsl.language.parse import load_source, parse
from bileveldsl.language.suggest import closest, edits
from bileveldsl.language.syntax_errors import syntax_errors

FOLDER = Path(__file__).parent
MODELS = sorted((FOLDER / "models").glob("*.blv"))
BAD = {
    "british": [("E131", "minimise")],
    "juxtapose": [("E124", "3z")],
    "keyword_name": [("E130", "lower")],
    "leader": [("E132", "leader")],
    "leading_plus": [("E125", "+")],
    "missing_lower": [("E151", "upper")],
    "nested_param": [("E133", "param")],
    "objective_cmp": [("E129", ">=")],
    "power": [("E120", "**")],
    "quote": [("E112", "'")],
    "single_equals": [("E121", "=")],
    "strict": [("E122", "<")],
    "string_unclosed": [("E111", '"trips.csv["')],
    "three_errors": [("E124", "3z"), ("E122", "<")],  # the third, a missing label, is none any more
    "unclosed_block": [("E127", "lower {")],
    "unclosed_paren": [("E126", "(")],
}


def errors(text) -> Any:
    try:
        parse(Source("test.blv", text))
    except BlvError as error:
        return error.diagnostics
    return ()


def found(text):
    return [(error.code, error.span.text) for error in errors(text)]


def model(top="", upper="", lower=""):
    return (
        f"model toy\n{top}\nupper {{\n  var x\n  minimize x\n{upper}\n}}\n"
        f"lower {{\n  var y\n  minimize y\n{lower}\n}}\n"
    )


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_has_exactly_its_mistakes(name):
    with pytest.raises(BlvError) as caught:
        parse(load_source(FOLDER / "bad" / f"{name}.blv"))
    assert [(error.code, error.span and error.span.text) for error in caught.value.diagnostics] == BAD[name]
    assert all(error.help for error in caught.value.diagnostics)


def test_every_bad_model_is_tested():
    assert {path.stem for path in (FOLDER / "bad").glob("*.blv")} == set(BAD)


@pytest.mark.parametrize(
    ("statement", "code", "text", "mend"),
    [
        ("x <= $", "E110", "$", "remove it"),
        ("x <= |y|", "E110", "|", "abs(x)"),
        ("x \\\n <= 3", "E110", "\\", "without a mark"),
        ("x\u200b<= 3", "E110", "\u200b", "remove it"),
        ('x <= "abc', "E111", '"abc', "on one line"),
        ("x <= y'", "E112", "'", "`y.T`"),
        ("x[i] == 'b'", "E112", "'", 'two `"`'),
        ("x ≤ 8", "E113", "≤", "`<=`"),
        ("x => 8", "E113", "=>", "`>=`"),
        ("x – y <= 8", "E113", "–", "`-`"),
        ("x² <= 4", "E113", "²", "`^2`"),
        ("x¹⁰ <= 4", "E113", "¹⁰", "`^10`"),
        ("x <= ∞", "E113", "∞", "`inf`"),
        ("x <= “a”", "E113", "“", '`"`'),
        ("sum(x for i in I if i == 1 && i == 2) <= 3", "E113", "&&", "`and`"),
        ("var z in {0, 1}", "E114", "{", "[1, 2, 3]"),
        ("x <= 1.", "E105", "1.", "`1.0`"),
        ("x <= 1.2.3", "E105", "1.2.3", "one decimal point"),
        ("x <= 0x1F", "E105", "0x1F", "decimal"),
        ("x <= 1__0", "E105", "1__0", "1_000"),
        ("x <= 1e999", "E104", "1e999", "inf"),
        ("x**2 <= 3", "E120", "**", "`^`"),
        ("vars(x)**2 <= 3", "E120", "**", "`^`"),
        ("x + y = 8", "E121", "=", "`==`"),
        ("r = x", "E121", "=", "`let`"),
        ("let r := x", "E121", ":=", "`=`"),
        ("let r == x", "E121", "==", "`=`"),
        ("sum(x for i in I if i = 3) <= 3", "E121", "=", "`==`"),
        ("x < 8", "E122", "<", "`<=`"),
        ("var z > 0", "E122", ">", "`>=`"),
        ("x != 8", "E123", "!=", "guard"),
        ("x <= 3z", "E124", "3z", "`3*z`"),
        ("x <= 2(x + y)", "E124", "2(", "`*`"),
        ("(x)(y) <= 8", "E124", ")(", "`*`"),
        ("cap x + y <= 8", "E124", "cap x", "label"),
        ("x <= (x\n y)", "E124", "x\n y", "`*`"),
        ("let r = x\n  - y", "E125", "-", "end of the line above"),
        ("cap: x + y\n   <= 8", "E125", "<=", "end of the line above"),
        ("cap: x\n  + y\n  + z <= 3", "E125", "+", "end of the line above"),
        ("((x) <= 3", "E126", "(", "`)`"),
        ("(x] <= 3", "E126", "(", "`)`"),
        ("x[1 <= 3", "E126", "[", "`]`"),
        ("var z in [0, 10", "E126", "[", "`]`"),
        ("x <= (3; y <= 3", "E126", "(", "`)`"),
        ("x[i;j] <= 3", "E126", ";", "list of lists"),
        ("x <= (3\n  cap: y <= 3", "E126", "(", "`)`"),
        ("x) <= 3", "E128", ")", "remove"),
        ("minimize y >= x", "E129", ">=", "constraint"),
        ("maximize f = x", "E129", "=", "constraint"),
        ("let r = x >= 3", "E129", ">=", "constraint"),
        ("f(x <= 3) <= 3", "E129", "<=", "constraint"),
        ("var z >= 0 <= 10", "E129", "<=", "in [a, b]"),
        ("let lower = 3", "E130", "lower", "lower_"),
        ("x + start <= 3", "E130", "start", "start_"),
        ("minimze x", "E131", "minimze", "`minimize`"),
        ("maximise (x - 3)**2", "E131", "maximise", "`maximize`"),
        ("Var z", "E131", "Var", "`var`"),
        ("requires strongly_convex", "E131", "requires", "`require`"),
        ("ties optimist", "E131", "optimist", "`optimistic`"),
        ("min x^2", "E132", "min", "`minimize`"),
        ("max (x - y)", "E132", "max", "`maximize`"),
        ("subject to", "E132", "subject to", "cap: x + y <= 8"),
        ("subject to cap: x <= 3", "E132", "subject to", "a line of its own"),
        ("s.t. x <= 3", "E132", "s.t. x", "a line of its own"),
        ("subject to {\n  x <= 3\n}", "E132", "subject to", "without a block"),
        ("param a = 3", "E133", "param", "top of the file"),
        ("dim n", "E133", "dim", "top of the file"),
        ("options {\n tol = 1\n}", "E133", "options", "`}`"),
        ("lower { minimize z }", "E133", "lower", "`}`"),
        ("x <= 3 and y <= 4", "E134", "and", "two constraints"),
        ("x <= 3 && y <= 4", "E134", "&&", "two constraints"),
        ("x <= 3 or y <= 4", "E134", "or", "binary"),
        ("x[i] <= 3 for i in I", "E134", "for", "cap[i in I]"),
        ("x <= y if x", "E134", "if", "guard"),
        ("x + y", "E135", "x + y", "`==`"),
        ("var a b", "E136", "b", "comma"),
        ("var z start 1 in [0, 1]", "E136", "in", "in this order"),
        ("minimize x minimize y", "E136", "minimize", "new line"),
        ("minibatch 3", "E136", "3", "letter"),
        ("x + ", "E137", "+", "goes on"),
        ("require", "E137", "require", "goes on"),
        ("var z = 3", "E138", "=", "start 3"),
        ("var z := 3", "E138", ":=", "param x = 3"),
        ("var a, z : real", "E139", "real", "leave it out"),
        ("var z : int", "E139", "int", "`integer`"),
        ("var z : Binary", "E139", "Binary", "`binary`"),
        ("sum(x[i] for 2*i in I) <= 3", "E140", "2*i", "for i in I"),
        ("cap[i + 1 in I]: x <= 3", "E140", "i + 1", "for i in I"),
        ("0 <= x >= 3", "E141", "0 <= x >= 3", "two constraints"),
        ("x <= 3 <= 4 <= 5", "E141", "<=", "two constraints"),
        ("var z(n)", "E142", "z(", "`z[...]`"),
    ],
)
def test_a_mistake_in_a_level(statement, code, text, mend):
    if statement.startswith(("min", "max")):  # in place of the objective, not besides it
        source = model(lower="X").replace("  minimize y\nX", f"  {statement}")
    else:
        source = model(lower=f"  {statement}")
    (error,) = errors(source)
    assert (error.code, error.span.text) == (code, text)
    assert mend in error.help


@pytest.mark.parametrize(
    ("item", "code", "text", "mend"),
    [
        ("param a := 3", "E121", ":=", "`=`"),
        ("param a == 3", "E121", "==", "`=`"),
        ("param a from ridge.npz", "E115", "ridge.npz", '`"ridge.npz"`'),
        ('param a from "f"[key]', "E115", "key", '`"key"`'),
        ("param a from 'ridge.npz'", "E112", "'", 'two `"`'),
        ('param a form "f"', "E131", "form", "`from`"),
        ("param a = [1, 2; 3, 4]", "E126", ";", "[[1, 2], [3, 4]]"),
        ("param a[2x] = 3", "E136", "2", "letter"),
        ("param lower = 3", "E130", "lower", "lower_"),
        ("param a(n) = 3", "E142", "a(", "`a[...]`"),
        ('set S = {"a", "b"}', "E114", "{", "[1, 2, 3]"),
        ("dim n m", "E136", "m", "comma"),
        ("dimn", "E131", "dimn", "`dim`"),
        ("modl b", "E131", "modl", "`model`"),
        ("model my-model", "E136", "-", "underscores"),
        ("const a = 3", "E132", "const", "`param`"),
        ("a = 3", "E136", "a", "param a = 3"),
        ("var z", "E133", "var", "block"),
        ("cap: x <= 3", "E133", "cap: x <= 3", "block"),
        ("constraints {\n  x <= 3\n}", "E132", "constraints", "`upper`"),
        ("option { a = 3 }", "E131", "option", "`options`"),
        ("options { tol = implicit }", "E115", "implicit", '`"implicit"`'),
        ("options { tol == 3 }", "E121", "==", "`=`"),
        ("options { start = 3 }", "E130", "start", "start_"),
        ("options { a = 1, b = 3 }", "E136", ",", "new line"),
        ("options { a = 1; a = 2 }", "E156", "a = 2", "remove"),
        ("options { a = 1 }\noptions { a = 2 }", "E156", "a = 2", "remove"),
        ("lower user[k in K] { minimize z }", "E136", "user[k in K]", "one word"),
        ("lower set { minimize z }", "E130", "set", "set_"),
        ("lower { minimize z }", "E157", "lower", "lower first"),
        ("upper { minimize z }", "E152", "upper", "remove"),
        ("model b", "E155", "model b", "remove"),
        ("{ var z }", "E136", "{", "name the block"),
        ("}", "E128", "}", "remove"),
        ("lower user", "E137", "user", ""),
    ],
)
def test_a_mistake_outside_of_the_levels(item, code, text, mend):
    (error,) = errors(model(top=item))
    assert (error.code, error.span.text) == (code, text)
    assert mend in error.help


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("E150", "")]),
        ("# nothing", [("E150", "")]),
        ("model a", [("E150", "")]),
        ("lower f { minimize x }", [("E150", "lower f")]),
        ("upper { minimize x }", [("E151", "upper")]),
        ("upper { var x }\nlower { var y }", [("E153", "upper"), ("E153", "lower")]),
        ("upper { minimize x }\nlower { minimize y\nmaximize y }", [("E154", "maximize y")]),
        ("upper {\n minimize x\n\nlower {\n minimize y\n}\n", [("E127", "upper {")]),
        ("upper\n{\n minimize x\n}\nlower {\n minimize y", [("E127", "lower {")]),
        ("upper { minimize ((x }\nlower { minimize (y }", [("E126", "("), ("E126", "(")]),
        ("upper { minimize x }\rlower { minimize y }", [("E110", "\r")]),
        ("leader\n{ minimize x }\nfollower\n{ minimize y }", [("E132", "leader"), ("E132", "follower")]),
        ("uper { minimize x }\nlower { minimize y }", [("E131", "uper")]),
        ("upper { minimize x }\nlower { minimize y }\n}", [("E128", "}")]),
    ],
)
def test_a_mistake_in_the_structure(text, expected):
    assert found(text) == expected


def test_the_second_place_of_a_conflict_is_shown():
    (twice,) = errors("upper { minimize x\nmaximize z }\nlower { minimize y }")
    assert [(related.span.text, related.label) for related in twice.related] == [("minimize x", "first")]
    (bracket,) = errors(model(lower="  (x] <= 3"))
    assert [related.span.text for related in bracket.related] == ["]"]
    (block,) = errors("upper {\n minimize x\n\nlower {\n minimize y\n}\n")
    assert [related.span.text for related in block.related] == ["lower"]


def test_all_errors_of_a_text_in_one_run_in_the_order_of_the_text():
    text = """dim n m
upper {
  var lower
  minimize x**2
  cap: x < 3
}
lower f {
  var y = 3
  minimize (y - x
  require
  low: x + 3z
     + y <= 8
  y ≤ 2
}
options {
  tol == 3
"""
    codes = [code for code, _ in found(text)]
    assert codes == ["E136", "E130", "E120", "E122", "E138", "E126", "E137", "E124", "E113", "E127", "E121"]


@pytest.mark.parametrize(
    ("head", "first"),
    [("lower f", "f"), ("low er {", "low"), ("<= lower {", "<="), ('lower "f {', '"f {')],
)
def test_a_broken_head_does_not_blame_the_statements_of_its_block(head, first):
    text = f"upper {{\n  minimize x\n}}\n{head}\n  var y\n  minimize y\n  y <= 3\n}}\n"
    assert len(found(text)) == 1


def test_a_keyword_as_a_name_is_reported_where_it_first_stands():
    text = "upper { minimize x + start }\nlower { var start; minimize start }\noptions { start = 1; end = 2; var = 3 }"
    assert found(text) == [("E130", "start"), ("E130", "var")]


def test_a_broken_objective_is_not_called_missing():
    assert found("upper { minimize x }\nlower { minimize 2y }") == [("E124", "2y")]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_statement_by_statement_a_good_model_has_no_errors(path):
    assert syntax_errors(load_source(path)) == []


TEXTS = [path.read_text() for path in MODELS]
PIECES = sorted(
    {lexeme.text for text in TEXTS for lexeme in lexemes(text)}
    | set("=<>{}()[];:,.'\"\\\0²\r\n \t") | {"**", "!=", "..", "&&", ":=", "2x", "1.", "and", "not", "if", "options"}
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_is_reported_at_its_places(data):
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 6)))
        text = text[:start] + data.draw(st.sampled_from(PIECES)) + text[end:]
    reported = errors(text)
    places = [(error.code, error.span.start, error.span.end) for error in reported]
    assert len(set(places)) == len(places)
    assert [start for _, start, _ in places] == sorted(start for _, start, _ in places)
    for error in reported:
        assert error.code.startswith("E1") and 0 <= error.span.start <= error.span.end <= len(text)
        assert error.message and "\n" not in error.message


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.sampled_from("upper lower{}[]();\n\"'=<*2x.,:#é\0"), max_size=60))
def test_any_text_at_all_is_a_model_or_a_list_of_errors(text):
    assert errors(text)


@pytest.mark.parametrize("text", ["{", "}", "(", "lower {\n", "a:", "a ", "1", "1_", ".", "-", '"\n', "min x\n", "x;"])
def test_no_repetition_is_too_much(text):
    assert errors(text * 3_000)


# ---- the nearest word ---------------------------------------------------------------------------


def test_the_nearest_word_is_within_a_third_of_its_length():
    words = ["minimize", "maximize", "var", "upper", "lower"]
    assert [closest(word, words) for word in ("minimise", "MAXIMIZE", "vra", "uper", "lwoer")] == [
        "minimize",
        "maximize",
        "var",
        "upper",
        "lower",
    ]
    assert [closest(word, words) for word in ("x", "toll", "", "minimum", "var")] == [None] * 5


WORDS = st.text(alphabet="abc", max_size=6)


@given(WORDS, WORDS, WORDS)
def test_edits_are_symmetric_and_zero_only_between_equal_words(a, b, c):
    assert edits(a, b) == edits(b, a)
    assert (edits(a, b) == 0) == (a == b)
    assert edits(a + c, b + c) <= edits(a, b)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))
