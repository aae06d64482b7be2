"""A statement over arrays, and the arrays it names by their digests, read and checked once."""

from __future__ import annotations

import hashlib
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from flint import fmpq

from bileveldsl.certify.check.array_model import NODES, Constraint, Model, Node, Symbol
from bileveldsl.certify.check.ranges import End, less
from bileveldsl.certify.check.reading import (
    CONDITIONS,
    RELATIONS,
    boolean,
    bound,
    mapping,
    one_of,
    position,
    read_nodes,
    record,
    sequence,
    text,
)  # fmt: skip
from bileveldsl.certify.check.terms import Rejected, Table

Data = Mapping[str, tuple[Sequence[int], bytes | memoryview]]
"""Shapes and little-endian bytes by name."""

REDUCTIONS = ("logsumexp", "max", "min", "norm")
_ELEMENTS = 1 << 28


def read(statement: Any, data: Data) -> Model:
    """The model that a statement says with these arrays, or Rejected."""
    fields = {"form", "dims", "labels", "symbols", "positions", "nodes", "functions", "constraints", "conditions"}
    whole = record(statement, fields)
    if whole["form"] != "array":
        raise Rejected("the form of the statement is not array")
    sizes = tuple(_dim(item) for item in sequence(whole["dims"]))
    dims = tuple(position(k, len(sizes)) for k in sequence(whole["labels"]))
    reader = _Reader(tuple(sizes[k] for k in dims), dims, sizes, data)
    symbols = tuple(reader.symbol(item) for item in sequence(whole["symbols"]))
    if len({s.name for s in symbols}) < len(symbols):
        raise Rejected("two symbols have the same name")
    positions = tuple(reader.positions(k, item) for k, item in enumerate(sequence(whole["positions"])))
    table = Table()
    nodes: list[Node] = []
    scalar: list[int] = []
    for k, item in enumerate(sequence(whole["nodes"], NODES)):
        node = reader.node(sequence(item), nodes, symbols, positions)
        nodes.append(node)
        scalar.append(_function(table, item[2], node, scalar) if node.kind == "map" else table.var(k))
    functions = {text(name): position(n, len(nodes)) for name, n in mapping(whole["functions"]).items()}
    if any(nodes[n].labels for n in functions.values()):
        raise Rejected("a function has more than one element")
    constraints = tuple(_constraint(item, len(nodes)) for item in sequence(whole["constraints"]))
    conditions = tuple(_condition(item, len(nodes)) for item in sequence(whole["conditions"]))
    return Model(table, list(reader.sizes), symbols, positions, nodes, scalar, functions, constraints, conditions)


def _dim(item: Any) -> int:
    name, size = _parts(sequence(item), 2)
    text(name)
    return position(size, _ELEMENTS)


def _parts(item: list[Any], count: int) -> list[Any]:
    if len(item) != count:
        raise Rejected("a list is not of the length that it must have")
    return item


def _function(table: Table, data: Any, node: Node, scalar: Sequence[int]) -> int:
    """The function of a map with its arguments put in."""
    numbers = read_nodes(table, data, max(len(node.children), 1))
    if not numbers:
        raise Rejected("a function has no nodes")
    arguments = {table.var(k): scalar[child] for k, child in enumerate(node.children)}
    if not node.children and table.variables(numbers[-1:]):
        raise Rejected("a function has more arguments than it is given")
    return table.substituted(numbers[-1:], arguments)[0]


def _constraint(item: Any, count: int) -> Constraint:
    fields = record(item, {"label", "level", "node", "relation"})
    relation = one_of(fields["relation"], RELATIONS)
    return Constraint(text(fields["label"]), text(fields["level"]), position(fields["node"], count), relation)


def _condition(item: Any, count: int) -> tuple[int, str]:
    fields = record(item, {"node", "relation"})
    return position(fields["node"], count), one_of(fields["relation"], CONDITIONS)


