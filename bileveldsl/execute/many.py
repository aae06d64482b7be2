"""One method from many starting points at once: its loop is mapped over the starts and compiled as one.

Each start takes its own steps and stops at its own end, as if it ran alone; a chunk ends when all have taken their
steps or stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from bileveldsl.backend import Backend, RawPoint, why_not
from bileveldsl.execute.driver import Loop, Report, Solver, ended, steps_ahead, stopped, tell
from bileveldsl.execute.driver import run as iterate
from bileveldsl.execute.monitor import Monitor, Reason, Stop
from bileveldsl.execute.problem import CompiledProblem

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.program import Program

Start = tuple[np.ndarray, np.ndarray]


@runtime_checkable
class Iterative(Backend, Protocol):
    """A backend that is one Solver, iterated `max_iterations` times at most, and a finish of the point where it ends.

    One that inherits from it has to say what it is, its `method` and its `finished`; where `method` may give None, it
    has a `solve` of its own as well.
    """

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        return why_not(self.name, self.capabilities, program, facts)

    def method(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Solver[Any] | None:
        """The solver; None where the options ask for something else."""

    def finished(
        self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor, result: RawPoint
    ) -> RawPoint:
        """What is reported where the solver has ended."""
        return result

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Iterate the solver, and finish its point."""
        solver = self.method(problem, options, monitor)
        assert solver is not None
        result = iterate(solver, problem, monitor, options["max_iterations"])
        return self.finished(problem, options, monitor, result)


def run_many(
    solver: Solver[Any], problem: CompiledProblem, monitor: Monitor, max_iterations: int, starts: Sequence[Start]
) -> list[RawPoint]:
    """Iterate a solver from each start until it converges there or a limit stops all of them.

    The monitor hears of the best objective among the starts. The problem's engine must have a `vmap`.
    """
    engine, loop = problem.engine, Loop(solver, problem)
    assert engine.vmap is not None
    begin = engine.jit(engine.vmap(loop.begin, (None, 0, 0)))
    advance = engine.jit(engine.vmap(loop.advance, (None, 0, 0)))
    look = engine.jit(engine.vmap(lambda state: (solver.report(state), loop.sound(state), solver.terminate(state))))
    runs = [_Run(start, Monitor(monitor.tolerance, None, monitor.seed)) for start in starts]
    state: Any = None
    try:
        x, y = (engine.asarray(np.stack(part)) for part in zip(*starts, strict=True))
        state = begin(problem.constants.arrays, x, y)
        _, sound, _ = look(state)
        for run, fine in zip(runs, np.asarray(sound), strict=True):
            if not fine:
                run.stop("not finite", "the model's functions are not finite at the starting point")
        steps = 1
        while any(run.result is None for run in runs):
            before = monitor.elapsed
            allowed = [min(steps, max_iterations - run.iteration) if run.result is None else 0 for run in runs]
            chunk = advance(problem.constants.arrays, state, engine.asarray(np.array(allowed)))
            taken, previous, state = engine.block(chunk)
            took = monitor.elapsed - before
            _take(runs, np.asarray(taken), look(state), look(previous), max_iterations)
            _tell_of_the_best(monitor, runs)
            steps = steps_ahead(steps, took, monitor.remaining)
    except (Stop, KeyboardInterrupt) as reason:
        stop = reason if isinstance(reason, Stop) else Stop("interrupt", "interrupted")
        monitor.stopped = stop.reason
        monitor.event("stop", reason=stop.reason)
        for run in runs:
            if run.result is None:
                run.stop(stop.reason, stop.message)
    if state is not None:
        for number, run in enumerate(runs):
            work = {name: int(calls) for name, calls in solver.work(element(state, number)).items()}
            problem.count(**work, iterations=run.iteration)
    return [run.result for run in runs if run.result is not None]


class _Run:
    """One of the starts: its own monitor, and where it ended."""

    def __init__(self, start: Start, monitor: Monitor):
        self.start, self.monitor = start, monitor
        self.iteration = 0
        self.result: RawPoint | None = None

    def stop(self, reason: Reason, message: str) -> None:
        self.result = stopped(self.monitor, self.start, reason, message)


def _take(runs: Sequence[_Run], taken: np.ndarray, now: Any, before: Any, max_iterations: int) -> None:
    """Take note of where a chunk has brought those that still run."""
    for number, run in enumerate(runs):
        if run.result is not None:
            continue
        run.iteration += int(taken[number])
        report, sound, terminated = element(now, number)
        try:
            if not sound:
                tell(run.monitor, element(before[0], number), run.iteration - 1)
                raise Stop("not finite", f"iteration {run.iteration} gave values that are not finite")
            tell(run.monitor, report, run.iteration)
        except Stop as stop:
            run.stop(stop.reason, stop.message)
        else:
            if terminated or run.iteration >= max_iterations:
                run.result = ended(report, run.iteration, bool(terminated))


def _tell_of_the_best(monitor: Monitor, runs: Sequence[_Run]) -> None:
    told = [run.monitor.best for run in runs if run.monitor.best is not None]
    if told:
        best = min(told, key=lambda point: point.objective)
        running = sum(run.result is None for run in runs)
        report = Report(best.x, best.y, np.array(best.objective), {**best.measures, "running": np.array(running)})
        tell(monitor, report, max(run.iteration for run in runs))
    monitor.check()


def element(tree: Any, number: int) -> Any:
    """One of the states that a mapped function gives at once."""
    if isinstance(tree, Mapping):
        return {name: element(part, number) for name, part in tree.items()}
    if isinstance(tree, tuple):
        parts = [element(part, number) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return None if tree is None else np.asarray(tree)[number]
