"""One open model: its text, what is known of it, and what its editor was told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from lsprotocol import types

from bileveldsl.language.diagnostics import Diagnostic, Source
from bileveldsl.lsp.analysis import Analysis, analyse
from bileveldsl.lsp.judgement import DataFolder
from bileveldsl.lsp.positions import Positions
from bileveldsl.program import Program


@dataclass
class Document:
    """A model in an editor; `whole` and `program` are of the latest texts without errors of syntax, or any."""

    uri: str
    path: str
    encoding: types.PositionEncodingKind | str
    folder: DataFolder
    text: str = ""
    version: int = 0
    whole: Analysis | None = None
    program: Program | None = None
    shown: tuple[Diagnostic, ...] = ()
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _analysis: Analysis | None = None
    _positions: Positions | None = None

    def update(self, text: str, version: int) -> None:
        self.text, self.version = text, version
        self._analysis = self._positions = None

    @property
    def analysis(self) -> Analysis:
        """Of the present text."""
        if self._analysis is None:
            self._analysis = analyse(Source(self.path, self.text))
            if not self._analysis.errors:
                self.whole = self._analysis
        return self._analysis

    @property
    def positions(self) -> Positions:
        if self._positions is None:
            self._positions = Positions(self.text, self.encoding)
        return self._positions

    def cancel(self) -> None:
        """Forget what was to be done about an earlier text."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
