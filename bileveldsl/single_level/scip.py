"""Single-level programs solved to global optimality by SCIP's spatial branch and bound, through PySCIPOpt.

Complementarities become SOS1 constraints on the slack and the multiplier, so that no bound of a multiplier is
ever assumed.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl.calculus.expr import Axis, Expr, Symbol, subtract
from bileveldsl.calculus.sparse import affine_form
from bileveldsl.calculus.structure import kind
from bileveldsl.program import Constraint, Variable
from bileveldsl.single_level.program import Answer, Complementarity, SingleLevel

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor

FEASIBILITY = 1e-6
"""SCIP's tolerance on constraints, its own default: with smaller ones its LP solver meets its limits."""


def missing() -> str | None:
    """None, or how to get PySCIPOpt."""
    from importlib.util import find_spec

    return None if find_spec("pyscipopt") else "PySCIPOpt is not installed: pip install 'bileveldsl[scip]'"


class ScipModel:
    """A single-level program in SCIP, to which constraints can be added.

    Parameters
    ----------
    single : SingleLevel

    Raises
    ------
    Unsupported
        For a function that SCIP cannot bound.
    """

    def __init__(self, single: SingleLevel):
        import pyscipopt

        self.single = single
        self.watched = False
        self.model = pyscipopt.Model()
        self.model.redirectOutput()  # to where Python's messages go, so that complaints can be kept
        self.model.hideOutput()
        self.model.setParam("constraints/nonlinear/tightenlpfeastol", False)  # its LP solver meets its limits
        self.variables = {v.symbol: self._declare(v) for v in single.variables}
        for constraint in single.constraints:
            self.add(constraint)
        for complementarity in single.complementarities:
            self._complement(complementarity)
        (objective,) = self._elements(single.objective, ())
        self.constant = 0.0
        if isinstance(objective, float):
            self.constant, objective = objective, 0.0
        elif objective.degree() > 1:
            value = self.model.addVar("objective", lb=None, ub=None)
            self.model.addCons(objective - value <= 0.0)
            objective = value
        self.model.setObjective(objective, "minimize")

    def add(self, constraint: Constraint) -> None:
        """Every member of a constraint; members without variables are decided here."""
        if constraint.is_equality:
            assert constraint.upper is not None
            for element in self._elements(subtract(constraint.body, constraint.upper), constraint.axes):
                self._row(element, "==")
            return
        if constraint.lower is not None:
            for element in self._elements(subtract(constraint.lower, constraint.body), constraint.axes):
                self._row(element, "<=")
        if constraint.upper is not None:
            for element in self._elements(subtract(constraint.body, constraint.upper), constraint.axes):
                self._row(element, "<=")

    def add_either(self, excess: Expr, others: Sequence[Expr]) -> None:
        """`excess <= 0`, or one of the elements of `others` is >= 0."""
        (first,) = self._elements(excess, ())
        rest = [element for other in others for element in self._elements(other, other.axes)]
        if any(isinstance(e, float) and e >= 0 for e in rest) or (isinstance(first, float) and first <= 0):
            return
        rest = [element for element in rest if not isinstance(element, float)]
        if not rest:
            self._row(first, "<=")
            return
        choices = [self.model.addVar(vtype="B") for _ in range(1 + len(rest))]
        for choice, element in zip(choices, [first, *(-element for element in rest)], strict=True):
            value = self.model.addVar(lb=None, ub=None)
            self.model.addCons(value == element)
            self.model.addConsIndicator(value <= 0.0, choice)
        self.model.addCons(sum(choices[1:], choices[0] + 0.0) >= 1.0)

    def start(self, values: Mapping[Symbol, np.ndarray]) -> None:
        """Offer a point, which SCIP completes and tries."""
        solution = self.model.createPartialSol()
        for symbol, value in values.items():
            for place, variable in np.ndenumerate(self.variables.get(symbol, np.zeros(0, dtype=object))):
                self.model.setSolVal(solution, variable, float(value[place]))
        self.model.addSol(solution)

    def reopen(self) -> None:
        """Allow constraints to be added after a solve."""
        self.model.freeTransform()

    def solve(self, gap: float = 1e-6, monitor: Monitor | None = None, limit: float = math.inf) -> Answer:
        """Minimize until the relative gap is closed or the time is up.

        Parameters
        ----------
        gap
            Between the best point and the bound, relative.
        monitor
            Its time limit is kept, and progress told.
        limit
            Seconds.
        """
        model = self.model
        model.setParam("limits/gap", gap)
        model.setParam("limits/absgap", gap)
        seconds = min(limit, math.inf if monitor is None else monitor.remaining)
        if math.isfinite(seconds):
            model.setParam("limits/time", max(seconds, 0.0))
        if monitor is not None and not self.watched:
            _watch(model, monitor, self.constant)
            self.watched = True
        complaints = io.StringIO()
        try:
            with contextlib.redirect_stderr(complaints):
                model.optimize()
        except Exception as error:  # PySCIPOpt has no class of its own for what the solver could not handle
            last = complaints.getvalue().strip().rpartition("\n")[2]
            return Answer("failed", f"SCIP failed: {error}" + (f" ({last})" if last else ""))
        status = model.getStatus()
        if status == "userinterrupt" and monitor is not None:
            monitor.stopped = "interrupt"
        return self._answer(status)

    # ---- building ----

    def _declare(self, variable: Variable) -> np.ndarray:
        result = np.empty(variable.symbol.shape, dtype=object)
        kind = {"continuous": "C", "integer": "I", "binary": "B"}[variable.kind]
        for place in np.ndindex(result.shape):
            low, high = float(variable.lower[place]), float(variable.upper[place])
            result[place] = self.model.addVar(
                f"{variable.name}{list(place) if place else ''}", kind,
                lb=low if math.isfinite(low) else None, ub=high if math.isfinite(high) else None,
            )  # fmt: skip
        return result

    def _elements(self, expr: Expr, axes: Sequence[Axis]) -> list[Any]:
        """The members of an expression: floats, and expressions of SCIP."""
        from pyscipopt import quicksum

        from bileveldsl.single_level.scip_expressions import scip_expressions

        if kind(expr, self.single.symbols) not in ("constant", "affine"):
            return list(scip_expressions(expr, axes, self.variables, self.single.fixed).ravel())
        form = affine_form(expr, axes, self.single.symbols, self.single.fixed)
        columns = [variable for array in self.variables.values() for variable in array.ravel()]
        matrix, elements = form.matrix, []
        for row, constant in enumerate(form.constant):
            entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
            terms = [
                float(weight) * columns[column]
                for column, weight in zip(matrix.indices[entries], matrix.data[entries], strict=True)
                if weight != 0
            ]
            elements.append(quicksum(terms) + float(constant) if terms else float(constant))
        return elements

    def _row(self, element: Any, relation: str) -> None:
        if not isinstance(element, float):
            self.model.addCons(element == 0.0 if relation == "==" else element <= 0.0)
        elif not (abs(element) <= FEASIBILITY if relation == "==" else element <= FEASIBILITY):
            never = self.model.addVar(lb=0.0, ub=0.0)
            self.model.addCons(never >= 1.0)

    def _complement(self, pair: Complementarity) -> None:
        slacks = self._elements(pair.slack, pair.axes)
        multipliers = self.variables[pair.multiplier.symbol].ravel()
        for element, multiplier in zip(slacks, multipliers, strict=True):
            slack = self.model.addVar(lb=0.0, ub=None)
            self.model.addCons(slack == element)
            self.model.addConsSOS1([slack, multiplier])

    # ---- the way back ----

    def _answer(self, status: str) -> Answer:
        model, infinite = self.model, self.model.infinity()
        bound = float(model.getDualbound())
        bound = -math.inf if abs(bound) >= 0.1 * infinite else bound + self.constant  # it may fall a little short
        values = None
        objective = math.inf
        if model.getNSols() and status != "unbounded":
            best = model.getBestSol()
            values = {
                symbol: np.array([model.getSolVal(best, v) for v in array.ravel()], dtype=float).reshape(array.shape)
                for symbol, array in self.variables.items()
            }
            objective = float(model.getSolObjVal(best)) + self.constant
        if status in ("optimal", "gaplimit"):
            return Answer("optimal", f"SCIP: {status}", values, objective, bound)
        if status == "infeasible":
            return Answer("infeasible", "SCIP proved that no point is feasible", bound=math.inf)
        if status in ("unbounded", "inforunbd"):
            return Answer("unbounded", f"SCIP: {status}", values, -math.inf)
        return Answer("limit", f"SCIP stopped: {status}", values, objective, bound)


def _watch(model: Any, monitor: Monitor, constant: float) -> None:
    """Tell the monitor of SCIP's progress, and stop SCIP when the monitor says so."""
    import pyscipopt

    class Watcher(pyscipopt.Eventhdlr):
        def eventinit(self) -> None:
            self.model.catchEvent(pyscipopt.SCIP_EVENTTYPE.NODESOLVED, self)

        def eventexit(self) -> None:
            self.model.dropEvent(pyscipopt.SCIP_EVENTTYPE.NODESOLVED, self)

        def eventexec(self, event: Any) -> None:
            monitor.bounds(
                self.model.getPrimalbound() + constant, self.model.getDualbound() + constant, self.model.getNNodes()
            )

    model.includeEventhdlr(Watcher(), "bileveldsl", "progress for the monitor")
