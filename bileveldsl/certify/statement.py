"""What a certificate is about: the functions of a program written out as scalars, as plainly as they can be read."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from bileveldsl.calculus.expr import Axis, Expr, Symbol, negate, subtract
from bileveldsl.certify.narrowing import Step, narrow
from bileveldsl.certify.region import Region
from bileveldsl.certify.scalars import Scalar, enclose, occurring, topological, variable
from bileveldsl.certify.scalars.expansion import Expansion, NotExpanded
from bileveldsl.program import Constraint, Level, Program

LIMIT = 4_000
"""Scalar operations up to which a program is written out."""


@dataclass(frozen=True)
class ScalarVariable:
    """One element of a variable, with the bounds that it is given."""

    name: str
    level: str
    lower: float
    upper: float
    integer: bool


@dataclass(frozen=True)
class Condition:
    """`root relation`, such as `root <= 0`: one element of a constraint with its label, or of the domain."""

    label: str
    level: str
    root: Scalar
    relation: str


@dataclass(frozen=True, eq=False)
class Statement:
    """Functions of numbered scalar variables, all to be minimized; constraints are `<= 0` or `== 0`.

    `elements` gives the numbers of the elements of each variable's symbol; facts are claimed on the `box`, which the
    steps narrow by linear constraints. `write` gives the scalar form of further expressions.
    """

    variables: tuple[ScalarVariable, ...]
    functions: dict[str, Scalar]
    constraints: tuple[Condition, ...]
    conditions: tuple[Condition, ...]
    elements: dict[Symbol, np.ndarray]
    write: Expansion
    steps: tuple[Step, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The statement as JSON values; every number is an exact rational written as text."""
        roots = [*self.functions.values(), *(c.root for c in (*self.constraints, *self.conditions))]
        places = {node: k for k, node in enumerate(topological(roots))}
        return {
            "form": "scalar",
            "variables": [
                {"name": v.name, "level": v.level, "lower": text(v.lower), "upper": text(v.upper), "integer": v.integer}
                for v in self.variables
            ],
            "nodes": [written(node, places) for node in places],
            "functions": {name: places[root] for name, root in self.functions.items()},
            "constraints": [
                {"label": c.label, "level": c.level, "node": places[c.root], "relation": c.relation}
                for c in self.constraints
            ],
            "conditions": [{"node": places[c.root], "relation": c.relation} for c in self.conditions],
            "narrowing": [
                {"variable": s.variable, "side": "upper" if s.upper else "lower", "value": text(s.value),
                 "constraint": s.constraint}
                for s in self.steps
            ],
        }

    def own(self, level: str) -> tuple[int, ...]:
        """The numbers of a level's variables."""
        return tuple(k for k, v in enumerate(self.variables) if v.level == level)

    @cached_property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """End points of the variables, narrowed by the steps."""
        lo, hi = np.array([v.lower for v in self.variables]), np.array([v.upper for v in self.variables])
        for step in self.steps:
            (hi if step.upper else lo)[step.variable] = step.value
        return lo, hi


def text(value: float | Fraction) -> str:
    """A number as an exact rational, or an infinity.

    Examples
    --------
    >>> text(0.75), text(-math.inf)
    ('3/4', '-inf')
    """
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return str(Fraction(value))


def written(node: Scalar, places: Mapping[Scalar, int]) -> list[Any]:
    """A node as JSON, its arguments by the numbers given."""
    args = [places[a] for a in node.args]
    if node.op == "num":
        return ["num", text(node.value)]
    if node.op == "var":
        return ["var", node.value]
    if node.op == "^":
        return ["^", args[0], text(node.value)]
    return [node.op, args] if node.op in ("+", "*", "max", "min") else [node.op, *args]


@dataclass(frozen=True, eq=False)
class Question:
    """A function to be judged in its own variables, all others anywhere in their boxes; until a deadline."""

    statement: Statement
    root: Scalar
    own: tuple[int, ...]
    level: str
    deadline: float = math.inf

    @property
    def lo(self) -> np.ndarray:
        return self.statement.box[0]

    @property
    def hi(self) -> np.ndarray:
        return self.statement.box[1]

    @property
    def constraints(self) -> tuple[Condition, ...]:
        """What a witness must satisfy: the constraints of the level whose function this is."""
        return tuple(c for c in self.statement.constraints if c.level == self.level)

    @property
    def everything(self) -> bool:
        """Whether the own variables may take any values."""
        free = all(math.isinf(self.lo[i]) and math.isinf(self.hi[i]) for i in self.own)
        if not free or any(self.statement.variables[i].integer for i in self.own):
            return False
        own = [c for c in self.statement.conditions if occurring(c.root) & set(self.own)]
        ranges = enclose([c.root for c in own], self.lo[None], self.hi[None])
        return all(r.satisfies(c.relation) for c, r in zip(own, ranges, strict=True))

    @property
    def expired(self) -> bool:
        return time.monotonic() > self.deadline


