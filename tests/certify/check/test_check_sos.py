"""The checker of sums of squares accepts what is an identity, and nothing else."""

import copy
import json
import random
from fractions import Fraction

import pytest
from flint import fmpq

from bileveldsl.certify.check.goals import bend
from bileveldsl.certify.check.polynomials import ring
from bileveldsl.certify.check.reading import read
from bileveldsl.certify.check.region import context_of
from bileveldsl.certify.check.sos import read_blocks
from bileveldsl.certify.check.terms import Rejected

INF = ("-inf", "inf")


def statement(nodes, *, x=INF, y=INF, z=None, conditions=()):
    boxes = [("x", "upper", x), ("y", "lower", y), *([("z", "lower", z)] if z else [])]
    return {
        "form": "scalar",
        "variables": [
            {"name": name, "level": level, "lower": lo, "upper": hi, "integer": False}
            for name, level, (lo, hi) in boxes
        ],
        "nodes": nodes,
        "functions": {"lower.objective": len(nodes) - 1},
        "constraints": [],
        "conditions": [{"node": node, "relation": relation} for node, relation in conditions],
        "narrowing": [],
    }


def verdict(stated, proof, shift="0", sign=1):
    """None if a proof is accepted, else the reason why it is not."""
    problem = read(copy.deepcopy(stated))
    own = tuple(k for k, v in enumerate(problem.variables) if v.level == "lower")
    root = problem.functions["lower.objective"]
    try:
        bend(context_of(problem, own, [root]), root, own, sign, fmpq(shift), copy.deepcopy(proof))
    except Rejected as rejected:
        return str(rejected)
    except (TypeError, KeyError, IndexError) as error:  # the door of the checker turns these into rejections
        return repr(error)
    return None


def part(**changes):
    empty = {"rows": [0], "indeterminates": [], "denominators": [], "shift": "0", "power": 0, "sides": [], "blocks": []}
    return {**empty, **changes}


def proof(*parts, nodes=()):
    return {"kind": "sos", "nodes": list(nodes), "parts": list(parts)}


def square(gram, *basis, multiplier=()):
    return {"multiplier": list(multiplier), "basis": [{b: "1"} for b in basis], "gram": gram}


# (1 + x^2) y^2 + x y z + z^2, whose modulus is 3/2
BIFORM = statement(
    [["var", 0], ["var", 1], ["var", 2], ["num", "1"], ["^", 0, "2"], ["+", [3, 4]], ["^", 1, "2"], ["*", [5, 6]],
     ["*", [0, 1, 2]], ["^", 2, "2"], ["+", [7, 8, 9]]], z=INF,
)  # fmt: skip
BIFORM_PROOF = proof(
    part(rows=[0, 1], indeterminates=[0], shift="-3/2",
         blocks=[square([["1/2"]], "0,1,0"), square([["2", "1"], ["1", "1/2"]], "1,1,0", "0,0,1")]),
    nodes=[["var", 0]],
)  # fmt: skip

# y^3 for y in [0, 2] has the second derivative 6 y <= 12
CUBE = statement([["var", 1], ["^", 0, "3"]], y=("0", "2"))
CUBE_BELOW = proof(
    part(indeterminates=[0], sides=[["lower", 0, "0"]], blocks=[square([["6"]], "0,1", multiplier=[0])]),
    nodes=[["var", 1]],
)
CUBE_ABOVE = proof(
    part(indeterminates=[0], shift="12", sides=[["upper", 0, "2"]], blocks=[square([["6"]], "0,1", multiplier=[0])]),
    nodes=[["var", 1]],
)

