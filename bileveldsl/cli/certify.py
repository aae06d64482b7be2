"""`bileveldsl certify`: the facts of a model with proofs that can be checked independently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bileveldsl.cli.diagnostics import exit_code, report
from bileveldsl.cli.options import (
    READABLE,
    Pair,
    budget_option,
    debug_option,
    json_option,
    model_argument,
    numbers,
    safe_option,
    writable,
)

if TYPE_CHECKING:
    from bileveldsl.certificate import Certificate

FILE = click.Path(dir_okay=False, path_type=Path)
STOPPED = 4


@click.command()
@model_argument
@click.option("-o", "--output", type=FILE, callback=writable, metavar="CERT.json", help="Write the certificate.")
@click.option("--set", "parameters", type=Pair("PARAM=VALUE"), multiple=True, callback=numbers, metavar="PARAM=VALUE",
              help="Replace a scalar parameter of the model (repeatable).")  # fmt: skip
@click.option("--data", type=READABLE, multiple=True, help="A file with values of parameters (repeatable).")
@budget_option
@safe_option
@json_option
@debug_option
def certify(
    model: Path, output: Path | None, parameters: dict[str, float], data: tuple[Path, ...], certify_budget: float,
    safe: bool, as_json: bool,
) -> int:  # fmt: skip
    """Prove what can be proved of MODEL, with proofs that `bileveldsl verify MODEL CERT.json` checks independently."""
    from bileveldsl.certificate import certificate_of
    from bileveldsl.inputs import parameter_values
    from bileveldsl.known import known_facts
    from bileveldsl.model import load

    read = load(model, safe=safe)
    program = read.program(**parameter_values(read, parameters, data))
    known = known_facts(read, program, certify_budget)
    made = certificate_of(read, program, known.facts)
    report((*program.warnings, *known.findings))
    if output is not None:
        made.write(output)
    if as_json:
        click.echo(made.to_text(), nl=False)
    else:
        click.echo("\n".join(_lines(made, output)))
    return exit_code(known.findings) or (STOPPED if known.interrupted else 0)


def _lines(made: Certificate, output: Path | None) -> Sequence[str]:
    """Each claim, what has no proof, and where it was written."""
    from bileveldsl.verdict.text import claim_text

    lines = [f"{claim['verdict']}  {claim_text(claim)}" for claim in made.claims]
    lines += [f"no proof  {each['of']} {each['fact'].replace('_', ' ')}: {each['why']}" for each in made.unchecked]
    where = f"written to {output}" if output is not None else "not written: name a file with -o CERT.json"
    count = len(made.claims)
    return [*lines, f"{count} claim{'' if count == 1 else 's'} with proofs {where}"]
