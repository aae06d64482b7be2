"""Solve the smooth problems of a collection with the backend `kkt`, and compare with the best values known.

python benchmarks/problems/local.py PROBLEMS.json [--option KEY=VALUE] [--every N]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from bileveldsl.backends.kkt import Kkt
from convert import to_blv

import bileveldsl as blv
from bileveldsl.backend import parse_options
from bileveldsl.certify.lower_level import certify
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.monitor import Monitor
from bileveldsl.execute.problem import compile_problem
from bileveldsl.reduce import REDUCTIONS, reduce_program


def outcome(problem: dict[str, Any], backend: Kkt, options: dict[str, str], limit: float) -> tuple[str, float, str]:
    """A word for what happened, the processor's seconds in the backend, and the numbers."""
    program = blv.loads(to_blv(problem)).program()
    reduced = reduce_program(program, REDUCTIONS, certify(program))
    if (reason := backend.admits(reduced.program, reduced.facts)) is not None:
        return "refused", 0.0, reason
    compiled = compile_problem(reduced.program, numpy_engine(), reduced.facts)
    begin = time.process_time()
    raw = backend.solve(compiled, parse_options(backend.name, backend.options, options), Monitor(time_limit=limit))
    seconds = time.process_time() - begin
    value, best = float(compiled.F(raw.x, raw.y)), problem["ref"]["F"]
    numbers = f"{value:.8g} (known {best:.8g}) {raw.status}: {raw.message}"
    if raw.status not in ("converged", "limit") or not np.isfinite(value):
        return "failed", seconds, numbers
    difference = (value - best) / (1.0 + abs(best))
    return ("reached" if abs(difference) <= 1e-4 else "better" if difference < 0 else "worse"), seconds, numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for each problem")
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--skip", default="-", help="part of a name")
    arguments = parser.parse_args()
    backend = Kkt()
    options = dict(item.split("=", 1) for item in arguments.option)
    counts: dict[str, int] = {}
    times = []
    for problem in json.loads(arguments.problems.read_text())[arguments.first :: arguments.every]:
        if problem["ref"]["F"] is None or arguments.only not in problem["name"] or arguments.skip in problem["name"]:
            continue
        word, seconds, numbers = outcome(problem, backend, options, arguments.limit)
        counts[word] = counts.get(word, 0) + 1
        times.append(seconds)
        if word != "reached":
            convex = "" if problem["structure"].get("lower_convex_in_y") else "[not convex] "
            print(f"{word:8} {problem['name']:40} {seconds:5.1f} s {convex}{numbers}", flush=True)
    print(counts, f"median {np.median(times):.2f} s, sum {sum(times):.1f} s")


if __name__ == "__main__":
    main()
