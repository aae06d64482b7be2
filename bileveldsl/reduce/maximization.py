"""Maximization becomes minimization of the negative, at each level on its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bileveldsl.calculus.expr import negate
from bileveldsl.program import Level, Program
from bileveldsl.reduce.base import Point


@dataclass(frozen=True)
class MaximizationToMinimization:
    """max f is -min(-f); multipliers of the turned levels change their sign."""

    name: str = "maximization to minimization"
    exact: bool = True

    def accepts(self, program: Program) -> bool:
        return any(level.sense == "maximize" for level in program.levels)

    def apply(self, program: Program) -> tuple[Program, frozenset[str]]:
        """The program with every level minimizing; the labels of the constraints whose multipliers turn."""
        turned = [level for level in program.levels if level.sense == "maximize"]
        labels = frozenset(constraint.label for level in turned for constraint in level.constraints)
        reduced = replace(program, upper=_minimizing(program.upper), lower=tuple(map(_minimizing, program.lower)))
        return reduced, labels

    def invert(self, point: Point, inverse: frozenset[str]) -> Point:
        duals = {label: -value if label in inverse else value for label, value in point.duals.items()}
        return Point(point.values, duals)


def _minimizing(level: Level) -> Level:
    if level.sense == "minimize":
        return level
    return replace(level, sense="minimize", objective=negate(level.objective))
