"""Rows of equations as strings, with names for parts that make them long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bileveldsl.calculus.definitions import with_definitions
from bileveldsl.calculus.expr import Axis, Expr, Symbol
from bileveldsl.calculus.printing import to_formulas
from bileveldsl.show.style import AsciiStyle

LONG = 90  # characters of a formula from which its parts get names


@dataclass(frozen=True)
class Row:
    """An equation `left relation right` with a label in front and a remark behind."""

    left: str
    relation: str
    right: str
    label: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Equation:
    """`left = expr` over labels, or `expr = 0` where nothing stands on the left."""

    left: str
    expr: Expr
    axes: tuple[Axis, ...]
    label: str = ""


def written_out(equations: Sequence[Equation], style: AsciiStyle, taken: Iterable[str]) -> tuple[list[Row], list[Row]]:
    """Rows for equations; where one is long, parts that recur get names not `taken`, whose definitions come second."""
    exprs = [equation.expr for equation in equations]
    definitions: list[tuple[Symbol, Expr]] = []
    if any(to_formulas([e.expr], e.axes)[0][0].weight > LONG for e in equations):
        definitions, exprs = with_definitions(exprs, taken)
    rows = []
    for equation, expr in zip(equations, exprs, strict=True):
        (text,), names = style.sides([expr], equation.axes)
        left, right = (style.element(equation.left, names), text) if equation.left else (text, "0")
        rows.append(Row(left, "=", right, equation.label, for_all(equation.axes, names, style)))
    where = [Row(style.name(symbol.name), "=", style.sides([body], symbol.axes)[0][0]) for symbol, body in definitions]
    return rows, where


def for_all(axes: Sequence[Axis], names: Sequence[str], style: AsciiStyle) -> str:
    """What the labels of an equation in indices run over; nothing for one in matrix notation."""
    pairs = [(name, style.shape([axis.dim])) for name, axis in zip(names, axes, strict=False)]
    return ", ".join(f"{name} {style.sign('in')} {domain}" for name, domain in pairs if name.rstrip("'′") != domain)
