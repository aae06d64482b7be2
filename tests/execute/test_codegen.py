"""Generated code agrees with the interpreter of expressions, node kind by node kind and on random DAGs."""

from typing import Literal

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bileveldsl.calculus import functions
from bileveldsl.calculus.derivative import gradient, hessian
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.calculus.expr import (
    ONE,
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
    distinct_axes,
    divide,
    leaf,
    multiply,
    power,
    reduce,
    rename,
    scatter,
    select,
    size,
    subtract,
    symbols_of,
)  # fmt: skip
from bileveldsl.execute.codegen import compile_function
from bileveldsl.execute.constants import Constants
from bileveldsl.execute.engine import Engine, jax_engine, numpy_engine
from bileveldsl.execute.outputs import Blocks, Dense, Flat, Output, Scalar

N, P, C = Dim("n", 4), Dim("p", 3), Dim("c", 2)
n, p, c = Axis(N), Axis(P), Axis(C)
n1, p1 = Axis(N, 1), Axis(P, 1)
RANDOM = np.random.default_rng(7)


DATA = {"X": (N, P), "Q": (N, N), "T": (C, N, P), "d": (N,), "R": (C, N, C, P)}
ARRAYS = {name: RANDOM.uniform(-1, 1, [d.size for d in dims]) for name, dims in DATA.items()}
X, Q, T, D, R = (Symbol(name, "data", dims, ARRAYS[name]) for name, dims in DATA.items())
a, b, W, s = (Symbol(k, "variable", d) for k, d in {"a": (N,), "b": (P,), "W": (P, C), "s": ()}.items())
VARIABLES = (a, b, W, s)
VALUES = {v: RANDOM.uniform(-1, 1, v.shape) for v in VARIABLES}
_0, _1 = argument(0), argument(1)
x, y, z = sympy.symbols("x y z", real=True)


def positions(*numbers: int) -> IndexMap:
    return IndexMap.of(np.array(numbers, dtype=int))


def single(expr: Expr, position: int) -> Expr:
    return scatter(expr, [(n, IndexMap.of(position))])


def run(engine: Engine, expr: Expr, values: dict[Symbol, np.ndarray] = VALUES) -> np.ndarray:
    function = compile_function("f", [Dense(expr, expr.axes)], {"x": list(values)}, Constants(engine))
    return np.asarray(function(np.concatenate([np.ravel(value) for value in values.values()])))


