"""The variables of a level as one flat vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bileveldsl.execute.namespace import Array
from bileveldsl.program import Variable


@dataclass(frozen=True)
class Part:
    """Where one variable lies in a flat vector."""

    name: str
    shape: tuple[int, ...]
    place: slice


@dataclass(frozen=True)
class Layout:
    """How the variables of one level lie in a flat vector: in order, each in C order."""

    parts: tuple[Part, ...]
    size: int

    @staticmethod
    def of(variables: Iterable[Variable]) -> Layout:
        parts, start = [], 0
        for variable in variables:
            shape = variable.symbol.shape
            stop = start + int(np.prod(shape))
            parts.append(Part(variable.name, shape, slice(start, stop)))
            start = stop
        return Layout(tuple(parts), start)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        """The flat float64 vector of the variables' values; each may be anything that broadcasts to its shape."""
        vector = np.empty(self.size)
        for part in self.parts:
            vector[part.place] = np.broadcast_to(np.asarray(values[part.name], dtype=float), part.shape).ravel()
        return vector

    def unpack(self, vector: Array) -> dict[str, np.ndarray]:
        """The variables' arrays by name."""
        flat = np.asarray(vector, dtype=float)
        return {part.name: flat[part.place].reshape(part.shape) for part in self.parts}


def box(variables: Iterable[Variable]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower and upper bounds and the start of the variables, flat."""
    members = list(variables)
    starts = [v.start if v.start is not None else np.clip(np.zeros(v.symbol.shape), v.lower, v.upper) for v in members]
    return _joined([v.lower for v in members]), _joined([v.upper for v in members]), _joined(starts)


def _joined(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(np.ravel(array).astype(float) for array in arrays)])
