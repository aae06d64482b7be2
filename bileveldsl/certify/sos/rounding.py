"""From floating-point Gram matrices to exact rational ones."""

from __future__ import annotations

from collections.abc import Sequence

import flint
import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.sos.blocks import Block, Entry, Monomial, Polynomial

_DENOMINATORS = (1, 2, 12, 1 << 7, 1 << 12, 1 << 20, 1 << 32, 1 << 45)


def rational_grams(
    polynomial: Polynomial,
    blocks: Sequence[Block],
    entries: Sequence[Entry],
    grams: Sequence[np.ndarray],
) -> list[flint.fmpq_mat] | None:
    """Semidefinite rational Gram matrices near the given ones with which the blocks add up to the polynomial.

    The matrices are rounded, with growing denominators, and projected exactly on the affine space of the identity
    (Peyrl & Parrilo, "Computing sum of squares decompositions with rational coefficients", 2008, section 3).
    """
    projection = _Projection(polynomial, entries)
    values = np.array([grams[e.block][e.i, e.j] for e in entries])
    smallest = min((float(np.linalg.eigvalsh(g)[0]) for g in grams), default=1.0)
    for denominator in _DENOMINATORS:
        if smallest * denominator * 50 < 1 and denominator != _DENOMINATORS[-1]:
            continue
        check()
        rounded = [flint.fmpq(round(v * denominator), denominator) for v in values.tolist()]
        exact = projection(rounded)
        if exact is None:
            return None
        matrices = _matrices(exact, blocks, entries)
        if all(map(is_semidefinite, matrices)):
            return matrices
    return None


class _Projection:
    """The nearest point at which the entries add up to the polynomial."""

    def __init__(self, polynomial: Polynomial, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.wanted = polynomial.to_dict()
        equations: dict[Monomial, list[tuple[int, flint.fmpq]]] = {}
        for k, e in enumerate(entries):
            for m, c in e.terms.items():
                equations.setdefault(m, []).append((k, c))
        self.equations = equations
        # Entries that reach one monomial only correct it without touching the others: short numbers stay short.
        single = {m: [(k, c) for k, c in row if len(entries[k].terms) == 1] for m, row in equations.items()}
        self.free = single if all(single.values()) else equations
        self.diagonal = self.free is single

    def __call__(self, values: list[flint.fmpq]) -> list[flint.fmpq] | None:
        zero = flint.fmpq(0)
        residual = {
            m: self.wanted.get(m, zero) - sum((values[k] * c for k, c in row), zero)
            for m, row in self.equations.items()
        }
        if self.diagonal:
            factor = {m: residual[m] / sum((c * c for _, c in row), zero) for m, row in self.free.items()}
        elif any(r != 0 for r in residual.values()):
            solution = self._solve(residual)
            if solution is None:
                return None
            factor = solution
        else:
            return values
        result = list(values)
        for m, row in self.free.items():
            for k, c in row:
                result[k] += factor[m] * c
        return result

    def _solve(self, residual: dict[Monomial, flint.fmpq]) -> dict[Monomial, flint.fmpq] | None:
        """Multipliers of the equations in the normal equations of the least correction; None if there is none."""
        places = {m: k for k, m in enumerate(self.equations)}
        n = len(places)
        normal = flint.fmpq_mat(n, n)
        for e in self.entries:
            check()
            for a, x in e.terms.items():
                for b, y in e.terms.items():
                    normal[places[a], places[b]] += x * y
        right = flint.fmpq_mat(n, 1, [residual[m] for m in places])
        try:
            solution = normal.solve(right)
        except ZeroDivisionError:
            return _consistent(normal, right, list(places))
        return {m: solution[k, 0] for m, k in places.items()}


def _consistent(
    normal: flint.fmpq_mat, right: flint.fmpq_mat, monomials: list[Monomial]
) -> dict[Monomial, flint.fmpq] | None:
    """A solution of singular equations with the free unknowns 0; None if they contradict each other."""
    n = len(monomials)
    joined = flint.fmpq_mat(n, n + 1, [v for k in range(n) for v in (*(normal[k, j] for j in range(n)), right[k, 0])])
    reduced, rank = joined.rref()
    solution = dict.fromkeys(monomials, flint.fmpq(0))
    for i in range(rank):
        pivot = next(j for j in range(n + 1) if reduced[i, j] != 0)
        if pivot == n:
            return None
        solution[monomials[pivot]] = reduced[i, n]
    return solution


def _matrices(values: list[flint.fmpq], blocks: Sequence[Block], entries: Sequence[Entry]) -> list[flint.fmpq_mat]:
    matrices = [flint.fmpq_mat(len(b.basis), len(b.basis)) for b in blocks]
    for e, value in zip(entries, values, strict=True):
        matrices[e.block][e.i, e.j] = matrices[e.block][e.j, e.i] = value
    return matrices


def is_semidefinite(matrix: flint.fmpq_mat) -> bool:
    """Whether a symmetric rational matrix has no negative eigenvalue, by exact elimination.

    Examples
    --------
    >>> import flint
    >>> is_semidefinite(flint.fmpq_mat(2, 2, [1, 1, 1, 1])), is_semidefinite(flint.fmpq_mat(2, 2, [0, 1, 1, 5]))
    (True, False)
    """
    rest = matrix.tolist()
    n = len(rest)
    for k in range(n):
        check()
        pivot = rest[k][k]
        if pivot < 0 or (pivot == 0 and any(rest[k][j] != 0 for j in range(k + 1, n))):
            return False
        if pivot == 0:
            continue
        for i in range(k + 1, n):
            if rest[k][i] != 0:
                share = rest[k][i] / pivot
                for j in range(i, n):
                    rest[i][j] -= share * rest[k][j]
    return True
