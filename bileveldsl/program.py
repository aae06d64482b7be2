"""The checked program: what a model means, every name resolved, every shape known, the data read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np

from bileveldsl.calculus.expr import ZERO, Axis, Expr, Symbol, substitute, symbols_of
from bileveldsl.language.diagnostics import Diagnostic, Span
from bileveldsl.places import Places

Label: TypeAlias = "str | int"
Member: TypeAlias = "Label | tuple[Label, ...]"
Sense = Literal["minimize", "maximize"]


@dataclass(frozen=True, eq=False)
class Variable:
    """A decision of one level; bounds and start are float64 arrays of the symbol's shape."""

    symbol: Symbol
    lower: np.ndarray
    upper: np.ndarray
    start: np.ndarray | None
    span: Span
    kind: Literal["continuous", "integer", "binary"] = "continuous"
    doc: str = ""

    @property
    def name(self) -> str:
        return self.symbol.name

    @property
    def bounded(self) -> bool:
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())


@dataclass(frozen=True, eq=False)
class Constraint:
    """`lower <= body <= upper` for every element; an equality has the same node on both sides.

    `axes` orders the labels of the family; body and bounds may lack labels along which they are constant. `dual` is
    the multiplier of a follower's constraint, over these labels: the derivative of the follower's optimal value, in
    its own sense, with respect to the right-hand side (for a range, to both sides moved together).
    """

    label: str
    body: Expr
    lower: Expr | None
    upper: Expr | None
    axes: tuple[Axis, ...]
    span: Span
    doc: str = ""
    dual: Symbol | None = None

    @property
    def is_equality(self) -> bool:
        return self.lower is not None and self.lower is self.upper

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The body, and the bounds that there are."""
        return tuple(part for part in (self.body, self.lower, self.upper) if part is not None)

    def substituted(self, values: Mapping[Symbol, Expr]) -> Constraint:
        """The constraint with symbols replaced by expressions."""
        body, low, high = substitute([self.body, self.lower or ZERO, self.upper or ZERO], values)
        return replace(self, body=body, lower=self.lower and low, upper=self.upper and high)


@dataclass(frozen=True)
class Claim:
    """`require fact(constant)` or `assume fact(constant)`; the fact is one of FACTS."""

    mode: Literal["require", "assume"]
    fact: str
    constant: Fraction | None
    span: Span


FACTS = ("convex", "strongly_convex", "smooth", "pl")


@dataclass(frozen=True, eq=False)
class Level:
    """The upper level or one follower; the objective is in the user's own sense."""

    role: Literal["upper", "lower"]
    name: str
    sense: Sense
    objective: Expr
    variables: tuple[Variable, ...]
    constraints: tuple[Constraint, ...]
    claims: tuple[Claim, ...]
    ties: Literal["optimistic", "pessimistic"]
    minibatch: tuple[Axis, ...]
    span: Span  # of the block's head
    objective_span: Span

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        return tuple(variable.symbol for variable in self.variables)

    @property
    def duals(self) -> tuple[Symbol, ...]:
        return tuple(constraint.dual for constraint in self.constraints if constraint.dual is not None)

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """The objective, and the parts of each constraint."""
        return (self.objective, *(part for constraint in self.constraints for part in constraint.parts))


@dataclass(frozen=True, eq=False)
class DomainCondition:
    """What must hold for the model's functions to be defined: `expr > 0`, `expr >= 0` or `expr != 0`.

    Collected from the expressions as written, before simplification could lose them (x / x is 1 only for x != 0).
    """

    expr: Expr
    relation: Literal["> 0", ">= 0", "!= 0", "in [-1, 1]"]
    span: Span


@dataclass(frozen=True, eq=False)
class Program:
    """A bilevel program over expressions; levels own their variables, the leader sees the followers' responses."""

    name: str
    upper: Level
    lower: tuple[Level, ...]
    parameters: tuple[Symbol, ...] = ()
    options: Mapping[str, str | float | bool] = field(default_factory=dict)
    domain: tuple[DomainCondition, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)  # sha256 of the model and of each data file
    doc: str = ""
    warnings: tuple[Diagnostic, ...] = ()
    sets: Mapping[str, tuple[Member, ...]] = field(default_factory=dict)  # by the name of the dim they are
    places: Places = field(default_factory=Places, repr=False)

    @property
    def levels(self) -> tuple[Level, ...]:
        return (self.upper, *self.lower)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(variable for level in self.levels for variable in level.variables)

    @property
    def priced(self) -> tuple[Symbol, ...]:
        """The multipliers of followers' constraints that the upper level uses."""
        used = symbols_of(*self.upper.expressions)
        return tuple(dual for level in self.lower for dual in level.duals if dual in used)
