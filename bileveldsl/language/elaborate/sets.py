"""Index sets: ordered members, and fast ways from labels to positions.

Labels live in universes. A component of a tuple set that is `within` another set shares that set's universe, so that
indices of both can be compared, joined and looked up as whole numbers, without a Python loop over members.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import Dim
from bileveldsl.program import Label, Member


@dataclass(frozen=True, eq=False)
class Universe:
    """Distinct labels with codes 0, 1, ...; a plain count n stands for the labels 0..n-1."""

    labels: Sequence[Label]

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {str(label): code for code, label in enumerate(self.labels)}

    def codes(self, labels: Iterable[Label]) -> np.ndarray:
        """The code of each label, -1 for one that is not there; labels are the same when their texts are."""
        return np.array([self._codes.get(str(label), -1) for label in labels], dtype=np.int64)

    @property
    def size(self) -> int:
        return len(self.labels)

    def translate(self, other: Universe) -> np.ndarray:
        """For each of this universe's codes the code of the same label in another one, or -1."""
        if other is self:
            return np.arange(self.size)
        if isinstance(self.labels, range) and isinstance(other.labels, range):
            codes = np.asarray(self.labels, dtype=np.int64) - (other.labels.start if other.size else 0)
            return np.where((codes >= 0) & (codes < other.size), codes, -1)
        return other.codes(self.labels)


@dataclass(frozen=True)
class Column:
    """One component of the members of a set: a code in a universe for each."""

    universe: Universe
    codes: np.ndarray

    def taken(self, rows: np.ndarray) -> Column:
        return Column(self.universe, self.codes[rows])

    def into(self, universe: Universe) -> np.ndarray:
        """The codes of the same labels in another universe, -1 where it lacks one."""
        return self.codes if universe is self.universe else self.universe.translate(universe)[self.codes]

    @property
    def values(self) -> np.ndarray | None:
        """The labels as numbers, when they all are numbers."""
        labels = self.universe.labels
        if isinstance(labels, range):
            return np.asarray(labels, dtype=np.float64)[self.codes]
        if any(isinstance(label, str) for label in labels):
            return None
        return np.array(labels, dtype=np.float64)[self.codes]

    def label(self, position: int) -> Label:
        return self.universe.labels[int(self.codes[position])]


@dataclass(frozen=True, eq=False)
class IndexSet:
    """An ordered set of labels or tuples of labels; as an axis it is `dim`, and takes `arity` subscripts."""

    dim: Dim
    columns: tuple[Column, ...]

    @property
    def arity(self) -> int:
        return len(self.columns)

    @property
    def name(self) -> str:
        return self.dim.name

    @cached_property
    def members(self) -> list[Member]:
        """The labels, or tuples of labels, in order."""
        columns: list[Any] = [[column.label(k) for k in range(self.dim.size)] for column in self.columns]
        return columns[0] if self.arity == 1 else list(zip(*columns, strict=True))

    @cached_property
    def _sorted_keys(self) -> tuple[np.ndarray, np.ndarray]:
        keys = self._keys([column.codes for column in self.columns])
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def _keys(self, codes: Sequence[np.ndarray]) -> np.ndarray:
        keys = np.zeros(np.shape(codes[0]), dtype=np.int64)
        for column, part in zip(self.columns, codes, strict=True):
            keys = keys * column.universe.size + part
        return keys

    def positions(self, columns: Sequence[Column]) -> np.ndarray:
        """For each row of labels the position of that member in this set, or -1."""
        codes = [given.into(own.universe) for given, own in zip(columns, self.columns, strict=True)]
        missing = np.any([part < 0 for part in codes], axis=0)
        keys, order = self._sorted_keys
        if not len(keys):
            return np.full(np.shape(codes[0]), -1)
        wanted = self._keys(codes)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where((keys[at] == wanted) & ~missing, order[at], -1)


def plain_set(dim: Dim) -> IndexSet:
    """The index set that a dim is: 0..size-1."""
    return IndexSet(dim, (Column(Universe(range(dim.size)), np.arange(dim.size)),))


def integer_set(name: str, first: int, last: int) -> IndexSet:
    """The whole numbers first..last, both included."""
    labels = range(first, last + 1)
    return IndexSet(Dim(name, len(labels)), (Column(Universe(labels), np.arange(len(labels))),))


def make_set(name: str, members: Sequence[Any], within: Sequence[IndexSet]) -> tuple[IndexSet, int | None]:
    """A set of members, and the position of the first member that `within` lacks, if any.

    `within` is empty, one set of the same arity, or one set of labels for each component.
    """
    rows = [member if isinstance(member, tuple) else (member,) for member in members]
    arity = len(rows[0]) if rows else sum(parent.arity for parent in within) or 1
    parents = [column for parent in within for column in parent.columns]
    columns = []
    for k in range(arity):
        labels = [row[k] for row in rows]
        if parents:
            universe = parents[k].universe
        else:
            universe = Universe(tuple({str(label): label for label in labels}.values()))
        columns.append(Column(universe, universe.codes(labels)))
    result = IndexSet(Dim(name, len(rows)), tuple(columns))
    outside = np.zeros(len(rows), dtype=bool)
    start = 0
    for parent in within:
        part = columns[start : start + parent.arity]
        start += parent.arity
        known = np.all([column.codes >= 0 for column in part], axis=0)
        inside = parent.positions([Column(c.universe, np.maximum(c.codes, 0)) for c in part]) >= 0
        outside |= ~(known & inside)
    first = int(np.argmax(outside)) if outside.any() else None
    return result, first
