"""Nodes of declarations that models and levels share: axes, definitions, sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Integral
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail, kind_of
from bileveldsl.language.embedded.expressions import Dimension, IndexSet
from bileveldsl.language.embedded.families import members
from bileveldsl.language.embedded.literals import exact, is_decimal, number
from bileveldsl.language.embedded.names import check_name, check_text
from bileveldsl.language.embedded.operands import Operands
from bileveldsl.language.embedded.spans import Place

if TYPE_CHECKING:
    from bileveldsl.language.embedded.builder import ModelBuilder


def axis_nodes(model: ModelBuilder, axes: tuple[object, ...], place: Place) -> tuple[ast.Axis, ...]:
    """Axes given after the name: dims, sets and fixed sizes."""
    return tuple(axis_node(model, axis, place.argument(position)) for position, axis in enumerate(axes, start=1))


def axis_node(model: ModelBuilder, axis: object, span: Span) -> ast.Axis:
    if isinstance(axis, (Dimension, IndexSet)):
        Operands(model).join(axis, span)
        return ast.Name(axis.name, span=span)
    if isinstance(axis, Integral) and not isinstance(axis, bool) and int(axis) >= 0:
        return ast.Number(Fraction(int(axis)), span=span)
    fail("E260", f"an axis is a dim or a set, not {kind_of(axis)}", span, shown=axis,
         help="n = m.dim('n') declares one")  # fmt: skip


def name_node(model: ModelBuilder, value: object, span: Span) -> ast.Name:
    """A dim or set that must have a name."""
    node = axis_node(model, value, span)
    if not isinstance(node, ast.Name):
        fail("E260", "an axis with a name is needed here", span, help="n = m.dim('n') declares one")
    return node


def let_node(
    model: ModelBuilder, name: object, axes: tuple[object, ...], value: object, doc: str, place: Place
) -> ast.Let:
    span = place.argument(0, "name")
    return ast.Let(
        check_name(name, span), axis_nodes(model, axes, place),
        Operands(model).node(value, place.argument("value")), doc, name_span=span, span=place.span,
    )  # fmt: skip


def source_node(source: object, key: object, place: Place) -> ast.DataSource:
    """`from "file"["key"]["key"]`."""
    span = place.argument("source")
    path = source.as_posix() if isinstance(source, PurePath) else check_text(source, span)
    keys = key if isinstance(key, tuple) else () if key is None else (key,)
    return ast.DataSource(path, tuple(check_text(key, place.argument("key")) for key in keys), span=span)


def is_pandas(value: object) -> bool:
    """Whether a value is an object of pandas, which need not be installed."""
    return type(value).__module__.partition(".")[0] == "pandas"


def labels_of(node: ast.Expression | None) -> list[Any] | None:
    """The members that a list or a range of numbers writes out, as labels and tuples of labels."""
    if isinstance(node, ast.Range):
        ends = [end.value for end in (node.first, node.last) if isinstance(end, ast.Number)]
        return list(range(int(ends[0]), int(ends[1]) + 1)) if len(ends) == 2 else None
    if not isinstance(node, ast.List):
        return None
    rows = [[_label_of(part) for part in (i.items if isinstance(i, ast.Tuple) else (i,))] for i in node.items]
    if any(None in row for row in rows):
        return None
    return [row[0] if len(row) == 1 else tuple(row) for row in rows]


def _label_of(node: ast.Expression) -> str | int | None:
    if isinstance(node, ast.Text):
        return node.value
    if isinstance(node, ast.Unary) and isinstance(node.operand, ast.Number):
        return -int(node.operand.value)
    return int(node.value) if isinstance(node, ast.Number) and node.value.denominator == 1 else None


def series_values(series: Any, name: str, axes: Sequence[Any], span: Span) -> Any:
    """The array of a pandas Series over the axes of a parameter; rows are matched by label, in any order."""
    from bileveldsl.language.data import LabelledAxis
    from bileveldsl.language.data.frames import indexed_from_pandas
    from bileveldsl.language.embedded.expressions import IndexSet

    labelled = []
    for axis in axes:
        members = axis.members if isinstance(axis, IndexSet) else None
        if members is None:
            shown = getattr(axis, "name", axis)
            fail("E276", f"the labels of `{shown}` are not known in Python", span, shown=name,
                 help="declare the set with its members, or give an array in the order of the axis")  # fmt: skip
        labelled.append(
            LabelledAxis(axis.name, len(members[0]) if members and isinstance(members[0], tuple) else 1, members)
        )
    return indexed_from_pandas(series, labelled, name, span)


def member_nodes(model: ModelBuilder, name: str, value: Any, span: Span) -> ast.Expression:
    """The members of a set: labels, integers, tuples of these, a range, or labels of pandas."""
    if is_pandas(value):
        from bileveldsl.language.data.frames import members_from_pandas

        value = members_from_pandas(value, name, span)
    found = members(Operands(model), value, span)
    if found is not None:
        return found
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        fail("E254", f"the members of a set are a list, not {kind_of(value)}", span, shown=value,
             help='m.set("NODES", ["a", "b"])')  # fmt: skip
    return ast.List(tuple(_member(item, span) for item in value), span=span)


def _member(item: object, span: Span) -> ast.Expression:
    if isinstance(item, tuple) and len(item) > 1:
        return ast.Tuple(tuple(_member(part, span) for part in item), span=span)
    if isinstance(item, str):
        return ast.Text(check_text(item, span), span=span)
    exactly = exact(item, span)
    if exactly is None:
        fail("E254", f"{kind_of(item)} is not a member of a set", span, shown=item,
             help="members are labels, integers, and tuples of two or more of these")  # fmt: skip
    return number(exactly, span)


def option_value(value: object, span: Span) -> str | Fraction | bool | float:
    """The value of a setting: a text, a truth value, or a number."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_text(value, span)
    exactly = exact(value, span)
    if exactly is None or (isinstance(exactly, Fraction) and not is_decimal(exactly)):
        fail("E265", f"a setting cannot be {kind_of(value)}", span, shown=value,
             help="a text, True, False, or a decimal number")  # fmt: skip
    number(exactly, span)  # refuses what is out of range
    return exactly
