"""Polynomials as sums of monomials, to find the quadratic form of an objective that is written in another way."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import Any

Monomial = tuple[str, ...]


class Polynomial:
    """Coefficients by monomial, a sorted tuple of names; TypeError from what is no polynomial."""

    def __init__(self, terms: dict[Monomial, float]) -> None:
        self.terms = {monomial: value for monomial, value in terms.items() if value}

    def __add__(self, other: Polynomial | float) -> Polynomial:
        total = defaultdict(float, self.terms)
        for monomial, value in _terms(other).items():
            total[monomial] += value
        return Polynomial(total)

    def __mul__(self, other: Polynomial | float) -> Polynomial:
        total: dict[Monomial, float] = defaultdict(float)
        for (left, first), (right, second) in product(self.terms.items(), _terms(other).items()):
            total[tuple(sorted(left + right))] += first * second
        return Polynomial(total)

    def __neg__(self) -> Polynomial:
        return self * -1.0

    def __pos__(self) -> Polynomial:
        return self

    def __sub__(self, other: Polynomial | float) -> Polynomial:
        return self + other * -1.0

    def __rsub__(self, other: float) -> Polynomial:
        return other + -self

    def __truediv__(self, other: float) -> Polynomial:
        return NotImplemented if isinstance(other, Polynomial) else self * (1 / other)

    def __pow__(self, exponent: Any) -> Polynomial:
        if not isinstance(exponent, int) or exponent < 0:
            return NotImplemented
        return self * self ** (exponent - 1) if exponent else Polynomial({(): 1.0})

    __radd__, __rmul__ = __add__, __mul__


def _terms(value: Polynomial | float) -> dict[Monomial, float]:
    return value.terms if isinstance(value, Polynomial) else {(): float(value)}
