"""Write the toll model of the language reference with the data of a grid of roads, as large as asked for.

Run as `python benchmarks/toll_network.py FOLDER [--arcs N] [--trips K] [--seed S]`. The arcs of a grid go both ways;
a tenth of them have tolls, and every trip leads from one random node to another.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

MODEL = """# Toll setting: the leader prices some arcs, travellers take their cheapest paths.
model toll

set NODES                        from "network.json"["nodes"]
set ARCS   within (NODES, NODES) from "arcs.csv"
set TOLLED within ARCS           from "tolled.csv"
set TRIPS                        from "trips.csv"

param cost[ARCS]           from "arcs.csv"["cost"]
param volume[TRIPS]        from "trips.csv"["volume"]
param supply[TRIPS, NODES] from "supply.csv"       # +1 at the origin, -1 at the destination

upper {
  var toll[TOLLED] in [0, 50]
  maximize sum(volume[k] * toll[i, j] * flow[k, i, j] for k in TRIPS, (i, j) in TOLLED)
}

lower {
  var flow[TRIPS, ARCS] >= 0
  minimize sum(cost[i, j] * flow[k, i, j] for k in TRIPS, (i, j) in ARCS) +
           sum(toll[i, j] * flow[k, i, j] for k in TRIPS, (i, j) in TOLLED)
  balance[k in TRIPS, v in NODES]:
    sum(flow[k, i, j] for (i, j) in ARCS if i == v) -
    sum(flow[k, i, j] for (i, j) in ARCS if j == v) == supply[k, v]
}
"""


def grid(arcs: int) -> tuple[list[str], list[tuple[str, str]]]:
    """The nodes and arcs of the smallest square grid with at least so many arcs, cut to so many."""
    side = 2
    while 4 * side * (side - 1) < arcs:
        side += 1

    def around(row: int, column: int) -> Iterator[tuple[str, str]]:
        for r, c in ((row + 1, column), (row, column + 1)):
            if r < side and c < side:
                yield f"{row}-{column}", f"{r}-{c}"
                yield f"{r}-{c}", f"{row}-{column}"

    places = [(row, column) for row in range(side) for column in range(side)]
    found = [arc for place in places for arc in around(*place)][:arcs]
    return list(dict.fromkeys(node for arc in found for node in arc)), found


def write(folder: Path, arcs: int, trips: int, seed: int) -> None:
    """The model and its data files."""
    random = Random(seed)
    nodes, found = grid(arcs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toll.blv").write_text(MODEL, encoding="utf-8")
    (folder / "network.json").write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
    _table(folder / "arcs.csv", "tail,head,cost", ((*arc, random.randint(1, 20)) for arc in found))
    tolled = sorted(random.sample(range(len(found)), max(1, len(found) // 10)))
    _table(folder / "tolled.csv", "tail,head", (found[k] for k in tolled))
    names = [f"t{k}" for k in range(trips)]
    _table(folder / "trips.csv", "trip,volume", ((name, random.randint(1, 100)) for name in names))
    ends = {name: random.sample(nodes, 2) for name in names}
    balance = ((name, node, (node == ends[name][0]) - (node == ends[name][1])) for name in names for node in nodes)
    _table(folder / "supply.csv", "trip,node,supply", balance)


def _table(path: Path, header: str, rows: Iterable[tuple[object, ...]]) -> None:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows), ""]), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arcs", type=int, default=1_000)
    parser.add_argument("--trips", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.folder, given.arcs, given.trips, given.seed)


if __name__ == "__main__":
    main()
