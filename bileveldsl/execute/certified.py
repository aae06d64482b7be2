"""Stops of inner loops by constants that are certified: how far a point can be from a minimum, seen at the point."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.engine import Engine
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.namespace import Array, Namespace
    from bileveldsl.execute.problem import CompiledProblem

State = TypeVar("State")


@dataclass(frozen=True, eq=False)
class Certified:
    """Constants of f(x, .) that hold at every x, over y between `lower` and `upper`.

    f is strongly convex with the modulus mu, or without bounds satisfies |f_y|^2 >= 2 mu (f - min f); f_y is
    Lipschitz in y with the constant `smooth`.
    """

    mu: float
    verdict: str = "proved"
    smooth: float = np.inf
    lower: Any = -np.inf
    upper: Any = np.inf

    def gap(self, xp: Namespace, y: Array, gradient: Array) -> Array:
        """A bound of f(x, y) - min f(x, .): the maximum of <f_y, y - z> - mu/2 |y - z|^2 over z within the bounds.

        Without bounds it is |f_y|^2 / (2 mu).
        """
        step = y - xp.clip(y - gradient / self.mu, self.lower, self.upper)
        return xp.vdot(gradient, step) - 0.5 * self.mu * xp.vdot(step, step)

    def within(self, xp: Namespace, y: Array, gradient: Array, distance: Any) -> Array:
        """Whether a minimizer is no farther than `distance`: both inequalities bound mu/2 |y - y*|^2 by the gap."""
        return self.gap(xp, y, gradient) <= 0.5 * self.mu * distance**2

    def tell(self, monitor: Monitor) -> None:
        """Let the user know, once."""
        note = f"inner loops stop by a certified gap of the follower (mu = {self.mu:.3g}, {self.verdict})"
        if note not in monitor.notes:
            monitor.notes.append(note)


def certified(problem: CompiledProblem) -> Certified | None:
    """What is certified of a compiled problem's follower; None without a modulus."""
    bounded = bool(np.isfinite(problem.y_lower).any() or np.isfinite(problem.y_upper).any())
    known = constants(problem.facts, f"{problem.follower}.objective")
    # The inequality of a follower with bounds is another one, of its projected gradient.
    usable = [known[name] for name in ("strongly_convex", "pl") if name in known and not (name == "pl" and bounded)]
    if not usable:
        return None
    best = max(usable, key=lambda fact: fact.constant or 0.0)
    smooth = known["smooth"].constant if "smooth" in known else None
    return Certified(best.constant or 0.0, best.verdict, smooth or np.inf, problem.y_lower, problem.y_upper)


def repeated(
    engine: Engine, step: Callable[[State], tuple[State, Array]], state: State, most: int
) -> tuple[State, Array]:
    """The state after `most` steps or the first that says it is enough, and how many steps were taken."""
    xp = engine.xp

    def unfinished(carry: tuple[Any, ...]) -> Array:
        count, done, _ = carry
        return (count < most) & xp.logical_not(done)

    def body(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        count, _, current = carry
        new, done = step(current)
        return count + 1, done, new

    count, _, state = engine.while_loop(unfinished, body, (0, xp.asarray(False), state))
    return state, count


def constants(facts: Iterable[Fact], of: str) -> dict[str, Fact]:
    """The facts of a function that hold for every x with a positive constant; the PL inequality for every y, too."""
    return {
        fact.fact: fact
        for fact in facts
        if fact.of == of and fact.holds and fact.x == "box" and (fact.fact != "pl" or fact.y == "all")
        and fact.constant is not None and 0 < fact.constant < np.inf
    }  # fmt: skip
