"""V-PBGD: penalty of the follower's value gap (Shen, Chen 2023, arXiv 2302.05185).

    min over x, y within their bounds    F(x, y) + gamma (f(x, y) - v(x)),    v(x) = min_z f(x, z)

v has the gradient f_x(x, z) at a minimizer z, so nothing but gradients is needed. The bias is O(1 / gamma).

    adaptive   projected quasi-Newton steps of (x, y) together, the follower's problem solved to an accuracy tied to
               them; gamma grows tenfold until that changes the point by no more than the tolerance
    paper      the published method: `inner` gradient steps for z, then one projected gradient step of (x, y), with
               fixed gamma and steps
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.execute.descent import Box, Descending, norm
from bileveldsl.execute.driver import Report, Solver, run
from bileveldsl.execute.polish import polished

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.namespace import Array
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program

SMALLEST, LARGEST = 1e1, 1e6  # gamma
ACCURACY = 1e-2  # of the follower's problem, relative to what the leader's measure is
POLISH = 1e-11


@dataclass(frozen=True)
class PBGD:
    """The backend `pbgd`."""

    name: str = "pbgd"
    summary: str = "penalty of the follower's value gap, first-order, bounds at both levels"
    capabilities: Capabilities = Capabilities(follower="bounds", engines=("numpy", "jax"), evidence="local")  # noqa: RUF009
    options: tuple[Option, ...] = (
        Option("form", str, "adaptive", "step sizes and penalty", choices=("adaptive", "paper")),
        Option("gamma", float, None, f"penalty; auto grows it tenfold from {SMALLEST:g}, or is 10 for form = paper",
               above=0.0),
        Option("inner", int, None, "most steps of a follower's problem; auto is 1000, or 10 for form = paper",
               at_least=1),
        Option("alpha", float, None, "step size of form = paper; auto is 0.1 / gamma", above=0.0),
        Option("beta", float, 0.1, "inner step size of form = paper", above=0.0),
        Option("max_iterations", int, 20000, "steps of leader and follower together", at_least=1),
    )  # fmt: skip

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        return why_not(self.name, self.capabilities, program, facts)

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Minimize the penalized objective, and report the follower's own answer, never that of the penalty."""
        result = run(self.method(problem, options, monitor), problem, monitor, options["max_iterations"])
        return self.finished(problem, options, monitor, result)

    def method(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Solver[Any]:
        """The form that the options ask for."""
        both, follower = boxes(problem)
        if options["form"] == "paper":
            gamma = options["gamma"] or 10.0
            return Published(gamma, options["inner"] or 10, options["alpha"] or 0.1 / gamma, options["beta"],
                             both, follower, monitor.tolerance)  # fmt: skip
        gammas = (SMALLEST, LARGEST) if options["gamma"] is None else (options["gamma"],) * 2
        return Penalized(gammas, options["inner"] or 1000, both, follower, monitor.tolerance)

    def finished(
        self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor, result: RawPoint
    ) -> RawPoint:
        """The follower's answer at the end."""
        return polished(problem, result, Polish(options["inner"] or 1000))


def boxes(problem: CompiledProblem) -> tuple[Box, Box]:
    """The bounds of (x, y) and of y."""
    lower = np.concatenate([problem.x_lower, problem.y_lower])
    upper = np.concatenate([problem.x_upper, problem.y_upper])
    return Box(lower, upper), Box(problem.y_lower, problem.y_upper)


@dataclass(frozen=True)
class Polish:
    """The follower's answer within bounds to rounding, by at most so many gradients."""

    most: int

    def __call__(self, problem: CompiledProblem, oracles: Oracles, x: Array, y: Array) -> tuple[Array, dict[str, Any]]:
        z, _, _, count = answer(oracles, boxes(problem)[1], x, y, POLISH, self.most)
        return z, {"g": count, "grad_g": count}


def answer(
    oracles: Oracles, box: Box, x: Array, start: Array, tolerance: Any, most: int
) -> tuple[Array, Array, Array, Array]:
    """The follower's answer within bounds, f and f_x there, and how many gradients were evaluated."""
    engine, xp = oracles.engine, oracles.engine.xp

    def evaluate(z: Array, _: Any, calls: Array) -> tuple[Array, Array, Any, Array]:
        value, by_x, by_y = oracles.value_and_grad_f(x, z)
        return value, by_y, by_x, calls + 1

    def unfinished(s: Descending) -> Array:
        return (box.rest(engine, s.x, s.gradient) > tolerance) & (s.calls < most) & xp.logical_not(s.stuck)

    def body(s: Descending) -> Descending:
        return box.step(engine, s, evaluate, 1e-13 * (1 + xp.abs(s.value)))

    start = box.project(engine, start)
    first = box.begin(engine, start, *evaluate(start, None, xp.asarray(0)))
    end = engine.while_loop(unfinished, body, first)
    return end.x, end.value, end.aux, end.calls


# ---- the adaptive form ----------------------------------------------------------------------


class State(NamedTuple):
    """The descent of (x, y), whose `aux` is z; the calls are those of F and f at (x, y) and of f for z."""

    both: Descending
    gamma: Any
    norm: Any
    before: Any  # x where the last penalty ended
    done: Any


@dataclass(frozen=True, eq=False)
class Penalized:
    """Projected quasi-Newton steps; gamma goes from the first of `gammas` to the last at most."""

    gammas: tuple[float, float]
    most: int
    box: Box
    follower: Box
    tolerance: float

    def init(self, oracles: Oracles, x: Array, y: Array) -> State:
        engine, xp = oracles.engine, oracles.engine.xp
        y = self.follower.project(engine, y)
        v, gamma = xp.concatenate([x, y]), engine.asarray(self.gammas[0])
        found = self._evaluate(oracles, gamma, ACCURACY, v, y, xp.asarray([0, 0]))
        size = self.box.rest(engine, v, found[1])
        return State(self.box.begin(engine, v, *found), gamma, size, x + np.inf, size < 0)

    def step(self, oracles: Oracles, state: State) -> State:
        xp = oracles.engine.xp
        last = state.gamma >= self.gammas[1] / 1.5
        goal = xp.where(last, self.tolerance, xp.maximum(self.tolerance, 0.1 / state.gamma))
        rests = (state.norm <= goal) | state.both.stuck
        return oracles.engine.cond(rests, lambda: self._grow(oracles, state), lambda: self._move(oracles, state))

    def _grow(self, oracles: Oracles, state: State) -> State:
        """A tenfold larger penalty, unless the last change of it did not matter."""
        engine, xp = oracles.engine, oracles.engine.xp
        x = state.both.x[: state.before.shape[0]]
        last = state.gamma >= self.gammas[1] / 1.5
        done = last | (norm(xp, x - state.before) <= 0.1 * self.tolerance * (1 + norm(xp, x)))
        gamma = xp.where(done, state.gamma, 10 * state.gamma)
        accuracy = ACCURACY * self.tolerance / gamma
        found = self._evaluate(oracles, gamma, accuracy, state.both.x, state.both.aux, state.both.calls)
        size = self.box.rest(engine, state.both.x, found[1])
        return State(self.box.begin(engine, state.both.x, *found), gamma, size, x, done)

    def _move(self, oracles: Oracles, state: State) -> State:
        engine, xp = oracles.engine, oracles.engine.xp
        accuracy = ACCURACY * xp.clip(state.norm, self.tolerance, 1.0) / state.gamma
        slack = 1e-13 * state.gamma * (1 + xp.abs(state.both.value))
        new = self.box.step(engine, state.both, partial(self._evaluate, oracles, state.gamma, accuracy), slack)
        return state._replace(both=new, norm=self.box.rest(engine, new.x, new.gradient))

    def terminate(self, state: State) -> Array:
        return state.done

    def report(self, state: State) -> Report:
        measures = {"penalized_norm": state.norm, "gamma": state.gamma}
        nx = state.before.shape[0]
        return Report(state.both.x[:nx], state.both.aux, state.both.value, measures)

    def work(self, state: State) -> Mapping[str, int]:
        outer, inner = (int(number) for number in state.both.calls)
        return {"f": outer, "g": outer + inner, "grad_f": outer, "grad_g": outer + inner}

    def _evaluate(
        self, oracles: Oracles, gamma: Array, accuracy: Any, v: Array, z: Array, calls: Array
    ) -> tuple[Array, Array, Array, Array]:
        """F + gamma (f - v) and its gradient at (x, y), with the follower's answer from where it was."""
        xp = oracles.engine.xp
        nx = v.shape[0] - z.shape[0]
        x, y = v[:nx], v[nx:]
        z, least, least_x, count = answer(oracles, self.follower, x, z, accuracy, self.most)
        F, F_x, F_y = oracles.value_and_grad_F(x, y)
        f, f_x, f_y = oracles.value_and_grad_f(x, y)
        gradient = xp.concatenate([F_x + gamma * (f_x - least_x), F_y + gamma * f_y])
        return F + gamma * (f - least), gradient, z, calls + xp.asarray([1, count])


# ---- as published ---------------------------------------------------------------------------


class PublishedState(NamedTuple):
    v: Any  # x and y
    z: Any
    value: Any
    norm: Any
    iteration: Any


@dataclass(frozen=True, eq=False)
class Published:
    """Fixed penalty and steps."""

    gamma: float
    inner: int
    alpha: float
    beta: float
    box: Box
    follower: Box
    tolerance: float

    def init(self, oracles: Oracles, x: Array, y: Array) -> PublishedState:
        engine, xp = oracles.engine, oracles.engine.xp
        y = self.follower.project(engine, y)
        return PublishedState(xp.concatenate([x, y]), y, oracles.F(x, y), xp.asarray(np.inf), 0)

    def step(self, oracles: Oracles, state: PublishedState) -> PublishedState:
        engine, xp = oracles.engine, oracles.engine.xp
        nx = state.v.shape[0] - state.z.shape[0]
        x, y = state.v[:nx], state.v[nx:]

        def descend(_: Any, z: Array) -> Array:
            return self.follower.project(engine, z - self.beta * oracles.grad_f_y(x, z))

        z = engine.fori_loop(0, self.inner, descend, state.z)
        value, F_x, F_y = oracles.value_and_grad_F(x, y)
        f_x, f_y = oracles.grad_f(x, y)
        least_x, _ = oracles.grad_f(x, z)
        gradient = xp.concatenate([F_x + self.gamma * (f_x - least_x), F_y + self.gamma * f_y])
        size = self.box.rest(engine, state.v, gradient)
        v = self.box.project(engine, state.v - self.alpha * gradient)
        return PublishedState(v, z, value, size, state.iteration + 1)

    def terminate(self, state: PublishedState) -> Array:
        return state.norm <= self.tolerance

    def report(self, state: PublishedState) -> Report:
        nx = state.v.shape[0] - state.z.shape[0]
        return Report(state.v[:nx], state.z, state.value, {"penalized_norm": state.norm})

    def work(self, state: PublishedState) -> Mapping[str, int]:
        steps = int(state.iteration)
        return {"f": 1 + steps, "grad_f": steps, "grad_g": steps * (self.inner + 2)}
