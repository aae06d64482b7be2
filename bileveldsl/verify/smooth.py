"""The independent check of an answer: is the follower optimal, are the constraints kept, is the leader at rest?

Nothing here trusts the backend: the follower's problem is solved again by other code from other starting
points, and the status that a user sees follows from the numbers measured here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize
from scipy.sparse.linalg import LinearOperator, lsmr, minres

from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.solution import Objective, Solution, Status, Verification

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.model import Model
    from bileveldsl.program import Program

RANDOM_STARTS = 20
SEARCHES = 5
REST = 1e-10  # largest entry of a (projected) gradient that is taken for zero
DENSE_LIMIT = 1500


@dataclass(frozen=True)
class Verified:
    """The measurements, the status they imply, and the sentence that explains it."""

    verification: Verification
    status: Status
    message: str


def verify_point(
    problem: CompiledProblem, x: np.ndarray, y: np.ndarray, facts: Iterable[Fact], *, seed: int = 0, tol: float = 1e-6
) -> Verified:
    """Measure a point of a problem whose follower has no constraints (bounds are allowed).

    Parameters
    ----------
    problem
        Both levels minimized; its functions are evaluated, never its backend's results.
    x, y
        Flat float64 points of the upper and the lower level.
    facts
        What is known of the follower; only `proved` (or `assumed`, and then said so) convexity makes the
        follower's re-solve count as evidence of optimality.

    Returns
    -------
    Verified
        `lower_gap` is relative to 1 + |f|. Without proved convexity it is None: no better answer of the follower
        among many starts is no bound.
    """
    known = {fact.fact: fact for fact in facts if fact.of == f"{problem.follower}.objective"}
    trusted = {name for name, fact in known.items() if fact.verdict in ("proved", "assumed")}
    assumed = any(fact.verdict == "assumed" for name, fact in known.items() if name in ("convex", "strongly_convex"))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        unmeasured = Verification(None, "none", None, None, None, tolerance=tol)
        return Verified(unmeasured, Status.NOT_VERIFIED, "the point is not finite")
    upper_violation = _bound_violation(x, problem.x_lower, problem.x_upper)
    lower_violation = _bound_violation(y, problem.y_lower, problem.y_upper)
    if not all(np.isfinite(float(value)) for value in (problem.F(x, y), problem.f(x, y))):
        unmeasured = Verification(None, "none", upper_violation, lower_violation, None, tolerance=tol)
        return Verified(unmeasured, Status.NOT_VERIFIED, "an objective has no finite value at the point")
    convex = bool(trusted & {"convex", "strongly_convex"})
    modulus = _modulus(known.get("strongly_convex"))
    gap, method, better = _lower_gap(problem, x, y, convex, modulus, seed, tol)
    if convex and assumed and method == "convex-solve":
        method = "convex-solve (convexity assumed)"
    gradient = hypergradient(problem, x, y)
    rest = None if gradient is None else _projected_norm(x, gradient, problem.x_lower, problem.x_upper)
    verification = Verification(gap, method, upper_violation, lower_violation, rest, tolerance=tol)
    status, message = _judge(verification, better, method)
    return Verified(verification, status, message)


def _judge(v: Verification, better: float, method: str) -> tuple[Status, str]:
    """The status that the measurements imply, and why."""
    tol = v.tolerance
    assert v.upper_violation is not None and v.lower_violation is not None
    if max(v.upper_violation, v.lower_violation) > tol:
        return Status.NOT_VERIFIED, f"a bound is violated by {max(v.upper_violation, v.lower_violation):.1e}"
    if better > tol:
        return (
            Status.NOT_VERIFIED,
            f"the follower has a better answer: its objective can fall by {better:.1e} (relative)",
        )
    at_rest = v.hypergradient_norm is not None and v.hypergradient_norm <= tol
    measured = "unknown" if v.hypergradient_norm is None else f"{v.hypergradient_norm:.1e}"
    if v.lower_gap is None:
        why = (
            "the follower is not known to be convex"
            if method == "multi-start"
            else "the follower's problem could not be solved again"
        )
        if at_rest:
            text = f"{why}; {RANDOM_STARTS + 2} starting points gave it no better answer, which proves nothing"
            return Status.STATIONARY, text if method == "multi-start" else why
        return Status.NOT_VERIFIED, f"{why}, and the hyper-gradient norm is {measured}"
    if v.lower_gap > tol:
        return Status.NOT_VERIFIED, f"the follower's objective may be {v.lower_gap:.1e} (relative) above its minimum"
    if at_rest:
        return Status.LOCALLY_OPTIMAL, f"lower gap {v.lower_gap:.1e} by {method}, hyper-gradient norm {measured}"
    return (
        Status.FEASIBLE,
        f"the follower answers optimally, but the hyper-gradient norm {measured} is above the tolerance {tol:g}",
    )


def verify_solution(
    model: Model,
    stored: Mapping[str, Any],
    *,
    set: Mapping[str, Any] | None = None,
    data: Sequence[Path] = (),
    seed: int = 0,
    tol: float = 1e-6,
) -> Solution:
    """A stored solution, checked anew: status, message, objectives and verification are those measured now.

    Parameters
    ----------
    model
        The model that the solution is of.
    stored
        The solution object of `Solution.to_json`; its values are used, its claims and its tolerance are not.
    set, data
        Values that replace parameters, as for `solve`.
    tol
        The tolerance of gap, violation and hyper-gradient norm.

    Raises
    ------
    BlvError
        E63x for an object that is no solution of this model, E607 for a model that cannot be verified yet.
    """
    from bileveldsl.certify.claims import check_claims
    from bileveldsl.certify.lower_level import certify
    from bileveldsl.execute.engine import engine
    from bileveldsl.execute.problem import compile_problem
    from bileveldsl.inputs import packed, parameter_values
    from bileveldsl.reduce import REDUCTIONS, reduce_program

    solution = Solution.from_json(stored)
    program = model.program(**parameter_values(model, set or {}, data))
    facts, _ = check_claims(program, certify(program))
    reduced, _, _ = reduce_program(program, REDUCTIONS)
    if len(reduced.lower) != 1 or any(level.constraints for level in reduced.levels):
        text = "solutions of models with constraints or several followers cannot be verified yet"
        raise BlvError([Diagnostic("E607", text, program.lower[0].span)])
    problem = compile_problem(reduced, engine("numpy"))
    x, y = packed(problem.x, solution), packed(problem.y, solution)
    found = verify_point(problem, x, y, facts, seed=seed, tol=tol)
    changed = _changed(model, program, solution)
    values = {"upper": float(problem.F(x, y)), program.lower[0].name: float(problem.f(x, y))}
    signed = {level.name: values[level.name] * (1 if level.sense == "minimize" else -1) for level in program.levels}
    return replace(
        solution,
        status=found.status,
        message="; ".join([found.message, *changed]),
        upper=Objective("upper", program.upper.sense, signed["upper"]),
        lower=tuple(Objective(level.name, level.sense, signed[level.name]) for level in program.lower),
        verification=found.verification,
        certificates=tuple(fact.to_json() for fact in facts),
    )


def model_digest(model: Model) -> str:
    """The sha256 of a model's canonical text, which comments and spacing do not change."""
    return hashlib.sha256(model.to_blv().encode()).hexdigest()


