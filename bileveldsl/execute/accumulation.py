"""Sums that hold Scatters or identity matrices, as one array to which values are added at positions.

Most of what a Scatter or an identity matrix would add is zero: neither is ever made into an array here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus.expr import ZERO, Axis, Delta, Dim, Expr, IndexMap, Map, Scatter, apply, argument, rename
from bileveldsl.execute.indexing import Positions, distinct, subscript
from bileveldsl.execute.source import SUM, Body, Value, shape_text, tuple_text


@dataclass(frozen=True)
class Accumulation:
    """A node as `base` (an expression) with values added at positions of labels: (at, along, value)."""

    base: Expr
    pieces: tuple[tuple[Positions, Axis | None, Expr], ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base, *(value for _, _, value in self.pieces))


def accumulation_of(node: Expr) -> Accumulation | None:
    """A Scatter, or a Map that adds multiples of Scatters and identity matrices to something else."""
    if isinstance(node, Scatter):
        return Accumulation(ZERO, ((node.at, node.along, node.children[0]),))
    if not isinstance(node, Map):
        return None
    special = {argument(k): c for k, c in enumerate(node.children) if isinstance(c, Scatter | Delta)}
    if not special:
        return None
    terms = sympy.Add.make_args(node.fn)
    slopes: dict[sympy.Symbol, list[sympy.Expr]] = {}
    base = []
    for term in terms:
        found = [symbol for symbol in special if symbol in term.free_symbols]
        factors = sympy.Mul.make_args(term)
        symbol = next((s for s in found if s in factors and _movable(special[s], term / s, node)), None)
        if symbol is not None:
            slopes.setdefault(symbol, []).append(term / symbol)
        elif found:
            return None
        else:
            base.append(term)
    pieces = [_piece(special[symbol], sympy.Add(*slope), node) for symbol, slope in slopes.items()]
    return Accumulation(apply(sympy.Add(*base), node.children), tuple(pieces))


def _movable(child: Expr, slope: sympy.Expr, node: Map) -> bool:
    """Whether a factor can go where the child's elements come from: anything on a diagonal, else scalars."""
    used = [c for k, c in enumerate(node.children) if argument(k) in slope.free_symbols]
    return isinstance(child, Delta) or not any(c.axes for c in used)


def _piece(child: Expr, slope: sympy.Expr, node: Map) -> tuple[Positions, Axis | None, Expr]:
    if isinstance(child, Scatter):
        return child.at, child.along, apply(slope * argument(len(node.children)), [*node.children, child.children[0]])
    a, b = child.axes
    everywhere = IndexMap.of(np.arange(a.size), "diagonal")
    used = [c if argument(k) in slope.free_symbols else ZERO for k, c in enumerate(node.children)]
    return ((a, everywhere), (b, everywhere)), a, apply(slope, [rename(c, {b: a}) for c in used])


def accumulate(
    body: Body, accumulation: Accumulation, axes: Sequence[Axis], values: Mapping[Expr, Value],
    constant: Callable[[IndexMap], str],
) -> Value:  # fmt: skip
    """The code of an accumulation over `axes`; `constant` gives the text for an index array."""
    pieces = []
    for at, along, value in _stacked(accumulation, values):
        index, places = subscript(axes, at, along, constant)
        pieces.append(f"(xp.s_[{index}], {body.expand(value, places).at(SUM)}, {distinct(at)})")
    base = body.expand(values[accumulation.base], axes)
    return Value(f"xp.add_at({base.at(SUM)}, {shape_text(axes)}, {', '.join(pieces)})", tuple(axes))


def _stacked(
    accumulation: Accumulation, values: Mapping[Expr, Value]
) -> Iterator[tuple[Positions, Axis | None, Value]]:
    """The pieces, those that each add at one position of the same labels put into one."""
    single: dict[Any, list[tuple[Positions, Value]]] = {}
    for at, along, expr in accumulation.pieces:
        value = values[expr]
        if any(index.positions.ndim for _, index in at):
            yield at, along, value
        else:
            single.setdefault((tuple(axis for axis, _ in at), value.axes), []).append((at, value))
    for (targets, axes), members in single.items():
        if len(members) == 1:
            yield members[0][0], None, members[0][1]
            continue
        stack = Axis(Dim("stack", len(members)))
        positions = np.array([[index.positions for _, index in at] for at, _ in members])
        maps = tuple((axis, IndexMap.of(positions[:, k])) for k, axis in enumerate(targets))
        texts = [value.at(SUM) for _, value in members]
        yield maps, stack, Value(f"xp.stack({tuple_text(texts)})", (stack, *axes))
