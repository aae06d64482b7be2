"""`bileveldsl show`: the model as mathematics, with its derivatives or its reformulation."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bileveldsl.cli.options import debug_option, model_argument, safe_option


@click.command()
@model_argument
@click.option("--gradients", is_flag=True, help="Also the gradients.")
@click.option("--hessians", is_flag=True, help="Also the second derivatives of the objectives.")
@click.option("--kkt", is_flag=True, help="Instead, the problem with the followers' optimality conditions.")
@click.option("--latex", is_flag=True, help="Write LaTeX.")
@safe_option
@debug_option
def show(model: Path, gradients: bool, hessians: bool, kkt: bool, latex: bool, safe: bool) -> None:
    """Print MODEL as mathematics."""
    if kkt and (gradients or hessians):
        raise click.UsageError("--kkt shows another problem, without --gradients and --hessians")
    from bileveldsl.model import load
    from bileveldsl.show import show_kkt, show_latex, show_text

    program = load(model, safe=safe).program()
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    if kkt:
        text = show_kkt(program, latex, unicode)
    elif latex:
        text = show_latex(program, gradients, hessians)
    else:
        text = show_text(program, gradients, hessians, unicode)
    click.echo(text.rstrip("\n"))
