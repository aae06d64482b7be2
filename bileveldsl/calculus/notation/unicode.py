"""Formulas as Unicode text, in the notation of papers."""

from __future__ import annotations

from typing import ClassVar

import sympy

from bileveldsl.calculus.notation.formula import (
    MATRIX,
    SCALAR,
    Call,
    Formula,
    Index,
    Number,
    Over,
    Power,
    Product,
    Relation,
)  # fmt: skip
from bileveldsl.calculus.notation.notation import ATOM, MATMUL, POWER, PRODUCT, SUM, Notation, Written
from bileveldsl.calculus.notation.text import FUNCTIONS, digits

RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Unicode(Notation):
    """`2 Xᵀ(X w − y)/n + 2 exp(loglam) ∘ w`."""

    minus: ClassVar[str] = "−"
    ellipsis: ClassVar[str] = "…"

    def number(self, value: sympy.Expr) -> Written:
        return {"inf": "∞"}.get(digits(value), digits(value)), ATOM

    def name(self, text: str) -> str:
        return "π" if text == "pi" else text

    def product(self, formula: Product) -> str:
        text = ""
        for previous, part in zip((None, *formula.above), formula.above, strict=False):
            written = self.factor(part, formula)
            text += (self._between(previous, written) if previous else "") + written
        below = [self.at(part, POWER) for part in formula.below]
        if not below:
            return text
        return f"{text}/{below[0]}" if len(below) == 1 else f"{text}/({' '.join(below)})"

    def _between(self, previous: Formula, written: str) -> str:
        if previous.shape != SCALAR:
            return " ∘ "
        # a name before a parenthesis would look like a function, two numbers like one
        ambiguous = written[0] in "0123456789" or (written[0] == "(" and not isinstance(previous, Number))
        return "·" if ambiguous else " "

    def matrix_product(self, factors: list[str]) -> str:
        text = factors[0]
        for factor in factors[1:]:
            text += factor if text.endswith("ᵀ") and factor.startswith("(") else f" {factor}"
        return text

    def power(self, formula: Power) -> str:
        base, exponent = formula.parts
        written = self.at(base, ATOM)
        raised = self.at(exponent, ATOM)
        if base.shape == MATRIX:
            return f"{written}^∘{raised}"
        return f"{written}{raised.translate(RAISED)}" if raised.isdigit() else f"{written}^{raised}"

    def transpose(self, base: Formula) -> Written:
        return f"{self.at(base, ATOM)}ᵀ", POWER

    def index(self, formula: Index) -> str:
        subscripts = ",".join(formula.subscripts).replace("'", "′")
        return f"{self.at(formula.parts[0], ATOM)}[{subscripts}]"

    def call(self, formula: Call) -> Written:
        match formula.name:
            case "eye":
                return "I", ATOM
            case "ones":
                return "𝟏", ATOM
            case "unit":
                return f"e{str(formula.position).translate(LOWERED)}", ATOM
            case "abs":
                return f"|{self.write(formula.parts[0])}|", ATOM
            case "sqrt":
                return f"√{self.at(formula.parts[0], ATOM)}", POWER
            case "norm" if not formula.axis:
                return f"‖{self.write(formula.parts[0])}‖", ATOM
            case "sumsq":
                matrix = formula.parts[0].shape == MATRIX
                return f"‖{self.write(formula.parts[0])}‖²" + ("_F" if matrix else ""), POWER
            case "dot":
                return self._dot(*formula.parts)
            case "delta":
                return f"δ[{','.join(self.write(part) for part in formula.parts)}]".replace("'", "′"), ATOM
        arguments = [self.at(part, SUM) for part in formula.parts] + ([formula.axis] if formula.axis else [])
        return f"{FUNCTIONS.get(formula.name, formula.name)}({', '.join(arguments)})", ATOM

    def _dot(self, left: Formula, right: Formula) -> Written:
        if left.shape == MATRIX:
            return f"⟨{self.write(left)}, {self.write(right)}⟩", ATOM
        return self.matrix_product([self.transpose(left)[0], self.at(right, MATMUL)]), MATMUL

    def over(self, formula: Over) -> Written:
        labels = ",".join(name for name, _ in formula.labels).replace("'", "′")
        body = formula.parts[0]
        if formula.operation == "sum":
            label = labels if len(formula.labels) == 1 and len(labels) == 1 else f"{{{labels}}}"
            return f"Σ_{label} {self.at(body, PRODUCT)}", PRODUCT
        return f"{FUNCTIONS.get(formula.operation, formula.operation)}_{{{labels}}}({self.write(body)})", ATOM

    def relation(self, formula: Relation) -> str:
        left, right = (self.at(part, SUM) for part in formula.parts)
        sign = {"==": "=", "<=": "≤"}[formula.sign]
        return f"[{left} {sign} {right}]".replace("'", "′")

    def stack(self, rows: list[list[str]]) -> str:
        return f"[{'; '.join(', '.join(row) for row in rows)}]"
