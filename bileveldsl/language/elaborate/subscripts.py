"""What stands between brackets: elements, slices, and the labels of indices in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import Axis, Dim, IndexMap, contract, delta, distinct_axes, rename, select
from bileveldsl.language import ast
from bileveldsl.language.elaborate.fixed import Fixed
from bileveldsl.language.elaborate.indices import Index, Indices
from bileveldsl.language.elaborate.sets import Column, IndexSet, single
from bileveldsl.language.elaborate.tensor import Tensor


@dataclass(frozen=True)
class Subscript:
    """What becomes of one axis: kept (all None), cut to a stretch, or replaced by positions along labels."""

    stretch: tuple[int, int] | None = None
    positions: np.ndarray | None = None
    along: tuple[Axis, ...] = ()


KEPT = Subscript()


@dataclass
class Subscripts:
    """Applies brackets to arrays; `set_of` gives the members of an axis."""

    indices: Indices
    fixed: Fixed
    report: Callable[..., Any]
    set_of: Callable[[Dim], IndexSet]

    def take(self, base: Tensor, node: ast.Index) -> Tensor | None:
        """The elements of an array that the items of an index node choose."""
        found: list[Subscript | None] = []
        items = list(node.items)
        for axis in base.axes:
            members = self.set_of(axis.dim)
            count = self._consumed(items, members)
            if count > len(items) or not items:
                return self._count_error(base, node)
            found.append(self._subscript(items[:count], members, axis.dim))
            del items[:count]
        if items or not base.axes:
            return self._count_error(base, node)
        if any(subscript is None for subscript in found):
            return None
        return _taken(base, [subscript for subscript in found if subscript is not None], self.set_of)

    def _consumed(self, items: Sequence[ast.Expression], members: IndexSet) -> int:
        """How many items belong to an axis: one for each label of its members, or one that stands for all."""
        if members.arity == 1 or not items or isinstance(items[0], ast.Slice | ast.Tuple):
            return 1
        whole = isinstance(items[0], ast.Name) and self.indices.bound.get(items[0].name)
        return 1 if whole and len(whole.columns) == members.arity else members.arity

    def _subscript(self, items: Sequence[ast.Expression], members: IndexSet, dim: Dim) -> Subscript | None:
        first = items[0]
        if isinstance(first, ast.Slice):
            return self._slice(first, dim)
        if isinstance(first, ast.Tuple):
            items = first.items
        columns: list[tuple[Column, Axis | None]] = []
        for item in items:
            part = self._labels(item, members)
            if part is None:
                return None
            columns += part
        if len(columns) != members.arity:
            text = f"{members.name} has members of {members.arity} labels, {len(columns)} are given"
            return self.report("E302", text, first.span)
        axes = tuple(dict.fromkeys(axis for _, axis in columns if axis is not None))
        shape = tuple(axis.size for axis in axes)
        spread = [_spread(column, axes.index(axis) if axis else None, shape) for column, axis in columns]
        positions = members.positions([Column(c.universe, codes) for c, codes in spread])
        if (positions < 0).any():
            at = np.unravel_index(int(np.argmax(positions < 0)), shape) if shape else ()
            label = tuple(c.universe.labels[int(codes[at])] for c, codes in spread)
            shown = ", ".join(map(str, label))
            text = (
                f"({shown}) is not a member of {members.name}"
                if len(label) > 1
                else f"{shown} is not in {members.name}"
            )
            mend = "restrict the indices: for ... in the set itself, or if (...) in the set"
            if not axes:
                mend = f"use a member of {members.name}" if self._is_set(members) else "counting starts at 0"
            span = items[0].span.to(items[-1].span)
            return self.report(
                "E321" if axes else "E306",
                text,
                span,
                _range_of(members),
                mend,
            )
        return Subscript(None, positions, axes)

    def _labels(self, item: ast.Expression, members: IndexSet) -> list[tuple[Column, Axis | None]] | None:
        """The labels of one item, with the label of the axis they run along, if they run."""
        if isinstance(item, ast.Name) and item.name in self.indices.bound:
            index = self.indices.bound[item.name]
            return [(column, index.axis) for column in index.columns]
        if isinstance(item, ast.Text):
            return [(single(item.value), None)]
        shift = self._shift(item)
        if shift is not None:
            index, sign, rest = shift
            steps = [(s, self.fixed.integer(part, "the shift of an index")) for s, part in rest]
            values = index.columns[0].values
            if values is None or any(step is None for _, step in steps):
                return None
            offset = sum(s * step for s, step in steps if step is not None)
            column = self.indices.numbers(sign * values + offset, item.span)
            return None if column is None else [(column, index.axis)]
        value = self.fixed.integer(item, "an index")
        if value is None:
            return None
        if value < 0 and not self._is_set(members):
            value += members.dim.size  # -1 is the last element of a dim; of a set it is a label
        return [(single(value), None)]

    def _is_set(self, members: IndexSet) -> bool:
        declaration = self.indices.scope.declarations.get(members.name)
        return declaration is not None and declaration.kind == "set"

    def _shift(self, item: ast.Expression) -> tuple[Index, int, list[tuple[int, ast.Expression]]] | None:
        """`t - 1`, `k - t`, `t - k + 1`: an index t whose labels are numbers, its sign, and the rest with signs."""
        addends = list(_addends(item))
        names = [(sign, part.name) for sign, part in addends if isinstance(part, ast.Name)]
        moving = [(sign, self.indices.bound[name]) for sign, name in names if name in self.indices.bound]
        if len(moving) != 1 or len(moving[0][1].columns) != 1 or moving[0][1].columns[0].values is None:
            return None
        rest = [(s, e) for s, e in addends if not (isinstance(e, ast.Name) and e.name in self.indices.bound)]
        return moving[0][1], moving[0][0], rest

    def _slice(self, node: ast.Slice, dim: Dim) -> Subscript | None:
        if node.start is None and node.stop is None:
            return KEPT
        start = 0 if node.start is None else self.fixed.integer(node.start, "a slice")
        stop = dim.size if node.stop is None else self.fixed.integer(node.stop, "a slice")
        if start is None or stop is None:
            return None
        start, stop = (k + dim.size if k < 0 else k for k in (start, stop))
        if not 0 <= start < stop <= dim.size:
            text = f"the slice {start}:{stop} is outside 0:{dim.size} or empty"
            return self.report("E306", text, node.span, "", "start is included, stop is not; counting starts at 0")
        return Subscript((start, stop))

    def _count_error(self, base: Tensor, node: ast.Index) -> Any:
        given = len(node.items)
        text = f"{given} {'index' if given == 1 else 'indices'} for an array with axes {base.described}"
        return self.report("E302", text, node.span, base.described, "give one index for each axis, : for all of one")


def _addends(node: ast.Expression) -> Iterator[tuple[int, ast.Expression]]:
    """What a sum adds and, with -1, subtracts."""
    waiting = [(1, node)]
    while waiting:
        sign, part = waiting.pop()
        if isinstance(part, ast.Binary) and part.operator in "+-":
            waiting += [(sign, part.left), (-sign if part.operator == "-" else sign, part.right)]
        elif isinstance(part, ast.Unary):
            waiting.append((-sign if part.operator == "-" else sign, part.operand))
        else:
            yield sign, part


def _spread(column: Column, place: int | None, shape: tuple[int, ...]) -> tuple[Column, np.ndarray]:
    """The codes of a column over the grid of all labels that take part."""
    if place is None:
        return column, np.broadcast_to(column.codes, shape)
    return column, np.broadcast_to(column.codes.reshape([-1 if k == place else 1 for k in range(len(shape))]), shape)


def _range_of(members: IndexSet) -> str:
    labels = members.columns[0].universe.labels
    if isinstance(labels, range) and members.arity == 1 and len(labels) == members.dim.size:
        return f"the axis has {len(labels)} elements, {labels[0]} to {labels[-1]}"
    return f"{members.name} has {members.dim.size} members"


def _taken(base: Tensor, subscripts: Sequence[Subscript], set_of: Callable[[Dim], IndexSet]) -> Tensor:
    labels = [axis for subscript in subscripts for axis in subscript.along]
    own = distinct_axes(base.dims, [*base.axes, *labels])
    result, axes = base.over(own).expr, []
    for axis, subscript in zip(own, subscripts, strict=True):
        positions, along = subscript.positions, subscript.along
        if subscript.stretch is not None:
            start, stop = subscript.stretch
            new = Axis(Dim(f"{axis.dim.name}[{start}:{stop}]", stop - start), axis.prime)
            result = select(result, [(axis, IndexMap.of(np.arange(start, stop), f"{start}:{stop}"))], new)
            axes.append(new)
        elif positions is None:
            axes.append(axis)
        elif not along:
            result = select(result, [(axis, IndexMap.of(positions))])
        elif len(along) == 1:
            same = along[0].dim == axis.dim and np.array_equal(positions, np.arange(axis.size))
            if same:
                result = rename(result, {axis: along[0]})
            else:
                result = select(result, [(axis, IndexMap.of(positions))], along[0])
        else:
            result = _over_grid(result, axis, positions, along)
    return Tensor(result, tuple(axes)).over(distinct_axes([axis.dim for axis in axes], labels))


def _over_grid(node: Any, axis: Axis, positions: np.ndarray, along: tuple[Axis, ...]) -> Any:
    """Elements of a tuple set at every combination of several labels: each element is spread to its combination."""
    grid = np.full(axis.size, -1)
    grid[positions.ravel()] = np.arange(positions.size)
    rows = np.flatnonzero(grid >= 0)
    member = Axis(Dim(f"{axis.dim.name} on a grid", len(rows)), axis.prime)
    picked = select(node, [(axis, IndexMap.of(rows))], member)
    places = np.unravel_index(grid[rows], positions.shape)
    factors = [picked]
    for label, codes in zip(along, places, strict=True):
        inner = Axis(label.dim, label.prime + 10_000)
        factors.append(select(delta(label, inner), [(inner, IndexMap.of(codes))], member))
    return contract(factors, [member])
