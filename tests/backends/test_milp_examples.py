"""The linear examples, at sizes that take seconds, against independent evaluations of their followers."""

import csv
import heapq
import shutil
from pathlib import Path

import numpy as np
import pytest
from bileveldsl.backends.milp import Milp

import bileveldsl as blv
from bileveldsl.backend import parse_options
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem
from bileveldsl.reduce import REDUCTIONS, reduce_program

EXAMPLES = Path(__file__).parents[2] / "examples"


def solved(path):
    """The raw point, its values by name and the value of the leader, who maximizes where the model says so."""
    program = blv.load(path).program()
    small = reduce_program(program, REDUCTIONS, certify(program))
    backend, monitor = Milp(), Monitor(time_limit=60)
    assert backend.admits(small.program, small.facts) is None
    problem = compile_problem(small.program, engine("numpy"), small.facts)
    raw = backend.solve(problem, parse_options("milp", backend.options, {}), monitor)
    sign = -1 if program.upper.sense == "maximize" else 1
    return raw, {**problem.x.unpack(raw.x), **problem.y.unpack(raw.y)}, sign * monitor.best.objective


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def distance(arcs, cost, start, end):
    """The length of a shortest path, by Dijkstra's algorithm."""
    queue, done = [(0.0, start)], set()
    while queue:
        length, node = heapq.heappop(queue)
        if node == end:
            return length
        if node not in done:
            done.add(node)
            for (tail, head), weight in zip(arcs, cost, strict=True):
                if tail == node:
                    heapq.heappush(queue, (length + weight, head))
    raise AssertionError("no path")


def test_toll():
    raw, values, revenue = solved(EXAMPLES / "toll" / "toll.blv")
    assert (raw.status, revenue, raw.bound) == ("converged", pytest.approx(1728.0), pytest.approx(-1728.0))
    arcs = [(row["tail"], row["head"]) for row in table(EXAMPLES / "toll" / "arcs.csv")]
    cost = np.array([float(row["cost"]) for row in table(EXAMPLES / "toll" / "arcs.csv")])
    tolled = [arcs.index((row["tail"], row["head"])) for row in table(EXAMPLES / "toll" / "tolled.csv")]
    cost[tolled] += values["toll"]
    supply, paid = table(EXAMPLES / "toll" / "supply.csv"), 0.0
    for trip, row in enumerate(table(EXAMPLES / "toll" / "trips.csv")):
        ends = {float(s["supply"]): s["node"] for s in supply if s["trip"] == row["trip"] and float(s["supply"])}
        flow = values["flow"][trip]
        assert flow @ cost == pytest.approx(distance(arcs, cost, ends[1.0], ends[-1.0]))
        paid += float(row["volume"]) * float(flow[tolled] @ values["toll"])
    assert paid == pytest.approx(revenue)


def test_interdiction():
    raw, values, left = solved(EXAMPLES / "interdiction" / "interdiction.blv")
    assert (raw.status, left, raw.bound) == ("converged", pytest.approx(811.245283), pytest.approx(811.245283))
    items = np.array([[float(row[key]) for key in ("value", "weight", "effort")]
                      for row in table(EXAMPLES / "interdiction" / "items.csv")])  # fmt: skip
    assert items[:, 2] @ values["removed"] <= 450
    room, worth = 700.0, 0.0  # greedily by value per weight, which is optimal for parts of items
    for value, weight, _ in sorted(items[values["removed"] < 0.5], key=lambda item: -item[0] / item[1]):
        part = min(1.0, room / weight)
        room, worth = room - part * weight, worth + part * value
    assert worth == pytest.approx(left)


def test_bidding_in_four_hours(tmp_path):
    shutil.copytree(EXAMPLES / "bidding", tmp_path, dirs_exist_ok=True)
    demand = (tmp_path / "demand.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "demand.csv").write_text("\n".join([demand[0], *demand[17:21], ""]), encoding="utf-8")
    raw, _, profit = solved(tmp_path / "bidding.blv")
    assert raw.status == "converged"
    own = table(tmp_path / "own.csv")
    cost, capacity = (np.array([float(row[key]) for row in own]) for key in ("cost", "capacity"))
    rivals = [(float(row["price"]), float(row["capacity"])) for row in table(tmp_path / "rivals.csv")]
    best = 0.0
    for row in demand[17:21]:  # in one hour: hold back to the step of the rivals' offers that pays best
        need = float(row.split(",")[1])
        steps = [(0.0, rivals[0][0])]
        for (_, room), (price, _) in zip(rivals, [*rivals[1:], (300.0, 0.0)], strict=True):
            steps.append((steps[-1][0] + room, price))
        profits = []
        for offered, price in steps:  # the rivals sell this much in all, and the next step sets the price
            sold = min(max(need - offered, 0.0), capacity.sum())
            parts = np.diff(np.minimum(np.cumsum([0.0, *capacity]), sold))
            reaches = need - sold <= sum(room for cheaper, room in rivals if cheaper <= price) + 1e-9
            profits.append(float(parts @ (price - cost)) if reaches or price == 300.0 else -np.inf)
        best += max(profits)
    assert profit == pytest.approx(best)
    assert raw.duals["balance"].max() <= 300.0 + 1e-6
