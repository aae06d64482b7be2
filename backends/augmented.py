"""Constraints of the upper level by an augmented Lagrangian, over problems that implicit differentiation solves.

An inequality e(x, y) <= 0 becomes e + s = 0 with a slack s >= 0, a bounded variable of the leader, and all equalities
r = 0 enter the objective as <p, r> + (rho / 2) |r|^2. After each solve p grows by rho r; rho grows where the violation
did not fall enough. In the end p are the multipliers of the constraints (Hestenes 1969; Powell 1969; Nocedal and Wright
2006, algorithm 17.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from bileveldsl.backends.implicit import Implicit

from bileveldsl.backend import Capabilities, Option, RawPoint, parse_options, why_not
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import Axis, Expr, Symbol, add, constant, contract, leaf, multiply, subtract
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import CompiledProblem, compile_problem
from bileveldsl.program import Level, Program, Variable

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact

ENOUGH = 0.25
"""Factor by which the violation must fall from one solve to the next, or else the penalty grows."""


@dataclass(frozen=True)
class Augmented:
    """The backend `augmented`."""

    name: str = "augmented"
    summary: str = "upper constraints by an augmented Lagrangian over implicit differentiation"
    capabilities: Capabilities = Capabilities(  # noqa: RUF009
        follower="unconstrained", upper_constraints=True, engines=("numpy", "jax"), evidence="local",
        needs=(("lower.objective", "strongly_convex"),),
    )  # fmt: skip
    options: tuple[Option, ...] = (
        Option("penalty", float, 10.0, "rho of the first solve", above=0.0),
        Option("growth", float, 10.0, "factor by which rho grows", above=1.0),
        Option("max_solves", int, 30, "problems that are solved", at_least=1),
        Option("max_iterations", int, 500, "iterations of the leader in each", at_least=1),
    )  # fmt: skip

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        return why_not(self.name, self.capabilities, program, facts)

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Solve until the constraints hold within a tenth of the tolerance and the leader is at rest."""
        inner = Implicit()
        settings = parse_options(inner.name, inner.options, {"max_iterations": options["max_iterations"]})
        residuals = _residuals(problem.program.upper)
        prices = [np.zeros([axis.size for axis in r.axes]) for r in residuals]
        penalty, before = options["penalty"], np.inf
        x, y = problem.x_start, problem.y_start
        slack = _slack(residuals, problem, x, y)
        point = RawPoint(x, y, "limit", "stopped before the first solve")
        for _ in range(options["max_solves"]):
            augmented = compile_problem(
                _augmented(problem.program, residuals, prices, penalty), problem.engine, problem.facts
            )
            augmented.x_start, augmented.y_start = np.concatenate([x, slack]), y
            watch = Monitor(0.1 * monitor.tolerance, monitor.remaining, monitor.seed, monitor.log, monitor.progress)
            found = inner.solve(augmented, settings, watch)
            for name, calls in augmented.work.items():
                problem.count(**{name: calls})
            x, slack, y = found.x[: problem.nx], found.x[problem.nx :], found.y
            values = _values(augmented, found.x, y)
            worth = [evaluate(r.expr, values, r.axes) for r in residuals]
            violation = max((float(np.max(np.abs(r), initial=0.0)) for r in worth), default=0.0)
            measures = {"violation": violation, **found.measures}
            point = replace(found, x=x, y=y, measures=measures, message=f"{found.message}; violation {violation:.1e}")
            prices = [p + penalty * r for p, r in zip(prices, worth, strict=True)]
            point = replace(point, duals=_duals(residuals, prices))
            monitor.stopped = watch.stopped
            if watch.stopped or not np.isfinite(violation):
                return replace(point, status="limit")
            if violation <= 0.1 * monitor.tolerance:
                return point
            if violation > ENOUGH * before:
                penalty *= options["growth"]
            before = violation
        text = f"the constraints are still violated by {before:.1e} after {options['max_solves']} solves"
        return replace(point, status="limit", message=text)


@dataclass(frozen=True, eq=False)
class Residual:
    """An expression over `axes` that must be zero, and the slack variable in it, if it was an inequality.

    `sign` is that of the right-hand side in the expression.
    """

    label: str
    expr: Expr
    axes: tuple[Axis, ...]
    slack: Variable | None
    sign: int


def _residuals(upper: Level) -> list[Residual]:
    """One for each side of each constraint."""
    found = []
    for c in upper.constraints:
        if c.is_equality and c.upper is not None:
            found.append(Residual(c.label, subtract(c.body, c.upper), c.axes, None, -1))
            continue
        sides = {"lower": c.lower and subtract(c.lower, c.body), "upper": c.upper and subtract(c.body, c.upper)}
        for side, excess in sides.items():
            if excess is not None:
                symbol = Symbol(f"{c.label}.{side}.slack", "variable", tuple(axis.dim for axis in c.axes))
                low, high = np.zeros(symbol.shape), np.full(symbol.shape, np.inf)
                slack = Variable(symbol, low, high, None, c.span)
                sign = 1 if side == "lower" else -1
                found.append(Residual(c.label, add(excess, leaf(symbol, c.axes)), c.axes, slack, sign))
    return found


def _duals(residuals: Sequence[Residual], prices: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The derivatives of the leader's best value by the right-hand sides, both sides of a range moved together."""
    found: dict[str, np.ndarray] = {}
    for residual, price in zip(residuals, prices, strict=True):
        found[residual.label] = found.get(residual.label, 0.0) + residual.sign * price
    return found


def _augmented(
    program: Program, residuals: Sequence[Residual], prices: Sequence[np.ndarray], penalty: float
) -> Program:
    """The program without upper constraints, their augmented Lagrangian terms in the objective."""
    terms = [program.upper.objective]
    for number, (r, price) in enumerate(zip(residuals, prices, strict=True)):
        held = Symbol(f"price {number}", "data", tuple(axis.dim for axis in r.axes), price)
        terms.append(contract([leaf(held, r.axes), r.expr], r.axes))
        terms.append(multiply(constant(0.5 * penalty), contract([r.expr, r.expr], r.axes)))
    slacks = tuple(r.slack for r in residuals if r.slack is not None)
    variables = (*program.upper.variables, *slacks)
    return replace(program, upper=replace(program.upper, objective=add(*terms), variables=variables, constraints=()))


def _slack(residuals: Sequence[Residual], problem: CompiledProblem, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The slacks that leave no residual at a point, where they may."""
    own = {r.slack.symbol: np.zeros(r.slack.symbol.shape) for r in residuals if r.slack is not None}
    values = {**_values(problem, x, y), **own}
    parts = [np.maximum(-evaluate(r.expr, values, r.axes), 0.0).ravel() for r in residuals if r.slack is not None]
    return np.concatenate([np.zeros(0), *parts])


def _values(problem: CompiledProblem, x: np.ndarray, y: np.ndarray) -> dict[Symbol, np.ndarray]:
    named = {**problem.x.unpack(x), **problem.y.unpack(y)}
    return {v.symbol: named[v.name] for v in problem.program.variables}
