"""Sequential QCQP with a line search (2505.14647), with multiplier shifts that take the bias of eps away.

The tube |r(z)| <= eps is where RXGF works; its end point has |r| = eps, which is a bias and no tolerance, and as eps
shrinks the problem becomes ill-conditioned like 1 / eps. Here the tube keeps its width and moves: at a solution of
min F s.t. |r + s|^2 <= eps^2 the vector w = 2 lam (r + s) is a multiplier of r = 0, and with the shift s = eps w / |w|
the next tube touches r = 0 where w points (Powell 1969, for penalties). The residual falls by a factor like eps from
one shift to the next, and where it does not, the tube is narrowed. A given eps is kept, without shifts, as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bileveldsl.backends.galet.measures import norm
from bileveldsl.backends.rxgf.problem import Relaxed
from bileveldsl.backends.rxgf.stationarity import Residual

from bileveldsl.execute.driver import Report

if TYPE_CHECKING:
    from bileveldsl.execute.oracles import Oracles

SMALLEST_STEP = 1e-7
FAILURES = 4  # line searches without a better point, after which there is taken to be none
NARROW = 0.2  # of the tube, where a shift does not shrink the residual to RATE of what it was
RATE = 0.25
CLOSE = 0.01  # to r = 0, relative to eps, from where on only accuracy counts
WIDTH = 0.1  # of the first tube, in units of y: wide tubes are well conditioned, narrow ones keep near a minimum
WIDE = 1.0  # where the follower is known to be convex, so that there is nothing else to be near to


class State(NamedTuple):
    """A point, the tube, the step from here and what the line search remembers."""

    z: Any
    value: Any
    slope: Any
    piece: Residual
    shift: Any
    eps: Any
    p: Any  # gradient of |r + shift|^2
    d: Any
    lam: Any
    gamma: Any  # scale of F's gradient in the subproblem
    omega: Any
    kkt: Any
    weight: Any  # of the excess in the merit function
    goal: Any  # of this tube's KKT residual
    before: Any  # |r| at the last shift
    scale: Any  # of f_yy
    failures: Any
    calls: Any  # points tried, derivatives of F, pulls


@dataclass(frozen=True, eq=False)
class SequentialQcqp:
    """The form `qcqp`, as a solver of the driver.

    Parameters
    ----------
    eps : float, optional
        Width of the tube; None for shifts that end at r = 0.
    gamma : float, optional
        Scale of F's gradient in the subproblem; None for the spectral one, 1 is the published.
    tolerance : float
        Of the hyper-gradient, which is as small as the KKT residual and |r| only up to a factor 1 / mu.
    modulus : float, optional
        A certified mu.
    width : float
        Of the first tube in units of y, where `eps` is None.
    """

    relaxed: Relaxed
    alpha: float
    eps: float | None
    gamma: float | None
    tolerance: float
    modulus: float | None
    width: float = WIDTH

    def init(self, oracles: Oracles, x: Any, y: Any) -> State:
        xp, inner = oracles.engine.xp, self.relaxed.stationarity
        z = self.relaxed.start(oracles, x, y)
        value, slope, piece = self.relaxed.value(oracles, z), self.relaxed.slope(oracles, z), inner.residual(oracles, z)
        along = slope[inner.nx : inner.nx + inner.ny]
        size = norm(xp, along)
        along = xp.where(size > 0, along / xp.where(size > 0, size, 1.0), 1.0 / np.sqrt(inner.ny))
        scale = norm(xp, oracles.hvp(x, y, along))
        scale = xp.where((scale > 0) & xp.isfinite(scale), scale, 1.0)
        zero = 0.0 * scale
        eps = zero + self.eps if self.eps else self.width * scale
        gamma = zero + self.gamma if self.gamma else xp.minimum(1.0, 1.0 / xp.maximum(norm(xp, slope), 1e-12))
        s = State(z, value, slope, piece, 0.0 * piece.value, eps, z, z, zero, gamma, scale**2, zero,
                  zero, zero, zero + np.inf, scale, 0,
                  xp.asarray([0, 0, 0]))  # fmt: skip
        s = self._direct(oracles, s)
        return s._replace(goal=xp.maximum(self._small, 0.1 * s.kkt))

    def step(self, oracles: Oracles, state: State) -> State:
        xp, inner = oracles.engine.xp, self.relaxed.stationarity
        s = oracles.engine.cond(self._settled(xp, state), lambda s: self._shifted(oracles, s), lambda s: s, state)
        q = s.piece.value + s.shift
        h, bound = xp.vdot(q, q), s.eps**2
        excess, fall, rise = xp.maximum(h - bound, 0.0), xp.vdot(s.p, s.d), xp.vdot(s.slope, s.d)
        weight = xp.where(s.lam < 1e10, xp.maximum(s.weight, 1.5 * s.lam), s.weight)
        reference = s.value + weight * excess + 1e-13 * (1 + xp.abs(s.value))
        inside, lost = h <= bound, s.lam >= 1e10  # where no step reaches the tube, only the way to it counts
        slope = rise + xp.where(inside, 0.0, weight * fall)

        def attempt(length: Any, tried: Any) -> tuple[Any, ...]:
            z = s.z + length * s.d
            value, piece = self.relaxed.value(oracles, z), inner.residual(oracles, z)
            new = xp.vdot(piece.value + s.shift, piece.value + s.shift)
            keeps = new - bound <= (1 - self.alpha * length) * (h - bound) + 1e-12 * bound
            nearer = new <= h + 0.1 * length * fall
            merit = value + weight * xp.maximum(new - bound, 0.0)
            better = xp.where(lost, new < h, merit <= reference + 1e-4 * length * slope)
            good = xp.where(inside, keeps, nearer) & better
            return length, tried + 1, z, value, piece, new, good & xp.isfinite(merit)

        def too_long(trial: tuple[Any, ...]) -> Any:
            return xp.logical_not(trial[6]) & (trial[0] > SMALLEST_STEP)

        untried = 2.0 + 0.0 * h, 0, s.z, s.value, s.piece, h, h < 0
        length, tried, z, value, piece, new, good = oracles.engine.while_loop(
            too_long, lambda trial: attempt(0.5 * trial[0], trial[1]), untried
        )
        z, value = xp.where(good, z, s.z), xp.where(good, value, s.value)
        piece = Residual(*(xp.where(good, *both) for both in zip(piece, s.piece, strict=True)))
        moved = z - s.z
        square = xp.vdot(moved, moved)
        ratio = (new - h - length * fall) / xp.where(square > 0, square, 1.0)
        seen = (length**2 * xp.vdot(s.d, s.d) > 1e-18 * (1 + xp.vdot(z, z))) & xp.isfinite(ratio)
        omega = xp.where(good & seen, xp.maximum(ratio, 0.1 * s.omega), s.omega)
        omega = xp.where(good, xp.clip(omega, 1e-8 * s.scale**2, 1e12 * s.scale**2), 4 * s.omega)
        slope = self.relaxed.slope(oracles, z)
        p = inner.pull(oracles, z, piece, 2 * (piece.value + s.shift))
        change = slope - s.slope + xp.where(s.lam < 1e10, s.lam, 0.0) * (p - s.p)
        bend = xp.vdot(moved, change)
        gamma = xp.where(bend > 0, square / xp.where(bend > 0, bend, 1.0), xp.where(good, 4.0, 0.25) * s.gamma)
        gamma = s.gamma if self.gamma else xp.clip(gamma, 1e-10, 1e10)
        calls = s.calls + xp.asarray([1, 0, 0]) * tried + xp.asarray([0, 1, 0])
        new_state = s._replace(z=z, value=value, slope=slope, piece=piece, gamma=gamma, omega=omega,
                               weight=weight, failures=xp.where(good, 0, s.failures + 1), calls=calls)  # fmt: skip
        return self._direct(oracles, new_state, p)

    def terminate(self, state: State) -> Any:
        residual, edge = self._residual(state), abs(self._edge(state))
        if self.eps is None:
            small, near = self._small, residual <= self._target(state)
        else:
            near = (self._edge(state) <= 1e-6 * state.eps**2) & (state.lam * edge <= self.tolerance)
            small = self.tolerance
        return ((state.kkt <= small) & near) | (state.failures >= FAILURES)

    def report(self, state: State) -> Report:
        x, y = self.relaxed.stationarity.split(state.z)
        measures = {
            "kkt_residual": state.kkt, "lower_residual": self._residual(state),
            "complementarity": state.lam * abs(self._edge(state)),
        }  # fmt: skip
        return Report(x, y, state.value, measures)

    def work(self, state: State) -> Mapping[str, int]:
        tried, slopes, pulls = (int(number) for number in state.calls)
        return {"f": tried + 1, "grad_f": slopes + 1, "grad_g": tried + 1, "hvp": pulls + 1, "cross": pulls}

    def _residual(self, s: State) -> Any:
        return (s.piece.value @ s.piece.value) ** 0.5

    def _edge(self, s: State) -> Any:
        """|r + shift|^2 - eps^2."""
        q = s.piece.value + s.shift
        return q @ q - s.eps**2

    @property
    def _small(self) -> float:
        return 0.1 * self.tolerance * min(1.0, self.modulus or 1.0)

    def _target(self, s: State) -> Any:
        return 0.1 * self.tolerance * (self.modulus or s.scale)

    def _settled(self, xp: Any, s: State) -> Any:
        """Whether the tube's problem is solved well enough to shift the tube."""
        if self.eps is not None:
            return s.kkt < 0
        on_edge = xp.abs(self._edge(s)) <= 0.2 * s.eps**2
        return (s.kkt <= s.goal) & (on_edge | ((s.lam == 0) & (self._edge(s) <= 0)))

    def _shifted(self, oracles: Oracles, s: State) -> State:
        """The next tube."""
        xp = oracles.engine.xp
        q = s.piece.value + s.shift
        size, residual = norm(xp, q), self._residual(s)
        active = (s.lam > 0) & (size > 0)
        slow = ((residual > RATE * s.before) & (residual > CLOSE * s.eps)) | xp.logical_not(active)
        eps = xp.maximum(xp.where(slow, NARROW, 1.0) * s.eps, 0.2 * self._target(s))
        shift = xp.where(active, eps / xp.where(size > 0, size, 1.0) * q, 0.0 * q)
        goal = xp.maximum(self._small, 0.1 * s.goal)
        moved = s._replace(shift=shift, eps=eps, goal=goal, before=residual, weight=0.0 * s.weight)
        return self._direct(oracles, moved)

    def _direct(self, oracles: Oracles, s: State, p: Any = None) -> State:
        """The step from here, with its multiplier and the KKT residual of the tube's problem."""
        xp = oracles.engine.xp
        q = s.piece.value + s.shift
        if p is None:
            p = self.relaxed.stationarity.pull(oracles, s.z, s.piece, 2 * q)
        c = -self.alpha * self._edge(s)
        d, lam = self.relaxed.step(oracles.engine, s.z, s.gamma * s.slope, p, c, s.omega)
        kkt = (1 + 2 * s.omega * lam) * norm(xp, d) / s.gamma
        return s._replace(p=p, d=d, lam=lam / s.gamma, kkt=kkt, calls=s.calls + xp.asarray([0, 0, 1]))
