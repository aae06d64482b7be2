"""Built-in backends come first and cannot be replaced; a broken plugin harms nobody else."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from bileveldsl import registry
from bileveldsl.backend import Backend, Capabilities
from bileveldsl.language.diagnostics import BlvError


class Mine:
    name = "mine"
    summary = "a plugin"
    capabilities = Capabilities(follower="unconstrained")
    options = ()

    def available(self):
        return None

    def admits(self, program, facts):
        return None

    def solve(self, problem, options, monitor):
        raise NotImplementedError


class Missing(Mine):
    name = "missing"

    def available(self):
        return "pip install missing-solver"


@pytest.fixture
def plugins(monkeypatch):
    """Offer entry points as if packages had been installed."""
    module = ModuleType("a_plugin")
    module.Mine, module.Missing, module.no_backend, module.fails = Mine, Missing, dict, lambda: 1 / 0
    module.Late = type("Late", (Mine,), {"available": lambda self: 1 / 0})
    module.Vague = type("Vague", (Mine,), {"capabilities": None})
    monkeypatch.setitem(sys.modules, "a_plugin", module)

    def offer(**targets):
        points = [EntryPoint(name, target, registry.GROUP) for name, target in targets.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)

    return offer


def refusal(name):
    with pytest.raises(BlvError) as caught:
        registry.get(name)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def test_the_backends_built_in_are_there_under_their_names():
    for name in registry.BUILT_IN:
        backend = registry.get(name)
        assert isinstance(backend, Backend)
        assert backend.name == name
        assert backend.available() is None


def test_names_are_listed_without_importing_a_backend(plugins):
    plugins(mine="a_module_that_is_not_there:Mine")
    assert [entry.name for entry in registry.entries()] == [*registry.BUILT_IN, "mine"]


def test_a_plugin_is_found_by_its_name(plugins):
    plugins(mine="a_plugin:Mine")
    assert isinstance(registry.get("mine"), Mine)
    assert [backend.name for backend in registry.backends()] == [*registry.BUILT_IN, "mine"]
    assert registry.shadowed() == ()


def test_a_plugin_cannot_take_the_place_of_a_built_in_backend(plugins):
    plugins(f2ba="a_plugin:Mine")
    assert type(registry.get("f2ba")).__module__ == "bileveldsl.backends.f2ba"
    (warning,) = registry.shadowed()
    assert (warning.code, warning.severity) == ("W601", "warning")
    assert "`f2ba`" in warning.message


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("a_module_that_is_not_there:Mine", "ModuleNotFoundError"),
        ("a_plugin:Nothing", "AttributeError"),
        ("a_plugin:fails", "ZeroDivisionError"),
        ("a_plugin:Late", "ZeroDivisionError"),
        ("a_plugin:Vague", "AttributeError"),
        ("a_plugin:no_backend", "not the attributes"),
        ("a_plugin:Missing", "calls itself 'missing'"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_stay(plugins, target, words):
    plugins(mine=target)
    diagnostic = refusal("mine")
    assert diagnostic.code == "E603"
    assert words in diagnostic.message
    assert [backend.name for backend in registry.backends()] == [*registry.BUILT_IN]


def test_a_backend_that_lacks_something_says_how_to_get_it(plugins):
    plugins(missing="a_plugin:Missing")
    diagnostic = refusal("missing")
    assert diagnostic.code == "E602"
    assert diagnostic.help == "pip install missing-solver"


def test_an_unknown_name_gets_a_suggestion():
    diagnostic = refusal("f2b")
    assert diagnostic.code == "E601"
    assert 'did you mean "f2ba"' in diagnostic.help
