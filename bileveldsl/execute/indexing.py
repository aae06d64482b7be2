"""Positions in labels as NumPy subscripts, by slices where they can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bileveldsl.calculus.expr import Axis, IndexMap

Positions = tuple[tuple[Axis, IndexMap], ...]
"""Where in some labels: one number for each, or numbers for each member of a new label."""


def subscript(
    axes: Sequence[Axis], at: Positions, along: Axis | None, constant: Callable[[IndexMap], str]
) -> tuple[str, tuple[Axis, ...]]:
    """The subscript for an array over `axes`, and the labels of what it takes, in NumPy's order.

    `constant` gives the text for an index array.
    """
    maps = dict(at)
    new = [along] if along else []
    places = [k for k, axis in enumerate(axes) if axis in maps]
    vectors = [axis for axis in axes if axis in maps and maps[axis].positions.ndim]
    entries = {axis: str(maps[axis].positions) for axis in maps if axis not in vectors}
    only = _slice(maps[vectors[0]].positions, vectors[0].size) if len(vectors) == 1 else None
    entries |= {axis: only or constant(maps[axis]) for axis in vectors}
    # NumPy puts what index arrays take in their place, or first where they do not lie side by side.
    together = places[-1] - places[0] == len(places) - 1
    where = vectors[0] if only else axes[places[0]] if together else None
    left = [] if where or not vectors else [*new]
    for axis in axes:
        left += new if vectors and axis == where else []
        left += [axis] if axis not in maps else []
    texts = [entries.get(axis, ":") for axis in axes]
    while len(texts) > 1 and texts[-1] == ":":
        texts.pop()
    return ", ".join(texts), tuple(left)


def _slice(positions: np.ndarray, size: int) -> str | None:
    """Positions in increasing arithmetic progression as a slice of an axis of that size."""
    if len(positions) < 2:
        return f"{positions[0]}:{positions[0] + 1}" if len(positions) else "0:0"
    steps = np.diff(positions)
    if steps[0] < 1 or (steps != steps[0]).any():
        return None
    if steps[0] == 1:
        return ":" if len(positions) == size else f"{positions[0]}:{positions[-1] + 1}"
    return f"{positions[0]}:{positions[-1] + 1}:{steps[0]}"


def distinct(at: Positions) -> bool:
    """Whether no element is named twice."""
    vectors = [index.positions for _, index in at if index.positions.ndim]
    return not vectors or len(np.unique(np.stack(vectors), axis=1).T) == len(vectors[0])
