"""What becomes of a text: all that can be done with it without solving, and the promises that then hold."""

import json
from dataclasses import dataclass
from pathlib import Path

from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source
from bileveldsl.language.format import format_source
from bileveldsl.language.pages import codes
from bileveldsl.language.parse import parse
from bileveldsl.language.render import render_github, render_json, render_text
from bileveldsl.language.signature import signature
from bileveldsl.language.unparse import unparse
from bileveldsl.model import Model

SHOWN = 50  # diagnostics of a text
CODES = frozenset(codes())
DEPTHS = ("parse", "elaborate", "check")


@dataclass(frozen=True)
class Outcome:
    """What became of a text: `accepted`, `refused` with some codes, or a finding with its place in our code."""

    kind: str
    detail: tuple[str, ...] = ()
    trace: str = ""

    @property
    def is_finding(self) -> bool:
        return self.kind not in ("accepted", "refused")


def examine(text: str, folder: Path, depth: str) -> Outcome:
    """Read a text as `bileveldsl check` does, show every diagnostic in every form, and write what was read again."""
    source = Source("model.blv", text)
    try:
        tree = parse(source)
        printed = unparse(tree)
        assert unparse(parse(Source("model.blv", printed))) == printed, "the print of a model reads as another model"
        json.dumps(signature(tree), allow_nan=False)
        format_source(source)
        if depth == "parse":
            return Outcome("accepted")
        model = Model.from_ast(tree, folder)
        found = model.program().warnings if depth == "elaborate" else model.check().diagnostics
    except BlvError as error:
        found = error.diagnostics
        assert found, "refused without a word"
    for diagnostic in found[:SHOWN]:
        _show(diagnostic, source)
    refused = tuple(sorted({d.code for d in found if d.severity == "error"}))
    return Outcome("refused", refused) if refused else Outcome("accepted")


def _show(diagnostic: Diagnostic, source: Source) -> None:
    assert diagnostic.code in CODES, f"no page for {diagnostic.code}"
    assert diagnostic.message, f"{diagnostic.code} says nothing"
    for span in [diagnostic.span, *(related.span for related in diagnostic.related)]:
        assert span is None or span.source is not source or 0 <= span.start <= span.end <= len(source.text), span
    render_text(diagnostic, color=True).encode("utf-8")
    json.dumps(render_json(diagnostic), allow_nan=False)
    render_github(diagnostic)
