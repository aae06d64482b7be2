"""`bileveldsl lsp`: the language server, for editors to start."""

from __future__ import annotations

import logging
import os
import sys

import click

from bileveldsl.cli.options import Settings, debug_option
from bileveldsl.language.diagnostics import BlvError, Diagnostic


@click.command()
@click.option("--stdio", is_flag=True, expose_value=False, help="Speak over stdin and stdout, which is always so.")
@click.option("--trust", is_flag=True, help="Read data files outside the folders of the models, too.")
@debug_option
@click.pass_obj
def lsp(settings: Settings, trust: bool) -> int:
    """Serve editors by the Language Server Protocol over stdin and stdout.

    Of data files, only those in the folder of the model or below are read, unless --trust is given.
    """
    try:
        import pygls.lsp.server  # noqa: F401
    except ImportError:
        mend = "pip install 'bileveldsl[lsp]'"
        message = "the language server needs pygls 2, which is not installed"
        raise BlvError([Diagnostic("E602", message, help=mend)]) from None
    from bileveldsl.lsp.features import make_server

    server = make_server(trust)
    if not settings.debug:  # what is refused is told to the editor; pygls would log it with a traceback, too
        logging.getLogger("pygls").setLevel(logging.CRITICAL)
    # What a library prints must not come between the messages, so these get a stream of their own.
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server.start_io(stdout=messages)
    return 0 if server.shut_down else 1  # as the protocol asks
