"""Expressions of the calculus as expressions of SCIP, element by element."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyscipopt
import sympy

from bileveldsl.calculus import functions
from bileveldsl.calculus.evaluate import aligned, evaluate
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
    argument,
    topological,
)
from bileveldsl.single_level.unsupported import Unsupported

Value = Any
"""A float, or an expression of SCIP."""


EXPANDED = 50
"""Terms that a product of sums may have to be written out; longer ones stay products."""


def scip_expressions(
    expr: Expr, axes: Sequence[Axis], variables: Mapping[Symbol, np.ndarray], fixed: Mapping[Symbol, np.ndarray]
) -> np.ndarray:
    """The elements of an expression over `axes`, as an object array of floats and expressions of SCIP.

    Parameters
    ----------
    variables
        Object arrays of SCIP's variables.
    fixed
        Values of all other variables.

    Raises
    ------
    Unsupported
        For a function that SCIP cannot bound.
    """
    done: dict[Expr, np.ndarray] = {}
    for node in topological([expr]):
        own = isinstance(node, Leaf) and node.symbol in variables
        if own or any(child in done for child in node.children):
            children = [done[child] if child in done else _fixed(child, fixed) for child in node.children]
            done[node] = _node(node, children, variables)
    found = done[expr] if expr in done else _fixed(expr, fixed)
    return np.broadcast_to(aligned(found, expr.axes, axes), tuple(axis.size for axis in axes))


def _fixed(node: Expr, fixed: Mapping[Symbol, np.ndarray]) -> np.ndarray:
    return evaluate(node, fixed).astype(object)


def _node(node: Expr, args: list[np.ndarray], variables: Mapping[Symbol, np.ndarray]) -> np.ndarray:
    """The elements of a node over its own labels, from those of its children."""
    if isinstance(node, Leaf):
        return variables[node.symbol]
    if isinstance(node, Map):
        return _map(node, args)
    if isinstance(node, Contract):
        return _contract(node, args)
    child = node.children[0]
    if isinstance(node, Reduce):
        array = aligned(args[0], child.axes, (*node.axes, *node.over))
        return _over_rows(_REDUCTIONS[node.operation], array.reshape(*node.shape, -1))
    assert isinstance(node, Select | Scatter) and not isinstance(node, Delta)
    targets = tuple(axis for axis, _ in node.at)
    positions = tuple(index.positions for _, index in node.at)
    along = () if node.along is None else (node.along,)
    if isinstance(node, Select):
        rest = tuple(axis for axis in child.axes if axis not in targets)
        picked = np.asarray(aligned(args[0], child.axes, (*targets, *rest))[positions], dtype=object)
        return aligned(picked, (*along, *rest), node.axes)
    rest = tuple(axis for axis in node.axes if axis not in targets)
    added = np.broadcast_to(
        aligned(args[0], child.axes, (*along, *rest)), tuple(axis.size for axis in (*along, *rest))
    )
    total = np.full([axis.size for axis in (*targets, *rest)], 0.0, dtype=object)
    np.add.at(total, positions, added)
    return aligned(total, (*targets, *rest), node.axes)


def _contract(node: Contract, args: list[np.ndarray]) -> np.ndarray:
    labels = (*node.axes, *node.over)
    parts = [aligned(array, child.axes, labels) for array, child in zip(args, node.children, strict=True)]
    whole = np.broadcast_to(functools.reduce(_times, parts), tuple(axis.size for axis in labels))
    return _over_rows(_total, whole.reshape(*node.shape, -1))


def _times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.frompyfunc(_product, 2, 1)(a, b), dtype=object)


def _product(a: Value, b: Value) -> Value:
    if (isinstance(a, float) and a == 0.0) or (isinstance(b, float) and b == 0.0):
        return 0.0
    if _terms(a) * _terms(b) > EXPANDED:
        a, b = pyscipopt.scip.buildGenExprObj(a), pyscipopt.scip.buildGenExprObj(b)
    return a * b


def _terms(value: Value) -> int:
    """How many terms a sum has that PySCIPOpt would multiply out."""
    return len(value.terms) if isinstance(value, pyscipopt.Expr) else 1


def _over_rows(reduce: Callable[[list[Value]], Value], array: np.ndarray) -> np.ndarray:
    result = np.empty(array.shape[:-1], dtype=object)
    for place in np.ndindex(result.shape):
        result[place] = reduce(list(array[place]))
    return result


def _total(terms: list[Value]) -> Value:
    kept = [term for term in terms if not (isinstance(term, float) and term == 0.0)]
    return pyscipopt.quicksum(kept) if kept else 0.0


def _norm(terms: list[Value]) -> Value:
    return _sqrt(_total([term * term for term in terms]))


def _logsumexp(terms: list[Value]) -> Value:
    return _log(_total([_exp(term) for term in terms]))


def _maximum(a: Value, b: Value) -> Value:
    if isinstance(a, float) and isinstance(b, float):
        return max(a, b)
    return 0.5 * (a + b + abs(a - b))


def _minimum(a: Value, b: Value) -> Value:
    return -_maximum(-a, -b)


_REDUCTIONS: Mapping[str, Callable[[list[Value]], Value]] = {
    "norm": _norm,
    "logsumexp": _logsumexp,
    "max": lambda terms: functools.reduce(_maximum, terms),
    "min": lambda terms: functools.reduce(_minimum, terms),
}


# ---- scalar functions -----------------------------------------------------------------------


def _map(node: Map, args: list[np.ndarray]) -> np.ndarray:
    operands = [
        np.broadcast_to(aligned(array, child.axes, node.axes), node.shape)
        for array, child in zip(args, node.children, strict=True)
    ]
    result = np.empty(node.shape, dtype=object)
    for place in np.ndindex(node.shape):
        values = {argument(k): operand[place] for k, operand in enumerate(operands)}
        try:
            result[place] = _scalar(node.fn, values)
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            raise Unsupported(f"a part of the model has no value ({error})") from error
    return result


def _scalar(fn: sympy.Expr, values: Mapping[sympy.Symbol, Value]) -> Value:
    """A scalar function at floats and expressions of SCIP."""
    if fn.is_Symbol:
        return values[fn]
    if not fn.args:
        return float(fn)
    args = [_scalar(arg, values) for arg in fn.args]
    if fn.is_Add:
        return _total(args)
    if fn.is_Mul:
        return functools.reduce(_product, args)
    if fn.is_Pow:
        return _power(args[0], args[1])
    if fn.func not in _FUNCTIONS:
        raise Unsupported(f"{fn.func} is not a function that SCIP knows")
    return _FUNCTIONS[fn.func](*args)


def _power(base: Value, exponent: Value) -> Value:
    if not isinstance(exponent, float):
        return _exp(exponent * _log(base))
    if isinstance(base, float):
        return base**exponent
    if exponent == 0.5:
        return _sqrt(base)
    if _terms(base) ** abs(exponent) > EXPANDED:
        base = pyscipopt.scip.buildGenExprObj(base)
    return base ** (int(exponent) if exponent.is_integer() else exponent)


def _elementary(of_float: Callable[[float], float], of_expression: Callable[[Any], Any]) -> Callable[[Value], Value]:
    return lambda x: of_float(x) if isinstance(x, float) else of_expression(x)


_exp = _elementary(math.exp, pyscipopt.exp)
_log = _elementary(math.log, pyscipopt.log)
_sqrt = _elementary(math.sqrt, pyscipopt.sqrt)
_sin = _elementary(math.sin, pyscipopt.sin)
_cos = _elementary(math.cos, pyscipopt.cos)


def _clip(x: Value, d: Value) -> Value:
    return _minimum(_maximum(x, -d), d)


def _huber(x: Value, d: Value) -> Value:
    """c^2/2 + d (|x| - |c|) with x clipped to c."""
    c = _clip(x, d)
    return 0.5 * c * c + d * (abs(x) - abs(c))


def _entropy(x: Value) -> Value:
    return 0.0 if isinstance(x, float) and x == 0.0 else x * _log(x)


def _relative_entropy(x: Value, y: Value) -> Value:
    return 0.0 if isinstance(x, float) and x == 0.0 else x * (_log(x) - _log(y))


_FUNCTIONS: Mapping[Any, Callable[..., Value]] = {
    sympy.exp: _exp, sympy.log: _log, sympy.Abs: operator.abs, sympy.sin: _sin, sympy.cos: _cos,
    sympy.tan: lambda x: _sin(x) / _cos(x),
    sympy.sinh: lambda x: 0.5 * (_exp(x) - _exp(-x)),
    sympy.cosh: lambda x: 0.5 * (_exp(x) + _exp(-x)),
    sympy.tanh: lambda x: 1.0 - 2.0 / (_exp(2.0 * x) + 1.0),
    functions.softplus: lambda x: _log(1.0 + _exp(x)),
    functions.sigmoid: lambda x: 1.0 / (1.0 + _exp(-x)),
    functions.maximum: _maximum, functions.minimum: _minimum,
    functions.huber: _huber, functions.clip: _clip,
    functions.xlogx: _entropy,
    functions.relative_entropy: _relative_entropy,
}  # fmt: skip
