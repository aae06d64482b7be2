"""Smaller bases where every Gram matrix is singular: the faces of the semidefinite cone, in rational numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import flint
import numpy as np

from bileveldsl.certify.clock import check
from bileveldsl.certify.sos.blocks import Block, Entry, Polynomial, reached
from bileveldsl.certify.sos.blocks import entries as entries_of
from bileveldsl.certify.sos.scaling import Scaling, power_of_two
from bileveldsl.certify.sos.semidefinite import Optimum

_SINGULAR = 1e-6  # a moment matrix of trace 1 that has this eigenvalue keeps a Gram matrix from being definite
_STEPS = 8
_CUT = 1e-11  # of the squared singular values of a Newton step
_LARGEST = 500  # unknowns of a Newton step
_SMALL = 1e-4
_PRECISE, _ROUGH, _ROUGHEST = 1e-9, 1e-5, 1e-4
_NOISE = 0.02  # any number has a fraction p/q at a relative distance of about 1/(p q)
_PRIME = (1 << 61) - 1


def reduced(
    polynomial: Polynomial,
    blocks: Sequence[Block],
    entries: Sequence[Entry],
    optimum: Optimum,
    scaling: Scaling,
) -> list[Block] | None:
    """The blocks with bases of the face that all solutions lie in; None if no basis gets smaller.

    A moment matrix M with <M, Q> = 0 for every solution Q confines Q to the orthogonal complement of its range
    (facial reduction; Borwein & Wolkowicz, "Regularizing the abstract convex program", 1981). The range is made
    precise by Newton's method on both, and rational (compare Kaltofen, Li, Yang, Zhi, "Exact certification of global
    optimality of approximate factorizations via rationalizing sums-of-squares", 2008). Where one such step does not
    reach the least face, eigenvalues of both matrices come near 0, and all that Q nearly vanishes on is tried too.
    A guess that the polynomial contradicts is thrown away.
    """
    moments = _Moments(blocks, entries)
    rough = moments.matrices(optimum.moments)
    ranks = [_rank(gram, moment) for gram, moment in zip(optimum.grams, rough, strict=True)]
    for vectors, tolerance in _guesses(moments, polynomial, optimum, rough, ranks):
        check()
        bases = [_complement(v.T, b.basis, scaling, tolerance) for v, b in zip(vectors, blocks, strict=True)]
        result = [replace(block, basis=basis) for block, basis in zip(blocks, bases, strict=True) if basis]
        if None not in bases and _is_reachable(polynomial, result):
            return result
    return None


def _guesses(
    moments: _Moments, polynomial: Polynomial, optimum: Optimum, rough: list[np.ndarray], ranks: Sequence[int]
) -> Iterator[tuple[list[np.ndarray], float]]:
    """Orthonormal columns that the Gram matrices may vanish on, and how precise they are."""

    def greatest(matrices: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.linalg.eigh(m)[1][:, len(m) - rank :] for m, rank in zip(matrices, ranks, strict=True)]

    if any(ranks):
        yield greatest(rough), _ROUGH
    systems = [np.linalg.eigh(gram) for gram in optimum.grams]
    top = max(float(values[-1]) for values, _ in systems)
    small = [vectors[:, values < _SMALL * top] for values, vectors in systems]
    if any(v.shape[1] > rank for v, rank in zip(small, ranks, strict=True)):
        yield small, _ROUGH
        yield small, _ROUGHEST
    if any(ranks):
        precise = moments.polished(polynomial, optimum)
        if precise is not None:
            yield greatest(precise), _PRECISE
            yield greatest(precise), _ROUGH


def _rank(gram: np.ndarray, moment: np.ndarray) -> int:
    """The rank of a moment matrix: how many of its eigenvectors the Gram matrix vanishes on."""
    values, vectors = np.linalg.eigh(moment)
    weights = np.einsum("ij,ik,kj->j", vectors, gram, vectors)
    return int(((values > _SINGULAR) & (values > 10 * weights)).sum())


class _Moments:
    """The moment matrices as linear functions of the moments, and as partners of the Gram matrices."""

    def __init__(self, blocks: Sequence[Block], entries: Sequence[Entry]):
        self.sizes = [len(b.basis) for b in blocks]
        self.entries = entries
        self.rows = {m: k for k, m in enumerate(reached(entries))}
        self.linear = np.zeros((len(self.rows), len(entries)))
        for k, e in enumerate(entries):
            for m, c in e.terms.items():
                self.linear[self.rows[m], k] = float(c)

    def matrices(self, moments: np.ndarray) -> list[np.ndarray]:
        matrices = [np.zeros((n, n)) for n in self.sizes]
        for e, value in zip(self.entries, moments @ self.linear, strict=True):
            matrices[e.block][e.i, e.j] = matrices[e.block][e.j, e.i] = value if e.i == e.j else value / 2
        return matrices

    def polished(self, polynomial: Polynomial, optimum: Optimum) -> list[np.ndarray] | None:
        """Moment matrices after Newton steps for `Q M = 0` and for the Gram matrices Q to add up to the goal."""
        if len(self.entries) + len(self.rows) > _LARGEST:
            return None
        wanted = np.zeros(len(self.rows))
        for m, c in polynomial.to_dict().items():
            wanted[self.rows[m]] = float(c)
        q = np.array([optimum.grams[e.block][e.i, e.j] for e in self.entries])
        moments = optimum.moments.copy()
        for _ in range(_STEPS):
            check()
            grams, matrices = self._symmetric(q), self.matrices(moments)
            products = [(g @ m).ravel() for g, m in zip(grams, matrices, strict=True)]
            residual = np.concatenate([wanted - self.linear @ q, *(-p for p in products)])
            if np.abs(residual).max() < 1e-15:
                break
            jacobian = self._jacobian(grams, matrices)
            values, vectors = np.linalg.eigh(jacobian.T @ jacobian)
            kept = values > _CUT * values[-1]
            step = vectors[:, kept] @ ((vectors[:, kept].T @ (jacobian.T @ residual)) / values[kept])
            q, moments = q + step[: len(q)], moments + step[len(q) :]
        return self.matrices(moments)

    def _symmetric(self, q: np.ndarray) -> list[np.ndarray]:
        grams = [np.zeros((n, n)) for n in self.sizes]
        for e, value in zip(self.entries, q, strict=True):
            grams[e.block][e.i, e.j] = grams[e.block][e.j, e.i] = value
        return grams

    def _jacobian(self, grams: Sequence[np.ndarray], matrices: Sequence[np.ndarray]) -> np.ndarray:
        """The derivatives of `[A(Q), Q M(y)]` in the entries of Q and in the moments y."""
        count, known = len(self.entries), len(self.rows)
        products = [np.zeros((n, n, count + known)) for n in self.sizes]
        for k, e in enumerate(self.entries):
            gram, matrix, product = grams[e.block], matrices[e.block], products[e.block]
            share = self.linear[:, k] if e.i == e.j else self.linear[:, k] / 2
            for i, j in {(e.i, e.j), (e.j, e.i)}:
                product[i, :, k] += matrix[j]
                product[:, j, count:] += np.outer(gram[:, i], share)
        top = np.hstack([self.linear, np.zeros((known, known))])
        return np.concatenate([top, *(p.reshape(-1, count + known) for p in products)])


def _is_reachable(polynomial: Polynomial, blocks: Sequence[Block]) -> bool:
    """Whether any symmetric matrices make the blocks add up to the polynomial, modulo a prime."""
    terms = entries_of(blocks)
    rows = {m: k for k, m in enumerate(reached(terms))}
    goal = polynomial.to_dict()
    if not goal.keys() <= rows.keys():
        return False
    matrix = flint.nmod_mat(len(rows), len(terms) + 1, _PRIME)
    for k, term in enumerate([*(e.terms for e in terms), goal]):
        check()
        for m, c in term.items():
            matrix[rows[m], k] = int(c.p) * pow(int(c.q), -1, _PRIME) % _PRIME
    echelon, rank = matrix.rref()
    return any(int(echelon[rank - 1, k]) for k in range(len(terms)))


def _complement(
    kernel: np.ndarray, basis: tuple[Polynomial, ...], scaling: Scaling, tolerance: float
) -> tuple[Polynomial, ...] | None:
    """The combinations of a basis that are orthogonal to the rows of `kernel`; None if they are not rational."""
    rows: np.ndarray = kernel.copy()
    pivots: list[int] = []
    for r in range(len(rows)):
        free = [j for j in range(rows.shape[1]) if j not in pivots]
        i, j = divmod(int(np.argmax(np.abs(rows[r:][:, free]))), len(free))
        rows[[r, r + i]] = rows[[r + i, r]]
        pivot = free[j]
        rows[r] /= rows[r, pivot]
        others = np.arange(len(rows)) != r
        rows[others] -= np.outer(rows[others, pivot], rows[r])
        pivots.append(pivot)
    # Numbers are short in the original variables, in which the element j is its scale times what it is here.
    scales = [sum(e * int(a) for e, a in zip(scaling.exponents, p.monomial(0), strict=True)) for p in basis]
    result = []
    for j in range(rows.shape[1]):
        if j not in pivots:
            element = basis[j]
            for row, pivot in enumerate(pivots):
                unit = power_of_two(scales[pivot] - scales[j])
                share = _short(float(rows[row, j]), unit, tolerance)
                if share is None:
                    return None
                element -= share * basis[pivot]
            result.append(element)
    return tuple(result)


def _short(value: float, unit: flint.fmpq, tolerance: float) -> flint.fmpq | None:
    """`unit` times a rational of few digits, within the tolerance of a value; None if no number so near is short."""
    if abs(value) < tolerance:
        return flint.fmpq(0)
    target = Fraction(value) / Fraction(int(unit.p), int(unit.q))
    error = tolerance * max(1.0, 1 / abs(value))
    before, last = (0, 1), (1, 0)
    rest = target
    while True:
        whole = rest.numerator // rest.denominator
        before, last = last, (whole * last[0] + before[0], whole * last[1] + before[1])
        if abs(last[0]) * last[1] * error > _NOISE:
            return None
        if abs(Fraction(*last) - target) <= error * abs(target):
            return flint.fmpq(*last) * unit
        rest = 1 / (rest - whole)
