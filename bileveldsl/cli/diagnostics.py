"""Diagnostics on the terminal, and the exit code that they mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from bileveldsl.language.diagnostics import Diagnostic

SHOWN = 20


def report(diagnostics: Sequence[Diagnostic]) -> None:
    """Print the first diagnostics to stderr, and how many there are."""
    from bileveldsl.language.render import render_text

    color = colored()
    for diagnostic in diagnostics[:SHOWN]:
        click.echo(render_text(diagnostic, color).rstrip("\n") + "\n", err=True)
    errors = sum(d.severity == "error" for d in diagnostics)
    counts = [_count(errors, "error"), _count(len(diagnostics) - errors, "warning")]
    hidden = len(diagnostics) - SHOWN
    more = f"; {hidden} not shown" if hidden > 0 else ""
    if diagnostics:
        click.echo(" and ".join(filter(None, counts)) + more, err=True)


def exit_code(diagnostics: Sequence[Diagnostic]) -> int:
    """1 where the model is at fault; 2 where only the request is, which has no place in the model; else 0."""
    errors = [d for d in diagnostics if d.severity == "error"]
    if not errors:
        return 0
    return 1 if any(d.span is not None for d in errors) else 2


def colored() -> bool:
    """Whether stderr is a terminal whose user did not ask for plain text."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""
