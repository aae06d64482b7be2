"""`bileveldsl verify`: check a stored solution anew, by other means than those that found it."""

from __future__ import annotations

from pathlib import Path

import click

from bileveldsl.cli.options import READABLE, debug_option, json_option, model_argument


@click.command()
@model_argument
@click.argument("solution", type=READABLE)
@json_option
@debug_option
def verify(model: Path, solution: Path, as_json: bool) -> int:
    """Verify a SOLUTION of MODEL that was stored by `solve -o`."""
    from bileveldsl.model import load
    from bileveldsl.solution import Solution
    from bileveldsl.verify import verify_solution

    found = verify_solution(load(model), Solution.read(solution).to_json())
    click.echo(found.to_text() if as_json else found.summary(), nl=False)
    return found.status.exit_code
