"""Offsets in a text as the positions of the Language Server Protocol, in the unit that client and server agreed on."""

from __future__ import annotations

import re
from bisect import bisect_right

from lsprotocol import types

from bileveldsl.language.diagnostics import Span

_LINE_END = re.compile(r"\r\n|\n|\r")
_CODECS = {
    types.PositionEncodingKind.Utf8: ("utf-8", 1),
    types.PositionEncodingKind.Utf16: ("utf-16-le", 2),
    types.PositionEncodingKind.Utf32: ("utf-32-le", 4),
}


class Positions:
    """The lines of one text; columns count code units of `encoding`.

    Examples
    --------
    >>> positions = Positions("# \\U0001d465\\nvar x", types.PositionEncodingKind.Utf16)
    >>> positions.position(3), positions.offset(types.Position(1, 4))
    (0:4, 8)
    """

    def __init__(self, text: str, encoding: types.PositionEncodingKind | str):
        self._text = text
        self._codec, self._width = _CODECS[types.PositionEncodingKind(encoding)]
        self._starts = [0, *(end.end() for end in _LINE_END.finditer(text))]

    def position(self, offset: int) -> types.Position:
        line = bisect_right(self._starts, offset) - 1
        before = self._text[self._starts[line] : offset]
        return types.Position(line, len(before.encode(self._codec, "surrogatepass")) // self._width)

    def offset(self, position: types.Position) -> int:
        """The offset of a position; one past the end of its line, or of the text, is that end."""
        if position.line >= len(self._starts):
            return len(self._text)
        start = self._starts[position.line]
        end = _LINE_END.search(self._text, start)
        line = self._text[start : end.start() if end else None]
        units = line.encode(self._codec, "surrogatepass")[: position.character * self._width]
        return start + len(units.decode(self._codec, "ignore"))

    def range(self, span: Span) -> types.Range:
        return types.Range(self.position(span.start), self.position(span.end))
