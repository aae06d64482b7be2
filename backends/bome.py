"""BOME: a dynamic barrier for the follower's value gap (Liu, Ye, Wright, Stone, Liu, NeurIPS 2022).

u is `inner` gradient steps on f(x, .), from where the last ones ended (the paper begins at y, which is farther from
the answer) and fewer where a certified gap of u is small beside the last q; q = f(x, y) - f(x, u) with u held fixed,
and (x, y) moves against

    d = grad F + [barrier - <grad F, grad q>]_+ / |grad q|^2  grad q,     barrier = eta |grad q|^2  or  eta q,

the vector nearest to grad F along which q falls at the rate of the barrier. Its accuracy is that of the step size,
which therefore shrinks. The error of x is proportional to the step size, since (x, y) trails behind the multiplier,
which grows without end: so x is reported as the line through two means of the run says for steps of length zero.
Bounds are kept by projection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bileveldsl.backends.pbgd import Polish, boxes

from bileveldsl.backend import Capabilities, Option, RawPoint
from bileveldsl.execute.certified import Certified, certified, repeated
from bileveldsl.execute.descent import Box, norm
from bileveldsl.execute.driver import Report, Solver
from bileveldsl.execute.many import Iterative
from bileveldsl.execute.polish import polished

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.namespace import Array
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem

APART = 1.5  # step sizes of means that x is extrapolated from, one by the other
LATEST = 0.1  # share of the run that a mean is over
SETTLED = 1000  # steps from which on the error is that of the step size
NEAR = 0.05  # distance, relative, to which it may be
ENOUGH = 1e-8  # of the certified gap of u, relative to the value gap
POLISHING = 1000  # most gradients of the final follower's problem


@dataclass(frozen=True)
class BOME(Iterative):
    """The backend `bome`: the barrier's direction is followed, and the follower's own answer reported."""

    name: str = "bome"
    summary: str = "dynamic barrier for the follower's value gap, first-order, bounds at both levels"
    capabilities: Capabilities = Capabilities(follower="bounds", engines=("numpy", "jax"), evidence="stationary")  # noqa: RUF009
    options: tuple[Option, ...] = (
        Option("barrier", str, "gradient", "rate at which the value gap falls", choices=("gradient", "value")),
        Option("eta", float, 0.5, "factor of the barrier", above=0.0),
        Option("inner", int, 10, "gradient steps of the follower, fewer where a small gap is certified", at_least=1),
        Option("alpha", float, None, "inner step size; auto is the reciprocal of the curvature met", above=0.0),
        Option("xi", float, None, "first step size; auto is a quarter of the reciprocal of the curvature met",
               above=0.0),
        Option("decay", float, 0.75, "exponent with which the step size falls", at_least=0.0, at_most=1.0),
        Option("max_iterations", int, 20000, "steps", at_least=1),
    )  # fmt: skip

    def method(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Solver[Any]:
        """The dynamic barrier with these settings."""
        both, follower = boxes(problem)
        settings = {name: options[name] for name in ("barrier", "eta", "inner", "alpha", "xi", "decay")}
        known = certified(problem)
        if known is not None:
            known.tell(monitor)
        return Barrier(**settings, box=both, follower=follower, tolerance=monitor.tolerance, known=known)

    def finished(
        self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor, result: RawPoint
    ) -> RawPoint:
        """The follower's answer at the end."""
        return polished(problem, result, Polish(POLISHING))


class State(NamedTuple):
    v: Any  # x and y
    u: Any
    curvatures: Any  # met along f_y, and along d
    value: Any
    norm: Any
    gap: Any
    mean: tuple[Any, Any]  # of x and the step size over the last tenth of the run
    marks: tuple[Any, Any, Any, Any]  # such means at two earlier times, the older first
    iteration: Any
    steps: Any  # of u


