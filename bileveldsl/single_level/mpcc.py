"""Programs with complementarities: relaxed ones whose solutions tend to theirs, then exact ones branch by branch.

    minimize f(z)   subject to   the program's constraints,   0 <= G(z),  0 <= H(z),  G(z) H(z) = 0 elementwise,

where every H is a variable. The relaxation G H <= t is of Scholtes (2001); the smoothed Fischer-Burmeister equation
G + H = sqrt(G^2 + H^2 + 2 t) is of Kanzow (1996). Near a solution every pair is on one of its branches, G = 0 or
H = 0; the smooth program of these branches gives the point to full accuracy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import sympy

from bileveldsl.calculus.expr import ZERO, Expr, Symbol, apply, argument, leaf, multiply, subtract
from bileveldsl.program import Constraint, Variable
from bileveldsl.single_level.local import LocalPoint, Settings, minimize
from bileveldsl.single_level.nlp import Nlp, compile_nlp
from bileveldsl.single_level.program import Answer, SingleLevel

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor

Form = Literal["scholtes", "fischer_burmeister"]
Values = Mapping[Symbol, np.ndarray]

RELAXATIONS = (1.0, 1e-2, 1e-4, 1e-6, 1e-8)
"""The values of t."""

ACCURACY = 1e-10
"""Tolerance of the last solves, with the branches fixed."""

ZERO_WITHIN = 1e-6
"""A side of a pair below this is taken for zero where both sides are compared with it."""

FEASIBLE = 1e-7
"""Largest violation of a solution."""

SWITCHES = 20
"""Changes of branches that are tried after the first solution."""

_SMOOTHING = Symbol("smoothing", "variable")


@dataclass(frozen=True, eq=False)
class Mpcc:
    """A compiled program with complementarities.

    Attributes
    ----------
    single : SingleLevel
    nlp : Nlp
        Constraints, then G for every pair as rows, then the relaxed products. What says that some G is not negative
        a second time is left out, and where G is an affine function of one variable, that is a bound of it.
    slack, relation, multiplier : ndarray
        For each pair the row of G, the row of the relaxation, and the column of H.
    column, slope, offset : ndarray
        The column of the variable that G is a multiple of, up to a constant, or -1; how many times; and the value of
        the variable where G is zero.
    """

    single: SingleLevel
    nlp: Nlp
    slack: np.ndarray
    relation: np.ndarray
    multiplier: np.ndarray
    column: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    form: Form

    # ---- points ----

    def sides(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """G and H of all pairs."""
        return self.nlp.constraints(z)[self.slack], z[self.multiplier]

    def complementarity(self, z: np.ndarray) -> float:
        """The largest of min(G, H), in absolute value."""
        return float(np.max(np.abs(np.minimum(*self.sides(z))), initial=0.0))

    def answer(self, point: LocalPoint) -> Answer:
        """The point in the program's terms; duals of the constraints that are no part of a pair."""
        labels = {constraint.label for constraint in self.single.constraints}
        duals = {label: d for label, d in self.nlp.by_label(-point.multipliers).items() if label in labels}
        return Answer(point.status, point.message, self.nlp.unpack(point.z), point.objective, duals=duals)

    # ---- other numbers, same functions ----

    def with_fixed(self, values: Values) -> Mpcc:
        """The same program at other values of some fixed symbols that no pair holds."""
        nlp = self.nlp
        ends = np.cumsum([int(np.prod(symbol.shape)) for symbol in nlp.fixed_symbols])
        parts = zip(nlp.fixed_symbols, np.split(nlp.fixed, ends[:-1]), strict=True)
        known = {symbol: part.reshape(symbol.shape) for symbol, part in parts}
        moved = nlp.with_fixed({**known, **values})
        return replace(self, nlp=moved.with_bounds(nlp.lower, nlp.upper, nlp.row_lower, nlp.row_upper))

    def without(self, label: str, members: np.ndarray) -> Mpcc:
        """The same program less some members of a constraint."""
        low, high = self.nlp.row_lower.copy(), self.nlp.row_upper.copy()
        place = next(p for block, p in zip(self.nlp.blocks, self.nlp.places, strict=True) if block.label == label)
        low[place][members], high[place][members] = -np.inf, np.inf
        return replace(self, nlp=self.nlp.with_bounds(row_lower=low, row_upper=high))

    # ---- relaxed ----

    def relaxed(self, t: float) -> Nlp:
        """The smooth program for one value of the relaxation."""
        if self.form == "fischer_burmeister":
            return replace(self.nlp, fixed=np.append(self.nlp.fixed[:-1], 2.0 * t))
        high = self.nlp.row_upper.copy()
        high[self.relation] = t
        return self.nlp.with_bounds(row_upper=high)

    def follow(
        self,
        start: np.ndarray,
        monitor: Monitor | None = None,
        relaxations: Iterable[float] = RELAXATIONS,
        max_iterations: int = 500,
    ) -> LocalPoint:
        """Solutions of the relaxed programs, each from the one before; the last that there is."""
        point: LocalPoint | None = None
        z = start
        for t in relaxations if len(self.slack) else (1e-8,):
            if monitor is not None:
                monitor.check()
            settings = Settings(min(1e-3, max(1e-8, 0.1 * t)), max_iterations, warm=point)
            found = minimize(self.relaxed(t), z, settings, monitor)
            if point is not None and found.status != "optimal":
                break
            point, z = found, found.z
            if found.status != "optimal":
                break
        assert point is not None
        return point

    # ---- exact ----

    def on_branches(self, slack_zero: np.ndarray) -> Nlp:
        """The smooth program with G = 0 for these pairs and H = 0 for the others."""
        lower, upper = self.nlp.lower.copy(), self.nlp.upper.copy()
        low, high = self.nlp.row_lower.copy(), self.nlp.row_upper.copy()
        low[self.relation], high[self.relation] = -np.inf, np.inf
        upper[self.multiplier[~slack_zero]] = 0.0
        alone = slack_zero & (self.column >= 0)
        lower[self.column[alone]] = upper[self.column[alone]] = self.offset[alone]
        rows = self.slack[slack_zero & (self.column < 0)]
        low[rows] = high[rows] = 0.0
        return self.nlp.with_bounds(lower, upper, low, high)

    def polish(self, z: np.ndarray, monitor: Monitor | None = None, max_iterations: int = 500) -> LocalPoint:
        """The solution on the branches that a point is next to, then on neighbouring ones while that is better."""
        G, H = self.sides(z)
        best: LocalPoint | None = None
        branches = G <= H
        for number, trial in enumerate(self._readings(G, H)):
            found = self._exact(trial, z, monitor, max_iterations, patient=number == 0)
            if best is None or _rank(found) < _rank(best):
                best, branches = found, trial
            if found.status == "optimal":
                break
        assert best is not None
        if best.status != "optimal":
            return best
        tried = {branches.tobytes()}
        for _ in range(SWITCHES):
            fresh = [trial for trial in self._neighbours(best, branches) if trial.tobytes() not in tried]
            if not fresh:
                break
            trial = fresh[0]
            tried.add(trial.tobytes())
            found = self._exact(trial, best.z, monitor, max_iterations, patient=False)
            if found.status == "optimal" and found.objective < best.objective - 1e-9 * (1 + abs(best.objective)):
                best, branches = found, trial
        return best

    def _exact(
        self, branches: np.ndarray, z: np.ndarray, monitor: Monitor | None, max_iterations: int, patient: bool
    ) -> LocalPoint:
        """The solution on some branches, for which a patient attempt takes several ways."""
        if monitor is not None:
            monitor.check()
        nlp = self.on_branches(branches)
        near: dict[str, str | float] = {
            "bound_push": 1e-9, "bound_frac": 1e-9, "slack_bound_push": 1e-9, "slack_bound_frac": 1e-9,
            "mu_init": 1e-7, "bound_mult_init_method": "mu-based",
        }  # fmt: skip
        attempts = (
            Settings(ACCURACY, max_iterations, exact_bounds=True, options=near),
            Settings(ACCURACY, max_iterations),
            # where few variables are free the equations may be redundant, which a little room for the others mends
            Settings(10 * ACCURACY, max_iterations, options={"fixed_variable_treatment": "relax_bounds"}),
        )
        for settings in attempts if patient else attempts[:1]:
            found = minimize(nlp, z, settings, monitor)
            if found.status == "optimal" and nlp.violation(found.z) <= FEASIBLE:
                return found
        return found if found.status != "optimal" else replace(found, status="failed", message="it is not feasible")

    def _readings(self, G: np.ndarray, H: np.ndarray) -> Iterator[np.ndarray]:
        """Branches that a point may be on; where both sides are small it does not tell."""
        yield (G <= H) & (H > ZERO_WITHIN**2)  # without a multiplier its constraint may be left
        for size in (1e-6, 1e-4, 1e-2):
            unclear = (np.abs(G) <= size) & (np.abs(H) <= size)
            if unclear.any():
                yield (G <= H) | unclear
                yield (G <= H) & ~unclear

    def _neighbours(self, point: LocalPoint, branches: np.ndarray) -> Iterator[np.ndarray]:
        """Branches on which the multipliers of biactive pairs promise something better, most promising first."""
        G, H = self.sides(point.z)
        both = (np.abs(G) <= ZERO_WITHIN) & (np.abs(H) <= ZERO_WITHIN)
        price = self._prices(point, branches)
        wrong = both & (price < -1e-7 * (1 + np.max(np.abs(price), initial=0.0)))
        if wrong.any():
            yield branches ^ wrong
            for pair in np.argsort(price):
                if wrong[pair]:
                    flipped = branches.copy()
                    flipped[pair] = not flipped[pair]
                    yield flipped

    def _prices(self, point: LocalPoint, branches: np.ndarray) -> np.ndarray:
        """By how much f would change per unit of the side that each branch holds at zero."""
        jacobian = self.nlp.jacobian_matrix(point.z)
        reduced = self.nlp.gradient(point.z) + jacobian.T @ point.multipliers  # what the bounds of variables hold
        own, slope = np.where(branches, self.column, self.multiplier), np.where(branches, self.slope, 1.0)
        return np.where(branches & (self.column < 0), -point.multipliers[self.slack], reduced[own] / slope)


