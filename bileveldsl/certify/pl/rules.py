"""Rules that prove the Polyak-Lojasiewicz inequality from the form of a function; each gives its constant."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from bileveldsl.certify.pl.bends import Proof, least_sampled, semidefinite, strong_convexity
from bileveldsl.certify.pl.landscape import Landscape, starts
from bileveldsl.certify.pl.rational import orthogonal, rounded_down
from bileveldsl.certify.pl.reductions import null_directions
from bileveldsl.certify.pl.search import largest
from bileveldsl.certify.scalars import (
    ZERO,
    Scalar,
    enclose,
    gradient,
    hessian,
    negated,
    number,
    occurring,
    power,
    product,
    total,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

Proved = tuple[Fraction, Proof]
Prover = Callable[[Question], Proved | None]


def rows_of(entries: dict[tuple[int, int], Scalar], size: int) -> list[list[Scalar]]:
    """A symmetric matrix of nodes from the entries of its upper triangle."""
    return [[entries.get((min(i, j), max(i, j)), ZERO) for j in range(size)] for i in range(size)]


def shifted(rows: Sequence[Sequence[Scalar]], diagonal: Sequence[Scalar]) -> list[list[Scalar]]:
    """A matrix less a diagonal one."""
    subtracted = [negated(entry) for entry in diagonal]
    return [[total([e, subtracted[i]]) if i == j else e for j, e in enumerate(row)] for i, row in enumerate(rows)]


def product_rule(question: Question, prove: Prover) -> Proved | None:
    """w(x) h(y) with w >= w0 > 0 has w0 times the constant of h."""
    root, own = question.root, frozenset(question.own)
    if root.op != "*":
        return None
    weights = [f for f in root.args if not occurring(f) & own]
    if not weights:
        return None
    least = enclose([product(weights)], question.lo[None], question.hi[None])[0].least
    if not 0 < least < math.inf:
        return None
    inner = prove(replace(question, root=product(f for f in root.args if occurring(f) & own)))
    if inner is None:
        return None
    weight = _slightly_less(least)
    return weight * inner[0], {"kind": "product", "weight": text(weight), "constant": text(inner[0]), "proof": inner[1]}


def _slightly_less(bound: float) -> Fraction:
    """A short rational just below a proved bound, whichever way others round; whole numbers stay."""
    near = Fraction(bound).limit_denominator(1000)
    if near <= Fraction(bound) and float(near) > 0.999999 * bound:
        return near
    return rounded_down(bound * (1 - 1e-12), 9)


def separable_rule(question: Question, prove: Prover) -> Proved | None:
    """A sum of functions of different own variables has the least of their constants; what is free of them drops."""
    root, own = question.root, frozenset(question.own)
    terms = root.args if root.op == "+" else (root,)
    groups: list[tuple[set[int], list[Scalar]]] = []
    for term in terms:
        used = set(occurring(term) & own)
        if not used:
            continue
        joined = [g for g in groups if g[0] & used]
        groups = [g for g in groups if not g[0] & used]
        groups.append((used.union(*(g[0] for g in joined)), [*(t for g in joined for t in g[1]), term]))
    moving = set().union(*(g[0] for g in groups))
    if not groups or moving != own or (len(groups) == 1 and len(groups[0][1]) == len(terms)):
        return None
    parts: list[Proof] = []
    constants: list[Fraction] = []
    for used, addends in sorted(groups, key=lambda g: min(g[0])):
        part_own = tuple(sorted(used))
        inner = prove(replace(question, root=total(addends), own=part_own))
        if inner is None:
            return None
        constants.append(inner[0])
        parts.append({"own": list(part_own), "constant": text(inner[0]), "proof": inner[1]})
    return min(constants), {"kind": "separable", "parts": parts}


# ---- least squares --------------------------------------------------------------------------


def squares(question: Question) -> tuple[list[Scalar], list[Scalar]] | None:
    """Weights c and residuals phi of a function sum_k c_k(x) phi_k(x, y)^2 + const(x); None if it is none.

    A square in own variables may be a product of even powers, one of them 2 in all, times weights.
    """
    own = frozenset(question.own)
    terms = question.root.args if question.root.op == "+" else (question.root,)
    weights, residuals = [], []
    for term in terms:
        if not occurring(term) & own:
            continue
        factors = term.args if term.op == "*" else (term,)
        moving = [f for f in factors if occurring(f) & own]
        if not all(f.op == "^" and f.value.denominator == 1 and f.value > 0 and f.value % 2 == 0 for f in moving):
            return None
        weights.append(product(f for f in factors if not occurring(f) & own))
        residuals.append(product(power(f.args[0], f.value / 2) for f in moving))
    return (weights, residuals) if weights else None


def least_squares_rule(question: Question) -> Proved | None:
    """sum c phi^2 with J J' - (mu/2) diag(1/c) positive semidefinite, J the Jacobian of phi, has the constant mu."""
    found = squares(question)
    if found is None or len(found[0]) > len(question.own):
        return None
    weights, residuals = found
    ranges = enclose(weights, question.lo[None], question.hi[None])
    if not all(r.least > 0 for r in ranges):
        return None
    slopes = [gradient(phi, question.own) for phi in residuals]
    size = len(residuals)
    entries = {
        (i, j): _inner(slopes[i], slopes[j]) for i in range(size) for j in range(i, size)
    }
    rows = rows_of(entries, size)
    sampled = [[product([rows[i][j], power(product([weights[i], weights[j]]), Fraction(1, 2))]) for j in range(size)]
               for i in range(size)]  # fmt: skip
    upper = 2 * least_sampled(sampled, question)

    def proved(mu: Fraction) -> Proof | None:
        bound = [product([number(mu / 2), power(c, -1)]) for c in weights]
        proof = semidefinite(question, shifted(rows, bound))
        return proof and {"kind": "nls", "proof": proof}

    return largest(upper, proved)


def _inner(a: Sequence[Scalar], b: Sequence[Scalar]) -> Scalar:
    pairs = zip(a, b, strict=True)
    return total(power(p, 2) if p is q else product([p, q]) for p, q in pairs)


# ---- quadratics -----------------------------------------------------------------------------


def strong_rule(question: Question) -> Proved | None:
    """A strongly convex function has its modulus as its constant."""
    found = strong_convexity(question)
    return None if found is None else (found[0], {"kind": "strong", "proof": found[1]})


def singular_rule(question: Question) -> Proved | None:
    """A quadratic with H N = 0 and no linear part along N whose H + kappa N N' is at least mu I."""
    entries = hessian(question.root, question.own)
    if any(occurring(entry) & set(question.own) for entry in entries.values()):
        return None
    size = len(question.own)
    null = orthogonal(null_directions(question))
    if not null or len(null) == size:
        return None
    sampled = Landscape(question.root, question.own).hessians(starts(question))
    shortest = min(float(sum(c * c for c in n)) for n in null)
    kappa = Fraction(math.ceil(max(1.0, float(np.abs(sampled).sum(2).max())) / shortest))
    rows = rows_of(entries, size)
    for i in range(size):
        for j in range(size):
            rows[i][j] = total([rows[i][j], number(kappa * sum((n[i] * n[j] for n in null), Fraction(0)))])

    def proved(mu: Fraction) -> Proof | None:
        proof = semidefinite(question, shifted(rows, [number(mu)] * size))
        vectors = [[text(entry) for entry in n] for n in null]
        return proof and {"kind": "quadratic-singular", "null": vectors, "kappa": text(kappa), "proof": proof}

    return largest(least_sampled(rows, question), proved)
