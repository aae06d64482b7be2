"""Which statement each doc comment `#: ...` speaks of."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from bileveldsl.language.diagnostics import Source, Span


@dataclass
class DocComments:
    """The doc comments of a text, gathered while it is read."""

    origin: Source
    above: dict[int, str] = field(default_factory=dict)  # by line: those that have the line to themselves
    behind: list[tuple[int, str]] = field(default_factory=list)  # the others, by offset

    def add(self, offset: int, comment: str) -> None:
        """Keep a comment that begins at an offset, if it is a doc comment."""
        if comment.startswith("#:"):
            text = comment[2:].strip()
            line = self._line_begun_at(offset)
            if line:
                self.above[line] = text
            else:
                self.behind.append((offset, text))

    def of(self, span: Span, following: int) -> str:
        """The docs of a statement: on the lines directly above it, then behind its own lines.

        `following` is where the next statement begins: what stands behind both on a line is the next one's.
        """
        lines: list[str] = []
        line = self._line_begun_at(span.start) - 1 if self.above else 0
        while line in self.above:
            lines.insert(0, self.above[line])
            line -= 1
        if self.behind:
            begin, end = (bisect_left(self.behind, (offset, "")) for offset in (span.start, following))
            lines += [text for _, text in self.behind[begin:end]]
        return "\n".join(lines)

    def _line_begun_at(self, offset: int) -> int:
        """The number of the line on which nothing stands in front of an offset, or 0."""
        line, column = self.origin.position(offset)
        return 0 if self.origin.line(line)[: column - 1].strip(" ;\t\f\u00a0\ufeff") else line
