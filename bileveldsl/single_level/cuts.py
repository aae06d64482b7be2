"""What one answer of the follower says about its other ones: its objective is not worse, wherever that is feasible.

An answer that lies on rows or kinks which move with the leader is made an affine function of the leader's variables
that stays on them. So it is feasible in a whole region, as answers inside of the rows are, and not only at one decision
(Mitsos, Global solution of nonlinear mixed-integer bilevel programs, Journal of Global Optimization 47, 2010).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    ZERO,
    Axis,
    Expr,
    Map,
    Symbol,
    add,
    apply,
    constant,
    contract,
    depends_on,
    distinct_axes,
    leaf,
    negate,
    substitute,
    subtract,
    topological,
)
from bileveldsl.calculus.sparse import affine_form
from bileveldsl.calculus.structure import kind
from bileveldsl.program import Constraint, Level, Program, Variable
from bileveldsl.reduce.conditions import Condition, conditions
from bileveldsl.reduce.curvature import KINKED, is_defined, member
from bileveldsl.single_level.linear import AFFINE
from bileveldsl.single_level.pattern import pattern
from bileveldsl.single_level.program import SingleLevel

Values = Mapping[Symbol, np.ndarray]

ACTIVE = 1e-6
"""Residual below which an answer lies on a row."""

ROUNDING = 1e-9
"""Largest residual of the rows that an answer which moves is said to stay on."""


INSIDE = 1e-3
"""Residual from which on an answer is inside of a row."""


@dataclass(frozen=True, eq=False)
class Competitor:
    """An answer of the follower in terms of the leader's variables; `kept` are the members of rows that it stays on."""

    values: Mapping[Symbol, Expr]
    kept: Mapping[str, np.ndarray] = field(default_factory=dict)

    def cut(self, program: Program, slack: float, margin: float) -> tuple[Expr, list[Expr]]:
        """An expression and others: at every answer of the follower the first is <= 0, or another is >= 0.

        Parameters
        ----------
        slack
            By which the follower's objective may be worse than that of this answer.
        margin
            By which a row must be violated before the answer counts as infeasible; what is nearer is left out. Rows
            that only whole numbers move are always violated by more than tolerances.
        """
        upper, (lower,) = program.upper, program.lower
        objective, *residuals = substitute(
            [lower.objective, *(c.residual for c in conditions(lower, _own_label))], self.values
        )
        others: list[Expr] = []
        for condition, residual in zip(conditions(lower, _own_label), residuals, strict=True):
            if not depends_on(residual, upper.symbols):
                continue
            moving = pattern([(residual, condition.axes)], upper.symbols).count_nonzero(axis=1) > 0
            moving &= ~self.kept.get(condition.label, np.zeros(len(moving), dtype=bool))
            for part in _members(residual, condition, moving):
                sides = (part, negate(part)) if condition.equality else (negate(part),)
                others += [_violated(side, program, margin) for side in sides]
        return subtract(subtract(lower.objective, objective), constant(slack)), others


def _own_label(label: str, _: bool) -> str:
    return label


def _members(residual: Expr, condition: Condition, wanted: np.ndarray) -> Sequence[Expr]:
    if wanted.all():
        return [residual]
    places = list(np.ndindex(*(axis.size for axis in condition.axes)))
    return [member(residual, condition.axes, places[k]) for k in np.flatnonzero(wanted)]


def _violated(excess: Expr, program: Program, margin: float) -> Expr:
    """What must be >= 0 where a row is violated."""
    movers = [v for v in program.upper.variables if depends_on(excess, (v.symbol,))]
    least = 10 * ACTIVE if all(v.kind != "continuous" for v in movers) else margin
    return subtract(excess, constant(least)) if least else excess


def fixed(program: Program, answer: Values) -> Competitor:
    """The answer as it is, whatever the leader decides."""
    own = program.lower[0].symbols
    return Competitor({s: leaf(Symbol(f"{s.name} answered", "data", s.dims, np.asarray(answer[s]))) for s in own})


def followed(program: Program, values: Values) -> Competitor | None:
    """The answer at a point of both levels, moved so that it stays on its rows and kinks, where these move affinely.

    None where nothing moves, or no affine function stays on the rows.
    """
    (lower,) = program.lower
    rows, kept = [], {}
    for condition in conditions(lower, _own_label):
        residual = evaluate(condition.residual, values, condition.axes).ravel()
        active = np.full(len(residual), True) if condition.equality else residual <= ACTIVE
        if active.any():
            kept[condition.label] = active
            rows.append((condition.residual, condition.axes, active))
    kinks = []
    for expr in _kinks(lower):
        active = np.abs(evaluate(expr, values, expr.axes).ravel()) <= ACTIVE
        if active.any():
            kinks.append((expr, expr.axes, active))
    if not is_defined(lower.objective):
        return None
    moved = (_moved(program, values, [*rows, *kinks]) if kinks else None) or _moved(program, values, rows)
    return None if moved is None else Competitor(moved, kept)