# 1 / y for y in [1/2, inf) and exp(x) y^2 for x in [0, 1]; 1 / (1 + y^2) has 6 y^2 - 2 over (1 + y^2)^3
INVERSE = statement([["var", 1], ["^", 0, "-1"]], y=("1/2", "inf"))
INVERSE_PROOF = proof(
    part(indeterminates=[0], denominators=[[0, 3]], blocks=[square([["2"]], "0,1")]), nodes=[["var", 1]]
)
ATOM = statement([["var", 0], ["exp", 0], ["var", 1], ["^", 2, "2"], ["*", [1, 3]]], x=("0", "1"))
ATOM_PROOF = proof(
    part(indeterminates=[1], shift="-2", sides=[["lower", 0, "1"]],
         blocks=[square([["2"]], "0,1", multiplier=[0])]),
    nodes=[["var", 0], ["exp", 0]],
)  # fmt: skip
BELL = statement([["num", "1"], ["var", 1], ["^", 1, "2"], ["+", [0, 2]], ["^", 3, "-1"]])
BELL_PROOF = proof(  # 6 y^2 - 2 + 2 (1 + y^2)^3 = 12 y^2 + 6 y^4 + 2 y^6
    part(indeterminates=[1], denominators=[[3, 3]], shift="2",
         blocks=[square([["12", "0", "0"], ["0", "6", "0"], ["0", "0", "2"]], "1,1", "2,1", "3,1")]),
    nodes=[["num", "1"], ["var", 1], ["^", 1, "2"], ["+", [0, 2]]],
)  # fmt: skip
# y^3 where y + 1 > 0 holds proves nothing, and where y > 0 it is convex
LOGARITHM = statement(
    [["var", 1], ["log", 0], ["num", "-1"], ["*", [1, 2]], ["^", 0, "3"], ["+", [3, 4]]], conditions=[(0, "> 0")]
)
LOGARITHM_PROOF = proof(
    part(indeterminates=[0], denominators=[[0, 2]], sides=[["condition", 0]],
         blocks=[square([["1"]], "0,1"), square([["6"]], "1,1", multiplier=[0])]),
    nodes=[["var", 1]],
)  # fmt: skip

HONEST = [
    (BIFORM, BIFORM_PROOF, "-3/2", 1),
    (BIFORM, BIFORM_PROOF, "0", 1),
    (CUBE, CUBE_BELOW, "0", 1),
    (CUBE, CUBE_ABOVE, "12", -1),
    (INVERSE, INVERSE_PROOF, "0", 1),
    (ATOM, ATOM_PROOF, "-2", 1),
    (BELL, BELL_PROOF, "2", 1),
    (LOGARITHM, LOGARITHM_PROOF, "0", 1),
]


@pytest.mark.parametrize(("stated", "proof_", "shift", "sign"), HONEST)
def test_an_identity_is_accepted(stated, proof_, shift, sign):
    assert verdict(stated, proof_, shift, sign) is None


@pytest.mark.parametrize(("stated", "proof_", "shift", "sign"), [case for case in HONEST if case[2] != "0"])
def test_a_better_constant_than_the_identity_gives_is_rejected(stated, proof_, shift, sign):
    better = str(Fraction(shift) - Fraction(1, 10**30))
    assert verdict(stated, proof_, better, sign)
    changed = copy.deepcopy(proof_)
    for each in changed["parts"]:
        each["shift"] = better
    assert verdict(stated, changed, better, sign)


