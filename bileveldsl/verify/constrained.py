"""Measurements of a problem with constraints, kinks or integers: the follower's problem is solved again, globally."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bileveldsl.backend import kink
from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import ZERO, Expr, Symbol, add, contract, leaf, negate, subtract
from bileveldsl.calculus.structure import kind
from bileveldsl.certify.facts import Fact
from bileveldsl.program import Constraint, Level, Program, Variable
from bileveldsl.reduce.conditions import conditions
from bileveldsl.reduce.kkt import kkt_form
from bileveldsl.single_level import highs, scip
from bileveldsl.single_level.completion import completed
from bileveldsl.single_level.follower import follower_problem
from bileveldsl.single_level.linear import obstacle
from bileveldsl.single_level.local import solve_nlp
from bileveldsl.single_level.program import SingleLevel, bound_violation, constraint_violation
from bileveldsl.single_level.stationarity import stationarity
from bileveldsl.single_level.unsupported import Unsupported
from bileveldsl.verify.measured import Measured

Values = Mapping[Symbol, np.ndarray]
Known = Mapping[tuple[str, str], Fact]

SECONDS = 20.0
"""For the global solve of the follower's problem."""

MEASURED = 5000
"""Variables up to which the leader's first-order conditions are measured."""

STARTS = 20
"""Of local searches, where no global one is possible."""


@dataclass(frozen=True)
class Minimum:
    """What a solve of the follower's problem found: `bound <= least`, and how."""

    bound: float | None
    least: float
    method: str


def measure(
    program: Program, values: Values, known: Known, duals: Mapping[str, np.ndarray], seed: int, tol: float
) -> Measured:
    """The measurements at a point of both levels' variables; `known` are the facts that hold."""
    (lower,) = program.lower
    prices = {c.dual: np.asarray(duals[c.label]) for c in lower.constraints if c.dual and c.label in duals}
    known_values = {**values, **prices}
    if not set(program.priced) <= set(prices):
        return Measured(math.nan, math.nan, doubt="the follower's multipliers are not given")
    with np.errstate(all="ignore"):
        F, f = (float(evaluate(level.objective, known_values)) for level in (program.upper, lower))
        upper, lower_violation = (_violation(level, known_values) for level in program.levels)
    if program.priced:
        lower_violation = max(lower_violation, _multiplier_error(lower, known_values))
    if not all(map(math.isfinite, (F, f, upper, lower_violation))):
        return Measured(upper, lower_violation, F, doubt="a function has no finite value at the point")
    gap, method, better = lower_gap(lower, values, f, _convex(lower, known), seed)
    at_rest, rest = _at_rest(program, known, known_values)
    return Measured(upper, lower_violation, F, gap, method, better, None, at_rest, rest)


def lower_gap(
    lower: Level, values: Values, f: float, convex: str | None, seed: int
) -> tuple[float | None, str, float]:
    """The relative gap or None, how it was found, and by how much the follower was seen to do better."""
    found = _minimum(lower, values, convex is not None, seed)
    gap = None if found.bound is None else max(0.0, (f - found.bound) / (1 + abs(f)))
    better = max(0.0, (f - found.least) / (1 + abs(f))) if found.least < math.inf else 0.0
    return gap, found.method if convex != "assumed" else f"{found.method} (convexity assumed)", better


def _violation(level: Level, values: Values) -> float:
    """The largest violation of a bound, a constraint or an integer kind of a level."""
    worst = [bound_violation(values[v.symbol], v.lower, v.upper) for v in level.variables]
    worst += [constraint_violation(constraint, values) for constraint in level.constraints]
    for variable in level.variables:
        if variable.kind != "continuous":
            value = np.asarray(values[variable.symbol])
            worst.append(float(np.max(np.abs(value - np.round(value)), initial=0.0)))
    return math.nan if any(map(math.isnan, worst)) else max(worst, default=0.0)


def _convex(lower: Level, known: Known) -> str | None:
    """`proved` or `assumed`, where the follower is convex."""
    of = f"{lower.name}.objective"
    facts = [known.get((of, "convex")) or known.get((of, "strongly_convex")),
             known.get((f"{lower.name}.feasible_set", "convex"))]  # fmt: skip
    if any(fact is None for fact in facts) or any(v.kind != "continuous" for v in lower.variables):
        return None
    return "assumed" if any(fact is not None and fact.verdict == "assumed" for fact in facts) else "proved"


# ---- the follower ---------------------------------------------------------------------------


def _minimum(lower: Level, values: Values, convex: bool, seed: int) -> Minimum:
    """The follower's minimum by the surest means that comes to an end."""
    single = follower_problem(lower, values)
    whole = any(v.kind != "continuous" for v in lower.variables)
    locally, smooth = (lambda: _by_convexity(single)), kink(lower, of=lower.symbols) is None
    ways: list[Callable[[], Minimum | None]] = [lambda: _by_highs(single, whole, convex)]
    ways += [locally] if convex and smooth else []
    ways += [lambda: _by_scip(single, convex)]
    ways += [locally] if convex and not smooth else []
    ways += [] if convex or whole else [lambda: _from_many_starts(single, lower, values, seed)]
    found = (way() for way in ways)
    return next((minimum for minimum in found if minimum is not None), Minimum(None, math.inf, "none"))