def _kinks(lower: Level) -> Iterator[Expr]:
    """What is zero where the follower's objective has a kink."""
    for node in topological([lower.objective]):
        for function in node.fn.find(lambda f: isinstance(f, KINKED)) if isinstance(node, Map) else ():
            first, *second = function.args
            yield apply(first - sum(second), node.children)


Row = tuple[Expr, tuple[Axis, ...], np.ndarray]
"""An expression over labels, and which of its members are meant."""


def _moved(program: Program, values: Values, rows: Sequence[Row]) -> dict[Symbol, Expr] | None:
    """The follower's variables as affine functions of the leader's along which members of expressions stay zero."""
    upper, (lower,) = program.upper, program.lower
    both = (*upper.symbols, *lower.symbols)
    if any(kind(expr, both) not in AFFINE for expr, _, _ in rows):
        return None
    z = np.concatenate([np.ravel(values[s]) for s in both])
    size = sum(int(np.prod(s.shape)) for s in upper.symbols)
    forms = [(affine_form(expr, axes, both), active) for expr, axes, active in rows]
    matrix = np.concatenate([np.zeros((0, len(z))), *(form.matrix[active].toarray() for form, active in forms)])
    residual = matrix @ z + np.concatenate([np.zeros(0), *(form.constant[active] for form, active in forms)])
    of_leader, of_follower = np.split(matrix, [size], axis=1)
    if not of_leader.any():
        return None
    whole = [np.full(int(np.prod(v.symbol.shape)), v.kind != "continuous") for v in lower.variables]
    of_follower[:, np.concatenate(whole)] = 0.0
    inverse = np.linalg.pinv(of_follower)
    speed, step = -inverse @ of_leader, -inverse @ residual
    speed[np.abs(speed) < ROUNDING] = 0.0
    error = np.column_stack([of_follower @ speed + of_leader, of_follower @ step + residual])
    if np.abs(error).max() > ROUNDING:
        return None
    return _affine(program, z[size:] + step - speed @ z[:size], speed)


def deepest(program: Program, values: Values, most: float) -> SingleLevel | None:
    """Answers whose value is at most `most`, as far inside of the rows that move with the leader as can be.

    None where no row moves, or the answer at hand is inside of them all.
    """
    upper, (lower,) = program.upper, program.lower
    moving = [
        c for c in conditions(lower, _own_label) if not c.equality and depends_on(c.residual, upper.symbols)
    ]  # fmt: skip
    slack = min((float(evaluate(c.residual, values).min()) for c in moving), default=np.inf)
    if slack > INSIDE:
        return None
    depth = Variable(Symbol("depth", "variable"), np.array(-np.inf), np.array(1.0), None, lower.span)
    deeper = [
        Constraint(c.label, subtract(c.residual, leaf(depth.symbol)), ZERO, None, c.axes, lower.span) for c in moving
    ]
    better = Constraint("better", lower.objective, None, constant(most), (), lower.span)
    constraints = (*lower.constraints, *deeper, better)
    leader = {symbol: values[symbol] for symbol in upper.symbols}
    return SingleLevel((*lower.variables, depth), negate(leaf(depth.symbol)), constraints, (), leader)


def _affine(program: Program, start: np.ndarray, speed: np.ndarray) -> dict[Symbol, Expr]:
    """The follower's variables as `start + speed @ x`."""
    upper, (lower,) = program.upper, program.lower
    found, rows = {}, np.cumsum([0, *(int(np.prod(s.shape)) for s in lower.symbols)])
    columns = np.cumsum([0, *(int(np.prod(s.shape)) for s in upper.symbols)])
    for own, a, b in zip(lower.symbols, rows[:-1], rows[1:], strict=True):
        terms = [leaf(Symbol(f"{own.name} answered", "data", own.dims, start[a:b].reshape(own.shape)), own.axes)]
        for other, c, d in zip(upper.symbols, columns[:-1], columns[1:], strict=True):
            part = speed[a:b, c:d].reshape((*own.shape, *other.shape))
            if part.any():
                inner = distinct_axes(other.dims, own.axes)
                name = f"{own.name} answered per {other.name}"
                rate = leaf(Symbol(name, "data", (*own.dims, *other.dims), part), (*own.axes, *inner))
                terms.append(contract([rate, leaf(other, inner)], inner))
        found[own] = add(*terms)
    return found
