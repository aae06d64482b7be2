"""What is given beside a model is taken exactly or refused with its name; starting points obey bounds and seed."""

import json
import math
import pickle
import zipfile
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bileveldsl import loads, registry
from bileveldsl.execute.engine import numpy_engine
from bileveldsl.execute.problem import compile_problem
from bileveldsl.inputs import backend_options, parameter_values, settings_of, starting_points
from bileveldsl.language.diagnostics import BlvError

MODEL = """model shifted
dim n = 2
param a = 3
param b[n] = [1, 2]
upper { var x in [0, 10] start 1; minimize (x - a)^2 + sumsq(y - b) }
lower { var y[n]; minimize sumsq(y - x) }
"""


def refusals(call, *arguments, **keywords):
    with pytest.raises(BlvError) as caught:
        call(*arguments, **keywords)
    return caught.value.diagnostics


# ---- values of parameters -------------------------------------------------------------------


@pytest.fixture
def model():
    return loads(MODEL)


@pytest.fixture
def files(tmp_path):
    np.savez(tmp_path / "b.npz", b=np.array([4.0, 8.0]), other=np.zeros(3))
    (tmp_path / "both.json").write_text(json.dumps({"a": 6, "b": [0, 3]}))
    return tmp_path


def optimum(a, b):
    """The leader minimizes (x - a)^2 + |x - b|^2: x is the mean."""
    return np.mean([a, *b])


@pytest.mark.parametrize(
    ("values", "names", "a", "b"),
    [
        ({}, [], 3, [1, 2]),
        ({"a": 9}, [], 9, [1, 2]),
        ({"a": 9, "b": [0, 0]}, [], 9, [0, 0]),
        ({}, ["b.npz"], 3, [4, 8]),
        ({}, ["both.json"], 6, [0, 3]),
        ({}, ["both.json", "b.npz"], 6, [4, 8]),
        ({}, ["b.npz", "both.json"], 6, [0, 3]),
        ({"b": [5, 5]}, ["both.json"], 6, [5, 5]),
    ],
)
def test_values_given_replace_those_of_files_which_replace_those_of_the_model(model, files, values, names, a, b):
    solution = model.solve(set=values, data=[files / name for name in names])
    assert solution["x"] == pytest.approx(optimum(a, b), abs=1e-7)
    assert model.solve()["x"] == pytest.approx(optimum(3, [1, 2]), abs=1e-7)  # the model itself is as it was


def test_a_path_may_be_a_text(model, files):
    assert parameter_values(model, {}, [str(files / "both.json")])["a"] == 6


def test_unknown_names_are_all_reported_with_a_suggestion(model):
    first, second = refusals(parameter_values, model, {"aa": 1, "zzz": 2}, [])
    assert (first.code, second.code) == ("E211", "E211")
    assert "aa" in first.message and "a" in first.help and "zzz" in second.message


def write_npz_with_object(path):
    np.savez(path, b=np.array([Bomb(), Bomb()], dtype=object))


