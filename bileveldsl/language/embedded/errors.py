"""Raising the one error of a user's mistake, at the user's Python line."""

from __future__ import annotations

from typing import NoReturn

from bileveldsl.language.diagnostics import BlvError, Diagnostic, Related, Source, Span


def fail(code: str, message: str, span: Span, *, help: str = "", label: str = "",
         related: tuple[Related, ...] = (), shown: object = None) -> NoReturn:  # fmt: skip
    """Raise a BlvError; where the user's text is out of reach, the place is `shown` as it prints."""
    if not span.source.text:
        text = "" if shown is None else repr(shown)
        span = Span(Source(span.source.path, text), 0, len(text))
        related = ()
    raise BlvError([Diagnostic(code, message, span, label, related, help)])


def kind_of(value: object) -> str:
    """What a value is called in a message: `the text 'abc'`, `a value of type list`."""
    if value is None or isinstance(value, bool):
        return f"the value {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 40 else "a text"
    return f"a value of type {type(value).__name__}"
