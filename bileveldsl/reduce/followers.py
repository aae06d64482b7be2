"""Several followers become one: they are independent given the leader, so their joint answer minimizes the sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bileveldsl.calculus.expr import add
from bileveldsl.certify.facts import Fact
from bileveldsl.program import FACTS, Level, Program
from bileveldsl.reduce.base import Point

JOINT = "followers"


@dataclass(frozen=True)
class FollowersToOne:
    """min f1(x, y1) and min f2(x, y2) are min f1 + f2 over both; a constraint's label gets its follower's name."""

    name: str = "several followers to one"
    exact: bool = True

    def accepts(self, program: Program) -> bool:
        return len(program.lower) > 1

    def apply(self, program: Program) -> tuple[Program, dict[str, str]]:
        """The program with one follower that minimizes; for each new label the old one."""
        levels = program.lower
        constraints, labels = [], {}
        for level in levels:
            for constraint in level.constraints:
                label = f"{level.name}.{constraint.label}"
                labels[label] = constraint.label
                constraints.append(replace(constraint, label=label))
        pessimistic = any(level.ties == "pessimistic" for level in levels)
        joint = Level(
            "lower", JOINT, "minimize", add(*(level.objective for level in levels)),
            tuple(variable for level in levels for variable in level.variables), tuple(constraints), (),
            "pessimistic" if pessimistic else "optimistic",
            tuple(dict.fromkeys(axis for level in levels for axis in level.minibatch)),
            levels[0].span, levels[0].objective_span,
        )  # fmt: skip
        return replace(program, lower=(joint,)), labels

    def invert(self, point: Point, inverse: dict[str, str]) -> Point:
        return Point(point.values, {inverse.get(label, label): value for label, value in point.duals.items()})

    def carry(self, point: Point, inverse: dict[str, str]) -> Point:
        """Labels get their follower's name; the same label of two followers stands for both."""
        found = {new: point.duals[old] for new, old in inverse.items() if old in point.duals}
        return Point(point.values, found)

    def facts(self, program: Program, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """What holds of the joint follower: what holds of each, with the weakest constants."""
        known = {(fact.of, fact.fact): fact for fact in facts}
        names = [level.name for level in program.lower]
        joint = []
        for of, kinds in (("objective", FACTS), ("feasible_set", ("convex",))):
            for kind in kinds:
                parts = [known.get((f"{name}.{of}", kind)) for name in names]
                present = [part for part in parts if part is not None]
                if len(present) < len(names):
                    continue
                joint.append(_weakest(f"{JOINT}.{of}", kind, present))
        return (*facts, *joint)


def _weakest(of: str, kind: str, parts: list[Fact]) -> Fact:
    """One fact for all: the sum of separate functions bends as the weakest part does."""
    for verdict in ("refuted", "unknown"):
        bad = next((part for part in parts if part.verdict == verdict), None)
        if bad is not None:
            return replace(bad, of=of, constant=None, constant_upper=None)
    constants = [part.constant for part in parts if part.constant is not None]
    whole = len(constants) == len(parts)
    constant = (max(constants) if kind == "smooth" else min(constants)) if whole else None
    assumed = any(part.verdict == "assumed" for part in parts)
    between = [part for part in parts if kind == "pl" and part.y == "region"]
    curvatures: list[float] = [part.witness["curvature"] for part in between if "curvature" in part.witness]
    return replace(
        parts[0],
        of=of,
        constant=constant,
        constant_upper=None,
        rule="sum",
        why="it holds of each follower",
        verdict="assumed" if assumed else "proved",
        x="pointwise" if any(part.x == "pointwise" for part in parts) else "box",
        y="region" if any(part.y == "region" for part in parts) else "all",
        witness={"curvature": max(curvatures)} if curvatures and len(curvatures) == len(between) else {},
    )
