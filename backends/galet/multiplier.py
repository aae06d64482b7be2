"""The multiplier w of the follower's condition f_y = 0: f_yy w = -F_y by MINRES."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bileveldsl.backends.galet.measures import norm, ratio

if TYPE_CHECKING:
    from bileveldsl.execute.oracles import Oracles


class Adjoint(NamedTuple):
    """w, the residual F_y + f_yy w on the free variables, f_yy times that, and the products with f_yy."""

    w: Any
    residual: Any
    image: Any
    products: Any


def adjoint(oracles: Oracles, x: Any, y: Any, upper_y: Any, free: Any, start: Any, accuracy: float) -> Adjoint:
    """The least-squares solution of f_yy w = -F_y on the free variables by MINRES (Paige, Saunders 1975).

    It stops where the residual is small relative to F_y, or nearly orthogonal to the range of f_yy.
    """
    xp = oracles.engine.xp

    def product(v: Any) -> Any:
        return free * oracles.hvp(x, y, free * v)

    right, start = -free * upper_y, free * start
    goal = accuracy * norm(xp, right)
    residual = right - product(start)
    first = norm(xp, residual)
    zero = xp.zeros(right.size)
    probe = xp.cos(xp.arange(right.size))  # its image tells the size of f_yy where the residual is nearly orthogonal
    scale = norm(xp, product(probe)) / norm(xp, probe) if right.size else 0.0 * first

    def body(s: tuple[Any, ...]) -> tuple[Any, ...]:
        steps, w, older, old, before, beta, along, bar, epsilon, c, sine, w1, w2, largest, _ = s
        v = ratio(xp, old, beta, 0.0)
        image = product(v) - ratio(xp, beta, before, 0.0) * older
        alpha = xp.vdot(v, image)
        image = image - ratio(xp, alpha, beta, 0.0) * old
        after = norm(xp, image)
        largest = xp.maximum(largest, xp.sqrt(alpha**2 + after**2))
        delta, gbar = c * bar + sine * alpha, sine * bar - c * alpha
        root = xp.hypot(gbar, -c * after)  # |f_yy r| / |r| of the residual so far
        useless = xp.logical_not(root > accuracy * largest)
        gamma = xp.hypot(gbar, after)
        cosine, sine_new = ratio(xp, gbar, gamma, 0.0), ratio(xp, after, gamma, 0.0)
        fresh = ratio(xp, v - epsilon * w1 - delta * w2, gamma, 0.0)
        moved = xp.where(useless, w, w + cosine * along * fresh)
        return (steps + 1, moved, old, image, beta, after, xp.where(useless, along, sine_new * along), -c * after,
                sine * after, cosine, sine_new, w2, fresh, largest, useless)  # fmt: skip

    def unfinished(s: tuple[Any, ...]) -> Any:
        return (s[6] > goal) & xp.logical_not(s[14]) & (s[0] < 10 * right.size + 10)

    nothing = 0.0 * first
    state = (0, start, zero, residual, nothing, first, first, nothing, nothing, nothing - 1.0, nothing, zero, zero,
             scale, first < 0)  # fmt: skip
    steps, w, *_ = oracles.engine.while_loop(unfinished, body, state)
    residual = product(w) - right
    return Adjoint(w, residual, product(residual), steps + 4)
