"""Minimization of smooth functions by their gradients alone, without any constant to be known, on every engine.

Each method is an object whose `begin` makes a chain, the point with what was learned about the function, and whose
`descend` moves the chain. A chain outlives the function: warm starts on a neighbouring function keep what was learned.

    quasi-newton   limited-memory BFGS (Liu, Nocedal 1989) in the compact form of Byrd, Nocedal, Schnabel (1994); where
                   rounding hides a decrease, slopes decide as in the line search of Hager and Zhang (2005)
    nesterov       accelerated gradients with restarts (O'Donoghue, Candes 2015), the step from the curvature met
    gradient       the same without momentum
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from bileveldsl.execute.engine import Engine
from bileveldsl.execute.namespace import Array, Namespace

ROUNDING = 2 * float(np.finfo(float).eps)  # of a gradient, relative to curvature times point
DIVERGED = 1e8  # growth of point or gradient from which the function is taken to have no minimum
RECENT = 5  # values that the nonmonotone line search compares with
SHORTEST = 1e-9  # step of that line search, relative
STALLED = 3000  # steps of a gradient method without a smaller gradient, after which there is taken to be none
STALLED_NEWTON = 200  # the same for quasi-Newton steps
NOISE = 1e-9  # of a value, relative

Objective = Callable[[Array], tuple[Array, Array]]
"""The value and the gradient at a point."""

Measure = Callable[[Array], Array]
"""How large a gradient is, for the test against the tolerance."""


class Chain(Protocol):
    """A point with what was learned about the function there."""

    @property
    def y(self) -> Array: ...


C = TypeVar("C")


class Method(Protocol[C]):
    """A way to minimize a function of one vector."""

    def begin(self, engine: Engine, y: Array) -> C:
        """A chain that knows nothing yet."""

    def descend(
        self, engine: Engine, objective: Objective, chain: C, measure: Measure, tolerance: Any, most: int
    ) -> tuple[C, Array]:
        """The chain where the gradient's measure is within the tolerance, and how many gradients were evaluated.

        It also ends where rounding hides the gradient, and after `most` gradients. Where point or gradient grow
        without end, the chain's point is NaN.
        """


def norm(xp: Namespace, v: Array) -> Array:
    """The Euclidean length of a vector."""
    return xp.sqrt(xp.vdot(v, v))


def method(name: str, size: int, modes: np.ndarray | None = None) -> Any:
    """The method of that name, as in the module's list, for a function of `size` variables.

    `modes` has a row for each of several copies of the variables that move side by side (see `QuasiNewton`).
    """
    if name == "quasi-newton":
        return QuasiNewton(min(max(2 * size + 10, 20), 100), np.ones((1, 1)) if modes is None else modes)
    return Accelerated(momentum=name == "nesterov")


# ---- quasi-Newton ---------------------------------------------------------------------------


class Memory(NamedTuple):
    """Steps and changes of gradient, the latest last; rows of zeros are empty. `scale` is a first inverse curvature."""

    steps: Array
    changes: Array
    products: Array  # of each step with each change
    scale: Array

    @staticmethod
    def empty(engine: Engine, rows: int, size: int) -> Memory:
        zeros = engine.asarray(np.zeros((rows, size)))
        return Memory(zeros, zeros, engine.asarray(np.zeros((rows, rows))), engine.asarray(0.0))

    def push(self, xp: Namespace, step: Array, change: Array) -> Memory:
        """With one more pair, unless its curvature is not positive."""
        along, square = xp.vdot(step, change), xp.vdot(change, change)
        good = along > 1e-12 * norm(xp, step) * xp.sqrt(square)
        steps, changes = xp.concatenate([self.steps[1:], step[None]]), xp.concatenate([self.changes[1:], change[None]])
        kept = xp.concatenate([self.products[1:, 1:], (changes[:-1] @ step)[None]])
        products = xp.concatenate([kept, (steps @ change)[:, None]], axis=1)
        found = Memory(steps, changes, products, along / xp.where(good, square, 1.0))
        return Memory(*(xp.where(good, new, old) for new, old in zip(found, self, strict=True)))

    def emptied(self, xp: Namespace, when: Array, scale: Array) -> Memory:
        """Without pairs and with another scale where the condition holds."""
        steps, changes, products = (xp.where(when, 0.0, part) for part in self[:3])
        return Memory(steps, changes, products, xp.where(when, scale, self.scale))

    def restricted(self, xp: Namespace, free: Array) -> Memory:
        """The memory of a function of the free variables alone: the others' entries are zero."""
        steps, changes = self.steps * free, self.changes * free
        along, square = (steps * changes).sum(axis=1), (changes * changes).sum(axis=1)
        good = (along > 1e-12 * square * self.scale)[:, None]
        steps, changes = xp.where(good, steps, 0.0), xp.where(good, changes, 0.0)
        return Memory(steps, changes, steps @ changes.T, self.scale)

    def apply(self, xp: Namespace, v: Array) -> Array:
        """The inverse Hessian's approximation times v or its columns (Byrd, Nocedal, Schnabel 1994, equation 2.6)."""
        S, Y, scale = self.steps, self.changes, self.scale
        diagonal = xp.diag(self.products)
        upper = xp.triu(self.products) + xp.diag(xp.where(diagonal > 0, 0.0, 1.0))
        along = xp.solve_triangular(upper, S @ v)
        inner = (along.T * diagonal).T + scale * (Y @ (Y.T @ along) - Y @ v)
        return scale * (v - Y.T @ along) + S.T @ xp.solve_triangular(upper, inner, trans=1)


