"""A matrix of polynomials in ranges: it is semidefinite where its coefficients are, in bases that are nowhere negative.

On a finite side the basis is Bernstein's (Garloff, The Bernstein algorithm, 1993), on one that is infinite in one
direction the powers of the distance from its end. The indeterminates are the variables, and the nodes that are no
polynomials in them, each anywhere in its own range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

from flint import fmpq, fmpq_mpoly

from bileveldsl.certify.check.elementary import power
from bileveldsl.certify.check.matrices import is_semidefinite
from bileveldsl.certify.check.polynomials import polynomials, ring, total_degree
from bileveldsl.certify.check.ranges import Range, number
from bileveldsl.certify.check.terms import Rejected, Table

_SIZE = 1_000  # coefficients of one entry
_NUMBERS = 20_000  # of all entries
_GENERATORS = 16
_POWER = 32  # degrees up to which, and
_TERMS = 2_000  # terms up to which polynomials are reduced
_BITS = 2_000  # of an end point

Place = tuple[int, ...]
Coefficients = dict[Place, list[fmpq]]


@dataclass(frozen=True)
class Tensor:
    """The coefficients of the upper triangle by the exponents of the generators; all places up to the degrees."""

    generators: list[int]
    degrees: Place
    size: int
    places: list[tuple[int, int]]
    coefficients: Coefficients
    unshifted: list[tuple[Place, list[fmpq]]]

    @staticmethod
    def of(table: Table, entries: Mapping[tuple[int, int], int], size: int, shift: fmpq) -> Tensor | None:
        """The matrix with these entries and a shift on its diagonal; None where it is too large."""
        roots = list(entries.values())
        found = _generated(table, roots)
        if found is None:
            return None
        generators, meaning = found
        try:
            written = [p for p in polynomials(table, roots, meaning) if p is not None]
            terms = [p.to_dict() for p in _reduced(table, generators, meaning, written)]
        except Rejected:  # too large to be written out; the ranges of its entries may do
            return None
        if len(terms) < len(roots):
            return None
        count = len(generators)
        degrees = tuple(max((int(e[k]) for p in terms for e in p), default=0) for k in range(count))
        places = [(i, j) for i in range(size) for j in range(i, size)]
        terms_of_each = math.prod(d + 1 for d in degrees)
        if terms_of_each > _SIZE or terms_of_each * len(places) > _NUMBERS:
            return None
        at = {place: n for n, place in enumerate(places)}
        coefficients = {place: [fmpq(0)] * len(places) for place in product(*(range(d + 1) for d in degrees))}
        for place, p in zip(entries, terms, strict=True):
            for exponents, value in p.items():
                coefficients[tuple(int(e) for e in exponents[:count])][at[place]] += value
        unshifted = [(place, list(values)) for place, values in coefficients.items() if any(v != 0 for v in values)]
        for i in range(size):
            coefficients[(0,) * count][at[i, i]] += shift
        return Tensor(generators, degrees, size, places, coefficients, unshifted)

    def is_semidefinite(self, ranges: Sequence[Range]) -> bool:
        """Whether the matrix is, for all values of the generators in these ranges."""
        coefficients = self.coefficients
        for k, (degree, r) in enumerate(zip(self.degrees, ranges, strict=True)):
            if degree:
                steps = _steps(degree, r) if r.defined else None
                if steps is None:
                    return False
                coefficients = _transformed(coefficients, k, degree, steps)
        return all(map(self._is_semidefinite, coefficients.values()))

    def ranges(self, ranges: Sequence[Range]) -> list[Range]:
        """The range of each entry in `places`, without the shift, monomial by monomial."""
        powers = [
            [number(1), *(power(r, exponent=fmpq(e)) for e in range(1, d + 1))]
            for d, r in zip(self.degrees, ranges, strict=True)
        ]
        found = [number(0)] * len(self.places)
        for exponents, values in self.unshifted:
            monomial = reduce(lambda a, b: a * b, (powers[k][e] for k, e in enumerate(exponents)))
            for n, value in enumerate(values):
                if value != 0:
                    found[n] = found[n] + monomial * number(value)
        return found

    def _is_semidefinite(self, entries: list[fmpq]) -> bool:
        matrix = [[fmpq(0)] * self.size for _ in range(self.size)]
        for (i, j), value in zip(self.places, entries, strict=True):
            matrix[i][j] = matrix[j][i] = value
        return is_semidefinite(matrix)


def _generated(table: Table, roots: Sequence[int]) -> tuple[list[int], dict[int, fmpq_mpoly]] | None:
    """The generators, and the polynomials in them that are nodes under the roots.

    All powers of one root or inverse b^(-1/q) are powers of one generator.
    """
    generators: list[int] = []
    powers: dict[int, tuple[int, int]] = {}
    seen, stack = set(roots), list(roots)
    while stack:
        node = stack.pop()
        operation, value = table.operation[node], table.value[node]
        if operation in ("+", "*") or (operation == "^" and value.q == 1 and value > 0):
            fresh = [child for child in table.arguments[node] if child not in seen]
            seen.update(fresh)
            stack += fresh
        elif operation != "num":
            generator, times = node, 1
            if operation == "^":
                generator = table.power(table.arguments[node][0], fmpq(1 if value > 0 else -1, value.q))
                times = int(abs(value.p))
            if generator not in generators:
                generators.append(generator)
            powers[node] = (generators.index(generator), times)
    if not generators or len(generators) > _GENERATORS or any(times > _POWER for _, times in powers.values()):
        return None
    indeterminates = ring(len(generators)).gens()
    return generators, {node: indeterminates[k] ** times for node, (k, times) in powers.items()}


def _reduced(
    table: Table, generators: Sequence[int], meaning: Mapping[int, fmpq_mpoly], written: list[fmpq_mpoly]
) -> list[fmpq_mpoly]:
    """The polynomials without what g^q b = 1 (g^q = b) takes out, for generators g = b^(-1/q) (b^(1/q))."""
    if sum(map(len, written)) > _TERMS or max(map(total_degree, written)) > _POWER:
        return written
    indeterminates = ring(len(generators)).gens()
    for g, t in zip(generators, indeterminates, strict=False):
        if table.operation[g] == "^":
            exponent = table.value[g]
            known = {**meaning, **dict(zip(generators, indeterminates, strict=False))}
            [base] = polynomials(table, list(table.arguments[g]), known)
            if base is not None and total_degree(base) <= _POWER:
                relation = base * t ** int(exponent.q) - 1 if exponent < 0 else t ** int(exponent.q) - base
                written = [p % relation for p in written]
    return written


def _steps(degree: int, r: Range) -> list[list[fmpq]] | None:
    """The matrix from coefficients of powers to those of the basis on a range."""
    if isinstance(r.lo, float) and isinstance(r.hi, float):
        return None
    if any(not isinstance(end, float) and end.height_bits() > _BITS for end in (r.lo, r.hi)):
        return None
    origin = r.hi if isinstance(r.lo, float) else r.lo
    width = fmpq(-1) if isinstance(r.lo, float) else fmpq(1) if isinstance(r.hi, float) else r.hi - r.lo
    size = range(degree + 1)
    moved = [[math.comb(m, j) * origin ** (m - j) * width**j if m >= j else fmpq(0) for m in size] for j in size]
    if not r.finite:
        return moved
    weights = [[fmpq(math.comb(i, j), math.comb(degree, j)) for j in size] for i in size]
    return [[sum((w * moved[j][m] for j, w in enumerate(row)), fmpq(0)) for m in size] for row in weights]


def _transformed(coefficients: Coefficients, axis: int, degree: int, steps: list[list[fmpq]]) -> Coefficients:
    result = {}
    for place in coefficients:
        row = steps[place[axis]]
        parts = [coefficients[(*place[:axis], m, *place[axis + 1 :])] for m in range(degree + 1)]
        result[place] = [
            sum((w * value for w, value in zip(row, values, strict=True) if w and value), fmpq(0))
            for values in zip(*parts, strict=True)
        ]
    return result
