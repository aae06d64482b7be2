"""Bounds that are said to follow from linear constraints."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import bileveldsl as blv
from bileveldsl.certify.check.narrowing import narrowed
from bileveldsl.certify.check.reading import read
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.statement import statement

TEXT = """
model m
upper { var x >= 0; minimize x - y; c: x + y <= 4 }
lower { var y >= 0; var z >= 0; minimize y^3 - x*y; d: 3*y + x <= 5; e: z == 2*y - 1 }
"""


@pytest.fixture
def written() -> dict[str, Any]:
    found = statement(blv.loads(TEXT).program())
    assert found is not None
    return found.to_json()


def _read(written: dict[str, Any]) -> Any:
    problem = read({k: v for k, v in written.items() if k != "narrowing"})
    return narrowed(problem, written["narrowing"])


def test_steps_are_derived_again(written: dict[str, Any]) -> None:
    bounds = {v.name: (float(v.lower), float(v.upper)) for v in _read(written).variables}
    assert bounds["x"] == (0, 3.5)  # by the leader's constraint and y >= 1/2
    assert bounds["y"][0] == 0.5 and 5 / 3 <= bounds["y"][1] < 1.6667
    assert bounds["z"][1] <= 2.34


def test_every_changed_step_is_refused(written: dict[str, Any]) -> None:
    changes = 0
    for k, step in enumerate(written["narrowing"]):
        inward = "-1" if step["side"] == "upper" else "100"
        others = {"value": inward, "side": "lower" if step["side"] == "upper" else "upper", "constraint": 99}
        for field, value in [*others.items(), ("variable", -1), ("variable", "0"), ("value", 0.5), ("value", "1/0")]:
            mutant = copy.deepcopy(written)
            mutant["narrowing"][k][field] = value
            with pytest.raises(Rejected):
                _read(mutant)
            changes += 1
    assert changes >= 14


def test_the_leader_does_not_bound_the_follower(written: dict[str, Any]) -> None:
    leaders = next(k for k, c in enumerate(written["constraints"]) if c["label"] == "c")
    y = next(k for k, v in enumerate(written["variables"]) if v["name"] == "y")
    written["narrowing"] = [{"variable": y, "side": "upper", "value": "4", "constraint": leaders}]
    with pytest.raises(Rejected, match="does not bound a variable of lower"):
        _read(written)
