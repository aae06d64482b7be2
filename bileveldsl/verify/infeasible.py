"""Why no point satisfies both levels: conflicting constraints, or a follower that never answers as the leader needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from bileveldsl.backend import kink
from bileveldsl.calculus.expr import ZERO, Symbol, depends_on
from bileveldsl.certify.facts import Fact
from bileveldsl.program import Constraint, Program
from bileveldsl.reduce.kkt import kkt_form
from bileveldsl.single_level import highs, scip
from bileveldsl.single_level.follower import follower_problem
from bileveldsl.single_level.linear import constraint_obstacle
from bileveldsl.single_level.program import Answer, SingleLevel, constraint_violation
from bileveldsl.single_level.unsupported import Unsupported
from bileveldsl.solution import Status

SECONDS = 10.0
"""For each of the searches."""

SHOWN = 6
"""Numbers of a vector in a sentence."""


def explain_infeasible(program: Program, facts: Iterable[Fact]) -> tuple[Status, str]:
    """The status, `infeasible`, `lower_infeasible` or `lower_unbounded`, and what is in the way.

    Parameters
    ----------
    program
        With one follower, both levels minimizing, which a search found to have no feasible point.
    facts
        What is known of the follower.
    """
    upper, (lower,) = program.upper, program.lower
    both = (*upper.variables, *lower.variables)
    followers = (*lower.symbols, *lower.duals)
    alone = tuple(c for c in upper.constraints if not _holds(c, followers))
    coupled = tuple(c for c in upper.constraints if not _holds(c, lower.duals))
    parts = [
        (SingleLevel(upper.variables, ZERO, alone), Status.INFEASIBLE, "the leader's own constraints have no solution"),
        (
            SingleLevel(both, ZERO, (*alone, *lower.constraints)),
            Status.LOWER_INFEASIBLE,
            "the follower has no feasible point, whatever the leader does",
        ),
        (
            SingleLevel(both, ZERO, (*coupled, *lower.constraints)),
            Status.INFEASIBLE,
            "no point satisfies the constraints of both levels",
        ),
    ]
    for single, status, sentence in parts:
        if single.variables and (conflict := _conflict(single)) is not None:
            return status, sentence + conflict
        if status is Status.LOWER_INFEASIBLE and _dual_infeasible(program, facts, alone):
            return Status.LOWER_UNBOUNDED, "the follower's objective is unbounded wherever it has a feasible point"
    return _example(program, parts[-1][0])


def _holds(constraint: Constraint, symbols: Iterable[Symbol]) -> bool:
    return any(depends_on(part, symbols) for part in constraint.parts)


def _conflict(single: SingleLevel) -> str | None:
    """What conflicts, where the program has no feasible point: for linear constraints a least set of labels."""
    if constraint_obstacle(single) is not None:
        return "" if _found(single).status == "infeasible" else None
    if highs.solve(single).status != "infeasible":
        return None
    labels = highs.irreducible_infeasible_set(single)
    if not labels:
        return " in whole numbers"
    return f": {_join(labels)} {'conflict' if len(labels) > 1 else 'cannot hold'}"


def _dual_infeasible(program: Program, facts: Iterable[Fact], alone: tuple[Constraint, ...]) -> bool:
    """Whether the follower's conditions are linear, necessary, and already without a solution on their own."""
    (lower,) = program.lower
    if kink(lower, of=lower.symbols) is not None or any(v.kind != "continuous" for v in lower.variables):
        return False
    form = kkt_form(program, facts)
    stationary = form.program.constraints[len(program.upper.constraints) :]
    single = SingleLevel(form.program.variables, ZERO, (*alone, *stationary))
    linear = form.necessary is not None and constraint_obstacle(single) is None
    return linear and highs.solve(single).status == "infeasible"


def _found(single: SingleLevel) -> Answer:
    if scip.missing() is not None:
        return Answer("failed")
    try:
        return scip.ScipModel(single).solve(limit=SECONDS)
    except Unsupported as error:
        return Answer("failed", str(error))


def _example(program: Program, whole: SingleLevel) -> tuple[Status, str]:
    """A decision at which all constraints could hold, and what is wrong with the follower's best answer there."""
    text = "the constraints of both levels can hold together, but not where the follower answers optimally"
    point = _found(whole).values
    if point is None:
        return Status.INFEASIBLE, text
    found = _found(follower_problem(program.lower[0], point))
    if found.status == "unbounded":
        where = _shown({symbol: point[symbol] for symbol in program.upper.symbols})
        return Status.LOWER_UNBOUNDED, f"the follower's objective has no minimum, for example at {where}"
    if found.values is None:
        return Status.INFEASIBLE, text
    values = {**point, **found.values}
    broken = {c.label: constraint_violation(c, values) for c in program.upper.constraints}
    worst = max(broken, key=lambda label: broken[label], default=None)
    x, y = (_shown({s: values[s] for s in level.symbols}) for level in program.levels)
    if worst is None or broken[worst] <= 1e-6:
        return Status.NOT_VERIFIED, f"the search found no answer, but {x} with {y} of the follower seems to be one"
    return Status.INFEASIBLE, f"{text}: at {x} the follower answers {y}, which violates {worst} by {broken[worst]:.3g}"


def _shown(values: Mapping[Symbol, np.ndarray]) -> str:
    parts = []
    for symbol, value in values.items():
        flat = np.ravel(value)
        numbers = ", ".join(f"{number + 0.0:.4g}" for number in flat[:SHOWN]) + (", ..." if flat.size > SHOWN else "")
        parts.append(f"{symbol.name} = {numbers if not symbol.dims else f'[{numbers}]'}")
    return ", ".join(parts)


def _join(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:-1]) + (" and " if len(labels) > 1 else "") + labels[-1]
