"""Branch and bound on complementarities against binaries with computed bounds and with an assumed big-M.

Run as `python benchmarks/milp.py [--seconds S] [FAMILY:SIZE ...]`; the families are `random` (linear at both levels, no
bound of a multiplier follows), `interdiction` (knapsack) and `bidding` (hours of a market). Each line has the instance,
the method, how it ended, seconds, the best value and the bound.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bileveldsl.backends.milp import Milp

import bileveldsl as blv
from bileveldsl.backend import parse_options
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem
from bileveldsl.reduce import REDUCTIONS, reduce_program

METHODS: dict[str, dict[str, Any]] = {
    "auto": {}, "branch": {"method": "branch"}, "binaries": {"method": "binaries"}, "big-M 1e4": {"big_m": 1e4},
}  # fmt: skip


def random(size: int, seed: int) -> str:
    """Whole coefficients, four of ten not zero, with a feasible point."""
    source = np.random.default_rng(seed)
    A, B = (source.integers(-10, 11, (size, size)) * (source.random((size, size)) < 0.4) for _ in range(2))
    x, y, slack = (source.uniform(0, 10, size) for _ in range(3))
    b = np.ceil(A @ x + B @ y + slack).astype(int)
    c, d, f = source.integers(-10, 11, (3, size))
    return f"""model random
dim n = {size}, m = {size}
param A[m, n] = {A.tolist()}
param B[m, n] = {B.tolist()}
param b[m] = {b.tolist()}
param c[n] = {c.tolist()}
param d[n] = {d.tolist()}
param f[n] = {f.tolist()}
upper {{ var x[n] in [0, 10]; minimize c @ x + d @ y }}
lower {{ var y[n] in [0, 10]; minimize f @ y; cap: A @ x + B @ y <= b }}
"""


def interdiction(size: int, seed: int) -> str:
    """A knapsack of four tenths of the weight, a budget of a quarter of the efforts."""
    p, w, v = np.random.default_rng(seed).integers(10, 100, (3, size))
    return f"""model interdiction
dim n = {size}
param p[n] = {p.tolist()}
param w[n] = {w.tolist()}
param v[n] = {v.tolist()}
upper {{ var x[n] : binary; minimize p @ y; budget: v @ x <= {int(0.25 * v.sum())} }}
lower {{ var y[n] >= 0; maximize p @ y; room: w @ y <= {int(0.4 * w.sum())}; free: y <= 1 - x }}
"""


def bidding(size: int, seed: int) -> str:
    """Two units of the leader and six of rivals in every hour."""
    source = np.random.default_rng(seed)
    demand = (600 + 250 * np.sin(np.arange(size) / 24 * 2 * np.pi - 1.5) + source.normal(0, 20, size)).round(1)
    cost, capacity = source.uniform(10, 30, 2).round(2), source.uniform(80, 160, 2).round()
    price, room = np.sort(source.uniform(15, 120, 6)).round(2), source.uniform(60, 180, 6).round()
    return f"""model bidding
dim t = {size}, g = 2, r = 6
param demand[t] = {demand.tolist()}
param cost[g] = {cost.tolist()}
param capacity[g] = {capacity.tolist()}
param price[r] = {price.tolist()}
param room[r] = {room.tolist()}
upper {{
  var bid[t, g] in [0, 500]
  maximize sum((balance[h].dual - cost[k]) * q[h, k] for h in t, k in g)
}}
lower {{
  var q[t, g] >= 0
  var s[t, r] >= 0
  var short[t] >= 0
  minimize sum(bid * q) + sum(price[k] * s[h, k] for h in t, k in r) + 500*sum(short)
  balance[h in t]: sum(q[h, k] for k in g) + sum(s[h, k] for k in r) + short[h] == demand[h]
  own[h in t, k in g]: q[h, k] <= capacity[k]
  others[h in t, k in r]: s[h, k] <= room[k]
}}
"""


FAMILIES: dict[str, Callable[[int, int], str]] = {"random": random, "interdiction": interdiction, "bidding": bidding}


def measure(text: str, options: dict[str, Any], seconds: float) -> tuple[str, float, float, float]:
    """How it ended, the seconds in the backend, the best value and the bound."""
    program = blv.loads(text).program()
    small = reduce_program(program, REDUCTIONS, certify(program))
    backend, monitor = Milp(), Monitor(time_limit=seconds)
    problem = compile_problem(small.program, numpy_engine(), small.facts)
    begin = time.perf_counter()
    raw = backend.solve(problem, parse_options("milp", backend.options, options), monitor)
    best = monitor.best.objective if monitor.best else np.inf
    return raw.status, time.perf_counter() - begin, best, raw.bound


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instances", nargs="*", default=["random:10", "random:20", "interdiction:20", "bidding:6"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    for instance in given.instances:
        family, size = instance.split(":")
        for seed in range(given.seeds):
            for method, options in METHODS.items():
                status, seconds, best, bound = measure(FAMILIES[family](int(size), seed), options, given.seconds)
                told = f"{status:10} {seconds:7.2f} s {best:14.4f} {bound:14.4f}"
                print(f"{instance:16} {seed} {method:10} {told}", flush=True)


if __name__ == "__main__":
    main()
