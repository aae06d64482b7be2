"""Spans of the tree's nodes, limits of size, files, and the parser itself."""

import logging
import threading
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import lark
import pytest
from trees import (
    MODELS,
    codes,
    expression,
    guard,
    items,
    model,
    nodes,
    parsed,
    statements,
    x,
)

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.newlines import MAX_NESTING, NewlineFilter
from bileveldsl.language.outline import KEYWORDS
from bileveldsl.language.parse import MAX_BYTES, load_source

# ---- spans --------------------------------------------------------------------------------------

EVERYTHING = Source(
    "all.blv",
    """model all  # every kind of node
dim n = 2, m
set S within T = ["a", ("b", 1)]
param A[n, 3], b = [[1, 2.5], [-3, 1e-3]]
param c from "c.npz"["k"]
upper {
  var x[n], v : integer in [ 0 , (1 + 2) ] start - 1
  minimize ( x[0] + sum( x[i] ^ 2 for i in 1 .. n , (j , k) in S if i != j and not ( i == 1 ) ) ) / n
}
lower follower {
  var y >= - inf
  maximize f ( y , axis = n ) @ A . T [ : , 1 : ] - (x[0])
  cap [ i in S if (i , 1) in T or i <= 2 ] : 0 <= x [ i ] + (
     y ) <= "s"
  cap.dual == (-1)
  require pl ( 0.1 )
  minibatch n
}
options { tol = - 1e-8 ; ties_ = true }
""".replace("A . T", "A.T"),
)
CONDITIONS = (ast.Compare, ast.Member, ast.Logical)
NO_EXPRESSIONS = (ast.Slice, ast.Range, ast.List, ast.Keyword, ast.Generator)


def reread(node):
    """What the text of a node's span says on its own."""
    text = node.span.text
    if isinstance(node, CONDITIONS):
        return expression(f"sum(x for i in I if ({text}))").guard
    if isinstance(node, ast.Slice):
        return expression(f"x[{text}]").items[0]
    if isinstance(node, ast.Keyword):
        return expression(f"f({text})").keywords[0]
    if isinstance(node, ast.Generator):
        return expression(f"sum(x for {text})").generators[0]
    if isinstance(node, ast.Range):
        return expression(f"sum(x for i in {text})").generators[0].domain
    if isinstance(node, ast.List):
        return items(f"param a = {text}")[0].value
    if isinstance(node, ast.DataSource):
        return items(f"param a {text}")[0].source
    if isinstance(node, ast.Option):
        return items(f"options {{ {text} }}")[0].options[0]
    if isinstance(node, ast.Dim):
        return items(f"dim {text}")[0]
    if isinstance(node, ast.Param | ast.Set | ast.Level | ast.Options):
        return next(item for item in items(text) if getattr(item, "name", "") == getattr(node, "name", ""))
    if isinstance(node, ast.Statement):
        return next(item for item in statements(text) if getattr(item, "name", "") == getattr(node, "name", ""))
    return expression(f"({text})")


@pytest.mark.parametrize("source", [EVERYTHING, *map(load_source, MODELS)], ids=lambda source: Path(source.path).stem)
def test_the_text_of_a_span_says_the_node(source):
    tree = parsed(source)
    for node in nodes(tree)[1:]:
        assert node.span.source is source
        assert node.span.text == node.span.text.strip()
        assert reread(node) == node


def test_spans_of_names_labels_heads_and_functions():
    tree = parsed(EVERYTHING)
    texts = [(type(node).__name__, field.name, getattr(node, field.name))
             for node in nodes(tree) for field in fields(node) if field.name.endswith("_span")]  # fmt: skip
    written = {(kind, which, span.text) for kind, which, span in texts if span is not None}
    assert written == {
        ("Dim", "name_span", "n"), ("Dim", "name_span", "m"), ("Set", "name_span", "S"),
        ("Param", "name_span", "A"), ("Param", "name_span", "b"), ("Param", "name_span", "c"),
        ("Var", "name_span", "x"), ("Var", "name_span", "v"), ("Var", "name_span", "y"),
        ("Level", "head_span", "upper"), ("Level", "head_span", "lower follower"),
        ("Call", "function_span", "sum"), ("Call", "function_span", "f"),
        ("Constraint", "label_span", "cap"),
    }  # fmt: skip


