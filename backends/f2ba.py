"""F2BA: a fully first-order method through the penalty function f + sigma F (Chen, Xu, Zhang, COLT 2024).

Let h_s(x) = min_y f(x, y) + s F(x, y). By the envelope theorem grad h_s = f_x + s F_x at the minimizer y_s, and
differences of h_s in s approximate phi(x) = F(x, y(x)) without any second derivative:

    forward   psi = (h_s - h_0) / s            bias O(s)     (the estimate of Algorithm 2)
    central   psi = (h_s - h_-s) / (2 s)       bias O(s^2)   (F2SA-p with p = 2, arXiv 2509.02937)

Both inner problems are minimized by Nesterov's method with restarts (O'Donoghue, Candes 2015) from where they
stood; psi is minimized over the bounds of x by the spectral projected gradient method (Birgin, Martinez, Raydan
2000), so no step size has to be known. `form = paper` runs Algorithm 2 with its fixed steps instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.execute.driver import Report, run

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program

SIGMAS = (1e-1, 1e-2, 1e-3, 1e-4)
MEMORY = 8  # values that the nonmonotone line search compares with
SMALLEST_STEP = 1e-9
PATIENCE = 3000  # inner steps without a smaller gradient, after which there is taken to be none
ROUNDING = 2 * float(np.finfo(float).eps)  # of a gradient, relative to curvature times point
DIVERGED = 1e8  # growth of the gradient from which f + sigma F is taken to have no minimum
POLISH = 1e-12
NO_MINIMUM = "the penalty function has no finite minimum over the follower's variables"


@dataclass(frozen=True)
class F2BA:
    """The backend `f2ba`."""

    name: str = "f2ba"
    summary: str = "first-order penalty method F2BA, which needs gradients only"
    capabilities: Capabilities = Capabilities(follower="unconstrained", engines=("numpy", "jax"), evidence="local")  # noqa: RUF009
    options: tuple[Option, ...] = (
        Option("form", str, "central", "difference in the penalty", choices=("central", "forward", "paper")),
        Option("sigma", float, None, "penalty; auto shrinks it tenfold from 0.1 to 1e-4", above=0.0),
        Option("inner", int, 20000, "most steps of an inner problem", at_least=1),
        Option("max_iterations", int, 2000, "steps of the leader for each penalty", at_least=1),
        Option("K", int, 50, "inner steps of form = paper", at_least=1),
        Option("tau", float, 0.1, "inner step size of form = paper", above=0.0),
        Option("eta", float, 0.01, "outer step size of form = paper", above=0.0),
    )

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        return why_not(self.name, self.capabilities, program, facts)

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Minimize psi for a shrinking penalty, and report the follower's own answer, never that of the penalty.

        F at y_s lies below phi (by O(sigma)), since y_s pays for it in f.
        """
        if options["form"] == "paper":
            sigma = 0.01 if options["sigma"] is None else options["sigma"]
            solver: Any = Published(
                sigma, options["K"], options["tau"], options["eta"], _box(problem), monitor.tolerance
            )
            return self._polished(problem, run(solver, problem, monitor, options["max_iterations"]), options["inner"])
        sigmas = SIGMAS if options["sigma"] is None else (options["sigma"],)
        result, iterations = RawPoint(problem.x_start, problem.y_start, "failed", "", {}, 0), 0
        for sigma in sigmas:
            tolerance = monitor.tolerance if sigma == sigmas[-1] else max(monitor.tolerance, 0.1 * sigma**2)
            solver = Penalty(sigma, options["form"] == "central", options["inner"], tolerance, _box(problem),
                             (result.x, result.y))  # fmt: skip
            monitor.best = None  # psi of one penalty does not compare with that of another
            latest = run(solver, problem, monitor, options["max_iterations"])
            iterations += latest.iterations
            if monitor.best is None:  # no step was taken: what the penalty before gave is kept
                message = NO_MINIMUM if monitor.stopped == "not finite" else latest.message
                latest = replace(result, status=latest.status, message=message)
            result = latest
            if monitor.stopped == "not finite" and monitor.best is None:
                monitor.stopped = None  # a smaller penalty may do
            if monitor.stopped:
                break
        return self._polished(problem, replace(result, iterations=iterations), options["inner"])

    def _polished(self, problem: CompiledProblem, result: RawPoint, most: int) -> RawPoint:
        """The same x with the follower's answer, computed to rounding."""
        engine = problem.engine

        def polish(constants: Any, x: Any, y: Any) -> tuple[Any, Any]:
            return descend(
                problem.bind(constants), x, 0.0, Inner(y, _curvature(problem.bind(constants), x, y, 0.0)), POLISH, most
            )

        inner, steps = engine.jit(polish)(problem.constants.arrays, engine.asarray(result.x), engine.asarray(result.y))
        problem.count(grad_g=int(steps) + 2)
        y = np.array(inner.y, dtype=float)
        best = y if np.isfinite(y).all() else result.y
        return RawPoint(result.x, best, result.status, result.message, result.measures, result.iterations)


def _box(problem: CompiledProblem) -> tuple[np.ndarray, np.ndarray]:
    return problem.x_lower, problem.x_upper


# ---- the inner problem ----------------------------------------------------------------------


class Inner(NamedTuple):
    """Where the inner method stands, and the largest curvature it has met."""

    y: Any
    curvature: Any


class _Descent(NamedTuple):
    steps: Any
    y: Any
    point: Any  # extrapolated
    gradient: Any  # there
    momentum: Any
    curvature: Any
    least: Any  # gradient norm so far
    since: Any  # steps since then


def descend(oracles: Oracles, x: Any, sigma: float, start: Inner, tolerance: Any, most: int) -> tuple[Inner, Any]:
    """Minimize f + sigma F in y until the gradient's norm is within the tolerance; the chain, and the steps taken.

    The step size is the reciprocal of the largest curvature met; a step that meets half as much again is taken back.
    Where the gradient grows without end, the chain's point is NaN.
    """
    xp = oracles.engine.xp

    def gradient(y: Any) -> Any:
        lower = oracles.grad_f_y(x, y)
        return lower + sigma * oracles.grad_F_y(x, y) if sigma else lower

    def norm(v: Any) -> Any:
        return xp.sqrt(xp.vdot(v, v))

    def unfinished(s: _Descent) -> Any:
        size, reachable = norm(s.gradient), ROUNDING * s.curvature * norm(s.point)
        goal = xp.maximum(tolerance, reachable)
        return (size > goal) & (size <= largest) & (s.steps < most) & (s.since < PATIENCE)

    def body(s: _Descent) -> _Descent:
        y = s.point - s.gradient / s.curvature
        uphill = xp.vdot(s.gradient, y - s.y) > 0
        momentum = xp.where(uphill, 1.0, 0.5 * (1 + xp.sqrt(1 + 4 * s.momentum**2)))
        point = y + xp.where(uphill, 0.0, (s.momentum - 1) / momentum) * (y - s.y)
        new = gradient(point)
        moved = norm(point - s.point)
        met = xp.where(moved > 0, norm(new - s.gradient) / xp.where(moved > 0, moved, 1.0), 0.0)
        fits = met <= 1.5 * s.curvature  # false for NaN, too
        raised = xp.where(xp.isfinite(met), xp.maximum(met, 2 * s.curvature), 10 * s.curvature)
        size = norm(new)
        better = fits & (size < 0.999 * s.least)
        return _Descent(
            s.steps + 1, xp.where(fits, y, s.y), xp.where(fits, point, s.point), xp.where(fits, new, s.gradient),
            xp.where(fits, momentum, 1.0), xp.where(fits, xp.maximum(s.curvature, met), raised),
            xp.where(better, size, s.least), xp.where(better, 0, s.since + 1),
        )  # fmt: skip

    first = gradient(start.y)
    largest = DIVERGED * (1 + norm(first))
    state = _Descent(1, start.y, start.y, first, 1.0 + 0.0 * norm(first), start.curvature, norm(first), 0)
    end = oracles.engine.while_loop(unfinished, body, state)
    point = xp.where(norm(end.gradient) <= largest, end.point, np.nan)
    return Inner(point, end.curvature), end.steps


