"""The facts about each follower: how its objective and its feasible set bend in its own variables."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bileveldsl.calculus.expr import Expr, Symbol, add, negate, subtract
from bileveldsl.certify.curvature import Composition, Curvature, shown
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.hessian import CONSTANT_SIZE, Hessian, twice_differentiable
from bileveldsl.certify.modulus import Modulus
from bileveldsl.certify.parts import operations, terms
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.refute import midpoint_violation
from bileveldsl.certify.region import Region
from bileveldsl.program import FACTS, Constraint, Level, Program

_OPERATIONS = 10_000  # of a function times pairs of its variables, beyond which its Hessian is not written out


def certify(program: Program, budget_seconds: float = 10.0) -> tuple[Fact, ...]:
    """The facts of every follower: of its objective (in the sense of minimizing), constraints and feasible set.

    Parameters
    ----------
    program
        A checked program.
    budget_seconds
        After about this time what is not yet decided is reported unknown.

    Returns
    -------
    tuple of Fact
        For each follower convex, strongly_convex, smooth and pl of `NAME.objective`, convex of each constraint in its
        variables, convex of `NAME.feasible_set`. A proved fact holds for every value of all other variables within
        their bounds, and for every value of the follower's own within theirs where the objective is defined.
    """
    deadline = time.monotonic() + budget_seconds
    facts: list[Fact] = []
    for level in program.lower:
        region = Region(program, level)
        composition = Composition(level.symbols, Ranges(region.boxes))
        facts += _objective_facts(region, composition, deadline)
        facts += _feasible_set_facts(region, composition, deadline)
    return tuple(facts)


# ---- objectives -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What was found of a scalar function: bounds of the eigenvalues of its Hessian and how it bends.

    `mu <= inf of the least eigenvalue <= mu_upper` and `sup of the greatest eigenvalue <= top`; `size` bounds the
    supremum of their absolute values from below.
    """

    curvature: Curvature
    mu: float = -math.inf
    mu_upper: float = math.inf
    top: float = math.inf
    size: float | None = None
    pointwise: bool = False
    rule: str = "composition"
    witness: Mapping[str, Any] | None = None

    @property
    def convex(self) -> bool:
        return self.curvature.convex or self.mu >= 0

    @property
    def lipschitz(self) -> float:
        return max(self.top, -self.mu, 0.0)


def examine(root: Expr, region: Region, composition: Composition, deadline: float) -> Evidence:
    """How a scalar node bends in the follower's variables, by composition, structure and second derivatives."""
    symbols = region.level.symbols
    found = Evidence(composition(root))
    bounds = Modulus(composition, symbols)(root)
    structure = replace(
        found,
        mu=min(b.least for b in bounds.values()),
        top=max(b.greatest for b in bounds.values()),
        pointwise=all(b.positive for b in bounds.values()),
        rule="structure",
    )
    if structure.mu == structure.top >= 0:  # nothing is left to learn
        return replace(structure, mu_upper=structure.mu, size=structure.mu)
    by_hessian = _by_hessian(root, region, composition, deadline)
    if by_hessian is not None:
        best = by_hessian if by_hessian.mu > structure.mu else structure
        top = min(by_hessian.top, structure.top)
        known = replace(by_hessian, curvature=found.curvature, pointwise=structure.pointwise)
        structure = replace(known, mu=best.mu, rule=best.rule, top=top, mu_upper=min(by_hessian.mu_upper, top))
    if structure.convex or structure.witness is not None or time.monotonic() > deadline:
        return structure
    return replace(structure, witness=midpoint_violation(root, symbols, region))


def _by_hessian(root: Expr, region: Region, composition: Composition, deadline: float) -> Evidence | None:
    """Bounds by the Hessian of the smooth terms, if the others are convex."""
    hessian, whole = _smooth_part(root, composition, region.level.symbols)
    if hessian is None or time.monotonic() > deadline:
        return None
    least = hessian.least(region.inside, deadline)
    found = Evidence(Curvature("unknown"), mu=least.lower, rule="hessian")
    if not whole:
        return found
    greatest = hessian.greatest(region.inside, deadline)
    size = max(-least.upper, -greatest.upper)
    found = replace(found, mu_upper=least.upper, top=-greatest.lower, size=size if size >= 0 else None)
    if least.upper < 0 and least.point is not None:
        point = hessian.witness(least.point)
        values = region.completed(point.values)
        witness = {"point": _named(values), "direction": _named(point.direction), "curvature": least.upper}
        return replace(found, witness=witness)
    return found


