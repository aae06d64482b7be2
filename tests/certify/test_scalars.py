"""Scalar nodes against the array expressions they are written out from, against numbers, and against differences."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import bileveldsl as blv
from bileveldsl.certify.scalars import (
    NotDifferentiable,
    Scalar,
    balls,
    call,
    enclose,
    evaluate,
    exact_value,
    gradient,
    hessian,
    number,
    polynomials,
    power,
    product,
    ring,
    total,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Statement, statement

X, Y = variable(0), variable(1)
FUNCTIONS = [
    product([X, call("exp", Y)]),
    call("log", total([number(3), power(X, 2), Y])),
    total([call("sin", product([X, Y])), call("cos", X), call("tan", product([Y, number(Fraction(1, 4))]))]),
    product([call("tanh", X), call("sigmoid", Y), call("softplus", total([X, Y]))]),
    power(total([number(2), X, power(Y, 2)]), Fraction(3, 2)),
    product([power(total([number(3), X]), -1), call("atan", Y), call("asin", product([X, number(Fraction(1, 2))]))]),
    call("pow", total([number(3), X]), Y),
    call("relative_entropy", total([number(2), X]), total([number(3), Y])),
    total([call("xlogx", total([number(2), X])), call("sinh", Y), call("cosh", X)]),
    call("acos", product([Y, number(Fraction(1, 2))])),
]


@pytest.mark.parametrize("root", FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_derivatives_are_limits_of_differences(root: Scalar) -> None:
    point, step = np.array([0.3, -0.4]), 1e-6
    slopes = gradient(root, [0, 1])
    for k, e in enumerate(np.eye(2)):
        ends = evaluate([root, *slopes], np.array([point + step * e, point - step * e, point]))
        assert (ends[0, 0] - ends[0, 1]) / (2 * step) == pytest.approx(ends[1 + k, 2], abs=1e-7)
        seconds = hessian(root, [0, 1])
        for j in range(2):
            entry = seconds.get((min(j, k), max(j, k)), number(0))
            expected = (ends[1 + j, 0] - ends[1 + j, 1]) / (2 * step)
            assert evaluate([entry], point[None])[0, 0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("root", FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_enclosures_balls_and_floats_agree(root: Scalar) -> None:
    low, high = np.array([-0.5, -0.75]), np.array([0.75, 0.5])
    found = enclose([root], low[None], high[None])[0]
    inside = low + np.random.default_rng(0).random((200, 2)) * (high - low)
    values = evaluate([root], inside)[0]
    assert (found.lo <= values).all() and (values <= found.hi).all()
    assert np.isfinite(found.lo).all() and np.isfinite(found.hi).all()
    for point, value in list(zip(inside, values, strict=True))[:5]:
        (ball,) = balls([root], {k: Fraction(v) for k, v in enumerate(point.tolist())})
        assert float(ball) == pytest.approx(value, rel=1e-12)
        (narrow,) = enclose([root], point[None], point[None])
        assert narrow.lo[0] <= float(ball) <= narrow.hi[0] and narrow.hi[0] - narrow.lo[0] < 1e-12


def test_kinks_have_no_derivative() -> None:
    for root in (call("abs", X), call("max", X, Y), call("huber", X, number(1))):
        with pytest.raises(NotDifferentiable):
            gradient(root, [0])
    assert gradient(product([call("abs", X), Y]), [1]) == [call("abs", X)]


def test_a_root_of_a_square_is_not_the_base() -> None:
    root = power(power(X, 2), Fraction(1, 2))
    assert exact_value(root, {0: Fraction(-3)}) == 3
    assert product([X, power(X, -1)]) is not number(1)
    assert exact_value(product([X, power(X, -1)]), {0: Fraction(0)}) is None


def test_exact_values_are_exact() -> None:
    third = Fraction(1, 3)
    assert exact_value(total([power(X, 2), product([X, Y])]), {0: third, 1: Fraction(-1, 3)}) == 0
    assert exact_value(call("exp", X), {0: third}) is None
    assert exact_value(call("huber", X, number(1)), {0: Fraction(3)}) == Fraction(5, 2)


def test_polynomials_expand_and_others_do_not() -> None:
    found = polynomials([power(total([X, Y]), 3)], [0, 1], ring([0, 1]))
    assert found is not None and len(found[0].to_dict()) == 4
    assert polynomials([call("exp", X)], [0], ring([0])) is None


ARRAYS = """
model arrays
dim n = 3
dim p = 2
param A[n, p] = [[1, 2], [0, 1], [3, -1]]
param b[n] = [1, 0.5, -2]
upper {
  var t in [-1, 1]
  minimize sum((A[i, 0] - w[1])^2 for i in n) + t
}
lower {
  var w[p] in [-4, 4]
  minimize sumsq(A @ w - b) + exp(t)*sum(softplus(b[i]*w[0]) for i in n) + norm(w) + logsumexp(A @ w)
  small[k in p]: w[k] <= 3*t + A[0, k]
}
"""


def test_arrays_are_written_out_as_they_are_evaluated() -> None:
    program = blv.loads(ARRAYS).program()
    found = statement(program)
    assert isinstance(found, Statement)
    A, b = np.array([[1, 2], [0, 1], [3, -1]]), np.array([1, 0.5, -2])
    rng = np.random.default_rng(1)
    for _ in range(5):
        t, w = rng.uniform(-1, 1), rng.uniform(-2, 2, 2)
        residual = A @ w - b
        expected = residual @ residual + math.exp(t) * np.logaddexp(0, b * w[0]).sum() + np.linalg.norm(w)
        expected += np.log(np.exp(A @ w).sum())
        value = evaluate([found.functions["lower.objective"]], np.array([[t, *w]]))[0, 0]
        assert value == pytest.approx(expected, rel=1e-12)
        excess = evaluate([c.root for c in found.constraints], np.array([[t, *w]]))[:, 0]
        assert excess == pytest.approx([w[0] - 3 * t - 1, w[1] - 3 * t - 2])
    assert [v.name for v in found.variables] == ["t", "w[0]", "w[1]"]
    assert [c.label for c in found.constraints] == ["small[0]", "small[1]"]
    assert found.own("lower") == (1, 2)


def test_a_statement_is_exact_text() -> None:
    written = statement(blv.loads(ARRAYS).program()).to_json()  # type: ignore[union-attr]
    assert written["variables"][0] == {"name": "t", "level": "upper", "lower": "-1", "upper": "1", "integer": False}
    numbers = {node[1] for node in written["nodes"] if node[0] == "num"}
    assert "1/2" in numbers and all(isinstance(n, str) and "." not in n for n in numbers)


def test_large_models_are_not_written_out(monkeypatch) -> None:
    monkeypatch.setattr("bileveldsl.certify.statement.LIMIT", 50)
    assert statement(blv.loads(ARRAYS).program()) is None