def compile_mpcc(single: SingleLevel, form: Form = "scholtes") -> Mpcc:
    """The functions of a program with complementarities."""
    pairs = single.complementarities
    kept = tuple(_without(single.constraints, {pair.slack for pair in pairs}))
    slacks, relations, fixed = [], [], dict(single.fixed)
    for pair in pairs:
        G, H, axes, span = pair.slack, leaf(pair.multiplier.symbol, pair.axes), pair.axes, pair.multiplier.span
        slacks.append(Constraint(f"{pair.label}.slack", G, ZERO, None, axes, span))
        if form == "scholtes":
            body, low = multiply(G, H), None
        else:
            body, low, fixed[_SMOOTHING] = _fischer_burmeister(G, H), ZERO, np.ones(())
        relations.append(Constraint(f"{pair.label}.relation", body, low, ZERO, axes, span))
    nlp = compile_nlp(replace(single, constraints=(*kept, *slacks, *relations), complementarities=(), fixed=fixed))
    sizes = [int(np.prod(pair.multiplier.symbol.shape)) for pair in pairs]
    total = sum(sizes)
    slack = np.arange(nlp.m - 2 * total, nlp.m - total)
    starts = dict(zip(nlp.symbols, np.cumsum([0, *(int(np.prod(s.shape)) for s in nlp.symbols)])[:-1], strict=True))
    multiplier = _joined(
        starts[pair.multiplier.symbol] + np.arange(size) for pair, size in zip(pairs, sizes, strict=True)
    )
    column, slope, offset, nlp = _as_bounds(nlp, slack)
    return Mpcc(single, nlp, slack, slack + total, multiplier, column, slope, offset, form)


