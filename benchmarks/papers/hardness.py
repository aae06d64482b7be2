"""The hard instance of Theorem 3.2 (Chen, Xu, Zhang, COLT 2024): 0 for zero-respecting methods, easy for `auto`.

    python benchmarks/papers/hardness.py      a table to benchmarks/results/hardness.md

For a budget of T outer and K inner steps, q = 2TK and beta = 1 / sqrt(q),
    F = 2 (x + 1)^2 sum_{j > q/2} psi(y_j),    f = (y_1 - beta)^2 / 8 + sum_j (y_{j+1} - y_j)^2 / 8.
Each inner step of a method whose iterates stay in the span of the gradients reaches one more coordinate, and F_x = 0
until one beyond q/2 is reached. But f is a quadratic: with its linear system solved, phi = (x + 1)^2 / 2 is easy.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
from bileveldsl.backends.f2ba import Published
from bileveldsl.backends.implicit import Implicit

from bileveldsl import Model, loads
from bileveldsl.backend import parse_options
from bileveldsl.execute.driver import run
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import CompiledProblem, compile_problem

RESULTS = Path(__file__).parents[1] / "results"

# psi(t) is t^2 / 2 for |t| <= beta, then p(|t|), a quintic that is beta^2 (1/2 + joined) with |t| = beta (1 + s), and
# beta^2 from 2 beta on.
MODEL = """model hard
dim q = {q}
param beta = {beta!r}
param second[q] = {second}
upper {{
  var x start 0
  let s[q] = min(max(abs(y) - beta, 0), beta) / beta
  let joined[q] = s + s^2/2 - 2.5*s^3 + 2*s^4 - s^5/2
  minimize 2 * (x + 1)^2 * dot(second, min(abs(y), beta)^2/2 + beta^2 * joined)
}}
lower {{
  var y[q] start 0
  minimize (y[0] - beta)^2/8 + sum((y[j + 1] - y[j])^2 for j in 0..{last})/8
}}
"""


def instance(outer: int, inner: int) -> Model:
    """The instance for a budget of T = `outer` and K = `inner` steps."""
    q = 2 * outer * inner
    second = [0] * (q // 2) + [1] * (q // 2)
    return loads(MODEL.format(q=q, beta=1 / math.sqrt(q), second=second, last=q - 2))


def compiled(outer: int, inner: int) -> CompiledProblem:
    return compile_problem(instance(outer, inner).program(), numpy_engine())


def zero_respecting(outer: int, inner: int, steps: int | None = None) -> float:
    """x of Algorithm 2 with K = `inner` after T = `outer` steps (or another number): exactly 0 within the budget.

    A tolerance below 0 keeps it going: its estimate of the hyper-gradient is 0, and it would take 0 for the answer.
    """
    problem = compiled(outer, inner)
    free = np.array([-np.inf]), np.array([np.inf])
    solver = Published(sigma=0.05, K=inner, tau=1.0, eta=0.1, box=free, tolerance=-1.0)
    return float(run(solver, problem, Monitor(), outer if steps is None else steps).x[0])


def symbolic(outer: int, inner: int) -> float:
    """x where the follower's linear system is solved."""
    backend = Implicit()
    options = parse_options(backend.name, backend.options, {})
    return float(backend.solve(compiled(outer, inner), options, Monitor(1e-9)).x[0])


def main() -> None:
    lines = ["# The hard instance of Theorem 3.2", ""]
    names = ("T", "K", "q", "x of f2ba, form = paper", "x of implicit", "its seconds", "x of auto", "its answer")
    lines += [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for outer, inner in ((2, 3), (5, 5), (10, 5), (10, 10)):
        begin = time.perf_counter()
        best = symbolic(outer, inner)
        seconds = time.perf_counter() - begin
        stuck = zero_respecting(outer, inner)
        auto = instance(outer, inner).solve()
        answer = f"{auto.status.value} by {auto.backend}, {sum(auto.seconds.values()):.1f} s"
        cells = (outer, inner, 2 * outer * inner, repr(stuck), f"{best:.6f}", f"{seconds:.2f}",
                 f"{auto.values['x']:.6f}", answer)  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "hardness.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
