"""Json files: keys walk down the objects to numbers, to the members of a set, or to values by their labels."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bileveldsl.language.data.indexed import arrange, require_sizes
from bileveldsl.language.data.members import LabelledAxis, Labels, Member, require_labels
from bileveldsl.language.data.nested import below, columns_of, dense, floats, has_rows, kind, leaves
from bileveldsl.language.data.request import Request, count, instead_of, quote
from bileveldsl.language.data.values import at

DEPTH = 64
FLOAT_DIGITS = 309  # an integer with more digits is larger than every float64

TEXT = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
OPENING, CLOSING = list(b"[{"), list(b"]}")


@dataclass(frozen=True)
class Tree:
    """The content of a json file."""

    root: Any

    def array(self, request: Request) -> np.ndarray:
        value, subject = self._value(request)
        if isinstance(value, dict):
            raise request.error("E404", f"{subject} is an object, not numbers", f"add a key: {instead_of('', value)}")
        return dense(value, request, subject)

    def members(self, request: Request, arity: int | None) -> list[Member]:
        """A set: a list of labels, or a list of lists with the labels of one member each."""
        value, subject = self._value(request)
        if not isinstance(value, list):
            mend = f"add a key: {instead_of('', value)}" if isinstance(value, dict) else "write the members in brackets"
            raise request.error("E404", f"{subject} is {kind(value)}, not a list of members", mend)
        if arity is None:
            arity = len(value[0]) if value and isinstance(value[0], list) else 1
        if arity == 1:
            require_labels(value, subject, lambda row: f"at [{row}]", request)
            return Labels([value], subject, lambda row: f"at [{row}]").distinct(request)
        columns = columns_of(value, arity, count(arity, "label", "labels"), request, subject)
        return _in_rows(columns, request, subject).distinct(request)

    def indexed(self, request: Request, axes: Sequence[LabelledAxis]) -> np.ndarray:
        """An array over sets: objects keyed by labels, rows of labels and a value, or lists in the sets' order."""
        value, subject = self._value(request)
        if isinstance(value, dict):
            keys, entries = leaves(value, axes, request, subject)
            labels = Labels(keys, subject, lambda row: below(keys, row).strip())
            return arrange(labels, floats(entries, partial(below, keys), request, subject), axes, request)
        if has_rows(value, axes):
            width = sum(axis.arity for axis in axes)
            wanted = f"{count(width, 'label', 'labels')} and a value"
            *columns, last = columns_of(value, width + 1, wanted, request, subject)
            values = floats(last, lambda row: at([row, width]), request, subject)
            return arrange(_in_rows(columns, request, subject), values, axes, request)
        return require_sizes(dense(value, request, subject), subject, axes, request)

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


def _in_rows(columns: Sequence[Sequence[Any]], request: Request, subject: str) -> Labels:
    """Columns of a list of lists as labels."""
    for position, column in enumerate(columns):
        require_labels(column, subject, lambda row, k=position: f"at [{row}, {k}]", request)  # type: ignore[misc]
    return Labels(columns, subject, lambda row: f"at [{row}]")


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
    marks = np.frombuffer(TEXT.sub("", text).encode(), np.uint8)
    steps = np.isin(marks, OPENING).astype(np.int8) - np.isin(marks, CLOSING)
    if np.cumsum(steps, dtype=np.int32).max(initial=0) > DEPTH:
        message = f"{request.file} is nested more than {DEPTH} levels deep"
        raise request.error("E412", message, "store the numbers less deep")


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= FLOAT_DIGITS else float(text)
