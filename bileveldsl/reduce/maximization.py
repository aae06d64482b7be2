"""Maximization becomes minimization of the negative, at each level on its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bileveldsl.calculus.expr import Expr, Symbol, leaf, negate, substitute, symbols_of
from bileveldsl.certify.facts import Fact
from bileveldsl.program import Level, Program
from bileveldsl.reduce.base import Point


@dataclass(frozen=True)
class MaximizationToMinimization:
    """max f is -min(-f); duals of the turned followers change their sign."""

    name: str = "maximization to minimization"
    exact: bool = True

    def accepts(self, program: Program) -> bool:
        return any(level.sense == "maximize" for level in program.levels)

    def apply(self, program: Program) -> tuple[Program, frozenset[str]]:
        """The program with every level minimizing; the labels of the constraints whose multipliers turn."""
        turned = [level for level in program.levels if level.sense == "maximize"]
        labels = frozenset(constraint.label for level in turned for constraint in level.constraints)
        upper, lower = _minimizing(program.upper), tuple(map(_minimizing, program.lower))
        prices = {dual: negate(leaf(dual)) for level in program.lower if level in turned for dual in level.duals}
        return replace(program, upper=_substituted(upper, prices), lower=lower), labels

    def invert(self, point: Point, inverse: frozenset[str]) -> Point:
        duals = {label: -value if label in inverse else value for label, value in point.duals.items()}
        return Point(point.values, duals)

    def carry(self, point: Point, inverse: frozenset[str]) -> Point:
        """Turning signs undoes itself."""
        return self.invert(point, inverse)

    def facts(self, program: Program, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """The same: facts are about objectives as they are minimized."""
        return tuple(facts)


def _minimizing(level: Level) -> Level:
    if level.sense == "minimize":
        return level
    return replace(level, sense="minimize", objective=negate(level.objective))


def _substituted(level: Level, values: Mapping[Symbol, Expr]) -> Level:
    """The level with symbols replaced in its objective and constraints."""
    if symbols_of(*level.expressions).isdisjoint(values):
        return level
    (objective,) = substitute([level.objective], values)
    return replace(level, objective=objective, constraints=tuple(c.substituted(values) for c in level.constraints))
