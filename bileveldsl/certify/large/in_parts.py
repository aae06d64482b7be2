"""Products with arrays that stay in their file, a part at a time.

The elements of an array in an archive are seldom aligned in memory, and a product would make an aligned copy of it all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

_ELEMENTS = 1 << 20


class InParts(np.ndarray):
    """A view of a matrix whose products with arrays in memory are formed by some rows after the others.

    Examples
    --------
    >>> matrix = np.arange(6.0).reshape(3, 2)
    >>> seen = matrix.view(InParts)
    >>> bool((seen.T @ (seen @ np.ones(2)) == matrix.T @ (matrix @ np.ones(2))).all())
    True
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [x.view(np.ndarray) if isinstance(x, InParts) else x for x in inputs]
        mine = [isinstance(x, InParts) for x in inputs]
        if ufunc is np.matmul and method == "__call__" and not options and sum(mine) == 1:
            left, right = plain
            if mine[0] and left.ndim == 2:
                return _product(left, right)
            if mine[1] and right.ndim == 2 and left.ndim <= 2:
                return _product(right.T, left.T).T
        return getattr(ufunc, method)(*plain, **options)


def _product(matrix: np.ndarray, other: np.ndarray) -> np.ndarray:
    if matrix.strides[0] >= matrix.strides[1]:  # its rows stand together
        return np.concatenate([matrix[rows] @ other for rows in _parts(matrix.shape)])
    total = np.zeros((matrix.shape[0], *other.shape[1:]))
    for columns in _parts(matrix.shape[::-1]):
        total += matrix[:, columns] @ other[columns]
    return total


def _parts(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _ELEMENTS // max(shape[1], 1))
    return (slice(k, k + step) for k in range(0, max(shape[0], 1), step))
