"""Lines below each other whose `within`, `from`, labelled constraints and comments begin in one column."""

from __future__ import annotations

from collections.abc import Sequence

from bileveldsl.language.layout import FARTHEST, Line


def align(lines: Sequence[Line]) -> None:
    """Widen gaps of lines so that what belongs together stands below each other.

    Only neighbours without a blank line between them are aligned, only statements that have a line to themselves, and
    nothing that begins beyond column `FARTHEST`.
    """
    below = [*(line.continues for line in lines[1:]), False]
    statements = [None if line.continues or more else line for line, more in zip(lines, below, strict=True)]
    for word in ("within", "from"):
        _align(lines, [line.words.index(word) if line and word in line.words else None for line in statements])
    _align(lines, [2 if line and line.words[1:2] == [":"] else None for line in statements])
    _align(lines, [len(line.words) if line.comment and not _is_edge(line) else None for line in lines])


def _is_edge(line: Line) -> bool:
    """Whether a line is no more than a comment, or the first or last one of a block."""
    return not line.words or line.words[-1] == "{" or line.words[0] == "}"


def _align(lines: Sequence[Line], stops: Sequence[int | None]) -> None:
    """Align what stands at the stops of neighbouring lines: the word of that index, or behind the words the comment."""
    run: list[tuple[Line, int]] = []
    for line, stop in zip(lines, stops, strict=True):
        if stop is not None and line.width(stop) > FARTHEST:
            stop = None
        if stop is None or line.blank_above:
            _widen(run)
            run = []
        if stop is not None:
            run.append((line, stop))
    _widen(run)


def _widen(run: Sequence[tuple[Line, int]]) -> None:
    widest = max((line.width(stop) for line, stop in run), default=0)
    for line, stop in run:
        missing = widest - line.width(stop)
        if stop < len(line.words):
            line.gaps[stop] += missing
        else:
            line.comment_gap += missing
