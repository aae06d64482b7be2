"""A compiled problem has the model's values and derivatives, and counts exactly what was asked of it."""

import numpy as np
import pytest

from bileveldsl.execute.engine import Engine, numpy_engine
from bileveldsl.execute.oracles import WORK
from bileveldsl.execute.problem import CompiledProblem, compile_problem
from bileveldsl.model import loads

MODEL = """model mixed
dim n = 2, p = 3
param X[n, p] = [[1, 2, -1], [0.5, -1, 2]]
param t[n] = [1, -2]
upper {
  var a[n] in [1, 4]
  var s in [-1, 1] start 0.5
  minimize sumsq(X @ w - t) + s * b + sumsq(a)
}
lower {
  var b >= 2
  var w[p]
  minimize dot(exp(a), (X @ w - t)^2) + s * b * sum(w) + b^2
}
"""
X, T = np.array([[1, 2, -1], [0.5, -1, 2]]), np.array([1.0, -2])
POINT = np.array([0.3, -0.2, 0.7]), np.array([2.5, 0.1, -0.4, 0.6])
V, D = np.array([0.5, -1.0, 2.0, 0.25]), np.array([1.0, -0.5, 2.0])


def F(x: np.ndarray, y: np.ndarray) -> float:
    return np.sum((X @ y[1:] - T) ** 2) + x[2] * y[0] + np.sum(x[:2] ** 2)


def f(x: np.ndarray, y: np.ndarray) -> float:
    return np.exp(x[:2]) @ (X @ y[1:] - T) ** 2 + x[2] * y[0] * np.sum(y[1:]) + y[0] ** 2


def difference(function, vector: np.ndarray) -> np.ndarray:
    """Central differences of a function, one row for each of its outputs."""
    step = 1e-6
    columns = [function(vector + step * e) - function(vector - step * e) for e in np.eye(vector.size)]
    return np.array(columns).T / (2 * step)


@pytest.fixture
def problem(engine: Engine) -> CompiledProblem:
    return compile_problem(loads(MODEL).program(), engine)


def test_layout_and_bounds(problem: CompiledProblem) -> None:
    assert (problem.nx, problem.ny) == (3, 4)
    assert problem.x.names == ("a", "s") and problem.y.names == ("b", "w")
    np.testing.assert_array_equal(problem.x_lower, [1, 1, -1])
    np.testing.assert_array_equal(problem.x_upper, [4, 4, 1])
    np.testing.assert_array_equal(problem.y_lower, [2, *[-np.inf] * 3])
    np.testing.assert_array_equal(problem.x_start, [1, 1, 0.5])  # zero projected; the user's own
    np.testing.assert_array_equal(problem.y_start, [2, 0, 0, 0])
    vector = np.arange(3.0)
    values = problem.x.unpack(vector)
    assert values["s"] == 2 and values["a"].tolist() == [0, 1]
    np.testing.assert_array_equal(problem.x.pack(values), vector)


def test_values_and_first_derivatives(problem: CompiledProblem) -> None:
    x, y = POINT
    assert float(problem.F(x, y)) == pytest.approx(F(x, y), rel=1e-14)
    assert float(problem.f(x, y)) == pytest.approx(f(x, y), rel=1e-14)
    for gradients, function in ((problem.grad_F, F), (problem.grad_f, f)):
        by_x, by_y = gradients(x, y)
        np.testing.assert_allclose(by_x, difference(lambda x, of=function: of(x, y), x), rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(by_y, difference(lambda y, of=function: of(x, y), y), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(problem.grad_f_y(x, y), problem.grad_f(x, y)[1], rtol=1e-14)
    for both, value, gradient in (
        (problem.value_and_grad_F(x, y), problem.F(x, y), problem.grad_F(x, y)),
        (problem.value_and_grad_f(x, y), problem.f(x, y), problem.grad_f(x, y)),
        (problem.value_and_grad_f_y(x, y), problem.f(x, y), [problem.grad_f_y(x, y)]),
    ):
        for found, expected in zip(both, [value, *gradient], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_second_derivatives(problem: CompiledProblem) -> None:
    x, y = POINT
    by_y = difference(lambda y: np.asarray(problem.grad_f_y(x, y)), y)
    by_x = difference(lambda x: np.asarray(problem.grad_f_y(x, y)), x)
    hessian = np.asarray(problem.hessian_yy(x, y))
    np.testing.assert_allclose(hessian, by_y, rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(hessian, hessian.T)
    np.testing.assert_allclose(problem.hvp(x, y, V), by_y @ V, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(problem.cross(x, y, V), by_x.T @ V, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(problem.cross_T(x, y, D), by_x @ D, rtol=1e-7, atol=1e-8)


def test_work_is_counted_exactly() -> None:
    problem = compile_problem(loads(MODEL).program(), numpy_engine())
    x, y = POINT
    calls = {
        "F": "f", "f": "g", "grad_F": "grad_f", "grad_f": "grad_g", "grad_f_y": "grad_g",
        "value_and_grad_F": "f grad_f", "value_and_grad_f": "g grad_g", "value_and_grad_f_y": "g grad_g",
        "hvp": "hvp", "cross": "cross", "cross_T": "cross", "hessian_yy": "hessian",
    }  # fmt: skip
    expected = dict.fromkeys(WORK, 0)
    for times, (name, counted) in enumerate(calls.items(), start=1):
        extra = {"hvp": [V], "cross": [V], "cross_T": [D]}.get(name, [])
        for _ in range(times):
            getattr(problem, name)(x, y, *extra)
            getattr(problem.pure, name)(x, y, *extra)  # not counted
        for key in counted.split():
            expected[key] += times
        assert problem.work == expected
    problem.count(grad_g=5, iterations=2)
    assert problem.work == {**expected, "grad_g": expected["grad_g"] + 5, "iterations": 2}


def test_the_source_runs_on_its_own(problem: CompiledProblem) -> None:
    variables: dict = {}
    exec(problem.source(), variables)
    constants = {name: np.asarray(array) for name, array in problem.constants.arrays.items()}
    assert variables["f"](constants, *POINT) == pytest.approx(f(*POINT), rel=1e-14)


def test_compiled_loops_take_the_data_as_an_argument() -> None:
    jax = pytest.importorskip("jax")
    from bileveldsl.execute.engine import jax_engine

    problem = compile_problem(loads(MODEL).program(), jax_engine())
    x, y = POINT
    trace = jax.make_jaxpr(lambda constants: problem.bind(constants).hessian_yy(x, y))(problem.constants.arrays)
    assert not any(np.size(constant) == X.size for constant in trace.consts)


def test_a_leader_without_variables() -> None:
    model = "model none\nupper {\n  minimize y\n}\nlower {\n  var y\n  minimize y^2\n}\n"
    problem = compile_problem(loads(model).program(), numpy_engine())
    nothing, one = np.zeros(0), np.ones(1)
    assert [np.shape(part) for part in problem.grad_F(nothing, one)] == [(0,), (1,)]
    assert np.shape(problem.cross(nothing, one, one)) == (0,)
    np.testing.assert_array_equal(problem.cross_T(nothing, one, nothing), [0.0])
