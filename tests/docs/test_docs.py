"""The documentation says what happens: every fence of `docs/` is run, and what it shows is what comes out.

Each section (`## ...`) of a page is a test of its own: it begins with an empty folder, and its fences run in order.

| fence | what is tested |
|---|---|
| `blv` | a whole model that elaborates without an error |
| `blv declarations` | declarations; two small levels are put behind them |
| `blv error=E303` | a model whose only finding has that code (or warning, `error=W301`); `declarations` may be added |
| `text` | the finding of the fence before, as it is shown |
| `LANGUAGE file=NAME` | a file in the folder; a model is elaborated, too, and its findings bear the file's name |
| `python` | a script, or with prompts `>>>` a session with its output; the sections' names are shared |
| `console` | commands `$ bileveldsl ...` with what they print, to either stream; `exit=1` is the last one's exit code |
| `sh`, `bnf` | nothing |

An ellipsis `...` in output stands for anything.
"""

import doctest
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from bileveldsl.cli.main import main
from bileveldsl.language.diagnostics import BlvError
from bileveldsl.language.parse import load_source, parse
from bileveldsl.language.render import render_text
from bileveldsl.model import Model

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEVELS = """
upper { var leader_x; minimize (leader_x - follower_y)^2 }
lower { var follower_y; minimize (follower_y - leader_x)^2 }
"""


def sections():
    for page in PAGES:
        begin, title = 0, "top"
        text = page.read_text(encoding="utf-8")
        for heading in [*SECTION.finditer(text), None]:
            end = heading.start() if heading else len(text)
            if FENCE.search(text, begin, end):
                yield pytest.param(page, begin, end, id=f"{page.stem}-{title.replace(' ', '_')}")
            if heading:
                begin, title = end, heading[1]


@pytest.mark.parametrize(("page", "begin", "end"), list(sections()))
def test_the_section_says_what_happens(page, begin, end, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    session = Session()
    for fence in FENCE.finditer(text, begin, end):
        language, attributes, body = fence.groups()
        line = text.count("\n", 0, fence.start()) + 1
        getattr(session, f"run_{language}")(body, attributes_of(attributes), f"{page.name}:{line}")


def attributes_of(text):
    return {key: value for key, _, value in (word.partition("=") for word in text.split())}


class Session:
    """The state of a section: its folder is the current one."""

    def __init__(self):
        self.names = {"__name__": "__docs__"}
        self.shown = None

    def run_blv(self, body, attributes, place):
        path = Path(attributes.get("file", "model.blv"))
        path.write_text(body + LEVELS if "declarations" in attributes else body, encoding="utf-8")
        try:
            found = Model.from_ast(parse(load_source(path)), path.parent).program().warnings
        except BlvError as error:
            found = error.diagnostics
        self.shown = "".join(map(render_text, found))
        if "error" in attributes:
            assert [d.code for d in found] == [attributes["error"]], f"{place}\n{self.shown}"
        else:
            assert not [d for d in found if d.severity == "error"], f"{place}\n{self.shown}"

    def run_text(self, body, attributes, place):
        if "file" in attributes:
            Path(attributes["file"]).write_text(body, encoding="utf-8")
        else:
            assert_shown(body, self.shown, place)

    run_json = run_csv = run_text

    def run_python(self, body, attributes, place):
        if "file" in attributes:
            Path(attributes["file"]).write_text(body, encoding="utf-8")
        elif ">>>" in body:
            test = doctest.DocTestParser().get_doctest(body, self.names, place, place, 0)
            self.names = test.globs
            written = []
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=written.append, clear_globs=False)
            assert not written, "".join(written)
        else:
            exec(compile(body, place, "exec"), self.names)

    def run_console(self, body, attributes, place):
        code = 0
        for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
            program, *words = shlex.split(command)
            assert program == "bileveldsl", place
            result = CliRunner().invoke(main, words)
            assert_shown(expected, result.output, f"{place}: {command}")
            code = result.exit_code
        assert code == int(attributes.get("exit", 0)), f"{place}: exit code {code}"

    def run_sh(self, body, attributes, place):
        pass

    run_bnf = run_sh


def assert_shown(expected, got, place):
    """Equal but for blank lines at the ends and what an ellipsis stands for."""
    same = doctest.OutputChecker().check_output(expected.strip() + "\n", got.strip() + "\n", doctest.ELLIPSIS)
    assert same, f"{place} shows\n{expected}\nbut this comes out:\n{got}"


def test_every_page_is_reached_from_the_index():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert {page.name for page in PAGES} - {"index.md"} <= set(re.findall(r"\]\(([\w.]+)[)#]", index))


def test_links_lead_somewhere():
    for page in PAGES:
        for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]*))?\)", page.read_text(encoding="utf-8")):
            file = (page.parent / target) if target else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor:
                assert anchor in anchors(file), f"{page.name}: {target}#{anchor}"


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_function_and_keyword_of_the_language_is_described():
    from bileveldsl.language.function_names import FUNCTION_NAMES
    from bileveldsl.language.outline import KEYWORDS

    text = (DOCS / "language.md").read_text(encoding="utf-8")
    described = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", FENCE.sub("", text)))))
    assert set(FUNCTION_NAMES) | set(KEYWORDS) <= described | {"T"}
