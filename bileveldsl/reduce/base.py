"""What a reduction is: accepts / apply / invert, with explicit data for the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

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


def reduce_program(
    program: Program, reductions: Sequence[Reduction]
) -> tuple[Program, tuple[str, ...], Callable[[Point], Point]]:
    """Apply, in order, each reduction that accepts; the names of those applied, and the way back."""
    applied: list[tuple[Reduction, Any]] = []
    for reduction in reductions:
        if reduction.accepts(program):
            program, inverse = reduction.apply(program)
            applied.append((reduction, inverse))

    def invert(point: Point) -> Point:
        for reduction, inverse in reversed(applied):
            point = reduction.invert(point, inverse)
        return point

    return program, tuple(reduction.name for reduction, _ in applied), invert
