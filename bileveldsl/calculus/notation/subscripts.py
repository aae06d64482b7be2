"""How positions in an index set and labels are written."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from bileveldsl.calculus.expr import Axis, Dim, IndexMap

SHOWN = 6  # positions of an index map without a name
LETTERS = "ijklqrst"


def dim_name(dim: Dim) -> str:
    """The name of an index set, or its size where the name is no word."""
    return dim.name if dim.name.isidentifier() else str(dim.size)


def subscript(index: IndexMap, dim: Dim, paired: bool = False) -> str:
    """Positions as a number, `:` for all, a slice, the name of the map, or a short list.

    Positions that go in pairs with those along another axis are no slice: that would be a block.
    """
    positions = index.positions
    if positions.ndim == 0:
        return str(int(positions))
    first, last = int(positions[0]), int(positions[-1])
    if not paired and is_everything(index, dim):
        return ":"
    if not paired and np.array_equal(positions, np.arange(first, last + 1)):
        return f"{first}:{last + 1}"
    if index.name.isidentifier() and index.name != "diagonal":
        return index.name
    if len(positions) <= SHOWN:
        return str(positions.tolist())
    return f"[{first}, {int(positions[1])}, ..., {last}]"


def is_everything(index: IndexMap, dim: Dim) -> bool:
    """Whether all positions are taken in their order."""
    return np.array_equal(index.positions, np.arange(dim.size))


def shifted(index: IndexMap, dim: Dim, label: str) -> str:
    """The position that belongs to a label of the selected elements, or to the place that the label is fixed at."""
    text = subscript(index, dim)
    if index.positions.ndim == 0:
        return text
    if label.isdigit():
        return str(int(index.positions[int(label)]))
    start, colon, _ = text.partition(":")
    if not colon:
        return f"{text}[{label}]"
    return label if start in ("", "0") else f"{label} + {start}"


class Labels:
    """Names of labels: that of the index set, or a letter where it is no word or means something else; with primes.

    Parameters
    ----------
    taken
        Names that mean something else.
    axes
        Labels in the order in which they get letters.
    """

    def __init__(self, taken: Iterable[str] = (), axes: Sequence[Axis] = ()) -> None:
        self._taken = set(taken)
        self._bases: dict[Dim, str] = {}
        for axis in axes:
            self.name(axis)

    def name(self, axis: Axis, avoid: Iterable[str] = ()) -> str:
        """The name of a label, primed until it is none of those to avoid."""
        base = self._bases.setdefault(axis.dim, self._base(axis.dim))
        prime = axis.prime
        avoided = set(avoid)
        while base + "'" * prime in avoided:
            prime += 1
        return base + "'" * prime

    def _base(self, dim: Dim) -> str:
        if dim.name.isidentifier() and dim.name not in self._taken:
            return dim.name
        used = self._taken.union(self._bases.values())
        candidates = itertools.chain(LETTERS, (f"i{k}" for k in itertools.count(1)))
        return next(letter for letter in candidates if letter not in used)
