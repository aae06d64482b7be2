"""The checker accepts what is proved of models over arrays, and nothing else that is said of them."""

import copy
import json
import random
from fractions import Fraction

import numpy as np
import pytest
import sympy
from check_arrays import LEADER, claims_of, model, rejection, stated
from programs import program, variable

from bileveldsl.calculus.expr import (
    Dim,
    IndexMap,
    Symbol,
    add,
    apply,
    argument,
    contract,
    leaf,
    multiply,
    scatter,
    select,
)  # fmt: skip
from bileveldsl.calculus.functions import softplus

RNG = np.random.default_rng(7)
A = RNG.standard_normal((30, 12))
B = RNG.standard_normal(30)
FREE = "upper {\n  var x\n  minimize x\n}\nlower {\n  var y[n]\n  minimize OBJECTIVE\n}\n"
BOXED = "dim n = 5\n" + LEADER + "lower {\n  var y[n] in [0, 1]\n  minimize OBJECTIVE\n}\n"
CLASSES = (
    "dim m, n, c = 3\nparam A[m, n], Y[m, c]\nupper {\n  var s[m] in [-1, 2]\n  minimize sum(s)\n}\n"
    "lower {\n  var W[n, c]\n  minimize OBJECTIVE\n}\n"
)
BIAS = "dim m, n\nparam A[m, n], b[m]\n" + LEADER + "lower {\n  var y[n]\n  var c\n  minimize OBJECTIVE\n}\n"
CHAIN = "dim n = 50\n" + LEADER + "lower {\n  var y[n]\n  minimize OBJECTIVE\n}\n"
DATA = {"A": A, "b": B}

