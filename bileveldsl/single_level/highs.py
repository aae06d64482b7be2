"""Linear, convex quadratic and mixed-integer linear programs solved by HiGHS.

Where HiGHS can only say "infeasible or unbounded", the program is solved again without its objective. Multipliers are
in the convention of a minimization: the derivative of the optimal value with respect to the right-hand side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import highspy
import numpy as np
from scipy import sparse

from bileveldsl.single_level import tangents
from bileveldsl.single_level.linear import Linear, flatten
from bileveldsl.single_level.program import Answer, SingleLevel

FEASIBILITY = 1e-9
"""On rows, bounds and reduced costs of linear programs; 1e-7 where that cannot be reached."""

PRESOLVED = 5000
"""Columns from which linear programs are presolved, before they are solved again from their last basis."""

LONG = 2000
"""Columns and rows from which a solve may be long: it runs beside the program, so that Ctrl-C stops it."""

Outcome = Literal["optimal", "infeasible", "unbounded", "limit", "failed"]
Watch = Callable[[float, float], None]

_OUTCOMES: dict[highspy.HighsModelStatus, Outcome] = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kModelEmpty: "optimal",
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnbounded: "unbounded",
    highspy.HighsModelStatus.kTimeLimit: "limit",
    highspy.HighsModelStatus.kIterationLimit: "limit",
    highspy.HighsModelStatus.kSolutionLimit: "limit",
    highspy.HighsModelStatus.kInterrupt: "limit",
}


class Relaxation:
    """A program in HiGHS without its complementarities, whose ranges may change; solved again from its last basis.

    Parameters
    ----------
    linear
        The program.
    integers
        Whether columns keep their integrality.
    """

    def __init__(self, linear: Linear, integers: bool = False):
        self.linear = linear
        self.integers = integers and bool(linear.integer.any())
        self.low, self.high = linear.ends
        self.solver = highspy.Highs()
        self.solver.setOptionValue("output_flag", False)
        self.solver.setOptionValue("threads", 1)
        if linear.size < PRESOLVED and not self.integers:
            self.solver.setOptionValue("presolve", "off")
        self._tolerances(FEASIBILITY)
        self.solver.passModel(self._model())
        if linear.hessian is not None:
            self._pass_hessian(linear.hessian)
            self.solver.setOptionValue("qp_iteration_limit", 10_000 + 10 * (linear.size + linear.matrix.shape[0]))
        self.runs = 0
        self.failed = False
        self.cost = linear.cost
        self._tangency: tangents.Tangency | None = None

    def _model(self) -> highspy.HighsLp:
        linear, lp = self.linear, highspy.HighsLp()
        lp.num_col_, lp.num_row_ = linear.size, linear.matrix.shape[0]
        lp.col_cost_, lp.offset_ = linear.cost, linear.offset
        lp.col_lower_, lp.col_upper_ = linear.lower, linear.upper
        lp.row_lower_, lp.row_upper_ = linear.row_lower, linear.row_upper
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
        lp.a_matrix_.start_ = linear.matrix.indptr.astype(np.int32)
        lp.a_matrix_.index_ = linear.matrix.indices.astype(np.int32)
        lp.a_matrix_.value_ = linear.matrix.data
        if self.integers:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[int(whole)] for whole in linear.integer]
        return lp

    def _pass_hessian(self, hessian: sparse.csr_array) -> None:
        lower = sparse.csc_array(sparse.tril(hessian))
        lower.sort_indices()
        form = highspy.HighsHessian()
        form.dim_, form.format_ = self.linear.size, highspy.HessianFormat.kTriangular
        form.start_, form.index_ = lower.indptr.astype(np.int32), lower.indices.astype(np.int32)
        form.value_ = lower.data
        self.solver.passHessian(form)

    def _tolerances(self, value: float) -> None:
        for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            self.solver.setOptionValue(name, value)

    def change(self, entity: int, low: float, high: float) -> None:
        """Another range of a column or row."""
        if (self.low[entity], self.high[entity]) == (low, high):
            return
        self.low[entity], self.high[entity] = low, high
        if low > high:  # known here to be infeasible; HiGHS takes no such range
            return
        if entity < self.linear.size:
            self.solver.changeColBounds(entity, low, high)
        else:
            self.solver.changeRowBounds(entity - self.linear.size, low, high)

    def change_all(self, entities: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Other ranges of columns and rows."""
        moved = (self.low[entities] != low) | (self.high[entities] != high)
        for entity, a, b in zip(entities[moved].tolist(), low[moved].tolist(), high[moved].tolist(), strict=True):
            self.change(entity, a, b)

    def change_cost(self, cost: np.ndarray) -> None:
        self.cost = cost
        self.solver.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)

    def solve(
        self, time_limit: float = math.inf, gap: float | None = None, watch: Watch | None = None
    ) -> Outcome:
        """Solve with the present ranges; for programs with integers up to a relative gap.

        Parameters
        ----------
        time_limit
            In seconds.
        gap
            At which a program with integers counts as solved.
        watch
            Called ten times a second with the best value and the bound so far; then Ctrl-C stops the solver, and is
            raised again with the best point kept.
        """
        self._tangency = None
        if (self.low > self.high).any():
            return "infeasible"
        solver = self.solver
        self.runs += 1
        if gap is not None:
            solver.setOptionValue("mip_rel_gap", gap)
        solver.setOptionValue("time_limit", min(solver.getRunTime() + max(time_limit, 0.0), 1e20))
        if watch is not None:
            return self._watched(watch)
        outcome = self._run()
        if outcome == "infeasible" and solver.getOptionValue("presolve")[1] != "off":
            # Presolve of HiGHS 1.15 calls some unbounded programs infeasible.
            solver.setOptionValue("presolve", "off")
            outcome = self._run()
            solver.setOptionValue("presolve", "choose")
        if outcome == "failed":  # once more from scratch, with the tolerances that HiGHS is tuned for
            solver.clearSolver()
            self._tolerances(1e-7)
            outcome = self._run()
            self._tolerances(FEASIBILITY)
        if outcome in ("failed", "limit") and self.linear.hessian is not None and time_limit > 0:
            outcome = self._by_tangents()
        self.failed = outcome == "failed"
        return outcome

    def _by_tangents(self) -> Outcome:
        """The quadratic program by linear ones."""
        flat = Relaxation(tangents.epigraph(self.linear))
        flat.change_cost(np.append(self.cost, 1.0))
        rows = self.linear.size + np.arange(self.linear.matrix.shape[0])
        for entities, moved in ((np.arange(self.linear.size), 0), (rows, 1)):
            flat.change_all(entities + moved, self.low[entities], self.high[entities])
        found = tangents.minimize(flat.solver, self.linear)
        if isinstance(found, str):
            return found
        self._tangency = found
        return "optimal"

    def _watched(self, watch: Watch) -> Outcome:
        seen = [math.inf, -math.inf]

        def note(event: highspy.HighsCallbackEvent) -> None:
            seen[:] = event.data_out.mip_primal_bound, event.data_out.mip_dual_bound

        self.solver.cbMipInterrupt += note
        try:
            self._run_beside(lambda: watch(*seen))
        finally:
            self.solver.cbMipInterrupt -= note
        return self._outcome()

    def _run_beside(self, tick: Callable[[], None]) -> None:
        """Run in a thread, with a call ten times a second; what that or Ctrl-C raises stops the solver."""
        solver = self.solver
        solver.HandleUserInterrupt = True
        solver.startSolve()
        try:
            while not solver.wait(0.1)[0]:
                tick()
        except BaseException:
            solver.cancelSolve()
            while not solver.wait(0.1)[0]:
                pass
            raise
        finally:
            solver.HandleUserInterrupt = False

    def _run(self) -> Outcome:
        if self.linear.size + self.linear.matrix.shape[0] >= LONG:
            self._run_beside(lambda: None)
        else:
            self.solver.run()
        return self._outcome()

    def _outcome(self) -> Outcome:
        status = self.solver.getModelStatus()
        if status == highspy.HighsModelStatus.kUnboundedOrInfeasible:
            return "unbounded" if self._feasible() else "infeasible"
        return _OUTCOMES.get(status, "failed")

    def _feasible(self) -> bool:
        """Whether there is a feasible point, found without the objective."""
        plain = Relaxation(_without_objective(self.linear), self.integers)
        for entity in np.flatnonzero((plain.low != self.low) | (plain.high != self.high)):
            plain.change(int(entity), self.low[entity], self.high[entity])
        return plain.solve() == "optimal"

    @property
    def z(self) -> np.ndarray:
        """The solution, within the ranges of the columns."""
        size = self.linear.size
        found = self._tangency.z if self._tangency else np.asarray(self.solver.getSolution().col_value)
        return np.clip(found, self.low[:size], self.high[:size])

    @property
    def has_point(self) -> bool:
        if self._tangency:
            return True
        return self.solver.getInfo().primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)

    @property
    def value(self) -> float:
        if self._tangency:
            return self._tangency.bound
        return float(self.solver.getInfo().objective_function_value)

    @property
    def bound(self) -> float:
        """A lower bound of the optimal value."""
        return float(self.solver.getInfo().mip_dual_bound) if self.integers else self.value

    @property
    def duals(self) -> tuple[np.ndarray, np.ndarray]:
        """Reduced costs of the columns and multipliers of the rows."""
        if self._tangency:
            return self._tangency.duals
        solution = self.solver.getSolution()
        return np.asarray(solution.col_dual), np.asarray(solution.row_dual)


