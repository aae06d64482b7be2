"""Expressions to one Python function over flat vectors, as readable source that NumPy and JAX both run.

The nodes become instructions in topological order: Maps through `scalar_code` (after sympy's common subexpression
elimination over all of them), contractions through `contraction`, selections as indexing. A sum that holds
Scatters or identity matrices becomes one array to which the rest is added at positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from bileveldsl.calculus.expr import Axis, Contract, Delta, Expr, IndexMap, Leaf, Map, Reduce, Select, Symbol, argument
from bileveldsl.execute.accumulation import Accumulation, accumulate, accumulation_of
from bileveldsl.execute.constants import Constants, identifier
from bileveldsl.execute.contraction import contraction, elements
from bileveldsl.execute.indexing import subscript
from bileveldsl.execute.namespace import Array
from bileveldsl.execute.outputs import Dense, Flat, Inputs, Output, Scalar
from bileveldsl.execute.scalar_code import ScalarCode, nonnegative
from bileveldsl.execute.source import ATOM, LINE, SUM, Body, Value, tuple_text


@dataclass(frozen=True, eq=False)
class Function:
    """A compiled function of flat vectors, with the source that it runs."""

    source: str
    constants: Mapping[str, Array]  # those that it uses
    run: Callable[..., Any]  # (constants, *vectors)

    def __call__(self, *vectors: Array) -> Any:
        return self.run(self.constants, *vectors)

    def with_constants(self, arrays: Mapping[str, Array], *vectors: Array) -> Any:
        """The values, the constants taken from `arrays` where they are there (as traced by a compiled loop)."""
        return self.run({name: arrays.get(name, array) for name, array in self.constants.items()}, *vectors)


def compile_function(name: str, outputs: Sequence[Output], inputs: Inputs, constants: Constants) -> Function:
    """The function of the input vectors that gives the outputs (one as it is, several as a tuple).

    Parameters
    ----------
    outputs : what to return; everything that their expressions share is computed once
    inputs : the groups of symbols, in the order of the function's arguments; other symbols must be data or sizes
    constants : where data arrays are kept; share one among the functions of a problem

    Examples
    --------
    >>> import numpy as np
    >>> from bileveldsl.calculus.expr import Dim, Symbol, contract, leaf
    >>> from bileveldsl.execute.engine import numpy_engine
    >>> from bileveldsl.execute.outputs import Scalar
    >>> w = Symbol("w", "variable", (Dim("p", 3),))
    >>> square = contract([leaf(w), leaf(w)], w.axes)
    >>> function = compile_function("square", [Scalar(square)], {"x": [w]}, Constants(numpy_engine()))
    >>> print(function.source)
    def square(constants, x):
        w = x
        return w @ w
    <BLANKLINE>
    >>> float(function(np.array([1.0, 2.0, 3.0])))
    14.0
    """
    generator = _Generator(outputs, inputs, constants)
    source = generator.source(name)
    run = constants.engine.jit(constants.engine.compile(name, source))
    return Function(source, {name: constants.arrays[name] for name in generator.bound}, run)


class _Generator:
    def __init__(self, outputs: Sequence[Output], inputs: Inputs, constants: Constants):
        self.outputs = outputs
        self.inputs = inputs
        self.constants = constants
        self.bound: dict[str, None] = {}  # names of the constants in use, in order
        self.accumulations: dict[Expr, Accumulation] = {}
        roots = [expr for output in outputs for expr in output.exprs]
        self.nodes = self._ordered(roots)
        self.body = Body(_ranks(self.nodes))
        self.leaves = self._unpack([node.symbol for node in self.nodes if isinstance(node, Leaf)])
        self.values: dict[Expr, Value] = {}

    def source(self, name: str) -> str:
        symbols = {node: sympy.Symbol(f"n{node.serial}", real=True) for node in self.nodes}
        maps = [node for node in self.nodes if isinstance(node, Map) and node not in self.accumulations]
        functions = [self._function(node, symbols) for node in maps]
        shared, reduced = sympy.cse(functions, sympy.numbered_symbols("s", real=True), order="none", list=True)
        scalar = ScalarCode(self.body, dict(shared))
        expressions = dict(zip(maps, reduced, strict=True))
        for node in self.nodes:
            if node in expressions:
                value = scalar.value(expressions[node])
                if set(value.axes) != set(node.axes):  # sizes put in as numbers made it constant along a label
                    value = self.body.broadcast(value, self.body.sorted_axes(node.axes))
            else:
                value = self._value(node)
            self.values[node] = scalar.values[symbols[node]] = self.body.name(self.body.in_order(value))
        results = [self._result(output) for output in self.outputs]
        lines, texts = self.body.render(results)
        together = f"return {', '.join(texts)}"
        last = [together] if len(together) <= LINE else ["return (", *(f"    {text}," for text in texts), ")"]
        lines = [*self.preamble, *lines, *(last if len(texts) > 1 else [together])]
        head = f"def {name}(constants, {', '.join(self.inputs)}):\n"
        return head + "".join(f"    {line}\n" for line in lines)

    # ---- the order of the work ----

    def _ordered(self, roots: Iterable[Expr]) -> list[Expr]:
        """Every node that is computed, what it needs before it."""
        order: list[Expr] = []
        state: dict[Expr, bool] = {}  # whether it is done
        stack = list(reversed(list(roots)))
        while stack:
            node = stack[-1]
            if node in state:
                stack.pop()
                if not state[node]:
                    state[node] = True
                    order.append(node)
                continue
            state[node] = False
            accumulation = accumulation_of(node)
            if accumulation:
                self.accumulations[node] = accumulation
            children = accumulation.children if accumulation else node.children
            stack.extend(child for child in reversed(children) if child not in state)
        return order

    def _unpack(self, symbols: Iterable[Symbol]) -> dict[Symbol, str]:
        """The names of the symbols' arrays, and the lines that define them."""
        used = dict.fromkeys(symbols)
        self.preamble: list[str] = []
        names: dict[Symbol, str] = {}
        taken = {*self.inputs}
        for symbol in used:
            if symbol.role == "data":
                key = self.constants.data(symbol)
                self.bound[key] = None
                name = identifier(key, taken)
                taken.add(name)
                self.preamble.append(f"{name} = constants[{key!r}]")
                names[symbol] = name
        for group, members in self.inputs.items():
            start = 0
            for symbol in members:
                stop = start + elements(symbol.axes)
                if symbol in used:
                    name = identifier(symbol.name, taken)
                    taken.add(name)
                    self.preamble.append(f"{name} = {group}{_unpacking(symbol, start, stop, len(members))}")
                    names[symbol] = name
                start = stop
        return names

    # ---- nodes ----

    def _function(self, node: Map, symbols: Mapping[Expr, sympy.Symbol]) -> sympy.Expr:
        """The scalar function of a Map over the symbols of its children; sizes are numbers."""
        return node.fn.xreplace({argument(k): _size(c) or symbols[c] for k, c in enumerate(node.children)})

    def _value(self, node: Expr) -> Value:
        if node in self.accumulations:
            axes = self.body.sorted_axes(node.axes)
            return accumulate(self.body, self.accumulations[node], axes, self.values, self._constant)
        children = [self.values[child] for child in node.children]
        if isinstance(node, Leaf):
            size = _size(node)
            return Value(self.leaves[node.symbol], node.axes) if size is None else Value(f"{float(size)}")
        if isinstance(node, Delta):
            return Value(f"xp.eye({node.axes[0].size})", self.body.sorted_axes(node.axes))
        if isinstance(node, Contract):
            return contraction(self.body, children, [nonnegative(child) for child in node.children], node.over)
        if isinstance(node, Reduce):
            places = sorted(children[0].axes.index(axis) for axis in node.over)
            axis = places[0] if len(places) == 1 else tuple(places)
            left = tuple(a for a in children[0].axes if a not in node.over)
            return Value(f"xp.{node.operation}({children[0].at(SUM)}, axis={axis})", left)
        if isinstance(node, Select):
            index, axes = subscript(children[0].axes, node.at, node.along, self._constant)
            if index == ":":
                return replace(children[0], axes=axes)
            return Value(f"{children[0].at(ATOM)}[{index}]", axes)
        raise TypeError(type(node))

    def _constant(self, index: IndexMap) -> str:
        key = self.constants.positions(index)
        self.bound[key] = None
        return f"constants[{key!r}]"

    # ---- results ----

    def _result(self, output: Output) -> Value:
        if isinstance(output, Scalar):
            value = self.values[output.expr]
            return Value(f"xp.float64({value.at(SUM)})") if value.number is None else value
        if isinstance(output, Dense):
            return Value(f"xp.array({self.body.broadcast(self.values[output.expr], output.axes).at(SUM)})")
        if isinstance(output, Flat):
            return self._vector(output)
        rows = [", ".join(self._block(*block) for block in row) for row in output.rows]
        return Value(f"xp.block([{', '.join(f'[{row}]' for row in rows)}])")

    def _vector(self, output: Flat) -> Value:
        texts = []
        for scalars, group in itertools.groupby(output.parts, key=lambda part: not part[1]):
            if scalars:
                texts.append(f"xp.array([{', '.join(self.values[expr].at(SUM) for expr, _ in group)}])")
            else:
                texts += [self._flattened(expr, axes) for expr, axes in group]
        if not any(axes for _, axes in output.parts):
            return Value(texts[0] if texts else "xp.zeros((0,))")
        return Value(f"xp.concatenate({tuple_text(texts)})")

    def _flattened(self, expr: Expr, axes: tuple[Axis, ...]) -> str:
        value = self.body.broadcast(self.values[expr], axes)
        return value.at(SUM) if len(axes) == 1 else f"xp.ravel({value.at(SUM)})"

    def _block(self, expr: Expr, rows: tuple[Axis, ...], columns: tuple[Axis, ...]) -> str:
        value = self.body.broadcast(self.values[expr], (*rows, *columns))
        if len(rows) == len(columns) == 1:
            return value.at(SUM)
        return f"{value.at(ATOM)}.reshape({elements(rows)}, {elements(columns)})"


def _ranks(nodes: Sequence[Expr]) -> dict[Axis, int]:
    """The order of the labels in all arrays: that of the index sets in the largest data, which so are never copied."""
    largest_first = sorted(nodes, key=lambda node: (not isinstance(node, Leaf), -elements(node.axes)))
    axes = dict.fromkeys(axis for node in largest_first for axis in node.axes)
    dims = list(dict.fromkeys(axis.dim for axis in axes))
    return {axis: k for k, axis in enumerate(sorted(axes, key=lambda axis: (dims.index(axis.dim), axis.prime)))}


def _size(node: Expr) -> sympy.Integer | None:
    """The number that a size symbol stands for."""
    if isinstance(node, Leaf) and node.symbol.role == "size":
        return sympy.Integer(int(node.symbol.value))  # type: ignore[arg-type]
    return None


def _unpacking(symbol: Symbol, start: int, stop: int, members: int) -> str:
    if not symbol.dims:
        return f"[{start}]"
    part = f"[{start}:{stop}]" if members > 1 else ""
    return part if len(symbol.dims) == 1 else f"{part}.reshape{tuple_text(symbol.shape)}"
