"""What a backend is: what it accepts, which settings it has, and how it is asked for a point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from bileveldsl.language.diagnostics import BlvError, Diagnostic, Span

if TYPE_CHECKING:
    import numpy as np

    from bileveldsl.calculus.expr import Expr, Symbol
    from bileveldsl.certify.facts import Fact
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.program import Level, Program

Setting: TypeAlias = "str | float | bool | None"

FOLLOWERS = {
    "unconstrained": "a follower without constraints or bounds",
    "bounds": "a follower with bounds",
    "constrained": "a follower with bounds and constraints",
}


@dataclass(frozen=True)
class Capabilities:
    """What a backend accepts, and which kind of answer it gives.

    `needs` lists facts (of what, which) of which one must be proved or assumed; `lower` stands for every follower.
    """

    follower: Literal["unconstrained", "bounds", "constrained"]
    upper_bounds: bool = True
    upper_constraints: bool = False
    several_followers: bool = False
    nonsmooth: bool = False
    integer: bool = False
    pessimistic: bool = False
    duals: bool = False
    engines: tuple[Literal["numpy", "jax"], ...] = ("numpy",)
    evidence: Literal["local", "stationary", "global"] = "local"
    needs: tuple[tuple[str, str], ...] = ()

    def describe(self) -> str:
        """What is accepted, in words."""
        upper = {(False, False): "no bounds or constraints", (True, False): "bounds", (False, True): "constraints",
                 (True, True): "bounds and constraints"}[self.upper_bounds, self.upper_constraints]  # fmt: skip
        parts = [FOLLOWERS[self.follower], f"{upper} on the upper level"]
        if self.several_followers:
            parts.append("several followers")
        parts.append("nonsmooth functions" if self.nonsmooth else "smooth functions")
        if self.integer:
            parts.append("integer variables")
        if self.pessimistic:
            parts.append("pessimistic ties")
        if self.duals:
            parts.append("duals in the upper level")
        needs = " or ".join(f"{of} {fact}" for of, fact in self.needs)
        return ", ".join(parts) + (f"; needs {needs}" if needs else "")


@dataclass(frozen=True)
class Option:
    """A setting of a backend; where the default is None, "auto" lets the backend choose."""

    name: str
    type: type[int] | type[float] | type[bool] | type[str]
    default: Setting
    doc: str
    above: float = -math.inf
    at_least: float = -math.inf
    at_most: float = math.inf
    choices: tuple[str, ...] = ()

    @property
    def expects(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return " or ".join((*self.choices, "auto")[: None if self.default is None else -1])
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[self.type]
        if self.above > -math.inf:
            words += f" > {self.above:g}"
        if self.at_least > -math.inf:
            words += f" >= {self.at_least:g}"
        if self.at_most < math.inf:
            words += f" <= {self.at_most:g}"
        return words + (" or auto" if self.default is None else "")

    def parse(self, given: Setting) -> Setting:
        """The value of the option's type; ValueError where `given` is none."""
        if given is None or (given == "auto" and self.default is None):
            return None
        value = self._convert(given)
        if self.choices and value not in self.choices:
            raise ValueError
        if self.type in (int, float):
            number = float(value)  # type: ignore[arg-type]
            if not (math.isfinite(number) and number > self.above and self.at_least <= number <= self.at_most):
                raise ValueError
        return value

    def _convert(self, given: Setting) -> Setting:
        if self.type is bool:
            words = {"true": True, "yes": True, "false": False, "no": False}
            if str(given).lower() not in words:
                raise ValueError
            return words[str(given).lower()]
        if self.type is str:
            return str(given)
        if isinstance(given, bool) or given is None:
            raise ValueError
        number = float(given)
        if self.type is float:
            return number
        if not number.is_integer():
            raise ValueError
        return int(number)


@dataclass(frozen=True, eq=False)
class RawPoint:
    """Where a backend stopped, before any verification; `status` is only its own opinion.

    Where the status says that there is no answer, x and y are whatever the backend saw last. `bound` is a proved lower
    bound of the upper objective; `duals` are multipliers of the follower's constraints by label.
    """

    x: np.ndarray  # upper variables, flat, in the compiled problem's order
    y: np.ndarray  # lower variables, likewise
    status: Literal[
        "converged", "limit", "failed", "infeasible", "unbounded", "lower_infeasible", "lower_unbounded"
    ]
    message: str
    measures: Mapping[str, float] = field(default_factory=dict)
    iterations: int = 0
    bound: float = -math.inf
    duals: Mapping[str, np.ndarray] = field(default_factory=dict)


