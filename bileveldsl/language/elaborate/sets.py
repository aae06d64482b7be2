"""Index sets: ordered members, and fast ways from labels to positions.

Labels live in universes. A component of a tuple set that is `within` another set shares that set's universe, so that
indices of both can be compared, joined and looked up as whole numbers, without a Python loop over members.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
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

    def codes(self, labels: Sequence[Label]) -> np.ndarray:
        """The code of each label, -1 for one that is not there; labels are the same when their texts are."""
        if isinstance(self.labels, range) and set(map(type, labels)) == {int}:
            with suppress(OverflowError):  # of a label beyond int64, which is found by its text
                codes = np.fromiter(labels, np.int64, len(labels)) - self.labels.start
                return np.where((codes >= 0) & (codes < self.size), codes, -1)
        return np.fromiter(map(self._codes.get, map(str, labels), repeat(-1)), np.int64, len(labels))

    @property
    def size(self) -> int:
        return len(self.labels)

    def translate(self, other: Universe) -> np.ndarray:
        """For each of this universe's codes the code of the same label in another one, or -1."""
        if other is self:
            return np.arange(self.size)
        return other.codes(self.labels)


@dataclass(frozen=True)
class Column:
    """One component of the members of a set: a code in a universe for each."""

    universe: Universe
    codes: np.ndarray

    def taken(self, rows: np.ndarray) -> Column:
        return Column(self.universe, self.codes[rows])

    def spread(self, place: int, rank: int) -> Column:
        """The same along one of several axes."""
        return Column(self.universe, self.codes.reshape([-1 if k == place else 1 for k in range(rank)]))

    def into(self, universe: Universe) -> np.ndarray:
        """The codes of the same labels in another universe, -1 where it lacks one."""
        return self.codes if universe is self.universe else self.universe.translate(universe)[self.codes]

    @property
    def values(self) -> np.ndarray | None:
        """The labels as numbers, when they all are numbers."""
        labels = self.universe.labels
        if isinstance(labels, range):
            return labels.start + self.codes.astype(np.float64)
        if any(isinstance(label, str) for label in labels):
            return None
        return np.array(labels, dtype=np.float64)[self.codes]

    @property
    def shown(self) -> list[Label]:
        """The labels themselves, in order."""
        return list(map(self.universe.labels.__getitem__, self.codes.tolist()))


def single(label: Label) -> Column:
    """The column of one label, everywhere."""
    return Column(Universe((label,)), np.zeros((), dtype=np.int64))


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
        columns: list[Any] = [column.shown for column in self.columns]
        return columns[0] if self.arity == 1 else list(zip(*columns, strict=True))

    @cached_property
    def _tree(self) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """The distinct first labels, the distinct pairs of these with second labels, and so on, as sorted numbers.

        Each pair is of a position among the numbers before and a code, so that no number grows with the arity. Then
        for each of the last numbers the first member that it stands for, and for each member its position among them.
        """
        levels, first, left = [], np.zeros(0, dtype=np.int64), np.zeros(self.dim.size, dtype=np.int64)
        for column in self.columns:
            pairs = left * column.universe.size + column.codes
            distinct, first, left = np.unique(pairs, return_index=True, return_inverse=True)
            levels.append(distinct)
        return levels, first, left

    @property
    def first_positions(self) -> np.ndarray:
        """For each member the position where it stands first."""
        _, first, own = self._tree
        return first[own]

    def positions(self, columns: Sequence[Column]) -> np.ndarray:
        """For labels that together make a grid the position of each member in this set, or -1."""
        shape = np.broadcast_shapes(*(column.codes.shape for column in columns))
        if not self.dim.size:
            return np.full(shape, -1)
        levels, first, _ = self._tree
        at, found = np.zeros((), dtype=np.int64), np.ones((), dtype=bool)
        for own, given, distinct in zip(self.columns, columns, levels, strict=True):
            codes = given.into(own.universe)
            wanted = at * own.universe.size + codes
            at = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
            found = found & (codes >= 0) & (distinct[at] == wanted)
        return np.where(np.broadcast_to(found, shape), first[at], -1)


def plain_set(dim: Dim) -> IndexSet:
    """The index set that a dim is: 0..size-1."""
    return IndexSet(dim, (Column(Universe(range(dim.size)), np.arange(dim.size)),))


def integer_set(name: str, labels: range) -> IndexSet:
    """The whole numbers of a range."""
    return IndexSet(Dim(name, len(labels)), (Column(Universe(labels), np.arange(len(labels))),))


def make_set(name: str, members: Sequence[Any], within: Sequence[IndexSet]) -> tuple[IndexSet, int | None]:
    """A set of members, and the position of the first member that `within` lacks, if any.

    `within` is empty, one set of the same arity, or one set of labels for each component.
    """
    if isinstance(members, range) and not within:
        return integer_set(name, members), None
    parents = [column for parent in within for column in parent.columns]
    columns = []
    for k, labels in enumerate(zip(*members, strict=True) if isinstance(members[0], tuple) else [members]):
        universe = parents[k].universe if parents else Universe(tuple({str(label): label for label in labels}.values()))
        columns.append(Column(universe, universe.codes(labels)))
    result = IndexSet(Dim(name, len(members)), tuple(columns))
    outside = np.zeros(len(members), dtype=bool)
    start = 0
    for parent in within:
        part = columns[start : start + parent.arity]
        start += parent.arity
        known = np.all([column.codes >= 0 for column in part], axis=0)
        inside = parent.positions([Column(c.universe, np.maximum(c.codes, 0)) for c in part]) >= 0
        outside |= ~(known & inside)
    first = int(np.argmax(outside)) if outside.any() else None
    return result, first
