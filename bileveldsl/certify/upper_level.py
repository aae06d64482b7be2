"""The facts of the leader's functions: convex and smooth in all variables together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from bileveldsl.calculus.expr import negate
from bileveldsl.certify import refuting
from bileveldsl.certify.clock import until
from bileveldsl.certify.constraints import constraint_fact, smoothness
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.defined import is_defined
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.modulus import Modulus
from bileveldsl.certify.objective import COMPOSITION, REASONS
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region
from bileveldsl.certify.second_order import Bends, second_order
from bileveldsl.certify.statement import Question, Statement
from bileveldsl.program import Program

_SIZE = 6  # variables up to which second derivatives are bounded over boxes
_LARGEST = 30  # variables up to which points are looked for at which a function bends down


def upper_facts(program: Program, found: Statement | None, deadline: float) -> Iterator[Fact]:
    """Convex and smooth of the objective and of each constraint, for every value of all variables."""
    upper = program.upper
    region = Region(program, upper, found)
    composition = Composition([*(v.symbol for v in program.variables), *program.priced], Ranges(region.boxes))
    objective = upper.objective if upper.sense == "minimize" else negate(upper.objective)
    of = "upper.objective"
    bend = composition(objective)
    question = None
    if found is not None:
        question = Question(found, found.functions[of], tuple(range(len(found.variables))), "upper", deadline)
    whole = not region.domain_obstacle(composition, program.domain)
    for fact in _objective(of, bend.convex, bend.why, question, whole):
        yield replace(fact, y="region") if program.domain else fact
    if question is None:
        structure = Modulus(composition, sorted(composition.depends.symbols, key=lambda s: s.name))
        bounds = structure(objective).values()
        L = max((max(b.greatest, -b.least, 0.0) for b in bounds), default=0.0)
        if math.isfinite(L):
            proof = structure.proof(objective, "smooth")
            yield Fact(of, "smooth", "proved", L, y="region", rule="structure", why=REASONS["structure"], proof=proof)
    few = question if question is not None and len(question.own) <= _LARGEST else None
    for constraint in upper.constraints:
        yield constraint_fact(constraint, composition, few)
        yield from smoothness(constraint, composition, question)


def _objective(of: str, convex: bool, why: str, question: Question | None, whole: bool) -> Iterator[Fact]:
    """Bounds of second derivatives prove nothing across a hole, which the domain has unless it is `whole`."""
    y: Literal["all", "region"] = "region" if question is None or not question.everything else "all"
    bends = None
    with until(math.inf) as work:
        if question is not None and len(question.own) <= _LARGEST:
            if whole and len(question.own) <= _SIZE and is_defined(question):
                bends = second_order(question, convex, None)
            else:
                bends = Bends(refuted=None if convex else refuting.refute_convex(question))
    if convex:
        yield Fact(of, "convex", "proved", y=y, rule="composition", why=REASONS["composition"], proof=COMPOSITION)
    elif bends is not None and bends.mu is not None and bends.mu.value >= 0:
        yield Fact(of, "convex", "proved", y=y, rule=bends.rule, why=REASONS[bends.rule], proof=bends.mu.proof)
    elif bends is not None and bends.refuted is not None:
        yield Fact(of, "convex", "refuted", y=y, rule="witness", why="it bends down at a point", proof=bends.refuted)
    else:
        yield Fact(of, "convex", "unknown", y=y, why=why).after(work)
    if bends is not None and bends.L is not None:
        below = bends.L_lower
        yield Fact(of, "smooth", "proved", bends.L.value, None if below is None else below.value, y=y, rule=bends.rule,
                   why=REASONS[bends.rule], proof=bends.L.proof, proof_upper=None if below is None else below.proof)
