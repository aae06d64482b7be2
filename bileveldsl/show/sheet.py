"""What is shown of a program, as strings in a style: the levels, the parameters, the derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bileveldsl.calculus.derivative import gradient, jacobian
from bileveldsl.calculus.expr import Axis, Dim, Expr, Symbol, constant_value, subtract, symbols_of
from bileveldsl.program import Constraint, Level, Program, Variable
from bileveldsl.show.equations import Equation, Row, Section, for_all, written_out
from bileveldsl.show.style import AsciiStyle, bounds


@dataclass(frozen=True)
class Problem:
    """A level, or the single level of a reformulation; a follower's `names` are what it decides."""

    sense: str
    objective: Row
    domains: tuple[str, ...]
    constraints: tuple[Row, ...]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    name: str
    leader: Problem
    followers: tuple[Problem, ...]
    sections: tuple[Section, ...]


def program_sheet(program: Program, style: AsciiStyle, gradients: bool = False, hessians: bool = False) -> Sheet:
    """The program itself, its parameters, and the derivatives that are asked for."""
    leader, *followers = problems(program, style)
    sections = [_domain(program, style), parameters(program, style)]
    if gradients:
        sections += _derivatives("gradients", list(_gradients(program, style)), program, style)
    if hessians:
        sections += _derivatives("Hessians", list(_hessians(program, style)), program, style)
    return Sheet(program.name, leader, tuple(followers), tuple(sections))


def problems(program: Program, style: AsciiStyle) -> list[Problem]:
    """The levels, the leader first."""
    return [_problem(level, name, style) for level, name in zip(program.levels, _objective_names(program), strict=True)]


def _objective_names(program: Program) -> list[str]:
    """F for the leader and f for the follower, or other letters where the model uses those."""
    taken = _symbol_names(program)
    upper = next(name for name in ("F", "Phi", "F_0") if name not in taken)
    lower = next(name for name in ("f", "phi", "f_0") if name not in taken)
    return [upper, *([lower] if len(program.lower) == 1 else [f"{lower}_{level.name}" for level in program.lower])]


def names_in(program: Program) -> set[str]:
    """Every name that the display of a program gives a meaning to."""
    return _symbol_names(program).union(_objective_names(program))


def _symbol_names(program: Program) -> set[str]:
    symbols = [*program.parameters, *(variable.symbol for variable in program.variables)]
    return {symbol.name for symbol in symbols}.union(dim.name for symbol in symbols for dim in symbol.dims)


# ---- levels ---------------------------------------------------------------------------------


def _problem(level: Level, function: str, style: AsciiStyle) -> Problem:
    (objective,), _ = style.sides([level.objective], ())
    rows = [row for variable in level.variables for row in _differing_bounds(variable, style)]
    rows += [_constraint(constraint, style) for constraint in level.constraints]
    return Problem(
        level.sense,
        Row(style.name(function), "=", objective),
        tuple(style.domain(variable) for variable in level.variables),
        tuple(rows),
        tuple(style.name(variable.name) for variable in level.variables) if level.role == "lower" else (),
        tuple(_notes(level)),
    )


def _constraint(constraint: Constraint, style: AsciiStyle) -> Row:
    """The constraint as it stands, `lower <= body <= upper`."""
    sides = [e for e in (constraint.lower, constraint.body, constraint.upper) if e is not None]
    if constraint.is_equality:
        sides = sides[1:]
    texts, names = style.sides(sides, constraint.axes)
    le = style.sign("<=")
    left, relation, right = texts[0], le, texts[-1]
    if constraint.is_equality:
        relation = "="
    elif len(texts) == 3:
        left = f"{texts[0]} {le} {texts[1]}"
    elif constraint.upper is None:
        left, relation, right = right, style.sign(">="), left
    remark = for_all(constraint.axes, names, style) or (style.words(constraint.doc) if constraint.doc else "")
    return Row(left, relation, right, constraint.label, remark)


def _differing_bounds(variable: Variable, style: AsciiStyle) -> Iterator[Row]:
    """Bounds that are not the same for all elements, by their extremes."""
    sides = (("lower", ">=", variable.lower), ("upper", "<=", variable.upper))
    for (word, relation, array), shared in zip(sides, bounds(variable), strict=True):
        finite = array[np.isfinite(array)]
        if np.isinf(shared) and finite.size:
            extremes = f"from {finite.min():g} to {finite.max():g}, element by element"
            name = style.name(variable.name)
            yield Row(name, style.sign(relation), style.name(f"{variable.name}_{word}"), "", style.words(extremes))


