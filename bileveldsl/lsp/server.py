"""The server: documents, when they are examined, and what is published about them."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path

from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer

from bileveldsl import __version__
from bileveldsl.language.diagnostics import Diagnostic
from bileveldsl.lsp.analysis import Analysis
from bileveldsl.lsp.document import Document
from bileveldsl.lsp.judgement import DataFolder, Worker
from bileveldsl.lsp.report import internal_error, report
from bileveldsl.program import Program

PAUSE = 0.3
"""Seconds without typing before names, shapes and data are checked."""

QUICK = 0.05
"""A syntax check that takes longer than this many seconds waits for a pause, too."""


class Server(LanguageServer):
    """A language server for models.

    The syntax is checked at once, all else in a thread when typing pauses; an outcome for a text that has changed
    meanwhile is dropped. Files are read only below the folder of the model, unless `trusted`.
    """

    def __init__(self, trusted: bool = False):
        # Whole texts are exchanged: pygls applies changes by lines that end where Python thinks, also at form feeds.
        super().__init__("bileveldsl", __version__, types.TextDocumentSyncKind.Full)
        self.trusted = trusted
        self.documents: dict[str, Document] = {}
        self.worker = Worker()
        self.syntax_seconds = 0.0
        self.shut_down = False

    # ---- texts ----

    def opened(self, params: types.DidOpenTextDocumentParams) -> None:
        uri = params.text_document.uri
        path = uris.to_fs_path(uri)
        folder = DataFolder(Path(path).parent if path else None, self.trusted)
        encoding = self.workspace.position_encoding or types.PositionEncodingKind.Utf16
        document = Document(uri, Path(path or uri).name, encoding, folder)
        self.documents[uri] = document
        document.update(params.text_document.text, params.text_document.version)
        self.examine(document, 0.0)

    def changed(self, params: types.DidChangeTextDocumentParams) -> None:
        document = self.documents.get(params.text_document.uri)
        if document is not None:
            text = self.workspace.get_text_document(document.uri).source
            document.update(text, params.text_document.version)
            self.examine(document, PAUSE)

    def closed(self, params: types.DidCloseTextDocumentParams) -> None:
        document = self.documents.pop(params.text_document.uri, None)
        if document is not None:
            document.cancel()
            self.worker.drop(document.uri)
            document.version = -1
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(document.uri, []))

    def files_changed(self) -> None:
        """Data files may have changed: every model is examined again."""
        for document in self.documents.values():
            self.examine(document, 0.0)

    # ---- what is wrong with them ----

    def examine(self, document: Document, pause: float) -> None:
        """Check the syntax as soon as that disturbs nobody, and the rest after a pause."""
        document.cancel()
        loop = asyncio.get_running_loop()
        wait = 0.0 if self.syntax_seconds < QUICK else pause
        document.timers = [loop.call_later(wait, self._syntax, document, max(pause - wait, 0.0))]

    def _syntax(self, document: Document, pause: float) -> None:
        before = time.perf_counter()
        try:
            analysis = document.analysis
        except Exception as error:  # a bug of ours must not end the session of the editor
            self._failed(document, error)
            return
        self.syntax_seconds = time.perf_counter() - before
        if analysis.errors:
            self.publish(document, analysis.errors)
            return
        if any(found.code.startswith("E1") for found in document.shown):
            self.publish(document, ())
        loop = asyncio.get_running_loop()
        submit = partial(self._submit, document, analysis, document.version, loop)
        document.timers = [loop.call_later(pause, submit)]

    def _submit(self, document: Document, analysis: Analysis, version: int, loop: asyncio.AbstractEventLoop) -> None:
        def job() -> None:
            finished: partial[None]
            try:
                found, program = document.folder.judge(analysis.tree)
                finished = partial(self._judged, document, version, found, program)
            except Exception as error:  # as above, and the thread has to go on
                finished = partial(self._failed, document, error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(finished)

        self.worker.submit(document.uri, job)

    def _judged(
        self, document: Document, version: int, found: tuple[Diagnostic, ...], program: Program | None
    ) -> None:
        if document.version == version:
            document.program = program or document.program
            self.publish(document, found)

    def publish(self, document: Document, found: tuple[Diagnostic, ...]) -> None:
        document.shown = found
        reports = [report(each, document.uri, document.positions) for each in found]
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(document.uri, reports, document.version)
        )

    def _failed(self, document: Document, error: Exception) -> None:
        message = internal_error(document.path, error)
        self.window_log_message(types.LogMessageParams(types.MessageType.Error, message))
