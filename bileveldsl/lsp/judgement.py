"""What is wrong with a model that parses: names, shapes, data, claims; slow, and so left to a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.language import ast
from bileveldsl.language.data import Reader
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.language.elaborate import elaborate
from bileveldsl.program import Program

CERTIFY_SECONDS = 2.0


def judge(model: ast.Model, reader: Reader) -> tuple[tuple[Diagnostic, ...], Program | None]:
    """Every diagnostic of a model beyond its syntax, and the program when there is one."""
    try:
        program = elaborate(model, reader)
    except BlvError as error:
        return error.diagnostics, None
    _, findings = check_claims(program, certify(program, CERTIFY_SECONDS))
    return (*program.warnings, *findings), program


@dataclass
class DataFolder:
    """The data files of one model, read again only when one of them has changed.

    Parameters
    ----------
    root : the folder of the model; None for a text that is in no file, which can read none.
    trusted : also read files outside that folder.
    """

    root: Path | None
    trusted: bool
    _reader: Reader | None = None
    _seen: dict[str, tuple[int, int] | None] = field(default_factory=dict)

    def judge(self, model: ast.Model) -> tuple[tuple[Diagnostic, ...], Program | None]:
        before = {path: self._state(path) for path in self._seen}
        if self._reader is None or before != self._seen:
            self._reader = Reader(self.root or _NOWHERE, safe=not self.trusted)
        outcome = judge(model, self._reader)
        self._seen = {path: before.get(path) or self._state(path) for path in self._reader.digests}
        return outcome

    def _state(self, path: str) -> tuple[int, int] | None:
        try:
            status = ((self.root or _NOWHERE) / path).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size


_NOWHERE = Path(__file__) / "nowhere"  # below a file, so that nothing can be there


class Worker:
    """One thread that does jobs; a job that waits gives way to a newer one with the same key.

    The thread is a daemon, so that a long job does not hold up the end of the server.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Callable[[], None]] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, key: str, job: Callable[[], None]) -> None:
        with self._changed:
            self._jobs[key] = job
            self._changed.notify()

    def drop(self, key: str) -> None:
        with self._changed:
            self._jobs.pop(key, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs:
                    self._changed.wait()
                job = self._jobs.pop(next(iter(self._jobs)))
            job()
