"""`bileveldsl check`: every diagnostic, the certified facts, and what they imply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bileveldsl.cli.diagnostics import exit_code, report
from bileveldsl.cli.options import budget_option, debug_option, json_option, model_argument, safe_option
from bileveldsl.language.diagnostics import BlvError, Diagnostic

STOPPED = 4


@click.command()
@model_argument
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True,
              help="How the diagnostics are written; github makes them annotations of a pull request.")  # fmt: skip
@budget_option
@safe_option
@json_option
@debug_option
def check(model: Path, form: str, certify_budget: float, safe: bool, as_json: bool) -> int:
    """Say everything that is wrong with MODEL and all that is proved about it; solve nothing."""
    from bileveldsl.check import check as examine
    from bileveldsl.model import load

    diagnostics: Sequence[Diagnostic]
    facts: list[dict[str, Any]] = []
    verdict: Mapping[str, Any] = {}
    text, stopped = "", False
    try:
        found = examine(load(model, safe=safe), certify_budget)
        diagnostics, facts, verdict = found.diagnostics, found.facts_json(), found.verdict
        text, stopped = found.text(), found.interrupted
    except BlvError as error:
        diagnostics = error.diagnostics
    if as_json or form == "json":
        _print_json(diagnostics, facts, verdict)
    else:
        _print_text(diagnostics, text, github=form == "github")
    return exit_code(diagnostics) or (STOPPED if stopped else 0)


def _print_json(diagnostics: Sequence[Diagnostic], facts: list[dict[str, Any]], verdict: Mapping[str, Any]) -> None:
    from bileveldsl.language.render import render_json
    from bileveldsl.solution import encode

    found = {"diagnostics": [render_json(d) for d in diagnostics], "facts": facts, "verdict": verdict}
    click.echo(json.dumps(encode(found), indent=2, allow_nan=False))


def _print_text(diagnostics: Sequence[Diagnostic], text: str, github: bool) -> None:
    from bileveldsl.language.render import render_github

    if github:
        for diagnostic in diagnostics:
            click.echo(render_github(diagnostic))
    else:
        report(diagnostics)
    if text:
        click.echo(text)
    if not diagnostics and not github:
        click.echo("no errors")
