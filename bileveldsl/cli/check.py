"""`bileveldsl check`: every diagnostic, the certified facts, and what they imply."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from bileveldsl.cli.diagnostics import exit_code, report
from bileveldsl.cli.explain import print_choice
from bileveldsl.cli.options import debug_option, json_option, model_argument, safe_option
from bileveldsl.language.diagnostics import BlvError, Diagnostic


@click.command()
@model_argument
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True,
              help="How the diagnostics are written; github makes them annotations of a pull request.")  # fmt: skip
@safe_option
@json_option
@debug_option
def check(model: Path, form: str, safe: bool, as_json: bool) -> int:
    """Say everything that is wrong with MODEL and all that is proved about it; solve nothing."""
    from bileveldsl.check import check as examine
    from bileveldsl.model import load

    diagnostics: Sequence[Diagnostic]
    facts: list[dict[str, Any]] = []
    verdict: Mapping[str, Any] = {}
    try:
        found = examine(load(model, safe=safe))
        diagnostics, facts, verdict = found.diagnostics, [fact.to_json() for fact in found.facts], found.verdict
    except BlvError as error:
        diagnostics = error.diagnostics
    if as_json or form == "json":
        _print_json(diagnostics, facts, verdict)
    else:
        _print_text(diagnostics, facts, verdict, github=form == "github")
    return exit_code(diagnostics)


def _print_json(diagnostics: Sequence[Diagnostic], facts: list[dict[str, Any]], verdict: Mapping[str, Any]) -> None:
    from bileveldsl.language.render import render_json
    from bileveldsl.solution import encode

    found = {"diagnostics": [render_json(d) for d in diagnostics], "facts": facts, "verdict": verdict}
    click.echo(json.dumps(encode(found), indent=2, allow_nan=False))


def _print_text(
    diagnostics: Sequence[Diagnostic], facts: list[dict[str, Any]], verdict: Mapping[str, Any], github: bool
) -> None:
    from bileveldsl.language.render import render_github

    if github:
        for diagnostic in diagnostics:
            click.echo(render_github(diagnostic))
    else:
        report(diagnostics)
    for fact in facts:
        click.echo(describe(fact))
    if verdict:
        click.echo(verdict["class"])
        print_choice(verdict["backend"], verdict["reason"], verdict["others"].items())
    if not diagnostics and not github:
        click.echo("no errors")


def describe(fact: Mapping[str, Any]) -> str:
    """A fact in one line: `lower.objective: strongly_convex (mu >= 2) proved by ...`."""
    lower, upper = fact.get("constant"), fact.get("constant_upper")
    sides = ("at most", "at least") if fact["fact"] == "smooth" else ("at least", "at most")
    constants = [f"{side} {value}" for side, value in zip(sides, (lower, upper), strict=True) if value is not None]
    bounds = f" ({', '.join(constants)})" if constants else ""
    rule = f" by {fact['rule']}" if fact.get("rule") else ""
    why = f": {fact['why']}" if fact.get("why") else ""
    return f"{fact['of']}: {fact['fact']}{bounds} {fact['verdict']}{rule}{why}"
