"""The same problems by this language and by its peers, each at its defaults; every answer measured here.

python benchmarks/peers/compare.py PROBLEMS.json [--python-pao PATH] [--python-blvpy PATH]
    [--ours benchmarks/results/suite.csv] [--only NAME ...]

PATH is an interpreter that has the peer; its rows go to `benchmarks/results/peers_pao.jsonl` or `peers_blvpy.jsonl`,
from where they are read when no interpreter is given. Ours are the rows that `benchmarks/problems/suite.py` wrote.
Writes `peers.csv` and the table `peers.md` next to them.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import bileveldsl as blv
from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.reduce import REDUCTIONS, Point, reduce_program
from bileveldsl.verify.constrained import measure
from bileveldsl.verify.measured import Measured

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
sys.path.insert(0, str(HERE.parent / "problems"))
from convert import to_blv  # noqa: E402
from suite import CLAIMS, RELATIVE  # noqa: E402

TOLERANCE = 1e-5
"""Of the constraints, absolute, and of the follower's objective, relative to 1 + |f|."""

PEERS = {"PAO": "pao", "BLVPY": "blvpy"}
GLOBAL = ("globally_optimal", "optimal")
"""Claims of a global optimum, by us and by PAO; BLVPY claims a local one only, by the same word."""

FIELDS = (
    "problem", "tool", "outcome", "status", "F", "reference", "claimed_F", "upper_violation", "lower_violation",
    "lower_gap", "better", "seconds", "message",
)  # fmt: skip

OUTCOMES = ("reached", "worse", "wrong", "undecided", "unclaimed")


class Judge:
    """What is measured at answers to one problem."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.problem = problem
        program = blv.loads(to_blv(problem)).program()
        facts, _ = check_claims(program, certify(program))
        self.reduced = reduce_program(program, REDUCTIONS, facts)
        self.known = {(fact.of, fact.fact): fact for fact in self.reduced.facts if fact.holds}

    def row(self, tool: str, answer: dict[str, Any]) -> dict[str, Any]:
        reference = self.problem["ref"]["F"]
        row = {"problem": self.problem["name"], "tool": tool, "reference": reference, "claimed_F": answer.get("F")}
        row |= {key: answer.get(key) for key in ("status", "seconds", "message")}
        if answer["status"] == "refused":
            return row | {"outcome": "refused"}
        if not answer.get("values"):
            return row | {"outcome": "no answer"}
        found = self.measured(answer["values"])
        return row | {
            "F": found.objective, "upper_violation": found.upper_violation, "lower_violation": found.lower_violation,
            "lower_gap": found.gap, "better": found.better, "outcome": judged(found, answer, tool, reference),
        }  # fmt: skip

    def measured(self, values: dict[str, float | None]) -> Measured:
        given = {name: np.asarray(self._value(name, value)) for name, value in values.items()}
        point, program = self.reduced.carry(Point(given)), self.reduced.program
        symbols = {variable.symbol: point.values[variable.name] for variable in program.variables}
        return measure(program, symbols, self.known, {}, 0, TOLERANCE)

    def _value(self, name: str, value: float | None) -> float:
        """A variable without a value occurs in no function: any value within its bounds serves."""
        low, high = self.problem["bounds"].get(name) or (None, None)
        return float(np.clip(0.0, low, high)) if value is None else value


def judged(found: Measured, answer: dict[str, Any], tool: str, reference: float | None) -> str:
    """What an answer is worth."""
    violated = not max(found.upper_violation, found.lower_violation) <= TOLERANCE  # NaN is a violation
    if found.doubt or violated or found.better > TOLERANCE:
        return "wrong" if answer["solved"] else "unclaimed"
    if found.gap is None or found.gap > TOLERANCE:  # no better answer of the follower was seen, and none excluded
        return "undecided"
    if reference is None:
        return "no reference"
    if found.objective <= reference + RELATIVE * (1 + abs(reference)):
        return "reached"
    return "wrong" if answer["status"] in GLOBAL and tool != "BLVPY" else "worse"


# ---- answers --------------------------------------------------------------------------------


def ours(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of the suite as answers, by problem."""
    with path.open(newline="") as stream:
        return {
            row["name"]: {
                "status": row["status"], "solved": row["status"] in CLAIMS, "message": row["message"],
                "F": float(row["F"]) if row["F"] else None, "seconds": float(row["seconds"]),
                "values": json.loads(row["x"] or "{}"),
            }
            for row in csv.DictReader(stream)
        }  # fmt: skip


