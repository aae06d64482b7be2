"""The words and signs of a notation around its formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from bileveldsl.calculus.expr import Axis, Dim, Expr
from bileveldsl.calculus.notation.latex import Latex, identifier
from bileveldsl.calculus.notation.notation import Notation
from bileveldsl.calculus.notation.subscripts import dim_name
from bileveldsl.calculus.notation.text import Text
from bileveldsl.calculus.notation.unicode import Unicode
from bileveldsl.calculus.printing import to_formulas, written
from bileveldsl.program import Variable


class AsciiStyle:
    """`x in [0, 10]`, `grad(f, w)`."""

    notation: ClassVar[Notation] = Text()
    signs: ClassVar[dict[str, str]] = {}
    times: ClassVar[str] = " x "
    multipliers: ClassVar[tuple[str, str]] = ("mu", "lambda")

    def sign(self, sign: str) -> str:
        """A relation, `inf`, `-`, `R`, `Z` or `...` in this notation."""
        return self.signs.get(sign, sign)

    def name(self, text: str) -> str:
        return text

    def sides(self, exprs: Sequence[Expr], axes: Sequence[Axis]) -> tuple[list[str], tuple[str, ...]]:
        """The sides of an equation over labels, and the names of those labels where it is written in indices."""
        formulas, names = to_formulas(exprs, axes)
        return [written(formula, self.notation) for formula in formulas], tuple(map(self.name, names))

    def element(self, array: str, names: Sequence[str]) -> str:
        return f"{array}[{', '.join(names)}]" if names else array

    def gradient(self, function: str, variable: str) -> str:
        return f"grad({function}, {variable})"

    def hessian(self, function: str, rows: str, columns: str) -> str:
        return f"hess({function}, {rows}, {columns})"

    def number(self, value: float) -> str:
        if not np.isfinite(value):
            return self.sign("inf") if value > 0 else self.sign("-") + self.sign("inf")
        text = str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
        return text.replace("-", self.sign("-"))

    def shape(self, dims: Sequence[Dim]) -> str:
        return self.times.join(self.name(dim_name(dim)) for dim in dims)

    def power_set(self, base: str, dims: Sequence[Dim]) -> str:
        """The arrays over dims with elements in a set."""
        if not dims:
            return base
        return f"{base}^({self.shape(dims)})" if len(dims) > 1 else f"{base}^{self.shape(dims)}"

    def domain(self, variable: Variable) -> str:
        """The set that a variable is taken from, `x in [0, 10]`; bounds that differ by element are not in it."""
        base = self._interval(variable)
        return f"{self.name(variable.name)} {self.sign('in')} {self.power_set(base, variable.symbol.dims)}"

    def _interval(self, variable: Variable) -> str:
        low, high = bounds(variable)
        if variable.kind == "binary":
            return self.braces("0, 1")
        whole = variable.kind == "integer"
        if np.isinf(low) and np.isinf(high):
            return self.sign("Z") if whole else self.sign("R")
        a, b = self.number(low), self.number(high)
        if whole:
            first = a if np.isfinite(low) else self.sign("...")
            parts = [first, self.sign("..."), b if np.isfinite(high) else ""]
            return self.braces(", ".join(dict.fromkeys(part for part in parts if part)))
        return f"{'(' if np.isinf(low) else '['}{a}, {b}{')' if np.isinf(high) else ']'}"

    def braces(self, text: str) -> str:
        return f"{{{text}}}"

    def words(self, text: str) -> str:
        return text


class UnicodeStyle(AsciiStyle):
    """`x ∈ [0, 10]`, `∇_w f`."""

    notation: ClassVar[Notation] = Unicode()
    signs: ClassVar[dict[str, str]] = {
        "<=": "≤", ">=": "≥", "!=": "≠", "in": "∈", "perp": "⊥", "inf": "∞", "-": "−", "R": "ℝ", "Z": "ℤ", "...": "…",
    }  # fmt: skip
    times: ClassVar[str] = "×"
    multipliers: ClassVar[tuple[str, str]] = ("μ", "λ")

    def name(self, text: str) -> str:
        return text.replace("'", "′")

    def element(self, array: str, names: Sequence[str]) -> str:
        return f"({array})[{','.join(names)}]" if names else array

    def gradient(self, function: str, variable: str) -> str:
        return f"∇_{variable} {function}"

    def hessian(self, function: str, rows: str, columns: str) -> str:
        return f"∇²_{rows}{columns} {function}" if len(rows + columns) == 2 else f"∇²_{rows},{columns} {function}"


class LatexStyle(AsciiStyle):
    r"""`x \in [0, 10]`, `\nabla_{w} f`."""

    notation: ClassVar[Notation] = Latex()
    signs: ClassVar[dict[str, str]] = {
        "<=": r"\le", ">=": r"\ge", "!=": r"\ne", "in": r"\in", "perp": r"\perp", "inf": r"\infty", "R": r"\mathbb{R}",
        "Z": r"\mathbb{Z}", "...": r"\dots",
    }  # fmt: skip
    times: ClassVar[str] = r" \times "

    def name(self, text: str) -> str:
        return identifier(text)

    def element(self, array: str, names: Sequence[str]) -> str:
        return rf"\left({array}\right)_{{{','.join(names)}}}" if names else array

    def gradient(self, function: str, variable: str) -> str:
        return rf"\nabla_{{{variable}}} {function}"

    def hessian(self, function: str, rows: str, columns: str) -> str:
        return rf"\nabla^{{2}}_{{{rows}\,{columns}}} {function}"

    def number(self, value: float) -> str:
        mantissa, _, exponent = super().number(value).partition("e")
        return rf"{mantissa} \cdot 10^{{{exponent}}}" if exponent else mantissa

    def power_set(self, base: str, dims: Sequence[Dim]) -> str:
        return f"{base}^{{{self.shape(dims)}}}" if dims else base

    def braces(self, text: str) -> str:
        return rf"\{{{text}\}}"

    def words(self, text: str) -> str:
        return rf"\text{{{text.replace('_', chr(92) + '_')}}}"


def bounds(variable: Variable) -> tuple[float, float]:
    """The bounds that all elements share; infinite where they differ."""
    low, high = np.unique(variable.lower), np.unique(variable.upper)
    return float(low[0]) if len(low) == 1 else -np.inf, float(high[0]) if len(high) == 1 else np.inf
