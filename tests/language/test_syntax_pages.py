"""The pages on syntax say what happens: each example is refused with its code, and each fix is not."""

import re
from pathlib import Path

import pytest

from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.pages import codes, page
from bileveldsl.language.parse import parse

SYNTAX = [code for code in codes() if code.startswith("E1")]
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def diagnose(text):
    """The codes of a model's diagnostics."""
    try:
        parse(Source("example.blv", text))
    except BlvError as error:
        return [diagnostic.code for diagnostic in error.diagnostics]
    return []


def execute(text):
    """The codes of the diagnostics that a script raises."""
    try:
        exec(text, {})
    except BlvError as error:
        return [diagnostic.code for diagnostic in error.diagnostics]
    return []


def written(code) -> str:
    return page(code) or ""


def example_and_fix(code):
    example, fix = written(code).split("## Example")[1].split("## Fix")
    return FENCE.findall(example), FENCE.findall(fix)


@pytest.mark.parametrize("code", SYNTAX)
def test_a_page_has_a_title_a_reason_an_example_and_its_fix(code):
    assert re.match(rf"# {code}: [^\n]*[^.\n]\n\n[\w`]", written(code))
    ((example_kind, example),), ((fix_kind, fix),) = example_and_fix(code)
    assert example_kind == fix_kind and example != fix
    match example_kind:
        case "blv":
            assert (diagnose(example), diagnose(fix)) == ([code], [])
        case "python":
            assert (execute(example), execute(fix)) == ([code], [])
        case "console":  # about files; what they show is tested with `load_source`
            assert f"error[{code}]" in example and code not in fix


def test_every_code_of_the_syntax_has_a_page_and_every_page_a_code():
    folder = Path(parse.__code__.co_filename).parent
    text = "".join(module.read_text(encoding="utf-8") for module in folder.glob("*.py"))
    assert sorted(set(re.findall(r'"(E1\d\d)"', text))) == SYNTAX


def test_a_code_is_found_in_any_case_and_nothing_else_is():
    assert page("e120") == page("E120") != page("E121")
    for unknown in ("", "E999", "E12", "../explain/E120", "E120.md", "E120\n"):
        assert page(unknown) is None


def test_codes_are_in_order():
    assert codes() == sorted(codes()) and "E120" in codes()
