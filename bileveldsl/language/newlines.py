"""Which newlines end a statement: a filter between lexer and parser that never looks ahead."""

from __future__ import annotations

from collections.abc import Iterator

from lark import Token

# A line that ends with one of these goes on in the next line.
OPERATORS = frozenset({"+", "-", "*", "/", "@", "^", "<=", ">=", "==", "!=", "<", ">", "=", ":", "..", ","})
WORD_OPERATORS = frozenset({"in", "if", "for", "and", "or", "not"})
CONTINUES = OPERATORS | WORD_OPERATORS

MAX_NESTING = 64

_NEWLINE = "\n"
_NOTHING_TO_END = frozenset({"", "{", _NEWLINE})
_OPERAND_ENDS = frozenset({"NAME", "INT", "FLOAT", "STRING", "INF"})


class TooDeep(Exception):
    """An expression nests deeper than any later pass should have to recurse."""

    def __init__(self, token: Token):
        self.token = token


class NewlineFilter:
    """Passes on exactly one `_NL` for each statement, also where a brace or the end of the text ends it."""

    # `}` must reach this filter wherever a statement may end, for the filter puts the `_NL` before it.
    always_accept = ("_NL", "RBRACE")

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        nesting = _Nesting()
        previous = ""
        token = None
        for token in tokens:
            text = token.value
            if token.type == "_NL":
                continued = text != ";" and (nesting.brackets or previous in CONTINUES)
                if continued or previous in _NOTHING_TO_END:
                    continue
                previous = _NEWLINE
                nesting = _Nesting()
                yield token
                continue
            if text == "}" and previous not in _NOTHING_TO_END:
                yield _newline_at(token, token.start_pos)
                nesting = _Nesting()
            nesting.enter(token)
            previous = text
            yield token
            if text == "}":
                previous = _NEWLINE
                yield _newline_at(token, token.end_pos)
        if token is not None and previous not in _NOTHING_TO_END:
            yield _newline_at(token, token.end_pos)


def _newline_at(token: Token, offset: int | None) -> Token:
    return Token("_NL", "", offset, token.line, token.column, token.end_line, token.end_column, offset)


class _Nesting:
    """How deep the tree of the expression read so far is, left-associative chains aside."""

    def __init__(self) -> None:
        self.depth = 0
        self.pending = [0]  # for each open bracket: the operators that nest to the right, and suffixes
        self.after_operand = False

    @property
    def brackets(self) -> bool:
        return len(self.pending) > 1

    def enter(self, token: Token) -> None:
        text = token.value
        if text in ("(", "["):
            if text == "[" and self.after_operand:
                self._deepen(1, token)
                self.pending[-1] += 1
            self._deepen(1, token)
            self.pending.append(0)
            self.after_operand = False
        elif text in (")", "]"):
            if self.brackets:
                self.depth -= 1 + self.pending.pop()
            self.after_operand = True
        elif text in ("^", ".") or (text in ("-", "+", "not") and not self.after_operand):
            self._deepen(1, token)
            self.pending[-1] += 1
            self.after_operand = False
        elif text in CONTINUES:
            self.depth -= self.pending[-1]
            self.pending[-1] = 0
            self.after_operand = False
        else:
            self.after_operand = token.type in _OPERAND_ENDS

    def _deepen(self, levels: int, token: Token) -> None:
        self.depth += levels
        if self.depth > MAX_NESTING:
            raise TooDeep(token)
