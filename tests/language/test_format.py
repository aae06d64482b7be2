"""Formatting changes blanks and line breaks and nothing else, and the same tokens always get the same text."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_unparse import models, said

from bileveldsl.language import format as module
from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.format import format_source
from bileveldsl.language.layout import FARTHEST, pieces
from bileveldsl.language.newlines import CONTINUES
from bileveldsl.language.pages import codes, page
from bileveldsl.language.parse import parse
from bileveldsl.language.unparse import unparse

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "tests/language/models").glob("*.blv"), *(ROOT / "examples").glob("*/*.blv")])
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
randoms = st.integers(0, 2**32).map(random.Random)

# Hypothesis would like shorter trees to print.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")


def formatted(text):
    return format_source(Source("test.blv", text))


def words(text):
    return [piece.text for piece in pieces(text)]


def level(body):
    """What becomes of lines inside a block, without their indentation."""
    text = formatted(f"upper {{\nminimize x\n{body}\n}}\nlower {{ minimize y }}")
    inside = text.removeprefix("upper {\n  minimize x\n").removesuffix("\n}\n\nlower {\n  minimize y\n}\n")
    return re.sub("^  ", "", inside, flags=re.MULTILINE)


def top(items):
    """What becomes of items in front of the levels."""
    return formatted(f"{items}\nupper {{ minimize x }}\nlower {{ minimize y }}").partition("\nupper {")[0]


# ---- every model --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEXTS)
def test_a_sample_keeps_its_tokens_comments_docs_and_tree(name):
    text = formatted(TEXTS[name])
    before, after = (parse(Source("test.blv", t)) for t in (TEXTS[name], text))
    assert words(text) == words(TEXTS[name])
    assert before == after and before.doc == after.doc and said(before) == said(after)
    assert formatted(text) == text
    assert text.endswith("\n") and not re.search(r"[ \t]\n|\n\n\n|\r", text)


@pytest.mark.parametrize("code", [code for code in codes() if re.search(r"## Fix.*```blv", page(code), re.DOTALL)])
def test_the_mended_model_of_a_page_can_be_formatted(code):
    for text in re.findall(r"```blv\n(.*?)```", page(code).split("## Fix")[1], re.DOTALL):
        assert words(formatted(text)) == words(text)


@settings(max_examples=15, deadline=None)
@given(models())
def test_a_printed_model_is_canonical_but_for_columns(tree):
    text = unparse(tree)
    assert re.sub(" +", " ", formatted(text)) == re.sub(" +", " ", text)


# ---- what the user's spacing may be --------------------------------------------------------------

BLANKS = ["", " ", "   ", "\t", "\u00a0", " \f "]


def separable(left, right):
    """Whether two tokens need nothing between them."""
    return not (re.search(r"\w$", left) and re.search(r"^[\w.]", right)) and not re.search(r"\.$", left)


def respaced(text, chance):
    """The same tokens and comments in the same lines, with other blanks, line ends, and semicolons."""
    found = list(pieces(text))
    result, brackets = chance.choice(["", "\n", "\ufeff", " \r\n\n"]), 0
    for left, right in zip(found, [*found[1:], None], strict=True):
        result += left.text
        brackets += (left.text in ("(", "[")) - (left.text in (")", "]"))
        if right is None:
            return result + chance.choice(["", "\n", "  \n\n\r\n"])
        ends = "" if left.token is None or brackets or left.text in CONTINUES else chance.choice(["", "", ";", " ; "])
        if right.line_ends:
            free = left.text in ("{", "}") or right.text in ("{", "}")
            if left.token and right.token and (free or ends) and right.line_ends == 1 and chance.random() < 0.3:
                result += chance.choice(BLANKS) + ends  # one line for two
                continue
            lines = 1 if right.line_ends == 1 else chance.randint(2, 4)
            for _ in range(lines):
                result += chance.choice(BLANKS) + ends + chance.choice(["\n", "\r\n"])
                ends = ""
        elif right.text == "{" and chance.random() < 0.3:
            result += "\n"
        if "." in (left.text, right.text):
            continue
        result += chance.choice(BLANKS if separable(left.text, right.text) or right.line_ends else BLANKS[1:])
    return result


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=8, deadline=None)
@given(chance=randoms)
def test_only_spacing_differs_so_the_text_is_the_same(name, chance):
    canonical = formatted(TEXTS[name])
    assert formatted(respaced(canonical, chance)) == canonical


REMARKS = ["#", "#: a doc; of two parts", "# x = {[(", '# "', "#no blank  ", "#\ttab\t", "# naïve → ünïcode", "##"]


def remarked(text, chance):
    """The same tokens, with comments and line breaks wherever the language allows them."""
    result, brackets = "", 0
    found = list(pieces(text))
    for piece, following in zip(found, [*found[1:], None], strict=True):
        token = piece.text
        whole = "." in (token, following.text if following else "")  # nothing comes between X and .T
        starts = not result or result.endswith("\n")
        if piece.line_ends and not starts:
            result += "\n"
            starts = True
        if starts and chance.random() < 0.3:
            result += chance.choice(REMARKS) + "\n" * chance.randint(1, 2)
        result += token if piece.token else f"{token}\n"
        brackets += (token in ("(", "[")) - (token in (")", "]"))
        if whole:
            continue
        if piece.token and (brackets or token in CONTINUES or token in ("{", "}")) and chance.random() < 0.2:
            result += chance.choice([" ", *REMARKS]) + "\n" * chance.randint(1, 3)
        elif piece.token and not result.endswith("\n"):
            result += " "
    return result + chance.choice(["", "\n", "# the end"])


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=10, deadline=None)
@given(chance=randoms)
def test_comments_and_line_breaks_survive(name, chance):
    text = remarked(TEXTS[name], chance)
    result = formatted(text)
    assert words(result) == words(text)
    assert [piece.line_ends > 0 for piece in pieces(result)][1:] == [
        piece.line_ends > 0 or joined for piece, joined in zip(pieces(text), breaks(text), strict=True)
    ][1:]
    assert said(parse(Source("test.blv", result))) == said(parse(Source("test.blv", text)))


def breaks(text):
    """Where formatting breaks a line that the user did not: around what is in braces."""
    before = ""
    for piece in pieces(text):
        yield piece.token is not None and (before in ("{", "}") or piece.text == "}")
        before = piece.text


# ---- the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("cap :x+y<= 8", "cap: x + y <= 8"),
        ("0<=x<=b", "0 <= x <= b"),
        ("- x - -y ^ -2 >= + 3 * - ( a )", "-x - -y^-2 >= +3 * -(a)"),
        ("var z:binary", "var z : binary"),
        ("var k [ n , 3 ]:integer in[0,9]start 1", "var k[n, 3] : integer in [0, 9] start 1"),
        ("let r [ n ]=X@w-y", "let r[n] = X @ w - y"),
        ("let r = X.T@y", "let r = X.T @ y"),
        ("let r = f ( x , axis = n, to = ( 1 ) )", "let r = f(x, axis=n, to=(1))"),
        ("let r = a [ 1 : n , : , i+1 : ( n ) ]", "let r = a[1:n, :, i + 1:(n)]"),
        ("let r = sum(x [i,j]for(i,j)in A)", "let r = sum(x[i, j] for (i, j) in A)"),
        ("let r = sum(a for i in A if not(i==j)and i<3)", "let r = sum(a for i in A if not (i == j) and i < 3)"),
        ("let r = sum(x[t] for t in 1 .. n)", "let r = sum(x[t] for t in 1..n)"),
        ("cap[ i in I ] : x[ i ]==.5", "cap[i in I]: x[i] == .5"),
        ("require strongly_convex ( 0.1 )", "require strongly_convex(0.1)"),
        ("x<=1 ; y<=2;", "x <= 1\ny <= 2"),
        ("x<=1#one", "x <= 1  #one"),
        ("x<=1 # one\ny*z<=1 # two", "x <= 1      # one\ny * z <= 1  # two"),
        ("x<=1 # one\n\ny*z<=1 # two", "x <= 1  # one\n\ny * z <= 1  # two"),
        ("a:x<=1\nbcd:y<=1\ne[i in I]:y<=1\nf:x<=2", "a:   x <= 1\nbcd: y <= 1\ne[i in I]: y <= 1\nf: x <= 2"),
        ("a:x<=1\nbcd:y<=\n1\nef:y<=2", "a: x <= 1\nbcd: y <=\n     1\nef: y <= 2"),
        ("let s = x +\ny", "let s = x +\n        y"),
        ("x +\ny <= 2", "x +\n  y <= 2"),
        ("cap:\nx <=\n2", "cap:\n  x <=\n  2"),
        ("let s = f(\nx,\n\n\ny # why\n# end\n)+\n1", "let s = f(\n  x,\n\n  y  # why\n  # end\n) +\n        1"),
        ("let s = f(x,\ny\n)", "let s = f(x,\n          y\n         )"),
        ("let s = f(x, g(\ny))", "let s = f(x, g(\n  y))"),
        ("#: doc\nvar a", "#: doc\nvar a"),
        ("#: doc\n\n\n  var a", "#: doc\n\nvar a"),
        ("x <= 1; # behind", "x <= 1  # behind"),
    ],
)
def test_a_statement_is_written_so(written, expected):
    assert level(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("model  m", "model m"),
        ("dim n=3,m", "dim n = 3, m"),
        ('set A within(B)from"a"\nset D from "b"["k" ]', 'set A within (B) from "a"\nset D            from "b"["k"]'),
        ('set A within B\nset ABC within B from "b"', 'set A   within B\nset ABC within B from "b"'),
        ("set A=1 ..3", "set A = 1..3"),
        ("param A=[[1],\n[2,\n],\n]", "param A = [[1],\n           [2,\n           ],\n          ]"),
        ("param A=[\n[1,2],[3,4]\n]", "param A = [\n  [1, 2], [3, 4]\n]"),
        ('param X[n,\np],\ny[n] from "f"', 'param X[n,\n        p],\n      y[n] from "f"'),
        ("options{tol=1e-8;backend=\"x\";limit=-inf}", 'options {\n  tol = 1e-8\n  backend = "x"\n  limit = -inf\n}'),
        ("dim n\n# about n\n\n\n\ndim m", "dim n\n# about n\n\ndim m"),
        ("dim n\n# about n\n\n# about the leader", "dim n\n# about n\n\n# about the leader"),
        ("options {}\ndim n", "options {\n}\n\ndim n"),
        ("dim n\n# about the leader", "dim n\n\n# about the leader"),
        ("dim n # n\noptions { # o\n}# end\n# more", "dim n  # n\n\noptions {  # o\n}  # end\n\n# more"),
    ],
)
def test_an_item_is_written_so(written, expected):
    assert top(written).rstrip("\n") == expected


def test_blocks_stand_apart_and_open_at_the_end_of_their_line():
    text = "upper# a\n{minimize x}lower one\n{\n\nminimize y\n\n} # b\n;lower two # c\n\n{minimize z}# d"
    assert formatted(text) == (
        "upper  # a\n{\n  minimize x\n}\n\nlower one {\n  minimize y\n}  # b\n\n"
        "lower two  # c\n{\n  minimize z\n}  # d\n"
    )


def test_what_begins_far_to_the_right_aligns_nothing():
    wide = "x" * FARTHEST
    lines = ["a <= 1  # one", f"{wide} <= 1  # two", "a * b <= 1  # three"]
    assert level("\n".join(lines)) == "\n".join(lines)
    assert level(f"let {wide} = f(a,\nb)") == f"let {wide} = f(a,\n  b)"


def test_many_lines_in_a_far_bracket_stay_small():
    numbers = "1,\n" * 2_000
    text = top(f"param {'x' * 100_000}=[2, [{numbers}]]")
    assert len(text) < 130_000


def test_a_sum_of_thousands_of_terms_needs_no_recursion():
    terms = ["x"] * 3_000
    assert level("let r=" + "+".join(terms)) == "let r = " + " + ".join(terms)


# ---- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "tests/language/bad").glob("*.blv")), ids=lambda path: path.stem)
def test_a_text_with_syntax_errors_is_refused_with_them(path):
    source = Source("bad.blv", path.read_text(encoding="utf-8"))
    with pytest.raises(BlvError) as parsing:
        parse(source)
    with pytest.raises(BlvError) as formatting:
        format_source(source)
    assert [d.code for d in formatting.value.diagnostics] == [d.code for d in parsing.value.diagnostics]


TOY = "upper {\n  minimize a * b - 1\n  a <= 1\n  -b <= 2\n}\n\nlower {\n  minimize y  # why\n}\n"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("  # why", ""),
        ("why", "who"),
        ("a * b", "b * a"),
        ("a * b", "(a * b)"),
        ("a <= 1\n  -b", "a <= 1 - b"),  # a range, of the same tokens
        ("- 1\n", "- 1; "),
        ("- 1", "-1"),
        ("b - 1", "b\n- 1"),
    ],
)
def test_a_fault_of_the_formatter_never_reaches_the_user(monkeypatch, right, wrong):
    """Lost or changed comments and tokens, another tree or none from the same tokens, and texts that are not stable."""
    canonical = module._canonical
    fault = TOY.replace(right, wrong)
    monkeypatch.setattr(module, "_canonical", lambda text: fault if text.startswith(" ") else canonical(text))
    with pytest.raises(RuntimeError, match=r"test\.blv is not the same model"):
        formatted(f" {TOY}")


def test_trees_differ_in_kind_length_and_value():
    def tree(expression):
        return parse(Source("test.blv", TOY.replace("a * b - 1", expression)))

    one = tree("a * b - 1")
    assert module._equal(one, tree("(a * b) - 1"))
    assert not any(module._equal(one, tree(other)) for other in ("a * b - 2", "a * b", "f(a)", "a * (b - 1)"))
    assert not module._equal(tree("f(a)"), tree("f(a, b)"))
