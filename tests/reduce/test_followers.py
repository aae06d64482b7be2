"""Several followers as one: the same answers under the same names, and no stronger facts than each alone allows."""

import numpy as np
import pytest

from bileveldsl import loads
from bileveldsl.calculus.evaluate import evaluate
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.reduce import REDUCTIONS, FollowersToOne, Point, reduce_program

REDUCTION = FollowersToOne()
MIXED = """model mixed
set I = ["a", "b"]
upper {{ var x in [0, 4] start 1; {} (x - 3)^2 + sum(u) - v; budget: x + v <= 5 }}
lower first {{ var u[I] in [0, 9]; minimize sumsq(u - x); cap[i in I]: u[i] <= 2; floor: sum(u) >= 1 }}
lower second {{ var v; {} ; room: v <= x/2 }}
"""


def program(upper="minimize", second="maximize -2*(v - 3)^2"):
    return loads(MIXED.format(upper, second)).program()


def test_one_follower_is_left_alone():
    text = "model m; upper { var x; minimize x + y }; lower only { var y; minimize (y - x)^2; c: y <= 1 }"
    assert not REDUCTION.accepts(loads(text).program())
    assert reduce_program(loads(text).program(), REDUCTIONS).program.lower[0].name == "only"


def test_the_joint_follower_minimizes_the_sum_over_all_variables_and_constraints():
    before = program()
    reduced = reduce_program(before, REDUCTIONS)
    assert reduced.path == ("maximization to minimization", "several followers to one")
    (joint,) = reduced.program.lower
    assert joint.sense == "minimize"
    assert [v.name for v in joint.variables] == ["u", "v"]
    assert [c.label for c in joint.constraints] == ["first.cap", "first.floor", "second.room"]
    values = {s: np.full(s.shape, 0.7) for level in before.levels for s in level.symbols}
    first, second = (float(evaluate(level.objective, values)) for level in before.lower)
    assert float(evaluate(joint.objective, values)) == pytest.approx(first - second)
    assert reduced.program.upper is before.upper or reduced.program.upper.objective is before.upper.objective


def test_labels_and_multipliers_come_back_under_the_names_of_the_user_with_the_signs_of_each_follower():
    reduced = reduce_program(program("maximize"), REDUCTIONS)
    point = Point(
        {"x": np.array(1.0), "u": np.array([1.0, 2.0]), "v": np.array(3.0)},
        {"first.cap": np.array([-1.0, -2.0]), "first.floor": np.array(3.0), "second.room": np.array(-5.0)},
    )
    found = reduced.invert(point)
    assert found.values == point.values
    np.testing.assert_array_equal(found.duals["cap"], [-1, -2])
    assert set(found.duals) == {"cap", "floor", "room"}
    assert (float(found.duals["floor"]), float(found.duals["room"])) == (3, 5)  # the second follower maximizes
    there = reduced.carry(found)
    assert set(there.duals) == set(point.duals)
    for label, dual in point.duals.items():
        np.testing.assert_array_equal(there.duals[label], dual)


def test_constraints_without_labels_are_not_taken_for_each_other():
    """Both followers may call their first constraint c1."""
    first = "lower first { var u; minimize (u - 5)^2; u <= x }"
    second = "lower second { var v; minimize (v - 9)^2; v <= 2*x }"
    reduced = reduce_program(
        loads(f"model m; upper {{ var x in [0, 3]; minimize x }}; {first}; {second}").program(), REDUCTIONS
    )
    labels = [c.label for c in reduced.program.lower[0].constraints]
    assert len(set(labels)) == 2
    found = reduced.invert(Point({}, {labels[0]: np.array(1.0), labels[1]: np.array(2.0)}))
    assert sorted(map(float, found.duals.values())) == [1.0, 2.0]


@pytest.mark.parametrize(("rules", "joint"), [(("optimistic", "optimistic"), "optimistic"),
                                              (("optimistic", "pessimistic"), "pessimistic")])  # fmt: skip
def test_one_pessimistic_follower_makes_the_joint_one_pessimistic(rules, joint):
    text = (
        "model m; upper {{ var x; minimize x }}; lower a {{ var u; minimize u^2; ties {} }}; "
        "lower b {{ var v; minimize v^2; ties {} }}"
    )
    reduced = reduce_program(loads(text.format(*rules)).program(), REDUCTIONS)
    assert reduced.program.lower[0].ties == joint


# ---- facts ----------------------------------------------------------------------------------


def fact(of, kind, verdict="proved", constant=None, **more):
    return Fact(f"{of}.objective", kind, verdict, constant, **more)


