"""What every model must have, whatever it says: one upper level, a lower level, one objective in each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from bileveldsl.language import ast
from bileveldsl.language.build import ModelName
from bileveldsl.language.diagnostics import Diagnostic, Related, Source, Span


def structure_errors(
    source: Source, items: Sequence[Any], broken: Sequence[Span] = (), levels_known: bool = True
) -> list[Diagnostic]:
    """Missing and repeated parts of a model.

    Parameters
    ----------
    source : Source
        The text of the model.
    items : sequence
        Items of the model, each `ModelName` among them.
    broken : sequence of Span
        Where the text could not be read; an objective that may stand there is not called missing.
    levels_known : bool
        False when the head of a block could not be read; then no block is called missing.

    Returns
    -------
    list of Diagnostic
    """
    found: list[Diagnostic] = []
    levels = [item for item in items if isinstance(item, ast.Level)]
    if levels_known and (levels or not broken):
        found += _missing_levels(source, levels)
    upper = [level for level in levels if level.role == "upper"]
    found += _repeated("E152", "a model has one `upper` block", ((None, level.head_span) for level in upper))
    followers = [level for level in levels if level.role == "lower"]
    found += _repeated(
        "E157",
        "two followers have the same name",
        ((level.name, level.head_span) for level in followers),
        help="name each of them: `lower first { ... }`, `lower second { ... }`",
    )
    names = [item for item in items if isinstance(item, ModelName)]
    found += _repeated("E155", "a model has one name", ((None, name.span) for name in names))
    settings = [option for item in items if isinstance(item, ast.Options) for option in item.options]
    found += _repeated("E156", "an option is set twice", ((option.name, option.span) for option in settings))
    for level in [*upper[:1], *followers]:
        found += _objectives(level, any(_holds(level.span, span) for span in broken))
    return found


def _missing_levels(source: Source, levels: Sequence[ast.Level]) -> list[Diagnostic]:
    roles = {level.role for level in levels}
    if not roles:
        message = "the model has no `upper` and no `lower` block"
        return [Diagnostic("E150", message, Span(source, 0, 0), help=_SMALLEST)]
    head = levels[0].head_span
    if "upper" not in roles:
        message = "the model has no `upper` block"
        return [Diagnostic("E150", message, head, "nobody leads this follower", help=_SMALLEST)]
    if "lower" not in roles:
        message = "the model has no `lower` block"
        return [Diagnostic("E151", message, head, "nobody follows this leader", help=_SMALLEST)]
    return []


_SMALLEST = "a model is `upper { var ... minimize ... }` and `lower { var ... minimize ... }`"


def _objectives(level: ast.Level, broken: bool) -> Iterable[Diagnostic]:
    objectives = [statement for statement in level.statements if isinstance(statement, ast.Objective)]
    if not objectives and not broken:
        message = f"the level `{level.name}` has no objective"
        yield Diagnostic("E153", message, level.head_span, help="write `minimize ...` or `maximize ...` in it")
    for again in objectives[1:]:
        yield Diagnostic(
            "E154",
            f"the level `{level.name}` has two objectives",
            again.span,
            "second",
            (Related(objectives[0].span, "first"),),
            "join them into one, or weigh them in a sum",
        )


def _repeated(
    code: str, message: str, places: Iterable[tuple[Hashable, Span | None]], help: str = "remove one of them"
) -> Iterable[Diagnostic]:
    """One diagnostic for each place whose key was there before."""
    first: dict[Hashable, Span] = {}
    for key, span in places:
        if span is None:
            continue
        if key in first:
            yield Diagnostic(code, message, span, "again here", (Related(first[key], "first here"),), help)
        else:
            first[key] = span


def _holds(outer: Span, inner: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
