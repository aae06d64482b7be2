"""How to read a sparse matrix off a few products with it.

Columns that share no row are evaluated by one product with the sum of their unit vectors (Curtis, Powell, Reid
1974). A few dense rows would forbid that: they are taken out first and evaluated apart, each as a product with the
transpose; for a symmetric matrix that is the same product (Coleman, Verma 1998; Gebremedhin, Manne, Pothen 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Compression:
    """`dense` rows get a product each; `color` is the group of every column, `colors` their number."""

    rows: int
    dense: np.ndarray
    color: np.ndarray
    colors: int

    @property
    def products(self) -> int:
        return self.colors + len(self.dense)

    @property
    def directions(self) -> np.ndarray:
        """The sums of unit vectors, one for each color."""
        seeds = np.zeros((self.colors, len(self.color)))
        grouped = self.color >= 0
        seeds[self.color[grouped], np.nonzero(grouped)[0]] = 1.0
        return seeds


def compress(pattern: sparse.csr_array) -> Compression:
    """Groups of columns, after the dense rows that it pays to take out."""
    return _colored(pattern, _dense_rows(pattern), np.zeros(0, dtype=np.int64))


def compress_symmetric(pattern: sparse.csr_array) -> Compression:
    """The same for a symmetric pattern: the columns of the dense rows need no group."""
    dense = _dense_rows(pattern)
    return _colored(pattern, dense, dense)


def _dense_rows(pattern: sparse.csr_array) -> np.ndarray:
    """The rows whose removal saves the most: what is left needs at least as many colors as its fullest row has."""
    counts = np.diff(pattern.indptr)
    order = np.argsort(-counts, kind="stable")
    fullest = np.append(counts[order], 0)
    return np.sort(order[: int(np.argmin(np.arange(len(fullest)) + fullest))])


def _colored(pattern: sparse.csr_array, dense: np.ndarray, without: np.ndarray) -> Compression:
    """Greedy: each column takes the first color that no column with a common row has."""
    apart = np.zeros(pattern.shape[0], dtype=bool)
    apart[dense] = True
    skipped = np.zeros(pattern.shape[1], dtype=bool)
    skipped[without] = True
    columns = sparse.csc_array(pattern)
    used = [0] * pattern.shape[0]  # the colors in each row, as bits
    color = np.full(pattern.shape[1], -1)
    most = 0
    for column in range(pattern.shape[1]):
        rows = columns.indices[columns.indptr[column] : columns.indptr[column + 1]]
        rows = rows[~apart[rows]]
        if skipped[column] or not len(rows):
            continue
        taken = 0
        for row in rows:
            taken |= used[row]
        free = ~taken & (taken + 1)
        for row in rows:
            used[row] |= free
        color[column] = free.bit_length() - 1
        most = max(most, free.bit_length())
    return Compression(pattern.shape[0], dense, color, most)
