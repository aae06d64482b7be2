"""Csv files as tables: comma-separated, UTF-8, with or without a header row."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import numpy as np

from bileveldsl.language.data.request import Request, count, quote
from bileveldsl.language.data.table import Column, Fault, Table, duplicate
from bileveldsl.language.data.values import EXACT, RESCALE

LINE_CHARACTERS = 2**24
CHUNK_FIELDS = 2**18

PLAIN_NUMBERS = "write plain numbers such as 12.5 or 1.25e1, with a point, no unit and no thousands separator"
ONE_KIND = "begin with a row of names (no numbers) or a row of numbers"
FILL_ROW = "give every row the same number of entries, separated by commas"


def load(path: Path, request: Request) -> Table:
    """The table in a csv file; its first row is a header unless every field of it is a number."""
    rows = _rows(path, request)
    try:
        first = next(rows, None)
        if first is None:
            raise request.damaged("is empty", "write one row for each entry")
        header, header_fault = _header(first, request)
        columns = [_ColumnText() for _ in first]
        row = first_row = 2 if header else 1
        body = rows if header else chain([first], rows)
        while chunk := list(islice(body, max(1, CHUNK_FIELDS // len(first)))):
            for column, fields in zip(columns, zip(*chunk, strict=True), strict=True):
                column.extend(fields, row)
            row += len(chunk)
    except UnicodeDecodeError as error:
        raise request.not_utf8(error) from error
    except csv.Error as error:
        if "field limit" in str(error):
            message = f"{request.file} has an entry that is too long ({error})"
            raise request.error("E412", message, PLAIN_NUMBERS) from error
        raise request.damaged(f"is not valid csv ({error})", "close every quote, or write without quotes") from error
    if row == first_row:
        raise request.damaged("holds a header row and nothing below it", "write one row for each entry")
    return Table(header, tuple(column.finish() for column in columns), first_row, header_fault)


def _rows(path: Path, request: Request) -> Iterator[list[str]]:
    """The rows of equal length; empty lines are allowed at the end only, where an entry cannot be missing."""
    width, empty = 0, 0
    with path.open(encoding="utf-8-sig", newline="") as text:
        for number, row in enumerate(csv.reader(_lines(text, request), strict=True), 1):
            if not row:
                empty = empty or number
                continue
            if empty:
                raise request.error("E407", f"{request.file} row {empty} is empty", "fill in the row or take it out")
            width = width or len(row)
            if len(row) != width:
                found = count(len(row), "entry", "entries")
                raise request.error("E407", f"{request.file} row {number} has {found}, row 1 has {width}", FILL_ROW)
            yield row


def _lines(text: TextIO, request: Request) -> Iterator[str]:
    while line := text.readline(LINE_CHARACTERS):
        if len(line) == LINE_CHARACTERS:
            raise request.error(
                "E412",
                f"{request.file} has a line of more than {LINE_CHARACTERS} characters",
                "write one row on each line, or store the array in an npz file",
            )
        yield line


def _header(first: list[str], request: Request) -> tuple[tuple[str, ...] | None, Fault | None]:
    """The names in the first row, and the fault when numbers stand among them."""
    numeric = [is_number(text) for text in first]
    if all(numeric):
        return None, None
    names = tuple(name.strip() for name in first)
    if (name := duplicate(names)) is not None:
        raise request.error("E413", f"{request.file} has two columns {quote(name)}", "give each column its own name")
    doubtful = any(numeric) or not all(names)
    fault = Fault("E406", 1, _not_a_number(first[numeric.index(False)]), ONE_KIND) if doubtful else None
    return names, fault


@dataclass
class _ColumnText:
    """A column while it is read: its numbers so far, up to its first fault."""

    values: array = field(default_factory=lambda: array("d"))
    fault: Fault | None = None

    def extend(self, fields: tuple[str, ...], row: int) -> None:
        """Append the fields of the rows from `row` on."""
        if self.fault:
            return
        try:
            numbers = array("d", map(float, fields))
            plain = "_" not in "".join(fields)
        except ValueError:
            plain = False
        if not plain:
            index = next(i for i, text in enumerate(fields) if not is_number(text))
            self.fault = Fault("E406", row + index, _not_a_number(fields[index]), PLAIN_NUMBERS)
            return
        for index in np.flatnonzero(np.abs(np.asarray(numbers)) >= EXACT).tolist():  # 2^53 + 1 has become 2^53
            digits = fields[index].strip().lstrip("+-0")
            if digits.isdecimal() and digits != str(EXACT):
                what = f"the integer {quote(fields[index].strip())} is too large to be exact"
                self.fault = Fault("E414", row + index, what, RESCALE)
                return
        self.values.extend(numbers)

    def finish(self) -> Column:
        return Column(np.asarray(self.values), self.fault)


def is_number(text: str) -> bool:
    """Whether `text` is a number; Python would also read `2_5` as 25, which is a slip in a csv."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _not_a_number(text: str) -> str:
    return f"{quote(text)} is not a number" if text.strip() else "the entry is empty"
