"""Formulas as ASCII, in the operators and functions of the language."""

from __future__ import annotations

import math

import sympy

from bileveldsl.calculus.notation.formula import (
    Call,
    Formula,
    Index,
    Over,
    Power,
    Product,
    Relation,
)  # fmt: skip
from bileveldsl.calculus.notation.notation import ATOM, POWER, SUM, Notation, Written

FUNCTIONS = {"maximum": "max", "minimum": "min"}


class Text(Notation):
    """`2*X.T @ (X @ w - y)/n + 2*exp(loglam)*w`."""

    def note(self, text: str) -> str:
        return f"  # {text}"

    def number(self, value: sympy.Expr) -> Written:
        return digits(value), ATOM

    def name(self, text: str) -> str:
        return text

    def product(self, formula: Product) -> str:
        above = "*".join(self.factor(part, formula) for part in formula.above)
        below = [self.at(part, POWER) for part in formula.below]
        if not below:
            return above
        return f"{above}/{below[0]}" if len(below) == 1 else f"{above}/({'*'.join(below)})"

    def matrix_product(self, factors: list[str]) -> str:
        return " @ ".join(factors)

    def power(self, formula: Power) -> str:
        base, exponent = formula.parts
        return f"{self.at(base, ATOM)}^{self.at(exponent, ATOM)}"

    def transpose(self, base: Formula) -> Written:
        return f"{self.at(base, ATOM)}.T", ATOM

    def index(self, formula: Index) -> str:
        return f"{self.at(formula.parts[0], ATOM)}[{', '.join(formula.subscripts)}]"

    def call(self, formula: Call) -> Written:
        if formula.name == "unit":
            return f"unit({formula.axis}, {formula.position})", ATOM
        arguments = [self.at(part, SUM) for part in formula.parts] + ([formula.axis] if formula.axis else [])
        return f"{FUNCTIONS.get(formula.name, formula.name)}({', '.join(arguments)})", ATOM

    def over(self, formula: Over) -> Written:
        operation = FUNCTIONS.get(formula.operation, formula.operation)
        labels = [name if name.rstrip("'") == domain else f"{name} in {domain}" for name, domain in formula.labels]
        return f"{operation}({self.write(formula.parts[0])} for {', '.join(labels)})", ATOM

    def relation(self, formula: Relation) -> str:
        left, right = (self.at(part, SUM) for part in formula.parts)
        return f"indicator({left} {formula.sign} {right})"

    def stack(self, rows: list[list[str]]) -> str:
        return f"[{', '.join(row[0] if len(row) == 1 else '[' + ', '.join(row) + ']' for row in rows)}]"


def digits(value: sympy.Expr) -> str:
    """A number that is not negative: as the shortest decimal that stands for it, else by its leading digits."""
    if value == sympy.oo:
        return "inf"
    text = decimal(value)
    if value.is_Integer and value < 10**40 and (value < 10**15 or len(text) > 8):
        return str(value)
    mantissa, _, exponent = (text or str(sympy.Float(value, 15))).partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def decimal(value: sympy.Rational) -> str:
    """The decimal that a fraction is, or that a float with its value is written as; nothing for others."""
    nearest = float(value)
    if not math.isfinite(nearest):
        return ""
    shortest = repr(nearest)
    exact = sympy.Rational(shortest) == value and len(shortest.partition("e")[0]) <= 8
    return shortest if exact or sympy.Rational(nearest) == value else ""
