"""Products in the leader's objective made linear by the follower's optimality conditions.

Where the Karush-Kuhn-Tucker conditions hold, each of these vanishes identically: a multiplier times the residual of
its constraint (complementarity; for an equality the residual itself is zero), and a variable times its stationarity.
With r = d + A x + B y the residuals, lambda their multipliers and f = c(x)'y + y'Qy/2 the follower's objective,

    lambda_i (d + A x + B y)_i = 0,        y_k (c(x) + Q y - B' lambda)_k = 0,

and their sum is strong duality, c(x)'y + y'Qy = lambda'(B y) = -lambda'(d + A x). A weighted sum of them whose
products cancel those of the objective leaves a linear function that has the same values at every feasible point. The
weights solve a linear system in the coefficients of the products; parts of the follower that hang together (in a
network, one trip) get weights of their own. So tolls times flows become potentials and costs (Labbe, Marcotte and
Savard, A bilevel model of taxation and its application to optimal highway pricing, Management Science 44, 1998), and
prices times quantities sold become what rivals are paid (Ruiz and Conejo, Pool strategy of a producer with endogenous
formation of locational marginal prices, IEEE Transactions on Power Systems 24, 2009).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from bileveldsl.calculus.expr import (
    Axis,
    Expr,
    IndexMap,
    Symbol,
    add,
    constant,
    contract,
    leaf,
    multiply,
    select,
    subtract,
)
from bileveldsl.calculus.sparse import affine_form, quadratic_form
from bileveldsl.calculus.structure import kind
from bileveldsl.execute.layout import Layout, Part
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import AFFINE, Linear, Pairs, is_convex
from bileveldsl.single_level.program import SingleLevel

ROUNDING = 1e-9
"""Coefficients of products that are smaller than this, relative to those they are the difference of, are zero."""


def linearized(single: SingleLevel) -> SingleLevel | None:
    """The program with an objective that is convex, and equal wherever its conditions hold; None if none is found.

    Parameters
    ----------
    single
        A KKT form with a quadratic objective: multipliers are named `LABEL.multiplier` after their constraint,
        stationarity is `stationary.NAME` after its variable.

    Returns
    -------
    SingleLevel
        Its objective is linear, but for squares, and for products that no condition has.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> from bileveldsl.reduce.kkt import kkt_form
    >>> text = "model m; upper { var t in [0, 3]; minimize -t*y }; lower { var y in [0, 9]; minimize (t - 2)*y }"
    >>> form = kkt_form(blv.loads(text).program(), ())
    >>> kind(linearized(form.program).objective, form.program.symbols)
    'affine'
    """
    square = quadratic_form(single.objective, single.symbols, single.fixed)
    identities = _Identities.of(single)
    products = _Products.of_matrix(square.Q)
    present = np.isin(products.key, identities.products.key)
    for squares in (False, True):
        found = identities.weights(products.where(present), squares)
        if found is None:
            continue
        weights, left = found
        kept = products.where(~present).matrix(square.Q.shape[0]) + left
        if is_convex(kept):
            linear = _affine(square.c - identities.linear @ weights, square.constant, single.symbols)
            return replace(single, objective=add(linear, *_quadratic(kept, single)))
    return None


def has_convex_objective(single: SingleLevel) -> bool:
    """Whether the objective is linear, or quadratic and proved convex."""
    how = kind(single.objective, single.symbols)
    if how == "quadratic":
        return is_convex(quadratic_form(single.objective, single.symbols, single.fixed).Q)
    return how in AFFINE


@dataclass(frozen=True, eq=False)
class _Products:
    """Sums of products: `of[k]` holds `weight[k]` times the product of columns `key[k] // size` and `key[k] % size`."""

    key: np.ndarray
    of: np.ndarray
    weight: np.ndarray

    @staticmethod
    def of_matrix(Q: sparse.csr_array) -> _Products:
        """z'Qz/2 for a symmetric Q."""
        upper = sparse.coo_array(sparse.triu(Q))
        upper.eliminate_zeros()
        first, second = (part.astype(np.int64) for part in upper.coords)
        weight = np.where(first == second, 0.5, 1.0) * upper.data
        return _Products(first * Q.shape[0] + second, np.zeros(len(weight), dtype=np.int64), weight)

    def where(self, mask: np.ndarray) -> _Products:
        return _Products(self.key[mask], self.of[mask], self.weight[mask])

    def matrix(self, size: int) -> sparse.csr_array:
        """The symmetric Q of a single sum z'Qz/2."""
        half = sparse.coo_array((self.weight, (self.key // size, self.key % size)), shape=(size, size))
        return sparse.csr_array(half + half.T)


@dataclass(frozen=True, eq=False)
class _Identities:
    """Expressions that vanish at every feasible point: number k is a sum of products and `linear[:, k]` times z."""

    products: _Products
    linear: sparse.csr_array

    @staticmethod
    def of(single: SingleLevel) -> _Identities:
        columns = Layout.of(single.variables)
        places = {part.name: np.arange(part.place.start, part.place.stop) for part in columns.parts}
        rows, by, constants = [sparse.csr_array((0, columns.size))], [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
        for residual, axes, name in _factors(single):
            form = affine_form(residual, axes, single.symbols, single.fixed)
            rows.append(form.matrix)
            constants.append(form.constant)
            by.append(places[name])
        matrix, column, constant = sparse.coo_array(sparse.vstack(rows)), np.concatenate(by), np.concatenate(constants)
        of, other = (part.astype(np.int64) for part in matrix.coords)
        first, second = np.minimum(column[of], other), np.maximum(column[of], other)
        shape = (columns.size, len(column))
        linear = sparse.csr_array((constant, (column, np.arange(len(column)))), shape=shape)
        return _Identities(_Products(first * columns.size + second, of, matrix.data), linear)

    def weights(self, target: _Products, squares: bool) -> tuple[np.ndarray, sparse.csr_array] | None:
        """Weights with which the products add up to those of the target, or with `squares` leave squares of the target.

        The second part is what is left, as a diagonal matrix Q of z'Qz/2; None where there are no such weights.
        """
        keys, place = np.unique(np.concatenate([self.products.key, target.key]), return_inverse=True)
        here, shape = len(self.products.key), (len(keys), self.linear.shape[1])
        matrix = sparse.csr_array((self.products.weight, (place[:here], self.products.of)), shape=shape)
        wanted = np.bincount(place[here:], weights=target.weight, minlength=len(keys))
        columns = self.linear.shape[0]
        diagonal = (keys // columns == keys % columns) & squares
        found = _solution(matrix, np.where(diagonal, -np.inf, wanted), wanted)
        if found is None:
            return None
        left = wanted - matrix @ found
        left[np.abs(left) <= ROUNDING * (np.abs(matrix) @ np.abs(found) + np.abs(wanted))] = 0.0
        if left[~diagonal].any() or (left < 0).any():
            return None
        places = keys % columns
        return found, sparse.csr_array((2 * left[diagonal], (places[diagonal],) * 2), shape=(columns, columns))


def _factors(single: SingleLevel) -> Iterator[tuple[Expr, tuple[Axis, ...], str]]:
    """What vanishes times which variable."""
    names = {symbol.name for symbol in single.symbols}
    for pair in single.complementarities:
        yield pair.slack, pair.axes, pair.multiplier.name
    for constraint in single.constraints:
        if constraint.is_equality and constraint.upper is not None:
            residual = subtract(constraint.body, constraint.upper)
            for name in (f"{constraint.label}.multiplier", constraint.label.removeprefix("stationary.")):
                if name in names and name != constraint.label:
                    yield residual, constraint.axes, name


def _solution(matrix: sparse.csr_array, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """Some z with `low <= matrix @ z <= high`, by linear programming, whose presolve propagates equations."""
    size, free = matrix.shape[1], np.full(matrix.shape[1], np.inf)
    nothing = np.zeros(0, dtype=np.int64)
    linear = Linear(
        (), Layout((Part("weight", (size,), slice(0, size)),), size), -free, free, np.zeros(size, dtype=bool),
        np.zeros(size), 0.0, None, matrix, low, high, {}, {}, Pairs(nothing, nothing.astype(bool), nothing),
    )  # fmt: skip
    relaxation = Relaxation(linear)
    return relaxation.z if relaxation.solve() == "optimal" else None


def _affine(cost: np.ndarray, offset: float, symbols: tuple[Symbol, ...]) -> Expr:
    """The expression `cost' z + offset`."""
    parts, start = [constant(offset)], 0
    for symbol in symbols:
        stop = start + int(np.prod(symbol.shape))
        weights = cost[start:stop].reshape(symbol.shape)
        if weights.any():
            data = leaf(Symbol(f"{symbol.name}_cost", "data", symbol.dims, weights), symbol.axes)
            parts.append(contract([data, leaf(symbol)], symbol.axes))
        start = stop
    return add(*parts)


def _quadratic(Q: sparse.csr_array, single: SingleLevel) -> list[Expr]:
    """The terms of z'Qz/2, one for each element; there are few."""
    elements = []
    for variable, part in zip(single.variables, Layout.of(single.variables).parts, strict=True):
        symbol = variable.symbol
        for place in range(part.place.stop - part.place.start):
            elements.append((symbol, place))
    terms = []
    for i, j, weight in zip(*_triplets(Q), strict=True):
        terms.append(multiply(constant(0.5 * float(weight)), _element(*elements[i]), _element(*elements[j])))
    return terms


def _triplets(Q: sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    coordinates = sparse.coo_array(Q)
    coordinates.eliminate_zeros()
    return *coordinates.coords, coordinates.data


def _element(symbol: Symbol, place: int) -> Expr:
    at = np.unravel_index(place, symbol.shape) if symbol.shape else ()
    return select(leaf(symbol), [(axis, IndexMap.of(int(k))) for axis, k in zip(symbol.axes, at, strict=True)])
