"""The facts of a follower's objective: convex, strongly convex, smooth, PL, in its own variables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bileveldsl.calculus.expr import negate
from bileveldsl.certify.clock import share, until
from bileveldsl.certify.curvature import Composition, Curvature
from bileveldsl.certify.evidence import Evidence, examine, named
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.inequality import pl_fact
from bileveldsl.certify.region import Region
from bileveldsl.certify.second_order import Bound, Proof
from bileveldsl.certify.statement import Question

_PART = 0.7  # of the time that is left, for the Polyak-Lojasiewicz inequality
COMPOSITION: Proof = {"kind": "composition"}
REASONS = {
    "composition": "by the rules of disciplined convex programming, with rigorous ranges of multipliers",
    "structure": "by bounds of each term: weights times verified eigenvalue bounds of its affine map",
    "quadratic": "its second derivatives are numbers, whose eigenvalues are bounded exactly",
    "hessian": "by verified eigenvalue bounds of the Hessian over the box",
    "sum": "some of its terms are strongly convex, the others convex",
    "sums of squares": "its second derivative along every direction is a sum of squares",
}


def objective_facts(
    region: Region, composition: Composition, question: Question | None, small: bool
) -> list[Fact]:
    """Convex, strongly convex, smooth and PL, of an objective that is minimized; see `examine`."""
    level = region.level
    root = level.objective if level.sense == "minimize" else negate(level.objective)
    of = f"{level.name}.objective"
    found = examine(root, region, composition, question, small)
    obstacle = region.domain_obstacle(composition, region.objective_conditions())
    if obstacle:  # bounds of second derivatives prove nothing across a hole, but a witness is one
        bends = replace(found.bends, mu=None, L=None, pointwise=None)
        found = replace(found, curvature=Curvature("unknown", None, obstacle), bends=bends, pointwise=False)
    facts = [_convex(of, found), _strongly_convex(of, found, question), _smooth(of, found, question)]
    facts = [replace(fact, y="all" if region.everything else "region").after(found.work) for fact in facts]
    inequality = Fact(of, "pl", "unknown", y=facts[1].y)
    with until(share(_PART)) as work:
        inequality = pl_fact(facts[1], bool(level.constraints), question if small else None, found.pl)
    return [*facts, inequality.after(work)]


def _witness(proof: Proof | None, question: Question | None) -> dict[str, Any]:
    return {} if proof is None or question is None else named(proof, question)


def _proof(bound: Bound | None) -> Proof | None:
    return None if bound is None else bound.proof


def _convex(of: str, found: Evidence) -> Fact:
    assert not (found.convex and found.witness is not None), f"{of} is both proved and refuted convex"
    bends = found.bends
    if found.convex:
        rule = "composition" if found.curvature.convex else bends.rule
        proof = COMPOSITION if found.curvature.convex else _proof(bends.mu)
        return Fact(of, "convex", "proved", rule=rule, why=REASONS[rule], proof=proof)
    if found.witness is not None:
        why = "it bends down at the point of the witness"
        fact = Fact(of, "convex", "refuted", rule="witness", why=why, witness=found.witness, proof=bends.refuted)
    else:
        fact = Fact(of, "convex", "unknown", why=_undecided(found))
    return replace(fact, culprit=found.curvature.node)


def _strongly_convex(of: str, found: Evidence, question: Question | None) -> Fact:
    bends = found.bends
    fact = Fact(
        of, "strongly_convex", "unknown",
        constant_upper=None if bends.mu_upper is None else max(bends.mu_upper.value, 0.0),
        proof_upper=_proof(bends.mu_upper),
        rule=bends.rule, culprit=found.curvature.node, modulus=found.modulus,
    )  # fmt: skip
    if bends.mu is not None and bends.mu.value > 0:
        why, mu = REASONS[bends.rule], bends.mu
        return replace(fact, verdict="proved", constant=mu.value, why=why, proof=mu.proof, culprit=None)
    if found.witness is not None:
        why = "it is not convex"
        return replace(fact, verdict="refuted", why=why, rule="witness", witness=found.witness, proof=bends.refuted)
    if bends.mu_upper is not None and bends.mu_upper.value <= 0:
        why = "its second derivative vanishes in some direction"
        proof = bends.mu_upper.proof
        return replace(fact, verdict="refuted", why=why, proof=proof, witness=_witness(proof, question))
    if bends.pointwise is not None or (found.pointwise and found.convex):
        why = "strongly convex for each x, but with a modulus that has no positive lower bound over the box of x"
        return replace(fact, verdict="proved", x="pointwise", why=why, rule="multiplier", proof=bends.pointwise)
    if bends.vanishing is not None:
        why, rule = "its second derivative comes arbitrarily near to 0", bends.vanishing["kind"]
        return replace(fact, verdict="refuted", why=why, rule=rule, proof=bends.vanishing)
    why = "no positive lower bound of its second derivative was found" if found.convex else _undecided(found)
    return replace(fact, why=why, rule="")


def _smooth(of: str, found: Evidence, question: Question | None) -> Fact:
    bends = found.bends
    below = None if bends.L_lower is None else bends.L_lower.value
    if bends.L is None and bends.steep is not None:
        rule = bends.steep["kind"]
        return Fact(of, "smooth", "refuted", None, below, rule=rule, why=NOT_SMOOTH[rule], proof=bends.steep,
                    witness=_witness(bends.steep, question))  # fmt: skip
    if bends.L is None:
        why = "no upper bound of its second derivative was found"
        return Fact(of, "smooth", "unknown", None, below, why=why, proof_upper=_proof(bends.L_lower))
    return Fact(
        of, "smooth", "proved", bends.L.value, below, rule=bends.rule, why=REASONS[bends.rule], proof=bends.L.proof,
        proof_upper=_proof(bends.L_lower),
    )  # fmt: skip


NOT_SMOOTH = {
    "steep": "its second derivative grows without bound along a ray, or towards a point",
    "kink": "it has a kink: its slopes to both sides of the point differ",
}


def _undecided(found: Evidence) -> str:
    parts = [found.curvature.why] if found.curvature.reason else []
    if found.curvature.kind == "concave":
        parts.append("it is concave")
    mu, upper = found.bends.mu, found.bends.mu_upper
    if mu is not None:
        bound = f" and at most {upper.value:.3g}" if upper is not None else ""
        parts.append(f"the least eigenvalue of the Hessian is at least {mu.value:.3g}{bound}")
    return "; ".join(parts) or "no rule applies"
