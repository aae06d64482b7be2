"""The Krylov form: the follower at rest, w by MINRES, x by the spectral projected gradient method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bileveldsl.backends.galet.follower import Response, follower_work, settle
from bileveldsl.backends.galet.measures import Box, gap, norm, projected_length, ratio, within
from bileveldsl.backends.galet.multiplier import adjoint

from bileveldsl.execute.driver import Report

if TYPE_CHECKING:
    from bileveldsl.execute.certified import Certified
    from bileveldsl.execute.oracles import Oracles

MEMORY = 8  # values that the nonmonotone line search compares with
SMALLEST_STEP = 1e-9


class State(NamedTuple):
    """The leader's point, the follower at rest, the multiplier, F and its gradients along x and among ties."""

    x: Any
    y: Any
    w: Any
    value: Any
    gradient: Any
    ties: Any
    step: Any
    recent: Any
    measures: Mapping[str, Any]
    stuck: Any
    calls: Any  # values of f with gradients, products with f_yy, values of F, points with derivatives of F


@dataclass(frozen=True, eq=False)
class Krylov:
    """The adaptive form, as a solver of the driver."""

    x_box: Box
    y_box: Box
    tolerance: float
    known: Certified | None

    def init(self, oracles: Oracles, x: Any, y: Any) -> State:
        """A state of step zero: the first iteration brings the follower to rest, and x stays."""
        xp = oracles.engine.xp
        value = oracles.F(x, y)
        zero = xp.where(xp.isfinite(value), 0.0 * value, 0.0)
        measures = dict.fromkeys(("R_x", "R_w", "R_y", "adjoint"), zero + xp.inf)
        return State(x, y, xp.zeros(y.size), xp.where(xp.isfinite(value), value, 0.0), 0.0 * x, 0.0 * y, zero,
                     zero + xp.inf + xp.zeros(MEMORY), measures, zero > 0, xp.asarray([0, 0, 1, 0]))  # fmt: skip

    def step(self, oracles: Oracles, state: State) -> State:
        xp, s = oracles.engine.xp, state
        along = xp.clip(s.x - s.step * s.gradient, *self.x_box) - s.x
        ties = -s.step * s.ties
        slope = xp.vdot(s.gradient, along) + xp.vdot(s.ties, ties)
        reference = s.recent.max() + 1e-13 * (1 + xp.abs(s.value))  # values do not resolve smaller differences
        goal = 1e-4 * self.tolerance
        size = xp.sqrt(xp.vdot(along, along) + xp.vdot(ties, ties))
        least = SMALLEST_STEP * xp.minimum(1.0, ratio(xp, 1 + norm(xp, s.x) + norm(xp, s.y), size, 1.0))

        def attempt(length: Any, calls: Any) -> tuple[Any, ...]:
            x = s.x + length * along
            begin = xp.clip(s.y + length * ties, *self.y_box)
            response = settle(oracles, x, begin, self.y_box, goal, known=self.known)
            return length, x, response, oracles.F(x, response.y), calls + xp.asarray([*response.calls, 1, 0])

        def too_long(trial: tuple[Any, ...]) -> Any:
            length, _, _, value, _ = trial
            return xp.logical_not(value <= reference + 1e-4 * length * slope) & (length > least)

        none = 0.0 * s.value
        nothing = Response(s.y, none, 0.0 * s.y, none, none, xp.asarray([0, 0]), none > 0)
        untried = 4.0 + none, s.x, nothing, xp.nan + none, s.calls
        length, x, response, _, calls = oracles.engine.while_loop(
            too_long, lambda trial: attempt(0.25 * trial[0], trial[4]), untried
        )
        new = self._derive(oracles, s, x, response, calls)
        moved, square = new.x - s.x, length * length * xp.vdot(ties, ties)
        square = square + xp.vdot(moved, moved)
        bend = xp.vdot(moved, new.gradient - s.gradient) + length * xp.vdot(ties, new.ties - s.ties)
        spectral = xp.clip(ratio(xp, square, bend, 10 * s.step), 1e-10, 1e10)
        recent = xp.concatenate([s.recent[1:], xp.reshape(new.value, (1,))])
        steep = xp.sqrt(xp.vdot(new.gradient, new.gradient) + xp.vdot(new.ties, new.ties))
        fresh, stuck = s.step == 0, length <= least
        parts = ("x", "y", "w", "value", "gradient", "ties")
        kept = {part: xp.where(stuck, getattr(s, part), getattr(new, part)) for part in parts}
        kept["value"] = xp.where(stuck & fresh, np.nan, kept["value"])  # F has no value where the follower is at rest
        return new._replace(
            **kept, measures={name: xp.where(stuck, s.measures[name], new.measures[name]) for name in s.measures},
            step=xp.where(fresh, xp.minimum(1.0, 1.0 / xp.maximum(steep, 1e-12)), spectral),
            recent=xp.where(fresh, new.value, recent), stuck=stuck,
        )  # fmt: skip

    def terminate(self, state: State) -> Any:
        return within(state.measures, self.tolerance) | state.stuck

    def report(self, state: State) -> Report:
        return Report(state.x, state.y, state.value, state.measures, state.value)

    def work(self, state: State) -> Mapping[str, int]:
        settling, products, values, points = (int(number) for number in state.calls)
        counted = {"f": values + points, "grad_f": points, "cross": points}
        return {**follower_work((settling, products)), **counted}

    def _derive(self, oracles: Oracles, s: State, x: Any, response: Response, calls: Any) -> State:
        """F, its gradient along the follower's answers, and the measures at a point where the follower is at rest."""
        xp, y = oracles.engine.xp, response.y
        value, upper_x, upper_y = oracles.value_and_grad_F(x, y)
        step = y - response.gradient
        free = xp.where((self.y_box[0] <= step) & (step <= self.y_box[1]), 1.0, 0.0)
        found = adjoint(oracles, x, y, upper_y, free, s.w, min(1e-10, 1e-3 * self.tolerance))
        gradient = upper_x + oracles.cross(x, y, found.w)
        calls = calls + xp.asarray([0, 1, 0, 0]) * found.products + xp.asarray([0, 0, 0, 1])
        measures = {
            "R_x": projected_length(xp, x, gradient, self.x_box), "R_w": norm(xp, found.image),
            "R_y": gap(xp, y, response.gradient, self.known, self.y_box, response.curvature),
            "adjoint": projected_length(xp, y, found.residual, self.y_box),
        }  # fmt: skip
        return State(x, y, found.w, value, gradient, found.residual, s.step, s.recent, measures, s.stuck, calls)
