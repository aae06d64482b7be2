"""What a reduction is: accepts / apply / invert, with explicit data for the way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from bileveldsl.certify.facts import Fact
from bileveldsl.program import Program


@dataclass(frozen=True)
class Point:
    """An answer in the user's names: variables by name, multipliers by constraint label."""

    values: Mapping[str, np.ndarray]
    duals: Mapping[str, np.ndarray] = field(default_factory=dict)


class Reduction(Protocol):
    """A rewrite of one program into another; `exact` tells whether their solutions correspond one to one."""

    @property
    def name(self) -> str: ...

    @property
    def exact(self) -> bool: ...

    def accepts(self, program: Program) -> bool:
        """Whether the rewrite applies to this program and changes it."""
        ...

    def apply(self, program: Program) -> tuple[Program, Any]:
        """The rewritten program, and what `invert` needs to bring an answer back."""
        ...

    def invert(self, point: Point, inverse: Any) -> Point:
        """An answer of the rewritten program as one of the program it came from."""
        ...

    def carry(self, point: Point, inverse: Any) -> Point:
        """The way of `invert` backwards: an answer of the program as one of the rewritten program."""
        ...

    def facts(self, program: Program, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """The facts of `program`, with what they imply for the rewritten one."""
        ...


@dataclass(frozen=True, eq=False)
class Reduced:
    """A program as backends take it, its facts, the names of the rewrites that led to it, and the ways of answers.

    `invert` brings an answer back to the user's program, `carry` the other way. `inexact` names the rewrites whose
    program may miss better answers of the user's.
    """

    program: Program
    facts: tuple[Fact, ...]
    path: tuple[str, ...]
    invert: Callable[[Point], Point]
    carry: Callable[[Point], Point]
    inexact: tuple[str, ...] = ()


def reduce_program(program: Program, reductions: Sequence[Reduction], facts: Iterable[Fact] = ()) -> Reduced:
    """Apply, in order, each reduction that accepts."""
    applied: list[tuple[Reduction, Any]] = []
    facts = tuple(facts)
    for reduction in reductions:
        if reduction.accepts(program):
            facts = reduction.facts(program, facts)
            program, inverse = reduction.apply(program)
            applied.append((reduction, inverse))

    def invert(point: Point) -> Point:
        for reduction, inverse in reversed(applied):
            point = reduction.invert(point, inverse)
        return point

    def carry(point: Point) -> Point:
        for reduction, inverse in applied:
            point = reduction.carry(point, inverse)
        return point

    path = tuple(reduction.name for reduction, _ in applied)
    inexact = tuple(reduction.name for reduction, _ in applied if not reduction.exact)
    return Reduced(program, facts, path, invert, carry, inexact)
