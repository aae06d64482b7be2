"""Names in words: what is declared, its axes with their sizes, its bounds, and how its values range."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from bileveldsl.language import ast
from bileveldsl.language.elaborate.scope import Declaration
from bileveldsl.language.function_names import FUNCTION_NAMES
from bileveldsl.language.unparse import unparse_expression
from bileveldsl.lsp.analysis import Analysis
from bileveldsl.lsp.meanings import FUNCTIONS, KEYWORDS
from bileveldsl.lsp.occurrences import GLOBAL
from bileveldsl.program import Program

LONGEST = 200  # characters of an expression that are shown


def describe(analysis: Analysis, offset: int, before: Analysis | None, program: Program | None) -> str | None:
    """What stands at an offset, as Markdown.

    Parameters
    ----------
    analysis : of the text.
    offset : where.
    before : of an earlier text without syntax errors, for declarations that cannot be read now.
    program : of an earlier text without errors, for sizes and values.
    """
    occurrence = analysis.at(offset)
    if occurrence is not None and occurrence.binder != GLOBAL:
        domain = next((other.domain for other in analysis.same(occurrence) if other.declares), "")
        return _fence(f"{occurrence.name} in {' '.join(domain.split())}") + "\n\nindex"
    word = analysis.word(offset)
    name = occurrence.name if occurrence else word.text if word else ""
    declared = analysis.declarations.get(name) or (before.declarations.get(name) if before else None)
    if declared is not None and (occurrence is not None or name not in analysis.declarations):
        return _declaration(declared, program)
    if name in FUNCTION_NAMES:
        call, meaning = FUNCTIONS[name]
        return f"{_fence(call)}\n\n{meaning}"
    return f"{_fence(name)}\n\n{KEYWORDS[name]}" if name in KEYWORDS else None


def signature(declared: Declaration) -> str:
    """A declaration in one line, such as `var x[n] in [0, 1]`."""
    node = declared.node
    if isinstance(node, ast.Dim):
        return f"dim {node.name}" + (f" = {_short(node.size)}" if node.size else "")
    if isinstance(node, ast.Constraint):
        return _cut(" ".join(node.span.text.split()))
    if isinstance(node, ast.Set):
        within = ", ".join(name.name for name in node.within)
        parents = f" within ({within})" if len(node.within) > 1 else f" within {within}" if within else ""
        return f"set {node.name}{parents}{_content(node)}"
    axes = ", ".join(axis.name if isinstance(axis, ast.Name) else str(axis.value) for axis in node.axes)
    named = f"{node.name}[{axes}]" if axes else node.name
    if isinstance(node, ast.Param):
        return f"param {named}{_content(node)}"
    if isinstance(node, ast.Let):
        return f"let {named} = {_short(node.value)}"
    kind = "" if node.kind == "continuous" else f" : {node.kind}"
    return f"var {named}{kind}{_bounds(node)}" + (f" start {_short(node.start)}" if node.start else "")


def _declaration(declared: Declaration, program: Program | None) -> str:
    kind = {"param": "parameter", "let": "definition"}.get(declared.kind, declared.kind)
    place = f" of `{declared.level}`" if declared.level else ""
    parts = [_fence(signature(declared)), kind + place]
    if declared.node.doc:
        parts.append(_escaped(declared.node.doc))
    if program is not None:
        parts += _facts(declared, program)
    return "\n\n".join(parts)


def _facts(declared: Declaration, program: Program) -> Iterator[str]:
    """Sizes of axes and the range of values; never the values themselves."""
    node = declared.node
    sizes = sizes_of(program)
    names = [node.name] if isinstance(node, ast.Dim | ast.Set) else []
    if isinstance(node, ast.Param | ast.Let | ast.Var):
        names = [axis.name for axis in node.axes if isinstance(axis, ast.Name)]
    known = [f"{name} = {sizes[name]}" for name in dict.fromkeys(names) if name in sizes]
    if known:
        yield ", ".join(known)
    symbol = next((symbol for symbol in program.parameters if symbol.name == declared.name), None)
    if declared.kind == "param" and symbol is not None and symbol.value is not None:
        value = np.asarray(symbol.value)
        shape = " x ".join(str(size) for size in value.shape)
        if not shape:
            yield f"value {value:g}"
        elif value.size:
            yield f"{shape} values from {value.min():g} to {value.max():g}"


def sizes_of(program: Program) -> dict[str, int]:
    """The sizes of dims and sets, by name."""
    symbols = [*program.parameters, *(variable.symbol for variable in program.variables)]
    sizes = {axis.dim.name: axis.size for symbol in symbols for axis in symbol.axes}
    return sizes | {name: len(members) for name, members in program.sets.items()}


def _content(node: ast.Param | ast.Set) -> str:
    if node.source is not None:
        return f' from "{_cut(node.source.path)}"' + "".join(f'["{_cut(key)}"]' for key in node.source.keys)
    return f" = {_short(node.value)}" if node.value is not None else ""


def _bounds(node: ast.Var) -> str:
    if node.lower is not None and node.upper is not None:
        return f" in [{_short(node.lower)}, {_short(node.upper)}]"
    if node.lower is not None:
        return f" >= {_short(node.lower)}"
    return f" <= {_short(node.upper)}" if node.upper is not None else ""


def _short(expression: ast.Expression) -> str:
    return _cut(" ".join(unparse_expression(expression).split()))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _fence(text: str) -> str:
    return f"```blv\n{text}\n```"


def _escaped(text: str) -> str:
    """Text of the model without meaning as Markdown or HTML, so that it neither links nor loads anything."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~&:])", r"\\\1", text)
