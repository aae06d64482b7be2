"""Random expressions, each with its meaning as a plain function on the whole grid of index values.

The meaning of a term is an array over all labels of GRID, whether it depends on them or not: every operation is then
one line of indexing, which shares nothing with the normal form under test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy
from hypothesis import strategies as st

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    Axis,
    Dim,
    Expr,
    IndexMap,
    Symbol,
    add,
    apply,
    argument,
    constant,
    contract,
    delta,
    leaf,
    multiply,
    reduce,
    rename,
    scatter,
    select,
)

I, J = Dim("I", 2), Dim("J", 3)
GRID = (Axis(I), Axis(I, 1), Axis(J), Axis(J, 1))
SHAPE = tuple(axis.size for axis in GRID)
PLACES = dict(zip(GRID, np.indices(SHAPE), strict=True))
"""The index value along each label, at every point of the grid."""

x, v, w = Symbol("x", "variable"), Symbol("v", "variable", (I,)), Symbol("w", "variable", (J,))
M, Q = Symbol("M", "variable", (I, J)), Symbol("Q", "variable", (J, J))
A = Symbol("A", "data", (I, J), np.array([[0.5, -1.0, 0.25], [1.5, 0.75, -0.5]]))
VARIABLES = (x, v, w, M, Q)
Values = Mapping[Symbol, np.ndarray]


@dataclass(frozen=True)
class Term:
    """An expression with its meaning: the array over GRID that it stands for."""

    expr: Expr
    meaning: Callable[[Values], np.ndarray]


def random_values(seed: int) -> dict[Symbol, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {symbol: rng.uniform(-1.0, 1.0, symbol.shape) for symbol in VARIABLES}


def at_places(array: np.ndarray, places: Mapping[Axis, np.ndarray]) -> np.ndarray:
    """The array over GRID read at other index values along some labels."""
    return array[tuple(places.get(axis, PLACES[axis]) for axis in GRID)]


def summed(array: np.ndarray, over: tuple[Axis, ...]) -> np.ndarray:
    total = array.sum(axis=tuple(GRID.index(axis) for axis in over), keepdims=True)
    return np.broadcast_to(total, SHAPE)


def labels_of(dim: Dim) -> st.SearchStrategy[Axis]:
    return st.sampled_from([axis for axis in GRID if axis.dim == dim])


LABELS = st.sampled_from(GRID)
SOME_LABELS = st.sets(LABELS, min_size=1, max_size=3).map(lambda found: tuple(sorted(found)))


@st.composite
def leaf_terms(draw: st.DrawFn) -> Term:
    symbol = draw(st.sampled_from([*VARIABLES, A]))
    axes = tuple(draw(labels_of(dim)) for dim in symbol.dims)

    def meaning(values: Values) -> np.ndarray:
        array = values[symbol] if symbol.value is None else symbol.value
        return np.broadcast_to(array[tuple(PLACES[axis] for axis in axes)], SHAPE)

    return Term(leaf(symbol, axes), meaning)


@st.composite
def constant_terms(draw: st.DrawFn) -> Term:
    number = draw(st.sampled_from([sympy.Integer(2), sympy.Integer(-1), sympy.Rational(1, 2), sympy.Integer(0)]))
    return Term(constant(number), lambda values: np.full(SHAPE, float(number)))


@st.composite
def delta_terms(draw: st.DrawFn) -> Term:
    dim = draw(st.sampled_from([I, J]))
    a, b = draw(labels_of(dim)), draw(labels_of(dim))
    return Term(delta(a, b), lambda values: (PLACES[a] == PLACES[b]) * 1.0)


ARG = argument(0)
SMOOTH: dict[sympy.Expr, Callable[[np.ndarray], np.ndarray]] = {
    sympy.sin(ARG): np.sin,
    sympy.tanh(ARG): np.tanh,
    ARG**2: np.square,
    sympy.exp(sympy.cos(ARG)): lambda a: np.exp(np.cos(a)),
    f.sigmoid(ARG): lambda a: 1 / (1 + np.exp(-a)),
    f.softplus(ARG): lambda a: np.log(1 + np.exp(a)),
    1 / (1 + ARG**2): lambda a: 1 / (1 + a**2),
    -2 * ARG + 1: lambda a: 1 - 2 * a,
}
REDUCTIONS: dict[str, Callable[[np.ndarray, tuple[Axis, ...]], np.ndarray]] = {
    "logsumexp": lambda a, over: np.log(summed(np.exp(a), over)),
    "norm": lambda a, over: np.sqrt(summed(a**2, over)),
    "max": lambda a, over: np.broadcast_to(a.max(axis=_places(over), keepdims=True), SHAPE),
    "min": lambda a, over: np.broadcast_to(a.min(axis=_places(over), keepdims=True), SHAPE),
}


def _places(over: tuple[Axis, ...]) -> tuple[int, ...]:
    return tuple(GRID.index(axis) for axis in over)


@st.composite
def elementwise_terms(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    a = draw(terms)
    fn, function = draw(st.sampled_from(list(SMOOTH.items())))
    return Term(apply(fn, [a.expr]), lambda values: function(a.meaning(values)))


@st.composite
def sums(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    parts = draw(st.lists(terms, min_size=2, max_size=3))
    return Term(add(*(p.expr for p in parts)), lambda values: sum(p.meaning(values) for p in parts))


@st.composite
def products(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    a, b = draw(terms), draw(terms)
    return Term(multiply(a.expr, b.expr), lambda values: a.meaning(values) * b.meaning(values))


@st.composite
def contractions(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    parts, over = draw(st.lists(terms, min_size=1, max_size=3)), draw(SOME_LABELS)
    return Term(
        contract([p.expr for p in parts], over),
        lambda values: summed(np.prod([p.meaning(values) for p in parts], axis=0), over),
    )


@st.composite
def reductions(draw: st.DrawFn, terms: st.SearchStrategy[Term], operations: tuple[str, ...]) -> Term:
    a, over, operation = draw(terms), draw(SOME_LABELS), draw(st.sampled_from(operations))
    return Term(reduce(operation, a.expr, over), lambda values: REDUCTIONS[operation](a.meaning(values), over))


@st.composite
def renamings(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    a = draw(terms)
    names = {axis: draw(labels_of(axis.dim)) for axis in draw(SOME_LABELS)}
    places = {old: PLACES[new] for old, new in names.items()}
    return Term(rename(a.expr, names), lambda values: at_places(a.meaning(values), places))


@st.composite
def index_maps(draw: st.DrawFn) -> tuple[list[tuple[Axis, IndexMap]], Axis | None]:
    targets = draw(st.sets(LABELS, min_size=1, max_size=2))
    along = draw(st.none() | LABELS)
    at = []
    for axis in targets:
        single = along is None or draw(st.booleans())
        positions = st.integers(0, axis.size - 1)
        if not single and along is not None:
            positions = st.lists(positions, min_size=along.size, max_size=along.size)
        at.append((axis, IndexMap.of(np.array(draw(positions)))))
    if all(index.positions.ndim == 0 for _, index in at):
        along = None
    return at, along


def _read(index: IndexMap, along: Axis | None) -> np.ndarray:
    return index.positions[PLACES[along]] if index.positions.ndim and along else np.full(SHAPE, index.positions)


@st.composite
def selections(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    a, (at, along) = draw(terms), draw(index_maps())
    places = {axis: _read(index, along) for axis, index in at}
    return Term(select(a.expr, at, along), lambda values: at_places(a.meaning(values), places))


@st.composite
def scatterings(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    a, (at, along) = draw(terms), draw(index_maps())

    def meaning(values: Values) -> np.ndarray:
        array, total = a.meaning(values), np.zeros(SHAPE)
        for k in range(along.size if along else 1):
            hit = np.ones(SHAPE, dtype=bool)
            for axis, index in at:
                hit &= PLACES[axis] == (index.positions[k] if index.positions.ndim else index.positions)
            total += hit * at_places(array, {along: np.full(SHAPE, k)} if along else {})
        return total

    return Term(scatter(a.expr, at, along), meaning)


def terms(operations: tuple[str, ...] = ("logsumexp", "max", "min", "norm"), size: int = 8) -> st.SearchStrategy[Term]:
    """Terms of at most `size` leaves, with the reductions allowed."""

    def extend(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
        return st.one_of(
            elementwise_terms(inner), sums(inner), products(inner), contractions(inner), renamings(inner),
            selections(inner), scatterings(inner), *([reductions(inner, operations)] if operations else []),
        )  # fmt: skip

    return st.recursive(leaf_terms() | constant_terms() | delta_terms(), extend, max_leaves=size)


def on_grid(expr: Expr, values: Values) -> np.ndarray:
    return evaluate(expr, values, GRID)
