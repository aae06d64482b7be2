"""SCIP: globally optimal answers, by spatial branch and bound.

Where the follower's Karush-Kuhn-Tucker conditions are equivalent to its optimality, one search over them answers.
Otherwise the bounds are closed from both sides (Mitsos, Lemonidis, Barton 2008; Mitsos 2010): a relaxation over both
levels' variables gives a lower bound, and at its leader's decision the follower is solved globally, which gives an
upper bound and an answer of the follower that every other one must not be worse than, wherever it is feasible.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl.backend import Capabilities, Option, RawPoint, kink, why_not
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    Expr,
    Symbol,
    add,
    constant,
    depends_on,
    leaf,
    multiply,
    negate,
    substitute,
    subtract,
)
from bileveldsl.execute.monitor import Stop
from bileveldsl.program import Constraint, Program, Variable
from bileveldsl.reduce.kkt import KktForm, fritz_john_form, kkt_form
from bileveldsl.single_level.completion import completed
from bileveldsl.single_level.follower import BEST, best_response, follower_problem, high_point
from bileveldsl.single_level.local import solve_nlp
from bileveldsl.single_level.mpcc import polish
from bileveldsl.single_level.program import Answer, SingleLevel
from bileveldsl.single_level.scip import FEASIBILITY, ScipModel, missing
from bileveldsl.single_level.unsupported import Unsupported

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem

Values = dict[Symbol, np.ndarray]

FOLLOWER_GAP = 1e-7
"""Of the search for the follower's answer, which a local solve then refines."""

SOUND = 1e-8
"""Largest violation of a row at a point whose value is taken as it is."""

SHARPNESS = 100_000
"""The follower's objective is scaled by it: SCIP's tolerance lets the follower miss its minimum by 1e-11 only."""


