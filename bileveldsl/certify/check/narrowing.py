"""Bounds of variables that follow from linear constraints: every step is derived again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.polynomials import polynomial, ring, total_degree
from bileveldsl.certify.check.ranges import INF, End, at_most
from bileveldsl.certify.check.reading import Problem, Variable, one_of, position, rational, record, sequence
from bileveldsl.certify.check.terms import Rejected


def narrowed(problem: Problem, data: Any) -> Problem:
    """The problem with the bounds that steps imply, each by one constraint and the bounds known so far.

    A step is {"variable": k, "side": "upper", "value": "3", "constraint": j}. A follower's variable is
    bounded by the constraints of that follower alone, any other variable by all.
    """
    variables = list(problem.variables)
    for item in sequence(data):
        step = record(item, {"variable", "side", "value", "constraint"})
        index = position(step["variable"], len(variables))
        constraint = problem.constraints[position(step["constraint"], len(problem.constraints))]
        upper, value = one_of(step["side"], ("upper", "lower")) == "upper", rational(step["value"])
        own = variables[index]
        if constraint.level != own.level and own.level != "upper":
            raise Rejected(f"a constraint of {constraint.level} does not bound a variable of {own.level}")
        coefficients, constant = _linear(problem, constraint.node)
        signs = (1, -1) if constraint.relation == "== 0" else (1,)
        if not any(_implies(coefficients, constant, s, variables, index, upper, value) for s in signs):
            raise Rejected("a bound does not follow from its constraint")
        variables[index] = replace(own, upper=value) if upper else replace(own, lower=value)
        if not at_most(variables[index].lower, variables[index].upper):
            raise Rejected("a variable has no value between its bounds")
    return replace(problem, variables=tuple(variables))


def _linear(problem: Problem, node: int) -> tuple[dict[int, fmpq], fmpq]:
    """Coefficients by variable, and the constant."""
    indices = sorted(problem.table.variables([node]))
    generators = dict(zip(indices, ring(len(indices)).gens(), strict=False))
    form = polynomial(problem.table, node, {problem.table.var(k): g for k, g in generators.items()})
    if form is None or total_degree(form) > 1:
        raise Rejected("a constraint that bounds a variable is not linear")
    zero = [0] * max(len(indices), 1)
    slopes = {k: _coefficient(form, [*zero[:j], 1, *zero[j + 1 :]]) for j, k in enumerate(indices)}
    return slopes, _coefficient(form, zero)


def _coefficient(form: fmpq_mpoly, exponents: list[int]) -> fmpq:
    return form.to_dict().get(tuple(exponents), fmpq(0))


def _implies(
    coefficients: dict[int, fmpq], constant: fmpq, sign: int, variables: list[Variable], index: int, upper: bool,
    value: fmpq,
) -> bool:  # fmt: skip
    """Whether `sign (a'v + c) <= 0` and the bounds of the others give v_index <= value (or >= value)."""
    own = sign * coefficients.get(index, fmpq(0))
    if own == 0 or (own > 0) != upper:
        return False
    rest = sign * constant
    for k, coefficient in coefficients.items():
        slope = sign * coefficient
        if k == index or slope == 0:
            continue
        end: End = variables[k].lower if slope > 0 else variables[k].upper
        if end in (INF, -INF):
            return False
        rest += slope * end
    limit = -rest / own
    return bool(limit <= value) if upper else bool(limit >= value)
