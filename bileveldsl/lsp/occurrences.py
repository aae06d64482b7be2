"""Every place where a model writes a name, with what the name is bound to there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span

GLOBAL = -1


@dataclass(frozen=True)
class Occurrence:
    """A name in the text; `binder` is GLOBAL, or for an index the offset where its generator binds it."""

    span: Span
    name: str
    binder: int = GLOBAL
    declares: bool = False
    domain: str = ""  # what a declared index runs over

    @property
    def meaning(self) -> tuple[str, int]:
        """What tells apart equal names of different things: two sums may each have an index `i`."""
        return self.name, self.binder


def occurrences(items: Iterable[Any]) -> list[Occurrence]:
    """The occurrences of all names in the items of a model, in the order of the text.

    Names of functions, followers, options and facts are not among them: nothing refers to them by name.
    """
    found = {}
    # Without recursion: a sum of thousands of terms is a tree as deep.
    pending: list[tuple[Any, Mapping[str, int]]] = [(tuple(items), {})]
    while pending:
        node, bound = pending.pop()
        if isinstance(node, tuple):
            pending += [(child, bound) for child in node]
        elif isinstance(node, ast.Name):
            found[node.span.start] = Occurrence(node.span, node.name, bound.get(node.name, GLOBAL))
        elif isinstance(node, ast.Node):
            if isinstance(node, ast.Call | ast.Constraint):
                bound = {**bound, **{target.name: target.span.start for target in _targets(node)}}
            if (declared := _declared(node)) is not None:
                found[declared.span.start] = declared
            if isinstance(node, ast.Generator):
                for target in node.targets:
                    place, domain = target.span, node.domain.span.text
                    found[place.start] = Occurrence(place, target.name, place.start, True, domain)
            pending += [(child, bound) for child in _children(node)]
    return [found[start] for start in sorted(found)]


def _targets(node: ast.Call | ast.Constraint) -> Iterator[ast.Name]:
    for generator in node.generators:
        yield from generator.targets


def _declared(node: ast.Node) -> Occurrence | None:
    """The name that a declaration introduces to the whole model."""
    if isinstance(node, ast.Dim | ast.Set | ast.Param | ast.Let | ast.Var) and node.name_span:
        return Occurrence(node.name_span, node.name, declares=True)
    if isinstance(node, ast.Constraint) and node.label and node.label_span:
        return Occurrence(node.label_span, node.label, declares=True)
    return None


def _children(node: ast.Node) -> Iterator[Any]:
    for field in fields(node):
        if field.name != "targets" and isinstance(value := getattr(node, field.name), tuple | ast.Node):
            yield value
