import pytest
from flint import fmpq

from bileveldsl.certify.check.ranges import INF
from bileveldsl.certify.check.reading import point, rational, read
from bileveldsl.certify.check.terms import Rejected


def _statement(**changes):
    whole = {
        "form": "scalar",
        "variables": [{"name": "y", "level": "lower", "lower": "0", "upper": "inf", "integer": False}],
        "nodes": [["var", 0], ["num", "-1/2"], ["+", [0, 1, 0]], ["^", 2, "3/2"], ["pi"], ["max", [0, 4]],
                  ["huber", 0, 4], ["exp", 0]],
        "functions": {"lower.objective": 5},
        "constraints": [{"label": "cap", "level": "lower", "node": 2, "relation": "<= 0"}],
        "conditions": [{"node": 2, "relation": ">= 0"}],
    }  # fmt: skip
    return {**whole, **changes}


def test_a_statement_is_read():
    problem = read(_statement())
    assert problem.variables[0].lower == 0 and problem.variables[0].upper == INF
    table = problem.table
    assert table.arguments[problem.constraints[0].node] == (0, 1, 0)
    assert table.value[1] == fmpq(-1, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"form": "array"},
        {"form": 7},
        {"variables": {}},
        {"variables": [{"name": "y"}]},
        {"variables": [{"name": "y", "level": "lower", "lower": "1", "upper": "0", "integer": False}]},
        {"variables": [{"name": "y", "level": "lower", "lower": "inf", "upper": "inf", "integer": False}]},
        {"variables": [{"name": "y", "level": "lower", "lower": "nan", "upper": "inf", "integer": False}]},
        {"variables": [{"name": "y", "level": "lower", "lower": 0.0, "upper": "inf", "integer": False}]},
        {"variables": [{"name": "y", "level": "lower", "lower": "0", "upper": "inf", "integer": 0}]},
        {"variables": [{"name": "y", "level": "lower", "lower": "0", "upper": "inf", "integer": False}] * 2},
        {"nodes": [["var", 1]]},
        {"nodes": [["var", True]]},
        {"nodes": [["var", -1]]},
        {"nodes": [["exp", 0]]},
        {"nodes": [["var", 0], ["+", [0, 2]]]},
        {"nodes": [["var", 0], ["+", []]]},
        {"nodes": [["var", 0], ["eval", 0]]},
        {"nodes": [["var", 0], ["^", 0, "1/0"]]},
        {"nodes": [["var", 0], ["^", 0, 2]]},
        {"nodes": [["var", 0], ["exp", 0, 0]]},
        {"nodes": [["num", "1e5"]]},
        {"nodes": [["num", "0.1"]]},
        {"nodes": [["num", " 1"]]},
        {"nodes": [["num", "١"]]},
        {"nodes": [["num", "9" * 10_001]]},
        {"nodes": [[]]},
        {"nodes": [5]},
        {"nodes": None},
        {"functions": {"lower.objective": 99}},
        {"functions": {"lower.objective": "5"}},
        {"functions": []},
        {"constraints": [{"label": "cap", "level": "lower", "node": 2, "relation": ">= 0"}]},
        {"conditions": [{"node": 2, "relation": "<= 0"}]},
        {"conditions": [{"node": 2, "relation": ["> 0"]}]},
        {"more": 1},
    ],
)
def test_a_malformed_statement_is_rejected(changes):
    with pytest.raises(Rejected):
        read(_statement(**changes))


@pytest.mark.parametrize("whole", [None, 5, [], "x", {}])
def test_what_is_no_statement(whole):
    with pytest.raises(Rejected):
        read(whole)


def test_points():
    assert point({"0": "1/2"}, 1) == {0: fmpq(1, 2)}
    for bad in ({"1": "1"}, {"00": "1"}, {"0": 1}, {"x": "1"}, [1], {0: "1"}, {"9" * 50: "1"}):
        with pytest.raises(Rejected):
            point(bad, 1)


def test_numbers_of_the_allowed_length():
    assert rational("9" * 10_000) > 0
    assert rational("-007/3") == fmpq(-7, 3)
    for bad in ("1/-2", "--1", "1/", "/2", "1//2", "+1", "1\n", "", "1/00"):
        with pytest.raises(Rejected):
            rational(bad)
