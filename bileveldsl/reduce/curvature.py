"""Second-order conditions of a follower, one variable at a time.

At a minimum, a variable that no active constraint holds may move both ways, so that the second derivative by it is not
negative. This tells minima from the other points at which first-order conditions hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus import functions
from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.expr import (
    Axis,
    Expr,
    IndexMap,
    Map,
    Reduce,
    negate,
    select,
    topological,
)
from bileveldsl.program import Level
from bileveldsl.reduce.conditions import conditions
from bileveldsl.single_level.pattern import pattern

LARGEST = 40
"""Elements of the follower's variables up to which the conditions are written."""


def curvature(lower: Level) -> Iterator[tuple[Expr, list[Expr]]]:
    """Pairs of an expression and others: at every answer of the follower the first is <= 0, or another is >= 0.

    Parameters
    ----------
    lower
        A follower without integer variables that minimizes. Elements whose second derivative is not known to be
        defined everywhere, or that an equation holds, are left out.
    """
    if sum(int(np.prod(symbol.shape)) for symbol in lower.symbols) > LARGEST:
        return
    found = list(conditions(lower, lambda label, _: label))
    holds = pattern([(c.residual, c.axes) for c in found], lower.symbols).toarray() > 0
    rows = [(c, place) for c in found for place in np.ndindex(*(axis.size for axis in c.axes))]
    column = 0
    for symbol, slope in zip(lower.symbols, gradient(lower.objective, lower.symbols), strict=True):
        for place in np.ndindex(*symbol.shape):
            held = [rows[k] for k in np.flatnonzero(holds[:, column])]
            column += 1
            (second,) = gradient(member(slope, symbol.axes, place), [symbol])
            second = member(second, symbol.axes, place)
            if any(c.equality for c, _ in held) or not is_entire(second):
                continue
            yield negate(second), [negate(member(c.residual, c.axes, at)) for c, at in held]


def member(expr: Expr, axes: Sequence[Axis], place: Sequence[int]) -> Expr:
    """One element of an expression over `axes`."""
    return select(expr, [(axis, IndexMap.of(int(k))) for axis, k in zip(axes, place, strict=True)])


def is_entire(expr: Expr) -> bool:
    """Whether an expression is known to have a value, and derivatives of all orders, for every value of its symbols."""
    return _made_of(expr, ENTIRE)


def is_defined(expr: Expr) -> bool:
    """Whether an expression is known to have a value for every value of its symbols."""
    return _made_of(expr, (*ENTIRE, *KINKED))


ENTIRE = (sympy.Add, sympy.Mul, sympy.exp, sympy.sin, sympy.cos)
KINKED = (sympy.Abs, functions.maximum, functions.minimum)


def _made_of(expr: Expr, allowed: tuple[Any, ...]) -> bool:
    nodes = topological([expr])
    return all(not isinstance(n, Reduce) and (not isinstance(n, Map) or _is_of(n.fn, allowed)) for n in nodes)


def _is_of(fn: Any, allowed: tuple[Any, ...]) -> bool:
    if fn.is_Symbol or fn.is_number:
        return True
    if fn.is_Pow and not isinstance(fn, sympy.exp):
        return bool(fn.exp.is_Integer and fn.exp >= 0) and _is_of(fn.base, allowed)
    return isinstance(fn, allowed) and all(_is_of(part, allowed) for part in fn.args)
