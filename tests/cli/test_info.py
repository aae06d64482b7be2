"""`bileveldsl info` says what a model declares, from its text alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bileveldsl.cli.main import main
from bileveldsl.language.diagnostics import Source
from bileveldsl.language.parse import parse
from bileveldsl.language.signature import SCHEMA, signature

MODELS = sorted((Path(__file__).parents[1] / "language" / "models").glob("*.blv"))

TEXT = '''#: A market.
#: It clears.
model market
dim n = 3, p
set NODES = ["a", "b"]
set ARCS within (NODES, NODES) from "arcs.csv"["from"]["to"]
#: what a unit costs
param cost[ARCS, 2] from "missing.npz"
param rate = 1/4
let twice = 2*rate
upper {
  #: the bid
  var x[p] : integer in [0, 9] start (1)
  maximize sum(x)
  #: no more
  cap[i in NODES, (i, j) in ARCS if i != j]: 0 <= x[1] <= 2*y
}
lower grid {
  var y, z >= -inf
  let r[n] = y*z
  minimize y^2
  y + z == 1
  ties pessimistic
  assume pl(0.5)
  require convex
  minibatch n
}
lower other {
  var w : binary
  minimize w
}
options {
  tol = 1e-8
  limit = inf
  steps = 20
  backend = "kkt"
  loud = true
}
'''


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("market.blv").write_text(TEXT)

    def invoke(*words):
        result = CliRunner().invoke(main, ["info", *words])
        assert "Traceback" not in result.output
        return result

    return invoke


def without_ranges(value):
    if isinstance(value, dict):
        return {key: without_ranges(part) for key, part in value.items() if key != "range"}
    return [without_ranges(part) for part in value] if isinstance(value, list) else value


def test_json_is_the_signature(run):
    result = run("market.blv", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    source = {"path": "missing.npz", "keys": []}
    members = {"path": "arcs.csv", "keys": ["from", "to"]}
    free = {"axes": [], "kind": "continuous", "start": None, "upper": None, "doc": ""}
    level = {"ties": "optimistic", "claims": [], "minibatch": [], "constraints": [], "definitions": []}
    assert without_ranges(json.loads(result.stdout)) == {
        "schema": "bileveldsl.info/1",
        "name": "market",
        "doc": "A market.\nIt clears.",
        "dims": [{"name": "n", "size": "3", "doc": ""}, {"name": "p", "size": None, "doc": ""}],
        "sets": [
            {"name": "NODES", "within": [], "value": '["a", "b"]', "source": None, "doc": ""},
            {"name": "ARCS", "within": ["NODES", "NODES"], "value": None, "source": members, "doc": ""},
        ],
        "params": [
            {"name": "cost", "axes": ["ARCS", 2], "value": None, "source": source, "doc": "what a unit costs"},
            {"name": "rate", "axes": [], "value": "1 / 4", "source": None, "doc": ""},
        ],
        "definitions": [{"name": "twice", "axes": [], "value": "2 * rate", "doc": ""}],
        "levels": [
            {
                **level,
                "role": "upper",
                "name": "upper",
                "objective": {"sense": "maximize", "text": "sum(x)"},
                "vars": [
                    {
                        "name": "x", "axes": ["p"], "kind": "integer", "lower": "0", "upper": "9", "start": "1",
                        "doc": "the bid",
                    }
                ],
                "constraints": [
                    {
                        "label": "cap", "indices": "i in NODES, (i, j) in ARCS if i != j",
                        "text": "0 <= x[1] <= 2 * y", "doc": "no more",
                    }
                ],
            },
            {
                "role": "lower",
                "name": "grid",
                "objective": {"sense": "minimize", "text": "y^2"},
                "vars": [{**free, "name": "y", "lower": "-inf"}, {**free, "name": "z", "lower": "-inf"}],
                "definitions": [{"name": "r", "axes": ["n"], "value": "y * z", "doc": ""}],
                "constraints": [{"label": None, "indices": None, "text": "y + z == 1", "doc": ""}],
                "ties": "pessimistic",
                "claims": [
                    {"mode": "assume", "fact": "pl", "constant": "0.5"},
                    {"mode": "require", "fact": "convex", "constant": None},
                ],
                "minibatch": ["n"],
            },
            {
                **level,
                "role": "lower",
                "name": "other",
                "objective": {"sense": "minimize", "text": "w"},
                "vars": [{**free, "name": "w", "kind": "binary", "lower": None}],
            },
        ],
        "options": {"tol": 1e-8, "limit": "inf", "steps": 20, "backend": "kkt", "loud": True},
    }  # fmt: skip


def test_ranges_are_the_places_of_names_and_statements(run):
    found = json.loads(run("market.blv", "--json").stdout)
    upper, grid, _ = found["levels"]
    pointed = {
        "n": found["dims"][0], "NODES": found["sets"][0], "rate": found["params"][1], "twice": found["definitions"][0],
        "upper": upper, "x": upper["vars"][0], "maximize sum(x)": upper["objective"], "cap": upper["constraints"][0],
        "lower grid": grid, "z": grid["vars"][1], "r": grid["definitions"][0], "y + z == 1": grid["constraints"][0],
        "assume pl(0.5)": grid["claims"][0],
    }  # fmt: skip
    for text, part in pointed.items():
        start, end = part["range"]["start"], part["range"]["end"]
        assert TEXT[start["offset"] : end["offset"]] == text
        assert TEXT.splitlines()[start["line"] - 1][start["column"] - 1 :].startswith(text)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_sample_has_a_signature_that_json_can_hold(path):
    model = parse(Source(str(path), path.read_text(encoding="utf-8")))
    found = signature(model)
    assert found["schema"] == SCHEMA and json.loads(json.dumps(found, allow_nan=False)) == found
    assert [level["name"] for level in found["levels"]] == [item.name for item in model.items if hasattr(item, "role")]


def test_text_says_the_same_in_columns(run):
    result = run("market.blv")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == """model market
  A market.
  It clears.

