"""The pages on data say what happens: each example is refused with its code and words, and each fix is read."""

import json
import re
import shlex
from importlib.resources import files
from pathlib import Path

import pytest

from bileveldsl.files import atomic_write_text
from bileveldsl.language.ast import DataSource
from bileveldsl.language.data import LabelledAxis, Reader
from bileveldsl.language.diagnostics import BlvError, Source, Span

PAGES = sorted(
    (page for page in files("bileveldsl.language").joinpath("explain").iterdir() if page.name.startswith("E4")),
    key=lambda page: page.name,
)
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
LIST = re.compile(r"set (\w+) = (\[.*\])")
CLAUSE = re.compile(r'(param|set) (\w+)(?:\[(.*?)\])?(?: within \((.*?)\))? +from "(.*?)"((?:\[".*?"\])*)')


def read_model(text):
    """Read what the `from` clauses of a model name."""
    reader = Reader(Path())
    sets = {name: LabelledAxis(name, 1, json.loads(members)) for name, members in LIST.findall(text)}
    for clause in CLAUSE.finditer(text):
        kind, name, axes, within, path, keys = clause.groups()
        axes = axes.split(", ") if axes else []
        where = Span(Source("model.blv", text), *clause.span())
        source = DataSource(path, tuple(re.findall(r'"(.*?)"', keys)), span=where)
        if kind == "set":
            arity = len(within.split(", ")) if within else 1
            sets[name] = LabelledAxis(name, arity, reader.read_set(source, name, where, arity))
        elif axes and axes[0] in sets:
            reader.read_indexed(source, name, [sets[axis] for axis in axes], where)
        else:
            reader.read_array(source, name, len(axes), where)


def type_in(session):
    """Do in the current folder what a console session says; expect the errors that it shows."""
    for part in session.split("$ ")[1:]:
        line, _, output = part.partition("\n")
        command, *words = shlex.split(line)
        try:
            match command:
                case "cat":
                    Path(words[0]).write_text(output)
                case "mkdir":
                    Path(words[0]).mkdir()
                case "rmdir":
                    Path(words[0]).rmdir()
                case "python":
                    exec(words[1], {})
                case "bileveldsl" if words[0] == "solve":
                    atomic_write_text(Path(words[3]), "{}")
                case "bileveldsl":
                    read_model(Path(words[1]).read_text())
        except BlvError as error:
            (diagnostic,) = error.diagnostics
            assert output.strip() == f"error[{diagnostic.code}]: {diagnostic.message}"
            raise


def run(language, text):
    {"blv": read_model, "console": type_in, "python": lambda code: exec(code, {})}[language](text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    code = page.name.removesuffix(".md")
    assert re.match(rf"# {code}: \S.+\n\n\S", text)
    (example,), (fix,) = map(FENCE.findall, text.split("## Example")[1].split("## Fix"))
    with pytest.raises(BlvError) as caught:
        run(*example)
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]
    run(*fix)
    for model in Path().glob("*.blv"):
        read_model(model.read_text())


def test_every_code_has_a_page_and_every_page_a_code():
    package = files("bileveldsl.language").joinpath("data")
    modules = [module for module in package.iterdir() if module.name.endswith(".py")]
    text = (
        "".join(module.read_text(encoding="utf-8") for module in modules)
        + Path(atomic_write_text.__code__.co_filename).read_text()
    )
    assert sorted(set(re.findall(r'"(E4\d\d)"', text))) == [page.name.removesuffix(".md") for page in PAGES]
