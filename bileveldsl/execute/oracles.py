"""Values and derivatives of both objectives: what each oracle takes, returns and counts for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bileveldsl.calculus.derivative import directional, gradient, hessian
from bileveldsl.calculus.expr import Axis, Dim, Expr, Symbol, add, contract, leaf, multiply, substitute
from bileveldsl.execute.engine import Engine
from bileveldsl.execute.namespace import Array
from bileveldsl.execute.outputs import Blocks, Flat, Output, Scalar


@dataclass(frozen=True)
class Objectives:
    """The objectives, and the symbols behind each argument of the oracles."""

    F: Expr
    f: Expr
    arguments: Mapping[str, tuple[Symbol, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", _Arguments(self.arguments))

    def gradient(self, of: Expr, *by: str) -> list[Output]:
        symbols = [symbol for name in by for symbol in self.arguments[name]]
        found = dict(zip(symbols, gradient(of, symbols), strict=True))
        return [_flat([found[s] for s in self.arguments[name]], self.arguments[name]) for name in by]

    def product(self, along: str, by: str) -> list[Output]:
        """The gradient of <f_along, direction>."""
        symbols = self.arguments[by]
        exprs = directional(self.f, self.arguments[along], self.arguments[f"{along}_direction"], symbols)
        return [_flat(exprs, symbols)]

    def hessian(self, by: str) -> list[Output]:
        symbols = self.arguments[by]
        rows = [[hessian(self.f, row, column) for column in symbols] for row in symbols]
        return [Blocks(tuple(tuple((h.expr, h.rows, h.columns) for h in row) for row in rows))]


    def penalties(self, count: int) -> tuple[Expr, Axis]:
        """s F + f for each of `count` chains, along the label of the chains."""
        (sigmas,) = self.arguments[f"sigmas_{count}"]
        (chain,) = sigmas.axes
        pairs = zip(self.arguments["lower"], self.arguments[f"chains_{count}"], strict=True)
        F, f = substitute([self.F, self.f], {y: leaf(ys, (*y.axes, chain)) for y, ys in pairs})
        return add(multiply(leaf(sigmas), F), f), chain

    def penalty_sum(self, count: int) -> list[Output]:
        penalties, chain = self.penalties(count)
        total = contract([penalties], [chain])
        return [Scalar(total), *self.gradient(total, f"chains_{count}")]

    def penalty_mean(self, count: int) -> list[Output]:
        penalties, chain = self.penalties(count)
        (weights,) = self.arguments[f"weights_{count}"]
        mean = contract([leaf(weights), penalties], [chain])
        return [Scalar(mean), *self.gradient(mean, "upper")]


class _Arguments(dict[str, tuple[Symbol, ...]]):
    """The arguments of oracles, with those of `count` chains made when they are asked for.

    A chain is a copy of the follower's variables; the chains are a last label of each, so that one flat vector holds
    the matrix of all chains, a column for each.
    """

    def __missing__(self, name: str) -> tuple[Symbol, ...]:
        kind, count = name.rsplit("_", 1)
        chain = Dim("chain of a penalty", int(count))  # no name in a model has spaces
        if kind == "chains":
            made = tuple(Symbol(y.name, "variable", (*y.dims, chain)) for y in self["lower"])
        else:
            made = (Symbol(kind, "variable", (chain,)),)
        return self.setdefault(name, made)


def _flat(exprs: Sequence[Expr], symbols: Sequence[Symbol]) -> Flat:
    return Flat(tuple(zip(exprs, (symbol.axes for symbol in symbols), strict=True)))


@dataclass(frozen=True)
class Oracle:
    """The arguments of an oracle, what one call counts for, and what it returns."""

    arguments: tuple[str, ...]
    work: Mapping[str, int]
    outputs: Callable[[Objectives], Sequence[Output]]


_POINT = ("upper", "lower")
_ALONG_Y, _ALONG_X = (*_POINT, "lower_direction"), (*_POINT, "upper_direction")


class _Oracles(dict[str, Oracle]):
    """The oracles by name, with those of `count` chains made when they are asked for."""

    def __missing__(self, name: str) -> Oracle:
        kind, number = name.rsplit("_", 1)
        count = int(number)
        work = dict.fromkeys(("f", "g", "grad_f", "grad_g"), count)
        chains = (f"chains_{count}", f"sigmas_{count}")
        if kind == "penalty_sum":
            made = Oracle(("upper", *chains), work, lambda o: o.penalty_sum(count))
        else:
            made = Oracle(("upper", *chains, f"weights_{count}"), work, lambda o: o.penalty_mean(count))
        return self.setdefault(name, made)


ORACLES: Mapping[str, Oracle] = _Oracles({
    "F": Oracle(_POINT, {"f": 1}, lambda o: [Scalar(o.F)]),
    "f": Oracle(_POINT, {"g": 1}, lambda o: [Scalar(o.f)]),
    "grad_F": Oracle(_POINT, {"grad_f": 1}, lambda o: o.gradient(o.F, *_POINT)),
    "grad_F_y": Oracle(_POINT, {"grad_f": 1}, lambda o: o.gradient(o.F, "lower")),
    "grad_f": Oracle(_POINT, {"grad_g": 1}, lambda o: o.gradient(o.f, *_POINT)),
    "grad_f_y": Oracle(_POINT, {"grad_g": 1}, lambda o: o.gradient(o.f, "lower")),
    "value_and_grad_F": Oracle(_POINT, {"f": 1, "grad_f": 1}, lambda o: [Scalar(o.F), *o.gradient(o.F, *_POINT)]),
    "value_and_grad_f": Oracle(_POINT, {"g": 1, "grad_g": 1}, lambda o: [Scalar(o.f), *o.gradient(o.f, *_POINT)]),
    "value_and_grad_f_y": Oracle(_POINT, {"g": 1, "grad_g": 1}, lambda o: [Scalar(o.f), *o.gradient(o.f, "lower")]),
    "hvp": Oracle(_ALONG_Y, {"hvp": 1}, lambda o: o.product("lower", "lower")),
    "cross": Oracle(_ALONG_Y, {"cross": 1}, lambda o: o.product("lower", "upper")),
    "cross_T": Oracle(_ALONG_X, {"cross": 1}, lambda o: o.product("upper", "lower")),
    "hessian_yy": Oracle(_POINT, {"hessian": 1}, lambda o: o.hessian("lower")),
})  # fmt: skip

WORK = ("f", "g", "grad_f", "grad_g", "hvp", "cross", "hessian", "iterations", "epochs")
"""What is counted, with the names of the papers: f is the upper objective and g the lower one.

