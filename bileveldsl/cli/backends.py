"""`bileveldsl backends`: what is there, what each accepts, and why a missing one is missing."""

from __future__ import annotations

import json
from typing import Any

import click

from bileveldsl.cli.diagnostics import report
from bileveldsl.cli.options import debug_option, json_option
from bileveldsl.language.diagnostics import BlvError


@click.command()
@json_option
@debug_option
def backends(as_json: bool) -> None:
    """List the backends, what each accepts, and its options."""
    from bileveldsl import registry

    found = [_describe(entry) for entry in registry.entries()]
    if as_json:
        click.echo(json.dumps({"backends": found}, indent=2, allow_nan=False))
    else:
        click.echo("\n\n".join(_text(backend) for backend in found))
    report(registry.shadowed())


def _describe(entry: Any) -> dict[str, Any]:
    """The entry as an object for json; `missing` says why it cannot be used."""
    about: dict[str, Any] = {"name": entry.name, "origin": entry.origin, "missing": None}
    try:
        backend = entry.load()
    except BlvError as error:
        return about | {"missing": error.diagnostics[0].message}
    options = [
        {"name": o.name, "default": o.default, "expects": o.expects, "doc": o.doc} for o in backend.options
    ]
    return about | {
        "missing": backend.available(), "summary": backend.summary, "accepts": backend.capabilities.describe(),
        "evidence": backend.capabilities.evidence, "engines": list(backend.capabilities.engines), "options": options,
    }  # fmt: skip


def _text(backend: dict[str, Any]) -> str:
    origin = "" if backend["origin"] == "built in" else f"  ({backend['origin']})"
    lines = [f"{backend['name']}{origin}"]
    if "summary" in backend:
        lines[0] += f"  {backend['summary']}"
        lines.append(f"  accepts  {backend['accepts']}")
        lines.append(f"  returns  {backend['evidence']} solutions; runs on {' and '.join(backend['engines'])}")
        for option in backend["options"]:
            default = "auto" if option["default"] is None else option["default"]
            lines.append(f"  --option {option['name']}={default}  {option['doc']} ({option['expects']})")
    if backend["missing"]:
        lines.append(f"  missing  {backend['missing']}")
    return "\n".join(lines)
