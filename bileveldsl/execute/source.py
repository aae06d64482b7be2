"""Straight-line code under construction: values with labels, each computed once and named only where that helps.

While code is generated every operation is an instruction with a name of its own, and equal texts are one
instruction, so that nodes equal up to the names of their labels are computed once. `Body.render` then puts short
instructions that are used once back into the place of their use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bileveldsl.calculus.expr import Axis

# How tightly the text of a value binds; a value is parenthesised where a tighter one is needed.
SUM, PRODUCT, ATOM = 1, 2, 3

LINE = 100  # an instruction used once is written in place while the text stays this short

_ATOMIC = re.compile(r"[\w.]+|[\d.]+e[+-]\d+")  # identifiers and numbers
_REFERENCE = re.compile(r"\{(\d+):(\d)\}")


@dataclass(frozen=True)
class Value:
    """Source text of an array whose axes carry these labels; texts refer to instructions as `{number:level}`."""

    text: str
    axes: tuple[Axis, ...] = ()
    level: int = ATOM
    number: int | None = None

    def at(self, level: int) -> str:
        """The text for a place that needs this level."""
        if self.number is not None:
            return f"{{{self.number}:{level}}}"
        return self.text if self.level >= level else f"({self.text})"


@dataclass
class Body:
    """The instructions of one function, with the order in which arrays hold their labels.

    Every array has its labels in increasing `rank`, so that elementwise operations never transpose.
    """

    rank: dict[Axis, int]
    instructions: list[Value] = field(default_factory=list)
    known: dict[str, Value] = field(default_factory=dict)

    def name(self, value: Value) -> Value:
        """The value as an instruction; identifiers and numbers need none."""
        if value.number is not None or (value.level == ATOM and _ATOMIC.fullmatch(value.text)):
            return value
        if value.text not in self.known:
            self.known[value.text] = Value("", value.axes, ATOM, len(self.instructions))
            self.instructions.append(value)
        known = self.known[value.text]
        return Value("", value.axes, ATOM, known.number)  # the same array, perhaps under other labels

    def sorted_axes(self, axes: Iterable[Axis]) -> tuple[Axis, ...]:
        return tuple(sorted(set(axes), key=self.rank.__getitem__))

    def transpose(self, value: Value, axes: Sequence[Axis]) -> Value:
        """The value with its labels in another order."""
        if value.axes == tuple(axes):
            return value
        assert set(value.axes) == set(axes), f"{value.axes} are not {axes}"
        if len(axes) == 2:
            source = value if value.number is None else self.instructions[value.number]
            if not (source.level == ATOM and source.text.endswith(".T")):
                return Value(f"{value.at(ATOM)}.T", tuple(axes))
            text = source.text[:-2]  # a transposed transpose is the array itself
            number = _REFERENCE.fullmatch(text)
            return Value("", tuple(axes), ATOM, int(number[1])) if number else Value(text, tuple(axes))
        order = ", ".join(str(value.axes.index(axis)) for axis in axes)
        return Value(f"{value.at(ATOM)}.transpose({order})", tuple(axes))

    def in_order(self, value: Value) -> Value:
        return self.transpose(value, self.sorted_axes(value.axes))

    def expand(self, value: Value, axes: Sequence[Axis]) -> Value:
        """The value with an axis of length one for each label that it lacks, where broadcasting needs one."""
        value = self.transpose(value, [axis for axis in axes if axis in value.axes])
        if not value.axes or value.axes == tuple(axes)[-len(value.axes) :]:
            return value
        missing = [axis not in value.axes for axis in axes]
        first = missing.index(False)  # leading axes are broadcast anyway
        index = ", ".join("None" if absent else ":" for absent in missing[first:])
        return Value(f"{value.at(ATOM)}[{index}]", tuple(axes[first:]))

    def broadcast(self, value: Value, axes: Sequence[Axis]) -> Value:
        """The value with exactly these labels, as an array of their sizes."""
        if set(value.axes) == set(axes) and axes:
            return self.transpose(value, axes)
        return Value(f"xp.broadcast_to({self.expand(value, axes).at(SUM)}, {shape_text(axes)})", tuple(axes))

    def render(self, results: Sequence[Value]) -> tuple[list[str], list[str]]:
        """Assignments in order, and the texts of the results."""
        live = self._live(results)
        texts = [self.instructions[k].at(SUM) for k in sorted(live)] + [value.at(SUM) for value in results]
        uses = Counter(int(match[1]) for text in texts for match in _REFERENCE.finditer(text))
        lines: list[str] = []
        done: dict[int, Value] = {}

        def resolve(text: str) -> str:
            return _REFERENCE.sub(lambda match: done[int(match[1])].at(int(match[2])), text)

        for number in sorted(live):
            instruction = self.instructions[number]
            text = resolve(instruction.text)
            if uses[number] > 1 or len(text) > LINE:
                labels = ", ".join(map(repr, instruction.axes))
                lines.append(f"t{len(lines) + 1} = {text}  # [{labels}]")
                done[number] = Value(f"t{len(lines)}")
            else:
                done[number] = Value(text, (), instruction.level)
        return lines, [resolve(value.at(SUM)) for value in results]

    def _live(self, results: Sequence[Value]) -> set[int]:
        live: set[int] = set()
        stack = [value.at(SUM) for value in results]
        while stack:
            for match in _REFERENCE.finditer(stack.pop()):
                number = int(match[1])
                if number not in live:
                    live.add(number)
                    stack.append(self.instructions[number].text)
        return live


def shape_text(axes: Sequence[Axis]) -> str:
    return tuple_text([str(axis.size) for axis in axes])


def tuple_text(parts: Sequence[Any]) -> str:
    return "(" + ", ".join(map(str, parts)) + ("," if len(parts) == 1 else "") + ")"
