"""A search for local solutions of a bilevel program over optimality conditions of its follower, from several starts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bileveldsl.calculus.expr import Symbol, depends_on
from bileveldsl.program import Program
from bileveldsl.single_level.follower import high_point
from bileveldsl.single_level.local import LocalPoint, Settings, minimize
from bileveldsl.single_level.local_follower import LABEL, Follower, feasible_everywhere, spread, with_cuts
from bileveldsl.single_level.mpcc import FEASIBLE, Form, Mpcc, compile_mpcc
from bileveldsl.single_level.multipliers import nearest
from bileveldsl.single_level.nlp import Nlp, compile_nlp
from bileveldsl.single_level.program import SingleLevel

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem

CUTS = 6
"""Better answers of the follower that are remembered."""

ROUNDS = 4
"""Searches after which a start is given up, if the follower has better answers at all their ends."""

FOLLOWER_GAP = 1e-8
"""By how much, relative to 1 + |f|, the follower may be seen to do better at a point that is accepted."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A solution of the conditions, and by how much the follower was seen to do better there, relative."""

    conditions: Conditions
    mpcc: Mpcc
    point: LocalPoint
    better: float

    @property
    def accepted(self) -> bool:
        return self.better <= FOLLOWER_GAP

    @property
    def rank(self) -> tuple[float, float]:
        return (0.0, self.point.objective) if self.accepted else (1.0, self.better)


@dataclass(frozen=True)
class Plan:
    """How the complementarities are treated: the relaxations in order, and iterations for each."""

    form: Form
    relaxations: Sequence[float]
    max_iterations: int


class Conditions:
    """Optimality conditions of the follower as a program with complementarities, over x, y, then multipliers."""

    def __init__(self, single: SingleLevel, program: Program, form: Form, cuts: int):
        upper, (lower,) = program.upper, program.lower
        self.answers: dict[Symbol, Symbol] = {}
        if cuts:
            single, self.answers = with_cuts(single, lower, cuts)
        self.mpcc = compile_mpcc(single, form)
        nlp = self.mpcc.nlp
        own = (*upper.symbols, *lower.symbols)
        self.leaders = sum(int(np.prod(symbol.shape)) for symbol in upper.symbols)
        self.first = sum(int(np.prod(symbol.shape)) for symbol in own)
        unknown, of_leader = nlp.symbols[len(own) :], {constraint.label for constraint in upper.constraints}
        pairs = {*self.mpcc.slack, *self.mpcc.relation}
        rows = [
            np.arange(place.start, place.stop)
            for block, place in zip(nlp.blocks, nlp.places, strict=True)
            if block.label not in of_leader and place.start not in pairs and depends_on(block.body, unknown)
        ]
        self.rows = np.concatenate([np.zeros(0, dtype=np.int64), *rows])

    def with_answers(self, answers: Sequence[np.ndarray]) -> Mpcc:
        """The program that cuts off points at which one of the answers is better for the follower."""
        if not self.answers:
            return self.mpcc
        count = next(iter(self.answers.values())).dims[0].size
        known = [*answers, *([np.zeros(sum(int(np.prod(s.shape)) for s in self.answers))] * count)][:count]
        ends = np.cumsum([int(np.prod(s.shape)) for s in self.answers])
        parts = np.split(np.array(known), ends[:-1], axis=1)
        values = {a: part.reshape(a.shape) for a, part in zip(self.answers.values(), parts, strict=True)}
        return self.mpcc.with_fixed(values).without(LABEL, np.arange(count) >= len(answers))

    def start(self, x: np.ndarray, y: np.ndarray, active: float = 1e-4) -> np.ndarray:
        """The point of the program with the multipliers for which the follower's Lagrangian is flattest.

        Those of constraints with more slack than `active` are zero.
        """
        nlp, mpcc = self.mpcc.nlp, self.mpcc
        low, high = nlp.lower[self.first :].copy(), nlp.upper[self.first :].copy()
        z = np.concatenate([x, y, np.clip(np.zeros(len(low)), low, high)])
        slack, _ = mpcc.sides(z)
        high[mpcc.multiplier[slack > active] - self.first] = 0.0
        slopes, values = nlp.jacobian_matrix(z)[self.rows][:, self.first :], nlp.constraints(z)[self.rows]
        if len(low) and np.isfinite(slopes.data).all() and np.isfinite(values).all():
            multipliers, _ = nearest(slopes, slopes @ z[self.first :] - values, low, high)
            z[self.first :] = multipliers
        return z


    def moderate(self, z: np.ndarray) -> np.ndarray:
        """The same x and y with smaller multipliers, if there are any: interior points drive them far."""
        other = self.start(z[: self.leaders], z[self.leaders : self.first], FEASIBLE)
        G, H = self.mpcc.sides(other)
        sound = self.mpcc.on_branches(G <= H).violation(other) <= FEASIBLE
        return other if sound and np.linalg.norm(other) < np.linalg.norm(z) else z


