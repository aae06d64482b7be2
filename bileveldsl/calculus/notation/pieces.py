"""Factors with labels, and the sums of products of them as matrix products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sympy

from bileveldsl.calculus.expr import Axis
from bileveldsl.calculus.notation.compose import call, matrix_product, power, product, transpose
from bileveldsl.calculus.notation.formula import MATRIX, SCALAR, Call, Formula, Number, Product, Sum

Build = Callable[[Axis | None, Axis | None], Formula]


class NoMatrixForm(Exception):
    """The expression needs three labels at once somewhere."""


class Piece:
    """Something over at most two labels that can be written with either of them along the rows.

    `build` writes it for labels in a given order, a vector as a column; `key` tells equal pieces.
    """

    def __init__(self, labels: Iterable[Axis], build: Build, key: Any = None) -> None:
        self.labels = frozenset(labels)
        if len(self.labels) > 2:
            raise NoMatrixForm
        self.build = build
        self.key = self if key is None else key
        self._written: dict[tuple[Axis | None, Axis | None], Formula] = {}

    def at(self, row: Axis | None, column: Axis | None) -> Formula:
        """The formula with those labels along rows and columns; labels it lacks are left out."""
        row, column = (label if label in self.labels else None for label in (row, column))
        key = (row, column)
        if key not in self._written:
            self._written[key] = self._oriented(row, column)
        return self._written[key]

    def _oriented(self, row: Axis | None, column: Axis | None) -> Formula:
        if row is None or column is None:
            written = self.build(row or column, None)
            return transpose(written) if column else written
        # the way with fewer transposes reads better
        choices = self.build(row, column), transpose(self.build(column, row))
        return min(choices, key=_cost)


def elementwise(pieces: Sequence[Piece]) -> Piece:
    """The product of pieces label by label."""
    if len(pieces) == 1:
        return pieces[0]
    counts = Counter(piece.key for piece in pieces)
    distinct = {piece.key: piece for piece in pieces}

    def build(row: Axis | None, column: Axis | None) -> Formula:
        two = {key: Number(value=sympy.Integer(count)) for key, count in counts.items() if count > 1}
        factors = [(key, piece.at(row, column)) for key, piece in distinct.items()]
        return product([power(factor, two[key]) if key in two else factor for key, factor in factors])

    return Piece(frozenset().union(*(piece.labels for piece in pieces)), build)


def contraction(pieces: Sequence[Piece], bound: Sequence[Axis]) -> Piece:
    """The sum over the bound labels of the product of the pieces, one label after the other."""
    left, rest = list(bound), list(pieces)
    while left:
        together = {piece.labels for piece in rest if not piece.labels.isdisjoint(left)}
        if len(together) == 1 and set(left) == set(*together):
            touched = [piece for piece in rest if piece.labels in together]
            rest = [piece for piece in rest if piece.labels not in together] + [_total(touched)]
            break
        label = min(left, key=lambda axis: _rank(axis, rest))
        left.remove(label)
        touched = [piece for piece in rest if label in piece.labels]
        rest = [piece for piece in rest if label not in piece.labels] + [_summed(touched, label)]
    return elementwise(rest)


def _rank(label: Axis, pieces: Sequence[Piece]) -> tuple[int, bool, int]:
    """Labels with few neighbours first, then those that give a matrix-vector product, then without transposes."""
    touched = [piece for piece in pieces if label in piece.labels]
    others = list(frozenset().union(*(piece.labels for piece in touched)) - {label})
    transposes = _summed(touched, label).at(others[0], None).transposes if len(others) == 1 else 0
    return len(others), all(len(piece.labels) > 1 for piece in touched), transposes


def _total(pieces: Sequence[Piece]) -> Piece:
    """The sum over all labels of a product of pieces that have the same labels."""
    counts = Counter(piece.key for piece in pieces)
    distinct = list({piece.key: piece for piece in pieces}.values())
    whole = elementwise(pieces)
    labels = sorted(whole.labels)

    def build(row: Axis | None, column: Axis | None) -> Formula:
        # Orientation does not matter to the value; the one with fewer transposes reads better.
        orders = [(labels[0], None)] if len(labels) == 1 else [(labels[0], labels[1]), (labels[1], labels[0])]
        a, b = min(orders, key=lambda order: _cost(whole.build(*order)))
        if len(distinct) == 1 and counts[distinct[0].key] <= 2:
            return call("sum" if len(pieces) == 1 else "sumsq", distinct[0].build(a, b), shape=SCALAR)
        if len(pieces) == len(distinct) == 2:
            return call("dot", *sorted((piece.at(a, b) for piece in pieces), key=lambda f: f.weight), shape=SCALAR)
        return call("sum", whole.build(a, b), shape=SCALAR)

    return Piece((), build)


def _cost(formula: Formula) -> tuple[int, int]:
    return formula.transposes, formula.weight


def _summed(pieces: Sequence[Piece], label: Axis) -> Piece:
    """The sum of a product of pieces over one label that all of them have."""
    vectors = [piece for piece in pieces if len(piece.labels) == 1]
    sides: dict[Axis, list[Piece]] = {}
    for piece in pieces:
        for other in piece.labels - {label}:
            sides.setdefault(other, []).append(piece)
    if not sides:
        return _total(vectors)
    matrices = {other: elementwise(group) for other, group in sides.items()}
    weights = elementwise(vectors) if vectors else None

    def build(row: Axis | None, column: Axis | None) -> Formula:
        if column is None:
            assert row is not None
            matrix = matrices[row]
            if weights is not None:
                return matrix_product(matrix.at(row, label), weights.at(label, None))
            return along("sum", matrix, label, row)
        assert row is not None
        left, right = matrices[row].at(row, label), matrices[column].at(label, column)
        if weights is None:
            return matrix_product(left, right)
        vector = weights.at(label, None)
        if isinstance(right, Sum | Product):
            return matrix_product(left, product([vector, right]))
        return matrix_product(left, call("diag", vector, shape=MATRIX), right)

    return Piece(sides, build)


def along(name: str, matrix: Piece, label: Axis, kept: Axis) -> Formula:
    """A reduction of a matrix along one of its labels; the result is a column over the other."""
    choices = [matrix.build(kept, label), matrix.build(label, kept)]
    formula = min(choices, key=_cost)
    name_of_axis = axis_name(formula, label, kept, rows=formula is choices[1])
    return Call((formula,), (True, False), name=name, axis=name_of_axis)


def axis_name(matrix: Formula, label: Axis, other: Axis, rows: bool) -> str:
    """How to say along which axis of a matrix: the name of its index set where that is plain."""
    name = label.dim.name
    if name.isidentifier() and name != other.dim.name and not matrix.nameless:
        return name
    return "rows" if rows else "columns"
