"""The whole way of a model: program, facts, choice, reductions, compilation, backend, verification, solution."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bileveldsl import __version__, registry
from bileveldsl.backend import Backend, RawPoint, parse_options
from bileveldsl.choose import Explanation, choose, require_backend
from bileveldsl.execute.monitor import Monitor, ProgressEvent
from bileveldsl.inputs import backend_options, engine_name, parameter_values, settings_of, starting_points
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.program import Level, Program
from bileveldsl.reduce import REDUCTIONS, Point, reduce_program
from bileveldsl.solution import AxisMembers, Objective, Solution, Status, Verification, Work
from bileveldsl.verify import Verified, model_digest, verify_point

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
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
        How many starting points to try; the best verified answer is returned.
    seed
        Of the random starting points; the same seed gives the same result.
    time_limit, tol
        Seconds for the backend; the tolerance of gap, violation and hyper-gradient norm.
    progress, log
        Called with progress events; a file that gets them as JSON lines.
    engine
        `numpy`, `jax`, or `auto` (NumPy).

    Raises
    ------
    BlvError
        When the model, its data or a setting is at fault, or no backend accepts it.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> text = "model m; upper { var x in [0, 9]; minimize (x - 3)^2 + (y - 1)^2 }; lower { var y; minimize (y - x)^2 }"
    >>> solution = solve(blv.loads(text))
    >>> solution.status.value, round(solution["x"], 6)
    ('locally_optimal', 2.0)
    """
    run = Run(model, parameter_values(model, set or {}, data), engine, progress, log)
    return run.solve(backend, options or {}, start=start, starts=starts, seed=seed, time_limit=time_limit, tol=tol)


def solve_with(
    model: Model, backend: Backend, *, options: Mapping[str, Any] | None = None, engine: str = "auto", **settings: Any
) -> Solution:
    """Solve with a backend object that need not be registered; the rest as `solve`."""
    return Run(model, {}, engine).solve(backend, options or {}, **settings)


def explain(model: Model, backend: str = "auto") -> Explanation:
    """Which backend `solve` would use for a model, through which rewrites, and why not the others."""
    from bileveldsl.certify.claims import check_claims
    from bileveldsl.certify.lower_level import certify

    program = model.program()
    facts, _ = check_claims(program, certify(program))
    wanted = str(program.options.get("backend", "auto")) if backend == "auto" else backend
    return explain_program(program, facts, wanted)


def explain_program(program: Program, facts: Sequence[Fact], backend: str = "auto") -> Explanation:
    """The same for a program whose facts are known."""
    reduced, path, _ = reduce_program(program, REDUCTIONS)
    return choose(reduced, facts, backend, path)


@dataclass
class Run:
    """One solve of a model; `seconds` tells how long each stage took."""

    model: Model
    given: Mapping[str, Any]
    engine: str = "auto"
    progress: Callable[[ProgressEvent], None] | None = None
    log: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def solve(self, wanted: str | Backend, options: Mapping[str, Any], **given: Any) -> Solution:
        """Program, facts, reductions, backend, compilation, raw point, verification, solution."""
        from bileveldsl.certify.claims import check_claims
        from bileveldsl.certify.lower_level import certify
        from bileveldsl.execute.engine import engine as make_engine
        from bileveldsl.execute.problem import compile_problem

        with self._timed("read"):
            program = self.model.program(**self.given)
            settings = settings_of(program, given)
        with self._timed("certify"):
            facts, findings = check_claims(program, certify(program))
        if any(finding.severity == "error" for finding in findings):
            raise BlvError(findings)
        reduced, path, invert = reduce_program(program, REDUCTIONS)
        backend, explanation = _chosen(program, reduced, facts, path, wanted)
        values = parse_options(backend.name, backend.options, backend_options(program, options, backend))
        with self._timed("compile"):
            problem = compile_problem(reduced, make_engine(engine_name(program, self.engine, backend)))
        answer = self._best(problem, backend, values, facts, settings)
        point = invert(Point({**problem.x.unpack(answer.raw.x), **problem.y.unpack(answer.raw.y)}))
        return Solution(
            model=program.name,
            status=answer.status,
            message=answer.message,
            backend=backend.name,
            backend_reason=explanation.reason,
            upper=_objective(program.upper, float(problem.F(answer.raw.x, answer.raw.y))),
            lower=tuple(_objective(level, float(problem.f(answer.raw.x, answer.raw.y))) for level in program.lower),
            values={name: value if value.ndim else float(value) for name, value in point.values.items()},
            verification=answer.verified.verification,
            path=explanation.path,
            certificates=tuple(fact.to_json() for fact in facts),
            work=Work(**{name: answer.work[name] for name in vars(Work())}),
            seconds=self.seconds,
            seed=settings["seed"],
            options={key: value for key, value in values.items() if value is not None},
            versions=_versions(problem.engine.name),
            model_sha256=model_digest(self.model),
            data_sha256=program.digests,
            axes=_axes(program),
        )

    def _best(
        self,
        problem: CompiledProblem,
        backend: Backend,
        values: Mapping[str, Any],
        facts: Sequence[Fact],
        settings: Any,
    ) -> Answer:
        """The best verified answer over all starting points; a limit or Ctrl-C ends the search."""
        begin, limit, best = time.monotonic(), settings["time_limit"], None
        with _opened(self.log) as log:
            for number, (x, y) in enumerate(starting_points(problem, settings)):
                problem.x_start, problem.y_start = x, y
                left = None if limit is None else limit - (time.monotonic() - begin)
                monitor = Monitor(settings["tol"], left, settings["seed"], log, self.progress)
                monitor.event("start", number=number, backend=backend.name)
                with self._timed("solve"):
                    raw = backend.solve(problem, values, monitor)
                work = dict(problem.work)
                value = float(problem.F(raw.x, raw.y))
                try:
                    with self._timed("verify"):
                        verified = verify_point(
                            problem, raw.x, raw.y, facts, seed=settings["seed"], tol=settings["tol"]
                        )
                except KeyboardInterrupt:
                    monitor.stopped = "interrupt"
                    raw = replace(raw, status="limit", message="interrupted before the point was verified")
                    verified = Verified(Verification(tolerance=settings["tol"]), Status.LIMIT, "nothing was measured")
                answer = Answer(raw, verified, value, work, tuple(monitor.notes))
                monitor.event("verified", status=answer.status.value, objective=value)
                problem.work.update(work)  # what the verification evaluates is no work of the backend
                if best is None or answer.rank < best.rank:
                    best = answer
                if monitor.stopped in ("time", "interrupt") or monitor.remaining <= 0:
                    break
        assert best is not None
        return replace(best, work=dict(problem.work))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin


