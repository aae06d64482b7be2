"""The nodes of the expression DAG: index sets, labels, symbols, node kinds and walks.

A node's `axes` are labels, each standing for one index set; operands meet by label, never by position, and a
node that lacks a label is constant along it. Equal nodes are the same object. Nodes are built by the constructors
of `bileveldsl.calculus.expr`, which keep a normal form, never by these classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np
import sympy

# ---- index sets and labels ------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Dim:
    """An index set 0..size-1 with a name."""

    name: str
    size: int


@dataclass(frozen=True, order=True)
class Axis:
    """A label for one index of an index set; `prime` tells several indices of the same set apart."""

    dim: Dim
    prime: int = 0

    @property
    def size(self) -> int:
        return self.dim.size

    def __repr__(self) -> str:
        return self.dim.name + "'" * self.prime


@dataclass(frozen=True, eq=False)
class Symbol:
    """A named array: a variable, a piece of data (with its value), or the size of an index set."""

    name: str
    role: Literal["variable", "data", "size"]
    dims: tuple[Dim, ...] = ()
    value: np.ndarray | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(d.size for d in self.dims)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """One distinct label for each index, in order: `Q[n, n]` gets n and n'."""
        return distinct_axes(self.dims)


@dataclass(frozen=True, eq=False)
class IndexMap:
    """Positions in an index set: one number, or one for each member of another index set."""

    name: str
    positions: np.ndarray  # int64, 0-d or 1-d
    key: tuple[Any, ...]  # equal maps have equal keys

    def __repr__(self) -> str:
        return self.name or str(self.positions.tolist())

    @staticmethod
    def of(positions: int | np.ndarray, name: str = "") -> IndexMap:
        array = np.asarray(positions, dtype=np.int64)
        return IndexMap(name, array, (array.shape, array.tobytes()))


def distinct_axes(dims: Iterable[Dim], avoid: Iterable[Axis] = ()) -> tuple[Axis, ...]:
    """A label for each index set, the smallest primes that differ from each other and from `avoid`."""
    taken = set(avoid)
    result = []
    for dim in dims:
        axis = next(a for a in (Axis(dim, k) for k in itertools.count()) if a not in taken)
        taken.add(axis)
        result.append(axis)
    return tuple(result)


# ---- nodes ----------------------------------------------------------------------------------

_interned: WeakValueDictionary[tuple[Any, ...], Expr] = WeakValueDictionary()
_serial = itertools.count()


class Expr:
    """A node; compare with `is`."""

    __slots__ = ("__weakref__", "axes", "children", "parts", "renamed", "serial")
    axes: tuple[Axis, ...]
    children: tuple[Expr, ...]
    parts: tuple[Any, ...]
    serial: int
    renamed: dict[frozenset[tuple[Axis, Axis]], Expr]

    @classmethod
    def _make(cls, axes: tuple[Axis, ...], children: tuple[Expr, ...], *parts: Any) -> Any:
        key = (cls, axes, children, *(p.key if isinstance(p, IndexMap) else p for p in parts))
        node = _interned.get(key)
        if node is None:
            node = object.__new__(cls)
            node.axes, node.children, node.parts = axes, children, parts
            node.serial, node.renamed = next(_serial), {}
            _interned[key] = node
        return node

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(a.size for a in self.axes)

    def __repr__(self) -> str:
        from bileveldsl.calculus.printing import to_text

        return to_text(self)


class Leaf(Expr):
    """A symbol with a label for each of its indices."""

    __slots__ = ()

    @property
    def symbol(self) -> Symbol:
        return self.parts[0]


class Delta(Expr):
    """1 where two labels of one index set agree, else 0: the identity matrix."""

    __slots__ = ()


class Map(Expr):
    """A scalar function, elementwise: `fn` is a sympy expression in `ARGUMENTS[0..]`, one for each child.

    Without children it is a constant.
    """

    __slots__ = ()

    @property
    def fn(self) -> sympy.Expr:
        return self.parts[0]

    @property
    def operands(self) -> dict[sympy.Symbol, Expr]:
        """The child that each symbol of `fn` stands for."""
        return {argument(k): child for k, child in enumerate(self.children)}


class Contract(Expr):
    """The sum of the product of the children over the labels `over`."""

    __slots__ = ()

    @property
    def over(self) -> tuple[Axis, ...]:
        return self.parts[0]


class Reduce(Expr):
    """log-sum-exp, maximum, minimum or Euclidean norm of the child over the labels `over`."""

    __slots__ = ()

    @property
    def operation(self) -> Literal["logsumexp", "max", "min", "norm"]:
        return self.parts[0]

    @property
    def over(self) -> tuple[Axis, ...]:
        return self.parts[1]


class _Indexed(Expr):
    __slots__ = ()

    @property
    def at(self) -> tuple[tuple[Axis, IndexMap], ...]:
        axes, maps = self.parts[0], self.parts[2:]
        return tuple(zip(axes, maps, strict=True))

    @property
    def along(self) -> Axis | None:
        return self.parts[1]


class Select(_Indexed):
    """Elements of the child: each label in `at` is replaced by positions, all along one new label or none.

    `at` is a tuple of (label of the child, IndexMap); the maps share the label `along` where they are 1-d.
    """

    __slots__ = ()


class Scatter(_Indexed):
    """The adjoint of Select: adds each element of the child to its positions in the labels of `at`."""

    __slots__ = ()


_arguments: list[sympy.Symbol] = []


def argument(index: int) -> sympy.Symbol:
    """The placeholder for child number `index` in the function of a Map."""
    while len(_arguments) <= index:
        _arguments.append(sympy.Symbol(f"_{len(_arguments)}", real=True))
    return _arguments[index]


def position(symbol: sympy.Symbol) -> int:
    """The number of the child that a placeholder stands for."""
    return int(symbol.name[1:])


# ---- walks ----------------------------------------------------------------------------------


def topological(roots: Iterable[Expr], through: Callable[[Expr], bool] = lambda node: True) -> list[Expr]:
    """Every node under the roots once, children before parents, below a node only if it goes `through`.

    It is iterative, so depth is no limit.
    """
    order: list[Expr] = []
    seen: set[Expr] = set()
    stack: list[tuple[Expr, Iterator[Expr]]] = []

    def visit(node: Expr) -> None:
        seen.add(node)
        stack.append((node, iter(node.children if through(node) else ())))

    for root in roots:
        if root not in seen:
            visit(root)
        while stack:
            node, rest = stack[-1]
            child = next((c for c in rest if c not in seen), None)
            if child is None:
                order.append(node)
                stack.pop()
            else:
                visit(child)
    return order


def leaves(*roots: Expr) -> list[Leaf]:
    return [node for node in topological(roots) if isinstance(node, Leaf)]


def symbols_of(*roots: Expr) -> frozenset[Symbol]:
    """Every symbol that occurs."""
    return frozenset(leaf.symbol for leaf in leaves(*roots))


def depends_on(root: Expr, symbols: Iterable[Symbol]) -> bool:
    return not symbols_of(root).isdisjoint(symbols)


def constant_value(node: Expr) -> sympy.Expr | None:
    """The number a node is, when it is one."""
    return node.fn if isinstance(node, Map) and not node.children else None


def bound_axes(node: Expr) -> tuple[Axis, ...]:
    """The labels of the children that the node does not pass on."""
    if isinstance(node, Contract | Reduce):
        return node.over
    if isinstance(node, Select):
        return tuple(axis for axis, _ in node.at)
    if isinstance(node, Scatter):
        return (node.along,) if node.along else ()
    return ()