class Bomb:
    """Fails loudly when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemError('unpickled')",))


def truncated(path):
    np.savez(path, b=np.zeros(1000))
    path.write_bytes(path.read_bytes()[:500])


def without_arrays(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b.npy", "no array")


@pytest.mark.parametrize(
    ("name", "write", "code"),
    [
        ("missing.npz", lambda path: None, "E402"), ("missing.json", lambda path: None, "E402"),
        ("data.xlsx", lambda path: path.write_text("a"), "E403"),
        ("no.npz", lambda path: path.write_text("no archive"), "E402"), ("cut.npz", truncated, "E402"),
        ("text.npz", without_arrays, "E4"), ("pickle.npz", write_npz_with_object, "E4"),
        ("other.npz", lambda path: np.savez(path, c=np.zeros(2)), "E404"),
        ("list.json", lambda path: path.write_text("[1, 2]"), "E404"),
        ("broken.json", lambda path: path.write_text('{"a": '), "E402"),
        ("latin.json", lambda path: path.write_bytes(b'{"a": "\xff"}'), "E402"),
        ("deep.json", lambda path: path.write_text('{"a": ' + "[" * 100000 + "]" * 100000 + "}"), "E4"),
        ("word.json", lambda path: path.write_text('{"a": "three"}'), "E4"),
        ("nan.json", lambda path: path.write_text('{"a": NaN}'), "E4"),
        ("shape.json", lambda path: path.write_text('{"b": [[1, 2], [3, 4]]}'), "E4"),
    ],
)  # fmt: skip
def test_a_file_at_fault_is_named_and_never_run(model, tmp_path, name, write, code):
    path = tmp_path / name
    write(path)
    (diagnostic, *_) = refusals(parameter_values, model, {}, [path])
    assert diagnostic.code.startswith(code)
    assert name in diagnostic.message


def test_a_pickle_is_really_a_bomb():
    with pytest.raises(SystemError, match="unpickled"):
        pickle.loads(pickle.dumps(Bomb()))


@pytest.mark.parametrize(
    ("values", "code"), [({"b": [1, 2, 3]}, "E4"), ({"a": [1, 2]}, "E2"), ({"a": math.nan}, "E2"), ({"a": "x"}, "E2")]
)
def test_a_value_of_the_wrong_shape_or_kind_is_refused(model, values, code):
    (diagnostic, *_) = refusals(model.solve, set=values)
    assert diagnostic.code[0] == "E" and diagnostic.severity == "error"


# ---- settings -------------------------------------------------------------------------------

DEFAULTS = {"seed": 0, "starts": 1, "time_limit": None, "tol": 1e-6, "start": None}


def test_what_is_given_comes_before_the_options_of_the_model_and_those_before_the_defaults(model):
    assert settings_of(model.program(), {}) == DEFAULTS
    told = loads(MODEL + "options { tol = 1e-4; seed = 7; time_limit = 60 }").program()
    assert settings_of(told, {}) == {**DEFAULTS, "tol": 1e-4, "seed": 7, "time_limit": 60}
    assert settings_of(told, {"seed": 0, "tol": 1e-3, "starts": None})["seed"] == 0
    assert settings_of(told, {"tol": 1e-3})["tol"] == 1e-3
    assert settings_of(told, {"tol": None})["tol"] == 1e-4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("tol", value) for value in (0, -1e-6, math.nan, math.inf, "1e-6", True, [1])],
        *[("seed", value) for value in (-1, 1.5, math.nan, math.inf, "0", True)],
        *[("starts", value) for value in (0, -3, 2.5, math.inf, math.nan, False)],
        *[("time_limit", value) for value in (-1, math.nan, "10", False)],
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(model, name, value):
    (diagnostic,) = refusals(settings_of, model.program(), {name: value})
    assert diagnostic.code == "E608" and name in diagnostic.message and diagnostic.help.startswith("it must be")


def test_all_wrong_settings_are_reported_at_once(model):
    assert len(refusals(settings_of, model.program(), {"tol": 0, "seed": -1, "starts": 0, "time_limit": -1})) == 4


@pytest.mark.parametrize("kind", [int, float, np.int64, np.float32, np.float64])
def test_numbers_of_python_and_numpy_are_numbers(model, kind):
    found = settings_of(model.program(), {"seed": kind(3), "starts": kind(2), "tol": kind(1), "time_limit": kind(5)})
    assert found == {**DEFAULTS, "seed": 3, "starts": 2, "tol": 1, "time_limit": 5}
    assert type(found["seed"]) is type(found["starts"]) is int


def test_options_of_the_model_are_for_the_backend_that_it_names():
    program = loads(MODEL + 'options { backend = "implicit"; memory = 5; tol = 1e-4 }').program()
    assert backend_options(program, {}, registry.get("implicit")) == {"memory": 5}
    assert backend_options(program, {"memory": 9}, registry.get("implicit")) == {"memory": 9}
    assert backend_options(program, {"sigma": 0.1}, registry.get("f2ba")) == {"sigma": 0.1}
    free = loads(MODEL + "options { memory = 5 }")
    (diagnostic,) = refusals(free.solve, "f2ba")  # meant for whichever backend runs
    assert diagnostic.code == "E604" and "memory" in diagnostic.message


def test_a_misspelt_option_of_the_model_is_refused_with_a_suggestion():
    (diagnostic,) = refusals(loads(MODEL + "options { memroy = 5 }").solve, "implicit")
    assert diagnostic.code == "E604" and "memory" in diagnostic.help


# ---- starting points ------------------------------------------------------------------------


def problem_of(bounds="in [0, 10] start 1", follower=""):
    upper = f"upper {{ var x {bounds}; minimize x^2 + sumsq(y) }}"
    lower = f"lower {{ var y[n] {follower}; minimize sumsq(y - x) }}"
    return compile_problem(loads(f"model m; dim n = 3; {upper}; {lower}").program(), numpy_engine())


@dataclass(frozen=True)
class Box:
    """What starting points depend on."""

    x_lower: np.ndarray
    x_upper: np.ndarray
    x_start: np.ndarray
    y_lower: np.ndarray
    y_upper: np.ndarray
    y_start: np.ndarray


FREE = np.full(3, math.inf)
UNIT = Box(np.zeros(1), np.ones(1), np.zeros(1), -FREE, FREE, np.zeros(3))


def points(problem, **changed):
    return list(starting_points(problem, {**DEFAULTS, **changed}))


def test_the_first_start_is_the_models_own():
    ((x, y),) = points(problem_of("in [0, 10] start 4", "start -2"))
    assert x.tolist() == [4] and y.tolist() == [-2] * 3
    ((x, y),) = points(problem_of("in [3, 10]", "<= -1"))  # zero, projected onto the bounds
    assert x.tolist() == [3] and y.tolist() == [-1] * 3


@settings(max_examples=60, deadline=None)
@given(
    bounds=st.tuples(st.floats(-1e308, 1e308), st.floats(-1e308, 1e308)).map(sorted)
    | st.floats(-1e300, 1e300).flatmap(lambda at: st.sampled_from([(at, math.inf), (-math.inf, at)])),
    seed=st.integers(0, 2**40),
)
def test_every_start_is_finite_and_within_the_bounds(bounds, seed):
    problem = replace(
        UNIT, x_start=np.clip([1.0], *bounds), x_lower=np.array([bounds[0]]), x_upper=np.array([bounds[1]])
    )
    found = points(problem, starts=6, seed=seed)
    assert len(found) == 6
    for x, y in found:
        assert np.isfinite(x).all() and np.isfinite(y).all()
        assert (problem.x_lower <= x).all() and (x <= problem.x_upper).all()


def test_the_same_seed_gives_the_same_starts_and_another_seed_others():
    first, again, other = ([np.concatenate(p) for p in points(UNIT, starts=5, seed=seed)] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first[1:], other[1:]).any()
    more = [np.concatenate(p) for p in points(UNIT, starts=9, seed=3)]
    np.testing.assert_array_equal(more[:5], first)
    assert len({point[0] for point in more}) == 9


def test_random_starts_fill_a_box():
    found = np.array([x[0] for x, _ in points(problem_of(), starts=2000)[1:]])
    assert np.histogram(found, bins=5, range=(0, 10))[0].min() > 300  # 400 expected in each fifth


def test_an_earlier_solution_is_the_start(model):
    problem = compile_problem(model.program(), numpy_engine())
    earlier = model.solve()
    ((x, y),) = points(problem, start=earlier)
    assert x.tolist() == [earlier["x"]] and y.tolist() == earlier["y"].tolist()
    outside = replace(earlier, values={"x": 11.0, "y": np.array([5.0, -5.0])})
    ((x, y),) = points(problem, start=outside)
    assert x.tolist() == [10.0] and y.tolist() == [5.0, -5.0]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"x": 1.0}, "E634"), ({"x": 1.0, "y": 2.0}, "E635"), ({"x": 1.0, "y": np.zeros(3)}, "E635"),
        ({"x": math.nan, "y": np.zeros(2)}, "E635"), ({"x": np.zeros(1), "y": np.zeros(2)}, "E635"),
    ],
)  # fmt: skip
def test_a_solution_of_another_model_is_no_start(model, values, code):
    (diagnostic,) = refusals(model.solve, start=replace(model.solve(), values=values))
    assert diagnostic.code == code
