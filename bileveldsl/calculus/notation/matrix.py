"""Matrix notation: expressions over at most two labels as matrix products, transposes and elementwise work."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import sympy

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
    apply,
    argument,
    rename,
)  # fmt: skip
from bileveldsl.calculus.notation.compose import call, product, transpose
from bileveldsl.calculus.notation.elementwise import simplest, write
from bileveldsl.calculus.notation.entries import entry
from bileveldsl.calculus.notation.formula import COLUMN, MATRIX, SCALAR, Call, Cut, Formula, Index, Name, Stack
from bileveldsl.calculus.notation.pieces import NoMatrixForm, Piece, along, axis_name, contraction, elementwise
from bileveldsl.calculus.notation.softmax import extract_softmax
from bileveldsl.calculus.notation.subscripts import Labels, dim_name, is_everything, subscript

MAX_DEPTH = 50
STACKED = 6  # rows or columns of a vector or matrix that is written out entry by entry


class MatrixForm:
    """Writes expressions in matrix notation; scalars that have none inside are written in indices."""

    def __init__(self, labels: Labels) -> None:
        from bileveldsl.calculus.notation.indices import IndexForm  # the two notations nest in each other

        self.indices = IndexForm(self, labels)
        self._pieces: dict[Expr, Piece] = {}
        self._depth = 0

    def formula(self, node: Expr, row: Axis | None = None, column: Axis | None = None) -> Formula:
        """The formula of a node over those labels; raises NoMatrixForm where there is none."""
        return self.piece(node).at(row, column)

    def piece(self, node: Expr) -> Piece:
        if node not in self._pieces:
            self._pieces[node] = Piece(node.axes, lambda row, column: self._build(node, row, column), node)
        return self._pieces[node]

    def _build(self, node: Expr, row: Axis | None, column: Axis | None) -> Formula:
        if self._depth >= MAX_DEPTH:
            return Cut((), (row is not None, column is not None))
        self._depth += 1
        try:
            return self._node(node, row, column)
        except NoMatrixForm:
            if node.axes:
                raise
            return self.indices.explicit(node, {})
        finally:
            self._depth -= 1

    def _node(self, node: Expr, row: Axis | None, column: Axis | None) -> Formula:
        if _stackable(node):
            return self._stack(node, row, column)
        if isinstance(node, Leaf):
            return _as_written(Name((), _shape(node.axes), text=node.symbol.name), node.axes, row)
        if isinstance(node, Delta):
            return eye(node.axes[0])
        if isinstance(node, Map):
            return self._map(node, row, column)
        if isinstance(node, Contract):
            return contraction([self.piece(child) for child in node.children], node.over).at(row, column)
        if isinstance(node, Reduce):
            return self._reduce(node, row)
        if isinstance(node, Select):
            return self._select(node, row)
        if isinstance(node, Scatter):
            return self._scatter(node).at(row, column)
        raise TypeError(type(node))

    # ---- elementwise ----

    def _map(self, node: Map, row: Axis | None, column: Axis | None) -> Formula:
        fn, softmaxes = extract_softmax(node)
        pieces = {argument(k): self.piece(child) for k, child in enumerate(node.children)}
        pieces |= {symbol: self.softmax(found.logits, found.over) for symbol, found in softmaxes.items()}
        if row and column:
            fn = self._with_diagonals(node, fn, pieces, row, column)
        fn = simplest(fn, not node.axes)
        used = fn.free_symbols
        return write(fn, {symbol: piece.at(row, column) for symbol, piece in pieces.items() if symbol in used})

    def softmax(self, logits: Expr, over: Sequence[Axis]) -> Piece:
        """The softmax of a node over some of its labels."""

        def build(row: Axis | None, column: Axis | None) -> Formula:
            inner = self.formula(logits, row, column)
            if row is None or column is None or len(over) > 1:
                return call("softmax", inner)
            other = column if over[0] == row else row
            return call("softmax", inner, axis=axis_name(inner, over[0], other, rows=over[0] == row))

        return Piece(logits.axes, build)

    def _with_diagonals(
        self, node: Map, fn: sympy.Expr, pieces: dict[sympy.Symbol, Piece], row: Axis, column: Axis
    ) -> sympy.Expr:
        """The function with its terms that are a multiple of the identity matrix as a diagonal matrix."""
        symbols = [argument(k) for k, child in enumerate(node.children) if isinstance(child, Delta)]
        if not symbols:
            return fn
        (identity,) = symbols
        children = {argument(k): child for k, child in enumerate(node.children)}
        rest: list[sympy.Expr] = []
        total: list[sympy.Expr] = []
        for term in sympy.Add.make_args(fn):
            coefficient = term / identity
            linear = coefficient.free_symbols <= children.keys() - {identity}
            (total if linear else rest).append(coefficient if linear else term)
        if not total:
            return fn
        scalars: list[sympy.Expr] = []
        vectors: list[sympy.Expr] = []
        for factor in sympy.Mul.make_args(sympy.Add(*total)):
            (vectors if any(children[s].axes for s in factor.free_symbols) else scalars).append(factor)
        diagonal = sympy.Symbol("diagonal", real=True)
        vector = rename(apply(sympy.Mul(*vectors), node.children), {column: row})

        def build(a: Axis | None, b: Axis | None) -> Formula:
            if vector.axes:
                return call("diag", self.formula(vector, row), shape=MATRIX)
            return product([self.formula(vector), eye(row)])

        pieces[diagonal] = Piece((row, column), build)
        return sympy.Add(*rest, sympy.Mul(*scalars, diagonal))

    # ---- reductions and selections ----

    def _reduce(self, node: Reduce, row: Axis | None) -> Formula:
        child = self.piece(node.children[0])
        name = {"max": "maximum", "min": "minimum"}.get(node.operation, node.operation)
        if row is not None:
            return along(name, child, node.over[0], row)
        labels = node.children[0].axes
        return call(name, child.at(labels[0], labels[1] if len(labels) > 1 else None), shape=SCALAR)

    def _select(self, node: Select, row: Axis | None) -> Formula:
        """Elements of a symbol or of a formula, its labels in the order in which it is written."""
        child, maps = node.children[0], dict(node.at)
        if isinstance(child, Leaf):
            base: Formula = Name((), MATRIX, text=child.symbol.name)
        elif len(child.axes) > 2:
            raise NoMatrixForm
        else:
            base = self.formula(child, *child.axes)
        kept = [axis for axis in child.axes if axis not in maps or maps[axis].positions.ndim]
        labels = tuple(dict.fromkeys(node.along if axis in maps and node.along else axis for axis in kept))
        if len(labels) > 2:
            raise NoMatrixForm
        paired = sum(index.positions.ndim for index in maps.values()) > 1
        if paired and len(child.axes) == 2 and all(is_everything(index, axis.dim) for axis, index in maps.items()):
            return call("diag", base, shape=COLUMN)
        subscripts = tuple(subscript(maps[axis], axis.dim, paired) if axis in maps else ":" for axis in child.axes)
        return _as_written(Index((base,), _shape(labels), subscripts=subscripts), labels, row)

    def _scatter(self, node: Scatter) -> Piece:
        """Unit vectors and columns of the identity matrix put elements in their places."""
        pieces = [self.piece(node.children[0])]
        for axis, index in node.at:
            pieces.append(_placement(axis, node.along, index) if index.positions.ndim else _unit_piece(axis, index))
        return contraction(pieces, [node.along]) if node.along else elementwise(pieces)

    # ---- entry by entry ----

    def _stack(self, node: Expr, row: Axis | None, column: Axis | None) -> Formula:
        """A small vector or matrix that is put together from elements."""
        axes = [axis for axis in (row, column) if axis]
        cells = itertools.product(*(range(axis.size) for axis in axes))
        entries = tuple(self.formula(entry(node, dict(zip(axes, cell, strict=True)))) for cell in cells)
        return Stack(entries, (True, column is not None), columns=column.size if column else 1)


def _stackable(node: Expr) -> bool:
    """Whether a small vector is put together from elements, or a small matrix from single ones."""
    parts = (node, *node.children) if isinstance(node, Map | Select) else (node,)
    placed = [part for part in parts if isinstance(part, Scatter) and (len(node.axes) == 1 or not part.along)]
    return bool(placed and node.axes) and all(axis.size <= STACKED for axis in node.axes)


def _as_written(formula: Formula, labels: Sequence[Axis], row: Axis | None) -> Formula:
    """A formula whose labels have the given order, asked for with `row` first."""
    return transpose(formula) if len(labels) == 2 and labels[0] != row else formula


def _shape(labels: Sequence[Axis]) -> tuple[bool, bool]:
    return bool(labels), len(labels) > 1


def eye(axis: Axis) -> Formula:
    return Call((), MATRIX, name="eye", axis=dim_name(axis.dim))


def ones(axis: Axis) -> Formula:
    return Call((), COLUMN, name="ones", axis=dim_name(axis.dim))


def unit(axis: Axis, index: IndexMap) -> Formula:
    return Call((), COLUMN, name="unit", axis=dim_name(axis.dim), position=int(index.positions))


def _unit_piece(axis: Axis, index: IndexMap) -> Piece:
    return Piece((axis,), lambda row, column: unit(axis, index))


def _placement(axis: Axis, along_label: Axis | None, index: IndexMap) -> Piece:
    """The columns of the identity matrix at the positions."""
    assert along_label is not None
    places = subscript(index, axis.dim)

    def build(row: Axis | None, column: Axis | None) -> Formula:
        subscripts = (":", places) if row == axis else (places, ":")
        return Index((eye(axis),), MATRIX, subscripts=subscripts)

    return Piece((axis, along_label), build)
