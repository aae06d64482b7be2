"""Write each problem of a collection as a model, read it back, and compare all its functions at random points.

python benchmarks/problems/roundtrip.py PROBLEMS.json
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import operator
import time
from pathlib import Path
from typing import Any

import numpy as np
from convert import to_blv

import bileveldsl as blv
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.language.unparse import unparse

NAMES: dict[str, Any] = {
    name: getattr(math, name) for name in ("exp", "log", "sin", "cos", "tan", "sqrt", "pi", "asin", "acos", "atan")
} | {"abs": abs, "max": max, "min": min, "E": math.e}


OPERATORS: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip


def infix(node: ast.expr, values: dict[str, float]) -> Any:
    """The value of an infix expression: an evaluator that shares nothing with the language."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id] if node.id in values else NAMES[node.id]
    if isinstance(node, ast.UnaryOp):
        return OPERATORS[type(node.op)](infix(node.operand, values))
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](infix(node.left, values), infix(node.right, values))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return NAMES[node.func.id](*(infix(argument, values) for argument in node.args))
    raise SyntaxError(ast.unparse(node))


def differences(problem: dict[str, Any], points: int) -> list[str]:
    """What differs between the strings of a problem and its model."""
    model = blv.loads(to_blv(problem))
    again = blv.loads(model.to_blv())
    found = [] if unparse(again.ast()) == unparse(model.ast()) else ["the print does not read back to itself"]
    program = again.program()
    names = problem.get("upper_vars", []) + problem["lower_vars"]
    random = np.random.default_rng(0)
    pairs = [(problem["F"], program.upper.objective, "F"), (problem["f"], program.lower[0].objective, "f")]
    written = {c.label: c for level in program.levels for c in level.constraints}
    for group in "GgHh":
        for number, text in enumerate(problem.get(group, []), start=1):
            constraint = written[f"{group}{number}"]
            pairs.append((text, constraint.body, constraint.label))
    for _ in range(points):
        values = {name: random.uniform(*_range(problem["bounds"].get(name))) for name in names}
        symbols = {v.symbol: np.asarray(values[v.name]) for v in program.variables}
        for text, expr, label in pairs:
            try:
                expected = infix(ast.parse(text, mode="eval").body, values)
            except (ValueError, OverflowError, ZeroDivisionError, TypeError):  # outside the domain
                continue
            if isinstance(expected, complex):
                continue
            value = float(evaluate(expr, symbols))
            if not math.isclose(value, expected, rel_tol=1e-9, abs_tol=1e-9 * (1 + abs(expected))):
                found.append(f"{label}: {value} where {expected} is expected at {values}")
    return found


def _range(limits: list[float | None] | None) -> tuple[float, float]:
    low, high = limits or (None, None)
    low = -2.0 if low is None else low
    return low, min(low + 4.0, math.inf if high is None else high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", type=Path)
    parser.add_argument("--points", type=int, default=3)
    arguments = parser.parse_args()
    begin, wrong = time.perf_counter(), 0
    problems = json.loads(arguments.problems.read_text())
    for problem in problems:
        try:
            found = differences(problem, arguments.points)
        except blv.BlvError as error:
            found = [str(error)]
        wrong += bool(found)
        for line in found[:1]:
            print(problem["name"], line)
    print(f"{len(problems) - wrong} of {len(problems)} problems agree, {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()
