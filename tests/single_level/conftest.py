"""What tests of single-level solvers share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bileveldsl import loads
from bileveldsl.calculus.expr import Symbol
from bileveldsl.single_level.program import SingleLevel


@pytest.fixture(scope="session")
def single() -> Callable[..., SingleLevel]:
    """The upper level of a model as a program of its own, from the text of its body and what stands before."""

    def make(body: str, head: str = "") -> SingleLevel:
        text = f"model m\n{head}\nupper {{ {body} }}\nlower {{ var q in [0, 1]; minimize q^2 }}"
        upper = loads(text).program().upper
        return SingleLevel(upper.variables, upper.objective, upper.constraints)

    return make


@pytest.fixture(scope="session")
def named() -> Callable[..., dict[str, np.ndarray]]:
    """Values by name."""

    def by_name(values: dict[Symbol, np.ndarray] | None) -> dict[str, np.ndarray]:
        return {symbol.name: value for symbol, value in (values or {}).items()}

    return by_name
