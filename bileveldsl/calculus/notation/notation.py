"""What every notation shares: a walk over formulas with parentheses where precedence needs them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import sympy

from bileveldsl.calculus.notation.formula import (
    SCALAR,
    Call,
    Cut,
    Formula,
    Index,
    MatrixProduct,
    Name,
    Number,
    Over,
    Power,
    Product,
    Relation,
    Stack,
    Sum,
    Transpose,
)  # fmt: skip

SUM, PRODUCT, MATMUL, POWER, ATOM = range(1, 6)
"""How tightly a written formula holds together; a factor of a matrix product needs MATMUL, for example."""

Written = tuple[str, int]


class Notation(ABC):
    """Writes formulas; a subclass says how each kind looks."""

    minus: ClassVar[str] = "-"
    ellipsis: ClassVar[str] = "..."

    def write(self, formula: Formula) -> str:
        return self.at(formula, SUM)

    def at(self, formula: Formula, least: int) -> str:
        """The formula, in parentheses unless it holds together at least that tightly."""
        text, precedence = self.written(formula)
        return text if precedence >= least else self.parenthesized(text)

    def written(self, formula: Formula) -> Written:
        match formula:
            case Number():
                return self.number(formula.value)
            case Name():
                return self.name(formula.text), ATOM
            case Sum():
                return self.sum(formula), SUM
            case Product():
                return self.product(formula), PRODUCT
            case MatrixProduct():
                return self.matrix_product([self.at(part, MATMUL) for part in formula.parts]), MATMUL
            case Power():
                return self.power(formula), POWER
            case Transpose():
                return self.transpose(formula.parts[0])
            case Index():
                return self.index(formula), ATOM
            case Call():
                return self.call(formula)
            case Over():
                return self.over(formula)
            case Relation():
                return self.relation(formula), ATOM
            case Stack():
                entries = [self.write(part) for part in formula.parts]
                width = formula.columns
                return self.stack([entries[k : k + width] for k in range(0, len(entries), width)]), ATOM
            case Cut():
                return self.ellipsis, ATOM
        raise TypeError(type(formula))

    def sum(self, formula: Sum) -> str:
        text = ""
        for sign, part in zip(formula.signs, formula.parts, strict=True):
            written = self.at(part, PRODUCT)
            if text:
                text += f" {self.minus if sign < 0 else '+'} {written}"
            else:
                text = f"{self.minus}{written}" if sign < 0 else written
        return text

    def factor(self, part: Formula, of: Product) -> str:
        """A part of a product; a matrix product needs parentheses unless it is the only array, or all there is."""
        if part.shape != SCALAR:
            others = [other for other in of.parts if other.shape != SCALAR]
        else:
            others = [other for other in of.above if not isinstance(other, Number)]
        return self.at(part, MATMUL if others == [part] else POWER)

    def parenthesized(self, text: str) -> str:
        return f"({text})"

    def note(self, text: str) -> str:
        """A remark behind a formula."""
        return f"  ({text})"

    @abstractmethod
    def number(self, value: sympy.Expr) -> Written: ...

    @abstractmethod
    def name(self, text: str) -> str: ...

    @abstractmethod
    def product(self, formula: Product) -> str: ...

    @abstractmethod
    def matrix_product(self, factors: list[str]) -> str: ...

    @abstractmethod
    def power(self, formula: Power) -> str: ...

    @abstractmethod
    def transpose(self, base: Formula) -> Written: ...

    @abstractmethod
    def index(self, formula: Index) -> str: ...

    @abstractmethod
    def call(self, formula: Call) -> Written: ...

    @abstractmethod
    def over(self, formula: Over) -> Written: ...

    @abstractmethod
    def relation(self, formula: Relation) -> str: ...

    @abstractmethod
    def stack(self, rows: list[list[str]]) -> str: ...
