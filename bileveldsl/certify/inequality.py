"""The facts of the Polyak-Lojasiewicz inequality: of a follower's objective, and of the penalty sigma f + g."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from bileveldsl.certify import pl
from bileveldsl.certify.clock import share
from bileveldsl.certify.evidence import named
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.interval import round_down, round_up
from bileveldsl.certify.scalars import Scalar, topological
from bileveldsl.certify.second_order import Bound, Proof, stronger
from bileveldsl.certify.statement import Question

_QUICK, _PATIENCE = 0.3, 0.7  # of the time that is left
_OWN = 6
_NODES = 300

REASON = "by the rule of its proof: |gradient|^2/2 >= mu (value - least value)"
PROXIMAL = "in its proximal form, for bounds: D(y, a)/2 >= mu (value - least value) for every a from the curvature on"


def pl_fact(strong: Fact, constrained: bool, question: Question | None, structure: Bound | None) -> Fact:
    """Whether the objective satisfies the inequality for all values of the follower's variables, or between bounds.

    `strong` is what is known of its strong convexity, `structure` a constant by the structure of the function.
    """
    if constrained:
        why = "the inequality is one of functions without constraints other than bounds, and this follower has some"
        return Fact(strong.of, "pl", "unknown", y=strong.y, why=why)
    if strong.y != "all":
        return _between_bounds(strong, question)
    if strong.verdict == "proved" and strong.x == "box":
        why = "a strongly convex function satisfies the Polyak-Lojasiewicz inequality with its modulus"
        proof = None if strong.proof is None else _strong(strong.proof)
        return replace(strong, fact="pl", constant_upper=None, proof_upper=None, rule="strongly_convex", why=why,
                       proof=proof)  # fmt: skip
    if structure is not None:
        why = "one of its terms is strongly convex in an affine map, whose least singular value is verified"
        return Fact(strong.of, "pl", "proved", structure.value, rule="structure", why=why, proof=structure.proof)
    if question is None:
        return Fact(strong.of, "pl", "unknown", why="strong convexity, which implies it, is not proved")
    return _decided(strong.of, question)


def _strong(proof: Mapping[str, Any]) -> Proof:
    return {**proof, "kind": "strong"} if proof["kind"] == "structure" else {"kind": "strong", "proof": proof}


def _between_bounds(strong: Fact, question: Question | None) -> Fact:
    """The proximal form, of a follower whose only constraints are the bounds of its variables.

    The witness holds the curvature from which on it is proved.
    """
    unknown = Fact(strong.of, "pl", "unknown", y="region")
    if question is None:
        return replace(unknown, why="its proximal form, for bounds, is not examined for functions as large as this one")
    if not pl.is_bounded(question):
        return replace(unknown, why="its proximal form is one of smooth functions between bounds, ends included")
    if strong.verdict == "proved" and strong.x == "box" and strong.constant:
        why = f"{PROXIMAL}; a strongly convex function satisfies it with its modulus"
        known = strong.proof is not None and strong.proof["kind"] != "structure"
        mu = Fraction(strong.constant)
        proof = pl.Proximal(mu, mu, {"kind": "strong", "proof": strong.proof}).written() if known else None
        return replace(strong, fact="pl", constant_upper=None, proof_upper=None, rule="strongly_convex", why=why,
                       proof=proof, witness={"curvature": strong.constant})  # fmt: skip
    if len(topological([question.root])) > _NODES:
        return replace(unknown, why="strong convexity, which implies its proximal form, is not proved")
    question = _patient(question, _PATIENCE)
    refuted = pl.refute_between_bounds(_patient(question, _QUICK))
    if refuted is not None:
        shown = refuted["proof"] if refuted["kind"] == "part" else refuted
        why = _REFUTED_BETWEEN[shown["kind"]]
        return replace(unknown, verdict="refuted", rule=shown["kind"], why=why, proof=refuted,
                       witness=named(shown, question))  # fmt: skip
    found = pl.prove_between_bounds(question)
    if found is None:
        return replace(unknown, why="no rule proves its proximal form, for bounds, and no point or curve refutes it")
    fact = replace(_proved(strong.of, found.mu, found.written()), y="region", rule=found.proof["kind"], why=PROXIMAL,
                   witness={"curvature": round_up(found.curvature)})  # fmt: skip
    above = pl.upper_between_bounds(question)
    return fact if above is None else replace(fact, constant_upper=round_up(above[0]), proof_upper=above[1])


def _is_small(question: Question, *roots: Scalar) -> bool:
    return len(question.own) <= _OWN and len(topological([question.root, *roots])) <= _NODES


def _patient(question: Question, part: float) -> Question:
    """The question with a part of the time that is left."""
    return replace(question, deadline=min(question.deadline, share(part)))


def _decided(of: str, question: Question) -> Fact:
    """Refuted if that is quick, else proved, else refuted with patience."""
    if not _is_small(question):
        return Fact(of, "pl", "unknown", why="strong convexity, which implies it, is not proved")
    soon = _patient(question, _QUICK)
    refuted = pl.refute(soon)
    if refuted is None:
        found = pl.prove(_patient(question, _PATIENCE))
        if found is not None:
            fact, above = _proved(of, *found), pl.upper_constant(question)
            if above is None:
                return fact
            return replace(fact, constant_upper=round_up(above[0]), proof_upper=above[1])
        refuted = pl.refute(question) if soon.expired else None
    if refuted is None:
        return Fact(of, "pl", "unknown", why="no rule proves it, and no point or ray refutes it")
    why = _REFUTED.get(refuted["kind"], "")
    witness = named(refuted, question)
    return Fact(of, "pl", "refuted", rule=refuted["kind"], why=why, proof=refuted, witness=witness)


_REFUTED = {
    "stationary": "its gradient vanishes at a point that is no minimizer",
    "krawczyk": "its gradient vanishes at a point that is no minimizer",
    "degenerate": "near a minimizer the gradient vanishes faster than the square root of the height",
    "no-stationary": "it has no minimizer",
    "affine": "as a function of fewer variables it has a stationary point that is no minimizer, or a degenerate one",
    "ray": "it has no lower bound along a ray",
    "asymptotic": "along a ray the gradient becomes small beside the height",
}


_REFUTED_BETWEEN = {
    "stationary": "its gradient vanishes, or is held by bounds, at a point that is no minimizer",
    "krawczyk": "its gradient vanishes, or is held by bounds, at a point that is no minimizer",
    "degenerate": _REFUTED["degenerate"],
    "falling": "it falls without end where there is no bound",
    "asymptotic": "for some decisions of the others the gradient becomes small beside the height",
}


def penalty_fact(of: str, question: Question, strong: Fact) -> Fact | None:
    """Whether sigma f + g satisfies the inequality, with one constant for all sigma up to a bound.

    `of` names the penalty function, `strong` is what is known of the strong convexity of g; the witness holds the
    bound of sigma. None where nothing was found.
    """
    upper = question.statement.functions["upper.objective"]
    if not _is_small(question, upper):
        return None
    question = _patient(question, _PATIENCE)
    known = {}
    if strong.verdict == "proved" and strong.constant is not None and strong.proof is not None:
        known["strongly_convex"] = _exact(strong)
    found = pl.penalty(question, upper, known)
    if found is None:
        return None
    sigma = {"sigma": {"upper": float(found.sigma)}}
    if found.mu is None:
        why = _REFUTED.get(found.proof["kind"], "")
        return Fact(of, "pl", "refuted", rule=found.proof["kind"], why=why, proof=found.proof, witness=sigma)
    return replace(_proved(of, found.mu, found.proof), witness=sigma)


def _exact(strong: Fact) -> tuple[Fraction, Proof]:
    """The rational constant that a proof of strong convexity is of, and the proof."""
    proof, constant = dict(strong.proof or {}), Fraction(strong.constant or 0.0)
    if proof["kind"] == "stronger":
        return Fraction(proof["constant"]), proof["proof"]
    return constant, proof


def _proved(of: str, mu: Fraction, proof: Proof) -> Fact:
    near = round_down(mu)
    exact = proof if Fraction(near) == mu else stronger(proof, mu)
    return Fact(of, "pl", "proved", near, rule=proof["kind"], why=REASON, proof=exact)
