"""`bileveldsl verify`: check a stored solution or certificate anew, by other means than those that found it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from bileveldsl.model import Model

REJECTED = 4


@click.command()
@model_argument
@click.argument("file", type=READABLE)
@click.option("--set", "parameters", type=Pair("PARAM=VALUE"), multiple=True, callback=numbers, metavar="PARAM=VALUE",
              help="Replace a scalar parameter of the model, as it was solved or certified (repeatable).")  # fmt: skip
@click.option("--data", type=READABLE, multiple=True, help="A file with values of parameters (repeatable).")
@click.option("--tol", type=float, default=1e-6, show_default=True, callback=positive,
              help="Tolerance of the check of a solution.")  # fmt: skip
@safe_option
@json_option
@debug_option
def verify(
    model: Path, file: Path, parameters: dict[str, float], data: tuple[Path, ...], tol: float, safe: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Verify FILE against MODEL: a solution that was stored by `solve -o`, or a certificate by `certify -o`."""
    from bileveldsl.certificate import SCHEMA
    from bileveldsl.model import load
    from bileveldsl.solution_json import parsed
    from bileveldsl.verify import verify_solution

    stored = parsed(file)
    read = load(model, safe=safe)
    if isinstance(stored, dict) and stored.get("schema") == SCHEMA:
        return _verify_certificate(read, stored, parameters, data, as_json)
    found = verify_solution(read, stored, set=parameters, data=data, tol=tol)
    click.echo(found.to_text() if as_json else found.summary(), nl=False)
    return found.status.exit_code


def _verify_certificate(
    model: Model, stored: Any, parameters: dict[str, float], data: tuple[Path, ...], as_json: bool
) -> int:
    from bileveldsl.certificate import Certificate
    from bileveldsl.language.data.request import printable
    from bileveldsl.verdict.text import claim_text

    certificate = Certificate.from_json(stored)
    found = certificate.verify(model, set=parameters, data=data)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
        return 0 if found.accepted else REJECTED
    for k, checked in enumerate(found.claims):
        said = f"{checked.of} {checked.fact}: {checked.reason}"
        if checked.accepted:  # and so of the form that a claim must have
            said = claim_text(certificate.claims[k])
        click.echo(printable(f"{'accepted' if checked.accepted else 'REJECTED'}  {checked.verdict}  {said}"))
    for note in found.notes:
        click.echo(printable(f"note: {note}"))
    count = sum(claim.accepted for claim in found.claims)
    click.echo(f"{count} of {len(found.claims)} claims accepted")
    return 0 if found.accepted else REJECTED
