"""From text to the abstract syntax tree."""

from __future__ import annotations

import re
from pathlib import Path

from bileveldsl.language import ast
from bileveldsl.language.build import ModelName
from bileveldsl.language.diagnostics import BlvError, Diagnostic, Source, Span
from bileveldsl.language.outline import KEYWORDS
from bileveldsl.language.reader import Rejected, read
from bileveldsl.language.structure import structure_errors
from bileveldsl.language.syntax_errors import syntax_errors

MAX_BYTES = 20_000_000


def parse(source: Source) -> ast.Model:
    """The tree of a model, every node with the span of its text.

    A model without a `model` line has the name of its file. Statements that declare several names become one
    node for each, all with the span of the statement.

    Parameters
    ----------
    source : Source
        The text and where it is from.

    Returns
    -------
    Model

    Raises
    ------
    BlvError
        With every syntax error of the text (E1xx).

    Examples
    --------
    >>> text = "upper { var x; minimize x + y }\\nlower { var y; minimize (y - x)^2 }"
    >>> model = parse(Source("toy.blv", text))
    >>> model.name, [level.name for level in model.items]
    ('toy', ['upper', 'lower'])
    >>> model.items[1].statements[1].expression.span.text
    '(y - x)^2'
    """
    if len(source.text) > MAX_BYTES:
        raise BlvError([_too_large(source.path, len(source.text))])
    try:
        reading = read(source, "start")
    except Rejected:
        raise BlvError(syntax_errors(source)) from None
    errors = reading.diagnostics + structure_errors(source, reading.nodes)
    if errors:
        raise BlvError(sorted(errors, key=lambda error: error.span.start if error.span else 0))
    head = next((item for item in reading.nodes if isinstance(item, ModelName)), None)
    name, doc = (head.name, head.doc) if head else (_name_of(source.path), "")
    items = tuple(item for item in reading.nodes if not isinstance(item, ModelName))
    return ast.Model(name, items, doc, span=Span(source, 0, len(source.text)))


def load_source(path: str | Path) -> Source:
    """The text of a model file.

    Parameters
    ----------
    path : str or Path
        A UTF-8 file, with or without a byte order mark, of at most 20 MB.

    Returns
    -------
    Source

    Raises
    ------
    BlvError
        E101 when the file cannot be read, E102 when it is not UTF-8, E103 when it is too large.
    """
    file = Path(path)
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise BlvError([_too_large(str(path), size)])
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = f"cannot read {path}: {reason[:1].lower()}{reason[1:]}"
        raise BlvError([Diagnostic("E101", message, help="name a file that exists and that you may read")]) from None
    try:
        return Source(str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 text: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise BlvError([Diagnostic("E102", message, help="save the file with the encoding UTF-8")]) from None


def _too_large(path: str, size: int) -> Diagnostic:
    message = f"{path} has {size:,} bytes; a model has at most {MAX_BYTES:,}"
    return Diagnostic("E103", message, help='keep data in files of their own: `param X[n, p] from "data.npz"`')


def _name_of(path: str) -> str:
    """The stem of a path as a name of the language."""
    name = re.sub(r"\W+", "_", Path(path).stem).strip("_") or "unnamed"
    return f"_{name}" if name[0].isdigit() or name in KEYWORDS else name
