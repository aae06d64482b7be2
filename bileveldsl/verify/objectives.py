"""Objective values at a point, in the user's own senses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Symbol
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.solution import Objective, Solution

if TYPE_CHECKING:
    from bileveldsl.program import Program


def symbol_values(
    program: Program, values: Mapping[str, np.ndarray], duals: Mapping[str, np.ndarray]
) -> dict[Symbol, np.ndarray]:
    """Values by the symbols of variables and of duals, from those by name and by label."""
    found = {variable.symbol: np.asarray(values[variable.name], dtype=float) for variable in program.variables}
    for level in program.lower:
        for constraint in level.constraints:
            if constraint.dual is not None and constraint.label in duals:
                found[constraint.dual] = np.asarray(duals[constraint.label], dtype=float)
    return found


def objective_values(program: Program, values: Mapping[Symbol, np.ndarray]) -> tuple[Objective, ...]:
    """The objective of each level, the upper first."""
    with np.errstate(all="ignore"):
        return tuple(
            Objective(level.name, level.sense, float(evaluate(level.objective, values))) for level in program.levels
        )


def stored_duals(program: Program, solution: Solution) -> dict[str, np.ndarray]:
    """The duals of a stored solution that fit the program; E635 where one that the upper level uses does not."""
    found = {}
    for level in program.lower:
        for constraint in level.constraints:
            shape = tuple(axis.size for axis in constraint.axes)
            value = np.asarray(solution.duals.get(constraint.label, np.nan), dtype=float)
            if value.shape == shape and np.isfinite(value).all():
                found[constraint.label] = value
            elif constraint.dual in program.priced:
                text = f"the solution has no dual of {constraint.label} of shape {shape}"
                raise BlvError([Diagnostic("E635", text, help="give a solution of the same model")])
    return found