def _fischer_burmeister(a: Expr, b: Expr) -> Expr:
    x, y, t = (argument(k) for k in range(3))
    return apply(x + y - sympy.sqrt(x**2 + y**2 + t), [a, b, leaf(_SMOOTHING)])


def _without(constraints: Iterable[Constraint], slacks: set[Expr]) -> Iterator[Constraint]:
    """The constraints less the sides that complementarities state."""
    for constraint in constraints:
        low, high = constraint.lower, constraint.upper
        if not constraint.is_equality:
            if low is not None and subtract(constraint.body, low) in slacks:
                low = None
            if high is not None and subtract(high, constraint.body) in slacks:
                high = None
        if low is not None or high is not None:
            yield replace(constraint, lower=low, upper=high)


def _as_bounds(nlp: Nlp, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, Nlp]:
    """Rows >= 0 that hold one variable become a bound: its column, slope, and the value at which the row is zero."""
    matrix = nlp.matrix[rows]
    alone = (np.diff(matrix.indptr) == 1) & ~np.isin(rows, nlp.nonlinear_rows)
    column, slope, offset = np.full(len(rows), -1), np.ones(len(rows)), np.zeros(len(rows))
    first = matrix.indptr[:-1][alone]
    column[alone], slope[alone] = matrix.indices[first], matrix.data[first]
    offset[alone] = -nlp.constant[rows[alone]] / slope[alone]
    lower, upper, low = nlp.lower.copy(), nlp.upper.copy(), nlp.row_lower.copy()
    rising, falling = alone & (slope > 0), alone & (slope < 0)
    np.maximum.at(lower, column[rising], offset[rising])
    np.minimum.at(upper, column[falling], offset[falling])
    low[rows[alone]] = -np.inf
    return column, slope, offset, nlp.with_bounds(lower, upper, row_lower=low)


def _joined(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=np.int64), *arrays])


def polish(single: SingleLevel, values: Values, monitor: Monitor | None = None) -> Answer:
    """The solution to full accuracy on the branches that a point is next to, or on better ones beside them.

    Integer variables are held at their rounded values.
    """
    held = tuple(_held(variable, values[variable.symbol]) for variable in single.variables)
    mpcc = compile_mpcc(replace(single, variables=held))
    return mpcc.answer(mpcc.polish(mpcc.nlp.pack(values), monitor))


def _held(variable: Variable, value: np.ndarray) -> Variable:
    if variable.kind == "continuous":
        return variable
    whole = np.round(np.asarray(value, dtype=float))
    return replace(variable, lower=whole, upper=whole)


def _rank(point: LocalPoint) -> tuple[bool, float]:
    return point.status != "optimal", point.objective
