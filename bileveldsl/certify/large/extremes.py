"""How much a function over large arrays bends at single points: directions found by iteration, bounds by intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bileveldsl.calculus.derivative import gradient
from bileveldsl.calculus.expr import Expr, Symbol, add, contract, leaf, symbols_of
from bileveldsl.certify.clock import check, left, share, until
from bileveldsl.certify.hessian import twice_differentiable
from bileveldsl.certify.interval import Interval
from bileveldsl.certify.large.in_parts import InParts
from bileveldsl.certify.large.point_ranges import PointComposition, PointRanges
from bileveldsl.certify.parts import multiplications
from bileveldsl.certify.region import Region
from bileveldsl.certify.statement import text
from bileveldsl.language.data.mapped import is_mapped

CURVATURE = "array-curvature"

_BITS = 2.0**20  # to the reciprocal of which points and directions are rounded
_FAR = 8.0  # how far from 0 values without a bound are tried
_STEPS, _FEW = 16, 6  # of Lanczos' method at each point; few where each is slow
_MORE = 8  # times as many at the best point where that is not near
_CLOSE = 1e-3
_TRIED = 3  # directions at which bounds are asked for
_ELEMENTS = 1 << 20  # of a point
_SLOW, _WORK = 3e6, 3e8  # multiplications of a function
_PART, _SECONDS = 0.5, 10.0  # of the time that is left, but no more than this

Values = dict[Symbol, np.ndarray]
Times = Callable[[Values, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Seen:
    """At a feasible point v'Hv / v'v lies between two floats; `proof` has the point and v, `witness` them by names."""

    low: float
    high: float
    proof: dict[str, Any]
    witness: dict[str, Any]

    @property
    def size(self) -> float:
        """A lower bound of its absolute value."""
        return max(self.low, -self.high)


@dataclass(frozen=True)
class Extremes:
    """Where a function was seen to bend the least, and the most in either sense; None where nothing was seen."""

    least: Seen | None = None
    greatest: Seen | None = None


def extremes(root: Expr, region: Region, mu: float | None = None, L: float | None = None) -> Extremes:
    """The least and the greatest curvature that are found at a few points, with bounds that hold.

    Parameters
    ----------
    root
        A scalar node, judged in the variables of the region's level.
    region
        Where points are taken from.
    mu, L
        What is proved, if anything is: a search that comes near has found what there is to be found.
    """
    search = _Search(root, region)
    if not search.feasible:
        return Extremes()
    found: list[_Candidate] = []
    times = search.compiled()  # is no part of the time that the search may take
    with until(min(share(_PART), time.monotonic() + _SECONDS)):
        for point in search.points():
            found += search.candidates(times, point, search.steps)
            if all(_enough(side, found, mu, L) for side in _SIDES):
                break
            check()
        for side, rank in _SIDES.items():
            if found and not _enough(side, found, mu, L):
                found += search.candidates(times, min(found, key=rank).point, _MORE * search.steps)
    least, greatest = (search.first_seen(sorted(found, key=rank)) for rank in _SIDES.values())
    return Extremes(least, greatest)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A direction at a point, and about what v'Hv / v'v is there."""

    value: float
    point: Values
    direction: np.ndarray


_SIDES: dict[str, Callable[[_Candidate], float]] = {"least": lambda c: c.value, "greatest": lambda c: -abs(c.value)}


def _enough(side: str, found: Sequence[_Candidate], mu: float | None, L: float | None) -> bool:
    """Whether a search for more is idle: near what is proved, or where nothing is, of a sign that decides."""
    best = min(map(_SIDES[side], found), default=math.inf)
    wanted = mu if side == "least" else L if L is None else -L
    if wanted is None:
        return best < 0
    return abs(best - wanted) <= _CLOSE * abs(wanted)


