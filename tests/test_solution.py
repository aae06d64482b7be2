"""A solution survives its json, a damaged one is refused with its place, and the summary says what was found."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import bileveldsl as blv
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.solution import Objective, Solution, Status, Verification, Work

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
TOY = Solution(
    model="toy",
    status=Status.LOCALLY_OPTIMAL,
    message="lower gap 0 by convex-solve",
    backend="implicit",
    backend_reason="lower level strongly convex",
    upper=Objective("upper", "minimize", 2.0),
    lower=(Objective("lower", "minimize", 0.0),),
    values={"x": 2.0, "w": np.arange(6.0).reshape(2, 3)},
    duals={"cap": 0.5},
    path=("Program", "implicit"),
    verification=Verification(0.0, "convex-solve", 0.0, 0.0, 1e-9),
    certificates=(
        {"of": "lower.objective", "fact": "strongly_convex", "constant": 2.0, "verdict": "proved", "rule": "r"},
    ),
    work=Work(grad_f=3, iterations=4),
    seconds={"solve": 0.25},
    seed=7,
    options={"sigma": 0.1, "step": None, "cubic": True, "name": "a"},
    versions={"numpy": "2"},
    model_sha256="ab",
    data_sha256={"a.npz": "cd"},
)


def mutated(path, value):
    """The json of the toy's solution with one field replaced, or removed where the value is None."""
    data = json.loads(TOY.to_text())
    *way, last = path
    place = data
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


def refusal(read, *arguments):
    """The one diagnostic that `read` raises."""
    with pytest.raises(BlvError) as caught:
        read(*arguments)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@given(
    array=arrays(np.float64, array_shapes(max_dims=4, max_side=4), elements=FLOATS), number=FLOATS,
    status=st.sampled_from(Status), gap=st.none() | FLOATS,
)  # fmt: skip
def test_json_and_back_is_the_identity(array, number, status, gap):
    solution = replace(
        TOY, status=status, values={"x": number, "A": array}, duals={}, verification=Verification(lower_gap=gap)
    )
    again = Solution.from_json(json.loads(solution.to_text()))
    assert json.loads(again.to_text()) == json.loads(solution.to_text())
    assert np.array_equal(again["A"], array, equal_nan=True) and again["A"].dtype == np.float64
    assert again.status is status


def test_every_field_survives_a_file(tmp_path):
    TOY.write(tmp_path / "toy.json")
    again = Solution.read(tmp_path / "toy.json")
    for name, value in vars(TOY).items():
        if name != "values":
            assert getattr(again, name) == value, name
    assert again["x"] == 2.0 and isinstance(again["x"], float)
    assert np.array_equal(again["w"], TOY["w"])


def test_the_json_has_exactly_the_documented_fields():
    data = TOY.to_json()
    assert list(data) == [
        "schema", "model", "model_sha256", "data_sha256", "status", "message", "backend", "backend_reason", "path",
        "upper", "lower", "values", "duals", "verification", "certificates", "work", "seconds", "seed", "options",
        "versions",
    ]  # fmt: skip
    assert data["upper"] == {"sense": "minimize", "objective": 2.0}
    assert data["lower"] == [{"name": "lower", "sense": "minimize", "objective": 0.0}]
    assert list(data["verification"]) == [
        "lower_gap", "lower_gap_method", "upper_violation", "lower_violation", "hypergradient_norm", "global_bound",
        "global_gap", "tolerance",
    ]  # fmt: skip
    assert list(data["work"]) == ["f", "g", "grad_f", "grad_g", "hvp", "cross", "hessian", "iterations", "epochs"]


def test_numbers_that_are_not_finite_are_texts_as_scalars_and_inside_arrays():
    values = {"a": math.inf, "b": np.float64("-inf"), "c": np.array([[math.nan, 1.0]])}
    assert replace(TOY, values=values).to_json()["values"] == {"a": "inf", "b": "-inf", "c": [["nan", 1.0]]}


def test_a_solution_is_indexed_by_name_and_by_handle():
    class Handle:
        name = "w"

    assert TOY["x"] == 2.0
    assert TOY[Handle()] is TOY.values["w"]
    unknown = refusal(TOY.__getitem__, "W")
    assert unknown.code == "E634" and 'did you mean "w"' in unknown.help
    with pytest.raises(TypeError):
        list(TOY)


@pytest.mark.parametrize(
    ("path", "value", "code", "words"),
    [
        (["schema"], None, "E633", "no schema"),
        (["schema"], "bileveldsl.solution/2", "E633", "bileveldsl.solution/2"),
        (["status"], "optimal", "E632", "`status`"),
        (["seed"], None, "E632", "lacks `seed`"),
        (["seed"], 1.5, "E632", "`seed`"),
        (["seed"], True, "E632", "`seed`"),
        (["work", "hvp"], -1, "E632", "`work.hvp`"),
        (["verification", "lower_gap"], "small", "E632", "`verification.lower_gap`"),
        (["verification"], [], "E632", "`verification` must be an object, not a list of 0"),
        (["lower", 0, "sense"], "maximise", "E632", "`lower[0].sense`"),
        (["certificates", 0, "fact"], None, "E632", "`certificates[0].fact`"),
        (["values", "x"], {"axes": []}, "E632", "lacks `values.x.index`"),
        (["values", "x"], 10**400, "E632", "`values.x`"),
        (["values", "w"], [[1, 2], [3]], "E632", "`values.w` must be nested lists of equal length"),
        (["values", "w"], [1, [2]], "E632", "`values.w[1]`"),
        (["values", "w"], [[1.0, "one"]], "E632", "`values.w[0][1]`"),
        (["values", "w"], [True], "E632", "`values.w[0]`"),
        (["values", "w"], [0.5, math.inf], "E632", "`values.w[1]`"),
        (["values", "x"], math.nan, "E632", "`values.x`"),
    ],
)
def test_a_wrong_field_is_refused_with_its_place(path, value, code, words):
    diagnostic = refusal(Solution.from_json, mutated(path, value))
    assert diagnostic.code == code
    assert words in diagnostic.message


