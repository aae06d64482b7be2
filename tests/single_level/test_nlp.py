"""Flat functions of smooth programs: derivatives against differences, patterns, and work that grows linearly."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from bileveldsl import loads
from bileveldsl.single_level.compression import compress, compress_symmetric
from bileveldsl.single_level.nlp import Nlp, compile_nlp
from bileveldsl.single_level.program import SingleLevel


def single(body: str, head: str = "") -> SingleLevel:
    """The upper level of a model as a program of its own."""
    text = f"model m\n{head}\nupper {{ {body} }}\nlower {{ var q in [0, 1]; minimize q^2 }}"
    upper = loads(text).program().upper
    return SingleLevel(upper.variables, upper.objective, upper.constraints)


ARRAYS = """
dim n = 6, p = 3
param X[n, p] = [[1, 0, 2], [0, 0, 1], [3, -1, 0], [0, 2, 0], [1, 1, 1], [-1, 0, 0]]
param t[n] = [0.5, -1, 2, 0, 1, 3]
"""
MODELS = {
    "scalars": ("", "var a; var b; var c; minimize exp(a*b) + c^2*sin(a); r1: a*b*c <= 3; r2: a + b == 1; "
                "r3: 1 <= a^2 + c^2 <= 5; r4: log(2 + a^2) >= c*b"),
    "elementwise": (ARRAYS, "var w[n]; var s; minimize sum(exp(w)*s) + s^4; r1: w^2 + s <= t; r2: sum(w^3) <= 9"),
    "data": (ARRAYS, "var u[p]; var v[n]; minimize sum(softplus(X @ u - v)) + sumsq(u); "
             "r1: exp(X @ u) + v <= 3; r2: sigmoid(v) * t >= -2"),
    "indexed": (ARRAYS, "var w[n]; var u[p]; minimize sum(w[i]*w[j]*X[i, k]*u[k] for i in n, j in n, k in p); "
                "r1[i in n]: w[i]*u[0] + w[0]^2 <= t[i]; r2[k in p]: sum(X[i, k]*w[i]^2 for i in n) <= u[k]"),
    "reductions": (ARRAYS, "var u[p]; var v[n]; minimize logsumexp(X @ u) + norm(v - t); r1: logsumexp(v) <= 9; "
                   "r2: norm(u) <= v"),
    "hub": (ARRAYS, "var h; var w[n]; minimize h^2*sum(w) + sum(w^4); r1: sum(w*h) + prod(u) <= 4; "
            "r2: w*h <= 2; var u[p]"),
}  # fmt: skip


@pytest.fixture(scope="module", params=MODELS)
def nlp(request: pytest.FixtureRequest) -> Nlp:
    head, body = MODELS[request.param]
    return compile_nlp(single(body, head))


def differences(function, z, step=1e-5):
    """Central differences, a column for each variable."""
    return np.stack([(function(z + step * e) - function(z - step * e)) / (2 * step) for e in np.eye(len(z))], axis=-1)


@pytest.mark.parametrize("seed", range(3))
def test_derivatives_are_those_of_the_values(nlp, seed):
    random = np.random.default_rng(seed)
    z, multipliers, scale = random.uniform(-1, 1, nlp.n), random.standard_normal(nlp.m), random.uniform(0.5, 2)
    np.testing.assert_allclose(nlp.gradient(z), differences(nlp.objective, z), rtol=1e-6, atol=1e-7)
    jacobian = nlp.jacobian_matrix(z).toarray()
    np.testing.assert_allclose(jacobian, differences(nlp.constraints, z), rtol=1e-6, atol=1e-7)

    def slope(z):
        return scale * nlp.gradient(z) + nlp.jacobian_matrix(z).T @ multipliers

    hessian = nlp.hessian_matrix(z, multipliers, scale).toarray()
    np.testing.assert_allclose(hessian, differences(slope, z), rtol=1e-6, atol=1e-6)


def test_the_hessian_is_given_by_its_lower_triangle_without_repetition(nlp):
    places = list(zip(nlp.hessian_rows.tolist(), nlp.hessian_columns.tolist(), strict=True))
    assert len(set(places)) == len(places)
    assert all(row >= column for row, column in places)


def test_affine_rows_are_constant_and_their_zeros_are_left_out():
    nlp = compile_nlp(single("var u[p]; minimize sum(u); r1: X @ u <= t; r2: sum(u) >= -5", ARRAYS))
    assert nlp.compiled.nonlinear is None
    assert len(nlp.jacobian_rows) == 10 + 3
    assert nlp.jacobian(np.zeros(3)) is nlp.jacobian(np.ones(3))
    assert len(nlp.hessian_rows) == 0


def test_zeros_of_data_are_no_part_of_the_pattern():
    nlp = compile_nlp(single("var u[p]; minimize sum(u); r1: exp(X @ u) <= t", ARRAYS))
    assert len(nlp.jacobian_rows) == 10


def test_bounds_that_hold_variables_move_to_the_body():
    nlp = compile_nlp(single("var a; var b; minimize a; r1: a^2 <= b; r2: a == 2*b"))
    np.testing.assert_allclose(nlp.constraints(np.array([3.0, 5.0])), [4.0, -7.0])
    np.testing.assert_array_equal(nlp.row_lower, [-np.inf, 0])
    np.testing.assert_array_equal(nlp.row_upper, [0, 0])


def test_fixed_symbols_take_other_values_without_another_compilation():
    program = single("var a; var b; minimize (a - b)^2; r1: a*b + exp(b) >= b; r2: b*a <= 3")
    first, second = program.symbols
    nlp = compile_nlp(SingleLevel(program.variables[:1], program.objective, program.constraints,
                                  fixed={second: np.asarray(2.0)}))  # fmt: skip
    moved = nlp.with_fixed({second: np.asarray(-1.0)})
    z = np.array([0.5])
    assert nlp.symbols == (first,)
    np.testing.assert_allclose([nlp.objective(z), moved.objective(z)], [2.25, 2.25])
    np.testing.assert_allclose(nlp.jacobian(z), [2, 2])
    np.testing.assert_allclose(moved.jacobian(z), [-1, -1])
    np.testing.assert_allclose(moved.constraints(z), [-0.5 + np.exp(-1), -0.5])
    assert moved.row_lower[0] == -1
    assert moved.compiled is nlp.compiled


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.floats(0.05, 0.9))
@settings(max_examples=60, deadline=None)
def test_a_compressed_matrix_can_be_read_off(seed, rows, columns, density):
    random = np.random.default_rng(seed)
    matrix = np.where(random.random((rows, columns)) < density, random.standard_normal((rows, columns)), 0.0)
    plan = compress(sparse.csr_array(matrix))
    products = matrix @ plan.directions.T
    for row, column in zip(*matrix.nonzero(), strict=True):
        if row not in plan.dense:
            assert products[row, plan.color[column]] == matrix[row, column]


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0.05, 0.9))
@settings(max_examples=60, deadline=None)
def test_a_compressed_symmetric_matrix_can_be_read_off(seed, size, density):
    random = np.random.default_rng(seed)
    half = np.where(random.random((size, size)) < density, random.standard_normal((size, size)), 0.0)
    matrix = half + half.T
    plan = compress_symmetric(sparse.csr_array(matrix))
    products = matrix @ plan.directions.T
    for row, column in zip(*matrix.nonzero(), strict=True):
        if row not in plan.dense and column not in plan.dense:
            assert products[row, plan.color[column]] == pytest.approx(matrix[row, column])


def test_an_arrow_needs_two_products_and_a_band_as_many_as_it_is_wide():
    arrow = np.eye(200)
    arrow[0] = arrow[:, 0] = 1
    assert compress_symmetric(sparse.csr_array(arrow)).products == 2
    band = sum(np.eye(200, k=k) for k in (-1, 0, 1))
    assert compress_symmetric(sparse.csr_array(band)).products == 3


LARGE = """
dim n = {size}
"""
LARGE_BODY = (
    "var w[n] in [0, 1]; var h; minimize sum(exp(w)) + h^2*sum(w); r1: w^2*h <= 3; r2: sum(exp(w)) <= 10; r3: w <= h"
)


def seconds(function) -> float:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def test_the_work_for_arrays_grows_linearly():
    nlp = compile_nlp(single(LARGE_BODY, LARGE.format(size=20_000)))
    assert len(nlp.jacobian_rows) == 2 * 20_000 + 20_000 + 2 * 20_000
    assert len(nlp.hessian_rows) == 2 * 20_000 + 1
    z, multipliers = np.full(nlp.n, 0.5), np.ones(nlp.m)
    assert seconds(lambda: nlp.jacobian(z)) < 0.2
    assert seconds(lambda: nlp.hessian(z, multipliers)) < 0.2
