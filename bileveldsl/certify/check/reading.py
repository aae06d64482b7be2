"""The statement of a certificate read into tables: types, sizes and references are checked here, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.domains import Said, multiples, plain
from bileveldsl.certify.check.ranges import INF, End, less
from bileveldsl.certify.check.terms import BINARY, CONSTANTS, DIGITS, MANY, UNARY, Rejected, Table

SIZE = 1_000_000
"""Nodes, and elements of any list, that a statement may have."""

RELATIONS = ("<= 0", "== 0")
CONDITIONS = ("> 0", ">= 0", "!= 0", "in [-1, 1]")

_NUMBER = re.compile(r"-?[0-9]+(/[0-9]+)?", re.ASCII)


@dataclass(frozen=True)
class Variable:
    """A variable of a level and its bounds."""

    name: str
    level: str
    lower: End
    upper: End
    integer: bool


@dataclass(frozen=True)
class Constraint:
    """A constraint `node <= 0` or `node == 0` of a level."""

    label: str
    level: str
    node: int
    relation: str


@dataclass(frozen=True)
class Condition:
    """What must hold for the functions to be defined; `domains.plain` says how it is put."""

    node: int
    relation: str


@dataclass(frozen=True)
class Problem:
    """A statement of the form "scalar"; nodes are numbers in `table`."""

    table: Table
    variables: tuple[Variable, ...]
    functions: Mapping[str, int]
    constraints: tuple[Constraint, ...]
    conditions: tuple[Condition, ...]

    @cached_property
    def nodes(self) -> frozenset[int]:
        """Every node of which a function or a constraint is made."""
        return frozenset(self.table.reachable([*self.functions.values(), *(c.node for c in self.constraints)]))


def read(statement: Any) -> Problem:
    """The problem that a statement says, or Rejected.

    Examples
    --------
    >>> problem = read({"form": "scalar", "variables": [{"name": "y", "level": "lower", "lower": "-inf",
    ...     "upper": "inf", "integer": False}], "nodes": [["var", 0], ["^", 0, "2"]],
    ...     "functions": {"lower.objective": 1}, "constraints": [], "conditions": []})
    >>> problem.table.operation[problem.functions["lower.objective"]]
    '^'
    """
    from bileveldsl.certify.check.narrowing import narrowed  # it works on the problem that is read here

    fields = {"form", "variables", "nodes", "functions", "constraints", "conditions"}
    whole = record(statement, fields, {"narrowing"})
    if whole["form"] != "scalar":
        raise Rejected("the form of the statement is not scalar")
    variables = tuple(_variable(v) for v in sequence(whole["variables"]))
    if len({v.name for v in variables}) < len(variables):
        raise Rejected("two variables have the same name")
    table = Table()
    numbers = read_nodes(table, whole["nodes"], len(variables))
    functions = {text(name): _at(numbers, n) for name, n in mapping(whole["functions"]).items()}
    problem = Problem(
        table,
        variables,
        functions,
        tuple(_constraint(c, numbers) for c in sequence(whole["constraints"])),
        (),
    )
    said = plain(table, [_condition(c, numbers) for c in sequence(whole["conditions"])])
    said += [pair for pair in multiples(table, said, problem.nodes) if pair not in said]
    problem = replace(problem, conditions=tuple(Condition(*pair) for pair in said))
    return narrowed(problem, whole.get("narrowing", []))


def _variable(data: Any) -> Variable:
    fields = record(data, {"name", "level", "lower", "upper", "integer"})
    lower, upper = bound(fields["lower"]), bound(fields["upper"])
    if lower == INF or upper == -INF or less(upper, lower):
        raise Rejected("a variable has no value between its bounds")
    return Variable(text(fields["name"]), text(fields["level"]), lower, upper, boolean(fields["integer"]))


def _constraint(data: Any, numbers: list[int]) -> Constraint:
    fields = record(data, {"label", "level", "node", "relation"})
    relation = one_of(fields["relation"], RELATIONS)
    return Constraint(text(fields["label"]), text(fields["level"]), _at(numbers, fields["node"]), relation)


def _condition(data: Any, numbers: list[int]) -> Said:
    fields = record(data, {"node", "relation"})
    return _at(numbers, fields["node"]), one_of(fields["relation"], CONDITIONS)


# ---- nodes ----------------------------------------------------------------------------------


def read_nodes(table: Table, data: Any, variables: int, known: list[int] | None = None) -> list[int]:
    """The numbers in the table of nodes written as a list; `known` are nodes that stand before the first.

    The nodes are taken as they are written, so that positions in a sum mean what they say.
    """
    numbers = list(known or ())
    for item in sequence(data):
        numbers.append(_node(table, sequence(item), numbers, variables))
    return numbers


def _node(table: Table, item: list[Any], numbers: list[int], variables: int) -> int:
    kind = text(item[0]) if item else ""
    if kind == "num":
        return table.num(rational(_only(item, 2)[1]))
    if kind == "var":
        return table.var(position(_only(item, 2)[1], variables))
    if kind in CONSTANTS:
        _only(item, 1)
        return table.node(kind)
    if kind in ("+", "*") or kind in MANY:
        children = tuple(_at(numbers, n) for n in sequence(_only(item, 2)[1]))
        if not children:
            raise Rejected(f"{kind} of nothing")
        return table.node(kind, children)
    if kind == "^":
        return table.node("^", (_at(numbers, _only(item, 3)[1]),), rational(item[2]))
    if kind in UNARY:
        return table.node(kind, (_at(numbers, _only(item, 2)[1]),))
    if kind in BINARY:
        return table.node(kind, (_at(numbers, _only(item, 3)[1]), _at(numbers, item[2])))
    raise Rejected("a node is of an unknown kind")


def _only(item: list[Any], length: int) -> list[Any]:
    if len(item) != length:
        raise Rejected(f"a node {item[0]} has {len(item) - 1} parts")
    return item


def _at(numbers: list[int], index: Any) -> int:
    return numbers[position(index, len(numbers))]


# ---- values ---------------------------------------------------------------------------------


def text(data: Any, most: int = 10_000) -> str:
    if not isinstance(data, str) or len(data) > most:
        raise Rejected("a text is expected")
    return data


def boolean(data: Any) -> bool:
    if not isinstance(data, bool):
        raise Rejected("true or false is expected")
    return data


def one_of(data: Any, values: tuple[str, ...]) -> str:
    if not isinstance(data, str) or data not in values:
        raise Rejected(f"one of {', '.join(values)} is expected")
    return data


def position(data: Any, size: int) -> int:
    """An index from 0 up to, but without, a size."""
    if isinstance(data, bool) or not isinstance(data, int) or not 0 <= data < size:
        raise Rejected("an index is out of range")
    return data


def rational(data: Any) -> fmpq:
    """A number written "p" or "p/q"."""
    if not isinstance(data, str) or len(data) > DIGITS or not _NUMBER.fullmatch(data):
        raise Rejected("a number is not written as p or p/q")
    _, _, below = data.partition("/")
    if below and not below.strip("0"):
        raise Rejected("a number has the denominator 0")
    return fmpq(data)


def bound(data: Any) -> End:
    if isinstance(data, str) and data in ("inf", "-inf"):
        return float(data)
    return rational(data)


def sequence(data: Any, most: int = SIZE) -> list[Any]:
    if not isinstance(data, list) or len(data) > most:
        raise Rejected("a list is expected" if not isinstance(data, list) else f"a list has more than {most} elements")
    return data


def mapping(data: Any, most: int = SIZE) -> dict[str, Any]:
    if not isinstance(data, dict) or len(data) > most or not all(isinstance(key, str) for key in data):
        raise Rejected("an object is expected")
    return data


def record(data: Any, fields: set[str], optional: set[str] | None = None) -> dict[str, Any]:
    """An object with exactly these fields."""
    found = set(mapping(data))
    missing, extra = sorted(fields - found), sorted(found - fields - (optional or set()))
    if missing or extra:
        said = f"{', '.join(missing)} is missing" if missing else f"{', '.join(extra)[:100]} is not known"
        raise Rejected(f"an object is not as it must be: {said}")
    return data


def point(data: Any, variables: int) -> dict[int, fmpq]:
    """Values by the index of the variable, written as {"0": "1/2"}."""
    values: dict[int, fmpq] = {}
    for key, value in mapping(data).items():
        if not re.fullmatch(r"0|[1-9][0-9]{0,6}", key, re.ASCII):
            raise Rejected("a point is given by the indices of its variables")
        values[position(int(key), variables)] = rational(value)
    return values