@dataclass(frozen=True)
class Scip:
    """The backend `scip`."""

    name: str = "scip"
    summary: str = "global optimum by spatial branch and bound, over optimality conditions or closing bounds"
    capabilities: Capabilities = Capabilities(  # noqa: RUF009
        follower="constrained", upper_constraints=True, nonsmooth=True, integer=True, duals=True, evidence="global",
    )  # fmt: skip
    options: tuple[Option, ...] = (
        Option("gap", float, 1e-6, "between the answer and the bound, relative to 1 + |F|", above=0.0),
        Option("follower_gap", float, 1e-9, "by which the follower's answer may miss its minimum, relative", above=0.0),
        Option("max_iterations", int, 200, "relaxations that are solved", at_least=1),
    )  # fmt: skip

    def available(self) -> str | None:
        return missing()

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        facts = tuple(facts)
        if (reason := why_not(self.name, self.capabilities, program, facts)) is not None:
            return reason
        if program.priced:
            if not _has_conditions(program):
                return "the upper level uses multipliers, and the follower is not smooth or has integer variables"
            if not kkt_form(program, facts).exact:
                return "the upper level uses multipliers, and the follower is not known to be convex and qualified"
        return None

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Search until the gap between the best answer and the bound is closed."""
        search = Search(problem.program, problem.facts, options, monitor)
        try:
            answer = search.run()
        except Stop as stop:
            answer = search.best(stop.message)
        except KeyboardInterrupt:
            monitor.stopped = "interrupt"
            answer = search.best("interrupted")
        except Unsupported as error:
            answer = Answer("failed", str(error))
        return _raw(problem, answer, search.iterations)


def _has_conditions(program: Program) -> bool:
    """Whether first-order conditions of the follower can be written."""
    (lower,) = program.lower
    return kink(lower) is None and all(v.kind == "continuous" for v in lower.variables)


def _raw(problem: CompiledProblem, answer: Answer, iterations: int) -> RawPoint:
    """The answer as flat vectors, not a number where there is none."""
    values = {symbol.name: value for symbol, value in (answer.values or {}).items()}
    x, y = (
        layout.pack(values) if values else np.full(layout.size, np.nan) for layout in (problem.x, problem.y)
    )
    status = {"optimal": "converged"}.get(answer.status, answer.status)
    return RawPoint(x, y, status, answer.message, {}, iterations, answer.bound, answer.duals)  # type: ignore[arg-type]


@dataclass
class Search:
    """The bounds from both sides, the best answer, and the answers of the follower collected so far."""

    program: Program
    facts: tuple[Fact, ...]
    options: Mapping[str, Any]
    monitor: Monitor
    bound: float = -math.inf
    objective: float = math.inf
    values: Values | None = None
    duals: Mapping[str, np.ndarray] = field(default_factory=dict)
    iterations: int = 0
    smooth: bool = False
    unbounded: bool = False
    relaxation: SingleLevel = field(default_factory=lambda: SingleLevel((), constant(0)))

    def run(self) -> Answer:
        """By optimality conditions where they are exact, else by closing bounds."""
        self.smooth = _has_conditions(self.program)
        if self.smooth:
            form = kkt_form(self.program, self.facts)
            if form.exact:
                return self._over_conditions(form)
        return self._closing(_relaxation(self.program, self.facts, self.smooth))

    def best(self, message: str) -> Answer:
        """What is known now."""
        return Answer("limit", message, self.values, self.objective, self.bound, self.duals)

    def _solve(self, model: ScipModel | SingleLevel, gap: float) -> Answer:
        if isinstance(model, SingleLevel):
            model = ScipModel(model)
        self.monitor.check()
        answer = model.solve(gap, self.monitor)
        if self.monitor.stopped == "interrupt":
            raise KeyboardInterrupt
        return answer

    # ---- one search over conditions ----

    def _over_conditions(self, form: KktForm) -> Answer:
        found = self._solve(form.program, self.options["gap"])
        self.iterations = 1
        if found.values is None:
            return found
        if found.status == "optimal" and kink(self.program.upper) is None:
            better = polish(form.program, found.values, self.monitor)
            if self._refines(better, dict(found.values), found.objective):
                found = replace(found, values=better.values, objective=better.objective)
        assert found.values is not None
        values = dict(found.values)
        if not self.program.priced:  # multipliers that nobody pays for: small ones
            values, _ = completed(form, {s: values[s] for level in self.program.levels for s in level.symbols})
        duals = {
            c.label: evaluate(form.duals[c.dual], values, c.axes)
            for c in self.program.lower[0].constraints
            if c.dual is not None and c.dual in form.duals
        }
        return Answer(found.status, found.message, found.values, found.objective, found.bound, duals)

    # ---- closing bounds ----

    def _closing(self, relaxation: SingleLevel) -> Answer:
        self.relaxation = relaxation
        model = ScipModel(relaxation)
        previous: Mapping[Symbol, np.ndarray] | None = None
        margin = 0.0
        for number in range(1, self.options["max_iterations"] + 1):
            self.iterations = number
            found = self._solve(model, 0.1 * self.options["gap"])
            if found.status == "infeasible":
                self.bound = self.objective
                return self._closed("infeasible" if self.values is None else "optimal")
            if found.status == "unbounded":
                return self.best("the relaxation of the follower's optimality is unbounded")
            self.bound = max(self.bound, min(found.bound, self.objective))
            if found.values is None:
                return self.best(found.message)
            point = self._answered(dict(found.values))
            if math.isfinite(self.objective) and self.objective - self.bound <= self._tolerance:
                return self._closed("optimal")
            if found.status == "limit":
                return self.best(found.message)
            if self.unbounded:
                text = "the follower's objective has no minimum at the leader's decision that the relaxation found"
                return Answer("lower_unbounded", text, found.values)
            if point is None:
                return self.best("the follower's problem could not be solved globally")
            self.monitor.bounds(self.objective, self.bound, self.iterations)
            again = previous is not None and _same(previous, found.values)
            if again and margin:
                return self.best("the relaxation returns the same point again: its cuts do not reach it")
            if again:  # the answer lies on a row that moves with the leader: keep away from it by more than tolerances
                margin = 10 * FEASIBILITY
                self.monitor.notes.append(f"the bound leaves out decisions within {margin:g} of a follower's row")
            previous = found.values
            model.reopen()
            _cut(model, self.program, point, 0.5 * self.options["follower_gap"], margin)
        return self.best(f"stopped at the limit of {self.options['max_iterations']} relaxations")

    @property
    def _tolerance(self) -> float:
        return self.options["gap"] * (1 + abs(self.objective))

    def _closed(self, status: Any) -> Answer:
        self._polish()
        message = "no point satisfies both levels" if status == "infeasible" else "the bounds meet"
        return Answer(status, f"{message} after {self.iterations} relaxations", self.values, self.objective, self.bound)

    def _polish(self) -> None:
        """The best answer to full accuracy, if the follower still has none better there."""
        exact = None if self.values is None else self._polished(self.values)
        if exact is None:
            return
        objective, self.objective, values = self.objective, math.inf, self.values
        sound = values is None or high_point(self.program).violation(values) <= SOUND
        if self._answered(exact) is None or (sound and self.objective > objective + self._tolerance):
            self.values, self.objective = values, objective

    def _polished(self, values: Values) -> Values | None:
        """A point of the relaxation next to a given one, on its branches of the conditions, to full accuracy."""
        if not self.smooth or kink(self.program.upper) or not set(self.relaxation.symbols) <= set(values):
            return None
        better = polish(self.relaxation, values, self.monitor)
        before = float(evaluate(self.relaxation.objective, values))
        return dict(better.values) if better.values and self._refines(better, values, before) else None

    def _refines(self, better: Answer, values: Values, objective: float) -> bool:
        """Whether a polished point may stand for another: near in value, or worse where that owes its value to
        violated rows, as it may where variables are small beside SCIP's tolerance."""
        if better.status != "optimal":
            return False
        near = abs(better.objective - objective) <= 1e-3 * (1 + abs(objective))
        return near or (better.objective > objective and high_point(self.program).violation(values) > SOUND)

    def _answered(self, values: Values) -> Values | None:
        """Solve the follower at the leader's decision; keep the leader's best choice among its answers.

        Returns an answer of the follower for the next cut, or None where its problem could not be solved.
        """
        program, (lower,), gap = self.program, self.program.lower, self.options["gap"]
        own_problem = follower_problem(lower, values)
        found = self._solve(own_problem, FOLLOWER_GAP)
        if found.status == "infeasible" and (exact := self._polished(values)) is not None:
            values = exact  # the relaxation keeps its rows within SCIP's tolerance only, these are kept
            own_problem = follower_problem(lower, values)
            found = self._solve(own_problem, FOLLOWER_GAP)
        if found.status == "unbounded":
            self.unbounded = True
        if found.values is None or found.status != "optimal":
            return None
        answer = self._refined(own_problem, dict(found.values))
        own, least = (float(evaluate(lower.objective, {**values, **change})) for change in ({}, answer))
        most = least + 0.5 * self.options["follower_gap"] * (1 + abs(least))
        if own <= most:  # the relaxation's own point is an answer, and none is better for the leader
            self._keep(values, float(evaluate(program.upper.objective, values)))
        else:
            response = self._solve(_magnified(best_response(program, values, most)), 0.1 * gap)
            if response.values is not None:
                decided = {symbol: values[symbol] for symbol in program.upper.symbols}
                self._keep({**decided, **response.values}, response.objective)
        return self._interior(values, least, own) or answer

    def _refined(self, single: SingleLevel, values: Values) -> Values:
        """A global answer of the follower to full accuracy, by a local solve from there."""
        if not self.smooth:
            return values
        local = solve_nlp(single, values, 1e-10, self.monitor)
        if local.status != "optimal" or local.values is None:
            return values
        before = float(evaluate(single.objective, {**single.fixed, **values}))
        slack = 10 * FEASIBILITY * (1 + abs(before))  # by which SCIP's point may owe its value to violated rows
        return dict(local.values) if local.objective <= before + slack else values

    def _keep(self, values: Values, objective: float) -> None:
        if objective < self.objective:
            self.values, self.objective = values, objective

    def _interior(self, values: Values, least: float, own: float) -> Values | None:
        """An answer better than that of the relaxation which keeps away from constraints that move with the leader.

        Its cut holds in a neighbourhood of the leader's decision (Mitsos 2010).
        """
        lower = self.program.lower[0]
        moving = [c for c in lower.constraints if depends_on_leader(c, self.program)]
        if not moving or own <= least:
            return None
        depth = Symbol("depth", "variable")
        free = Variable(depth, np.array(-np.inf), np.array(1.0), None, lower.span)
        deeper = [Constraint(c.label, add(e, leaf(depth)), None, constant(0), e.axes, lower.span)
                  for c in moving if not c.is_equality for e in excesses(c)]  # fmt: skip
        better = Constraint("better", lower.objective, None, constant(0.5 * (own + least)), (), lower.span)
        still = [c for c in lower.constraints if c not in moving or c.is_equality]
        fixed = {symbol: values[symbol] for symbol in self.program.upper.symbols}
        single = SingleLevel((*lower.variables, free), negate(leaf(depth)), (*still, *deeper, better), (), fixed)
        found = self._solve(single, 1e-3)
        if found.values is None or found.objective > -10 * FEASIBILITY:
            return None
        return {symbol: found.values[symbol] for symbol in lower.symbols}


