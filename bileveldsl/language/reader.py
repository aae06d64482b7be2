"""The parser made from the grammar, and one call that reads a stretch of text with it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput

from bileveldsl.language.build import Builder
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source, Span
from bileveldsl.language.newlines import MAX_NESTING, NewlineFilter, TooDeep

Start = Literal["start", "statements", "settings"]

# One parser serves all threads, one at a time: its callbacks write into the one builder.
_LOCK = threading.Lock()


class Rejected(Exception):
    """The text is not in the grammar: where, and what could have stood there.

    `accepts` holds keywords and operators as they are written, and the classes NAME, INT, FLOAT, STRING, END.
    """

    def __init__(self, offset: int, accepts: frozenset[str]):
        self.offset = offset
        self.accepts = accepts


@dataclass(frozen=True)
class Reading:
    """The nodes of a stretch of text, and the faults that the grammar cannot see."""

    nodes: tuple[Any, ...]
    diagnostics: list[Diagnostic]


def read(source: Source, start: Start, begin: int = 0, end: int | None = None) -> Reading:
    """The nodes of `source.text[begin:end]`: items of a model, statements of a level, or settings.

    Raises
    ------
    Rejected
        At the first place where the text leaves the grammar.
    BlvError
        E103 when an expression nests too deep.
    """
    parser, builder = _parser()
    with _LOCK:
        builder.begin(source, begin)
        text = source.text[begin:end]
        session = parser.parse_interactive(text, start=start)
        try:
            session.exhaust_lexer()
            nodes = session.feed_eof()
        except TooDeep as deep:
            offset = begin + (deep.token.start_pos or 0)
            message = f"this nests deeper than {MAX_NESTING} levels"
            raise BlvError([Diagnostic("E103", message, Span(source, offset, offset + 1), help=_SPLIT)]) from None
        except UnexpectedInput as error:
            accepts = frozenset(_written(parser, name) for name in session.accepts())
            raise Rejected(begin + _position(error, len(text)), accepts) from None
        return Reading(nodes, builder.diagnostics)


_SPLIT = "give parts of it a name with `let`"


def _position(error: UnexpectedInput, end: int) -> int:
    if isinstance(error, UnexpectedCharacters):
        return error.pos_in_stream or 0
    token: Token = error.token  # type: ignore[attr-defined]
    return end if token.type == "$END" else token.start_pos or 0


def _written(parser: Lark, terminal: str) -> str:
    """A terminal as the user would write it, or the name of its class."""
    if terminal in ("_NL", "$END"):
        return "END"
    pattern = parser.get_terminal(terminal).pattern
    if pattern.type == "str":
        return pattern.value
    return terminal if terminal in ("NAME", "INT", "FLOAT", "STRING") else terminal.lower()


@cache
def _parser() -> tuple[Lark, Builder]:
    builder = Builder()
    grammar = (files("bileveldsl.grammar") / "blv.lark").read_text(encoding="utf-8")
    parser = Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        start=["start", "statements", "settings"],
        keep_all_tokens=True,
        maybe_placeholders=True,
        postlex=NewlineFilter(),
        transformer=builder,
        lexer_callbacks={"COMMENT": builder.comment},
    )
    return parser, builder
