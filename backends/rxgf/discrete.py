"""RXGF in discrete time: z+ = z + gamma d with the step d of a half space (Sharifi et al., 2501.16520, 2504.17215).

    qp1    h'(z) d <= -alpha |h'|^2             gamma = 1.5 K^(-1/3)    alpha = 1.5 K^(-1/3)
    qp2    h'(z) d <= -alpha |h'| sqrt(h)       gamma = 10 K^(-2/3)     alpha = 10 K^(-1/3)
    rxgd   h'(z) d <= -alpha (h - eps^2)        Euler's method for the flow

for a horizon of K iterations. The multiplier grows as h falls, and steps longer than 2 / (curvature of F + lam h)
chatter; unless gamma is given, they are kept within the reciprocal of the curvature met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bileveldsl.backends.galet.measures import norm
from bileveldsl.backends.rxgf.problem import Relaxed
from bileveldsl.backends.rxgf.stationarity import Residual

from bileveldsl.execute.driver import Report

if TYPE_CHECKING:
    from bileveldsl.execute.oracles import Oracles

Form = Literal["qp1", "qp2", "rxgd"]
FORGET = 0.999  # of the curvature met, from one step to the next


def schedule(form: Form, horizon: int) -> tuple[float, float]:
    """(alpha, longest gamma) for K iterations, for the QPs as published for the convex synthetic problem."""
    if form == "qp1":
        return 1.5 * horizon ** (-1 / 3), 1.5 * horizon ** (-1 / 3)
    if form == "qp2":
        return 10 * horizon ** (-1 / 3), 10 * horizon ** (-2 / 3)
    return 1.0, 1.0


class State(NamedTuple):
    z: Any
    value: Any
    slope: Any
    piece: Residual
    p: Any
    d: Any
    lam: Any
    curvature: Any
    iteration: Any


@dataclass(frozen=True, eq=False)
class Discrete:
    """One of the three, as a solver of the driver; `gamma` is None for steps within the curvature met."""

    form: Form
    relaxed: Relaxed
    alpha: float
    gamma: float | None
    longest: float
    eps: float
    tolerance: float
    modulus: float | None

    def init(self, oracles: Oracles, x: Any, y: Any) -> State:
        xp = oracles.engine.xp
        z = self.relaxed.start(oracles, x, y)
        zero = xp.asarray(0.0)
        s = self._derive(oracles, State(z, zero, z, Residual(z, z, z), z, z, zero, zero, 0), z)
        return s._replace(curvature=10 * xp.maximum(norm(xp, s.d), 1.0))  # a short first step measures it

    def step(self, oracles: Oracles, state: State) -> State:
        xp, s = oracles.engine.xp, state
        length = self._length(xp, s)
        z = xp.clip(s.z + length * s.d, *self.relaxed.box)
        new = self._derive(oracles, s, z)
        moved = norm(xp, z - s.z)
        change = norm(xp, new.slope - s.slope + s.lam * (new.p - s.p))
        met = xp.where(moved > 0, change / xp.where(moved > 0, moved, 1.0), 0.0)
        return new._replace(curvature=xp.maximum(met, FORGET * s.curvature), iteration=s.iteration + 1)

    def terminate(self, state: State) -> Any:
        if self.form == "rxgd":
            edge = self._height(state) - self.eps**2
            near = (edge <= 1e-3 * self.eps**2) & (state.lam * abs(edge) <= self.tolerance)
        else:
            near = self._height(state) <= (self.tolerance * (self.modulus or 1.0)) ** 2
        return ((state.d @ state.d) <= self.tolerance**2) & near

    def report(self, state: State) -> Report:
        x, y = self.relaxed.stationarity.split(state.z)
        h = self._height(state)
        width = self.eps**2 if self.form == "rxgd" else 0.0
        measures = {
            "kkt_residual": (state.d @ state.d) ** 0.5, "lower_residual": h**0.5,
            "complementarity": state.lam * abs(h - width),
        }  # fmt: skip
        return Report(x, y, state.value, measures)

    def work(self, state: State) -> Mapping[str, int]:
        return dict.fromkeys(("f", "grad_f", "grad_g", "hvp", "cross"), int(state.iteration) + 1)

    def _height(self, s: State) -> Any:
        return s.piece.value @ s.piece.value

    def _length(self, xp: Any, s: State) -> Any:
        return self.gamma if self.gamma else xp.minimum(self.longest, 1 / xp.maximum(s.curvature, 1e-12))

    def _derive(self, oracles: Oracles, s: State, z: Any) -> State:
        xp, inner = oracles.engine.xp, self.relaxed.stationarity
        piece = inner.residual(oracles, z)
        p = inner.pull(oracles, z, piece, 2 * piece.value)
        h, size = xp.vdot(piece.value, piece.value), norm(xp, p)
        wanted = {"qp1": -(size**2), "qp2": -size * xp.sqrt(h), "rxgd": self.eps**2 - h}[self.form]
        slope = self.relaxed.slope(oracles, z)
        reach = self.gamma or self.longest  # the step taken is no longer, so that it stays within bounds
        d, lam = self.relaxed.step(oracles.engine, z, slope, p, self.alpha * wanted, xp.asarray(0.0), reach)
        return s._replace(z=z, value=self.relaxed.value(oracles, z), slope=slope, piece=piece, p=p, d=d, lam=lam)
