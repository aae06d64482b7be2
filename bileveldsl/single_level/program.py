"""A program of one level, possibly with complementarities, and the answer of a solver to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Axis, Expr, Symbol
from bileveldsl.program import Constraint, Variable


@dataclass(frozen=True, eq=False)
class Complementarity:
    """`slack >= 0`, `multiplier >= 0`, and one of the two zero, for every element of the multiplier.

    `slack` may lack labels of `axes`, which are those of the multiplier's symbol, in order.
    """

    label: str
    slack: Expr
    multiplier: Variable

    @property
    def axes(self) -> tuple[Axis, ...]:
        return self.multiplier.symbol.axes


@dataclass(frozen=True, eq=False)
class SingleLevel:
    """Minimize `objective` over `variables` subject to their bounds and kinds, constraints and complementarities.

    The multipliers of the complementarities are among the variables. Every other variable that occurs has its value
    in `fixed`.
    """

    variables: tuple[Variable, ...]
    objective: Expr
    constraints: tuple[Constraint, ...] = ()
    complementarities: tuple[Complementarity, ...] = ()
    fixed: Mapping[Symbol, np.ndarray] = field(default_factory=dict)

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        return tuple(variable.symbol for variable in self.variables)

    def violation(self, values: Mapping[Symbol, np.ndarray]) -> float:
        """The largest violation of a bound or a constraint at a point; complementarities are not looked at."""
        known = {**self.fixed, **values}
        worst = [bound_violation(values[v.symbol], v.lower, v.upper) for v in self.variables]
        worst += [constraint_violation(constraint, known) for constraint in self.constraints]
        return max(worst, default=0.0)


@dataclass(frozen=True)
class Answer:
    """What a solver of single-level programs returns; `bound` is below every feasible value of the objective.

    `duals` are multipliers of the constraints by label: the derivative of the optimal value with respect to the
    right-hand side, where the solver gives them.
    """

    status: Literal["optimal", "infeasible", "unbounded", "limit", "failed", "lower_unbounded", "lower_infeasible"]
    message: str = ""
    values: Mapping[Symbol, np.ndarray] | None = None
    objective: float = math.inf
    bound: float = -math.inf
    duals: Mapping[str, np.ndarray] = field(default_factory=dict)


def bound_violation(value: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """By how much a value lies outside its bounds, at most over its elements."""
    return float(max(np.max(lower - value, initial=0.0), np.max(value - upper, initial=0.0)))


def constraint_violation(constraint: Constraint, values: Mapping[Symbol, np.ndarray]) -> float:
    """By how much the worst member of a constraint is violated; not a number where it has no value."""
    body = evaluate(constraint.body, values, constraint.axes)
    worst = 0.0
    for side, sign in ((constraint.lower, 1.0), (constraint.upper, -1.0)):
        if side is not None:
            excess = sign * (evaluate(side, values, constraint.axes) - body)
            worst = max(worst, float(np.max(excess, initial=0.0))) if not np.isnan(excess).any() else math.nan
    return worst
