"""What the adapters share: infix strings as a peer's expressions, and a process of its own for each problem.

Runs in a peer's interpreter, so nothing but the standard library is imported.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import multiprocessing as mp
import operator
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

LIMIT = 60.0
"""Seconds for one problem."""

OPERATORS: dict[type, Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip

NUMBERS: dict[str, Any] = {
    name: getattr(math, name) for name in ("exp", "log", "sin", "cos", "tan", "sqrt", "asin", "acos", "atan")
} | {"abs": abs, "max": max, "min": min}


class Refused(Exception):
    """The peer does not take the model; the message is the peer's."""


def expression(text: str, symbols: dict[str, Any], functions: dict[str, Any]) -> Any:
    """An infix string over a peer's variables and functions, of which `**` may be one."""

    def built(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return symbols[node.id] if node.id in symbols else {"pi": math.pi, "E": math.e}[node.id]
        if isinstance(node, ast.UnaryOp):
            return OPERATORS[type(node.op)](built(node.operand))
        if isinstance(node, ast.BinOp):
            apply = functions.get("**", operator.pow) if isinstance(node.op, ast.Pow) else OPERATORS[type(node.op)]
            return apply(built(node.left), built(node.right))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            arguments, name = [built(argument) for argument in node.args], node.func.id
            if all(isinstance(argument, int | float) for argument in arguments):
                return NUMBERS[name](*arguments)
            if name not in functions:
                raise Refused(f"there is no function {name}")
            return functions[name](*arguments)
        raise SyntaxError(ast.unparse(node))

    return built(ast.parse(text, mode="eval").body)


def main(solve: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Solve each problem of a file and write a line of JSON for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problems", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    with options.output.open("w") as stream:
        for problem in json.loads(options.problems.read_text()):
            if not options.only or problem["name"] in options.only:
                row = {"name": problem["name"], **_isolated(solve, problem)}
                print(json.dumps(row), file=stream, flush=True)
                print(f"{row['name']:<40} {row['status']:<24} {row['seconds']:6.2f} {row.get('message', '')}"[:150])


def _isolated(solve: Callable[[dict[str, Any]], dict[str, Any]], problem: dict[str, Any]) -> dict[str, Any]:
    """The row of a problem, solved in a process that is stopped, with all it started, at the limit."""
    context = mp.get_context("fork")  # the peer is imported already: no second counts for that
    receiver, sender = context.Pipe(duplex=False)
    begin = time.perf_counter()
    process = context.Process(target=_child, args=(solve, problem, sender))
    process.start()
    sender.close()
    try:
        if receiver.poll(LIMIT):
            return receiver.recv()
        return {"status": "timeout", "seconds": LIMIT}
    except EOFError:
        process.join()
        seconds = round(time.perf_counter() - begin, 3)
        return {"status": "error", "message": f"the process ended with code {process.exitcode}", "seconds": seconds}
    finally:
        if process.is_alive() and process.pid and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        process.join()


def _child(solve: Callable[[dict[str, Any]], dict[str, Any]], problem: dict[str, Any], pipe: Connection) -> None:
    os.setsid()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    begin = time.perf_counter()
    try:
        row = solve(problem)
    except Refused as error:
        row = {"status": "refused", "message": str(error)}
    except Exception as error:
        row = {"status": "error", "message": f"{type(error).__name__}: {error}"}
    pipe.send({**row, "seconds": round(time.perf_counter() - begin, 3)})
