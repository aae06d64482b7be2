"""Refutations along lines and curves: no lower bound, or a gradient of smaller order than g - min g."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import numpy as np
from flint import fmpq, fmpq_mpoly, fmpq_poly

from bileveldsl.certify.pl.bends import Proof
from bileveldsl.certify.pl.growth import ORIGIN, NotFollowed, Rational, growth, series
from bileveldsl.certify.pl.rational import null_space_near
from bileveldsl.certify.pl.stationary import Point, Terrain, directions, exact_stationary, written
from bileveldsl.certify.scalars import (
    Scalar,
    gradient,
    negated,
    number,
    polynomials,
    power,
    product,
    ring,
    substitute,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Question

_ONE = fmpq_poly([1])


def ray_refutation(terrain: Terrain) -> Proof | None:
    """A direction from 0 in which the function goes to -inf."""
    for direction in directions(terrain.own):
        curve = {v: _line(Fraction(0), direction.get(v, Fraction(0))) for v in terrain.own}
        try:
            [g] = growth([terrain.root], curve)
        except NotFollowed:
            continue
        if g.order > ORIGIN and g.hi < 0:
            return {"kind": "ray", "start": {}, "direction": written(direction)}
    return None


def asymptotic_refutation(terrain: Terrain) -> Proof | None:
    """A curve along which |grad g|^2 is of smaller order than g - g(low point) > 0."""
    low = terrain.point(terrain.lowest)
    for curve in _curves(terrain):
        found = asymptotic(terrain.root, terrain.own, curve, {v: _line(c, Fraction(0)) for v, c in low.items()})
        if found is not None:
            return found
    return None


def vanishing_refutation(question: Question, others: Point) -> Proof | None:
    """Curves along which another variable goes to an end of its box and no constant remains.

    Tried are p = t d against q = 0, and p = 0 against q = t d or t^2 d, for some directions d.
    """
    at = {variable(v): number(c) for v, c in others.items()}
    for moving, function in _ends(question, others):
        kept = {v: c for v, c in others.items() if v != moving}
        [root] = substitute([question.root], {variable(v): at[variable(v)] for v in kept})
        for direction in directions(question.own):
            along = {v: direction.get(v, Fraction(0)) for v in question.own}
            fixed = {v: _line(Fraction(0), Fraction(0)) for v in question.own}
            for p, q in ((1, 0), (0, 1), (0, 2)):
                first, second = (
                    {v: (fmpq_poly([0] * k + [_fmpq(c)]), _ONE) for v, c in along.items()} if k else fixed
                    for k in (p, q)
                )
                found = asymptotic(root, question.own, {**first, moving: function}, second)
                if found is not None:
                    return {**found, "point": written(kept)}
    return None


def _ends(question: Question, others: Point) -> Iterator[tuple[int, Rational]]:
    """Ways of other variables to the ends of their boxes that are infinite or 0."""
    for v in others:
        if question.hi[v] == np.inf:
            yield v, (fmpq_poly([0, 1]), _ONE)
        if question.lo[v] == -np.inf:
            yield v, (fmpq_poly([0, -1]), _ONE)
        if question.lo[v] == 0 < question.hi[v]:
            yield v, (fmpq_poly([1]), fmpq_poly([0, 1]))


def asymptotic(
    root: Scalar, own: Sequence[int], curve: Mapping[int, Rational], lower: Mapping[int, Rational]
) -> Proof | None:
    """The proof that no constant fits along curves p and q, if none does."""
    first = max([*curve, *own]) + 1
    second = {v: first + k for k, v in enumerate(own)}
    [below] = substitute([root], {variable(v): variable(w) for v, w in second.items()})
    steep = total(power(s, 2) for s in gradient(root, own))
    try:
        slope, rise = growth(
            [steep, total([root, negated(below)])], {**curve, **{second[v]: lower[v] for v in own}}
        )
    except NotFollowed:
        return None
    if rise.lo > 0 and (slope.order < rise.order or (slope.order == rise.order and slope.vanishes)):
        return {"kind": "asymptotic", "curve": _written(curve), "lower": _written(lower)}
    return None


def _line(start: Fraction, step: Fraction) -> Rational:
    return fmpq_poly([_fmpq(start), _fmpq(step)]), _ONE


def _written(curve: Mapping[int, Rational]) -> dict[str, list[list[str]]]:
    return {str(v): [_coefficients(p), _coefficients(q)] for v, (p, q) in curve.items()}


def _curves(terrain: Terrain) -> Iterator[dict[int, Rational]]:
    """Lines from 0, and curves on which a slope vanishes that is linear in a variable."""
    for direction in directions(terrain.own):
        yield {v: _line(Fraction(0), direction.get(v, Fraction(0))) for v in terrain.own}
    if len(terrain.own) != 2:
        return
    for first, second in (terrain.own, terrain.own[::-1]):
        for slope in terrain.slopes:
            solved = _solved(slope, first, second)
            if solved is not None:
                yield {first: (fmpq_poly([0, 1]), _ONE), second: solved}


def _solved(slope: Scalar, first: int, second: int) -> Rational | None:
    """Where a polynomial vanishes that is linear in `second`, as a rational function of `first`."""
    found = polynomials([slope], [first, second], ring([first, second]))
    if found is None or int(found[0].degrees()[1]) != 1:
        return None
    constant, linear = (_univariate(found[0], k) for k in (0, 1))
    return -constant, linear


def _univariate(p: fmpq_mpoly, degree: int) -> fmpq_poly:
    """The coefficient of a power of the second generator, as a polynomial in the first."""
    coefficients = {int(e[0]): c for e, c in p.terms() if int(e[1]) == degree}
    return fmpq_poly([coefficients.get(k, fmpq(0)) for k in range(max(coefficients, default=0) + 1)])


def open_ray_refutation(question: Question, weight: int) -> Proof | None:
    """A direction in which a polynomial goes to -inf whatever the positive value of one other variable."""
    t = max(len(question.lo), weight) + 1
    for direction in directions(question.own):
        line = {variable(v): product([number(direction.get(v, Fraction(0))), variable(t)]) for v in question.own}
        found = polynomials(substitute([question.root], line), [t, weight], ring([t, weight]))
        if found is None or found[0].is_constant():
            return None
        degree = int(found[0].degrees()[0])
        if degree and all(c < 0 for e, c in found[0].terms() if int(e[0]) == degree):
            return {"kind": "ray", "start": {}, "direction": written(direction)}
    return None


def degenerate_refutation(terrain: Terrain) -> Proof | None:
    """A line through an exact stationary point on which |grad g|^2 is of higher order than the value."""
    for at in exact_stationary(terrain):
        place = np.zeros((1, len(terrain.question.lo)))
        for v, c in at.items():
            place[0, v] = float(c)
        flat = null_space_near(terrain.landscape.hessians(place)[0], 12)
        for vector in flat:
            line = {v: [at[v], c] for v, c in zip(terrain.own, vector, strict=True)}
            if _is_degenerate(terrain, line):
                direction = dict(zip(terrain.own, vector, strict=True))
                return {"kind": "degenerate", "stationary": written(at), "direction": written(direction)}
    return None


def _is_degenerate(terrain: Terrain, line: Mapping[int, list[Fraction]]) -> bool:
    try:
        rise, *steep = series([terrain.root, *terrain.slopes], line)
    except NotFollowed:
        return False
    first = next((k for k, c in enumerate(rise) if k and c != 0), None)
    orders = [next((k for k, c in enumerate(s) if c != 0), len(s)) for s in steep]
    return first is not None and all(k > 0 and 2 * k > first for k in orders)


def _coefficients(p: fmpq_poly) -> list[str]:
    return [str(c) for c in p.coeffs()] or ["0"]


def _fmpq(value: Fraction) -> fmpq:
    return fmpq(value.numerator, value.denominator)


