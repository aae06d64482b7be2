"""Columns of numbers with names: what csv and parquet files hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bileveldsl.language.data.request import Request, count, instead_of, quote
from bileveldsl.language.data.values import FILL_IN, not_finite
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
    two axes takes the whole table.
    """

    header: tuple[str, ...] | None
    columns: tuple[Column, ...]
    first_row: int  # the row of the file that entry 0 of each column comes from
    header_fault: Fault | None = None  # the first row is neither all names nor all numbers

    def array(self, request: Request) -> np.ndarray:
        if request.rank > 2:
            raise request.wrong_rank(f"{request.file} is a table with 2 dimensions", "store the array in an npz file")
        if request.rank < 2:
            return self._column(request)
        if request.keys:
            raise request.wrong_rank(
                f"{request.subject} is one column", f"write `from {request.file}` to read the whole table"
            )
        if self.header_fault:
            raise refusal(self.header_fault, "", request)
        result = np.empty((len(self.columns[0].values), len(self.columns)))
        for position in range(len(self.columns)):
            result[:, position] = self._numbers(position, request)
        return result

    def _column(self, request: Request) -> np.ndarray:
        values = self._numbers(self._position(request), request)
        if request.rank == 0 and len(values) != 1:
            raise request.wrong_rank(f"{request.subject} has {count(len(values), 'row', 'rows')}")
        return values.copy() if request.rank == 1 else np.array(values[0])

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

    def _numbers(self, position: int, request: Request) -> np.ndarray:
        column = self.columns[position]
        label = f"column {quote(self.header[position]) if self.header else position + 1}"
        finite = np.isfinite(column.values)
        if not finite.all():
            bad = np.flatnonzero(~finite)
            place = f" in row {self.first_row + int(bad[0])}, {label}"
            message = not_finite(request.file, float(column.values[bad[0]]), place, len(bad))
            raise request.error("E408", message, FILL_IN)
        if column.fault:
            raise refusal(column.fault, label, request)
        return column.values


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