def _without_objective(linear: Linear) -> Linear:
    return replace(linear, cost=np.zeros(linear.size), offset=0.0, hessian=None)


def solve(single: SingleLevel, time_limit: float = math.inf, gap: float = 1e-9) -> Answer:
    """The optimum of a linear, convex quadratic or mixed-integer linear program.

    Parameters
    ----------
    single
        Without complementarities; `linear.obstacle` must have no objection, and only linear objectives go with
        integer variables.
    time_limit
        In seconds.
    gap
        Relative gap at which a program with integers counts as solved.

    Returns
    -------
    Answer
        `infeasible` and `unbounded` are told apart; the duals of programs without integers are given.
    """
    linear = flatten(single)
    assert not len(linear.pairs), "branch and bound is for complementarities"
    return solve_linear(linear, time_limit, gap)


def solve_linear(linear: Linear, time_limit: float = math.inf, gap: float = 1e-9) -> Answer:
    """The same for matrices."""
    relaxation = Relaxation(linear, integers=True)
    assert not (relaxation.integers and linear.hessian is not None), "integers with a quadratic objective"
    outcome = relaxation.solve(time_limit, gap)
    message = relaxation.solver.modelStatusToString(relaxation.solver.getModelStatus())
    if outcome in ("infeasible", "unbounded", "failed"):
        return Answer(outcome, message)
    if not relaxation.has_point:
        return Answer(outcome, message, bound=relaxation.bound if relaxation.integers else -math.inf)
    z = relaxation.z
    bound = relaxation.bound if outcome == "optimal" or relaxation.integers else -math.inf
    duals = {} if relaxation.integers else row_duals(linear, relaxation.duals[1])
    return Answer(outcome, message, linear.values(z), linear.value(z), min(bound, linear.value(z)), duals)


