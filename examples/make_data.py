"""Make the data files of the examples, from scikit-learn's bundled data sets (needs scikit-learn) or at random.

The splits and the corrupted labels are fixed by a seed, so that the files are the same on every run.
"""

import csv
import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

HERE = Path(__file__).parent


def ridge() -> None:
    data = datasets.load_diabetes(scaled=False)
    order = np.random.default_rng(0).permutation(len(data.target))
    train, held_out = order[:300], order[300:]
    mean, scale = data.data[train].mean(0), data.data[train].std(0)
    centre, unit = data.target[train].mean(), data.target[train].std()
    X, y = (data.data - mean) / scale, (data.target - centre) / unit
    np.savez_compressed(HERE / "ridge/ridge.npz", X=X[train], y=y[train], X_val=X[held_out], y_val=y[held_out])


def hypercleaning() -> None:
    data = datasets.load_digits()
    generator = np.random.default_rng(0)
    order = generator.permutation(len(data.target))
    train, clean, test = order[:500], order[500:700], order[700:]
    images = np.hstack([data.data / 16, np.ones((len(data.target), 1))])
    one_hot = np.eye(10)
    labels = data.target[train].copy()
    corrupted = np.zeros(len(train), dtype=bool)
    corrupted[generator.permutation(len(train))[: len(train) // 2]] = True
    labels[corrupted] = (labels[corrupted] + generator.integers(1, 10, corrupted.sum())) % 10
    np.savez_compressed(
        HERE / "hypercleaning/digits.npz",
        X=images[train], Y=one_hot[labels], Xv=images[clean], Yv=one_hot[data.target[clean]],
        X_test=images[test], y_test=data.target[test], corrupted=corrupted,
    )  # fmt: skip


def logistic() -> None:
    data = datasets.load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.target))
    train, held_out = order[:380], order[380:]
    mean, scale = data.data[train].mean(0), data.data[train].std(0)
    X = np.hstack([(data.data - mean) / scale, np.ones((len(data.target), 1))])
    y = 2.0 * data.target - 1.0
    np.savez_compressed(HERE / "logistic/breast_cancer.npz", X=X[train], y=y[train], Xv=X[held_out], yv=y[held_out])


def facility() -> None:
    """Sites and customers at random places of a town, distances along its streets."""
    draw = random.Random(7)
    counts = {"o": 5, "i": 3, "c": 12}
    ours, theirs, customers = ([f"{letter}{k}" for k in range(1, n + 1)] for letter, n in counts.items())
    sites = [*ours, *theirs]
    place = {name: (draw.randint(0, 20), draw.randint(0, 20)) for name in [*sites, *customers]}
    folder = HERE / "facility"
    (folder / "sites.json").write_text(json.dumps({"sites": sites, "ours": ours, "customers": customers}))
    _table(folder / "demand.csv", ["customer", "demand"], [[c, draw.randint(2, 9)] for c in customers])
    _table(folder / "rent.csv", ["site", "rent"], [[s, draw.randint(4, 8)] for s in ours])
    _table(folder / "incumbent.csv", ["site", "incumbent"], [[s, int(s in theirs)] for s in sites])
    far = {(c, s): abs(place[c][0] - place[s][0]) + abs(place[c][1] - place[s][1]) for c in customers for s in sites}
    _table(folder / "distance.csv", ["customer", "site", "distance"], [[*pair, length] for pair, length in far.items()])


def network() -> None:
    """Layers of nodes between s and t, arcs from each layer to the next and two across."""
    draw = random.Random(3)
    layers = [["s"], ["n1", "n2", "n3", "n4"], ["n5", "n6", "n7", "n8"], ["t"]]
    pairs = [(a, b) for here, there in itertools.pairwise(layers) for a in here for b in there]
    arcs = [pair for pair in pairs if draw.random() < 0.75] + [("n1", "n2"), ("n6", "n7")]
    nodes = list(itertools.chain(*layers))
    end = [-1, *[0] * (len(nodes) - 2), 1]
    (HERE / "network/network.json").write_text(json.dumps({"nodes": nodes, "end": end}))
    rows = [[*arc, draw.randint(3, 12)] for arc in arcs]
    _table(HERE / "network/capacity.csv", ["from", "to", "capacity"], rows)


def _table(path: Path, head: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(rows)


if __name__ == "__main__":
    ridge()
    hypercleaning()
    logistic()
    facility()
    network()
