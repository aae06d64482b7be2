"""The follower brought to rest: a truncated Newton method within bounds, on either engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bileveldsl.backends.galet.measures import Box, norm, projected_length, ratio

if TYPE_CHECKING:
    from bileveldsl.execute.certified import Certified
    from bileveldsl.execute.oracles import Oracles

SMALLEST_STEP = 1e-9
NEWTON_STEPS = 100


class Response(NamedTuple):
    """The follower at rest: f, f_y, the length of the projected gradient, and the curvature of the last step.

    `calls` counts values with gradients, and products with f_yy.
    """

    y: Any
    value: Any
    gradient: Any
    size: Any
    curvature: Any
    calls: Any
    stuck: Any


def settle(
    oracles: Oracles,
    x: Any,
    start: Any,
    box: Box,
    goal: Any,
    most: int = NEWTON_STEPS,
    products: float = np.inf,
    known: Certified | None = None,
) -> Response:
    """Minimize f in y within bounds until the projected gradient is within `goal`, or no step makes it smaller.

    It ends as well where a minimizer is certified to be within the distance `goal`, after `most` steps, and after the
    one with which there were `products` products with f_yy.

    Truncated Newton steps on the variables that no bound holds (Bertsekas 1982), with conjugate gradients that stop at
    negative curvature, and a line search; on either engine.
    """
    xp = oracles.engine.xp

    def evaluate(y: Any, curvature: Any, calls: Any) -> Response:
        value, gradient = oracles.value_and_grad_f_y(x, y)
        size = projected_length(xp, y, gradient, box)
        return Response(y, value, gradient, size, curvature, calls + xp.asarray([1, 0]), size < 0)

    def body(carry: tuple[Any, Response]) -> tuple[Any, Response]:
        steps, s = carry
        margin = xp.minimum(s.size, 1e-2)
        held = ((s.y - box[0] <= margin) & (s.gradient > 0)) | ((box[1] - s.y <= margin) & (s.gradient < 0))
        free = xp.where(held, 0.0, 1.0)
        accuracy = xp.clip(s.size, 1e-8, 0.1)
        system = x, s.y, -free * s.gradient, free, accuracy, products
        newton, curvature, count = _newton(oracles, *system)
        reach = 1 + norm(xp, s.y)  # where f bends the other way nearby, longer steps lead to other minima
        newton = newton * xp.minimum(1.0, ratio(xp, reach, norm(xp, newton), 1.0))
        direction = xp.where(held, -s.gradient, newton)
        resolution = 1e-14 * (1 + xp.abs(s.value))

        def attempt(length: Any, calls: Any) -> tuple[Any, Response]:
            return length, evaluate(xp.clip(s.y + length * direction, *box), curvature, calls)

        def worse(trial: tuple[Any, Response]) -> Any:
            length, t = trial
            decrease = t.value <= s.value + 1e-4 * xp.vdot(s.gradient, t.y - s.y)
            level = xp.abs(t.value - s.value) <= resolution
            good = (decrease & (t.value < s.value - resolution)) | ((decrease | level) & (t.size < s.size))
            return xp.logical_not(good & xp.isfinite(t.size)) & (length > SMALLEST_STEP)

        calls = s.calls + xp.asarray([0, 1]) * count
        untried = 4.0 + 0.0 * s.value, s._replace(value=xp.inf + 0.0 * s.value, calls=calls)
        length, t = oracles.engine.while_loop(worse, lambda trial: attempt(0.25 * trial[0], trial[1].calls), untried)
        stuck = length <= SMALLEST_STEP
        kept = [xp.where(stuck, old, new) for old, new in zip(s, t, strict=True)]
        return steps + 1, Response(*kept)._replace(calls=t.calls, stuck=stuck)

    def unfinished(carry: tuple[Any, Response]) -> Any:
        steps, s = carry
        going = (steps < most) & (s.calls[1] < products)
        far = s.size > goal
        if known is not None:
            far = far & xp.logical_not(known.within(xp, s.y, s.gradient, goal))
        return far & xp.isfinite(s.size) & xp.logical_not(s.stuck) & going

    first = evaluate(start, xp.asarray(0.0), xp.asarray([0, 0]))
    return oracles.engine.while_loop(unfinished, body, (0, first))[1]


def _newton(
    oracles: Oracles, x: Any, y: Any, right: Any, free: Any, accuracy: Any, most: float
) -> tuple[Any, Any, Any]:
    """f_yy d = right on the free variables by conjugate gradients; d, its curvature d'f_yy d / d'd, and the products.

    At curvature that is not positive it stops with the last d, at the first step with a multiple of `right`.
    """
    xp = oracles.engine.xp
    goal = accuracy * norm(xp, right)

    def body(s: tuple[Any, ...]) -> tuple[Any, ...]:
        steps, d, residual, p, square, largest, _ = s
        image = free * oracles.hvp(x, y, free * p)
        bend, length = xp.vdot(p, image), xp.vdot(p, p)
        largest = xp.maximum(largest, ratio(xp, norm(xp, image), xp.sqrt(length), 0.0))
        flat = xp.logical_not(bend > 1e-12 * largest * length)
        size = xp.maximum(xp.abs(bend), 1e-3 * largest * length)
        step = xp.where(flat, 0.0, ratio(xp, square, bend, 0.0))
        first = xp.where(flat & (steps == 0), ratio(xp, square, size, 1.0), 0.0)
        residual = residual - step * image
        new = xp.vdot(residual, residual)
        ahead = residual + ratio(xp, new, square, 0.0) * p
        return steps + 1, d + (step + first) * p, residual, ahead, new, largest, flat

    def unfinished(s: tuple[Any, ...]) -> Any:
        return (s[4] > goal**2) & xp.logical_not(s[6]) & (s[0] < min(2 * right.size + 10, most))

    zero = xp.zeros(right.size)
    state = (0, zero, right, right, xp.vdot(right, right), 0.0 * goal, goal < 0)
    steps, d, *_ = oracles.engine.while_loop(unfinished, body, state)
    return d, ratio(xp, xp.vdot(right, d), xp.vdot(d, d), 0.0), steps


def follower_work(calls: Any) -> dict[str, Any]:
    """A response's `calls` by the names of `CompiledProblem.work`."""
    evaluations, products = calls
    return {"g": evaluations, "grad_g": evaluations, "hvp": products}
