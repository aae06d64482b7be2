"""Bounds of eigenvalues that a proof says, of which each is shown when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.array_spectra import Matrix, Symmetric
from bileveldsl.certify.check.ranges import INF, End
from bileveldsl.certify.check.reading import rational, record, sequence

_SPECTRA = 100
_NEAR = fmpq(1, 10**9)


def read_hints(data: Any) -> list[Mapping[str, fmpq]]:
    """What a proof says of the spectra of matrices, each told by its size and the sum of its squares."""
    found: list[Mapping[str, fmpq]] = []
    for item in sequence(data, _SPECTRA):
        fields = record(item, {"rows", "columns", "trace"}, {"least", "greatest"})
        found.append({name: fmpq(v) if isinstance(v, int) else rational(v) for name, v in fields.items()})
    return found


class Spectrum:
    """Bounds of the eigenvalues of A'A, proved when they are first asked for; A is a matrix times a number."""

    def __init__(self, matrix: Matrix, scale: fmpq):
        self._matrix = matrix
        self._unit = scale**2
        self.hint: Mapping[str, fmpq] = {}
        whole = matrix.spectrum
        self._proved = {} if whole is None else {"least": whole[0] * self._unit, "greatest": whole[1] * self._unit}

    def is_meant(self, hint: Mapping[str, fmpq]) -> bool:
        """Whether what a proof says is about this matrix, by its size and the sum of the squares of its entries."""
        trace = self._matrix.trace * self._unit
        sizes = hint["rows"] == self._matrix.rows and hint["columns"] == self._matrix.columns
        return sizes and abs(hint["trace"] - trace) <= _NEAR * trace

    def least(self, nonzero: bool = False) -> fmpq:
        """Of the least one; with `nonzero`, and a matrix with more columns than rows, of the least of AA'."""
        if self._matrix.wide and not nonzero:
            return fmpq(0)
        known, wanted = self._proved.get("least", fmpq(0)), self.hint.get("least", fmpq(0))
        if wanted > known:
            self._matrix.require_least(wanted / self._unit)
            known = self._proved["least"] = wanted
        return known

    def greatest(self) -> fmpq:
        known, wanted = self._proved.get("greatest"), self.hint.get("greatest")
        if known is None or (wanted is not None and wanted < known):
            if wanted is None:
                wanted = self._matrix.norm_above * self._unit
            else:
                self._matrix.require_greatest(wanted / self._unit)
            known = self._proved["greatest"] = wanted
        return known


class FormSpectrum:
    """Bounds of the eigenvalues of K + K', each proved when it is asked for; infinite where the proof says none."""

    def __init__(self, matrix: Symmetric):
        self._matrix = matrix
        self.hint: Mapping[str, fmpq] = {}
        self._proved: set[tuple[str, fmpq]] = set()

    def is_meant(self, hint: Mapping[str, fmpq]) -> bool:
        """Whether what a proof says is about this matrix, as for other matrices."""
        size, trace = self._matrix.size, self._matrix.trace
        return hint["rows"] == hint["columns"] == size and abs(hint["trace"] - trace) <= _NEAR * trace

    def least(self) -> End:
        return self._bound("least", self._matrix.require_least, -INF)

    def greatest(self) -> End:
        return self._bound("greatest", self._matrix.require_greatest, INF)

    def _bound(self, side: str, require: Callable[[fmpq], None], otherwise: End) -> End:
        wanted = self.hint.get(side)
        if wanted is None:
            return otherwise
        if (side, wanted) not in self._proved:
            require(wanted)
            self._proved.add((side, wanted))
        return wanted


class Listed(Spectrum):
    """Bounds where the matrix is too large to be formed: 0 and the product of two norms."""

    def __init__(self, norm: fmpq):
        self._norm = norm
        self.hint = {}

    def is_meant(self, hint: Mapping[str, fmpq]) -> bool:
        return False

    def least(self, nonzero: bool = False) -> fmpq:
        return fmpq(0)

    def greatest(self) -> fmpq:
        return self._norm
