"""The command `bileveldsl`: its group of subcommands, its exit codes, and what becomes of exceptions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from bileveldsl import __version__
from bileveldsl.cli.backends import backends
from bileveldsl.cli.certify import certify
from bileveldsl.cli.check import check
from bileveldsl.cli.compare import compare
from bileveldsl.cli.diagnostics import exit_code, report
from bileveldsl.cli.explain import explain
from bileveldsl.cli.fmt import fmt
from bileveldsl.cli.info import info
from bileveldsl.cli.lsp import lsp
from bileveldsl.cli.options import Settings, debug_option
from bileveldsl.cli.show import show
from bileveldsl.cli.solve import solve
from bileveldsl.cli.verify import verify
from bileveldsl.language.diagnostics import BlvError

USAGE, STOPPED, BUG = 2, 4, 70


class Application(click.Group):
    """A group that turns every way to end into an exit code; a subcommand returns its own."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader went away, which is its right; without this, Python would complain when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **__: Any) -> NoReturn:
        settings = Settings()
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # an arrow is no reason to fail on a terminal that has none
        try:
            code = super().main(args, prog_name, standalone_mode=False, obj=settings)
        except BlvError as error:
            if settings.debug:
                raise
            report(error.diagnostics)
            code = exit_code(error.diagnostics)
        except click.ClickException as error:
            error.show()
            code = USAGE
        except (KeyboardInterrupt, click.Abort):
            click.echo("interrupted", err=True)
            code = STOPPED
        except Exception as error:
            if settings.debug:
                raise
            click.echo(f"internal error: {type(error).__name__}: {error}".splitlines()[0], err=True)
            click.echo("This is a bug of ours. Add --debug to see where, and please report it.", err=True)
            code = BUG
        sys.exit(code or 0)


@click.group("bileveldsl", cls=Application, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bileveldsl", message="%(prog)s %(version)s")
@debug_option
def main() -> None:
    """Model, certify, solve and verify bilevel programs.

    \b
    Exit codes: 0 answered, 1 the model has errors, 2 wrong usage or unreadable file,
    3 no solution exists, 4 stopped at a limit or not verified, 70 a bug of ours.

    \b
    Completion of commands and options in bash (zsh and fish likewise):
      eval "$(_BILEVELDSL_COMPLETE=bash_source bileveldsl)"
    """


for command in (solve, compare, check, certify, verify, show, info, explain, fmt, lsp, backends):
    main.add_command(command)
