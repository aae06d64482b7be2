"""The backend follows from what is proved, and what no backend takes is refused by name, never dropped."""

import pytest

from bileveldsl import Model, loads, registry
from bileveldsl.backend import Capabilities, RawPoint, why_not
from bileveldsl.certify.facts import Fact
from bileveldsl.certify.lower_level import certify
from bileveldsl.choose import choose
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.reduce import REDUCTIONS, reduce_program
from bileveldsl.solve import explain, explain_program, solve, solve_with

TOY = """model toy
upper { var x in [0, 10] start 1; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize (y - x)^2 }
"""
NONCONVEX = TOY.replace("(y - x)^2", "(y - x)^2 * (y + x)^2 + y")
CONVEX = TOY.replace("(y - x)^2", "exp(y - x) - y")
WIDE = """model m
dim n = 14
upper { var x in [0, 9]; minimize (x - 3)^2 + sumsq(w) }
lower { var w[n]; minimize sum(exp(w[i] - x) - w[i] for i in n); assume strongly_convex }"""
BEYOND = {
    "the follower has constraints (cap, floor)": TOY.replace("(y - x)^2", "(y - x)^2; cap: y <= 1; floor: x + y >= 0"),
    "the follower has constraint (c1)": TOY.replace("(y - x)^2", "(y - x)^2; x*y <= 1"),
    "the follower has bounds (y)": TOY.replace("var y", "var y in [0, 5]"),
    "the upper level has constraint (budget)": TOY.replace("(y - 1)^2", "(y - 1)^2; budget: x + y <= 3"),
    "there are integer variables (x)": TOY.replace("var x", "var x : integer"),
    "there are integer variables (x, y)": TOY.replace("var x in [0, 10] start 1", "var x : binary").replace(
        "var y", "var y : integer"
    ),
    "the follower has pessimistic ties": TOY.replace("(y - x)^2", "exp(y - x) - y; ties pessimistic"),
    "the model uses abs": TOY.replace("(y - 1)^2", "abs(y - 1)"),
}


@pytest.fixture
def local_methods(monkeypatch):
    """Nothing but the two local methods, as where no solver is installed."""
    known = (registry.get("implicit"), registry.get("f2ba"))
    monkeypatch.setattr(registry, "backends", lambda: known)
    return known


def refusal(call, *arguments, **settings):
    with pytest.raises(BlvError) as caught:
        call(*arguments, **settings)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize(
    ("text", "backend", "reason"),
    [
        (TOY, "implicit", "lower level strongly convex (mu = 2, proved)"),
        (CONVEX, "f2ba", "lower level convex (proved)"),
        (NONCONVEX, "f2ba", "nothing is proved about the convexity of lower level"),
        (WIDE, "implicit", "lower level strongly convex (assumed)"),
    ],
)  # fmt: skip
def test_the_facts_lead_to_the_backend_and_the_reason_says_so(local_methods, text, backend, reason):
    found = explain(loads(text))
    assert (found.backend, found.reason, found.path) == (backend, reason, ("Program", backend))
    (other,) = [why for name, why in found.others if name in ("implicit", "f2ba")]
    if backend == "implicit":
        assert other == "admissible; implicit is preferred"
    else:
        assert "implicit needs `strongly_convex` of lower.objective" in other


def test_whatever_is_assumed_is_named(local_methods):
    facts = [Fact("lower.objective", "convex", "proved"), Fact("lower.objective", "pl", "assumed", 1.0)]
    assert explain_program(loads(CONVEX).program(), facts).reason == "lower level convex (proved), pl assumed"
    assert explain_program(loads(CONVEX).program(), facts[1:]).reason == "lower level PL (mu = 1, assumed)"
    between = [Fact("lower.objective", "pl", "proved", 1.0, y="region", witness={"curvature": 2.0})]
    reason = explain_program(loads(CONVEX).program(), between).reason
    assert reason == "lower level PL between its bounds (mu = 1, proved)"


def test_several_followers_are_one_to_the_backends(local_methods):
    found = explain(loads(TOY + "lower second { var z; minimize (z - x)^2 / 3 }"))
    assert found.path == ("Program", "several followers to one", "implicit")
    assert found.reason == "followers strongly convex (mu = 0.666666, proved)"


PESSIMISTIC = BEYOND["the follower has pessimistic ties"]


