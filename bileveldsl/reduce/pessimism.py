"""Pessimistic ties of a linear follower: the leader counts on the worst of the follower's best answers.

For F and f affine in y and constraints with residuals r(x, y) >= 0 affine in y, the worst of the best answers is

    max F(x, z)  over z with  r(x, z) >= 0  and  f(x, z) <= f(x, y),

with y any best answer. This is a linear program in z; by its strong duality it equals

    min F(x, 0) + <u, r(x, 0)> + t (f(x, y) - f(x, 0))  over u >= 0, t >= 0 with  d/dz [F + <u, r> - t f] = 0,

which is a minimization like the leader's own, so that u and t become variables of the leader. Multipliers of equalities
are free. (Wiesemann, Tsoukalas, Kleniati, Rustem 2013 treat pessimistic problems in general.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.expr import ZERO, Expr, Symbol, add, contract, depends_on, leaf, multiply, substitute, subtract
from bileveldsl.calculus.structure import kind
from bileveldsl.certify.facts import Fact
from bileveldsl.program import Constraint, Level, Program, Variable
from bileveldsl.reduce.base import Point
from bileveldsl.reduce.conditions import conditions

LARGEST = 1000.0
"""Up to which the multipliers are searched: without bounds, global searches over their products fail. The value for a
decision of the leader can only be overstated by it, which the check of the answer notices; but better decisions may be
missed, so the rewrite is not called exact."""

WEIGHT = "best.multiplier"
"""The multiplier t of the follower's optimality."""


@dataclass(frozen=True)
class PessimisticToOptimistic:
    """One follower whose problem is linear; the leader's objective is affine in y, its constraints do not hold y."""

    name: str = f"pessimistic ties to optimistic ones by duality, multipliers up to {LARGEST:g}"
    exact: bool = False

    def accepts(self, program: Program) -> bool:
        if len(program.lower) != 1 or program.lower[0].ties != "pessimistic" or program.priced:
            return False
        return pessimism_obstacle(program) is None

    def apply(self, program: Program) -> tuple[Program, Program]:
        """The program with the multipliers as variables of the leader; the program itself, for the way back."""
        upper, (lower,) = program.upper, program.lower
        found = list(conditions(lower, lambda label, _: f"{label}.worst"))
        weight = Symbol(WEIGHT, "variable")
        products = [contract([leaf(c.multiplier, c.axes), c.residual], c.axes) for c in found]
        worst = add(upper.objective, *products, multiply(leaf(weight), subtract(ZERO, lower.objective)))
        slopes = gradient(worst, lower.symbols)
        (at_zero,) = substitute([worst], dict.fromkeys(lower.symbols, ZERO))
        stationary = tuple(
            Constraint(f"worst.{symbol.name}", slope, ZERO, ZERO, symbol.axes, upper.span)
            for symbol, slope in zip(lower.symbols, slopes, strict=True)
        )
        variables = (_multiplier(weight, False, upper), *(_multiplier(c.multiplier, c.equality, upper) for c in found))
        leader = replace(
            upper,
            variables=(*upper.variables, *variables),
            objective=add(at_zero, multiply(leaf(weight), lower.objective)),
            constraints=(*upper.constraints, *stationary),
        )
        return replace(program, upper=leader, lower=(replace(lower, ties="optimistic"),)), program

    def invert(self, point: Point, inverse: Program) -> Point:
        """The leader's decision, with the follower's best answer that is worst for the leader."""
        from bileveldsl.single_level.follower import worst_response

        upper, (lower,) = inverse.upper, inverse.lower
        values = {v.symbol: np.asarray(point.values[v.name]) for v in inverse.variables}
        answer = worst_response(inverse, values)
        named = {symbol.name: point.values[symbol.name] for symbol in upper.symbols}
        for symbol in lower.symbols:
            named[symbol.name] = point.values[symbol.name] if answer is None else answer[symbol]
        return Point(named, point.duals)

    def carry(self, point: Point, inverse: Program) -> Point:
        return point

    def facts(self, program: Program, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """The follower is the same."""
        return tuple(facts)


def pessimism_obstacle(program: Program) -> str | None:
    """None where the rewrite applies to a pessimistic follower, else what is in its way."""
    upper, (lower,) = program.upper, program.lower
    own = lower.symbols
    if any(v.kind != "continuous" for v in lower.variables):
        return "the follower has integer variables"
    if any(not _affine(part, own) for part in lower.expressions):
        return "the follower is not linear in its variables"
    if not _affine(upper.objective, own):
        return "the upper objective is not linear in the follower's variables"
    if any(depends_on(part, own) for part in upper.expressions[1:]):
        return "constraints of the upper level hold variables of the follower"
    return None


def _affine(part: Expr, symbols: tuple[Symbol, ...]) -> bool:
    return kind(part, symbols) in ("constant", "affine")


def _multiplier(symbol: Symbol, free: bool, upper: Level) -> Variable:
    low = np.full(symbol.shape, -LARGEST if free else 0.0)
    return Variable(symbol, low, np.full(symbol.shape, LARGEST), None, upper.span)