class Curved(NamedTuple):
    """The chain of a quasi-Newton method."""

    y: Array
    memory: Memory


class _Search(NamedTuple):
    count: Any  # gradients so far
    y: Any
    value: Any
    gradient: Any
    direction: Any
    length: Any
    memory: Memory
    curvature: Any  # the largest met
    least: Any  # measure so far
    since: Any  # gradients since then


@dataclass(frozen=True, eq=False)
class QuasiNewton:
    """Limited-memory BFGS with a backtracking line search.

    The vector may hold several copies of the variables, the columns of a matrix, whose functions nearly agree: one
    approximation serves all, learns from the copies' weighted sums (a column of `modes` each, the latest last), and
    so keeps differences of the copies as accurate as the copies.
    """

    rows: int
    modes: np.ndarray

    def begin(self, engine: Engine, y: Array) -> Curved:
        return Curved(y, Memory.empty(engine, self.rows, y.shape[0] // len(self.modes)))

    def descend(
        self, engine: Engine, objective: Objective, chain: Curved, measure: Measure, tolerance: Any, most: int
    ) -> tuple[Curved, Array]:
        xp = engine.xp
        value, first = objective(chain.y)
        bound = DIVERGED * (1 + norm(xp, first)), DIVERGED * (1 + norm(xp, chain.y))

        def direction(memory: Memory, y: Array, g: Array) -> tuple[Memory, Array]:
            """Downhill in any case: along the gradient with an empty memory where the approximation fails."""
            size = norm(xp, g)
            short = 1e-4 * (1 + norm(xp, y)) / xp.where(size > 0, size, 1.0)
            scale = xp.where(memory.scale > 0, memory.scale, short)
            found = -memory._replace(scale=scale).apply(xp, g.reshape(-1, len(self.modes))).reshape(-1)
            fails = xp.logical_not(xp.vdot(found, g) < -1e-12 * size * norm(xp, found))
            return memory.emptied(xp, fails, scale)._replace(scale=scale), xp.where(fails, -scale * g, found)

        def unfinished(s: _Search) -> Array:
            size = norm(xp, s.gradient)
            resolved = size > ROUNDING * s.curvature * norm(xp, s.y)
            bounded = (size <= bound[0]) & (norm(xp, s.y) <= bound[1])
            going = (s.count < most) & (s.since < STALLED_NEWTON)
            return (measure(s.gradient) > tolerance) & resolved & bounded & going

        def body(s: _Search) -> _Search:
            step = s.length * s.direction
            trial = s.y + step
            value, new = objective(trial)
            before, after = -xp.vdot(s.gradient, s.direction), xp.vdot(new, s.direction)
            level = (value <= s.value + NOISE * (1 + xp.abs(s.value))) & (after <= 0.8 * before)
            fits = ((value <= s.value - 1e-4 * s.length * before) | level) & xp.isfinite(after)
            ratio = xp.where(xp.isfinite(after), before / (before + xp.abs(after)), 0.1)
            change, length = new - s.gradient, norm(xp, step)
            met = norm(xp, change) / xp.where(length > 0, length, 1.0)
            concave = xp.vdot(step, change) <= 0
            longer = 4 * length / norm(xp, s.gradient)
            learned = s.memory
            for mode in self.modes.T:
                learned = learned.push(xp, step.reshape(-1, len(mode)) @ mode, change.reshape(-1, len(mode)) @ mode)
            learned = learned.emptied(xp, concave, longer)
            memory, ahead = direction(learned, trial, new)
            size = measure(new)
            better = fits & (size < 0.999 * s.least)

            def choose(yes: Array, no: Array) -> Array:
                return xp.where(fits, yes, no)

            return _Search(
                s.count + 1, choose(trial, s.y), choose(value, s.value), choose(new, s.gradient),
                choose(ahead, s.direction), choose(1.0, s.length * xp.clip(ratio, 0.1, 0.5)),
                Memory(*(choose(*both) for both in zip(memory, s.memory, strict=True))),
                choose(xp.maximum(s.curvature, met), s.curvature),
                xp.where(better, size, s.least), xp.where(better, 0, s.since + 1),
            )  # fmt: skip

        memory, ahead = direction(chain.memory, chain.y, first)
        one = 1.0 + 0.0 * norm(xp, first)
        state = _Search(1, chain.y, value, first, ahead, one, memory, 0.0 * one, measure(first), 0)
        end = engine.while_loop(unfinished, body, state)
        fine = (norm(xp, end.gradient) <= bound[0]) & (norm(xp, end.y) <= bound[1])
        return Curved(xp.where(fine, end.y, np.nan), end.memory), end.count


# ---- gradients with and without momentum ----------------------------------------------------


class Stepped(NamedTuple):
    """The chain of a gradient method, with the largest curvature it has met (zero before the first step)."""

    y: Array
    curvature: Array


class _Descent(NamedTuple):
    count: Any  # gradients so far
    y: Any
    point: Any  # extrapolated
    gradient: Any  # there
    momentum: Any
    curvature: Any
    least: Any  # measure so far
    since: Any  # steps since then


@dataclass(frozen=True)
class Accelerated:
    """Gradient steps as long as the reciprocal of the largest curvature met, with Nesterov's momentum or without.

    A step that meets half as much curvature again is taken back; momentum that points uphill is dropped.
    """

    momentum: bool = True

    def begin(self, engine: Engine, y: Array) -> Stepped:
        return Stepped(y, engine.asarray(0.0))

    def descend(
        self, engine: Engine, objective: Objective, chain: Stepped, measure: Measure, tolerance: Any, most: int
    ) -> tuple[Stepped, Array]:
        xp = engine.xp
        _, first = objective(chain.y)
        size = norm(xp, first)
        bound = DIVERGED * (1 + size)
        guess = size / (1e-4 * (1 + norm(xp, chain.y)))  # so that the first step is short
        curvature = xp.where(chain.curvature > 0, chain.curvature, xp.where(guess > 0, guess, 1.0))

        def unfinished(s: _Descent) -> Array:
            size = norm(xp, s.gradient)
            resolved = size > ROUNDING * s.curvature * norm(xp, s.point)
            going = (size <= bound) & (s.count < most) & (s.since < STALLED)
            return (measure(s.gradient) > tolerance) & resolved & going

        def body(s: _Descent) -> _Descent:
            y = s.point - s.gradient / s.curvature
            uphill = xp.vdot(s.gradient, y - s.y) > 0
            momentum = xp.where(uphill, 1.0, 0.5 * (1 + xp.sqrt(1 + 4 * s.momentum**2)))
            share = xp.where(uphill, 0.0, (s.momentum - 1) / momentum) if self.momentum else 0.0
            point = y + share * (y - s.y)
            _, new = objective(point)
            moved = norm(xp, point - s.point)
            met = xp.where(moved > 0, norm(xp, new - s.gradient) / xp.where(moved > 0, moved, 1.0), 0.0)
            guessed = (s.count == 1) & (chain.curvature == 0)  # the first step only measures
            fits = met <= 1.5 * s.curvature  # false for NaN, too
            raised = xp.where(xp.isfinite(met), xp.maximum(met, 2 * s.curvature), 10 * s.curvature)
            known = xp.where(guessed & (met > 0), met, xp.maximum(s.curvature, met))
            size = measure(new)
            better = fits & (size < 0.999 * s.least)
            return _Descent(
                s.count + 1, xp.where(fits, y, s.y), xp.where(fits, point, s.point), xp.where(fits, new, s.gradient),
                xp.where(fits, momentum, 1.0), xp.where(fits, known, raised),
                xp.where(better, size, s.least), xp.where(better, 0, s.since + 1),
            )  # fmt: skip

        state = _Descent(1, chain.y, chain.y, first, 1.0 + 0.0 * size, curvature, measure(first), 0)
        end = engine.while_loop(unfinished, body, state)
        point = xp.where(norm(xp, end.gradient) <= bound, end.point, np.nan)
        return Stepped(point, end.curvature), end.count


# ---- quasi-Newton within bounds -------------------------------------------------------------


class Descending(NamedTuple):
    """A point within bounds that moves down a function; `aux` and `calls` belong to who evaluates the function.

    `stuck` says that not even a gradient step leads down.
    """

    x: Any
    value: Any
    gradient: Any
    memory: Memory
    recent: Any  # values
    stuck: Any
    aux: Any
    calls: Any


Evaluate = Callable[[Array, Any, Array], tuple[Array, Array, Any, Array]]
"""(x, aux, calls) to value, gradient, aux at x, and calls so far."""


@dataclass(frozen=True, eq=False)
class Box:
    """Descent within bounds: quasi-Newton steps of the variables that no bound holds, projected (Bertsekas 1982)."""

    lower: np.ndarray
    upper: np.ndarray
    rows: int = 30

    def project(self, engine: Engine, x: Array) -> Array:
        return engine.xp.clip(x, self.lower, self.upper)

    def rest(self, engine: Engine, x: Array, gradient: Array) -> Array:
        """The length of the projected gradient step, zero exactly at a first-order point."""
        return norm(engine.xp, x - self.project(engine, x - gradient))

    def begin(self, engine: Engine, x: Array, value: Array, gradient: Array, aux: Any, calls: Array) -> Descending:
        xp = engine.xp
        memory = Memory.empty(engine, self.rows, x.shape[0])
        return Descending(x, value, gradient, memory, value + xp.zeros(RECENT), xp.asarray(False), aux, calls)

    def step(
        self, engine: Engine, state: Descending, evaluate: Evaluate, slack: Any, anew: Any = False
    ) -> Descending:
        """A step with nonmonotone backtracking; `slack` is what values do not resolve.

        Where no step leads down, the memory is emptied, and the next such step leaves the point stuck. `anew` says that
        the function is another one than before: then it is evaluated where the point stands, and the memory kept. It is
        part of this method for the sake of compilation: `evaluate` occurs once.
        """
        xp, direction = engine.xp, engine.xp.where(anew, 0.0, self._direction(engine, state))
        goal = state.recent.max()

        def unfinished(trial: tuple[Any, ...]) -> Array:
            length, fits, *_ = trial
            return xp.logical_not(fits) & (length > SHORTEST)

        def attempt(trial: tuple[Any, ...]) -> tuple[Any, ...]:
            length, calls = trial[0], trial[-1]
            x = self.project(engine, state.x + length * direction)
            value, gradient, aux, calls = evaluate(x, state.aux, calls)
            fits = (value <= goal + 1e-4 * xp.vdot(state.gradient, x - state.x) + slack) | anew
            return 0.3 * length, fits, x, value, gradient, aux, calls

        begin = (xp.float64(1.0), xp.asarray(False), state.x, state.value, state.gradient, state.aux, state.calls)
        _, fits, x, value, gradient, aux, calls = engine.while_loop(unfinished, attempt, begin)
        failed = xp.logical_not(fits)
        recent = xp.where(anew, value, xp.concatenate([state.recent[1:], xp.reshape(value, (1,))]))
        learned = state.memory.push(xp, x - state.x, gradient - state.gradient)
        moved = Descending(x, value, gradient, learned, recent, failed, aux, calls)
        stuck = state.memory.scale == 0
        kept = state._replace(memory=state.memory.emptied(xp, failed, 0.0), stuck=stuck, calls=calls)
        return engine.cond(failed, lambda: kept, lambda: moved)

    def promise(self, engine: Engine, state: Descending) -> Array:
        """The first-order decrease along the next step, as far as bounds let it go.

        Where a function is flat, a small gradient may still be worth a long step; this tells.
        """
        ahead = self.project(engine, state.x + self._direction(engine, state))
        return engine.xp.vdot(state.gradient, state.x - ahead)

    def _direction(self, engine: Engine, state: Descending) -> Array:
        """Downhill along the variables that no bound holds: the gradient's own way where the approximation fails."""
        xp = engine.xp
        held = (self.project(engine, state.x - state.gradient) == state.x) & (state.gradient != 0)
        downhill = state.gradient * xp.where(held, 0.0, 1.0)
        size = norm(xp, downhill)
        scale = xp.where(state.memory.scale > 0, state.memory.scale, xp.minimum(1.0, 1.0 / xp.maximum(size, 1e-12)))
        memory = state.memory._replace(scale=scale).restricted(xp, xp.where(held, 0.0, 1.0))
        direction = -memory.apply(xp, downhill)
        fails = xp.logical_not(xp.vdot(direction, downhill) < -1e-10 * size * norm(xp, direction))
        return xp.where(fails, -scale * downhill, direction)
