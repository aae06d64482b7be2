"""Large followers: both sides of their constants, refutations that the checker accepts, and data that stay in files."""

import tracemalloc

import numpy as np
import pytest
from programs import facts

import bileveldsl as blv
from bileveldsl.certificate import certificate_of
from bileveldsl.certify.check import array_jets
from bileveldsl.certify.gram import form
from bileveldsl.certify.large.in_parts import InParts
from bileveldsl.certify.lower_level import certify
from bileveldsl.language.data import mapped

RNG = np.random.default_rng(2)
M, N = 90, 30
A, B = RNG.standard_normal((M, N)), RNG.standard_normal(M)
Q = RNG.standard_normal((N, N))
LEADER = "upper {\n  var x in [-3, 3]\n  minimize x\n}\n"
SHARES = "upper {\n  var s[m] in [-2, 2]\n  minimize sum(s)\n}\n"
DATA = "dim m, n\nparam A[m, n], b[m]\n"
SQUARE = "dim n\nparam K[n, n], b[n]\n"


def follower(objective, own="var y[n]", rest=""):
    return f"lower {{\n  {own}\n  minimize {objective}\n  {rest}\n}}\n"


def certified(text, **data):
    """The facts of the follower's objective by their names, and what of them is not checked."""
    model = blv.loads(text)
    program = model.program(**data)
    found = certify(program, 60.0)
    certificate = certificate_of(model, program, found)
    assert certificate.content["statement"]["form"] == "array"
    unchecked = {entry["fact"]: entry["why"] for entry in certificate.unchecked if entry["of"] == "lower.objective"}
    return {f.fact: f for f in found if f.of == "lower.objective"}, unchecked