class _Search:
    def __init__(self, root: Expr, region: Region):
        self.root, self.region = root, region
        self.own = [s for s in region.level.symbols if s in symbols_of(root)]
        occurring = symbols_of(root) | {v.symbol for v in region.constrained}
        self.variables = [v for v in region.program.variables if v.symbol in occurring]
        self.count = sum(math.prod(s.shape) for s in self.own)
        self._along = {s: Symbol(f"{s.name}'", "variable", s.dims) for s in self.own}

    @property
    def feasible(self) -> bool:
        elements = sum(math.prod(v.symbol.shape) for v in self.variables)
        return bool(self.own) and elements <= _ELEMENTS and multiplications([self.root]) <= _WORK

    @property
    def steps(self) -> int:
        """Of Lanczos' method at each point."""
        return _STEPS if multiplications([self.root]) <= _SLOW else _FEW

    @cached_property
    def _free(self) -> np.ndarray:
        """1 for each element that its bounds leave room, else 0."""
        of = {v.symbol: v for v in self.variables}
        return np.concatenate([(of[s].lower < of[s].upper).ravel() for s in self.own]).astype(np.float64)

    @cached_property
    def _products(self) -> list[Expr]:
        """H v, by the own symbols."""
        slopes = gradient(self.root, self.own)
        along = [contract([g, leaf(self._along[s], s.axes)], s.axes) for g, s in zip(slopes, self.own, strict=True)]
        return gradient(add(*along), self.own)

    @cached_property
    def _second(self) -> Expr:
        """v'Hv."""
        pairs = zip(self._products, self.own, strict=True)
        return add(*(contract([h, leaf(self._along[s], s.axes)], s.axes) for h, s in pairs))

    # ---- points ----

    def points(self) -> Iterator[Values]:
        """Feasible points: ends and middles of the others' boxes, own values near 0, some and far from it."""
        moving = symbols_of(self._second)
        fixed = [v for v in self.variables if v.symbol not in self.own]
        parts = (0.0, 1.0, 0.5) if any(v.symbol in moving for v in fixed) else (0.5,)
        scales = (0.0, 1.0, 64.0) if moving.intersection(self.own) or self.region.constrained else (0.0,)
        random = np.random.default_rng(0)
        for scale in scales:
            for part in parts:
                found = {}
                for v in self.variables:
                    low = np.where(np.isfinite(v.lower), v.lower, np.minimum(v.upper, _FAR) - 2 * _FAR)
                    high = np.where(np.isfinite(v.upper), v.upper, low + 2 * _FAR)
                    if v.symbol in self.own:
                        start = np.zeros(v.symbol.shape) if v.start is None else v.start
                        value = start + scale * random.standard_normal(v.symbol.shape)
                        value = np.clip(value, *(low, high) if self.region.constrained else (v.lower, v.upper))
                    else:
                        value = low + part * (high - low)
                    found[v.symbol] = np.clip(np.round(value * _BITS) / _BITS, v.lower, v.upper)
                if self._may_count(found):
                    yield found

    def _may_count(self, point: Values) -> bool:
        if not self.region.constrained:
            return True
        return bool(self.region.inside({s: value[None] for s, value in point.items()})[0])

    # ---- directions ----

    def candidates(self, times: Times, point: Values, steps: int) -> list[_Candidate]:
        """Vectors near those of the two extreme eigenvalues at a point, by Lanczos' method."""
        size = self.count
        start = np.random.default_rng(1).standard_normal(size) * self._free
        if not start.any():
            return []
        basis = np.zeros((min(steps, size) + 1, size))
        basis[0] = start / np.linalg.norm(start)
        diagonal, beside = [], []
        for k in range(len(basis) - 1):
            product = times(point, basis[k])
            if not np.isfinite(product).all():
                return []
            diagonal.append(float(basis[k] @ product))
            for _ in range(2):  # once more, against rounding
                product -= basis[: k + 1].T @ (basis[: k + 1] @ product)
            beside.append(float(np.linalg.norm(product)))
            if beside[-1] <= 1e-12 * max(map(abs, [*diagonal, *beside])) or not left():
                break
            basis[k + 1] = product / beside[-1]
        small = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
        values, vectors = np.linalg.eigh(small)
        ends = {0, len(diagonal) - 1}
        return [_Candidate(float(values[k]), point, vectors[:, k] @ basis[: len(diagonal)]) for k in ends]

    def compiled(self) -> Times:
        """Of a point and v the elements of H v, as compiled code."""
        from bileveldsl.execute.codegen import compile_function
        from bileveldsl.execute.constants import Constants
        from bileveldsl.execute.engine import numpy_engine
        from bileveldsl.execute.outputs import Flat

        inputs = {"point": [v.symbol for v in self.variables], "along": [self._along[s] for s in self.own]}
        parts = tuple((h, s.axes) for h, s in zip(self._products, self.own, strict=True))
        function = compile_function("times", [Flat(parts)], inputs, Constants(numpy_engine()))
        data = {k: a.view(InParts) for k, a in function.constants.items() if is_mapped(a)}

        def times(point: Values, vector: np.ndarray) -> np.ndarray:
            flat = np.concatenate([point[v.symbol].ravel() for v in self.variables])
            return np.asarray(function.with_constants(data, flat, vector)) * self._free

        return times

    def _split(self, vector: np.ndarray) -> Values:
        parts = np.split(vector, np.cumsum([math.prod(s.shape) for s in self.own])[:-1])
        return {self._along[s]: part.reshape(s.shape) for s, part in zip(self.own, parts, strict=True)}

    # ---- what holds ----

    def first_seen(self, candidates: Sequence[_Candidate]) -> Seen | None:
        """Of the first few those where bounds are found."""
        found = (self.seen(c.point, c.direction) for c in candidates[:_TRIED])
        return next((seen for seen in found if seen is not None), None)

    def seen(self, point: Values, vector: np.ndarray) -> Seen | None:
        """Bounds for a direction with its numbers made short."""
        vector = np.round(vector / np.abs(vector).max() * _BITS) / _BITS
        direction = self._split(vector)
        ranges = PointRanges({s: Interval.point(value[None]) for s, value in {**point, **direction}.items()})
        if not twice_differentiable(self.root, PointComposition(self.own, ranges)):
            return None
        square = Interval.point(vector).power(2).sum((0,))
        found = ranges(self._second) / square
        if not (math.isfinite(found.least) and math.isfinite(found.greatest)):
            return None
        along = {s: direction[self._along[s]] for s in self.own}
        proof = {"kind": CURVATURE, "point": _written(point), "direction": _written(along)}
        witness = {"point": _named(point), "direction": _named(along), "curvature": found.greatest}
        return Seen(found.least, found.greatest, proof, witness)


def _written(values: Mapping[Symbol, np.ndarray]) -> dict[str, Any]:
    """Arrays as a proof has them: one number where all are equal, else whole numbers times a unit."""
    found: dict[str, Any] = {}
    for symbol, array in values.items():
        if (array == array.flat[0]).all():
            found[symbol.name] = text(float(array.flat[0]))
            continue
        shift = 20
        while not (np.ldexp(array, shift) == np.round(np.ldexp(array, shift))).all():  # an end of a bound
            shift += 20
        found[symbol.name] = {"unit": f"1/{1 << shift}", "numbers": _whole(np.ldexp(array, shift))}
    return found


def _whole(numbers: np.ndarray) -> Sequence[int]:
    return [int(v) for v in numbers.ravel()]


def _named(values: Mapping[Symbol, np.ndarray]) -> dict[str, Any]:
    return {symbol.name: value.tolist() for symbol, value in values.items()}
