"""Measurements of a smooth problem without constraints other than bounds, by gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize
from scipy.sparse.linalg import LinearOperator, lsmr, minres

from bileveldsl.single_level.program import bound_violation
from bileveldsl.verdict.constants import proximal_curvature
from bileveldsl.verify.measured import Measured

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.problem import CompiledProblem

PL_BOUND = "gradient-bound"
"""How a gap is found where the follower's objective satisfies the Polyak-Lojasiewicz inequality."""

RANDOM_STARTS = 20
SEARCHES = 5
REST = 1e-10  # largest entry of a (projected) gradient that is taken for zero
DENSE_LIMIT = 1500
FLAT = 1e-7  # curvature relative to the largest that may be zero, where the point is accurate to its root


def measure(
    problem: CompiledProblem,
    x: np.ndarray,
    y: np.ndarray,
    known: Mapping[tuple[str, str], Fact],
    seed: int,
    tol: float,
) -> Measured:
    """The measurements at flat points x and y; `known` are the facts that hold."""
    upper = bound_violation(x, problem.x_lower, problem.x_upper)
    lower = bound_violation(y, problem.y_lower, problem.y_upper)
    F, f = float(problem.F(x, y)), float(problem.f(x, y))
    if not (np.isfinite(F) and np.isfinite(f)):
        return Measured(upper, lower, doubt="an objective has no finite value at the point")
    of = f"{problem.follower}.objective"
    bends = [known[of, name] for name in ("convex", "strongly_convex") if (of, name) in known]
    strong = known.get((of, "strongly_convex"))
    gap, method, better = lower_gap(problem, x, y, bool(bends), strong.constant if strong else None, seed, tol)
    inequality = known.get((of, "pl"))
    if gap is None and inequality is not None and inequality.constant and inequality.x == "box":
        gap, method = pl_gap(problem, x, y, inequality, better), PL_BOUND
        if inequality.verdict == "assumed":
            method = f"{PL_BOUND} (PL assumed)"
    if method == "convex-solve" and any(fact.verdict == "assumed" for fact in bends):
        method = "convex-solve (convexity assumed)"
    found = _hypergradient(problem, x, y, tol)
    rest = None if found is None else found.rest(x, problem.x_lower, problem.x_upper)
    at_rest = rest is not None and rest <= tol
    norm = "the hyper-gradient norm is unknown" if rest is None else f"hyper-gradient norm {rest:.1e}"
    if rest is not None and not at_rest:
        norm = f"the hyper-gradient norm {rest:.1e} is above the tolerance {tol:g}"
    return Measured(upper, lower, F, gap, method, better, rest, at_rest, norm)


# ---- the follower ---------------------------------------------------------------------------


