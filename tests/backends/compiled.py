"""Compiled models for tests of backends, and the toy of the value-function penalty (methods of Shen and Chen, 2023)."""

from __future__ import annotations

from collections.abc import Iterable

from bileveldsl import Model
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import Engine, numpy_engine
from bileveldsl.execute.problem import CompiledProblem, compile_problem

PBGD = """model pbgd
upper {{ var x in [0, 3] start {}; minimize cos(4*y + 2) / (1 + exp(2 - 4*x)) + 0.5*log((4*x - 2)^2 + 1) }}
lower {{ var y start {}; minimize (x + y)^2 + x*sin(x + y)^2 }}
"""
MINIMA = {0.3824: 0.4427, 1.2152: 0.1999, 2.8296: 1.2435}
"""x and value of the local minima of its phi."""


def problem_of(model: Model, engine: Engine | None = None, facts: Iterable[Fact] = ()) -> CompiledProblem:
    return compile_problem(model.program(), engine or numpy_engine(), facts)


def certified(model: Model) -> CompiledProblem:
    """With what can be proved of the follower."""
    program = model.program()
    return compile_problem(program, numpy_engine(), check_claims(program, certify(program))[0])
