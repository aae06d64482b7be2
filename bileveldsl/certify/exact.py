"""The exact value of a small node without variables, in rational arithmetic."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus.expr import Axis, Contract, Delta, Expr, Leaf, Map, Scatter, Select, argument, topological

_LARGEST = 1 << 14


def exact_value(root: Expr, axes: Sequence[Axis]) -> np.ndarray | None:
    """The value of a node over `axes` as an array of Fractions; None if it is not rational, or large.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import constant, divide
    >>> exact_value(divide(constant(1), constant(3)), ())
    array(Fraction(1, 3), dtype=object)
    """
    done: dict[Expr, np.ndarray] = {}
    for node in topological([root]):
        value = _value(node, [done[child] for child in node.children])
        if value is None:
            return None
        done[node] = value
    return _aligned(done[root], root.axes, axes) if math.prod(a.size for a in axes) <= _LARGEST else None


def _value(node: Expr, inside: list[np.ndarray]) -> np.ndarray | None:
    if math.prod(node.shape) > _LARGEST:
        return None
    if isinstance(node, Leaf):
        value = node.symbol.value
        if node.symbol.role == "variable" or value is None or not np.isfinite(value).all():
            return None
        return _fractions(np.asarray(value))
    if isinstance(node, Delta):
        return _fractions(np.eye(node.axes[0].size, dtype=np.int64))
    if isinstance(node, Map):
        pairs = zip(inside, node.children, strict=True)
        values = {argument(k): _aligned(v, c.axes, node.axes) for k, (v, c) in enumerate(pairs)}
        result = _function(node.fn, values)
        return None if result is None else np.array(np.broadcast_to(result, node.shape), dtype=object)
    if isinstance(node, Contract):
        wanted = (*node.axes, *node.over)
        if math.prod(axis.size for axis in wanted) > _LARGEST:
            return None
        product: np.ndarray = np.array(Fraction(1), dtype=object)
        for v, child in zip(inside, node.children, strict=True):
            product = product * _aligned(v, child.axes, wanted)
        return np.asarray(product.sum(tuple(range(len(node.axes), len(wanted)))), dtype=object)
    if isinstance(node, Select | Scatter):
        return _moved(node, inside[0])
    return None


def _fractions(array: np.ndarray) -> np.ndarray:
    flat = [Fraction(v) for v in array.ravel().tolist()]
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(array.shape)


def _aligned(array: np.ndarray, axes: Sequence[Axis], wanted: Sequence[Axis]) -> np.ndarray:
    moved = array.transpose([list(axes).index(a) for a in wanted if a in axes])
    full = moved[tuple(slice(None) if a in axes else None for a in wanted)]
    return np.broadcast_to(full, tuple(a.size for a in wanted))


def _function(e: sympy.Expr, values: dict[sympy.Symbol, np.ndarray]) -> Any:
    """The value of a rational function, an array or one Fraction; None for any other or a division by 0."""
    if e.is_Symbol:
        return values[e]
    if e.is_Rational:
        return Fraction(int(e.p), int(e.q))
    if not (e.is_Add or e.is_Mul or (e.is_Pow and e.exp.is_Integer and abs(e.exp) <= 16)):
        return None
    args = [_function(a, values) for a in (e.args if not e.is_Pow else e.args[:1])]
    if any(a is None for a in args):
        return None
    if e.is_Pow:
        return None if e.exp < 0 and np.any(np.equal(args[0], 0)) else args[0] ** int(e.exp)
    return reduce(operator.add if e.is_Add else operator.mul, args)


def _moved(node: Select | Scatter, inside: np.ndarray) -> np.ndarray:
    child = node.children[0]
    targets = tuple(axis for axis, _ in node.at)
    along = () if node.along is None else (node.along,)
    places = tuple(index.positions for _, index in node.at)
    if isinstance(node, Select):
        kept = tuple(a for a in child.axes if a not in targets)
        return _aligned(_aligned(inside, child.axes, (*targets, *kept))[places], (*along, *kept), node.axes)
    kept = tuple(a for a in node.axes if a not in targets)
    result = np.full(tuple(a.size for a in (*targets, *kept)), Fraction(0), dtype=object)
    np.add.at(result, places, _aligned(inside, child.axes, (*along, *kept)))
    return _aligned(result, (*targets, *kept), node.axes)