class _Reader:
    def __init__(self, sizes: tuple[int, ...], dims: tuple[int, ...], of_dims: tuple[int, ...], data: Data):
        self.sizes = sizes
        self.dims = dims
        self._of_dims = of_dims
        self._data = data

    # ---- arrays ----

    def _bytes(self, name: str, digest: Any, shape: tuple[int, ...], kind: Literal["d", "q"]) -> Sequence[Any]:
        """An array whose bytes have the digest that the statement names."""
        if name not in self._data:
            raise Rejected(f"there are no data for {name[:100]}")
        given, content = self._data[name][0], memoryview(self._data[name][1]).cast("B")
        if tuple(given) != shape or len(content) != 8 * math.prod(shape):
            raise Rejected(f"the data for {name[:100]} are of another shape")
        if hashlib.sha256(content).hexdigest() != text(digest):
            raise Rejected(f"the data for {name[:100]} are not those of the certificate")
        if sys.byteorder == "little":
            return content.cast("d" if kind == "d" else "q")
        swapped = array(kind, content)
        swapped.byteswap()
        return swapped

    def symbol(self, item: Any) -> Symbol:
        fields = mapping(item)
        sizes = tuple(self._of_dims[position(k, len(self._of_dims))] for k in sequence(fields.get("dims")))
        if math.prod(sizes) > _ELEMENTS:
            raise Rejected("a symbol has too many elements")
        if fields.get("role") == "data":
            fields = record(item, {"name", "role", "dims", "sha256"})
            name = text(fields["name"])
            values = self._bytes(name, fields["sha256"], sizes, "d")
            if not math.isfinite(sum(values)) and not all(map(math.isfinite, values)):
                raise Rejected(f"the data for {name[:100]} are not all finite")
            return Symbol(name, "", sizes, values=values)
        fields = record(item, {"name", "role", "dims", "level", "lower", "upper", "integer"})
        one_of(fields["role"], ("variable",))
        name = text(fields["name"])
        lower, upper = (self._bounds(f"{name}.{side}", fields[side], sizes) for side in ("lower", "upper"))
        count = max(len(lower), len(upper))
        pairs = zip(_spread(lower, count), _spread(upper, count), strict=True)
        if any(less(high, low) or low == math.inf or high == -math.inf for low, high in pairs):
            raise Rejected("a variable has no value between its bounds")
        return Symbol(name, text(fields["level"]), sizes, lower, upper, boolean(fields["integer"]))

    def _bounds(self, name: str, item: Any, sizes: tuple[int, ...]) -> list[End]:
        if isinstance(item, dict):
            digest = record(item, {"sha256"})["sha256"]
            return [_end(v) for v in self._bytes(name, digest, sizes, "d")]
        if isinstance(item, list):
            return [bound(each) for each in _parts(item, math.prod(sizes))]
        return [bound(item)]

    def positions(self, k: int, item: Any) -> int | Sequence[int]:
        if isinstance(item, dict):
            fields = record(item, {"sha256"})
            shape = tuple(self._data.get(f"positions {k}", ((), b""))[0])
            return self._bytes(f"positions {k}", fields["sha256"], shape, "q")
        if isinstance(item, list):
            return [position(each, _ELEMENTS) for each in item]
        return position(item, _ELEMENTS)

    # ---- nodes ----

    def label(self, item: Any) -> int:
        return position(item, len(self.sizes))

    def labels(self, item: Any) -> tuple[int, ...]:
        found = tuple(self.label(each) for each in sequence(item))
        if len(set(found)) < len(found):
            raise Rejected("a label occurs twice")
        return found

    def node(
        self, item: list[Any], nodes: list[Node], symbols: Sequence[Symbol], positions: Sequence[int | Sequence[int]]
    ) -> Node:
        kind = text(item[0]) if item else ""
        count = len(nodes)
        if kind == "leaf":
            _, number, labels = _parts(item, 3)
            symbol, labels = symbols[position(number, len(symbols))], self.labels(labels)
            if tuple(self.sizes[a] for a in labels) != symbol.sizes:
                raise Rejected("the labels of a symbol are not of its sizes")
            return Node(kind, (), labels, symbol=number)
        if kind == "delta":
            labels = self.labels(_parts(item, 2)[1])
            if len(labels) != 2 or self.dims[labels[0]] != self.dims[labels[1]]:
                raise Rejected("an identity is not over two labels of one index set")
            return Node(kind, (), labels)
        if kind in ("map", "contract"):
            children = tuple(position(c, count) for c in sequence(_parts(item, 3)[1]))
            union = tuple(dict.fromkeys(a for c in children for a in nodes[c].labels))
            bound = self.labels(item[2]) if kind == "contract" else ()
            if not set(bound) <= set(union) or (kind == "contract" and not children):
                raise Rejected("a sum is over a label that it does not have")
            return Node(kind, children, tuple(a for a in union if a not in bound), bound)
        if kind in REDUCTIONS:
            child, bound = position(_parts(item, 3)[1], count), self.labels(item[2])
            if not bound or not set(bound) <= set(nodes[child].labels):
                raise Rejected("a reduction is over a label that it does not have")
            if not all(self.sizes[a] for a in bound):
                raise Rejected("a reduction is over nothing")
            return Node(kind, (child,), tuple(a for a in nodes[child].labels if a not in bound), bound)
        if kind in ("select", "scatter"):
            return self._indexed(kind, item, nodes, positions)
        raise Rejected("a node is of an unknown kind")

    def _indexed(self, kind: str, item: list[Any], nodes: list[Node], positions: Sequence[int | Sequence[int]]) -> Node:
        child, pairs, along = position(_parts(item, 4)[1], len(nodes)), sequence(item[2]), item[3]
        along = None if along is None else self.label(along)
        at = tuple((self.label(label), position(k, len(positions))) for label, k in (_parts(p, 2) for p in pairs))
        targets = self.labels([label for label, _ in at])
        inside = nodes[child].labels
        for label, k in at:
            places = positions[k]
            if isinstance(places, int):
                fits = places < self.sizes[label]
            else:
                fits = (
                    along is not None
                    and len(places) == self.sizes[along]
                    and (not len(places) or (min(places) >= 0 and max(places) < self.sizes[label]))
                )
            if not fits:
                raise Rejected("positions do not fit their index sets")
        moving = along if any(not isinstance(positions[k], int) for _, k in at) else None
        if kind == "select":
            rest = tuple(a for a in inside if a not in targets)
            if not at or not set(targets) <= set(inside) or (moving is not None and moving in rest):
                raise Rejected("a selection is of labels that it does not have")
            labels = rest + ((moving,) if moving is not None else ())
            return Node(kind, (child,), labels, targets, at, moving)
        rest = tuple(a for a in inside if a != along)
        if not at or set(targets) & set(rest):
            raise Rejected("a scattering is to labels that there are already")
        return Node(kind, (child,), rest + targets, () if along is None else (along,), at, along)


def _spread(ends: Sequence[End], count: int) -> Sequence[End]:
    return list(ends) * count if len(ends) == 1 else ends


def _end(value: float) -> End:
    if math.isnan(value):
        raise Rejected("a bound is not a number")
    return value if math.isinf(value) else fmpq(*value.as_integer_ratio())