def _notes(level: Level) -> Iterator[str]:
    for claim in level.claims:
        constant = f" with constant {float(claim.constant):g}" if claim.constant is not None else ""
        yield f"{claim.mode}d: {claim.fact.replace('_', ' ')}{constant}"
    if level.role == "lower" and level.ties == "pessimistic":
        yield "pessimistic: among several solutions, the worst for the leader counts"


def parameters(program: Program, style: AsciiStyle) -> Section:
    """The data by name and shape, scalars by value, and the sizes of index sets."""
    rows = []
    dims: dict[str, Dim] = {}
    for symbol in program.parameters:
        if symbol.dims:
            rows.append(Row(style.name(symbol.name), style.sign("in"), style.power_set(style.sign("R"), symbol.dims)))
        elif symbol.value is not None:
            rows.append(Row(style.name(symbol.name), "=", style.number(float(symbol.value))))
    for symbol in (*program.parameters, *(variable.symbol for variable in program.variables)):
        dims |= {dim.name: dim for dim in symbol.dims if dim.name.isidentifier()}
    rows += [Row(style.name(name), "=", str(dim.size)) for name, dim in dims.items()]
    return Section("parameters", tuple(rows))


def _domain(program: Program, style: AsciiStyle) -> Section:
    """Where the functions of the model are defined."""
    rows = []
    for condition in program.domain:
        (text,), names = style.sides([condition.expr], condition.expr.axes)
        relation, _, right = condition.relation.partition(" ")
        right = right.replace("-", style.sign("-"))
        rows.append(Row(text, style.sign(relation), right, "", for_all(condition.expr.axes, names, style)))
    return Section("defined where", tuple(rows))


# ---- derivatives ----------------------------------------------------------------------------


def _gradients(program: Program, style: AsciiStyle) -> Iterator[Equation]:
    for level, function in zip(program.levels, _objective_names(program), strict=True):
        functions: list[tuple[str, Expr, tuple[Axis, ...]]] = [(function, level.objective, ())]
        for constraint in level.constraints:
            bound = constraint.upper if constraint.upper is not None else constraint.lower
            assert bound is not None
            moving = any(symbol.role == "variable" for symbol in symbols_of(bound))
            body = subtract(constraint.body, bound) if moving else constraint.body
            functions.append((constraint.label, body, constraint.axes))
        for name, expr, rows in functions:
            symbols = _seen_by(level, program)
            for symbol, derivative in zip(symbols, jacobian(expr, symbols, rows), strict=True):
                left = style.gradient(style.name(name), style.name(symbol.name))
                yield Equation(left, derivative.expr, (*derivative.rows, *derivative.columns))


def _hessians(program: Program, style: AsciiStyle) -> Iterator[Equation]:
    for level, function in zip(program.levels, _objective_names(program), strict=True):
        symbols = _seen_by(level, program)
        for k, (a, slope) in enumerate(zip(symbols, gradient(level.objective, symbols), strict=True)):
            for b, derivative in zip(symbols[k:], jacobian(slope, symbols[k:], a.axes), strict=True):
                left = style.hessian(style.name(function), style.name(a.name), style.name(b.name))
                yield Equation(left, derivative.expr, (*derivative.rows, *derivative.columns))


def _seen_by(level: Level, program: Program) -> list[Symbol]:
    """The variables that the functions of a level may depend on, the leader's first."""
    levels = program.levels if level.role == "upper" else (program.upper, level)
    return [symbol for other in levels for symbol in other.symbols]


def _derivatives(title: str, equations: Sequence[Equation], program: Program, style: AsciiStyle) -> list[Section]:
    """The derivatives that are not zero."""
    shown = [equation for equation in equations if constant_value(equation.expr) != 0]
    rows, where = written_out(shown, style, names_in(program))
    note = "" if len(shown) == len(equations) else "all others are zero" if shown else "all are zero"
    return [Section(title, tuple(rows), note), Section("where", tuple(where))]
