"""Points and directions over arrays show what is so at a feasible point, and nothing else."""

import copy
import json
from fractions import Fraction

import numpy as np
import pytest
from check_arrays import LEADER, model, rejection, stated
from check_arrays import claims_of as structured
from flint import arb, ctx

from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.certify.check.array_jets import ArrayJets
from bileveldsl.certify.check.array_model import Model
from bileveldsl.certify.check.array_reading import read
from bileveldsl.certify.large.extremes import extremes
from bileveldsl.certify.region import Region

RNG = np.random.default_rng(3)
A, B = RNG.standard_normal((20, 11)), RNG.standard_normal(20)
DATA = {"A": A, "b": B}
CLASSES = (
    "dim m, n, c = 3\nparam A[m, n], Y[m, c]\nupper {\n  var s[m] in [-1, 2]\n  minimize sum(s)\n}\n"
    "lower {\n  var W[n, c]\n  minimize OBJECTIVE\n}\n"
)
BOXED = "dim n = 11\n" + LEADER + "lower {\n  var y[n] in [0, 1]\n  minimize OBJECTIVE\n  REST\n}\n"

FUNCTIONS = [
    "sum(softplus(A@y - b)) + exp(x)*sumsq(y)", "norm(A@y - b)", "sum(abs(A@y - b)^3)", "sum(sqrt(1 + (A@y)^2))",
    "sum(tanh(A@y)*sigmoid(A@y - b))", "logsumexp(A@y)", "max(A@y - b) + sumsq(y)", "sum(huber(A@y - b, 1))",
    "sum(log(1 + exp(y))*y^4) + y[0]*y[1]*x", "sum((1 + y^2)^(x + 3))", "sum(b*(A@y)) + dot(A@y, A@y)*sumsq(y)",
    "sum(atan(y) + cosh(y/9) + tan(y/9) + asin(y/9) + acos(y/8) + cos(y))", "sum(max(y, x) + min(y, 2*x) + 1/(y - 9))",
    "sum(y[i+1]*sin(y[i]) for i in 0..9)", "sum((y^2 + 1)*log(y^2 + 1)) + (y[1]^2 + 1)*log((y[1]^2 + 1)/(y[2]^2 + 2))",
    "sum(sinh(y/3)*y^3) + sum(abs(A)@y)^2",
]  # fmt: skip


def dyadic(shape, seed):
    return np.round(np.random.default_rng(seed).standard_normal(shape) * 2**12) / 2**12


def second(model: Model, of: str, point, direction) -> float:
    """The second derivative along a line."""
    values = [{k: [arb(float(v)) for v in np.ravel(value)] for k, value in each.items()} for each in (point, direction)]
    with ctx.workprec(90):
        found = ArrayJets(model, *values)(model.scalar[model.functions[of]]).orders[2]
    assert found is None or found[0].rad() < 1e-9 * (1 + abs(found[0]))
    return 0.0 if found is None else 2 * float(found[0])


def by_differences(f, step=2.0**-10):
    """Of the fourth order."""
    return (-f(2 * step) + 16 * f(step) - 30 * f(0) + 16 * f(-step) - f(-2 * step)) / (12 * step**2)


@pytest.mark.parametrize("objective", FUNCTIONS)
def test_second_derivatives_along_a_line_are_those_of_differences(objective):
    program = model(objective, **DATA)
    stated_, arrays = stated(program)
    read_ = read(stated_, arrays)
    numbers = {s.name: k for k, s in enumerate(read_.symbols)}
    y, d, (symbol,), (x,) = dyadic(11, 1), dyadic(11, 2), program.lower[0].symbols, program.upper.symbols
    root = program.lower[0].objective
    expected = by_differences(lambda t: float(evaluate(root, {symbol: y + t * d, x: np.array(0.5)})))
    found = second(read_, "lower.objective", {numbers["x"]: 0.5, numbers["y"]: y}, {numbers["y"]: d})
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_jets_of_matrices_of_variables_with_selected_and_scattered_elements():
    objective = "dot(exp(s), logsumexp(A@W, c) - sum(Y*(A@W), c)) + sum(W[i, 1]^3*W[i+1, 2] for i in 0..5) + sumsq(W)"
    data = {"A": A, "Y": np.eye(3)[RNG.integers(0, 3, 20)]}
    program = model(objective, text=CLASSES, **data)
    stated_, arrays = stated(program)
    read_ = read(stated_, arrays)
    numbers = {s.name: k for k, s in enumerate(read_.symbols)}
    W, D, s = dyadic((11, 3), 1), dyadic((11, 3), 2), np.clip(dyadic(20, 3), -1, 2)
    (symbol,), (leader,) = program.lower[0].symbols, program.upper.symbols
    root = program.lower[0].objective
    expected = by_differences(lambda t: float(evaluate(root, {symbol: W + t * D, leader: s})))
    found = second(read_, "lower.objective", {numbers["s"]: s, numbers["W"]: W}, {numbers["W"]: D})
    assert found == pytest.approx(expected, rel=1e-6)