def lower_gap(
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
        slack = gap_bound(problem, x, point, modulus)
        if np.isinf(slack) and residual <= 1e-6 * max(_residual(problem, x, start), 1e-6):
            slack = 0.0  # without a modulus or bounds, a point at rest is taken for the minimum
        bound = min(value - least + slack, gap_bound(problem, x, y, modulus)) / scale
        return (max(bound, 0.0) if np.isfinite(bound) else None), "convex-solve", better
    random = np.random.default_rng(seed)
    spread = 1 + np.abs(y)
    starts = [y, np.zeros_like(y), *(y + spread * random.standard_normal(y.size) * 3 for _ in range(RANDOM_STARTS))]
    values = [_solve_follower(problem, x, np.clip(s, problem.y_lower, problem.y_upper))[1] for s in starts]
    finite = [v for v in values if np.isfinite(v)]
    better = (value - min(finite)) / scale if finite else 0.0
    return None, "multi-start", max(better, 0.0)


def pl_gap(problem: CompiledProblem, x: np.ndarray, y: np.ndarray, fact: Fact, better: float) -> float | None:
    """A bound of the relative gap by the inequality turned round; no less than what was seen to be possible.

    For all y it is |f_y|^2 <= 2 mu gap; between bounds, where it is proved from a curvature a on, D(y, a) <= 2 mu gap.
    """
    curvature, value, inside = proximal_curvature(fact), float(problem.f(x, y)), y
    if curvature is not None:  # it says nothing of a point that rounding has put out of the bounds
        inside = np.clip(y, problem.y_lower, problem.y_upper)
    gradient = np.asarray(problem.grad_f_y(x, inside))
    square = float(gradient @ gradient)
    if curvature is not None:
        square = proximal_square(inside, gradient, (problem.y_lower, problem.y_upper), curvature)
    rise = max(value - float(problem.f(x, inside)), 0.0)
    bound = (square / (2 * (fact.constant or 0.0)) + rise) / (1 + abs(value))
    return max(bound, better) if np.isfinite(bound) else None


def proximal_square(
    y: np.ndarray, gradient: np.ndarray, bounds: tuple[np.ndarray, np.ndarray], curvature: float
) -> float:
    """D(y, a) = -2 a min over z within bounds of <gradient, z - y> + a/2 |z - y|^2, a being the curvature.

    It is the square of the gradient where a step of 1 / a stays within the bounds, and less where it does not.

    References
    ----------
    Karimi, Nutini, Schmidt (2016), Linear convergence of gradient methods under the Polyak-Lojasiewicz condition, (13).

    Examples
    --------
    >>> proximal_square(np.array([1.0, 0.0]), np.array([2.0, 3.0]), (np.zeros(2), np.ones(2)), 4.0)
    4.0
    """
    size = np.abs(gradient)
    room = np.where(gradient > 0, y - bounds[0], bounds[1] - y)
    moved = np.minimum(size, curvature * room)  # the part of each entry that a step of 1 / a may follow
    return float(np.sum(moved * (2 * size - moved)))


def gap_bound(problem: CompiledProblem, x: np.ndarray, y: np.ndarray, modulus: float | None) -> float:
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
    return projected_norm(y, np.asarray(problem.grad_f_y(x, y)), problem.y_lower, problem.y_upper)


# ---- the leader -----------------------------------------------------------------------------


@dataclass(frozen=True)
class HyperGradient:
    """The gradient of phi, and how steeply F falls among what may be ties of the follower."""

    gradient: np.ndarray
    ties: float

    def rest(self, x: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
        """The length of both together, the gradient's within the bounds of x."""
        return math.hypot(projected_norm(x, self.gradient, lower, upper), self.ties)


def hypergradient(problem: CompiledProblem, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """F_x - f_xy w with f_yy w = F_y, or None where that equation has no solution.

    A singular f_yy is allowed when F_y lies in its range (Chen, Xu, Zhang 2024, Lemma G.7): then w is any solution.
    With bounds on y, only the components that are free to move take part.
    """
    found = _hypergradient(problem, x, y, 0.0)
    return None if found is None else found.gradient


def _hypergradient(problem: CompiledProblem, x: np.ndarray, y: np.ndarray, tol: float) -> HyperGradient | None:
    upper_x, upper_y = (np.asarray(g) for g in problem.grad_F(x, y))
    free = _free(y, np.asarray(problem.grad_f_y(x, y)), problem.y_lower, problem.y_upper)
    w, ties = np.zeros(y.size), 0.0
    if free.any():
        solution = _solve_adjoint(problem, x, y, upper_y, free, tol)
        if solution is None:
            return None
        w[free], ties = solution
    gradient = upper_x - np.asarray(problem.cross(x, y, w))
    return HyperGradient(gradient, ties) if np.isfinite(gradient).all() else None


def _solve_adjoint(
    problem: CompiledProblem, x: np.ndarray, y: np.ndarray, right: np.ndarray, free: np.ndarray, nothing: float
) -> tuple[np.ndarray, float] | None:
    """w, and the length of the part of F_y outside the range of f_yy, where that is more than rounding.

    A part of at most `nothing` is allowed: where F_y itself is hardly more than rounding, no part of it is small
    relative to it.
    """
    target = right[free]
    norm = float(np.linalg.norm(target))

    def product(v: np.ndarray) -> np.ndarray:
        full = np.zeros(y.size)
        full[free] = v
        return np.asarray(problem.hvp(x, y, full))[free]

    for solution in _least_squares(problem, x, y, free, target, product) if norm > 0 else (target,):
        residual = float(np.linalg.norm(product(solution) - target))
        if residual <= 1e-6 * norm:
            return solution, 0.0
        if residual <= nothing:
            return solution, residual
    return None


def _least_squares(
    problem: CompiledProblem, x: np.ndarray, y: np.ndarray, free: np.ndarray, target: np.ndarray,
    product: Callable[[np.ndarray], np.ndarray],
) -> Iterator[np.ndarray]:  # fmt: skip
    """Solutions of f_yy w = target, the most accurate first, then with more of f_yy taken for zero."""
    count = target.size
    if count <= DENSE_LIMIT:
        matrix = np.asarray(problem.hessian_yy(x, y))[np.ix_(free, free)]
        if not np.isfinite(matrix).all():
            return
        values, vectors = np.linalg.eigh(matrix)
        for zero in (count * np.finfo(float).eps, FLAT):
            kept = np.abs(values) > zero * np.abs(values).max()
            yield vectors[:, kept] @ ((vectors[:, kept].T @ target) / values[kept])
        return
    operator = LinearOperator((count, count), matvec=product, rmatvec=product, dtype=float)
    yield minres(operator, target, rtol=1e-13, maxiter=20 * count)[0]
    yield lsmr(operator, target, atol=1e-14, btol=1e-14, maxiter=20 * count)[0]


def _free(y: np.ndarray, gradient: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The components of y that no active bound holds."""
    step = y - gradient
    return (lower <= step) & (step <= upper)


def projected_norm(point: np.ndarray, gradient: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> float:
    """The length of the projected gradient step, zero exactly at a first-order point of the box."""
    if not point.size:
        return 0.0
    return float(np.linalg.norm(point - np.clip(point - gradient, lower, upper)))
