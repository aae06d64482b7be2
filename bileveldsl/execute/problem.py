"""A bilevel program as backends see it: flat vectors, bounds, and oracles for F (upper) and f (lower)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bileveldsl.calculus.expr import Leaf, Scatter, Select, Symbol, topological
from bileveldsl.certify.facts import Fact
from bileveldsl.execute.codegen import Function, compile_function
from bileveldsl.execute.constants import Constants
from bileveldsl.execute.engine import Engine
from bileveldsl.execute.layout import Layout, box
from bileveldsl.execute.namespace import Array
from bileveldsl.execute.oracles import ORACLES, WORK, Objectives, Oracles
from bileveldsl.program import Program


class CompiledProblem(Oracles):
    """A bilevel program with one follower, both levels minimizing, as functions of flat vectors.

    Its oracles are compiled at their first use and count their calls in `work`. `pure` has the same oracles
    without counters; a loop over those adds what it did with `count`.

    Attributes
    ----------
    program, facts
        What was compiled, and what is proved or assumed of it. The oracles leave constraints to the backend.
    x, y : Layout
        How names map to flat vectors.
    nx, ny : int
        Lengths of x and y.
    x_lower, x_upper, x_start, y_lower, y_upper, y_start : ndarray
        Bounds, and the starting point: the user's, else zero projected onto the bounds.
    work : dict
        Calls so far by the names in `WORK`; f is the upper objective and g the lower, a call for a value and
        a gradient counts for both, and each dense Hessian counts once under `hessian`.
    compiled : dict
        What callers have compiled over the oracles, by keys of theirs.
    compile_seconds : float
        Time spent in derivatives and code generation.
    """

    def __init__(self, program: Program, engine: Engine, facts: Iterable[Fact] = ()):
        upper, (lower,) = program.upper, program.lower
        assert upper.sense == lower.sense == "minimize"
        self.program = program
        self.facts = tuple(facts)
        self.follower = lower.name
        self._engine = engine
        self.x, self.y = Layout.of(upper.variables), Layout.of(lower.variables)
        self.nx, self.ny = self.x.size, self.y.size
        self.x_lower, self.x_upper, self.x_start = box(upper.variables)
        self.y_lower, self.y_upper, self.y_start = box(lower.variables)
        self.work: dict[str, Any] = dict.fromkeys(WORK, 0)
        self.compile_seconds = 0.0
        self.compiled: dict[Any, Callable[..., Any]] = {}
        self.constants = Constants(engine)
        arguments = {"upper": upper.symbols, "lower": lower.symbols}
        arguments |= {f"{level}_direction": _directions(symbols) for level, symbols in arguments.items()}
        self._objectives = Objectives(upper.objective, lower.objective, arguments)
        self._functions: dict[str, Function] = {}
        self._bind_constants()

    @property
    def engine(self) -> Engine:
        return self._engine

    @property
    def pure(self) -> PureOracles:
        """The oracles without counters."""
        return self.bind(self.constants.arrays)

    def bind(self, constants: Mapping[str, Array]) -> PureOracles:
        """The pure oracles with these arrays for `constants.arrays`, as a compiled loop receives them."""
        return PureOracles(self, constants)

    def count(self, **calls: float) -> None:
        """Add calls to `work`."""
        for name, number in calls.items():
            self.work[name] += number

    def function(self, name: str) -> Function:
        """The compiled function behind an oracle."""
        if name not in self._functions:
            begin = time.perf_counter()
            oracle = ORACLES[name]
            inputs = {argument: self._objectives.arguments[argument] for argument in oracle.arguments}
            outputs = oracle.outputs(self._objectives)
            self._functions[name] = compile_function(name, outputs, inputs, self.constants)
            self.compile_seconds += time.perf_counter() - begin
        return self._functions[name]

    def source(self) -> str:
        """Every oracle as Python source."""
        head = "from bileveldsl.execute.namespace import NumpyNamespace\n\nxp = NumpyNamespace()\n"
        return "\n\n".join([head, *(self.function(name).source for name in ORACLES)])

    def _evaluate(self, name: str, *vectors: Array) -> Any:
        self._count(name)
        return self.function(name)(*vectors)

    def _count(self, name: str) -> None:
        self.count(**ORACLES[name].work)

    def _bind_constants(self) -> None:
        """Put the data into `constants` now: what came later would be frozen into loops compiled before."""
        for node in topological([self._objectives.F, self._objectives.f]):
            if isinstance(node, Leaf) and node.symbol.role == "data":
                self.constants.data(node.symbol)
            elif isinstance(node, Select | Scatter):
                for _, index in node.at:
                    self.constants.positions(index)


def compile_problem(program: Program, engine: Engine, facts: Iterable[Fact] = ()) -> CompiledProblem:
    """The program as flat vectors and oracles.

    Parameters
    ----------
    program
        With one follower and both levels minimizing, as the reductions leave it.
    engine
        Where to compute.
    facts
        What is proved or assumed of the program, for backends that use its constants.

    Returns
    -------
    CompiledProblem
        With NumPy, data that stays in its file is read in blocks along the axes that the levels name as `minibatch`.
    """
    from bileveldsl.execute.streaming import streamed

    return streamed(program, engine, facts) or CompiledProblem(program, engine, facts)


class PureOracles(Oracles):
    """Oracles without counters, for compiled loops; `constants` are the data, which a loop takes as an argument."""

    def __init__(self, problem: CompiledProblem, constants: Mapping[str, Array]):
        self._problem = problem
        self._constants = constants

    @property
    def engine(self) -> Engine:
        return self._problem.engine

    def _evaluate(self, name: str, *vectors: Array) -> Any:
        return self._problem.function(name).with_constants(self._constants, *vectors)


def _directions(symbols: Iterable[Symbol]) -> tuple[Symbol, ...]:
    """Directions in the space of the symbols."""
    return tuple(Symbol(f"{symbol.name}_direction", "variable", symbol.dims) for symbol in symbols)
