"""Certify the followers of a collection and functions with known verdicts; check each proof; try to contradict it.

python benchmarks/certificates/suite.py [PROBLEMS.json] [--points 20000] [--only NAME ...]

Writes `benchmarks/results/certificates.md` and `certificates.csv`.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "problems"))

from convert import to_blv
from dcp import verdict as dcp_verdict
from falsify import POINTS, contradictions
from functions import CASES

import bileveldsl as blv
from bileveldsl.certificate import certificate_of
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.certify.statement import statement

RESULTS = Path(__file__).parent.parent / "results"
FACTS = ("convex", "strongly_convex", "smooth", "pl")
MARK = {"proved": "yes", "refuted": "no", "unknown": "?"}


def examined(name: str, text: str, points: int) -> dict[str, Any]:
    """One model: its facts, the time they took, what the checker says, contradictions, and CVXPY's verdict."""
    model = blv.loads(text)
    program = model.program()
    begin = time.perf_counter()
    facts = certify(program)
    seconds = time.perf_counter() - begin
    begin = time.perf_counter()
    made = certificate_of(model, program, facts)  # the independent checker has accepted each of its claims
    check_seconds = time.perf_counter() - begin
    row: dict[str, Any] = {"name": name, "seconds": seconds, "check_seconds": check_seconds}
    found = statement(program)
    own = found.own("lower") if found is not None else ()
    tried = wrong = 0
    for fact in facts:
        if fact.of == "lower.objective":
            row[fact.fact] = MARK[fact.verdict]
            row[f"{fact.fact}_constant"] = fact.constant
            row[f"{fact.fact}_upper"] = fact.constant_upper
            row[f"{fact.fact}_rule"] = fact.rule
        if found is not None and fact.verdict == "proved":
            tried += 1
            wrong += contradictions(fact, found, points)
    row |= _counts(facts)
    row["accepted"] = len(made.claims)
    decided = [u for u in made.unchecked if u["verdict"] in ("proved", "refuted")]
    row["unchecked"] = "; ".join(f"{u['of']} {u['fact']}: {u['why']}" for u in decided)
    row["falsified_facts"], row["contradictions"] = tried, wrong
    row["dcp"] = dcp_verdict(found, found.functions["lower.objective"], own) if found is not None else "not tried"
    return row


def shown(row: dict[str, Any]) -> dict[str, Any]:
    print(*(f"{key}={value}" for key, value in row.items() if value not in ("", None)), flush=True)
    return row


def _counts(facts: tuple[Fact, ...]) -> dict[str, int]:
    others = ("lower.objective", "lower.feasible_set", "lower.penalty", "upper.objective")
    own = [f for f in facts if f.of not in others and f.fact == "convex"]
    counts = Counter(f.verdict for f in own)
    return {"constraints_proved": counts["proved"], "constraints_refuted": counts["refuted"],
            "constraints_unknown": counts["unknown"]}  # fmt: skip


def table(title: str, rows: list[dict[str, Any]]) -> list[str]:
    """A summary of rows as markdown."""
    lines = [f"## {title}: {len(rows)}", "", "| fact | proved | refuted | unknown |", "|---|---|---|---|"]
    for fact in FACTS:
        counts = Counter(row.get(fact, "?") for row in rows)
        lines.append(f"| {fact} | {counts['yes']} | {counts['no']} | {counts['?']} |")
    constraints = [sum(row[f"constraints_{v}"] for row in rows) for v in ("proved", "refuted", "unknown")]
    lines.append(f"| constraints convex | {constraints[0]} | {constraints[1]} | {constraints[2]} |")
    times, checks = ([row[key] for row in rows] for key in ("seconds", "check_seconds"))
    unchecked = sum(len(row["unchecked"].split("; ")) if row["unchecked"] else 0 for row in rows)
    dcp = Counter(row["dcp"].split(" (")[0] for row in rows)
    return [
        *lines, "",
        f"Certified in {sum(times):.1f} s, median {1000 * statistics.median(times):.0f} ms, most {max(times):.1f} s; "
        f"the independent checker took {sum(checks):.1f} s and accepted {sum(row['accepted'] for row in rows)} claims "
        f"({unchecked} facts have no proof that it accepts). Contradictions at random points: "
        f"{sum(row['contradictions'] for row in rows)}.", "",
        "CVXPY on the same functions: " + ", ".join(f"{count} {name}" for name, count in sorted(dcp.items())) + ".", "",
    ]  # fmt: skip


def number(value: float | None) -> str:
    return "" if value is None else f"{value + 0.0:.6g}"  # no -0


def details(rows: list[dict[str, Any]]) -> list[str]:
    names = ("function", "convex", "strongly convex, mu", "PL, mu", "smooth, L", "CVXPY", "ms")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        cells = [row["name"], row.get("convex", "?")]
        for fact in ("strongly_convex", "pl", "smooth"):
            ends = [number(row.get(f"{fact}_{end}")) for end in ("constant", "upper")]
            cells.append(f"{row.get(fact, '?')} {ends[0]}" + (f" ({ends[1]})" if ends[1] else ""))
        lines.append(f"| {' | '.join(cells)} | {row['dcp']} | {1000 * row['seconds']:.0f} |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="?", type=Path)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    wanted = lambda name: not given.only or any(part in name for part in given.only)  # noqa: E731
    problems = json.loads(given.problems.read_text()) if given.problems else []
    rows = [shown(examined(p["name"], to_blv(p), given.points)) for p in problems if wanted(p["name"])]
    functions = [shown(examined(n, case.model(), given.points)) for n, case in CASES.items() if wanted(n)]
    lines = ["# Certificates", "", "`mu (above)`: a proved lower bound, and in brackets one on its other side.", ""]
    if rows:
        lines += table("Followers of the collection", rows)
    lines += [*table("Functions with known verdicts", functions), *details(functions)]
    for name, case in CASES.items():
        row = next((r for r in functions if r["name"] == name), None)
        for fact, expected in (("convex", case.convex), ("strongly_convex", case.strong), ("pl", case.pl)):
            if row is not None and expected and row[fact] not in ("?", expected):
                raise SystemExit(f"{name}: {fact} is {row[fact]}, which is wrong")
    print("\n".join(lines))
    if given.only:
        return
    RESULTS.joinpath("certificates.md").write_text("\n".join(lines))
    fields = sorted({key for row in [*rows, *functions] for key in row}, key=str)
    with RESULTS.joinpath("certificates.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["name", *(f for f in fields if f != "name")])
        writer.writeheader()
        writer.writerows([*rows, *functions])


if __name__ == "__main__":
    main()
