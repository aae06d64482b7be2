"""Index notation: any expression as a scalar with a subscript for each label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import sympy

from bileveldsl.calculus.expr import Axis, Contract, Delta, Expr, Leaf, Map, Reduce, Scatter, Select, argument
from bileveldsl.calculus.notation.compose import call, product
from bileveldsl.calculus.notation.elementwise import write
from bileveldsl.calculus.notation.formula import Cut, Formula, Index, Name, Number, Over, Relation
from bileveldsl.calculus.notation.pieces import NoMatrixForm, Piece
from bileveldsl.calculus.notation.softmax import extract_softmax
from bileveldsl.calculus.notation.subscripts import Labels, dim_name, shifted

if TYPE_CHECKING:
    from bileveldsl.calculus.notation.matrix import MatrixForm

MAX_DEPTH = 50

Names = Mapping[Axis, str]
"""Subscripts for labels where they differ from the label's own name."""


class IndexForm:
    """Writes expressions in indices, with parts in matrix notation where they have one."""

    def __init__(self, matrices: MatrixForm, labels: Labels) -> None:
        self.matrices = matrices
        self.labels = labels
        self._depth = 0

    def formula(self, node: Expr, names: Names) -> Formula:
        """The element of a node at its labels."""
        if not node.axes:
            return self.matrices.formula(node)
        if isinstance(node, Contract | Reduce):
            try:
                return self._element(self.matrices.piece(node), node.axes, names)
            except NoMatrixForm:
                pass
        return self.explicit(node, names)

    def explicit(self, node: Expr, names: Names) -> Formula:
        """The element of a node, its outermost sum or reduction written over indices."""
        if self._depth >= MAX_DEPTH:
            return Cut()
        self._depth += 1
        try:
            return self._node(node, names)
        finally:
            self._depth -= 1

    def _node(self, node: Expr, names: Names) -> Formula:
        if isinstance(node, Leaf):
            base = Name(text=node.symbol.name)
            return Index((base,), subscripts=self._subscripts(node.axes, names)) if node.axes else base
        if isinstance(node, Delta):
            a, b = self._subscripts(node.axes, names)
            known = a == b or (a.isdigit() and b.isdigit())
            return _equal(a, b) if known else call("delta", Name(text=a), Name(text=b))
        if isinstance(node, Map):
            return self._map(node, names)
        if isinstance(node, Contract):
            names, over = self._binding(node, node.over, names)
            body = product([self.formula(child, names) for child in node.children])
            return Over((body,), operation="sum", labels=over)
        if isinstance(node, Reduce):
            names, over = self._binding(node, node.over, names)
            return Over((self.formula(node.children[0], names),), operation=node.operation, labels=over)
        if isinstance(node, Select):
            label = self._name(node.along, names) if node.along else ""
            places = {axis: shifted(index, axis.dim, label) for axis, index in node.at}
            return self.formula(node.children[0], {**names, **places})
        if isinstance(node, Scatter):
            return self._scatter(node, names)
        raise TypeError(type(node))

    def _map(self, node: Map, names: Names) -> Formula:
        try:
            fn, softmaxes = extract_softmax(node)
            formulas = {
                symbol: self._element(self.matrices.softmax(found.logits, found.over), found.logits.axes, names)
                for symbol, found in softmaxes.items()
            }
        except NoMatrixForm:
            fn, formulas = node.fn, {}
        formulas |= {argument(k): self.formula(child, names) for k, child in enumerate(node.children)}
        return write(fn, formulas)

    def _scatter(self, node: Scatter, names: Names) -> Formula:
        """Elements that land on the labels asked for."""
        inner, over = self._binding(node, [node.along] if node.along else [], names)
        label = over[0][0] if over else ""
        hits: list[Formula] = []
        for axis, index in node.at:
            hits.append(_equal(self._name(axis, names), shifted(index, axis.dim, label)))
        body = product([*hits, self.formula(node.children[0], inner)])
        return Over((body,), operation="sum", labels=over) if over else body

    def _element(self, piece: Piece, labels: Sequence[Axis], names: Names) -> Formula:
        """An element of something in matrix notation."""
        orders = [tuple(labels), tuple(labels[::-1])]
        written = {order: piece.at(*order, *[None] * (2 - len(order))) for order in orders}
        order = min(orders, key=lambda o: (written[o].transposes, written[o].weight))
        return Index((written[order],), subscripts=self._subscripts(order, names))

    # ---- labels ----

    def _name(self, axis: Axis, names: Names) -> str:
        return names.get(axis) or self.labels.name(axis)

    def _subscripts(self, axes: Sequence[Axis], names: Names) -> tuple[str, ...]:
        return tuple(self._name(axis, names) for axis in axes)

    def _binding(self, node: Expr, bound: Sequence[Axis], names: Names) -> tuple[Names, tuple[tuple[str, str], ...]]:
        """Names for labels that are summed over, none of which a subscript in sight mentions, and their index sets."""
        used = {word for text in self._subscripts(node.axes, names) for word in re.findall(r"[^\W\d]\w*'*", text)}
        own: dict[Axis, str] = {}
        for axis in bound:
            own[axis] = self.labels.name(axis, [*used, *own.values()])
        return {**names, **own}, tuple((name, dim_name(axis.dim)) for axis, name in own.items())


def _equal(a: str, b: str) -> Formula:
    """1 where two positions are the same, else 0."""
    if a == b or (a.isdigit() and b.isdigit()):
        return Number(value=sympy.Integer(a == b))
    return Relation((Name(text=a), Name(text=b)), sign="==")
