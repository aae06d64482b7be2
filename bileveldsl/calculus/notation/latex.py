r"""Formulas as LaTeX (amsmath, amssymb)."""

from __future__ import annotations

import re
from collections.abc import Sequence
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

GREEK = frozenset(
    {
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
        *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma", "Delta", "Theta"),
        *("Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
    }
)
OPERATORS = {name: rf"\{name}" for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min")}
OPERATORS |= {"asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan"}
SHORT = 25  # characters of an exponent that still reads well
TALL = re.compile(r"\\(frac|sum|left|begin|sqrt)")
PLAIN = re.compile(r"\w|\\mathrm\{[^{}]*\}|\\[A-Za-z]+")
"""A name that has no subscript yet."""
WORDLIKE = re.compile(r"^\\mathrm\{[^{}]*\}|\\mathrm\{[^{}]*\}$")
"""A name of several letters at the edge of a formula."""
WORD = re.compile(r"[^\W\d]\w*'*")


class Latex(Notation):
    r"""`\frac{2}{n} X^{\top} (X w - y) + 2 e^{\mathrm{loglam}} \odot w`."""

    ellipsis: ClassVar[str] = r"\dots"

    def parenthesized(self, text: str) -> str:
        return rf"\left({text}\right)" if TALL.search(text) else f"({text})"

    def note(self, text: str) -> str:
        return rf"\quad\text{{({text})}}"

    def number(self, value: sympy.Expr) -> Written:
        text = digits(value)
        if text == "inf":
            return r"\infty", ATOM
        mantissa, _, exponent = text.partition("e")
        if not exponent:
            return text, ATOM
        power_of_ten = f"10^{{{exponent}}}"
        return power_of_ten if mantissa in ("1", "1.0") else rf"{mantissa} \cdot {power_of_ten}", POWER

    def name(self, text: str) -> str:
        return identifier(text)

    def product(self, formula: Product) -> str:
        divisors, array_divisors = _split(formula.below)
        scalars, arrays = _split(formula.above)
        # a long numerator goes behind the fraction
        short = [part for part in scalars if not divisors or (part.weight <= SHORT and not isinstance(part, Over))]
        long = [part for part in scalars if part not in short]
        written = [self._fraction(short, divisors, formula)] if short or divisors else []
        if long:
            alone = len(long) == 1 and not arrays and not array_divisors
            written.append(self.at(long[0], PRODUCT) if alone else self._factors(long, formula))
        if arrays or array_divisors:
            written.append(self._fraction(arrays, array_divisors, formula))
        tight = (divisors or (short and isinstance(short[-1], Number))) and not WORDLIKE.match(written[-1])
        return (" " if tight else r"\,").join(written)

    def _fraction(self, above: Sequence[Formula], below: Sequence[Formula], of: Product) -> str:
        if not below:
            return self._factors(above, of)
        sides = [self.write(side[0]) if len(side) == 1 else self._factors(side, of) for side in (above, below)]
        return rf"\frac{{{sides[0] or 1}}}{{{sides[1]}}}"

    def _factors(self, factors: Sequence[Formula], of: Product) -> str:
        text = ""
        for k, factor in enumerate(factors):
            written = self.factor(factor, of)
            if k and factor.shape != SCALAR:
                text += r" \odot "
            elif k and isinstance(factors[k - 1], Number):
                text += r" \cdot " if written[0].isdigit() else r"\," if WORDLIKE.match(written) else " "
            elif k:
                text += r"\,"
            text += written
        return text

    def matrix_product(self, factors: list[str]) -> str:
        text = factors[0]
        for factor in factors[1:]:
            text += (r"\," if WORDLIKE.search(text) or WORDLIKE.match(factor) else " ") + factor
        return text

    def power(self, formula: Power) -> str:
        base, exponent = formula.parts
        circle = r"\circ " if base.shape == MATRIX else ""
        return f"{self.at(base, ATOM)}^{{{circle}{self.write(exponent)}}}"

    def transpose(self, base: Formula) -> Written:
        return rf"{self.at(base, ATOM)}^{{\top}}", POWER

    def index(self, formula: Index) -> str:
        base = self.at(formula.parts[0], ATOM)
        subscripts = ",".join(map(identifier, formula.subscripts))
        plain = PLAIN.fullmatch(base)
        return f"{base}_{{{subscripts}}}" if plain else f"{{{base}}}_{{{subscripts}}}"

    def call(self, formula: Call) -> Written:
        parts = formula.parts
        match formula.name:
            case "eye":
                return "I", ATOM
            case "ones":
                return r"\mathbf{1}", ATOM
            case "unit":
                return f"e_{{{formula.position}}}", ATOM
            case "exp" if formula.shape != MATRIX and parts[0].weight <= SHORT:
                return f"e^{{{self.write(parts[0])}}}", POWER
            case "abs":
                return rf"\left|{self.write(parts[0])}\right|", ATOM
            case "sqrt":
                return rf"\sqrt{{{self.write(parts[0])}}}", ATOM
            case "norm" if not formula.axis:
                return self._norm(parts[0]), ATOM
            case "sumsq":
                return self._norm(parts[0]) + ("_{F}^{2}" if parts[0].shape == MATRIX else "^{2}"), POWER
            case "dot":
                return self._dot(*parts)
            case "delta":
                return rf"\delta_{{{' '.join(self.write(part) for part in parts)}}}", ATOM
            case "sum" if not formula.axis and parts[0].shape != MATRIX:
                return rf"\mathbf{{1}}^{{\top}} {self.at(parts[0], MATMUL)}", MATMUL
        name = FUNCTIONS.get(formula.name, formula.name)
        operator = OPERATORS.get(name, rf"\operatorname{{{name}}}")
        below = f"_{{{identifier(formula.axis)}}}" if formula.axis else ""
        return operator + below + self.parenthesized(", ".join(self.write(part) for part in parts)), ATOM

    def _norm(self, argument: Formula) -> str:
        return rf"\left\lVert {self.write(argument)} \right\rVert"

    def _dot(self, left: Formula, right: Formula) -> Written:
        if left.shape == MATRIX:
            return rf"\left\langle {self.write(left)}, {self.write(right)} \right\rangle", ATOM
        return f"{self.transpose(left)[0]} {self.at(right, MATMUL)}", MATMUL

    def over(self, formula: Over) -> Written:
        labels = ",".join(identifier(name) for name, _ in formula.labels)
        body = formula.parts[0]
        if formula.operation == "sum":
            return rf"\sum_{{{labels}}} {self.at(body, PRODUCT)}", PRODUCT
        name = FUNCTIONS.get(formula.operation, formula.operation)
        operator = OPERATORS.get(name, rf"\operatorname{{{name}}}")
        return f"{operator}_{{{labels}}}{self.parenthesized(self.write(body))}", ATOM

    def relation(self, formula: Relation) -> str:
        left, right = (self.at(part, SUM) for part in formula.parts)
        sign = {"==": "=", "<=": r"\le"}[formula.sign]
        return rf"\left[{left} {sign} {right}\right]"

    def stack(self, rows: list[list[str]]) -> str:
        lines = r" \\ ".join(" & ".join(row) for row in rows)
        return rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}"


def _split(parts: Sequence[Formula]) -> tuple[list[Formula], list[Formula]]:
    """The scalars and the arrays among factors."""
    return [part for part in parts if part.shape == SCALAR], [part for part in parts if part.shape != SCALAR]


def identifier(text: str) -> str:
    """A name as LaTeX: one letter in italics, words upright, Greek letters and subscripts recognized.

    The words in anything else, such as the position `k + 1`, are written like that.
    """
    if not WORD.fullmatch(text):
        return WORD.sub(lambda word: identifier(word[0]), text)
    primes = text[len(text.rstrip("'")) :]
    text = text.rstrip("'")
    stem, _, tail = text.partition("_")
    if not tail:
        stem, tail = text, ""
        digits_at_end = re.fullmatch(r"(.*?[^\W\d_])(\d+)", text)
        if digits_at_end:
            stem, tail = digits_at_end.groups()
    written = rf"\{stem}" if stem in GREEK else stem if len(stem) == 1 else rf"\mathrm{{{_escaped(stem)}}}"
    if not tail:
        return written + primes
    below = tail if tail.isdigit() or len(tail) == 1 else rf"\mathrm{{{_escaped(tail)}}}"
    return f"{written}_{{{below}}}{primes}"


def _escaped(text: str) -> str:
    return re.sub(r"([%$#&_{}])", r"\\\1", text)
