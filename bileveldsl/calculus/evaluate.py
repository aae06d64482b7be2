"""The value of an expression, node by node: the reference that generated code is tested against."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus import functions
from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Delta,
    Expr,
    IndexMap,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    argument,
    topological,
)  # fmt: skip


def evaluate(expr: Expr, values: Mapping[Symbol, np.ndarray], axes: Sequence[Axis] | None = None) -> np.ndarray:
    """The float64 value of an expression, broadcast over `axes` (its own labels by default) in that order.

    Parameters
    ----------
    expr
        Any node.
    values
        An array of the symbol's shape for each variable; data and sizes hold their own value, which one given
        here replaces.
    axes
        At least the labels of `expr`.

    Raises
    ------
    ValueError
        When a symbol has no value, or one of another shape.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim, Symbol, contract, leaf
    >>> w = Symbol("w", "variable", (Dim("p", 3),))
    >>> evaluate(contract([leaf(w), leaf(w)], w.axes), {w: np.array([1.0, 2.0, 3.0])})
    array(14.)
    """
    done: dict[Expr, np.ndarray] = {}
    for node in topological([expr]):
        done[node] = _value(node, [done[child] for child in node.children], values)
    wanted = expr.axes if axes is None else tuple(axes)
    result = aligned(done[expr], expr.axes, wanted)
    return np.array(np.broadcast_to(result, tuple(axis.size for axis in wanted)))


def aligned(array: np.ndarray, axes: Sequence[Axis], wanted: Sequence[Axis]) -> np.ndarray:
    """An array over `axes` as one that broadcasts over `wanted`."""
    present = [axis for axis in wanted if axis in axes]
    transposed = array.transpose([list(axes).index(axis) for axis in present])
    return transposed.reshape([axis.size if axis in axes else 1 for axis in wanted])


def symbol_value(symbol: Symbol, values: Mapping[Symbol, np.ndarray]) -> np.ndarray:
    """The value given for a symbol, or else its own."""
    given = values.get(symbol, symbol.value)
    if given is None:
        raise ValueError(f"no value for {symbol.name}")
    array = np.asarray(given, dtype=float)
    if array.shape != symbol.shape:
        raise ValueError(f"{symbol.name} has shape {symbol.shape}, its value {array.shape}")
    return array


def _value(node: Expr, args: list[np.ndarray], values: Mapping[Symbol, np.ndarray]) -> np.ndarray:
    """The value of one node over its own labels, from those of its children."""
    if isinstance(node, Leaf):
        return symbol_value(node.symbol, values)
    if isinstance(node, Delta):
        return np.eye(node.axes[0].size)
    if isinstance(node, Map):
        operands = {
            argument(k): aligned(array, child.axes, node.axes)
            for k, (array, child) in enumerate(zip(args, node.children, strict=True))
        }
        return np.broadcast_to(elementwise(node.fn, operands), node.shape)
    if isinstance(node, Contract):
        number = {axis: k for k, axis in enumerate((*node.axes, *node.over))}
        factors: list[Any] = []
        for array, child in zip(args, node.children, strict=True):
            factors += [array, [number[axis] for axis in child.axes]]
        return np.asarray(np.einsum(*factors, [number[axis] for axis in node.axes]))
    child = node.children[0]
    if isinstance(node, Reduce):
        array = aligned(args[0], child.axes, (*node.axes, *node.over))
        return reduction(node.operation, array.reshape(*node.shape, -1))
    if isinstance(node, Select):
        targets = tuple(axis for axis, _ in node.at)
        rest = tuple(axis for axis in child.axes if axis not in targets)
        picked = aligned(args[0], child.axes, (*targets, *rest))[_positions(node.at)]
        along = () if node.along is None else (node.along,)
        return aligned(picked, (*along, *rest), node.axes)
    if isinstance(node, Scatter):
        targets = tuple(axis for axis, _ in node.at)
        rest = tuple(axis for axis in node.axes if axis not in targets)
        along = () if node.along is None else (node.along,)
        added = aligned(args[0], child.axes, (*along, *rest))
        total = np.zeros([axis.size for axis in (*targets, *rest)])
        np.add.at(total, _positions(node.at), added)
        return aligned(total, (*targets, *rest), node.axes)
    raise TypeError(type(node))


def _positions(at: Sequence[tuple[Axis, IndexMap]]) -> tuple[np.ndarray, ...]:
    return tuple(index.positions for _, index in at)


def reduction(operation: str, array: np.ndarray) -> np.ndarray:
    """log-sum-exp, maximum, minimum or Euclidean norm over the last axis, scaled so that nothing overflows."""
    if operation == "max":
        return np.asarray(array.max(axis=-1, initial=-np.inf))
    if operation == "min":
        return np.asarray(array.min(axis=-1, initial=np.inf))
    if operation == "logsumexp":
        return np.asarray(np.logaddexp.reduce(array, axis=-1))
    largest = np.abs(array).max(axis=-1, initial=0.0)
    scale = np.where(largest == 0, 1.0, largest)
    return np.asarray(np.sqrt(((array / scale[..., None]) ** 2).sum(axis=-1)) * scale)


def elementwise(fn: sympy.Expr, operands: Mapping[sympy.Symbol, Any]) -> Any:
    """The value of a scalar function at arrays that broadcast, one for each of its symbols."""
    if fn.is_Symbol:
        return operands[fn]
    if fn.is_Rational:
        try:
            return float(Fraction(int(fn.p), int(fn.q)))
        except OverflowError:
            return math.copysign(math.inf, int(fn.p))
    if not fn.args:  # pi, e, the infinities
        return float(fn)
    args = [elementwise(arg, operands) for arg in fn.args]
    if fn.is_Add:
        return functools.reduce(operator.add, args)
    if fn.is_Mul:
        return functools.reduce(operator.mul, args)
    if fn.is_Pow:
        return np.sqrt(args[0]) if fn.args[1] == functions.HALF else np.power(args[0], args[1])
    return _FUNCTIONS[fn.func](*args)


def _xlogx(x: Any) -> Any:
    return x * np.log(np.where(x == 0, 1.0, x))


def _relative_entropy(x: Any, y: Any) -> Any:
    ratio = x / np.where(x == 0, 1.0, y)
    return x * np.log(np.where(x == 0, 1.0, ratio))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    sympy.exp: np.exp, sympy.log: np.log, sympy.Abs: np.abs, sympy.sign: np.sign,
    sympy.sin: np.sin, sympy.cos: np.cos, sympy.tan: np.tan,
    sympy.asin: np.arcsin, sympy.acos: np.arccos, sympy.atan: np.arctan,
    sympy.sinh: np.sinh, sympy.cosh: np.cosh, sympy.tanh: np.tanh,
    functions.softplus: lambda x: np.logaddexp(0.0, x),
    functions.sigmoid: lambda x: np.exp(-np.logaddexp(0.0, -x)),
    functions.huber: lambda x, d: np.where(np.abs(x) <= d, np.square(np.clip(x, -d, d)) / 2, d * (np.abs(x) - d / 2)),
    functions.clip: lambda x, d: np.clip(x, -d, d),
    functions.exceed: lambda x, d: np.maximum(np.abs(x) - d, 0.0),
    functions.inside: lambda x, d: (np.abs(x) <= d) * 1.0,
    functions.step: lambda x: np.heaviside(x, 0.5),
    functions.maximum: np.maximum,
    functions.minimum: np.minimum,
    functions.equal: lambda a, b: (a == b) * 1.0,
    functions.xlogx: _xlogx,
    functions.relative_entropy: _relative_entropy,
    functions.divide0: lambda x, r: np.where(r == 0, 0.0, x / np.where(r == 0, 1.0, r)),
}  # fmt: skip
