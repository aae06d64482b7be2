"""Unbiased samples of an objective: sums over an axis are restricted to random positions and scaled up.

A sampled objective has data of its own, of the size of a batch, and is compiled once; a new batch is new arrays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Delta,
    Dim,
    Expr,
    IndexMap,
    Leaf,
    Map,
    Scatter,
    Select,
    Symbol,
    apply,
    argument,
    bound_axes,
    constant,
    contract,
    leaf,
    multiply,
    rebuild,
    select,
    topological,
)  # fmt: skip
from bileveldsl.execute.constants import Constants
from bileveldsl.execute.namespace import Array
from bileveldsl.program import Level, Program


class NotSampled(Exception):
    """Why an objective cannot be sampled."""


@dataclass(eq=False)
class Batch:
    """The positions of one axis that are drawn for one level, and the arrays that depend on them."""

    dim: Dim
    size: int
    weighted: bool = False  # whether each position has a weight, which is 1 unless `block` says otherwise
    data: dict[tuple[Symbol, int], Symbol] = field(default_factory=dict)  # by the whole and the place of the axis
    indexes: bool = False  # whether elements of variables are taken

    def __post_init__(self) -> None:
        self.axis = Axis(Dim(f"batch of {self.dim.name}", self.size))  # no name in a model has spaces
        # Positions in no order, as those drawn will be: code for a slice would not fit them.
        self.index = IndexMap.of(np.arange(self.size)[::-1], f"batch_{self.dim.name}")
        self.weights = Symbol(f"weights_{self.dim.name}", "data", (self.axis.dim,), np.ones(self.size))

    def arrays(self, constants: Constants, positions: np.ndarray) -> dict[str, Array]:
        """The constants of the sampled objective at these positions."""
        put = constants.engine.asarray
        found = {
            constants.data(part): put(_taken(np.asarray(whole.value), positions, place))
            for (whole, place), part in self.data.items()
        }
        return found | ({constants.positions(self.index): put(positions)} if self.indexes else {})

    def block(self, constants: Constants, number: int, count: int) -> dict[str, Array]:
        """The constants at one of `count` blocks, over which the mean of the sampled objective is the whole one.

        Blocks are consecutive positions; those that fill up a shorter one are positions of the next, of weight zero.
        """
        start, stop = (self.dim.size * k // count for k in (number, number + 1))
        positions = np.arange(start, start + self.size) % self.dim.size
        weights = np.where(np.arange(self.size) < stop - start, self.size * count / self.dim.size, 0.0)
        weighted = {constants.data(self.weights): constants.engine.asarray(weights)} if self.weighted else {}
        return self.arrays(constants, positions) | weighted


def sample(root: Expr, dim: Dim, size: int, weighted: bool = False) -> tuple[Expr, Batch]:
    """The objective with every sum over `dim` restricted to a batch and scaled by dim.size / size, and the batch.

    Its mean over all batches is the objective, which must be affine in these sums. The terms of `weighted` sums have
    the batch's weights.

    Raises
    ------
    NotSampled
        Where the objective is not affine in such sums, or they go through index maps.
    """
    batch = Batch(dim, size, weighted)
    varies: dict[Expr, bool] = {}
    holds: dict[Expr, bool] = {}  # a sum to be sampled; one of data alone is a number
    for node in topological([root]):
        variable = isinstance(node, Leaf) and node.symbol.role == "variable"
        varies[node] = variable or any(varies[child] for child in node.children)
        own = varies[node] and any(axis.dim == dim for axis in bound_axes(node))
        holds[node] = own or any(holds[child] for child in node.children)

    def visit(node: Expr) -> Expr:
        if not holds[node]:
            return node
        inside = [child for child in node.children if holds[child]]
        if isinstance(node, Contract) and (bound := [axis for axis in node.over if axis.dim == dim]):
            if inside or len(bound) > 1:
                raise NotSampled(f"has sums over `{dim.name}` within each other")
            over = [batch.axis if axis == bound[0] else axis for axis in node.over]
            weights = [leaf(batch.weights, [batch.axis])] if weighted else []
            drawn = contract([*weights, *(_restricted(child, bound[0], batch) for child in node.children)], over)
            return multiply(constant(dim.size), drawn, apply(1 / argument(0), [constant(size)]))
        linear = isinstance(node, Contract) and len(inside) == 1
        if isinstance(node, Map):
            places = [symbol for symbol, child in node.operands.items() if holds[child]]
            linear = not any(node.fn.diff(a, b) for a in places for b in places)
        if not linear:
            raise NotSampled(f"is not affine in its sums over `{dim.name}`")
        return rebuild(node, [visit(child) for child in node.children])

    return visit(root), batch


def _restricted(node: Expr, axis: Axis, batch: Batch) -> Expr:
    """The node with elements along the batch in place of those along the axis."""
    if axis not in node.axes:
        return node
    if isinstance(node, Leaf):
        place = node.axes.index(axis)
        if node.symbol.role == "variable":
            batch.indexes = True
            return select(node, [(axis, batch.index)], batch.axis)
        part = batch.data.get((node.symbol, place)) or _part(node.symbol, place, batch)
        return leaf(part, [batch.axis if a == axis else a for a in node.axes])
    if isinstance(node, Delta | Select | Scatter):
        raise NotSampled(f"takes elements along `{axis.dim.name}` by an index map")
    return rebuild(node, [_restricted(child, axis, batch) for child in node.children])


def _taken(value: np.ndarray, positions: np.ndarray, place: int) -> np.ndarray:
    """The entries at positions of an axis; numpy.take would copy the whole of an array that lies askew in its file."""
    where: Any = (*[slice(None)] * place, positions)
    return value[where]


def _part(symbol: Symbol, place: int, batch: Batch) -> Symbol:
    dims = (*symbol.dims[:place], batch.axis.dim, *symbol.dims[place + 1 :])
    value = _taken(np.asarray(symbol.value), batch.index.positions, place)
    part = batch.data[symbol, place] = Symbol(f"{symbol.name}_batch", "data", dims, value)
    return part


def sample_program(program: Program, most: int) -> tuple[Program, Mapping[str, tuple[Batch, ...]]]:
    """The program with the axes that each level names as `minibatch` sampled, and the batches by level.

    `most` is the largest size of a batch.

    Raises
    ------
    NotSampled
        As `sample`; the message begins with the level.
    """
    return _sampled(program, lambda size: min(most, size), False)


def split_program(program: Program, blocks: int) -> tuple[Program, Mapping[str, tuple[Batch, ...]]]:
    """The same for going through all data in that many blocks of consecutive positions, with `Batch.block`."""
    return _sampled(program, lambda size: min(max(-(-size // blocks), 2), size), True)  # an index of one is a slice


def _sampled(
    program: Program, size: Callable[[int], int], weighted: bool
) -> tuple[Program, Mapping[str, tuple[Batch, ...]]]:
    batches: dict[str, tuple[Batch, ...]] = {}

    def sampled(level: Level) -> Level:
        objective, found = level.objective, []
        for axis in level.minibatch:
            try:
                objective, batch = sample(objective, axis.dim, size(axis.size), weighted)
            except NotSampled as why:
                raise NotSampled(f"the objective of {level.name} {why}") from None
            found += [batch] if batch.data or batch.indexes else []
        batches[level.name] = tuple(found)
        return replace(level, objective=objective)

    upper, lower = sampled(program.upper), tuple(sampled(level) for level in program.lower)
    return replace(program, upper=upper, lower=lower), batches
