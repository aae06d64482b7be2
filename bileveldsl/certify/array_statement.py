"""What a certificate of a large model is about: its functions over arrays, as plainly as the expression DAG reads.

Numbers of data do not stand in the statement: it names arrays by the digest of their bytes, which `arrays` hands out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Delta,
    Dim,
    Expr,
    IndexMap,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    apply,
    argument,
    bound_axes,
    leaf,
    negate,
    subtract,
    topological,
)  # fmt: skip
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.region import Region
from bileveldsl.certify.scalars import Scalar, variable
from bileveldsl.certify.scalars import topological as scalar_nodes
from bileveldsl.certify.scalars.expansion import Expansion, NotExpanded
from bileveldsl.certify.statement import text, written
from bileveldsl.program import Level, Program

LIMIT = 20_000
"""Nodes, and scalar operations of all their functions, up to which a program is stated."""

Arrays = dict[str, tuple[tuple[int, ...], memoryview]]
"""Shapes and views of little-endian bytes by name: float64 of data and bounds, int64 of positions."""

_AT_ONCE = 1 << 22  # elements
_INLINE = 100  # numbers of a bound or of positions that are written out


class _TooLarge(Exception):
    """More than the limit, or data that are not finite numbers of float64."""


@dataclass
class _Statement:
    left: int
    dims: dict[Dim, int] = field(default_factory=dict)
    labels: dict[Axis, int] = field(default_factory=dict)
    symbols: dict[Symbol, int] = field(default_factory=dict)
    written: list[dict[str, Any]] = field(default_factory=list)
    maps: dict[tuple[Any, ...], int] = field(default_factory=dict)
    positions: list[Any] = field(default_factory=list)
    places: dict[Expr, int] = field(default_factory=dict)
    keys: dict[Expr, str] = field(default_factory=dict)
    nodes: list[list[Any]] = field(default_factory=list)
    arrays: Arrays = field(default_factory=dict)

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise _TooLarge

    # ---- index sets, symbols, positions ----

    def dim(self, dim: Dim) -> int:
        return self.dims.setdefault(dim, len(self.dims))

    def label(self, axis: Axis) -> int:
        self.dim(axis.dim)
        return self.labels.setdefault(axis, len(self.labels))

    def all(self, axes: Sequence[Axis]) -> list[int]:
        return [self.label(axis) for axis in axes]

    def add_variable(self, symbol: Symbol, level: str, box: Interval, integer: bool) -> None:
        self.symbols[symbol] = len(self.written)
        self.written.append({
            "name": symbol.name, "role": "variable", "dims": [self.dim(d) for d in symbol.dims], "level": level,
            "lower": self.bound(symbol, "lower", box.lo), "upper": self.bound(symbol, "upper", box.hi),
            "integer": integer,
        })  # fmt: skip

    def bound(self, symbol: Symbol, side: str, batch: np.ndarray) -> Any:
        """One number where all are equal, else a list; a long list is an array of its own."""
        ends = np.broadcast_to(batch[0], symbol.shape)
        if not ends.size:
            return "0"
        if (ends == ends.flat[0]).all():
            return text(float(ends.flat[0]))
        if ends.size <= _INLINE:
            return [text(float(end)) for end in ends.ravel()]
        return {"sha256": self.keep(f"{symbol.name}.{side}", ends, "<f8")}

    def keep(self, name: str, array: np.ndarray, kind: str) -> str:
        data = np.ascontiguousarray(array, dtype=kind).reshape(-1).view(np.uint8).data
        self.arrays[name] = (array.shape, data)
        return hashlib.sha256(data).hexdigest()

    def symbol(self, symbol: Symbol) -> int:
        if symbol not in self.symbols:
            value = np.asarray(symbol.value) if symbol.value is not None else np.array(math.nan)
            exact = value.dtype.kind in "fiub" and _is_finite(value)
            if not exact or (value.dtype.kind in "iu" and (np.abs(value.astype(np.float64)) >= 2.0**53).any()):
                raise _TooLarge
            if symbol.name in self.arrays or not symbol.name:
                raise _TooLarge  # a name tells which array is meant
            self.symbols[symbol] = len(self.written)
            dims = [self.dim(d) for d in symbol.dims]
            self.written.append({"name": symbol.name, "role": "data", "dims": dims,
                                 "sha256": self.keep(symbol.name, value, "<f8")})  # fmt: skip
        return self.symbols[symbol]

    def positions_of(self, index: IndexMap) -> int:
        if index.key not in self.maps:
            self.maps[index.key] = place = len(self.positions)
            array = index.positions
            short = array.size <= _INLINE
            self.positions.append(
                array.tolist() if short else {"sha256": self.keep(f"positions {place}", array, "<i8")}
            )
        return self.maps[index.key]

    # ---- nodes ----

    def write(self, root: Expr) -> int:
        """The number of a node, written after those it is made of, which are taken in the order of their keys."""
        self.identify(root)
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [child for child in self.ordered(node) if child not in self.places]
            if node in self.places or not waiting:
                stack.pop()
                if node not in self.places:
                    self.spend(1)
                    self.nodes.append(self.node(node))
                    self.places[node] = len(self.nodes) - 1
            else:
                stack += reversed(waiting)
        return self.places[root]

    def identify(self, root: Expr) -> None:
        """Keys of nodes: the order in which nodes were made, and what else was made before, must not show."""
        for node in topological([root]):
            if node not in self.keys:
                self.keys[node] = hashlib.sha256(repr(self.structure(node)).encode()).hexdigest()

    def structure(self, node: Expr) -> tuple[Any, ...]:
        inside = [self.keys[child] for child in self.ordered(node)]
        parts: list[Any] = [*node.axes, *bound_axes(node)]
        if isinstance(node, Leaf):
            parts.append(node.symbol.name)
        elif isinstance(node, Map):
            parts.append(sympy.srepr(self.function(node)))
        elif isinstance(node, Reduce):
            parts.append(node.operation)
        elif isinstance(node, Select | Scatter):
            parts += [hashlib.sha256(index.positions.tobytes()).hexdigest() for _, index in node.at]
        return type(node).__name__, inside, parts

    def ordered(self, node: Expr) -> list[Expr]:
        return sorted(node.children, key=self.keys.__getitem__) if len(node.children) > 1 else list(node.children)

    def function(self, node: Map) -> sympy.Expr:
        """The function of a Map, its arguments in the order of the keys of the children."""
        places = {child: k for k, child in enumerate(self.ordered(node))}
        return node.fn.xreplace({symbol: argument(places[child]) for symbol, child in node.operands.items()})

    def node(self, node: Expr) -> list[Any]:
        children = [self.places[child] for child in self.ordered(node)]
        self.all((*node.axes, *bound_axes(node)))
        if isinstance(node, Leaf) and node.symbol.role == "size" and node.symbol.value is not None:
            return ["map", [], [["num", text(float(node.symbol.value))]]]
        if isinstance(node, Leaf):
            return ["leaf", self.symbol(node.symbol), self.all(node.axes)]
        if isinstance(node, Delta):
            return ["delta", self.all(node.axes)]
        if isinstance(node, Map):
            return ["map", children, self.scalars(self.function(node), len(children))]
        if isinstance(node, Contract):
            return ["contract", children, self.all(node.over)]
        if isinstance(node, Reduce):
            return [node.operation, children[0], self.all(node.over)]
        assert isinstance(node, Select | Scatter)
        at = [[self.label(axis), self.positions_of(index)] for axis, index in node.at]
        kind = "select" if isinstance(node, Select) else "scatter"
        return [kind, children[0], at, None if node.along is None else self.label(node.along)]

    def scalars(self, fn: sympy.Expr, count: int) -> list[list[Any]]:
        """A scalar function as a list of nodes, the last being its value."""
        symbols = [Symbol(f"_{k}", "variable") for k in range(count)]
        elements: dict[Symbol, Any] = {}
        for k, symbol in enumerate(symbols):
            elements[symbol] = np.empty((), dtype=object)
            elements[symbol][()] = variable(k)
        expanded: Any = Expansion(elements, max(self.left, 1))(apply(fn, [leaf(s) for s in symbols]))
        root: Scalar = expanded[()]
        order = scalar_nodes([root])
        self.spend(len(order))
        places = {each: k for k, each in enumerate(order)}
        return [written(each, places) for each in order]


def array_statement(program: Program, limit: int = LIMIT) -> tuple[dict[str, Any], Arrays] | None:
    """The functions of a program over arrays, and the arrays that are named in it by their digests.

    Parameters
    ----------
    program
        A checked program.
    limit
        Nodes and operations; None is returned for a larger program, and for one whose data are not finite float64.

    Returns
    -------
    tuple of dict and dict, or None
        The statement as JSON values, its objectives to be minimized, and arrays by name.

    Examples
    --------
    >>> from bileveldsl import loads
    >>> upper, lower = ["var x", "minimize x"], ["var y[3]", "minimize sumsq(y - x)"]
    >>> model = loads("\\n".join(["upper {", *upper, "}", "lower {", *lower, "}"]))
    >>> stated, _ = array_statement(model.program())
    >>> stated["nodes"][stated["functions"]["lower.objective"]]
    ['contract', [2, 2], [0]]
    """
    made = _Statement(limit)
    regions = {level.name: Region(program, level) for level in program.lower}
    first = next(iter(regions.values()))
    try:
        for level in program.levels:
            for v in level.variables:
                box = regions[level.name].boxes[v.symbol] if level.role == "lower" else first.boxes[v.symbol]
                made.add_variable(v.symbol, level.name, box, v.kind != "continuous")
        for dual in program.priced:
            made.add_variable(dual, "dual", Interval.of(*np.array([[-np.inf], [np.inf]])), False)
        functions = {f"{level.name}.objective": made.write(_minimized(level)) for level in program.levels}
        constraints = [each for level in program.levels for each in _constraints(made, level)]
        conditions = [{"node": made.write(c.expr), "relation": c.relation} for c in first.conditions]
    except (_TooLarge, NotExpanded):
        return None
    stated = {
        "form": "array",
        "dims": [[dim.name, dim.size] for dim in made.dims],
        "labels": [made.dims[axis.dim] for axis in made.labels],
        "symbols": made.written,
        "positions": made.positions,
        "nodes": made.nodes,
        "functions": functions,
        "constraints": constraints,
        "conditions": conditions,
    }
    return stated, made.arrays


def _is_finite(value: np.ndarray) -> bool:
    """Whether all elements are, of data in a file a part at a time."""
    flat = value.reshape(-1)
    return all(bool(np.isfinite(flat[k : k + _AT_ONCE]).all()) for k in range(0, flat.size, _AT_ONCE))


def _minimized(level: Level) -> Expr:
    return level.objective if level.sense == "minimize" else negate(level.objective)


def _constraints(made: _Statement, level: Level) -> list[dict[str, Any]]:
    """Each side of each constraint as a node that is `<= 0`, or `== 0`, in every element."""
    found = []
    for c in level.constraints:
        if c.is_equality and c.upper is not None:
            sides = [(subtract(c.body, c.upper), "== 0")]
        else:
            sides = [(subtract(low, high), "<= 0") for low, high in ((c.lower, c.body), (c.body, c.upper))
                     if low is not None and high is not None]  # fmt: skip
        for excess, relation in sides:
            found.append({"label": c.label, "level": level.name, "node": made.write(excess), "relation": relation})
    return found
