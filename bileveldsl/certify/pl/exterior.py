"""A function strongly convex on a core around its minimizer, with large gradients and a rising value outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np

from bileveldsl.certify import boxes
from bileveldsl.certify.cover import scattered
from bileveldsl.certify.pl.bends import Proof, diagonal, restated, semidefinite
from bileveldsl.certify.pl.expansion import expand
from bileveldsl.certify.pl.landscape import Landscape, shortened, starts
from bileveldsl.certify.pl.rules import Proved
from bileveldsl.certify.pl.search import SHARES, Pair, climbed, largest
from bileveldsl.certify.scalars import (
    Scalar,
    gradient,
    negated,
    number,
    power,
    product,
    substitute,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question, text

_OWN = 3
_CORES = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 16))
_TRIED = 2  # cores
_RADII = (4, 16, 64)
_DIRECTIONS = 192
_TINY = 1e-9


@dataclass(frozen=True)
class Shape:
    """Where a function is split: |y_i - centre_i| <= core for all i, and beyond `radius` for some i."""

    centre: tuple[Fraction, ...]
    core: Fraction
    radius: Fraction

    @property
    def sides(self) -> list[tuple[int, int]]:
        """The position and the sign of each side of the cubes."""
        return [(k, sign) for k in range(len(self.centre)) for sign in (1, -1)]


def core_exterior_rule(question: Question, pair: Pair) -> Proved | None:
    """The inequality by strong convexity on a core, and by |grad g|^2 / 2 >= mu (g - gamma) outside.

    With m its modulus, gamma = g(c) - |grad g(c)|^2 / (2 m) is a lower bound of g on the core around c. Outside,
    (y - c)' grad g >= 0 makes g grow along every ray from c, so that its minimizers lie in the core. Far away both
    are polynomials in the distance with bounded coefficients.
    """
    if len(question.own) > _OWN:
        return None
    centre = tuple(shortened(float(pair.q[i]), 1e-6) for i in question.own)

    around = _Around(question, centre)
    cores = [
        (width, modulus, inside, around.most(width, modulus))
        for width, modulus, inside in islice(_cores(question, centre), _TRIED)
    ]

    def proved(mu: Fraction) -> Proof | None:
        for width, modulus, inside, most in cores:
            if most < mu:
                continue
            outside = conditions(question.root, question.own, centre, mu, modulus)
            for factor in _RADII:
                shape = Shape(centre, width, max(width, Fraction(1, 2)) * factor)
                far = _far(question, outside, shape)
                if far is None:
                    continue
                near = _near(question, outside, shape)
                if near is not None:
                    return {
                        "kind": "core-exterior", "centre": [text(c) for c in centre], "core": text(width),
                        "modulus": text(modulus), "radius": text(shape.radius), "inside": inside,
                        "near": near, "far": far,
                    }  # fmt: skip
                break
        return None

    if len(centre) == 1:
        return largest(pair.ratio, proved, SHARES[2:])
    return climbed(min(pair.ratio, max((most for *_, most in cores), default=0.0)), proved)


class _Around:
    """Points about a centre, at which a constant is seen to be too large before it is tried to be proved."""

    def __init__(self, question: Question, centre: Sequence[Fraction]):
        own = list(question.own)
        landscape = Landscape(question.root, own)
        begun = starts(question)[::4]  # values of the other variables, each once
        centres = begun.copy()
        centres[:, own] = [float(c) for c in centre]
        self.points = np.repeat(centres, _DIRECTIONS, axis=0)
        count = len(self.points)
        ways = 2 * scattered(count, len(own), 5) - 1
        ways[(ways == 0).all(1)] = 1.0
        ways /= np.abs(ways).max(1, keepdims=True)
        self.far = np.resize(2.0 ** np.linspace(-5, 7, _DIRECTIONS), count)
        self.points[:, own] += self.far[:, None] * ways
        self.values, slopes = landscape.values(self.points), landscape.slopes(self.points)
        self.steep = (slopes**2).sum(1) / 2
        self.rises = (ways * slopes).sum(1)
        at, steep = landscape.values(centres), (landscape.slopes(centres) ** 2).sum(1) / 2
        self.at, self.steep_at = (np.repeat(each, _DIRECTIONS) for each in (at, steep))

    def most(self, width: Fraction, modulus: Fraction) -> float:
        """About the largest constant that the points outside of a core with a modulus allow, 0 if there is none."""
        outside = (self.far > float(width)) & np.isfinite(self.values)
        above = (self.values - self.at + self.steep_at / float(modulus))[outside]
        if (self.rises[outside] < -_TINY).any() or (above <= 0).any():
            return 0.0
        return float(min(float(modulus), (self.steep[outside] / above).min(initial=np.inf)))


def conditions(
    root: Scalar, own: Sequence[int], centre: Sequence[Fraction], mu: Fraction, modulus: Fraction
) -> list[Scalar]:
    """What must be >= 0 outside of a core on which the Hessian is at least modulus I."""
    slopes = gradient(root, own)
    at_centre = substitute([root, *slopes], {variable(v): number(c) for v, c in zip(own, centre, strict=True)})
    gamma = total([at_centre[0], *(product([number(-1 / (2 * modulus)), power(s, 2)]) for s in at_centre[1:])])
    above = total([root, negated(gamma)])
    gap = total([*(product([number(Fraction(1, 2)), power(s, 2)]) for s in slopes), product([number(-mu), above])])
    rise = total(product([total([variable(v), number(-c)]), s]) for v, c, s in zip(own, centre, slopes, strict=True))
    return [gap, rise]


def _cores(question: Question, centre: Sequence[Fraction]) -> Iterator[tuple[Fraction, Fraction, Proof]]:
    """Half widths of cubes around the centre with a modulus of strong convexity that is proved on them."""
    for width in _CORES:
        ends = {v: (float(c - width), float(c + width)) for v, c in zip(question.own, centre, strict=True)}
        inside = restated(question, ends)
        found = boxes.best_bounds(inside, smooth=False)
        if found.mu is not None and found.mu > 0 and found.mu_proof is not None:
            yield width, found.mu, found.mu_proof


def _near(question: Question, outside: Sequence[Scalar], shape: Shape) -> list[Proof] | None:
    """Proofs of the conditions between the core and the radius, on either side of the centre along each axis."""
    proofs = []
    for k, sign in shape.sides:
        ends = {
            v: (float(c - shape.radius), float(c + shape.radius))
            for v, c in zip(question.own, shape.centre, strict=True)
        }
        c = shape.centre[k]
        low, high = sorted((float(c + sign * shape.core), float(c + sign * shape.radius)))
        ends[question.own[k]] = (low, high)
        proof = semidefinite(question, diagonal(outside), ends, by="boxes")
        if proof is None:
            return None
        proofs.append(proof)
    return proofs


def _far(question: Question, outside: Sequence[Scalar], shape: Shape) -> list[Proof] | None:
    """Proofs of the conditions where |y_k - c_k| >= radius is the largest of all, y_k on one side of c_k.

    There y_k = c_k + sign (radius + t) and y_j = c_j + (radius + t) u_j with t >= 0, |u_j| <= 1; the coefficients
    of the powers of t are to be >= 0.
    """
    proofs = []
    for k, sign in shape.sides:
        t = question.own[k]
        along = total([variable(t), number(shape.radius)])
        values: dict[Scalar, Scalar] = {}
        for v, c in zip(question.own, shape.centre, strict=True):
            values[variable(v)] = total([number(c), product([along, number(sign) if v == t else variable(v)])])
        ends = dict.fromkeys(question.own, (-1.0, 1.0)) | {t: (0.0, np.inf)}
        coefficients: list[Scalar] = []
        for root in substitute(list(outside), values):
            found = coefficients_in(root, t)
            if found is None:
                return None
            coefficients += found
        proof = semidefinite(question, diagonal(coefficients), ends, by="boxes")
        if proof is None:
            return None
        proofs.append(proof)
    return proofs


def coefficients_in(root: Scalar, t: int) -> list[Scalar] | None:
    """The coefficients of a node as a polynomial in a variable, the leading one first; None if it is none."""
    expanded = expand([root])
    if expanded is None:
        return None
    generators = expanded.generators
    place = next((k for k, g in enumerate(generators) if g is variable(t)), None)
    if place is None:
        return [root]
    return list(_by_degree(expanded.polynomials[0], place, expanded.node))


def _by_degree(polynomial: Any, place: int, node: Any) -> Iterator[Scalar]:
    context = polynomial.context()
    degree = int(polynomial.degrees()[place])
    parts: list[dict[tuple[int, ...], Any]] = [{} for _ in range(degree + 1)]
    for exponents, coefficient in polynomial.terms():
        rest = tuple(0 if k == place else int(e) for k, e in enumerate(exponents))
        parts[degree - int(exponents[place])][rest] = coefficient
    for part in parts:
        yield node(context.from_dict(part))
