"""Proofs by trees of boxes: what is accepted holds, and no changed proof is accepted."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from asked import context, is_accepted, question
from flint import fmpq

from bileveldsl.certify.boxes import best_bounds, prove_bend
from bileveldsl.certify.check.enclosures import exact
from bileveldsl.certify.check.ranges import Range
from bileveldsl.certify.check.tensors import Tensor
from bileveldsl.certify.check.terms import Table
from bileveldsl.certify.statement import Question


def cover(*trees: list[Any], rows: Any = None, atoms: Any = ()) -> dict[str, Any]:
    """A proof with a block for each tree."""
    rows = rows or [[k] for k in range(len(trees))]
    blocks = [{"rows": r, "atoms": list(atoms), "tree": t} for r, t in zip(rows, trees, strict=True)]
    return {"kind": "cover", "blocks": blocks}


def test_one_box_may_do() -> None:
    asked = question("y^2*(2 + sin(x))")
    assert is_accepted(asked, cover([0]), 1, -2) and not is_accepted(asked, cover([0]), 1, Fraction(-2001, 1000))
    assert is_accepted(asked, cover([0]), -1, 6) and not is_accepted(asked, cover([0]), -1, Fraction(5999, 1000))


def test_a_tree_has_to_be_whole_and_within_the_box() -> None:
    asked = question("y^4 - x*y^2/100", "x in [-1, 1]", "y in [1, 3]")
    for tree in ([0], [[1, "2"], 0, 0], [[1, "2"], [0, "0"], 0, 0, 0]):
        assert is_accepted(asked, cover(tree), 1, 0)
    wrong: list[Any] = [
        [], [[1, "2"], 0], [0, 0], [[1, "2"], 0, 0, 0], [[1, "4"], 0, 0], [[1, "1/2"], 0, 0], [[2, "2"], 0, 0],
        [[-1, "2"], 0, 0], [[True, "2"], 0, 0], [[1, "2", "3"], 0, 0], [[1, 2.0], 0, 0], [["1", "2"], 0, 0], [False],
        ["0"], [None], [0.0], [1], [[1, "2"], [[1, "1"], 0, 0], 0],
    ]  # fmt: skip
    for tree in wrong:
        assert not is_accepted(asked, cover(tree), 1, 0), tree


def test_rows_are_parted_as_the_second_derivatives_allow() -> None:
    apart, joined = (question(f"y1^2 + y2^2 + {last}", "x", "y1; y2") for last in ("x*y1", "y1*y2"))
    assert is_accepted(apart, cover([0], [0]), 1, -2) and is_accepted(apart, cover([0], rows=[[0, 1]]), 1, -2)
    assert is_accepted(joined, cover([0], rows=[[0, 1]]), 1, -1) and not is_accepted(joined, cover([0], [0]), 1, 0)
    for rows in ([[0]], [[1]], [[0, 0]], [[0, 2]], [[-1, 0]], [["0", 1]], [[0, 1.0]], []):
        assert not is_accepted(apart, cover(*([0] for _ in rows), rows=rows), 1, 0)
    assert not is_accepted(apart, cover([0], [0], [0], rows=[[0], [1], [1]]), 1, 0)


def test_infinite_sides_are_covered() -> None:
    asked = question("y^3", "x", "y >= 0")
    assert is_accepted(asked, cover([0]), 1, 0) and is_accepted(asked, cover([[1, "7"], 0, 0]), 1, 0)
    assert not is_accepted(asked, cover([0]), 1, Fraction(-1, 10**6))
    assert not is_accepted(question("y^3"), cover([[1, "0"], 0, 0]), 1, 0)


def test_an_angle_may_not_take_what_is_no_multiple_of_it() -> None:
    asked = question("y^2 + cos(3*y)/18 + sin(y)/4")
    y: list[Any] = [["var", 1]]
    periodic, plain = ({"nodes": y, "periodic": p} for p in (True, False))
    assert is_accepted(asked, cover([0], atoms=[periodic]), 1, Fraction(-5, 4))
    half = {"nodes": [*y, ["num", "1/2"], ["*", [0, 1]]], "periodic": True}
    double = {"nodes": [*y, ["num", "2"], ["*", [0, 1]]], "periodic": True}
    cut: list[Any] = [[-1, "0"], 0, 0]
    assert is_accepted(asked, cover(cut, atoms=[half]), 1, -1)
    assert is_accepted(asked, cover(cut, atoms=[plain]), 1, -1)
    # Nothing is replaced, and the cut is of a variable that does not matter.
    assert is_accepted(asked, cover(cut, atoms=[double]), 1, -1)
    assert not is_accepted(asked, cover([[-1, "4"], 0, 0], atoms=[periodic]), 1, -1)
    for atom in (None, {}, {"nodes": [], "periodic": True}, {"nodes": y}, {"nodes": y, "periodic": 1},
                 {"nodes": [["var", 9]], "periodic": True}, {"nodes": [["+", [0]]], "periodic": True}):  # fmt: skip
        assert not is_accepted(asked, cover([0], atoms=[atom]), 1, -1)


def test_only_whole_multiples_turn_with_an_angle() -> None:
    # For y = pi both cos(2 y) is 1 and cos(3 y) is -1; the half turns of 2 y alone do not show that.
    asked = question("3*y^2/2 - cos(2*y)/4 + cos(3*y)/9")
    double = {"nodes": [["var", 1], ["num", "2"], ["*", [0, 1]]], "periodic": True}
    tree: list[Any] = fine(-22, 22, 6)
    assert is_accepted(asked, cover(tree, atoms=[double]), 1, -1)
    assert not is_accepted(asked, cover(tree, atoms=[double]), 1, Fraction(-8, 5))
    # Nor does cos(x + y) with x, though both begin alike.
    other = question("y^2 - cos(x + y) - y^2*cos(x)/2")
    assert not is_accepted(other, cover([0], atoms=[{"nodes": [["var", 0]], "periodic": True}]), 1, -1)


def fine(low: int, high: int, depth: int) -> list[Any]:
    """The tree that halves the first atom, within [low, high] / 7, to a depth."""
    if depth == 0:
        return [0]

    def halves(a: Fraction, b: Fraction, left: int) -> list[Any]:
        middle = (a + b) / 2
        return [0] if left == 0 else [[-1, str(middle)], *halves(a, middle, left - 1), *halves(middle, b, left - 1)]

    return halves(Fraction(low, 7), Fraction(high, 7), depth)


def test_pairs_of_a_power_and_its_inverse_cancel_as_they_must() -> None:
    asked = question("y*log(y)", "x", "y in [1, 2]")  # 2/y - y/y^2
    assert is_accepted(asked, cover([0]), -1, 1) and is_accepted(asked, cover([0]), 1, Fraction(-1, 2))
    assert not is_accepted(asked, cover([0]), -1, Fraction(1, 4)) and not is_accepted(asked, cover([0]), 1, -1)
    root = question("sqrt(1 + y^2)", "x", "y in [0, 2]")  # 1/s - y^2/s^3 = 1/s^3
    assert is_accepted(root, cover([0]), -1, 1) and is_accepted(root, cover([0]), 1, Fraction(-89, 1000))
    assert not is_accepted(root, cover([0]), -1, Fraction(99, 100))
    assert not is_accepted(root, cover([0]), 1, Fraction(-9, 100))


def test_a_tensor_is_semidefinite_only_where_its_values_are() -> None:
    random_ = random.Random(3)
    for _ in range(60):
        table = Table()
        x, y = table.var(0), table.var(1)
        entries = {}
        for place in ((0, 0), (0, 1), (1, 1)):
            monomials = [
                table.mul([table.num(random_.randint(-2, 3)), table.power(x, i), table.power(y, j)])
                for i in range(3) for j in range(2) if random_.random() < 0.6
            ]  # fmt: skip
            entries[place] = table.add([*monomials, table.num(4 if place[0] == place[1] else 0)])
        tensor = Tensor.of(table, entries, 2, fmpq(1))
        sides = {0: Range(fmpq(-1), fmpq(random_.randint(0, 2))), 1: Range(fmpq(random_.randint(-1, 1)), math.inf)}
        if tensor is None or not tensor.is_semidefinite([sides[table.value[g]] for g in tensor.generators]):
            continue
        for _ in range(50):
            point = {0: sides[0].lo + (sides[0].hi - sides[0].lo) * random_.randint(0, 8) / 8,
                     1: sides[1].lo + fmpq(random_.randint(0, 40), 4)}  # fmt: skip
            a, b, c = (exact(table, entries[place], point) for place in ((0, 0), (0, 1), (1, 1)))
            assert a is not None and b is not None and c is not None
            assert a + 1 >= 0 and c + 1 >= 0 and (a + 1) * (c + 1) >= b * b


def test_an_angle_keeps_what_depends_on_the_variable_itself() -> None:
    # With y itself in [-22/7, 22/7] the function would be convex.
    asked = question("10*y^2 - y^4/100 + sin(y)")
    angle = {"nodes": [["var", 1]], "periodic": True}
    assert not is_accepted(asked, cover([0], atoms=[angle]), 1, 0)
    assert not is_accepted(asked, cover([[-1, "0"], [1, "0"], 0, 0, 0], atoms=[angle]), 1, 0)


def test_an_atom_lies_in_its_range_only() -> None:
    asked = question("exp(y1 + y2)", "x", "y1 in [0, 1]; y2 in [0, 1]")
    atom = {"nodes": [["var", 1], ["var", 2], ["+", [0, 1]]], "periodic": False}
    proof = cover([[-1, "0"], 0, [-1, "1"], 0, 0], rows=[[0, 1]], atoms=[atom])
    assert is_accepted(asked, proof, 1, 0)
    assert not is_accepted(asked, proof, -1, 14) and is_accepted(asked, proof, -1, 15)  # 2 exp(2) = 14.78


def test_boxes_where_a_condition_fails_need_no_proof() -> None:
    asked = question("-log(y1 + y2) + y1^2/50", "x", "y1 in [-1, 3]; y2 in [-1, 3]")
    proof = prove_bend(asked, 1, 0)
    assert proof is not None and is_accepted(asked, proof, 1, 0)


@pytest.mark.parametrize("objective", ["abs(y - 1)", "max(y - 1, 0)*y", "sqrt(y)", "huber(y - 2)"])
def test_what_may_have_no_second_derivative_is_rejected(objective: str) -> None:
    assert not is_accepted(question(objective, "x", "y in [0, 4]"), cover([0]), 1, 0)


def test_a_bisection_without_end_is_stopped() -> None:
    # The least eigenvalue is 0 on a curve, which no box around a point of it shows.
    asked = question("(y1^2 - y2)^2 + y1^4 + y2^2*y1^2", "x", "y1 in [-1, 1]; y2 in [-1, 0]")
    assert not is_accepted(asked, cover([0], rows=[[0, 1]]), 1, Fraction(-1, 10**9))


# ---- mutants ----

PROVED: list[tuple[Question, dict[str, Any], int, Fraction]] = []


def proved() -> list[tuple[Question, dict[str, Any], int, Fraction]]:
    if not PROVED:
        for objective, x, y in [
            ("y^2 + x*sin(y)/4", "x in [0, 1]", "y"),
            ("2*y1^2 + 2*y2^2 + y1*y2 + sin(y1 - 2*y2)/4 + cos(2*y1 - 4*y2)/9", "x", "y1; y2"),
            ("exp(y1 + y2) + exp(-y1 + x*y2) + y1^2/2 + y2^2/2", "x in [-1, 1]", "y1 in [-1, 1]; y2 in [-1, 1]"),
            ("y^4 - 2*x*y^3 + 4*y^2", "x in [-1, 1]", "y in [-1, 1]"),
        ]:
            asked = question(objective, x, y)
            found = best_bounds(asked)
            assert found.mu is not None and found.L is not None and found.L_proof is not None
            PROVED.append((asked, found.mu_proof or {}, 1, -found.mu))
            PROVED.append((asked, found.L_proof["above"], -1, found.L))
    return PROVED


def mutants(proof: dict[str, Any], random_: random.Random) -> Iterator[dict[str, Any]]:
    """The proof with one thing changed such that the trees no longer cover the box, or not what they should."""
    for k, block in enumerate(proof["blocks"]):
        for _ in range(12):
            changed = copy.deepcopy(proof)
            tree = changed["blocks"][k]["tree"]
            place = random_.randrange(len(tree))
            how = random_.randrange(4)
            if how == 0:
                del tree[place]
            elif how == 1:
                tree.insert(place, 0)
            elif tree[place] == 0:
                tree[place] = [0, "0"]  # a cut without its two parts
            else:
                tree[place] = 0 if how == 2 else [tree[place][0], "1000000"]
            yield changed
        for key in block:
            changed = copy.deepcopy(proof)
            del changed["blocks"][k][key]
            yield changed
    yield {**proof, "blocks": []}
    yield {**proof, "more": 1}


def test_mutants_are_rejected() -> None:
    random_ = random.Random(0)
    count = 0
    for asked, proof, sign, shift in proved():
        assert is_accepted(asked, proof, sign, shift)
        for mutant in mutants(proof, random_):
            count += 1
            assert not is_accepted(asked, mutant, sign, shift), mutant
    assert count > 100


def test_better_constants_and_other_signs_are_rejected() -> None:
    for asked, proof, sign, shift in proved():
        least = shift - abs(shift) / 8
        assert not is_accepted(asked, proof, sign, least)
        assert not is_accepted(asked, proof, -sign, -abs(shift))


def test_hostile_proofs_are_rejected_and_do_not_crash() -> None:
    asked = question("y^2 + sin(y)")
    deep: list[Any] = []
    for k in range(5000):
        deep.append([1, str(-k)])
    wide = cover([[1, "0"], *([0] * 30_000)])
    hostile: list[Any] = [None, 1, "x", {}, [None], [[]], [{"rows": 1, "atoms": [], "tree": [0]}],
                   [{"rows": [0], "atoms": {}, "tree": [0]}], [{"rows": [0], "atoms": [], "tree": {}}],
                   [{"rows": [0], "atoms": [], "tree": deep}]]  # fmt: skip
    for blocks in hostile:
        assert not is_accepted(asked, {"kind": "cover", "blocks": blocks}, 1, 0)
    assert not is_accepted(asked, wide, 1, 0)
    assert not is_accepted(asked, cover([[1, "9" * 20_000], 0, 0]), 1, 0)


def test_the_context_is_left_as_it_was() -> None:
    asked = question("y^2 + x*y")
    where, _ = context(asked)
    before = dict(where.box)
    assert is_accepted(asked, cover([[1, "0"], 0, 0]), 1, 0) and dict(where.box) == before
