"""Exact sums of squares: a polynomial as a combination of squares and inequalities with rational coefficients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from bileveldsl.certify.clock import check, until
from bileveldsl.certify.sos.blocks import Polynomial
from bileveldsl.certify.sos.problem import GramBlock, Problem, relaxations

_EQUAL = 1e-6  # of the size of a problem: a solver's optimum that near a short rational may well be that
_GAIN = 1e-4  # relative: less is not worth larger multipliers
_SMALL = 0.1
_SHORT = 60


@dataclass(frozen=True)
class Decomposition:
    """A polynomial as a sum of blocks; where every inequality holds it is nonnegative."""

    blocks: tuple[GramBlock, ...]

    def polynomial(self, inequalities: Sequence[Polynomial], context: flint.fmpq_mpoly_ctx) -> Polynomial:
        """The sum of the blocks, multiplied out."""
        total = context.constant(0)
        for block in self.blocks:
            square = context.constant(0)
            for (i, left), (j, right) in itertools.product(enumerate(block.basis), repeat=2):
                check()
                square += block.gram[i, j] * left * right
            total += math.prod((inequalities[k] for k in block.factors), start=square)
        return total

    def to_json(self) -> list[dict[str, Any]]:
        """The blocks as JSON values: the numbers of the inequalities multiplied, the basis, the Gram matrix."""
        return [
            {
                "multiplier": list(block.factors),
                "basis": [written(p) for p in block.basis],
                "gram": [[str(v) for v in row] for row in block.gram.tolist()],
            }
            for block in self.blocks
        ]


def written(polynomial: Polynomial) -> dict[str, str]:
    """A polynomial as JSON: exponents separated by commas, with their coefficients."""
    return {",".join(map(str, m)): str(c) for m, c in polynomial.to_dict().items()}


def is_sos(polynomial: Polynomial, inequalities: Sequence[Polynomial] = ()) -> Decomposition | None:
    """Writes a polynomial as a sum of squares, each times a product of at most two inequalities.

    Parameters
    ----------
    polynomial : with rational coefficients
    inequalities : polynomials of the same ring that are nonnegative where the polynomial matters

    Returns
    -------
    The exact identity, multiplied out once more before it is returned; None if none was found.
    Tried without the inequalities first, then with multipliers of growing degree (Putinar, Schmüdgen).

    Examples
    --------
    >>> import flint
    >>> x, y = flint.fmpq_mpoly_ctx.get(["x", "y"], "lex").gens()
    >>> is_sos(x**4 + 2 * x**2 * y**2 + y**4 - 2 * x * y + 1) is not None
    True
    >>> is_sos(x**4 * y**2 + x**2 * y**4 - 3 * x**2 * y**2 + 1) is None
    True
    >>> is_sos(x - 1, [x - 2]).blocks[-1].factors
    (0,)
    """
    if polynomial == 0:
        return Decomposition(())
    for problem in relaxations(polynomial, polynomial, inequalities):
        found = _decompose(problem, Fraction(0), polynomial, inequalities)
        if found is not None:
            return found
    return None


def largest(
    polynomial: Polynomial,
    direction: Polynomial,
    inequalities: Sequence[Polynomial] = (),
    *,
    at_least: Fraction | None = None,
) -> tuple[Fraction, Decomposition] | None:
    """The largest t, rounded down to a short rational, for which `polynomial - t * direction` is a sum of squares.

    Parameters
    ----------
    polynomial, direction : polynomials of one ring
    inequalities : polynomials that are nonnegative where it matters, as for `is_sos`
    at_least : smaller values are of no use

    Examples
    --------
    >>> import flint
    >>> x, u, v = flint.fmpq_mpoly_ctx.get(["x", "u", "v"], "lex").gens()
    >>> largest(2 * (1 + x**2) * u**2 + 2 * x * u * v + 2 * v**2, u**2 + v**2)[0]
    Fraction(3, 2)
    """
    best: tuple[Fraction, Decomposition] | None = None
    before: float | None = None
    with until(math.inf):  # a value that was found before the time is up counts
        for problem in relaxations(polynomial, direction, inequalities):
            bound = problem.bound()
            if bound is None:
                continue
            if before is not None and bound - before <= max(_GAIN * abs(before), _EQUAL * problem.size):
                break
            before = bound
            for value in _short_below(bound):
                if (at_least is not None and value < at_least) or (best is not None and value <= best[0]):
                    break
                exact = polynomial - flint.fmpq(value.numerator, value.denominator) * direction
                found = _decompose(problem, value, exact, inequalities)
                if found is not None:
                    best = value, found
                    break
    return best


def _decompose(
    problem: Problem, t: Fraction, goal: Polynomial, inequalities: Sequence[Polynomial]
) -> Decomposition | None:
    blocks = problem.decompose(flint.fmpq(t.numerator, t.denominator))
    if blocks is None:
        return None
    result = Decomposition(tuple(blocks))
    return result if result.polynomial(inequalities, goal.context()) == goal else None


def _short_below(value: float) -> Iterator[Fraction]:
    """Short rationals that are as good as equal to a value, then ones below it."""
    near = [Fraction(value).limit_denominator(d) for d in (1, 12, _SHORT)]
    near += [_digits(value, d, round) for d in (2, 3)]
    for candidate in dict.fromkeys(near):
        if abs(float(candidate) - value) <= _EQUAL * max(abs(value), _SMALL):
            yield candidate
    for d in (4, 3, 2):
        yield _digits(value, d, math.floor)
    if value > 0:
        yield Fraction(0)


def _digits(value: float, count: int, rounded: Callable[[Fraction], int]) -> Fraction:
    """A value with so many significant decimal digits."""
    if value == 0:
        return Fraction(0)
    unit = Fraction(10) ** (math.floor(math.log10(abs(value))) + 1 - count)
    return rounded(Fraction(value) / unit) * unit
