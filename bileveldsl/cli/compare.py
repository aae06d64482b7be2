"""`bileveldsl compare`: several backends on one model, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bileveldsl.cli.options import READABLE, debug_option, json_option, model_argument, positive, safe_option, writable

if TYPE_CHECKING:
    from bileveldsl.compare import Row

FILE = click.Path(dir_okay=False, path_type=Path)


def _names(_: click.Context, __: click.Parameter, text: str | None) -> list[str]:
    names = [name.strip() for name in (text or "").split(",")]
    if text is not None and not all(names):
        raise click.BadParameter(f"{text!r} is no list of names such as f2ba,implicit")
    return list(dict.fromkeys(filter(None, names)))


@click.command()
@model_argument
@click.option("--backends", callback=_names, metavar="NAME,NAME", help="Which.  [default: every one that accepts it]")
@click.option("--data", type=READABLE, multiple=True, help="A file with values of parameters (repeatable).")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random.  [default: 0]")
@click.option("--time-limit", type=float, callback=positive, metavar="SECONDS", help="Of each backend.")
@click.option("--tol", type=float, callback=positive, help="Tolerance of the verification.  [default: 1e-6]")
@click.option("--plot", "picture", type=FILE, callback=writable, metavar="FILE.png", help="Save curves over time.")
@safe_option
@json_option
@debug_option
def compare(
    model: Path, backends: list[str], data: tuple[Path, ...], seed: int | None, time_limit: float | None,
    tol: float | None, picture: Path | None, safe: bool, as_json: bool,
) -> int:  # fmt: skip
    """Solve MODEL with several backends, verify each answer, and print a table."""
    from bileveldsl.compare import compare as run
    from bileveldsl.compare import plot
    from bileveldsl.model import load

    rows = run(load(model, safe=safe), backends, data=list(data), seed=seed, time_limit=time_limit, tol=tol)
    if picture is not None:
        plot(rows, picture)
    if as_json:
        click.echo(json.dumps({"runs": [row.to_json() for row in rows]}, indent=2, allow_nan=False))
    else:
        _print(rows)
    codes = [row.solution.status.exit_code for row in rows if row.solution is not None]
    return min(codes, default=4)


def _print(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("backend", no_wrap=True)
    for name in ("objective", "lower gap", "hyper-gradient", "calls", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for row in rows:
        if row.solution is None:
            table.add_row(row.backend, "-", "-", "-", "-", "-", "refused")
            continue
        found, check = row.solution, row.solution.verification
        table.add_row(
            row.backend, _number(found.upper.objective, ".8g"), _number(check.lower_gap, ".1e"),
            _number(check.hypergradient_norm, ".1e"), str(row.calls), f"{row.seconds:.2f}",
            found.status.value.replace("_", " "),
        )  # fmt: skip
    console = Console(highlight=False)
    console.print(table if table.rows else "no backend accepts this model")
    for row in rows:
        if row.reason:
            console.print(f"{row.backend}: {row.reason}", markup=False, soft_wrap=True)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
