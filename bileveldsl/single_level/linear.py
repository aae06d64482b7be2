"""A single-level program with affine constraints as sparse matrices: columns, rows and complementary pairs.

Every element of the variables is a column, every member of a constraint a row. A side of a complementarity is an end
of a column's or row's range, its `entity`: column j is j, row i is (number of columns) + i. Where the slack is that
of a constraint or of a bound, the pair uses this row or column and no row is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from bileveldsl.calculus.expr import Axis, Expr, Symbol, subtract
from bileveldsl.calculus.sparse import affine_form, quadratic_form
from bileveldsl.calculus.structure import kind
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.spectrum import least_eigenvalue
from bileveldsl.execute.layout import Layout
from bileveldsl.program import Constraint
from bileveldsl.single_level.program import Complementarity, SingleLevel

AFFINE = ("constant", "affine")
TOLERANCE = 1e-7
"""A pair is violated where both its sides are larger, an integer where it is farther from whole numbers."""
DENSE = 800
"""Variables of a quadratic function up to which its convexity is proved by its dense Hessian."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """In each pair the slack at one end of an entity, or the multiplier (a column, at zero), is zero."""

    slack: np.ndarray  # entities
    at_upper: np.ndarray  # whether the slack is that of the upper end
    multiplier: np.ndarray  # columns

    def __len__(self) -> int:
        return len(self.slack)


@dataclass(frozen=True, eq=False)
class Linear:
    """Minimize `z' hessian z / 2 + cost' z + offset`, `lower <= z <= upper`, `row_lower <= matrix @ z <= row_upper`.

    `rows` gives the rows of each constraint by label; `hessian` is None for a linear objective.
    """

    variables: tuple[Symbol, ...]
    columns: Layout
    lower: np.ndarray
    upper: np.ndarray
    integer: np.ndarray
    cost: np.ndarray
    offset: float
    hessian: sparse.csr_array | None
    matrix: sparse.csr_array
    row_lower: np.ndarray
    row_upper: np.ndarray
    rows: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]
    pairs: Pairs

    @property
    def size(self) -> int:
        return self.columns.size

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The ranges of all entities: columns, then rows."""
        return np.concatenate([self.lower, self.row_lower]), np.concatenate([self.upper, self.row_upper])

    def activity(self, z: np.ndarray) -> np.ndarray:
        """The values of all entities."""
        return np.concatenate([z, self.matrix @ z])

    def value(self, z: np.ndarray) -> float:
        quadratic = 0.0 if self.hessian is None else 0.5 * float(z @ (self.hessian @ z))
        return quadratic + float(self.cost @ z) + self.offset

    def slacks(self, z: np.ndarray) -> np.ndarray:
        """The slack of each pair."""
        low, high = self.ends
        at, pairs = self.activity(z), self.pairs
        return np.where(pairs.at_upper, high[pairs.slack] - at[pairs.slack], at[pairs.slack] - low[pairs.slack])

    def violation(self, z: np.ndarray) -> float:
        """The largest violation of a bound or row; complementarities and integrality are not looked at."""
        low, high = self.ends
        at = self.activity(z)
        return float(max(np.max(low - at, initial=0.0), np.max(at - high, initial=0.0)))

    def values(self, z: np.ndarray) -> dict[Symbol, np.ndarray]:
        parts = self.columns.unpack(z)
        return {symbol: parts[symbol.name] for symbol in self.variables}

    def with_rows(self, matrix: sparse.csr_array, row_lower: np.ndarray, row_upper: np.ndarray) -> Linear:
        """The same with more rows, which belong to no constraint."""
        return replace(
            self, matrix=sparse.csr_array(sparse.vstack([self.matrix, matrix])),
            row_lower=np.concatenate([self.row_lower, row_lower]),
            row_upper=np.concatenate([self.row_upper, row_upper]),
        )  # fmt: skip