def row_duals(linear: Linear, multipliers: np.ndarray) -> dict[str, np.ndarray]:
    """The multipliers of rows as arrays by the labels of their constraints, both sides of a range in one number."""
    found = {}
    for label, rows in linear.rows.items():
        shape = linear.shapes[label]
        found[label] = multipliers[rows].reshape(-1, *shape).sum(0) if len(rows) else np.zeros(shape)
    return found


def irreducible_infeasible_set(single: SingleLevel) -> tuple[str, ...]:
    """Labels of constraints and names of variables whose rows and bounds conflict, while any fewer of them do not.

    Found by a deletion filter (Chinneck and Dravnieks, Locating minimal infeasible constraint sets in linear programs,
    ORSA Journal on Computing 3, 1991): each group is dropped for good if the rest is still infeasible. Integrality is
    not looked at; nothing is returned where the program is feasible.
    """
    linear = _without_objective(flatten(single))
    relaxation = Relaxation(linear)
    if relaxation.solve() != "infeasible":
        return ()
    groups = {label: linear.size + rows for label, rows in linear.rows.items()}
    groups |= {part.name: np.arange(part.place.start, part.place.stop) for part in linear.columns.parts}
    low, high = linear.ends
    groups = {name: e for name, e in groups.items() if np.isfinite(low[e]).any() or np.isfinite(high[e]).any()}
    conflict = []
    for name, entities in groups.items():
        for entity in entities:
            relaxation.change(int(entity), -math.inf, math.inf)
        if relaxation.solve() != "infeasible":
            conflict.append(name)
            for entity in entities:
                relaxation.change(int(entity), low[entity], high[entity])
    return tuple(conflict)
