"""BLVPY: `python blvpy_run.py PROBLEMS.json ROWS.jsonl` in an interpreter that has it.

The models are CVXPY expressions at both levels; `solve` has its own settings (IPOPT, Clarabel), and starts where the
problem says, if it does. A follower's objective that CVXPY's rules do not take as it is written is given once more as
a sum of squares, if it is one, as one would write it by hand.
"""

from __future__ import annotations

import math
from typing import Any

import blvpy
import cvxpy as cp
import numpy as np
from adapter import Refused, expression, main
from cvxpy.atoms.elementwise import trig
from polynomial import Polynomial

Variables = dict[str, cp.Variable]


def power(base: Any, exponent: Any) -> Any:
    """CVXPY's odd powers keep their base nonnegative, which the problems do not say."""
    odd = isinstance(base, cp.Expression) and isinstance(exponent, int) and exponent > 1 and exponent % 2 == 1
    return base ** (exponent - 1) * base if odd and not base.is_nonneg() else base**exponent


FUNCTIONS = {
    "exp": cp.exp, "log": cp.log, "sin": trig.sin, "cos": trig.cos, "tan": trig.tan, "sqrt": cp.sqrt, "abs": cp.abs,
    "max": cp.maximum, "min": cp.minimum, "**": power,
}  # fmt: skip


def solve(problem: dict[str, Any]) -> dict[str, Any]:
    try:
        model = built(problem, as_written)
        if not model.is_dblp():
            squares = built(problem, as_squares)
            model = squares if squares.is_dblp() else model
        model.validate()
    except Refused:
        raise
    except Exception as error:  # of BLVPY or of CVXPY, on a model that is outside their rules
        raise Refused(f"{type(error).__name__}: {error}") from error
    result = model.solve(verbose=False)
    values = {v.name(): float(value) for v, value in result.variable_values.items()}
    row = {"status": result.status, "solved": result.succeeded, "message": result.message or "", "F": result.objective}
    if not set(problem["lower_vars"]) <= set(values):
        return row
    return row | {
        "x": {name: values.get(name) for name in problem.get("upper_vars", [])},
        "y": {name: values[name] for name in problem["lower_vars"]},
    }


def built(problem: dict[str, Any], objective: Any) -> blvpy.BilevelProblem:
    """The bilevel model, its follower's objective made by `objective`."""
    uppers, lowers = problem.get("upper_vars", []), problem["lower_vars"]
    first = dict(zip([*uppers, *lowers], problem.get("start") or [], strict=False))
    variables: Variables = {}
    for name in uppers + lowers:
        low, high = limits(problem, name)
        native = {"bounds": [low, high]} if name in uppers else {"nonneg": low >= 0}
        variables[name] = cp.Variable(name=name, integer=name in problem.get("integer_vars", []), **native)
        if name in uppers and name in first:
            variables[name].value = np.clip(first[name], low, high)
    upper, lower = (constraints(problem, variables, groups) for groups in ("GH", "gh"))
    for name in lowers:
        low, high = limits(problem, name)
        lower += [variables[name] >= low] if np.isfinite(low) else []
        lower += [variables[name] <= high] if np.isfinite(high) else []
    least = cp.Minimize(objective(problem, variables))
    used = {v.id for part in [least, *lower] for v in part.variables()}
    follower = blvpy.LowerProblem(least, lower, [variables[name] for name in uppers if variables[name].id in used])
    return blvpy.BilevelProblem(cp.Minimize(expression(problem["F"], variables, FUNCTIONS)), follower, upper)


def as_written(problem: dict[str, Any], variables: Variables) -> cp.Expression:
    return expression(problem["f"], variables, FUNCTIONS)


def as_squares(problem: dict[str, Any], variables: Variables) -> cp.Expression:
    """The follower's objective y'Qy + b(x)'y, less what no answer of the follower changes, with Q = R'R."""
    try:
        terms = expression(problem["f"], {name: Polynomial({(name,): 1.0}) for name in variables}, {}).terms
    except (TypeError, Refused):  # no polynomial
        return as_written(problem, variables)
    names = problem["lower_vars"]
    Q, rest = np.zeros((len(names), len(names))), 0
    for monomial, value in terms.items():
        own = [names.index(name) for name in monomial if name in names]
        if len(own) == len(monomial) == 2:
            Q[own[0], own[1]] += value / 2
            Q[own[1], own[0]] += value / 2
        elif own:
            rest += math.prod((variables[name] for name in monomial), start=value)
    values, vectors = np.linalg.eigh(Q)
    if values[0] < -1e-9 * max(1.0, values[-1]):
        return as_written(problem, variables)
    R = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return cp.sum_squares(R @ cp.hstack([variables[name] for name in names])) + rest


def limits(problem: dict[str, Any], name: str) -> tuple[float, float]:
    low, high = problem["bounds"].get(name) or (None, None)
    return -np.inf if low is None else low, np.inf if high is None else high


def constraints(problem: dict[str, Any], variables: Variables, groups: str) -> list[cp.Constraint]:
    found = []
    for group in groups:
        for text in problem.get(group, []):
            body = expression(text, variables, FUNCTIONS)
            found.append(body == 0 if group in "Hh" else body <= 0)
    return found


if __name__ == "__main__":
    main(solve)
