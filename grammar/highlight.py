"""What each word and sign is to an editor, read off the grammar; run as a program, the grammar file of TextMate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

from lark import Lark
from lark.lexer import TerminalDef

from bileveldsl.language.function_names import FUNCTION_NAMES
from bileveldsl.language.outline import BLOCKS, DECLARATIONS

Kind = Literal[
    "doc comment", "comment", "string", "float", "integer", "block", "declaration", "keyword", "type", "constant",
    "word operator", "function", "attribute", "name", "operator", "punctuation",
]  # fmt: skip

SCOPES: dict[Kind, str] = {
    "doc comment": "comment.line.documentation.blv",
    "comment": "comment.line.number-sign.blv",
    "string": "string.quoted.double.blv",
    "float": "constant.numeric.float.blv",
    "integer": "constant.numeric.integer.blv",
    "block": "storage.type.block.blv",
    "declaration": "storage.type.blv",
    "keyword": "keyword.other.blv",
    "type": "support.type.blv",
    "constant": "constant.language.blv",
    "word operator": "keyword.operator.word.blv",
    "function": "support.function.blv",
    "attribute": "variable.other.property.blv",
    "name": "variable.other.blv",
    "operator": "keyword.operator.blv",
    "punctuation": "punctuation.separator.blv",
}
"""The scopes by which the themes of TextMate and Visual Studio Code choose colours."""

TEXTMATE = Path(__file__).parents[1] / "editors" / "vscode" / "syntaxes" / "blv.tmLanguage.json"

# The other keywords of the grammar are of the kind "keyword".
_WORDS: dict[Kind, frozenset[str]] = {
    "block": BLOCKS,
    "declaration": DECLARATIONS | {"var", "let"},
    "type": frozenset({"integer", "binary"}),
    "constant": frozenset({"true", "false", "inf", "optimistic", "pessimistic"}),
    "word operator": frozenset({"and", "or", "not", "in"}),
}
_PUNCTUATION = frozenset({"(", ")", "[", "]", "{", "}", ",", ":", ".", ";"})


class Rule(NamedTuple):
    """What a regular expression matches is of a kind."""

    kind: Kind
    pattern: str


@cache
def rules() -> tuple[Rule, ...]:
    """The kinds of all tokens and comments; where several match, the first holds.

    Examples
    --------
    >>> next(kind for kind, pattern in rules() if re.match(pattern, "maximize x"))
    'keyword'
    """
    terminals = {terminal.name: terminal for terminal in _terminals()}
    signs = {terminal.pattern.value for terminal in terminals.values() if terminal.pattern.type == "str"} | {";"}
    name = terminals["NAME"].pattern.value
    return (
        Rule("doc comment", r"#:[^\n]*"),
        Rule("comment", terminals["COMMENT"].pattern.value),
        Rule("string", terminals["STRING"].pattern.value),
        Rule("float", terminals["FLOAT"].pattern.value),
        Rule("integer", terminals["INT"].pattern.value),
        *(Rule(kind, _any_word(words)) for kind, words in _by_kind(keywords()).items()),
        Rule("function", rf"{_any_word(FUNCTION_NAMES)}(?=[ \t]*\()"),
        Rule("attribute", rf"(?<=[^.]\.){name}"),
        Rule("name", name),
        Rule("operator", _any_sign(signs - _PUNCTUATION)),
        Rule("punctuation", _any_sign(signs & _PUNCTUATION)),
    )


def keywords() -> frozenset[str]:
    """The reserved words of the grammar."""
    found = (re.fullmatch(r"([a-z]+)\\b", terminal.pattern.value) for terminal in _terminals())
    return frozenset(match[1] for match in found if match)


def textmate() -> str:
    """The grammar file of TextMate, which Visual Studio Code, Sublime Text and GitHub read too.

    Returns
    -------
    str
        JSON, the same at each call.
    """
    grammar = {
        "information_for_contributors": ["Made from grammar/blv.lark by `python -m bileveldsl.grammar.highlight`."],
        "name": "Bilevel model",
        "scopeName": "source.blv",
        "fileTypes": ["blv"],
        "patterns": [{"name": SCOPES[kind], "match": pattern} for kind, pattern in rules()],
    }
    return json.dumps(grammar, indent=2) + "\n"


@cache
def _terminals() -> tuple[TerminalDef, ...]:
    grammar = (files("bileveldsl.grammar") / "blv.lark").read_text(encoding="utf-8")
    return tuple(Lark(grammar, parser=None, lexer="basic").terminals)


def _by_kind(words: Iterable[str]) -> dict[Kind, list[str]]:
    kinds: dict[str, Kind] = {word: kind for kind, members in _WORDS.items() for word in members}
    found: dict[Kind, list[str]] = {}
    for word in sorted(words):
        found.setdefault(kinds.get(word, "keyword"), []).append(word)
    return found


def _any_word(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(sorted(words))})\b"


def _any_sign(signs: Iterable[str]) -> str:
    """The longest first, so that `<=` is not read as `<`."""
    return "|".join(re.escape(sign) for sign in sorted(signs, key=lambda sign: (-len(sign), sign)))


if __name__ == "__main__":
    if not TEXTMATE.parent.is_dir():
        raise SystemExit(f"{TEXTMATE.parent} is missing: this is for a checkout of the sources")
    TEXTMATE.write_text(textmate(), encoding="utf-8", newline="\n")
