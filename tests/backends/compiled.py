"""Compiled models for tests of backends, and runs of a backend on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bileveldsl import Model
from bileveldsl.backend import Backend, RawPoint, parse_options
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import Engine, numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import CompiledProblem, compile_problem


def problem_of(model: Model, engine: Engine | None = None, facts: Iterable[Fact] = ()) -> CompiledProblem:
    return compile_problem(model.program(), engine or numpy_engine(), facts)


def certified(model: Model) -> CompiledProblem:
    """With what can be proved of the follower."""
    program = model.program()
    return compile_problem(program, numpy_engine(), check_claims(program, certify(program))[0])


def runner(backend: Backend) -> Callable[..., RawPoint]:
    """A run of the backend with some of its options given: (problem, monitor, **options) to a point."""

    def run(problem: CompiledProblem, monitor: Monitor | None = None, **options: Any) -> RawPoint:
        return backend.solve(problem, parse_options(backend.name, backend.options, options), monitor or Monitor())

    return run
