"""The parts of the server, without a session."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytest.importorskip("pygls")

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from bileveldsl.language.diagnostics import Source
from bileveldsl.language.function_names import FUNCTION_NAMES
from bileveldsl.lsp.analysis import analyse
from bileveldsl.lsp.completion import complete
from bileveldsl.lsp.describe import describe
from bileveldsl.lsp.meanings import FACTS, FUNCTIONS, KEYWORDS
from bileveldsl.lsp.positions import Positions
from bileveldsl.program import FACTS as KNOWN_FACTS

TOLL = """\
set A = ["a", "b"]; set B within A = ["a"]
param c[A] = [1, 2]
upper { var t[B] in [0, 1]; maximize sum(t[i] for i in B) + sum(c[i] for i in A if i != "a") }
lower { var f[A] in [0, 1]; minimize sum(c[i] * f[i] for i in A)
  cap[i in B]: f[i] <= t[i] }
"""


CHARACTERS = st.characters(codec="utf-8") | st.sampled_from("\r\n𝒳é")


@given(st.text(CHARACTERS, max_size=40), st.sampled_from(["utf-8", "utf-16", "utf-32"]))
def test_positions_lead_back_to_their_offsets(text: str, encoding: str) -> None:
    positions = Positions(text, encoding)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] != "\r\n":
            assert positions.offset(positions.position(offset)) == offset


def test_positions_past_the_end_are_the_end() -> None:
    positions = Positions("ab\r\n𝒳\u2028c", "utf-16")
    assert positions.offset(types.Position(0, 9)) == 2
    assert positions.offset(types.Position(1, 2)) == 5
    assert positions.offset(types.Position(1, 1)) == 4  # in the middle of a pair
    assert positions.offset(types.Position(7, 0)) == 7


def test_an_index_is_what_its_own_generator_binds() -> None:
    analysis = analyse(Source("toll.blv", TOLL))
    first = analysis.at(TOLL.index("t[i] for") + 2)
    assert first is not None and [other.span.start for other in analysis.same(first)] == [
        TOLL.index("t[i] for") + 2, TOLL.index("for i") + 4,
    ]  # fmt: skip
    labelled = analysis.at(TOLL.index("cap[i") + 4)
    assert labelled is not None and len(analysis.same(labelled)) == 3
    text = describe(analysis, TOLL.index("t[i] for") + 2, None, None)
    assert text is not None and "i in B" in text


def test_every_occurrence_is_the_text_of_its_name() -> None:
    found = analyse(Source("toll.blv", TOLL)).occurrences
    assert all(each.span.text == each.name for each in found) and len(found) == 31


def test_functions_facts_and_keywords_have_a_meaning() -> None:
    assert FUNCTIONS.keys() == set(FUNCTION_NAMES)
    assert FACTS.keys() == set(KNOWN_FACTS)
    for name in FUNCTIONS.keys() | KEYWORDS.keys():
        assert describe(analyse(Source("m.blv", f"{name} (")), 0, None, None)


def test_comments_of_a_model_cannot_load_anything() -> None:
    text = "#: see ![](http://example.org/a.png) <img src=x>\nparam k = 1\n"
    shown = describe(analyse(Source("m.blv", text)), text.index("k ="), None, None)
    assert shown is not None and "](" not in shown and "<img" not in shown.replace("\\<", "")


@given(st.integers(0, len(TOLL)), st.sampled_from(["", "[", "(", "}", '"', "#", "x + ", "\n", "for i in "]))
def test_unfinished_models_have_answers(offset: int, inserted: str) -> None:
    text = TOLL[:offset] + inserted
    for whole in (text, text + TOLL[offset:]):
        analysis = analyse(Source("m.blv", whole))
        names = [item.label for item in complete(whole, len(text), analysis.declarations)]
        assert len(names) == len(set(names))
        describe(analysis, len(text), None, None)


def test_a_long_sum_is_no_burden() -> None:
    text = f"upper {{ var x; minimize {' + '.join(['x'] * 5000)} }}\nlower {{ var y; minimize y }}"
    assert len(analyse(Source("m.blv", text)).occurrences) == 5003


def test_without_pygls_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from bileveldsl.cli.main import main

    monkeypatch.setitem(sys.modules, "pygls.lsp.server", None)
    with pytest.raises(SystemExit) as stopped:
        main(["lsp"])
    told = capsys.readouterr()
    assert stopped.value.code == 2 and told.out == ""
    assert "E602" in told.err and "bileveldsl[lsp]" in told.err
