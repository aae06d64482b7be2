"""What the model requires or assumes of its levels, held against the facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from bileveldsl.certify.facts import Fact
from bileveldsl.language.diagnostics import Diagnostic
from bileveldsl.program import Claim, Program

_MENDS = {
    "convex": "rewrite the objective, narrow the bounds of what multiplies it, or write assume convex",
    "strongly_convex": "add a term such as 1e-3*sumsq(y), bound what multiplies it away from 0, or write assume ...",
    "smooth": "bound the variables, replace functions with kinks or poles, or write assume smooth(L)",
    "pl": "strengthen it to strong convexity without constraints other than bounds, or write assume pl(mu)",
}


def check_claims(program: Program, facts: Sequence[Fact]) -> tuple[tuple[Fact, ...], tuple[Diagnostic, ...]]:
    """The facts with what the model assumes, and a diagnostic for each claim that fails.

    A `require` that is not proved is E501; a claim that is refuted, or whose constant a proved bound
    contradicts, is E502. An `assume` that is not proved becomes a fact with verdict "assumed".

    Parameters
    ----------
    program
        The program whose claims are checked.
    facts
        What `certify` found.
    """
    known = list(facts)
    diagnostics: list[Diagnostic] = []
    for level in program.levels:
        of = f"{level.name}.objective"
        for claim in level.claims:
            fact = next((f for f in known if (f.of, f.fact) == (of, claim.fact)), None)
            fact = fact or Fact(of, claim.fact, "unknown", why="this is not examined at the upper level")
            against = _contradiction(claim, fact)
            if against:
                diagnostics.append(_diagnostic("E502", claim, f"{_said(claim)} contradicts what is proved", against))
            elif claim.mode == "require" and not _is_met(claim, fact):
                text = f"{_said(claim)} could not be proved for the objective of {level.name}"
                diagnostics.append(_diagnostic("E501", claim, text, _shortfall(fact)))
            elif claim.mode == "assume" and not _is_met(claim, fact):
                known = [f for f in known if f is not fact] + [_assumed(claim, fact)]
        known = [_implied(fact, known) if fact.of == of else fact for fact in known]
    return tuple(known), tuple(diagnostics)


def _is_met(claim: Claim, fact: Fact) -> bool:
    if not fact.holds or fact.x == "pointwise":
        return False
    if claim.constant is None or claim.fact == "convex":
        return True
    if fact.constant is None:
        return False
    proved = Fraction(fact.constant)
    return proved <= claim.constant if claim.fact == "smooth" else proved >= claim.constant


def _contradiction(claim: Claim, fact: Fact) -> str:
    """Why a claim cannot hold, or nothing."""
    if fact.verdict == "refuted":
        return fact.why
    if claim.constant is None or fact.constant_upper is None:
        return ""
    bound = Fraction(fact.constant_upper)
    if claim.fact == "smooth" and claim.constant < bound:
        return f"the Lipschitz constant of the gradient is at least {fact.constant_upper:.6g}"
    if claim.fact == "strongly_convex" and claim.constant > bound:
        return f"the modulus is at most {fact.constant_upper:.6g}"
    return ""


def _assumed(claim: Claim, fact: Fact) -> Fact:
    constant = None if claim.constant is None else float(claim.constant)
    return replace(fact, verdict="assumed", constant=constant, x="box", rule="assumed", why="assumed by the model")


def _implied(fact: Fact, known: Sequence[Fact]) -> Fact:
    """Convexity where strong convexity is assumed."""
    strong = any((f.of, f.fact, f.verdict) == (fact.of, "strongly_convex", "assumed") for f in known)
    if fact.fact == "convex" and fact.verdict == "unknown" and strong:
        return replace(fact, verdict="assumed", rule="strongly_convex", why="a strongly convex function is convex")
    return fact


def _shortfall(fact: Fact) -> str:
    return f"only {fact.constant:.6g} was proved" if fact.holds and fact.constant is not None else fact.why


def _said(claim: Claim) -> str:
    return claim.fact if claim.constant is None else f"{claim.fact}({float(claim.constant):g})"


def _diagnostic(code: str, claim: Claim, message: str, why: str) -> Diagnostic:
    return Diagnostic(code, message, claim.span, why, (), _MENDS[claim.fact])