def obstacle(single: SingleLevel) -> str | None:
    """None where the constraints are affine and the objective linear or convex quadratic, else what is not."""
    found = constraint_obstacle(single)
    if found:
        return found
    how = kind(single.objective, single.symbols)
    if how == "nonlinear":
        return "the objective is neither linear nor quadratic"
    if how == "quadratic" and not is_convex(quadratic_form(single.objective, single.symbols, single.fixed).Q):
        return "the objective is quadratic, but not convex in all variables together"
    return None


def constraint_obstacle(single: SingleLevel) -> str | None:
    """None where all constraints are affine, else which is not."""
    for label, part in _parts(single):
        if kind(part, single.symbols) not in AFFINE:
            return f"the constraint {label} is not linear"
    return None


def is_convex(Q: sparse.csr_array) -> bool:
    """Whether a symmetric matrix is proved to have no negative eigenvalue, but for the rounding of its entries."""
    matrix = sparse.csr_array(Q)
    matrix.eliminate_zeros()
    used = np.unique(np.concatenate(matrix.nonzero()))
    diagonal = matrix.diagonal()[used]
    if matrix.nnz == np.count_nonzero(diagonal):
        return bool((diagonal >= 0).all())
    if len(used) > DENSE or (diagonal <= 0).any():
        return False
    dense = matrix[used][:, used].toarray()
    tolerance = 1e-12 * float(np.abs(dense).sum(1).max())
    return bool(least_eigenvalue(Interval.point(dense[None]))[0] >= -tolerance)


def _parts(single: SingleLevel) -> Iterator[tuple[str, Expr]]:
    for constraint in single.constraints:
        for side in (constraint.lower, constraint.upper):
            if side is not None:
                yield constraint.label, subtract(constraint.body, side)
    for pair in single.complementarities:
        yield pair.label, pair.slack


def flatten(single: SingleLevel) -> Linear:
    """The matrices of a program to which `obstacle` has no objection; the cost grows with the nonzeros.

    Raises
    ------
    ValueError
        When a part is not affine, or the objective not quadratic.
    """
    builder = _Rows(single)
    for constraint in single.constraints:
        builder.constraint(constraint)
    of_constraints = builder.count
    slacks = [builder.slack(pair) for pair in single.complementarities]
    matrix, low, high = builder.assembled()
    columns = Layout.of(single.variables)
    lower, upper, integer, cost = (np.zeros(columns.size) for _ in range(4))
    for variable, part in zip(single.variables, columns.parts, strict=True):
        lower[part.place], upper[part.place] = np.ravel(variable.lower), np.ravel(variable.upper)
        integer[part.place] = variable.kind != "continuous"
    hessian, offset = None, 0.0
    how = kind(single.objective, single.symbols)
    if how in AFFINE:
        form = affine_form(single.objective, (), single.symbols, single.fixed)
        cost, offset = form.matrix.toarray().ravel(), float(form.constant[0])
    else:
        square = quadratic_form(single.objective, single.symbols, single.fixed)
        hessian, cost, offset = square.Q, square.c, square.constant
    places = {part.name: np.arange(part.place.start, part.place.stop) for part in columns.parts}
    multipliers = [places[pair.multiplier.name] for pair in single.complementarities]
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *slacks])
    linear = Linear(
        single.symbols, columns, lower, upper, integer.astype(bool), cost, offset, hessian, matrix, low, high,
        builder.rows, builder.shapes,
        Pairs(columns.size + rows, np.zeros(len(rows), dtype=bool), np.concatenate([rows[:0], *multipliers])),
    )  # fmt: skip
    return _merged(linear, of_constraints)