def _by_highs(single: SingleLevel, whole: bool, convex: bool) -> Minimum | None:
    """Of a linear program, with or without integers, or of a convex quadratic one."""
    linear = kind(single.objective, single.symbols) in ("constant", "affine")
    if (whole and not linear) or obstacle(single) is not None:
        return None
    answer = highs.solve(single, SECONDS)
    if answer.status != "optimal":
        return None
    bound = answer.bound if math.isfinite(answer.bound) else answer.objective
    return Minimum(bound, answer.objective, _how(convex))


def _by_convexity(single: SingleLevel) -> Minimum | None:
    answer = solve_nlp(single, None, 1e-9)
    found = answer.status == "optimal" and math.isfinite(answer.objective)
    return Minimum(answer.objective, answer.objective, _how(True)) if found else None


def _by_scip(single: SingleLevel, convex: bool) -> Minimum | None:
    if scip.missing() is not None:
        return None
    try:
        answer = scip.ScipModel(single).solve(1e-7, limit=SECONDS)
    except Unsupported:
        return None
    if answer.status == "unbounded":
        return Minimum(None, -math.inf, _how(convex))
    if not math.isfinite(answer.bound) or answer.values is None:
        return None
    return Minimum(answer.bound, answer.objective, _how(convex))


def _how(convex: bool) -> str:
    return "convex-solve" if convex else "global-solve"


def _from_many_starts(single: SingleLevel, lower: Level, values: Values, seed: int) -> Minimum:
    """The least of local minima: no bound, but perhaps a better answer."""
    own = {symbol: np.asarray(values[symbol], dtype=float) for symbol in lower.symbols}
    random = np.random.default_rng(seed)
    starts = [own]
    for _ in range(STARTS):
        starts.append({v.symbol: _near(own[v.symbol], v, random) for v in lower.variables})
    answers = [solve_nlp(single, start, 1e-9) for start in starts]
    return Minimum(None, min((a.objective for a in answers if a.status == "optimal"), default=math.inf), "multi-start")


def _near(value: np.ndarray, variable: Variable, random: np.random.Generator) -> np.ndarray:
    moved = value + 3 * (1 + np.abs(value)) * random.standard_normal(value.shape)
    return np.asarray(np.clip(moved, variable.lower, variable.upper))


def _multiplier_error(lower: Level, values: Values) -> float:
    """By how far given duals of the constraints are from multipliers of the follower at the point.

    With them the gradient of the Lagrangian, projected onto the bounds, vanishes; each has its side's sign, and is
    zero where neither side is active.
    """
    found = [c for c in lower.constraints if c.dual is not None]
    products = [contract([leaf(c.dual, c.axes), subtract(c.body, _side(c))], c.axes) for c in found if c.dual]
    slopes = gradient(add(lower.objective, *(negate(p) for p in products)), lower.symbols)
    worst = [0.0]
    for variable, slope in zip(lower.variables, slopes, strict=True):
        y = np.asarray(values[variable.symbol], dtype=float)
        step = y - evaluate(slope, values, variable.symbol.axes)
        worst.append(float(np.max(np.abs(y - np.clip(step, variable.lower, variable.upper)), initial=0.0)))
    for condition in conditions(lower, lambda label, _: label):
        if isinstance(condition.of, Constraint) and not condition.equality and condition.of.dual is not None:
            residual = evaluate(condition.residual, values, condition.axes)
            share = np.maximum(condition.sign * np.asarray(values[condition.of.dual]), 0.0)
            worst.append(float(np.max(np.minimum(np.maximum(residual, 0.0), share), initial=0.0)))
            if (condition.of.lower is None) != (condition.of.upper is None):
                wrong = np.maximum(-condition.sign * np.asarray(values[condition.of.dual]), 0.0)
                worst.append(float(np.max(wrong, initial=0.0)))
    return max(worst)


def _side(constraint: Constraint) -> Expr:
    return constraint.upper or constraint.lower or ZERO


# ---- the leader -----------------------------------------------------------------------------


def _at_rest(program: Program, known: Known, values: Values) -> tuple[bool, str]:
    """Whether the point is strongly stationary for the leader's problem over the follower's conditions."""
    if any(v.kind != "continuous" for v in program.variables):
        return False, "first-order conditions say nothing about integer variables"
    if kink(*program.levels) is not None:
        return False, "the functions are not smooth"
    if sum(int(np.prod(v.symbol.shape)) for v in program.variables) > MEASURED:
        return False, "the first-order conditions of so large a problem with constraints are not measured"
    form = kkt_form(program, known.values())
    if not form.exact:
        return False, "the follower's conditions are not known to be equivalent to its optimality"
    prices = {symbol: values[symbol] for symbol in program.priced}
    whole, residual = completed(form, {s: values[s] for level in program.levels for s in level.symbols}, prices)
    if residual > 1e-4:
        return False, f"no multipliers of the follower fit (residual {residual:.1e})"
    found = stationarity(form.program, whole)
    words = {"S": "strongly stationary", "none": "not stationary"}.get(found.kind, f"only {found.kind}-stationary")
    return found.kind == "S", f"the point is {words} (residual {found.residual:.1e})"
