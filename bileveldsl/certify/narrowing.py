"""Bounds of variables that follow from linear constraints: each step is one constraint and the bounds known so far.

What is claimed of a follower then holds wherever the constraints hold: a bound of a follower's own variable
comes from its own constraints alone, one of the leader's from any, since every feasible point satisfies them.
(Feasibility-based bound tightening: Belotti, Cafieri, Lee, Liberti 2010.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.interval import round_down, round_up
from bileveldsl.certify.scalars import Scalar, occurring, polynomials, ring

_ROUNDS = 4
_GAIN = 1e-3  # of a finite width: less is not worth a step
_STEPS = 2000
_OPENED = 12  # variables of a polynomial that is multiplied out


@dataclass(frozen=True)
class Step:
    """A bound of one variable that a constraint implies, rounded outward to a float."""

    variable: int
    upper: bool
    value: float
    constraint: int


Linear = tuple[dict[int, Fraction], Fraction]


def linear(root: Scalar) -> Linear | None:
    """Coefficients and constant of a sum of multiples of variables; None for anything else.

    Examples
    --------
    >>> from bileveldsl.certify.scalars import number, product, total, variable
    >>> linear(total([product([number(2), variable(0)]), number(3)]))
    ({0: Fraction(2, 1)}, Fraction(3, 1))
    """
    if root.op == "num":
        return {}, root.value
    if root.op == "var":
        return {root.value: Fraction(1)}, Fraction(0)
    if root.op == "+":
        coefficients: dict[int, Fraction] = {}
        constant = Fraction(0)
        for term in root.args:
            found = linear(term)
            if found is None:
                return None
            constant += found[1]
            for index, value in found[0].items():
                coefficients[index] = coefficients.get(index, Fraction(0)) + value
        return {k: v for k, v in coefficients.items() if v}, constant
    if root.op == "*":
        scale = math.prod((a.value for a in root.args if a.op == "num"), start=Fraction(1))
        rest = [a for a in root.args if a.op != "num"]
        found = linear(rest[0]) if len(rest) == 1 else None
        return None if found is None else ({k: v * scale for k, v in found[0].items()}, found[1] * scale)
    return None


def affine(root: Scalar) -> Linear | None:
    """The same for what is one once it is multiplied out.

    Examples
    --------
    >>> from bileveldsl.certify.scalars import number, power, product, total, variable
    >>> y = variable(0)
    >>> affine(total([power(total([y, number(1)]), 2), product([number(-1), power(y, 2)])]))
    ({0: Fraction(2, 1)}, Fraction(1, 1))
    """
    found = linear(root)
    if found is not None:
        return found
    indices = sorted(occurring(root))
    forms = polynomials([root], indices, ring(indices)) if len(indices) <= _OPENED else None
    if forms is None or forms[0].total_degree() > 1:
        return None
    values = {e: Fraction(int(c.p), int(c.q)) for e, c in forms[0].to_dict().items()}
    slopes = {k: value for e, value in values.items() for k, power in zip(indices, e, strict=True) if power}
    return slopes, values.get((0,) * len(indices), Fraction(0))


def narrow(
    roots: Sequence[tuple[str, Scalar, str]], levels: Sequence[str], lower: np.ndarray, upper: np.ndarray
) -> tuple[Step, ...]:
    """The steps that narrow a box, in the order in which they follow from each other.

    Parameters
    ----------
    roots
        Constraints: the level, the function, and `<= 0` or `== 0`.
    levels
        The level of each variable.
    lower, upper
        End points of the box, possibly infinite; they are not changed.
    """
    lower, upper = lower.copy(), upper.copy()
    rows = [(k, level, relation, linear(root)) for k, (level, root, relation) in enumerate(roots)]
    steps: list[Step] = []
    for _ in range(_ROUNDS):
        before = len(steps)
        for number, level, relation, form in rows:
            check()
            if form is None or len(steps) >= _STEPS:
                continue
            for sign in (1, -1) if relation == "== 0" else (1,):
                for step in _implied(form, sign, number, lower, upper):
                    if levels[step.variable] in (level, "upper") and _gains(step, lower, upper):
                        steps.append(step)
                        (upper if step.upper else lower)[step.variable] = step.value
        if len(steps) == before:
            break
    return tuple(steps)


def _implied(form: Linear, sign: int, number: int, lower: np.ndarray, upper: np.ndarray) -> list[Step]:
    """The bound of each variable by `sign (a'v + c) <= 0`: a_k v_k <= -c - sum of the least a_i v_i of the others."""
    coefficients = {k: sign * a for k, a in form[0].items()}
    least = {k: _least(a, lower[k], upper[k]) for k, a in coefficients.items()}
    open_ = [k for k, value in least.items() if value is None]
    if len(open_) > 1:
        return []
    total = sum((value for value in least.values() if value is not None), sign * form[1])
    steps = []
    for k in open_ or coefficients:
        own = least[k]
        limit = -(total if own is None else total - own) / coefficients[k]
        up = coefficients[k] > 0
        steps.append(Step(k, up, round_up(limit) if up else round_down(limit), number))
    return steps


def _least(coefficient: Fraction, lower: float, upper: float) -> Fraction | None:
    end = lower if coefficient > 0 else upper
    return None if math.isinf(end) else coefficient * Fraction(end)


def _gains(step: Step, lower: np.ndarray, upper: np.ndarray) -> bool:
    low, high = float(lower[step.variable]), float(upper[step.variable])
    if not low <= step.value <= high or not math.isfinite(step.value):
        return False  # nothing new; or nothing is feasible, which is not for bounds to say
    old = high if step.upper else low
    width = high - low if math.isfinite(high - low) else 1.0
    return math.isinf(old) or abs(old - step.value) > _GAIN * max(width, _GAIN)
