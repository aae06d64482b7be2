"""Array expressions written out: every element of a node of the expression DAG as a scalar node."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Delta,
    Expr,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    topological,
)  # fmt: skip
from bileveldsl.calculus.nodes import position
from bileveldsl.certify.scalars.node import PI, E, Scalar, call, number, power, product, total

Writer = Callable[[Sequence[Scalar]], Scalar]


class NotExpanded(Exception):
    """More scalar operations than the caller allows, data that are not finite, or a function without scalar form."""


class Expansion:
    """The elements of nodes as scalars, each node written out once.

    Parameters
    ----------
    variables
        The scalar nodes of each variable, of the symbol's shape; other symbols are at their values.
    limit
        How many scalar operations to write at most, in all.

    Raises
    ------
    NotExpanded
        When the limit is reached, a symbol has no finite value, or a function is none of a statement.
    """

    def __init__(self, variables: Mapping[Symbol, np.ndarray], limit: int):
        self._variables = variables
        self._left = limit
        self._done: dict[Expr, np.ndarray] = {}

    def __call__(self, root: Expr, axes: Sequence[Axis] = ()) -> np.ndarray:
        """The elements of a node, an object array of scalars over `axes`."""
        for node in topological([root]):
            if node not in self._done:
                self._done[node] = self._write(node, [self._done[child] for child in node.children])
        return _aligned(self._done[root], root.axes, axes)

    def _spend(self, operations: int) -> None:
        self._left -= operations
        if self._left < 0:
            raise NotExpanded

    def _write(self, node: Expr, inside: list[np.ndarray]) -> np.ndarray:
        if isinstance(node, Leaf):
            return self._leaf(node.symbol)
        if isinstance(node, Delta):
            self._spend(math.prod(node.shape))
            return _numbers(np.eye(node.axes[0].size, dtype=np.int64))
        if isinstance(node, Map):
            return self._map(node, inside)
        if isinstance(node, Contract):
            wanted = (*node.axes, *node.over)
            shape = tuple(axis.size for axis in wanted)
            self._spend(math.prod(shape))
            factors = [_aligned(x, child.axes, wanted) for x, child in zip(inside, node.children, strict=True)]
            products = _each(shape, lambda place: product(x[place] for x in factors))
            return _folded(products, len(node.axes), total)
        if isinstance(node, Reduce):
            self._spend(inside[0].size)
            child = node.children[0]
            moved = _aligned(inside[0], child.axes, (*node.axes, *node.over))
            return _folded(moved, len(node.axes), _REDUCTIONS[node.operation])
        assert isinstance(node, Select | Scatter)
        self._spend(math.prod(node.shape))
        return _moved(node, inside[0])

    def _leaf(self, symbol: Symbol) -> np.ndarray:
        if symbol in self._variables:
            return self._variables[symbol]
        value = symbol.value
        if value is None or not np.isfinite(value).all():
            raise NotExpanded
        self._spend(value.size)
        return _numbers(np.asarray(value))

    def _map(self, node: Map, inside: list[np.ndarray]) -> np.ndarray:
        write = _writer(node.fn)
        shape = node.shape
        self._spend(math.prod(shape) * max(1, sum(1 for _ in sympy.preorder_traversal(node.fn)) // 2))
        args = [_aligned(x, child.axes, node.axes) for x, child in zip(inside, node.children, strict=True)]
        return _each(shape, lambda place: write([x[place] for x in args]))


def _numbers(array: np.ndarray) -> np.ndarray:
    """Numbers as the rationals they are: a float is a dyadic rational."""
    return _filled(array.shape, [number(Fraction(v)) for v in array.ravel().tolist()])


def _filled(shape: tuple[int, ...], flat: list[Scalar]) -> np.ndarray:
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(shape)


def _each(shape: tuple[int, ...], element: Callable[[tuple[int, ...]], Scalar]) -> np.ndarray:
    return _filled(shape, [element(place) for place in np.ndindex(*shape)])


def _folded(array: np.ndarray, kept: int, fold: Callable[[Sequence[Scalar]], Scalar]) -> np.ndarray:
    shape = array.shape[:kept]
    rows = array.reshape(math.prod(shape), -1)
    return _filled(shape, [fold(row.tolist()) for row in rows])


def _aligned(array: np.ndarray, axes: Sequence[Axis], wanted: Sequence[Axis]) -> np.ndarray:
    moved = array.transpose([list(axes).index(a) for a in wanted if a in axes])
    full = moved[tuple(slice(None) if a in axes else None for a in wanted)]
    return np.broadcast_to(full, tuple(a.size for a in wanted))


def _moved(node: Select | Scatter, inside: np.ndarray) -> np.ndarray:
    child = node.children[0]
    targets = tuple(axis for axis, _ in node.at)
    along = () if node.along is None else (node.along,)
    places: tuple[Any, ...] = tuple(index.positions for _, index in node.at)
    if isinstance(node, Select):
        kept = tuple(a for a in child.axes if a not in targets)
        return _aligned(_aligned(inside, child.axes, (*targets, *kept))[(*places, ...)], (*along, *kept), node.axes)
    kept = tuple(a for a in node.axes if a not in targets)
    moved = _aligned(inside, child.axes, (*along, *kept))
    count = moved.shape[0] if along else 1
    pieces: dict[tuple[int, ...], list[Any]] = {}
    for k in range(count):
        row = moved[k, ...] if along else moved
        target = tuple(int(np.broadcast_to(p, (count,))[k]) for p in places)
        for place in np.ndindex(*row.shape):
            pieces.setdefault((*target, *place), []).append(row[place])
    shape = tuple(a.size for a in (*targets, *kept))
    return _aligned(_each(shape, lambda place: total(pieces.get(place, []))), (*targets, *kept), node.axes)


def _log_sum_exp(terms: Sequence[Scalar]) -> Scalar:
    return call("log", total(call("exp", term) for term in terms))


def _norm(terms: Sequence[Scalar]) -> Scalar:
    return power(total(power(term, 2) for term in terms), Fraction(1, 2))


_REDUCTIONS: dict[str, Callable[[Sequence[Scalar]], Scalar]] = {
    "logsumexp": _log_sum_exp,
    "norm": _norm,
    "max": lambda terms: call("max", *terms),
    "min": lambda terms: call("min", *terms),
}


# ---- scalar functions ----

_NAMES: dict[Any, str] = {
    sympy.exp: "exp", sympy.log: "log", sympy.Abs: "abs", sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan",
    sympy.asin: "asin", sympy.acos: "acos", sympy.atan: "atan", sympy.sinh: "sinh", sympy.cosh: "cosh",
    sympy.tanh: "tanh", sympy.sign: "sign", sympy.Max: "max", sympy.Min: "min", f.maximum: "max", f.minimum: "min",
    f.softplus: "softplus", f.sigmoid: "sigmoid", f.huber: "huber", f.step: "step", f.xlogx: "xlogx",
    f.relative_entropy: "relative_entropy",
}  # fmt: skip


def _writer(fn: sympy.Expr) -> Writer:
    """A sympy function of placeholders as a function of scalar nodes."""
    if fn.is_Symbol:
        place = position(fn)
        return lambda args: args[place]
    if fn.is_Number:
        exact = sympy.Rational(fn)
        value = number(Fraction(int(exact.p), int(exact.q)))
        return lambda args: value
    if fn in (sympy.pi, sympy.E):
        known = PI if fn == sympy.pi else E
        return lambda args: known
    if fn.is_Pow and fn.exp.is_Rational:
        base, exponent = _writer(fn.base), Fraction(int(fn.exp.p), int(fn.exp.q))
        return lambda args: power(base(args), exponent)
    inner = [_writer(arg) for arg in fn.args]
    if fn.is_Add:
        return lambda args: total(write(args) for write in inner)
    if fn.is_Mul:
        return lambda args: product(write(args) for write in inner)
    name = "pow" if fn.is_Pow else _NAMES.get(fn.func)
    if name is None:
        raise NotExpanded(f"{fn.func} has no scalar form")
    return lambda args: call(name, *(write(args) for write in inner))
