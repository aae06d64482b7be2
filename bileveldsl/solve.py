"""The whole way of a model: program, facts, choice, reductions, compilation, backend, verification, solution."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bileveldsl import registry
from bileveldsl.answer import NO_ANSWER, Answer, Candidate
from bileveldsl.assemble import solution_of
from bileveldsl.backend import Backend, RawPoint, parse_options
from bileveldsl.choose import Explanation, choose, explained, require_backend
from bileveldsl.execute.monitor import Monitor, ProgressEvent
from bileveldsl.inputs import (
    CHOICES,
    SETTINGS,
    backend_options,
    engine_name,
    parameter_values,
    settings_of,
    starting_points,
)
from bileveldsl.known import BUDGET, known_facts
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.program import Program
from bileveldsl.reduce import REDUCTIONS, Reduced, reduce_program
from bileveldsl.solution import Solution, Status, Verification
from bileveldsl.verify import Verified, model_digest, verify_point

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.many import Iterative
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.model import Model


def solve(
    model: Model,
    backend: str = "auto",
    *,
    options: Mapping[str, Any] | None = None,
    set: Mapping[str, Any] | None = None,
    data: Sequence[str | Path] = (),
    start: Solution | None = None,
    starts: int | None = None,
    seed: int | None = None,
    time_limit: float | None = None,
    tol: float | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
    log: Path | None = None,
    engine: str = "auto",
    certify_budget: float = BUDGET,
) -> Solution:
    """Solve a model and verify the answer.

    Parameters
    ----------
    model
        From `load`, `loads`, or built in Python.
    backend
        A backend's name, or `auto` to let the proved facts choose.
    options
        The backend's own settings.
    set, data
        Values for parameters by name; files of values (npz or json) that replace the model's.
    start
        An earlier solution of the same model to start from.
    starts
        How many starting points to try; the best verified answer is returned. With the `jax` engine methods that are
        one compiled loop run from all of them at once.
    seed
        Of the random starting points; the same seed gives the same result.
    time_limit, tol
        Seconds for the backend; the tolerance of gap, violation and hyper-gradient norm.
    progress, log
        Called with progress events; a file that gets them as JSON lines.
    engine
        `numpy`, `jax`, or `auto` (NumPy).
    certify_budget
        Seconds after which what is not proved of the model is unknown.

    Raises
    ------
    BlvError
        When the model, its data or a setting is at fault, or no backend accepts it.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> text = "model m; upper { var x in [0, 9]; minimize (x - 3)^2 + (y - 1)^2 }; lower { var y; minimize (y - x)^2 }"
    >>> solution = solve(blv.loads(text), "implicit")
    >>> solution.status.value, round(solution["x"], 6)
    ('locally_optimal', 2.0)
    """
    run = Run(model, parameter_values(model, set or {}, data), engine, progress, log, certify_budget)
    return run.solve(backend, options or {}, start=start, starts=starts, seed=seed, time_limit=time_limit, tol=tol)


def solve_with(
    model: Model, backend: Backend, *, options: Mapping[str, Any] | None = None, engine: str = "auto", **settings: Any
) -> Solution:
    """Solve with a backend object that need not be registered; the rest as `solve`."""
    return Run(model, {}, engine).solve(backend, options or {}, **settings)


def explain(model: Model, backend: str = "auto", certify_budget: float = BUDGET) -> Explanation:
    """Which backend `solve` would use for a model, through which rewrites, and why not the others."""
    program = model.program()
    known = known_facts(model, program, certify_budget)
    wanted = str(program.options.get("backend", "auto")) if backend == "auto" else backend
    return explain_program(program, known.facts, wanted)


def explain_program(program: Program, facts: Sequence[Fact], backend: str = "auto") -> Explanation:
    """The same for a program whose facts are known."""
    reduced = reduce_program(program, REDUCTIONS, facts)
    return explained(reduced, backend)


@dataclass
class Run:
    """One solve of a model; `seconds` tells how long each stage took."""

    model: Model
    given: Mapping[str, Any]
    engine: str = "auto"
    progress: Callable[[ProgressEvent], None] | None = None
    log: Path | None = None
    certify_budget: float = BUDGET
    seconds: dict[str, float] = field(default_factory=dict)

    def solve(self, wanted: str | Backend, options: Mapping[str, Any], **given: Any) -> Solution:
        """Program, facts, reductions, backend, compilation, raw point, verification, solution."""
        from bileveldsl.execute.engine import engine as make_engine
        from bileveldsl.execute.problem import compile_problem

        with self._timed("read"):
            program = self.model.program(**self.given)
            settings = settings_of(program, given)
        with self._timed("certify"):
            known = known_facts(self.model, program, self.certify_budget)
        if known.interrupted:
            raise KeyboardInterrupt
        if any(finding.severity == "error" for finding in known.findings):
            raise BlvError(known.findings)
        facts = known.facts
        reduced = reduce_program(program, REDUCTIONS, facts)
        asked = str(program.options.get("engine", "auto")) if self.engine == "auto" else self.engine
        named = [*(n for n in program.options if n not in SETTINGS and n not in CHOICES), *options]
        explanation, candidates = _candidates(program, reduced, wanted, asked, named)
        runs: list[Candidate] = []
        begin = time.monotonic()
        with _opened(self.log) as log:
            for backend in candidates:
                values = parse_options(backend.name, backend.options, backend_options(program, options, backend))
                with self._timed("compile"):
                    engine = make_engine(engine_name(program, self.engine, backend))
                    problem = compile_problem(reduced.program, engine, reduced.facts)
                if runs and runs[0].answer.has_point:
                    problem.x_start, problem.y_start = runs[0].answer.raw.x, runs[0].answer.raw.y
                limit = _share(settings["time_limit"], time.monotonic() - begin, backend is candidates[-1])
                bound = max((run.answer.raw.bound for run in runs), default=-math.inf)
                own = {**settings, "time_limit": limit, "stated": settings["time_limit"], "bound": bound}
                answer = self._best(problem, backend, values, own, log)
                runs.append(Candidate(backend, values, problem, answer))
                if answer.settles(backend) or answer.interrupted or _spent(settings["time_limit"], begin):
                    break
        best = min(runs, key=lambda run: run.answer.rank)
        tried = [f"{run.backend.name} came to {run.answer.status.value}" for run in runs if run is not best]
        return replace(
            solution_of(program, reduced, facts, explanation, best, tried),
            seconds=self.seconds,
            seed=settings["seed"],
            model_sha256=model_digest(self.model),
        )

    def _best(
        self,
        problem: CompiledProblem,
        backend: Backend,
        values: Mapping[str, Any],
        settings: Any,
        log: TextIO | None,
    ) -> Answer:
        """The best verified answer over all starting points; a limit or Ctrl-C ends the search."""
        from bileveldsl.execute.many import Iterative

        if settings["starts"] > 1 and problem.engine.vmap is not None and isinstance(backend, Iterative):
            best = self._best_at_once(problem, backend, values, settings, log)
            if best is not None:
                return best
        begin, limit, best = time.monotonic(), settings["time_limit"], None
        for number, (x, y) in enumerate(starting_points(problem, settings)):
            problem.x_start, problem.y_start = x, y
            left = None if limit is None else max(limit - (time.monotonic() - begin), 0.0)
            monitor = self._monitor({**settings, "time_limit": left}, log)
            monitor.event("start", number=number, backend=backend.name)
            with self._timed("solve"):
                raw = _weighed(backend.solve(problem, values, monitor), backend)
            answer = self._judged(problem, raw, monitor, settings)
            if best is None or answer.rank < best.rank:
                best = answer
            proved = answer.status is Status.GLOBALLY_OPTIMAL or raw.status in NO_ANSWER
            if monitor.stopped in ("time", "interrupt") or monitor.remaining <= 0 or proved:
                break
        assert best is not None
        return replace(best, work=dict(problem.work))

    def _best_at_once(
        self,
        problem: CompiledProblem,
        backend: Iterative,
        values: Mapping[str, Any],
        settings: Any,
        log: TextIO | None,
    ) -> Answer | None:
        """The same with all starting points in one compiled loop; None where the backend's settings have none.

        Points are verified from the best value on, until one is locally optimal: no later one could rank before it.
        """
        from bileveldsl.execute.many import run_many

        starts = list(starting_points(problem, settings))
        monitor = self._monitor(settings, log)
        with self._timed("solve"):
            solver = backend.method(problem, values, monitor)
            if solver is None:
                return None
            monitor.event("starts", count=len(starts), backend=backend.name)
            ends = run_many(solver, problem, monitor, values["max_iterations"], starts)
            points = [_weighed(backend.finished(problem, values, monitor, end), backend) for end in ends]
        work = dict(problem.work)
        worth = [float(problem.F(point.x, point.y)) for point in points]
        problem.work.update(work)
        best = None
        for number in sorted(range(len(points)), key=lambda k: worth[k] if math.isfinite(worth[k]) else math.inf):
            answer = self._judged(problem, points[number], monitor, settings)
            if best is None or answer.rank < best.rank:
                best = answer
            optimal = answer.status in (Status.GLOBALLY_OPTIMAL, Status.LOCALLY_OPTIMAL)
            if optimal or monitor.stopped in ("time", "interrupt") or monitor.remaining <= 0:
                break
        return best

    def _monitor(self, settings: Mapping[str, Any], log: TextIO | None) -> Monitor:
        stated = settings["stated"]
        return Monitor(settings["tol"], settings["time_limit"], settings["seed"], log, self.progress, stated=stated)

    def _judged(self, problem: CompiledProblem, raw: RawPoint, monitor: Monitor, settings: Any) -> Answer:
        """A backend's point with its verification, which Ctrl-C may cut short."""
        work = dict(problem.work)
        try:
            with self._timed("verify"):
                verified = _verified(problem, raw, settings)
        except KeyboardInterrupt:
            monitor.stopped = "interrupt"
            raw = replace(raw, status="limit", message="interrupted before the point was verified")
            verified = Verified(Verification(tolerance=settings["tol"]), Status.LIMIT, "nothing was measured")
        answer = Answer(raw, verified, work, tuple(monitor.notes), monitor.stopped == "interrupt")
        monitor.event("verified", status=answer.status.value, objective=verified.objective)
        problem.work.update(work)  # what the verification evaluates is no work of the backend
        return answer

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin


