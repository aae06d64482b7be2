"""Single entries of an expression, with unit vectors and identity matrices resolved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bileveldsl.calculus.expr import (
    ONE,
    ZERO,
    Axis,
    Delta,
    Expr,
    IndexMap,
    Map,
    Scatter,
    Select,
    add,
    apply,
    scatter,
    select,
)  # fmt: skip


def entry(node: Expr, at: Mapping[Axis, int]) -> Expr:
    """The node with labels fixed at positions."""
    fixed = {axis: position for axis, position in at.items() if axis in node.axes}
    if not fixed:
        return node
    if isinstance(node, Map):
        return apply(node.fn, [entry(child, fixed) for child in node.children])
    if isinstance(node, Delta) and len(fixed) == 2:
        first, second = fixed.values()
        return ONE if first == second else ZERO
    if isinstance(node, Scatter):
        return _scattered(node, fixed)
    if isinstance(node, Select):
        if node.along and node.along not in fixed:
            return select(entry(node.children[0], fixed), node.at, node.along)
        place = fixed.pop(node.along, 0) if node.along else 0
        places = {axis: index.positions[place] if index.positions.ndim else index.positions for axis, index in node.at}
        return entry(node.children[0], {**fixed, **{axis: int(position) for axis, position in places.items()}})
    return select(node, [(axis, IndexMap.of(position)) for axis, position in fixed.items()])


def _scattered(node: Scatter, fixed: Mapping[Axis, int]) -> Expr:
    targets = {axis for axis, _ in node.at}
    child = entry(node.children[0], {axis: k for axis, k in fixed.items() if axis not in targets})
    rest = [(axis, index) for axis, index in node.at if axis not in fixed]
    hits = [index.positions == fixed[axis] for axis, index in node.at if axis in fixed]
    hit = np.logical_and.reduce(np.broadcast_arrays(*hits)) if hits else np.True_
    if node.along is None or not hit.ndim:
        if not hit:
            return ZERO
        return scatter(child, rest, node.along) if rest else child
    if rest:  # positions along the label are still open on the other side
        places = [(axis, IndexMap.of(k)) for axis, k in fixed.items() if axis in targets]
        return select(scatter(child, node.at, node.along), places)
    return add(ZERO, *(entry(child, {node.along: int(k)}) for k in np.flatnonzero(hit)))