class Search:
    """Local solutions from several starts.

    Attributes
    ----------
    found : list of Candidate
        Distinct solutions of the conditions.
    endings : list of LocalPoint
        Where each search ended.
    """

    def __init__(self, problem: CompiledProblem, convex: bool, plan: Plan, monitor: Monitor):
        self.problem, self.plan, self.monitor = problem, plan, monitor
        self.random = np.random.default_rng(monitor.seed)
        self.follower = Follower(problem, convex, self.random, monitor)
        program = problem.program
        self.high: Nlp | None = None if program.priced else compile_nlp(high_point(program))
        self.box = self.high.box if self.high else (
            np.append(problem.x_lower, problem.y_lower), np.append(problem.x_upper, problem.y_upper)
        )  # fmt: skip
        self.lasting = feasible_everywhere(program)
        self.answers: list[np.ndarray] = []
        self.found: list[Candidate] = []
        self.endings: list[LocalPoint] = []

    def run(self, single: SingleLevel, sufficient: bool, count: int) -> None:
        """Search over these conditions, which are sufficient for the follower's optimality or not, from some starts."""
        conditions = Conditions(single, self.problem.program, self.plan.form, 0 if sufficient else CUTS)
        for number, (x, y, relaxations) in zip(range(count), self._starts(), strict=False):
            self.monitor.event("start", number=number)
            self._from(conditions, x, y, relaxations)

    @property
    def best(self) -> Candidate | None:
        return min(self.found, key=lambda candidate: candidate.rank, default=None)

    def split(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of a point."""
        nx, ny = self.problem.nx, self.problem.ny
        return z[:nx].copy(), z[nx : nx + ny].copy()

    def _from(self, conditions: Conditions, x: np.ndarray, y: np.ndarray, relaxations: Sequence[float]) -> None:
        """One start: where the follower has a better answer at the end, once more from there, that end cut off."""
        known = list(self.answers)
        for _ in range(ROUNDS):
            mpcc = conditions.with_answers(known[-CUTS:])
            point = self._solution(conditions, mpcc, x, y, relaxations)
            self.endings.append(point)
            if point.status != "optimal":
                return
            x, y = self.split(point.z)
            if any(self._same(point, other.point) for other in self.found):
                return
            answers = self.follower.answers(x, "thorough", [y, *known[-2:]]) if conditions.answers else []
            better = self.follower.improvement(x, y, answers[0]) if answers else 0.0
            self._note(Candidate(conditions, mpcc, point, better))
            if better > FOLLOWER_GAP:
                known.append(answers[0])
                if self.lasting:
                    self.answers.append(answers[0])
            preferred = self._preferred(x, answers)
            if preferred is None or (better <= FOLLOWER_GAP and self._leader(x, preferred) >= point.objective - 1e-6):
                return
            y, relaxations = preferred, ()

    def _solution(
        self, conditions: Conditions, mpcc: Mpcc, x: np.ndarray, y: np.ndarray, relaxations: Sequence[float]
    ) -> LocalPoint:
        """By relaxations, if any, then exactly; where that fails exactly from the follower's answer."""
        z = conditions.start(x, y)
        if relaxations:
            point = mpcc.follow(z, self.monitor, relaxations, self.plan.max_iterations)
            if point.status in ("infeasible", "unbounded"):
                return point
            z = point.z
        point = mpcc.polish(z, self.monitor, self.plan.max_iterations)
        if point.status != "optimal" and relaxations:
            x, _ = self.split(z)
            if (answer := self._preferred(x, self.follower.answers(x, "quick"))) is not None:
                return mpcc.polish(conditions.start(x, answer), self.monitor, self.plan.max_iterations)
        return point

    def _preferred(self, x: np.ndarray, answers: Sequence[np.ndarray]) -> np.ndarray | None:
        """The answer that the leader likes best."""
        return min(answers, key=lambda y: self._leader(x, y), default=None)

    def _leader(self, x: np.ndarray, y: np.ndarray) -> float:
        return float(self.problem.F(x, y)) if self.high else np.inf  # with prices, y alone gives no value

    def _same(self, point: LocalPoint, other: LocalPoint) -> bool:
        first, second = (np.concatenate(self.split(p.z)) for p in (point, other))
        return np.allclose(first, second, rtol=1e-7, atol=1e-7)

    def _note(self, candidate: Candidate) -> None:
        self.found.append(candidate)
        self.problem.count(iterations=1)
        point = candidate.point
        measures = {
            "complementarity": candidate.mpcc.complementarity(point.z), "follower_improvement": candidate.better
        }  # fmt: skip
        merit = point.objective if candidate.accepted else 1e300 * (1.0 + candidate.better)
        self.monitor.report(point.objective, measures, self.split(point.z), merit=merit)

    def _starts(self) -> Iterator[tuple[np.ndarray, np.ndarray, Sequence[float]]]:
        """Points and the relaxations from them: the user's, the leader's wish, then random decisions of the leader.

        From a point and the follower's answer to it, the first relaxations would lead away; some searches take none.
        """
        problem, every = self.problem, self.plan.relaxations

        def answer(x: np.ndarray) -> np.ndarray | None:
            return self._preferred(x, self.follower.answers(x, "quick"))

        yield problem.x_start, problem.y_start, every
        if (y := answer(problem.x_start)) is not None:
            yield problem.x_start, y, ()
        if self.high is not None:
            begin = np.concatenate([problem.x_start, problem.y_start])
            x, y = self.split(minimize(self.high, begin, Settings(1e-6, 300), self.monitor).z)
            yield x, y, every
            if (y := answer(x)) is not None:
                yield x, y, ()
        for number in itertools.count():
            x, other = self.split(spread(self.random, *self.box, np.concatenate([problem.x_start, problem.y_start])))
            y = answer(x)
            if y is None:
                yield x, other, every
            else:
                yield x, y, (() if number % 2 else every[number // 2 % 2 * (len(every) // 2) :])
