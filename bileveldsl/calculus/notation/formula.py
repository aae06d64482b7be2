"""Formulas: what is written on paper, between an expression and its text.

Every formula stands for a table with rows, columns, both or neither. A vector is a column, its transpose a row;
elementwise operations repeat a column along the columns of the other side, and a row along the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import sympy

Shape = tuple[bool, bool]
SCALAR: Shape = (False, False)
COLUMN: Shape = (True, False)
ROW: Shape = (False, True)
MATRIX: Shape = (True, True)


@dataclass(frozen=True, eq=False)
class Formula:
    """A piece of notation with its parts; `shape` tells whether it has rows and columns."""

    parts: tuple[Formula, ...] = ()
    shape: Shape = SCALAR

    @cached_property
    def weight(self) -> int:
        """About the number of characters it takes to write."""
        return self._own_weight + sum(part.weight for part in self.parts)

    @property
    def _own_weight(self) -> int:
        return 3 * max(len(self.parts) - 1, 1)

    @cached_property
    def transposes(self) -> int:
        return isinstance(self, Transpose) + sum(part.transposes for part in self.parts)

    @cached_property
    def nameless(self) -> bool:
        """Whether the index sets of its rows and columns cannot be seen from the symbols in it."""
        cut = isinstance(self, Index) and any(s != ":" and not s.isdigit() for s in self.subscripts)
        return cut or isinstance(self, Stack) or any(part.nameless for part in self.parts)

    @cached_property
    def reduces(self) -> bool:
        """Whether a sum or another reduction over an axis occurs in it."""
        own = isinstance(self, MatrixProduct | Over) or (isinstance(self, Call) and self.name in REDUCTIONS)
        return own or any(part.reduces for part in self.parts)


REDUCTIONS = frozenset({"sum", "dot", "sumsq", "norm", "logsumexp", "softmax", "maximum", "minimum"})


@dataclass(frozen=True, eq=False)
class Number(Formula):
    """A number that is not negative; fractions are Products."""

    value: sympy.Expr = field(default=sympy.Integer(0), kw_only=True)


@dataclass(frozen=True, eq=False)
class Name(Formula):
    text: str = field(kw_only=True)

    @property
    def _own_weight(self) -> int:
        return len(self.text)


@dataclass(frozen=True, eq=False)
class Call(Formula):
    """A function: elementwise, a reduction along `axis` (all of the argument by default), or a special matrix.

    `eye`, `ones` and `unit` have no parts; their `axis` is the index set, and `unit` has a position in it.
    """

    name: str = field(kw_only=True)
    axis: str = field(default="", kw_only=True)
    position: int = field(default=0, kw_only=True)

    @property
    def _own_weight(self) -> int:
        return len(self.name) + len(self.axis) + 2 * max(len(self.parts), 1)


@dataclass(frozen=True, eq=False)
class Sum(Formula):
    signs: tuple[int, ...] = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Product(Formula):
    """The elementwise product of the first `count` parts divided by the others."""

    count: int = field(kw_only=True)

    @property
    def above(self) -> tuple[Formula, ...]:
        return self.parts[: self.count]

    @property
    def below(self) -> tuple[Formula, ...]:
        return self.parts[self.count :]


@dataclass(frozen=True, eq=False)
class MatrixProduct(Formula):
    pass


@dataclass(frozen=True, eq=False)
class Power(Formula):
    """The first part to the power of the second, elementwise."""


@dataclass(frozen=True, eq=False)
class Transpose(Formula):
    pass


@dataclass(frozen=True, eq=False)
class Index(Formula):
    """Elements of a part: `:`, numbers, ranges, labels."""

    subscripts: tuple[str, ...] = field(kw_only=True)

    @property
    def _own_weight(self) -> int:
        return 2 + sum(len(s) for s in self.subscripts)


@dataclass(frozen=True, eq=False)
class Over(Formula):
    """A reduction of a formula in indices over some of its labels: `sum`, `logsumexp`, `max`, `min`, `norm`.

    Each label comes with the name of its index set.
    """

    operation: str = field(kw_only=True)
    labels: tuple[tuple[str, str], ...] = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Relation(Formula):
    """1 where the relation `==` or `<=` between two parts holds, else 0."""

    sign: str = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Stack(Formula):
    """Parts laid out in rows of `columns` entries: a vector where `columns` is 1."""

    columns: int = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class Cut(Formula):
    """What was left out."""


def shorten(formula: Formula, budget: int) -> Formula:
    """The formula with parts cut out so that it takes about `budget` characters."""
    if formula.weight <= budget:
        return formula
    if not formula.parts or budget < 10:
        return Cut((), formula.shape)
    kept: dict[int, Formula] = {}
    left = budget
    if isinstance(formula, Sum):  # as many of the first terms as fit
        for k, part in enumerate(formula.parts):
            if left < 10:
                cut = Cut((), formula.shape)
                return Sum((*kept.values(), cut), formula.shape, signs=(*formula.signs[:k], 1))
            kept[k] = shorten(part, left)
            left -= kept[k].weight + 3
        return replace(formula, parts=tuple(kept.values()))
    order = sorted(range(len(formula.parts)), key=lambda k: formula.parts[k].weight)
    for done, k in enumerate(order):
        kept[k] = shorten(formula.parts[k], left // (len(order) - done))
        left -= kept[k].weight
    return replace(formula, parts=tuple(kept[k] for k in range(len(order))))
