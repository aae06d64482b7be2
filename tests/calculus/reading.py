"""An independent reader of the ASCII notation: it evaluates what `to_text` writes, as a person would.

Arrays are tables with a named axis along rows and columns (or none); a vector is a column. Elementwise operations
repeat a table along an axis that it lacks, and refuse tables whose axes have different names.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import Symbol


class Named(float):
    """A number that also names an axis: the size of an index set, or an index."""

    name: str

    def __new__(cls, value: float, name: str) -> Named:
        number = super().__new__(cls, value)
        number.name = name
        return number

    def __index__(self) -> int:
        return int(self)


class Table:
    """A two-dimensional array with the names of its axes; "?" for an axis that was cut out of another."""

    def __init__(self, array: Any, rows: str = "", columns: str = "") -> None:
        self.array, self.axes = np.atleast_2d(np.asarray(array, dtype=float)), (rows, columns)

    @property
    def T(self) -> Table:
        return Table(self.array.T, *self.axes[::-1])

    def __matmul__(self, other: Table) -> Table:
        _meet(self.axes[1], other.axes[0])
        return Table(self.array @ other.array, self.axes[0], other.axes[1])

    def __getitem__(self, items: Any) -> Table:
        items = items if isinstance(items, tuple) else (items,)
        kept = [k for k in (0, 1) if self.axes[k]]
        array = self.array.reshape([self.array.shape[k] for k in kept])
        names, lists = [], False
        for k, item in zip(kept, items, strict=True):
            if isinstance(item, slice) or (isinstance(item, list) and not lists):
                names.append(self.axes[k] if item == slice(None) else "?")
            lists |= isinstance(item, list)
        return _of(array[tuple(i if isinstance(i, slice | list) else int(i) for i in items)], names)

    def map(self, function: Callable[..., Any], *others: Any) -> Table:
        axes, arrays = self.axes, [self.array]
        for other in map(table, others):
            axes = (_meet(axes[0], other.axes[0]), _meet(axes[1], other.axes[1]))
            arrays.append(other.array)
        return Table(function(*arrays), *axes)

    def __add__(self, other: Any) -> Table:
        return self.map(np.add, other)

    def __sub__(self, other: Any) -> Table:
        return self.map(np.subtract, other)

    def __rsub__(self, other: Any) -> Table:
        return table(other) - self

    def __mul__(self, other: Any) -> Table:
        return self.map(np.multiply, other)

    def __truediv__(self, other: Any) -> Table:
        return self.map(np.divide, other)

    def __rtruediv__(self, other: Any) -> Table:
        return table(other) / self

    def __pow__(self, other: Any) -> Table:
        return self.map(np.power, other)

    def __rpow__(self, other: Any) -> Table:
        return table(other) ** self

    def __le__(self, other: Any) -> Any:
        return self.map(np.less_equal, other)

    def __eq__(self, other: Any) -> Any:
        return self.map(np.equal, other)

    def __neg__(self) -> Table:
        return Table(-self.array, *self.axes)

    __radd__, __rmul__ = __add__, __mul__
    __hash__ = None  # type: ignore[assignment]


class Cube:
    """An array of three or more axes, of which only single elements are read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __getitem__(self, items: tuple[Any, ...]) -> Table:
        return Table(self.array[tuple(int(i) for i in items)])


def _meet(mine: str, theirs: str) -> str:
    assert not mine or not theirs or mine == theirs or "?" in (mine, theirs), f"the axis {mine} meets {theirs}"
    return mine or theirs


def table(value: Any) -> Table:
    return value if isinstance(value, Table) else Table(float(value))


def _of(array: np.ndarray, names: Sequence[str]) -> Table:
    """An array of at most two axes."""
    return Table(array[:, None], names[0]) if array.ndim == 1 else Table(array, *names)


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda first, *others: table(first).map(function, *others)


