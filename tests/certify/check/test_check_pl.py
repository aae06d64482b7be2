"""The checker of the Polyak-Lojasiewicz inequality: what it accepts, and that it takes no other proof for one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from asked import question
from flint import fmpq, fmpq_poly
from hypothesis import given, settings
from hypothesis import strategies as st
from pl_verdicts import reason_against, reason_against_refutation, reason_against_upper

from bileveldsl.certify.check.pl_asymptotics import growth
from bileveldsl.certify.check.pl_forms import is_zero
from bileveldsl.certify.check.pl_series import series
from bileveldsl.certify.check.reductions import collected
from bileveldsl.certify.check.terms import Rejected, Table

TWO = "y1; y2"
FLAT = {"kind": "cover", "blocks": [{"rows": [0], "atoms": [], "tree": [0]}]}
FLAT2 = {"kind": "cover", "blocks": [{"rows": [k], "atoms": [], "tree": [0]} for k in range(2)]}
JOINT = {"kind": "cover", "blocks": [{"rows": [0, 1], "atoms": [], "tree": [0]}]}
SINGULAR = {"kind": "quadratic-singular", "null": [["1", "1"]], "kappa": "2", "proof": JOINT}
TURN = {"kind": "affine", "columns": [["1", "-1"], ["1", "1"]], "nodes": [["num", "0"]], "shift": [0, 0], 
        "dropped": [2], "fixed": {}}  # fmt: skip
SHIFT = {"kind": "affine", "columns": [["1"]], "nodes": [["var", 0], ["^", 0, "2"]], "shift": [1], "dropped": [],
         "fixed": {"0": "3"}, "norm": "1"}  # fmt: skip
EXTERIOR = {"kind": "core-exterior", "centre": ["0"], "core": "1/2", "modulus": "2", "radius": "4", "inside": FLAT,
            "near": [FLAT2, FLAT2], "far": [FLAT2, FLAT2]}  # fmt: skip


def far(*degrees: int) -> dict[str, Any]:
    return {"kind": "cover", "blocks": [{"rows": [k], "atoms": [], "tree": [0]} for k in range(sum(degrees))]}


EXTERIOR |= {"far": [far(7, 5)] * 2}

# y^2 + y^4/2 and (2y + 2y^3)^2/2 - 2 (y^2 + y^4/2) = 3 y^4 + 2 y^6, times squares of directions
SQUARES = {"kind": "sos", "nodes": [["var", 1]], "parts": [
    {"rows": [0, 1], "indeterminates": [0], "denominators": [], "shift": "0", "power": 0, "sides": [], "blocks": [
        {"multiplier": [], "basis": [{"1,1,0": "1"}, {"2,1,0": "1"}], "gram": [["1", "0"], ["0", "1/2"]]},
        {"multiplier": [], "basis": [{"2,0,1": "1"}, {"3,0,1": "1"}], "gram": [["3", "0"], ["0", "2"]]}]}]}  # fmt: skip

PROOFS = [  # objective, x, y, constant, proof
    ("y^2 + y^4", "x", "y", "2", {"kind": "strong", "proof": FLAT}),
    ("(2 + x)*(y^2 + 1)", "x in [0, 1]", "y", "4",
     {"kind": "product", "weight": "2", "constant": "2", "proof": {"kind": "strong", "proof": FLAT}}),
    ("y1^2 + 2*y2^2 + x*y2 + x^3", "x", TWO, "2",
     {"kind": "separable", "parts": [{"own": [1], "constant": "2", "proof": {"kind": "strong", "proof": FLAT}},
                                     {"own": [2], "constant": "4", "proof": {"kind": "strong", "proof": FLAT}}]}),
    ("(y1 - y2 - x)^2", "x", TWO, "4", SINGULAR),
    ("3*(x + y1 - sin(y2))^2 + x", "x", TWO, "6", {"kind": "nls", "proof": FLAT}),
    ("(y - x)^2*(1 + x^2) + x", "x", "y", "2", {"kind": "nls", "proof": FLAT}),
    ("(y1 - y2)^2 + (y1 - y2)^4", "x", TWO, "4",
     {**TURN, "norm": "2", "constant": "8", "proof": {"kind": "strong", "proof": FLAT}}),
    ("(y - x^2)^2 + exp(x)", "x", "y", "2", {**SHIFT, "constant": "2", "proof": {"kind": "strong", "proof": FLAT}}),
    ("y^2 + y^4/8 + x", "x", "y", "1/2", EXTERIOR),
    ("y^2 + y^4/2 + x", "x in [0, 1]", "y", "2",
     {"kind": "pl-sos", "nodes": [["num", "0"]], "minimizer": [0], "proof": SQUARES}),
]  # fmt: skip

REFUTATIONS = [  # objective, x, y, proof
    ("(y1^2 - 1)^2 + y2^2", "x", TWO,
     {"kind": "stationary", "point": {}, "stationary": {"1": "0", "2": "0"}, "lower": {"1": "1", "2": "0"}}),
    ("(y^2 - 2)*(y - 4)^2", "x", "y",  # stationary at 1 - sqrt(2), 1 + sqrt(2) and 4
     {"kind": "krawczyk", "point": {}, "centre": {"1": "2414213/1000000"}, "radius": "1/10000",
      "inverse": [["-56/1000"]], "lower": {"1": "-41/100"}}),
    ("softplus", "x", "y", {"kind": "no-stationary", "point": {}, "direction": {"1": "1"}}),
    ("x*y^4 + y^6", "x in [0, 1]", "y",
     {"kind": "degenerate", "point": {"0": "1"}, "stationary": {}, "direction": {"1": "1"}}),
    ("y1^2 - x*y2^3", "x in [1, 2]", TWO,
     {"kind": "ray", "point": {"0": "3/2"}, "start": {"1": "1"}, "direction": {"1": "1", "2": "1"}}),
    ("x*y1^2 - x*y2^2", "x in [0, 2]", TWO, {"kind": "ray", "point": {}, "start": {}, "direction": {"2": "1"}}),
    ("sqrt(1 + y^2)", "x", "y",
     {"kind": "asymptotic", "point": {}, "curve": {"1": [["0", "1"], ["1"]]}, "lower": {"1": [["0"], ["1"]]}}),
    ("x*y^2", "x in [0, 1]", "y",
     {"kind": "asymptotic", "point": {}, "curve": {"1": [["1"], ["1"]], "0": [["1"], ["0", "1"]]},
      "lower": {"1": [["0"], ["1"]]}}),
    ("sin(y1 - y2)^2 - (y1 - y2)^2", "x", TWO,
     {**TURN, "proof": {"kind": "ray", "point": {}, "start": {}, "direction": {"1": "1"}}}),
]  # fmt: skip
REFUTATIONS = [("log(1 + exp(y))" if g == "softplus" else g, x, y, proof) for g, x, y, proof in REFUTATIONS]


@pytest.mark.parametrize("objective, x, y, constant, proof", PROOFS)
def test_a_proof_is_accepted_and_its_constant_is_not_exceeded(objective, x, y, constant, proof):
    asked = question(objective, x, y)
    mu = Fraction(constant)
    assert reason_against(asked, mu, proof) == ""
    for larger in (mu * 20, -mu, Fraction(0)):
        assert reason_against(asked, larger, proof) != ""


@pytest.mark.parametrize("objective, x, y, proof", REFUTATIONS)
def test_a_refutation_is_accepted(objective, x, y, proof):
    assert reason_against_refutation(question(objective, x, y), proof) == ""


# ---- no proof of what is false --------------------------------------------------------------


FALSE = [  # objective, x, y, a constant that is too large
    ("y^2 + y^4", "x", "y", "21/10"),
    ("(2 + x)*(y^2 + 1)", "x in [0, 1]", "y", "41/10"),
    ("y1^2 + 2*y2^2 + x*y2 + x^3", "x", TWO, "21/10"),
    ("(y1 - y2 - x)^2", "x", TWO, "41/10"),
    ("3*(x + y1 - sin(y2))^2 + x", "x", TWO, "61/10"),
    ("(y - x)^2*(1 + x^2) + x", "x", "y", "21/10"),
    ("(y1 - y2)^2 + (y1 - y2)^4", "x", TWO, "41/10"),
    ("(y - x^2)^2 + exp(x)", "x", "y", "21/10"),
    ("y^2 + y^4/8 + x", "x", "y", "21/10"),
    ("y^2 + y^4/2 + x", "x in [0, 1]", "y", "21/10"),
]


@pytest.mark.parametrize("objective, x, y, constant", FALSE)
def test_no_mutation_of_a_proof_shows_what_is_false(objective, x, y, constant):
    asked = question(objective, x, y)
    proof = next(p for g, _, _, _, p in PROOFS if g == objective)
    for mutant in [proof, *some(mutants(proof)), *(p for *_, p in PROOFS)]:
        assert reason_against(asked, Fraction(constant), mutant) != "", mutant


TRUE = [  # functions that satisfy the inequality, in as many variables as those that are refuted
    ("(y1 - sin(y2) - x)^2", "x in [0, 2]", TWO),
    ("2*y1^2 + y2^2 + y1*y2", "x", TWO),
    ("y^2 + 3*sin(y)^2", "x", "y"),
    ("(1 + x)*y^2", "x in [0, 1]", "y"),
    ("(1 + x)*y1^2 + (y2 - x)^2", "x in [0, 2]", TWO),
]


@pytest.mark.parametrize("objective, x, y", TRUE)
def test_no_mutation_of_a_refutation_refutes_what_is_true(objective, x, y):
    asked = question(objective, x, y)
    for other in [p for _, _, o, p in REFUTATIONS if o == y]:
        for mutant in [other, *some(mutants(other))]:
            assert reason_against_refutation(asked, mutant) != "", mutant


def some(found: Iterator[Any], most: int = 50) -> list[Any]:
    """A number of items spread over all."""
    whole = list(found)
    return whole[:: -(-len(whole) // most)]


def mutants(proof: Any) -> Iterator[Any]:
    """The proof with one leaf changed, one item dropped or one field missing."""
    for path, leaf in _leaves(proof):
        for value in _others(leaf):
            yield _changed(proof, path, value)
        yield _dropped(proof, path)


def _leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(data, dict | list):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _leaves(item, (*path, key))
        if not data:
            return
    elif path:
        yield path, data


def _others(leaf: Any) -> list[Any]:
    if isinstance(leaf, int):
        return [leaf + 1, -1, None, "0"]
    try:
        value = Fraction(leaf)
    except ValueError:
        return ["other", None, 1, "ray", "strong", "nls"]
    return [str(value + 1), str(-value), "0", str(2 * value), str(value / 3), "1/0", "1e400", None, 7]


def _changed(proof: Any, path: tuple[Any, ...], value: Any) -> Any:
    result = copy.deepcopy(proof)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return result


def _dropped(proof: Any, path: tuple[Any, ...]) -> Any:
    result = copy.deepcopy(proof)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return result


def test_mutants_are_many():
    assert sum(1 for *_, p in PROOFS for _ in mutants(p)) > 500
    assert json.dumps(PROOFS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(["0", "1", "-1/2", "x", "inf", "strong", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["0", "1", "kind", "proof"]), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_hostile_proofs_are_rejected_without_any_other_error(data):
    *_, proof = data.draw(st.sampled_from([*PROOFS, *REFUTATIONS]))
    hostile = {key: data.draw(JSON) if data.draw(st.booleans()) else value for key, value in proof.items()}
    if isinstance(hostile.get("kind"), str):
        hostile["kind"] = proof["kind"]
    asked = question("y^2 + 3*sin(y)^2 + x*y", "x in [0, 1]")
    for verdict in (reason_against(asked, Fraction(3), hostile), reason_against_refutation(asked, hostile)):
        assert verdict != ""


# ---- where the inequality is claimed --------------------------------------------------------


@pytest.mark.parametrize("y", ["y in [0, 1]", "y >= 0", "y : integer"])
def test_own_variables_are_any_numbers(y):
    strong = {"kind": "strong", "proof": FLAT}
    assert reason_against(question("y^2", "x", "y"), Fraction(2), strong) == ""
    assert reason_against(question("y^2", "x", y), Fraction(2), strong) != ""


def test_a_refutation_holds_at_values_that_the_others_can_have():
    proof = {"kind": "ray", "point": {"0": "-1"}, "start": {}, "direction": {"1": "1"}}
    assert reason_against_refutation(question("x*y^2", "x in [-1, 1]"), proof) == ""
    assert reason_against_refutation(question("x*y^2", "x in [0, 1]"), proof) != ""
    assert reason_against_refutation(question("x*y^2", "x in [-1, 1]"), {**proof, "point": {}}) != ""
    assert reason_against_refutation(question("x*y^2", "x in [-1, 1]"), {**proof, "point": {"0": "-1", "1": "0"}}) != ""


def test_a_curve_stays_in_the_boxes_of_the_others():
    proof = {"kind": "asymptotic", "point": {}, "lower": {"1": [["0"], ["1"]]},
             "curve": {"1": [["1"], ["1"]], "0": [["1"], ["0", "1"]]}}  # fmt: skip
    assert reason_against_refutation(question("x*y^2", "x in [0, 1]"), proof) == ""
    for box in ("x in [1/100, 1]", "x in [-1, 0]"):
        assert reason_against_refutation(question("x*y^2", box), proof) != ""


def test_a_bound_from_above_is_a_pair_of_points():
    asked = question("y^2 + y^4", "x", "y")
    pair = {"kind": "pl-ratio", "point": {}, "p": {"1": "1"}, "q": {"1": "0"}}  # |2 + 4|^2/2 = 18, 18/2 = 9
    assert reason_against_upper(asked, Fraction(9), pair) == ""
    assert reason_against_upper(asked, Fraction(899, 100), pair) != ""
    assert reason_against_upper(asked, Fraction(9), {**pair, "q": {"1": "2"}}) != ""
    assert reason_against_upper(asked, Fraction(9), {**pair, "q": {"1": "1"}}) != ""


# ---- the tools ------------------------------------------------------------------------------


def at_infinity(make) -> Any:
    table = Table()
    t = fmpq_poly([0, 1])
    return growth(table, [make(table, table.var(0))], {0: (t, fmpq_poly([1]))})[0]


@pytest.mark.parametrize(
    "make, order, lo, hi",
    [
        (lambda t, y: t.add([t.power(y, 3), t.mul([t.num(-1), y, t.power(y, 2)]), y]), (1, 0), 1, 1),
        (lambda t, y: t.call("log", [t.add([t.num(1), t.power(y, 4)])]), (0, 1), 4, 4),
        (lambda t, y: t.power(t.add([t.num(5), t.mul([t.num(9), t.power(y, 2)])]), fmpq(1, 2)), (1, 0), 3, 3),
        (lambda t, y: t.mul([y, t.call("sin", [y])]), (1, 0), -1, 1),
        (lambda t, y: t.add([t.num(1), t.negate(t.power(t.call("tanh", [y]), 2))]), (0, 0), 0, 0),
        (lambda t, y: t.call("softplus", [t.mul([t.num(2), y])]), (1, 0), 2, 2),
        (lambda t, y: t.mul([t.power(y, 9), t.call("exp", [t.negate(y)])]), (9 - 10**6, 0), 0, 0),
        (lambda t, y: t.power(t.add([t.num(2), t.call("sin", [y])]), -1), (0, 0), fmpq(1, 3), 1),
        (lambda t, y: t.call("cos", [t.power(y, -1)]), (0, 0), 1, 1),
    ],
)
def test_growth(make, order, lo, hi):
    found = at_infinity(make)
    assert (found.order, found.range.lo, found.range.hi) == (order, lo, hi)


@pytest.mark.parametrize(
    "make",
    [
        lambda t, y: t.call("exp", [y]),
        lambda t, y: t.call("log", [t.call("log", [y])]),
        lambda t, y: t.call("log", [t.call("sin", [y])]),
        lambda t, y: t.power(t.call("sin", [y]), -1),
        lambda t, y: t.power(t.negate(y), fmpq(1, 2)),
        lambda t, y: t.call("abs", [t.call("sin", [y])]),
    ],
)
def test_growth_that_is_not_known(make):
    with pytest.raises(Rejected):
        at_infinity(make)


def test_a_power_series_says_no_more_than_it_knows():
    table = Table()
    y = table.var(0)
    lost = table.mul([table.power(y, 20), table.power(table.add([table.num(1), y]), -1)])
    [known] = series(table, [lost], {0: [fmpq(0), fmpq(1)]})
    assert known[:22] == [0] * 20 + [1, -1]
    with pytest.raises(Rejected):
        series(table, [table.call("exp", [table.add([table.num(1), y])])], {0: [fmpq(0), fmpq(1)]})
    with pytest.raises(Rejected):
        series(table, [table.power(y, fmpq(1, 2))], {0: [fmpq(0), fmpq(1)]})


def test_what_vanishes_identically():
    table = Table()
    x, y = table.var(0), table.var(1)
    s = table.call("sin", [table.add([x, y])])
    square = table.power(table.add([x, s]), 2)
    parts = [square, table.negate(table.power(x, 2)), table.mul([table.num(-2), x, s]), table.negate(table.power(s, 2))]
    assert is_zero(table, [table.add(parts)])
    assert not is_zero(table, [table.add(parts[:3])])
    assert not is_zero(table, [table.num(1)])


def test_sums_are_collected():
    table = Table()
    x, y = table.var(0), table.var(1)
    moved = table.add([table.add([y, table.num(2)]), table.mul([table.num(-1), table.add([x, table.num(2)])]), x])
    assert collected(table, table.call("sin", [moved])) == table.call("sin", [y])


@pytest.mark.parametrize(
    "objective, modulus, wrong",
    [
        ("y^4 + x", "1", "flat on the core"),
        ("y^4/8 - 3/4*y^3 + y^2", "1/10", "not rising between core and radius"),
        ("y^2 - y^4/1000", "19/10", "unbounded below far away"),
        ("y^2 + y^4/8", "9/4", "less convex on the core than is said"),
    ],
)
def test_every_part_of_the_line_counts(objective, modulus, wrong):
    proof = {**EXTERIOR, "modulus": modulus}
    assert reason_against(question("y^2 + y^4/8"), Fraction(1, 100), {**EXTERIOR, "modulus": "19/10"}) == ""
    assert reason_against(question(objective), Fraction(1, 100), proof) != "", wrong


def test_a_singular_quadratic_has_the_null_space_that_is_said():
    for proof in (SINGULAR, {**SINGULAR, "null": []}, {**SINGULAR, "null": [["1", "1"], ["1", "-1"]]}):
        assert reason_against(question("(y1 - y2)^2/100", "x", TWO), Fraction(1), proof) != ""
        assert reason_against(question("(y1 - y2)^2 + y1", "x", TWO), Fraction(1), proof) != ""


def test_a_change_of_variables_is_checked_in_every_part():
    turned = {**TURN, "norm": "2", "constant": "8", "proof": {"kind": "strong", "proof": FLAT}}
    moved = {**SHIFT, "constant": "2", "proof": {"kind": "strong", "proof": FLAT}}
    quartic = "(y1 - y2)^2 + (y1 - y2)^4"
    assert reason_against(question(quartic, "x", TWO), Fraction(4), turned) == ""
    for larger in ({"norm": "1"}, {"norm": "2", "columns": [["1", "-1"], ["2", "-2"]]}, {"norm": "2/3"}):
        assert reason_against(question(quartic, "x", TWO), Fraction(8), {**turned, **larger}) != ""
    for term in ("y1", "y1^2", "exp(y1)"):  # the inequality would be one of a function that has it not
        assert reason_against(question(f"{quartic} + {term}", "x", TWO), Fraction(1), turned) != ""
    assert reason_against(question("(y - x^2)^2 - x*y^2"), Fraction(1), moved) != ""
    assert reason_against(question("(y - x^2)^2", "x in [0, 1]"), Fraction(1), moved) != ""  # 3 is no value of x


def test_a_stationary_point_is_one():
    asked = question("(y1^2 - 1)^2 + y2^2", "x", TWO)
    proof = REFUTATIONS[0][3]
    assert reason_against_refutation(asked, proof) == ""
    assert reason_against_refutation(asked, {**proof, "stationary": {"1": "1/2", "2": "0"}}) != ""
    assert reason_against_refutation(asked, {**proof, "lower": {"1": "0", "2": "1"}}) != ""
    objective, x, y, proof = REFUTATIONS[1]
    assert reason_against_refutation(question(objective, x, y), {**proof, "lower": {"1": "100"}}) != ""
