"""The global optimum of a bilevel program by SCIP: one search over conditions, or bounds closed from both sides.

Where the follower's Karush-Kuhn-Tucker conditions are equivalent to its optimality, one search over them answers.
Otherwise a relaxation over both levels' variables gives a lower bound, and at its leader's decision the follower is
solved globally, which gives an upper bound and an answer of the follower that every other one must not be worse than,
wherever it is feasible (Mitsos, Lemonidis, Barton 2008; Mitsos 2010). The relaxation holds first- and second-order
conditions of the follower's optimality, as far as they are necessary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl.backend import kink
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Expr, Symbol, constant, depends_on, multiply
from bileveldsl.execute.monitor import Stop
from bileveldsl.program import Program
from bileveldsl.reduce.curvature import curvature, member
from bileveldsl.reduce.kkt import KktForm, fritz_john_form, kkt_form
from bileveldsl.single_level.completion import completed
from bileveldsl.single_level.cuts import Competitor, deepest, fixed, followed
from bileveldsl.single_level.follower import best_response, follower_problem, high_point
from bileveldsl.single_level.local import Settings, minimize
from bileveldsl.single_level.mpcc import polish
from bileveldsl.single_level.nlp import Nlp, compile_nlp
from bileveldsl.single_level.program import Answer, SingleLevel
from bileveldsl.single_level.scip import FEASIBILITY, ScipModel

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor

Values = dict[Symbol, np.ndarray]

FOLLOWER_GAP = 1e-7
"""Of the search for the follower's answer, which a local solve then refines."""

SOUND = 1e-8
"""Largest violation of a row at a point whose value is taken as it is."""

FIRST_SHARE = 0.1
"""Of the time that is left, for the search without conditions of the follower's optimality."""

CONDITIONS_SHARE = 0.5
"""Of the time that is left, for relaxations with such conditions."""

EDGE_SECONDS = 1.0
"""For the question whether a function's domain has an edge that the follower can reach."""

SHARPNESS = 100_000
"""The follower's objective is scaled by it: SCIP's tolerance lets the follower miss its minimum by 1e-11 only."""


def has_conditions(program: Program) -> bool:
    """Whether first-order conditions of the follower can be written."""
    (lower,) = program.lower
    return kink(lower, of=lower.symbols) is None and all(v.kind == "continuous" for v in lower.variables)


