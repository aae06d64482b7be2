"""Reading a solution object: every field checked, so that a file from anyone can be trusted to be one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args

from bileveldsl.language.data.request import instead_of, printable, quote, size
from bileveldsl.language.data.tree import kind
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.solution import (
    SCHEMA,
    Axes,
    AxisMembers,
    Member,
    Objective,
    Sense,
    Solution,
    Status,
    Value,
    Verification,
    Work,
)

LIMIT_BYTES = 2**28
DEPTH = 64
MEND = "write it anew with `bileveldsl solve -o`"
LARGEST = sys.float_info.max
NON_FINITE = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}

T = TypeVar("T")


def read(path: Path) -> Solution:
    """The solution in the json file `path`."""
    return decode(parsed(path))


def parsed(path: Path) -> Any:
    """What a json file holds, bounded in size and depth."""
    name = quote(str(path))
    try:
        with path.open("rb") as stream:
            content = stream.read(LIMIT_BYTES + 1)
    except OSError as error:
        fail("E630", f"cannot read {name}: {error.strerror}")
    if len(content) > LIMIT_BYTES:
        fail("E631", f"{name} is larger than {size(LIMIT_BYTES)}, so it is not read")
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        fail("E631", f"{name} is not valid json in row {error.lineno}, column {error.colno}: {error.msg}")
    except RecursionError:
        fail("E631", f"{name} is nested too deep")
    except ValueError as error:  # not UTF-8, a bare NaN, or an integer of thousands of digits
        fail("E631", f"{name} is not valid json: {printable(str(error))}")


def decode(data: Any) -> Solution:
    """The solution in a json object, each field checked."""
    _require_shallow(data)
    root = Place("", data).object()
    schema = root.field("schema").text() if "schema" in root.value else None
    if schema != SCHEMA:
        found = "has no schema" if schema is None else f"has the schema {quote(schema)}"
        fail("E633", f"this is not a solution: it {found}, not {quote(SCHEMA)}", MEND)
    upper = root.field("upper")
    return Solution(
        model=root.field("model").text(),
        model_sha256=root.field("model_sha256").text(),
        data_sha256=root.field("data_sha256").mapping(Place.text),
        status=Status(root.field("status").one_of([status.value for status in Status])),
        message=root.field("message").text(),
        backend=root.field("backend").optional(Place.text),
        backend_reason=root.field("backend_reason").text(),
        path=root.field("path").sequence(Place.text),
        upper=_objective("upper", upper),
        lower=root.field("lower").sequence(lambda place: _objective(place.field("name").text(), place)),
        values=root.field("values").mapping(Place.value_array),
        duals=root.field("duals").mapping(Place.value_array),
        axes=_axes(root.field("values")) | _axes(root.field("duals")),
        verification=_verification(root.field("verification")),
        certificates=root.field("certificates").sequence(_certificate),
        work=_work(root.field("work")),
        seconds=root.field("seconds").mapping(Place.number),
        seed=root.field("seed").integer(),
        options=root.field("options").mapping(Place.setting),
        versions=root.field("versions").mapping(Place.text),
    )


def _axes(table: Place) -> dict[str, Axes]:
    """The members of the axes of each value that is given over named sets."""
    return {name: table.field(name).axes() for name, entry in table.object().value.items() if isinstance(entry, dict)}


def _objective(name: str, place: Place) -> Objective:
    sense: Any = place.field("sense").one_of(get_args(Sense))
    return Objective(name, sense, place.field("objective").optional(Place.number))


def _verification(place: Place) -> Verification:
    numbers = ("lower_gap", "upper_violation", "lower_violation", "hypergradient_norm", "global_bound", "global_gap")
    return Verification(
        lower_gap_method=place.field("lower_gap_method").text(),
        tolerance=place.field("tolerance").number(),
        **{name: place.field(name).optional(Place.number) for name in numbers},
    )


def _work(place: Place) -> Work:
    counts = place.object().value
    given = [f.name for f in fields(Work) if f.name in counts and f.name != "epochs"]
    epochs = place.field("epochs").number() if "epochs" in counts else 0.0
    return Work(**{name: place.field(name).integer() for name in given}, epochs=epochs)


def _certificate(place: Place) -> Mapping[str, Any]:
    for name in ("of", "fact", "verdict"):
        place.field(name).text()
    return place.object().value


@dataclass(frozen=True)
class Place:
    """A value in the object, and the way to it for messages: `verification.lower_gap`."""

    path: str
    value: Any

    def object(self) -> Place:
        return self if isinstance(self.value, dict) else self.expected("an object")

    def field(self, name: str) -> Place:
        entries = self.object().value
        path = f"{self.path}.{name}" if self.path else name
        if name not in entries:
            fail("E632", f"the solution lacks `{printable(path)}`", MEND)
        return Place(path, entries[name])

    def mapping(self, read: Callable[[Place], T]) -> dict[str, T]:
        return {name: read(self.field(name)) for name in self.object().value}

    def sequence(self, read: Callable[[Place], T]) -> tuple[T, ...]:
        if not isinstance(self.value, list):
            self.expected("a list")
        return tuple(read(Place(f"{self.path}[{i}]", entry)) for i, entry in enumerate(self.value))

    def optional(self, read: Callable[[Place], T]) -> T | None:
        return None if self.value is None else read(self)

    def text(self) -> str:
        return self.value if isinstance(self.value, str) else self.expected("a text")

    def one_of(self, choices: Any) -> str:
        if self.text() not in choices:
            fail("E632", f"`{self.path}` is {quote(self.value)} in the solution", instead_of(self.value, choices))
        return self.value

    def integer(self) -> int:
        if type(self.value) is not int or not 0 <= self.value < 2**63:
            self.expected("a whole number from 0 to 2^63")
        return self.value

    def number(self) -> float:
        """A number; those that are not finite are texts."""
        if type(self.value) is str and self.value in NON_FINITE:
            return NON_FINITE[self.value]
        if type(self.value) not in (int, float) or not -LARGEST <= self.value <= LARGEST:
            self.expected('a number, "inf", "-inf" or "nan"')
        return float(self.value)

    def setting(self) -> str | float | bool | None:
        if self.value is None or isinstance(self.value, (bool, str)):
            return self.value
        return self.number()

    def array(self) -> Value:
        """A number, or nested lists of equal length as a float64 array."""
        import numpy as np

        if not isinstance(self.value, list):
            return self.number()
        level: list[Any] = [self.value]
        shape: tuple[int, ...] = ()
        while level and isinstance(level[0], list):
            length = len(level[0])
            if any(not isinstance(entry, list) or len(entry) != length for entry in level):
                self.expected("nested lists of equal length")
            shape = (*shape, length)
            level = [inner for entry in level for inner in entry]
        for position, entry in enumerate(level):
            if type(entry) is not float or abs(entry) > LARGEST:
                index = "".join(f"[{i}]" for i in np.unravel_index(position, shape))
                level[position] = Place(self.path + index, entry).number()
        return np.array(level, dtype=np.float64).reshape(shape)

    def value_array(self) -> Value:
        """An array, also in the form with the members of its axes."""
        import numpy as np

        if not isinstance(self.value, dict):
            return self.array()
        shape = tuple(len(axis.members) for axis in self.axes())
        flat = np.asarray(self.field("data").array())
        if flat.shape != (int(np.prod(shape)),):
            self.field("data").expected("as many numbers as the index has rows")
        return flat.reshape(shape)

    def axes(self) -> Axes:
        """The axes of a value over named sets: members in the order in which the index first names them."""
        names = self.field("axes").sequence(Place.text)
        rows = self.field("index").sequence(lambda row: row.sequence(Place.member))
        if any(len(row) != len(names) for row in rows):
            self.field("index").expected("rows with one member for each axis")
        members = [tuple(dict.fromkeys(row[k] for row in rows)) for k in range(len(names))]
        if rows != tuple(product(*members)):
            self.field("index").expected("every combination of members once, the last axis fastest")
        return tuple(AxisMembers(name, found) for name, found in zip(names, members, strict=True))

    def member(self) -> Member:
        """A label, or a list of labels as a tuple."""
        if isinstance(self.value, list):
            return self.sequence(Place.label)
        return self.label()

    def label(self) -> str | int:
        if isinstance(self.value, str) or type(self.value) is int:
            return self.value
        return self.expected("a text or a whole number")

    def expected(self, what: str) -> NoReturn:
        where = f"`{printable(self.path)}`" if self.path else "the solution"
        fail("E632", f"{where} must be {what}, not {kind(self.value)}", MEND)


def _require_shallow(data: Any) -> None:
    """Bound the depth level by level: nothing here recurses into a value before this."""
    level = [data]
    for _ in range(DEPTH):
        nested = [entry for entry in level if isinstance(entry, (dict, list))]
        if not nested:
            return
        level = [inner for entry in nested for inner in (entry.values() if isinstance(entry, dict) else entry)]
    fail("E631", "the solution is nested too deep")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"write {name} as a text")


def fail(code: str, message: str, help: str = "") -> NoReturn:
    raise BlvError([Diagnostic(code, message, help=help)])