PATIENCE = 20.0
"""Seconds that `auto` gives a global search before it also asks a local method, where no time limit is given."""


def _share(limit: float | None, used: float, last: bool) -> float | None:
    """The time of one backend: all that is left for the last one, half of it for others."""
    if limit is None:
        return None if last else PATIENCE
    left = max(limit - used, 0.0)
    return left if last else 0.5 * left


def _spent(limit: float | None, begin: float) -> bool:
    return limit is not None and time.monotonic() - begin >= limit


def _weighed(raw: RawPoint, backend: Backend) -> RawPoint:
    """A local method's word that there is no answer is no proof of it."""
    if raw.status not in NO_ANSWER or backend.capabilities.evidence == "global":
        return raw
    message = f"{raw.message} ({backend.name} is a local method: this proves nothing)"
    return replace(raw, status="failed", message=message)


def _verified(problem: CompiledProblem, raw: RawPoint, settings: Mapping[str, Any]) -> Verified:
    tol, seed = settings["tol"], settings["seed"]
    if raw.status == "infeasible":
        from bileveldsl.verify.infeasible import explain_infeasible

        status, why = explain_infeasible(problem.program, problem.facts)
        return Verified(Verification(tolerance=tol), status, why)
    if raw.status in NO_ANSWER:
        return Verified(Verification(tolerance=tol), NO_ANSWER[raw.status], raw.message)
    bound = max(raw.bound, settings["bound"])
    return verify_point(problem, raw.x, raw.y, problem.facts, seed=seed, tol=tol, bound=bound, duals=raw.duals)


def _candidates(
    program: Program, reduced: Reduced, wanted: str | Backend, engine: str, options: Sequence[str]
) -> tuple[Explanation, tuple[Backend, ...]]:
    """The backends to try, in order; one that was asked for stands alone."""
    if not isinstance(wanted, str):
        objection = wanted.available() or wanted.admits(reduced.program, reduced.facts)
        reason = objection or "given as an object"
        path = ("Program", *reduced.path, wanted.name)
        explanation = Explanation(None if objection else wanted.name, reason, path, ())
        require_backend(explanation, reduced.program, wanted.name)
        return explanation, (wanted,)
    name = str(program.options.get("backend", "auto")) if wanted == "auto" else wanted
    explanation = choose(reduced, name, engine, options)
    first = registry.get(require_backend(explanation, reduced.program, name))
    return explanation, (first, *(registry.get(other) for other in explanation.fallbacks))


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        with Path(path).open("w", encoding="utf-8") as stream:
            yield stream
    except OSError as error:
        raise BlvError([Diagnostic("E415", f"the log {path} cannot be written: {error.strerror}")]) from None
