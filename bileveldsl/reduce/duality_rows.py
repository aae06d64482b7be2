"""Strong duality of the follower as rows of the linear relaxation, which complementarity alone leaves weak.

With residuals r = d + A x + B y, multipliers u and slopes g = g0 + C x + Q y of the follower's objective,
complementarity is, for each part of the follower that hangs together,

    sum_k y_k (g0 + C x + Q y)_k + sum_i u_i (d + A x)_i = 0.

Each product of one variable and one affine expression in x is a new column between its McCormick envelopes over
bounds that were computed, by intervals or linear programs, never assumed; y'Qy is a column that is not negative. Where
multipliers have no bounds, an inequality's product is at least its multiplier times the least residual (Kleinert,
Labbe, Plein and Schmidt, Closing the gap in linear bilevel optimization: a new valid primal-dual inequality,
Optimization Letters 15, 2021).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from bileveldsl.calculus.sparse import affine_form
from bileveldsl.execute.layout import Layout, Part
from bileveldsl.program import Program
from bileveldsl.reduce.conditions import conditions, stationarity
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import Linear
from bileveldsl.single_level.mip import MARGIN, rounded_up

SECONDS = 20.0
"""That may be spent on bounds by linear programs; beyond, bounds come from intervals alone."""


@dataclass(frozen=True, eq=False)
class FollowerMatrices:
    """Residuals `d + A x + B y` with their multipliers' columns, and slopes `g0 + C x + Q y`."""

    A: sparse.csr_array
    B: sparse.csr_array
    d: np.ndarray
    multiplier: np.ndarray
    equality: np.ndarray
    opposite: np.ndarray
    """For each inequality one with the opposite gradient in y, or -1: lowering both multipliers by the lesser keeps all
    conditions, so that not both need be positive."""
    C: sparse.csr_array
    Q: sparse.csr_array
    g0: np.ndarray

    @staticmethod
    def of(program: Program, linear: Linear) -> FollowerMatrices:
        upper, (lower,) = program.upper, program.lower
        both = (*upper.symbols, *lower.symbols)
        nx = sum(int(np.prod(symbol.shape)) for symbol in upper.symbols)
        places = {part.name: np.arange(part.place.start, part.place.stop) for part in linear.columns.parts}
        found = list(conditions(lower, lambda label, _: f"{label}.multiplier"))
        forms = [affine_form(c.residual, c.axes, both) for c in found]
        slopes = [affine_form(g, s.axes, both) for s, g in zip(lower.symbols, stationarity(lower, ()), strict=True)]
        gradient = sparse.csr_array(sparse.vstack([form.matrix for form in slopes]))
        nothing = sparse.csr_array((0, gradient.shape[1]))
        residual = sparse.csr_array(sparse.vstack([nothing, *(form.matrix for form in forms)]))
        # Where the leader uses multipliers, lowering two of different constraints at once could change its objective.
        owners = [id(c.of) if program.priced else 0 for c in found]
        count = [len(form.constant) for form in forms]
        equality = np.repeat([c.equality for c in found], count).astype(bool)
        return FollowerMatrices(
            residual[:, :nx], residual[:, nx:], np.concatenate([np.zeros(0), *(form.constant for form in forms)]),
            np.concatenate([np.zeros(0, dtype=np.int64), *(places[c.multiplier.name] for c in found)]),
            equality, _opposites(residual[:, nx:], equality, np.repeat(owners, count)),
            gradient[:, :nx], gradient[:, nx:], np.concatenate([form.constant for form in slopes]),
        )  # fmt: skip

    def parts(self) -> tuple[int, np.ndarray, np.ndarray]:
        """How many parts hang together through B and Q, and the part of each variable and of each residual."""
        m, ny = self.B.shape
        graph = sparse.block_array([[self.Q, self.B.T], [self.B, sparse.csr_array((m, m))]])
        count, label = connected_components(graph, directed=False)
        return count, label[:ny], label[ny:]


def _opposites(residual: sparse.csr_array, equality: np.ndarray, owner: np.ndarray) -> np.ndarray:
    residual = sparse.csr_array(residual)
    residual.eliminate_zeros()
    residual.sort_indices()
    known: dict[tuple[bytes, bytes, int], int] = {}
    found = np.full(residual.shape[0], -1, dtype=np.int64)
    for row in np.flatnonzero(~equality).tolist():
        part = slice(residual.indptr[row], residual.indptr[row + 1])
        indices, data, of = residual.indices[part].tobytes(), residual.data[part], int(owner[row])
        other = known.pop((indices, (-data).tobytes(), of), -1)
        if other >= 0:
            found[row], found[other] = other, row
        else:
            known[indices, data.tobytes(), of] = row
    return found