def mutations(tree):
    """Every tree with one number changed, one element left out or twice there, or one value of another type."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield {k: v for k, v in tree.items() if k != key}
            yield {**tree, "more": "1"}
            yield from ({**tree, key: changed} for changed in mutations(value))
    elif isinstance(tree, list):
        for k, value in enumerate(tree):
            yield tree[:k] + tree[k + 1 :]
            yield [*tree[: k + 1], *copy.deepcopy(tree[k:])]
            yield from ([*tree[:k], changed, *tree[k + 1 :]] for changed in mutations(value))
    elif isinstance(tree, int):
        yield from (tree + 1, tree - 1, str(tree), None, True, 1.0 * tree)
    else:
        yield from (None, 7, [], {}, tree + "0", "-" + tree, "1/0", "nan", "x")
        try:
            value = Fraction(tree)
        except ValueError:
            return
        yield from (str(value + Fraction(1, 10**20)), str(value - Fraction(1, 10**20)), str(2 * value + 1), str(-value))


@pytest.mark.parametrize(("stated", "proof_", "shift", "sign"), HONEST)
def test_every_change_of_a_proof_is_rejected(stated, proof_, shift, sign):
    passed = [m for m in mutations(proof_) if json.dumps(m) != json.dumps(proof_) and harmful(m, proof_)
              and verdict(stated, m, shift, sign) is None]  # fmt: skip
    assert passed == []


def harmful(changed, original):
    """Whether a change touches more than how a number is written, what is there twice, or the sign of a lone square."""
    return normal(changed) != normal(original)


def normal(tree):
    if isinstance(tree, dict):
        whole = {k: normal(v) for k, v in tree.items()}
        for key in {"nodes", "sides", "rows"} & {k for k, v in tree.items() if isinstance(v, list)}:
            whole[key] = list(dict.fromkeys(map(repr, whole[key])))
        if "gram" in tree and isinstance(tree.get("basis"), list):
            whole["basis"] = [unsigned(p) if alone(tree["gram"], k) else normal(p) for k, p in enumerate(tree["basis"])]
        return whole
    if isinstance(tree, list):
        return [normal(v) for v in tree]
    try:
        return str(Fraction(tree)) if isinstance(tree, str) else repr(tree)
    except (ValueError, ZeroDivisionError):
        return tree


def unsigned(polynomial):
    try:
        return {k: str(abs(Fraction(v))) for k, v in polynomial.items()} if len(polynomial) == 1 else polynomial
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return polynomial


def alone(gram, k):
    return k < len(gram) and all(v == "0" for j, v in enumerate(gram[k]) if j != k)


@pytest.mark.parametrize(("stated", "proof_", "shift", "sign"), HONEST)
def test_a_changed_function_or_box_is_rejected(stated, proof_, shift, sign):
    for k, node in enumerate(stated["nodes"]):
        if node[0] in ("num", "^"):
            changed = copy.deepcopy(stated)
            changed["nodes"][k][-1] = str(Fraction(node[-1]) * Fraction(-3, 2))
            assert verdict(changed, proof_, shift, sign), node
    if any(each["sides"] and each["sides"][0][0] != "condition" for each in proof_["parts"]):
        changed = copy.deepcopy(stated)
        for variable in changed["variables"]:
            variable["lower"], variable["upper"] = INF
        assert verdict(changed, proof_, shift, sign)


def rejected(reason, *arguments, **named):
    return reason in (verdict(*arguments, **named) or "")


def test_a_gram_matrix_with_a_tiny_negative_eigenvalue_is_rejected():
    # x^2 + (2 + 2e-11) x y + y^2 is -2e-11 at (1, -1)
    off = "100000000001/100000000000"
    stated = statement(
        [["var", 1], ["var", 2], ["num", "1/2"], ["^", 0, "2"], ["*", [2, 3]], ["^", 1, "2"], ["*", [2, 5]],
         ["num", off], ["*", [7, 0, 1]], ["+", [4, 6, 8]]], z=INF,
    )  # fmt: skip
    block = square([["1", off], [off, "1"]], "1,0", "0,1")
    assert rejected("not positive semidefinite", stated, proof(part(rows=[0, 1], blocks=[block])))
    lopsided = square([["1", "1"], ["100000000003/100000000000", "1"]], "1,0", "0,1")
    assert rejected("not positive semidefinite", stated, proof(part(rows=[0, 1], blocks=[lopsided])))


def test_a_side_that_does_not_hold_is_rejected():
    for side in (["lower", 0, "1/10"], ["upper", 0, "19/10"], ["lower", 1, "0"], ["middle", 0, "0"], ["lower", 0], []):
        changed = copy.deepcopy(CUBE_BELOW)
        changed["parts"][0]["sides"].append(side)
        assert verdict(CUBE, changed)


def test_a_condition_of_another_function_is_rejected():
    """log(2 y) in the upper level's objective does not make y^3 convex in the lower level's."""
    cube = [["var", 1], ["^", 0, "3"], ["num", "2"], ["*", [2, 0]], ["log", 3]]
    two = statement(cube, conditions=[(3, "> 0")]) | {"functions": {"lower.objective": 1, "upper.objective": 4}}
    bent = part(indeterminates=[0], sides=[["condition", 0]], blocks=[square([["3"]], "0,1", multiplier=[0])])
    assert rejected("does not say", two, proof(bent, nodes=[["var", 1]]))
    own = statement([*cube, ["num", "0"], ["*", [4, 5]], ["+", [1, 6]]], conditions=[(3, "> 0")])
    assert verdict(own, proof(bent, nodes=[["var", 1]])) is None
    bent["sides"] = [["condition", 1]]
    assert verdict(own, proof(bent, nodes=[["var", 1]]))


def test_a_condition_of_another_sign_is_rejected():
    assert verdict(LOGARITHM | {"conditions": [{"node": 0, "relation": "!= 0"}]}, LOGARITHM_PROOF)
    nonnegative = statement([["var", 1], ["^", 0, "3"]], conditions=[(0, ">= 0")])
    changed = copy.deepcopy(CUBE_BELOW)
    changed["parts"][0]["sides"] = [["condition", 0]]
    assert verdict(nonnegative, changed) is None
    assert rejected("does not say", nonnegative | {"conditions": [{"node": 0, "relation": "!= 0"}]}, changed)


def test_a_denominator_that_is_none_is_rejected():
    """Were any polynomial allowed, 0 times the form would be a sum of squares."""
    concave = statement([["var", 1], ["^", 0, "2"], ["num", "-1"], ["*", [1, 2]]])
    nothing = proof(part(denominators=[[0, 2]], blocks=[]), nodes=[["num", "0"]])
    assert rejected("denominator", concave, nothing)
    assert rejected("denominator", INVERSE, proof(part(indeterminates=[0], denominators=[[0, 4], [1, 2]], blocks=[]),
                                                  nodes=[["var", 1], ["num", "0"]]))  # fmt: skip


def test_a_denominator_with_both_signs_needs_an_even_power():
    stated = statement([["var", 1], ["^", 0, "-1"]], y=("-2", "-1"))  # concave there
    assert rejected("denominator", stated, INVERSE_PROOF)
    around = statement([["var", 1], ["^", 0, "-1"]], y=("-2", "1"))
    assert verdict(around, INVERSE_PROOF)


def test_products_of_powers_of_a_denominator_are_cleared_together():
    stated = statement([["var", 1], ["^", 0, "-1"], ["^", 0, "-2"], ["*", [1, 2]]], y=("1/2", "inf"))  # y^-3
    short = part(indeterminates=[0], denominators=[[0, 5]], blocks=[square([["12"]], "0,1")])
    assert verdict(stated, proof(short, nodes=[["var", 1]])) is None
    assert verdict(stated, proof({**short, "denominators": [[0, 3]]}, nodes=[["var", 1]]))


def test_an_even_power_of_a_negative_denominator_is_positive():
    stated = statement([["var", 1], ["^", 0, "-2"]], y=("-2", "-1"))
    even = proof(part(indeterminates=[0], denominators=[[0, 4]], blocks=[square([["6"]], "0,1")]), nodes=[["var", 1]])
    assert verdict(stated, even) is None
    assert verdict(statement(stated["nodes"], y=("-2", "1")), even)


def test_several_denominators_are_told_apart():
    half = ("1/2", "inf")
    fractions = [["var", 1], ["^", 0, "-1"], ["var", 0], ["^", 2, "-1"], ["^", 0, "2"], ["*", [3, 4]], ["+", [1, 5]]]
    stated = statement(fractions, x=half, y=half)
    two = part(indeterminates=[0, 1], denominators=[[0, 1], [1, 3]], sides=[["lower", 0, "0"], ["lower", 1, "0"]],
               blocks=[square([["2"]], "0,0,1", multiplier=[0]), square([["2"]], "0,1,1", multiplier=[1])])  # fmt: skip
    nodes = [["var", 0], ["var", 1]]
    assert verdict(stated, proof(two, nodes=nodes)) is None  # 2 / y^3 + 2 / x
    assert verdict(stated, proof({**two, "denominators": [[0, 3], [1, 1]]}, nodes=nodes))


def test_denominators_within_denominators_are_cleared_from_the_outside():
    """1 / (1 + 1/y) has the second derivative -2 / (1 + y)^3, which is 2 y over y^4 (1 + 1/y)^3."""
    stated = statement([["num", "1"], ["var", 1], ["^", 1, "-1"], ["+", [0, 2]], ["^", 3, "-1"]], y=("1/2", "inf"))
    nested = part(indeterminates=[1], denominators=[[1, 4], [3, 3]], sides=[["lower", 0, "0"]],
                  blocks=[square([["2"]], "0,1", multiplier=[0])])  # fmt: skip
    assert verdict(stated, proof(nested, nodes=stated["nodes"]), sign=-1) is None
    assert verdict(stated, proof(nested, nodes=stated["nodes"]))


def test_a_denominator_may_be_written_in_another_order():
    other = copy.deepcopy(BELL_PROOF)
    other["nodes"][3] = ["+", [2, 0]]
    assert verdict(BELL, other, "2") is None


def test_a_power_that_is_not_whole_is_no_denominator():
    stated = statement([["var", 1], ["^", 0, "3/2"]], y=("1", "inf"))
    half = part(indeterminates=[0], denominators=[[0, 1]], sides=[["lower", 0, "0"]],
                blocks=[square([["3/4"]], "0,1", multiplier=[0])])  # fmt: skip
    assert rejected("no polynomial", stated, proof(half, nodes=[["var", 1]]))


def test_a_variable_with_one_value_is_a_number():
    stated = statement([["var", 0], ["var", 1], ["^", 1, "2"], ["*", [0, 2]]], x=("3", "3"))
    fixed = proof(part(shift="-6", blocks=[]))
    assert verdict(stated, fixed, "-6") is None
    free = statement(stated["nodes"], x=("3", "4"))
    assert rejected("no polynomial", free, fixed, "-6")


def test_rows_that_are_joined_or_missing_are_rejected():
    lone = [part(rows=[k], indeterminates=[0], blocks=[]) for k in (0, 1)]
    assert rejected("in no part", BIFORM, proof(*lone, nodes=[["var", 0]]))
    assert rejected("in no part", BIFORM, proof())
    flat = statement([["var", 1], ["var", 2], ["^", 0, "2"], ["+", [1, 2]]], z=INF)
    convex = proof(part(blocks=[square([["2"]], "1")]))
    assert verdict(flat, convex) is None
    strong = proof(part(shift="-1", blocks=[square([["1"]], "1")]))
    assert rejected("in no part", flat, strong, "-1")
    twice = proof(part(blocks=[square([["2"]], "1")]), part(blocks=[square([["2"]], "1")]))
    assert rejected("two parts", flat, twice)


def test_an_indeterminate_that_is_nowhere_defined_bounds_nothing():
    concave = statement([["var", 1], ["^", 0, "2"], ["num", "-1"], ["*", [1, 2]]])
    for value, node in (("-5", ["log", 0]), ("-5", ["^", 0, "1/2"]), ("0", ["^", 0, "-1"]), ("-5", ["asin", 0])):
        for low, high in (("0", "-1"), ("5", "4"), ("1", "0")):
            void = part(indeterminates=[1], sides=[["lower", 0, low], ["upper", 0, high]],
                        blocks=[square([["2"]], "0,1", multiplier=[k]) for k in (0, 1)])  # fmt: skip
            assert rejected("beyond its bound", concave, proof(void, nodes=[["num", value], node]))


def test_functions_that_bend_at_a_point_are_rejected():
    kink = statement([["var", 1], ["abs", 0]])
    assert verdict(kink, proof())
    assert verdict(kink, proof(part(blocks=[])))


def test_what_is_too_large_is_rejected():
    big = {"multiplier": [], "basis": [{"1": "1"}] * 301, "gram": [["0"] * 301] * 301}
    flat = statement([["var", 1], ["^", 0, "2"]])
    assert verdict(flat, proof(part(blocks=[big])))
    long = square([["1" * 900] * 100] * 100, *["1"] * 100)
    assert rejected("Gram matrix is too large", flat, proof(part(blocks=[long])))
    longer = square([["1" * 9_000] * 120] * 120, *["1"] * 120)
    assert rejected("sum of squares is too large", flat, proof(part(blocks=[longer])))
    wide = square([["1"]], "0") | {"basis": [{f"{j},{k}": "1" for j in range(100) for k in range(100)}]}
    plane = statement([["var", 1], ["^", 0, "4"]])
    assert rejected("too large", plane, proof(part(indeterminates=[0], blocks=[wide]), nodes=[["var", 1]]))
    high = {"multiplier": [], "basis": [{"199": "1"}], "gram": [["1"]]}
    assert rejected("degree", flat, proof(part(blocks=[high])))
    assert verdict(flat, proof(part(power=9, blocks=[])))


@pytest.mark.parametrize("monomial", ["201", "1,0", "", "-1", "1.0", "x", "1,", "٣"])
def test_a_monomial_is_written_as_its_exponents(monomial):
    flat = statement([["var", 1], ["^", 0, "2"]])
    odd = {"multiplier": [], "basis": [{monomial: "0", "1": "1"}], "gram": [["2"]]}
    assert rejected("exponents", flat, proof(part(blocks=[odd])))
    twice = {"multiplier": [], "basis": [{"1": "7", "01": "1"}], "gram": [["2"]]}
    assert rejected("exponents", flat, proof(part(blocks=[twice])))


def test_random_identities_are_accepted_and_their_sums_are_right():
    source = random.Random(1)
    context = ring(2)
    a, b = context.gens()
    basis = [{"1,0": "1"}, {"0,1": "2", "0,0": "-1/3"}]
    for _ in range(20):
        p, q, r, s = (fmpq(source.randint(-5, 5), source.randint(1, 5)) for _ in range(4))
        gram = [[p * p + q * q, p * r + q * s], [p * r + q * s, r * r + s * s]]
        blocks = [{"multiplier": [0], "basis": basis, "gram": [[str(v) for v in row] for row in gram]}]
        c = 2 * b - fmpq(1, 3)
        assert read_blocks(blocks, [a], context, 2) == a * ((p * a + r * c) ** 2 + (q * a + s * c) ** 2)
