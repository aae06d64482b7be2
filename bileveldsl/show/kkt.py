"""The optimality conditions of the followers, in symbols."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.expr import Axis, Expr, Symbol, add, constant, contract, leaf, negate, subtract
from bileveldsl.program import Constraint, Level, Program, Variable
from bileveldsl.show.equations import Equation, Row, Section, for_all, written_out
from bileveldsl.show.sheet import Problem, Sheet, names_in, parameters, problems
from bileveldsl.show.style import AsciiStyle


@dataclass(frozen=True)
class Condition:
    """`residual = 0`, or `residual >= 0`, with its multiplier; the Lagrangian has minus their product."""

    label: str
    residual: Expr
    axes: tuple[Axis, ...]
    multiplier: Symbol
    equality: bool
    remark: str = ""


def kkt_sheet(program: Program, style: AsciiStyle) -> Sheet:
    """The leader's problem with the stationarity, feasibility and complementarity of each follower."""
    leader = problems(program, style)[0]
    domains, rows, notes = list(leader.domains), list(leader.constraints), list(leader.notes)
    stationarity: list[Equation] = []
    complementarity: list[Row] = []
    for level in program.lower:
        conditions = list(_conditions(level, style))
        stationarity += _stationarity(level, conditions)
        complementarity += [_condition_row(condition, style) for condition in conditions]
        reals = style.sign("R")
        for symbol in (*level.symbols, *(condition.multiplier for condition in conditions)):
            domains.append(f"{style.name(symbol.name)} {style.sign('in')} {style.power_set(reals, symbol.dims)}")
        notes += _notes(level)
    written, where = written_out(stationarity, style, names_in(program))
    rows += [*written, *complementarity]
    problem = Problem(leader.sense, leader.objective, tuple(domains), tuple(rows), (), tuple(notes))
    return Sheet(program.name, problem, (), (Section("where", tuple(where)), parameters(program, style)))


def _conditions(level: Level, style: AsciiStyle) -> Iterator[Condition]:
    for constraint in level.constraints:
        yield from _of_constraint(constraint, style)
    for variable in level.variables:
        yield from _of_bounds(variable, style)


def _of_constraint(constraint: Constraint, style: AsciiStyle) -> Iterator[Condition]:
    mu, free = style.multipliers
    label, axes, body = constraint.label, constraint.axes, constraint.body
    if constraint.is_equality:
        assert constraint.upper is not None
        yield Condition(label, subtract(constraint.upper, body), axes, _multiplier(free, label, axes), True)
        return
    both = constraint.lower is not None and constraint.upper is not None
    if constraint.lower is not None:
        name = f"{label}.lower" if both else label
        yield Condition(name, subtract(body, constraint.lower), axes, _multiplier(mu, name, axes), False)
    if constraint.upper is not None:
        name = f"{label}.upper" if both else label
        yield Condition(name, subtract(constraint.upper, body), axes, _multiplier(mu, name, axes), False)


def _of_bounds(variable: Variable, style: AsciiStyle) -> Iterator[Condition]:
    symbol, axes = variable.symbol, variable.symbol.axes
    for side, array in (("lower", variable.lower), ("upper", variable.upper)):
        finite = np.isfinite(array)
        if not finite.any():
            continue
        name = f"{symbol.name}.{side}"
        if len(np.unique(array)) == 1:
            bound, remark = constant(float(array.flat[0])), ""
        else:
            bound = leaf(Symbol(f"{symbol.name}_{side}", "data", symbol.dims, array), axes)
            remark = "" if finite.all() else "the multiplier is 0 where there is no bound"
        slack = subtract(leaf(symbol), bound) if side == "lower" else subtract(bound, leaf(symbol))
        yield Condition(name, slack, axes, _multiplier(style.multipliers[0], name, axes), False, remark)


def _multiplier(letter: str, label: str, axes: tuple[Axis, ...]) -> Symbol:
    return Symbol(f"{letter}_{label.replace('.', '_')}", "variable", tuple(axis.dim for axis in axes))


def _stationarity(level: Level, conditions: list[Condition]) -> Iterator[Equation]:
    """The gradient of the Lagrangian by each variable of the follower, to be zero."""
    objective = level.objective if level.sense == "minimize" else negate(level.objective)
    products = [contract([leaf(c.multiplier, c.axes), c.residual], c.axes) for c in conditions]
    lagrangian = add(objective, *(negate(product) for product in products))
    for symbol, slope in zip(level.symbols, gradient(lagrangian, level.symbols), strict=True):
        yield Equation("", slope, symbol.axes, f"stationary in {symbol.name}")


def _condition_row(condition: Condition, style: AsciiStyle) -> Row:
    """`residual = 0`, or both residual and multiplier nonnegative and one of them zero."""
    sides = [condition.residual, leaf(condition.multiplier, condition.axes)]
    (residual, multiplier), names = style.sides(sides, condition.axes)
    remark = style.words(condition.remark) if condition.remark else for_all(condition.axes, names, style)
    if condition.equality:
        return Row(residual, "=", "0", condition.label, remark)
    left, right = f"0 {style.sign('<=')} {residual}", f"{multiplier} {style.sign('>=')} 0"
    return Row(left, style.sign("perp"), right, condition.label, remark)


def _notes(level: Level) -> Iterator[str]:
    if level.sense == "maximize":
        yield f"the multipliers of {level.name} are those of the minimization of minus its objective"
    whole = [variable.name for variable in level.variables if variable.kind != "continuous"]
    if whole:
        yield f"{', '.join(whole)} taken as continuous: these conditions do not hold for integer variables"