def _relaxation(program: Program, facts: Iterable[Fact], smooth: bool) -> SingleLevel:
    """The tightest relaxation that is known to hold every answer: by first-order conditions, or without any."""
    if not smooth:
        return high_point(program)
    form = kkt_form(program, facts)
    return form.program if form.necessary is not None else fritz_john_form(program)


def _magnified(single: SingleLevel) -> SingleLevel:
    """The same program with the row of the follower's best answer scaled."""
    rows = (_scaled(c, constant(SHARPNESS)) if c.label == BEST else c for c in single.constraints)
    return replace(single, constraints=tuple(rows))


def _scaled(constraint: Constraint, factor: Expr) -> Constraint:
    sides = (constraint.body, constraint.lower, constraint.upper)
    body, low, high = (None if side is None else multiply(factor, side) for side in sides)
    assert body is not None
    return replace(constraint, body=body, lower=low, upper=high)


def _same(a: Mapping[Symbol, np.ndarray], b: Mapping[Symbol, np.ndarray]) -> bool:
    return all(np.array_equal(a[symbol], b[symbol]) for symbol in a)


def depends_on_leader(constraint: Constraint, program: Program) -> bool:
    return any(depends_on(part, program.upper.symbols) for part in constraint.parts)


def excesses(constraint: Constraint) -> list[Expr]:
    """The sides of a constraint as expressions that must not be positive; an equality has two."""
    sides = [] if constraint.lower is None else [subtract(constraint.lower, constraint.body)]
    return sides + ([] if constraint.upper is None else [subtract(constraint.body, constraint.upper)])


def _violated(excess: Expr, program: Program, margin: float) -> Expr:
    """What must be >= 0 where a row is violated: by more than tolerances, where only whole numbers move the row."""
    movers = [v for v in program.upper.variables if depends_on(excess, (v.symbol,))]
    whole = all(v.kind != "continuous" for v in movers)
    least = 10 * FEASIBILITY if whole else margin
    return subtract(excess, constant(least)) if least else excess


def _cut(model: ScipModel, program: Program, answer: Values, slack: float, margin: float) -> None:
    """Wherever `answer` is feasible for the follower, its objective is not worse than that of `answer` by `slack`."""
    (lower,) = program.lower
    given = {
        symbol: leaf(Symbol(f"{symbol.name} answered", "data", symbol.dims, np.asarray(value)))
        for symbol, value in answer.items()
        if symbol in lower.symbols
    }
    (there,) = substitute([lower.objective], given)
    rows = [e for c in lower.constraints if depends_on_leader(c, program) for e in excesses(c)]
    moving = [_violated(row, program, margin) for row in rows]
    excess = multiply(constant(SHARPNESS), subtract(subtract(lower.objective, there), constant(slack)))
    model.add_either(excess, substitute(moving, given))
