"""`bileveldsl info`: what a model declares, without its data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bileveldsl.cli.options import debug_option, json_option, model_argument

LONGEST = 100  # characters of an expression


@click.command()
@model_argument
@click.option("--safe", is_flag=True, expose_value=False, help="As with other commands; here no data is read at all.")
@json_option
@debug_option
def info(model: Path, as_json: bool) -> None:
    """Say what MODEL declares: its parameters, levels, variables and constraints; read no data and prove nothing."""
    from bileveldsl.language.parse import load_source, parse
    from bileveldsl.language.signature import signature

    found = signature(parse(load_source(model)))
    click.echo(json.dumps(found, indent=2, allow_nan=False) if as_json else "\n".join(_lines(found)))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"model {found['name']}"
    yield from (f"  {_printable(line)}" for line in found["doc"].splitlines())
    yield from _table("dims", ((d["name"], _after("=", d["size"]), d["doc"]) for d in found["dims"]))
    yield from _table("sets", ((s["name"], f"{_within(s)} {_content(s)}", s["doc"]) for s in found["sets"]))
    yield from _table("params", ((_declared(p), _content(p), p["doc"]) for p in found["params"]))
    yield from _table("definitions", map(_definition, found["definitions"]))
    for level in found["levels"]:
        yield from _level(level)
    yield from _table("options", ((name, f"= {json.dumps(value)}", "") for name, value in found["options"].items()))


def _level(level: Mapping[str, Any]) -> Iterator[str]:
    name = level["role"] if level["role"] == level["name"] else f"lower {level['name']}"
    yield f"\n{name}: {level['objective']['sense']} {_short(level['objective']['text'])}"
    rows = [(_declared(var), _domain(var), var["doc"]) for var in level["vars"]]
    rows += map(_definition, level["definitions"])
    for constraint in level["constraints"]:
        over = f"[{constraint['indices']}]" if constraint["indices"] else ""
        label = f"{constraint['label']}{over}:" if constraint["label"] else ""
        rows.append((label, _short(constraint["text"]), constraint["doc"]))
    for claim in level["claims"]:
        constant = f"({claim['constant']})" if claim["constant"] else ""
        rows.append((claim["mode"], f"{claim['fact']}{constant}", ""))
    rows += [("minibatch", axis, "") for axis in level["minibatch"]]
    if level["ties"] != "optimistic":
        rows.append(("ties", level["ties"], ""))
    yield from _columns(rows)


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    lines = list(_columns(list(rows)))
    if lines:
        yield f"\n{title}"
    yield from lines


def _columns(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Rows of a name, what it is, and its doc, each column as wide as its longest entry."""
    cells = [[_printable(" ".join(cell.split())) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip()


def _definition(let: Mapping[str, Any]) -> tuple[str, str, str]:
    return _declared(let), f"= {_short(let['value'])}", let["doc"]


def _declared(item: Mapping[str, Any]) -> str:
    return f"{item['name']}[{', '.join(map(str, item['axes']))}]" if item["axes"] else item["name"]


def _domain(var: Mapping[str, Any]) -> str:
    kind = "" if var["kind"] == "continuous" else var["kind"]
    if var["lower"] and var["upper"]:
        bounds = f"in [{_short(var['lower'])}, {_short(var['upper'])}]"
    else:
        bounds = _after(">=", var["lower"]) + _after("<=", var["upper"])
    return f"{kind} {bounds} {_after('start', var['start'])}"


def _within(item: Mapping[str, Any]) -> str:
    names = ", ".join(item["within"])
    return f"within {names if len(item['within']) == 1 else f'({names})'}" if names else ""


def _content(item: Mapping[str, Any]) -> str:
    source = item["source"]
    if source is None:
        return _after("=", item["value"])
    return f'from "{source["path"]}"' + "".join(f'["{key}"]' for key in source["keys"])


def _after(word: str, text: str | None) -> str:
    return "" if text is None else f"{word} {_short(text)}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _printable(text: str) -> str:
    """The text without anything that would steer a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
