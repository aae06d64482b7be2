"""A solver that begins at the follower's answer to the first x."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bileveldsl.backends.galet.follower import follower_work, settle
from bileveldsl.backends.galet.measures import Box

from bileveldsl.execute.driver import Report, Solver

if TYPE_CHECKING:
    from bileveldsl.execute.oracles import Oracles

ACCURACY = 1e-8  # of the follower's answer


class State(NamedTuple):
    """The inner solver's state, and what the follower's answer took."""

    inner: Any
    calls: Any


@dataclass(frozen=True, eq=False)
class Answered:
    """The solver `inner` from the follower's answer near the given y, or from that y where there is none."""

    inner: Solver[Any]
    box: Box

    def init(self, oracles: Oracles, x: Any, y: Any) -> State:
        response = settle(oracles, x, y, self.box, ACCURACY)
        found = oracles.engine.xp.isfinite(response.y).all()
        return State(self.inner.init(oracles, x, oracles.engine.xp.where(found, response.y, y)), response.calls)

    def step(self, oracles: Oracles, state: State) -> State:
        return state._replace(inner=self.inner.step(oracles, state.inner))

    def terminate(self, state: State) -> Any:
        return self.inner.terminate(state.inner)

    def report(self, state: State) -> Report:
        return self.inner.report(state.inner)

    def work(self, state: State) -> Mapping[str, int]:
        work = dict(self.inner.work(state.inner))
        for name, number in follower_work(state.calls).items():
            work[name] = work.get(name, 0) + int(number)
        return work
