"""The optimality conditions of the followers, in symbols."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bileveldsl.calculus.expr import leaf
from bileveldsl.program import Constraint, Level, Program
from bileveldsl.reduce.conditions import Condition, Naming, conditions, stationarity
from bileveldsl.show.equations import Equation, Row, Section, for_all, written_out
from bileveldsl.show.sheet import Problem, Sheet, names_in, parameters, problems
from bileveldsl.show.style import AsciiStyle


def kkt_sheet(program: Program, style: AsciiStyle) -> Sheet:
    """The leader's problem with the stationarity, feasibility and complementarity of each follower."""
    leader = problems(program, style)[0]
    domains, rows, notes = list(leader.domains), list(leader.constraints), list(leader.notes)
    stationary: list[Equation] = []
    complementarity: list[Row] = []
    for level in program.lower:
        found = list(conditions(level, _named(style), every_element=True))
        stationary += _stationarity(level, found)
        complementarity += [_condition_row(condition, style) for condition in found]
        reals = style.sign("R")
        for symbol in (*level.symbols, *(condition.multiplier for condition in found)):
            domains.append(f"{style.name(symbol.name)} {style.sign('in')} {style.power_set(reals, symbol.dims)}")
        notes += _notes(level)
    written, where = written_out(stationary, style, names_in(program))
    rows += [*written, *complementarity]
    problem = Problem(leader.sense, leader.objective, tuple(domains), tuple(rows), (), tuple(notes))
    return Sheet(program.name, problem, (), (Section("where", tuple(where)), parameters(program, style)))


def _named(style: AsciiStyle) -> Naming:
    """Multipliers of equalities and of inequalities have different letters."""
    mu, free = style.multipliers
    return lambda label, equality: f"{free if equality else mu}_{label.replace('.', '_')}"


def _stationarity(level: Level, found: list[Condition]) -> Iterator[Equation]:
    """The gradient of the Lagrangian by each variable of the follower, to be zero."""
    for symbol, slope in zip(level.symbols, stationarity(level, found), strict=True):
        yield Equation("", slope, symbol.axes, f"stationary in {symbol.name}")


def _condition_row(condition: Condition, style: AsciiStyle) -> Row:
    """`residual = 0`, or both residual and multiplier nonnegative and one of them zero."""
    sides = [condition.residual, leaf(condition.multiplier, condition.axes)]
    (residual, multiplier), names = style.sides(sides, condition.axes)
    remark = style.words(_missing(condition)) if _missing(condition) else for_all(condition.axes, names, style)
    if condition.equality:
        return Row(residual, "=", "0", condition.label, remark)
    left, right = f"0 {style.sign('<=')} {residual}", f"{multiplier} {style.sign('>=')} 0"
    return Row(left, style.sign("perp"), right, condition.label, remark)


def _missing(condition: Condition) -> str:
    """What to say of a bound that some elements lack."""
    if isinstance(condition.of, Constraint):
        return ""
    bounds = condition.of.lower if condition.sign > 0 else condition.of.upper
    return "" if np.isfinite(bounds).all() else "the multiplier is 0 where there is no bound"


def _notes(level: Level) -> Iterator[str]:
    if level.sense == "maximize":
        yield f"the multipliers of {level.name} are those of the minimization of minus its objective"
    whole = [variable.name for variable in level.variables if variable.kind != "continuous"]
    if whole:
        yield f"{', '.join(whole)} taken as continuous: these conditions do not hold for integer variables"
