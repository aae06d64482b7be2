"""The arrays that compiled functions need besides their inputs, and safe names for them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bileveldsl.calculus.expr import IndexMap, Symbol
from bileveldsl.execute.engine import Engine
from bileveldsl.execute.namespace import Array


@dataclass
class Constants:
    """The arrays that functions need besides their inputs, by the names they have in the source.

    Functions take them as an argument: JAX would fold arrays that are part of the program into it.
    """

    engine: Engine
    arrays: dict[str, Array] = field(default_factory=dict)
    _names: dict[Any, str] = field(default_factory=dict)

    def data(self, symbol: Symbol) -> str:
        return self._bind(symbol, symbol.name, symbol.value)

    def positions(self, index: IndexMap) -> str:
        return self._bind(index.key, index.name or "index", index.positions)

    def _bind(self, key: Any, wanted: str, value: Any) -> str:
        if key not in self._names:
            self._names[key] = identifier(wanted, self.arrays)
            self.arrays[self._names[key]] = self.engine.asarray(value)
        return self._names[key]


_TAKEN = frozenset({"xp", "constants", *keyword.kwlist})


def identifier(wanted: str, taken: Iterable[str]) -> str:
    """A Python name like the wanted one, not among those taken and unlike the temporaries t1, t2, ..."""
    name = re.sub(r"\W", "_", wanted, flags=re.ASCII)
    if not re.match(r"[A-Za-z_]", name) or re.fullmatch(r"t\d+", name) or name in _TAKEN:
        name = "_" + name
    used, base, count = set(taken), name, 1
    while name in used:
        count += 1
        name = f"{base}_{count}"
    return name
