"""Blocks of a sum of squares: a multiplier and a basis whose Gram matrix is unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import flint

from bileveldsl.certify.clock import check

Polynomial = flint.fmpq_mpoly
Monomial = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """The polynomials `multiplier * (basis' Q basis)`; the multiplier is the product of the numbered inequalities."""

    factors: tuple[int, ...]
    multiplier: Polynomial
    basis: tuple[Polynomial, ...]


@dataclass(frozen=True)
class Entry:
    """What the entry (i, j), i <= j, of a block's Gram matrix adds to the polynomial, per unit."""

    block: int
    i: int
    j: int
    terms: dict[Monomial, flint.fmpq]


def entries(blocks: Sequence[Block]) -> list[Entry]:
    """The entries of the upper triangles of all Gram matrices, column by column."""
    result = []
    for k, block in enumerate(blocks):
        scaled = [block.multiplier * b for b in block.basis]
        for j, right in enumerate(block.basis):
            check()
            for i in range(j + 1):
                product = scaled[i] * right if i == j else 2 * scaled[i] * right
                result.append(Entry(k, i, j, product.to_dict()))
    return result


def reached(terms: Sequence[Entry]) -> list[Monomial]:
    """The monomials that entries add to, in order."""
    return sorted({m for e in terms for m in e.terms})


def signs(polynomial: Polynomial) -> dict[Monomial, int]:
    """The signs of the coefficients."""
    return {m: 1 if c > 0 else -1 for m, c in polynomial.to_dict().items()}


def trimmed(wanted: Mapping[Monomial, int], blocks: Sequence[Block]) -> list[Block] | None:
    """Leaves out basis elements whose weight must be 0; None if a wanted coefficient is out of reach.

    Parameters
    ----------
    wanted : the signs of the coefficients of the polynomial to be reached, 0 where the sign is open
    blocks : whose Gram matrices are semidefinite

    Notes
    -----
    Where only diagonal entries of one sign reach a monomial that the polynomial lacks, they are all 0
    (facial reduction by diagonal inequalities; for one block of monomials this is the consistency rule
    of Newton polytopes).
    """
    current = list(blocks)
    while True:
        seen: dict[Monomial, set[int]] = {}
        diagonal: dict[Monomial, list[tuple[int, int]]] = {}
        for e in entries(current):
            check()
            for monomial, coefficient in e.terms.items():
                sign = 0 if e.i != e.j else 1 if coefficient > 0 else -1
                seen.setdefault(monomial, set()).add(sign)
                if sign:
                    diagonal.setdefault(monomial, []).append((e.block, e.i))
        if not wanted.keys() <= seen.keys():
            return None
        dropped: set[tuple[int, int]] = set()
        for monomial, kinds in seen.items():
            if len(kinds) == 1 and 0 not in kinds:
                if monomial not in wanted:
                    dropped.update(diagonal[monomial])
                elif wanted[monomial] and wanted[monomial] not in kinds:
                    return None
        if not dropped:
            return current
        kept = [
            replace(b, basis=tuple(p for i, p in enumerate(b.basis) if (k, i) not in dropped))
            for k, b in enumerate(current)
        ]
        current = [b for b in kept if b.basis]
