"""Which elements of expressions depend on which elements of symbols: sparsity patterns, found without values.

Every node that holds the symbols gets a Boolean matrix, one row for each of its elements and one column for each
element of the stacked symbols. The zeros of data are seen; values of variables are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Expr,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    symbols_of,
    topological,
)  # fmt: skip
from bileveldsl.calculus.sparse import gather, product, scatter_matrix, selected_rows


def pattern(parts: Sequence[tuple[Expr, Sequence[Axis]]], symbols: Sequence[Symbol]) -> sparse.csr_array:
    """A matrix of ones where an element may depend on an element of a symbol.

    Parameters
    ----------
    parts
        Expressions and the labels of their rows; the rows of one after those of the other, in C order.
    symbols
        Their elements are the columns, one symbol after the other.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim, Symbol, leaf, multiply
    >>> x = Symbol("x", "variable", (Dim("n", 3),))
    >>> pattern([(multiply(leaf(x), leaf(x)), x.axes)], [x]).nonzero()[1].tolist()
    [0, 1, 2]
    """
    dependence = _Dependence(symbols)
    rows = [dependence.rows(expr, tuple(axes)) for expr, axes in parts]
    return sparse.csr_array(sparse.vstack([sparse.csr_array((0, dependence.columns)), *rows]))


class _Dependence:
    def __init__(self, symbols: Sequence[Symbol]):
        sizes = [int(np.prod(symbol.shape)) for symbol in symbols]
        self.starts = dict(zip(symbols, np.cumsum([0, *sizes])[:-1], strict=True))
        self.columns = sum(sizes)
        self.done: dict[Expr, sparse.csr_array] = {}  # of the nodes that hold the symbols
        self.visited: set[Expr] = set()

    def rows(self, root: Expr, axes: tuple[Axis, ...]) -> sparse.csr_array:
        for node in topological([root], through=lambda node: node not in self.visited):
            if node not in self.visited:
                self.visited.add(node)
                if (isinstance(node, Leaf) and node.symbol in self.starts) or self._moving(node):
                    self.done[node] = _ones(self._step(node))
        if root not in self.done:
            return sparse.csr_array((int(np.prod([axis.size for axis in axes])), self.columns))
        return self.done[root][gather(axes, root.axes)]

    def _moving(self, node: Expr) -> list[Expr]:
        return [child for child in dict.fromkeys(node.children) if child in self.done]

    def _step(self, node: Expr) -> sparse.csr_array:
        if isinstance(node, Leaf):
            size = int(np.prod(node.shape))
            place = self.starts[node.symbol] + np.arange(size)
            return sparse.csr_array((np.ones(size), (np.arange(size), place)), shape=(size, self.columns))
        if isinstance(node, Map):
            parts = [self.done[child][gather(node.axes, child.axes)] for child in self._moving(node)]
            return sum(parts[1:], parts[0])
        if isinstance(node, Contract):
            return self._contract(node)
        child = node.children[0]
        if isinstance(node, Reduce):
            reduced = gather(child.axes, node.axes)
            places = (reduced, np.arange(len(reduced)))
            shape = (int(np.prod(node.shape)), len(reduced))
            return sparse.csr_array((np.ones(len(reduced)), places), shape=shape) @ self.done[child]
        if isinstance(node, Select):
            return self.done[child][selected_rows(node)]
        assert isinstance(node, Scatter)  # a Delta holds no symbols
        return scatter_matrix(node) @ self.done[child]

    def _contract(self, node: Contract) -> sparse.csr_array:
        """An element depends on what its terms depend on, where no factor of the term is a known zero."""
        fixed = product([child for child in node.children if child not in self.done], _nonzeros)
        total = sparse.csr_array((int(np.prod(node.shape)), self.columns))
        for child in self._moving(node):
            entries = fixed.over(child.axes).over(node.axes)
            rows, columns = entries.flat(node.axes), entries.flat(child.axes)
            shape = (total.shape[0], int(np.prod(child.shape)))
            total = total + sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape) @ self.done[child]
        return total


def _nonzeros(factor: Expr) -> np.ndarray | None:
    """Ones where a factor without the symbols may differ from zero, or None where it holds other variables."""
    if any(symbol.role == "variable" for symbol in symbols_of(factor)):
        return None
    return (np.asarray(evaluate(factor, {}, factor.axes)) != 0) * 1.0


def _ones(matrix: sparse.csr_array) -> sparse.csr_array:
    matrix = sparse.csr_array(matrix)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix
