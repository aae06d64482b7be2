"""Runs solvers: one loop for those written as `init`, `step`, `terminate`, one guard for those with their own.

Under JAX the loop is compiled and runs in chunks of about a fifth of a second; between chunks it reports, looks at
the time and can be interrupted. Under NumPy the same loop is plain Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from bileveldsl.backend import RawPoint
from bileveldsl.execute.monitor import Monitor, Reason, Stop
from bileveldsl.execute.namespace import Array
from bileveldsl.execute.oracles import Oracles
from bileveldsl.execute.problem import CompiledProblem

CHUNK = 0.2  # seconds between two reports

State = TypeVar("State")


class Report(NamedTuple):
    """What a state says of itself; `merit` as in `Monitor.report`."""

    x: Array
    y: Array
    objective: Array
    measures: Mapping[str, Array]
    merit: Array | None = None


class Solver(Protocol[State]):
    """A method as pure functions on a state: nested tuples of arrays whose shapes and types never change.

    All but `work` must be traceable by JAX: control flow through `oracles.engine`, no Python branch on a value.
    """

    def init(self, oracles: Oracles, x: Array, y: Array) -> State:
        """The state at a starting point."""

    def step(self, oracles: Oracles, state: State) -> State:
        """The state after one more iteration."""

    def terminate(self, state: State) -> Array:
        """Whether the state is converged."""

    def report(self, state: State) -> Report:
        """Point, objective and measures of a state."""

    def work(self, state: State) -> Mapping[str, int]:
        """How often each oracle was called to reach the state, by the names of `CompiledProblem.work`."""


def run(solver: Solver[State], problem: CompiledProblem, monitor: Monitor, max_iterations: int) -> RawPoint:
    """Iterate a solver from the problem's start until it converges or a limit stops it.

    The point returned is finite: where a step leads to NaN or infinity, the last point before it, with status
    `failed` and a message that says so.
    """
    return guarded(lambda: _iterate(solver, problem, monitor, max_iterations), problem, monitor)


def guarded(solve: Callable[[], RawPoint], problem: CompiledProblem, monitor: Monitor) -> RawPoint:
    """What `solve` returns, or the best point it has reported when the monitor or Ctrl-C stops it.

    Where it had reported none, this is the problem's start.
    """
    try:
        return solve()
    except Stop as stop:
        reason, message = stop.reason, stop.message
    except KeyboardInterrupt:
        reason, message = "interrupt", "interrupted"
    monitor.stopped = reason
    monitor.event("stop", reason=reason)
    return stopped(monitor, (problem.x_start, problem.y_start), reason, message)


def stopped(monitor: Monitor, start: tuple[np.ndarray, np.ndarray], reason: Reason, message: str) -> RawPoint:
    """The best point that a monitor was told of, or where none was the start."""
    status: Literal["failed", "limit"] = "failed" if reason == "not finite" else "limit"
    best = monitor.best
    if best is None:
        return RawPoint(*start, status, f"{message}, at the starting point", {}, 0)
    kept = "the last" if best.merit == -math.inf else "the best"
    message = f"{message}; {kept} point is of iteration {best.iteration}"
    return RawPoint(best.x, best.y, status, message, best.measures, monitor.iteration)


@dataclass(frozen=True)
class Loop(Generic[State]):
    """A solver on a problem as functions of the constants, traceable by JAX."""

    solver: Solver[State]
    problem: CompiledProblem

    def begin(self, constants: Mapping[str, Array], x: Array, y: Array) -> State:
        return self.solver.init(self.problem.bind(constants), x, y)

    def sound(self, state: State) -> Array:
        """Whether the point is finite; infinities elsewhere in a state are welcome, a NaN there soon reaches it."""
        x, y, objective, *_ = self.solver.report(state)
        xp = self.problem.engine.xp
        return xp.isfinite(x).all() & xp.isfinite(y).all() & xp.isfinite(objective)

    def advance(self, constants: Mapping[str, Array], state: State, steps: int) -> tuple[int, State, State]:
        """How many steps were taken, the state before the last one, and the last."""
        oracles, xp = self.problem.bind(constants), self.problem.engine.xp

        def more(carry: tuple[int, State, State]) -> Array:
            done, _, current = carry
            return (done < steps) & self.sound(current) & xp.logical_not(self.solver.terminate(current))

        def body(carry: tuple[int, State, State]) -> tuple[int, State, State]:
            done, _, current = carry
            return done + 1, current, self.solver.step(oracles, current)

        return self.problem.engine.while_loop(more, body, (0, state, state))


def _iterate(solver: Solver[State], problem: CompiledProblem, monitor: Monitor, max_iterations: int) -> RawPoint:
    engine, constants, loop = problem.engine, problem.constants.arrays, Loop(solver, problem)
    begin, advance, sound = engine.jit(loop.begin), engine.jit(loop.advance), loop.sound
    state = begin(constants, engine.asarray(problem.x_start), engine.asarray(problem.y_start))
    if not sound(state):
        raise Stop("not finite", "the model's functions are not finite at the starting point")
    steps, iteration, counted = 1, 0, dict[str, int]()
    while True:
        before = monitor.elapsed
        taken, previous, state = engine.block(advance(constants, state, min(steps, max_iterations - iteration)))
        took = monitor.elapsed - before
        iteration += int(taken)
        work = {name: int(number) for name, number in solver.work(state).items()} | {"iterations": iteration}
        problem.count(**{name: number - counted.get(name, 0) for name, number in work.items()})
        counted = work
        if not sound(state):
            tell(monitor, solver.report(previous), iteration - 1)
            raise Stop("not finite", f"iteration {iteration} gave values that are not finite")
        report = solver.report(state)
        tell(monitor, report, iteration)
        if solver.terminate(state) or iteration >= max_iterations:
            break
        steps = steps_ahead(steps, took, monitor.remaining)
    return ended(report, iteration, bool(solver.terminate(state)))


def steps_ahead(steps: int, took: float, remaining: float) -> int:
    """How many steps the next chunk may have, where the last one of `steps` took so many seconds."""
    return max(1, min(2 * steps, int(steps * min(CHUNK, remaining) / max(took, 1e-6))))


def ended(report: Report, iteration: int, converged: bool) -> RawPoint:
    """The point of a run that came to its end or to the limit of iterations."""
    measures = {name: float(value) for name, value in report.measures.items()}
    message = f"converged in {iteration} iterations" if converged else f"stopped at the limit of {iteration} iterations"
    x, y = np.array(report.x, dtype=float), np.array(report.y, dtype=float)
    return RawPoint(x, y, "converged" if converged else "limit", message, measures, iteration)


def tell(monitor: Monitor, report: Report, iteration: int) -> None:
    """Report a state to a monitor."""
    merit: Any = report.merit
    monitor.report(report.objective, report.measures, (report.x, report.y), iteration, merit)