def with_strong_duality(program: Program, linear: Linear, seconds: float = SECONDS) -> Linear:
    """The KKT form with rows for strong duality and computed bounds of the multipliers.

    Parameters
    ----------
    program
        With one follower, both levels minimizing.
    linear
        The matrices of its KKT form.
    seconds
        For linear programs that compute bounds; the others are bounded by intervals.

    Returns
    -------
    Linear
        With more columns and rows, and multipliers bounded where that follows; the optimal value is the same.
    """
    follower = FollowerMatrices.of(program, linear)
    bounds = _Bounds(linear, seconds)
    weak = _Envelopes(linear, follower, bounds).apply()
    bounded = _with_multiplier_bounds(linear, weak, follower, bounds.deadline)
    return weak if bounded is linear else _Envelopes(bounded, follower, bounds).apply()


def _with_multiplier_bounds(linear: Linear, weak: Linear, follower: FollowerMatrices, deadline: float) -> Linear:
    """The largest multipliers over the relaxation; of two opposite ones the other is taken for zero."""
    relaxation = Relaxation(replace(weak, cost=np.zeros(weak.size), offset=0.0, hessian=None))
    lower, upper = linear.lower.copy(), linear.upper.copy()
    for row, column in enumerate(follower.multiplier.tolist()):
        if time.monotonic() > deadline:
            break
        other = int(follower.multiplier[follower.opposite[row]]) if follower.opposite[row] >= 0 else None
        if other is not None:
            relaxation.change(other, 0.0, 0.0)
        most = _greatest(relaxation, column, 1.0)
        if most == -math.inf:  # the other one is never zero, so that this one is; or nothing is feasible at all
            most = math.inf if other is None else 0.0
        upper[column] = min(upper[column], most)
        if follower.equality[row]:
            least = -_greatest(relaxation, column, -1.0)
            lower[column] = max(lower[column], least if least < math.inf else -math.inf)
        if other is not None:
            relaxation.change(other, 0.0, math.inf)
    if (upper == linear.upper).all() and (lower == linear.lower).all():
        return linear
    return replace(linear, lower=lower, upper=upper)


def _greatest(relaxation: Relaxation, column: int, sign: float) -> float:
    """An upper bound of a column, times the sign, over the relaxation."""
    cost = np.zeros(relaxation.linear.size)
    cost[column] = -sign
    relaxation.change_cost(cost)
    outcome = relaxation.solve()
    if outcome == "infeasible":
        return -math.inf
    return _relaxed(-relaxation.value) if outcome == "optimal" else math.inf


def _relaxed(value: float) -> float:
    return value + MARGIN * (1.0 + abs(value))


class _Bounds:
    """Ranges of linear expressions: by intervals, and by linear programs while there is time."""

    def __init__(self, linear: Linear, seconds: float):
        self.linear = linear
        self.deadline = time.monotonic() + seconds
        self._relaxation = Relaxation(replace(linear, cost=np.zeros(linear.size), offset=0.0, hessian=None))
        self._known: dict[tuple[tuple[int, float], ...], tuple[float, float]] = {}

    def __call__(self, weights: tuple[tuple[int, float], ...]) -> tuple[float, float]:
        if weights not in self._known:
            self._known[weights] = self._computed(weights)
        return self._known[weights]

    def _computed(self, weights: tuple[tuple[int, float], ...]) -> tuple[float, float]:
        lower, upper, low, high = self.linear.lower, self.linear.upper, 0.0, 0.0
        for j, w in weights:
            low += w * float(lower[j] if w > 0 else upper[j])
            high += w * float(upper[j] if w > 0 else lower[j])
        if len(weights) == 1 and math.isfinite(low) and math.isfinite(high):
            return low, high
        for sign in (1.0, -1.0):
            if time.monotonic() > self.deadline:
                break
            cost = np.zeros(self.linear.size)
            for j, w in weights:
                cost[j] = sign * w
            self._relaxation.change_cost(cost)
            if self._relaxation.solve() == "optimal":
                end = _relaxed(-self._relaxation.value)
                low, high = (max(low, -end), high) if sign > 0 else (low, min(high, end))
        return low, high


