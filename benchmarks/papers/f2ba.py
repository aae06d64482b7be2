"""F2BA against its theory (Chen, Xu, Zhang, COLT 2024): bias, rate, noise, and what no certificate means.

    python benchmarks/papers/f2ba.py [--full]      tables, and curves where matplotlib is there, to benchmarks/results

The problem is F = |y - t|^2 / 2 + |x - d|^2 / 2, f = y'Ay / 2 - y'Bx, of which phi is known in closed form.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bileveldsl.backends.f2ba import F2BA, theorem
from bileveldsl.backends.f2bsa import F2BSA, Search

from bileveldsl import Model, dot, loads, sumsq
from bileveldsl.backend import RawPoint, parse_options
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import CompiledProblem, compile_problem

RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class Quadratic:
    """The problem with condition number kappa of the follower."""

    A: np.ndarray
    B: np.ndarray
    t: np.ndarray
    d: np.ndarray

    @staticmethod
    def random(seed: int, kappa: float, size: int = 4) -> Quadratic:
        random = np.random.default_rng(seed)
        basis, _ = np.linalg.qr(random.standard_normal((size, size)))
        A = (basis * np.linspace(1 / kappa, 1, size)) @ basis.T
        return Quadratic((A + A.T) / 2, 0.3 * basis, *random.standard_normal((2, size)))

    def problem(self) -> CompiledProblem:
        m = Model("quadratic")
        n = m.dim("n", size=self.d.size)
        A, B = m.param("A", n, n, value=self.A), m.param("B", n, n, value=self.B)
        t, d = m.param("t", n, value=self.t), m.param("d", n, value=self.d)
        x, y = m.upper.var("x", n), m.lower.var("y", n)
        m.upper.minimize(sumsq(y - t) / 2 + sumsq(x - d) / 2)
        m.lower.minimize(dot(y, A @ y) / 2 - dot(y, B @ x))
        program = m.program()
        return compile_problem(program, numpy_engine(), check_claims(program, certify(program))[0])

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Of phi."""
        y = np.linalg.solve(self.A, self.B @ x)
        return x - self.d + self.B.T @ np.linalg.solve(self.A, y - self.t)


def solve(problem: CompiledProblem, tolerance: float, **options: object) -> RawPoint:
    backend = F2BA()
    return backend.solve(problem, parse_options("f2ba", backend.options, options), Monitor(tolerance))  # type: ignore[arg-type]


def bias(quadratic: Quadratic, order: int, sigmas: Iterable[float]) -> list[float]:
    """|grad phi| where psi is stationary, for each sigma: O(sigma^order)."""
    form = "forward" if order == 1 else "central"
    problem = quadratic.problem()
    points = [solve(problem, 1e-12, form=form, order=order, sigma=sigma) for sigma in sigmas]
    return [float(np.linalg.norm(quadratic.gradient(point.x))) for point in points]


def first_order_calls(quadratic: Quadratic, epsilons: Iterable[float]) -> list[int]:
    """Gradients of Algorithm 2 with the theorem's settings until its estimate is at most epsilon.

    Theorem 4.1 allows O(epsilon^-2 log(1 / epsilon)).
    """
    found = []
    for epsilon in epsilons:
        problem = quadratic.problem()
        settings = theorem(problem.program, problem.facts, epsilon)
        assert settings is not None
        kept = {name: settings[name] for name in ("sigma", "K", "tau", "eta")}
        point = solve(problem, epsilon, form="paper", max_iterations=10**6, **kept)
        assert point.status == "converged" and np.linalg.norm(quadratic.gradient(point.x)) <= 2 * epsilon
        found.append(problem.work["grad_f"] + problem.work["grad_g"])
    return found


NOISE = """model noise
dim n = 200
param a[n] = [{}]
upper {{ var x; {} minimize sum((y - a*x)^2) / n }}
lower {{ var y; {} minimize sum((y - a*x)^2) / n }}
"""


