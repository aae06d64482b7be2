"""The lines of a formatted model: where they begin, how far they are indented, what stands on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bileveldsl.language.newlines import CONTINUES
from bileveldsl.language.outline import BEGINNINGS, BLOCKS, CLOSERS, Lexeme, lexemes
from bileveldsl.language.spacing import gap

INDENT = 2
FARTHEST = 60  # no line is aligned with a column beyond this one

_OPENERS = frozenset({"(", "["})


@dataclass(frozen=True)
class Piece:
    """A token or a comment, and what ended between the piece before and this one."""

    text: str
    token: Lexeme | None  # None for a comment
    line_ends: int
    semicolon: bool


@dataclass
class Line:
    """A line to be: words with the blanks in front of each, and the comment behind them."""

    indent: int
    words: list[str] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    comment: str = ""
    comment_gap: int = 2
    blank_above: bool = False
    continues: bool = False  # a statement of the line above

    def width(self, words: int | None = None) -> int:
        """The columns that the first words take, or all of them."""
        return self.indent + sum(self.gaps[:words]) + sum(map(len, self.words[:words]))

    @property
    def text(self) -> str:
        code = "".join(" " * gap + word for gap, word in zip(self.gaps, self.words, strict=True))
        separator = " " * self.comment_gap if self.words and self.comment else ""
        return f"{' ' * self.indent}{code}{separator}{self.comment}"


@dataclass
class _Bracket:
    """An open bracket: the columns of lines inside it, once known, and of a line that begins with its closer."""

    column: int
    closer: int
    content: int | None = None


def pieces(text: str) -> Iterator[Piece]:
    """The tokens and comments of a text in order; comments without the blanks at their end."""
    line_ends, semicolon, end = 0, False, 0
    for token in [*lexemes(text), None]:
        between = text[end : token.start if token else len(text)]
        if "#" in between:
            yield Piece(between[between.index("#") :].rstrip(), None, line_ends, semicolon)
            line_ends = 0
        if token is None:
            return
        end = token.end
        if token.kind == "newline":
            semicolon |= token.text == ";"
            line_ends += token.text != ";"
        else:
            yield Piece(token.text, token, line_ends, semicolon)
            line_ends, semicolon = 0, False


def lay_out(text: str) -> list[Line]:
    """The lines of a model without syntax errors, broken and indented but not yet aligned with each other."""
    writer = _Writer()
    for piece in pieces(text):
        if piece.token is None:
            writer.comment(piece)
        else:
            writer.token(piece, piece.token)
    return writer.lines


class _Writer:
    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.blocks = 0
        self.brackets: list[_Bracket] = []
        self.before: Lexeme | None = None  # the token before, and whether it is a prefix operator
        self.prefix = False
        self.first = ""  # of the statement
        self.hang: int | None = None  # the column of lines that continue the statement, once known
        self.column = 0  # where the next word goes

    def comment(self, piece: Piece) -> None:
        if self.lines and not piece.line_ends:
            self.lines[-1].comment = piece.text
            return
        continues = not self.ends_statement(piece)
        line = self.new_line(self.continuation if continues else INDENT * self.blocks, continues, piece)
        line.comment = piece.text

    def token(self, piece: Piece, token: Lexeme) -> None:
        text = token.text
        begins = self.ends_statement(piece) and text != "{"
        if text == "{":
            breaks = bool(self.lines[-1].comment)  # which stands between the head of the block and its brace
        else:
            breaks = begins or piece.line_ends > 0
        if text == "}":
            self.blocks -= 1
        if begins:
            self.first, self.hang = text, INDENT * (self.blocks + 1)
        if breaks:
            self.new_line(self.indentation(text, begins), not begins, piece)
            if begins and text in BLOCKS:
                self.set_apart()
        self.place(token, begins, breaks)
        if text == "{":
            self.blocks += 1

    def ends_statement(self, piece: Piece) -> bool:
        """Whether what stands in front of a piece does not go on in it."""
        if self.before is None or piece.semicolon or self.before.text in ("{", "}") or piece.text == "}":
            return True
        return bool(piece.line_ends) and not self.brackets and self.before.text not in CONTINUES

    @property
    def continuation(self) -> int:
        """The column of a line that goes on in a statement."""
        if self.brackets:
            content = self.brackets[-1].content
            return self.brackets[-1].closer + INDENT if content is None else content
        return INDENT * (self.blocks + 1) if self.hang is None else self.hang

    def indentation(self, text: str, begins: bool) -> int:
        if begins or text == "{":
            return INDENT * self.blocks
        return self.brackets[-1].closer if text in CLOSERS else self.continuation

    def new_line(self, indent: int, continues: bool, piece: Piece) -> Line:
        """One blank line stays where there were some, but none within braces or brackets at their ends."""
        line = Line(indent, continues=continues)
        if self.lines:
            above = self.lines[-1].words
            opened = above[-1:] in (["{"], ["("], ["["])
            kept = piece.line_ends > 1 and not opened and piece.text not in ("{", *CLOSERS)
            line.blank_above = kept or (above[:1] == ["}"] and not self.blocks)
        self.lines.append(line)
        self.column = indent
        return line

    def set_apart(self) -> None:
        """Put a blank line above the head of a block and the comments that are attached to it."""
        top = len(self.lines) - 1
        while top and not self.lines[top].blank_above and not self.lines[top - 1].words:
            top -= 1
        self.lines[top].blank_above = top > 0

    def place(self, token: Lexeme, begins: bool, breaks: bool) -> None:
        """Write a token at the end of the last line, and learn from it how lines below are indented."""
        line, text, left = self.lines[-1], token.text, None if begins else self.before
        tight = breaks or self.prefix
        blanks = 0 if tight or left is None else gap(left, token, bool(self.brackets), self.first == "var")
        column = self.column + blanks
        line.words.append(text)
        line.gaps.append(blanks)
        self.column = column + len(text)
        aligned = not breaks and column <= FARTHEST
        if self.brackets and self.brackets[-1].content is None:
            bracket = self.brackets[-1]
            bracket.content = column if aligned else bracket.closer + INDENT
            bracket.closer = bracket.column if aligned else bracket.closer
        elif self.hang is None:
            self.hang = column if aligned else INDENT * (self.blocks + 1)
        if text in _OPENERS:
            self.brackets.append(_Bracket(column, line.indent))
        elif text in CLOSERS and text != "}":
            self.brackets.pop()
        elif (begins and text in BEGINNINGS) or (text in ("=", ":") and not self.brackets):
            self.hang = None
        self.prefix = text in ("+", "-") and (left is None or not left.ends_operand)
        self.before = token
