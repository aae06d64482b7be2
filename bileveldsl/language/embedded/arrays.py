"""The values of parameters: real, finite, float64, of the declared rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Span
from bileveldsl.language.embedded.errors import fail
from bileveldsl.language.embedded.literals import exact, number

if TYPE_CHECKING:
    import numpy as np

INLINE = 20  # entries that are written into the text of the model; more go to a file beside it
EXACT = 2**53  # every integer up to here is a float64


def real_value(value: Any, name: str, rank: int, span: Span) -> tuple[np.ndarray, ast.Expression | None]:
    """A parameter's value as a read-only float64 array, and as a literal when it is short enough for one.

    A number is exact in the literal, and may stand for all entries of a parameter with axes.
    """
    import numpy as np

    exactly = exact(value, span)
    if exactly is None:
        array = _real_array(value, name, rank, span)
        return array, _literal(array, span) if 0 < array.size <= INLINE else None
    try:
        array = np.array(float(exactly))
    except OverflowError:
        array = np.array(np.inf)
    if not np.isfinite(array):
        fail("E271", f"the value of `{name}` is beyond what a float64 holds", span, help="give a finite number")
    array.setflags(write=False)
    return array, number(exactly, span)


def _real_array(value: Any, name: str, rank: int, span: Span) -> np.ndarray:
    import numpy as np

    from bileveldsl.language.data.mapped import is_mapped

    mend = "convert it first, for instance with numpy.asarray(value, dtype=float)"
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        fail("E270", f"the value of `{name}` is no array: {str(error)[:100]}", span, help=mend)
    if np.ma.is_masked(value):
        fail("E271", f"the value of `{name}` has masked entries", span, help="fill in or remove missing values first")
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        if hasattr(value, "toarray"):
            mend = "make it dense: value.toarray()"
        fail("E270", f"the value of `{name}` holds {array.dtype}, not real numbers", span, help=mend)
    if array.ndim != rank:
        fail("E272", f"`{name}` is declared with {rank} {'axis' if rank == 1 else 'axes'}, its value has {array.ndim}",
             span, label=f"shape {array.shape}", help=f"name an axis for each: m.param({name!r}, n, ...)")  # fmt: skip
    is_integer = array.dtype.kind in "iu"
    wrong = (array > EXACT) | (array < -EXACT) if is_integer else ~np.isfinite(array)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        entry = f"`{name}`{list(first) if first else ''} is {array[first]}"
        if is_integer:
            fail("E274", f"{entry}, an integer too large to be exact", span, help="give floats, or rescale the values")
        fail("E271", entry, span, help="fill in or remove missing values first")
    if is_mapped(array) and not array.flags.writeable and array.dtype == np.float64 and array.flags.c_contiguous:
        return array  # stays in its file
    array = np.array(array, dtype=np.float64, order="C")
    array.setflags(write=False)
    return array


def _literal(array: np.ndarray, span: Span) -> ast.Expression:
    """The array as it is written in a model; an entry is the decimal that it prints."""
    if array.ndim:
        return ast.List(tuple(_literal(row, span) for row in array), span=span)
    value = exact(array.item(), span)
    assert value is not None
    return number(value, span)