@dataclass
class _Envelopes:
    """The rows of strong duality for given bounds of the columns.

    Parameters
    ----------
    linear, follower
        The KKT form.
    bounds
        Of affine expressions over the KKT form.
    """

    linear: Linear
    follower: FollowerMatrices
    bounds: _Bounds

    def __post_init__(self) -> None:
        f = self.follower
        self.nx, self.ny = f.A.shape[1], f.B.shape[1]
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.rows: list[dict[int, float]] = []
        self.ends: list[tuple[float, float]] = []

    def apply(self) -> Linear:
        f = self.follower
        count, of_y, of_row = f.parts()
        for part in range(count):
            mark = len(self.lower), len(self.rows)
            terms = self._terms(np.flatnonzero(of_y == part), np.flatnonzero(of_row == part))
            if terms is None:  # a product has no bound on either side, and tells nothing
                self.lower[mark[0] :], self.upper[mark[0] :] = [], []
                self.rows[mark[1] :], self.ends[mark[1] :] = [], []
            elif terms[0]:
                self._row(terms[0], -terms[1], -terms[1])
        return self._extended()

    def _terms(self, ys: np.ndarray, residuals: np.ndarray) -> tuple[dict[int, float], float] | None:
        """The sum of strong duality over a part of the follower, as coefficients of columns, and its constant."""
        f, terms = self.follower, dict[int, float]()
        below = above = True  # whether the products of the sum are bounded on this side

        def added(column: int, weight: float) -> None:
            terms[column] = terms.get(column, 0.0) + weight

        for k in ys.tolist():
            added(self.nx + k, float(f.g0[k]))
            slope = _row_of(f.C, k)
            if slope:
                product, low, high = self._product(self.nx + k, slope, 0.0)
                below, above = below and low, above and high
                added(product, 1.0)
        if f.Q[ys].count_nonzero():
            added(self._column(0.0, math.inf), 1.0)
            above = False
        for i in residuals.tolist():
            column, moving = int(f.multiplier[i]), _row_of(f.A, i)
            if moving:
                product, low, high = self._product(column, moving, float(f.d[i]))
                below, above = below and low, above and high
                added(product, 1.0)
            else:
                added(column, float(f.d[i]))
        return (terms, 0.0) if below or above else None

    def _product(self, column: int, weights: dict[int, float], constant: float) -> tuple[int, bool, bool]:
        """A column for the product of z[column] and t = constant + weights' z; on which sides its envelope has rows."""
        ends = zip(self._range(column), self.bounds(tuple(weights.items())), strict=True)
        (least, a), (most, b) = ((end, constant + other) for end, other in ends)
        least, a, most, b = *(-rounded_up(np.array([-least, -a]))), *rounded_up(np.array([most, b]))
        product = self._column(-math.inf, math.inf)
        low = high = False
        # (z - least)(t - a) >= 0, (most - z)(b - t) >= 0, (z - least)(b - t) >= 0, (most - z)(t - a) >= 0
        for end, other, from_below in ((least, a, True), (most, b, True), (least, b, False), (most, a, False)):
            if math.isfinite(end) and math.isfinite(other):
                row = {j: -end * w for j, w in weights.items()}
                row[column] = row.get(column, 0.0) - other
                row[product] = 1.0
                limit = end * (constant - other)
                self._row(row, limit if from_below else -math.inf, math.inf if from_below else limit)
                low, high = low or from_below, high or not from_below
        return product, low, high

    def _range(self, column: int) -> tuple[float, float]:
        if self.linear.lower[column] > -math.inf and self.linear.upper[column] < math.inf:
            return float(self.linear.lower[column]), float(self.linear.upper[column])
        low, high = self.bounds(((column, 1.0),))
        return max(low, float(self.linear.lower[column])), min(high, float(self.linear.upper[column]))

    def _column(self, low: float, high: float) -> int:
        self.lower.append(low)
        self.upper.append(high)
        return self.linear.size + len(self.lower) - 1

    def _row(self, weights: dict[int, float], low: float, high: float) -> None:
        self.rows.append(weights)
        self.ends.append((low, high))

    def _extended(self) -> Linear:
        linear, more = self.linear, len(self.lower)
        if not self.rows:
            return linear
        size, zero = linear.size + more, np.zeros(more)
        columns = Layout((*linear.columns.parts, Part("products", (more,), slice(linear.size, size))), size)
        starts = np.cumsum([0, *(len(row) for row in self.rows)])
        indices = np.array([j for row in self.rows for j in row], dtype=np.int32)
        data = np.array([w for row in self.rows for w in row.values()])
        new = sparse.csr_array((data, indices, starts), shape=(len(self.rows), size))
        new.eliminate_zeros()
        m = linear.matrix.shape[0]
        moved = linear.pairs.slack + np.where(linear.pairs.slack >= linear.size, more, 0)
        hessian = linear.hessian
        if hessian is not None:
            hessian = sparse.csr_array(sparse.block_diag([hessian, sparse.csr_array((more, more))]))
        return replace(
            linear, columns=columns, hessian=hessian, pairs=replace(linear.pairs, slack=moved),
            lower=np.concatenate([linear.lower, self.lower]), upper=np.concatenate([linear.upper, self.upper]),
            integer=np.concatenate([linear.integer, zero > 0]), cost=np.concatenate([linear.cost, zero]),
            matrix=sparse.csr_array(sparse.hstack([linear.matrix, sparse.csr_array((m, more))])),
        ).with_rows(new, *np.array(self.ends).T)  # fmt: skip


def _row_of(matrix: sparse.csr_array, row: int) -> dict[int, float]:
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return {int(j): float(w) for j, w in zip(matrix.indices[part], matrix.data[part], strict=True) if w}
