"""Polynomials with a known minimizer: g - min g and |grad g|^2 / 2 - mu (g - min g) as sums of squares."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from bileveldsl.certify.pl.bends import Proof, diagonal, is_atom, semidefinite
from bileveldsl.certify.pl.expansion import node_list
from bileveldsl.certify.pl.landscape import Landscape, shortened, starts
from bileveldsl.certify.pl.reductions import collected
from bileveldsl.certify.pl.rules import Proved
from bileveldsl.certify.pl.search import Pair, largest
from bileveldsl.certify.scalars import (
    Scalar,
    gradient,
    negated,
    number,
    occurring,
    power,
    product,
    substitute,
    topological,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question

_VARIABLES = 6
_TERMS = 1e-6


def minimizer_rule(question: Question, pair: Pair) -> Proved | None:
    """The inequality for a polynomial whose minimizer is an affine function of the other variables."""
    if len(occurring(question.root)) > _VARIABLES or any(map(is_atom, topological([question.root]))):
        return None
    minimizer = _minimizer(question)
    if minimizer is None:
        return None
    values = {variable(v): s for v, s in zip(question.own, minimizer, strict=True)}
    above = collected(total([question.root, negated(substitute([question.root], values)[0])]))
    half = [product([number(Fraction(1, 2)), power(s, 2)]) for s in gradient(question.root, question.own)]
    nodes, places = node_list(minimizer)

    def proved(mu: Fraction) -> Proof | None:
        gap = total([*half, product([number(-mu), above])])
        proof = semidefinite(question, diagonal([above, gap]), by="squares")
        return proof and {"kind": "pl-sos", "nodes": nodes, "minimizer": places, "proof": proof}

    return largest(pair.ratio, proved)


def _minimizer(question: Question) -> list[Scalar] | None:
    """The minimizer as an affine function with short coefficients, fitted to minimizers found; not proved to be one."""
    landscape = Landscape(question.root, question.own)
    points = landscape.descended(starts(question))
    others = sorted(occurring(question.root) - set(question.own))
    lowest: dict[bytes, np.ndarray] = {}
    for point, value in sorted(zip(points, landscape.values(points), strict=True), key=lambda pair: pair[1]):
        if np.isfinite(value):
            lowest.setdefault(point[others].tobytes(), point)
    found = np.array(list(lowest.values())).reshape(len(lowest), points.shape[1])
    if len(found) <= len(others):
        return None
    columns = np.column_stack([np.ones(len(found)), found[:, others]])
    return [_affine(columns, found[:, v], others) for v in question.own]


def _affine(columns: np.ndarray, values: np.ndarray, others: Sequence[int]) -> Scalar:
    fitted = np.linalg.lstsq(columns, values, rcond=None)[0]
    constant, *slopes = (shortened(float(c), _TERMS) for c in fitted)
    return total([number(constant), *(product([number(c), variable(v)]) for c, v in zip(slopes, others, strict=True))])
