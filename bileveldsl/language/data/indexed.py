"""Arrays over index sets: rows of labels with a value each, brought into the order of the sets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from bileveldsl.language.data.members import LabelledAxis, Labels, first_rows, show
from bileveldsl.language.data.request import Request, some
from bileveldsl.language.diagnostics import BlvError

FEW = 3  # faults shown in one message


def arrange(labels: Labels, values: np.ndarray, axes: Sequence[LabelledAxis], request: Request) -> np.ndarray:
    """The values over the axes, when the rows name every combination of members exactly once."""
    shape = tuple(axis.size for axis in axes)
    entries = math.prod(shape)
    if 8 * entries > request.limit_bytes:
        raise request.too_large(labels.subject, 8 * entries)
    flat = np.zeros(len(values), np.int64)
    first = 0
    for axis in axes:
        position = axis.locate(labels.columns[first : first + axis.arity])
        unknown = np.flatnonzero(position < 0)
        if len(unknown):
            raise _unknown(labels, unknown, first, axis, request)
        flat = flat * axis.size + position
        first += axis.arity
    given = np.zeros(entries, bool)
    given[flat] = True
    if np.count_nonzero(given) < len(flat):
        raise _repeated(labels, flat, axes, request)
    if not given.all():
        raise _missing(labels.subject, given, axes, request)
    result = np.empty(entries)
    result[flat] = values
    return result.reshape(shape)


def require_sizes(array: np.ndarray, subject: str, axes: Sequence[LabelledAxis], request: Request) -> np.ndarray:
    """The array itself, when each of its axes has one entry for each member."""
    for axis, length in zip(axes, array.shape, strict=True):
        if axis.size != length:
            message = f"{subject} has shape {array.shape}, but {axis.name} has size {axis.size}"
            mend = "store one entry for each member in the order of the set, or store the labels beside the values"
            raise request.error("E421", message, mend)
    return array


def _unknown(labels: Labels, rows: np.ndarray, first: int, axis: LabelledAxis, request: Request) -> BlvError:
    members = [labels.member(int(row), first, axis.arity) for row in rows[:FEW]]
    shown = [f"{show(m)} ({labels.place(int(row))})" for m, row in zip(members, rows, strict=False)]
    verb = "is" if len(rows) == 1 else "are"
    message = f"{labels.subject}: {some(shown, len(rows))} {verb} not in {axis.name}"
    return request.error("E418", message, axis.instead_of(members[0]))


def _repeated(labels: Labels, flat: np.ndarray, axes: Sequence[LabelledAxis], request: Request) -> BlvError:
    first = first_rows(flat.tolist())
    again = np.flatnonzero(first != np.arange(len(first)))
    row = int(again[0])
    return labels.repeated(_entry(int(flat[row]), axes, request), int(first[row]), row, len(again), request)


def _missing(subject: str, given: np.ndarray, axes: Sequence[LabelledAxis], request: Request) -> BlvError:
    missing = np.flatnonzero(~given)
    shown = [_entry(int(position), axes, request) for position in missing[:FEW]]
    message = f"{subject} has no value for {some(shown, len(missing))}"
    return request.error("E419", message, "give a value for each member of the set, 0 where there is nothing")


def _entry(position: int, axes: Sequence[LabelledAxis], request: Request) -> str:
    """An entry as the language writes it: `supply["t1", "b"]`."""
    index = np.unravel_index(position, tuple(axis.size for axis in axes))
    members = [axis.member(int(i)) for axis, i in zip(axes, index, strict=True)]
    labels = [label for member in members for label in (member if isinstance(member, tuple) else (member,))]
    return f"{request.name}[{', '.join(map(show, labels))}]"
