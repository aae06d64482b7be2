"""Known verdicts of scalar followers, many built to fool a prover that rounds, samples or forgets a domain."""

import math

import numpy as np
import pytest
import sympy
from programs import FREE, INF, LOWER, UPPER, facts, node, scalar_program, x, y, y1, y2, y3, z
from sympy import Abs, Rational, exp, log, sin, sqrt

from bileveldsl.calculus.functions import huber, maximum, relative_entropy, softplus, xlogx
from bileveldsl.certify.lower_level import certify
from bileveldsl.program import DomainCondition

CONVEX = {
    "square": (y**2, {}),
    "cube on [0, 1]": (y**3, {y: (0, 1)}),
    "quartic plus sine": (y**4 + 2 * y**2 + sin(y), {}),
    "nonnegative multiplier": (x * y**2, {x: (0, 1)}),
    "positive multiplier": (exp(x) * (y - x) ** 2, {}),
    "kinks": (Abs(y - x) + 2 * maximum(y, x), {}),
    "huber": (huber(y - x, 1), {}),
    "logistic": (softplus(y * x), {}),
    "log of exponentials": (log(exp(y1) + 3 * exp(y2 - x)), {}),
    "norm": (sqrt(y1**2 + (y2 - x) ** 2), {}),
    "quadratic over linear": (y1**2 / y2, {y2: (0, 5)}),
    "entropy": (xlogx(y), {}),
    "entropy written out": (y * log(y), {y: (0, INF)}),
    "relative entropy": (relative_entropy(y1, y2), {y1: (0, 3), y2: (0, 3)}),
    "reciprocal": (1 / y, {y: (0, 5)}),
    "barrier": (-log(1 - y**2), {y: (-1, 1)}),
    "cross terms": (y1**2 + y1 * y2 + y2**2, {}),
    "singular, coefficients without a float": ((y1**2 - 2 * y1 * y2 + y2**2) / 3, {}),
    "cross terms and a kink": (maximum(y1, y2) + y1**2 + y1 * y2 + y2**2, {}),
    "cross terms that depend on x": ((1 + x**2) * y1**2 + x * y1 * y2 + y2**2, {x: (-2, 2)}),
    "convex after its bounds": ((1 - y1) ** 2 + 100 * (y2 - y1**2) ** 2, {y1: (-2, -1), y2: (-2, -1)}),
    "power with an exponent of the leader": (y**x, {x: (1, 3), y: (0, 5)}),
    "affine": (x * y - 3, {}),
    "product to be multiplied out": (y * (y + x), {}),
    "negative multiplier of a product": ((x - 3) * (y + x) * (1 - y), {x: (0, 1)}),
    "half a turn, rounded down": (-sin(y), {y: (0, 3.14159265358)}),
}

NOT_CONVEX = {
    "negative by a hair": (-Rational(1, 10**11) * y**2, {}),
    "bent by a hair": (y + Rational(1, 10**11) * sin(y), {}),
    "a hair beside a kink": (Abs(y) - Rational(1, 10**11) * y**2, {}),
    "cube": (y**3, {}),
    "sign of x": (x * y**2, {x: (-1, 1)}),
    "difference of kinks": (Abs(y) - Abs(y - 1), {}),
    "cancellation": (10**16 * y**2 - (10**16 + 1) * y**2, {}),
    "product to be multiplied out": (-y * (y + 1), {}),
    "negative multiplier of a product": ((x - 3) * (y + x) * (y + 1), {x: (0, 1)}),
    "sine": (y**2 + 3 * sin(y) ** 2, {}),
    "indefinite": (y1**4 + y2**4 - 4 * y1 * y2, {}),
    "half a turn, rounded up": (-sin(y), {y: (0, 3.1415926536)}),
    "kink downwards": (exp(-sqrt(y**2 + y**4)), {y: (-1, 1)}),
    "logarithm of a square": (-log(y**2), {y: (-1, 1)}),
    "pole between": (y**-2, {}),
    "reciprocal of both signs": (1 / y, {}),
    "convex for most x": (sin(x) * y**2 + y**4, {x: (-3, 3)}),
    "three-halves of a square less 1": ((y**2 - 1) ** Rational(3, 2), {}),
    "only in x": (x**2 - y**2, {}),
    "Motzkin": (y1**4 * y2**2 + y1**2 * y2**4 - 3 * y1**2 * y2**2 + 1, {}),
}

