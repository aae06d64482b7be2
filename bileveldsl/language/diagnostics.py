"""What is wrong with a model, as values: codes, places, and the mend; rendering is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, eq=False)
class Source:
    """A text that spans point into: a `.blv` file, a string, or a user's Python file."""

    path: str
    text: str

    @cached_property
    def line_starts(self) -> list[int]:
        starts = [0]
        for offset, character in enumerate(self.text):
            if character == "\n":
                starts.append(offset + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1."""
        from bisect import bisect_right

        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """A stretch of a source, as offsets `start <= offset < end`."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of another of the same source."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))


@dataclass(frozen=True)
class Related:
    """A second place that a diagnostic speaks of, with the words to write there."""

    span: Span
    label: str


@dataclass(frozen=True)
class Diagnostic:
    """One finding about a model: a stable code, a terse message, where, and how to mend it."""

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    related: tuple[Related, ...] = ()
    help: str = ""

    @property
    def severity(self) -> Severity:
        return "warning" if self.code.startswith("W") else "error"


class BlvError(Exception):
    """The model (or its data, or what is asked of it) is at fault; carries every diagnostic."""

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(f"{d.severity}[{d.code}]: {d.message}" for d in self.diagnostics))

    def __str__(self) -> str:
        from bileveldsl.language.render import render_text

        return "\n" + "\n".join(render_text(d) for d in self.diagnostics)


@dataclass
class Collector:
    """Gathers diagnostics during a pass, each place at most once, so that all errors show in one run."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    _places: set[tuple[str, Span | str]] = field(default_factory=set)

    def add(self, diagnostic: Diagnostic) -> None:
        place = (diagnostic.code, diagnostic.span or diagnostic.message)
        if place not in self._places:
            self._places.add(place)
            self.diagnostics.append(diagnostic)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")

    def raise_if_errors(self) -> None:
        if self.errors:
            raise BlvError(self.diagnostics)