def agrees(engine: Engine, expr: Expr, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(run(engine, expr), evaluate(expr, VALUES), rtol=rtol, atol=1e-13)


# ---- node kinds -----------------------------------------------------------------------------

LEAVES = [leaf(v) for v in (*VARIABLES, X, Q, T, D)]
Xl, Ql, Tl, dl, Rl, al, bl, Wl, sl = map(leaf, (X, Q, T, D, R, a, b, W, s))
weight = apply(sympy.exp(_0), [leaf(a, (n1,))])
EXPRESSIONS = {
    "leaf, labels permuted": multiply(leaf(Q, (n1, n)), Ql),
    "constant": constant(sympy.Rational(1, 3)),
    "size": multiply(size(N), al),
    "identity": delta(n, n1),
    "identity times itself, elsewhere": apply(sympy.exp(_0) * _1, [delta(n, n1), Ql]),
    "diagonal added to a matrix": add(Ql, multiply(constant(2), delta(n, n1), leaf(a, (n1,)))),
    "diagonal of a matrix, squared, on a diagonal": multiply(Ql, Ql, delta(n, n1)),
    "two identities in one product": multiply(delta(n, n1), delta(p, p1), bl),
    "sum over a label a Map is constant along": contract([subtract(size(N), constant(4)), al], [n]),
    "sum over a label a term is constant along": contract([apply((_0 - 4) * _1 + argument(2), [size(N), al, bl])], [n]),
    "broadcast of small terms": apply(_0 * _1 * argument(2) + _1 / argument(2) - 3, [sl, al, bl]),
    "difference only": apply(-_0 - _1, [al, bl]),
    "quotient only": apply(1 / (_0 * _1), [al, bl]),
    "matrix-vector": contract([Xl, bl], [p]),
    "vector-matrix": contract([Xl, al], [n]),
    "matrix-matrix": contract([Xl, Wl], [p]),
    "matrix-matrix, transposed": contract([Xl, contract([Xl, Wl], [p])], [n]),
    "weighted Gram": contract([Xl, dl, leaf(X, (n, p1))], [n]),
    "Gram, weights not negative": contract([Xl, dl, apply(functions.sigmoid(_0), [al]), dl, leaf(X, (n, p1))], [n]),
    "Gram of the other side": contract([Xl, apply(sympy.exp(_0), [bl]), leaf(X, (n1, p))], [p]),
    "no Gram: a matrix and its square": contract([Ql, weight, leaf(Q, (n1, Axis(N, 2)))], [n1]),
    "no Gram: squared elements": contract([Xl, Xl, apply(sympy.exp(_0), [al])], [n]),
    "Gram": contract([Xl, leaf(X, (n, p1))], [n]),
    "quadratic form": contract([al, Ql, leaf(a, (n1,))], [n, n1]),
    "outer product": multiply(al, bl),
    "inner product of matrices": contract([Xl, Xl], [n, p]),
    "sum": contract([Tl], [c, p]),
    "row-wise inner product": contract([Xl, Tl], [p]),
    "batch of matrix products": contract([Tl, leaf(T, (c, n, p1))], [n]),
    "three-label contraction": contract([Tl, Xl], [n, p]),
    "two labels at once": contract([Tl, leaf(T, (c, n1, p))], [c, p]),
    "five factors": contract([Xl, leaf(X, (n1, p)), Ql, al, Wl, bl], [n, n1, p]),
    "logsumexp": reduce("logsumexp", Tl, [n, c]),
    "maximum": reduce("max", Xl, [p]),
    "minimum": reduce("min", Xl, [n]),
    "norm": reduce("norm", Tl, [n, p]),
    "element": select(al, [(n, IndexMap.of(2))]),
    "row": select(Tl, [(n, IndexMap.of(2))]),
    "slice": select(al, [(n, positions(1, 2))], c),
    "every second": select(al, [(n, positions(0, 2))], c),
    "whole, renamed": select(bl, [(p, IndexMap.of(np.arange(3)))], p1),
    "elements": select(al, [(n, positions(3, 1, 1))], p),
    "diagonal": leaf(Q, (n, n)),
    "pairs side by side": select(Tl, [(n, positions(3, 0)), (p, positions(1, 1))], Axis(C, 1)),
    "pairs apart": select(Tl, [(c, positions(1, 0, 1)), (p, positions(1, 1, 2))], p1),
    "pairs apart, behind another label": select(Rl, [(n, positions(3, 0)), (p, positions(1, 1))], Axis(C, 2)),
    "scatter pairs apart, behind another label": scatter(Tl, [(n1, positions(3, 0)), (p1, positions(1, 1))], c),
    "number and elements": select(Tl, [(c, IndexMap.of(1)), (p, positions(2, 0, 1))], p1),
    "number and slice": select(Tl, [(c, IndexMap.of(1)), (p, positions(1, 2))], Axis(C, 1)),
    "scatter one": scatter(sl, [(n, IndexMap.of(2))]),
    "scatter a row": scatter(bl, [(n, IndexMap.of(2))]),
    "scatter, repeated": scatter(bl, [(n, positions(1, 3, 1))], p),
    "scatter, slice": scatter(bl, [(n, positions(1, 2, 3))], p),
    "scatter of a constant": scatter(sl, [(n, positions(1, 1, 2))], p),
    "scatter pairs apart": scatter(Xl, [(c, positions(1, 0, 1)), (p1, positions(1, 1, 1))], p),
    "sum of scatters": add(al, multiply(sl, single(sl, 1)), single(constant(3), 3)),
    "repeated single scatters": add(single(sl, 1), single(power(sl, constant(2)), 1)),
    "scatter scaled along its label": multiply(al, scatter(bl, [(n, positions(1, 2, 3))], p)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_node_kinds(engine: Engine, name: str) -> None:
    agrees(engine, EXPRESSIONS[name])


FUNCTIONS = [
    sympy.exp(x), sympy.log(x**2 + 1), sympy.log(1 + x**2 * y**2), sympy.exp(x) - 1, sympy.sqrt(x**2 + 2), abs(x),
    sympy.sign(x), sympy.sin(x), sympy.cos(x), sympy.tan(x), sympy.asin(x / 2), sympy.acos(x / 2), sympy.atan(x),
    sympy.sinh(x), sympy.cosh(x), sympy.tanh(x), *(x**k for k in range(2, 12)), x**-3,
    (x**2 + 1) ** sympy.Rational(-5, 2),
    (x**2 + 1) ** sympy.Rational(1, 3), (x**2 + 1) ** y, 2**x, sympy.pi * x, x / 3 - y / 7, -x / y, (x + y) ** 3,
    functions.softplus(x), functions.sigmoid(x), functions.huber(x, y**2), functions.clip(x, y**2),
    functions.exceed(x, y**2), functions.inside(x, y**2), functions.step(x), functions.maximum(x, y),
    functions.minimum(x, y), functions.equal(x, y), functions.xlogx(x**2), functions.relative_entropy(x**2, y**2),
    functions.divide0(x, y),
]  # fmt: skip


@pytest.mark.parametrize("fn", FUNCTIONS, ids=str)
def test_functions(engine: Engine, fn: sympy.Expr) -> None:
    agrees(engine, apply(fn.xreplace({x: _0, y: _1}), [al, bl]))


def test_a_long_sum_and_a_deep_product_compile(engine: Engine) -> None:
    terms = add(*(apply(sympy.sin(k * _0), [sl]) for k in range(1, 300)))
    nested = sl
    for _ in range(120):
        nested = apply(sympy.sin(_0) + _1, [nested, sl])
    agrees(engine, add(terms, nested), rtol=1e-10)


# ---- accuracy -------------------------------------------------------------------------------


def at(engine: Engine, fn: sympy.Expr, *numbers: float) -> float:
    symbols = [Symbol(f"v{k}", "variable") for k in range(len(numbers))]
    expr = apply(fn.xreplace({x: _0, y: _1}), [leaf(symbol) for symbol in symbols])
    return float(run(engine, expr, {symbol: np.asarray(v) for symbol, v in zip(symbols, numbers, strict=True)}))


@pytest.mark.parametrize(
    ("fn", "numbers", "value"),
    [
        (functions.softplus(x), [1e4], 1e4), (functions.softplus(x), [-1e4], 0.0), (functions.sigmoid(x), [-1e4], 0.0),
        (functions.sigmoid(x), [-700.0], np.exp(-700.0)), (functions.huber(x, y), [1e200, 2.0], 2e200),
        (functions.xlogx(x), [0.0], 0.0), (functions.relative_entropy(x, y), [0.0, 2.0], 0.0),
        (functions.relative_entropy(x, y), [1e300, 1e-300], 1e300 * np.log(1e300) * 2),
        (functions.divide0(x, y), [0.0, 0.0], 0.0), (functions.divide0(x, y), [3.0, 0.0], 0.0),
        (functions.step(x), [0.0], 0.5), (functions.inside(x, y), [2.0, 2.0], 1.0), (sympy.sign(x), [0.0], 0.0),
        (functions.equal(x, y), [np.inf, np.inf], 1.0), (sympy.log(1 + x), [1e-20], 1e-20),
        (sympy.exp(x) - 1, [1e-20], 1e-20), (x / 10 + sympy.Rational(1, 10), [0.0], 0.1),
    ],
)  # fmt: skip
def test_values_at_the_edges(engine: Engine, fn: sympy.Expr, numbers: list[float], value: float) -> None:
    assert at(engine, fn, *numbers) == pytest.approx(value, rel=1e-14, abs=0)


@pytest.mark.parametrize("fn", [f for f in FUNCTIONS if f.free_symbols == {x}], ids=str)
def test_nan_is_never_masked(engine: Engine, fn: sympy.Expr) -> None:
    assert np.isnan(at(engine, fn, np.nan))


CUSTOM_OF_TWO = [functions.huber, functions.clip, functions.exceed, functions.inside, functions.maximum,
                 functions.minimum, functions.relative_entropy, functions.divide0]  # fmt: skip


@pytest.mark.parametrize("function", CUSTOM_OF_TWO)
def test_nan_in_one_of_two_arguments_is_never_masked(engine: Engine, function: type[sympy.Function]) -> None:
    assert np.isnan(at(engine, function(x, y), np.nan, 2.0))


def test_log1p_is_used_also_where_its_argument_is_shared(engine: Engine) -> None:
    inner = apply(1 + _0, [sl])
    outputs = [Scalar(apply(sympy.log(_0), [inner])), Scalar(divide(ONE, inner))]
    function = compile_function("f", outputs, {"x": [s]}, Constants(engine))
    assert float(function(np.array([1e-20]))[0]) == 1e-20


VECTOR = Symbol("v", "variable", (Dim("k", 3),))


@pytest.mark.parametrize(
    ("operation", "vector", "value"),
    [
        ("logsumexp", [1e4, 1e4, -1e4], 1e4 + np.log(2)), ("logsumexp", [-np.inf] * 3, -np.inf),
        ("logsumexp", [np.inf, 0, 0], np.inf), ("norm", [np.inf, 1, 1], np.inf), ("norm", [0, 0, 0], 0.0),
        ("norm", [3e200, 4e200, 0], 5e200), ("norm", [3e-200, 4e-200, 0], 5e-200), ("norm", [1.7e308, 0, 0], 1.7e308),
        *((operation, [np.nan, 1, 2], np.nan) for operation in ("logsumexp", "norm", "max", "min")),
    ],
)  # fmt: skip
def test_reductions_neither_overflow_nor_hide_nan(
    engine: Engine, operation: Literal["logsumexp", "max", "min", "norm"], vector: list[float], value: float
) -> None:
    expr = reduce(operation, leaf(VECTOR), VECTOR.axes)
    result = float(run(engine, expr, {VECTOR: np.array(vector, dtype=float)}))
    assert result == pytest.approx(value, rel=1e-14, nan_ok=True)


# ---- outputs and inputs ---------------------------------------------------------------------


def test_a_gradient_is_one_vector_in_the_order_of_the_symbols(engine: Engine) -> None:
    f = add(contract([Wl, Wl], [p, c]), multiply(sl, contract([al], [n])))
    parts = tuple(zip(gradient(f, [s, W, a, b]), [v.axes for v in (s, W, a, b)], strict=True))
    function = compile_function("g", [Scalar(f), Flat(parts)], {"u": [s, a], "v": [W, b]}, Constants(engine))
    u, v = np.array([2.0, 1, 2, 3, 4]), np.arange(9.0)
    value, flat = function(u, v)
    assert float(value) == np.sum(v[:6] ** 2) + 20
    np.testing.assert_array_equal(flat, np.concatenate([[10.0], 2 * v[:6], [2.0] * 4, [0.0] * 3]))


def test_blocks_make_a_hessian(engine: Engine) -> None:
    f = add(contract([al, Ql, leaf(a, (n1,))], [n, n1]), multiply(sl, sl, contract([dl, al], [n])))
    pairs = [[hessian(f, row, column) for column in (a, s)] for row in (a, s)]
    blocks = Blocks(tuple(tuple((h.expr, h.rows, h.columns) for h in row) for row in pairs))
    function = compile_function("h", [blocks], {"x": [a, s]}, Constants(engine))
    result = np.asarray(function(np.array([1.0, 2, 3, 4, 5])))
    expected = np.zeros((5, 5))
    expected[:4, :4] = ARRAYS["Q"] + ARRAYS["Q"].T
    expected[:4, 4] = expected[4, :4] = 10 * ARRAYS["d"]
    expected[4, 4] = 2 * ARRAYS["d"] @ np.arange(1.0, 5)
    np.testing.assert_allclose(result, expected, rtol=1e-14)


def test_empty_groups_and_constant_outputs(engine: Engine) -> None:
    outputs: list[Output] = [Scalar(constant(2)), Flat(()), Dense(constant(1), (n, c))]
    function = compile_function("f", outputs, {"x": []}, Constants(engine))
    value, nothing, ones = function(np.zeros(0))
    assert float(value) == 2 and np.shape(nothing) == (0,)
    np.testing.assert_array_equal(ones, np.ones((4, 2)))
    assert {np.asarray(part).dtype for part in (value, nothing, ones)} == {np.dtype(np.float64)}


def test_an_output_never_aliases_an_input() -> None:
    function = compile_function("f", [Flat(((bl, (p,)),)), Dense(bl, (p,))], {"x": [b]}, Constants(numpy_engine()))
    vector = np.ones(3)
    assert not any(np.shares_memory(vector, part) for part in function(vector))


def test_empty_index_sets(engine: Engine) -> None:
    nothing = Dim("none", 0)
    e = Symbol("e", "variable", (nothing,))
    el, (k,) = leaf(e), e.axes
    matrix = Symbol("M", "data", (nothing, N), np.zeros((0, 4)))
    f = add(contract([el, el], [k]), reduce("norm", el, [k]), divide(size(nothing), constant(3)), contract([al], [n]))
    row = add(contract([leaf(matrix), el], [k]), scatter(el, [(n, positions())], k))
    slopes = tuple(zip(gradient(f, [e, a]), (e.axes, a.axes), strict=True))
    outputs: list[Output] = [Scalar(f), Flat(slopes), Dense(row, (n,))]
    value, slope, zeros = compile_function("f", outputs, {"x": [e, a]}, Constants(engine))(np.arange(4.0))
    assert float(value) == 6
    np.testing.assert_array_equal(slope, np.ones(4))
    np.testing.assert_array_equal(zeros, np.zeros(4))


def test_hostile_names_stay_names() -> None:
    names = ["lambda", "xp", "constants", "t1", "x", "é", "1a", "a b", "a\nimport os", "x'"]
    symbols = [Symbol(name, "variable") for name in names]
    symbols += [Symbol(name, "data", (), np.asarray(2.0)) for name in names]
    total = add(*(multiply(constant(k), leaf(symbol)) for k, symbol in enumerate(symbols)))
    function = compile_function("f", [Scalar(total)], {"x": symbols[:10]}, Constants(numpy_engine()))
    assert function(np.ones(10)) == sum(range(10)) + 2 * sum(range(10, 20))


@pytest.mark.parametrize("matrix", [leaf(X, (n, p)), leaf(Symbol("X", "data", (P, N), ARRAYS["X"].T), (p, n))])
def test_nodes_equal_up_to_labels_are_computed_once(matrix: Expr) -> None:
    product = contract([matrix, bl], [p])
    again = rename(product, {n: n1})
    f = multiply(leaf(Q), apply(sympy.exp(_0), [product]), apply(sympy.exp(_0), [again]))
    source = compile_function("f", [Dense(f, (n, n1))], {"x": [b]}, Constants(numpy_engine())).source
    assert source.count("@") == 1 and ".T.T" not in source


def test_shared_subexpressions_are_computed_once() -> None:
    inner = apply(sympy.tanh(_0), [al])
    f = contract([apply(_0 * sympy.sin(_0), [inner]), dl], [n])
    outputs: list[Output] = [Scalar(f), Flat(((gradient(f, [a])[0], (n,)),))]
    source = compile_function("f", outputs, {"x": [a]}, Constants(numpy_engine())).source
    assert source.count("xp.tanh") == source.count("xp.sin") == source.count("xp.cos") == 1


def test_a_gram_matrix_with_weights_is_symmetric_to_the_last_bit() -> None:
    gram = run(numpy_engine(), EXPRESSIONS["Gram, weights not negative"])
    np.testing.assert_array_equal(gram, gram.T)


def test_data_are_arguments_of_the_compiled_function() -> None:
    pytest.importorskip("jax")
    import jax

    function = compile_function("f", [Dense(contract([Xl, bl], [p]), (n,))], {"x": [b]}, Constants(jax_engine()))
    trace = jax.make_jaxpr(function.run)(function.constants, np.ones(3))
    assert not trace.consts
    doubled = {name: 2 * array for name, array in function.constants.items()}
    np.testing.assert_allclose(function.with_constants(doubled, np.ones(3)), 2 * ARRAYS["X"].sum(axis=1))


# ---- random DAGs ----------------------------------------------------------------------------

GENTLE = [sympy.tanh(_0), sympy.sin(_0), functions.softplus(_0), functions.sigmoid(_0), functions.huber(_0, 1), _0**2]
TWO = [_0 * _1, _0 + _1, _0 - 2 * _1, _0 / (2 + sympy.tanh(_1)), functions.maximum(_0, _1), functions.minimum(_0, _1)]


@st.composite
def expressions(draw: st.DrawFn) -> Expr:
    """A few random operations, each on earlier results."""
    pool = list(LEAVES)

    def node() -> Expr:
        return pool[draw(st.integers(0, len(pool) - 1))]

    def some(axes: tuple[Axis, ...]) -> list[Axis]:
        return draw(st.lists(st.sampled_from(axes), min_size=1, unique=True)) if axes else []

    def random_positions(axis: Axis, length: int | None) -> IndexMap:
        index = st.integers(0, axis.size - 1)
        return IndexMap.of(np.array(draw(st.lists(index, min_size=length, max_size=length))) if length else draw(index))

    for _ in range(draw(st.integers(2, 7))):
        kind = draw(st.sampled_from(["one", "two", "contract", "reduce", "select", "scatter", "rename", "delta"]))
        new = node()
        if kind == "one":
            new = apply(draw(st.sampled_from(GENTLE)), [new])
        elif kind == "two":
            new = apply(draw(st.sampled_from(TWO)), [new, node()])
        elif kind == "contract":
            factors = [new, *(node() for _ in range(draw(st.integers(0, 3))))]
            new = contract(factors, some(tuple(dict.fromkeys(axis for f in factors for axis in f.axes))))
        elif kind == "reduce":
            new = reduce(draw(st.sampled_from(["logsumexp", "max", "min", "norm"])), new, some(new.axes))
        elif kind in ("select", "scatter"):
            (along,) = distinct_axes([draw(st.sampled_from([N, P, C]))], new.axes)
            if kind == "select" and new.axes:
                targets = some(new.axes)
                length = draw(st.sampled_from([None, along.size]))
                new = select(new, [(t, random_positions(t, length)) for t in targets], along if length else None)
            elif kind == "scatter":
                over = draw(st.sampled_from([None, *new.axes]))
                target = (along, random_positions(along, over.size if over else None))
                new = scatter(new, [target], over)
        elif kind == "rename" and new.axes:
            axis = draw(st.sampled_from(new.axes))
            new = rename(new, {axis: distinct_axes([axis.dim], new.axes)[0]})
        elif kind == "delta" and new.axes:
            axis = draw(st.sampled_from(new.axes))
            new = multiply(new, delta(axis, distinct_axes([axis.dim], new.axes)[0]))
        if len(new.axes) <= 4:
            pool.append(new)
    return pool[-1]


def check(engine: Engine, root: Expr) -> None:
    total = contract([apply(sympy.tanh(_0), [root])], root.axes)
    used = [v for v in VARIABLES if v in symbols_of(total)]
    derivatives = zip(gradient(total, used), [v.axes for v in used], strict=True)
    outputs = [Dense(root, root.axes), *(Dense(expr, axes) for expr, axes in derivatives)]
    function = compile_function("f", outputs, {"x": VARIABLES}, Constants(engine))
    results = function(np.concatenate([np.ravel(VALUES[v]) for v in VARIABLES]))
    for output, result in zip(outputs, results if len(outputs) > 1 else [results], strict=True):
        expected = evaluate(output.expr, VALUES, output.axes)
        assert np.shape(result) == expected.shape
        np.testing.assert_allclose(result, expected, rtol=1e-8, atol=1e-8 * (1 + np.abs(expected).max(initial=0)))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions())
def test_random_expressions_under_numpy(root: Expr) -> None:
    check(numpy_engine(), root)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions())
def test_random_expressions_under_jax(root: Expr) -> None:
    pytest.importorskip("jax")
    check(jax_engine(), root)
