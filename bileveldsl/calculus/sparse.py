"""Coefficients of affine and quadratic expressions as sparse matrices, without a dense array in between.

Every node that is affine in the symbols becomes a constant and a matrix: one row for each of its elements, one column
for each element of the stacked symbols. Each kind of node is a sparse matrix product or an indexing of rows, so the
cost grows with the number of nonzeros. Data enters with its float64 values; products and sums are those of float64.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Delta,
    Expr,
    Leaf,
    Map,
    Scatter,
    Select,
    Symbol,
    apply,
    argument,
    is_incidence,
    topological,
)  # fmt: skip
from bileveldsl.calculus.structure import monomials

Values = Mapping[Symbol, np.ndarray]


@dataclass(frozen=True)
class AffineForm:
    """`matrix @ z + constant`: elements in C order of the axes asked for, z the stacked symbols, each in C order."""

    matrix: sparse.csr_array
    constant: np.ndarray


@dataclass(frozen=True)
class QuadraticForm:
    """`z' Q z / 2 + c' z + constant`, with a symmetric Q."""

    Q: sparse.csr_array
    c: np.ndarray
    constant: float


def affine_form(
    expr: Expr, axes: Sequence[Axis], symbols: Sequence[Symbol], values: Values | None = None
) -> AffineForm:
    """The coefficients of an expression that is affine in the symbols.

    Parameters
    ----------
    expr
        Its elements are the rows, in C order of `axes`; along labels that it lacks its rows repeat.
    axes
        The labels of the rows, in order; all of the expression's among them.
    symbols
        Their elements are the columns, one symbol after the other.
    values
        Of all other variables that occur.

    Raises
    ------
    ValueError
        When the expression is not affine in the symbols, or a variable has no value.
    """
    builder = _Builder(tuple(symbols), dict(values or {}))
    affine = builder.node(expr)
    rows = gather(tuple(axes), expr.axes)
    return AffineForm(sparse.csr_array(affine.matrix[rows]), affine.constant[rows])


def quadratic_form(expr: Expr, symbols: Sequence[Symbol], values: Values | None = None) -> QuadraticForm:
    """The coefficients of a scalar expression that is quadratic in the symbols; parameters as for `affine_form`."""
    zero = {**dict(values or {}), **{symbol: np.zeros(symbol.shape) for symbol in symbols}}
    rows = [
        affine_form(slope, symbol.axes, symbols, values)
        for symbol, slope in zip(symbols, gradient(expr, symbols), strict=True)
    ]
    Q = sparse.csr_array(sparse.vstack([row.matrix for row in rows]))
    c = np.concatenate([row.constant for row in rows])
    return QuadraticForm(Q, c, float(evaluate(expr, zero)))


@dataclass(frozen=True)
class _Affine:
    matrix: sparse.csr_array
    constant: np.ndarray


@functools.lru_cache(maxsize=16)
def _places(symbols: tuple[Symbol, ...]) -> tuple[dict[Symbol, int], int]:
    """The first column of each symbol, and how many columns there are."""
    ends = list(itertools.accumulate((math.prod(symbol.shape) for symbol in symbols), initial=0))
    return dict(zip(symbols, ends, strict=False)), ends[-1]


@dataclass
class _Builder:
    symbols: tuple[Symbol, ...]
    values: dict[Symbol, np.ndarray]

    def __post_init__(self) -> None:
        self.starts, self.columns = _places(self.symbols)

    def node(self, root: Expr) -> _Affine:
        done: dict[Expr, _Affine] = {}  # of the nodes that hold the symbols
        for node in topological([root]):
            own = isinstance(node, Leaf) and node.symbol in self.starts
            if own or any(child in done for child in node.children):
                done[node] = self._step(node, done)
        return done[root] if root in done else self._fixed(root)

    def _step(self, node: Expr, done: dict[Expr, _Affine]) -> _Affine:
        if isinstance(node, Leaf):
            return self._identity(node)
        if isinstance(node, Map):
            return self._map(node, done)
        if isinstance(node, Contract):
            return self._contract(node, done)
        if isinstance(node, Select):
            child = done[node.children[0]]
            rows = selected_rows(node)
            return _Affine(sparse.csr_array(child.matrix[rows]), child.constant[rows])
        if isinstance(node, Scatter):
            return self._times(scatter_matrix(node), done[node.children[0]])
        raise ValueError(f"not affine: {node}")

    def _identity(self, node: Leaf) -> _Affine:
        size = int(np.prod(node.shape))
        rows = np.arange(size)
        columns = self.starts[node.symbol] + rows
        matrix = sparse.csr_array((np.ones(size), (rows, columns)), shape=(size, self.columns))
        return _Affine(matrix, np.zeros(size))

    def _fixed(self, node: Expr) -> _Affine:
        constant = self._value(node).ravel()
        return _Affine(sparse.csr_array((constant.size, self.columns)), constant)

    def _value(self, node: Expr) -> np.ndarray:
        return np.asarray(evaluate(node, self.values, node.axes), dtype=np.float64)

    def _map(self, node: Map, done: dict[Expr, _Affine]) -> _Affine:
        moving = [k for k, child in enumerate(node.children) if child in done]
        found = monomials(node.fn, tuple(argument(k) for k in moving))
        if found is None or any(sum(power for _, power in monomial) > 1 for monomial in found):
            raise ValueError(f"not affine: {node}")
        size = int(np.prod(node.shape))
        parts, constant = [sparse.csr_array((size, self.columns))], np.zeros(size)
        for monomial, coefficient in found.items():
            factor = apply(coefficient, node.children)
            weight = self._value(factor).ravel()[gather(node.axes, factor.axes)]
            if not monomial:
                constant = constant + weight
                continue
            child = node.children[moving[monomial[0][0]]]
            rows = gather(node.axes, child.axes)
            parts.append(sparse.csr_array(sparse.diags_array(weight) @ done[child].matrix[rows]))
            constant = constant + weight * done[child].constant[rows]
        return _Affine(_sum(parts), constant)

    def _contract(self, node: Contract, done: dict[Expr, _Affine]) -> _Affine:
        moving = [child for child in node.children if child in done]
        if len(moving) != 1:
            raise ValueError(f"not affine: {node}")
        child = moving[0]
        entries = product([c for c in node.children if c is not child], self._value).over(child.axes)
        rows = entries.flat(node.axes)
        columns = entries.flat(child.axes)
        shape = (int(np.prod(node.shape)), int(np.prod(child.shape)))
        return self._times(sparse.csr_array((entries.weights, (rows, columns)), shape=shape), done[child])

    @staticmethod
    def _times(matrix: sparse.csr_array, child: _Affine) -> _Affine:
        return _Affine(sparse.csr_array(matrix @ child.matrix), matrix @ child.constant)


def _sum(parts: list[sparse.csr_array]) -> sparse.csr_array:
    """The sum of matrices, in one go: one by one, long sums cost their square."""
    if len(parts) < 3:
        return sparse.csr_array(sum(parts[1:], parts[0]))
    entries = [part.tocoo() for part in parts]
    rows, columns, data = (np.concatenate(a) for a in zip(*((e.row, e.col, e.data) for e in entries), strict=True))
    return sparse.csr_array((data, (rows, columns)), shape=parts[0].shape)


@dataclass(frozen=True)
class Entries:
    """Nonzero elements: for each the position along every label, and its weight."""

    positions: dict[Axis, np.ndarray]
    weights: np.ndarray

    def over(self, axes: Sequence[Axis]) -> Entries:
        """The same repeated along the labels that are missing."""
        result = self
        for axis in axes:
            if axis not in result.positions:
                count = len(result.weights)
                positions = {a: np.repeat(p, axis.size) for a, p in result.positions.items()}
                positions[axis] = np.tile(np.arange(axis.size), count)
                result = Entries(positions, np.repeat(result.weights, axis.size))
        return result

    def tied(self, target: Axis, along: Axis, codes: np.ndarray) -> Entries:
        """The elements for which the position along `target` is the code of that along `along`."""
        if along in self.positions and target in self.positions:
            return self._kept(codes[self.positions[along]] == self.positions[target])
        if target in self.positions and along not in self.positions:
            wide = self.over([along])
            return wide._kept(codes[wide.positions[along]] == wide.positions[target])
        wide = self.over([along])
        return Entries({**wide.positions, target: codes[wide.positions[along]]}, wide.weights)

    def times(self, array: np.ndarray, axes: Sequence[Axis]) -> Entries:
        weights = self.weights * (array[tuple(self.positions[axis] for axis in axes)] if axes else array)
        return Entries(self.positions, weights)._kept(weights != 0)

    def flat(self, axes: Sequence[Axis]) -> np.ndarray:
        """The position of each element in an array over the labels, in C order."""
        if not axes:
            return np.zeros(len(self.weights), dtype=np.int64)
        return np.ravel_multi_index([self.positions[axis] for axis in axes], [axis.size for axis in axes])

    def _kept(self, mask: np.ndarray) -> Entries:
        return Entries({axis: p[mask] for axis, p in self.positions.items()}, self.weights[mask])


def product(factors: Sequence[Expr], value: Callable[[Expr], np.ndarray | None]) -> Entries:
    """The product of factors as its nonzero elements; incidences first, since they have few.

    `value` gives the elements of a factor over its labels, or None where all of them may differ from zero.
    """
    result = Entries({}, np.ones(1))
    for factor in sorted(factors, key=lambda f: not (isinstance(f, Delta) or is_incidence(f))):
        if isinstance(factor, Delta):
            result = result.tied(factor.axes[0], factor.axes[1], np.arange(factor.axes[0].size))
        elif is_incidence(factor) and factor.along is not None:
            (target,) = (axis for axis in factor.axes if axis != factor.along)
            result = result.tied(target, factor.along, factor.at[0][1].positions)
        else:
            array, result = value(factor), result.over(factor.axes)
            result = result if array is None else result.times(array, factor.axes)
    return result


def gather(axes: Sequence[Axis], inner: Sequence[Axis]) -> np.ndarray:
    """For each element over `axes`, in C order, the position of its element over the labels `inner`."""
    if not inner:
        return np.zeros(int(np.prod([axis.size for axis in axes])), dtype=np.int64)
    flat = np.arange(int(np.prod([a.size for a in inner]))).reshape([a.size for a in inner])
    order = [axis for axis in axes if axis in inner]
    turned = flat.transpose([list(inner).index(axis) for axis in order])
    spread = turned.reshape([axis.size if axis in inner else 1 for axis in axes])
    return np.broadcast_to(spread, [axis.size for axis in axes]).ravel()


def selected_rows(node: Select) -> np.ndarray:
    """For each element of a selection the element of the child that it is."""
    return _positions(node, node.axes, node.children[0].axes)


def scatter_matrix(node: Scatter) -> sparse.csr_array:
    """The matrix that adds each element of the child to its place."""
    child = node.children[0]
    axes = child.axes if node.along is None or node.along in child.axes else (*child.axes, node.along)
    rows, columns = _positions(node, axes, node.axes), gather(axes, child.axes)
    size = (int(np.prod(node.shape)), int(np.prod(child.shape)))
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=size)


def _positions(node: Select | Scatter, axes: Sequence[Axis], inner: Sequence[Axis]) -> np.ndarray:
    """For each element over `axes`, in C order, the element over `inner` that the positions of a node lead to."""
    shape = [axis.size for axis in axes]
    if not inner:
        return np.zeros(int(np.prod(shape)), dtype=np.int64)
    maps, grid = dict(node.at), dict(zip(axes, np.indices(shape), strict=True))
    places = []
    for axis in inner:
        if axis not in maps:
            places.append(grid[axis])
        else:
            positions = maps[axis].positions
            along = node.along if positions.ndim else None
            places.append(np.broadcast_to(positions, shape) if along is None else positions[grid[along]])
    return np.ravel_multi_index(places, [axis.size for axis in inner]).ravel()
