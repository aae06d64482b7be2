"""The facts of constraints: each convex in the variables of its level, or affine, and smooth; and of feasible sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from bileveldsl.calculus.expr import subtract
from bileveldsl.certify import boxes, refuting, sos
from bileveldsl.certify.clock import share, until
from bileveldsl.certify.curvature import Composition, shown
from bileveldsl.certify.defined import is_defined
from bileveldsl.certify.evidence import named
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.objective import COMPOSITION, NOT_SMOOTH, REASONS
from bileveldsl.certify.region import Region
from bileveldsl.certify.scalars import enclose, occurring
from bileveldsl.certify.second_order import Proof, lipschitz
from bileveldsl.certify.statement import Question, text
from bileveldsl.certify.steepness import unbounded_curvature
from bileveldsl.program import Constraint

_LARGEST = 30  # variables up to which the second derivatives of constraints are bounded
_PART = 0.2  # of the time that is left, for the smoothness of a constraint


def feasible_set_facts(region: Region, composition: Composition, question: Question | None) -> list[Fact]:
    """Whether each constraint, and with them the set, is convex in the follower's variables.

    `question` is any question about the follower; None where its functions are not written out.
    """
    level = region.level
    facts, shapes = [], []
    for constraint in level.constraints:
        if any(composition.depends(part) for part in constraint.parts):
            shapes.append(constraint_fact(constraint, composition, question))
            facts += [shapes[-1], *smoothness(constraint, composition, question)]
    of = f"{level.name}.feasible_set"
    obstacle = region.domain_obstacle(composition, region.conditions)
    whole = next((v for v in level.variables if v.kind != "continuous"), None)
    open_ = next((fact.of for fact in shapes if fact.verdict != "proved"), None)
    if whole is not None:
        return [*facts, Fact(of, "convex", "unknown", y="region", why=f"{whole.name} is {whole.kind}")]
    if open_ is not None or obstacle:
        why = obstacle or f"the constraint {open_} was not proved convex"
        return [*facts, Fact(of, "convex", "unknown", y="region", why=why)]
    why = "every constraint is convex, every equality affine" if facts else "there are no constraints but bounds"
    proof = {"kind": "constraints"}
    return [*facts, Fact(of, "convex", "proved", y="region", rule="composition", why=why, proof=proof)]


def constraint_fact(constraint: Constraint, composition: Composition, question: Question | None) -> Fact:
    """Whether each side of a constraint is convex in the variables of its level; for an equality, affine."""
    of = constraint.label
    if constraint.is_equality and constraint.upper is not None:
        bend = composition(subtract(constraint.body, constraint.upper))
        if bend.affine:
            proof = {"kind": "affine-equality"}
            return Fact(of, "convex", "proved", y="region", rule="composition", why="an affine equality", proof=proof)
        why = bend.why if bend.reason else f"an equality that is {bend.kind}, not affine"
        return Fact(of, "convex", "unknown", y="region", why=why, culprit=bend.node)
    sides = ((constraint.lower, constraint.body), (constraint.body, constraint.upper))
    excesses = [subtract(low, high) for low, high in sides if low is not None and high is not None]
    bends = [composition(excess) for excess in excesses]
    if all(bend.convex for bend in bends):
        why = REASONS["composition"]
        return Fact(of, "convex", "proved", y="region", rule="composition", why=why, proof=COMPOSITION)
    place = next(k for k, bend in enumerate(bends) if not bend.convex)
    bend, excess = bends[place], excesses[place]
    why = bend.why if bend.reason else f"{shown(excess)} <= 0 is a constraint by a {bend.kind} function"
    unknown = Fact(of, "convex", "unknown", y="region", why=why, culprit=bend.node)
    return unknown if question is None else _by_members(of, question, unknown)


def _members(of: str, question: Question) -> list[Question]:
    """A question for each element of each side of a constraint."""
    members = [c for c in question.constraints if c.label == of or c.label.startswith(f"{of}[")]
    return [Question(question.statement, c.root, question.own, question.level, question.deadline) for c in members]


def _has_hole(question: Question) -> bool:
    """Whether what must differ from 0 may take both signs: bounds of second derivatives prove nothing across that."""
    own = set(question.own) & occurring(question.root)
    roots = [c.root for c in question.statement.conditions if c.relation == "!= 0" and occurring(c.root) & own]
    return any(r.least < 0 < r.greatest for r in enclose(roots, question.lo[None], question.hi[None]))


def _by_members(of: str, question: Question, unknown: Fact) -> Fact:
    """By the second derivatives of each element: proved for all, or refuted for one."""
    proofs: list[Proof] = []
    for member in _members(of, question):
        if not occurring(member.root) & set(member.own):
            proofs.append(COMPOSITION)
            continue
        proof: Proof | None = None
        if is_defined(member) and not _has_hole(member):
            proof = boxes.prove_bend(member, 1, Fraction(0)) or sos.prove_bend(member, 1, Fraction(0))
        if proof is None:
            refuted = refuting.refute_convex(member)
            if refuted is None:
                return unknown
            why = "it bends down at the point of the witness"
            family = {"kind": "family", "members": [None] * len(proofs) + [refuted]}
            return Fact(of, "convex", "refuted", y="region", rule="witness", why=why, witness=named(refuted, member),
                        culprit=unknown.culprit, proof=family)  # fmt: skip
        proofs.append(proof)
    family = {"kind": "family", "members": proofs}
    return Fact(of, "convex", "proved", y="region", rule="hessian", why=REASONS["hessian"], proof=family)


def smoothness(constraint: Constraint, composition: Composition, question: Question | None) -> Iterator[Fact]:
    """A constant with which the gradient of each element of each side changes at most; none of an affine constraint."""
    if question is None or len(question.own) > _LARGEST or all(composition(p).affine for p in constraint.parts):
        return
    of = constraint.label
    found = Fact(of, "smooth", "unknown", y="region", why="no upper bound of its second derivative was found")
    with until(share(_PART)) as work:
        found = _by_derivatives(found, question)
    yield found.after(work)


def _by_derivatives(unknown: Fact, question: Question) -> Fact:
    """By the second derivatives of each element: bounded for all, or seen to grow without end for one."""
    written, largest = list[Proof](), 0.0
    for member in _members(unknown.of, question):
        whole = is_defined(member) and not _has_hole(member)
        bound = lipschitz(member) if whole else None
        if bound is None:
            steep = refuting.kink(member) or unbounded_curvature(member) if whole else None
            if steep is None:
                return unknown
            family = {"kind": "family", "members": [None] * len(written) + [steep]}
            rule, witness = steep["kind"], named(steep, member)
            return replace(unknown, verdict="refuted", rule=rule, why=NOT_SMOOTH[rule], proof=family, witness=witness)
        largest = max(largest, bound.value)
        written.append({"constant": text(bound.value), "proof": bound.proof})
    proof = {"kind": "family", "members": written}
    return replace(unknown, verdict="proved", constant=largest, rule="hessian", why=REASONS["hessian"], proof=proof)