MODULI = {  # the modulus and the Lipschitz constant of the gradient, None where there is none
    "toy": ((y - x) ** 2, {}, 2, 2),
    "scaled toy": (3 * (2 * y - x) ** 2, {}, 24, 24),
    "multiplier": (x * y**2, {x: (1, 2)}, 2, 4),
    "exponential multiplier": (exp(x) * y**2, {x: (-1, 1)}, 2 * math.exp(-1), 2 * math.e),
    "cross terms": (y1**2 + y1 * y2 + y2**2, {}, 1, 3),
    "chain": (y1**2 + y2**2 + y3**2 + y1 * y2 + y2 * y3, {}, 2 - math.sqrt(2), 2 + math.sqrt(2)),
    "sine": (y**2 + sin(y), {}, 1, 3),
    "hyperbolic cosine": (sympy.cosh(y), {}, 1, None),
    "exponential of a square": (exp(y**2), {}, 2, None),
    "logistic with ridge": (softplus(y) + y**2, {}, 2, 2.25),
    "huber with ridge": (huber(y, 1) + y**2 / 2, {}, 1, 2),
    "kink with ridge": (Abs(y - x) + (y - 1) ** 2, {}, 2, None),
    "quartic on an interval": (y**4 - y**2, {y: (1, 2)}, 10, 46),
    "parametric": ((1 + x**2) * y1**2 + x * y1 * y2 + y2**2, {x: (-2, 2)}, 1.52786404500042, None),
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_followers_are_proved_convex(name):
    formula, boxes = CONVEX[name]
    assert facts(scalar_program(formula, boxes))["convex"].verdict == "proved"


@pytest.mark.parametrize("name", NOT_CONVEX)
def test_no_other_follower_is_proved_convex(name):
    formula, boxes = NOT_CONVEX[name]
    found = facts(scalar_program(formula, boxes))
    assert found["convex"].verdict != "proved"
    assert found["strongly_convex"].verdict != "proved"
    assert found["convex"].why


@pytest.mark.parametrize("name", sorted(set(NOT_CONVEX) - {"three-halves of a square less 1"}))
def test_a_refutation_shows_its_point(name):
    formula, boxes = NOT_CONVEX[name]
    fact = facts(scalar_program(formula, boxes))["convex"]
    assert fact.verdict == "refuted"
    witness = fact.witness
    if "from" in witness:
        ends = [{sympy.Symbol(n, real=True): Rational(v) for n, v in witness[end].items()} for end in ("from", "to")]
        middle = {s: (ends[0][s] + ends[1][s]) / 2 for s in ends[0]}
        values = [sympy.N(formula.subs(point), 40) for point in (*ends, middle)]
        assert values[2] > (values[0] + values[1]) / 2
    else:
        point = {sympy.Symbol(n, real=True): Rational(v) for n, v in witness["point"].items()}
        own = [sympy.Symbol(n, real=True) for n in witness["direction"]]
        v = sympy.Matrix([Rational(c) for c in witness["direction"].values()])
        assert (v.T * sympy.hessian(formula, own) * v)[0].subs(point).evalf(40) < 0


@pytest.mark.parametrize("name", MODULI)
def test_constants_are_on_the_right_side_and_near(name):
    formula, boxes, mu, lipschitz = MODULI[name]
    found = facts(scalar_program(formula, boxes))
    strong, smooth = found["strongly_convex"], found["smooth"]
    assert strong.verdict == "proved"
    assert strong.constant <= mu * (1 + 1e-15) and strong.constant >= 0.98 * mu
    assert strong.constant_upper is None or strong.constant_upper >= mu * (1 - 1e-15)
    if lipschitz is None and not boxes:
        assert smooth.verdict == "refuted"
    elif lipschitz is not None:
        assert smooth.verdict == "proved"
        assert lipschitz * (1 - 1e-15) <= smooth.constant <= 1.02 * lipschitz
        assert smooth.constant_upper is None or smooth.constant_upper <= lipschitz * (1 + 1e-15)


def test_the_toy_is_exact():
    found = facts(scalar_program((y - x) ** 2, {x: (0, 10)}))
    for name in ("strongly_convex", "smooth"):
        assert (found[name].constant, found[name].constant_upper) == (2.0, 2.0)
    assert (found["pl"].verdict, found["pl"].constant) == ("proved", 2.0)
    assert found["convex"].scope == {"x": "box", "y": "all"}


def test_a_modulus_whose_infimum_is_zero_is_pointwise():
    fact = facts(scalar_program(exp(x) * y**2))["strongly_convex"]
    assert (fact.verdict, fact.constant, fact.scope["x"]) == ("proved", None, "pointwise")
    # Positive everywhere, but for no x bounded away from 0: this is not strong convexity, at any x.
    fact = facts(scalar_program(exp(x) * exp(y)))["strongly_convex"]
    assert (fact.verdict, fact.scope["x"]) == ("refuted", "box")


@pytest.mark.parametrize("formula", [x * y, y**4, xlogx(y), 1 / y + y, sqrt(1 + y**2), (y1 - y2) ** 2])
def test_what_is_only_convex_is_not_called_strongly_convex(formula):
    found = facts(scalar_program(formula, {y: (0, INF)} if formula.has(xlogx) or formula == 1 / y + y else {}))
    assert found["convex"].verdict == "proved"
    assert found["strongly_convex"].verdict != "proved"


def test_maximizing_turns_the_objective_over():
    assert facts(scalar_program(-(y**2), sense="maximize"))["strongly_convex"].constant == 2.0
    assert facts(scalar_program(y**2, sense="maximize"))["convex"].verdict == "refuted"


def test_facts_on_bounds_say_so_and_give_the_proximal_inequality():
    found = facts(scalar_program(y**2, {y: (0, 5)}))
    assert found["strongly_convex"].scope["y"] == "region"
    pl = found["pl"]
    assert (pl.verdict, pl.constant, pl.y, pl.witness) == ("proved", 2.0, "region", {"curvature": 2.0})
    assert "proximal" in pl.why
    assert facts(scalar_program(y**2, at_most_zero=[y - x]))["pl"].verdict == "unknown"


def test_a_condition_that_always_holds_restricts_nothing():
    condition = DomainCondition(node(1 + y**2), "> 0", LOWER)
    found = facts(scalar_program(log(1 + y**2), domain=[condition]))
    assert {fact.y for fact in found.values()} == {"all"}
    assert (found["pl"].verdict, found["pl"].rule) == ("refuted", "asymptotic")
    touched = DomainCondition(node(y**2), "> 0", LOWER)
    assert {fact.y for fact in facts(scalar_program(y**2, domain=[touched])).values()} == {"region"}


def test_a_domain_that_is_not_convex_leaves_nothing_proved():
    # y * (1/y) is 1, but only away from 0: what was written has a hole in its domain.
    condition = DomainCondition(node(y), "!= 0", LOWER)
    assert facts(scalar_program(y**2))["convex"].verdict == "proved"
    found = facts(scalar_program(y**2, domain=[condition]))
    assert {fact.verdict for fact in found.values()} == {"unknown"}
    assert "y != 0" in found["convex"].why
    # On y >= 0 the hole is at the end, and what the leader writes restricts only the leader.
    assert facts(scalar_program(y**2, {y: (0, 5)}, domain=[condition]))["convex"].verdict == "proved"
    of_leader = DomainCondition(node(y), "!= 0", UPPER)
    assert facts(scalar_program(y**2, domain=[of_leader]))["convex"].verdict == "proved"


def test_a_square_root_squared_holds_where_it_is_defined():
    condition = DomainCondition(node(y), ">= 0", LOWER)  # sympy turns sqrt(y)^2 into y
    found = facts(scalar_program(y**3, domain=[condition]))
    assert found["convex"].verdict == "proved"
    assert found["convex"].scope["y"] == "region"


def test_a_counterexample_must_be_feasible():
    # y^3 bends down only for y < 0, where the constraints leave nothing.
    assert facts(scalar_program(y**3, at_most_zero=[1 - y]))["convex"].verdict != "refuted"
    feasible = facts(scalar_program(y**3, at_most_zero=[y + x - 5]))["convex"]
    assert feasible.verdict == "refuted"
    assert feasible.witness["point"]["y"] + feasible.witness["point"]["x"] < 5


def test_strong_convexity_refuted_where_it_vanishes():
    assert facts(scalar_program((y1 - y2) ** 2 + x))["strongly_convex"].verdict == "refuted"
    assert facts(scalar_program(y * x))["strongly_convex"].verdict == "refuted"
    assert facts(scalar_program(y**4))["strongly_convex"].verdict == "refuted"


CONSTRAINTS = {
    "disc": (y1**2 + y2**2 + y1 * y2 - x, "proved"),
    "half-space that turns with x": (x * y1 + sin(x) * y2 - 1, "proved"),
    "outside of a disc": (1 - y1**2 - y2**2, "refuted"),
    "product": (1 - y1 * y2, "refuted"),
    "logarithm": (1 - log(y1), "proved"),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name):
    constraint, verdict = CONSTRAINTS[name]
    made = scalar_program(y1**2 + y2**2, at_most_zero=[constraint])
    found = {f.of: f for f in certify(made) if f.fact == "convex"}
    assert found["c0"].verdict == verdict
    assert found["lower.feasible_set"].verdict == ("proved" if verdict == "proved" else "unknown")


@pytest.mark.parametrize(
    ("constraint", "verdict", "constant", "rule"),
    [
        (y1**2 + y2**2 + y1 * y2 - x, "proved", 3.0, "hessian"),
        (sin(y1) + y2**2 - 1, "proved", 2.0, "hessian"),
        (huber(y1, 1) - 1, "proved", 1.0, "hessian"),
        (y1**4 - 1, "refuted", None, "steep"),
        (Abs(y1) - 1, "refuted", None, "kink"),
    ],
)
def test_the_gradient_of_a_constraint_changes_at_most_with_a_constant(constraint, verdict, constant, rule):
    found = certify(scalar_program(y1**2 + y2**2, at_most_zero=[constraint]))
    [fact] = [f for f in found if f.of == "c0" and f.fact == "smooth"]
    assert (fact.verdict, fact.rule) == (verdict, rule) and fact.proof is not None
    assert fact.constant == (None if constant is None else pytest.approx(constant, rel=1e-4))
    assert constant is None or fact.constant >= constant


def test_nothing_is_said_of_how_the_gradient_of_an_affine_constraint_changes():
    found = certify(scalar_program(y1**2 + y2**2, at_most_zero=[sin(x) * y1 + y2 - 1]))
    assert [f.fact for f in found if f.of == "c0"] == ["convex"]


def test_integers_have_no_convex_feasible_set():
    made = scalar_program(y**2, {y: (0, 3)})
    object.__setattr__(made.lower[0].variables[0], "kind", "integer")
    found = {(f.of, f.fact): f.verdict for f in certify(made)}
    assert found["lower.objective", "convex"] == "proved"
    assert found["lower.feasible_set", "convex"] == "unknown"


def test_a_counterexample_has_whole_numbers_where_the_model_wants_them():
    # x (x - 1) y^2 vanishes for x in {0, 1} and bends down between; x is whole.
    assert facts(scalar_program((x**2 - x) * y**2, {x: (0, 1)}))["convex"].verdict == "refuted"
    made = scalar_program((x**2 - x) * y**2, {x: (0, 1)})
    object.__setattr__(made.upper.variables[0], "kind", "binary")
    assert facts(made)["convex"].verdict == "unknown"


def test_facts_are_json():
    import json

    for fact in certify(scalar_program(x * y**2, {x: (-1, 1)})):
        written = json.loads(json.dumps(fact.to_json(), allow_nan=False))
        assert set(written) == {
            "of", "fact", "verdict", "constant", "constant_upper", "scope", "rule", "why", "witness",
        }  # fmt: skip


def test_unused_symbols_do_not_matter():
    assert facts(scalar_program((y - z) ** 2, {z: FREE}))["strongly_convex"].constant == 2.0
    assert np.isfinite(facts(scalar_program((y - z) ** 2))["smooth"].constant)
