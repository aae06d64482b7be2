"""Powers of two that bring the coefficients of polynomials near 1, exactly undone afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import flint
import numpy as np

from bileveldsl.certify.sos.blocks import Polynomial

_LARGEST = 60


@dataclass(frozen=True)
class Scaling:
    """The substitution of `2**exponents[i] * z[i]` for each variable."""

    exponents: tuple[int, ...]

    @classmethod
    def of(cls, polynomials: Sequence[Polynomial]) -> Scaling:
        """The substitution that makes the coefficients within each polynomial alike, by least squares of logarithms."""
        n = polynomials[0].context().nvars()
        rows, right = [], []
        for k, p in enumerate(polynomials):
            for monomial, c in p.to_dict().items():
                rows.append([-e for e in monomial] + [1 if j == k else 0 for j in range(len(polynomials))])
                right.append(_logarithm(c))
        if not rows:
            return cls((0,) * n)
        solution = np.linalg.lstsq(np.array(rows, dtype=float), np.array(right), rcond=1e-9)[0]
        return cls(tuple(int(np.clip(round(v), -_LARGEST, _LARGEST)) for v in solution[:n].tolist()))

    def apply(self, polynomial: Polynomial) -> Polynomial:
        """The polynomial in the new variables."""
        return self._substituted(polynomial, 1)

    def undo(self, polynomial: Polynomial) -> Polynomial:
        """The polynomial in the old variables."""
        return self._substituted(polynomial, -1)

    def _substituted(self, polynomial: Polynomial, sign: int) -> Polynomial:
        if not any(self.exponents):
            return polynomial
        gens = polynomial.context().gens()
        return polynomial.compose(*(power_of_two(sign * e) * g for e, g in zip(self.exponents, gens, strict=True)))


def power_of_two(exponent: int) -> flint.fmpq:
    """2**exponent, exactly."""
    return flint.fmpq(1 << exponent) if exponent >= 0 else flint.fmpq(1, 1 << -exponent)


def magnitude(polynomial: Polynomial) -> flint.fmpq:
    """The power of two nearest to the largest coefficient; 1 for the polynomial 0."""
    coefficients = polynomial.coeffs()
    return power_of_two(round(max(map(_logarithm, coefficients)))) if coefficients else flint.fmpq(1)


def _logarithm(value: flint.fmpq) -> float:
    return math.log2(abs(int(value.p))) - math.log2(int(value.q))
