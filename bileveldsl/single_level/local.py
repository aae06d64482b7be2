"""Local solutions of smooth programs: the solver that is there, and its answer in the program's terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from bileveldsl.calculus.expr import Symbol
from bileveldsl.single_level.nlp import Nlp, compile_nlp
from bileveldsl.single_level.program import Answer, SingleLevel

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor

ATTEMPTS = 20
"""Random points that are tried where the functions have no value at the start."""

SPREAD = 1.5
"""Each of them may lie this many times as far from the start as the one before, the first at a distance of 0.1."""


@dataclass(frozen=True, eq=False)
class LocalPoint:
    """Where a solver stopped: grad f + J' multipliers - lower_multipliers + upper_multipliers = 0 if it converged."""

    status: Literal["optimal", "infeasible", "unbounded", "limit", "failed"]
    message: str
    z: np.ndarray
    objective: float
    multipliers: np.ndarray
    lower_multipliers: np.ndarray
    upper_multipliers: np.ndarray
    iterations: int = 0


@dataclass(frozen=True)
class Settings:
    """What a local solver is told.

    `exact_bounds` keeps iterates strictly within bounds as they are; `warm` starts from the multipliers of an
    earlier point near by.
    """

    tolerance: float = 1e-8
    max_iterations: int = 500
    exact_bounds: bool = False
    warm: LocalPoint | None = None
    options: Mapping[str, str | int | float] = field(default_factory=dict)


def solve_nlp(
    single: SingleLevel,
    start: Mapping[Symbol, np.ndarray] | None = None,
    tolerance: float = 1e-8,
    monitor: Monitor | None = None,
    max_iterations: int = 500,
) -> Answer:
    """A local solution of a smooth program without complementarities, integers relaxed.

    Parameters
    ----------
    single
        Of smooth functions.
    start
        A value for every variable; by default those of the program, else zero within the bounds.
    tolerance
        On the first-order conditions and on the constraints.
    monitor
        Asked to stop after every iteration.
    max_iterations

    Returns
    -------
    Answer
        `optimal` says that the first-order conditions hold, `infeasible` that the violation of the constraints is
        locally least and not zero; both are no proof. `duals` are by constraint label.
    """
    if single.complementarities:
        raise ValueError("the program has complementarities; use solve_mpcc")
    nlp = compile_nlp(single)
    begin = nlp.start if start is None else nlp.pack(start)
    found = minimize(nlp, begin, Settings(tolerance, max_iterations), monitor)
    return answer(nlp, found)


def answer(nlp: Nlp, point: LocalPoint) -> Answer:
    """A solver's point in the program's terms."""
    values = nlp.unpack(point.z)
    duals = nlp.by_label(-point.multipliers)
    return Answer(point.status, point.message, values, point.objective, duals=duals)


def minimize(nlp: Nlp, start: np.ndarray, settings: Settings, monitor: Monitor | None = None) -> LocalPoint:
    """A local solution by IPOPT, or by SciPy where that is missing.

    Where the functions have no value at the start, the first of some random points near it at which they have.
    """
    from bileveldsl.single_level import ipopt, scipy_nlp

    if (nlp.lower > nlp.upper).any() or (nlp.row_lower > nlp.row_upper).any():
        return unsolved(nlp, "infeasible", "a lower bound exceeds an upper bound", start)
    start = np.clip(start, nlp.lower, nlp.upper)
    begin = next((z for z in _near(nlp, start) if _defined(nlp, z)), None)
    if begin is None:
        return unsolved(nlp, "failed", "the functions have no value at the starting point, nor near it", start)
    if (nlp.lower == nlp.upper).all():
        return _only_point(nlp, begin, settings)
    solver = scipy_nlp if ipopt.available() else ipopt
    return solver.minimize(nlp, begin, settings, monitor)


def unsolved(
    nlp: Nlp, status: Literal["infeasible", "failed", "optimal", "limit"], message: str, z: np.ndarray
) -> LocalPoint:
    """A point without multipliers."""
    return LocalPoint(status, message, z, np.inf, np.zeros(nlp.m), np.zeros(nlp.n), np.zeros(nlp.n))


def _only_point(nlp: Nlp, z: np.ndarray, settings: Settings) -> LocalPoint:
    """The answer where the bounds leave nothing to choose."""
    if nlp.violation(z) > settings.tolerance:
        return unsolved(nlp, "infeasible", "the bounds fix every variable, and a constraint is violated", z)
    point = unsolved(nlp, "optimal", "the bounds fix every variable", z)
    slope = nlp.gradient(z)
    lower, upper = np.maximum(slope, 0.0), np.maximum(-slope, 0.0)
    return replace(point, objective=nlp.objective(z), lower_multipliers=lower, upper_multipliers=upper)


def _near(nlp: Nlp, start: np.ndarray) -> Iterator[np.ndarray]:
    yield start
    random = np.random.default_rng(0)
    for attempt in range(ATTEMPTS):
        reach = 0.1 * SPREAD**attempt
        yield random.uniform(np.maximum(nlp.lower, start - reach), np.minimum(nlp.upper, start + reach))


def _defined(nlp: Nlp, z: np.ndarray) -> bool:
    values = (nlp.objective(z), nlp.gradient(z), nlp.constraints(z), nlp.jacobian(z))
    return all(np.isfinite(value).all() for value in values)
