"""`bileveldsl fmt`: models in their canonical form."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import click

from bileveldsl.cli.diagnostics import exit_code, report
from bileveldsl.cli.options import debug_option
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source

STDIN = Path("-")
WOULD_CHANGE = 1

FILE = click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True, path_type=Path)


@click.command()
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--check", is_flag=True, help="Write nothing; list the files that would change, and exit with 1 if any.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@debug_option
def fmt(files: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Format each FILE in place; `-` formats stdin to stdout.

    A file with syntax errors stays as it is, and they are shown.
    """
    if STDIN in files and len(files) > 1:
        raise click.UsageError("`-` stands alone: what is read from stdin is written to stdout")
    found: list[Diagnostic] = []
    changes = False
    for path in files:
        try:
            changes |= _format(path, check, diff)
        except BlvError as error:
            found += error.diagnostics
    report(found)
    return exit_code(found) or (WOULD_CHANGE if check and changes else 0)


def _format(path: Path, check: bool, diff: bool) -> bool:
    """Format a file, or tell what would change; whether something does."""
    from bileveldsl.files import atomic_write_text
    from bileveldsl.language.format import format_source
    from bileveldsl.language.parse import load_source

    source = _stdin() if path == STDIN else load_source(path)
    text = format_source(source)
    changes = text != source.text
    if diff:
        click.echo("".join(_patch(source, text)), nl=False)
    elif check:
        if changes:
            click.echo(source.path)
    elif path == STDIN:
        sys.stdout.buffer.write(text.encode())
    elif changes:
        atomic_write_text(path, text)
    return changes


def _stdin() -> Source:
    data = sys.stdin.buffer.read()
    try:
        return Source("<stdin>", data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"<stdin> is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise BlvError([Diagnostic("E102", message, help="give it in the encoding UTF-8")]) from None


def _patch(source: Source, text: str) -> Iterator[str]:
    for line in unified_diff(_lines(source.text), _lines(text), source.path, source.path):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """The lines of a model; unlike Python's, they end at line feeds alone."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