@dataclass(frozen=True)
class Answer:
    """A backend's point with its verification."""

    raw: RawPoint
    verified: Verified
    value: float
    work: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def status(self) -> Status:
        """The verification's status; a run that was cut short is a limit unless its point is optimal all the same."""
        optimal = (Status.GLOBALLY_OPTIMAL, Status.LOCALLY_OPTIMAL)
        return (
            Status.LIMIT if self.raw.status == "limit" and self.verified.status not in optimal else self.verified.status
        )

    @property
    def message(self) -> str:
        parts = [self.verified.message, *self.notes]
        if self.raw.status != "converged":
            parts.insert(0, self.raw.message)
        return "; ".join(parts)

    @property
    def rank(self) -> tuple[int, float]:
        """Of two answers the one with the stronger status is better, then the one with the better value."""
        value = self.value if math.isfinite(self.value) else math.inf
        return STRENGTH.index(self.status), value


STRENGTH = (
    Status.GLOBALLY_OPTIMAL, Status.LOCALLY_OPTIMAL, Status.FEASIBLE, Status.STATIONARY, Status.LIMIT,
    Status.NOT_VERIFIED,
)  # fmt: skip


def _chosen(
    program: Program, reduced: Program, facts: Sequence[Fact], path: Sequence[str], wanted: str | Backend
) -> tuple[Backend, Explanation]:
    if not isinstance(wanted, str):
        objection = wanted.available() or wanted.admits(reduced, facts)
        reason = objection or "given as an object"
        explanation = Explanation(None if objection else wanted.name, reason, ("Program", *path, wanted.name), ())
        require_backend(explanation, reduced, wanted.name)
        return wanted, explanation
    name = str(program.options.get("backend", "auto")) if wanted == "auto" else wanted
    explanation = choose(reduced, facts, name, path)
    return registry.get(require_backend(explanation, reduced, name)), explanation


def _objective(level: Level, minimized: float) -> Objective:
    return Objective(level.name, level.sense, minimized if level.sense == "minimize" else -minimized)


def _axes(program: Program) -> dict[str, tuple[AxisMembers, ...]]:
    """The members along each axis of the variables over named sets."""
    found = {}
    for variable in program.variables:
        dims = variable.symbol.dims
        if any(dim.name in program.sets for dim in dims):
            members = [program.sets.get(dim.name, tuple(range(dim.size))) for dim in dims]
            found[variable.name] = tuple(AxisMembers(d.name, m) for d, m in zip(dims, members, strict=True))
    return found


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


def _versions(engine: str) -> dict[str, str]:
    """What the numbers depend on."""
    from importlib.metadata import version

    used = ["numpy", "scipy", "sympy", *(["jax"] if engine == "jax" else [])]
    return {"bileveldsl": __version__, "python": platform.python_version(), **{name: version(name) for name in used}}
