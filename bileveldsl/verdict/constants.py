"""The constants of the theorems that are certified for a follower, and what is only known to be missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.structure import degree
from bileveldsl.certify.parts import operations
from bileveldsl.program import Level, Program

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact

OPERATIONS = 5000
"""Of the upper objective, up to which the slope of it is bounded over the boxes."""

Known = Mapping[tuple[str, str], "Fact"]


def holding(facts: Iterable[Fact]) -> Known:
    """The facts that may be relied on."""
    return {(fact.of, fact.fact): fact for fact in facts if fact.holds}


@dataclass(frozen=True)
class Bound:
    """A certified bound of a constant; `other` is the certified bound on its other side."""

    symbol: str
    relation: Literal[">=", "<="]
    value: float
    meaning: str
    verdict: str
    other: float | None = None


@dataclass(frozen=True)
class Constants:
    """Bounds that hold for every x of the box: lower ones of moduli, upper ones of Lipschitz constants.

    f is the follower's objective and F the leader's, as functions of y unless said otherwise. The penalty function
    sigma F + f satisfies the PL inequality with `penalty_mu` for all sigma up to `sigma_max`, where they are known.
    Where y has bounds, `mu` is that of the proximal inequality, which holds from the `curvature` on.
    """

    mu: Bound | None = None
    strong: bool = False
    L: Bound | None = None
    L_F: Bound | None = None
    C_F: Bound | None = None
    rho: Bound | None = None
    rho_F: Bound | None = None
    penalty_mu: float | None = None
    sigma_max: float | None = None
    penalty_why: str = ""
    curvature: Bound | None = None

    @property
    def bounds(self) -> tuple[Bound, ...]:
        found = (self.mu, self.curvature, self.L, self.L_F, self.C_F, self.rho, self.rho_F)
        return tuple(b for b in found if b is not None)

    @property
    def shortest(self) -> float | None:
        """The reciprocal of a step that lowers f as is proved: L, or the curvature where it is greater."""
        if self.L is None or self.curvature is None:
            return None if self.L is None else self.L.value
        return max(self.L.value, self.curvature.value)

    @property
    def kappa(self) -> float | None:
        """An upper bound of L / mu, or of curvature / mu where that is greater, if it is finite."""
        if self.mu is None or self.shortest is None:
            return None
        kappa = max(1.0, self.shortest / self.mu.value)
        if math.isfinite(kappa) and Fraction(kappa) * Fraction(self.mu.value) < Fraction(self.shortest):
            kappa = math.nextafter(kappa, math.inf)
        return kappa if math.isfinite(kappa) else None

    @property
    def missing(self) -> tuple[str, ...]:
        """The constants of Theorem 4.1 of Chen, Xu and Zhang (2024) that are not certified."""
        names = {
            "mu (PL of sigma F + f)": self.penalty_mu,
            "L_f (Lipschitz constant of the gradient of f)": self.L,
            "L_F (Lipschitz constant of the gradient of F)": self.L_F,
            "C_F (Lipschitz constant of F in y)": self.C_F,
            "rho_f (Lipschitz constant of the Hessian of f)": self.rho,
            "rho_F (Lipschitz constant of the Hessian of F)": self.rho_F,
        }
        return tuple(name for name, value in names.items() if value is None)


def constants(program: Program, level: Level, known: Known) -> Constants:
    """What is certified of one follower; only uniform constants count, those of every x of the box.

    Parameters
    ----------
    program, level
        The program and the follower.
    known
        The facts that hold.
    """
    of = f"{level.name}.objective"
    strong = _bound(known.get((of, "strongly_convex")), "mu", ">=", f"{of} bends up at least this much in y")
    pl = known.get((of, "pl"))
    curvature = None if level.constraints else _curvature(pl)
    left = "|gradient|^2" if curvature is None else "D(y, a)"
    mu = strong or _bound(pl, "mu", ">=", f"{left} >= 2 mu (value - minimum) for {of}")
    L = _bound(known.get((of, "smooth")), "L_f", "<=", f"the gradient of {of} in y changes at most this fast")
    L_F = _bound(known.get(("upper.objective", "smooth")), "L_F", "<=",
                 "the gradient of upper.objective changes at most this fast")  # fmt: skip
    C_F = _slope(program, level)
    rho, rho_F = _third(program, level, "rho_f"), _third(program, program.upper, "rho_F")
    found = Constants(mu, strong is not None, L, L_F, C_F, rho, rho_F, curvature=curvature)
    return _with_penalty(found, level, known)


def _bound(fact: Fact | None, symbol: str, relation: Literal[">=", "<="], meaning: str) -> Bound | None:
    if fact is None or fact.x != "box" or fact.constant is None or not math.isfinite(fact.constant):
        return None
    if (relation == ">=" and fact.constant <= 0) or (fact.fact == "pl" and not (fact.y == "all" or _curvature(fact))):
        return None
    return Bound(symbol, relation, fact.constant, meaning, fact.verdict, fact.constant_upper)


def _curvature(fact: Fact | None) -> Bound | None:
    """From where on a proximal inequality between bounds holds."""
    found = None if fact is None else proximal_curvature(fact)
    if fact is None or found is None:
        return None
    return Bound("c", "<=", found, "D(y, a) bounds the gap of the follower for every a >= c", fact.verdict)


def proximal_curvature(fact: Fact) -> float | None:
    """From where on an inequality is proved in its proximal form, which is another than that of all y; None if not."""
    found = fact.witness.get("curvature")
    return found if fact.fact == "pl" and fact.y == "region" and fact.holds else None


def _with_penalty(found: Constants, level: Level, known: Known) -> Constants:
    """PL of sigma F + f: proved as such, or implied by strong convexity of f and smoothness or convexity of F."""
    fact = known.get((f"{level.name}.penalty", "pl"))
    if fact is not None and fact.constant is not None and fact.constant > 0:
        limit = sigma_bound(fact)
        largest = None if limit is None else _below(limit)
        return replace(found, penalty_mu=fact.constant, sigma_max=largest, penalty_why=fact.verdict)
    if found.mu is None or not found.strong:
        return found
    mu = found.mu.value
    if ("upper.objective", "convex") in known:
        why = "f is strongly convex and F convex: sigma F + f bends up at least as much as f"
        return replace(found, penalty_mu=mu, sigma_max=math.inf, penalty_why=why)
    if found.L_F is not None:
        largest = math.inf if found.L_F.value == 0 else _down(mu / (2 * found.L_F.value))
        why = "sigma F takes at most half of the modulus of f for sigma <= mu / (2 L_F)"
        return replace(found, penalty_mu=mu / 2, sigma_max=largest, penalty_why=why)
    return found


def sigma_bound(fact: Fact) -> Fraction | None:
    """Up to which sigma a fact about the penalty function holds."""
    found = fact.witness.get("sigma")
    return None if found is None else Fraction(found["upper"])


def _third(program: Program, level: Level, symbol: str) -> Bound | None:
    """The Lipschitz constant of the Hessian of a function that is quadratic in the variables of all levels: zero."""
    if degree(level.objective, [variable.symbol for variable in program.variables]) > 2:
        return None
    return Bound(symbol, "<=", 0.0, f"{level.name}.objective is quadratic: its Hessian is constant", "proved")


def _slope(program: Program, level: Level) -> Bound | None:
    """A bound of the norm of the gradient of F in the follower's variables over the boxes, if it is finite."""
    from bileveldsl.certify.ranges import Ranges, aligned
    from bileveldsl.certify.region import Region

    if operations([program.upper.objective]) > OPERATIONS:
        return None
    ranges = Ranges(Region(program, level).boxes)
    squares = 0.0
    for symbol, slope in zip(level.symbols, gradient(program.upper.objective, level.symbols), strict=True):
        value = aligned(ranges(slope), slope.axes, symbol.axes)
        size = np.broadcast_to(np.maximum(np.abs(value.lo), np.abs(value.hi))[0], symbol.shape)
        if not np.isfinite(size).all():
            return None
        squares += math.fsum(float(s) ** 2 for s in size.ravel())
    bound = _up(math.sqrt(squares * (1 + 1e-12)))
    if not math.isfinite(bound):
        return None
    return Bound("C_F", "<=", bound, "upper.objective changes at most this fast with y", "proved")


def _up(value: float) -> float:
    return math.nextafter(value, math.inf) if value else 0.0


def _down(value: float) -> float:
    return math.nextafter(value, -math.inf)


def _below(value: Fraction) -> float:
    """The greatest float that is at most a rational."""
    near = float(value)
    return near if Fraction(near) <= value else _down(near)