# ---- size ---------------------------------------------------------------------------------------


def deep(count):
    return [
        "(" * count + "x" + ")" * count,
        "f(" * count + "x" + ")" * count,
        "-" * count + "x",
        "x^" * count + "x",
        "x" + ".T" * count,
        "x" + "[0]" * (count - 1),  # the last index is one level deeper
        "sum(x for i in I if " + "not " * (count - 1) + "i == 1)",
    ]


@pytest.mark.parametrize("kind", range(7))
def test_nesting_has_a_limit(kind):
    expression(deep(MAX_NESTING)[kind])
    assert codes(model(f"  let r = {deep(MAX_NESTING + 1)[kind]}")) == ["E103"]
    assert "E103" in codes(model(f"  let r = {deep(100_000)[kind]}\n  let s = 2x"))


@pytest.mark.parametrize("operator", [" + ", " - ", "*", " @ ", " + -x*2^-(x)^2 - "])
def test_chains_of_thousands_of_terms_need_no_recursion(operator):
    tree = expression(operator.join(["x"] * 5_000))
    length = 1
    while isinstance(tree, ast.Binary):
        tree, length = tree.left, length + 1
    assert tree == x and length >= 5_000


def test_two_thousand_conditions_are_one_node():
    condition = guard(" and ".join(["i != j"] * 2_000))
    assert len(condition.operands) == 2_000


def test_a_text_beyond_the_size_limit_is_refused(tmp_path):
    assert codes(" " * (MAX_BYTES + 1)) == ["E103"]
    path = tmp_path / "large.blv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BlvError, match=r"E103.*20,000,001 bytes"):
        load_source(path)


# ---- files --------------------------------------------------------------------------------------


def test_load_source_gives_the_text_and_the_path(tmp_path):
    path = tmp_path / "größe.blv"
    path.write_bytes(b"\xef\xbb\xbfmodel a\r\n")
    source = load_source(path)
    assert source.text == "model a\r\n" and source.path == str(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.blv", None, "E101.*no such file"),
        (".", None, "E101.*is a directory"),
        ("a\0b", None, "E101.*null"),
        ("latin.blv", b"# Gr\xf6\xdfe", "E102.*byte 0xf6 at offset 4"),
        ("utf16.blv", b"\xff\xfem\0", "E102.*byte 0xff at offset 0"),
    ],
)
def test_an_unreadable_file_is_a_clear_error(tmp_path, name, content, words):
    path = f"{tmp_path}/{name}"
    if content is not None:
        Path(path).write_bytes(content)
    with pytest.raises(BlvError, match=words) as caught:
        load_source(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is None and diagnostic.help


# ---- the parser itself --------------------------------------------------------------------------


def grammar(**options):
    text = (files("bileveldsl.grammar") / "blv.lark").read_text(encoding="utf-8")
    return lark.Lark(
        text,
        start=["start", "statements", "settings"],
        parser="lalr",
        keep_all_tokens=True,
        postlex=NewlineFilter(),
        **options,
    )


def test_the_grammar_has_no_conflicts(caplog):
    with caplog.at_level(logging.DEBUG, logger="lark"):
        lark.logger.setLevel(logging.DEBUG)
        grammar(debug=True)
    assert caplog.text == ""


def test_the_grammar_is_clean_under_strict():
    pytest.importorskip("interegular")
    grammar(strict=True)


def test_the_keywords_of_the_grammar_are_the_keywords_of_the_messages():
    words = {
        terminal.pattern.value.removesuffix(r"\b")
        for terminal in grammar().terminals
        if terminal.pattern.value.endswith(r"\b")
    }
    assert words == KEYWORDS


def test_threads_parse_at_the_same_time():
    wrong = []

    def work(number):
        for _ in range(5):
            source = Source(f"m{number}.blv", model(f"  cap{number}: x <= {number}\n" * 20))
            tree = parsed(source)
            constraints = tree.items[1].statements[2:]
            if any(c.span.source is not source or c.label != f"cap{number}" for c in constraints):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
