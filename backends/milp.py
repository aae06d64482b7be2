"""Linear and convex quadratic bilevel problems solved to global optimality over linear relaxations.

The follower, linear or convex quadratic with linear constraints, is replaced by its Karush-Kuhn-Tucker conditions,
which are necessary and sufficient; products in the leader's objective are made linear by strong duality, and products
with a binary variable by bounds of the other one (`bileveldsl.single_level.products`); branch and bound decides the
complementarities (`bileveldsl.single_level.branch`). Where bounds of all multipliers follow from the problem, HiGHS
decides them as binary variables (`bileveldsl.single_level.mip`). No bound is guessed: one given by the user as `big_m`
is reported, and then nothing is proved.

Measured (`benchmarks/milp.py`): random linear problems of 20 and 30 variables at each level take 4 s by branch and
bound, and are not solved in 15 s with a big-M of 1e4; knapsack interdiction with 40 items and 24 hours of strategic
bidding take 3 to 6 s with computed bounds, and are not solved in 15 s by branch and bound.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bileveldsl.backend import Capabilities, Option, RawPoint, why_not
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import ZERO, Symbol
from bileveldsl.calculus.structure import kind
from bileveldsl.execute.monitor import Stop
from bileveldsl.reduce.conditions import stationarity
from bileveldsl.reduce.duality_rows import SECONDS, with_strong_duality
from bileveldsl.reduce.kkt import KktForm, kkt_form
from bileveldsl.reduce.strong_duality import has_convex_objective, linearized
from bileveldsl.single_level.branch import Search
from bileveldsl.single_level.highs import Relaxation
from bileveldsl.single_level.linear import AFFINE, Linear, constraint_obstacle, flatten
from bileveldsl.single_level.linear_follower import FollowerResponse
from bileveldsl.single_level.mip import with_binaries
from bileveldsl.single_level.mpcc import polish
from bileveldsl.single_level.products import with_linear_products
from bileveldsl.single_level.program import SingleLevel

if TYPE_CHECKING:
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.monitor import Monitor
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Program


FIRST_NODES = 60
"""Nodes of branch and bound before anything dearer is tried."""
FIRST_SHARE = 0.25
"""Of the time limit, likewise."""


@dataclass(frozen=True)
class Milp:
    """The backend `milp`."""

    name: str = "milp"
    summary: str = "global optima of linear and convex quadratic problems by branch and bound with HiGHS"
    capabilities: Capabilities = Capabilities(  # noqa: RUF009
        follower="constrained", upper_constraints=True, integer=True, duals=True, evidence="global"
    )
    options: tuple[Option, ...] = (
        Option("gap", float, 1e-6, "relative gap between the value and its bound", at_least=0.0),
        Option(
            "method", str, None, "branch and bound, or binaries in HiGHS where bounds for these follow",
            choices=("branch", "binaries"),
        ),
        Option("big_m", float, None, "assumed bound of multipliers and slacks; auto computes bounds", above=0.0),
        Option("max_nodes", int, None, "nodes of branch and bound; auto is no limit", at_least=1),
    )  # fmt: skip

    def available(self) -> str | None:
        return None

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        facts = tuple(facts)
        return (
            why_not(self.name, self.capabilities, program, facts)
            or _follower_obstacle(program)
            or _convexity_obstacle(program, facts)
            or _leader_obstacle(program, facts)
        )

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Monitor) -> RawPoint:
        return _Run(problem, options, monitor).solve()


@dataclass
class _Run:
    """One solve."""

    problem: CompiledProblem
    options: Mapping[str, Any]
    monitor: Monitor
    then: str = ""

    def solve(self) -> RawPoint:
        problem = self.problem
        form = kkt_form(problem.program, problem.facts)
        single = _with_linear_rows(form.program)
        assert single is not None, "admits"
        linear = flatten(single)
        self.search = self._search(linear)
        outcome, message = "limit", ""
        try:
            outcome = self._solved(linear)
        except Stop as stop:
            self.monitor.stopped, message = stop.reason, stop.message
        except KeyboardInterrupt:
            self.monitor.stopped, message = "interrupt", "interrupted"
        search = self.search
        if outcome == "infeasible":
            return self._raw(None, "infeasible", "no point satisfies both levels")
        if outcome == "unbounded":
            return self._raw(search.z, "unbounded", "the leader's objective falls without bound along a ray")
        if outcome == "optimal":
            message = f"solved with {search.nodes} nodes of branch and bound" + self.then
            return self._raw(search.z, "converged", message, form, linear)
        if outcome == "assumed":
            search.floor = search.pruned = -math.inf
            return self._raw(search.z, "converged", "solved for multipliers within the assumed bound", form, linear)
        message = message or "some subproblems could not be solved"
        if search.z is None:
            return self._raw(None, "limit", message + ", before a feasible point was found")
        return self._raw(search.z, "limit", message, form, linear)

    def _search(self, linear: Linear) -> Search:
        return Search(
            linear, self.options["gap"], FollowerResponse(self.problem.program, linear),
            lambda: self.monitor.remaining, self._improved, self._check,
        )  # fmt: skip

    def _solved(self, linear: Linear) -> str:
        """A short search first; then with strong duality, by binaries where the bounds for these are known."""
        method, big_m = self.options["method"], self.options["big_m"]
        if method is None and big_m is None:
            outcome = self.search.solve(FIRST_NODES, FIRST_SHARE * self.monitor.remaining)
            if outcome != "limit" or self.search.unsolved < math.inf:
                return outcome
        if method == "branch" or linear.hessian is not None:  # quadratic programs of more columns fail in HiGHS
            return self.search.solve()
        first = self.search
        strong = with_strong_duality(self.problem.program, linear, min(SECONDS, 0.5 * self.monitor.remaining))
        binaries = with_binaries(strong, math.inf if big_m is None else big_m)
        if binaries is None and first.nodes and not _is_tighter(strong, first.root):
            return first.solve()
        self.search = self._search(strong)
        self.search.value, self.search.z, self.search.nodes = first.value, first.z, first.nodes
        self.search.floor = first.bound
        return self.search.solve() if binaries is None else self._by_binaries(strong, binaries)

    def _by_binaries(self, strong: Linear, binaries: Linear) -> str:
        """HiGHS decides the sides of the pairs; the point is that of the program with these sides zero exactly."""
        assumed = self.options["big_m"] is not None
        self.then = f" and {len(strong.pairs)} binaries in HiGHS"
        if assumed:
            self.monitor.notes.append(
                f"multipliers and slacks without a computed bound are assumed to be at most {self.options['big_m']:g}"
            )
        relaxation = Relaxation(binaries, integers=True)
        outcome, search = "limit", self.search
        try:
            outcome = relaxation.solve(self.monitor.remaining, self.options["gap"], self._watch)
        finally:  # also at a limit or Ctrl-C
            if outcome in ("optimal", "limit") and not assumed:  # an infeasible one may be an error of presolve
                search.floor = max(search.floor, relaxation.bound)
            if relaxation.has_point:
                z = relaxation.z
                search.adopt(z[: strong.size], z[-len(strong.pairs) :] > 0.5)
        if assumed:
            return "assumed" if search.z is not None else "limit"
        if outcome == "limit":
            self.monitor.check()
        return search.solve()

    def _watch(self, value: float, bound: float) -> None:
        self.monitor.check()
        self.monitor.bounds(value, bound, self.search.nodes)

    def _improved(self, z: np.ndarray, value: float) -> None:
        nx, ny = self.problem.nx, self.problem.ny
        self.monitor.report(value, {}, (z[:nx], z[nx : nx + ny]), merit=value)

    def _check(self, search: Search) -> None:
        self.monitor.check()
        self.monitor.bounds(search.value, search.bound, search.nodes)
        most = self.options["max_nodes"]
        if most is not None and search.nodes >= most:
            raise Stop("time", f"stopped at the limit of {most} nodes")

    def _raw(
        self,
        z: np.ndarray | None,
        status: Status,
        message: str,
        form: KktForm | None = None,
        linear: Linear | None = None,
    ) -> RawPoint:
        problem, search = self.problem, self.search
        problem.count(iterations=search.nodes)
        x, y = (problem.x_start, problem.y_start) if z is None else (z[: problem.nx], z[problem.nx :][: problem.ny])
        duals = {}
        if form is not None and linear is not None and z is not None:
            values = self._polished(form, linear, z) if status == "converged" else linear.values(z)
            named = {symbol.name: value for symbol, value in values.items()}
            x, y = problem.x.pack(named), problem.y.pack(named)
            duals = {
                c.label: evaluate(form.duals[c.dual], values, c.axes)
                for c in problem.program.lower[0].constraints
                if c.dual in form.duals
            }
        measures = {"bound": search.bound}
        return RawPoint(np.array(x), np.array(y), status, message, measures, search.nodes, search.bound, duals)


    def _polished(self, form: KktForm, linear: Linear, z: np.ndarray) -> Mapping[Symbol, np.ndarray]:
        """The point to full accuracy, where a quadratic objective leaves it at the accuracy of the QP solver."""
        values = linear.values(z)
        if kind(form.program.objective, form.program.symbols) in AFFINE or linear.size > POLISHED:
            return values
        better = polish(form.program, values, self.monitor)
        near = abs(better.objective - self.search.value) <= 1e-6 * (1 + abs(self.search.value))
        return better.values if better.status == "optimal" and near and better.values is not None else values


def _is_tighter(strong: Linear, root: float) -> bool:
    """Whether more rows raise the value of the relaxation at the root."""
    relaxation = Relaxation(strong)
    return relaxation.solve() != "optimal" or relaxation.value > root + 1e-6 * (1.0 + abs(root))


POLISHED = 2000
"""Variables and multipliers up to which the point of a quadratic problem is polished."""

Status = Literal["converged", "limit", "failed", "infeasible", "unbounded"]


# ---- what is admitted ------------------------------------------------------------------------


def _follower_obstacle(program: Program) -> str | None:
    upper, (lower,) = program.upper, program.lower
    whole = [v.name for v in lower.variables if v.kind != "continuous"]
    if whole:
        names = ', '.join(whole)
        return f"the follower has integer variables ({names}), for which there are no conditions of optimality"
    both = (*upper.symbols, *lower.symbols)
    if kind(lower.objective, lower.symbols) == "nonlinear":
        return "the follower's objective is neither linear nor quadratic in its variables"
    for constraint in lower.constraints:
        if any(kind(part, both) not in AFFINE for part in constraint.parts):
            own = all(kind(part, lower.symbols) in AFFINE for part in constraint.parts)
            why = "has products of the leader's and the follower's variables, or is" if own else "is"
            return f"the follower's constraint {constraint.label} {why} not linear in both levels' variables"
    if any(kind(slope, both) not in AFFINE for slope in stationarity(lower, ())):
        return "the follower's objective is not quadratic: its slopes are not linear in both levels' variables"
    return None


def _convexity_obstacle(program: Program, facts: tuple[Fact, ...]) -> str | None:
    lower = program.lower[0]
    for of, what in ((f"{lower.name}.objective", "objective"), (f"{lower.name}.feasible_set", "feasible set")):
        if not any(f.of == of and f.fact in ("convex", "strongly_convex") and f.holds for f in facts):
            refuted = any((f.of, f.fact, f.verdict) == (of, "convex", "refuted") for f in facts)
            return f"the follower's {what} is {'not convex' if refuted else 'not proved convex'}"
    return None


def _leader_obstacle(program: Program, facts: tuple[Fact, ...]) -> str | None:
    single = kkt_form(program, facts).program
    if _with_linear_rows(single) is not None:
        return None
    if why := constraint_obstacle(single):
        return f"{why}, and not all its products are of a binary and a bounded variable"
    if kind(single.objective, single.symbols) == "nonlinear":
        return "the leader's objective is neither linear nor quadratic"
    return (
        "the leader's objective is quadratic and not convex, the follower's conditions of optimality (strong duality) "
        "do not make it so, and not all its products are of a binary and a bounded variable"
    )


@functools.lru_cache(maxsize=4)
def _with_linear_rows(single: SingleLevel) -> SingleLevel | None:
    """An equivalent program of linear constraints and a convex objective, if one is found."""
    if kind(single.objective, single.symbols) == "nonlinear":
        return None
    if constraint_obstacle(single) is not None:
        rows = with_linear_products(replace(single, objective=ZERO))
        if rows is None:
            return None
        single = replace(rows, objective=single.objective)
    if has_convex_objective(single):
        return single
    return linearized(single) or with_linear_products(single)
