"""Products of a binary and another variable made linear, exactly, with bounds that follow from the program.

For b binary and l <= z <= u the product w = b z is what l b <= w <= u b and z - u (1 - b) <= w <= z - l (1 - b) leave
(McCormick, Computability of global solutions to factorable nonconvex programs, Mathematical Programming 10, 1976).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from bileveldsl.calculus.expr import (
    ZERO,
    Axis,
    Dim,
    Expr,
    Symbol,
    add,
    constant,
    contract,
    distinct_axes,
    leaf,
    subtract,
)
from bileveldsl.calculus.sparse import quadratic_form
from bileveldsl.calculus.structure import kind
from bileveldsl.program import Constraint, Variable
from bileveldsl.reduce.curvature import member
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import AFFINE, flatten
from bileveldsl.single_level.mip import MARGIN
from bileveldsl.single_level.program import SingleLevel

MOST = 2000
"""Members of constraints with products, and products, up to which they are made linear."""


def with_linear_products(single: SingleLevel) -> SingleLevel | None:
    """The program with a variable for each product of a binary and a bounded variable; None where others remain.

    Parameters
    ----------
    single
        With quadratic constraints, or an objective that is quadratic: of both all products are replaced.
    """
    curved = [c for c in single.constraints if any(kind(part, single.symbols) not in AFFINE for part in c.parts)]
    members = [(c, *row) for c in curved for row in _rows(c)]
    goal = [single.objective] if kind(single.objective, single.symbols) not in AFFINE else []
    wanted = [body for _, body, _, _ in members] + goal
    if not 0 < len(wanted) <= MOST or any(kind(body, single.symbols) != "quadratic" for body in wanted):
        return None
    products = _Products(single, tuple(c for c in single.constraints if c not in curved))
    found = [products.row(body) for body in wanted]
    if any(row is None for row in found) or len(products.pairs) > MOST:
        return None
    rows = [row for row in found if row is not None]
    pairs = np.array(list(products.pairs), dtype=np.int64).reshape(-1, 2)
    dim = Dim("products", len(pairs))
    name = f"products of {len(single.variables)}"  # a second pass has more variables
    ends = np.array([products.bounds(column) for column in pairs[:, 1]]).reshape(-1, 2)
    low, high = np.minimum(ends[:, 0], 0.0), np.maximum(ends[:, 1], 0.0)
    variable = Variable(Symbol(name, "variable", (dim,)), low, high, None, single.variables[0].span)
    whole = _Rows((*single.symbols, variable.symbol))
    constraints = [c for c in single.constraints if c not in curved]
    for (c, _, lower, upper), row in zip(members, rows, strict=False):
        body = whole.scalar(row.of_columns, row.of_products(len(pairs)), row.constant)
        constraints.append(Constraint(f"{c.label}.{len(constraints)}", body, lower, upper, (), c.span))
    constraints += whole.products(pairs, ends, variable)
    objective = single.objective
    if goal:
        objective = whole.scalar(rows[-1].of_columns, rows[-1].of_products(len(pairs)), rows[-1].constant)
    return replace(
        single, variables=(*single.variables, variable), objective=objective, constraints=tuple(constraints)
    )  # fmt: skip


def _rows(constraint: Constraint) -> Iterator[tuple[Expr, Expr | None, Expr | None]]:
    """The members of a constraint as bodies with zero on the sides that there are."""
    low, high = constraint.lower, constraint.upper
    sides: list[tuple[Expr | None, Expr | None, Expr | None]] = [(low, ZERO, None), (high, None, ZERO)]
    for side, lower, upper in [(high, ZERO, ZERO)] if constraint.is_equality else sides:
        if side is None:
            continue
        excess = subtract(constraint.body, side)
        for place in np.ndindex(*(axis.size for axis in constraint.axes)):
            yield member(excess, constraint.axes, place), lower, upper


@dataclass(frozen=True, eq=False)
class _Row:
    """A sum of multiples of columns and of products by their numbers."""

    of_columns: np.ndarray
    products: dict[int, float]
    constant: float

    def of_products(self, count: int) -> np.ndarray:
        result = np.zeros(count)
        result[list(self.products)] = list(self.products.values())
        return result


class _Products:
    """The products met so far: `pairs` numbers them by the columns of the binary and of the other variable."""

    def __init__(self, single: SingleLevel, affine: tuple[Constraint, ...]):
        self.single, self.pairs = single, dict[tuple[int, int], int]()
        self._linear = flatten(replace(single, objective=ZERO, constraints=affine, complementarities=()))
        low, high = self._linear.lower, self._linear.upper
        self._binary = self._linear.integer & (low >= 0) & (high <= 1)
        self._relaxation: Relaxation | None = None
        self._bounds: dict[int, tuple[float, float]] = {}

    def row(self, body: Expr) -> _Row | None:
        """A quadratic expression with its products replaced; None where one of them cannot be."""
        form = quadratic_form(body, self.single.symbols, self.single.fixed)
        columns, found = form.c.copy(), dict[int, float]()
        upper = sparse.coo_array(sparse.triu(form.Q))
        upper.eliminate_zeros()
        for i, j, weight in zip(*(part.tolist() for part in upper.coords), upper.data.tolist(), strict=True):
            if i == j and self._binary[i]:  # b^2 = b
                columns[i] += 0.5 * weight
                continue
            pair = (i, j) if self._binary[i] else (j, i)
            if i == j or not self._binary[pair[0]] or not np.isfinite(self.bounds(pair[1])).all():
                return None
            number = self.pairs.setdefault(pair, len(self.pairs))
            found[number] = found.get(number, 0.0) + weight
        return _Row(columns, found, form.constant)

    def bounds(self, column: int) -> tuple[float, float]:
        """Of a variable, as declared, else by linear programs over the constraints that are affine."""
        column = int(column)
        if column not in self._bounds:
            ends = [float(self._linear.lower[column]), float(self._linear.upper[column])]
            for side, sign in enumerate((1.0, -1.0)):
                if not np.isfinite(ends[side]):
                    ends[side] = self._extreme(column, sign)
            self._bounds[column] = (ends[0], ends[1])
        return self._bounds[column]

    def _extreme(self, column: int, sign: float) -> float:
        if self._relaxation is None:
            self._relaxation = Relaxation(self._linear)
        cost = np.zeros(self._linear.size)
        cost[column] = sign
        self._relaxation.change_cost(cost)
        if self._relaxation.solve() != "optimal":
            return -sign * np.inf
        value = self._relaxation.value
        return sign * (value - MARGIN * (1.0 + abs(value)))


@dataclass(frozen=True)
class _Rows:
    """Affine expressions over symbols, from their coefficients by column."""

    symbols: tuple[Symbol, ...]

    def scalar(self, of_columns: np.ndarray, of_products: np.ndarray, offset: float) -> Expr:
        return self._combined(np.concatenate([of_columns, of_products])[None], (), np.array(offset))

    def products(self, pairs: np.ndarray, ends: np.ndarray, variable: Variable) -> Iterator[Constraint]:
        """What holds of each product, the binary and the other variable."""
        axis, count = variable.symbol.axes[0], len(pairs)
        number = np.arange(count)
        size = sum(int(np.prod(symbol.shape)) for symbol in self.symbols)
        for side, (end, other) in {"lower": (ends[:, 0], ends[:, 1]), "upper": (ends[:, 1], ends[:, 0])}.items():
            by_binary, by_other = np.zeros((2, count, size))
            by_binary[number, size - count + number] = by_other[number, size - count + number] = 1.0
            by_binary[number, pairs[:, 0]] -= end  # w - end b
            by_other[number, pairs[:, 0]] -= other  # w - z + other (1 - b)
            by_other[number, pairs[:, 1]] -= 1.0
            for name, matrix, offset in (("binary", by_binary, np.zeros(count)), ("other", by_other, other)):
                body = self._combined(matrix, (axis,), offset)
                low, high = (ZERO, None) if side == "lower" else (None, ZERO)
                yield Constraint(f"{variable.name}.{name}.{side}", body, low, high, (axis,), variable.span)

    def _combined(self, matrix: np.ndarray, axes: tuple[Axis, ...], offset: np.ndarray) -> Expr:
        dims = tuple(axis.dim for axis in axes)
        terms = [leaf(Symbol("constant", "data", dims, offset), axes) if axes else constant(float(offset))]
        ends = np.cumsum([int(np.prod(symbol.shape)) for symbol in self.symbols])
        for symbol, part in zip(self.symbols, np.split(matrix, ends[:-1], axis=1), strict=True):
            if part.any():
                inner = distinct_axes(symbol.dims, axes)
                shape = tuple(axis.size for axis in (*axes, *inner))
                weights = Symbol(f"{symbol.name} weights", "data", (*dims, *symbol.dims), part.reshape(shape))
                terms.append(contract([leaf(weights, (*axes, *inner)), leaf(symbol, inner)], inner))
        return add(*terms)
