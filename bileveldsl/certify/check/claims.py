"""One claim of a certificate: what it says, of which function, and whether its proof shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flint import fmpq

from bileveldsl.certify.check import pl_proximal
from bileveldsl.certify.check.composition import composition_of
from bileveldsl.certify.check.convex_domain import convex_region, require_convex_region
from bileveldsl.certify.check.goals import PL, Bend, Context, bend, kind_name, pl
from bileveldsl.certify.check.kinds import kind_of
from bileveldsl.certify.check.ranges import ZERO
from bileveldsl.certify.check.reading import (
    Condition,
    Constraint,
    Problem,
    Variable,
    one_of,
    rational,
    record,
    sequence,
    text,
)
from bileveldsl.certify.check.region import context_of, is_everything
from bileveldsl.certify.check.terms import Rejected

FACTS = ("convex", "strongly_convex", "smooth", "pl")
_UPPER = "upper"


@dataclass(frozen=True)
class Claim:
    """What a claim says; the proofs are as they were read."""

    of: str
    fact: str
    verdict: str
    x: str
    y: str
    proof: Any
    constant: fmpq | None = None
    constant_upper: fmpq | None = None
    proof_upper: Any = None
    sigma: fmpq | None = None

    @property
    def proved(self) -> bool:
        return self.verdict == "proved"


def read_claim(data: Any) -> Claim:
    """The claim that an object says, or Rejected."""
    required, optional = (
        {"of", "fact", "verdict", "scope", "proof"},
        {"constant", "constant_upper", "proof_upper", "sigma"},
    )
    fields = record(data, required, optional)
    scope = record(fields["scope"], {"x", "y"})
    verdict, fact = one_of(fields["verdict"], ("proved", "refuted")), one_of(fields["fact"], FACTS)
    if ("constant_upper" in fields) != ("proof_upper" in fields):
        raise Rejected("a bound on the other side and its proof come together")
    constants = {name: rational(fields[name]) for name in ("constant", "constant_upper") if name in fields}
    x, y = one_of(scope["x"], ("box", "pointwise")), one_of(scope["y"], ("all", "region"))
    claim = Claim(
        text(fields["of"]), fact, verdict, x, y, fields["proof"], proof_upper=fields.get("proof_upper"), **constants,
        sigma=rational(record(fields["sigma"], {"upper"})["upper"]) if "sigma" in fields else None,
    )  # fmt: skip
    _require_constants(claim)
    return claim


def _require_constants(claim: Claim) -> None:
    """A constant where the fact has one, of the sign that it must have."""
    pointwise = claim.x == "pointwise"
    if pointwise and (claim.fact != "strongly_convex" or not claim.proved):
        raise Rejected("only strong convexity may be proved pointwise")
    wanted = claim.proved and claim.fact != "convex" and not pointwise
    if wanted != (claim.constant is not None):
        raise Rejected("there is no constant" if wanted else "there is a constant that says nothing")
    if claim.constant is not None and (claim.constant < 0 or (claim.constant == 0 and claim.fact != "smooth")):
        raise Rejected("the constant is not positive")
    if claim.constant_upper is not None and claim.fact == "convex":
        raise Rejected("convexity has no constant")


# ---- what a claim is about ------------------------------------------------------------------


def check_claim(problem: Problem, claim: Claim, accepted: Sequence[Claim]) -> None:
    """Returns if the proofs of a claim show it, where other claims are accepted; raises Rejected if they do not."""
    if claim.sigma is not None and not claim.of.endswith(".penalty"):
        raise Rejected("only the penalty function has a weight")
    if claim.of in problem.functions:
        level = claim.of.removesuffix(".objective")
        _check_function(problem, claim, problem.functions[claim.of], level)
    elif claim.of.endswith(".penalty"):
        _check_penalty(problem, claim)
    elif claim.of.endswith(".feasible_set"):
        _check_feasible_set(problem, claim, accepted)
    else:
        _check_constraint(problem, claim)


def own_variables(problem: Problem, level: str) -> tuple[int, ...]:
    """The variables in which the functions of a level are judged: its own, and for the leader all."""
    return tuple(k for k, v in enumerate(problem.variables) if level in (v.level, _UPPER))


def members(problem: Problem, label: str) -> list[Constraint]:
    """The constraints that bear a label, and the members of the family of that name, in the order of the statement."""
    return [c for c in problem.constraints if c.label == label or c.label.startswith(f"{label}[")]


def _check_function(problem: Problem, claim: Claim, root: int, level: str) -> None:
    own = own_variables(problem, level)
    if not own:
        raise Rejected("the function has no variables of its own")
    _require_scope(problem, claim, own)
    context = context_of(problem, own, [root], level)
    if claim.fact == "pl":
        _check_pl(context, claim, root)
        return
    if claim.proved:
        require_convex_region(context, own)
        _prove(context, claim, root)
    else:
        kind_of(claim.proof, f"{claim.fact} refutation")(context, Bend(root, own, 1, ZERO), claim.proof)
    _check_upper(context, claim, Bend(root, own, 1, ZERO))


def _require_scope(problem: Problem, claim: Claim, own: Sequence[int]) -> None:
    if claim.y == "all" and not is_everything(problem, own):
        raise Rejected("bounds or conditions restrict the variables, and the claim is for all of their values")


def _check_upper(context: Context, claim: Claim, goal: Bend | PL) -> None:
    if claim.constant_upper is not None:
        kind_of(claim.proof_upper, f"{claim.fact} upper")(context, goal, claim.constant_upper, claim.proof_upper)


# ---- functions ------------------------------------------------------------------------------


def _prove(context: Context, claim: Claim, root: int) -> None:
    own = context.own
    if claim.x == "pointwise":
        kind_of(claim.proof, "pointwise")(context, Bend(root, own, 1, ZERO), claim.proof)
    elif claim.fact == "smooth":
        _prove_smooth(context, root, claim.constant or ZERO, claim.proof)
    else:
        bend(context, root, own, 1, -(claim.constant or ZERO), claim.proof)


def _prove_smooth(context: Context, root: int, wanted: fmpq, proof: Any) -> None:
    """Rejects unless the gradient of a function is shown to change at most with a constant."""
    constant, proof = _stronger(wanted, proof)
    if constant > wanted:
        raise Rejected("what is proved is not stronger than the claim")
    fields = record(proof, {"kind", "below", "above"})
    if fields["kind"] != "two-sided":
        raise Rejected("a Lipschitz constant is proved on two sides")
    bend(context, root, context.own, 1, constant, fields["below"])
    bend(context, root, context.own, -1, constant, fields["above"])


def _stronger(wanted: fmpq, proof: Any) -> tuple[fmpq, Any]:
    """The constant that a proof is of, and the proof."""
    if kind_name(proof) == "stronger":
        fields = record(proof, {"kind", "constant", "proof"})
        return rational(fields["constant"]), fields["proof"]
    return wanted, proof


def _check_pl(context: Context, claim: Claim, root: int) -> None:
    """The inequality on the whole space or, of a follower whose variables are bounded, the proximal one."""
    own, table = context.own, context.table
    if any(c.level == context.level and table.variables([c.node]) & set(own) for c in context.problem.constraints):
        raise Rejected("the follower has constraints other than bounds")
    goal = PL(root, own, claim.constant or ZERO)
    if claim.proved:
        constant, proof = _stronger(goal.mu, claim.proof)
        if constant < goal.mu:
            raise Rejected("what is proved is not stronger than the claim")
        if claim.y == "all":
            pl(context, root, own, constant, proof)
        else:
            pl_proximal.check(context, PL(root, own, constant), proof)
    elif claim.y == "all":
        kind_of(claim.proof, "pl refutation")(context, goal, claim.proof)
    else:
        pl_proximal.check_refutation(context, goal, claim.proof)
    if claim.y == "all":
        _check_upper(context, claim, goal)
    elif claim.constant_upper is not None:
        pl_proximal.check_upper(context, goal, claim.constant_upper, claim.proof_upper)


def _check_penalty(problem: Problem, claim: Claim) -> None:
    """sigma f + g, for every sigma from 0 to a bound: a variable of its own after all others."""
    level = claim.of.removesuffix(".penalty")
    outer, inner = (problem.functions.get(f"{name}.objective") for name in (_UPPER, level))
    if outer is None or inner is None or level == _UPPER or claim.sigma is None or claim.sigma < 0:
        raise Rejected("the penalty function has a weight and two levels")
    table = problem.table
    sigma = table.var(len(problem.variables))
    weighted = table.mul([sigma, outer])
    root = inner if table.operation[weighted] == "num" else table.node("+", (weighted, inner))
    weight = Variable("", "", ZERO, claim.sigma, False)
    _check_function(replace(problem, variables=(*problem.variables, weight)), claim, root, level)


# ---- constraints ----------------------------------------------------------------------------


def _check_constraint(problem: Problem, claim: Claim) -> None:
    """Each side and member of a constraint is convex (an equality: affine), or smooth; or one of them is not."""
    constraints = members(problem, claim.of)
    levels = {c.level for c in constraints}
    if claim.fact not in ("convex", "smooth") or len(levels) != 1 or claim.x != "box":
        raise Rejected("there is no such function, or nothing of the kind to be said of it")
    if claim.constant_upper is not None:
        raise Rejected("of a constraint no constant is bounded from the other side")
    own = own_variables(problem, levels.pop())
    _require_scope(problem, claim, own)
    pairs = list(_pairs(claim, constraints))
    if not claim.proved and not pairs:
        raise Rejected("nothing is refuted")
    contexts: dict[tuple[Condition, ...], Context] = {}
    for constraint, proof in pairs:
        found = context_of(problem, own, [constraint.node], constraint.level)
        context = contexts.setdefault(found.conditions, found)  # what one member needs may serve the next
        if claim.proved and claim.fact == "smooth":
            _prove_smooth_member(context, constraint, claim.constant or ZERO, proof)
        elif claim.proved:
            _prove_constraint(context, constraint, proof)
        elif claim.fact == "convex" and constraint.relation == "== 0":
            raise Rejected("an equality is affine or not, and convexity is not refuted for it")
        else:
            kind_of(proof, f"{claim.fact} refutation")(context, Bend(constraint.node, own, 1, ZERO), proof)


def _pairs(claim: Claim, constraints: Sequence[Constraint]) -> Iterator[tuple[Constraint, Any]]:
    """The constraints that need a proof, each with its own."""
    if kind_name(claim.proof) != "family":
        if claim.proved or len(constraints) == 1:
            yield from ((c, claim.proof) for c in constraints)
        return
    proofs = sequence(record(claim.proof, {"kind", "members"})["members"])
    if len(proofs) > len(constraints) or (claim.proved and len(proofs) < len(constraints)):
        raise Rejected("there is not one proof for each member")
    for constraint, proof in zip(constraints, proofs, strict=False):
        if claim.proved or proof is not None:
            yield constraint, proof


def _prove_smooth_member(context: Context, constraint: Constraint, wanted: fmpq, proof: Any) -> None:
    """A member's own constant is at most that of the claim."""
    fields = record(proof, {"constant", "proof"})
    constant = rational(fields["constant"])
    if not ZERO <= constant <= wanted:
        raise Rejected("the constant of a member is negative or exceeds the claimed one")
    _prove_smooth(convex_region(context), constraint.node, constant, fields["proof"])


