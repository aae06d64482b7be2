"""How expressions show themselves at a prompt."""

from __future__ import annotations

from bileveldsl.language import ast

SHOWN = 200


def short(node: ast.Expression) -> str:
    """The text of an expression or condition, cut when long."""
    from bileveldsl.language.unparse import unparse_expression

    return cut(unparse_expression(node))


def cut(text: str) -> str:
    """At most `SHOWN` characters."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