def peer(name: str, python: Path | None, problems: Path, only: list[str]) -> dict[str, dict[str, Any]]:
    """A peer's answers by problem, made anew if an interpreter is given."""
    path = RESULTS / f"peers_{name}.jsonl"
    if python is not None:
        command = [str(python), str(HERE / f"{name}_run.py"), str(problems), str(path)]
        subprocess.run([*command, "--only", *only] if only else command, check=True)
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["name"]: {**row, "values": {**row.get("x", {}), **row.get("y", {})}} for row in rows}


# ---- the table ------------------------------------------------------------------------------


def summary(rows: list[dict[str, Any]], names: set[str], title: str) -> list[str]:
    """One line for each tool."""
    columns = ["accepted", "answered", *OUTCOMES, "median s"]
    lines = [f"## {title}: {len(names)} problems", "", f"| tool | {' | '.join(columns)} |"]
    lines.append("|---" * (1 + len(columns)) + "|")
    for tool in dict.fromkeys(row["tool"] for row in rows):
        accepted = [r for r in rows if r["tool"] == tool and r["problem"] in names and r["outcome"] != "refused"]
        outcomes = [row["outcome"] for row in accepted]
        cells = [len(accepted), len(accepted) - outcomes.count("no answer"), *map(outcomes.count, OUTCOMES)]
        median = f"{statistics.median(row['seconds'] for row in accepted):.2f}" if accepted else ""
        lines.append(f"| {tool} | {' | '.join(map(str, cells))} | {median} |")
    return [*lines, ""]


def report(rows: list[dict[str, Any]], problems: list[dict[str, Any]]) -> str:
    """The table as markdown: three groups of problems, then each of them."""
    trusted = {p["name"] for p in problems if p["ref"]["use_in_tests"] and p["ref"]["F"] is not None}
    degrees = ("upper_objective", "lower_objective", "upper_constraints", "lower_constraints")
    linear = {p["name"] for p in problems if all(p["structure"][of] in ("linear", "const") for of in degrees)}
    convex = {p["name"] for p in problems if p["structure"]["lower_convex_in_y"]}
    lines = ["# Peers on the same problems", "", "Those with a trusted reference value.", ""]
    lines += summary(rows, trusted, "all")
    lines += summary(rows, trusted & convex, "convex follower")
    lines += summary(rows, trusted & linear, "linear at both levels")
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    by = {(row["problem"], row["tool"]): row for row in rows}
    lines += [f"| problem | reference | {' | '.join(tools)} |", "|---" * (2 + len(tools)) + "|"]
    for problem in problems:
        cells = [_cell(by.get((problem["name"], tool))) for tool in tools]
        lines.append(f"| {problem['name']} | {_number(problem['ref']['F'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return row["outcome"] if row.get("F") is None else f"{row['outcome']} {_number(row['F'])}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", type=Path)
    for name in PEERS.values():
        parser.add_argument(f"--python-{name}", type=Path)
    parser.add_argument("--ours", type=Path, default=RESULTS / "suite.csv")
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    problems = [p for p in json.loads(options.problems.read_text()) if not options.only or p["name"] in options.only]
    tools = {"bileveldsl": ours(options.ours)} if options.ours.exists() else {}
    for tool, name in PEERS.items():
        tools[tool] = peer(name, getattr(options, f"python_{name}"), options.problems, options.only)
    rows = []
    for problem in problems:
        judge = Judge(problem)
        for tool, answers in tools.items():
            if problem["name"] in answers:
                rows.append(judge.row(tool, answers[problem["name"]]))
                print(*(rows[-1].get(key) for key in ("problem", "tool", "outcome", "F", "reference")), flush=True)
    with (RESULTS / "peers.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    text = report(rows, problems)
    (RESULTS / "peers.md").write_text(text)
    print(text.split("| problem")[0])


if __name__ == "__main__":
    main()
