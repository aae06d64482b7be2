"""Bounds of Hessians by sums of squares: the best constants are reached, and every proof is accepted by the checker."""

import json
import time
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq

import bileveldsl as blv
from bileveldsl.certify.check.goals import bend
from bileveldsl.certify.check.reading import read
from bileveldsl.certify.check.region import context_of
from bileveldsl.certify.check.terms import Rejected
from bileveldsl.certify.scalars import evaluate, hessian
from bileveldsl.certify.sos import best_modulus, best_smoothness, prove_bend
from bileveldsl.certify.statement import Question, statement


def ask(upper, lower, objective, seconds=20.0):
    """The question about a follower's objective."""
    declared = [" ".join(f"var {name};" for name in names.split("; ")) for names in (upper, lower)]
    text = f"upper {{ {declared[0]} minimize x }}\nlower {{ {declared[1]} minimize {objective} }}"
    found = statement(blv.loads(text).program())
    return Question(found, found.functions["lower.objective"], found.own("lower"), "lower", time.monotonic() + seconds)


def accepted(question, sign, shift, proof):
    """Whether the checker, which is given texts alone, accepts a proof."""
    whole = json.loads(json.dumps(question.statement.to_json()))
    problem = read(whole)
    root = problem.functions["lower.objective"]
    context = context_of(problem, question.own, [root])
    try:
        bend(context, root, question.own, sign, fmpq(shift.numerator, shift.denominator), json.loads(json.dumps(proof)))
    except Rejected:
        return False
    return True


CASES = [
    # variables of the upper and the lower level, the objective, its modulus and its constant of smoothness
    ("x", "y, z", "(1 + x^2)*y^2 + x*y*z + z^2", "3/2", None),
    ("x", "y, z", "y^4 + z^4 + y^2*z^2", "0", None),
    ("x", "y, z", "(y - x)^2 + (z - x^2)^4", "0", None),
    ("x", "y, z", "(y - x)^2 + 3*(z + y)^2", None, None),
    ("x in [0, 50]", "y in [0, 50]", "x*y^2 + y^3", "0", "400"),
    ("x in [1, 3]", "y", "y^4 + x*y^2", "2", None),
    ("x", "y; z in [0.5, 4]", "y^2/z", "0", None),
    ("x", "y in [0.5, 4]", "1/y", "1/32", "16"),
    ("x in [1, 2]", "y in [1, 2]", "2*y^2 + 1/(1 + 1/y)", "15/4", None),
    ("x", "y", "log(1 + y^2) + y^2", "7/4", "4"),
    ("x", "y", "1/(1 + y^2) + y^2", "0", "5/2"),
    ("x in [1, 2]", "y, z", "exp(x - 1)*y^2 + z^2", "2", None),
    ("x", "y", "sin(x)*y^2 + 2*y^2 + y^4", "2", None),
    ("x in [3, 3]", "y in [-1, 2]", "x*y^2 + y^4/12", "6", "10"),
    ("x", "y, z", "(y + z + x)^6", "0", None),
    ("x", "y, z", "(x*y + z - 1)^4 + (y - x)^2 + z^6", "0", None),
    ("x", "y", "softplus(y) + 3*y^2", "6", "25/4"),
    ("x in [0, 2]", "y; z in [-2, 2]", "x*atan(y)*z/2 + 2*y^2 + 2*z^2", None, None),
    ("x", "y, z", "(1 + x^2)*(y^2 + z^2) + 2*x*y*z", "3/2", None),
    ("x", "y", "y^3 - log(y)", None, None),
    ("x", "y, z", "x*y + z", "0", "0"),
    ("x", "y, z", "x*y + z^2", "0", "2"),
]


