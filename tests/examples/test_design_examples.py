"""The examples of location and robust design against enumeration and a linear program written anew."""

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_flow

from bileveldsl import load
from bileveldsl.solution import Status

EXAMPLES = Path(__file__).parents[2] / "examples"


def column(name, file, value):
    with (EXAMPLES / name / file).open() as stream:
        rows = list(csv.reader(stream))[1:]
    return {tuple(row[:-1]) if len(row) > 2 else row[0]: value(row[-1]) for row in rows}


def test_facility_location_equals_trying_every_choice():
    sets = json.loads((EXAMPLES / "facility/sites.json").read_text())
    demand, rent = column("facility", "demand.csv", float), column("facility", "rent.csv", float)
    distance, there = column("facility", "distance.csv", float), column("facility", "incumbent.csv", int)

    def profit(opened):
        won = 0.0
        for customer in sets["customers"]:
            sites = [*opened, *(site for site in sets["sites"] if there[site])]
            nearest = min(distance[customer, site] for site in sites)
            if any(distance[customer, site] == nearest for site in opened):  # ties favour the leader
                won += demand[customer]
        return won - sum(rent[site] for site in opened)

    best = max(profit(chosen) for size in range(3) for chosen in itertools.combinations(sets["ours"], size))
    solution = load(EXAMPLES / "facility/facility.blv").solve()
    assert solution.status is Status.GLOBALLY_OPTIMAL
    assert solution.upper.objective == pytest.approx(best, abs=1e-6)
    opened = [site for site, open_ in zip(sets["ours"], solution["open"], strict=True) if open_ > 0.5]
    assert profit(opened) == pytest.approx(best, abs=1e-9)


def test_network_interdiction_equals_cutting_every_pair_of_arcs():
    capacity = column("network", "capacity.csv", int)
    arcs = list(capacity)
    nodes = {name: k for k, name in enumerate(json.loads((EXAMPLES / "network/network.json").read_text())["nodes"])}

    def most(cut):
        matrix = np.zeros((len(nodes), len(nodes)), dtype=np.int32)
        for arc in arcs:
            if arc not in cut:
                matrix[nodes[arc[0]], nodes[arc[1]]] = capacity[arc]
        return maximum_flow(csr_matrix(matrix), nodes["s"], nodes["t"]).flow_value

    best = min(most(pair) for pair in itertools.combinations(arcs, 2))
    solution = load(EXAMPLES / "network/network.blv").solve()
    assert solution.status is Status.GLOBALLY_OPTIMAL
    assert solution.upper.objective == pytest.approx(best, abs=1e-6)
    assert most([arc for arc, cut in zip(arcs, solution["cut"], strict=True) if cut > 0.5]) == best


def test_robust_design_equals_the_robust_counterpart():
    strength, loss, severity = np.array([10, 8, 6, 5.0]), np.array([6, 3, 2, 0.5]), 1.5
    # The worst loss is the least 1.5 price + sum(extra) with price + extra >= loss * share, by duality.
    n = len(loss)
    cost = np.concatenate([-strength, [severity], np.ones(n)])
    rows = np.hstack([np.diag(loss), -np.ones((n, 1)), -np.eye(n)])
    whole = np.concatenate([np.ones(n), np.zeros(n + 1)])[None]
    counterpart = optimize.linprog(cost, rows, np.zeros(n), whole, [1.0])
    solution = load(EXAMPLES / "robust/robust.blv").solve()
    assert solution.status is Status.GLOBALLY_OPTIMAL
    assert solution.upper.objective == pytest.approx(-counterpart.fun, abs=1e-5)
    share = solution["share"]
    worst = -optimize.linprog(-loss * share, np.ones((1, n)), [severity], bounds=(0, 1)).fun
    assert strength @ share - worst == pytest.approx(-counterpart.fun, abs=1e-5)