def _changed(model: Model, program: Program, solution: Solution) -> list[str]:
    """What is not as it was when the solution was stored."""
    notes = [] if solution.model_sha256 == model_digest(model) else ["the model has changed since it was solved"]
    files = [name for name, digest in program.digests.items() if solution.data_sha256.get(name, digest) != digest]
    return [*notes, *(f"{name} has changed since it was solved" for name in files)]


# ---- the follower ---------------------------------------------------------------------------


def _lower_gap(
    problem: CompiledProblem, x: np.ndarray, y: np.ndarray, convex: bool, modulus: float | None, seed: int, tol: float
) -> tuple[float | None, str, float]:
    """The relative gap or None, how it was found, and by how much the follower was seen to do better."""
    value = float(problem.f(x, y))
    scale = 1 + abs(value)
    if convex:
        start = _fresh_start(problem, x, y)
        point, least, residual = _solve_follower(problem, x, start)
        if not np.isfinite(least):
            return None, "convex-solve", 0.0
        better = max(0.0, (value - least) / scale)
        slack = _gap_bound(problem, x, point, modulus)
        if np.isinf(slack) and residual <= 1e-6 * max(_residual(problem, x, start), 1e-6):
            slack = 0.0  # without a modulus or bounds, a point at rest is taken for the minimum
        bound = min(value - least + slack, _gap_bound(problem, x, y, modulus)) / scale
        return (max(bound, 0.0) if np.isfinite(bound) else None), "convex-solve", better
    random = np.random.default_rng(seed)
    spread = 1 + np.abs(y)
    starts = [y, np.zeros_like(y), *(y + spread * random.standard_normal(y.size) * 3 for _ in range(RANDOM_STARTS))]
    values = [_solve_follower(problem, x, np.clip(s, problem.y_lower, problem.y_upper))[1] for s in starts]
    finite = [v for v in values if np.isfinite(v)]
    better = (value - min(finite)) / scale if finite else 0.0
    return None, "multi-start", max(better, 0.0)