def reduction(function: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    """A function of everything in a table, along a named axis of it, or over a generator of scalars."""

    def reduced(argument: Any, axis: Any = None) -> Table:
        if not isinstance(argument, Table):
            return Table(function(np.array([float(table(item).array[0, 0]) for item in argument])))
        if axis is None:
            return Table(function(argument.array.ravel()))
        position = {"rows": 0, "columns": 1}.get(axis)
        if position is None:
            position = argument.axes.index(axis.name if axis.name in argument.axes else "?")
        lines = argument.array.T if position == 0 else argument.array
        return Table(np.array([function(line) for line in lines])[:, None], argument.axes[1 - position])

    return reduced


def softmax(argument: Table, axis: Any = None) -> Table:
    total = reduction(lambda a: np.exp(a).sum())(argument, axis)
    if axis is not None and argument.axes[0] != total.axes[0]:
        total = total.T
    return argument.map(np.exp) / total


def extremum(function: Any, pairwise: Any) -> Callable[..., Any]:
    """`max(a)`, `max(a, axis)` and `max(... for ...)` reduce; `max(a, b)` compares element by element."""

    def extreme(first: Any, second: Any = None) -> Table:
        if second is None or second in ("rows", "columns") or isinstance(second, Named):
            return reduction(function)(first, second)
        return table(first).map(pairwise, second)

    return extreme


def diag(argument: Table) -> Table:
    if all(argument.axes):
        return Table(np.diag(argument.array)[:, None], argument.axes[0])
    return Table(np.diag(argument.array[:, 0]), argument.axes[0], argument.axes[0])


FUNCTIONS: dict[str, Any] = {
    **{name: elementwise(getattr(np, name)) for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "abs", "sign")},
    **{name: elementwise(getattr(np, name)) for name in ("sinh", "cosh", "tanh")},
    "sigmoid": elementwise(lambda a: 1 / (1 + np.exp(-a))),
    "softplus": elementwise(lambda a: np.log(1 + np.exp(a))),
    "step": elementwise(lambda a: np.heaviside(a, 0.5)),
    "huber": elementwise(lambda a, d: np.where(abs(a) <= d, a**2 / 2, d * (abs(a) - d / 2))),
    "clip": elementwise(lambda a, d: np.clip(a, -d, d)),
    "indicator": lambda relation: table(relation),
    "delta": lambda a, b: Table(float(a == b)),
    "sum": reduction(np.sum),
    "logsumexp": reduction(lambda a: np.log(np.exp(a).sum())),
    "norm": reduction(lambda a: np.sqrt((a**2).sum())),
    "max": extremum(np.max, np.maximum),
    "min": extremum(np.min, np.minimum),
    "sumsq": lambda a: Table((a.array**2).sum()),
    "dot": lambda a, b: Table((a * b).array.sum()),
    "softmax": softmax,
    "diag": diag,
    "pi": np.pi,
    "rows": "rows",
    "columns": "columns",
}  # fmt: skip

FOR = re.compile(r" for ((?:\w+(?: in \w+)?)(?:, \w+(?: in \w+)?)*)\)")


def read(
    text: str, values: Mapping[Symbol, np.ndarray], sizes: Mapping[str, int], indices: Mapping[str, int]
) -> np.ndarray:
    """The value of a text: a two-dimensional array.

    `sizes` are those of the index sets by name, `indices` the positions of labels for a text in index notation.
    """
    names: dict[str, Any] = {name: Named(size, name) for name, size in sizes.items()}
    for symbol, array in values.items():
        names[symbol.name] = Cube(array) if array.ndim > 2 else _of(array, [dim.name for dim in symbol.dims])
    names |= {label.replace("'", "_"): Named(position, label.rstrip("'")) for label, position in indices.items()}

    def length(axis: Any) -> int:
        return sizes[axis.name] if isinstance(axis, Named) else int(axis)

    def grid(*labels: str) -> Iterator[tuple[Named, ...]]:
        pairs = [(label.partition(" in ")[0], label.partition(" in ")[2] or label.rstrip("_")) for label in labels]
        ranges = [range(sizes[domain] if domain in sizes else int(domain)) for _, domain in pairs]
        for cell in itertools.product(*ranges):
            yield tuple(Named(k, domain) for k, (_, domain) in zip(cell, pairs, strict=True))

    def special(build: Callable[[int], np.ndarray], square: bool) -> Callable[[Any], Table]:
        return lambda axis: Table(build(length(axis)), _name(axis), _name(axis) if square else "")

    names |= FUNCTIONS
    names |= {"grid": grid, "eye": special(np.eye, True), "ones": special(lambda n: np.ones((n, 1)), False)}
    names["unit"] = lambda axis, k: Table(np.eye(length(axis))[:, k : k + 1], _name(axis))

    def generator(match: re.Match[str]) -> str:
        labels = match[1].split(", ")
        targets = "".join(label.partition(" in ")[0] + "," for label in labels)
        return f" for ({targets}) in grid(*{tuple(labels)}))"

    python = FOR.sub(generator, text.replace("^", "**").replace("'", "_"))
    tree = ast.fix_missing_locations(_Stacks().visit(ast.parse(python, mode="eval")))
    return table(eval(compile(tree, text, "eval"), {"__builtins__": {}, "stack": stack, **names})).array


class _Stacks(ast.NodeTransformer):
    """A list is a vector or matrix, except in a subscript."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        positions = isinstance(node.value, ast.List) and isinstance(node.slice, ast.Name)
        return ast.Subscript(node.value if positions else self.visit(node.value), node.slice, node.ctx)

    def visit_List(self, node: ast.List) -> ast.AST:
        rows: list[ast.expr] = []
        for row in node.elts:
            cells = [self.visit(entry) for entry in row.elts] if isinstance(row, ast.List) else []
            rows.append(ast.List(cells, row.ctx) if isinstance(row, ast.List) else self.visit(row))
        return ast.Call(ast.Name("stack", ast.Load()), [ast.List(rows, node.ctx)], [])


def stack(rows: list[Any]) -> Table:
    if isinstance(rows[0], list):
        return Table([[float(table(e).array[0, 0]) for e in row] for row in rows], "?", "?")
    return Table([[float(table(e).array[0, 0])] for e in rows], "?")


def _name(axis: Any) -> str:
    return axis.name if isinstance(axis, Named) else "?"