@dataclass(frozen=True, eq=False)
class Barrier:
    """The method as a solver of the driver."""

    barrier: str
    eta: float
    inner: int
    alpha: float | None
    xi: float | None
    decay: float
    box: Box
    follower: Box
    tolerance: float
    known: Certified | None = None

    def init(self, oracles: Oracles, x: Array, y: Array) -> State:
        """With the curvature of f and of F along a short step downhill."""
        engine, xp = oracles.engine, oracles.engine.xp
        y = self.follower.project(engine, y)

        def met(at: Array, gradient: Any) -> Array:
            g = gradient(at)
            size = norm(xp, g)
            step = 1e-4 * (1 + norm(xp, at)) * g / xp.where(size > 0, size, 1.0)
            bend = norm(xp, gradient(at - step) - g) / (1e-4 * (1 + norm(xp, at)))
            return xp.where(xp.isfinite(bend) & (bend > 1e-8), bend, 1.0)

        nx, v = x.shape[0], xp.concatenate([x, y])
        along_y = met(y, lambda z: oracles.grad_f_y(x, z))
        lower = met(v, lambda w: xp.concatenate(oracles.grad_f(w[:nx], w[nx:])))
        upper = met(v, lambda w: xp.concatenate(oracles.grad_F(w[:nx], w[nx:])))
        curvatures = xp.stack([along_y, lower + upper])
        infinite, nothing = xp.asarray(np.inf), (x, xp.asarray(0.0))
        return State(v, y, curvatures, oracles.F(x, y), infinite, infinite, nothing, nothing + nothing, 0, 0)

    def step(self, oracles: Oracles, state: State) -> State:
        engine, xp = oracles.engine, oracles.engine.xp
        nx = state.v.shape[0] - state.u.shape[0]
        x, y = state.v[:nx], state.v[nx:]
        along_y, last = state.curvatures[0], xp.where(xp.isfinite(state.gap), state.gap, 0.0)
        small = ENOUGH * xp.maximum(last, self.tolerance**2)

        def descend(u: Array) -> tuple[Array, Array]:
            g = oracles.grad_f_y(x, u)
            near = xp.asarray(False) if self.known is None else self.known.gap(xp, u, g) <= small
            new = self.follower.project(engine, u - g * (self.alpha or 1 / along_y))
            return xp.where(near, u, new), near

        u, steps = repeated(engine, descend, state.u, self.inner)
        value, F_x, F_y = oracles.value_and_grad_F(x, y)
        above, f_x, f_y = oracles.value_and_grad_f(x, y)
        below, least_x, _ = oracles.value_and_grad_f(x, u)
        gap, by_q = above - below, xp.concatenate([f_x - least_x, f_y])
        by_F = xp.concatenate([F_x, F_y])

        def direction(free: Any) -> Array:
            square = xp.vdot(by_q * free, by_q)
            rate = self.eta * (square if self.barrier == "gradient" else gap)
            share = xp.maximum(rate - xp.vdot(by_F * free, by_q), 0.0) / xp.where(square > 0, square, 1.0)
            return by_F + share * by_q

        # What a bound holds cannot make q fall: the others must.
        d = direction(1.0)
        d = direction(xp.where((self.box.project(engine, state.v - d) == state.v) & (d != 0), 0.0, 1.0))
        xi = (self.xi or 0.25 / state.curvatures[1]) / (1 + state.iteration / 100) ** self.decay
        # The follower's own curvature may be larger elsewhere than at the start: a step that did not go down says so.
        curvatures = xp.stack([xp.where(gap < 0, 2 * along_y, along_y), state.curvatures[1]])
        size = self.box.rest(engine, state.v, d)
        v = self.box.project(engine, state.v - xi * d)
        share = 1 / (1 + LATEST * state.iteration)
        mean = tuple(old + share * (new - old) for old, new in zip(state.mean, (v[:nx], xi), strict=True))
        fresh = (state.marks[3] == 0) | (state.marks[3] >= APART * mean[1])
        marks = tuple(xp.where(fresh, *pair) for pair in zip((*state.marks[2:], *mean), state.marks, strict=True))
        return State(v, u, curvatures, value, size, gap, mean, marks, state.iteration + 1, state.steps + steps)

    def terminate(self, state: State) -> Array:
        return (state.norm <= self.tolerance) & (state.gap <= self.tolerance**2)

    def report(self, state: State) -> Report:
        measures = {"direction_norm": state.norm, "value_gap": state.gap}
        return Report(self._extrapolated(state), state.u, state.value, measures)

    def _extrapolated(self, state: State) -> Array:
        """x for steps of length zero, on the line through means; x itself where they tell nothing or it is far."""
        nx = state.v.shape[0] - state.u.shape[0]
        x, (mean, now), (marked, before, *_) = state.v[:nx], state.mean, state.marks
        known = (state.iteration >= SETTLED) & (before > 1.01 * now)
        ahead = mean + now / (known * (before - now) + (1 - known)) * (mean - marked) - x
        near = known & ((ahead @ ahead) ** 0.5 <= NEAR * (1 + (x @ x) ** 0.5))
        return (x + near * ahead).clip(self.box.lower[:nx], self.box.upper[:nx])

    def work(self, state: State) -> Mapping[str, int]:
        steps, inner = int(state.iteration), int(state.steps)
        return {"f": 1 + steps, "g": 2 * steps, "grad_f": 2 + steps, "grad_g": 4 + 2 * steps + inner}
