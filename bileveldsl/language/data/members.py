"""Labels, and the members of sets that they make: what counts as one, and how each is found and shown."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice, repeat
from typing import Any, TypeAlias

import numpy as np

from bileveldsl.language.data.request import Request, quote, some
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.language.suggest import closest

Label: TypeAlias = str | int
Member: TypeAlias = Label | tuple[Label, ...]

LABEL_GROWTH = 64  # bytes of memory that a column of distinct labels takes for one byte in a file, at worst
COMPARED = 1000  # members that a misspelt one is compared with


@dataclass(frozen=True, eq=False)
class LabelledAxis:
    """One axis of a parameter: a set with its members in order, or a dim of known size with the labels 0..n-1."""

    name: str
    arity: int  # labels that make one member
    members: Sequence[Member] | int

    @property
    def size(self) -> int:
        return self.members if isinstance(self.members, int) else len(self.members)

    @cached_property
    def _members(self) -> Sequence[Member]:
        return range(self.members) if isinstance(self.members, int) else self.members

    @cached_property
    def _positions(self) -> dict[Hashable, int]:
        columns: list[Any] = [self._members] if self.arity == 1 else list(zip(*self._members, strict=True))
        return dict(zip(spellings(columns), count()))

    def member(self, position: int) -> Member:
        return self._members[position]

    def locate(self, columns: Sequence[Sequence[Label]]) -> np.ndarray:
        """For each row of labels the position of the member that reads so, or -1."""
        return np.fromiter(map(self._positions.get, spellings(columns), repeat(-1)), np.int64, len(columns[0]))

    def instead_of(self, member: Member) -> str:
        """The mend for an unknown member: the nearest one, and what there is."""
        known = list(map(show, islice(self._members, COMPARED)))
        near = closest(show(member), known)
        return (f"did you mean {near}? " if near else "") + f"{self.name} has {some(known, self.size) or 'no members'}"


@dataclass(frozen=True)
class Labels:
    """Columns of labels as data holds them, with words for the data and for the place of each row in it."""

    columns: Sequence[Sequence[Label]]
    subject: str
    place: Callable[[int], str]

    def member(self, row: int, first: int = 0, arity: int | None = None) -> Member:
        """The member that `arity` columns from `first` on make in a row."""
        labels = tuple(column[row] for column in self.columns[first:][:arity])
        return labels if len(labels) > 1 else labels[0]

    def distinct(self, request: Request) -> list[Member]:
        """The rows as the members of a set, in which each stands once."""
        first = first_rows(spellings(self.columns))
        again = np.flatnonzero(first != np.arange(len(first)))
        if len(again):
            row = int(again[0])
            raise self.repeated(show(self.member(row)), int(first[row]), row, len(again), request)
        return list(self.columns[0] if len(self.columns) == 1 else zip(*self.columns, strict=True))

    def repeated(self, what: str, first: int, row: int, number: int, request: Request) -> BlvError:
        """The refusal of data in which `number` rows repeat earlier ones, `row` first of all."""
        others = f" ({number} rows repeat earlier ones)" if number > 1 else ""
        message = f"{self.subject} holds {what} twice: {self.place(first)} and {self.place(row)}{others}"
        return request.error("E416", message, "take one of them out, or correct its labels")


def spellings(columns: Sequence[Iterable[Label]]) -> Iterable[Hashable]:
    """What identifies each row: the text of its labels, since csv files and json keys do not tell "1" from 1."""
    texts = [map(str, column) for column in columns]
    return texts[0] if len(texts) == 1 else zip(*texts, strict=True)


def first_rows(keys: Iterable[Hashable]) -> np.ndarray:
    """For each key the row in which it stands first."""
    first: dict[Hashable, int] = {}
    return np.fromiter(map(first.setdefault, keys, count()), np.int64)


def require_labels(entries: Sequence[Any], subject: str, place: Callable[[int], str], request: Request) -> None:
    """Refuse what is neither text nor an integer."""
    if set(map(type, entries)) <= {str, int} and "" not in entries:
        return
    row = next(i for i, entry in enumerate(entries) if type(entry) not in (str, int) or entry == "")
    message = f"{subject} {place(row)}: {_kind(entries[row])} is not a label"
    raise request.error("E417", message, "labels are text or integers: fill in or rewrite such entries")


def show(member: Member) -> str:
    """A member as the language writes it: `"a"`, `3` or `("a", 3)`."""
    match member:
        case tuple():
            return f"({', '.join(map(show, member))})"
        case str():
            return quote(member)
        case _:
            return str(member)


def _kind(entry: Any) -> str:
    """What a person calls an entry that is no label."""
    match entry:
        case str():
            return "empty text"
        case None:
            return "a missing entry"
        case float():
            return f"the number {entry}"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"the {type(entry).__name__} {quote(str(entry))}"
