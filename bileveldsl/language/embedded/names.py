"""Names and texts that the language can write."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail, kind_of


@cache
def _pattern() -> re.Pattern[str]:
    """What a name is, as the grammar says it: keywords are not names."""
    from importlib.resources import files

    grammar = files("bileveldsl.grammar").joinpath("blv.lark").read_text(encoding="utf-8")
    found = re.search(r"^NAME: /(.*)/$", grammar, re.MULTILINE)
    assert found is not None
    return re.compile(found[1])


def check_name(name: object, span: Span) -> str:
    """The name, when the language can write it."""
    if not isinstance(name, str):
        fail("E252", f"a name is a text, not {kind_of(name)}", span)
    if not _pattern().fullmatch(name):
        word = f"`{name[:40]}`"
        if name.isidentifier():
            fail("E252", f"{word} is a keyword of the language", span, shown=name, help=f"call it `{name}_`")
        fail("E252", f"{word} is not a name", span, shown=name, help="use letters, digits and _, not a digit first")
    return name


def check_text(text: object, span: Span) -> str:
    """The text, when it is one line that the language can quote."""
    if not isinstance(text, str):
        fail("E254", f"this is a text, not {kind_of(text)}", span, shown=text)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        fail("E252", f"{text[:40]!r} holds a control character", span, shown=text, help="write it on one line")
    return text