def _gap_bound(problem: CompiledProblem, x: np.ndarray, y: np.ndarray, modulus: float | None) -> float:
    """A bound of f(x, y) - min f(x, .) for a convex f: max over z within bounds of <f_y, y - z> - mu/2 |y - z|^2."""
    gradient, mu = np.asarray(problem.grad_f_y(x, y)), modulus or 0.0
    wanted = y - gradient / mu if mu else np.where(gradient == 0, y, -np.copysign(np.inf, gradient))
    step = y - np.clip(wanted, problem.y_lower, problem.y_upper)
    moves = step != 0  # a step may be infinite where the gradient is not zero
    gain = float(np.sum(gradient[moves] * step[moves]))
    return gain - mu / 2 * float(step @ step) if mu else gain


def _fresh_start(problem: CompiledProblem, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Zero within the bounds; where f is not defined there the start of the run, else the point itself."""
    for start in (np.zeros_like(y), problem.y_start):
        start = np.clip(start, problem.y_lower, problem.y_upper)
        value, gradient = problem.value_and_grad_f_y(x, start)
        if np.isfinite(float(value)) and np.isfinite(np.asarray(gradient)).all():
            return start
    return y


def _solve_follower(problem: CompiledProblem, x: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Minimize the follower's objective with SciPy; the point, its value, and the norm of its (projected) gradient."""

    def objective(y: np.ndarray) -> tuple[float, np.ndarray]:
        return float(problem.f(x, y)), np.asarray(problem.grad_f_y(x, y))

    bounded = bool(np.isfinite(problem.y_lower).any() or np.isfinite(problem.y_upper).any())
    bounds = optimize.Bounds(problem.y_lower, problem.y_upper) if bounded else None
    settings = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": REST, "maxcor": 30}
    point = start
    with np.errstate(all="ignore"):
        for _ in range(SEARCHES):  # one may stall far from a minimum; started anew it goes on
            result = optimize.minimize(objective, point, jac=True, method="L-BFGS-B", bounds=bounds, options=settings)
            moved, point, value = not np.array_equal(result.x, point), result.x, float(result.fun)
            at_limit = result.status == 1
            if at_limit or not moved or _residual(problem, x, point) <= REST * np.sqrt(point.size):
                break
        if not bounded:
            point, value = _newton_polish(problem, x, point, value)
    return point, value, _residual(problem, x, point)


def _newton_polish(problem: CompiledProblem, x: np.ndarray, y: np.ndarray, value: float) -> tuple[np.ndarray, float]:
    """A few Newton steps by MINRES, each kept only where it shrinks the gradient and does not raise the value."""
    for _ in range(5):
        gradient = np.asarray(problem.grad_f_y(x, y))
        size = float(np.linalg.norm(gradient))
        if not np.isfinite(size) or size < 1e-14:
            break
        operator = LinearOperator((y.size, y.size), matvec=lambda v, y=y: np.asarray(problem.hvp(x, y, v)), dtype=float)
        step, _ = minres(operator, -gradient, rtol=1e-8, maxiter=10 * y.size)
        trial = y + step
        trial_value = float(problem.f(x, trial))
        shrunk = float(np.linalg.norm(np.asarray(problem.grad_f_y(x, trial)))) < size
        if not (shrunk and trial_value <= value + 1e-12 * (1 + abs(value))):
            break
        y, value = trial, trial_value
    return y, value


def _residual(problem: CompiledProblem, x: np.ndarray, y: np.ndarray) -> float:
    return _projected_norm(y, np.asarray(problem.grad_f_y(x, y)), problem.y_lower, problem.y_upper)


# ---- the leader -----------------------------------------------------------------------------


def hypergradient(problem: CompiledProblem, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """F_x - f_xy w with f_yy w = F_y, or None where that equation has no solution.

    A singular f_yy is allowed when F_y lies in its range (Chen, Xu, Zhang 2024, Lemma G.7): then w is any solution.
    With bounds on y, only the components that are free to move take part.
    """
    upper_x, upper_y = (np.asarray(g) for g in problem.grad_F(x, y))
    free = _free(y, np.asarray(problem.grad_f_y(x, y)), problem.y_lower, problem.y_upper)
    w = np.zeros(y.size)
    if free.any():
        solution = _solve_adjoint(problem, x, y, upper_y, free)
        if solution is None:
            return None
        w[free] = solution
    gradient = upper_x - np.asarray(problem.cross(x, y, w))
    return gradient if np.isfinite(gradient).all() else None


def _solve_adjoint(
    problem: CompiledProblem, x: np.ndarray, y: np.ndarray, right: np.ndarray, free: np.ndarray
) -> np.ndarray | None:
    count = int(free.sum())
    target = right[free]
    norm = float(np.linalg.norm(target))
    if norm == 0:
        return np.zeros(count)

    def product(v: np.ndarray) -> np.ndarray:
        full = np.zeros(y.size)
        full[free] = v
        return np.asarray(problem.hvp(x, y, full))[free]

    if count <= DENSE_LIMIT:
        matrix = np.asarray(problem.hessian_yy(x, y))[np.ix_(free, free)]
        if not np.isfinite(matrix).all():
            return None
        values, vectors = np.linalg.eigh(matrix)
        kept = np.abs(values) > count * np.finfo(float).eps * np.abs(values).max()
        solution = vectors[:, kept] @ ((vectors[:, kept].T @ target) / values[kept])
    else:
        operator = LinearOperator((count, count), matvec=product, rmatvec=product, dtype=float)
        solution = minres(operator, target, rtol=1e-13, maxiter=20 * count)[0]
        if np.linalg.norm(product(solution) - target) > 1e-8 * norm:
            solution = lsmr(operator, target, atol=1e-14, btol=1e-14, maxiter=20 * count)[0]
    residual = float(np.linalg.norm(product(solution) - target))
    return solution if residual <= 1e-6 * norm else None


def _free(y: np.ndarray, gradient: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The components of y that no active bound holds."""
    step = y - gradient
    return (lower <= step) & (step <= upper)


def _projected_norm(point: np.ndarray, gradient: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """The length of the projected gradient step, zero exactly at a first-order point of the box."""
    if not point.size:
        return 0.0
    return float(np.linalg.norm(point - np.clip(point - gradient, lower, upper)))


def _bound_violation(point: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    if not point.size:
        return 0.0
    return float(max(0.0, np.max(lower - point), np.max(point - upper)))


def _modulus(fact: Fact | None) -> float | None:
    return None if fact is None or fact.verdict not in ("proved", "assumed") else fact.constant
