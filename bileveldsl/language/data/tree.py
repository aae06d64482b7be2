"""Json files: keys walk down the objects to numbers, to the members of a set, or to values by their labels."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from bileveldsl.language.data.indexed import arrange, require_sizes
from bileveldsl.language.data.members import LabelledAxis, Labels, Member, require_labels
from bileveldsl.language.data.request import SHOWN, Request, count, instead_of, quote
from bileveldsl.language.data.values import EXACT, FILL_IN, RESCALE, at, not_finite

DEPTH = 64
FLOAT_DIGITS = 309  # an integer with more digits is larger than every float64

STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
NUMBERS = (float, int, bool)

SAME_DEPTH = "nest all lists equally deep and give those of one level the same length"
PLAIN_NUMBERS = "write plain numbers, without quotes"

Place = Callable[[int], str]


@dataclass(frozen=True)
class Tree:
    """The content of a json file."""

    root: Any

    def array(self, request: Request) -> np.ndarray:
        value, subject = self._value(request)
        if isinstance(value, dict):
            raise request.error("E404", f"{subject} is an object, not numbers", f"add a key: {instead_of('', value)}")
        return _dense(value, request, subject)

    def members(self, request: Request, arity: int | None) -> list[Member]:
        """A set: a list of labels, or a list of lists with the labels of one member each."""
        value, subject = self._value(request)
        if not isinstance(value, list):
            mend = f"add a key: {instead_of('', value)}" if isinstance(value, dict) else "write the members in brackets"
            raise request.error("E404", f"{subject} is {kind(value)}, not a list of members", mend)
        if arity is None:
            arity = len(value[0]) if value and isinstance(value[0], list) else 1
        columns = _columns(value, arity, count(arity, "label", "labels"), subject, request) if arity > 1 else [value]
        for position, column in enumerate(columns):
            place = (lambda row, k=position: at([row, k])[1:]) if arity > 1 else _entry
            require_labels(column, subject, place, request)
        return Labels(columns, subject, _entry).distinct(request)

    def indexed(self, request: Request, axes: Sequence[LabelledAxis]) -> np.ndarray:
        """An array over sets: objects keyed by labels, rows of labels and a value, or lists in the order of the sets."""
        value, subject = self._value(request)
        width = sum(axis.arity for axis in axes)
        if isinstance(value, dict):
            columns, entries = _leaves(value, width, axes, subject, request)

            def path(row: int) -> str:
                return "at " + "".join(f"[{quote(column[row])}]" for column in columns)

            values = _floats(entries, lambda row: f" {path(row)}", subject, request)
            return arrange(Labels(columns, subject, path), values, axes, request)
        if not _has_rows(value, axes):
            return require_sizes(_dense(value, request, subject), subject, axes, request)
        *columns, entries = _columns(value, width + 1, f"{count(width, 'label', 'labels')} and a value", subject, request)
        for position, column in enumerate(columns):
            require_labels(column, subject, lambda row, k=position: at([row, k])[1:], request)
        values = _floats(entries, lambda row: at([row, width]), subject, request)
        return arrange(Labels(columns, subject, _entry), values, axes, request)

    def _value(self, request: Request) -> tuple[Any, str]:
        """What lies under the keys; without keys, under the declared name if the file holds an object."""
        keys = request.keys or ((request.name,) if isinstance(self.root, dict) else ())
        value, subject = self.root, request.file
        for key in keys:
            if not isinstance(value, dict):
                message = f"{subject} is {kind(value)}, so it has no key {quote(key)}"
                raise request.error("E404", message, f"write `from {subject}` to read it")
            if key not in value:
                raise request.error("E404", f"{subject} has no key {quote(key)}", instead_of(key, value))
            value, subject = value[key], f"{subject}[{quote(key)}]"
        return value, subject


def load(path: Path, request: Request) -> Tree:
    """The tree in a json file, of bounded depth and without keys that stand twice in one object."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in pairs:
            if key in result:
                message = f"{request.file} has the key {quote(key)} twice in one object"
                raise request.error("E413", message, "take one of them out")
            result[key] = value
        return result

    try:
        text = path.read_bytes().decode("utf-8-sig")
        _require_shallow(text, request)
        return Tree(json.loads(text, object_pairs_hook=unique, parse_int=_integer))
    except UnicodeDecodeError as error:
        raise request.not_utf8(error) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise request.damaged(f"is not valid json in {place}: {error.msg}", "mend the file at that place") from error


def _require_shallow(text: str, request: Request) -> None:
    """Count brackets before the decoder recurses into them."""
    depth = 0
    for match in STRUCTURE.finditer(text):
        mark = text[match.start()]
        depth += (mark in "[{") - (mark in "]}")
        if depth > DEPTH:
            raise request.error(
                "E412", f"{request.file} is nested more than {DEPTH} levels deep", "store the numbers less deep"
            )


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= FLOAT_DIGITS else float(text)


def _dense(value: Any, request: Request, subject: str) -> np.ndarray:
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
    for position, entry in enumerate(level):
        if type(entry) not in NUMBERS:
            place = at(np.unravel_index(position, shape))
            code, mend = ("E407", SAME_DEPTH) if isinstance(entry, list) else ("E406", PLAIN_NUMBERS)
            raise request.error(code, f"{subject} holds {kind(entry)}{place} where a number belongs", mend)
        if type(entry) is int and abs(entry) > EXACT:
            place = at(np.unravel_index(position, shape))
            message = f"{subject} holds the integer {quote(str(entry))}{place}, too large to be exact"
            raise request.error("E414", message, RESCALE)
    return np.array(level, dtype=np.float64).reshape(shape)


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
