"""Diagnostics as text for a terminal, as JSON, and as annotations of GitHub."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bileveldsl.language.diagnostics import Diagnostic, Source, Span

TAB = 4
WIDTH = 120  # characters of a line; a longer one is cut around its span
_BEFORE = 40  # what a cut line shows before its span

_RESET = "\x1b[0m"
_STYLES = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "frame": "\x1b[1;34m", "bold": "\x1b[1m"}


def render_text(d: Diagnostic, color: bool = False) -> str:
    """A diagnostic with the lines it speaks of, for people.

    Parameters
    ----------
    d : Diagnostic
    color : bool
        Whether to style it with ANSI escapes. Escapes and other control characters of the model never pass.

    Returns
    -------
    str
        Several lines, the last with a line end.

    Examples
    --------
    >>> source = Source("toy.blv", "minimize x + 3z")
    >>> print(render_text(Diagnostic("E124", "an operator is missing", Span(source, 13, 15), help="write `3*z`")))
    error[E124]: an operator is missing
     --> toy.blv:1:14
      |
    1 | minimize x + 3z
      |              ^^
      |
      = help: write `3*z`
    <BLANKLINE>
    """
    paint = _paint if color else _plain
    title = paint(f"{d.severity}[{d.code}]", d.severity) + paint(f": {_clean(d.message)}", "bold")
    lines = [title]
    marks = _marks(d)
    gutter = max((len(str(mark.line)) for mark in marks), default=2)
    margin = " " * gutter
    shown: tuple[Source, int] | None = None
    for mark in marks:
        if shown is None or shown[0] is not mark.source:
            arrow = "-->" if shown is None else ":::"
            where = d.span if shown is None and d.span else mark.span
            line, column = where.source.position(where.start)
            lines.append(f"{margin}{paint(arrow, 'frame')} {_clean(mark.source.path)}:{line}:{column}")
            lines.append(f"{margin} {paint('|', 'frame')}")
        elif mark.line - shown[1] > 1:
            lines.append(paint("...", "frame"))
        view = _View(mark)
        if shown != (mark.source, mark.line) or view.cut:
            lines.append(f"{paint(f'{mark.line:>{gutter}} |', 'frame')} {view.text}".rstrip())
        style = d.severity if mark.primary else "frame"
        label = f" {_clean(mark.label)}" if mark.label else ""
        lines.append(f"{margin} {paint('|', 'frame')} {' ' * view.start}{paint(view.underline + label, style)}")
        shown = (mark.source, mark.line)
    if marks and d.help:
        lines.append(f"{margin} {paint('|', 'frame')}")
    if d.help:
        lines.append(f"{margin} {paint('=', 'frame')} {paint('help', 'bold')}: {_clean(d.help)}")
    return "\n".join(lines) + "\n"


def render_json(d: Diagnostic) -> dict[str, Any]:
    """A diagnostic as the JSON object of `check --json`.

    Parameters
    ----------
    d : Diagnostic

    Returns
    -------
    dict
        `path` and `range` are None where the diagnostic speaks of no place; lines and columns count from 1, offsets
        from 0, and the end is the first place after the span.
    """
    return {
        "code": d.code,
        "severity": d.severity,
        "message": d.message,
        **place_json(d.span),
        "label": d.label,
        "related": [{**place_json(related.span), "label": related.label} for related in d.related],
        "help": d.help,
    }


def render_github(d: Diagnostic) -> str:
    """A diagnostic as a workflow command of GitHub, which shows it beside the line.

    Parameters
    ----------
    d : Diagnostic

    Returns
    -------
    str
        One line, without a line end.

    Examples
    --------
    >>> source = Source("toy.blv", "minimize x + 3z")
    >>> render_github(Diagnostic("E124", "an operator is missing", Span(source, 13, 15), help="write `3*z`"))
    '::error file=toy.blv,line=1,col=14,endLine=1,endColumn=16,title=E124::an operator is missing%0Ahelp: write `3*z`'
    """
    properties = {}
    if d.span:
        (line, column), (end_line, end_column) = _positions(d.span)
        properties = {"file": d.span.source.path, "line": line, "col": column, "endLine": end_line}
        properties["endColumn"] = end_column
    properties["title"] = d.code
    written = ",".join(f"{name}={_escape(str(value), ':,')}" for name, value in properties.items())
    text = d.message if not d.help else f"{d.message}\nhelp: {d.help}"
    return f"::{d.severity} {written}::{_escape(text)}"


def _escape(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _positions(span: Span) -> tuple[tuple[int, int], tuple[int, int]]:
    return span.source.position(span.start), span.source.position(span.end)


def place_json(span: Span | None) -> dict[str, Any]:
    """`path` and `range` of a span, as in the JSON of a diagnostic."""
    if span is None:
        return {"path": None, "range": None}
    ends = [
        {"line": line, "column": column, "offset": offset}
        for (line, column), offset in zip(_positions(span), (span.start, span.end), strict=True)
    ]
    return {"path": span.source.path, "range": {"start": ends[0], "end": ends[1]}}


# ---- the lines of a terminal --------------------------------------------------------------------


@dataclass(frozen=True)
class _Mark:
    """A stretch of one line to underline; `start` and `end` count characters of the line."""

    span: Span
    line: int
    start: int
    end: int
    label: str
    primary: bool

    @property
    def source(self) -> Source:
        return self.span.source


def _marks(d: Diagnostic) -> list[_Mark]:
    """What to underline: the source of the primary span first, lines ascending, in a line the primary span first."""
    if d.span is None:
        return []
    marks = list(_split(d.span, d.label, True))
    for related in d.related:
        marks += _split(related.span, related.label, False)
    sources = list(dict.fromkeys(mark.source for mark in marks))
    return sorted(marks, key=lambda mark: (sources.index(mark.source), mark.line, not mark.primary))


def _split(span: Span, label: str, primary: bool) -> Iterator[_Mark]:
    """The first and the last line of a span; the label is at the last."""
    source = span.source
    first, start = source.position(span.start)
    last, end = source.position(span.start + len(span.text.rstrip()))
    if first >= last:
        yield _Mark(span, first, start - 1, max(start, end) - 1, label, primary)
        return
    yield _Mark(span, first, start - 1, len(source.line(first)), "", primary)
    line = source.line(last)
    yield _Mark(span, last, len(line) - len(line.lstrip()), end - 1, label, primary)


class _View:
    """The part of a line that is shown, and where its underline goes, in columns of the terminal."""

    def __init__(self, mark: _Mark):
        line = mark.source.line(mark.line)
        begin = 0 if len(line) <= WIDTH else max(0, mark.start - _BEFORE)
        cells = _cells(line[begin : begin + WIDTH])
        end = begin + len(cells)
        self.cut = len(cells) < len(line)
        self.text = ("…" if begin else "") + "".join(cells) + ("…" if end < len(line) else "")
        self.start = bool(begin) + _columns("".join(cells[: mark.start - begin]))
        marked = _columns("".join(cells[mark.start - begin : mark.end - begin]))
        self.underline = ("^" if mark.primary else "-") * max(1, marked)


def _cells(line: str) -> list[str]:
    """What the terminal shows for each character of a line."""
    cells: list[str] = []
    column = 0
    for character in line:
        cell = " " * (TAB - column % TAB) if character == "\t" else _clean(character)
        cells.append(cell)
        column += _columns(cell)
    return cells


def _columns(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(bool(unicodedata.combining(character)) for character in text)


def _clean(text: str) -> str:
    """The text without anything that would steer a terminal, such as escapes or a change of direction."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def _plain(text: str, style: str) -> str:
    return text


def _paint(text: str, style: str) -> str:
    return f"{_STYLES[style]}{text}{_RESET}"