def joint_fact(kind, *facts, of="objective"):
    found = [f for f in REDUCTION.facts(program(), facts) if (f.of, f.fact) == (f"followers.{of}", kind)]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("kind", "constants", "weakest"),
    [("strongly_convex", (2.0, 0.5), 0.5), ("strongly_convex", (0.5, 2.0), 0.5), ("smooth", (2.0, 7.0), 7.0),
     ("smooth", (7.0, 2.0), 7.0), ("pl", (3.0, 1.0), 1.0), ("strongly_convex", (None, 2.0), None)],
)  # fmt: skip
def test_the_sum_has_the_weakest_constant(kind, constants, weakest):
    one, other = constants
    found = joint_fact(kind, fact("first", kind, constant=one), fact("second", kind, constant=other))
    assert found.holds and found.constant == weakest


def test_between_bounds_the_inequality_of_the_sum_holds_from_the_greatest_curvature_on():
    parts = [
        fact(name, "pl", constant=1.0, y="region", witness={"curvature": c})
        for name, c in (("first", 2.0), ("second", 9.0))
    ]
    for order in (parts, parts[::-1]):
        found = joint_fact("pl", *order)
        assert (found.y, found.constant, found.witness["curvature"]) == ("region", 1.0, 9.0)
    assert not joint_fact("pl", parts[0], fact("second", "pl", "assumed", 1.0, y="region")).witness
    free = joint_fact("pl", parts[0], fact("second", "pl", constant=0.5))
    assert (free.y, free.constant, free.witness["curvature"]) == ("region", 0.5, 2.0)


@pytest.mark.parametrize(
    ("verdicts", "joint"),
    [(("proved", "proved"), "proved"), (("proved", "assumed"), "assumed"), (("assumed", "assumed"), "assumed"),
     (("proved", "unknown"), "unknown"), (("proved", "refuted"), "refuted"), (("assumed", "refuted"), "refuted"),
     (("unknown", "refuted"), "refuted")],
)  # fmt: skip
def test_what_is_known_of_the_sum_is_the_least_that_is_known_of_its_parts(verdicts, joint):
    for order in (verdicts, verdicts[::-1]):
        found = joint_fact(
            "convex", *(fact(name, "convex", v) for name, v in zip(("first", "second"), order, strict=True))
        )
        assert found.verdict == joint and found.holds is (joint in ("proved", "assumed"))


def test_what_is_known_of_one_alone_is_not_known_of_both():
    assert joint_fact("convex", fact("first", "convex")) is None
    assert joint_fact("convex", fact("first", "convex"), fact("second", "strongly_convex")) is None


def test_the_joint_feasible_set_is_convex_when_each_is():
    sets = [Fact(f"{name}.feasible_set", "convex", "proved") for name in ("first", "second")]
    assert joint_fact("convex", *sets, of="feasible_set").holds
    assert joint_fact("convex", sets[0], of="feasible_set") is None


def test_facts_of_the_user_are_kept_and_those_of_the_program_are_proved_of_the_sum():
    before = program()
    facts = certify(before)
    reduced = reduce_program(before, REDUCTIONS, facts)
    assert set(facts) <= set(reduced.facts)
    known = {(f.of, f.fact): f for f in reduced.facts}
    assert known["followers.objective", "strongly_convex"].constant == pytest.approx(2.0)  # 2 and 4
    assert known["followers.feasible_set", "convex"].verdict == "proved"


# ---- the answer -----------------------------------------------------------------------------


def test_the_answer_is_that_of_the_followers_on_their_own():
    """u = min(x, 2) for both labels, v = x/2: F = (x - 3)^2 + 2 min(x, 2) - x/2 is least at x = 3.25 or 2.25."""
    pytest.importorskip("pyscipopt")
    solution = loads(MIXED.format("minimize", "maximize -2*(v - 3)^2")).solve("scip")
    assert solution.status.value == "globally_optimal"

    def phi(x):
        return (x - 3) ** 2 + 2 * min(x, 2) - x / 2

    xs = np.linspace(0, 10 / 3, 100_001)  # x + x/2 <= 5
    assert solution.upper.objective == pytest.approx(min(map(phi, xs)), abs=1e-5)
    x = solution["x"]
    np.testing.assert_allclose(solution["u"], min(x, 2.0), atol=1e-5)
    assert solution["v"] == pytest.approx(x / 2, abs=1e-5)
    assert [o.name for o in solution.lower] == ["first", "second"]
    assert [o.sense for o in solution.lower] == ["minimize", "maximize"]
    assert solution.lower[1].objective == pytest.approx(-2 * (x / 2 - 3) ** 2, abs=1e-4)
    assert set(solution.duals) == {"cap", "floor", "room"}
    np.testing.assert_allclose(solution.duals["cap"], -2 * (x - 2) if x > 2 else 0, atol=1e-3)
    assert solution.duals["room"] == pytest.approx(4 * (3 - x / 2), abs=1e-3)  # more room, more of the maximum