# ---- claims ---------------------------------------------------------------------------------


def claims_of(program, L=None):
    """Refutations and other sides, as the prover finds them, with constants that hold exactly."""
    (level,) = program.lower
    region = Region(program, level)
    seen = extremes(level.objective, region, None, L)
    base = {"of": "lower.objective", "scope": {"x": "box", "y": "all" if region.everything else "region"}}
    least, greatest = (json.loads(json.dumps(each.proof)) for each in (seen.least, seen.greatest))
    found = []
    if seen.least.high < 0:
        for fact in ("convex", "strongly_convex"):
            found.append({**base, "fact": fact, "verdict": "refuted", "proof": least})
    return found, least, greatest, seen


@pytest.mark.parametrize("objective", ["sum(sin(A@y - b))", "x*sumsq(A@y)", "sum(tanh(A@y))"])
def test_functions_that_bend_down(objective):
    program = model(objective, **DATA)
    statement, arrays = stated(program)
    claims, _, greatest, seen = claims_of(program)
    assert len(claims) == 2
    for claim in claims:
        assert rejection(statement, arrays, claim) == ""
        assert rejection(statement, arrays, {**claim, "verdict": "proved"})
        assert rejection(statement, arrays, {**claim, "fact": "smooth"})
        assert rejection(statement, arrays, {**claim, "of": "upper.objective"})
        if seen.greatest.low > 0:
            assert rejection(statement, arrays, {**claim, "proof": greatest}) != ""


def test_a_convex_function_is_refuted_nowhere():
    program = model("sum(softplus(A@y - b))", **DATA)
    statement, arrays = stated(program)
    _, least, greatest, _ = claims_of(program)
    base = {"of": "lower.objective", "verdict": "refuted", "scope": {"x": "box", "y": "all"}}
    for proof in (least, greatest):
        for fact in ("convex", "strongly_convex"):
            assert "curvature" in rejection(statement, arrays, {**base, "fact": fact, "proof": proof})


def test_the_other_sides_of_constants_are_tight():
    program = model("sumsq(A@y - b) + x*sumsq(y)", **DATA)
    statement, arrays = stated(program)
    top = 2 * np.linalg.svd(A, compute_uv=False)[0] ** 2 + 10
    _, least, greatest, seen = claims_of(program, top)
    assert seen.greatest.size == pytest.approx(top, rel=1e-9)
    other = {"constant_upper": str(Fraction(seen.greatest.size)), "proof_upper": greatest}
    smooth = {**structured(program)["smooth"], **other}
    assert rejection(statement, arrays, smooth) == ""
    assert "curvature" in rejection(statement, arrays, {**smooth, "constant_upper": str(Fraction(top) + 1)})
    assert "curvature" in rejection(statement, arrays, {**smooth, "proof_upper": least})
    assert rejection(statement, arrays, {**smooth, "proof_upper": {"kind": "structure"}})


@pytest.fixture(scope="module")
def bent():
    text = BOXED.replace("OBJECTIVE", "sumsq(y) - 2*exp(x)*y[3]^2").replace("REST", "cap: sum(y) <= 4 + x/2")
    program = model("", text=text)
    claims, *_ = claims_of(program)
    return stated(program), claims[0]


