"""Ranges of the nodes of a model over arrays: of every element where there are few, else one for all elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.array_model import Model, Node
from bileveldsl.certify.check.elementary import FUNCTIONS, power
from bileveldsl.certify.check.enclosures import Enclosure
from bileveldsl.certify.check.goals import CONDITIONS
from bileveldsl.certify.check.ranges import ZERO, Range, greatest, least, number
from bileveldsl.certify.check.terms import Rejected

FEW = 1 << 14
"""Elements up to which each has a range of its own."""


@dataclass(frozen=True, eq=False)
class Field:
    """Ranges over some labels, the last running fastest; along all other labels they are the same."""

    labels: tuple[int, ...]
    values: Sequence[Range]

    @property
    def whole(self) -> Range:
        """One range for all elements."""
        return hull(self.values)

    @property
    def defined(self) -> bool:
        return all(r.defined for r in self.values)


def hull(ranges: Sequence[Range]) -> Range:
    lo, hi = least(*(r.lo for r in ranges)), greatest(*(r.hi for r in ranges))
    return Range(lo, hi, all(r.apart for r in ranges), all(r.defined for r in ranges))


def places(labels: Sequence[int], wanted: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """For each element over the wanted labels the place of its value among those over `labels`, which they hold."""
    if not set(labels) <= set(wanted):
        raise Rejected("labels do not fit each other")
    strides, stride = {}, 1
    for label in reversed(labels):
        strides[label] = stride
        stride *= sizes[label]
    found = [0]
    for label in wanted:
        step = strides.get(label, 0)
        found = [p + step * i for p in found for i in range(sizes[label])]
    return found


def strides_of(labels: Sequence[int], sizes: Sequence[int]) -> dict[int, int]:
    """By label the distance of elements that differ by one in it."""
    found, stride = {}, 1
    for label in reversed(labels):
        found[label] = stride
        stride *= sizes[label]
    return found


def offsets(labels: Sequence[int], strides: Mapping[int, int], sizes: Sequence[int]) -> Sequence[int]:
    """How far the elements over some labels are from the first."""
    if len(labels) == 1 and strides[labels[0]]:
        step = strides[labels[0]]
        return range(0, step * sizes[labels[0]], step)
    found = [0]
    for label in labels:
        found = [p + strides[label] * i for p in found for i in range(sizes[label])]
    return found


def at_offsets(numbers: Sequence[Any], start: int, offsets: Sequence[int]) -> Sequence[Any]:
    """The elements that are so far from one."""
    if offsets and offsets[-1] - offsets[0] == len(offsets) - 1:  # they stand beside each other
        return numbers[start + offsets[0] : start + offsets[-1] + 1]
    return [numbers[start + p] for p in offsets]


class ArrayRanges:
    """The ranges of nodes where all variables lie in their bounds and the conditions hold."""

    def __init__(self, model: Model, conditions: Sequence[tuple[int, str]]):
        self.model = model
        self.conditions = tuple(conditions)
        self._relations: dict[int, list[str]] = {}
        for node, relation in conditions:
            self._relations.setdefault(model.scalar[node], []).append(relation)
        self._fields: dict[int, Field] = {}
        self._scalars: dict[int, Field] = {}

    def relations(self, scalar: int) -> list[str]:
        """The conditions on a node of the table, whatever its labels are."""
        return self._relations.get(self.model.origin.get(scalar, scalar), [])

    def known(self, scalar: int) -> dict[int, Range]:
        """The ranges that conditions give to the nodes of the table below one, without its variables."""
        if not self._relations:
            return {}
        table = self.model.table
        found: dict[int, Range] = {}
        for each in table.reachable([scalar]):
            if table.operation[each] != "var":
                for relation in self.relations(each):
                    limit = CONDITIONS[relation]
                    found[each] = found[each].meet(limit) if each in found else limit
        return found

    def __call__(self, scalar: int) -> Field:
        """Of a node of the table."""
        if scalar not in self._scalars:
            self._scalars[scalar] = self._function(scalar)
        return self._scalars[scalar]

    def node(self, k: int) -> Field:
        if k not in self._fields:
            for each in self._below(k):
                field = self._field(each)
                if self.model.nodes[each].kind != "map":
                    for relation in self.relations(self.model.scalar[each]):
                        field = Field(field.labels, [r.meet(CONDITIONS[relation]) for r in field.values])
                self._fields[each] = field
        return self._fields[k]

    def _below(self, k: int) -> list[int]:
        """The nodes that are not known yet and of which a node is made, in order."""
        seen, stack = {k}, [k]
        while stack:
            fresh = {c for c in self.model.nodes[stack.pop()].children if c not in self._fields} - seen
            seen |= fresh
            stack += fresh
        return sorted(seen)

    # ---- functions of scalars ----

    def _function(self, scalar: int) -> Field:
        table = self.model.table
        atoms = sorted(table.variables([scalar]))
        fields = [self.node(k) for k in atoms]
        return self.function(scalar, dict(zip(atoms, fields, strict=True)))

    def function(self, scalar: int, fields: Mapping[int, Field]) -> Field:
        """A node of the table where the variables with some indices lie in given fields."""
        value = Enclosure(self.model.table, [scalar], self.known(scalar))
        labels, columns = self.together(list(fields.values()))
        rows = zip(*columns, strict=True) if columns else [()]
        return Field(labels, [value(dict(zip(fields, row, strict=True)))[0] for row in rows])

    def together(
        self, fields: Sequence[Field], names: Sequence[Mapping[int, int]] | None = None
    ) -> tuple[tuple[int, ...], list[list[Range]]]:
        """Fields over common labels; one range for each if these have many elements.

        `names` gives for each field other names of its labels.
        """
        named = [tuple(n.get(a, a) for a in f.labels) for f, n in zip(fields, names or [{}] * len(fields), strict=True)]
        labels = tuple(dict.fromkeys(a for own in named for a in own))
        if self.model.size(labels) > FEW:
            return (), [[f.whole] for f in fields]
        sizes = self.model.sizes
        aligned = zip(fields, named, strict=True)
        return labels, [[f.values[p] for p in places(own, labels, sizes)] for f, own in aligned]

    # ---- nodes ----

    def _field(self, k: int) -> Field:
        node = self.model.nodes[k]
        if node.kind == "map":
            return self(self.model.scalar[k])
        inside = [self._fields[c] for c in node.children]
        if node.kind == "leaf":
            return self._leaf(node)
        if node.kind == "delta":
            return Field((), [Range(ZERO, fmpq(1))])
        if node.kind == "contract":
            return self._sum_of_products(node, inside)
        if node.kind == "select":
            return self._select(node, inside[0])
        if node.kind == "scatter":
            return self.scattered(inside[0], node)
        return self._reduce(node, inside[0])

    def _leaf(self, node: Node) -> Field:
        symbol = self.model.symbols[node.symbol]
        count = self.model.size(node.labels)
        if symbol.values is not None:
            if 0 < count <= FEW:
                return Field(node.labels, [number(fmpq(*v.as_integer_ratio())) for v in symbol.values])
            ends = (min(symbol.values), max(symbol.values)) if count else (0.0, 0.0)
            low, high = (fmpq(*v.as_integer_ratio()) for v in ends)
            return Field((), [Range(low, high)])
        bounds = [(low, high) for low in symbol.lower for high in symbol.upper]
        if len(symbol.lower) > 1 or len(symbol.upper) > 1:
            bounds = [(symbol.lower[i % len(symbol.lower)], symbol.upper[i % len(symbol.upper)]) for i in range(count)]
        ranges = [Range(low, high) for low, high in bounds]
        return Field(node.labels, ranges) if 1 < len(ranges) <= FEW else Field((), [hull(ranges)])

    def _sum_of_products(self, node: Node, inside: Sequence[Field]) -> Field:
        powers = Counter(node.children)
        fields = dict(zip(node.children, inside, strict=True))
        labels, columns = self.together([fields[c] for c in powers])
        factors = [[power(r, fmpq(n)) if n > 1 else r for r in column]
                   for column, n in zip(columns, powers.values(), strict=True)]  # fmt: skip
        products = [reduce(lambda a, b: a * b, row) for row in zip(*factors, strict=True)]
        return self.total(Field(labels, products), node.bound)

    def total(self, field: Field, over: Sequence[int]) -> Field:
        """The sum over labels."""
        sizes = self.model.sizes
        kept = tuple(a for a in field.labels if a not in over)
        times = self.model.size([a for a in over if a not in field.labels])
        targets = places(kept, field.labels, sizes)
        sums: list[Range | None] = [None] * self.model.size(kept)
        for target, value in zip(targets, field.values, strict=True):
            before = sums[target]
            sums[target] = value if before is None else before + value
        ranges = [number(0) if r is None else r for r in sums]
        return Field(kept, [r * number(times) for r in ranges] if times != 1 else ranges)

    def _select(self, node: Node, inside: Field) -> Field:
        moved = [label for label, _ in node.at if label in inside.labels]
        if not moved:
            return inside
        if self.model.size(node.labels) > FEW:
            return Field((), [inside.whole])
        maps = dict(node.at)
        labels = tuple(a for a in inside.labels if a not in maps)
        along = [node.along] if node.along is not None else []
        wanted = (*labels, *along)
        sizes, found = self.model.sizes, [0] * self.model.size(wanted)
        stride = 1
        for label in reversed(inside.labels):
            if label in maps:
                where = self.model.positions[maps[label]]
                steps = places(along, wanted, sizes) if not isinstance(where, int) else [0] * len(found)
                each = [where] if isinstance(where, int) else where
                found = [p + stride * each[k] for p, k in zip(found, steps, strict=True)]
            else:
                own = places((label,), wanted, sizes)
                found = [p + stride * k for p, k in zip(found, own, strict=True)]
            stride *= sizes[label]
        return Field(wanted, [inside.values[p] for p in found])

        return self.scattered(inside, node)

    def scattered(self, inside: Field, node: Node) -> Field:
        """The elements of a field along a label added at the positions of a node."""
        if self.model.size(node.labels) > FEW:
            return Field((), [self._everywhere(node, inside)])
        sizes, targets = self.model.sizes, tuple(label for label, _ in node.at)
        along = () if node.along is None else (node.along,)
        rest = tuple(a for a in inside.labels if a not in along)
        labels = (*rest, *targets)
        count = self.model.size(along)
        where = [self.model.positions[k] for _, k in node.at]
        flat = []
        for k in range(count):
            place = 0
            for label, each in zip(targets, where, strict=True):
                place = place * sizes[label] + (each if isinstance(each, int) else each[k])
            flat.append(place)
        size = self.model.size(targets)
        sums: list[Range | None] = [None] * self.model.size(labels)
        source = places(inside.labels, (*rest, *along), sizes)
        for r in range(self.model.size(rest)):
            for k in range(count):
                place, value = r * size + flat[k], inside.values[source[r * count + k]]
                before = sums[place]
                sums[place] = value if before is None else before + value
        return Field(labels, [number(0) if r is None else r for r in sums])

    def _everywhere(self, node: Node, inside: Field) -> Range:
        """One range for all elements: each is the sum of as many as are added at its place, none at some."""
        along = () if node.along is None else (node.along,)
        count = self.model.size(along)
        where = [self.model.positions[k] for _, k in node.at]
        hits = Counter(tuple(w if isinstance(w, int) else w[k] for w in where) for k in range(count))
        counts = {0, *hits.values()}
        return hull([inside.whole * number(n) for n in counts])

    def _reduce(self, node: Node, inside: Field) -> Field:
        sizes = self.model.sizes
        if node.kind == "norm":
            squares = self.total(Field(inside.labels, [power(r, fmpq(2)) for r in inside.values]), node.bound)
            return Field(squares.labels, [power(r, fmpq(1, 2)) for r in squares.values])
        kept = tuple(a for a in inside.labels if a not in node.bound)
        groups: list[list[Range]] = [[] for _ in range(self.model.size(kept))]
        for target, value in zip(places(kept, inside.labels, sizes), inside.values, strict=True):
            groups[target].append(value)
        pick = least if node.kind == "min" else greatest
        defined = [all(r.defined for r in group) for group in groups]
        ends = [(pick(*(r.lo for r in g)), pick(*(r.hi for r in g))) for g in groups]
        ranges = [Range(lo, hi, False, d) for (lo, hi), d in zip(ends, defined, strict=True)]
        if node.kind == "logsumexp":  # max <= log-sum-exp <= max + log(count)
            extra = FUNCTIONS["log"](number(self.model.size(node.bound)))
            ranges = [r + Range(ZERO, extra.hi) for r in ranges]
        return Field(kept, ranges)
