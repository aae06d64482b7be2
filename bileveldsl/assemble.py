"""The solution put together: the point in the user's names and senses, with what is known and how it was found."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from bileveldsl import __version__
from bileveldsl.answer import Answer, Candidate
from bileveldsl.choose import Explanation
from bileveldsl.program import Program
from bileveldsl.reduce import Point, Reduced
from bileveldsl.solution import AxisMembers, Objective, Solution, Status, Verification, Work
from bileveldsl.verify.objectives import objective_values, symbol_values

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact


def solution_of(
    program: Program,
    reduced: Reduced,
    facts: Sequence[Fact],
    explanation: Explanation,
    best: Candidate,
    tried: Sequence[str],
) -> Solution:
    """The answer in the user's names and senses; `tried` tells what other backends came to."""
    answer, problem, backend = best.answer, best.problem, best.backend
    point = Point({}, {})
    upper, *lower = (Objective(level.name, level.sense, None) for level in program.levels)
    if answer.has_point:
        raw = Point({**problem.x.unpack(answer.raw.x), **problem.y.unpack(answer.raw.y)}, answer.raw.duals)
        point = reduced.invert(raw)
        upper, *lower = objective_values(program, symbol_values(program, point.values, point.duals))
    status, message = answer.status, answer.message
    verification = in_sense(answer.verified.verification, program.upper.sense)
    if reduced.inexact:
        verification = replace(verification, global_bound=None, global_gap=None)
    if status in OPTIMAL and reduced.inexact:
        status = Status.FEASIBLE
        message += f"; optimal up to what this rewrite leaves out: {', '.join(reduced.inexact)}"
    if status in OPTIMAL and _differs(upper, answer):
        status = Status.FEASIBLE
        message += "; the optimal value is approached near this point, but not attained at it"
    reason = explanation.reason if explanation.backend == backend.name else f"after {explanation.backend}"
    return Solution(
        model=program.name,
        status=status,
        message="; ".join([message, *tried]),
        backend=backend.name,
        backend_reason=reason,
        upper=upper,
        lower=tuple(lower),
        values=plain(point.values),
        verification=verification,
        path=(*explanation.path[: len(reduced.path) + 1], backend.name),
        duals=plain(point.duals),
        certificates=tuple(fact.to_json() for fact in facts),
        work=Work(**{name: answer.work[name] for name in vars(Work())}),
        options={key: value for key, value in best.values.items() if value is not None},
        versions=versions_of(problem.engine.name, backend.name),
        data_sha256=program.digests,
        axes=axes_of(program),
    )


OPTIMAL = (Status.GLOBALLY_OPTIMAL, Status.LOCALLY_OPTIMAL)


def _differs(upper: Objective, answer: Answer) -> bool:
    """Whether the user's problem has another value at the point than the rewritten one, as at a jump of pessimism."""
    rewritten = answer.verified.objective * (1 if upper.sense == "minimize" else -1)
    assert upper.objective is not None
    return abs(upper.objective - rewritten) > answer.verified.verification.tolerance * (1 + abs(rewritten))


def in_sense(verification: Verification, sense: str) -> Verification:
    """The bound in the user's own sense."""
    if sense == "minimize" or verification.global_bound is None:
        return verification
    return replace(verification, global_bound=-verification.global_bound)


def plain(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Scalars as floats; zero has no sign."""
    return {name: value + 0.0 if np.ndim(value) else float(value) + 0.0 for name, value in values.items()}


def axes_of(program: Program) -> dict[str, tuple[AxisMembers, ...]]:
    """The members along each axis of the variables and of the followers' constraints over named sets."""
    found = {}
    for variable in program.variables:
        dims = variable.symbol.dims
        if any(dim.name in program.sets for dim in dims):
            members = [program.sets.get(dim.name, tuple(range(dim.size))) for dim in dims]
            found[variable.name] = tuple(AxisMembers(d.name, m) for d, m in zip(dims, members, strict=True))
    for level in program.lower:
        for constraint in level.constraints:
            if any(axis.dim.name in program.sets for axis in constraint.axes):
                dims = tuple(axis.dim for axis in constraint.axes)
                members = [program.sets.get(dim.name, tuple(range(dim.size))) for dim in dims]
                found[constraint.label] = tuple(AxisMembers(d.name, m) for d, m in zip(dims, members, strict=True))
    return found


SOLVERS = {"scip": ("pyscipopt",), "milp": ("highspy",), "kkt": ("cyipopt-wheels",)}


def versions_of(engine: str, backend: str) -> dict[str, str]:
    """What the numbers depend on."""
    used = ["numpy", "scipy", "sympy", *(["jax"] if engine == "jax" else [])]
    for name in SOLVERS.get(backend, ()):
        with suppress(PackageNotFoundError):
            version(name)
            used.append(name)
    return {"bileveldsl": __version__, "python": platform.python_version(), **{name: version(name) for name in used}}
