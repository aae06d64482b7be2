"""F2BA: a fully first-order method through the penalty function f + sigma F (Chen, Xu, Zhang, COLT 2024).

Let h_s(x) = min_y f(x, y) + s F(x, y). By the envelope theorem grad h_s = f_x + s F_x at the minimizer y_s, and a
difference quotient psi of h_s in s, at s = 0, approximates phi(x) = F(x, y(x)) without any second derivative:

    forward   nodes 0, sigma, ..., p sigma       order 1 is the estimate of Algorithm 2, of bias O(sigma)
    central   nodes around 0, without it for even p (F2SA-p, arXiv 2509.02937)       bias O(sigma^p)

The minimizers at all nodes are found together, by one oracle for the sum of their penalty functions; psi is minimized
over the bounds of x by a projected quasi-Newton method. No step size and no constant has to be known. sigma shrinks
until a tenfold smaller one changes the hyper-gradient by less than the tolerance. `form = paper` runs Algorithm 2 with
its fixed steps instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bileveldsl.backends.f2ba.published import UNCERTIFIED, Published, published, theorem

from bileveldsl.backend import Capabilities, Option, RawPoint
from bileveldsl.execute.descent import Box, Descending, method, norm
from bileveldsl.execute.driver import Report, Solver
from bileveldsl.execute.many import Iterative
from bileveldsl.execute.polish import polished

if TYPE_CHECKING:
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.namespace import Array
    from bileveldsl.execute.oracles import Oracles
    from bileveldsl.execute.problem import CompiledProblem

__all__ = ["F2BA", "UNCERTIFIED", "Polish", "Published", "nodes", "slope", "theorem"]

LARGEST, SMALLEST = 1e-1, 1e-5  # penalties
MEMORY = 40
RECENT = 5  # values that the nonmonotone line search compares with
SHORTEST = 1e-9  # step of the line search, relative
ACCURACY = 1e-3  # of the inner problems, relative to the hyper-gradient
POLISH = 1e-12
NO_MINIMUM = "the penalty function has no finite minimum over the follower's variables"


@dataclass(frozen=True)
class F2BA(Iterative):
    """The backend `f2ba`: psi is minimized for a shrinking penalty.

    What is reported is the follower's own answer, never that of the penalty: F at y_s lies below phi (by O(sigma)),
    since y_s pays for it in f.
    """

    name: str = "f2ba"
    summary: str = "first-order penalty method F2BA, which needs gradients only"
    capabilities: Capabilities = Capabilities(follower="unconstrained", engines=("numpy", "jax"), evidence="local")  # noqa: RUF009
    options: tuple[Option, ...] = (
        Option("form", str, "central", "difference in the penalty", choices=("central", "forward", "paper")),
        Option("order", int, None, "of the bias in sigma; auto is 2 for central, 1 for forward", at_least=1, at_most=8),
        Option("sigma", float, None, f"penalty; auto shrinks it tenfold from {LARGEST:g} until that changes nothing",
               above=0.0),
        Option("inner_method", str, "quasi-newton", "how the inner problems are solved",
               choices=("quasi-newton", "nesterov", "gradient")),
        Option("inner", int, 20000, "most gradients of an inner problem", at_least=1),
        Option("max_iterations", int, 2000, "steps of the leader", at_least=1),
        Option("K", int, None, "inner steps of form = paper; auto is that of the theorem, fewer where a small gap is "
               "certified", at_least=1),
        Option("tau", float, None, "inner step size of form = paper", above=0.0),
        Option("eta", float, None, "outer step size of form = paper", above=0.0),
    )  # fmt: skip

    def method(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> Solver[Any]:
        """The form that the options ask for."""
        if options["form"] == "paper":
            return published(problem, options, monitor)
        central = options["form"] == "central"
        order = options["order"] or (2 if central else 1)
        sigmas = (LARGEST, SMALLEST) if options["sigma"] is None else (options["sigma"],) * 2
        at = nodes(order, central)
        inner = method(options["inner_method"], problem.ny, modes(at))
        box = Box(problem.x_lower, problem.x_upper)
        return Penalty(at, sigmas, order, inner, options["inner"], monitor.tolerance, box)

    def finished(
        self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor, result: RawPoint
    ) -> RawPoint:
        """The follower's answer at the end; where nothing was finite though F and f are, the penalty is to blame."""
        if result.status == "failed" and not result.measures:
            values = problem.F(result.x, result.y), problem.f(result.x, result.y)
            if np.isfinite(values).all():
                result = replace(result, message=NO_MINIMUM)
        return polished(problem, result, Polish(options["inner"]))


