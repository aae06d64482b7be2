"""Matrices of nodes that are positive semidefinite, as questions of how a quadratic form bends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.certify import boxes, sos
from bileveldsl.certify.cover import scattered
from bileveldsl.certify.scalars import (
    ZERO,
    Scalar,
    enclose,
    evaluate,
    number,
    occurring,
    power,
    product,
    substitute,
    topological,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, ScalarVariable

Rows = Sequence[Sequence[Scalar]]
Proof = dict[str, Any]
Ends = Mapping[int, tuple[float, float]]
_FLAT = 1e-9  # an eigenvalue seen that is no more than that may well be 0


def strong_convexity(question: Question) -> tuple[Fraction, Proof] | None:
    """A modulus mu > 0 of strong convexity with the proof that the Hessian is at least mu I."""
    plain = restated(question, {})
    found = boxes.best_bounds(plain, smooth=False)
    if found.mu is not None and found.mu > 0 and found.mu_proof is not None:
        return found.mu, found.mu_proof
    if found.mu_seen <= _FLAT:
        return None
    squares = sos.best_modulus(plain)
    return squares if squares is not None and squares[0] > 0 else None


def semidefinite(question: Question, rows: Rows, ends: Ends | None = None, by: str = "either") -> Proof | None:
    """A proof that a symmetric matrix M of nodes is positive semidefinite, boxes of variables being replaced by others.

    It is found by a cover of "boxes", by sums of "squares", or by "either". It says that v'Mv/2 is convex in the
    vector v, whose components are variables with the numbers after all others.
    """
    plain = restated(question, ends or {})
    first = len(plain.statement.variables)
    fresh = [variable(first + k) for k in range(len(rows))]
    form = total(
        product([entry, number(Fraction(1, 2) if i == j else 1), *([power(v, 2)] if i == j else [v, fresh[j]])])
        for i, (v, row) in enumerate(zip(fresh, rows, strict=True))
        for j, entry in enumerate(row)
        if j >= i
    )
    more = tuple(ScalarVariable(f"form[{k}]", "form", -np.inf, np.inf, False) for k in range(len(rows)))
    statement = replace(plain.statement, variables=(*plain.statement.variables, *more))
    asked = replace(plain, statement=statement, root=form, own=tuple(range(first, first + len(rows))))
    found = None if by == "squares" else boxes.prove_bend(asked, 1, Fraction(0))
    return found if found is not None or by == "boxes" else sos.prove_bend(asked, 1, Fraction(0))


def diagonal(roots: Sequence[Scalar]) -> list[list[Scalar]]:
    """The matrix that is semidefinite where all functions are >= 0."""
    return [[root if i == j else ZERO for j in range(len(roots))] for i, root in enumerate(roots)]


def restated(question: Question, ends: Ends) -> Question:
    """The question without conditions, boxes of variables being replaced by others."""
    variables = list(question.statement.variables)
    for index, (lower, upper) in ends.items():
        variables[index] = replace(variables[index], lower=lower, upper=upper, integer=False)
    return replace(
        question, statement=replace(question.statement, variables=tuple(variables), constraints=(), conditions=())
    )


def least_sampled(rows: Rows, question: Question) -> float:
    """The least eigenvalue of a matrix at sample points, bounded functions of y being free of each other; no proof."""
    size = len(rows)
    places = [(i, j) for i in range(size) for j in range(i, size)]
    values = _sampled([rows[i][j] for i, j in places], question.lo, question.hi)
    matrices = np.zeros((values.shape[1], size, size))
    for (i, j), entry in zip(places, values, strict=True):
        matrices[:, i, j] = matrices[:, j, i] = entry
    matrices = matrices[np.isfinite(matrices).all((1, 2))]
    return float(np.linalg.eigvalsh(matrices)[:, 0].min(initial=np.inf))


def is_atom(node: Scalar) -> bool:
    """Whether a node is no polynomial of its arguments."""
    if node.op == "^":
        return node.value.denominator != 1 or node.value < 0
    return node.op not in ("num", "var", "+", "*")


def _sampled(roots: Sequence[Scalar], lo: np.ndarray, hi: np.ndarray, count: int = 2048) -> np.ndarray:
    """Values at points of the box, those at its corners too; bounded functions of unbounded variables are variables."""
    endless = {i for i in range(len(lo)) if np.isinf(lo[i]) or np.isinf(hi[i])}
    atoms = [n for n in topological(roots) if is_atom(n) and occurring(n) & endless]
    replaced: dict[Scalar, Scalar] = {}
    lows, highs = list(lo), list(hi)
    for node, range_ in zip(atoms, enclose(atoms, lo[None], hi[None]) if atoms else [], strict=True):
        if np.isfinite(range_.least) and np.isfinite(range_.greatest):
            replaced[node] = variable(len(lows))
            lows.append(range_.least)
            highs.append(range_.greatest)
    roots = substitute(roots, replaced)
    lo, hi = np.array(lows), np.array(highs)
    low = np.where(np.isfinite(lo), lo, np.where(np.isfinite(hi), hi - 64, -64.0))
    high = np.where(np.isfinite(hi), hi, np.where(np.isfinite(lo), lo + 64, 64.0))
    used = sorted(occurring(*roots))
    corners = np.array(list(np.ndindex(*(3,) * min(len(used), 6)))) / 2.0
    shares = np.zeros((count + len(corners), len(lo)))
    shares[:count, used] = scattered(count, len(used))
    shares[count:, used[:6]] = corners
    return evaluate(roots, low + shares * (high - low))
