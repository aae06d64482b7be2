"""Where in the user's Python code a node was made: the operation, its operands, its arguments."""

from __future__ import annotations

import ast as python
import linecache
import os
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bileveldsl.language.diagnostics import Source, Span

_OPERATORS = {
    "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "MatMult": "@", "Pow": "^",
    "LtE": "<=", "GtE": ">=", "Eq": "==", "NotEq": "!=", "Lt": "<", "Gt": ">",
}  # fmt: skip
MIRRORED = {"<=": ">=", ">=": "<=", "==": "==", "!=": "!=", "<": ">", ">": "<"}


@dataclass(eq=False)
class Place:
    """One call or operation in the user's code; it is read only when a part of it is asked for."""

    span: Span

    @cached_property
    def _syntax(self) -> python.AST | None:
        try:
            return python.parse(f"({self.span.text})", mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None  # an augmented assignment, or text that changed on disk: the whole span serves

    def _part(self, node: python.expr | python.keyword) -> Span:
        text = Source("", f"({self.span.text})")
        start = _offset(text, node.lineno, node.col_offset) - 1
        end = _offset(text, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset) - 1
        return Span(self.span.source, self.span.start + start, self.span.start + end)

    def operands(self, operator: str) -> tuple[Span, Span]:
        """The two sides of a binary operation; Python may have mirrored a comparison."""
        cached = self._operands.get(operator)
        if cached is None:
            cached = self._operands[operator] = self._find_operands(operator)
        return cached

    @cached_property
    def _operands(self) -> dict[str, tuple[Span, Span]]:
        return {}

    def _find_operands(self, operator: str) -> tuple[Span, Span]:
        match self._syntax:
            case python.BinOp(left=left, op=op, right=right) | python.Compare(left=left, ops=[op], comparators=[right]):
                written = _OPERATORS.get(type(op).__name__)
                if written == operator:
                    return self._part(left), self._part(right)
                if written == MIRRORED.get(operator):
                    return self._part(right), self._part(left)
        return self.span, self.span

    @cached_property
    def _arguments(self) -> dict[int | str, tuple[python.expr, Span]]:
        if not isinstance(self._syntax, python.Call):
            return {}
        found: dict[int | str, tuple[python.expr, Span]] = {}
        for position, argument in enumerate(self._syntax.args):
            if isinstance(argument, python.Starred):
                break
            found[position] = argument, self._part(argument)
        for keyword in self._syntax.keywords:
            if keyword.arg is not None:
                found[keyword.arg] = keyword.value, self._part(keyword.value)
                whole = self._part(keyword)
                name = Span(whole.source, whole.start, whole.start + len(keyword.arg))
                found[f"{keyword.arg}="] = keyword.value, name
        return found

    def argument(self, *keys: int | str) -> Span:
        """The span of an argument of the call, by its position or its keyword, whichever was written."""
        return next((self._arguments[key][1] for key in keys if key in self._arguments), self.span)

    def keyword(self, name: str) -> Span:
        """The span of the name of a keyword argument."""
        return self.argument(f"{name}=")

    def entries(self, count: int, *keys: int | str) -> list[tuple[Span, Span]]:
        """The spans of key and value of each entry of an argument written as a tuple, list or dict of `count`."""
        node, span = next((self._arguments[key] for key in keys if key in self._arguments), (None, self.span))
        match node:
            case python.Tuple(elts=values) | python.List(elts=values) if len(values) == count:
                return [(self._part(value), self._part(value)) for value in values]
            case python.Dict(keys=names, values=values) if len(values) == count:
                pairs = zip(names, values, strict=True)
                return [(self._part(name or value), self._part(value)) for name, value in pairs]
        return [(span, span)] * count

    @cached_property
    def function(self) -> Span:
        """The span of what is called."""
        return self._part(self._syntax.func) if isinstance(self._syntax, python.Call) else self.span

    @cached_property
    def _items(self) -> tuple[Span, ...]:
        if not isinstance(self._syntax, python.Subscript):
            return ()
        key = self._syntax.slice
        items = key.elts if isinstance(key, python.Tuple) else [key]
        return () if any(isinstance(item, python.Starred) for item in items) else tuple(map(self._part, items))

    def item(self, position: int) -> Span:
        """The span of one entry between the brackets of an indexing."""
        return self._items[position] if position < len(self._items) else self.span

    @cached_property
    def base(self) -> Span:
        """The span of what is indexed, negated, or asked for an attribute."""
        match self._syntax:
            case python.Subscript(value=value) | python.Attribute(value=value) | python.UnaryOp(operand=value):
                return self._part(value)
        return self.span


@dataclass
class _Code:
    """What is known of one code object; holding it keeps its id from being used again."""

    code: CodeType
    source: Source
    positions: list[Any] = field(default_factory=list)
    places: dict[int, Place] = field(default_factory=dict)

    def locate(self, frame: FrameType) -> Place:
        if not self.positions:
            self.positions = list(self.code.co_positions())
        line, end_line, column, end_column = self.positions[frame.f_lasti // 2]
        line = line or frame.f_lineno
        source = self.source
        if not 0 < line <= (end_line or line) <= len(source.line_starts) or not source.text:
            return Place(Span(source, 0, 0))
        if column is None or end_column is None:  # Python runs without columns: the line's text
            text = source.line(line)
            start = source.line_starts[line - 1] + len(text) - len(text.lstrip())
            return Place(Span(source, start, start + len(text.strip())))
        return Place(Span(source, _offset(source, line, column), _offset(source, end_line or line, end_column)))


def _offset(source: Source, line: int, byte_column: int) -> int:
    """Python counts columns in bytes of UTF-8, spans count characters."""
    text = source.line(line)
    column = byte_column if text.isascii() else len(text.encode()[:byte_column].decode(errors="ignore"))
    return source.line_starts[line - 1] + min(column, len(text))


_CODES_KEPT = 10_000
_codes: dict[int, _Code] = {}
_sources: dict[str, Source] = {}


def _source(path: str, module: dict[str, Any]) -> Source:
    linecache.checkcache(path)
    text = "".join(linecache.getlines(path, module))
    known = _sources.get(path)
    if known is None or known.text != text:
        known = _sources[path] = Source(path, text)
    return known


def here() -> Place:
    """The call or operation of the user that led into this package.

    Every place is found once and kept with its code object, so that an operation in a loop costs
    two look-ups. Without a text (a plain prompt, `python -c`) the span is empty.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_FOLDER) and frame.f_back is not None:
        frame = frame.f_back
    code = frame.f_code
    known = _codes.get(id(code))
    if known is None:
        if len(_codes) >= _CODES_KEPT:
            _codes.clear()
            _sources.clear()
        known = _codes[id(code)] = _Code(code, _source(code.co_filename, frame.f_globals))
    place = known.places.get(frame.f_lasti)
    if place is None:
        place = known.places[frame.f_lasti] = known.locate(frame)
    return place


# As Python itself spells it, so that the comparison with other code's paths holds.
_FOLDER = str(Path(here.__code__.co_filename).parents[2]) + os.sep