def _curvature(oracles: Oracles, x: Any, y: Any, sigma: float) -> Any:
    """A first guess of the curvature of f + sigma F: its change along a short step downhill."""
    xp = oracles.engine.xp

    def gradient(point: Any) -> Any:
        return oracles.grad_f_y(x, point) + sigma * oracles.grad_F_y(x, point) if sigma else oracles.grad_f_y(x, point)

    g = gradient(y)
    size = xp.sqrt(xp.vdot(g, g))
    length = 1e-4 * (1 + xp.sqrt(xp.vdot(y, y)))
    change = gradient(y - length * g / xp.where(size > 0, size, 1.0)) - g
    met = xp.sqrt(xp.vdot(change, change)) / length
    return xp.where(xp.isfinite(met) & (met > 1e-8), met, 1.0)


# ---- the adaptive method --------------------------------------------------------------------


class State(NamedTuple):
    """The leader's point, both inner chains, and psi there; `calls` counts evaluations, steps of plus, of minus."""

    x: Any
    plus: Inner
    minus: Inner
    value: Any
    gradient: Any
    step: Any
    recent: Any
    norm: Any
    stuck: Any
    calls: Any


@dataclass(frozen=True, eq=False)
class Penalty:
    """The adaptive form for one penalty, as a solver of the driver."""

    sigma: float
    central: bool
    most: int
    tolerance: float
    box: tuple[np.ndarray, np.ndarray]
    start: tuple[np.ndarray, np.ndarray]

    @property
    def sigmas(self) -> tuple[float, float]:
        return self.sigma, -self.sigma if self.central else 0.0

    def init(self, oracles: Oracles, x: Any, y: Any) -> State:
        xp = oracles.engine.xp
        x, y = (oracles.engine.asarray(part) for part in self.start)
        chains = [Inner(y, _curvature(oracles, x, y, s)) for s in self.sigmas]
        plus, minus, value, gradient, steps = self._evaluate(oracles, x, chains[0], chains[1], 1e-2 * self.sigma)
        size = self._norm(oracles, x, gradient)
        step = xp.minimum(1.0, 1.0 / xp.maximum(xp.sqrt(xp.vdot(gradient, gradient)), 1e-12))
        calls = xp.asarray([1, *steps])
        return State(x, plus, minus, value, gradient, step, value + xp.zeros(MEMORY), size, size < 0, calls)

    def step(self, oracles: Oracles, state: State) -> State:
        xp = oracles.engine.xp
        direction = self._project(oracles, state.x - state.step * state.gradient) - state.x
        slope = xp.vdot(state.gradient, direction)
        goal = state.recent.max()
        accuracy = 1e-2 * self.sigma * xp.clip(state.norm, self.tolerance, 1.0)
        # The values come from inner problems solved to an accuracy, and cannot tell smaller differences apart.
        slack = 1e-13 * (1 + xp.abs(state.value)) / self.sigma

        def attempt(length: Any, plus: Inner, minus: Inner, calls: Any) -> tuple[Any, ...]:
            x = state.x + length * direction
            plus, minus, value, gradient, steps = self._evaluate(oracles, x, plus, minus, accuracy)
            return length, x, plus, minus, value, gradient, calls + xp.asarray([1, *steps])

        def too_long(trial: tuple[Any, ...]) -> Any:
            length, value = trial[0], trial[4]
            enough = value <= goal + 1e-4 * length * slope + slack
            return xp.logical_not(enough) & (length > SMALLEST_STEP)

        def shorter(trial: tuple[Any, ...]) -> tuple[Any, ...]:
            return attempt(0.3 * trial[0], state.plus, state.minus, trial[6])

        first = attempt(xp.float64(1.0), state.plus, state.minus, state.calls)
        length, x, plus, minus, value, gradient, calls = oracles.engine.while_loop(too_long, shorter, first)
        moved, change = x - state.x, gradient - state.gradient
        bend, square = xp.vdot(moved, change), xp.vdot(moved, moved)
        step = xp.where(bend > 0, square / xp.where(bend > 0, bend, 1.0), 10 * state.step)
        recent = xp.concatenate([state.recent[1:], xp.reshape(value, (1,))])
        return State(x, plus, minus, value, gradient, xp.clip(step, 1e-10, 1e10), recent,
                     self._norm(oracles, x, gradient), length <= SMALLEST_STEP, calls)  # fmt: skip

    def terminate(self, state: State) -> Any:
        return (state.norm <= self.tolerance) | state.stuck

    def report(self, state: State) -> Report:
        y = 0.5 * (state.plus.y + state.minus.y) if self.central else state.minus.y
        return Report(state.x, y, state.value, {"hypergradient_norm": state.norm}, state.value)

    def work(self, state: State) -> Mapping[str, int]:
        evaluations, plus, minus = (int(number) for number in state.calls)
        values = 2 * evaluations
        upper = plus + 2 + (minus + 2 if self.central else 0)
        return {"f": values, "g": values, "grad_f": values + upper, "grad_g": values + plus + minus + 4}

    def _evaluate(self, oracles: Oracles, x: Any, plus: Inner, minus: Inner, accuracy: Any) -> tuple[Any, ...]:
        """Both chains at x, psi, its gradient, and the inner steps of each chain."""
        values, gradients, chains, steps = [], [], [], []
        for sigma, chain in zip(self.sigmas, (plus, minus), strict=True):
            chain, taken = descend(oracles, x, sigma, chain, accuracy, self.most)
            upper, upper_x, _ = oracles.value_and_grad_F(x, chain.y)
            lower, lower_x, _ = oracles.value_and_grad_f(x, chain.y)
            values.append(lower + sigma * upper)
            gradients.append(lower_x + sigma * upper_x)
            chains.append(chain)
            steps.append(taken)
        width = self.sigmas[0] - self.sigmas[1]
        return *chains, (values[0] - values[1]) / width, (gradients[0] - gradients[1]) / width, steps

    def _project(self, oracles: Oracles, x: Any) -> Any:
        return oracles.engine.xp.clip(x, *self.box)

    def _norm(self, oracles: Oracles, x: Any, gradient: Any) -> Any:
        step = x - self._project(oracles, x - gradient)
        return oracles.engine.xp.sqrt(oracles.engine.xp.vdot(step, step))