def _prove_constraint(context: Context, constraint: Constraint, proof: Any) -> None:
    context = convex_region(context)
    if constraint.relation == "<= 0":
        bend(context, constraint.node, context.own, 1, ZERO, proof)
        return
    if kind_name(proof) != "affine-equality":
        raise Rejected("an equality must be affine")
    record(proof, {"kind"})
    _require_affine(context, constraint)


def _require_affine(context: Context, constraint: Constraint) -> None:
    composition = composition_of(context, context.own)
    if not composition(constraint.node).affine or not composition.ranges(constraint.node).defined:
        raise Rejected("the constraint may not be affine")


def _check_feasible_set(problem: Problem, claim: Claim, accepted: Sequence[Claim]) -> None:
    """A set where every constraint is convex, by another claim of the certificate, or affine."""
    level = claim.of.removesuffix(".feasible_set")
    own = own_variables(problem, level)
    if claim.fact != "convex" or not claim.proved or claim.x != "box" or not own or level == _UPPER:
        raise Rejected("of a follower's feasible set only convexity is claimed")
    if record(claim.proof, {"kind"})["kind"] != "constraints":
        raise Rejected("a set is convex by its constraints")
    if any(problem.variables[k].integer for k in own):
        raise Rejected("a set of whole numbers is not convex")
    _require_scope(problem, claim, own)
    constraints = [c for c in problem.constraints if c.level == level and problem.table.dependent([c.node], own)]
    if claim.y == "all" and constraints:
        raise Rejected("constraints restrict the variables")
    require_convex_region(context_of(problem, own, [c.node for c in problem.conditions], level), own)
    known = {id(c) for a in accepted if a.proved and a.fact == "convex" for c in members(problem, a.of)}
    for constraint in constraints:
        if id(constraint) not in known:
            _require_affine(context_of(problem, own, [constraint.node], level), constraint)
