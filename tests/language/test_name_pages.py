"""Every diagnostic code has a page, and the pages on names and shapes say what happens."""

import re
from pathlib import Path

import pytest

import bileveldsl as blv
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.language.pages import codes, page

PACKAGE = Path(blv.__file__).parent
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def said_of(text):
    """The codes of all diagnostics of a model."""
    try:
        return [d.code for d in blv.loads(text).program().warnings]
    except BlvError as error:
        return [d.code for d in error.diagnostics]


@pytest.mark.parametrize("code", [c for c in codes() if re.match(r"E2[0-4]|E3|W3", c)])
def test_the_example_has_the_code_and_the_fix_has_not(code):
    text = page(code)
    assert text is not None and text.startswith(f"# {code}: ")
    (language, example), (_, fix) = FENCE.findall(text)
    if language != "blv":
        return
    assert said_of(example) == [code]
    assert code not in said_of(fix)
    assert not [c for c in said_of(fix) if c.startswith("E")]


def test_codes_and_pages_match_one_to_one():
    used = set()
    for root in (PACKAGE, *map(Path, blv.__path__[1:])):
        for file in (
            root.rglob("*.py") if root == PACKAGE else [*root.glob("backends/*.py"), *root.glob("grammar/*.py")]
        ):
            used |= set(re.findall(r'"([EW]\d{3})"', file.read_text(encoding="utf-8")))
    assert used - set(codes()) == set(), "codes without a page"
    assert set(codes()) - used == set(), "pages without a code"
