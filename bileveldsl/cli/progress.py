"""One line on the terminal that says how far a solve has come."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

    from bileveldsl.execute.monitor import ProgressEvent

PATIENCE = 2.0  # seconds without a word: most solves are over by then


class Progress:
    """A callback for progress events; silent unless stderr is a terminal."""

    def __init__(self, quiet: bool):
        self._silent = quiet or not sys.stderr.isatty()
        self._line: Status | None = None

    def __enter__(self) -> Progress:
        return self

    def __call__(self, event: ProgressEvent) -> None:
        if self._silent or event.elapsed < PATIENCE:
            return
        if self._line is None:
            from rich.console import Console

            self._line = Console(stderr=True).status("")
            self._line.start()
        self._line.update(describe(event))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.stop()


def describe(event: ProgressEvent) -> str:
    """The event in one line."""
    objective = "" if event.objective is None else f", objective {event.objective:.6g}"
    measures = "".join(f", {name} {value:.2g}" for name, value in event.measures.items())
    return f"{event.elapsed:.0f} s, iteration {event.iteration}{objective}{measures}"
