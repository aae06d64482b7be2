"""The conformance suite for backends: run it at home on a backend of your own before you publish it.

Every problem has an answer that follows from its formulas by hand; a backend must find it for each problem that it
admits, refuse the others with a reason, stop at limits with a finite point, and repeat itself for the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bileveldsl.backend import Backend, Capabilities, Option, parse_options


@dataclass(frozen=True)
class ConformanceProblem:
    """A model with its known solution; `tolerance` is absolute, on the upper objective and each variable."""

    name: str
    text: str
    objective: float
    values: Mapping[str, Any]
    tolerance: float = 1e-4
    why: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


PROBLEMS: tuple[ConformanceProblem, ...] = (
    ConformanceProblem(
        "follower copies",
        "model copies\n"
        "upper {\n  var x in [0, 10] start 1\n  minimize (x - 3)^2 + (y - 1)^2\n}\n"
        "lower {\n  var y\n  minimize (y - x)^2\n}\n",
        2.0,
        {"x": 2.0, "y": 2.0},
        why="y = x, and (x - 3)^2 + (x - 1)^2 is least at the midpoint",
    ),
    ConformanceProblem(
        "active bound",
        "model bound\n"
        "upper {\n  var x in [0, 1] start 0.5\n  minimize (y - 3)^2\n}\n"
        "lower {\n  var y\n  minimize (y - 2*x)^2\n}\n",
        1.0,
        {"x": 1.0, "y": 2.0},
        why="y = 2x, so the leader wants x = 1.5 and is held at 1",
    ),
    ConformanceProblem(
        "maximize twice",
        "model twice\n"
        "upper {\n  var x in [0, 10] start 1\n  maximize 5 - (x - 3)^2 - (y - 1)^2\n}\n"
        "lower {\n  var y\n  maximize 7 - 3*(y - x)^2\n}\n",
        3.0,
        {"x": 2.0, "y": 2.0},
        why="the first problem turned upside down at both levels",
    ),
    ConformanceProblem(
        "matrix follower",
        "model matrix\n"
        "dim n = 3\n"
        "param Q[n, n] = [[2, 1, 0], [1, 3, 1], [0, 1, 4]]\n"
        "param t[n] = [2, -3, 1]\n"
        "param d[n] = [0, 1, 7]\n"
        "upper {\n  var x[n] start 0\n  minimize sumsq(y - t) + sumsq(x - d)\n}\n"
        "lower {\n  var y[n]\n  minimize 0.5 * dot(y, Q @ y) - dot(x, y)\n}\n",
        8.0,
        {"x": [1.0, 0.0, 7.0], "y": [1.0, -1.0, 2.0]},
        why="y = Q^-1 x, and Q^-1 (y - t) + x - d = 0 for x = Q y, x - d = (1, -1, 0), t - y = Q (x - d)",
    ),
    ConformanceProblem(
        "exponential follower",
        "model exponential\n"
        "upper {\n  var x in [0, 5] start 2\n  minimize (y - 1)^2\n}\n"
        "lower {\n  var y\n  minimize exp(y) + y^2/2 - x*y\n}\n",
        0.0,
        {"x": float(np.e + 1), "y": 1.0},
        tolerance=1e-3,
        why="exp(y) + y = x, so y = 1 needs x = e + 1; phi is flat there, which loosens x",
    ),
)

REFUSED: Mapping[str, str] = {
    "follower": (
        "model constrained\nupper {\n  var x in [0, 1]\n  minimize x + y\n}\n"
        "lower {\n  var y\n  minimize (y - x)^2\n  cap: y <= 1\n}\n"
    ),
    "upper_constraints": (
        "model coupled\nupper {\n  var x\n  minimize x^2 + y\n  cap: x + y >= 1\n}\n"
        "lower {\n  var y\n  minimize (y - x)^2\n}\n"
    ),
    "integer": (
        "model integral\nupper {\n  var x : integer in [0, 3]\n  minimize (x - y)^2\n}\n"
        "lower {\n  var y\n  minimize (y - x/2)^2\n}\n"
    ),
}
"""Models that a backend may take only when it declares the capability that they need."""


def check_declaration(backend: Backend) -> None:
    """The backend says what it is: a name, a summary, capabilities, documented options with valid defaults."""
    assert backend.name.isidentifier(), f"{backend.name!r} is no identifier"
    assert backend.summary.strip(), "the summary is empty"
    assert isinstance(backend.capabilities, Capabilities)
    for option in backend.options:
        assert isinstance(option, Option) and option.doc.strip(), f"the option {option.name} is not documented"
        option.parse(option.default)
    missing = backend.available()
    assert missing is None or missing.strip(), "say what is missing and how to get it"


def accepts(backend: Backend, problem: ConformanceProblem) -> bool:
    """Whether the backend takes a problem; some are made for other classes."""
    import bileveldsl as blv
    from bileveldsl.certify.lower_level import certify
    from bileveldsl.reduce import REDUCTIONS, reduce_program

    program = blv.loads(problem.text).program()
    reduced = reduce_program(program, REDUCTIONS, certify(program))
    return backend.admits(reduced.program, reduced.facts) is None


def check_problem(backend: Backend, problem: ConformanceProblem, engine: str = "numpy") -> None:
    """The backend finds the known answer, and the verification agrees that the follower is optimal.

    Backends that claim no more than stationarity are held to ten times the problem's tolerance.
    """
    solution = _solve(backend, problem, engine)
    assert solution.upper.objective is not None, f"{problem.name}: no point: {solution.message}"
    error = abs(float(solution.upper.objective) - problem.objective)
    tolerance = problem.tolerance * (10 if backend.capabilities.evidence == "stationary" else 1)
    assert error <= tolerance, (
        f"{problem.name}: objective {solution.upper.objective}, {problem.objective} expected"
    )
    for name, expected in problem.values.items():
        found = np.asarray(solution[name], dtype=float)
        worst = float(np.max(np.abs(found - np.asarray(expected))))
        assert worst <= 10 * tolerance, f"{problem.name}: {name} = {found}, {expected} expected"
    gap = solution.verification.lower_gap
    assert gap is not None and gap <= solution.verification.tolerance, f"{problem.name}: lower gap {gap}"


def check_refusals(backend: Backend) -> None:
    """What the backend does not declare, it refuses, with a reason; nothing is dropped in silence."""
    import bileveldsl as blv

    declared = backend.capabilities
    accepts = {
        "follower": declared.follower == "constrained",
        "upper_constraints": declared.upper_constraints,
        "integer": declared.integer,
    }
    for kind, text in REFUSED.items():
        if not accepts[kind]:
            reason = backend.admits(blv.loads(text).program(), ())
            assert reason and reason.strip(), f"{backend.name} takes a model it does not declare: {kind}"


def check_limits(backend: Backend, engine: str = "numpy") -> None:
    """Stopped at once, the backend says so and returns a finite point; a global search may have none yet."""
    solution = _solve(backend, PROBLEMS[3], engine, time_limit=0.0)
    if backend.capabilities.evidence != "global":
        assert solution.values, "no finite point"
    for value in solution.values.values():
        assert np.isfinite(np.asarray(value)).all(), "a point that is not finite"
    assert solution.status.value in ("limit", "locally_optimal", "globally_optimal"), solution.status


def check_repeats(backend: Backend, engine: str = "numpy") -> None:
    """The same seed gives the same point, to the last bit."""
    first, second = (_solve(backend, PROBLEMS[1], engine) for _ in range(2))
    for name in first.values:
        assert np.array_equal(np.asarray(first[name]), np.asarray(second[name])), f"{name} differs between two runs"


def check_all(backend: Backend) -> None:
    """Every check, on every engine that the backend declares and that is installed.

    Examples
    --------
    >>> from bileveldsl import registry, testing
    >>> testing.check_declaration(registry.get("implicit"))
    """
    check_declaration(backend)
    parse_options(backend.name, backend.options, {})
    check_refusals(backend)
    for engine in backend.capabilities.engines:
        if engine == "jax" and not _has_jax():
            continue
        taken = [problem for problem in PROBLEMS if accepts(backend, problem)]
        assert taken, f"{backend.name} takes none of the problems"
        for problem in taken:
            check_problem(backend, problem, engine)
        if PROBLEMS[1] in taken and PROBLEMS[3] in taken:
            check_limits(backend, engine)
            check_repeats(backend, engine)


def _solve(backend: Backend, problem: ConformanceProblem, engine: str, **settings: Any) -> Any:
    import bileveldsl as blv
    from bileveldsl.solve import solve_with

    return solve_with(blv.loads(problem.text), backend, options=problem.options, engine=engine, **settings)


def _has_jax() -> bool:
    from importlib.util import find_spec

    return find_spec("jax") is not None
