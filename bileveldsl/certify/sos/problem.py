"""One relaxation of a question about sums of squares: which multipliers and bases, and how it is solved exactly."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import flint
import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.sos.blocks import Block, Entry, Monomial, Polynomial, entries, signs, trimmed
from bileveldsl.certify.sos.faces import reduced
from bileveldsl.certify.sos.newton import monomial_blocks
from bileveldsl.certify.sos.rounding import rational_grams
from bileveldsl.certify.sos.scaling import Scaling, magnitude
from bileveldsl.certify.sos.semidefinite import maximize

_ENTRIES = 4_000
_PAIRS = 40
_RAISED = 3  # by how many degrees multipliers and bases may exceed the polynomial, plus one
_ROUNDS = 4
_HOPELESS = -1e-4  # of the largest coefficient: a singular Gram matrix does not miss by that much


@dataclass(frozen=True)
class GramBlock:
    """`prod(inequalities[k] for k in factors) * (basis' gram basis)`, the Gram matrix semidefinite."""

    factors: tuple[int, ...]
    basis: tuple[Polynomial, ...]
    gram: flint.fmpq_mat


@dataclass(frozen=True)
class Problem:
    """`polynomial - t * direction` as a sum of blocks, in scaled variables."""

    polynomial: Polynomial
    direction: Polynomial
    blocks: tuple[Block, ...]
    scaling: Scaling
    scales: tuple[flint.fmpq, ...]

    @property
    def size(self) -> float:
        """The size of t for which both polynomials have coefficients of about one size."""
        return float(magnitude(self.polynomial) / magnitude(self.direction))

    def bound(self) -> float | None:
        """The largest t, in floating point; None if there is none or the solver fails."""
        wanted = signs(self.polynomial) | dict.fromkeys(self.direction.to_dict(), 0)
        blocks = trimmed(wanted, self.blocks)
        if not blocks:
            return None
        optimum = maximize(_floats(self.polynomial), _floats(self.direction), blocks, entries(blocks))
        return None if optimum is None else optimum.value

    def decompose(self, t: flint.fmpq) -> list[GramBlock] | None:
        """The blocks of an exact decomposition in the original variables; None if none is found."""
        goal = self.polynomial - t * self.direction
        if goal == 0:
            return []
        unit = magnitude(goal)
        goal = goal / unit
        blocks: list[Block] | None = list(self.blocks)
        for _ in range(_ROUNDS):
            blocks = trimmed(signs(goal), blocks or [])
            if not blocks:
                return None
            terms = entries(blocks)
            optimum = maximize(_floats(goal), _traces(terms), blocks, terms)
            if optimum is None or optimum.value < _HOPELESS:
                return None
            if optimum.value > 0:
                interior = [g + optimum.value * np.eye(len(g)) for g in optimum.grams]
                grams = rational_grams(goal, blocks, terms, interior)
                if grams is not None:
                    return [self._unscaled(b, g, unit) for b, g in zip(blocks, grams, strict=True)]
            blocks = reduced(goal, blocks, terms, optimum, self.scaling)
            if blocks is None:
                return None
        return None

    def _unscaled(self, block: Block, gram: flint.fmpq_mat, unit: flint.fmpq) -> GramBlock:
        """The block in the original variables, the leading coefficients of its basis 1."""
        basis = [self.scaling.undo(p) for p in block.basis]
        leading = [p.leading_coefficient() for p in basis]
        weight = unit * math.prod((self.scales[k] for k in block.factors), start=self.scales[-1])
        n = len(basis)
        scaled = [weight * leading[i] * gram[i, j] * leading[j] for i in range(n) for j in range(n)]
        monic = tuple(p / c for p, c in zip(basis, leading, strict=True))
        return GramBlock(block.factors, monic, flint.fmpq_mat(n, n, scaled))


def relaxations(
    polynomial: Polynomial, direction: Polynomial, inequalities: Sequence[Polynomial]
) -> Iterator[Problem]:
    """Problems of growing size: without the inequalities, then with multipliers of growing degree."""
    scaling = Scaling.of([polynomial, *inequalities])
    units = [magnitude(scaling.apply(g)) for g in inequalities]
    sides = [scaling.apply(g) / u for g, u in zip(inequalities, units, strict=True)]
    unit = magnitude(scaling.apply(polynomial))
    goal, ray = scaling.apply(polynomial) / unit, scaling.apply(direction) / unit
    support = {*goal.to_dict(), *ray.to_dict()}
    scales = (*(1 / u for u in units), unit)
    one = goal.context().constant(1)
    variables = sorted(frozenset[int]().union(*map(_variables, sides)))
    levels = range(_RAISED + 1) if sides else range(1)
    for level in levels:
        check()
        multipliers = [((), one), *(_multipliers(sides) if level else [])]
        blocks = monomial_blocks(support, multipliers, variables if level else (), max(0, level - 1))
        if blocks is None or sum(len(b.basis) ** 2 for b in blocks) > 2 * _ENTRIES:
            return
        yield Problem(goal, ray, tuple(blocks), scaling, scales)


def _multipliers(sides: Sequence[Polynomial]) -> list[tuple[tuple[int, ...], Polynomial]]:
    """The inequalities, and their products two by two, those in the same variables first."""
    pairs = sorted(
        itertools.combinations(range(len(sides)), 2), key=lambda p: _variables(sides[p[0]]) != _variables(sides[p[1]])
    )
    singles = [((k,), g) for k, g in enumerate(sides)]
    return [*singles, *((p, sides[p[0]] * sides[p[1]]) for p in pairs[:_PAIRS])]


def _variables(polynomial: Polynomial) -> frozenset[int]:
    return frozenset(i for i, d in enumerate(polynomial.degrees()) if d)


def _floats(polynomial: Polynomial) -> dict[Monomial, float]:
    return {m: float(c) for m, c in polynomial.to_dict().items()}


def _traces(terms: Sequence[Entry]) -> dict[Monomial, float]:
    """What all identity matrices add up to."""
    total: dict[Monomial, float] = {}
    for e in terms:
        if e.i == e.j:
            for m, c in e.terms.items():
                total[m] = total.get(m, 0.0) + float(c)
    return total
