"""Renaming: every occurrence at once, and the data of a parameter still found under its old key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePath

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Diagnostic, Source, Span
from bileveldsl.language.function_names import FUNCTION_NAMES
from bileveldsl.language.outline import KEYWORDS
from bileveldsl.language.parse import parse
from bileveldsl.lsp.analysis import Analysis
from bileveldsl.lsp.occurrences import Occurrence

Edit = tuple[Span, str]

_NAME = re.compile(r"[^\W\d²³¹⁰-⁹][^\W²³¹⁰-⁹]*")


class Refused(Exception):
    """A renaming that would not leave the same model, and why."""


def rename(
    analysis: Analysis, occurrence: Occurrence, name: str, judge: Callable[[ast.Model], tuple[Diagnostic, ...]]
) -> list[Edit]:
    """The edits that give what an occurrence means another name.

    A parameter or set whose data lies under its name keeps the data: the old name is written as the key.

    Parameters
    ----------
    analysis : of a text without syntax errors.
    occurrence : the name to change.
    name : the new one.
    judge : the diagnostics of a model, to see whether its data can be read.

    Raises
    ------
    Refused
        When the text has syntax errors, or the new name is none, a keyword, a function's, or taken.
    """
    if analysis.errors:
        raise Refused("the model has errors; mend them first, so that no occurrence is missed")
    _require_free(analysis, name)
    edits = [(other.span, name) for other in analysis.same(occurrence)]
    declared = analysis.declarations.get(occurrence.name) if occurrence.binder < 0 else None
    if declared is None or not isinstance(declared.node, ast.Param | ast.Set):
        return edits
    source = declared.node.source
    if source is None or source.keys or PurePath(source.path).suffix.lower() == ".npy":
        return edits
    keyed = _keyed(analysis, declared.node, edits, name)
    if keyed is None or PurePath(source.path).suffix.lower() == ".npz":
        return _or_refused(keyed, source)
    # Other files may hold the data without any key, which only reading them can tell.
    text = applied(analysis.source.text, keyed)
    unreadable = any(d.code.startswith("E4") for d in judge(parse(Source(analysis.source.path, text))))
    return edits if unreadable else keyed


def applied(text: str, edits: list[Edit]) -> str:
    """The text after edits that do not overlap."""
    for span, new in sorted(edits, key=lambda edit: -edit[0].start):
        text = text[: span.start] + new + text[span.end :]
    return text


def _or_refused(keyed: list[Edit] | None, source: ast.DataSource) -> list[Edit]:
    if keyed is None:
        raise Refused(f"the name is also the key in {source.span.text}; declare it in a statement of its own first")
    return keyed


def _require_free(analysis: Analysis, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Refused(f"{name!r} is not a name: a name is a letter or _, then letters, digits and _")
    if name in KEYWORDS:
        raise Refused(f"{name} is a keyword and cannot be a name")
    if name in FUNCTION_NAMES:
        raise Refused(f"{name} is the name of a function")
    if any(other.name == name for other in analysis.occurrences):
        raise Refused(f"{name} is taken")


def _keyed(analysis: Analysis, node: ast.Param | ast.Set, edits: list[Edit], name: str) -> list[Edit] | None:
    """The edits with the old name as the key; None where comments stand in a statement that has to be split."""
    assert node.source is not None
    key = f'["{node.name}"]'
    params = [item for item in analysis.tree.items if isinstance(item, ast.Param)]
    together = [item for item in params if item.span.start == node.span.start]
    end = Span(node.span.source, node.source.span.end, node.source.span.end)
    if len(together) < 2:
        return [*edits, (end, key)]
    if "#" in node.span.text.replace(node.source.span.text, ""):
        return None
    inside = [edit for edit in edits if node.span.start <= edit[0].start < node.span.end]
    line = analysis.source.text.rfind("\n", 0, node.span.start) + 1
    margin = analysis.source.text[line : node.span.start]
    statements = _split(together, node, name, key)
    whole = ("\n" + margin if not margin.strip() else "; ").join(statements)
    return [*(edit for edit in edits if edit not in inside), (node.span, whole)]


def _split(together: list[ast.Param], node: ast.Param | ast.Set, name: str, key: str) -> Iterator[str]:
    """One statement for the renamed parameter, and one for each of those declared beside it."""
    for item in together:
        assert item.source is not None
        renamed = item.name == node.name
        axes = ", ".join(axis.span.text for axis in item.axes)
        named = name if renamed else item.name
        yield f"param {named}{f'[{axes}]' if axes else ''} {item.source.span.text}{key if renamed else ''}"
