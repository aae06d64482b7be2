"""The outline of a model: what it declares, level by level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lsprotocol import types

from bileveldsl.language import ast
from bileveldsl.lsp.analysis import Analysis
from bileveldsl.lsp.positions import Positions

_KINDS: dict[type, types.SymbolKind] = {
    ast.Dim: types.SymbolKind.TypeParameter,
    ast.Set: types.SymbolKind.Enum,
    ast.Param: types.SymbolKind.Constant,
    ast.Let: types.SymbolKind.Variable,
    ast.Var: types.SymbolKind.Field,
    ast.Constraint: types.SymbolKind.Property,
}


def symbols(analysis: Analysis, positions: Positions) -> list[types.DocumentSymbol]:
    """The declarations of a model, those of a level below it."""
    return list(_symbols(analysis.tree.items, positions))


def _symbols(items: Iterable[ast.Item | ast.Statement], positions: Positions) -> Iterator[types.DocumentSymbol]:
    for item in items:
        whole = positions.range(item.span)
        if isinstance(item, ast.Level):
            head = positions.range(item.head_span or item.span)
            inner = list(_symbols(item.statements, positions))
            yield types.DocumentSymbol(item.name, types.SymbolKind.Namespace, whole, head, item.role, children=inner)
        elif isinstance(item, ast.Objective):
            text = " ".join(item.expression.span.text.split())
            yield types.DocumentSymbol(item.sense, types.SymbolKind.Function, whole, whole, text)
        elif isinstance(item, ast.Constraint):
            if item.label:
                place = positions.range(item.label_span or item.span)
                yield types.DocumentSymbol(item.label, _KINDS[ast.Constraint], whole, place)
        elif isinstance(item, ast.Dim | ast.Set | ast.Param | ast.Let | ast.Var):
            place = positions.range(item.name_span or item.span)
            axes = getattr(item, "axes", ())
            detail = f"[{', '.join(axis.span.text for axis in axes)}]" if axes else None
            yield types.DocumentSymbol(item.name, _KINDS[type(item)], whole, place, detail)
