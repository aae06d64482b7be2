"""A text cut into statements and blocks without trusting its grammar, so that each can be read on its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from bileveldsl.language.newlines import CONTINUES, OPERATORS

BLOCKS = frozenset({"upper", "lower", "options"})
DECLARATIONS = frozenset({"model", "dim", "set", "param"})
LEVEL_STATEMENTS = frozenset({"var", "minimize", "maximize", "ties", "require", "assume", "minibatch"})
BEGINNINGS = BLOCKS | DECLARATIONS | LEVEL_STATEMENTS | {"let"}
KEYWORDS = (
    BEGINNINGS
    | {"within", "from", "integer", "binary", "in", "start", "optimistic", "pessimistic", "true", "false", "inf"}
    | {"for", "if", "and", "or", "not"}
)

Kind = Literal["word", "number", "string", "unclosed", "symbol", "newline"]

_LEXEME = re.compile(
    r"""
    (?P<skipped>[ \t\f\u00a0\ufeff]+|\#[^\n]*)
  | (?P<newline>\r?\n|;)
  | (?P<string>"(?:[^"\r\n]|"")*")
  | (?P<unclosed>"[^\r\n]*)
  | (?P<number>(?:[0-9](?:_?[0-9])*)?\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9](?:_?[0-9])*(?:[eE][+-]?[0-9]+)?)
  | (?P<word>[^\W\d²³¹⁰-⁹][^\W²³¹⁰-⁹]*)
  | (?P<symbol>\*\*|<=|>=|==|!=|:=|=>|=<|<>|&&|\|\||\.\.|[²³¹⁰-⁹]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
# Blocks do not nest; this many may, so that messages can speak of them.
MAX_BLOCKS = 3
CLOSERS = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True)
class Lexeme:
    kind: Kind
    text: str
    start: int
    end: int
    leads: bool  # the first on its line

    @property
    def is_keyword(self) -> bool:
        return self.kind == "word" and self.text in KEYWORDS

    @property
    def ends_operand(self) -> bool:
        if self.kind == "word":
            return self.text not in KEYWORDS or self.text == "inf"
        return self.kind in ("number", "string") or self.text in (")", "]")

    @property
    def begins_operand(self) -> bool:
        return self.kind in ("number", "string") or self.text == "(" or (self.kind == "word" and self.ends_operand)

    @property
    def is_operator(self) -> bool:
        return self.kind == "symbol" and self.text in OPERATORS - {":", ","}


@dataclass
class Statement:
    """The lexemes of one statement, and the brackets in it that nothing closes."""

    lexemes: list[Lexeme]
    unclosed: list[Lexeme] = field(default_factory=list)

    @property
    def first(self) -> Lexeme:
        return self.lexemes[0]

    @property
    def last(self) -> Lexeme:
        return self.lexemes[-1]

    @property
    def may_be_head(self) -> bool:
        words = all(lexeme.kind == "word" for lexeme in self.lexemes)
        return words and (self.first.text in BLOCKS or not self.first.is_keyword)


@dataclass
class Block:
    """`head { body }`; `closed` is None when the text has no brace for it."""

    head: list[Lexeme]
    brace: Lexeme
    body: list[Part] = field(default_factory=list)
    closed: Lexeme | None = None
    stopped_by: Lexeme | None = None  # the head of the block that shows this one should have ended

    @property
    def word(self) -> str:
        return self.head[0].text if self.head else ""


Part: TypeAlias = "Statement | Block | Lexeme"  # a lexeme alone is a brace that closes nothing


def lexemes(text: str) -> list[Lexeme]:
    """Every lexeme of a text, blanks and comments left out; any text has some."""
    found: list[Lexeme] = []
    leads = True
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup
        if kind != "skipped":
            found.append(Lexeme(kind, match[0], match.start(), match.end(), leads))  # type: ignore[arg-type]
        leads = kind == "newline" or (leads and kind == "skipped")
    return found


def outline(text: str) -> list[Part]:
    """Cut a text into statements and blocks.

    Newlines end statements as the language says. Besides, a keyword that begins a statement and stands first on
    its line begins one whatever is open, as does a label inside an open parenthesis, and a brace ends every bracket.
    A `;` inside brackets stays in its statement.
    """
    return _Outliner(lexemes(text)).run()


class _Outliner:
    def __init__(self, found: list[Lexeme]):
        self.lexemes = found
        self.parts: list[Part] = []
        self.blocks: list[Block] = []
        self.current: list[Lexeme] = []
        self.brackets: list[Lexeme] = []

    @cached_property
    def balanced(self) -> bool:
        texts = [lexeme.text for lexeme in self.lexemes]
        return texts.count("{") == texts.count("}")

    @property
    def body(self) -> list[Part]:
        return self.blocks[-1].body if self.blocks else self.parts

    def run(self) -> list[Part]:
        for index, lexeme in enumerate(self.lexemes):
            if lexeme.kind == "newline":
                going_on = self.brackets or (self.current and self.current[-1].text in CONTINUES)
                if not going_on or (lexeme.text == ";" and not self.brackets):
                    self.end_statement()
                elif lexeme.text == ";":
                    self.current.append(lexeme)
                continue
            if lexeme.leads and self.begins_statement(index):
                self.end_statement()
            if lexeme.text == "{" and self.opens_block():
                self.open(lexeme)
            elif lexeme.text == "}" and not (self.brackets and self.brackets[-1].text == "{"):
                self.close(lexeme)
            else:
                self.current.append(lexeme)
                self.track(lexeme)
        self.end_statement()
        return self.parts

    def begins_statement(self, index: int) -> bool:
        lexeme = self.lexemes[index]
        if lexeme.kind != "word":
            return False
        labels = index + 1 < len(self.lexemes) and self.lexemes[index + 1].text == ":"
        return lexeme.text in BEGINNINGS or bool(labels and self.brackets and self.brackets[-1].text == "(")

    def opens_block(self) -> bool:
        """Whether a brace opens a block here; after `=` or `in` it would be a list in foreign braces."""
        if len(self.blocks) > MAX_BLOCKS:
            return False
        if not self.current or self.current[0].text in BLOCKS:
            return True
        ends_head = self.current[-1].text not in CONTINUES - {":"} and not self.current[0].is_keyword
        return ends_head and all(lexeme.kind == "word" or lexeme.text == ":" for lexeme in self.current)

    def track(self, lexeme: Lexeme) -> None:
        if lexeme.text in ("(", "[", "{"):
            self.brackets.append(lexeme)
        elif self.brackets and CLOSERS.get(lexeme.text) == self.brackets[-1].text:
            self.brackets.pop()

    def end_statement(self) -> None:
        if self.current:
            self.body.append(Statement(self.current, self.brackets))
        self.current, self.brackets = [], []

    def open(self, brace: Lexeme) -> None:
        head = self.current
        if not head and self.body:  # the brace on a line of its own below the head
            above = self.body[-1]
            if isinstance(above, Statement) and above.may_be_head:
                self.body.pop()
                head = above.lexemes
        self.current, self.brackets = [], []
        if head and head[0].text in BLOCKS and not self.balanced:
            for block in self.blocks:
                block.stopped_by = head[0]
            self.blocks.clear()
        block = Block(head, brace)
        self.body.append(block)
        self.blocks.append(block)

    def close(self, brace: Lexeme) -> None:
        self.end_statement()
        if self.blocks:
            self.blocks.pop().closed = brace
        else:
            self.parts.append(brace)
