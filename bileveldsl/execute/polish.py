"""The follower's own answer to a method's last x, which is what a backend reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from bileveldsl.backend import RawPoint
from bileveldsl.execute.namespace import Array
from bileveldsl.execute.oracles import Oracles
from bileveldsl.execute.problem import CompiledProblem


class Answer(Protocol):
    """A way to solve the follower's problem; equal ones are compiled once."""

    def __hash__(self) -> int: ...

    def __call__(
        self, problem: CompiledProblem, oracles: Oracles, x: Array, y: Array
    ) -> tuple[Array, Mapping[str, Any]]:
        """The answer to x near y, and the calls for it by the names of `CompiledProblem.work`; traceable by JAX."""


def polished(problem: CompiledProblem, result: RawPoint, answer: Answer) -> RawPoint:
    """The same x with the follower's answer, whose calls are counted; y stays where it has none."""
    engine = problem.engine
    if answer not in problem.compiled:
        problem.compiled[answer] = engine.jit(lambda constants, x, y: answer(problem, problem.bind(constants), x, y))
    found, calls = problem.compiled[answer](
        problem.constants.arrays, engine.asarray(result.x), engine.asarray(result.y)
    )
    problem.count(**{name: int(number) for name, number in calls.items()})
    y = np.array(found, dtype=float)
    return replace(result, y=y if np.isfinite(y).all() else result.y)