def statement(program: Program) -> Statement | None:
    """The functions of a program as scalars; None when they are too large to be written out.

    Integer variables are taken as continuous within their bounds; what is claimed of them holds for whole values too.
    """
    if program not in _statements:
        _statements[program] = _stated(program)
    return _statements[program]


_statements: WeakKeyDictionary[Program, Statement | None] = WeakKeyDictionary()


def _stated(program: Program) -> Statement | None:
    regions = {level.name: Region(program, level) for level in program.lower}
    boxes = dict(next(iter(regions.values())).boxes)
    for level in program.lower:
        boxes |= {symbol: regions[level.name].boxes[symbol] for symbol in level.symbols}
    variables: list[ScalarVariable] = []
    elements: dict[Symbol, np.ndarray] = {}
    for level in program.levels:
        for v in level.variables:
            lo, hi = (np.broadcast_to(end[0], v.symbol.shape) for end in (boxes[v.symbol].lo, boxes[v.symbol].hi))
            first, size = len(variables), math.prod(v.symbol.shape)
            if first + size > LIMIT:
                return None
            elements[v.symbol] = np.arange(first, first + size).reshape(v.symbol.shape)
            variables += [
                ScalarVariable(v.name + _subscript(place), level.name, float(lo[place]), float(hi[place]),
                               v.kind != "continuous")
                for place in np.ndindex(*v.symbol.shape)
            ]  # fmt: skip
    for dual in program.priced:
        first, size = len(variables), math.prod(dual.shape)
        elements[dual] = np.arange(first, first + size).reshape(dual.shape)
        variables += [
            ScalarVariable(dual.name + _subscript(place), "dual", -math.inf, math.inf, False)
            for place in np.ndindex(*dual.shape)
        ]
    write = Expansion({s: _variables(numbers) for s, numbers in elements.items()}, LIMIT)
    try:
        objectives = [(f"{level.name}.objective", write(_minimized(level))) for level in program.levels]
        functions: dict[str, Any] = {name: root[()] for name, root in objectives}
        constraints = tuple(
            each for level in program.levels for c in level.constraints for each in _conditions(c, level, write)
        )
        conditions = []
        for condition in next(iter(regions.values())).conditions:
            for root in write(condition.expr, condition.expr.axes).ravel():
                conditions.append(Condition("", "", root, condition.relation))
    except NotExpanded:
        return None
    found = Statement(tuple(variables), functions, constraints, tuple(conditions), elements, write)
    rows = [(c.level, c.root, c.relation) for c in constraints]
    return replace(found, steps=narrow(rows, [v.level for v in variables], *found.box))


def _minimized(level: Level) -> Expr:
    return level.objective if level.sense == "minimize" else negate(level.objective)


def _variables(numbers: np.ndarray) -> np.ndarray:
    result = np.empty(numbers.size, dtype=object)
    result[:] = [variable(int(k)) for k in numbers.ravel()]
    return result.reshape(numbers.shape)


def _subscript(place: Sequence[int]) -> str:
    return f"[{', '.join(map(str, place))}]" if place else ""


def _conditions(constraint: Constraint, level: Level, write: Expansion) -> Iterator[Condition]:
    """Each element of each side of a constraint."""

    def members(excess: Expr, relation: str) -> Iterator[Condition]:
        axes: tuple[Axis, ...] = constraint.axes
        elements: Any = write(excess, axes)
        for place in np.ndindex(*elements.shape):
            yield Condition(constraint.label + _subscript(place), level.name, elements[place], relation)

    if constraint.is_equality and constraint.upper is not None:
        yield from members(subtract(constraint.body, constraint.upper), "== 0")
        return
    if constraint.lower is not None:
        yield from members(subtract(constraint.lower, constraint.body), "<= 0")
    if constraint.upper is not None:
        yield from members(subtract(constraint.body, constraint.upper), "<= 0")