Epochs are a number with decimals: how often all sampled data was gone through.
"""


class Oracles(ABC):
    """Values and derivatives of F (upper) and f (lower) at flat vectors x and y.

    A gradient by several variables is one vector in their order. Every result is a float64 array of the engine.
    """

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """Where the arrays live, with the control flow for solver loops."""

    @abstractmethod
    def _evaluate(self, name: str, *vectors: Array) -> Any: ...

    def F(self, x: Array, y: Array) -> Array:
        """The upper objective."""
        return self._evaluate("F", x, y)

    def f(self, x: Array, y: Array) -> Array:
        """The lower objective."""
        return self._evaluate("f", x, y)

    def grad_F(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(F_x, F_y)."""
        return self._evaluate("grad_F", x, y)

    def grad_F_y(self, x: Array, y: Array) -> Array:
        """F_y."""
        return self._evaluate("grad_F_y", x, y)

    def grad_f(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(f_x, f_y)."""
        return self._evaluate("grad_f", x, y)

    def grad_f_y(self, x: Array, y: Array) -> Array:
        """f_y."""
        return self._evaluate("grad_f_y", x, y)

    def value_and_grad_F(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """(F, F_x, F_y), what they share computed once."""
        return self._evaluate("value_and_grad_F", x, y)

    def value_and_grad_f(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        """(f, f_x, f_y), what they share computed once."""
        return self._evaluate("value_and_grad_f", x, y)

    def value_and_grad_f_y(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(f, f_y), what they share computed once."""
        return self._evaluate("value_and_grad_f_y", x, y)

    def hvp(self, x: Array, y: Array, v: Array) -> Array:
        """f_yy v."""
        return self._evaluate("hvp", x, y, v)

    def cross(self, x: Array, y: Array, v: Array) -> Array:
        """f_xy v, of the shape of x, for v of the shape of y."""
        return self._evaluate("cross", x, y, v)

    def cross_T(self, x: Array, y: Array, d: Array) -> Array:
        """f_yx d, of the shape of y, for d of the shape of x."""
        return self._evaluate("cross_T", x, y, d)

    def hessian_yy(self, x: Array, y: Array) -> Array:
        """f_yy as a dense matrix, for followers with few variables."""
        return self._evaluate("hessian_yy", x, y)

    def penalty_sum(self, x: Array, chains: Array, sigmas: Array) -> tuple[Array, Array]:
        """The sum of s F(x, y) + f(x, y) over chains y with penalties s, and its gradient by the chains.

        `chains` and the gradient are the flat vectors of matrices with a column for each chain. What the chains
        share is computed once, and products with data become products of matrices.
        """
        return self._evaluate(f"penalty_sum_{sigmas.shape[0]}", x, chains, sigmas)

    def penalty_mean(self, x: Array, chains: Array, sigmas: Array, weights: Array) -> tuple[Array, Array]:
        """The sum of s F(x, y) + f(x, y) with weights over the chains, and its gradient by x."""
        return self._evaluate(f"penalty_mean_{sigmas.shape[0]}", x, chains, sigmas, weights)
