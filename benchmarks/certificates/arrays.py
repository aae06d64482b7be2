"""Certificates of large models: what is proved, both sides of the constants, and what proving and checking take.

Run as `python -m benchmarks.certificates.arrays [NAME ...]`; it writes the rows of these models, or of all, to
`benchmarks/results/certificates_arrays.md`. Each model runs in a process of its own, whose peak memory is told.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parents[1] / "results" / "certificates_arrays.md"
LEADER = "upper { var x in [-3, 3]; minimize x }\n"
SHARES = "upper { var s[m] in [-2, 2]; minimize sum(s) }\n"
DATA = "dim m, n\nparam A[m, n], b[m]\n"
SQUARE = "dim n\nparam K[n, n], b[n]\n"
CLASSES = "dim m, n, c\nparam A[m, n], Y[m, c]\n"
Model = tuple[str, dict[str, np.ndarray]]


def _follower(objective: str, own: str = "var y[n]") -> str:
    return f"lower {{ {own}; minimize {objective} }}\n"


def _regression(rows: int, columns: int, objective: str, leader: str = LEADER, signs: bool = False) -> Model:
    random = np.random.default_rng(0)
    A = random.standard_normal((rows, columns))
    b = A @ random.standard_normal(columns) / columns**0.5 + random.standard_normal(rows)
    return DATA + leader + _follower(objective), {"A": A, "b": np.sign(b) if signs else b}


def _classes(rows: int, columns: int, classes: int, objective: str) -> Model:
    random = np.random.default_rng(0)
    labels = np.eye(classes)[random.integers(0, classes, rows)]
    A = random.standard_normal((rows, columns)) / columns**0.5
    return CLASSES + SHARES + _follower(objective, "var W[n, c]"), {"A": A, "Y": labels}


def _kernel(size: int, objective: str, definite: bool) -> Model:
    random = np.random.default_rng(0)
    root = random.standard_normal((size, size)) / size**0.5
    K = root @ root.T + 0.1 * np.eye(size) if definite else root + root.T
    return SQUARE + LEADER + _follower(objective), {"K": K, "b": random.standard_normal(size)}


MODELS: dict[str, tuple[str, Callable[[], Model]]] = {
    "ridge": ("5000 x 2000", lambda: _regression(5000, 2000, "sumsq(A@y - b)/m + exp(x)*sumsq(y)")),
    "ridge, tall": ("400000 x 25", lambda: _regression(400_000, 25, "sumsq(A@y - b)/m + exp(x)*sumsq(y)")),
    "least squares, wide": ("1000 x 2000", lambda: _regression(1000, 2000, "sumsq(A@y - b)/m")),
    "logistic": (
        "5000 x 1000",
        lambda: _regression(5000, 1000, "sum(softplus(-b*(A@y)))/m + exp(x)*sumsq(y)", signs=True),
    ),
    "squared hinge": (
        "5000 x 500",
        lambda: _regression(5000, 500, "sum(max(0, 1 - b*(A@y))^2)/m + exp(x)*sumsq(y)", signs=True),
    ),
    "huber": ("5000 x 500", lambda: _regression(5000, 500, "sum(huber(A@y - b, 1))/m + exp(x)*sumsq(y)")),
    "weighted": (
        "5000 x 500",
        lambda: _regression(5000, 500, "dot(sigmoid(s), (A@y - b)^2)/m + 0.01*sumsq(y)", SHARES),
    ),
    "hyper-cleaning": (
        "2000 x 300 x 10",
        lambda: _classes(2000, 300, 10, "dot(sigmoid(s), logsumexp(A@W, c) - sum(Y*(A@W), c))/m + 0.001*sumsq(W)"),
    ),
    "kernel": ("1500", lambda: _kernel(1500, "dot(y, K@y)/2 - dot(b, y) + exp(x)*sumsq(y)", True)),
    "kernel, indefinite": ("1500", lambda: _kernel(1500, "dot(y, K@y) - dot(b, y)", False)),
    "sines": ("5000 x 500", lambda: _regression(5000, 500, "sum(sin(A@y - b))/m")),
}
TITLE = "Certificates of large models: both sides of mu and L, seconds of processor time, peak memory.\n\n"
HEAD = (
    "| model | size | convex | strongly convex, mu | smooth, L | PL, mu | not checked | prover, s | checker, s | MB |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def certified(name: str) -> dict[str, Any]:
    """The row of one model."""
    import bileveldsl as blv
    from bileveldsl.certificate import certificate_of
    from bileveldsl.certify.lower_level import certify

    text, data = MODELS[name][1]()
    model = blv.loads(text)
    program = model.program(**data)
    start = time.process_time()
    facts = certify(program, 60.0)
    proved = time.process_time()
    certificate = certificate_of(model, program, facts)
    checked = time.process_time()
    row: dict[str, Any] = {f.fact: _said(f) for f in facts if f.of == "lower.objective"}
    decided = [u for u in certificate.unchecked if not u["why"].startswith("not decided")]
    row["unchecked"] = ", ".join(u["fact"] for u in decided if u["of"] == "lower.objective")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {**row, "prover": proved - start, "checker": checked - proved, "peak": peak}


def _said(fact: Any) -> str:
    if fact.verdict != "proved" or fact.constant is None:
        return str(fact.verdict)
    sides = [side for side in (fact.constant, fact.constant_upper) if side is not None]
    return "..".join(f"{side:.6g}" for side in sorted(sides))


def _line(name: str, row: dict[str, Any]) -> str:
    said = [row[fact] for fact in ("convex", "strongly_convex", "smooth", "pl")]
    figures = [f"{row['prover']:.1f}", f"{row['checker']:.1f}", f"{row['peak']:.0f}"]
    return f"| {' | '.join([name, MODELS[name][0], *said, row['unchecked'] or 'none', *figures])} |\n"


def main(names: list[str]) -> None:
    """Prints the row of each model and puts it in the table."""
    known = RESULTS.read_text().splitlines(keepends=True) if RESULTS.exists() else []
    rows = {line.split("|")[1].strip(): line for line in known if line.startswith("| ")}
    for name in names or MODELS:
        command = [sys.executable, "-m", "benchmarks.certificates.arrays", "--row", name]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        rows[name] = _line(name, json.loads(found.stdout.splitlines()[-1]))
        print(rows[name], end="", flush=True)
        RESULTS.write_text(f"{TITLE}{HEAD}{''.join(rows[each] for each in MODELS if each in rows)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--row"]:
        print(json.dumps(certified(sys.argv[2])))
    else:
        main(sys.argv[1:])
