"""Where the parser gave up in a statement, as the rules that explain it see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bileveldsl.language.diagnostics import Diagnostic, Related, Source, Span
from bileveldsl.language.outline import Lexeme, Statement
from bileveldsl.language.reader import Start

RELATIONS = frozenset({"<=", ">=", "==", "!=", "<", ">"})


@dataclass(frozen=True)
class Failure:
    """A statement, and the index of the lexeme that the parser did not accept; past the last one at its end."""

    source: Source
    statement: Statement
    context: Start
    at: int
    accepts: frozenset[str]
    inside: bool  # the parser read the beginning of the lexeme

    def lexeme(self, index: int) -> Lexeme:
        """A lexeme of the statement; outside of it, one without text."""
        lexemes = self.statement.lexemes
        if 0 <= index < len(lexemes):
            return lexemes[index]
        return Lexeme("newline", "", lexemes[-1].end, lexemes[-1].end, False)

    @property
    def at_end(self) -> bool:
        return self.at >= len(self.statement.lexemes)

    @property
    def first(self) -> Lexeme:
        return self.statement.first

    @property
    def before(self) -> Lexeme:
        return self.lexeme(self.at - 1)

    @property
    def found(self) -> Lexeme:
        return self.lexeme(self.at)

    @property
    def after(self) -> Lexeme:
        return self.lexeme(self.at + 1)

    @property
    def has_relation(self) -> bool:
        return any(lexeme.kind == "symbol" and lexeme.text in RELATIONS for lexeme in self.statement.lexemes)

    @property
    def wants_expression(self) -> bool:
        return "NAME" in self.accepts and "(" in self.accepts

    def span(self, first: Lexeme, last: Lexeme | None = None) -> Span:
        return Span(self.source, first.start, (last or first).end)

    def error(
        self,
        code: str,
        message: str,
        first: Lexeme,
        last: Lexeme | None = None,
        *,
        help: str,
        label: str = "",
        related: Sequence[Related] = (),
    ) -> Diagnostic:
        """A diagnostic whose span goes from one lexeme to another."""
        return Diagnostic(code, message, self.span(first, last), label, tuple(related), help)


Rule: TypeAlias = Callable[[Failure], Diagnostic | None]


def shown(text: str) -> str:
    """A piece of the text short enough for a message."""
    return text if len(text) <= 40 else f"{text[:38]}..."
