"""All facts of a program: of each follower, of the leader's functions, and of the penalty that joins them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from bileveldsl.certify.constraints import feasible_set_facts
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.inequality import penalty_fact
from bileveldsl.certify.objective import objective_facts
from bileveldsl.certify.ranges import Ranges
from bileveldsl.certify.region import Region
from bileveldsl.certify.scalars import topological
from bileveldsl.certify.statement import Question, statement
from bileveldsl.certify.upper_level import upper_facts
from bileveldsl.program import FACTS, Program

SCALARS, NODES = 12, 200
"""Variables and operations up to which a follower's objective is judged as a function of scalars, if not affine."""

INTERRUPTED = "interrupted"
"""Why a fact is unknown that Ctrl-C left undecided."""


def certify(program: Program, budget_seconds: float = 10.0) -> tuple[Fact, ...]:
    """The facts of every function of a program (in the sense of minimizing), of constraints and feasible sets.

    Parameters
    ----------
    program
        A checked program.
    budget_seconds
        After about this time what is not yet decided is reported unknown, as it is after Ctrl-C.

    Returns
    -------
    tuple of Fact
        For each follower convex, strongly_convex, smooth and pl of `NAME.objective`, convex of each constraint in its
        variables, convex of `NAME.feasible_set`, pl of `NAME.penalty`; convex and smooth of the leader's functions
        in all variables. A proved fact holds for every value of all other variables within their bounds, and for every
        value of the level's own within theirs where the function is defined.
    """
    facts: list[Fact] = []
    try:
        with np.errstate(all="ignore"):  # what overflows proves nothing, and no more is said of it
            for fact in _facts(program, time.monotonic() + budget_seconds):
                facts.append(fact)
    except KeyboardInterrupt:
        facts += _undecided(program, facts)
    return tuple(facts)


def _undecided(program: Program, facts: Iterable[Fact]) -> Iterator[Fact]:
    """What is not known of the followers because certification was interrupted."""
    known = {(fact.of, fact.fact) for fact in facts}
    wanted = [(f"{level.name}.objective", fact) for level in program.lower for fact in FACTS]
    wanted += [(constraint.label, "convex") for level in program.lower for constraint in level.constraints]
    wanted += [(f"{level.name}.feasible_set", "convex") for level in program.lower]
    for of, fact in wanted:
        if (of, fact) not in known:
            yield Fact(of, fact, "unknown", why=INTERRUPTED)


def _facts(program: Program, deadline: float) -> Iterator[Fact]:
    found = statement(program)
    for level in program.lower:
        region = Region(program, level, found, deadline)
        composition = Composition(level.symbols, Ranges(region.boxes))
        question = None
        if found is not None:
            root = found.functions[f"{level.name}.objective"]
            question = Question(found, root, found.own(level.name), level.name, deadline)
        few = question is not None and len(question.own) <= SCALARS and len(topological([question.root])) <= NODES
        small = few or composition(level.objective).affine
        objective = objective_facts(region, composition, question if small else None)
        yield from objective
        yield from feasible_set_facts(region, composition, question)
        if question is not None and small and not level.constraints:
            penalty = penalty_fact(f"{level.name}.penalty", question, objective[1])
            if penalty is not None:
                yield penalty
    yield from upper_facts(program, found, deadline)
