"""Diagnostics as editors take them."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from lsprotocol import types

from bileveldsl.language.diagnostics import Diagnostic, Span
from bileveldsl.language.outline import lexemes
from bileveldsl.language.pages import codes
from bileveldsl.lsp.positions import Positions

_UNUSED, _OUTSIDE = "W301", "E411"
_MEANT = re.compile(r"did you mean `?(\w+)`?\?")


def report(found: Diagnostic, uri: str, positions: Positions) -> types.Diagnostic:
    """A diagnostic of a text for its editor; one about no place of the text stands at its beginning."""
    lines = [found.message, *([found.label] if found.label else []), *([f"help: {found.help}"] if found.help else [])]
    related = [
        types.DiagnosticRelatedInformation(types.Location(uri, positions.range(other.span)), other.label)
        for other in found.related
    ]
    page = _page(found.code)
    return types.Diagnostic(
        range=positions.range(found.span) if found.span else types.Range(types.Position(0, 0), types.Position(0, 0)),
        message="\n".join(lines),
        severity=_severity(found),
        code=found.code,
        code_description=types.CodeDescription(page) if page else None,
        source="bileveldsl",
        tags=[types.DiagnosticTag.Unnecessary] if found.code == _UNUSED else None,
        related_information=related or None,
    )


def replacement(found: Diagnostic) -> tuple[Span, str] | None:
    """The one word that a diagnostic would change, and what to."""
    meant = _MEANT.search(found.help)
    if meant is None or found.span is None:
        return None
    words = [word for word in lexemes(found.span.text) if word.kind == "word"]
    if len(words) != 1 or len(words[0].text) != found.span.end - found.span.start:
        return None
    return found.span, meant[1]


def internal_error(path: str, error: Exception) -> str:
    """What to tell the user of a fault that is ours."""
    return f"internal error in bileveldsl on {path}: {type(error).__name__}: {error}; please report it"


def _severity(found: Diagnostic) -> types.DiagnosticSeverity:
    if found.code == _OUTSIDE:  # the model may be well: it is the server that does not read everywhere
        return types.DiagnosticSeverity.Information
    return types.DiagnosticSeverity.Error if found.severity == "error" else types.DiagnosticSeverity.Warning


@cache
def _page(code: str) -> str | None:
    """Where the page that explains a code is, when it is a file."""
    path = files("bileveldsl.language") / "explain" / f"{code}.md"
    return path.as_uri() if isinstance(path, Path) and code in codes() else None
