"""A model with the answer x = y = 2, and a plain solver of it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bileveldsl.execute.driver import Report
from bileveldsl.execute.namespace import Array
from bileveldsl.execute.oracles import Oracles

TOY = """model toy
upper {
  var x in [0, 10] start 1
  minimize (x - 3)^2 + (y - 1)^2
}
lower {
  var y
  minimize (y - x)^2
}
"""


class State(NamedTuple):
    x: Array
    y: Array
    objective: Array
    norm: Array
    steps: Array


class GradientDescent:
    """Descends F_x + F_y, right where y = x; a step of the follower is exact."""

    def __init__(self, rate: float, tolerance: float = 1e-10):
        self.rate = rate
        self.tolerance = tolerance

    def init(self, oracles: Oracles, x: Array, y: Array) -> State:
        return State(x, y, oracles.F(x, y), oracles.engine.xp.float64(np.inf), oracles.engine.asarray(0))

    def step(self, oracles: Oracles, state: State) -> State:
        y = oracles.engine.fori_loop(0, 3, lambda _, y: y - 0.5 * oracles.grad_f_y(state.x, y), state.y)
        upper_x, upper_y = oracles.grad_F(state.x, y)
        x = state.x - self.rate * (upper_x + upper_y)
        norm = oracles.engine.xp.abs(upper_x + upper_y)[0]
        return State(x, y, oracles.F(state.x, y), norm, state.steps + 1)

    def terminate(self, state: State) -> Array:
        return state.norm < self.tolerance

    def report(self, state: State) -> Report:
        return Report(state.x, state.y, state.objective, {"norm": state.norm})

    def work(self, state: State) -> Mapping[str, int]:
        return {"f": 1 + int(state.steps), "grad_f": int(state.steps), "grad_g": 3 * int(state.steps)}
