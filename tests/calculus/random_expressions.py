"""Random expressions, each with its meaning as a plain function on the whole grid of index values.

The meaning of a term is an array over all labels of GRID, whether it depends on them or not: every operation is then
one line of indexing, which shares nothing with the normal form under test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

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
    depends_on,
    leaf,
    multiply,
    reduce,
    rename,
    scatter,
    select,
)

ROWS, COLUMNS = Dim("I", 2), Dim("J", 3)
GRID = (Axis(ROWS), Axis(ROWS, 1), Axis(COLUMNS), Axis(COLUMNS, 1))
SHAPE = tuple(axis.size for axis in GRID)
PLACES = dict(zip(GRID, np.indices(SHAPE), strict=True))
"""The index value along each label, at every point of the grid."""

x, v, w = Symbol("x", "variable"), Symbol("v", "variable", (ROWS,)), Symbol("w", "variable", (COLUMNS,))
M, Q = Symbol("M", "variable", (ROWS, COLUMNS)), Symbol("Q", "variable", (COLUMNS, COLUMNS))
A = Symbol("A", "data", (ROWS, COLUMNS), np.array([[0.5, -1.0, 0.25], [1.5, 0.75, -0.5]]))
VARIABLES = (x, v, w, M, Q)
Values = Mapping[Symbol, np.ndarray]


@dataclass(frozen=True)
class Term:
    """An expression with its meaning, the array over GRID that it stands for, and the way it was built."""

    built: str
    expr: Expr = field(repr=False)
    meaning: Callable[[Values], np.ndarray] = field(repr=False)


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

    return Term(f"{symbol.name}{list(axes)}", leaf(symbol, axes), meaning)


@st.composite
def constant_terms(draw: st.DrawFn) -> Term:
    number = draw(st.sampled_from([sympy.Integer(2), sympy.Integer(-1), sympy.Rational(1, 2), sympy.Integer(0)]))
    return Term(str(number), constant(number), lambda values: np.full(SHAPE, float(number)))


@st.composite
def delta_terms(draw: st.DrawFn) -> Term:
    dim = draw(st.sampled_from([ROWS, COLUMNS]))
    a, b = draw(labels_of(dim)), draw(labels_of(dim))
    return Term(f"delta({a}, {b})", delta(a, b), lambda values: (PLACES[a] == PLACES[b]) * 1.0)


ARG = argument(0)
SMOOTH: dict[sympy.Expr, Callable[[np.ndarray], np.ndarray]] = {
    sympy.sin(ARG): np.sin,
    sympy.tanh(ARG): np.tanh,
    ARG**2: np.square,
    sympy.exp(sympy.cos(ARG)): lambda a: np.exp(np.cos(a)),
    f.sigmoid(ARG): lambda a: (1 + np.tanh(a / 2)) / 2,
    f.softplus(ARG): lambda a: np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))),
    1 / (1 + ARG**2): lambda a: 1 / (1 + a**2),
    -2 * ARG + 1: lambda a: 1 - 2 * a,
}
Operation = Literal["logsumexp", "max", "min", "norm"]
REDUCTIONS: dict[Operation, Callable[[np.ndarray, tuple[Axis, ...]], np.ndarray]] = {
    "logsumexp": lambda a, over: a.max() + np.log(np.maximum(summed(np.exp(a - a.max()), over), 1e-300)),
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
    return Term(f"({fn})({a.built})", apply(fn, [a.expr]), lambda values: function(a.meaning(values)))


@st.composite
def sums(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    parts = draw(st.lists(terms, min_size=2, max_size=3))
    built = " + ".join(p.built for p in parts)
    return Term(
        f"({built})", add(*(p.expr for p in parts)), lambda values: np.sum([p.meaning(values) for p in parts], axis=0)
    )


@st.composite
def products(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    a, b = draw(terms), draw(terms)
    built = f"{a.built} * {b.built}"
    return Term(built, multiply(a.expr, b.expr), lambda values: a.meaning(values) * b.meaning(values))


@st.composite
def contractions(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    parts, over = draw(st.lists(terms, min_size=1, max_size=3)), draw(SOME_LABELS)
    return Term(
        f"contract({[p.built for p in parts]}, {over})",
        contract([p.expr for p in parts], over),
        lambda values: summed(np.prod([p.meaning(values) for p in parts], axis=0), over),
    )


@st.composite
def reductions(draw: st.DrawFn, terms: st.SearchStrategy[Term], smooth: bool) -> Term:
    a, over = draw(terms), draw(SOME_LABELS)
    operations: list[Operation] = ["logsumexp", "norm"] if smooth else list(REDUCTIONS)
    operation = draw(st.sampled_from(operations))
    expr, shift = a.expr, lambda array: array
    if smooth and operation == "norm":  # away from its kink
        expr, shift = apply(2 + sympy.sin(ARG), [a.expr]), lambda array: 2 + np.sin(array)
    return Term(
        f"{operation}({a.built}, {over})",
        reduce(operation, expr, over),
        lambda values: REDUCTIONS[operation](shift(a.meaning(values)), over),
    )


@st.composite
def renamings(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> Term:
    a = draw(terms)
    names = {axis: draw(labels_of(axis.dim)) for axis in draw(SOME_LABELS)}
    places = {old: PLACES[new] for old, new in names.items()}
    built = f"rename({a.built}, {names})"
    return Term(built, rename(a.expr, names), lambda values: at_places(a.meaning(values), places))


@st.composite
def index_maps(draw: st.DrawFn) -> tuple[list[tuple[Axis, IndexMap]], Axis | None]:
    targets = draw(st.sets(LABELS, min_size=1, max_size=2))
    along = draw(st.none() | LABELS)
    at = []
    for axis in targets:
        single = along is None or draw(st.booleans())
        positions: st.SearchStrategy[int | list[int]] = st.integers(0, axis.size - 1)
        if not single and along is not None:
            positions = st.lists(st.integers(0, axis.size - 1), min_size=along.size, max_size=along.size)
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
    built = f"select({a.built}, {at}, {along})"
    return Term(built, select(a.expr, at, along), lambda values: at_places(a.meaning(values), places))


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

    return Term(f"scatter({a.built}, {at}, {along})", scatter(a.expr, at, along), meaning)


def terms(smooth: bool = False, depth: int = 3) -> st.SearchStrategy[Term]:
    """Terms of at most `depth` nested operations, twice differentiable everywhere where they are to be smooth."""
    simple = leaf_terms() | leaf_terms() | leaf_terms() | constant_terms() | delta_terms()
    if depth == 0:
        return simple
    inner = terms(smooth, depth - 1)
    return st.one_of(
        simple, elementwise_terms(inner), sums(inner), products(inner), contractions(inner), renamings(inner),
        selections(inner), scatterings(inner), reductions(inner, smooth),
    )  # fmt: skip


@st.composite
def terms_of_variables(draw: st.DrawFn, terms: st.SearchStrategy[Term]) -> tuple[Term, Symbol, Symbol]:
    """A term with two of the variables that occur in it."""
    term = draw(terms.filter(lambda term: depends_on(term.expr, VARIABLES)))
    present = st.sampled_from([symbol for symbol in VARIABLES if depends_on(term.expr, [symbol])])
    return term, draw(present), draw(present)


def on_grid(expr: Expr, values: Values) -> np.ndarray:
    return evaluate(expr, values, GRID)
