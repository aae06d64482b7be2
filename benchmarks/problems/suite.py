"""Solve every problem of a collection with no options, and compare with the best known values.

python benchmarks/problems/suite.py PROBLEMS.json [--limit 60] [--workers 2] [--backend auto] [--only NAME ...]

Writes `benchmarks/results/suite.csv`, a summary `suite.md` and, with matplotlib, a performance profile `suite.png`.
With `--only` the rows of the other problems stay as they are in the table that is there.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing as mp
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from convert import to_blv

RESULTS = Path(__file__).parent.parent / "results"
RELATIVE = 1e-4
FIELDS = (
    "name", "result", "status", "F", "reference", "trusted", "bound", "lower_gap", "backend", "seconds", "processor",
    "message", "x",
)  # fmt: skip
NUMBERS = ("F", "reference", "bound", "lower_gap", "seconds", "processor")
CLAIMS = ("globally_optimal", "locally_optimal", "feasible")


def solved(task: tuple[dict[str, Any], float, str]) -> dict[str, Any]:
    """One row of the table."""
    problem, limit, backend = task
    reference = problem["ref"]
    row = {"name": problem["name"], "reference": reference["F"], "trusted": reference["use_in_tests"]}
    begin, worked = time.perf_counter(), time.process_time()
    signal.signal(signal.SIGALRM, _stop)
    signal.alarm(int(2 * limit) + 30)
    try:
        import bileveldsl as blv

        solution = blv.loads(to_blv(problem)).solve(backend, time_limit=limit)
        found = solution.verification
        row |= {
            "status": solution.status.value, "F": solution.upper.objective, "backend": solution.backend,
            "bound": found.global_bound, "lower_gap": found.lower_gap, "message": solution.message,
            "x": json.dumps({n: float(v) for n, v in solution.values.items()}),
        }  # fmt: skip
    except TimeoutError:
        row |= {"status": "timeout", "message": ""}
    except Exception as error:
        row |= {"status": "error", "message": f"{type(error).__name__}: {error}"}
    signal.alarm(0)
    seconds, processor = time.perf_counter() - begin, time.process_time() - worked
    return {**row, "seconds": round(seconds, 2), "processor": round(processor, 2), "result": judged(row, reference)}


def _stop(*_: Any) -> None:
    raise TimeoutError


def judged(row: dict[str, Any], reference: dict[str, Any]) -> str:
    """How the answer compares with the reference value."""
    best, found = reference["F"], row.get("F")
    if best is None:
        return "no reference"
    if found is None or row["status"] not in (*CLAIMS, "limit") or row.get("lower_gap") is None:
        return "unsolved"
    if found < best - max(reference.get("tol") or 0.0, RELATIVE * (1 + abs(best))):
        return "better"
    return "reached" if found <= best + RELATIVE * (1 + abs(best)) else "worse"


def stored(path: Path) -> list[dict[str, Any]]:
    """The rows of a table that was written before."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        rows: list[dict[str, Any]] = list(csv.DictReader(stream))
    for row in rows:
        row |= {name: float(row[name]) if row.get(name) else None for name in NUMBERS}
        row |= {"trusted": row["trusted"] == "True", "backend": row["backend"] or None}
    return rows


def report(rows: list[dict[str, Any]], limit: float) -> str:
    """The summary as markdown."""
    trusted = [row for row in rows if row["trusted"]]
    reached = [row for row in trusted if row["result"] in ("reached", "better")]
    proved = [row for row in trusted if row["status"] == "globally_optimal"]
    wrong = [row for row in proved if row["result"] == "worse"]
    times = sorted(row["seconds"] for row in rows)
    share = lambda part: f"{len(part)} of {len(trusted)} ({100 * len(part) / max(1, len(trusted)):.1f} %)"  # noqa: E731
    lines = [
        "# Problems with known best values", "",
        f"- trusted reference value reached or bettered within {limit:g} s: {share(reached)}",
        f"- proved globally optimal: {share(proved)}",
        f"- proved globally optimal, but worse than the reference: {len(wrong)}",
        f"- median seconds {times[len(times) // 2]:.2f}, largest {times[-1]:.1f}, all {sum(times):.0f}",
        f"- statuses: {dict(Counter(row['status'] for row in rows))}",
        f"- backends: {dict(Counter(row.get('backend') for row in rows))}", "",
        "| problem | result | status | F | reference | bound | backend | s | of a processor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        work = "" if row.get("processor") is None else f"{row['processor']:.2f}"
        cells = [row["name"], row["result"], row["status"], *(_number(row.get(k)) for k in ("F", "reference", "bound"))]
        lines.append("| " + " | ".join([*cells, str(row.get("backend")), f"{row['seconds']:.2f}", work]) + " |")
    return "\n".join(lines) + "\n"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.8g}"


def profile(rows: list[dict[str, Any]], path: Path) -> None:
    """The share of trusted problems that are solved, and proved, within a time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    trusted = [row for row in rows if row["trusted"]]
    figure, axis = pyplot.subplots(figsize=(6, 4))
    for label, kept in (
        ("best known value", [r for r in trusted if r["result"] in ("reached", "better")]),
        ("proved global", [r for r in trusted if r["status"] == "globally_optimal"]),
    ):
        times = sorted(max(row["seconds"], 1e-2) for row in kept)
        axis.step(times, [(k + 1) / len(trusted) for k in range(len(times))], where="post", label=label)
    axis.set(xscale="log", xlabel="seconds", ylabel="share of problems", ylim=(0, 1))
    axis.legend()
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", type=Path)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    problems = [p for p in json.loads(options.problems.read_text()) if not options.only or p["name"] in options.only]
    table = options.output / "suite.csv"
    rows: list[dict[str, Any]] = []
    with mp.get_context("spawn").Pool(options.workers, maxtasksperchild=20) as pool:
        for row in pool.imap_unordered(solved, [(p, options.limit, options.backend) for p in problems]):
            rows.append(row)
            shown = [_number(row.get(k)) for k in ("F", "reference", "bound")]
            line = f"{len(rows):4d} {row['result']:<12} {row['status']:<18} {row['name']:<40}"
            print(line, *shown, row["seconds"], flush=True)
            if row["status"] == "error":
                print("    ", row["message"], flush=True)
    if options.only:
        rows += [row for row in stored(table) if row["name"] not in {problem["name"] for problem in problems}]
    rows.sort(key=lambda row: row["name"])
    options.output.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    text = report(rows, options.limit)
    (options.output / "suite.md").write_text(text)
    try:
        profile(rows, options.output / "suite.png")
    except ImportError:
        print("matplotlib is not installed: no profile")
    print(text.split("| problem")[0])


if __name__ == "__main__":
    main()
