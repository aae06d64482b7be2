"""The class of a follower, and what it means for methods: which are sound, which are not, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bileveldsl.calculus.structure import kind
from bileveldsl.program import Level, Program
from bileveldsl.verdict.bounds import at_least
from bileveldsl.verdict.constants import Constants, Known, constants, holding, proximal_curvature
from bileveldsl.verdict.theorems import CXZ, Setting, Theorem, answering, first_order, projected

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact

Bend = Literal["strongly convex", "PL", "convex", "nonconvex", "unknown"]
Limits = Literal["unconstrained", "bounded", "constrained"]


@dataclass(frozen=True)
class Method:
    """A way to solve the program, the backends that go it, and why it is sound for this follower or is not."""

    name: str
    backends: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class FollowerVerdict:
    """What the facts imply for one follower."""

    name: str
    bend: Bend
    limits: Limits
    form: Literal["linear", "quadratic", "nonlinear"]
    assumed: tuple[str, ...]
    constants: Constants
    answering: tuple[Setting, ...]
    theorems: tuple[Theorem, ...]
    sound: tuple[Method, ...]
    doubtful: tuple[Method, ...]
    warnings: tuple[str, ...]

    @property
    def title(self) -> str:
        """The class in a few words."""
        return _title(self.name, self.bend, self.limits)

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        found = self.constants
        return {
            "name": self.name,
            "class": self.title,
            "bend": self.bend,
            "limits": self.limits,
            "form": self.form,
            "assumed": list(self.assumed),
            "constants": [vars(bound) for bound in found.bounds],
            "kappa": found.kappa,
            "penalty": {"mu": found.penalty_mu, "sigma_max": found.sigma_max, "why": found.penalty_why},
            "answering": [vars(setting) for setting in self.answering],
            "theorems": [
                {**vars(t), "settings": [vars(s) for s in t.settings], "missing": list(t.missing),
                 "notes": list(t.notes)}
                for t in self.theorems
            ],
            "sound": [{**vars(m), "backends": list(m.backends)} for m in self.sound],
            "doubtful": [{**vars(m), "backends": list(m.backends)} for m in self.doubtful],
            "warnings": list(self.warnings),
        }  # fmt: skip


def judge_follower(program: Program, level: Level, facts: Iterable[Fact], tolerance: float = 1e-6) -> FollowerVerdict:
    """What is known to hold for a follower, and what follows from that.

    Parameters
    ----------
    program, level
        The program and its follower.
    facts
        What `certify` found, with what the model assumes.
    tolerance
        The accuracy eps that step counts, penalties and stopping rules are for.
    """
    facts = tuple(facts)
    everything, known = {(f.of, f.fact): f for f in facts}, holding(facts)
    bend, limits = _bend(level, everything), _limits(level)
    found = constants(program, level, known)
    free = limits == "unconstrained" and all(v.kind == "continuous" for v in level.variables)
    theorems = first_order(found, tolerance) if free else projected(found)
    refuted = _verdict(everything, f"{level.name}.penalty", "pl") == "refuted"
    sound, doubtful = _methods(level, bend, free, found, known, refuted)
    form: Any = kind(level.objective, level.symbols)
    return FollowerVerdict(
        level.name, bend, limits, "linear" if form in ("constant", "affine") else form,
        tuple(f"{f.of} {f.fact}" for f in facts if f.verdict == "assumed" and f.of.startswith(f"{level.name}.")),
        found, answering(found, tolerance) if free or found.curvature else (), theorems, sound, doubtful,
        tuple(_warnings(level, bend, free, everything, refuted)),
    )  # fmt: skip


# ---- the class ------------------------------------------------------------------------------


def _bend(level: Level, facts: Known) -> Bend:
    of = f"{level.name}.objective"
    strong = facts.get((of, "strongly_convex"))
    if strong is not None and strong.holds:
        return "strongly convex"
    pl = facts.get((of, "pl"))
    if pl is not None and pl.holds and (pl.y == "all" or (proximal_curvature(pl) and not level.constraints)):
        return "PL"
    convex = facts.get((of, "convex"))
    if convex is not None and convex.holds:
        return "convex"
    return "nonconvex" if convex is not None and convex.verdict == "refuted" else "unknown"


def _limits(level: Level) -> Limits:
    if level.constraints:
        return "constrained"
    return "bounded" if any(v.bounded for v in level.variables) else "unconstrained"


def _title(name: str, bend: Bend, limits: Limits) -> str:
    kind = "follower of unknown convexity" if bend == "unknown" else f"{bend} follower"
    return f"{kind}{'' if name == 'lower' else f' {name}'}, {limits}"


def _verdict(facts: Known, of: str, fact: str) -> str:
    found = facts.get((of, fact))
    return found.verdict if found is not None else "unknown"


# ---- what it means --------------------------------------------------------------------------

FIRST_ORDER = ("f2ba", "galet", "rxgf", "pbgd", "bome")


def _methods(
    level: Level, bend: Bend, free: bool, found: Constants, known: Known, refuted: bool
) -> tuple[tuple[Method, ...], tuple[Method, ...]]:
    sound, doubtful = [], []
    quadratic = kind(level.objective, level.symbols) != "nonlinear"
    conditions = "f_y = 0 means" if free else "the KKT conditions mean"
    if bend in ("strongly convex", "PL", "convex") and (free or (level.name + ".feasible_set", "convex") in known):
        needs = "" if free or _qualified(level, known) else _SLATER
        why = f"{conditions} exactly that the follower answers optimally{needs}"
        sound.append(Method("optimality conditions", ("milp", "kkt") if quadratic else ("kkt",), why))
    else:
        why = f"{'f_y = 0 holds' if free else 'the KKT conditions hold'} also where the follower could do better"
        doubtful.append(Method("optimality conditions", ("kkt",), why))
    if free and bend == "strongly convex":
        sound.append(Method("implicit differentiation", ("implicit", "augmented"), "one answer, which moves smoothly"))
    elif free:
        doubtful.append(Method("implicit differentiation", ("implicit", "augmented"), "the answer need not be unique"))
    if free:
        _first_order(sound, doubtful, bend, found, refuted)
    sound.append(Method("global search", ("scip",), "bounds from both sides need no convexity; small models only"))
    return tuple(sound), tuple(doubtful)


_SLATER = ", if a point satisfies the constraints with room (Slater), which is not proved"


def _qualified(level: Level, known: Known) -> bool:
    """Whether the KKT conditions are necessary: affine constraints, or a proved Slater point."""
    affine = all(kind(part, level.symbols) in ("constant", "affine") for c in level.constraints for part in c.parts)
    return affine or (f"{level.name}.feasible_set", "slater") in known


def _first_order(sound: list[Method], doubtful: list[Method], bend: Bend, found: Constants, refuted: bool) -> None:
    if bend not in ("strongly convex", "PL"):
        why = "their rates need the PL inequality, which is not proved for this follower"
        doubtful.append(Method("first-order methods", FIRST_ORDER, why))
        return
    why = "a small f_y means a nearly best answer"
    sound.append(Method("value-function gradients", ("galet", "pbgd", "bome"), why))
    if found.penalty_mu is not None:
        limit = found.sigma_max
        up_to = "" if limit is None or math.isinf(limit) else f" up to {at_least(limit)}"
        sound.append(Method("penalty", ("f2ba",), f"sigma F + f is PL for every sigma{up_to}: {found.penalty_why}"))
    else:
        why = "sigma F + f is proved not to be PL" if refuted else "that sigma F + f is PL is not proved"
        doubtful.append(Method("penalty", ("f2ba",), why))
    if bend == "strongly convex":
        bias = "" if found.mu is None else f": y is off by at most eps / mu, mu >= {at_least(found.mu.value)}"
        sound.append(Method("relaxed stationarity", ("rxgf",), f"f_y = 0 only at the answer{bias}"))


def _warnings(level: Level, bend: Bend, free: bool, facts: Known, refuted: bool) -> Iterable[str]:
    of = f"{level.name}.objective"
    if refuted and bend in ("strongly convex", "PL"):
        yield (
            f"{of} is PL, but sigma F + f is not, however small sigma is: the penalty function may have no minimum, "
            f"and F2BA may diverge ({CXZ}, Example 4.1)"
        )
    if bend == "convex" and free:
        yield (
            "the follower is convex, but neither strongly convex nor PL is proved: in this class no first-order method "
            f"of the usual kind is sure to come near a stationary point of phi in any fixed number of steps ({CXZ}, "
            "Theorem 3.2), and phi may jump. Use the optimality conditions (kkt, milp) or a global search (scip), or "
            "make it strongly convex with a term such as 1e-3*sumsq(y)"
        )
    strong = facts.get((of, "strongly_convex"))
    if strong is not None and strong.verdict != "refuted" and strong.x == "pointwise":
        yield (
            "it is strongly convex for each decision of the leader, but the modulus has no positive bound over all of "
            "them: no rate holds. Bound the leader's variables"
        )
    if bend == "nonconvex" and free:
        yield "a local method may stop where the follower has a better answer; verification says so when it finds one"
    whole = [v.name for v in level.variables if v.kind != "continuous"]
    if whole:
        yield f"{', '.join(whole)} takes whole values, but the facts are about the relaxation, as gradients are"