def _smooth_part(
    root: Expr, composition: Composition, symbols: tuple[Symbol, ...]
) -> tuple[Hessian | None, bool]:
    """The Hessian of the smooth terms of a function whose other terms are convex, and whether there are no others."""
    if sum(math.prod(s.shape) for s in symbols) > CONSTANT_SIZE or operations([root]) * len(symbols) ** 2 > _OPERATIONS:
        return None, False
    smooth = [term for term in terms(root) if twice_differentiable(term, composition)]
    rough = [term for term in terms(root) if term not in smooth]
    if not smooth or not all(composition(term).convex for term in rough):
        return None, False
    hessian = Hessian(add(*smooth), symbols, composition.ranges)
    return (hessian if hessian.feasible else None), not rough


def _named(values: Mapping[Symbol, np.ndarray]) -> dict[str, Any]:
    return {symbol.name: value.tolist() for symbol, value in values.items()}


def _objective_facts(region: Region, composition: Composition, deadline: float) -> list[Fact]:
    level = region.level
    root = level.objective if level.sense == "minimize" else negate(level.objective)
    of, y = f"{level.name}.objective", "all" if region.everything else "region"
    obstacle = region.domain_obstacle(composition, region.objective_conditions())
    if obstacle:
        return [Fact(of, fact, "unknown", y="region", why=obstacle) for fact in FACTS]
    found = examine(root, region, composition, deadline)
    facts = [_convex(of, found), _strongly_convex(of, found), _smooth(of, found)]
    facts = [replace(fact, y=y) for fact in facts]  # type: ignore[arg-type]
    return [*facts, _pl(facts[1], bool(level.constraints))]


def _convex(of: str, found: Evidence) -> Fact:
    assert not (found.convex and found.witness is not None), f"{of} is both proved and refuted convex"
    if found.convex:
        rule = "composition" if found.curvature.convex else found.rule
        return Fact(of, "convex", "proved", rule=rule, why=_RULES[rule])
    if found.witness is not None:
        why = "it bends down at the point of the witness"
        return Fact(of, "convex", "refuted", rule="witness", why=why, witness=found.witness)
    return Fact(of, "convex", "unknown", why=_undecided(found))


def _strongly_convex(of: str, found: Evidence) -> Fact:
    upper = found.mu_upper if math.isfinite(found.mu_upper) else None
    if found.mu > 0:
        return Fact(of, "strongly_convex", "proved", found.mu, upper, rule=found.rule, why=_RULES[found.rule])
    if found.witness is not None:
        why = "it is not convex"
        return Fact(of, "strongly_convex", "refuted", None, upper, rule="witness", why=why, witness=found.witness)
    if found.mu_upper <= 0:
        why = "its second derivative vanishes in some direction"
        return Fact(of, "strongly_convex", "refuted", None, upper, rule=found.rule, why=why)
    if found.mu == 0 and found.pointwise:
        why = "strongly convex for each x, but with a modulus whose infimum over the box of x is 0"
        return Fact(of, "strongly_convex", "unknown", None, upper, x="pointwise", rule=found.rule, why=why)
    why = "no positive lower bound of its second derivative was found" if found.convex else _undecided(found)
    return Fact(of, "strongly_convex", "unknown", None, upper, why=why)


def _smooth(of: str, found: Evidence) -> Fact:
    if math.isfinite(found.lipschitz):
        return Fact(of, "smooth", "proved", found.lipschitz, found.size, rule=found.rule, why=_RULES[found.rule])
    return Fact(of, "smooth", "unknown", why="no upper bound of its second derivative was found")