ALL = {"convex", "strongly_convex", "smooth", "pl"}
CASES = {
    "least squares": ("0.5*sumsq(A@y - b)", {}, DATA, ALL),
    "more unknowns than data": ("sumsq(A@y - b)", {}, {"A": A.T, "b": B[:12]}, {"convex", "smooth", "pl"}),
    "ridge": ("sumsq(A@y - b)/m + exp(x)/2*sumsq(y)", {}, DATA, ALL),
    "a modulus for each x": (
        "sumsq(A@y - b) + exp(x)*sumsq(y)",
        {"text": "dim m, n\nparam A[m, n], b[m]\n" + FREE},
        {"A": A.T, "b": B[:12]},
        {"convex", "strongly_convex"},
    ),
    "logistic": ("sum(softplus(-b*(A@y)))/m + exp(x)/2*sumsq(y)", {}, {"A": A, "b": np.sign(B)}, ALL),
    "softmax": (
        "dot(exp(s), logsumexp(A@W, c) - sum(Y*(A@W), c)) + 0.1*sumsq(W)",
        {"text": CLASSES},
        {"A": A, "Y": np.eye(3)[RNG.integers(0, 3, 30)]},
        ALL,
    ),
    "huber": ("sum(huber(A@y - b, 1)) + sumsq(y)", {}, DATA, ALL),
    "sines": ("sum(sin(A@y - b)) + 100*sumsq(y)", {}, DATA, ALL),
    "square roots": ("sum(sqrt(1 + (A@y - b)^2)) + sumsq(y)", {}, DATA, ALL),
    "cosines": ("sum(cosh(A@y - b))", {}, DATA, {"convex", "strongly_convex", "pl"}),
    "weights of data": ("sum(exp(b)*(A@y)^2) + sumsq(y)", {}, DATA, ALL),
    "two variables": ("sumsq(A@y + c - b)", {"text": BIAS}, DATA, ALL),
    "elements": ("sumsq(y) + (y[1] - y[2])^2 + 3*(y[4] - x)^2", {}, DATA, ALL),
    "differences": ("sum((y[i+1] - y[i])^2 for i in n if i < 49) + sumsq(y)", {"text": CHAIN}, {}, ALL),
    "logarithms": ("-sum(log(y)) + sumsq(y - x)", {"text": BOXED}, {}, {"convex", "strongly_convex"}),
    "no sign": ("x*sumsq(A@y - b)", {}, DATA, {"smooth"}),
    "steps": ("sum(sigmoid(A@y)) - sum(b*tanh(A@y - b))", {}, DATA, {"smooth"}),
    "a norm": ("norm(A@y - b) + 0.5*sumsq(y - x)", {}, DATA, {"convex", "strongly_convex", "pl"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_proved_is_accepted_and_a_little_more_is_not(name):
    objective, rest, data, facts = CASES[name]
    program = model(objective, **rest, **data)
    claims, (statement, arrays) = claims_of(program), stated(program)
    assert set(claims) == facts
    for fact, claim in claims.items():
        assert rejection(statement, arrays, claim) == "", fact
        if "constant" in claim:
            better = Fraction(999, 1000) if fact == "smooth" else Fraction(1001, 1000)
            wrong = {**claim, "constant": str(Fraction(claim["constant"]) * better)}
            assert rejection(statement, arrays, wrong), fact


def test_convexity_by_composition():
    for objective, text in (
        ("sum(abs(A@y - b)) + exp(x)*norm(y) + max(A@y)", None),
        ("sum(y*log(y)) + x*sum(y)", BOXED),
    ):
        program = model(objective, **({"text": text} if text else DATA))
        statement, arrays = stated(program)
        claim = {"of": "lower.objective", "fact": "convex", "verdict": "proved", "scope": {"x": "box", "y": "region"},
                 "proof": {"kind": "composition"}}  # fmt: skip
        assert rejection(statement, arrays, claim) == ""
    for objective in ("x*norm(A@y)", "min(A@y)", "sum(sin(A@y))", "y[1]*y[2]", "-norm(y)"):
        statement, arrays = stated(model(objective, **DATA))
        assert rejection(statement, arrays, claim), objective


def sparse_logistic(rows, columns, count):
    """A follower whose data are a list of nonzeros, written by hand."""
    k, n, p = Dim("k", count), Dim("n", rows), Dim("p", columns)
    rng = np.random.default_rng(1)
    V = Symbol("V", "data", (k,), rng.normal(size=count))
    x, y = Symbol("x", "variable"), Symbol("y", "variable", (p,))
    (along,), row = V.axes, Symbol("", "data", (n,)).axes[0]
    at_row, at_column = rng.integers(0, rows, count), rng.integers(0, columns, count)
    picked = select(leaf(y), [(y.axes[0], IndexMap.of(at_column))], along)
    margins = scatter(multiply(leaf(V), picked), [(row, IndexMap.of(at_row))], along)
    loss = contract([apply(softplus(argument(0)), [margins])], margins.axes)
    penalty = multiply(apply(sympy.exp(argument(0)) / 2, [leaf(x)]), contract([leaf(y), leaf(y)], y.axes))
    return program(add(loss, penalty), [variable(x, (-5, 5))], [variable(y)])


@pytest.mark.parametrize("shape", [(8, 5, 12), (9000, 4000, 600)])
def test_a_list_of_nonzeros(shape):
    made = sparse_logistic(*shape)
    claims, (statement, arrays) = claims_of(made), stated(made)
    assert set(claims) == ALL
    for fact, claim in claims.items():
        assert rejection(statement, arrays, claim) == "", fact
    wrong = Fraction(claims["smooth"]["constant"]) * Fraction(99, 100)
    assert rejection(statement, arrays, {**claims["smooth"], "constant": str(wrong)})


def test_constraints_and_the_set_they_make():
    text = (
        "dim n = 4\n" + LEADER + "lower {\n  var y[n] >= 0\n  minimize sum(y)\n  cap: sum(exp(y)) <= 9 + x\n"
        "  all: sum(y) == x\n  odd: norm(y) >= 1\n}\n"
    )
    statement, arrays = stated(model("", text=text))
    claim = {"of": "cap", "fact": "convex", "verdict": "proved", "scope": {"x": "box", "y": "region"},
             "proof": {"kind": "composition"}}  # fmt: skip
    assert rejection(statement, arrays, claim) == ""
    assert rejection(statement, arrays, {**claim, "of": "all"}) == ""
    assert rejection(statement, arrays, {**claim, "of": "odd"})
    assert rejection(statement, arrays, {**claim, "of": "lower.feasible_set"})
    statement, arrays = stated(model("", text=text.replace("  odd: norm(y) >= 1\n", "")))
    assert rejection(statement, arrays, {**claim, "of": "lower.feasible_set"}) == ""
    assert rejection(statement, arrays, {**claim, "of": "nobody.feasible_set"})


@pytest.fixture(scope="module")
def ridge():
    program = model("0.5*sumsq(A@y - b) + exp(x)/2*sumsq(y)", **DATA)
    return claims_of(program), *stated(program)


def test_other_data_are_rejected(ridge):
    claims, statement, arrays = ridge
    shape, content = arrays["A"]
    other = np.frombuffer(content).copy()
    other[17] = np.nextafter(other[17], 9)
    claim = claims["smooth"]
    assert "not those" in rejection(statement, {**arrays, "A": (shape, other.tobytes())}, claim)
    assert "shape" in rejection(statement, {**arrays, "A": (shape[::-1], content)}, claim)
    assert "no data" in rejection(statement, {"b": arrays["b"]}, claim)


def test_a_bound_of_a_spectrum_that_does_not_hold_is_rejected(ridge):
    claims, statement, arrays = ridge
    spectrum = np.linalg.svd(A, compute_uv=False) ** 2
    for fact, side, true in (("strongly_convex", "least", spectrum[-1]), ("smooth", "greatest", spectrum[0])):
        claim = copy.deepcopy(claims[fact])
        (hint,) = claim["proof"]["spectra"]
        assert float(Fraction(hint[side])) == pytest.approx(true, rel=1e-9)
        hint[side] = str(Fraction(true) * (1 + (Fraction(1, 10**9) if side == "least" else -Fraction(1, 10**9))))
        assert "eigenvalue" in rejection(statement, arrays, claim)
        del hint[side]
        assert rejection(statement, arrays, claim)


SQUARE = "dim n\nparam K[n, n]\n" + LEADER + "lower {\n  var y[n]\n  minimize OBJECTIVE\n}\n"


def test_a_bound_of_a_form_that_does_not_hold_is_rejected():
    K = A @ A.T + np.eye(30)
    program = model("dot(y, K@y)*exp(x) + sumsq(y)", text=SQUARE, K=K)
    claims, (statement, arrays) = claims_of(program), stated(program)
    for fact, side, worse in (("strongly_convex", "least", 1.001), ("smooth", "greatest", 0.999)):
        assert rejection(statement, arrays, claims[fact]) == ""
        claim = copy.deepcopy(claims[fact])
        (hint,) = claim["proof"]["forms"]
        hint[side] = str(Fraction(hint[side]) * Fraction(worse))
        assert "eigenvalue" in rejection(statement, arrays, claim)
        del hint[side]
        assert rejection(statement, arrays, claim)
        for field, value in (("rows", 31), ("columns", 29), ("trace", "17")):
            claim = copy.deepcopy(claims[fact])
            claim["proof"]["forms"][0][field] = value
            assert rejection(statement, arrays, claim)
    for objective in ("-dot(y, K@y)", "x*dot(y, K@y)", "dot(y, K@y)*y[1]"):
        other = stated(model(objective, text=SQUARE, K=K))
        assert rejection(*other, {**claims["convex"]}), objective


def test_rows_of_data_times_numbers():
    text = BIAS.replace("OBJECTIVE", "sum(softplus(b*(A@y + c)))")
    program = model("", text=text, **DATA)
    claims, (statement, arrays) = claims_of(program), stated(program)
    top = np.linalg.svd(B[:, None] * np.c_[A, np.ones(30)], compute_uv=False)[0] ** 2 / 4
    assert float(Fraction(claims["smooth"]["constant"])) == pytest.approx(top, rel=1e-6)
    for claim in claims.values():
        assert rejection(statement, arrays, claim) == ""


def test_a_range_of_a_second_derivative_that_does_not_hold_is_not_used():
    statement, arrays = stated(model("sum(tanh(A@y))", **DATA))
    claim = claims_of(model("sum(tanh(A@y))", **DATA))["smooth"]
    assert rejection(statement, arrays, claim) == ""
    ((low, high),) = claim["proof"]["seconds"]  # about 4 / sqrt(27)
    assert Fraction(high) < Fraction(78, 100)
    claim["proof"]["seconds"] = [[str(Fraction(low) * Fraction(97, 100)), str(Fraction(high) * Fraction(97, 100))]]
    assert rejection(statement, arrays, claim)
    assert rejection(statement, arrays, {**claim, "constant": str(Fraction(claim["constant"]) * Fraction(97, 100))})


def test_a_proof_about_another_matrix_does_not_count(ridge):
    claims, statement, arrays = ridge
    for field, value in (("rows", 31), ("columns", 11), ("trace", "17")):
        claim = copy.deepcopy(claims["strongly_convex"])
        claim["proof"]["spectra"][0][field] = value
        assert rejection(statement, arrays, claim)


def test_scopes_are_asked_for():
    statement, arrays = stated(model("sumsq(y - x)", text=BOXED))
    claim = {"of": "lower.objective", "fact": "convex", "verdict": "proved", "scope": {"x": "box", "y": "region"},
             "proof": {"kind": "composition"}}  # fmt: skip
    assert rejection(statement, arrays, claim) == ""
    assert "all values" in rejection(statement, arrays, {**claim, "scope": {"x": "box", "y": "all"}})
    strong = {**claim, "fact": "strongly_convex", "constant": "2", "proof": {"kind": "structure", "spectra": []}}
    assert rejection(statement, arrays, strong) == ""
    inequality = {**strong, "fact": "pl", "proof": {"kind": "strong"}}
    assert "all values" in rejection(statement, arrays, inequality)


def test_a_second_derivative_that_fades_in_y_is_no_modulus_for_each_x():
    statement, arrays = stated(model("sum(exp(y))", text="dim n = 3\n" + FREE))
    claim = {"of": "lower.objective", "fact": "strongly_convex", "verdict": "proved",
             "scope": {"x": "pointwise", "y": "all"}, "proof": {"kind": "structure"}}  # fmt: skip
    assert "positive" in rejection(statement, arrays, claim)
    statement, arrays = stated(model("sum(exp(x)*y^2)", text="dim n = 3\n" + FREE))
    assert rejection(statement, arrays, claim) == ""


@pytest.mark.parametrize("weight", [0.0, -1e-11])
def test_a_weight_that_is_hardly_negative(weight):
    text = "dim n = 40\nparam d[n]\n" + LEADER + "lower {\n  var y[n]\n  minimize sum(d*y^2)\n}\n"
    weights = np.where(np.arange(40) == 31, weight, 1.0)
    statement, arrays = stated(model("", text=text, d=weights))
    for proof in ({"kind": "composition"}, {"kind": "structure"}):
        claim = {"of": "lower.objective", "fact": "convex", "verdict": "proved", "scope": {"x": "box", "y": "all"},
                 "proof": proof}  # fmt: skip
        assert (rejection(statement, arrays, claim) == "") == (weight == 0)


def test_the_inequality_needs_a_single_affine_expression():
    text = "dim m, n\nparam A[m, n], b[m]\n" + LEADER + "lower {\n  var y[n]\n  minimize OBJECTIVE\n}\n"
    data = {"A": A.T, "b": B[:12]}
    claim = claims_of(model("sumsq(A@y - b)", text=text, **data))["pl"]
    for objective in ("sumsq(A@y - b) + sum(y)", "sumsq(A@y - b) + exp(y[1])", "norm(A@y - b)", "x*sumsq(A@y - b)"):
        statement, arrays = stated(model(objective, text=text, **data))
        assert rejection(statement, arrays, claim), objective


def test_mutated_statements_and_claims_never_raise_anything_else(ridge):
    claims, statement, arrays = ridge
    rng = random.Random(0)
    whole = {"statement": statement, "claim": claims["strongly_convex"]}
    for _ in range(150):
        wrong = json.loads(json.dumps(whole))
        for _ in range(rng.choice((1, 1, 3))):
            _mutate(wrong[rng.choice(("statement", "claim"))], rng)
        rejection(wrong["statement"], arrays, wrong["claim"])


def test_numbers_changed_in_a_statement_are_noticed(ridge):
    claims, statement, arrays = ridge
    text = json.dumps(statement)
    for old, new in (('["num", "1/2"]', '["num", "1/3"]'), ('"exp"', '"sigmoid"'), ('"lower": "-5"', '"lower": "-6"')):
        assert old in text
        changed = json.loads(text.replace(old, new))
        assert rejection(changed, arrays, claims["strongly_convex"]), old


def _mutate(data, rng):
    """Replaces, removes or repeats something anywhere in lists and objects."""
    while True:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(data[key], dict | list) and data[key] and rng.random() < 0.8:
            data = data[key]
            continue
        values = [
            None,
            -1,
            0,
            1,
            7,
            10**30,
            0.5,
            "",
            "1/2",
            "inf",
            "exp",
            "contract",
            [],
            [[]],
            {},
            [0, 1],
            True,
            "1/0",
        ]
        data[key] = rng.choice(values)
        if isinstance(data, list) and rng.random() < 0.3:
            data.append(rng.choice(values))
        return
