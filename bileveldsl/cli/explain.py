"""`bileveldsl explain`: the chosen path and why, or the page of a diagnostic code."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from bileveldsl.cli.options import READABLE, budget_option, debug_option, safe_option

CODE = re.compile(r"[EW]\d{3}", re.IGNORECASE)


@click.command()
@click.argument("subject", metavar="MODEL|CODE")
@click.option("--backend", default="auto", show_default=True, metavar="NAME", help="Explain the use of this backend.")
@budget_option
@safe_option
@debug_option
@click.pass_context
def explain(context: click.Context, subject: str, backend: str, certify_budget: float, safe: bool) -> None:
    """Say how MODEL would be solved and why, or what a diagnostic CODE such as E303 means."""
    if CODE.fullmatch(subject):
        _print_page(subject.upper())
    else:
        _print_path(READABLE.convert(subject, None, context), backend, certify_budget, safe)


def _print_page(code: str) -> None:
    from bileveldsl.language.pages import codes, page

    text = page(code)
    if text is None:
        near = [known for known in codes() if known.startswith(code[:2])]
        raise click.UsageError(f"there is no diagnostic {code}" + (f"; there is {', '.join(near)}" if near else ""))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        click.echo(text.rstrip("\n"))


def _print_path(model: Path, backend: str, certify_budget: float, safe: bool) -> None:
    from bileveldsl.model import load
    from bileveldsl.solve import explain as choose

    choice = choose(load(model, safe=safe), backend=backend, certify_budget=certify_budget)
    click.echo(" -> ".join(choice.path))
    click.echo(f"no backend: {choice.reason}" if choice.backend is None else f"{choice.backend}: {choice.reason}")
    for name, objection in choice.others:
        click.echo(f"not {name}: {objection}")
    if choice.fallbacks:
        click.echo(f"then {', '.join(choice.fallbacks)}, where that does not come to an optimum")

