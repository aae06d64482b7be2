"""Csv files as tables: comma-separated, UTF-8, with or without a header row."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from bileveldsl.language.data.members import LABEL_GROWTH
from bileveldsl.language.data.request import Request, count, quote
from bileveldsl.language.data.table import Column, Fault, Table, duplicate
from bileveldsl.language.data.values import EXACT, RESCALE, is_number

LINE_CHARACTERS = 2**24
CHUNK_FIELDS = 2**11  # few enough that Python's garbage collector never walks over them
INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # one spelling for each; more digits are the name of something

PLAIN_NUMBERS = "write plain numbers such as 12.5 or 1.25e1, with a point, no unit and no thousands separator"
ONE_KIND = "begin with a row of names (no numbers) or a row of numbers"
FILL_ROW = "give every row the same number of entries, separated by commas"


def load(path: Path, request: Request) -> Table:
    """The table in a csv file; its first row is a header unless every field of it is a number."""
    chunks = _chunks(path, request)
    first = next(chunks, None)
    if first is None:
        raise request.damaged("is empty", "write one row for each entry")
    header, header_fault = _header(first[0], request)
    columns = [_ColumnText() for _ in first[0]]
    row = first_row = 2 if header else 1
    for chunk in chunks if header else chain([first], chunks):
        for column, fields in zip(columns, zip(*chunk, strict=True), strict=True):
            column.extend(fields, row)
        row += len(chunk)
    numbers = tuple(column.finish() for column in columns)
    return Table(header, numbers, row - first_row, first_row, partial(labels, path, first_row), header_fault)


def labels(path: Path, first_row: int, positions: Sequence[int], request: Request) -> list[list[Any]]:
    """Some columns of a csv file as labels, without the spaces around them; equal ones are one object.

    A column is integers if all its entries are, and text otherwise; numbers that are neither stay visible as such.
    """
    nbytes = LABEL_GROWTH * path.stat().st_size
    if nbytes > request.limit_bytes:
        raise request.too_large(f"reading the labels of {request.file}", nbytes)
    columns: list[list[str]] = [[] for _ in positions]
    known: dict[str, str] = {}
    for chunk in islice(_chunks(path, request), first_row - 1, None):
        fields = list(zip(*chunk, strict=True))
        for column, position in zip(columns, positions, strict=True):
            texts = list(map(str.strip, fields[position]))
            column.extend(map(known.setdefault, texts, texts))
    return [_typed(column) for column in columns]


def _typed(column: list[str]) -> list[Any]:
    texts = set(column)
    if all(map(INTEGER.fullmatch, texts)):
        return list(map({text: int(text) for text in texts}.__getitem__, column))
    if all(map(is_number, texts)):
        return [text if text.lstrip("+-").isdecimal() else float(text) for text in column]
    return column


def _chunks(path: Path, request: Request) -> Iterator[list[list[str]]]:
    """The rows piecewise, the first one alone, all equally long; empty lines are allowed at the end only."""
    width = empty = 0
    number = size = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(chain.from_iterable(_lines(text, request)), strict=True)
            while chunk := list(islice(rows, size)):
                if empty or set(map(len, chunk)) != {width}:
                    width, empty = _judge(chunk, number, width, empty, request)
                number += len(chunk)
                size = max(1, CHUNK_FIELDS // max(1, width))
                if full := [row for row in chunk if row] if empty else chunk:
                    yield full
    except UnicodeDecodeError as error:
        raise request.not_utf8(error) from error
    except csv.Error as error:
        if "field limit" in str(error):
            message = f"{request.file} has an entry that is too long ({error})"
            raise request.error("E412", message, PLAIN_NUMBERS) from error
        raise request.damaged(f"is not valid csv ({error})", "close every quote, or write without quotes") from error


def _judge(chunk: list[list[str]], number: int, width: int, empty: int, request: Request) -> tuple[int, int]:
    """The length of all rows and the number of the first empty one, 0 for none; refuse a chunk that has others."""
    for position, row in enumerate(chunk, number):
        if not row:
            empty = empty or position
            continue
        if empty:
            raise request.error("E407", f"{request.file} row {empty} is empty", "fill in the row or take it out")
        width = width or len(row)
        if len(row) != width:
            found = count(len(row), "entry", "entries")
            raise request.error("E407", f"{request.file} row {position} has {found}, row 1 has {width}", FILL_ROW)
    return width, empty


def _lines(text: TextIO, request: Request) -> Iterator[list[str]]:
    """The lines, many at a time."""
    while lines := text.readlines(LINE_CHARACTERS):
        if max(map(len, lines)) >= LINE_CHARACTERS:
            raise request.error(
                "E412",
                f"{request.file} has a line of {LINE_CHARACTERS} characters or more",
                "write one row on each line, or store the array in an npz file",
            )
        yield lines


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


def _not_a_number(text: str) -> str:
    return f"{quote(text)} is not a number" if text.strip() else "the entry is empty"
