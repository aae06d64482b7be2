"""A stored solution, checked against the model anew."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bileveldsl.solution import Solution
from bileveldsl.verify.objectives import objective_values, stored_duals, symbol_values
from bileveldsl.verify.point import verify_point

if TYPE_CHECKING:
    from bileveldsl.model import Model
    from bileveldsl.program import Program


def verify_solution(
    model: Model,
    stored: Mapping[str, Any],
    *,
    set: Mapping[str, Any] | None = None,
    data: Sequence[Path] = (),
    seed: int = 0,
    tol: float = 1e-6,
) -> Solution:
    """A stored solution, checked anew: status, message, objectives and verification are those measured now.

    Parameters
    ----------
    model
        The model that the solution is of.
    stored
        The solution object of `Solution.to_json`; its values are used, its claims and its tolerance are not.
    set, data
        Values that replace parameters, as for `solve`.
    tol
        The tolerance of gap, violation and hyper-gradient norm.

    Raises
    ------
    BlvError
        E63x for an object that is no solution of this model.
    """
    from bileveldsl.execute.engine import engine
    from bileveldsl.execute.problem import compile_problem
    from bileveldsl.inputs import packed, parameter_values
    from bileveldsl.known import known_facts
    from bileveldsl.reduce import REDUCTIONS, Point, reduce_program

    solution = Solution.from_json(stored)
    program = model.program(**parameter_values(model, set or {}, data))
    known = known_facts(model, program)
    if known.interrupted:
        raise KeyboardInterrupt
    facts = known.facts
    reduced = reduce_program(program, REDUCTIONS, facts)
    problem = compile_problem(reduced.program, engine("numpy"), reduced.facts)
    x, y = packed(problem.x, solution), packed(problem.y, solution)
    duals = stored_duals(program, solution)
    found = verify_point(problem, x, y, reduced.facts, seed=seed, tol=tol, duals=reduced.carry(Point({}, duals)).duals)
    changed = _changed(model, program, solution)
    values = symbol_values(program, {**problem.x.unpack(x), **problem.y.unpack(y)}, duals)
    objectives = objective_values(program, values)
    return replace(
        solution,
        status=found.status,
        message="; ".join([found.message, *changed]),
        upper=objectives[0],
        lower=objectives[1:],
        verification=found.verification,
        certificates=tuple(fact.to_json() for fact in facts),
    )


def model_digest(model: Model) -> str:
    """The sha256 of a model's canonical text, which comments and spacing do not change."""
    return hashlib.sha256(model.to_blv().encode()).hexdigest()


def _changed(model: Model, program: Program, solution: Solution) -> list[str]:
    """What is not as it was when the solution was stored."""
    notes = [] if solution.model_sha256 == model_digest(model) else ["the model has changed since it was solved"]
    files = [name for name, digest in program.digests.items() if solution.data_sha256.get(name, digest) != digest]
    return [*notes, *(f"{name} has changed since it was solved" for name in files)]