def test_a_model_that_truly_no_backend_takes_is_refused_by_all():
    """A follower that may have several best answers, of which the leader gets the worst."""
    found = explain(loads(PESSIMISTIC))
    assert found.backend is None and found.fallbacks == ()
    assert {name for name, _ in found.others} == {backend.name for backend in registry.backends()}
    assert all(why for _, why in found.others)
    diagnostic = refusal(solve, loads(PESSIMISTIC))
    assert diagnostic.code == "E607" and "assumes optimistic ties" in diagnostic.help


# ---- global searches, and what follows them -------------------------------------------------


class Stub:
    """A backend of the given name that takes every model."""

    summary, options = "a stub", ()

    def __init__(self, name, evidence, missing=None):
        self.name, self.missing = name, missing
        self.capabilities = Capabilities(follower="constrained", evidence=evidence)

    def available(self):
        return self.missing

    def admits(self, program, facts):
        return None


@pytest.fixture
def registered(monkeypatch):
    """Make these the backends that are built in."""

    def register(*backends):
        named = {backend.name: backend for backend in backends}
        monkeypatch.setattr(registry, "backends", lambda: tuple(named.values()))
        monkeypatch.setattr(registry, "get", named.__getitem__)
        monkeypatch.setattr(registry, "BUILT_IN", dict.fromkeys(named, ""))

    return register


LARGE = TOY.replace("var x in [0, 10] start 1", "var x[300] in [0, 10]").replace(
    "(x - 3)^2", "sumsq(x - 3)").replace("(y - x)^2", "(y - sum(x))^2")  # fmt: skip


@pytest.mark.parametrize(("text", "order"), [(TOY, ("scip", "implicit")), (LARGE, ("implicit",))])
def test_small_models_are_searched_for_the_global_optimum_first_and_large_ones_are_not(registered, text, order):
    registered(Stub("implicit", "local"), Stub("scip", "global"))
    found = explain(loads(text))
    assert (found.backend, *found.fallbacks) == order
    assert found.path[-1] == order[0]
    other = {"scip": "implicit", "implicit": "scip"}[order[0]]
    assert dict(found.others) == {other: f"admissible; {order[0]} is preferred"}


def test_a_search_is_followed_by_one_more_search_and_one_local_method(registered):
    local = [Stub(name, "local") for name in ("implicit", "kkt", "f2ba")]
    registered(*local, Stub("scip", "global"), Stub("milp", "global"))
    found = explain(loads(TOY))
    assert (found.backend, *found.fallbacks) == ("milp", "scip", "implicit")


def test_a_local_method_is_followed_by_another_and_never_by_a_search_that_is_not_installed(registered):
    registered(Stub("implicit", "local"), Stub("f2ba", "local"), Stub("scip", "global", "pip install scip"))
    found = explain(loads(TOY))
    assert (found.backend, found.fallbacks) == ("implicit", ("f2ba",))
    assert dict(found.others)["scip"] == "pip install scip"


def test_a_backend_asked_for_by_name_has_no_successor(registered):
    registered(Stub("implicit", "local"), Stub("f2ba", "local"), Stub("scip", "global"))
    for name in ("implicit", "f2ba", "scip"):
        assert explain(loads(TOY), name).fallbacks == ()


def test_the_choice_heeds_the_engine_and_the_options_that_are_given():
    program = loads(TOY).program()
    reduced = reduce_program(program, REDUCTIONS, certify(program))
    found = choose(reduced, engine="jax")
    assert found.backend == "implicit"
    if "scip" in {backend.name for backend in registry.backends() if backend.available() is None}:
        assert dict(found.others)["scip"] == "it does not run with jax"
        assert choose(reduced, options=["follower_gap", "no option of any"]).backend == "scip"
    found = choose(reduced, options=["sigma"])
    assert found.backend == "f2ba" and dict(found.others)["implicit"] == "it has no option sigma"


def test_every_backend_is_either_chosen_or_told_why_not():
    names = {backend.name for backend in registry.backends()}
    for text in (TOY, *BEYOND.values()):
        found = explain(loads(text))
        assert {name for name, why in found.others if why} | ({found.backend} - {None}) == names


