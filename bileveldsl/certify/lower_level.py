"""All facts of a program: of each follower, of the leader's functions, and of the penalty that joins them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from bileveldsl.calculus.expr import depends_on
from bileveldsl.certify.clock import share, until
from bileveldsl.certify.constraints import feasible_set_facts
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.facts import TIME_UP, Fact
from bileveldsl.certify.inequality import penalty_fact
from bileveldsl.certify.objective import objective_facts
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region
from bileveldsl.certify.scalars import topological
from bileveldsl.certify.statement import Question, statement
from bileveldsl.certify.upper_level import upper_facts
from bileveldsl.program import FACTS, Program

SCALARS, NODES = 12, 200
"""Variables and operations up to which an objective is judged as a function of scalars first, if it is not affine."""

_WRITING = 0.5  # of the time, to write the functions out
_FOLLOWERS = 0.9  # of what is left then, for the followers together

INTERRUPTED = "interrupted"
"""Why a fact is unknown that Ctrl-C left undecided."""


def certify(program: Program, budget_seconds: float = 10.0) -> tuple[Fact, ...]:
    """The facts of every function of a program (in the sense of minimizing), of constraints and feasible sets.

    Parameters
    ----------
    program
        A checked program.
    budget_seconds
        After this time what is not yet decided is reported unknown, as it is after Ctrl-C. One product or factorization
        of large matrices, and one step of a solver, are not cut short.

    Returns
    -------
    tuple of Fact
        For each follower convex, strongly_convex, smooth and pl of `NAME.objective`, convex of each constraint in its
        variables, convex of `NAME.feasible_set`, pl of `NAME.penalty`; convex and smooth of the leader's functions
        in all variables. A proved fact holds for every value of all other variables within their bounds, and for every
        value of the level's own within theirs where the function is defined.
    """
    facts: list[Fact] = []
    deadline = time.monotonic() + budget_seconds
    try:
        with np.errstate(all="ignore"), until(deadline) as work:  # what overflows proves nothing: no more is said of it
            for fact in _facts(program, deadline):
                facts.append(fact)
        if work.cut:
            facts += _undecided(program, facts, TIME_UP)
    except KeyboardInterrupt:
        facts += _undecided(program, facts, INTERRUPTED)
    return tuple(facts)


def _undecided(program: Program, facts: Iterable[Fact], why: str) -> Iterator[Fact]:
    """What is not known because certification was ended."""
    known = {(fact.of, fact.fact) for fact in facts}
    wanted = [(f"{level.name}.objective", fact) for level in program.lower for fact in FACTS]
    for level in program.lower:
        bending = [c.label for c in level.constraints if any(depends_on(part, level.symbols) for part in c.parts)]
        wanted += [(of, "convex") for of in (*bending, f"{level.name}.feasible_set")]
    wanted += [(of, "convex") for of in ("upper.objective", *(c.label for c in program.upper.constraints))]
    for of, fact in wanted:
        if (of, fact) not in known:
            yield Fact(of, fact, "unknown", why=why)


def _facts(program: Program, deadline: float) -> Iterator[Fact]:
    found = None
    with until(share(_WRITING)):
        found = statement(program)
    for k, level in enumerate(program.lower):
        end = share(_FOLLOWERS / (len(program.lower) - k))
        region = Region(program, level, found)
        composition = Composition(level.symbols, Ranges(region.boxes))
        question = None
        if found is not None:
            root = found.functions[f"{level.name}.objective"]
            question = Question(found, root, found.own(level.name), level.name, end)
        few = question is not None and len(question.own) <= SCALARS and len(topological([question.root])) <= NODES
        small = few or composition(level.objective).affine
        objective: list[Fact] = []
        feasible: list[Fact] = []
        penalty = None
        with until(end):
            objective = objective_facts(region, composition, question, small)
        yield from objective
        with until(end) as work:
            feasible = feasible_set_facts(region, composition, question)
        yield from (fact.after(work) for fact in feasible)
        with until(end):
            if question is not None and small and objective and not level.constraints:
                penalty = penalty_fact(f"{level.name}.penalty", question, objective[1])
        if penalty is not None:
            yield penalty
    yield from upper_facts(program, found, deadline)
