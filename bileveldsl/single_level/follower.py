"""The follower's problem for a fixed leader, and the leader's among the follower's best answers, as single levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bileveldsl.calculus.expr import Symbol, constant, multiply, negate
from bileveldsl.program import Constraint, Level, Program
from bileveldsl.single_level.program import SingleLevel

BEST = "best answer"
"""The label of the row that keeps the follower at its minimum."""


def follower_problem(lower: Level, values: Mapping[Symbol, np.ndarray]) -> SingleLevel:
    """min over y of f(x, y) within the follower's constraints, for the leader's values."""
    fixed = {symbol: value for symbol, value in values.items() if symbol not in lower.symbols}
    return SingleLevel(lower.variables, lower.objective, lower.constraints, (), fixed)


def best_response(
    program: Program,
    values: Mapping[Symbol, np.ndarray],
    most: float,
    within: SingleLevel | None = None,
    scale: float = 1.0,
) -> SingleLevel:
    """min F over the feasible answers of the follower with f(x, y) at most `most`.

    This is what the leader gets under optimistic ties when `most` is the follower's minimum. `within` is a program
    over both levels, the high point by default, that holds every answer of the follower and perhaps conditions of its
    optimality; `scale` multiplies the row f(x, y) <= most, of which solvers keep an absolute tolerance.
    """
    upper, (lower,) = program.upper, program.lower
    whole = within or high_point(program)
    fixed = {symbol: values[symbol] for symbol in upper.symbols}
    variables = tuple(v for v in whole.variables if v.symbol not in fixed)
    worth = multiply(constant(scale), lower.objective)
    optimal = Constraint(BEST, worth, None, constant(scale * most), (), lower.objective_span)
    return SingleLevel(variables, whole.objective, (*whole.constraints, optimal), whole.complementarities, fixed)


def high_point(program: Program) -> SingleLevel:
    """The leader's problem with the follower's constraints but without its objective: a relaxation."""
    upper, (lower,) = program.upper, program.lower
    return SingleLevel(
        (*upper.variables, *lower.variables), upper.objective, (*upper.constraints, *lower.constraints)
    )


def worst_response(program: Program, values: Mapping[Symbol, np.ndarray]) -> Mapping[Symbol, np.ndarray] | None:
    """Of the best answers of a linear follower to the leader's decision that which is worst for the leader."""
    from bileveldsl.single_level import highs

    best = highs.solve(follower_problem(program.lower[0], values))
    if best.values is None:
        return None
    among = best_response(program, values, best.objective + 1e-12 * (1 + abs(best.objective)))
    return highs.solve(replace(among, objective=negate(among.objective))).values
