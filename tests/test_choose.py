"""The backend follows from what is proved, and what no backend takes is refused by name, never dropped."""

import pytest

from bileveldsl import Model, loads, registry
from bileveldsl.backend import Capabilities, RawPoint, why_not
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.solve import explain, solve, solve_with

TOY = """model toy
upper { var x in [0, 10] start 1; minimize (x - 3)^2 + (y - 1)^2 }
lower { var y; minimize (y - x)^2 }
"""
NONCONVEX = TOY.replace("(y - x)^2", "(y - x)^2 * (y + x)^2 + y")
CONVEX = TOY.replace("(y - x)^2", "exp(y - x) - y")
BEYOND = {
    "the follower has constraints (cap, floor)": TOY.replace("(y - x)^2", "(y - x)^2; cap: y <= 1; floor: x + y >= 0"),
    "the follower has constraint (c1)": TOY.replace("(y - x)^2", "(y - x)^2; x*y <= 1"),
    "the follower has bounds (y)": TOY.replace("var y", "var y in [0, 5]"),
    "the upper level has constraint (budget)": TOY.replace("(y - 1)^2", "(y - 1)^2; budget: x + y <= 3"),
    "there are integer variables (x)": TOY.replace("var x", "var x : integer"),
    "there are integer variables (x, y)": TOY.replace("var x in [0, 10] start 1", "var x : binary").replace(
        "var y", "var y : integer"
    ),
    "there are 2 followers (lower, second); implicit accepts one": TOY + "lower second { var z; minimize (z - x)^2 }",
    "the model uses abs": TOY.replace("(y - 1)^2", "abs(y - 1)"),
}


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
        (CONVEX.replace("- y }", "- y; assume strongly_convex }"), "implicit", "lower level strongly convex (assumed)"),
    ],
)  # fmt: skip
def test_the_facts_lead_to_the_backend_and_the_reason_says_so(text, backend, reason):
    found = explain(loads(text))
    assert (found.backend, found.reason, found.path) == (backend, reason, ("Program", backend))
    (other,) = [why for name, why in found.others if name in ("implicit", "f2ba")]
    if backend == "implicit":
        assert other == "admissible; implicit is preferred"
    else:
        assert "implicit needs `strongly_convex` of lower.objective" in other


def test_every_backend_is_either_chosen_or_told_why_not():
    names = {backend.name for backend in registry.backends()}
    for text in (TOY, *BEYOND.values()):
        found = explain(loads(text))
        assert {name for name, why in found.others if why} | ({found.backend} - {None}) == names


@pytest.mark.parametrize("words", BEYOND)
def test_a_model_that_no_backend_takes_is_refused_with_every_reason(words):
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
    words = words.replace("implicit", name)
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
def test_a_plugin_is_chosen_where_it_alone_accepts_and_only_where_it_can_run(monkeypatch, missing, chosen):
    known = registry.backends()
    monkeypatch.setattr(registry, "backends", lambda: (Other(missing), *known))
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
    assert m.solve().lower[0].name == "market"
