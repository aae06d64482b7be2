"""Diagnostics as people and machines read them."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bileveldsl.language.diagnostics import BlvError, Diagnostic, Related, Source, Span
from bileveldsl.language.render import render_github, render_json, render_text

RIDGE = Source("ridge.blv", "model ridge\n" * 10 + "  minimize sumsq(Xv @ w - y) / m\n}\n")


def span(source, text):
    begin = source.text.index(text)
    return Span(source, begin, begin + len(text))


def rendered(diagnostic):
    return render_text(diagnostic).splitlines()


def test_the_sample_of_the_language():
    at = RIDGE.text.index("y)")
    diagnostic = Diagnostic(
        "E303",
        "cannot subtract axes [m] and [n]",
        span(RIDGE, "Xv @ w"),
        "[m]",
        (Related(Span(RIDGE, at, at + 1), "[n]"),),
        "elementwise operations need equal axes or a scalar",
    )
    assert (
        render_text(diagnostic)
        == """\
error[E303]: cannot subtract axes [m] and [n]
  --> ridge.blv:11:18
   |
11 |   minimize sumsq(Xv @ w - y) / m
   |                  ^^^^^^ [m]
   |                           - [n]
   |
   = help: elementwise operations need equal axes or a scalar
"""
    )


def test_other_lines_stand_in_the_order_of_the_text_and_other_files_below():
    source = Source("a.blv", "var x\nvar y\n\nvar z\nvar x\n")
    other = Source("b.blv", "x = 3")
    again = Span(source, 19, 24)
    diagnostic = Diagnostic(
        "E154",
        "again",
        again,
        "second",
        (
            Related(span(other, "x"), "data"),
            Related(Span(source, 13, 18), "near"),
            Related(Span(source, 0, 5), "first"),
        ),
    )
    assert rendered(diagnostic) == [
        "error[E154]: again",
        " --> a.blv:5:1",
        "  |",
        "1 | var x",
        "  | ----- first",
        "...",
        "4 | var z",
        "  | ----- near",
        "5 | var x",
        "  | ^^^^^ second",
        " ::: b.blv:1:1",
        "  |",
        "1 | x = 3",
        "  | - data",
    ]


def test_a_span_of_several_lines_shows_its_ends():
    source = Source("a.blv", "minimize x +\n  y +\n  z\n")
    assert rendered(Diagnostic("E135", "long", Span(source, 9, len(source.text)), "here"))[3:] == [
        "1 | minimize x +",
        "  |          ^^^",
        "...",
        "3 |   z",
        "  |   ^ here",
    ]


def test_a_diagnostic_without_a_place_has_no_lines():
    assert rendered(Diagnostic("E101", "cannot read a.blv", help="name a file")) == [
        "error[E101]: cannot read a.blv",
        "   = help: name a file",
    ]


def test_a_warning_says_so():
    assert render_text(Diagnostic("W301", "unused")).startswith("warning[W301]: unused")


@pytest.mark.parametrize("text", ["", "a\n", "a"])
def test_the_end_of_a_text_has_a_mark(text):
    lines = rendered(Diagnostic("E137", "end", Span(Source("a", text), len(text), len(text))))
    assert lines[-1].strip() == ("|  ^" if text == "a" else "| ^")


def test_tabs_and_wide_characters_keep_the_mark_below_its_text():
    source = Source("a", "\tvar 変数 + é\u0301 + x\r\n")
    lines = rendered(Diagnostic("E201", "unknown", span(source, "x"), "", (Related(span(source, "変数"), "wide"),)))
    shown, mark, wide = lines[3:]

    def columns(line):
        return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in line)

    assert columns(shown[: shown.index("x")]) == mark.index("^")
    assert columns(shown[: shown.index("変")]) == wide.index("-") and wide.endswith("---- wide")


def test_a_tab_goes_to_the_next_multiple_of_four():
    lines = rendered(Diagnostic("E201", "unknown", Span(Source("a", "\tab\tx"), 4, 5)))
    assert lines[3:] == ["1 |     ab  x", "  |         ^"]


def test_a_long_line_is_cut_around_each_span():
    source = Source("a", "x + " * 5000 + "here + " + "y + " * 5000 + "there")
    diagnostic = Diagnostic("E124", "long", span(source, "here"), "", (Related(span(source, "there"), "far"),))
    lines = rendered(diagnostic)
    assert max(map(len, lines)) < 150
    for line, mark, word in zip(lines[3::2], lines[4::2], ("here", "there"), strict=True):
        assert line[mark.index("^" if word == "here" else "-") :].startswith(word)


@given(st.text(alphabet=st.characters(), max_size=40), st.text(max_size=10), st.booleans())
def test_nothing_of_a_model_steers_the_terminal(text, name, color):
    source = Source(name, text)
    whole = Diagnostic("E110", text, Span(source, 0, len(text)), text, (Related(Span(source, 0, 0), name),), text)
    shown = render_text(whole, color)
    for style in ("\x1b[0m", "\x1b[1m", "\x1b[1;31m", "\x1b[1;34m") if color else ():
        shown = shown.replace(style, "")
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown.replace("\n", ""))
    assert render_text(whole) == shown


def test_json_is_as_the_contract_says():
    source = Source("a.blv", "var x\nvar y\n")
    diagnostic = Diagnostic("E154", "m", Span(source, 6, 9), "l", (Related(Span(source, 0, 3), "r"),), "h")
    place = {"start": {"line": 1, "column": 1, "offset": 0}, "end": {"line": 1, "column": 4, "offset": 3}}
    assert json.loads(json.dumps(render_json(diagnostic))) == {
        "code": "E154",
        "severity": "error",
        "message": "m",
        "path": "a.blv",
        "range": {"start": {"line": 2, "column": 1, "offset": 6}, "end": {"line": 2, "column": 4, "offset": 9}},
        "label": "l",
        "related": [{"path": "a.blv", "range": place, "label": "r"}],
        "help": "h",
    }
    nowhere = render_json(Diagnostic("W601", "m"))
    assert nowhere["path"] is None and nowhere["range"] is None and nowhere["severity"] == "warning"


def test_an_annotation_of_github_is_one_line():
    source = Source("a,b:c.blv", "var x\n")
    diagnostic = Diagnostic("E121", "100% `x`\nno", Span(source, 4, 5), help="a:b, c")
    assert render_github(diagnostic) == (
        "::error file=a%2Cb%3Ac.blv,line=1,col=5,endLine=1,endColumn=6,title=E121::100%25 `x`%0Ano%0Ahelp: a:b, c"
    )
    assert render_github(Diagnostic("W301", "m")) == "::warning title=W301::m"


def test_an_error_shows_itself_rendered():
    error = BlvError([Diagnostic("E121", "m", Span(RIDGE, 0, 5))])
    assert "1 | model ridge\n" in str(error)
