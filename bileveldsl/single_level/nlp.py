"""A smooth single-level program as flat functions: values, bounds, sparse Jacobian, sparse Hessian of the Lagrangian.

    minimize f(z)   subject to   row_lower <= c(z) <= row_upper,   lower <= z <= upper

The affine rows of c are a constant sparse matrix; everything else is compiled from symbolic derivatives.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import ZERO, Axis, Expr, Symbol, depends_on, subtract
from bileveldsl.calculus.sparse import affine_form
from bileveldsl.calculus.structure import kind
from bileveldsl.execute.codegen import Function, compile_function
from bileveldsl.execute.constants import Constants
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.layout import box
from bileveldsl.execute.outputs import Flat, Scalar
from bileveldsl.program import Constraint
from bileveldsl.single_level.derivatives import Entries, hessian_entries, jacobian_entries, lagrangian
from bileveldsl.single_level.program import SingleLevel

Values = Mapping[Symbol, np.ndarray]


@dataclass(frozen=True, eq=False)
class Block:
    """`lower <= body <= upper` over `axes`, the bounds free of variables; the rows of one constraint."""

    label: str
    body: Expr
    axes: tuple[Axis, ...]
    lower: Expr | None
    upper: Expr | None
    affine: bool

    @property
    def size(self) -> int:
        return int(np.prod([axis.size for axis in self.axes]))


@dataclass(frozen=True, eq=False)
class Compiled:
    """The functions of the nonlinear parts; all take z and the fixed values, the Hessian also multipliers and scale."""

    objective: Function
    gradient: Function
    nonlinear: Function | None
    jacobian: Entries | None
    hessian: Entries


@dataclass(frozen=True, eq=False)
class Nlp:
    """The functions and bounds of a program, over z, the variables in order, each in C order.

    Attributes
    ----------
    lower, upper, start : ndarray
        Bounds of z, and the variables' starts, else zero within the bounds.
    row_lower, row_upper : ndarray
        Bounds of c(z).
    blocks, places : tuple
        The rows by constraint, in order.
    jacobian_rows, jacobian_columns, hessian_rows, hessian_columns : ndarray
        Where the nonzeros are; of the Hessian the lower triangle.
    """

    symbols: tuple[Symbol, ...]
    blocks: tuple[Block, ...]
    places: tuple[slice, ...]
    lower: np.ndarray
    upper: np.ndarray
    start: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    fixed_symbols: tuple[Symbol, ...]
    fixed: np.ndarray
    matrix: sparse.csr_array
    constant: np.ndarray
    nonlinear_rows: np.ndarray
    compiled: Compiled

    @property
    def n(self) -> int:
        return len(self.lower)

    @property
    def m(self) -> int:
        return len(self.row_lower)

    # ---- functions ----

    def objective(self, z: np.ndarray) -> float:
        return float(self.compiled.objective(z, self.fixed))

    def gradient(self, z: np.ndarray) -> np.ndarray:
        return np.asarray(self.compiled.gradient(z, self.fixed))

    def constraints(self, z: np.ndarray) -> np.ndarray:
        values = self.matrix @ z + self.constant
        if self.compiled.nonlinear is not None:
            values[self.nonlinear_rows] = self.compiled.nonlinear(z, self.fixed)
        return values

    @property
    def jacobian_rows(self) -> np.ndarray:
        curved = self.compiled.jacobian
        affine = np.repeat(np.arange(self.m), np.diff(self.matrix.indptr))
        return affine if curved is None else np.concatenate([affine, self.nonlinear_rows[curved.rows]])

    @property
    def jacobian_columns(self) -> np.ndarray:
        curved = self.compiled.jacobian
        return self.matrix.indices if curved is None else np.concatenate([self.matrix.indices, curved.columns])

    def jacobian(self, z: np.ndarray) -> np.ndarray:
        """The values at `jacobian_rows`, `jacobian_columns`."""
        curved = self.compiled.jacobian
        return self.matrix.data if curved is None else np.concatenate([self.matrix.data, curved(z, self.fixed)])

    def jacobian_matrix(self, z: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array(
            (self.jacobian(z), (self.jacobian_rows, self.jacobian_columns)), shape=(self.m, self.n)
        )

    @property
    def hessian_rows(self) -> np.ndarray:
        return self.compiled.hessian.rows

    @property
    def hessian_columns(self) -> np.ndarray:
        return self.compiled.hessian.columns

    def hessian(self, z: np.ndarray, multipliers: np.ndarray, scale: float = 1.0) -> np.ndarray:
        """The values at `hessian_rows`, `hessian_columns` of the second derivative of scale f + multipliers' c."""
        return self.compiled.hessian(z, self.fixed, multipliers[self.nonlinear_rows], np.array([scale]))

    def hessian_matrix(self, z: np.ndarray, multipliers: np.ndarray, scale: float = 1.0) -> sparse.csr_array:
        """The whole symmetric matrix."""
        rows, columns, values = self.hessian_rows, self.hessian_columns, self.hessian(z, multipliers, scale)
        below = rows != columns
        everywhere = (np.append(rows, columns[below]), np.append(columns, rows[below]))
        return sparse.csr_array((np.append(values, values[below]), everywhere), shape=(self.n, self.n))

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """The bounds of z, with those that rows of one variable imply."""
        lower, upper = self.lower.copy(), self.upper.copy()
        alone = (np.diff(self.matrix.indptr) == 1) & ~np.isin(np.arange(self.m), self.nonlinear_rows)
        first = self.matrix.indptr[:-1][alone]
        column, slope = self.matrix.indices[first], self.matrix.data[first]
        ends = np.stack([self.row_lower[alone], self.row_upper[alone]]) - self.constant[alone]
        low, high = np.sort(ends / slope, axis=0)
        np.maximum.at(lower, column, low)
        np.minimum.at(upper, column, high)
        return lower, upper

    # ---- points ----

    def pack(self, values: Values) -> np.ndarray:
        """The flat vector of the variables' values."""
        return _flat(values[symbol] for symbol in self.symbols)

    def unpack(self, z: np.ndarray) -> dict[Symbol, np.ndarray]:
        """The variables' values, as arrays of their shapes."""
        ends = np.cumsum([int(np.prod(symbol.shape)) for symbol in self.symbols])
        return {s: part.reshape(s.shape) for s, part in zip(self.symbols, np.split(z, ends[:-1]), strict=True)}

    def violation(self, z: np.ndarray) -> float:
        """The largest violation of a bound or a row; infinite where a row has no value."""
        rows = self.constraints(z)
        excess = np.concatenate([self.lower - z, z - self.upper, self.row_lower - rows, rows - self.row_upper])
        return np.inf if np.isnan(excess).any() else float(np.max(excess, initial=0.0))

    def by_label(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Numbers of the rows as arrays by constraint; those of two rows of one member are added."""
        found: dict[str, np.ndarray] = {}
        for block, place in zip(self.blocks, self.places, strict=True):
            part = rows[place].reshape([axis.size for axis in block.axes])
            found[block.label] = found[block.label] + part if block.label in found else part
        return found

    # ---- other numbers, same functions ----

    def with_bounds(
        self,
        lower: np.ndarray | None = None,
        upper: np.ndarray | None = None,
        row_lower: np.ndarray | None = None,
        row_upper: np.ndarray | None = None,
    ) -> Nlp:
        """The same functions within other bounds, where they are given."""
        given: dict[str, Any] = {"lower": lower, "upper": upper, "row_lower": row_lower, "row_upper": row_upper}
        return replace(self, **{name: array for name, array in given.items() if array is not None})

    def with_fixed(self, values: Values) -> Nlp:
        """The same functions at other values of the fixed symbols; bounds of rows are the program's again."""
        return replace(self, **_numbers(self.blocks, self.symbols, self.fixed_symbols, values))


def compile_nlp(single: SingleLevel) -> Nlp:
    """The functions of a program without its complementarities; integers are relaxed.

    Parameters
    ----------
    single
        Of smooth functions. The values of its fixed symbols can be changed later without another compilation.
    """
    symbols, fixed = single.symbols, tuple(single.fixed)
    blocks = tuple(_blocks(single.constraints, symbols))
    curved = [(block.body, block.axes) for block in blocks if not block.affine]
    constants = Constants(numpy_engine())
    inputs = {"z": symbols, "fixed": fixed}
    slopes = tuple(zip(gradient(single.objective, symbols), (s.axes for s in symbols), strict=True))
    scale = Symbol("scale", "variable")
    weights = [Symbol(f"multipliers {k}", "variable", tuple(a.dim for a in axes)) for k, (_, axes) in enumerate(curved)]
    root = lagrangian(single.objective, scale, curved, weights)
    compiled = Compiled(
        compile_function("objective", [Scalar(single.objective)], inputs, constants),
        compile_function("gradient", [Flat(slopes)], inputs, constants),
        compile_function("nonlinear", [Flat(tuple(curved))], inputs, constants) if curved else None,
        jacobian_entries(curved, symbols, inputs, constants) if curved else None,
        hessian_entries(root, symbols, {**inputs, "multipliers": weights, "scale": [scale]}, constants),
    )
    lower, upper, start = box(single.variables)
    numbers = _numbers(blocks, symbols, fixed, single.fixed)
    ends = np.cumsum([0, *(block.size for block in blocks)]).tolist()
    places = tuple(slice(a, b) for a, b in itertools.pairwise(ends))
    flags = [np.full(block.size, not block.affine) for block in blocks]
    nonlinear_rows = np.nonzero(np.concatenate([np.zeros(0, dtype=bool), *flags]))[0]
    return Nlp(
        symbols=symbols, blocks=blocks, places=places, lower=lower, upper=upper, start=start, fixed_symbols=fixed,
        nonlinear_rows=nonlinear_rows, compiled=compiled, **numbers,
    )  # fmt: skip


def _blocks(constraints: Sequence[Constraint], symbols: Sequence[Symbol]) -> Iterator[Block]:
    """The constraints with bounds free of variables: what varies in a bound moves to the body."""

    def block(constraint: Constraint, body: Expr, lower: Expr | None, upper: Expr | None) -> Block:
        affine = kind(body, symbols) in ("constant", "affine")
        return Block(constraint.label, body, constraint.axes, lower, upper, affine)

    for constraint in constraints:
        body, low, high = constraint.body, constraint.lower, constraint.upper
        sides = [side for side in (low, high) if side is not None]
        if not any(depends_on(side, symbols) for side in sides):
            yield block(constraint, body, low, high)
        elif constraint.is_equality:
            yield block(constraint, subtract(body, sides[0]), ZERO, ZERO)
        else:
            if low is not None:
                yield block(constraint, subtract(body, low), ZERO, None)
            if high is not None:
                yield block(constraint, subtract(body, high), None, ZERO)


def _numbers(
    blocks: Sequence[Block], symbols: Sequence[Symbol], fixed_symbols: Sequence[Symbol], values: Values
) -> dict[str, Any]:
    """What depends on the values of the fixed symbols: bounds of the rows, and the affine rows."""
    fixed = {symbol: np.asarray(values[symbol], dtype=float) for symbol in fixed_symbols}
    columns = sum(int(np.prod(symbol.shape)) for symbol in symbols)
    matrices, offsets, lows, highs = [sparse.csr_array((0, columns))], [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    with np.errstate(all="ignore"):  # values tell
        for block in blocks:
            if block.affine:
                form = affine_form(block.body, block.axes, symbols, fixed)
                matrices.append(form.matrix)
                offsets.append(form.constant)
            else:
                matrices.append(sparse.csr_array((block.size, columns)))
                offsets.append(np.zeros(block.size))
            for side, found, missing in ((block.lower, lows, -np.inf), (block.upper, highs, np.inf)):
                array = np.full(block.size, missing) if side is None else evaluate(side, fixed, block.axes)
                found.append(array.ravel())
    matrix = sparse.csr_array(sparse.vstack(matrices))
    matrix.sum_duplicates()
    return {
        "fixed": _flat(fixed[symbol] for symbol in fixed_symbols), "matrix": matrix,
        "constant": np.concatenate(offsets), "row_lower": np.concatenate(lows), "row_upper": np.concatenate(highs),
    }  # fmt: skip


def _flat(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(np.ravel(np.asarray(array, dtype=float)) for array in arrays)])
