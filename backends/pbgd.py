"""V-PBGD: penalty of the follower's value gap (Shen, Chen 2023, arXiv 2302.05185).

    min over x, y within their bounds    F(x, y) + gamma (f(x, y) - v(x)),    v(x) = min_z f(x, z)

v has the gradient f_x(x, z) at a minimizer z, so nothing but gradients is needed. The bias is O(1 / gamma).

    adaptive   projected quasi-Newton steps of (x, y) together, the follower's problem solved to an accuracy tied to
               them; gamma grows tenfold until that changes the point by no more than the tolerance, and x is reported
               as the last two penalties say for an infinite one
    paper      the published method: `inner` gradient steps for z, then one projected gradient step of (x, y), with
               fixed gamma and steps
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bileveldsl.backend import Capabilities, Option, RawPoint
from bileveldsl.execute.certified import Certified, certified, repeated
from bileveldsl.execute.descent import Box, Descending, norm
from bileveldsl.execute.driver import Report, Solver
from bileveldsl.execute.many import Iterative
from bileveldsl.execute.polish import polished

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.namespace import Array
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem

SMALLEST, LARGEST = 1e1, 1e6  # gamma
ACCURACY = 1e-2  # of the follower's problem, relative to what the leader's measure is
ENOUGH = 0.1  # of the error of the gradient that a certified distance of z allows, relative to the gradient
NEAR = 1e-3  # change of x by a tenfold penalty, relative, up to which it is taken for the bias
POLISH = 1e-11


@dataclass(frozen=True)
class PBGD(Iterative):
    """The backend `pbgd`: the penalized objective is minimized, and the follower's own answer reported."""

    name: str = "pbgd"
    summary: str = "penalty of the follower's value gap, first-order, bounds at both levels"
    capabilities: Capabilities = Capabilities(follower="bounds", engines=("numpy", "jax"), evidence="local")  # noqa: RUF009
    options: tuple[Option, ...] = (
        Option("form", str, "adaptive", "step sizes and penalty", choices=("adaptive", "paper")),
        Option("gamma", float, None, f"penalty; auto grows it tenfold from {SMALLEST:g}, or is 10 for form = paper",
               above=0.0),
        Option("inner", int, None, "most steps of a follower's problem; auto is 1000, or 10 for form = paper, fewer "
               "where a small gap is certified", at_least=1),
        Option("alpha", float, None, "step size of form = paper; auto is 0.1 / gamma", above=0.0),
        Option("beta", float, 0.1, "inner step size of form = paper", above=0.0),
        Option("max_iterations", int, 20000, "steps of leader and follower together", at_least=1),
    )  # fmt: skip

    def method(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Solver[Any]:
        """The form that the options ask for."""
        both, follower = boxes(problem)
        if options["form"] == "paper":
            gamma = options["gamma"] or 10.0
            known = certified(problem)
            if known is not None and (options["inner"] or known.smooth == np.inf):
                known = None
            if known is not None:
                known.tell(monitor)
            return Published(gamma, options["inner"] or 10, options["alpha"] or 0.1 / gamma, options["beta"],
                             both, follower, monitor.tolerance, known)  # fmt: skip
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
    before: Any  # x where the penalty before, a tenth of this one, ended
    answer: Any  # x; at the end that for an infinite penalty, as far as the last two tell
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
        return State(self.box.begin(engine, v, *found), gamma, size, x + np.inf, x, size < 0)

    def step(self, oracles: Oracles, state: State) -> State:
        xp = oracles.engine.xp
        last = state.gamma >= self.gammas[1] / 1.5
        goal = xp.where(last, self.tolerance, xp.maximum(self.tolerance, 0.1 / state.gamma))
        rests = (state.norm <= goal) | state.both.stuck
        return self._moved(oracles, state, rests, last)

    def _moved(self, oracles: Oracles, state: State, rests: Array, last: Array) -> State:
        """After a step; where (x, y) rests, with a tenfold larger penalty, unless the last change did not matter."""
        engine, xp, both = oracles.engine, oracles.engine.xp, state.both
        x = both.x[: state.before.shape[0]]
        done = rests & (last | (norm(xp, x - state.before) <= 0.1 * self.tolerance * (1 + norm(xp, x))))
        gamma = xp.where(rests & xp.logical_not(done), 10 * state.gamma, state.gamma)
        accuracy = ACCURACY * xp.where(rests, self.tolerance, xp.clip(state.norm, self.tolerance, 1.0)) / gamma
        slack = 1e-13 * gamma * (1 + xp.abs(both.value))
        known = both._replace(memory=both.memory.emptied(xp, rests, 0.0))
        new = self.box.step(engine, known, partial(self._evaluate, oracles, gamma, accuracy), slack, rests)
        size = self.box.rest(engine, new.x, new.gradient)
        # The bias is the reciprocal of the penalty: a ninth of what a tenfold one has changed is left of it.
        change, found = x - state.before, new.x[: x.shape[0]]
        small = done & (norm(xp, change) <= NEAR * (1 + norm(xp, x)))
        ahead = xp.clip(x + change / 9, self.box.lower[: x.shape[0]], self.box.upper[: x.shape[0]])
        before = xp.where(rests & xp.logical_not(done), x, state.before)
        return State(new, gamma, size, before, xp.where(small, ahead, found), done)

    def terminate(self, state: State) -> Array:
        return state.done

    def report(self, state: State) -> Report:
        measures = {"penalized_norm": state.norm, "gamma": state.gamma}
        return Report(state.answer, state.both.aux, state.both.value, measures)

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
    steps: Any  # of z


@dataclass(frozen=True, eq=False)
class Published:
    """Fixed penalty and steps; those of z end before the last where they are certified to be enough.

    `answer` says which y is reported: the follower's own chain, or that of the penalty, which the paper returns and
    which is not optimal for the follower. It belongs to who iterates the method without the backend's finish:
    `replace(backend.method(...), answer="penalty")`.
    """

    gamma: float
    inner: int
    alpha: float
    beta: float
    box: Box
    follower: Box
    tolerance: float
    known: Certified | None = None
    answer: Literal["follower", "penalty"] = "follower"

    def init(self, oracles: Oracles, x: Array, y: Array) -> PublishedState:
        engine, xp = oracles.engine, oracles.engine.xp
        y = self.follower.project(engine, y)
        return PublishedState(xp.concatenate([x, y]), y, oracles.F(x, y), xp.asarray(np.inf), 0, 0)

    def step(self, oracles: Oracles, state: PublishedState) -> PublishedState:
        engine, xp = oracles.engine, oracles.engine.xp
        nx = state.v.shape[0] - state.z.shape[0]
        x, y = state.v[:nx], state.v[nx:]

        before = xp.where(xp.isfinite(state.norm), state.norm, 0.0)
        error = ENOUGH * xp.maximum(before, self.tolerance) / self.gamma  # of f_x, which changes by smooth |dz|

        def descend(z: Array) -> tuple[Array, Array]:
            g = oracles.grad_f_y(x, z)
            near = xp.asarray(False) if self.known is None else self.known.within(xp, z, g, error / self.known.smooth)
            return xp.where(near, z, self.follower.project(engine, z - self.beta * g)), near

        z, steps = repeated(engine, descend, state.z, self.inner)
        value, F_x, F_y = oracles.value_and_grad_F(x, y)
        f_x, f_y = oracles.grad_f(x, y)
        least_x, _ = oracles.grad_f(x, z)
        gradient = xp.concatenate([F_x + self.gamma * (f_x - least_x), F_y + self.gamma * f_y])
        size = self.box.rest(engine, state.v, gradient)
        v = self.box.project(engine, state.v - self.alpha * gradient)
        return PublishedState(v, z, value, size, state.iteration + 1, state.steps + steps)

    def terminate(self, state: PublishedState) -> Array:
        return state.norm <= self.tolerance

    def report(self, state: PublishedState) -> Report:
        nx = state.v.shape[0] - state.z.shape[0]
        y = state.z if self.answer == "follower" else state.v[nx:]
        return Report(state.v[:nx], y, state.value, {"penalized_norm": state.norm})

    def work(self, state: PublishedState) -> Mapping[str, int]:
        steps = int(state.iteration)
        return {"f": 1 + steps, "grad_f": steps, "grad_g": 2 * steps + int(state.steps)}
