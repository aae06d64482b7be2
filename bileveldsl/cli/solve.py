"""`bileveldsl solve`: check, choose, solve, verify, and say what was found."""

from __future__ import annotations

from pathlib import Path

import click

from bileveldsl.cli.options import (
    READABLE,
    Pair,
    budget_option,
    debug_option,
    json_option,
    mapping,
    model_argument,
    numbers,
    positive,
    safe_option,
    writable,
)

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@model_argument
@click.option("--backend", default="auto", show_default=True, metavar="NAME", help="The method.")
@click.option("--option", "options", type=Pair("KEY=VALUE"), multiple=True, callback=mapping, metavar="KEY=VALUE",
              help="A setting of the backend (repeatable).")  # fmt: skip
@click.option("--set", "parameters", type=Pair("PARAM=VALUE"), multiple=True, callback=numbers, metavar="PARAM=VALUE",
              help="Replace a scalar parameter of the model (repeatable).")  # fmt: skip
@click.option("--data", type=READABLE, multiple=True, help="A file with values of parameters (repeatable).")
@click.option("--start", type=READABLE, metavar="SOLUTION.json", help="Start from the point of an earlier solution.")
@click.option("--starts", type=click.IntRange(min=1), help="Number of starting points.  [default: 1]")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random.  [default: 0]")
@click.option("--time-limit", type=float, callback=positive, metavar="SECONDS", help="Stop after this time.")
@click.option("--tol", type=float, callback=positive, help="Tolerance of the verification.  [default: 1e-6]")
@click.option("--engine", type=click.Choice(["auto", "numpy", "jax"]), default="auto", show_default=True,
              help="What evaluates the functions.")  # fmt: skip
@click.option("-o", "--output", type=FILE, callback=writable, metavar="SOLUTION.json", help="Write the solution.")
@click.option("--log", type=FILE, callback=writable, metavar="EVENTS.jsonl", help="Write each step.")
@click.option("--quiet", is_flag=True, help="Print neither progress nor a summary.")
@budget_option
@safe_option
@json_option
@debug_option
def solve(
    model: Path, backend: str, options: dict[str, str], parameters: dict[str, float], data: tuple[Path, ...],
    start: Path | None, starts: int | None, seed: int | None, time_limit: float | None, tol: float | None, engine: str,
    output: Path | None, log: Path | None, quiet: bool, certify_budget: float, safe: bool, as_json: bool,
) -> int:  # fmt: skip
    """Solve MODEL, verify the answer, and print a summary of it.

    A setting that is not given here is taken from the model's `options { }`, then from the defaults.
    """
    from bileveldsl.cli.progress import Progress
    from bileveldsl.model import load
    from bileveldsl.solution import Solution
    from bileveldsl.solve import solve as run

    first = None if start is None else Solution.read(start)
    with Progress(quiet) as progress:
        solution = run(
            load(model, safe=safe), backend=backend, options=options, set=parameters, data=list(data), start=first,
            starts=starts, seed=seed, time_limit=time_limit, tol=tol, engine=engine, progress=progress, log=log,
            certify_budget=certify_budget,
        )  # fmt: skip
    try:
        if output is not None:
            solution.write(output)
    finally:  # a full disk must not cost the answer
        if as_json:
            click.echo(solution.to_text(), nl=False)
        elif not quiet:
            click.echo(solution.summary(), nl=False)
    return solution.status.exit_code
