"""`bileveldsl verify`: check a stored solution anew, by other means than those that found it."""

from __future__ import annotations

from pathlib import Path

import click

from bileveldsl.cli.options import (
    READABLE,
    Pair,
    debug_option,
    json_option,
    model_argument,
    numbers,
    positive,
    safe_option,
)


@click.command()
@model_argument
@click.argument("solution", type=READABLE)
@click.option("--set", "parameters", type=Pair("PARAM=VALUE"), multiple=True, callback=numbers, metavar="PARAM=VALUE",
              help="Replace a scalar parameter of the model, as it was solved (repeatable).")  # fmt: skip
@click.option("--data", type=READABLE, multiple=True, help="A file with values of parameters (repeatable).")
@click.option("--tol", type=float, default=1e-6, show_default=True, callback=positive, help="Tolerance of the check.")
@safe_option
@json_option
@debug_option
def verify(
    model: Path, solution: Path, parameters: dict[str, float], data: tuple[Path, ...], tol: float, safe: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Verify a SOLUTION of MODEL that was stored by `solve -o`."""
    from bileveldsl.model import load
    from bileveldsl.solution import Solution
    from bileveldsl.verify import verify_solution

    stored = Solution.read(solution).to_json()
    found = verify_solution(load(model, safe=safe), stored, set=parameters, data=data, tol=tol)
    click.echo(found.to_text() if as_json else found.summary(), nl=False)
    return found.status.exit_code
