"""How a function bends in a level's own variables: what composition, structure and second derivatives tell of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import Expr, Symbol, add, symbols_of
from bileveldsl.certify import large, refuting, sums
from bileveldsl.certify.clock import share, until
from bileveldsl.certify.curvature import Composition, Curvature
from bileveldsl.certify.defined import is_defined
from bileveldsl.certify.hessian import CONSTANT_SIZE, Hessian, twice_differentiable
from bileveldsl.certify.interval import round_down
from bileveldsl.certify.modulus import Modulus
from bileveldsl.certify.parts import operations, terms
from bileveldsl.certify.refute import midpoint_violation
from bileveldsl.certify.region import Region
from bileveldsl.certify.second_order import Bends, Bound, Proof, second_order
from bileveldsl.certify.statement import Question
from bileveldsl.language.data.mapped import is_mapped

_PART = 0.6  # of the time that is left, for the second derivatives of one function
_OPERATIONS = 10_000  # of a function times pairs of its variables, beyond which its Hessian is not written out


@dataclass(frozen=True)
class Evidence:
    """What was found of a function: how it bends by composition, bounds of its second derivatives, a refutation.

    `witness` shows by names and values that it is not convex; `pointwise` that it is strongly convex for each
    value of the other variables, by `modulus` where that is known. `pl` is a constant of the Polyak-Lojasiewicz
    inequality that the structure gives; `work` tells whether there was time for all that could be tried.
    """

    curvature: Curvature
    bends: Bends = field(default_factory=Bends)
    witness: Mapping[str, Any] | None = None
    pointwise: bool = False
    modulus: Expr | None = None
    pl: Bound | None = None
    work: until = field(default_factory=lambda: until(math.inf))

    @property
    def convex(self) -> bool:
        return self.curvature.convex or (self.bends.mu is not None and self.bends.mu.value >= 0)


def examine(
    root: Expr, region: Region, composition: Composition, question: Question | None, small: bool = True
) -> Evidence:
    """How a scalar node bends: by composition and structure, and by its scalar form.

    Parameters
    ----------
    root
        The function.
    region, composition
        Where it is asked about, and what composition tells of its nodes.
    question
        Its scalar form, if it is written out.
    small
        Whether the scalar form is judged rather than the arrays, and not only where these leave convexity open.
    """
    found = Evidence(composition(root))
    structure = Modulus(composition, region.level.symbols)
    least, greatest = -math.inf, math.inf
    with until(math.inf) as work:
        with until(share(_PART)):
            bounds = structure(root).values()
            least, greatest = min(b.least for b in bounds), max(max(b.greatest, -b.least) for b in bounds)
            found = replace(found, pointwise=all(b.positive for b in bounds))
            if least > 0 or found.pointwise:
                found = replace(found, modulus=structure.at_each(root))
        if question is None or not small:
            found = _of_arrays(root, region, composition, found, structure, least, greatest)
        if question is not None and (small or not (found.convex or found.witness is not None)):
            fine = _of_scalars(root, composition, question, found.curvature.convex)
            coarse = Bends(_lower(least), L=_upper(greatest), rule="structure")
            witness = None if fine.refuted is None else named(fine.refuted, question)
            if small or witness is not None or (fine.mu is not None and fine.mu.value >= 0):
                found = replace(found, bends=_better(fine, coarse), witness=witness)
    return replace(found, work=work)


def _of_scalars(root: Expr, composition: Composition, question: Question, convex: bool) -> Bends:
    """Bounds of second derivatives written out, where these tell of a function that has a value everywhere."""
    with until(share(_PART)):
        if is_defined(question):
            return second_order(question, convex, sums.addends(root, composition, question))
        if not convex:
            return Bends(refuted=refuting.refute_convex(question))
    return Bends()


def _lower(value: float, proof: Proof | None = None) -> Bound | None:
    return Bound(value, proof) if math.isfinite(value) else None


def _upper(value: float, proof: Proof | None = None) -> Bound | None:
    return Bound(max(value, 0.0), proof) if math.isfinite(value) else None


def _better(fine: Bends, coarse: Bends) -> Bends:
    """The bounds with proofs, and those of the structure where these say more by a percent."""
    if coarse.mu is not None and (fine.mu is None or _exceeds(coarse.mu.value, fine.mu.value)):
        fine = replace(fine, mu=coarse.mu, rule="structure")
    if coarse.L is not None and (fine.L is None or _exceeds(fine.L.value, coarse.L.value)):
        fine = replace(fine, L=coarse.L)
    return fine


def _exceeds(a: float, b: float) -> bool:
    return a > b + 0.01 * abs(b) + 1e-12


def named(proof: Mapping[str, Any], question: Question) -> dict[str, Any]:
    """The points and directions of a proof by the names of variables; rationals that are no floats are text."""

    def arrays(point: Mapping[str, str]) -> dict[str, Any]:
        values = {int(k): _plain(Fraction(v)) for k, v in point.items()}
        elements = question.statement.elements.items()
        met = [(s, numbers) for s, numbers in elements if any(int(k) in values for k in numbers.flat)]
        return {s.name: _nested(numbers, values) for s, numbers in met}

    return {key: arrays(value) for key, value in proof.items() if _is_point(value)}


def _is_point(value: Any) -> bool:
    return isinstance(value, Mapping) and all(k.isdecimal() and isinstance(v, str) for k, v in value.items())


def _plain(value: Fraction) -> float | str:
    near = round_down(value)
    return near if Fraction(near) == value else str(value)


def _nested(numbers: np.ndarray, values: Mapping[int, float | str]) -> Any:
    return [_nested(row, values) for row in numbers] if numbers.ndim else values.get(int(numbers), 0.0)


# ---- large functions ------------------------------------------------------------------------


def _of_arrays(
    root: Expr, region: Region, composition: Composition, found: Evidence, structure: Modulus, least: float, most: float
) -> Evidence:
    """Bounds by structure, by the Hessian as arrays, and three points on a line, of functions not written out."""
    symbols = region.level.symbols
    bends = Bends(
        _lower(least, structure.proof(root, "strongly_convex" if least > 0 else "convex") if least >= 0 else None),
        L=_upper(most, structure.proof(root, "smooth") if math.isfinite(most) else None),
        pointwise=structure.proof(root, "strongly_convex") if found.pointwise and least <= 0 else None,
        mu_upper=Bound(0.0, None) if least == most == 0 else None,
        rule="structure",
    )
    with until(share(_PART)):
        inequality = structure.polyak_lojasiewicz(root) if region.everything and not region.level.constraints else 0.0
        if inequality > 0:
            found = replace(found, pl=Bound(inequality, structure.proof(root, "pl")))
    with until(share(_PART)):
        bends, witness = _by_hessian(root, region, composition, bends)
        found = replace(found, witness=witness)
    with until(share(_PART)):
        bends, witness = large.other_sides(root, region, composition, bends)
        found = replace(found, witness=witness or found.witness)
    found = replace(found, bends=bends)
    if found.convex or found.witness is not None:
        return found
    with until(share(_PART)):
        found = replace(found, witness=midpoint_violation(root, symbols, region))
    return found


def _by_hessian(
    root: Expr, region: Region, composition: Composition, bends: Bends
) -> tuple[Bends, Mapping[str, Any] | None]:
    """The bounds with those by the Hessian as arrays where these say more, and where it bends down."""
    hessian, whole = _smooth_part(root, composition, region.level.symbols)
    if hessian is None:
        return bends, None
    bottom = hessian.least(region.inside)
    if bends.mu is None or _exceeds(bottom.lower, bends.mu.value):
        bends = replace(bends, mu=_lower(bottom.lower), rule="hessian")
    if not whole:
        return bends, None
    greatest = hessian.greatest(region.inside)
    top = _upper(max(-greatest.lower, -bottom.lower))
    if top is not None and (bends.L is None or _exceeds(bends.L.value, top.value)):
        bends = replace(bends, L=top)
    size = max(-bottom.upper, -greatest.upper)
    bends = replace(bends, mu_upper=_lower(bottom.upper), L_lower=_upper(size) if size > 0 else None)
    if bottom.upper >= 0 or bottom.point is None:
        return bends, None
    point = hessian.witness(bottom.point)
    values = {s.name: v.tolist() for s, v in region.completed(point.values).items()}
    direction = {s.name: v.tolist() for s, v in point.direction.items()}
    return bends, {"point": values, "direction": direction, "curvature": bottom.upper}


def _smooth_part(
    root: Expr, composition: Composition, symbols: tuple[Symbol, ...]
) -> tuple[Hessian | None, bool]:
    """The Hessian of the smooth terms of a function whose other terms are convex, and whether there are no others."""
    if sum(math.prod(s.shape) for s in symbols) > CONSTANT_SIZE or operations([root]) * len(symbols) ** 2 > _OPERATIONS:
        return None, False
    if any(is_mapped(s.value) for s in symbols_of(root)):  # the Hessian as arrays takes copies of the data
        return None, False
    smooth = [term for term in terms(root) if twice_differentiable(term, composition)]
    rough = [term for term in terms(root) if term not in smooth]
    if not smooth or not all(composition(term).convex for term in rough):
        return None, False
    hessian = Hessian(add(*smooth), symbols, composition.ranges)
    return (hessian if hessian.feasible else None), not rough
