"""The follower's answers by local solves, and what a better one says about points of the optimality conditions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from bileveldsl.calculus.expr import ZERO, Axis, Dim, Symbol, depends_on, leaf, substitute, subtract
from bileveldsl.program import Constraint, Level, Program
from bileveldsl.single_level.follower import follower_problem
from bileveldsl.single_level.local import LocalPoint, Settings, minimize
from bileveldsl.single_level.nlp import Nlp, compile_nlp
from bileveldsl.single_level.program import SingleLevel

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem

STARTS = {"quick": 2, "thorough": 8}
"""Random searches for the answer of a follower that is not known to be convex: to start from it, or to rely on it."""

REACH = 10.0
"""They start within this distance of the model's start along variables without bounds."""

TIE = 1e-8
"""Answers whose values differ by no more than this, relative to 1 + |f|, are equally good."""

FEASIBLE = 1e-7
"""Largest violation of an answer."""


class Follower:
    """The follower's problem, compiled once for all of the leader's decisions."""

    def __init__(self, problem: CompiledProblem, convex: bool, random: np.random.Generator, monitor: Monitor):
        (lower,) = problem.program.lower
        self._problem, self._random, self._monitor = problem, random, monitor
        self._convex = convex
        self._leader = problem.program.upper.symbols
        self._nlp = compile_nlp(follower_problem(lower, self._values(problem.x_start)))

    def at(self, x: np.ndarray) -> Nlp:
        return self._nlp.with_fixed(self._values(x))

    def answers(
        self, x: np.ndarray, effort: Literal["quick", "thorough"], starts: Iterable[np.ndarray] = ()
    ) -> list[np.ndarray]:
        """The best answers that local solves find, from these starts, the model's and random ones; best first."""
        nlp, center = self.at(x), self._problem.y_start
        count = 0 if self._convex else STARTS[effort]
        begins = [*starts, center, *(spread(self._random, *nlp.box, center) for _ in range(count))]
        found: list[LocalPoint] = []
        for begin in begins:
            self._monitor.check()
            point = minimize(nlp, begin, Settings(1e-9, 200), self._monitor)
            if point.status == "optimal" and nlp.violation(point.z) <= FEASIBLE:
                found.append(point)
        found.sort(key=lambda point: point.objective)
        return [point.z for point in found if point.objective <= found[0].objective + TIE * (1 + abs(point.objective))]

    def improvement(self, x: np.ndarray, y: np.ndarray, answer: np.ndarray) -> float:
        """By how much another answer is better than y, relative to 1 + |f|."""
        nlp = self.at(x)
        value = nlp.objective(y)
        return max((value - nlp.objective(answer)) / (1.0 + abs(value)), 0.0)

    def _values(self, x: np.ndarray) -> dict[Symbol, np.ndarray]:
        arrays = self._problem.x.unpack(x).values()
        return dict(zip(self._leader, arrays, strict=True))


def spread(random: np.random.Generator, lower: np.ndarray, upper: np.ndarray, center: np.ndarray) -> np.ndarray:
    """A random point within bounds, near the center where there are none."""
    reach = REACH * random.uniform(0.01, 1.0) * (1.0 + np.abs(center))
    low = np.where(np.isfinite(lower), lower, np.minimum(center, upper) - reach)
    high = np.where(np.isfinite(upper), upper, np.maximum(center, lower) + reach)
    return random.uniform(low, np.maximum(low, high))


LABEL = "better answers"
"""Of the rows that cut off points at which the follower is known to have a better answer."""


def with_cuts(single: SingleLevel, lower: Level, count: int) -> tuple[SingleLevel, dict[Symbol, Symbol]]:
    """The program with `count` rows f(x, y) - f(x, answer) <= 0, and the fixed symbols of the answers.

    At the follower's minima they hold wherever the answer is feasible (Mitsos, Lemonidis, Barton 2008).
    """
    axis = Axis(Dim("answers of the follower", count))
    answers = {s: Symbol(f"{s.name} answered", "variable", (axis.dim, *s.dims)) for s in lower.symbols}
    (other,) = substitute([lower.objective], {s: leaf(a, (axis, *s.axes)) for s, a in answers.items()})
    cut = Constraint(LABEL, subtract(lower.objective, other), None, ZERO, (axis,), lower.objective_span)
    fixed = {**single.fixed, **{a: np.zeros(a.shape) for a in answers.values()}}
    return replace(single, constraints=(*single.constraints, cut), fixed=fixed), answers


def feasible_everywhere(program: Program) -> bool:
    """Whether the follower's constraints leave the leader's variables out, so that an answer is one for every x."""
    upper, (lower,) = program.upper, program.lower
    parts = [part for c in lower.constraints for part in (c.body, c.lower, c.upper) if part is not None]
    return not any(depends_on(part, upper.symbols) for part in parts)