@dataclass(frozen=True)
class Polish:
    """The follower's answer to rounding, by at most so many gradients."""

    most: int

    def __call__(self, problem: CompiledProblem, oracles: Oracles, x: Array, y: Array) -> tuple[Array, dict[str, Any]]:
        engine, descent = oracles.engine, method("quasi-newton", problem.ny)
        chain, count = descent.descend(
            engine, lambda y: oracles.value_and_grad_f_y(x, y), descent.begin(engine, y),
            lambda g: norm(engine.xp, g), POLISH, self.most,
        )  # fmt: skip
        return chain.y, {"g": count, "grad_g": count}


# ---- difference quotients -------------------------------------------------------------------


def nodes(order: int, central: bool) -> np.ndarray:
    """The nodes of a difference quotient at zero, in units of sigma.

    Examples
    --------
    >>> nodes(1, False), nodes(2, True), nodes(3, True)
    (array([1., 0.]), array([ 1., -1.]), array([ 2.,  1.,  0., -1.]))
    """
    lowest = -(order // 2) if central else 0
    found = np.arange(lowest + order, lowest - 1, -1, dtype=float)
    return found[found != 0] if central and order % 2 == 0 else found


def interpolation(at: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The matrix that takes values at the nodes `at` to those of the interpolating polynomial at the targets."""
    powers = np.arange(at.size)[:, None]
    return np.linalg.solve(at**powers, targets**powers)


def slope(at: np.ndarray) -> np.ndarray:
    """The weights of values at the nodes in the interpolating polynomial's derivative at zero.

    Examples
    --------
    >>> slope(np.array([1.0, -1.0]))
    array([ 0.5, -0.5])
    """
    return np.linalg.solve(at ** np.arange(at.size)[:, None], np.eye(at.size)[1])


def modes(at: np.ndarray) -> np.ndarray:
    """The weights of mean and slope of values at the nodes, orthonormal, the mean last."""
    return np.linalg.qr(np.stack([np.ones(at.size), at], axis=1))[0][:, ::-1]


# ---- the adaptive method --------------------------------------------------------------------


class State(NamedTuple):
    """The leader's descent on psi, whose `aux` are the chains, one for each node, and the norm where it stands."""

    leader: Descending
    sigma: Any
    norm: Any
    done: Any


@dataclass(frozen=True, eq=False)
class Penalty:
    """The adaptive form as a solver of the driver; sigma goes from the first of `sigmas` to the last at most."""

    nodes: np.ndarray
    sigmas: tuple[float, float]
    order: int
    inner: Any
    most: int
    tolerance: float
    box: Box

    def init(self, oracles: Oracles, x: Array, y: Array) -> State:
        """At the largest penalty whose function has a minimum."""
        engine, xp = oracles.engine, oracles.engine.xp
        begin = self.inner.begin(engine, xp.repeat(y, self.nodes.size))

        def fails(trial: tuple[Any, ...]) -> Array:
            sigma, value, *_ = trial
            return xp.logical_not(xp.isfinite(value)) & (sigma > 1.5 * self.sigmas[1])

        def attempt(trial: tuple[Any, ...]) -> tuple[Any, ...]:
            sigma = 0.1 * trial[0]
            return sigma, *self._evaluate(oracles, sigma, ACCURACY, x, begin, trial[-1])

        before = engine.asarray(10 * self.sigmas[0]), engine.asarray(np.nan), x, begin, xp.asarray([0, 0])
        sigma, *found = engine.while_loop(fails, attempt, before)
        size = self.box.rest(engine, x, found[1])
        return State(self.box.begin(engine, x, *found), sigma, size, size < 0)

    def step(self, oracles: Oracles, state: State) -> State:
        xp = oracles.engine.xp
        rough = xp.maximum(self.tolerance, 0.1 * state.sigma**self.order)
        goal = xp.where(state.sigma > 1.5 * self.sigmas[1], rough, self.tolerance)
        rests = self._rests(oracles, state.leader, state.norm, goal) | state.leader.stuck
        return self._moved(oracles, state, rests)

    def _rests(self, oracles: Oracles, leader: Descending, size: Array, goal: Any) -> Array:
        """Whether the hyper-gradient is small, and no long step of a flat function is worth more than a hundredth."""
        worth = self.box.promise(oracles.engine, leader)
        return (size <= goal) & (worth <= 1e-2 * goal * (1 + oracles.engine.xp.abs(leader.value)))

    def _moved(self, oracles: Oracles, state: State, rests: Array) -> State:
        """After a step of the leader; where it rests, at the same x with a tenfold smaller penalty.

        Converged if the hyper-gradient vanishes there, too.
        """
        engine, xp, leader = oracles.engine, oracles.engine.xp, state.leader
        last = state.sigma <= 1.5 * self.sigmas[1]
        shrinks = rests & xp.logical_not(last)
        sigma = xp.where(shrinks, 0.1 * state.sigma, state.sigma)
        to = xp.where(shrinks, interpolation(self.nodes, 0.1 * self.nodes), xp.eye(self.nodes.size))
        chains = leader.aux._replace(y=(leader.aux.y.reshape(-1, self.nodes.size) @ to).reshape(-1))
        accuracy = ACCURACY * xp.where(rests, self.tolerance, xp.clip(state.norm, self.tolerance, 1.0))
        # The values come from inner problems solved to an accuracy, and cannot tell smaller differences apart.
        slack = 1e-13 * (1 + xp.abs(leader.value)) / sigma
        evaluate = partial(self._evaluate, oracles, sigma, accuracy)
        new = self.box.step(engine, leader._replace(aux=chains), evaluate, slack, rests)
        size = self.box.rest(engine, new.x, new.gradient)
        return State(new, sigma, size, rests & (self._rests(oracles, new, size, self.tolerance) | last))

    def terminate(self, state: State) -> Array:
        return state.done

    def report(self, state: State) -> Report:
        y = state.leader.aux.y.reshape(-1, self.nodes.size) @ interpolation(self.nodes, np.zeros(1))
        measures = {"hypergradient_norm": state.norm, "sigma": state.sigma}
        return Report(state.leader.x, y[:, 0], state.leader.value, measures)

    def work(self, state: State) -> Mapping[str, int]:
        calls = int(sum(state.leader.calls)) * self.nodes.size
        return dict.fromkeys(("f", "g", "grad_f", "grad_g"), calls)

    def _evaluate(
        self, oracles: Oracles, sigma: Array, accuracy: Any, x: Array, chains: Any, calls: Array
    ) -> tuple[Array, Array, Any, Array]:
        """psi and its gradient at x, the chains there, and the calls (of psi, of the inner problems) so far.

        What must be small is the residual of the chains' difference, which is that of the adjoint equation, besides
        their own: errors that the chains share do no harm to it.
        """
        xp = oracles.engine.xp
        sigmas, weights = sigma * self.nodes, slope(self.nodes) / sigma

        def measure(g: Array) -> Array:
            return xp.maximum(norm(xp, g.reshape(-1, self.nodes.size) @ weights), norm(xp, g))

        chains, count = self.inner.descend(
            oracles.engine, lambda ys: oracles.penalty_sum(x, ys, sigmas), chains, measure, accuracy, self.most
        )
        value, gradient = oracles.penalty_mean(x, chains.y, sigmas, weights)
        return value, gradient, chains, calls + xp.asarray([1, count])