def test_each_part_of_a_point_counts(bent):
    (statement, arrays), claim = bent
    assert rejection(statement, arrays, claim) == ""
    point = claim["proof"]["point"]

    def with_(**parts):
        return {**claim, "proof": {**claim["proof"], **parts}}

    outside = {"unit": "1/4", "numbers": [5] + [0] * 10}
    wrong = {
        "bounds": with_(point={**point, "y": outside}),
        "constraint": with_(point={**point, "y": "1"}),
        "no value": with_(point={"y": point["y"]}),
        "sizes": with_(point={**point, "y": {"unit": "1/4", "numbers": [1] * 10}}),
        "no variable": with_(point={**point, "q": "1"}),
        "own variables": with_(direction={"x": "1"}),
        "own": with_(direction={}),
        "own variables.": with_(direction={"y": "0"}),
        "curvature": with_(direction={"y": {"unit": "1", "numbers": [1, *[0] * 10]}}),
        "whole number": with_(direction={"y": {"unit": "1", "numbers": [1.0, *[0] * 10]}}),
        "p or p/q": with_(direction={"y": {"unit": "1/0.5", "numbers": [1, *[0] * 10]}}),
        "not known": {**claim, "proof": {**claim["proof"], "more": 1}},
        "nothing": {**claim, "proof": {**claim["proof"], "kind": "kernel"}},
        "all values": {**claim, "scope": {"x": "box", "y": "all"}},
    }
    for reason, each in wrong.items():
        said = rejection(statement, arrays, each)
        assert said and (reason.strip(".") in said or reason == "nothing"), (reason, said)


def test_a_direction_along_what_bounds_fix_shows_nothing(bent):
    (statement, arrays), claim = bent
    fixed = copy.deepcopy(statement)
    for symbol in fixed["symbols"]:
        if symbol["name"] == "y":
            symbol["upper"] = ["1"] * 3 + ["0"] + ["1"] * 7
    along = {"y": {"unit": "1", "numbers": [0, 0, 0, 1, *[0] * 7]}}
    claim = {**claim, "proof": {**claim["proof"], "point": {"x": "5", "y": "0"}, "direction": along}}
    assert rejection(statement, arrays, claim) == ""
    assert "bounds fix" in rejection(fixed, arrays, claim)


@pytest.mark.parametrize(
    ("objective", "at"),
    [("sum(-abs(y))", "0"), ("sum(-huber(y, 1))", "1"), ("sum(-max(y, x))", "0"), ("max(-y)", "1"),
     ("sum(-sqrt(y))", "0"), ("-norm(y)", "0"), ("sum(y*log(y)) - sumsq(y)*9", "0"), ("sum(abs(y)^(3/2) - y^2)", "0")],
)  # fmt: skip
def test_no_second_derivative_is_read_off_at_a_kink(objective, at):
    text = BOXED.replace("REST", "").replace("in [0, 1]", "in [-2, 2]" if "sqrt" not in objective else "in [0, 1]")
    statement, arrays = stated(model(objective, text=text))
    claim = {"of": "lower.objective", "fact": "strongly_convex", "verdict": "refuted",
             "scope": {"x": "box", "y": "region"},
             "proof": {"kind": "array-curvature", "point": {"x": "0", "y": at}, "direction": {"y": "1"}}}  # fmt: skip
    assert rejection(statement, arrays, claim)


def test_a_function_of_fewer_numbers_than_unknowns_is_flat_along_a_line():
    wide = {"A": A.T.copy(), "b": B[:11]}
    claim = {"of": "lower.objective", "fact": "strongly_convex", "verdict": "refuted",
             "scope": {"x": "box", "y": "all"}, "proof": {"kind": "kernel"}}  # fmt: skip
    for objective in ("sumsq(A@y - b)", "exp(x)*sum(softplus(A@y)) + sum(y)", "norm(A@y)*sumsq(A@y) + sum(y[:3]^4)"):
        statement, arrays = stated(model(objective, **wide))
        assert rejection(statement, arrays, claim) == "", objective
        assert rejection(statement, arrays, {**claim, "fact": "convex"})
    cases = ("sumsq(A@y - b)", DATA), ("sumsq(A@y) + sumsq(y)", wide), ("sum(y[:9]^2) + sumsq(A@y)", wide)
    for objective, data in cases:
        statement, arrays = stated(model(objective, **data))
        assert rejection(statement, arrays, claim), objective
    text = "dim n = 11\n" + LEADER + "lower {\n  var y[n] in [0, UPPER]\n  minimize sum(y)^2\n}\n"
    region = {**claim, "scope": {"x": "box", "y": "region"}}
    fixed, free = text.replace("UPPER", "0"), text.replace("UPPER", "1")
    assert rejection(*stated(model("", text=free)), region) == ""
    assert rejection(*stated(model("", text=fixed)), region)
    assert rejection(*stated(model("", text=free.replace("sum(y)^2", "sum(y)^2\n  one: y[1] == 0"))), region)