class _Rows:
    """Collects rows, family after family."""

    def __init__(self, single: SingleLevel):
        self.single = single
        self.blocks: list[tuple[sparse.csr_array, np.ndarray, np.ndarray]] = []
        self.rows: dict[str, np.ndarray] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.count = 0

    def add(self, body: Expr, axes: tuple[Axis, ...], low: np.ndarray | float, high: np.ndarray | float) -> np.ndarray:
        form = affine_form(body, axes, self.single.symbols, self.single.fixed)
        self.blocks.append((form.matrix, low - form.constant, high - form.constant))
        new = np.arange(self.count, self.count + len(form.constant))
        self.count += len(new)
        return new

    def constraint(self, constraint: Constraint) -> None:
        label, axes, body = constraint.label, constraint.axes, constraint.body
        low, high = constraint.lower, constraint.upper
        if constraint.is_equality and high is not None:
            added = self.add(subtract(body, high), axes, 0.0, 0.0)
        elif low is None or high is None:
            side = low if low is not None else high
            assert side is not None
            ends = (0.0, np.inf) if low is not None else (-np.inf, 0.0)
            added = self.add(subtract(body, side), axes, *ends)
        elif all(kind(side, self.single.symbols) == "constant" for side in (low, high)):
            ranges = [affine_form(side, axes, self.single.symbols, self.single.fixed).constant for side in (low, high)]
            added = self.add(body, axes, ranges[0], ranges[1])
        else:
            first = self.add(subtract(body, low), axes, 0.0, np.inf)
            added = np.concatenate([first, self.add(subtract(body, high), axes, -np.inf, 0.0)])
        self.rows[label] = added
        self.shapes[label] = tuple(axis.size for axis in axes)

    def slack(self, pair: Complementarity) -> np.ndarray:
        return self.add(pair.slack, pair.axes, 0.0, np.inf)

    def assembled(self) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
        columns = sum(int(np.prod(symbol.shape)) for symbol in self.single.symbols)
        if not self.blocks:
            return sparse.csr_array((0, columns)), np.zeros(0), np.zeros(0)
        matrix = sparse.csr_array(sparse.vstack([block[0] for block in self.blocks]))
        matrix.eliminate_zeros()
        matrix.sort_indices()
        low, high = (np.concatenate([np.atleast_1d(block[k]) for block in self.blocks]) for k in (1, 2))
        return matrix, low, high


def _merged(linear: Linear, of_constraints: int) -> Linear:
    """The rows that were added for slacks replaced by the rows or columns that have the same ends."""
    matrix, pairs, size = linear.matrix, linear.pairs, linear.size
    known: dict[tuple[bytes, bytes], list[int]] = {}
    start, indices, data = matrix.indptr, matrix.indices, matrix.data

    def key(row: int, sign: float) -> tuple[bytes, bytes]:
        part = slice(start[row], start[row + 1])
        return indices[part].tobytes(), (sign * data[part] + 0.0).tobytes()

    for row in range(of_constraints):
        known.setdefault(key(row, 1.0), []).append(row)
    slack, at_upper = pairs.slack.copy(), pairs.at_upper.copy()
    kept = np.ones(matrix.shape[0], dtype=bool)
    for number, row in enumerate(pairs.slack - size):
        low = linear.row_lower[row]
        same = [r for r in known.get(key(row, 1.0), ()) if linear.row_lower[r] == low]
        turned = [r for r in known.get(key(row, -1.0), ()) if linear.row_upper[r] == -low]
        if same or turned:
            slack[number], at_upper[number], kept[row] = size + (same or turned)[0], not same, False
        elif start[row + 1] - start[row] == 1:
            column, factor = indices[start[row]], data[start[row]]
            end = low / factor
            if (linear.lower if factor > 0 else linear.upper)[column] == end:
                slack[number], at_upper[number], kept[row] = column, factor < 0, False
    renumbered = np.cumsum(kept) - 1
    moved = slack >= size
    slack[moved] = size + renumbered[slack[moved] - size]
    return replace(
        linear, matrix=sparse.csr_array(matrix[kept]), row_lower=linear.row_lower[kept],
        row_upper=linear.row_upper[kept], pairs=Pairs(slack, at_upper, pairs.multiplier),
    )  # fmt: skip
