"""Compiled functions of expressions over flat vectors, with sparse first and second derivatives.

All derivatives are symbolic. The nonzeros of a Jacobian and of the Hessian of a Lagrangian come from products with
directions, many at once; which products suffice is found from the sparsity pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bileveldsl.calculus.derivative import directional, gradient
from bileveldsl.calculus.expr import Axis, Dim, Expr, Symbol, add, contract, leaf, multiply, substitute
from bileveldsl.execute.codegen import compile_function
from bileveldsl.execute.constants import Constants
from bileveldsl.execute.outputs import Flat, Inputs
from bileveldsl.single_level.compression import Compression, compress, compress_symmetric
from bileveldsl.single_level.pattern import pattern

BATCH = 64
"""Directions in one call; more would take more memory and no less time."""

Part = tuple[Expr, tuple[Axis, ...]]


@dataclass(frozen=True, eq=False)
class Entries:
    """The nonzeros of a sparse matrix: where they are, and products that hold their values at `places`."""

    rows: np.ndarray
    columns: np.ndarray
    products: tuple[Products, ...]
    places: np.ndarray

    def __call__(self, *vectors: np.ndarray) -> np.ndarray:
        """The values at the input vectors."""
        return np.concatenate([np.zeros(0), *(product(*vectors) for product in self.products)])[self.places]


class Products:
    """A matrix times each of some fixed directions, its columns' symbols being those of the directions."""

    def __init__(
        self,
        outputs: Sequence[Part],
        along: Sequence[Symbol],
        directions: np.ndarray,
        inputs: Inputs,
        constants: Constants,
    ):
        self._width = max(1, min(len(directions), BATCH))
        self._sizes = [_size(axes) for _, axes in outputs]
        batches = -(-len(directions) // self._width)
        padded = np.zeros((batches * self._width, directions.shape[1]))
        padded[: len(directions)] = directions
        ends = np.cumsum([_size(symbol.axes) for symbol in along])
        self._batches = [
            np.concatenate([np.zeros(0), *(part.ravel() for part in np.split(batch, ends[:-1], axis=1))])
            for batch in np.split(padded, batches)
        ] if batches else []  # fmt: skip
        batch = (Axis(Dim("directions of a derivative", self._width)),) if self._width > 1 else ()
        dims = tuple(axis.dim for axis in batch)
        stacked = [Symbol(f"{symbol.name}_directions", "variable", (*dims, *symbol.dims)) for symbol in along]
        each = {old: leaf(new, (*batch, *old.axes)) for old, new in zip(along, stacked, strict=True)}
        exprs = substitute([expr for expr, _ in outputs], each)
        parts = tuple((expr, (*batch, *axes)) for expr, (_, axes) in zip(exprs, outputs, strict=True))
        if self._batches:
            self._function = compile_function("products", [Flat(parts)], {**inputs, "along": stacked}, constants)

    @property
    def size(self) -> int:
        return len(self._batches) * self._width * sum(self._sizes)

    def __call__(self, *vectors: np.ndarray) -> np.ndarray:
        """All products in one vector, in the order that `places` knows."""
        return np.concatenate([np.zeros(0), *(self._function(*vectors, batch) for batch in self._batches)])

    def places(self, direction: np.ndarray, element: np.ndarray) -> np.ndarray:
        """Where the elements of the products by the directions are."""
        starts = np.cumsum([0, *self._sizes])
        part = np.searchsorted(starts, element, side="right") - 1
        size = np.asarray([*self._sizes, 0])[part]
        batch, within = np.divmod(direction, self._width)
        return self._width * (batch * starts[-1] + starts[part]) + within * size + element - starts[part]


def jacobian_entries(
    parts: Sequence[Part], symbols: Sequence[Symbol], inputs: Inputs, constants: Constants
) -> Entries:
    """The derivative of the stacked parts by the stacked symbols, as a function of the input vectors."""
    structure = pattern(parts, symbols)
    by_columns, by_rows = compress(structure), compress(structure.T.tocsr())
    weights = [Symbol(f"weights {k}", "variable", tuple(a.dim for a in axes)) for k, (_, axes) in enumerate(parts)]
    moves = _directions(symbols)
    backward = gradient(_paired(parts, weights), symbols)
    forward = gradient(_paired(_over(backward, symbols), moves), weights)
    times, times_transposed = (_over(forward, weights), moves), (_over(backward, symbols), weights)
    rows, columns = structure.nonzero()
    if by_columns.products <= by_rows.products:
        return _entries(by_columns, rows, columns, times, times_transposed, inputs, constants)
    turned = _entries(by_rows, columns, rows, times_transposed, times, inputs, constants)
    return Entries(turned.columns, turned.rows, turned.products, turned.places)


def hessian_entries(root: Expr, symbols: Sequence[Symbol], inputs: Inputs, constants: Constants) -> Entries:
    """The lower triangle of the second derivative of a scalar expression by the stacked symbols."""
    slopes = gradient(root, symbols)
    structure = pattern(_over(slopes, symbols), symbols)
    structure = structure.multiply(structure.T).tocsr()  # the matrix is symmetric, whatever its expressions look like
    moves = _directions(symbols)
    times = (_over(directional(root, symbols, moves, symbols), symbols), moves)
    rows, columns = structure.nonzero()
    plan = compress_symmetric(structure)
    dense = np.isin(columns, plan.dense) & ~np.isin(rows, plan.dense)
    rows, columns = np.where(dense, columns, rows), np.where(dense, rows, columns)  # a dense row stands for its column
    found = _entries(plan, rows, columns, times, times, inputs, constants)
    rows, columns = np.maximum(found.rows, found.columns), np.minimum(found.rows, found.columns)
    _, first = np.unique(np.stack([rows, columns]), axis=1, return_index=True)
    return Entries(rows[first], columns[first], found.products, found.places[first])


Matrix = tuple[Sequence[Part], Sequence[Symbol]]
"""A matrix times a vector: the product, and the symbols of the vector."""


def _entries(
    plan: Compression,
    rows: np.ndarray,
    columns: np.ndarray,
    times: Matrix,
    times_transposed: Matrix,
    inputs: Inputs,
    constants: Constants,
) -> Entries:
    """Elements in dense rows from products with the transpose, the others from those with grouped columns."""
    dense = np.isin(rows, plan.dense)
    units = np.zeros((len(plan.dense), plan.rows))
    units[np.arange(len(plan.dense)), plan.dense] = 1.0
    grouped = Products(*times, plan.directions, inputs, constants)
    single = Products(*times_transposed, units, inputs, constants)
    places = np.empty(len(rows), dtype=np.int64)
    places[~dense] = grouped.places(plan.color[columns[~dense]], rows[~dense])
    places[dense] = grouped.size + single.places(np.searchsorted(plan.dense, rows[dense]), columns[dense])
    return Entries(rows, columns, (grouped, single), places)


def _paired(parts: Sequence[Part], weights: Sequence[Symbol]) -> Expr:
    """The sum of all elements, each times its weight."""
    products = [contract([leaf(w, axes), expr], axes) for (expr, axes), w in zip(parts, weights, strict=True)]
    return add(*products)


def lagrangian(objective: Expr, scale: Symbol, parts: Sequence[Part], weights: Sequence[Symbol]) -> Expr:
    """The scaled objective plus the weighted sum of the parts."""
    return add(multiply(leaf(scale), objective), _paired(parts, weights))


def _over(exprs: Sequence[Expr], symbols: Sequence[Symbol]) -> list[Part]:
    return [(expr, symbol.axes) for expr, symbol in zip(exprs, symbols, strict=True)]


def _directions(symbols: Sequence[Symbol]) -> list[Symbol]:
    return [Symbol(f"{symbol.name}_direction", "variable", symbol.dims) for symbol in symbols]


def _size(axes: Sequence[Axis]) -> int:
    return int(np.prod([axis.size for axis in axes]))
