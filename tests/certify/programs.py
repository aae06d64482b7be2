"""Programs made of sympy formulas, for tests of what is proved about them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from bileveldsl.calculus.expr import ZERO, Expr, Symbol, apply, argument, leaf
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.language.diagnostics import Source, Span
from bileveldsl.program import Claim, Constraint, DomainCondition, Level, Program, Variable

SOURCE = Source("test.blv", " " * 100)
UPPER, LOWER = Span(SOURCE, 0, 10), Span(SOURCE, 20, 30)
INF = np.inf
Box = tuple[float, float]

x, z, y, y1, y2, y3 = sympy.symbols("x z y y1 y2 y3", real=True)
SYMBOLS = {s: Symbol(s.name, "variable") for s in (x, z, y, y1, y2, y3)}
FREE = (-INF, INF)


def node(formula: sympy.Expr) -> Expr:
    free = sorted(formula.free_symbols, key=str)
    placed = formula.xreplace({s: argument(k) for k, s in enumerate(free)})
    return apply(placed, [leaf(SYMBOLS[s]) for s in free])


def variable(symbol: Symbol, box: Box = FREE, kind: str = "continuous") -> Variable:
    low, high = (np.full(symbol.shape, float(end)) for end in box)
    return Variable(symbol, low, high, None, LOWER, kind)


def program(
    objective: Expr,
    upper: Sequence[Variable],
    lower: Sequence[Variable],
    constraints: Sequence[Constraint] = (),
    sense: str = "minimize",
    claims: Sequence[Claim] = (),
    domain: Sequence[DomainCondition] = (),
) -> Program:
    leader = Level("upper", "upper", "minimize", ZERO, tuple(upper), (), (), "optimistic", (), UPPER, UPPER)
    follower = Level(
        "lower", "lower", sense, objective, tuple(lower), tuple(constraints), tuple(claims), "optimistic", (),
        LOWER, LOWER,
    )  # fmt: skip
    return Program("m", leader, (follower,), domain=tuple(domain))


def scalar_program(
    formula: sympy.Expr,
    boxes: Mapping[sympy.Symbol, Box] | None = None,
    at_most_zero: Sequence[sympy.Expr] = (),
    **rest: Any,
) -> Program:
    """The follower chooses the variables named y, y1, ...; the leader the others."""
    boxes = boxes or {}
    occurring = sorted(formula.free_symbols.union(*(g.free_symbols for g in at_most_zero), {y}), key=str)
    if formula.free_symbols & {y1, y2, y3}:
        occurring = [s for s in occurring if s is not y]
    own = [s for s in occurring if s.name.startswith("y")]
    upper = [variable(SYMBOLS[s], boxes.get(s, FREE)) for s in occurring if s not in own]
    lower = [variable(SYMBOLS[s], boxes.get(s, FREE)) for s in own]
    constraints = [Constraint(f"c{k}", node(g), None, ZERO, (), LOWER) for k, g in enumerate(at_most_zero)]
    return program(node(formula), upper, lower, constraints, **rest)


def facts(made: Program, budget_seconds: float = 10.0) -> dict[str, Fact]:
    """The facts of the follower's objective by their name."""
    return {fact.fact: fact for fact in certify(made, budget_seconds) if fact.of == "lower.objective"}