@pytest.mark.parametrize("data", [None, 3, "text", [], [[]], {}])
def test_what_is_no_solution_at_all_is_refused(data):
    assert refusal(Solution.from_json, data).code in ("E632", "E633")


@given(st.recursive(st.none() | st.booleans() | FLOATS | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)
       | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=8), st.data())  # fmt: skip
def test_any_json_in_any_field_is_read_or_refused(value, draw):
    data = TOY.to_json()
    data[draw.draw(st.sampled_from(sorted(data)))] = value
    try:
        solution = Solution.from_json(data)
    except BlvError:
        return
    assert solution.summary() and solution._repr_html_() and json.loads(solution.to_text())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not valid json in row 1, column 2"),
        (b"\xff\xfe{}", "not valid json"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid json"),
        (b"[" * 100_000, "nested too deep"),
        (b"[" * 200 + b"]" * 200, "nested too deep"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, words):
    path = tmp_path / "s.json"
    path.write_bytes(content)
    diagnostic = refusal(Solution.read, path)
    assert diagnostic.code == "E631" and words in diagnostic.message


def test_a_file_that_is_too_large_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("bileveldsl.solution_json.LIMIT_BYTES", 1000)
    path = tmp_path / "s.json"
    path.write_text(" " * 2000)
    assert refusal(Solution.read, path).code == "E631"
    assert refusal(Solution.read, tmp_path / "missing.json").code == "E630"


def test_the_summary_says_the_status_first_and_every_number_that_was_verified():
    text = TOY.summary()
    assert text.startswith(Status.LOCALLY_OPTIMAL.sentence + "\nlower gap 0 by convex-solve\n")
    rows = {line.split("  ")[1]: line for line in text.splitlines() if line.startswith("  ")}
    assert "2  (minimize)" in rows["upper objective"]
    assert "convex-solve, tolerance 1e-06" in rows["lower gap"]
    assert "1e-09" in rows["hyper-gradient norm"]
    assert "strongly_convex(2) proved by r" in rows["lower.objective"]
    assert "implicit: lower level strongly convex" in rows["backend"]
    assert "4 iterations" in rows["work"]
    assert "0.25  (solve 0.25)" in rows["seconds"]
    assert rows["w[2, 3]"].endswith("[[0, 1, 2],")


def test_a_long_array_is_abbreviated():
    (line,) = [line for line in replace(TOY, values={"w": np.arange(1e4)}).summary().splitlines() if "w[" in line]
    assert line.split("  ")[-1].strip() == "[0, 1, 2, ..., 9997, 9998, 9999]"


def test_a_gap_that_could_not_be_bounded_is_said_to_be_so():
    text = replace(TOY, status=Status.STATIONARY, verification=Verification()).summary()
    assert "  lower gap  could not be bounded\n" in text


def test_texts_from_a_file_cannot_command_the_terminal_or_the_page():
    fact = TOY.certificates[0] | {"rule": "\x1b[1m"}
    solution = replace(TOY, message="\x1b[2J<script>", values={"\x1b]0;x": 1.0}, certificates=(fact,))
    assert "\x1b" not in solution.summary()
    assert "<script>" not in solution._repr_html_()


def test_exit_codes_say_whether_the_question_was_answered():
    codes = {status.value: status.exit_code for status in Status}
    assert codes == {
        "globally_optimal": 0, "locally_optimal": 0, "feasible": 0, "stationary": 4, "limit": 4, "not_verified": 4,
        "infeasible": 3, "unbounded": 3, "lower_infeasible": 3, "lower_unbounded": 3,
    }  # fmt: skip
    assert all(status.sentence.endswith(".") for status in Status)


def test_values_over_named_sets_tell_their_members():
    text = (
        'model s\nset I = ["a", "b"]\nset A within (I, I) = [("a", "b"), ("b", "a"), ("b", "b")]\n'
        "upper {\nvar x[I] in [0, 4] start 1\nminimize sum(f[i, j]^2 for (i, j) in A) + sumsq(x - 1)\n}\n"
        "lower {\nvar f[A]\nminimize sum((f[i, j] - x[i])^2 for (i, j) in A)\n}\n"
    )
    solution = blv.loads(text).solve()
    stored = solution.to_json()
    assert stored["values"]["f"]["axes"] == ["A"]
    assert stored["values"]["f"]["index"] == [[["a", "b"]], [["b", "a"]], [["b", "b"]]]
    assert stored["values"]["f"]["data"] == solution["f"].tolist()
    assert stored["values"]["x"]["index"] == [["a"], ["b"]]
    again = Solution.from_json(json.loads(json.dumps(stored)))
    assert again.to_json() == stored
    assert np.array_equal(again["f"], solution["f"])
    for broken in ([["a"], ["a"]], [["a"]], [["a", "b"], ["c", "d"]], [[1.5], ["b"]]):
        faulty = json.loads(json.dumps(stored))
        faulty["values"]["x"]["index"] = broken
        assert refusal(Solution.from_json, faulty).code == "E632"