dims
  n  = 3
  p

sets
  NODES  = ["a", "b"]
  ARCS   within (NODES, NODES) from "arcs.csv"["from"]["to"]

params
  cost[ARCS, 2]  from "missing.npz"  what a unit costs
  rate           = 1 / 4

definitions
  twice  = 2 * rate

upper: maximize sum(x)
  x[p]                                        integer in [0, 9] start 1  the bid
  cap[i in NODES, (i, j) in ARCS if i != j]:  0 <= x[1] <= 2 * y         no more

lower grid: minimize y^2
  y          >= -inf
  z          >= -inf
  r[n]       = y * z
             y + z == 1
  assume     pl(0.5)
  require    convex
  minibatch  n
  ties       pessimistic

lower other: minimize w
  w  binary

options
  tol      = 1e-08
  limit    = "inf"
  steps    = 20
  backend  = "kkt"
  loud     = true
"""


def test_text_does_not_steer_the_terminal(run):
    Path("market.blv").write_text(TEXT.replace("A market.", "A \x1b[31mmarket.").replace("arcs.csv", "\x1b]0;x\x07"))
    assert "\x1b" not in run("market.blv").stdout


def test_syntax_errors_are_shown(run):
    Path("market.blv").write_text(TEXT.replace("2*rate", "2rate"))
    result = run("market.blv", "--json")
    assert (result.exit_code, result.stdout) == (1, "") and "E124" in result.stderr
    assert run("missing.blv").exit_code == 2


def test_it_needs_none_of_the_heavy_packages(tmp_path):
    Path(tmp_path, "market.blv").write_text(TEXT)
    program = (
        "import sys; from bileveldsl.cli.main import main\n"
        "try: main(['info', 'market.blv', '--json'])\n"
        "finally: print(*{'sympy', 'numpy', 'scipy', 'cvxpy', 'jax', 'flint'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert json.loads(done.stdout)["schema"] == "bileveldsl.info/1"
