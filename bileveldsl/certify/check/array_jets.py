"""The first terms of t -> f(point + t direction) for a function over arrays: values and two derivatives, in balls.

A jet holds the coefficients of 1, t and t^2 of every element of a node. Sums of products are taken a label at a time,
as products of matrices whose entries come from the data in blocks: no more is held than the elements of nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, mul
from typing import Any

from flint import arb, arb_mat

from bileveldsl.certify.check.array_model import Model, Node
from bileveldsl.certify.check.array_ranges import at_offsets, offsets, places, strides_of
from bileveldsl.certify.check.jet_functions import Coefficients, function
from bileveldsl.certify.check.terms import Rejected

_ELEMENTS = 1 << 21  # of a node that is not data
_WORK = 1 << 33  # multiplications of one sum of products
_WINDOW = 1 << 15  # elements of a label over which a sum is taken at once
_BLOCK = 1 << 16  # entries of data that are a matrix of balls at once

Numbers = Sequence[Any]
"""Balls, or the floats of data, which are exact."""


@dataclass(frozen=True, eq=False)
class Jets:
    """The coefficients of every element over some labels, the last running fastest; None for one that is 0."""

    labels: tuple[int, ...]
    orders: tuple[Numbers, Numbers | None, Numbers | None]

    @property
    def moves(self) -> bool:
        return self.orders[1] is not None or self.orders[2] is not None


class ArrayJets:
    """The jets of the nodes of a model at a point, along a direction; both give the elements of variables by symbol.

    A variable without values has none, and whatever it occurs in is rejected. `window` are some elements of a label:
    what is over that label is then computed for these alone.
    """

    def __init__(
        self,
        model: Model,
        point: Mapping[int, Numbers],
        direction: Mapping[int, Numbers],
        window: tuple[int, range] | None = None,
        base: ArrayJets | None = None,
    ):
        self.model = model
        self._sizes = list(model.sizes)
        self._point = point
        self._direction = direction
        self._window = window
        self._base = base
        if window is not None:
            self._sizes[window[0]] = len(window[1])
        self._nodes: dict[int, Jets] = {}
        self._scalars: dict[int, Jets] = {}

    def _size(self, labels: Iterable[int]) -> int:
        return math.prod(self._sizes[a] for a in labels)

    def _whole(self, labels: Iterable[int]) -> ArrayJets | None:
        """What computes that which is not over the label of the window."""
        return self._base if self._window is not None and self._window[0] not in labels else None

    def __call__(self, scalar: int) -> Jets:
        """Of a node of the table."""
        table = self.model.table
        for each in table.reachable([scalar]):
            if each not in self._scalars:
                whole = self._whole(self.model.labels_of(each))
                self._scalars[each] = self._function(each) if whole is None else whole(each)
        return self._scalars[scalar]

    def node(self, k: int) -> Jets:
        whole = self._whole(self.model.nodes[k].labels)
        if whole is not None:
            return whole.node(k)
        if k not in self._nodes:
            self._nodes[k] = self._of_node(k)
        return self._nodes[k]

    # ---- functions of scalars ----

    def _function(self, scalar: int) -> Jets:
        table = self.model.table
        operation, value = table.operation[scalar], table.value[scalar]
        if operation == "num":
            return Jets((), ([arb(value)], None, None))
        if operation == "var":
            return self.node(value)
        parts = [self._scalars[a] for a in table.arguments[scalar]]
        if operation == "+":
            return reduce(self._sum, parts)
        if operation == "*":
            return reduce(lambda a, b: self._product(a, b, frozenset()), parts)
        if operation == "^" and value == 2:
            return self._product(parts[0], parts[0], frozenset())
        return self._each(operation, value, parts)

    def _sum(self, a: Jets, b: Jets) -> Jets:
        labels = _joined(a, b)
        self._bounded(labels)
        sums: list[Numbers | None] = []
        for left, right in zip(a.orders, b.orders, strict=True):
            both = [self._over(n, own, labels) for n, own in ((left, a), (right, b)) if n is not None]
            sums.append(list(map(add, map(arb, both[0]), both[1])) if len(both) == 2 else both[0] if both else None)
        return Jets(labels, (sums[0] or [], sums[1], sums[2]))

    def _over(self, numbers: Numbers, jets: Jets, labels: tuple[int, ...]) -> Numbers:
        """The numbers of a jet over more labels."""
        if jets.labels == labels:
            return numbers
        if len(numbers) == 1:
            return [numbers[0]] * self._size(labels)
        return [numbers[p] for p in places(jets.labels, labels, self._sizes)]

    def _each(self, operation: str, value: Any, parts: Sequence[Jets]) -> Jets:
        """An operation on the elements of jets over whatever labels these have."""
        labels = _joined(*parts)
        self._bounded(labels)
        moves = any(part.moves for part in parts)
        rows = [list(self._elements(part, labels)) for part in parts]
        found = [function(operation, value, row) for row in zip(*rows, strict=True)] if rows else []
        if not rows:
            found = [function(operation, value, ())]
        first, second = ([_ball(c[k]) for c in found] if moves else None for k in (1, 2))
        return Jets(labels, ([c[0] for c in found], first, second))

    def _elements(self, jets: Jets, labels: Sequence[int]) -> Iterator[Coefficients]:
        where = range(len(jets.orders[0])) if jets.labels == labels else places(jets.labels, labels, self._sizes)
        zeroth, first, second = jets.orders
        for p in where:
            yield arb(zeroth[p]), None if first is None else first[p], None if second is None else second[p]

    def _bounded(self, labels: Iterable[int]) -> None:
        if self._size(labels) > _ELEMENTS:
            raise Rejected("an expression has too many elements to be computed at a point")

    # ---- nodes ----

    def _of_node(self, k: int) -> Jets:
        model, node = self.model, self.model.nodes[k]
        if node.kind == "map":
            return self(model.scalar[k])
        if node.kind == "leaf":
            return self._leaf(node)
        self._bounded(node.labels)
        if node.kind == "delta":
            size = self._sizes[node.labels[0]]
            return Jets(node.labels, ([arb(int(i == j)) for i in range(size) for j in range(size)], None, None))
        if node.kind == "contract" and (whole := self._in_windows(k, node)) is not None:
            return whole
        inside = [self.node(c) for c in node.children]
        if node.kind == "contract":
            return self._contract(inside, node)
        if node.kind in ("select", "scatter"):
            return self._moved(inside[0], node)
        return self._reduced(inside[0], node)

    def _leaf(self, node: Node) -> Jets:
        symbol = self.model.symbols[node.symbol]
        if symbol.values is not None:
            return Jets(node.labels, (self._seen(symbol.values, node.labels), None, None))
        if node.symbol not in self._point:
            raise Rejected(f"the point has no value for {symbol.name[:60]}")
        along = self._direction.get(node.symbol)
        first = None if along is None else self._seen(along, node.labels)
        return Jets(node.labels, (self._seen(self._point[node.symbol], node.labels), first, None))

    def _seen(self, numbers: Numbers, labels: tuple[int, ...]) -> Numbers:
        """The elements of a symbol that are in the window."""
        if self._window is None:
            return numbers
        label, elements = self._window
        inner = self._size(labels[labels.index(label) + 1 :])
        width, outer = self.model.sizes[label] * inner, self._size(labels[: labels.index(label)])
        slices = [slice(k * width + elements.start * inner, k * width + elements.stop * inner) for k in range(outer)]
        return numbers[slices[0]] if outer == 1 else [v for each in slices for v in numbers[each]]

    def _in_windows(self, k: int, node: Node) -> Jets | None:
        """A sum over a long label, some elements at a time; None where it is none, or they are met by positions."""
        long = [a for a in node.bound if self.model.sizes[a] > _WINDOW]
        if self._window is not None or len(long) != 1 or not self._is_plain(node, long[0]):
            return None
        total: Jets | None = None
        size = self.model.sizes[long[0]]
        for start in range(0, size, _WINDOW):
            window = (long[0], range(start, min(start + _WINDOW, size)))
            part = ArrayJets(self.model, self._point, self._direction, window, self)
            found = part._contract([part.node(c) for c in node.children], node)
            total = found if total is None else self._sum(total, found)
        return total

    def _is_plain(self, node: Node, label: int) -> bool:
        """Whether no position or identity below a node, as far as it is over the label, is of the label."""
        stack, seen = list(node.children), set(node.children)
        while stack:
            inside = self.model.nodes[stack.pop()]
            if label not in inside.labels:
                continue
            named = {*(a for a, _ in inside.at), inside.along}
            if inside.kind == "delta" or label in named:
                return False
            fresh = set(inside.children) - seen
            seen |= fresh
            stack += fresh
        return True

    def _moved(self, inside: Jets, node: Node) -> Jets:
        """Elements at positions, or added at positions."""
        sizes = self._sizes
        where = [self.model.positions[p] for _, p in node.at]
        fixed = node.kind == "select" and all(isinstance(each, int) for each in where)
        along = () if node.along is None or fixed else (node.along,)
        targets = tuple(label for label, _ in node.at)
        flat = []
        for k in range(self._size(along)):
            place = 0
            for label, each in zip(targets, where, strict=True):
                place = place * sizes[label] + (each if isinstance(each, int) else each[k])
            flat.append(place)
        width = self._size(targets)
        if node.kind == "select":
            rest = tuple(a for a in inside.labels if a not in targets)
            source = places(inside.labels, (*rest, *targets), sizes)
            taken = [source[r * width + p] for r in range(self._size(rest)) for p in flat]
            found = Jets((*rest, *node.labels[len(rest) :]), _each_order(inside, lambda n: [n[p] for p in taken]))
            return self._ordered(found, node.labels)
        rest = tuple(a for a in inside.labels if a not in along)
        source = places(inside.labels, (*rest, *along), sizes)

        def scattered(numbers: Numbers) -> Numbers:
            sums = [arb(0)] * (self._size(rest) * width)
            for k, p in enumerate(source):
                r, i = divmod(k, len(flat))
                place = r * width + flat[i]
                sums[place] = sums[place] + numbers[p]
            return sums

        return self._ordered(Jets((*rest, *targets), _each_order(inside, scattered)), node.labels)

    def _ordered(self, jets: Jets, labels: tuple[int, ...]) -> Jets:
        """The same over all of some labels in their order."""
        if jets.labels == labels:
            return jets
        self._bounded(labels)
        where = places(jets.labels, labels, self._sizes)
        return Jets(labels, _each_order(jets, lambda numbers: [numbers[p] for p in where]))

    def _reduced(self, inside: Jets, node: Node) -> Jets:
        """A norm, the logarithm of a sum of exponentials, or an extreme element, over labels."""
        kept = node.labels
        groups: list[list[Coefficients]] = [[] for _ in range(self._size(kept))]
        targets = places(kept, inside.labels, self._sizes)
        for target, element in zip(targets, self._elements(inside, inside.labels), strict=True):
            groups[target].append(element)
        found = [function(node.kind, None, group) for group in groups]
        first, second = ([_ball(c[k]) for c in found] if inside.moves else None for k in (1, 2))
        return Jets(kept, ([c[0] for c in found], first, second))

    # ---- sums of products ----

    def _contract(self, parts: Sequence[Jets], node: Node) -> Jets:
        """Sums out a label at a time, the one first for which the fewest elements are met."""
        left = list(parts)
        bound = set(node.bound)
        while bound:
            label = min(sorted(bound), key=lambda a: self._size(_union(p for p in left if a in p.labels)))
            met = [p for p in left if label in p.labels]
            left = [p for p in left if label not in p.labels]
            # Pairs first of what is small: data stand last and meet one product.
            met.sort(key=lambda p: self._size(p.labels))
            while len(met) > 2:
                met[:2] = [self._product(met[0], met[1], frozenset())]
            gone = frozenset(bound - _union(left)) & _union(met)
            left.append(self._product(met[0], met[1], gone) if len(met) == 2 else self._total(met[0], gone))
            bound -= gone
        whole = reduce(lambda a, b: self._product(a, b, frozenset()), left)
        return self._ordered(whole, node.labels)

    def _total(self, jets: Jets, over: frozenset[int]) -> Jets:
        kept = tuple(a for a in jets.labels if a not in over)
        targets = places(kept, jets.labels, self._sizes)

        def summed(numbers: Numbers) -> Numbers:
            sums = [arb(0)] * self._size(kept)
            for target, value in zip(targets, numbers, strict=True):
                sums[target] = sums[target] + value
            return sums

        return Jets(kept, _each_order(jets, summed)) if over else jets

    def _product(self, a: Jets, b: Jets, over: frozenset[int]) -> Jets:
        """The sum over labels, each of which one of them has, of the product of two jets."""
        a, b = (self._total(p, over - _union([q])) for p, q in ((a, b), (b, a)))
        over = over & _union([a])
        labels = tuple(c for c in _joined(a, b) if c not in over)
        self._bounded(labels)
        if self._size({*a.labels, *b.labels}) > _WORK:
            raise Rejected("a sum of products is too long to be computed at a point")
        sums: list[Numbers | None] = [None, None, None]
        for i, left in enumerate(a.orders):
            rights = [(j, right) for j, right in enumerate(b.orders[: 3 - i]) if right is not None]
            if left is None or not rights:
                continue
            products = self._pairs(a, left, b, [r for _, r in rights], over, labels)
            for (j, _), found in zip(rights, products, strict=True):
                before = sums[i + j]
                sums[i + j] = found if before is None else list(map(add, before, found))
        return Jets(labels, (sums[0] or [], sums[1], sums[2]))

    def _pairs(
        self, a: Jets, left: Numbers, b: Jets, rights: Sequence[Numbers], over: frozenset[int], labels: tuple[int, ...]
    ) -> list[Numbers]:
        """The sums over labels that both have of the products of one array of numbers with each of several."""
        sizes = self._sizes
        if not over:
            spread = list(map(arb, self._over(left, a, labels)))
            return [list(map(mul, spread, self._over(right, b, labels))) for right in rights]
        summed = [c for c in a.labels if c in over]
        both = [c for c in a.labels if c in b.labels and c not in over]
        rows, columns = ([c for c in own.labels if c not in {*over, *both}] for own in (a, b))
        strides_a, strides_b = strides_of(a.labels, sizes), strides_of(b.labels, sizes)
        at_a, at_b = (offsets(both, s, sizes) for s in (strides_a, strides_b))
        down, across = offsets(rows, strides_a, sizes), offsets(summed, strides_a, sizes)
        deep, wide = offsets(summed, strides_b, sizes), offsets(columns, strides_b, sizes)
        count, step = len(wide), max(_BLOCK // max(len(across), 1), 1)
        results: list[list[Any]] = [[] for _ in rights]
        for p, q in zip(at_a, at_b, strict=True):
            other = arb_mat(len(deep), count * len(rights),
                            [right[q + d + w] for d in deep for right in rights for w in wide])  # fmt: skip
            for start in range(0, len(down), step):
                chosen = down[start : start + step]
                entries = [v for r in chosen for v in at_offsets(left, p + r, across)]
                table = (arb_mat(len(chosen), len(across), entries) * other).tolist()
                for k, result in enumerate(results):
                    result += [v for row in table for v in row[k * count : (k + 1) * count]]
        made = (*both, *rows, *columns)
        where = None if made == labels else places(made, labels, sizes)
        return [found if where is None else [found[i] for i in where] for found in results]


def _ball(value: arb | None) -> arb:
    return arb(0) if value is None else value


def _joined(*parts: Jets) -> tuple[int, ...]:
    return tuple(dict.fromkeys(a for part in parts for a in part.labels))


def _union(parts: Iterable[Jets]) -> frozenset[int]:
    return frozenset(a for part in parts for a in part.labels)


def _each_order(jets: Jets, change: Any) -> tuple[Numbers, Numbers | None, Numbers | None]:
    zeroth, first, second = jets.orders
    return change(zeroth), None if first is None else change(first), None if second is None else change(second)
