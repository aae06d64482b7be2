"""What a model declares, as plain data for other programs, from its syntax tree alone."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.unparse import unparse_expression

SCHEMA = "bileveldsl.info/1"


def signature(model: ast.Model) -> dict[str, Any]:
    """The declarations of a model as an object for JSON, of the schema `bileveldsl.info/1`.

    Nothing is checked beyond the syntax, and no data file is opened. Expressions are canonical text; what is not
    written is None. A `range` holds the places of a name or a statement as diagnostics do.

    Parameters
    ----------
    model : Model

    Returns
    -------
    dict
        `schema`, `name`, `doc`; `dims` (name, size), `sets` (name, within, value, source), `params` (name, axes,
        value, source) and `definitions` (name, axes, value), each also with doc and range; `levels` in the order
        written; `options` by name. Axes are names, or sizes as integers; a source has a path and keys. A level has
        role, name and range; `objective` (sense, text, range); `vars` (name, axes, kind, lower, upper, start, doc,
        range); `constraints` (label, indices, text, doc, range); `definitions`; `ties`; `claims` (mode, fact,
        constant, range); and in `minibatch` the axes that may be sampled.

    Examples
    --------
    >>> from bileveldsl.language.diagnostics import Source
    >>> from bileveldsl.language.parse import parse
    >>> text = "dim p\\nupper { var x in [0, 1]; minimize x + sum(y) }\\nlower { var y[p]; minimize sumsq(y - x) }"
    >>> found = signature(parse(Source("toy.blv", text)))
    >>> [(var["name"], var["axes"], var["upper"]) for level in found["levels"] for var in level["vars"]]
    [('x', [], '1'), ('y', ['p'], None)]
    >>> found["levels"][1]["objective"]["text"]
    'sumsq(y - x)'
    """
    return {
        "schema": SCHEMA,
        "name": model.name,
        "doc": model.doc,
        "dims": [_dim(item) for item in model.items if isinstance(item, ast.Dim)],
        "sets": [_set(item) for item in model.items if isinstance(item, ast.Set)],
        "params": [_param(item) for item in model.items if isinstance(item, ast.Param)],
        "definitions": _definitions(model.items),
        "levels": [_level(item) for item in model.items if isinstance(item, ast.Level)],
        "options": {
            option.name: _setting(option.value)
            for item in model.items
            if isinstance(item, ast.Options)
            for option in item.options
        },
    }


def _dim(dim: ast.Dim) -> dict[str, Any]:
    return {"name": dim.name, "size": _text(dim.size), **_about(dim)}


def _set(item: ast.Set) -> dict[str, Any]:
    within = [container.name for container in item.within]
    return {
        "name": item.name, "within": within, "value": _text(item.value), "source": _source(item.source), **_about(item)
    }  # fmt: skip


def _param(param: ast.Param) -> dict[str, Any]:
    content = {"value": _text(param.value), "source": _source(param.source)}
    return {"name": param.name, "axes": _axes(param.axes), **content, **_about(param)}


def _definitions(parts: Iterable[ast.Item | ast.Statement]) -> list[dict[str, Any]]:
    lets = (part for part in parts if isinstance(part, ast.Let))
    return [{"name": let.name, "axes": _axes(let.axes), "value": _text(let.value), **_about(let)} for let in lets]


def _level(level: ast.Level) -> dict[str, Any]:
    parts = level.statements
    objective = next(part for part in parts if isinstance(part, ast.Objective))  # the parser asks for exactly one
    return {
        "role": level.role,
        "name": level.name,
        "range": _range(level.head_span),
        "objective": {
            "sense": objective.sense, "text": _text(objective.expression), "range": _range(objective.span)
        },
        "vars": [_var(part) for part in parts if isinstance(part, ast.Var)],
        "definitions": _definitions(parts),
        "constraints": [_constraint(part) for part in parts if isinstance(part, ast.Constraint)],
        "ties": next((part.rule for part in parts if isinstance(part, ast.Ties)), "optimistic"),
        "claims": [_claim(part) for part in parts if isinstance(part, ast.Claim)],
        "minibatch": [part.axis.name for part in parts if isinstance(part, ast.Minibatch)],
    }  # fmt: skip


def _var(var: ast.Var) -> dict[str, Any]:
    bounds = {"lower": _text(var.lower), "upper": _text(var.upper), "start": _text(var.start)}
    return {"name": var.name, "axes": _axes(var.axes), "kind": var.kind, **bounds, **_about(var)}


def _constraint(constraint: ast.Constraint) -> dict[str, Any]:
    text = unparse_expression(constraint.operands[0])
    for relation, operand in zip(constraint.relations, constraint.operands[1:], strict=True):
        text += f" {relation} {unparse_expression(operand)}"
    indices = ", ".join(map(_generator, constraint.generators))
    if constraint.guard is not None:
        indices += f" if {unparse_expression(constraint.guard)}"
    place = _range(constraint.label_span or constraint.span)
    return {
        "label": constraint.label, "indices": indices or None, "text": text, "doc": constraint.doc, "range": place
    }  # fmt: skip


def _generator(generator: ast.Generator) -> str:
    names = ", ".join(target.name for target in generator.targets)
    return f"{names if len(generator.targets) == 1 else f'({names})'} in {unparse_expression(generator.domain)}"


def _claim(claim: ast.Claim) -> dict[str, Any]:
    constant = _text(claim.constant)
    return {"mode": claim.mode, "fact": claim.fact, "constant": constant, "range": _range(claim.span)}


def _about(item: ast.Dim | ast.Set | ast.Param | ast.Let | ast.Var) -> dict[str, Any]:
    return {"doc": item.doc, "range": _range(item.name_span)}


def _axes(axes: tuple[ast.Axis, ...]) -> list[str | int]:
    return [axis.name if isinstance(axis, ast.Name) else int(axis.value) for axis in axes]


def _source(source: ast.DataSource | None) -> dict[str, Any] | None:
    return None if source is None else {"path": source.path, "keys": list(source.keys)}


def _text(expression: ast.Expression | None) -> str | None:
    return None if expression is None else unparse_expression(expression)


def _setting(value: str | Fraction | bool | float) -> str | int | float | bool:
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return str(value) if isinstance(value, float) else value  # inf and -inf, which JSON has no numbers for


def _range(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    places = []
    for offset in (span.start, span.end):
        line, column = span.source.position(offset)
        places.append({"line": line, "column": column, "offset": offset})
    return {"start": places[0], "end": places[1]}