def spread(level: str, sigma: float, size: int, draws: int = 400) -> float:
    """The standard deviation of the sampled hyper-gradient, the noise being of one level.

    Section 4.2: noise of F enters as it is, noise of f divided by sigma, both by the root of the batch size.
    """
    a = np.random.default_rng(0).normal(1, 1, 200).round(4)
    mark = {"upper": ("minibatch n;", ""), "lower": ("", "minibatch n;")}[level]
    problem = compile_problem(loads(NOISE.format(", ".join(map(str, a)), *mark)).program(), numpy_engine())
    options = parse_options("f2bsa", F2BSA().options, {"sigma": sigma, "batch": size})
    search, x, chains = Search(problem, options, Monitor()), np.ones(1), np.array([1.0, 0.5])
    gradients = [
        float(search.draw().penalty_mean(x, chains, search.sigmas, search.weights)[1][0]) for _ in range(draws)
    ]  # fmt: skip
    return float(np.std(gradients))


def divergence(steps: int, sigma: float = 0.1) -> list[float]:
    """|x| of Algorithm 2 on Example 4.1: f = v^2 / 2 is PL, sigma F + f = sigma x u + v^2 / 2 has no minimum."""
    text = "model open; upper { var x start 1; minimize x*u }; lower { var u start 0; var v; minimize v^2/2 }"
    problem = compile_problem(loads(text).program(), numpy_engine())
    options = {"form": "paper", "sigma": sigma, "K": 50, "tau": 0.5, "eta": 0.1}
    return [float(np.abs(solve(problem, 1e-9, max_iterations=k, **options).x[0])) for k in range(1, steps + 1, 10)]


def rate(at: Any, values: Any) -> float:
    """The slope in logarithms."""
    return float(np.polyfit(np.log(at), np.log(values), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="more condition numbers and smaller epsilons")
    full = parser.parse_args().full
    sigmas = np.geomspace(5e-2, 5e-3, 4)
    lines = ["# F2BA against its theory", "", "## Bias: |grad phi| at the stationary point of psi", ""]
    lines += ["| order | " + " | ".join(f"sigma = {s:.1e}" for s in sigmas) + " | slope |", "|---" * 6 + "|"]
    curves = {}
    for order in (1, 2, 4):
        errors = bias(Quadratic.random(0, 5.0), order, sigmas)
        curves[order] = errors
        figures = " | ".join(f"{e:.2e}" for e in errors)
        lines.append(f"| {order} | {figures} | {rate(sigmas, errors):.2f} |")
    lines += ["", "## First-order calls of Algorithm 2 with the theorem's settings", ""]
    epsilons = [1e-1, 3e-2, 1e-2, *([1e-3, 1e-4] if full else [])]
    lines += ["| kappa | " + " | ".join(f"epsilon = {e:g}" for e in epsilons) + " | slope |"]
    lines += ["|---" * (len(epsilons) + 2) + "|"]
    for kappa in (1.5, 3.0, *([6.0] if full else [])):
        calls = first_order_calls(Quadratic.random(0, kappa), epsilons)
        slope = -rate(epsilons, calls)
        lines.append(f"| {kappa:g} | " + " | ".join(map(str, calls)) + f" | {slope:.2f} |")
    lines += ["", "## Standard deviation of the sampled hyper-gradient", ""]
    lines += ["| noise in | sigma | batch 8 | batch 32 |", "|---|---|---|---|"]
    for level in ("upper", "lower"):
        for sigma in (1e-1, 1e-2, 1e-3):
            lines.append(f"| {level} | {sigma:g} | {spread(level, sigma, 8):.3g} | {spread(level, sigma, 32):.3g} |")
    sizes = divergence(201)
    lines += ["", "## Example 4.1, no certificate: |x| after 1, 11, 21, ... steps", ""]
    lines += [", ".join(f"{size:.2e}" for size in sizes), ""]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "f2ba.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))
    _draw(sigmas, curves)


def _draw(sigmas: np.ndarray, curves: dict[int, list[float]]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    for order, errors in curves.items():
        axes.loglog(sigmas, errors, "o-", label=f"order {order}")
    axes.set(xlabel="sigma", ylabel="|grad phi| at the stationary point of psi")
    axes.legend()
    figure.savefig(RESULTS / "f2ba.png")


if __name__ == "__main__":
    main()
