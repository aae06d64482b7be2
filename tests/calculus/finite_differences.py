"""Derivatives from function values alone, to compare symbolic ones with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bileveldsl.calculus.expr import Symbol

Values = Mapping[Symbol, np.ndarray]


def differences(function: Callable[[Values], np.ndarray], values: Values, symbol: Symbol) -> np.ndarray:
    """The derivative of an array-valued function by a symbol, of shape `value.shape + symbol.shape`.

    Central differences with two steps, extrapolated: the error is of order step^4.
    """
    columns = []
    for place in np.ndindex(symbol.shape):
        unit = np.zeros(symbol.shape)
        unit[place] = 1.0
        half, full = (_central(function, values, symbol, unit, step) for step in (2e-4, 4e-4))
        columns.append((4 * half - full) / 3)
    stacked = np.stack(columns, axis=-1)
    return stacked.reshape((*stacked.shape[:-1], *symbol.shape))


def _central(
    function: Callable[[Values], np.ndarray], values: Values, symbol: Symbol, unit: np.ndarray, step: float
) -> np.ndarray:
    above = function({**values, symbol: values[symbol] + step * unit})
    below = function({**values, symbol: values[symbol] - step * unit})
    return (above - below) / (2 * step)


def assert_close(derivative: np.ndarray, differences: np.ndarray, *scale: np.ndarray, tolerance: float = 1e-6) -> None:
    """The two agree up to the error of differences of values of the given size."""
    size = max(1.0, *(float(np.abs(array).max(initial=0.0)) for array in (differences, *scale)))
    np.testing.assert_allclose(derivative, differences, rtol=0, atol=tolerance * size)
