"""The pages on backends, solutions and certificates: each example is refused with its code, each fix is not."""

import re
import sys
import tomllib
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest

from bileveldsl import registry
from bileveldsl.language.diagnostics import BlvError

PAGES = {
    page.name.removesuffix(".md"): page.read_text(encoding="utf-8")
    for page in files("bileveldsl.language").joinpath("explain").iterdir()
    if page.name[1] == "6" or page.name == "E503.md"
}
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def example_and_fix(code):
    (example,), (fix,) = map(FENCE.findall, PAGES[code].split("## Example")[1].split("## Fix"))
    return example, fix


@pytest.mark.parametrize("code", sorted(PAGES))
def test_a_page_has_its_code_a_reason_an_example_and_a_fix(code):
    assert re.match(rf"# {code}: \S.+\n\n\S", PAGES[code])
    example, fix = example_and_fix(code)
    assert example != fix


@pytest.mark.parametrize("code", sorted(code for code in PAGES if example_and_fix(code)[0][0] == "python"))
def test_the_example_is_refused_and_the_fix_is_not(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (_, example), (_, fix) = example_and_fix(code)
    with pytest.raises(BlvError) as caught:
        exec(example, {})
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]
    exec(fix, {})


def test_the_page_on_missing_packages(monkeypatch):
    (_, example), _ = example_and_fix("E602")
    monkeypatch.setitem(sys.modules, "jax", None)
    from bileveldsl.execute.engine import jax_engine

    with pytest.raises(BlvError) as caught:
        jax_engine.__wrapped__()
    (diagnostic,) = caught.value.diagnostics
    assert f"error[{diagnostic.code}]: {diagnostic.message}" in example


def test_the_page_on_plugins_that_are_ignored(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_plugin", ModuleType("my_plugin"))
    for (_, text), codes in zip(example_and_fix("W601"), (["W601"], []), strict=True):
        ((group, offered),) = tomllib.loads(text)["project"]["entry-points"].items()
        points = [EntryPoint(name, target, group) for name, target in offered.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group, points=points: points)
        assert [warning.code for warning in registry.shadowed()] == codes


def test_every_code_has_a_page_and_every_page_a_code():
    package = Path(registry.__file__).parent
    text = "".join(module.read_text(encoding="utf-8") for module in package.rglob("*.py"))
    assert sorted(set(re.findall(r'"(E503|[EW]6\d\d)"', text))) == sorted(PAGES)
