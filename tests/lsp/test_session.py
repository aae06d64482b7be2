"""The server as an editor sees it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls")

import bileveldsl as blv

EXAMPLES = Path(__file__).parents[2] / "examples"
TOY = """\
upper {
  var x in [0, 10] start 1
  minimize (x - 3)^2 + (y - 1)^2
}
lower {
  var y
  minimize (y - x)^2
}
"""


def place(text: str, part: str, within: int = 0) -> tuple[int, int]:
    """The line and the UTF-16 column of a part of a text."""
    before = text[: text.index(part) + within]
    column = len(before.rpartition("\n")[2].encode("utf-16-le")) // 2
    return before.count("\n"), column


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """A text after the edits of an answer; their columns count UTF-16 units."""

    def offset(position: dict[str, int]) -> int:
        lines = text.split("\n")
        line = lines[position["line"]].encode("utf-16-le")[: 2 * position["character"]].decode("utf-16-le")
        return sum(len(each) + 1 for each in lines[: position["line"]]) + len(line)

    places = [(offset(edit["range"]["start"]), offset(edit["range"]["end"]), edit["newText"]) for edit in edits]
    for start, end, new in sorted(places, reverse=True):
        text = text[:start] + new + text[end:]
    return text


@pytest.fixture
def ridge(tmp_path: Path) -> Path:
    for name in ("ridge.blv", "ridge.npz"):
        shutil.copy(EXAMPLES / "ridge" / name, tmp_path)
    return tmp_path / "ridge.blv"


def test_typing_mistakes_and_mending_them(session: Any, ridge: Path) -> None:
    text = ridge.read_text(encoding="utf-8")
    wrong = text.replace("Xv @ w - yv", "Xv @ w - y")
    uri = session.open(ridge, text)
    assert session.diagnostics(uri) == []
    session.change(uri, 2, wrong)
    (found,) = session.diagnostics(uri, 2)
    assert (found["code"], found["severity"], found["source"]) == ("E303", 1, "bileveldsl")
    assert found["range"]["start"] == dict(zip(("line", "character"), place(wrong, "Xv @ w - y"), strict=True))
    assert found["codeDescription"]["href"].endswith("E303.md")
    assert found["relatedInformation"][0]["location"]["uri"] == uri

    broken = text.replace("Xv @ w - yv", "Xv @ - * yv").replace("X[n, p]", "X[n p]")
    session.change(uri, 3, broken)
    assert [found["code"][:2] for found in session.diagnostics(uri, 3)] == ["E1", "E1"]
    # Names and values are still known, also those of the declaration that cannot be read.
    hover = session.request("textDocument/hover", session.at(uri, *place(broken, "w[p]")))["contents"]["value"]
    assert "var w[p]" in hover and "variable of `lower`" in hover and "p = 10" in hover
    hover = session.request("textDocument/hover", session.at(uri, *place(text, "X[n")))["contents"]["value"]
    assert "param X[n, p]" in hover and "n = 300, p = 10" in hover and "values from" in hover

    session.change(uri, 4, text.replace("Xv @ w - yv", "Xv @ wv - yv").replace("var w[p]", "var wx[p]"))
    assert session.diagnostics(uri, 4) == []  # the errors of syntax are gone at once
    found = session.diagnostics(uri, 4)
    assert "E201" in [each["code"] for each in found]
    unknown = next(each for each in found if "wv" in each["message"])
    asked = {"textDocument": {"uri": uri}, "range": unknown["range"], "context": {"diagnostics": [unknown]}}
    titles = [action["title"] for action in session.request("textDocument/codeAction", asked)]
    assert titles == [f"Write {unknown['message'].split('did you mean ')[1].rstrip('?')}"]


def test_stale_outcomes_are_dropped(session: Any, ridge: Path) -> None:
    text = ridge.read_text(encoding="utf-8")
    uri = session.open(ridge, text)
    for version in range(2, 12):
        session.change(uri, version, text.replace("- yv", f"- yv + {version}*nothing"))
    session.change(uri, 12, text.replace("- yv", "- missing"))
    assert [each["code"] for each in session.diagnostics(uri, 12)] == ["E201"]
    assert session.messages.empty()


def test_positions_behind_characters_beyond_the_basic_plane(session: Any, tmp_path: Path) -> None:
    text = "set I = [\"𝒜𝒜\", \"b\"]; param c[I] = [1, 2]\n" + TOY.replace("x - 3", "𝒙 - 3").replace("y - 1", "𝒙 + w")
    text = text.replace("var x", "var 𝒙").replace("y - x", "y - 𝒙 + sum(c)")
    uri = session.open(tmp_path / "m.blv", text)
    found = session.diagnostics(uri)
    assert [(each["code"], each["range"]["start"]["character"]) for each in found] == [("E201", place(text, "w)")[1])]
    line, column = place(text, "𝒙 + w")
    target = session.request("textDocument/definition", session.at(uri, line, column))
    assert target["range"]["start"] == {"line": 2, "character": 6}
    assert target["range"]["end"] == {"line": 2, "character": 8}
    hover = session.request("textDocument/hover", session.at(uri, *place(text, "c[I]")))
    assert "param c[I] = [1, 2]" in hover["contents"]["value"]


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 12), ("utf-32", 9)])
def test_the_encoding_of_positions_is_agreed_on(encoding: str, column: int, tmp_path: Path, start: Any) -> None:
    session = start(encodings=[encoding])
    assert session.capabilities["positionEncoding"] == encoding
    text = TOY.replace("  var x in", "  var 𝒙, q in")
    uri = session.open(tmp_path / "m.blv", text)
    hover = session.request("textDocument/hover", session.at(uri, 1, column))
    assert "var q in [0, 10] start 1" in hover["contents"]["value"]
    assert session.end() == (0, b"")


def test_completion_offers_what_fits(session: Any, ridge: Path) -> None:
    text = ridge.read_text(encoding="utf-8")
    uri = session.open(ridge, text)

    def labels(written: str, version: int) -> set[str]:
        changed = text.replace("  require strongly_convex", written)
        session.change(uri, version, changed)
        line, column = place(text, "  require")
        where = session.at(uri, line, column + len(written))
        return {item["label"] for item in session.request("textDocument/completion", where)}

    assert {"var", "minimize", "w", "exp"} <= labels("  ", 2) and "dim" not in labels("  ", 3)
    assert labels("  var u[", 4) == {"n", "m", "p"}
    assert labels("  var u", 5) == set()
    assert {"loglam", "sum", "X"} <= labels("  let u = 2 * l", 6)
    assert labels("  require s", 7) >= {"strongly_convex", "convex"}
    assert "T" in labels("  let u = X.", 8)
    assert labels("  # so", 9) == set()
    assert {"optimistic", "pessimistic"} == labels("  ties ", 10)
    assert "i" in labels("  let u = sum(w[i] * i for i in p if ", 11)
    assert labels("  minibatch ", 12) == {"n", "m", "p"}


def test_a_name_is_found_and_changed_everywhere(session: Any, ridge: Path) -> None:
    text = ridge.read_text(encoding="utf-8")
    uri = session.open(ridge, text)
    here = session.at(uri, *place(text, "w - yv"))
    found = session.request("textDocument/references", {**here, "context": {"includeDeclaration": False}})
    assert len(found) == 3
    assert len(session.request("textDocument/documentHighlight", here)) == 4
    assert session.request("textDocument/prepareRename", here)["start"]["line"] == place(text, "w - yv")[0]
    for name in ("2w", "for", "exp", "X", "a b", ""):
        refused = session.answer("textDocument/rename", {**here, "newName": name})
        assert name in refused["error"]["message"]
    changed = text
    for old, new in (("w - yv", "weights"), ("X[n", "features"), ("n, m, p", "rows")):
        session.change(uri, 2 + len(changed), changed)
        asked = {**session.at(uri, *place(changed, old if old != "w - yv" else "w - yv")), "newName": new}
        changed = applied(changed, session.request("textDocument/rename", asked)["changes"][uri])
    assert 'param features[rows, p] from "ridge.npz"["X"]' in changed
    ridge.write_text(changed, encoding="utf-8")
    assert blv.load(ridge).check().errors == ()
    assert blv.load(ridge).program().parameters[0].name == "features"


def test_formatting_keeps_the_model(session: Any, tmp_path: Path) -> None:
    text = TOY.replace("  minimize", "minimize").replace("(x - 3)", "(x-3)")
    uri = session.open(tmp_path / "toy.blv", text)
    asked = {"textDocument": {"uri": uri}, "options": {"tabSize": 2, "insertSpaces": True}}
    changed = applied(text, session.request("textDocument/formatting", asked))
    assert changed == TOY.replace("}\nlower", "}\n\nlower")
    session.change(uri, 2, changed)
    assert session.request("textDocument/formatting", asked) == []
    session.change(uri, 3, "upper { var")
    assert session.request("textDocument/formatting", asked) is None


def test_symbols_lie_in_their_levels(session: Any, ridge: Path) -> None:
    uri = session.open(ridge)
    found = session.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    assert [each["name"] for each in found] == ["n", "m", "p", "X", "y", "Xv", "yv", "upper", "lower"]
    assert [each["name"] for each in found[-1]["children"]] == ["w", "minimize"]


def test_files_elsewhere_are_read_only_when_trusted(ridge: Path, tmp_path: Path, start: Any) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    text = ridge.read_text(encoding="utf-8").replace('"ridge.npz"', '"../ridge.npz"')
    for options, codes in (((), {"E411"}), (("--trust",), set())):
        session = start(*options)
        uri = session.open(folder / "ridge.blv", text)
        found = session.diagnostics(uri)
        assert {each["code"] for each in found} == codes
        assert all(each["severity"] == 3 for each in found)
        assert session.end() == (0, b"")


def test_a_data_file_that_changes_is_read_again(session: Any, ridge: Path) -> None:
    uri = session.open(ridge)
    assert session.diagnostics(uri) == []
    (ridge.parent / "ridge.npz").unlink()
    session.notify("workspace/didChangeWatchedFiles", {"changes": []})
    assert {each["code"] for each in session.diagnostics(uri)} == {"E401"}


def test_closed_models_show_nothing(session: Any, tmp_path: Path) -> None:
    uri = session.open(tmp_path / "toy.blv", TOY.replace("x - 3", "z - 3"))
    assert [each["code"] for each in session.diagnostics(uri)] == ["E201"]
    session.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert session.diagnostics(uri, None) == []
    assert session.request("textDocument/hover", session.at(uri, 1, 6)) is None


def test_a_text_in_no_file_reads_none(session: Any) -> None:
    text = 'dim n; param a[n] from "a.npz"\n' + TOY.replace("(y - x)^2", "(y - x)^2 + sum(a)")
    uri = session.open("untitled:Untitled-1", text)
    assert {each["code"] for each in session.diagnostics(uri)} == {"E401"}
