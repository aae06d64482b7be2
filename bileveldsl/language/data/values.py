"""Arrays of any numeric type as float64, without changing a value and without NaN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import SupportsInt

import numpy as np

from bileveldsl.language.data.request import Request, count, quote

EXACT = 2**53  # every integer up to here is a float64

FILL_IN = "remove or fill in such entries before the model reads the data"
RESCALE = "integers beyond 2^53 would be rounded: store the numbers as floats, or rescale them"


def require(dtype: np.dtype, shape: tuple[int, ...], request: Request, subject: str) -> None:
    """Refuse a type that float64 cannot stand for, and a number of axes that was not asked for."""
    if dtype.hasobject:
        raise request.error(
            "E409",
            f"{subject} holds Python objects, which are never unpickled",
            "convert the array to numbers (`array.astype(float)`) before it is saved",
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise request.error(
            "E409",
            f"{subject} holds {type_name(dtype)}, not real numbers",
            "save the array as float64, an integer type or bool",
        )
    if len(shape) != request.rank:
        raise request.wrong_rank(f"{subject} has shape {shape}")


def to_float64(array: np.ndarray, request: Request, subject: str) -> np.ndarray:
    """The array as float64 in C order, when every value is finite and stays what it is."""
    if array.dtype.kind in "iu" and array.size and (int(array.max()) > EXACT or int(array.min()) < -EXACT):
        index = np.argwhere((array > EXACT) | (array < -EXACT))[0]
        value = array[tuple(index)]
        raise request.error("E414", f"{subject} holds the integer {value}{at(index)}, too large to be exact", RESCALE)
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        bad = np.argwhere(~finite)
        first = float(array[tuple(bad[0])])
        raise request.error("E408", not_finite(subject, first, at(bad[0]), len(bad)), FILL_IN)
    return np.asarray(array, dtype=np.float64, order="C")


def type_name(dtype: np.dtype) -> str:
    kinds = {"c": "complex numbers", "U": "text", "S": "bytes", "M": "dates", "m": "time differences", "V": "records"}
    return f"{kinds.get(dtype.kind, 'numbers')} (dtype {quote(str(dtype))})"


def not_finite(subject: str, value: float, place: str, number: int) -> str:
    """The message about `number` entries that are NaN or infinite, the first of them at `place`."""
    name = "NaN" if np.isnan(value) else "infinity"
    others = f" ({count(number, 'entry is', 'entries are')} not finite)" if number > 1 else ""
    return f"{subject} holds {name}{place}{others}"


def at(index: Iterable[SupportsInt]) -> str:
    """` at [3, 1]`, counted from 0 as the language counts; nothing for a scalar."""
    numbers = ", ".join(str(int(i)) for i in index)
    return f" at [{numbers}]" if numbers else ""


def is_number(text: str) -> bool:
    """Whether `text` is a number; Python would also read `2_5` as 25, which is a slip in a data file."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
