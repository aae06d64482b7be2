"""The toy of V-PBGD (Shen, Chen 2023) from random starts: every run ends at a local minimum of phi.

    python benchmarks/papers/pbgd.py [--starts 200]      a table to benchmarks/results/pbgd.md

The follower has the one stationary point y = -x on [0, 3], is not convex, and phi has three local minima there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bileveldsl.backends.f2ba import F2BA
from bileveldsl.backends.pbgd import PBGD

from bileveldsl import loads
from bileveldsl.backend import Backend, parse_options
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem

RESULTS = Path(__file__).parents[1] / "results"

MODEL = """model pbgd
upper { var x in [0, 3]; minimize cos(4*y + 2) / (1 + exp(2 - 4*x)) + 0.5*log((4*x - 2)^2 + 1) }
lower { var y; minimize (x + y)^2 + x*sin(x + y)^2 }
"""
MINIMA = (0.3824, 1.2152, 2.8296)
"""Of phi, by a fine grid and Newton's method."""


def ends(backend: Backend, starts: int, seed: int = 0, **options: object) -> np.ndarray:
    """(x, y) of every run, from x ~ U(0, 3) and y ~ U(-5, 8.5)."""
    random = np.random.default_rng(seed)
    problem, values = compile_problem(loads(MODEL).program(), numpy_engine()), []
    settings = parse_options(backend.name, backend.options, options)  # type: ignore[arg-type]
    for x, y in zip(random.uniform(0, 3, starts), random.uniform(-5, 8.5, starts), strict=True):
        problem.x_start, problem.y_start = np.array([x]), np.array([y])
        point = backend.solve(problem, settings, Monitor(1e-6))
        values.append([point.x[0], point.y[0]])
    return np.array(values)


def counts(points: np.ndarray, within: float = 1e-3) -> Sequence[int]:
    """How many of the points are at each local minimum with y = -x, and how many elsewhere."""
    good = np.abs(points.sum(axis=1)) <= 1e-6
    near = [int((good & (np.abs(points[:, 0] - x) <= within)).sum()) for x in MINIMA]
    return *near, len(points) - sum(near)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=200)
    starts = parser.parse_args().starts
    lines = [f"# The toy of V-PBGD from {starts} random starts", ""]
    lines += ["| backend | " + " | ".join(f"x = {x}" for x in MINIMA) + " | elsewhere |", "|---" * 5 + "|"]
    for backend in (F2BA(), PBGD()):
        lines.append(f"| {backend.name} | " + " | ".join(map(str, counts(ends(backend, starts)))) + " |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "pbgd.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