@runtime_checkable
class Backend(Protocol):
    """A solver of compiled bilevel problems."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str:
        """One line for a person who chooses."""

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def options(self) -> tuple[Option, ...]: ...

    def available(self) -> str | None:
        """None, or what is missing and how to get it."""

    def admits(self, program: Program, facts: Iterable[Fact]) -> str | None:
        """None, or why the program is not accepted; most backends ask `why_not`."""

    def solve(self, problem: CompiledProblem, options: Mapping[str, Any], monitor: Any) -> RawPoint:
        """A point for the problem; `options` hold a value for every option."""


def why_not(name: str, capabilities: Capabilities, program: Program, facts: Iterable[Fact]) -> str | None:
    """None when a backend with these capabilities accepts the program, else the first reason against it.

    Parameters
    ----------
    name : str
        The backend's name, for the sentence.
    capabilities : Capabilities
    program : Program
    facts : iterable of Fact
        What is proved or assumed about the program.
    """
    upper, can = program.upper, capabilities
    if len(program.lower) > 1 and not can.several_followers:
        return f"there are {len(program.lower)} followers ({_names(program.lower)}); {name} accepts one"
    for level in program.lower:
        who = "the follower" if len(program.lower) == 1 else f"the follower `{level.name}`"
        if level.constraints and can.follower != "constrained":
            return f"{who} has {_labels('constraint', level)}; {name} accepts none"
        bounded = [v for v in level.variables if v.bounded]
        if bounded and can.follower == "unconstrained":
            return f"{who} has bounds ({_names(bounded)}); {name} accepts none"
        unique = _holds(facts, f"{level.name}.objective", "strongly_convex")
        if level.ties == "pessimistic" and not (unique or can.pessimistic):
            why = _worst_case_obstacle(program)
            several = f"may have several best answers{f', and {why}' if why else ''}"
            return f"{who} has pessimistic ties and {several}; {name} assumes optimistic ties"
    bounded = [v for v in upper.variables if v.bounded]
    if bounded and not can.upper_bounds:
        return f"the upper level has bounds ({_names(bounded)}); {name} accepts none"
    if upper.constraints and not can.upper_constraints:
        return f"the upper level has {_labels('constraint', upper)}; {name} accepts none"
    if program.priced and not can.duals:
        return f"the upper level uses multipliers of the follower ({_names(program.priced)}); {name} has none"
    discrete = [v for v in program.variables if v.kind != "continuous"]
    if discrete and not can.integer:
        return f"there are integer variables ({_names(discrete)}); {name} accepts none"
    if not can.nonsmooth and (function := kink(*program.levels)):
        return f"the model uses {function}, which is not smooth; {name} needs smooth functions"
    return _missing_fact(name, can, program, facts)


def _worst_case_obstacle(program: Program) -> str | None:
    """Why the worst of several best answers cannot be searched for, where that is known."""
    from bileveldsl.reduce.pessimism import pessimism_obstacle

    return pessimism_obstacle(program) if len(program.lower) == 1 else None


def _missing_fact(name: str, capabilities: Capabilities, program: Program, facts: Iterable[Fact]) -> str | None:
    if not capabilities.needs:
        return None
    facts = tuple(facts)
    for level in program.lower:
        needs = [(of.replace("lower", level.name, 1), fact) for of, fact in capabilities.needs]
        if not any(_holds(facts, of, fact) for of, fact in needs):
            wanted = " or ".join(f"`{fact}` of {of}" for of, fact in needs)
            refuted = all(any((f.of, f.fact, f.verdict) == (*need, "refuted") for f in facts) for need in needs)
            return f"{name} needs {wanted}, which {'is refuted' if refuted else 'could not be proved'}"
    return None


def _holds(facts: Iterable[Fact], of: str, fact: str) -> bool:
    return any((f.of, f.fact) == (of, fact) and f.holds for f in facts)


def kink(*levels: Level, of: Iterable[Symbol] | None = None) -> str | None:
    """A function of the levels that has kinks, if there is one; with `of`, kinks along these symbols.

    Parameters
    ----------
    levels : Level
    of : iterable of Symbol, optional
        The value of `abs(x) + y^2` has a kink, along y it has none.
    """
    from bileveldsl.calculus.expr import Map, Reduce, argument, depends_on, topological
    from bileveldsl.calculus.functions import NONSMOOTH

    symbols = None if of is None else tuple(of)

    def moves(nodes: Iterable[Expr]) -> bool:
        return symbols is None or any(depends_on(node, symbols) for node in nodes)

    for node in topological([part for level in levels for part in level.expressions]):
        if isinstance(node, Reduce) and node.operation != "logsumexp" and moves(node.children):
            return node.operation
        if isinstance(node, Map):
            found = sorted(node.fn.find(lambda f: isinstance(f, NONSMOOTH)), key=str)
            for function in found:
                if moves(child for k, child in enumerate(node.children) if argument(k) in function.free_symbols):
                    return str(function.func).lower()
    return None


def _labels(what: str, level: Level) -> str:
    count = len(level.constraints)
    return f"{what}{'s' if count > 1 else ''} ({_join([c.label for c in level.constraints])})"


def _names(things: Iterable[Any]) -> str:
    return _join([thing.name for thing in things])


def _join(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def parse_options(
    name: str, options: Iterable[Option], given: Mapping[str, Setting], span: Span | None = None
) -> dict[str, Setting]:
    """A value for every option of the backend `name`: the ones given, typed and checked, else the defaults.

    Parameters
    ----------
    name : str
    options : iterable of Option
    given : mapping
        Texts from a command line, or values; `auto` stands for the backend's own choice.
    span : Span, optional
        Where they were written.

    Raises
    ------
    BlvError
        E604 for an unknown name, E605 for a value of the wrong type or out of range; all of them at once.

    Examples
    --------
    >>> parse_options("f2ba", [Option("sigma", float, 0.1, "penalty", above=0)], {"sigma": "1e-3"})
    {'sigma': 0.001}
    """
    from bileveldsl.language.data.request import instead_of, quote

    known = {option.name: option for option in options}
    result = {option.name: option.default for option in known.values()}
    wrong = []
    for key, value in given.items():
        if key not in known:
            wrong.append(Diagnostic("E604", f"{name} has no option {quote(key)}", span, help=instead_of(key, known)))
            continue
        try:
            result[key] = known[key].parse(value)
        except ValueError:
            message = f"the option {key} of {name} is {quote(str(value))}"
            wrong.append(Diagnostic("E605", message, span, help=f"it must be {known[key].expects}: {known[key].doc}"))
    if wrong:
        raise BlvError(wrong)
    return result
