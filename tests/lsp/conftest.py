"""A session with the real server: a subprocess that speaks the protocol over its pipes."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SECONDS = 30


class Session:
    """A client that sends what a test tells it to, and keeps what the server says unasked."""

    def __init__(self, *options: str, encodings: list[str] | None = None):
        command = [sys.executable, "-m", "bileveldsl", "lsp", *options]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.unasked: list[dict[str, Any]] = []
        self.count = 0
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        general = {"positionEncodings": encodings} if encodings else {}
        asked = {"processId": None, "rootUri": None, "capabilities": {"general": general}}
        self.capabilities = self.request("initialize", asked)["capabilities"]
        self.notify("initialized", {})

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        with stream:
            while header := stream.readline():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
                    while stream.readline().strip():
                        pass
                    self.messages.put(json.loads(stream.read(length)))

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream = self.process.stdin
        assert stream is not None
        stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        stream.flush()

    def notify(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def answer(self, method: str, params: Any) -> dict[str, Any]:
        self.count += 1
        self.send({"id": self.count, "method": method, "params": params})
        while True:
            message = self.messages.get(timeout=SECONDS)
            if message.get("id") == self.count:
                return message
            self.unasked.append(message)

    def request(self, method: str, params: Any) -> Any:
        message = self.answer(method, params)
        assert "error" not in message, message
        return message["result"]

    # ---- documents ----

    def open(self, path: Path | str, text: str | None = None) -> str:
        uri = path.as_uri() if isinstance(path, Path) else path
        if text is None:
            assert isinstance(path, Path)
            text = path.read_text(encoding="utf-8")
        item = {"uri": uri, "languageId": "blv", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})
        return uri

    def change(self, uri: str, version: int, text: str) -> None:
        place = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": place, "contentChanges": [{"text": text}]})

    def diagnostics(self, uri: str, version: int | None = 1) -> list[dict[str, Any]]:
        """The next that are published for a version."""
        while True:
            message = self.unasked.pop(0) if self.unasked else self.messages.get(timeout=SECONDS)
            params = message.get("params", {})
            published = message.get("method") == "textDocument/publishDiagnostics"
            assert message.get("method") != "window/logMessage", params
            if published and params["uri"] == uri and params.get("version") == version:
                return params["diagnostics"]

    def at(self, uri: str, line: int, character: int) -> dict[str, Any]:
        return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}

    def end(self) -> tuple[int, bytes]:
        """Shut down; the exit code, and what was written to stderr."""
        assert self.request("shutdown", None) is None
        self.notify("exit", None)
        assert self.process.stdin is not None and self.process.stderr is not None
        code = self.process.wait(SECONDS)
        errors = self.process.stderr.read()
        self.reader.join(SECONDS)
        self.process.stdin.close()
        self.process.stderr.close()
        return code, errors


@pytest.fixture(scope="module")
def start() -> type[Session]:
    """For tests that start sessions of their own."""
    return Session


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """One session for all tests of a file, each with documents of its own."""
    started = Session()
    yield started
    assert started.end() == (0, b"")