@pytest.mark.parametrize(("upper", "lower", "objective", "modulus", "smoothness"), CASES)
def test_the_best_constants_are_reached(upper, lower, objective, modulus, smoothness):
    question = ask(upper, lower, objective)
    convex = prove_bend(question, 1, Fraction(0))
    assert convex is not None and accepted(question, 1, Fraction(0), convex)
    mu, proof = best_modulus(question)
    assert modulus is None or mu == Fraction(modulus)
    assert accepted(question, 1, -mu, proof)
    assert not accepted(question, 1, -mu - Fraction(1, 10**9), proof)
    found = best_smoothness(question)
    if smoothness is not None:
        assert found is not None and found[0] == Fraction(smoothness)
    if found is not None:
        size, both = found
        assert accepted(question, 1, size, both["below"]) and accepted(question, -1, size, both["above"])
        least = size - Fraction(1, 10**9)
        assert not (accepted(question, 1, least, both["below"]) and accepted(question, -1, least, both["above"]))


@pytest.mark.parametrize(
    ("upper", "lower", "objective"),
    [
        ("x", "y, z", "y^4 + z^4 - 4*y*z"),
        ("x", "y, z", "y^4*z^2 + y^2*z^4 - 3*y^2*z^2 + 1"),
        ("x in [-1, 1]", "y", "x*y^2"),
        ("x", "y, z", "y^2 + 2.00000000001*y*z + z^2"),
        ("x", "y", "-0.00000000004*y^2 + y^4"),
        ("x in [0, 1]", "y in [-0.00000000001, 1]", "y^3"),
        ("x", "y", "log(1 + y^2)"),
        ("x", "y in [-2, 2]", "1/(1 + y^2)"),
    ],
)
def test_what_is_not_convex_is_never_proved(upper, lower, objective):
    question = ask(upper, lower, objective)
    assert prove_bend(question, 1, Fraction(0)) is None
    assert best_modulus(question) is None


def test_functions_that_are_no_polynomials_of_bounded_nodes_are_left_to_others():
    assert prove_bend(ask("x", "y", "abs(y)"), 1, Fraction(0)) is None
    assert prove_bend(ask("x", "y, z", "(y + z + x)^40"), 1, Fraction(0)) is None


def test_a_separable_function_of_many_variables_is_taken_apart():
    names = [f"y{k}" for k in range(12)]
    question = ask("x", ", ".join(names), " + ".join(f"{name}^4 + {k + 1}*{name}^2" for k, name in enumerate(names)))
    mu, proof = best_modulus(question)
    assert mu == 2 and len(proof["parts"]) == 12 and accepted(question, 1, -mu, proof)


def test_a_global_proof_needs_no_bounds():
    question = ask("x in [-1, 1]", "y in [-1, 1]; z in [-1, 1]", "(1 + x^2)*y^2 + x*y*z + z^2")
    proof = prove_bend(question, 1, Fraction(-3, 2))
    assert not any(block["multiplier"] for part in proof["parts"] for block in part["blocks"])


def test_a_condition_of_the_domain_may_be_used():
    question = ask("x", "y", "(x + y)^3 - log(x + y)")
    assert [c.relation for c in question.statement.conditions] == ["> 0"]
    proof = prove_bend(question, 1, Fraction(0))
    assert proof["parts"][0]["sides"] == [["condition", 0]] and accepted(question, 1, Fraction(0), proof)


@pytest.mark.parametrize("seed", range(6))
def test_random_quartics_on_boxes_have_no_smaller_eigenvalue(seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-3, 4, 8)
    objective = (f"{abs(a[0])}*y^4 + {abs(a[1])}*z^4 + {a[2]}*y^2*z^2 + {a[3]}*x*y*z + {a[4]}*y^3 + {a[5]}*x*z^2"
                 f" + {a[6]}*y*z + 9*y^2 + 9*z^2")  # fmt: skip
    question = ask("x in [-1, 1]", "y in [-1, 1]; z in [0, 2]", objective)
    found = best_modulus(question)
    points = rng.uniform(question.lo, question.hi, (20_000, 3))
    matrix = np.zeros((len(points), 2, 2))
    for (i, j), entry in hessian(question.root, question.own).items():
        matrix[:, i, j] = matrix[:, j, i] = evaluate([entry], points)[0]
    least = np.linalg.eigvalsh(matrix)[:, 0].min()
    if found is None:
        assert least < 0.5
    else:
        assert float(found[0]) <= least < float(found[0]) + 0.5
        assert accepted(question, 1, -found[0], found[1])