TWO_SIDED = {
    "ridge": (DATA + LEADER + follower("sumsq(A@y - b)/m + exp(x)*sumsq(y)"), {"A": A, "b": B}),
    "scaled": (DATA + LEADER + follower("sumsq((A/20)@y - b) + exp(x)*sumsq(y)"), {"A": A, "b": B}),
    "weighted": (DATA + SHARES + follower("dot(exp(s), (A@y - b)^2)/m + 0.01*sumsq(y)"), {"A": A, "b": B}),
    "logistic": (DATA + LEADER + follower("sum(softplus(-b*(A@y)))/m + exp(x)*sumsq(y)"), {"A": A, "b": np.sign(B)}),
    "kernel": (SQUARE + LEADER + follower("dot(y, K@y)/2 - dot(b, y) + exp(x)*sumsq(y)"), {"K": Q @ Q.T, "b": B[:N]}),
    "kernel ridge": (
        SQUARE + LEADER + follower("sumsq(K@y - b) + exp(x)*dot(y, K@y)"), {"K": Q @ Q.T + 9 * np.eye(N), "b": B[:N]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TWO_SIDED)
def test_both_sides_of_constants_are_known_and_checked(name):
    text, data = TWO_SIDED[name]
    found, unchecked = certified(text, **data)
    assert not unchecked
    strong, smooth = found["strongly_convex"], found["smooth"]
    assert strong.constant <= strong.constant_upper <= strong.constant * (1.2 if "kernel" in name else 1.01) + 1e-9
    assert smooth.constant * 0.6 <= smooth.constant_upper <= smooth.constant


BENT = {
    "sines": (DATA + LEADER + follower("sum(sin(A@y - b))"), {"A": A, "b": B}),
    "network": (
        "dim m, n, h = 4\nparam A[m, n], b[m]\n" + LEADER
        + follower("sumsq(tanh(A@W)@v - b)/m + exp(x)*(sumsq(W) + sumsq(v))", "var W[n, h]\n  var v[h]"),
        {"A": A, "b": B},
    ),
    "indefinite kernel": (SQUARE + LEADER + follower("dot(y, K@y) - dot(b, y)"), {"K": Q + Q.T, "b": B[:N]}),
    "bounded": (
        SQUARE + LEADER + follower("dot(y, K@y)", "var y[n] in [0, 1]", "cap: sum(y) <= 5 + x"),
        {"K": Q + Q.T, "b": B[:N]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BENT)
def test_functions_that_bend_down_are_refuted_with_a_point_that_is_checked(name):
    text, data = BENT[name]
    found, unchecked = certified(text, **data)
    for fact in ("convex", "strongly_convex"):
        assert found[fact].verdict == "refuted" and fact not in unchecked, (fact, unchecked)
    assert set(found["convex"].witness) >= {"point", "direction"}


def test_more_unknowns_than_data_leave_a_line_where_nothing_changes():
    found, unchecked = certified(DATA + LEADER + follower("sumsq(A@y - b)"), A=A.T, b=B[:N])
    assert found["strongly_convex"].verdict == "refuted" and not unchecked
    assert found["strongly_convex"].proof == {"kind": "kernel"}
    assert found["pl"].verdict == "proved"


def test_the_square_of_a_hinge_is_smooth():
    text = DATA + LEADER + follower("sum(max(0, 1 - b*(A@y))^2)/m + exp(x)*sumsq(y)")
    found, unchecked = certified(text, A=A, b=np.sign(B))
    top = np.linalg.svd(A, compute_uv=False)[0] ** 2 * 2 / M + 2 * np.exp(3)
    assert found["smooth"].constant == pytest.approx(top, rel=1e-6) and "smooth" not in unchecked
    shifted = DATA + LEADER + follower("sum(max(1, 2 - b*(A@y))^2)/m")  # at a kink its slope jumps
    assert certified(shifted, A=A, b=np.sign(B))[0]["smooth"].verdict == "unknown"


@pytest.mark.parametrize("size", [3, 60, 420])
def test_forms_have_the_eigenvalues_of_their_symmetric_part(size):
    from bileveldsl.calculus.expr import Dim, Symbol

    n = Dim("n", size)
    values = np.random.default_rng(size).standard_normal((size, size))
    found = form(Symbol("K", "data", (n, n), values), Symbol("y", "variable", (n,)))
    spectrum = np.linalg.eigvalsh(values + values.T)
    assert found.least <= spectrum[0] + 1e-12 and spectrum[-1] - 1e-12 <= found.greatest
    assert (found.least, found.greatest) == pytest.approx((spectrum[0], spectrum[-1]), rel=1e-6)


# ---- data in files --------------------------------------------------------------------------


def test_products_in_parts_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr("bileveldsl.certify.large.in_parts._ELEMENTS", 70)
    u, v, W = RNG.standard_normal(M), RNG.standard_normal(N), RNG.standard_normal((N, 3))
    seen = A.view(InParts)
    for got, wanted in ((seen @ v, A @ v), (seen.T @ u, A.T @ u), (u @ seen, u @ A), (v @ seen.T, v @ A.T),
                        (seen @ W, A @ W), (W.T @ seen.T, W.T @ A.T), (2 * seen, 2 * A)):  # fmt: skip
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_certification_of_data_in_a_file_takes_less_memory_than_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "LEAST_BYTES", 2**20)
    parts = ("gram._PART", "large.in_parts._ELEMENTS", "large.point_ranges._BLOCK", "array_statement._AT_ONCE")
    for part in parts:
        monkeypatch.setattr(f"bileveldsl.certify.{part}", 2**14)
    rows = 20_000
    X = RNG.standard_normal((rows, 40))
    np.savez(tmp_path / "data.npz", X=X, y=X @ RNG.standard_normal(40))
    text = (
        'dim k, p\nparam X[k, p], y[k] from "data.npz"\n' + LEADER
        + follower("sumsq(X@w - y)/k + exp(x)*sumsq(w)", "var w[p]")
    )  # fmt: skip
    (tmp_path / "model.blv").write_text(text)
    small = blv.loads(DATA + LEADER + follower("sumsq(A@y - b)/m + exp(x)*sumsq(y)")).program(A=A, b=B)
    facts(small)  # what is imported when it is first used
    model = blv.load(tmp_path / "model.blv")
    tracemalloc.start()
    try:
        program = model.program()
        found = {f.fact: f for f in certify(program, 60.0) if f.of == "lower.objective"}
        largest = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert largest < 0.6 * X.nbytes
    monkeypatch.setattr("bileveldsl.certify.check.array_spectra._PIECE", 2**14)
    certificate = certificate_of(model, program, tuple(found.values()))
    assert {claim["fact"] for claim in certificate.claims} == set(found) and not certificate.unchecked
    low, high = np.linalg.svd(X, compute_uv=False)[[-1, 0]] ** 2 * 2 / rows
    assert found["strongly_convex"].constant == pytest.approx(low + 2 * np.exp(-3), rel=1e-6)
    assert found["smooth"].constant == pytest.approx(high + 2 * np.exp(3), rel=1e-6)


def test_sums_in_windows_are_those_of_the_whole(monkeypatch):
    text = DATA + SHARES + follower("dot(exp(s), (A@y - b)^4)/m + sumsq(y) + sum(s)*sum(b)")
    program = blv.loads(text).program(A=A, b=B)
    from bileveldsl.certify.array_statement import array_statement
    from bileveldsl.certify.check.array_reading import read

    model = read(*array_statement(program))
    numbers = {s.name: k for k, s in enumerate(model.symbols)}
    point = {numbers["s"]: B.tolist(), numbers["y"]: A[0].tolist()}
    found = []
    for window in (2**15, 7):
        monkeypatch.setattr(array_jets, "_WINDOW", window)
        jets = array_jets.ArrayJets(model, point, {numbers["y"]: A[1].tolist()})
        found.append([float(v[0]) for v in jets(model.scalar[model.functions["lower.objective"]]).orders])
    assert found[0] == pytest.approx(found[1], rel=1e-10)
