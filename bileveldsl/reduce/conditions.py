"""The optimality conditions of a follower, one for each side of each constraint and bound, in symbols.

The Lagrangian is f minus the sum of multipliers times residuals, f minimized; residuals of inequalities and their
multipliers are nonnegative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.expr import (
    Axis,
    Dim,
    Expr,
    IndexMap,
    Symbol,
    add,
    constant,
    contract,
    depends_on,
    distinct_axes,
    leaf,
    multiply,
    negate,
    select,
    subtract,
    symbols_of,
)
from bileveldsl.program import Constraint, Level, Variable


@dataclass(frozen=True)
class Condition:
    """`residual = 0`, or `residual >= 0`, over `axes`, with its multiplier.

    `sign` is the multiplier's share in the dual of the constraint `of`: +1, or -1 for the upper side.
    """

    label: str
    residual: Expr
    axes: tuple[Axis, ...]
    multiplier: Symbol
    equality: bool
    of: Constraint | Variable
    sign: int = 1


Naming = Callable[[str, bool], str]
"""The name of the multiplier of a condition with this label, which is an equality or not."""


def conditions(level: Level, name: Naming, every_element: bool = False) -> Iterator[Condition]:
    """Those of the constraints that hold variables of the level, then those of the bounds that there are.

    Where only some elements of a variable have a bound, the condition is about these, unless `every_element` asks for
    all, with residuals that are infinite where there is none.
    """
    for constraint in level.constraints:
        if any(depends_on(part, level.symbols) for part in constraint.parts):
            yield from _of_constraint(constraint, name)
    for variable in level.variables:
        yield from _of_bounds(variable, name, every_element)


def _of_constraint(constraint: Constraint, name: Naming) -> Iterator[Condition]:
    label, axes, body = constraint.label, constraint.axes, constraint.body
    low, high = constraint.lower, constraint.upper
    if constraint.is_equality:
        assert high is not None
        multiplier = _symbol(name(label, True), axes)
        yield Condition(label, subtract(body, high), axes, multiplier, True, constraint)
        return
    both = low is not None and high is not None
    if low is not None:
        side = f"{label}.lower" if both else label
        yield Condition(side, subtract(body, low), axes, _symbol(name(side, False), axes), False, constraint)
    if high is not None:
        side = f"{label}.upper" if both else label
        yield Condition(side, subtract(high, body), axes, _symbol(name(side, False), axes), False, constraint, -1)


def _of_bounds(variable: Variable, name: Naming, every_element: bool) -> Iterator[Condition]:
    symbol = variable.symbol
    for side, bounds, sign in (("lower", variable.lower, 1), ("upper", variable.upper, -1)):
        finite = np.isfinite(bounds)
        if not finite.any():
            continue
        label = f"{symbol.name}.{side}"
        if finite.all() or every_element:
            value, axes, kept = leaf(symbol), symbol.axes, bounds
        else:
            (along,) = distinct_axes([Dim(f"{symbol.name} bounded {_WORD[side]}", int(finite.sum()))])
            positions = [IndexMap.of(p) for p in np.nonzero(finite)]
            value = select(leaf(symbol), list(zip(symbol.axes, positions, strict=True)), along)
            axes, kept = (along,), bounds[finite]
        dims = tuple(axis.dim for axis in axes)
        if kept.size and (kept == kept.flat[0]).all():
            bound = constant(float(kept.flat[0]))
        else:
            bound = leaf(Symbol(f"{symbol.name}_{side}", "data", dims, kept), axes)
        residual = subtract(value, bound) if sign > 0 else subtract(bound, value)
        yield Condition(label, residual, axes, _symbol(name(label, False), axes), False, variable, sign)


_WORD = {"lower": "below", "upper": "above"}


def _symbol(name: str, axes: Sequence[Axis]) -> Symbol:
    return Symbol(name, "variable", tuple(axis.dim for axis in axes))


def stationarity(level: Level, found: Sequence[Condition]) -> list[Expr]:
    """The gradient of the Lagrangian by each variable of the follower, over the variable's labels.

    Each term is differentiated by itself: together, many scalar ones would be one long function.
    """
    objective = level.objective if level.sense == "minimize" else negate(level.objective)
    parts = {symbol: [slope] for symbol, slope in zip(level.symbols, gradient(objective, level.symbols), strict=True)}
    for c in found:
        product = negate(contract([leaf(c.multiplier, c.axes), c.residual], c.axes))
        own = [symbol for symbol in symbols_of(product) if symbol in parts]
        for symbol, slope in zip(own, gradient(product, own), strict=True):
            parts[symbol].append(slope)
    return [add(*parts[symbol]) for symbol in level.symbols]


def dual(constraint: Constraint, found: Sequence[Condition]) -> Expr:
    """The dual of a constraint from the multipliers of its sides, over the constraint's labels."""
    parts = [multiply(constant(c.sign), leaf(c.multiplier, c.axes)) for c in found if c.of is constraint]
    return add(*parts) if parts else constant(0)