# ---- Algorithm 2 as published ---------------------------------------------------------------


class PublishedState(NamedTuple):
    x: Any
    y: Any  # chain of sigma F + f
    z: Any  # chain of f
    value: Any
    norm: Any
    iteration: Any


@dataclass(frozen=True, eq=False)
class Published:
    """Algorithm 2 with fixed K, tau, eta and sigma; x is projected onto its bounds after each step."""

    sigma: float
    K: int
    tau: float
    eta: float
    box: tuple[np.ndarray, np.ndarray]
    tolerance: float

    def init(self, oracles: Oracles, x: Any, y: Any) -> PublishedState:
        xp = oracles.engine.xp
        return PublishedState(x, y, y, oracles.F(x, y), xp.asarray(np.inf), 0)

    def step(self, oracles: Oracles, state: PublishedState) -> PublishedState:
        xp, x = oracles.engine.xp, state.x

        def inner(_: Any, chains: tuple[Any, Any]) -> tuple[Any, Any]:
            y, z = chains
            return (
                y - self.tau * (self.sigma * oracles.grad_F_y(x, y) + oracles.grad_f_y(x, y)),
                z - self.tau * oracles.grad_f_y(x, z),
            )

        y, z = oracles.engine.fori_loop(0, self.K, inner, (state.y, state.z))
        upper_x, _ = oracles.grad_F(x, y)
        at_y, _ = oracles.grad_f(x, y)
        at_z, _ = oracles.grad_f(x, z)
        gradient = upper_x + (at_y - at_z) / self.sigma
        rest = x - xp.clip(x - gradient, *self.box)
        new = xp.clip(x - self.eta * gradient, *self.box)
        return PublishedState(new, y, z, oracles.F(x, z), xp.sqrt(xp.vdot(rest, rest)), state.iteration + 1)

    def terminate(self, state: PublishedState) -> Any:
        return state.norm <= self.tolerance

    def report(self, state: PublishedState) -> Report:
        return Report(state.x, state.z, state.value, {"hypergradient_norm": state.norm})

    def work(self, state: PublishedState) -> Mapping[str, int]:
        steps = int(state.iteration)
        return {"f": 1 + steps, "grad_f": steps * (self.K + 1), "grad_g": steps * (2 * self.K + 2)}
