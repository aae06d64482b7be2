"""What a compiled function takes and returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bileveldsl.calculus.expr import Axis, Expr, Symbol

Inputs = Mapping[str, Sequence[Symbol]]
"""Groups of symbols by name; each group is one flat float64 vector, its symbols in order, each in C order."""


@dataclass(frozen=True, eq=False)
class Scalar:
    """A number."""

    expr: Expr

    @property
    def exprs(self) -> tuple[Expr, ...]:
        return (self.expr,)


@dataclass(frozen=True, eq=False)
class Flat:
    """Expressions over ordered labels, each flattened in C order, as one vector."""

    parts: tuple[tuple[Expr, tuple[Axis, ...]], ...]

    @property
    def exprs(self) -> tuple[Expr, ...]:
        return tuple(expr for expr, _ in self.parts)


@dataclass(frozen=True, eq=False)
class Dense:
    """An expression as an array over ordered labels."""

    expr: Expr
    axes: tuple[Axis, ...]

    @property
    def exprs(self) -> tuple[Expr, ...]:
        return (self.expr,)


@dataclass(frozen=True, eq=False)
class Blocks:
    """A matrix in blocks, each an expression over row labels and column labels."""

    rows: tuple[tuple[tuple[Expr, tuple[Axis, ...], tuple[Axis, ...]], ...], ...]

    @property
    def exprs(self) -> tuple[Expr, ...]:
        return tuple(expr for row in self.rows for expr, _, _ in row)


Output = Scalar | Flat | Dense | Blocks
