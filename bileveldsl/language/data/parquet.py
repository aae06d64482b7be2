"""Parquet files as tables, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bileveldsl.language.data.members import LABEL_GROWTH
from bileveldsl.language.data.request import Request, printable, quote
from bileveldsl.language.data.table import Column, Fault, Table, duplicate
from bileveldsl.language.data.values import EXACT, FILL_IN, RESCALE


def load(path: Path, request: Request) -> Table:
    """The numeric columns of a parquet file; the others wait until they are asked for as labels."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        mend = "install it (`pip install pyarrow`), or save the data as npz or csv"
        raise request.error("E403", f"{request.file} cannot be read without the package pyarrow", mend) from None
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            names, numeric = schema.names, [field.name for field in schema if _is_numeric(field.type)]
            if (name := duplicate(names)) is not None:
                raise request.error("E413", f"{request.file} has two columns {quote(name)}", "give each its own name")
            nbytes = 8 * file.metadata.num_rows * len(names)
            if nbytes > request.limit_bytes:
                raise request.too_large(request.file, nbytes)
            rows, content = file.metadata.num_rows, file.read(columns=numeric)
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise request.damaged(f"cannot be decoded ({error})") from error
    if not names:
        raise request.damaged("has no columns", "write one column for each parameter")
    other = Column(np.empty(0), Fault("E406", 1, "the column does not hold numbers", "save it as a numeric type"))
    columns = tuple(_column(content[name]) if name in numeric else other for name in names)
    return Table(tuple(names), columns, rows, 1, partial(labels, path, schema))


def labels(path: Path, schema: Any, positions: Sequence[int], request: Request) -> list[list[Any]]:
    """Some columns of a parquet file as Python objects; they are read as dictionaries, so equal ones are one object."""
    import pyarrow
    from pyarrow import parquet

    fields = [schema.field(position) for position in positions]
    for field in fields:
        if pyarrow.types.is_nested(field.type):
            what = f"{request.file} column {quote(field.name)} holds {printable(str(field.type))}, not labels"
            raise request.error("E417", what, "save it as text or as an integer type")
    wanted = [field.name for field in fields]
    try:
        with parquet.ParquetFile(path, read_dictionary=wanted) as file:
            nbytes = LABEL_GROWTH * _uncompressed(file.metadata, wanted)
            if nbytes > request.limit_bytes:
                raise request.too_large(f"reading the labels of {request.file}", nbytes)
            content = file.read(columns=wanted)
        return [_labels(content[name]) for name in wanted]
    except (pyarrow.ArrowException, KeyError, ValueError, OSError) as error:  # the file may have changed
        raise request.damaged(f"cannot be decoded ({error})") from error


def _uncompressed(metadata: Any, names: Sequence[str]) -> int:
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    chunks = [group.column(k) for group in groups for k in range(group.num_columns)]
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in names)


def _labels(column: Any) -> list[Any]:
    chunks = column.dictionary_encode().unify_dictionaries().chunks
    values = [*chunks[0].dictionary.to_pylist(), None] if chunks else []
    codes = [code for chunk in chunks for code in chunk.indices.fill_null(-1).to_numpy().tolist()]
    return list(map(values.__getitem__, codes))


def _is_numeric(type: Any) -> bool:
    from pyarrow import types

    return types.is_floating(type) or types.is_integer(type) or types.is_boolean(type)


def _column(column: Any) -> Column:
    """An Arrow column as float64, up to a missing entry or an integer that is too large to be exact."""
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        return Column(np.empty(0), Fault("E408", row + 1, "the entry is missing (null)", FILL_IN))
    values = column.to_numpy()
    if values.dtype.kind in "iu":
        large = np.flatnonzero((values > EXACT) | (values < -EXACT))
        if len(large):
            what = f"the integer {values[large[0]]} is too large to be exact"
            return Column(np.empty(0), Fault("E414", int(large[0]) + 1, what, RESCALE))
    return Column(np.asarray(values, dtype=np.float64))
