"""The follower's problem replaced by its Karush-Kuhn-Tucker conditions: a single-level program with complementarities.

Where the follower is convex, the conditions are sufficient. Where all its constraints are affine in its own variables
they are necessary at every local minimum, convex or not; otherwise that takes a constraint qualification.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.expr import ONE, ZERO, Expr, Symbol, add, constant, contract, leaf, multiply, substitute
from bileveldsl.calculus.structure import kind
from bileveldsl.certify.facts import Fact
from bileveldsl.program import Constraint, Level, Program, Variable
from bileveldsl.reduce.conditions import Condition, conditions, dual, stationarity
from bileveldsl.single_level.program import Complementarity, SingleLevel


@dataclass(frozen=True, eq=False)
class KktForm:
    """The single-level program, and the duals of the follower's constraints as expressions in its multipliers."""

    program: SingleLevel
    duals: dict[Symbol, Expr]
    necessary: str | None
    """Why the conditions hold at every answer of the follower, or None where that is not known."""
    sufficient: str | None
    """Why a point that satisfies them is optimal for the follower, or None where that is not known."""

    @property
    def exact(self) -> bool:
        return self.necessary is not None and self.sufficient is not None


def kkt_form(program: Program, facts: Iterable[Fact]) -> KktForm:
    """The leader's problem over both levels' variables and the multipliers; the same object for the same program.

    Parameters
    ----------
    program
        With one follower, both levels minimizing, as the reductions leave it.
    facts
        What is known of the follower.
    """
    return _kkt_form(program, _sufficient(program.lower[0], facts))


@functools.lru_cache(maxsize=8)
def _kkt_form(program: Program, sufficient: str | None) -> KktForm:
    upper, (lower,) = program.upper, program.lower
    found = list(conditions(lower, lambda label, _: f"{label}.multiplier"))
    multipliers = {c.label: _multiplier(c, lower) for c in found}
    duals = {c.dual: dual(c, found) for c in lower.constraints if c.dual is not None}
    used = {symbol: expr for symbol, expr in duals.items() if symbol in program.priced}
    stationary = [
        Constraint(f"stationary.{symbol.name}", slope, ZERO, ZERO, symbol.axes, lower.span)
        for symbol, slope in zip(lower.symbols, stationarity(lower, found), strict=True)
    ]
    (objective,) = substitute([upper.objective], used)
    single = SingleLevel(
        (*upper.variables, *lower.variables, *multipliers.values()),
        objective,
        (*(c.substituted(used) for c in upper.constraints), *lower.constraints, *stationary),
        tuple(Complementarity(c.label, c.residual, multipliers[c.label]) for c in found if not c.equality),
    )
    return KktForm(single, duals, _necessary(lower), sufficient)


def fritz_john_form(program: Program) -> SingleLevel:
    """The leader's problem with the Fritz John conditions of the follower, which hold at each of its local minima.

    They need no constraint qualification: the gradient of the objective has a multiplier, too, and all multipliers
    are nonnegative and sum to one, those of equalities as differences of two (Mangasarian, Fromovitz 1967). A
    relaxation: points may satisfy them that are not optimal for the follower.
    """
    upper, (lower,) = program.upper, program.lower
    assert not program.priced
    found = list(conditions(lower, lambda label, _: f"{label}.multiplier"))
    weight = Symbol("objective.multiplier", "variable")
    signed: dict[str, list[Variable]] = {}
    products, total = [multiply(leaf(weight), lower.objective)], [leaf(weight)]
    for condition in found:
        names = ("plus", "minus") if condition.equality else ("",)
        signed[condition.label] = [_share(condition, name, lower) for name in names]
        for variable, sign in zip(signed[condition.label], (-1, 1), strict=False):
            share = leaf(variable.symbol, condition.axes)
            products.append(multiply(constant(sign), contract([share, condition.residual], condition.axes)))
            total.append(contract([share], condition.axes))
    slopes = gradient(add(*products), lower.symbols)
    stationary = [
        Constraint(f"stationary.{symbol.name}", slope, ZERO, ZERO, symbol.axes, lower.span)
        for symbol, slope in zip(lower.symbols, slopes, strict=True)
    ]
    normal = Constraint("multipliers", add(*total), ONE, ONE, (), lower.span)
    shares = [variable for variables in signed.values() for variable in variables]
    return SingleLevel(
        (*upper.variables, *lower.variables, _unit(weight, lower), *shares),
        upper.objective,
        (*upper.constraints, *lower.constraints, *stationary, normal),
        tuple(Complementarity(c.label, c.residual, signed[c.label][0]) for c in found if not c.equality),
    )


def _share(condition: Condition, side: str, lower: Level) -> Variable:
    name = f"{condition.multiplier.name}.{side}" if side else condition.multiplier.name
    return _unit(Symbol(name, "variable", condition.multiplier.dims), lower)


def _unit(symbol: Symbol, lower: Level) -> Variable:
    """A variable between 0 and 1."""
    return Variable(symbol, np.zeros(symbol.shape), np.ones(symbol.shape), None, lower.span)


def _multiplier(condition: Condition, lower: Level) -> Variable:
    shape = condition.multiplier.shape
    least = np.full(shape, -np.inf if condition.equality else 0.0)
    return Variable(condition.multiplier, least, np.full(shape, np.inf), None, lower.span)


def _necessary(lower: Level) -> str | None:
    if all(kind(part, lower.symbols) in ("constant", "affine") for c in lower.constraints for part in c.parts):
        return "its constraints are affine in its variables"
    return None


def _sufficient(lower: Level, facts: Iterable[Fact]) -> str | None:
    known = {(fact.of, fact.fact): fact.verdict for fact in facts if fact.holds}
    of = f"{lower.name}.objective"
    objective = known.get((of, "convex")) or known.get((of, "strongly_convex"))
    feasible = known.get((f"{lower.name}.feasible_set", "convex"))
    if objective is None or feasible is None:
        return None
    return "it is convex" + (" (assumed)" if "assumed" in (objective, feasible) else "")
