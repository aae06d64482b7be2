"""The published form: alternating loops with fixed numbers of steps, whose sizes may be left to be found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bileveldsl.backends.galet.measures import Box, gap, norm, projected_length, ratio, within

from bileveldsl.execute.driver import Report

if TYPE_CHECKING:
    from bileveldsl.execute.certified import Certified
    from bileveldsl.execute.oracles import Oracles

ENOUGH = 0.1  # of the follower's accuracy, relative to the leader's


class State(NamedTuple):
    """A point of the alternating loops; `smoothness` is the curvature met in y."""

    x: Any
    y: Any
    w: Any
    value: Any
    gradient: Any
    alpha: Any
    growth: Any
    smoothness: Any
    measures: Mapping[str, Any]
    iteration: Any
    steps: Any  # on y


@dataclass(frozen=True, eq=False)
class Published:
    """N steps on y, T on w, one on x; both variables are projected onto their bounds.

    The steps on y end before the N-th where R_y is certified to be small beside R_x^2.

    Where a step size is None: on y it is the reciprocal of the curvature met, on w it is exact, and on x it
    follows the change of the gradient (Malitsky, Mishchenko 2020).
    """

    N: int
    T: int
    alpha: float | None
    beta: float | None
    rho: float | None
    x_box: Box
    y_box: Box
    tolerance: float
    known: Certified | None

    def init(self, oracles: Oracles, x: Any, y: Any) -> State:
        xp = oracles.engine.xp
        smooth = self.known.smooth if self.known is not None else math.inf
        begin = xp.asarray(smooth if math.isfinite(smooth) else 1.0)
        s = State(x, y, xp.zeros(y.size), xp.asarray(0.0), x, xp.asarray(self.alpha or 0.0),
                  xp.asarray(1.0), begin, {"R_x": xp.asarray(0.0)}, -1, xp.asarray(0))  # fmt: skip
        s = self._loops(oracles, s, x)
        first = 0.1 * xp.minimum(1.0, 1.0 / xp.maximum(norm(xp, s.gradient), 1e-12))
        return s if self.alpha else s._replace(alpha=first)

    def step(self, oracles: Oracles, state: State) -> State:
        xp = oracles.engine.xp
        x = xp.clip(state.x - state.alpha * state.gradient, *self.x_box)
        new = self._loops(oracles, state, x)
        if self.alpha:
            return new
        moved, change = norm(xp, x - state.x), norm(xp, new.gradient - state.gradient)
        longest = xp.where(moved > 0, xp.sqrt(1 + state.growth), 1.0) * state.alpha
        alpha = xp.minimum(longest, ratio(xp, 0.5 * moved, change, longest))
        return new._replace(alpha=alpha, growth=alpha / state.alpha)

    def terminate(self, state: State) -> Any:
        return within(state.measures, self.tolerance)

    def report(self, state: State) -> Report:
        return Report(state.x, state.y, state.value, state.measures)

    def work(self, state: State) -> Mapping[str, int]:
        visits = int(state.iteration) + 1
        gradients, products = int(state.steps) + visits, visits * (2 * self.T + 2)
        return {"f": visits, "grad_f": visits, "grad_g": gradients, "hvp": products, "cross": visits}

    def _loops(self, oracles: Oracles, s: State, x: Any) -> State:
        xp = oracles.engine.xp

        def far(carry: tuple[Any, ...]) -> Any:
            steps, y, gradient, *_ = carry
            if self.known is None:
                return steps < self.N
            small = (ENOUGH * xp.maximum(s.measures["R_x"], self.tolerance)) ** 2
            return (steps < self.N) & (self.known.gap(xp, y, gradient) > small)

        def on_y(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            steps, y, gradient, smoothness, curvature = carry
            trial = xp.clip(y - (self.beta or 1 / smoothness) * gradient, *self.y_box)
            new, moved = oracles.grad_f_y(x, trial), trial - y
            length, change = xp.vdot(moved, moved), new - gradient
            bend = ratio(xp, xp.vdot(moved, change), length, curvature)
            met = ratio(xp, norm(xp, change), xp.sqrt(length), 0.0)
            if self.beta:
                return steps + 1, trial, new, smoothness, bend
            fits = met <= 1.5 * smoothness  # false for NaN, too; else the step is taken back
            nearer = xp.maximum(met, 0.9 * smoothness)  # curvature far from here is forgotten
            steeper = xp.where(xp.isfinite(met), xp.clip(met, 2 * smoothness, 10 * smoothness), 10 * smoothness)
            return (
                steps + 1, xp.where(fits, trial, y), xp.where(fits, new, gradient),
                xp.where(fits, nearer, steeper), xp.where(fits, bend, curvature),
            )  # fmt: skip

        state = (0, s.y, oracles.grad_f_y(x, s.y), s.smoothness, xp.asarray(0.0))
        steps, y, lower_y, smoothness, curvature = oracles.engine.while_loop(far, on_y, state)
        value, upper_x, upper_y = oracles.value_and_grad_F(x, y)
        step = y - lower_y
        free = xp.where((self.y_box[0] <= step) & (step <= self.y_box[1]), 1.0, 0.0)

        def product(v: Any) -> Any:
            return free * oracles.hvp(x, y, v)

        def on_w(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            w, residual = carry
            slope = product(residual)
            image = product(slope)
            rho = self.rho or ratio(xp, xp.vdot(slope, slope), xp.vdot(image, image), 0.0)
            return w - rho * slope, residual - rho * image

        w = free * s.w
        w, residual = oracles.engine.fori_loop(0, self.T, on_w, (w, free * upper_y + product(w)))
        gradient = upper_x + oracles.cross(x, y, w)
        measures = {
            "R_x": projected_length(xp, x, gradient, self.x_box), "R_w": norm(xp, product(residual)),
            "R_y": gap(xp, y, lower_y, self.known, self.y_box, curvature),
        }  # fmt: skip
        return State(x, y, w, value, gradient, s.alpha, s.growth, smoothness, measures, s.iteration + 1,
                     s.steps + steps)  # fmt: skip