@pytest.mark.parametrize("words", BEYOND)
def test_a_model_that_no_backend_takes_is_refused_with_every_reason(local_methods, words):
    model = loads(BEYOND[words])
    diagnostic = refusal(solve, model)
    assert diagnostic.code == "E607"
    assert f"implicit: {words}" in diagnostic.help
    assert all(f"{backend.name}: " in diagnostic.help for backend in registry.backends())
    found = explain(model)
    assert found.backend is None and found.path == ("Program",)
    assert words in dict(found.others)["implicit"]


@pytest.mark.parametrize("name", ["f2ba", "implicit"])
@pytest.mark.parametrize("words", BEYOND)
def test_a_backend_asked_for_by_name_refuses_with_the_reason(name, words):
    model = loads(BEYOND[words])
    diagnostic = refusal(solve, model, name)
    assert diagnostic.code == "E606"
    assert diagnostic.message == f"{name} does not accept this model" and words in diagnostic.label
    assert diagnostic.span is not None and diagnostic.span.text.startswith("lower")
    found = explain(model, name)
    assert found.backend is None and words in found.reason
    assert name not in dict(found.others)


def test_a_backend_given_as_an_object_refuses_as_well():
    for words, text in BEYOND.items():
        diagnostic = refusal(solve_with, loads(text), registry.get("implicit"))
        assert diagnostic.code == "E606" and words in diagnostic.label


def test_a_backend_asked_for_by_name_is_used():
    found = explain(loads(TOY), "f2ba")
    assert found.backend == "f2ba" and found.reason.startswith("asked for by name; lower level strongly convex")
    assert dict(found.others)["implicit"] == "admissible; not asked for"
    assert solve(loads(TOY), "f2ba").backend == "f2ba"
    assert solve(loads(TOY + 'options { backend = "f2ba" }')).backend == "f2ba"
    assert solve(loads(TOY + 'options { backend = "f2ba" }'), "implicit").backend == "implicit"


def test_a_solve_by_name_asks_no_other_backend_and_explain_does(registered):
    asked = []

    class Asked(Stub):
        def admits(self, program, facts):
            asked.append(self.name)

    registered(Asked("implicit", "local"), Asked("f2ba", "local"), Asked("scip", "global"))
    program = loads(TOY).program()
    reduced = reduce_program(program, REDUCTIONS, certify(program))
    assert choose(reduced, "scip").backend == "scip" and asked == ["scip"]
    asked.clear()
    assert dict(explain(loads(TOY), "scip").others).keys() == {"implicit", "f2ba"}
    assert sorted(asked) == ["f2ba", "implicit", "scip"]


def test_a_name_that_is_no_backend_is_said():
    assert refusal(explain, loads(TOY), "implict").code == "E601"
    assert refusal(solve, loads(TOY), "implict").code == "E601"


class Other:
    """A plugin that takes constraints and returns the start."""

    name = "other"
    summary = "a plugin"
    capabilities = Capabilities(follower="constrained", upper_constraints=True)
    options = ()

    def __init__(self, missing=None):
        self.missing = missing

    def available(self):
        return self.missing

    def admits(self, program, facts):
        return why_not(self.name, self.capabilities, program, facts)

    def solve(self, problem, options, monitor):
        return RawPoint(problem.x_start, problem.y_start, "converged", "")


@pytest.mark.parametrize(("missing", "chosen"), [(None, "other"), ("pip install other", None)])
def test_a_plugin_is_chosen_where_it_alone_accepts_and_only_where_it_can_run(
    monkeypatch, local_methods, missing, chosen
):
    every = (Other(missing), *local_methods)
    monkeypatch.setattr(registry, "backends", lambda: every)
    monkeypatch.setattr(registry, "get", {backend.name: backend for backend in every}.__getitem__)
    found = explain(loads(BEYOND["the follower has constraints (cap, floor)"]))
    assert found.backend == chosen
    if missing:
        assert dict(found.others)["other"] == missing
    assert explain(loads(TOY)).backend == "implicit"  # built-in backends are preferred


def test_a_follower_with_a_name_is_called_by_it():
    m = Model("named")
    x = m.upper.var("x", between=(0, 1))
    follower = m.follower("market")
    y = follower.var("y")
    m.upper.minimize((x - y) ** 2)
    follower.minimize((y - x) ** 2)
    assert explain(m).reason == "follower market strongly convex (mu = 2, proved)"
    assert m.solve("implicit").lower[0].name == "market"
