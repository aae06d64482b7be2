"""Nested json values as arrays and as columns: dense lists, rows of labels and a value, objects keyed by labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np

from bileveldsl.language.data.members import LabelledAxis
from bileveldsl.language.data.request import SHOWN, Request, count, quote
from bileveldsl.language.data.values import EXACT, FILL_IN, RESCALE, at, not_finite

NUMBERS = (float, int, bool)

SAME_DEPTH = "nest all lists equally deep and give those of one level the same length"
PLAIN_NUMBERS = "write plain numbers, without quotes"


def dense(value: Any, request: Request, subject: str) -> np.ndarray:
    """Nested lists of equal length as an array."""
    if (depth := _depth(value)) != request.rank:
        raise request.wrong_rank(f"{subject} has {count(depth, 'dimension', 'dimensions')}")
    level: list[Any] = [value]
    shape: tuple[int, ...] = ()
    for _ in range(request.rank):
        length = len(level[0])
        for position, item in enumerate(level):
            if not isinstance(item, list) or len(item) != length:
                place = at(np.unravel_index(position, shape))
                what = f"{subject} holds {kind(item)}{place} where its first entries are lists of {length}"
                raise request.error("E407", what, SAME_DEPTH)
        level = [entry for item in level for entry in item]
        shape += (length,)
    return floats(level, lambda position: at(np.unravel_index(position, shape)), request, subject).reshape(shape)


def floats(entries: Sequence[Any], place: Callable[[int], str], request: Request, subject: str) -> np.ndarray:
    """A list of numbers as float64, without changing a value and without NaN."""
    for position, entry in enumerate(entries):
        if type(entry) not in NUMBERS:
            code, mend = ("E407", SAME_DEPTH) if isinstance(entry, list) else ("E406", PLAIN_NUMBERS)
            what = f"{subject} holds {kind(entry)}{place(position)} where a number belongs"
            raise request.error(code, what, mend)
        if type(entry) is int and abs(entry) > EXACT:
            what = f"{subject} holds the integer {quote(str(entry))}{place(position)}, too large to be exact"
            raise request.error("E414", what, RESCALE)
    values = np.array(entries, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        first = int(bad[0])
        what = not_finite(subject, float(values[first]), place(first), len(bad))
        raise request.error("E408", what, FILL_IN)
    return values


def columns_of(rows: list[Any], width: int, wanted: str, request: Request, subject: str) -> list[tuple[Any, ...]]:
    """Lists of `width` entries each, as columns."""
    bad = next((i for i, row in enumerate(rows) if not isinstance(row, list) or len(row) != width), None)
    if bad is not None:
        what = f"{subject} holds {kind(rows[bad])} at [{bad}] where {wanted} belong"
        raise request.error("E420", what, f"write each as a list of {wanted}")
    return list(zip(*rows, strict=True)) or [()] * width


def leaves(
    value: dict[str, Any], axes: Sequence[LabelledAxis], request: Request, subject: str
) -> tuple[list[list[str]], list[Any]]:
    """Objects inside objects, one level for each label: a column of keys for each level, and what lies below."""
    columns: list[list[str]] = []
    level: list[Any] = [value]
    for name in [axis.name for axis in axes for _ in range(axis.arity)]:
        for position, item in enumerate(level):
            if not isinstance(item, dict):
                what = f"{subject} holds {kind(item)}{below(columns, position)} where labels of {name} belong"
                raise request.error("E420", what, "nest one object for each label, and the numbers inside the last")
        lengths = list(map(len, level))
        columns = [list(chain.from_iterable(map(repeat, column, lengths))) for column in columns]
        columns.append(list(chain.from_iterable(level)))
        level = [entry for item in level for entry in item.values()]
    return columns, level


def below(columns: Sequence[Sequence[str]], row: int) -> str:
    """` at ["t1"]["b"]`, the keys above an entry."""
    return " at " + "".join(f"[{quote(column[row])}]" for column in columns)


def has_rows(value: Any, axes: Sequence[LabelledAxis]) -> bool:
    """Whether a list holds rows of labels and a value, rather than values in the order of the sets.

    A matrix of integers may look like rows of integer labels and values; it counts as one if its width fits the
    second axis and it does not begin with a member.
    """
    if value == []:
        return True
    first = value[0] if isinstance(value, list) else None
    if not isinstance(first, list) or (first and isinstance(first[0], list)):
        return False
    if len(axes) != 2 or str in map(type, first):
        return True
    *labels, _ = first or [None]
    width = sum(axis.arity for axis in axes)
    if len(labels) != width:
        return False
    return axes[1].size != width + 1 or _begins_with_members(labels, axes)


def _begins_with_members(labels: list[Any], axes: Sequence[LabelledAxis]) -> bool:
    first = 0
    for axis in axes:
        part = labels[first : first + axis.arity]
        if axis.locate([[label] for label in part])[0] < 0:
            return False
        first += axis.arity
    return True


def _depth(value: Any) -> int:
    """The number of dimensions, along the first entries."""
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def kind(value: Any) -> str:
    """What a person calls a json value."""
    match value:
        case None:
            return "null"
        case dict():
            return "an object"
        case list():
            return f"a list of {len(value)}"
        case str():
            return f"the text {quote(value)}"
        case _:
            return f"the value {json.dumps(value)[:SHOWN]}"
