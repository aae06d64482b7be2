"""Columns with names, of numbers and of labels: what csv and parquet files hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bileveldsl.language.data.indexed import arrange
from bileveldsl.language.data.members import Label, LabelledAxis, Labels, Member, require_labels
from bileveldsl.language.data.request import Request, count, instead_of, quote
from bileveldsl.language.data.values import FILL_IN, is_number, not_finite
from bileveldsl.language.diagnostics import BlvError


@dataclass(frozen=True)
class Fault:
    """Why a column holds no numbers: what is wrong in its first bad row, as a diagnostic says it."""

    code: str
    row: int  # counted from 1, as in the file
    what: str
    help: str


@dataclass(frozen=True)
class Column:
    values: np.ndarray  # float64, one entry a row; what precedes the fault where there is one
    fault: Fault | None = None


@dataclass(frozen=True)
class Table:
    """Columns of equal length, by name where the file has a header.

    A parameter with one axis takes one column; a scalar takes a column of one row; a parameter with
    two axes takes the whole table. A set takes one column or the first few, and a parameter over
    sets a column of values beside the first columns, which hold labels.
    """

    header: tuple[str, ...] | None
    columns: tuple[Column, ...]
    rows: int
    first_row: int  # the row of the file that entry 0 of each column comes from
    read_labels: Callable[[Sequence[int], Request], list[list[Any]]]  # the columns as they are, text and all
    header_fault: Fault | None = None  # the first row is neither all names nor all numbers
    _labels: dict[int, list[Label]] = field(default_factory=dict, init=False, repr=False)

    # ---- numbers --------------------------------------------------------------------------------

    def array(self, request: Request) -> np.ndarray:
        if request.rank > 2:
            raise request.wrong_rank(f"{request.file} is a table with 2 dimensions", "store the array in an npz file")
        if not self.rows:
            raise request.damaged("has names of columns and no rows", "write one row for each entry")
        if request.rank < 2:
            return self._column(request)
        if request.keys:
            raise request.wrong_rank(
                f"{request.subject} is one column", f"write `from {request.file}` to read the whole table"
            )
        if self.header_fault:
            raise refusal(self.header_fault, "", request)
        result = np.empty((self.rows, len(self.columns)))
        for position in range(len(self.columns)):
            result[:, position] = self._numbers(position, request)
        return result

    def _column(self, request: Request) -> np.ndarray:
        values = self._numbers(self._position(request), request)
        if request.rank == 0 and len(values) != 1:
            raise request.wrong_rank(f"{request.subject} has {count(len(values), 'row', 'rows')}")
        return values.copy() if request.rank == 1 else np.array(values[0])

    def _numbers(self, position: int, request: Request) -> np.ndarray:
        column = self.columns[position]
        finite = np.isfinite(column.values)
        if not finite.all():
            bad = np.flatnonzero(~finite)
            place = f" in row {self.first_row + int(bad[0])}, {self._title(position)}"
            message = not_finite(request.file, float(column.values[bad[0]]), place, len(bad))
            raise request.error("E408", message, FILL_IN)
        if column.fault:
            raise refusal(column.fault, self._title(position), request)
        return column.values

    # ---- labels ---------------------------------------------------------------------------------

    def members(self, request: Request, arity: int | None) -> list[Member]:
        """A set: the column that the key or else the set's name names, or without one the first `arity` columns."""
        width = arity or 1
        if request.keys and width > 1:
            what = f"{request.subject} is one column, but a member of {quote(request.name)} has {width} labels"
            raise request.error("E420", what, f"write `from {request.file}` to read the first {width} columns")
        if request.keys or (width == 1 and self._is_column(request.name)):
            positions = [self._position(request)]
        elif width <= len(self.columns):
            positions = list(range(width))
            self._require_names(positions, request)
        else:
            what = f"{self._width(request)}, but a member of {quote(request.name)} has {width} labels"
            raise request.error("E420", what, "write one column for each label of a member")
        return self._labels_of(positions, request).distinct(request)

    def indexed(self, request: Request, axes: Sequence[LabelledAxis]) -> np.ndarray:
        """An array over sets: labels in the first columns, values in the one that the request names or the next."""
        width = sum(axis.arity for axis in axes)
        if len(self.columns) <= width:
            wanted = count(width, "column of labels", "columns of labels")
            what = f"{self._width(request)}, but {quote(request.name)} needs {wanted} and one of values"
            mend = f"put the labels of {', '.join(axis.name for axis in axes)} first, in that order"
            raise request.error("E420", what, mend)
        if request.keys or self._is_column(request.name) or len(self.columns) > width + 1:
            position = self._position(request)
            named = range(width)
        else:
            position = width
            named = range(width + 1)
        if position < width:
            what = f"{request.subject} is among the first {count(width, 'column', 'columns')}, which hold labels"
            raise request.error("E404", what, "put the columns of labels first, or name a column of values")
        self._require_names(named, request)
        labels = self._labels_of(range(width), request)
        return arrange(labels, self._numbers(position, request), axes, request)

    def _labels_of(self, positions: Sequence[int], request: Request) -> Labels:
        """Columns of labels, each read and judged once."""
        unread = [position for position in positions if position not in self._labels]
        if unread:
            for position, column in zip(unread, self.read_labels(unread, request), strict=True):
                if len(column) != self.rows:
                    raise request.damaged("has changed since it was opened", "load the model again")
                require_labels(column, request.file, self._place(f", {self._title(position)}"), request)
                self._labels[position] = column
        return Labels([self._labels[position] for position in positions], request.file, self._place(""))

    def _place(self, column: str) -> Callable[[int], str]:
        return lambda row: f"row {self.first_row + row}{column}"

    # ---- columns --------------------------------------------------------------------------------

    def _position(self, request: Request) -> int:
        """Which column the request names; a lone column without a name needs none."""
        if len(request.resolved_keys) > 1:
            raise request.error("E404", f"{request.file} has no keys within keys", "name one column of the file")
        key = request.resolved_keys[0]
        if self.header is None:
            if len(self.columns) == 1 and not request.keys:
                return 0
            raise request.error(
                "E404",
                f"{request.file} has no header row, so it has no column {quote(key)}",
                "write the names of the columns, separated by commas, in the first row",
            )
        if key not in self.header:
            names = filter(None, self.header)
            raise request.error("E404", f"{request.file} has no column {quote(key)}", instead_of(key, names))
        return self.header.index(key)

    def _is_column(self, name: str) -> bool:
        return self.header is not None and name in self.header

    def _title(self, position: int) -> str:
        name = self.header[position] if self.header else ""
        return f"column {quote(name) if name else position + 1}"

    def _width(self, request: Request) -> str:
        return f"{request.file} has {count(len(self.columns), 'column', 'columns')}"

    def _require_names(self, positions: Sequence[int], request: Request) -> None:
        """Refuse a first row of data: with labels in it, it looks like a header."""
        number = next((self.header[p] for p in positions if is_number(self.header[p])), None) if self.header else None
        if number is not None:
            what = f"{quote(number)} is a number, not the name of a column"
            mend = "write the names of the columns in the first row, above the first labels"
            raise request.error("E406", f"{request.file} row 1: {what}", mend)


def refusal(fault: Fault, label: str, request: Request) -> BlvError:
    place = f"row {fault.row}, {label}" if label else f"row {fault.row}"
    return request.error(fault.code, f"{request.file} {place}: {fault.what}", fault.help)


def duplicate(names: Sequence[str]) -> str | None:
    """The first name that stands twice; nameless columns do not count."""
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            return name
        seen.add(name)
    return None
