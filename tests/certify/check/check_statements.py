"""Statements and certificates written by hand, for the tests of the checker.

An expression is a name (of a variable), an int or "p/q" (a number) or a list: an operation with its arguments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from bileveldsl.certify.check import Checked, check_certificate

REALS = ("-inf", "inf")
X, Y = "upper", "lower"


def statement(
    variables: Mapping[str, tuple[str, Any, Any]],
    functions: Mapping[str, Any],
    constraints: Iterable[tuple[str, str, Any, str]] = (),
    conditions: Iterable[tuple[Any, str]] = (),
    integers: Iterable[str] = (),
) -> dict[str, Any]:
    """Variables are given as (level, lower, upper), constraints as (label, level, expression, relation)."""
    names = list(variables)
    nodes: list[Any] = []
    numbers: dict[str, int] = {}

    def place(expression: Any) -> int:
        key = json.dumps(expression)
        if key not in numbers:
            node = _node(expression, names, place)
            numbers[key] = len(nodes)
            nodes.append(node)
        return numbers[key]

    return {
        "form": "scalar",
        "variables": [
            {"name": name, "level": level, "lower": str(lo), "upper": str(hi), "integer": name in integers}
            for name, (level, lo, hi) in variables.items()
        ],
        "functions": {name: place(expression) for name, expression in functions.items()},
        "constraints": [
            {"label": label, "level": level, "node": place(expression), "relation": relation}
            for label, level, expression, relation in constraints
        ],
        "conditions": [{"node": place(expression), "relation": relation} for expression, relation in conditions],
        "nodes": nodes,
    }


def _node(expression: Any, names: list[str], place: Any) -> list[Any]:
    if isinstance(expression, str) and expression in names:
        return ["var", names.index(expression)]
    if not isinstance(expression, list):
        return ["num", str(expression)]
    operation, *arguments = expression
    if operation == "^":
        return ["^", place(arguments[0]), str(arguments[1])]
    places = [place(argument) for argument in arguments]
    return [operation, places] if operation in ("+", "*", "max", "min") else [operation, *places]


def certificate(stated: dict[str, Any], *claims: dict[str, Any]) -> dict[str, Any]:
    content = {
        "schema": "bileveldsl.certificate/1",
        "model": "m",
        "model_sha256": "0" * 64,
        "data_sha256": {},
        "statement": stated,
        "claims": list(claims),
        "unchecked": [],
    }
    return {**content, "digest": digest(content)}


def digest(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def claim(of: str = "lower.objective", fact: str = "convex", proof: Any = None, **rest: Any) -> dict[str, Any]:
    scope = {"x": rest.pop("x", "box"), "y": rest.pop("y", "region")}
    found = {"of": of, "fact": fact, "verdict": rest.pop("verdict", "proved"), "scope": scope}
    return {**found, "proof": {"kind": "composition"} if proof is None else proof, **rest}


def checked(stated: dict[str, Any], *claims: dict[str, Any]) -> list[Checked]:
    return check_certificate(certificate(stated, *claims), stated)


def accepts(stated: dict[str, Any], *claims: dict[str, Any]) -> bool:
    results = checked(stated, *claims)
    assert len(results) == len(claims)
    return all(result.accepted for result in results)
