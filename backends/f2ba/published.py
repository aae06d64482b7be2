"""Algorithm 2 as published, and its settings by Theorem 4.1 from certified constants (Chen, Xu, Zhang, COLT 2024)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bileveldsl.execute.certified import Certified, certified, constants, repeated
from bileveldsl.execute.driver import Report

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program

UNCERTIFIED = {"sigma": 0.01, "K": 50, "tau": 0.1, "eta": 0.01}  # where no constant is known
ENOUGH = 0.1  # of the certified accuracy, relative to the hyper-gradient


def published(problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Published:
    """Algorithm 2 with the settings that are given, else with those of the theorem."""
    settings = {name: options[name] for name in ("sigma", "K", "tau", "eta")}
    box, chains, follower = (problem.x_lower, problem.x_upper), None, certified(problem)
    if None in settings.values():
        above = facts_above(problem.program)
        known = theorem(problem.program, problem.facts, monitor.tolerance, above) or UNCERTIFIED
        settings = {name: known[name] if value is None else value for name, value in settings.items()}
        modulus = penalty_modulus(problem.program, problem.facts, settings["sigma"], above)
        if follower is not None and modulus and options["K"] is None and known is not UNCERTIFIED:
            follower.tell(monitor)
            chains = replace(follower, mu=modulus), follower
    return Published(**settings, box=box, tolerance=monitor.tolerance, chains=chains)


def theorem(
    program: Program, facts: Iterable[Fact], tolerance: float, above: Mapping[str, Fact] | None = None
) -> dict[str, Any] | None:
    """The settings of Theorem 4.1 from certified constants of the follower, or None where f has none.

    mu and L_g are those of f, L_f that of F in y; l is the largest of those certified (C_f and the Lipschitz constants
    of the Hessians are not), kappa = l / mu. eta is 1 / (2 L_phi) with L_phi = 4 l kappa^3, which bounds it for
    quadratic followers; sigma stays above the level at which differences are rounding.
    """
    below = constants(facts, f"{program.lower[0].name}.objective")
    if not {"pl", "smooth"} <= below.keys():
        return None
    mu, L_g = (below[name].constant or 0.0 for name in ("pl", "smooth"))
    smooth = (facts_above(program) if above is None else above).get("smooth")
    L_f = (smooth and smooth.constant) or 0.0
    largest = max(L_f, L_g)
    kappa = largest / mu
    sigma = max(min(tolerance / (largest * kappa**3), L_g / L_f if L_f else 1.0), float(np.sqrt(np.finfo(float).eps)))
    steps = max(1, int(np.ceil(L_g / mu * np.log(max(L_g / (mu * sigma), 2.0)))))
    return {"sigma": sigma, "K": steps, "tau": 1 / (sigma * L_f + L_g), "eta": 1 / (8 * largest * kappa**3),
            "mu": mu, "L": L_g}  # fmt: skip


def penalty_modulus(program: Program, facts: Iterable[Fact], sigma: float, above: Mapping[str, Fact]) -> float:
    """The largest certified mu of sigma F + f in y at every x, for its PL inequality; zero where there is none.

    Three ways: certified of the penalty itself; that of f, which is strongly convex, where F is convex in y; else
    reduced by sigma L_f, the most that the curvature of F takes away.
    """
    name, facts = program.lower[0].name, tuple(facts)
    found = [0.0]
    penalty = constants(facts, f"{name}.penalty").get("pl")
    if penalty is not None and sigma <= penalty.witness.get("sigma", {}).get("upper", 0.0):
        found.append(penalty.constant or 0.0)
    strong = constants(facts, f"{name}.objective").get("strongly_convex")
    if strong is not None:
        convex, smooth = above.get("convex"), above.get("smooth")
        bend = 0.0 if convex is not None else smooth.constant if smooth is not None else None
        found.append((strong.constant or 0.0) - sigma * (np.inf if bend is None else bend))
    return max(found)


def facts_above(program: Program) -> dict[str, Fact]:
    """What is proved of F in the follower's variables."""
    from bileveldsl.certify.lower_level import certify

    (lower,) = program.lower
    leader = replace(lower, objective=program.upper.objective, sense=program.upper.sense, claims=())
    of = f"{lower.name}.objective"
    facts = certify(replace(program, lower=(leader,)))
    return {fact.fact: fact for fact in facts if fact.of == of and fact.holds and fact.x == "box"}


class PublishedState(NamedTuple):
    x: Any
    y: Any  # chain of sigma F + f
    z: Any  # chain of f
    value: Any
    norm: Any
    iteration: Any
    steps: Any  # of the chains


@dataclass(frozen=True, eq=False)
class Published:
    """Algorithm 2 with fixed K, tau, eta and sigma; x is projected onto its bounds after each step.

    `chains` are what is certified of sigma F + f and of f. With it the inner loop ends before the K-th step where both
    chains are certified to be as near as Algorithm 3 asks, sigma eps / L, with eps a tenth of the hyper-gradient.
    """

    sigma: float
    K: int
    tau: float
    eta: float
    box: tuple[np.ndarray, np.ndarray]
    tolerance: float
    chains: tuple[Certified, Certified] | None = None

    def init(self, oracles: Oracles, x: Any, y: Any) -> PublishedState:
        xp = oracles.engine.xp
        return PublishedState(x, y, y, oracles.F(x, y), xp.asarray(np.inf), 0, 0)

    def step(self, oracles: Oracles, state: PublishedState) -> PublishedState:
        xp, x = oracles.engine.xp, state.x

        before = xp.where(xp.isfinite(state.norm), state.norm, 0.0)
        accuracy = ENOUGH * self.sigma * xp.maximum(before, self.tolerance)

        def inner(chains: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
            y, z = chains
            by_y, by_z = self.sigma * oracles.grad_F_y(x, y) + oracles.grad_f_y(x, y), oracles.grad_f_y(x, z)
            moved = y - self.tau * by_y, z - self.tau * by_z
            if self.chains is None:
                return moved, xp.asarray(False)
            penalty, follower = self.chains
            distance = accuracy / follower.smooth
            near = penalty.within(xp, y, by_y, distance) & follower.within(xp, z, by_z, distance)
            return (xp.where(near, y, moved[0]), xp.where(near, z, moved[1])), near

        (y, z), steps = repeated(oracles.engine, inner, (state.y, state.z), self.K)
        upper_x, _ = oracles.grad_F(x, y)
        at_y, _ = oracles.grad_f(x, y)
        at_z, _ = oracles.grad_f(x, z)
        gradient = upper_x + (at_y - at_z) / self.sigma
        rest = x - xp.clip(x - gradient, *self.box)
        new = xp.clip(x - self.eta * gradient, *self.box)
        return PublishedState(new, y, z, oracles.F(x, z), xp.sqrt(xp.vdot(rest, rest)), state.iteration + 1,
                              state.steps + steps)  # fmt: skip

    def terminate(self, state: PublishedState) -> Any:
        return state.norm <= self.tolerance

    def report(self, state: PublishedState) -> Report:
        return Report(state.x, state.z, state.value, {"hypergradient_norm": state.norm})

    def work(self, state: PublishedState) -> Mapping[str, int]:
        steps, inner = int(state.iteration), int(state.steps)
        return {"f": 1 + steps, "grad_f": steps + inner, "grad_g": 2 * steps + 2 * inner}
