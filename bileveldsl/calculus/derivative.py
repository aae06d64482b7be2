"""Symbolic derivatives of the expression DAG by reverse accumulation; the results are expressions again.

sympy differentiates the scalar function inside each Map; every other node has an adjoint of its own kind.
Because a gradient is an ordinary expression, it can be printed, certified, compiled and differentiated again:
Hessians, cross derivatives and Hessian-vector products all come from `jacobian` and `gradient`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sympy

from bileveldsl.calculus.expr import (
    ONE,
    ZERO,
    Axis,
    Contract,
    Expr,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    add,
    apply,
    argument,
    bound_axes,
    constant_value,
    contract,
    delta,
    distinct_axes,
    leaf,
    multiply,
    rename,
    scatter,
    select,
    topological,
)  # fmt: skip
from bileveldsl.calculus.functions import divide0, equal, partials


@dataclass(frozen=True)
class Derivative:
    """The derivative of an expression with respect to a symbol.

    `expr` holds a subset of the labels `rows + columns`; it is constant along the others. `rows` are the
    labels of the expression, `columns` one label for each index of the symbol.
    """

    expr: Expr
    rows: tuple[Axis, ...]
    columns: tuple[Axis, ...]


def gradient(root: Expr, symbols: Sequence[Symbol]) -> list[Expr]:
    """The gradient of a scalar expression with respect to each symbol, over the symbol's own labels.

    A gradient lacks the labels along which it is constant.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim, Symbol, leaf, contract
    >>> w = Symbol("w", "variable", (Dim("p", 3),))
    >>> gradient(contract([leaf(w), leaf(w)], w.axes), [w])
    [2*w]
    """
    if root.axes:
        raise ValueError("the gradient is of a scalar expression; use jacobian")
    return [derivative.expr for derivative in jacobian(root, symbols)]


def jacobian(root: Expr, symbols: Sequence[Symbol], rows: Sequence[Axis] | None = None) -> list[Derivative]:
    """The derivative of an expression over `rows` (its own labels by default) with respect to each symbol.

    The columns take the symbol's own labels where the rows leave them free: d w[p] has columns p, or p' beside a row p.
    """
    labels = root.axes if rows is None else tuple(rows)
    collect = _accumulate(root, frozenset(symbols))
    columns = [distinct_axes(symbol.dims, labels) for symbol in symbols]
    return [Derivative(collect(s, c), labels, c) for s, c in zip(symbols, columns, strict=True)]


def hessian(root: Expr, rows: Symbol, columns: Symbol) -> Derivative:
    """The second derivative of a scalar expression: first by `rows`, then by `columns`."""
    (first,) = gradient(root, [rows])
    return jacobian(first, [columns], rows.axes)[0]


def directional(root: Expr, wrt: Sequence[Symbol], directions: Sequence[Symbol], of: Sequence[Symbol]) -> list[Expr]:
    """Products of second derivatives with a vector: the gradient by `of` of the sum of <root_w, direction_w>.

    With `wrt = of = y` this is the Hessian-vector product g_yy v; with `wrt = y, of = x` it is g_xy v.
    """
    first = gradient(root, wrt)
    products = [contract([g, leaf(v, w.axes)], w.axes) for g, w, v in zip(first, wrt, directions, strict=True)]
    return gradient(add(*products), of)


def _accumulate(root: Expr, symbols: frozenset[Symbol]) -> Callable[[Symbol, tuple[Axis, ...]], Expr]:
    """One reverse sweep; the result gives the derivative by a symbol over chosen column labels."""
    order = topological([root])
    active: set[Expr] = set()
    for node in order:
        if (isinstance(node, Leaf) and node.symbol in symbols) or any(child in active for child in node.children):
            active.add(node)

    # Rows get labels that occur nowhere in the DAG, so that no label inside can capture them.
    used = {axis for node in order for axis in (*node.axes, *bound_axes(node))}
    fresh = distinct_axes([axis.dim for axis in root.axes], used)
    seed = [delta(row, axis) for row, axis in zip(fresh, root.axes, strict=True)]
    contributions: dict[Expr, list[Expr]] = {root: [multiply(ONE, *seed)]}
    leaves: dict[Symbol, list[tuple[Leaf, Expr]]] = {}
    for node in reversed(order):
        if node not in active or node not in contributions:
            continue
        adjoint = add(*contributions.pop(node))
        if constant_value(adjoint) == 0:
            continue
        if isinstance(node, Leaf):
            leaves.setdefault(node.symbol, []).append((node, adjoint))
            continue
        for child, share in _shares(node, adjoint, active):
            contributions.setdefault(child, []).append(share)

    def collect(symbol: Symbol, columns: tuple[Axis, ...]) -> Expr:
        terms = []
        for node, adjoint in leaves.get(symbol, []):
            names = dict(zip(node.axes, columns, strict=True)) | dict(zip(fresh, root.axes, strict=True))
            terms.append(rename(adjoint, names))
        return add(*terms) if terms else ZERO

    return collect


def _shares(node: Expr, adjoint: Expr, active: set[Expr]) -> Iterator[tuple[Expr, Expr]]:
    """The active children of a node, each with its share in the adjoint; one that occurs twice comes twice."""
    if isinstance(node, Map):
        slopes = partials(node.fn)
        for symbol, child in node.operands.items():
            if child in active:
                slope = apply(slopes.get(symbol, sympy.Integer(0)), node.children)
                yield child, contract([adjoint, slope], [axis for axis in node.axes if axis not in child.axes])
    elif isinstance(node, Contract):
        labels = (*node.axes, *node.over)
        for position, child in enumerate(node.children):
            if child in active:
                others = node.children[:position] + node.children[position + 1 :]
                yield child, contract([adjoint, *others], [axis for axis in labels if axis not in child.axes])
    elif isinstance(node, Reduce):
        yield node.children[0], multiply(adjoint, _reduction_slope(node, node.children[0]))
    elif isinstance(node, Select):
        yield node.children[0], scatter(adjoint, node.at, node.along)
    elif isinstance(node, Scatter):
        repeated = [node.along] if node.along and node.along not in node.children[0].axes else []
        yield node.children[0], contract([select(adjoint, node.at, node.along)], repeated)


def _reduction_slope(node: Reduce, child: Expr) -> Expr:
    if node.operation == "logsumexp":  # the softmax, with the normalisation already done
        return apply(sympy.exp(argument(0) - argument(1)), [child, node])
    if node.operation == "norm":
        return apply(divide0(argument(0), argument(1)), [child, node])
    hit = apply(equal(argument(0), argument(1)), [child, node])
    return apply(argument(0) / argument(1), [hit, contract([hit], node.over)])
