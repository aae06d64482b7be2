"""What the server answers: each request of the protocol, and the part that knows the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source
from bileveldsl.language.format import format_source
from bileveldsl.lsp.completion import complete
from bileveldsl.lsp.describe import describe
from bileveldsl.lsp.document import Document
from bileveldsl.lsp.judgement import DataFolder
from bileveldsl.lsp.occurrences import Occurrence
from bileveldsl.lsp.rename import Refused, rename
from bileveldsl.lsp.report import replacement, report
from bileveldsl.lsp.server import Server
from bileveldsl.lsp.symbols import symbols


def make_server(trusted: bool = False) -> Server:
    """A server with all its features, not yet started.

    Parameters
    ----------
    trusted : bool
        Whether models may read data files outside their own folders.
    """
    server = Server(trusted)
    _register_texts(server)
    _register_answers(server)
    _register_edits(server)
    return server


def _register_texts(server: Server) -> None:
    # Not the methods themselves: the protocol's library writes attributes on what it calls.
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def _opened(params: types.DidOpenTextDocumentParams) -> None:
        server.opened(params)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def _changed(params: types.DidChangeTextDocumentParams) -> None:
        server.changed(params)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def _closed(params: types.DidCloseTextDocumentParams) -> None:
        server.closed(params)

    @server.feature(types.SHUTDOWN)
    def _shut_down(*_: Any) -> None:
        server.shut_down = True

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def _files_changed(params: Any) -> None:
        server.files_changed()


def _register_answers(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def _hover(params: types.HoverParams) -> types.Hover | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        offset = document.positions.offset(params.position)
        text = describe(document.analysis, offset, document.whole, document.program)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text)) if text else None

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["[", "."]))
    def _completion(params: types.CompletionParams) -> list[types.CompletionItem]:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return []
        earlier = document.whole.declarations if document.whole else {}
        known = {**earlier, **document.analysis.declarations}
        return complete(document.text, document.positions.offset(params.position), known)

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def _definition(params: types.DefinitionParams) -> types.Location | None:
        document, occurrence = _found(server, params)
        span = occurrence and document.analysis.declaration(occurrence)
        return types.Location(document.uri, document.positions.range(span)) if span else None

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def _references(params: types.ReferenceParams) -> list[types.Location]:
        document, occurrence = _found(server, params)
        same = document.analysis.same(occurrence) if occurrence else []
        wanted = [other for other in same if params.context.include_declaration or not other.declares]
        return [types.Location(document.uri, document.positions.range(other.span)) for other in wanted]

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def _highlight(params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
        document, occurrence = _found(server, params)
        same = document.analysis.same(occurrence) if occurrence else []
        return [types.DocumentHighlight(document.positions.range(other.span)) for other in same]

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def _symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        document = server.documents.get(params.text_document.uri)
        return symbols(document.analysis, document.positions) if document else []


def _register_edits(server: Server) -> None:
    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def _prepare(params: types.PrepareRenameParams) -> types.Range | None:
        document, occurrence = _found(server, params)
        if occurrence is None or document.analysis.declaration(occurrence) is None:
            return None
        return document.positions.range(occurrence.span)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def _rename(params: types.RenameParams) -> types.WorkspaceEdit:
        document, occurrence = _found(server, params)
        if occurrence is None or document.analysis.declaration(occurrence) is None:
            raise JsonRpcInvalidParams("there is no name that the model declares")

        def judge(model: ast.Model) -> tuple[Diagnostic, ...]:
            # Not by the folder of the document, which is the thread's.
            return DataFolder(document.folder.root, server.trusted).judge(model)[0]

        try:
            edits = rename(document.analysis, occurrence, params.new_name, judge)
        except Refused as refused:
            raise JsonRpcInvalidParams(str(refused)) from None
        changes = [types.TextEdit(document.positions.range(span), text) for span, text in edits]
        return types.WorkspaceEdit({document.uri: changes})

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def _formatting(params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        document = server.documents.get(params.text_document.uri)
        if document is None:
            return None
        try:
            return _difference(document, format_source(Source(document.path, document.text)))
        except BlvError:
            return None  # with its syntax errors the text stays as it is

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    )
    def _actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        document = server.documents.get(params.text_document.uri)
        return list(_mends(document, document.shown, params.range)) if document else []


def _found(server: Server, params: Any) -> tuple[Any, Occurrence | None]:
    """The document and the name in it that a request is about."""
    document = server.documents.get(params.text_document.uri)
    return document, document.analysis.at(document.positions.offset(params.position)) if document else None


def _difference(document: Document, text: str) -> list[types.TextEdit]:
    """One edit of what differs, so that the cursor stays where the text does."""
    old = document.text
    if text == old:
        return []
    start = 0
    while start < min(len(old), len(text)) and old[start] == text[start]:
        start += 1
    tail = 0
    while tail < min(len(old), len(text)) - start and old[-1 - tail] == text[-1 - tail]:
        tail += 1
    place = types.Range(document.positions.position(start), document.positions.position(len(old) - tail))
    return [types.TextEdit(place, text[start : len(text) - tail])]


def _mends(document: Document, found: Sequence[Diagnostic], place: types.Range) -> list[types.CodeAction]:
    """The words that diagnostics at a place would write instead."""
    actions = []
    for each in found:
        meant = replacement(each)
        if meant is None or meant[0].source.text != document.text:
            continue
        where = document.positions.range(meant[0])
        if where.start <= place.end and place.start <= where.end:
            edit = types.WorkspaceEdit({document.uri: [types.TextEdit(where, meant[1])]})
            diagnostics = [report(each, document.uri, document.positions)]
            title, kind = f"Write {meant[1]}", types.CodeActionKind.QuickFix
            actions.append(types.CodeAction(title, kind, diagnostics, is_preferred=True, edit=edit))
    return actions
