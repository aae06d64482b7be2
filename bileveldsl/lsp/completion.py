"""What may be written at a place: the grammar says which keywords, the declarations which names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lsprotocol import types

from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.elaborate.scope import Declaration
from bileveldsl.language.outline import Block, Lexeme, Part, Statement, lexemes, outline
from bileveldsl.language.reader import Rejected, Start, read
from bileveldsl.lsp.describe import signature
from bileveldsl.lsp.meanings import FACTS, FUNCTIONS, KEYWORDS

_CURSOR = "\0"  # no token begins with it, so that the parser stops there and says what it would accept
_NAMES_FOLLOW = frozenset({"model", "dim", "set", "param", "let", "var", "upper", "lower"})
_KINDS = {
    "dim": types.CompletionItemKind.TypeParameter,
    "set": types.CompletionItemKind.Enum,
    "param": types.CompletionItemKind.Constant,
    "let": types.CompletionItemKind.Variable,
    "variable": types.CompletionItemKind.Field,
    "constraint": types.CompletionItemKind.Reference,
}


@dataclass(frozen=True)
class _Place:
    """The statement up to the cursor, without the word that the cursor is in."""

    before: Sequence[Lexeme]
    whole: Sequence[Lexeme]  # also what follows the cursor
    accepts: frozenset[str] | None  # None when the statement has an error before the cursor

    @property
    def last(self) -> str:
        return self.before[-1].text if self.before else ""

    @property
    def first(self) -> str:
        return self.before[0].text if self.before else ""

    @property
    def brackets(self) -> list[int]:
        """The indices of the lexemes that open a bracket around the cursor."""
        opened: list[int] = []
        for index, lexeme in enumerate(self.before):
            if lexeme.text in ("(", "["):
                opened.append(index)
            elif lexeme.text in (")", "]") and opened:
                opened.pop()
        return opened

    @property
    def declares(self) -> bool:
        """Whether a new name stands here, which nothing can complete."""
        listed = self.last == "," and not self.brackets
        return self.first in _NAMES_FOLLOW and (len(self.before) == 1 or (listed and not self.has("=")))

    @property
    def wants_axes(self) -> bool:
        """Whether the brackets behind a declared name are open."""
        opened = self.brackets
        if self.first not in ("param", "var", "let") or not opened or self.has("=", "in", "start"):
            return False
        return self.before[opened[-1]].text == "["

    @property
    def wants_set(self) -> bool:
        """Whether a generator, a condition or `within` asks for a set."""
        bound = self.last == "in" and not (self.first == "var" and not self.brackets)
        return bound or self.last == "within" or (self.first == "set" and bool(self.brackets) and not self.has("="))

    def has(self, *words: str) -> bool:
        return any(lexeme.text in words for lexeme in self.before)

    def indices(self) -> Iterator[str]:
        """The index names that a generator of the statement binds, before or behind the cursor."""
        for index, lexeme in enumerate(self.whole):
            if lexeme.text == "in":
                back = index - 1
                inside = self.whole[back].text == ")"
                while back >= 0 and (self.whole[back].kind == "word" or (inside and self.whole[back].text in "),")):
                    if self.whole[back].is_keyword:
                        break
                    if self.whole[back].kind == "word":
                        yield self.whole[back].text
                    back -= 1


def complete(text: str, offset: int, declarations: Mapping[str, Declaration]) -> list[types.CompletionItem]:
    """What may be written at an offset of a text with these declarations; nothing in comments and strings."""
    start = offset
    while start > 0 and re.match(r"\w", text[start - 1]):
        start -= 1
    if _in_comment_or_string(text[:start]) or text[start:offset][:1].isdigit():
        return []
    place = _place(text, start, offset)
    if place is None:
        return []
    if place.last == ".":
        return _attributes(place, declarations)
    if place.last in ("require", "assume"):
        return [_item(fact, types.CompletionItemKind.EnumMember, meaning) for fact, meaning in FACTS.items()]
    if place.declares:
        return []
    items = list(_keywords(place))
    if place.accepts is None or "NAME" in place.accepts:
        items += _names(place, declarations)
    return items


def _place(text: str, start: int, offset: int) -> _Place | None:
    """The place whose word begins at `start`; None where the text cannot be cut into statements."""
    cut = text[:start] + _CURSOR
    parts: Sequence[Part] = outline(cut)
    context: Start = "start"
    while parts and isinstance(parts[-1], Block):
        context = "settings" if parts[-1].word == "options" else "statements"
        parts = parts[-1].body
    if not parts or not isinstance(parts[-1], Statement) or parts[-1].last.text != _CURSOR:
        return None
    statement = parts[-1]
    accepts = None
    try:
        read(Source("", cut), context, statement.first.start)
    except Rejected as rejected:
        accepts = rejected.accepts if rejected.offset == start else None
    except BlvError:
        pass
    before = statement.lexemes[:-1]
    rest = text[offset : offset + 2000].split("\n\n")[0]
    return _Place(before, [*before, *lexemes(rest)], accepts)


def _in_comment_or_string(text: str) -> bool:
    found = lexemes(text)
    end = found[-1].end if found else 0
    return "#" in text[end:] or bool(found and found[-1].kind == "unclosed")


def _keywords(place: _Place) -> Iterator[types.CompletionItem]:
    words = sorted(word for word in place.accepts or () if word.isalpha() and word.islower())
    for word in words:
        yield _item(word, types.CompletionItemKind.Keyword, KEYWORDS.get(word, ""))


def _attributes(place: _Place, declarations: Mapping[str, Declaration]) -> list[types.CompletionItem]:
    base = place.before[-2].text if len(place.before) > 1 else ""
    declared = declarations.get(base)
    if declared is not None and declared.kind == "constraint":
        return [_item("dual", types.CompletionItemKind.Property, "the multiplier of a follower's constraint")]
    return [_item("T", types.CompletionItemKind.Property, "the transpose")]


def _names(place: _Place, declarations: Mapping[str, Declaration]) -> Iterator[types.CompletionItem]:
    if place.wants_axes or place.wants_set or place.first == "minibatch":
        yield from _declared(declared for declared in declarations.values() if declared.kind in ("dim", "set"))
        return
    if not place.before:  # a statement that begins with a name: a constraint
        yield from _declared(d for d in declarations.values() if d.kind in ("param", "let", "variable"))
    else:
        yield from _declared(declarations.values())
    for index in sorted(set(place.indices()) - declarations.keys()):
        yield _item(index, types.CompletionItemKind.Variable, "index")
    for name, (call, meaning) in FUNCTIONS.items():
        yield _item(name, types.CompletionItemKind.Function, meaning, call)


def _declared(declarations: Iterable[Declaration]) -> Iterator[types.CompletionItem]:
    for declared in declarations:
        yield _item(declared.name, _KINDS[declared.kind], declared.node.doc, signature(declared))


def _item(label: str, kind: types.CompletionItemKind, meaning: str, detail: str | None = None) -> types.CompletionItem:
    return types.CompletionItem(label, kind=kind, detail=detail or meaning or None, documentation=meaning or None)
