"""F2BSA: the fully first-order penalty method with minibatches (Chen, Xu, Zhang, COLT 2024, Algorithm 3).

As F2BA, with every gradient an unbiased sample over the axes that a level names as `minibatch`. Noise in F enters the
hyper-gradient as it is, noise in f divided by sigma; one batch serves all chains, so that what they share cancels.

    adaptive   central difference; the inner step from the curvature met on a batch and then falling as t^(-4/7), as in
               F2SA (Kwon et al. 2023); the leader's step is the distance over gradients (Ivgi, Hinder, Carmon 2023)
    paper      Algorithm 3: forward difference, fixed steps, inner steps by the recursion of equation (9)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from bileveldsl.backends.f2ba import UNCERTIFIED, Polish, nodes, slope, theorem

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.execute.driver import guarded
from bileveldsl.execute.polish import polished
from bileveldsl.execute.problem import CompiledProblem
from bileveldsl.execute.sampling import Batch, NotSampled, sample_program

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.program import Program

DECAY = 100  # outer steps after which inner steps begin to shrink


@dataclass(frozen=True)
class F2BSA:
    """The backend `f2bsa`."""

    name: str = "f2bsa"
    summary: str = "F2BA with minibatches over the axes that the model names"
    capabilities: Capabilities = Capabilities(follower="unconstrained", evidence="stationary")  # noqa: RUF009
    options: tuple[Option, ...] = (
        Option("form", str, "adaptive", "step sizes and difference", choices=("adaptive", "paper")),
        Option("sigma", float, None, "penalty; auto is 1e-3, or that of the theorem", above=0.0),
        Option("batch", int, 32, "largest size of a minibatch", at_least=2),
        Option("K", int, None, "inner steps; auto is 10, or equation (9) with certified constants", at_least=1),
        Option("tau", float, None, "inner step size", above=0.0),
        Option("eta", float, None, "outer step size", above=0.0),
        Option("epsilon", float, 1e-2, "accuracy in equation (9)", above=0.0),
        Option("max_iterations", int, 5000, "steps of the leader", at_least=1),
        Option("check", int, 50, "steps between two looks at all data", at_least=1),
        Option("inner", int, 20000, "most gradients of the final follower's problem", at_least=1),
    )

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        objection = why_not(self.name, self.capabilities, program, facts)
        if objection is None:
            try:
                sample_program(program, 2)
            except NotSampled as why:
                return f"{why}, which {self.name} cannot sample"
        return objection

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        """Descend on samples of psi; whether the whole hyper-gradient vanishes is looked at now and then."""
        search = Search(problem, dict(options), monitor)
        with np.errstate(all="ignore"):  # values tell
            result = guarded(search.run, problem, monitor)
        return polished(problem, result, Polish(options["inner"]))


def inner_steps(L: float, mu: float, sigma: float, epsilon: float, delta: float) -> int:
    """K_t of equation (9): enough to bring a squared distance delta below the noise."""
    return max(1, math.ceil(L / mu * math.log(max(L**3 * delta / (mu * sigma**2 * epsilon**2), math.e))))


def next_distance(L: float, mu: float, sigma: float, epsilon: float, delta: float, moved: float) -> float:
    """delta_{t+1} of equation (9), for a leader who moved by |x_{t+1} - x_t|^2 = moved."""
    return delta / 2 + 8 * (L / mu) ** 2 * moved + (sigma * epsilon / L) ** 2


@dataclass
class Search:
    """One run of the method on a problem."""

    problem: CompiledProblem
    options: dict[str, Any]
    monitor: Monitor
    curvature: float = 0.0
    known: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        program, batches = sample_program(self.problem.program, self.options["batch"])
        self.batches: tuple[Batch, ...] = tuple(batch for found in batches.values() for batch in found)
        self.sampled = CompiledProblem(program, self.problem.engine) if self.batches else self.problem
        self.random = np.random.default_rng(self.monitor.seed)
        self.before = self.problem.work["epochs"]
        self.paper = self.options["form"] == "paper"
        if self.paper:
            self.known = theorem(self.problem.program, self.problem.facts, self.options["epsilon"]) or UNCERTIFIED
            if "mu" in self.known and not self.options["K"]:
                text = "inner steps by equation (9) with certified constants (mu = {mu:.3g}, L = {L:.3g})"
                self.monitor.notes.append(text.format(**self.known))
        self.nodes = nodes(1, False) if self.paper else nodes(2, True)
        self.sigma = self.options["sigma"] or self.known.get("sigma") or 1e-3
        self.sigmas, self.weights = self.sigma * self.nodes, slope(self.nodes) / self.sigma
        self.share = float(np.mean([b.size / b.dim.size for b in self.batches])) if self.batches else 1.0

    def draw(self) -> Oracles:
        """The oracles of a new batch."""
        constants = self.sampled.constants
        arrays = dict(constants.arrays)
        for batch in self.batches:
            arrays |= batch.arrays(constants, self.random.permutation(batch.dim.size)[: batch.size])
        return self.sampled.bind(arrays)

    def gradient(self, oracles: Oracles, x: np.ndarray, chains: np.ndarray) -> np.ndarray:
        """Of the sum of the chains' penalty functions, by the chains."""
        self.count()
        return np.asarray(oracles.penalty_sum(x, chains, self.sigmas)[1])

    def count(self) -> None:
        """A call of an oracle on a batch counts as one."""
        self.problem.count(**dict.fromkeys(("f", "g", "grad_f", "grad_g"), self.nodes.size), epochs=self.share)

    @property
    def epochs(self) -> float:
        """How often this run has gone through all sampled data."""
        return self.problem.work["epochs"] - self.before

    def run(self) -> RawPoint:
        problem, options = self.problem, self.options
        x, chains = np.array(problem.x_start), np.repeat(problem.y_start, self.nodes.size)
        first, farthest, squares = x.copy(), 1e-3 * (1 + float(np.linalg.norm(x))), 0.0
        delta = self.known.get("R", 1.0)
        status, norm = "limit", math.inf
        for iteration in range(options["max_iterations"]):
            if iteration % options["check"] == 0:
                norm = self.look(x, chains, iteration)
                if norm <= self.monitor.tolerance:
                    status = "converged"
                    break
            chains = self.follow(x, chains, iteration, self.steps(delta))
            oracles = self.draw()
            self.count()
            gradient = np.asarray(oracles.penalty_mean(x, chains, self.sigmas, self.weights)[1])
            squares += float(gradient @ gradient)
            eta = options["eta"] or self.known.get("eta") or farthest / math.sqrt(max(squares, 1e-300))
            new = np.clip(x - eta * gradient, problem.x_lower, problem.x_upper)
            delta = self.distance(delta, float(np.sum((new - x) ** 2)))
            x, farthest = new, max(farthest, float(np.linalg.norm(new - first)))
            problem.count(iterations=1)
            self.monitor.check()
        else:
            iteration, norm = options["max_iterations"], self.look(x, chains, options["max_iterations"])
        y = chains.reshape(problem.ny, -1).mean(axis=1)
        message = f"{'converged' if status == 'converged' else 'stopped at the limit'} after {self.epochs:.3g} epochs"
        return RawPoint(x, y, status, message, {"hypergradient_norm": norm, "epochs": self.epochs}, iteration)  # type: ignore[arg-type]

    def steps(self, delta: float) -> int:
        if self.options["K"] or "mu" not in self.known:
            return self.options["K"] or (self.known.get("K") if self.paper else None) or 10
        return inner_steps(self.known["L"], self.known["mu"], self.sigma, self.options["epsilon"], delta)

    def distance(self, delta: float, moved: float) -> float:
        if "mu" not in self.known:
            return delta
        return next_distance(self.known["L"], self.known["mu"], self.sigma, self.options["epsilon"], delta, moved)

    def follow(self, x: np.ndarray, chains: np.ndarray, iteration: int, steps: int) -> np.ndarray:
        """The chains after some steps, each on a batch of its own."""
        fixed = self.options["tau"] or self.known.get("tau")
        slower = (1 + iteration / DECAY) ** (-4 / 7) if self.batches and not self.paper else 1.0
        for step in range(steps):
            oracles = self.draw()
            g = self.gradient(oracles, x, chains)
            if fixed is None and step == 0:
                self.meet(oracles, x, chains, g)
            chains = chains - (fixed or 1 / self.curvature) * slower * g
        return chains

    def meet(self, oracles: Oracles, x: np.ndarray, chains: np.ndarray, g: np.ndarray) -> None:
        """Raise the curvature to what a step on this batch meets."""
        size = float(np.linalg.norm(g))
        if size > 0:
            step = (1 / self.curvature if self.curvature else 1e-4 * (1 + np.linalg.norm(chains)) / size) * g
            change = float(np.linalg.norm(self.gradient(oracles, x, chains - step) - g))
            self.curvature = max(self.curvature, change / float(np.linalg.norm(step)))
        self.curvature = self.curvature or 1.0

    def look(self, x: np.ndarray, chains: np.ndarray, iteration: int) -> float:
        """The norm of the projected hyper-gradient or of the chains' residual on all data, whichever is larger."""
        problem = self.problem
        value, gradient = problem.penalty_mean(x, chains, self.sigmas, self.weights)
        residual = np.asarray(problem.penalty_sum(x, chains, self.sigmas)[1]).reshape(problem.ny, -1) @ self.weights
        problem.count(epochs=2.0)
        rest = x - np.clip(x - np.asarray(gradient), problem.x_lower, problem.x_upper)
        norm = max(float(np.linalg.norm(rest)), float(np.linalg.norm(residual)))
        y = chains.reshape(problem.ny, -1).mean(axis=1)
        self.monitor.report(float(value), {"hypergradient_norm": norm, "epochs": self.epochs}, (x, y), iteration)
        return norm
