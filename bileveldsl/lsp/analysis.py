"""What one text of a model says, also while it has syntax errors: its names, who declares them, where they stand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Collector, Diagnostic, Source, Span
from bileveldsl.language.elaborate.scope import Declaration, collect
from bileveldsl.language.outline import Lexeme, Part, Statement, lexemes, outline
from bileveldsl.language.parse import MAX_BYTES, parse
from bileveldsl.language.reader import Rejected, Start, read
from bileveldsl.lsp.occurrences import GLOBAL, Occurrence, occurrences


@dataclass(frozen=True)
class Analysis:
    """A text, its tree without the statements that cannot be read, and what its names are bound to."""

    source: Source
    tree: ast.Model
    errors: tuple[Diagnostic, ...]
    declarations: Mapping[str, Declaration]
    occurrences: Sequence[Occurrence]

    def at(self, offset: int) -> Occurrence | None:
        """The name at an offset, or just before it."""
        starts = [occurrence.span.start for occurrence in self.occurrences]
        index = bisect_right(starts, offset) - 1
        if index >= 0 and offset <= self.occurrences[index].span.end:
            return self.occurrences[index]
        return None

    def word(self, offset: int) -> Lexeme | None:
        """The word at an offset, or just before it, whether it means something or not."""
        found = lexemes(self.source.text)
        index = bisect_right([lexeme.start for lexeme in found], offset) - 1
        if index >= 0 and found[index].kind == "word" and offset <= found[index].end:
            return found[index]
        return None

    def same(self, occurrence: Occurrence) -> list[Occurrence]:
        """Every occurrence of what an occurrence means."""
        return [other for other in self.occurrences if other.meaning == occurrence.meaning]

    def declaration(self, occurrence: Occurrence) -> Span | None:
        """Where the name is declared, or the index bound."""
        if occurrence.binder == GLOBAL:
            declared = self.declarations.get(occurrence.name)
            return declared.span if declared else None
        return next((other.span for other in self.same(occurrence) if other.declares), None)


def analyse(source: Source) -> Analysis:
    """Analyse a text; its syntax errors are kept, and cost no more than the statements that hold them.

    Examples
    --------
    >>> analysis = analyse(Source("toy.blv", "upper { var x; minimize x + }; lower { var y; minimize (y - x)^2 }"))
    >>> [error.code for error in analysis.errors], sorted(analysis.declarations)
    (['E137'], ['x', 'y'])
    """
    errors: tuple[Diagnostic, ...] = ()
    try:
        tree = parse(source)
    except BlvError as error:
        errors = error.diagnostics
        parts = outline(source.text) if len(source.text) <= MAX_BYTES else []
        tree = ast.Model("", tuple(_readable(source, parts, "start")), span=Span(source, 0, len(source.text)))
    declarations = collect(tree, Collector()).declarations
    return Analysis(source, tree, errors, declarations, occurrences(tree.items))


def _readable(source: Source, parts: Sequence[Part], context: Start) -> Iterator[Any]:
    """The nodes of the statements that are in the grammar, those of blocks in their levels."""
    for part in parts:
        if isinstance(part, Statement):
            try:
                reading = read(source, context, part.first.start, part.last.end)
            except (Rejected, BlvError):
                continue
            if not reading.diagnostics:
                yield from (node for node in reading.nodes if isinstance(node, ast.Node))
        elif not isinstance(part, Lexeme):
            nodes = tuple(_readable(source, part.body, "settings" if part.word == "options" else "statements"))
            if part.word in ("upper", "lower"):
                role: Literal["upper", "lower"] = "upper" if part.word == "upper" else "lower"
                head = Span(source, part.head[0].start, part.head[-1].end)
                end = part.closed.end if part.closed else max([part.brace.end, *(node.span.end for node in nodes)])
                name = part.head[-1].text
                yield ast.Level(role, name, nodes, span=Span(source, head.start, end), head_span=head)