def _pl(strong: Fact, constrained: bool) -> Fact:
    if strong.verdict == "proved" and strong.y == "all" and not constrained:
        why = "a strongly convex function satisfies the Polyak-Lojasiewicz inequality with its modulus"
        return replace(strong, fact="pl", constant_upper=None, rule="strongly_convex", why=why)
    if constrained or strong.y != "all":
        why = "the inequality is one of unconstrained functions, and this follower is constrained"
    else:
        why = "strong convexity, which implies it, is not proved"
    return Fact(strong.of, "pl", "unknown", y=strong.y, why=why)


_RULES = {
    "composition": "by the rules of disciplined convex programming, with rigorous ranges of multipliers",
    "structure": "by bounds of each term: weights times verified eigenvalue bounds of its affine map",
    "hessian": "by verified eigenvalue bounds of the Hessian over the box",
}


def _undecided(found: Evidence) -> str:
    parts = [found.curvature.why] if found.curvature.reason else []
    if found.curvature.kind == "concave":
        parts.append("it is concave")
    if math.isfinite(found.mu):
        bound = f" and at most {found.mu_upper:.3g}" if math.isfinite(found.mu_upper) else ""
        parts.append(f"the least eigenvalue of the Hessian is at least {found.mu:.3g}{bound}")
    return "; ".join(parts) or "no rule applies"


# ---- feasible sets --------------------------------------------------------------------------


def _feasible_set_facts(region: Region, composition: Composition, deadline: float) -> list[Fact]:
    level = region.level
    facts = []
    for constraint in level.constraints:
        parts = [e for e in (constraint.body, constraint.lower, constraint.upper) if e is not None]
        if any(composition.depends(part) for part in parts):
            facts.append(_constraint_fact(constraint, region, composition, deadline))
    of = f"{level.name}.feasible_set"
    obstacle = region.domain_obstacle(composition, region.conditions)
    whole = next((v.name for v in level.variables if v.kind != "continuous"), None)
    open_ = next((fact.of for fact in facts if fact.verdict != "proved"), None)
    if whole is not None:
        facts.append(Fact(of, "convex", "unknown", y="region", why=f"{whole} is {_kind(level, whole)}"))
    elif open_ is not None or obstacle:
        why = obstacle or f"the constraint {open_} was not proved convex"
        facts.append(Fact(of, "convex", "unknown", y="region", why=why))
    else:
        why = "every constraint is convex, every equality affine" if facts else "there are no constraints but bounds"
        facts.append(Fact(of, "convex", "proved", y="region", rule="composition", why=why))
    return facts


def _kind(level: Level, name: str) -> str:
    return next(v.kind for v in level.variables if v.name == name)


def _constraint_fact(constraint: Constraint, region: Region, composition: Composition, deadline: float) -> Fact:
    """Whether each side of a constraint is convex in the follower's variables; for an equality, affine."""
    of = constraint.label
    if constraint.is_equality and constraint.upper is not None:
        bend = composition(subtract(constraint.body, constraint.upper))
        if bend.affine:
            return Fact(of, "convex", "proved", y="region", rule="composition", why="an affine equality")
        why = bend.why if bend.reason else f"an equality that is {bend.kind}, not affine"
        return Fact(of, "convex", "unknown", y="region", why=why)
    rule = "composition"
    for low, high in ((constraint.lower, constraint.body), (constraint.body, constraint.upper)):
        if low is None or high is None:
            continue
        excess = subtract(low, high)
        bend = composition(excess)
        if bend.convex:
            continue
        hessian = None if excess.axes else _smooth_part(excess, composition, region.level.symbols)[0]
        if hessian is None or hessian.least(_anywhere, deadline, enough=0.0).lower < 0:
            why = bend.why if bend.reason else f"{shown(excess)} <= 0 is a constraint by a {bend.kind} function"
            return Fact(of, "convex", "unknown", y="region", why=why)
        rule = "hessian"
    return Fact(of, "convex", "proved", y="region", rule=rule, why=_RULES[rule])


def _anywhere(values: Mapping[Symbol, np.ndarray]) -> np.ndarray:
    return np.ones(len(next(iter(values.values()))) if values else 1, dtype=bool)
