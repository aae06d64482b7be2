"""A model over arrays: symbols, labels, nodes, and the scalar functions of nodes in one table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bileveldsl.certify.check.ranges import End
from bileveldsl.certify.check.terms import Rejected, Table

NODES = 50_000
"""Nodes that a statement may have; a proof may ask for ten times as many."""


@dataclass(frozen=True)
class Symbol:
    """A variable with the bounds of its elements (one, if all are equal), or data with their values."""

    name: str
    level: str
    sizes: tuple[int, ...]
    lower: Sequence[End] = ()
    upper: Sequence[End] = ()
    integer: bool = False
    values: Sequence[float] | None = None

    @property
    def is_data(self) -> bool:
        return self.values is not None


@dataclass(frozen=True)
class Node:
    """An operation on nodes; `labels` are the indices of its elements, `bound` those of its children that it ends.

    For a selection or a scattering `at` holds pairs of a label and a number of positions.
    """

    kind: str
    children: tuple[int, ...]
    labels: tuple[int, ...]
    bound: tuple[int, ...] = ()
    at: tuple[tuple[int, int], ...] = ()
    along: int | None = None
    symbol: int = -1


@dataclass(frozen=True)
class Constraint:
    label: str
    level: str
    node: int
    relation: str


@dataclass(frozen=True, eq=False)
class Model:
    """A statement of the form "array".

    `scalar[k]` is node k as a node of `table`: the variable with index k, or for a "map" the function of such
    variables that it is. `sizes` are those of the labels. Labels and nodes may be added to those of the statement.
    """

    table: Table
    sizes: list[int]
    symbols: tuple[Symbol, ...]
    positions: tuple[int | Sequence[int], ...]
    nodes: list[Node]
    scalar: list[int]
    functions: Mapping[str, int]
    constraints: tuple[Constraint, ...]
    conditions: tuple[tuple[int, str], ...]
    origin: dict[int, int] = field(default_factory=dict)
    """For each node of the table made by renaming labels that which it was made from."""
    _known: dict[Any, int] = field(default_factory=dict)

    def fresh(self, labels: Iterable[int]) -> dict[int, int]:
        """A new label of the same size for each label."""
        names = {}
        for label in labels:
            names[label] = len(self.sizes)
            self.sizes.append(self.sizes[label])
        return names

    def renamed(self, scalar: int, names: Mapping[int, int]) -> int:
        """A node of the table with labels renamed; the new ones must occur nowhere below it."""
        values = {}
        for k in self.table.variables([scalar]):
            if set(self.nodes[k].labels) & names.keys():
                values[self.table.var(k)] = self._renamed(k, names)
        below = self.table.reachable([scalar])
        made = self.table.substituted(below, values)
        self.origin.update((new, self.origin.get(old, old)) for old, new in zip(below, made, strict=True) if new != old)
        return made[below.index(scalar)]

    def _renamed(self, k: int, names: Mapping[int, int]) -> int:
        """The variable of the table that stands for a renamed node."""
        node = self.nodes[k]
        key = (k, tuple(sorted((a, b) for a, b in names.items() if a in node.labels)))
        if key not in self._known:
            inner: dict[int, int] = dict(key[1])
            children = []
            for child in node.children:
                scalar = self.renamed(self.scalar[child], {a: b for a, b in inner.items() if a not in node.bound})
                children.append(self.node_of(scalar))
            labels = tuple(inner.get(a, a) for a in node.labels)
            at = node.at if node.kind == "select" else tuple((inner.get(a, a), p) for a, p in node.at)
            along = node.along
            if along is not None and node.kind == "select":
                along = inner.get(along, along)
            self._known[key] = self._add(replace(node, children=tuple(children), labels=labels, at=at, along=along))
        return self.scalar[self._known[key]]

    def node_of(self, scalar: int) -> int:
        """A node that a node of the table stands for: its own, or a map."""
        if self.table.operation[scalar] == "var":
            found: int = self.table.value[scalar]
            return found
        key = ("map", scalar)
        if key not in self._known:
            atoms = sorted(self.table.variables([scalar]))
            labels = tuple(dict.fromkeys(a for k in atoms for a in self.nodes[k].labels))
            self._known[key] = self._add(Node("map", tuple(atoms), labels), scalar)
        return self._known[key]

    def _add(self, node: Node, scalar: int | None = None) -> int:
        if len(self.nodes) >= 10 * NODES:
            raise Rejected("a proof asks for too many nodes")
        self.nodes.append(node)
        self.scalar.append(self.table.var(len(self.nodes) - 1) if scalar is None else scalar)
        return len(self.nodes) - 1

    def labels_of(self, scalar: int) -> frozenset[int]:
        """The labels of a node of the table."""
        return frozenset(a for k in self.table.variables([scalar]) for a in self.nodes[k].labels)

    def size(self, labels: Iterable[int]) -> int:
        return math.prod(self.sizes[a] for a in labels)