@dataclass
class Closing:
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
    follower: Nlp | None = None
    cuts: list[tuple[Expr, list[Expr]]] = field(default_factory=list)
    relaxation: SingleLevel = field(init=False)

    def __post_init__(self) -> None:
        self.relaxation = high_point(self.program)

    def run(self) -> Answer:
        """By optimality conditions where they are exact, else by closing bounds."""
        self.smooth = has_conditions(self.program)
        if not self.smooth:
            return self._over(self.relaxation, math.inf)
        form = kkt_form(self.program, self.facts)
        if form.exact:
            return self._over_conditions(form)
        if not self._is_differentiable():
            return self._over(self.relaxation, math.inf)
        return self._closing(form.program if form.necessary is not None else fritz_john_form(self.program))

    def best(self, message: str) -> Answer:
        """What is known now."""
        return Answer("limit", self._reason(message), self.values, self.objective, self.bound, self.duals)

    def _reason(self, message: str) -> str:
        """Why the search ends: a solver's word, unless it is the time limit."""
        try:
            self.monitor.check()
        except Stop as stop:
            return stop.message
        return message

    def _solve(self, model: ScipModel | SingleLevel, gap: float, limit: float = math.inf) -> Answer:
        if isinstance(model, SingleLevel):
            model = ScipModel(model)
        self.monitor.check()
        answer = model.solve(gap, self.monitor, limit)
        if self.monitor.stopped == "interrupt":
            raise KeyboardInterrupt
        return answer

    def _is_differentiable(self) -> bool:
        """Whether the follower keeps away from where roots and entropies end, at which their slopes are infinite."""
        for condition in self.program.domain:
            if condition.relation == ">= 0" and depends_on(condition.expr, self.program.lower[0].symbols):
                for place in np.ndindex(condition.expr.shape):
                    inside = member(condition.expr, condition.expr.axes, place)
                    found = self._solve(replace(self.relaxation, objective=inside), 1e-3, EDGE_SECONDS)
                    if not found.bound > 10 * FEASIBILITY:
                        return False
        return True

    # ---- one search over conditions ----

    def _over_conditions(self, form: KktForm) -> Answer:
        found = self._solve(form.program, self.options["gap"])
        self.iterations = 1
        found = replace(found, message=self._reason(found.message))
        if found.values is None:
            return found
        if found.status == "optimal" and kink(*self.program.levels) is None:
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
        """By necessary conditions of the follower's optimality; where these are hard, by its answers alone."""
        if (answer := self._without_conditions()) is not None:
            return answer
        plain, self.relaxation = self.relaxation, relaxation
        answer = self._over(relaxation, CONDITIONS_SHARE * self.monitor.remaining)
        if answer.status != "limit" or self.monitor.remaining <= 0:
            return answer
        self.relaxation = plain
        return self._over(plain, math.inf)

    def _over(self, relaxation: SingleLevel, seconds: float) -> Answer:
        """Cut off what the follower answers better, until the bounds meet."""
        model = self._model(relaxation)
        for cut in self.cuts:
            model.add_either(*cut)
        until = self.monitor.elapsed + seconds
        previous: Mapping[Symbol, np.ndarray] | None = None
        margin = 0.0
        while self.iterations < self.options["max_iterations"]:
            self.iterations += 1
            found = self._solve(model, 0.1 * self.options["gap"], until - self.monitor.elapsed)
            if found.status == "infeasible":
                self.bound = self.objective
                return self._closed("infeasible" if self.values is None else "optimal")
            if found.status == "unbounded":
                return self.best("the relaxation of the follower's optimality is unbounded")
            self.bound = max(self.bound, min(found.bound, self.objective))
            if found.values is None:
                return self.best(found.message)
            competitor = self._answered(dict(found.values))
            if self._meet:
                return self._closed("optimal")
            if found.status == "limit":
                return self.best(found.message)
            if self.unbounded:
                text = "the follower's objective has no minimum at the leader's decision that the relaxation found"
                return Answer("lower_unbounded", text, found.values)
            if competitor is None:
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
            excess, others = competitor.cut(self.program, 0.5 * self.options["follower_gap"], margin)
            self.cuts.append((multiply(constant(SHARPNESS), excess), others))
            model.add_either(*self.cuts[-1])
        return self.best(f"stopped at the limit of {self.options['max_iterations']} relaxations")

    def _without_conditions(self) -> Answer | None:
        """An answer where the leader's best point of all is one that the follower answers with; soon found or not."""
        seconds = FIRST_SHARE * self.monitor.remaining
        found = self._solve(self.relaxation, 0.1 * self.options["gap"], seconds)
        if found.status == "infeasible":
            self.bound = self.objective
            return self._closed("infeasible")
        if found.status != "optimal" or found.values is None:
            return None
        values = self._polished(dict(found.values)) or dict(found.values)
        answer = self._best_answer(values, seconds)
        if answer is None or self._exceeds(values, answer):
            self.unbounded = False
            return None
        self.iterations, self.bound = 1, found.bound
        self._keep(values, float(evaluate(self.program.upper.objective, values)))
        return self._closed("optimal") if self._meet else None

    def _model(self, relaxation: SingleLevel) -> ScipModel:
        """With second-order conditions of the follower, where it is smooth."""
        model = ScipModel(relaxation)
        for excess, others in curvature(self.program.lower[0]) if self.smooth else ():
            model.add_either(excess, others)
        return model

    @property
    def _meet(self) -> bool:
        return math.isfinite(self.objective) and self.objective - self.bound <= self._tolerance

    @property
    def _tolerance(self) -> float:
        return self.options["gap"] * (1 + abs(self.objective))

    def _closed(self, status: Any) -> Answer:
        self._polish()
        message = "no point satisfies both levels" if status == "infeasible" else "the bounds meet"
        return Answer(status, f"{message} after {self.iterations} relaxations", self.values, self.objective, self.bound)

    def _polish(self) -> None:
        """The best answer to full accuracy, if the follower still has none better there."""
        values = self.values
        exact = None if values is None else self._polished(values)
        if values is None or exact is None:
            return
        before = values, self.objective
        sound = high_point(self.program).violation(values) <= SOUND
        self.objective = math.inf
        if self._answered(exact) is None or (sound and self.objective > before[1] + self._tolerance):
            self.values, self.objective = before

    def _polished(self, values: Values) -> Values | None:
        """A point of the relaxation next to a given one, on its branches of the conditions, to full accuracy."""
        if not self.smooth or kink(*self.program.levels) or not set(self.relaxation.symbols) <= set(values):
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

    def _answered(self, values: Values) -> Competitor | None:
        """Solve the follower at the leader's decision; keep the leader's best choice among its answers.

        Returns an answer of the follower for the next cut, or None where its problem could not be solved.
        """
        program = self.program
        answer = self._best_answer(values)
        if answer is None and (exact := self._polished(values)) is not None:
            values = exact  # the relaxation keeps its rows within SCIP's tolerance only, these are kept
            answer = self._best_answer(values)
        if answer is None:
            return None
        if self._exceeds(values, answer):
            self._respond(values, answer)
        else:  # the relaxation's own point is an answer, and none is better for the leader
            self._keep(values, float(evaluate(program.upper.objective, values)))
        decided = {symbol: values[symbol] for symbol in program.upper.symbols}
        moving = followed(program, {**decided, **answer})
        return moving or fixed(program, self._inside(values, answer) or answer)

    def _best_answer(self, values: Values, seconds: float = math.inf) -> Values | None:
        """The follower's to the leader's decision, or None where its problem is not solved."""
        problem = follower_problem(self.program.lower[0], {s: values[s] for s in self.program.upper.symbols})
        found = self._solve(problem, FOLLOWER_GAP, seconds)
        if found.status == "unbounded":
            self.unbounded = True
        if found.values is None or found.status != "optimal":
            return None
        answer = self._refined(problem, dict(found.values))
        return answer if math.isfinite(self._worth(values, answer)) else None

    def _worth(self, values: Values, answer: Values) -> float:
        """The follower's objective at its answer to the leader's decision."""
        return float(evaluate(self.program.lower[0].objective, {**values, **answer}))

    def _most(self, values: Values, answer: Values) -> float:
        """The largest value of the follower's objective at what counts as an answer, from that at a best one."""
        least = self._worth(values, answer)
        return least + 0.5 * self.options["follower_gap"] * (1 + abs(least))

    def _exceeds(self, values: Values, answer: Values) -> bool:
        return not self._worth(values, {}) <= self._most(values, answer)  # nor where there is no value

    def _respond(self, values: Values, answer: Values) -> None:
        """Keep the best for the leader among the follower's answers to its decision, by their conditions."""
        decided = {symbol: values[symbol] for symbol in self.program.upper.symbols}
        among = best_response(self.program, decided, self._most(values, answer), self.relaxation, SHARPNESS)
        response = self._solve(self._model(among), 0.1 * self.options["gap"])
        if response.values is not None:
            self._keep({**decided, **response.values}, response.objective)
        elif high_point(self.program).violation(point := {**decided, **answer}) <= FEASIBILITY:
            self._keep(point, float(evaluate(self.program.upper.objective, point)))

    def _refined(self, single: SingleLevel, values: Values) -> Values:
        """A global answer of the follower to full accuracy, by a local solve from there."""
        if not self.smooth:
            return values
        if self.follower is None:
            self.follower = compile_nlp(single)
        nlp = self.follower.with_fixed(single.fixed)
        local = minimize(nlp, nlp.pack(values), Settings(1e-10), self.monitor)
        before = float(evaluate(single.objective, {**single.fixed, **values}))
        slack = 10 * FEASIBILITY * (1 + abs(before))  # by which SCIP's point may owe its value to violated rows
        return nlp.unpack(local.z) if local.status == "optimal" and local.objective <= before + slack else values

    def _keep(self, values: Values, objective: float) -> None:
        if objective < self.objective:
            self.values, self.objective = values, objective

    def _inside(self, values: Values, answer: Values) -> Values | None:
        """An answer that is better than the relaxation's and keeps away from rows that move with the leader."""
        least, own = self._worth(values, answer), self._worth(values, {})
        problem = deepest(self.program, {**values, **answer}, 0.5 * (least + own)) if own > least else None
        found = Answer("failed") if problem is None else self._solve(problem, 1e-3)
        if found.values is None or found.objective > -10 * FEASIBILITY:
            return None
        return {symbol: found.values[symbol] for symbol in answer}


def _same(a: Mapping[Symbol, np.ndarray], b: Mapping[Symbol, np.ndarray]) -> bool:
    return all(np.array_equal(a[symbol], b[symbol]) for symbol in a)
