"""The toy problem of GALET (Xiao, Lu, Chen 2023): how many iterations each setting needs from random starts.

Run as `python benchmarks/papers/galet.py [--starts N] [--seed S] [--plot]`; writes `benchmarks/results/galet_toy.md`.

    F = x^2 + u - sin(v),   f = (x + u - sin(v))^2 / 2,   phi(x) = x^2 - x,   x* = 1/2,   phi* = -1/4

f is PL with mu >= 1, and f_yy has rank one. An iteration counts as one step of the leader; the stopping metric is
max(R_x^2, R_w^2, R_y) <= 1e-8. The reference counts are those of a plain implementation of the published loops with
the same steps (alpha = 0.3, beta = 0.4, rho = 0.2), as median and maximum over 20 starts from N(0, 4).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from bileveldsl.backends.galet import Galet

from bileveldsl import loads
from bileveldsl.backend import RawPoint, parse_options
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import CompiledProblem, compile_problem

RESULTS = Path(__file__).parent.parent / "results"
MODEL = """model galet
upper { var x; minimize x^2 + u - sin(v) }
lower { var u; var v; minimize (x + u - sin(v))^2 / 2 }
"""
REFERENCE = {(1, 1): (24, 42), (1, 5): (15, 21), (5, 5): (13, 15), (1, 50): (15, 20), (20, 1): (29, 42)}
STEPS = {"alpha": 0.3, "beta": 0.4, "rho": 0.2}


def solve(problem: CompiledProblem, start: np.ndarray, tolerance: float, options: dict[str, Any]) -> RawPoint:
    """One run from a start (x, u, v)."""
    problem.x_start, problem.y_start = start[:1], start[1:]
    backend = Galet()
    return backend.solve(problem, parse_options(backend.name, backend.options, options), Monitor(tolerance))


def table(starts: list[np.ndarray]) -> str:
    """A row for each setting: iterations, products with f_yy, and where x ended."""
    problem = compile_problem(loads(MODEL).program(), numpy_engine())
    settings: list[tuple[str, dict[str, Any], str]] = [
        (f"paper, N = {N}, T = {T}, given steps", {"form": "paper", "N": N, "T": T, **STEPS}, f"{typical} / {most}")
        for (N, T), (typical, most) in REFERENCE.items()
    ]
    settings += [(f"paper, N = {N}, T = {T}, steps auto", {"form": "paper", "N": N, "T": T}, "") for N, T in REFERENCE]
    settings.append(("krylov", {}, ""))
    rows = ["| form | reference (median / max) | iterations (median / max) | products with f_yy (median) | x |",
            "|---|---|---|---|---|"]  # fmt: skip
    for name, options, reference in settings:
        counts, products, ends = [], [], []
        for start in starts:
            problem.work.update(dict.fromkeys(problem.work, 0))
            point = solve(problem, start, 1e-4, options)
            assert point.status == "converged", (name, start, point.message)
            counts.append(point.iterations)
            products.append(problem.work["hvp"])
            ends.append(float(point.x[0]))
        rows.append(f"| {name} | {reference} | {median(counts):g} / {max(counts)} | {median(products):g} "
                    f"| {min(ends):.5f} to {max(ends):.5f} |")  # fmt: skip
    return "\n".join(rows)


def plot(start: np.ndarray, path: Path) -> None:
    """The metric by iteration from one start."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    problem = compile_problem(loads(MODEL).program(), numpy_engine())
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name, options in (("paper, N = T = 1", {"form": "paper", "N": 1, "T": 1, **STEPS}),
                          ("paper, N = T = 5", {"form": "paper", **STEPS}), ("krylov", {})):  # fmt: skip
        metric = []
        for most in range(1, 31):
            m = solve(problem, start, 1e-12, {**options, "max_iterations": most}).measures
            metric.append(max(m["R_x"] ** 2, m["R_w"] ** 2, m["R_y"], 1e-20))
        axes.semilogy(range(1, 31), metric, label=name)
    axes.set_xlabel("iteration")
    axes.set_ylabel("max(R_x^2, R_w^2, R_y)")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", action="store_true", help="write galet_toy.svg as well; needs matplotlib")
    arguments = parser.parse_args()
    starts = [2 * start for start in np.random.default_rng(arguments.seed).standard_normal((arguments.starts, 3))]
    RESULTS.mkdir(exist_ok=True)
    text = f"# GALET toy, {arguments.starts} starts from N(0, 4), seed {arguments.seed}\n\n{table(starts)}\n"
    (RESULTS / "galet_toy.md").write_text(text, encoding="utf-8")
    print(text)
    if arguments.plot:
        plot(starts[0], RESULTS / "galet_toy.svg")


if __name__ == "__main__":
    main()
