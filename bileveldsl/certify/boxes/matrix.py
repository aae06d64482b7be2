"""The blocks of a Hessian as interval matrices over boxes of its variables and of its atoms.

An atom is an expression in variables without bounds that occurs as the argument of a function. It becomes a variable
of its own, over its range, so that sin(y1 - y2) is a matter of one number. The argument of sine and cosine may
be taken modulo 2 pi: then the question is a compact one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from flint import fmpq

from bileveldsl.certify.boxes.eigenvalues import is_bounded_below, least, spectra
from bileveldsl.certify.boxes.tails import enclose_tails
from bileveldsl.certify.boxes.tensor import Tensor
from bileveldsl.certify.narrowing import linear
from bileveldsl.certify.scalars import (
    Matrix,
    Scalar,
    call,
    enclose,
    evaluate,
    number,
    occurring,
    polynomials,
    product,
    ring,
    substitute,
    topological,
    variable,
)  # fmt: skip
from bileveldsl.certify.statement import Condition

HALF_TURN = 22 / 7  # above pi; the checker takes the fraction
_PERIODIC = ("sin", "cos")
_ATOMS = 8
_MANY = 6  # variables of a block


@dataclass(frozen=True)
class Atom:
    """An expression that is a variable of its own; `periodic`: its sine and cosine alone matter."""

    root: Scalar
    periodic: bool


@dataclass(frozen=True, eq=False)
class Block:
    """A diagonal block of a Hessian: its rows, its entries (over positions in `rows`), its atoms, the box.

    The atoms are the variables after the last of the statement.
    """

    rows: tuple[int, ...]
    entries: Matrix
    atoms: tuple[Atom, ...]
    lo: np.ndarray
    hi: np.ndarray
    axes: tuple[int, ...]
    conditions: tuple[Condition, ...]

    @cached_property
    def tensor(self) -> Tensor | None:
        """The matrix as a polynomial."""
        return Tensor.of(self.entries, len(self.rows)) if self.axes else None

    @property
    def variables(self) -> int:
        """How many variables come before the atoms."""
        return len(self.lo) - len(self.atoms)

    def least(self, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
        """About the best lower bound of the least eigenvalue over each box, inf where there is no point."""
        low, high, generators, empty = self._over(lo, hi)
        bound = least(low, high)
        if self.tensor is not None:
            bound = np.maximum(bound, self.tensor.least(generators[0], generators[1]))
        return np.where(empty, np.inf, bound)

    def are_bounded_below(self, lo: np.ndarray, hi: np.ndarray, bound: fmpq) -> bool:
        """Whether it is proved, by exact arithmetic, that no eigenvalue over any of some boxes is under a bound."""
        low, high, generators, empty = self._over(lo, hi)
        return all(
            is_bounded_below(low[k], high[k], bound)
            or (self.tensor is not None and self.tensor.is_bounded_below(generators[0][k], generators[1][k], bound))
            for k in np.flatnonzero(~empty)
        )

    def _over(self, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The matrices over boxes of shape (batch, variables and atoms), the generators, and where no point is."""
        lo, hi, empty = self._narrowed(lo, hi)
        generators = () if self.tensor is None else self.tensor.generators
        conditions = [c.root for c in self.conditions]
        entries = list(self.entries.values())
        ranges = enclose([*entries, *generators, *conditions], lo, hi)
        found = iter([*enclose_tails(entries, ranges[: len(entries)], lo, hi), *ranges[len(entries) :]])
        low, high = np.zeros((2, len(lo), len(self.rows), len(self.rows)))
        for (i, j), x in zip(self.entries, found, strict=False):
            low[:, i, j], high[:, i, j] = x.lo, x.hi
            low[:, j, i], high[:, j, i] = x.lo, x.hi
        ends = np.zeros((2, len(lo), len(generators)))
        for k, x in zip(range(len(generators)), found, strict=False):
            ends[0, :, k], ends[1, :, k] = x.lo, x.hi
        for condition, x in zip(self.conditions, found, strict=True):
            empty = np.logical_or(empty, _violated(condition.relation, x.lo, x.hi))
        return low, high, ends, empty

    def _narrowed(self, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes whose atoms lie within their ranges over the boxes of the variables."""
        plain = [(k, atom) for k, atom in enumerate(self.atoms, self.variables) if not atom.periodic]
        if not plain:
            return lo, hi, np.zeros(len(lo), dtype=bool)
        lo, hi = lo.copy(), hi.copy()
        for (k, _), x in zip(plain, enclose([atom.root for _, atom in plain], lo, hi), strict=True):
            lo[:, k], hi[:, k] = np.maximum(lo[:, k], x.lo), np.minimum(hi[:, k], x.hi)
        empty: Any = (lo > hi).any(1)
        lo[empty], hi[empty] = self.lo, self.hi
        return lo, hi, empty

    def values(self, points: np.ndarray) -> np.ndarray:
        """The least eigenvalue at points in floats, inf where the matrix is not defined."""
        matrices = np.zeros((len(points), len(self.rows), len(self.rows)))
        for (i, j), value in zip(self.entries, evaluate(list(self.entries.values()), points), strict=True):
            matrices[:, i, j] = matrices[:, j, i] = value
        usable: Any = np.isfinite(matrices).all((1, 2))
        return np.where(usable, spectra(np.where(usable[:, None, None], matrices, 0.0))[:, 0], np.inf)

    def most(self, points: np.ndarray) -> np.ndarray:
        """An upper bound of the least eigenvalue at points, about, inf where the matrix is not defined."""
        low, high, _, _ = self._over(points, points)
        with np.errstate(all="ignore"):
            middle, radius = low + 0.5 * (high - low), high - low
        usable: Any = np.isfinite(middle).all((1, 2))
        found = spectra(np.where(usable[:, None, None], middle, 0.0))[:, 0] + radius.sum(2).max(1)
        return np.where(usable, found, np.inf)


def _violated(relation: str, lo: np.ndarray, hi: np.ndarray) -> np.ndarray:
    if relation == "> 0":
        return hi <= 0
    if relation == ">= 0":
        return hi < 0
    return (lo == 0) & (hi == 0) if relation == "!= 0" else (lo > 1) | (hi < -1)


def blocks(
    hessian: Matrix, size: int, lo: np.ndarray, hi: np.ndarray, conditions: Sequence[Condition], arguments: bool = True
) -> list[Block]:
    """The connected blocks of a Hessian, each with the variables and atoms that occur in it.

    Without `arguments` those of functions are no atoms unless a variable is rid of by it.
    """
    group = list(range(size))
    for i, j in hessian:
        if group[i] != group[j]:
            old, new = group[j], group[i]
            group = [new if g == old else g for g in group]
    made = []
    for label in dict.fromkeys(group):
        rows = tuple(k for k in range(size) if group[k] == label)
        place = {row: k for k, row in enumerate(rows)}
        entries = {(place[i], place[j]): node for (i, j), node in hessian.items() if i in place}
        made.append(_block(rows, entries, lo, hi, conditions, arguments))
    return made


def _block(
    rows: tuple[int, ...], entries: Matrix, lo: np.ndarray, hi: np.ndarray, conditions: Sequence[Condition], all_: bool
) -> Block:
    first = len(lo)
    roots = list(entries.values())
    atoms: list[Atom] = []
    turning = dict(_turning(roots, lo, hi))
    endless = [base for base in turning if not np.isfinite(_range(base, lo, hi)).all()]
    for bases in (endless, *([base] for base in turning if base not in endless)):
        angles = {base: variable(first + len(atoms) + k) for k, base in enumerate(bases)}
        turned = substitute(
            roots,
            {n: call(n.op, product([number(k), angles[base]])) for base in bases for n, k in turning[base].items()},
        )
        # Between finite bounds an angle is worth its loss only where nothing else depends on its variables.
        if bases is endless or not occurring(*bases) & occurring(*turned):
            atoms += [Atom(base, True) for base in bases]
            roots = turned
    positive = {c.root for c in conditions if c.relation in ("> 0", ">= 0")}
    for form in _sums(roots, lo, hi)[: _ATOMS - len(atoms)]:
        replaced = substitute(roots, {form: variable(first + len(atoms))})
        if not occurring(form) <= occurring(*replaced):
            roots, atoms = replaced, [*atoms, Atom(form, False)]
    arguments = _arguments(roots, lo, hi, positive)[: _ATOMS - len(atoms)] if all_ else []
    roots = substitute(roots, {a: variable(first + len(atoms) + k) for k, a in enumerate(arguments)})
    atoms += [Atom(argument, False) for argument in arguments]
    ends = [(-HALF_TURN, HALF_TURN) if atom.periodic else _range(atom.root, lo, hi) for atom in atoms]
    ends = [(max(a, 0.0), b) if atom.root in positive else (a, b) for atom, (a, b) in zip(atoms, ends, strict=True)]
    lo, hi = np.append(lo, [a for a, _ in ends]), np.append(hi, [b for _, b in ends])
    inside = occurring(*roots)
    where = tuple(c for c in conditions if occurring(c.root) & inside)
    axes = tuple(k for k in sorted(inside) if lo[k] < hi[k])
    return Block(rows, dict(zip(entries, roots, strict=True)), tuple(atoms), lo, hi, axes, where)


def _range(root: Scalar, lo: np.ndarray, hi: np.ndarray) -> tuple[float, float]:
    x = enclose([root], lo[None], hi[None])[0]
    return float(x.lo[0]), float(x.hi[0])


def _turning(roots: Sequence[Scalar], lo: np.ndarray, hi: np.ndarray) -> Iterator[tuple[Scalar, dict[Scalar, int]]]:
    """Angles, each with the sines and cosines whose arguments are its whole multiples and range over full turns."""
    nodes = [n for n in topological(roots) if n.op in _PERIODIC and max(occurring(n), default=0) < len(lo)]
    wide = [n for n in nodes if np.subtract(*_range(n.args[0], lo, hi)[::-1]) > 2 * HALF_TURN]
    groups: dict[Scalar, dict[Scalar, Fraction]] = {}
    for node in wide:
        for base, members in groups.items():
            ratio = _ratio(node.args[0], base)
            if ratio is not None:
                members[node] = ratio
                break
        else:
            groups[node.args[0]] = {node: Fraction(1)}
    for base, members in groups.items():
        ratios = members.values()
        unit = Fraction(math.gcd(*(r.numerator for r in ratios)), math.lcm(*(r.denominator for r in ratios)))
        yield product([number(unit), base]), {node: int(r / unit) for node, r in members.items()}


def _ratio(node: Scalar, base: Scalar) -> Fraction | None:
    """The number that one polynomial is times another, if it is."""
    if node is base:
        return Fraction(1)
    indices = sorted(occurring(node, base))
    found = polynomials([node, base], indices, ring(indices))
    if found is None or not found[1]:
        return None
    (over, under) = (p.leading_coefficient() for p in found)
    if found[0] * under != found[1] * over:
        return None
    return Fraction(int(over.p), int(over.q)) / Fraction(int(under.p), int(under.q))


def _sums(roots: Sequence[Scalar], lo: np.ndarray, hi: np.ndarray) -> list[Scalar]:
    """Affine sums of several variables some of which have no bounds."""
    found = []
    for node in topological(roots):
        used = sorted(occurring(node)) if node.op == "+" else []
        if len(used) > 1 and used[-1] < len(lo) and linear(node) is not None:
            found += [] if np.isfinite([lo[used], hi[used]]).all() else [node]
    return found


def _arguments(roots: Sequence[Scalar], lo: np.ndarray, hi: np.ndarray, positive: Set[Scalar]) -> list[Scalar]:
    """Polynomial arguments of functions, in several variables some of which have no bounds; inner ones come last.

    So are those that a condition keeps positive, which their variables do not show; and of a function of many
    variables all of them, and the bases of powers.
    """
    found: dict[Scalar, None] = {}
    plain: set[Scalar] = set()
    many = len(occurring(*roots)) > _MANY
    for node in topological(roots):
        whole = node.op == "^" and node.value.denominator == 1 and node.value > 0
        if node.op in ("num", "var", "+", "*") or whole:
            if all(a in plain for a in node.args):
                plain.add(node)
            if not (whole and many):
                continue
        for each in node.args:
            argument = _without_factor(each)
            used = sorted(occurring(argument))
            several = argument in plain and len(used) > 1 and used[-1] < len(lo)
            if several and (many or argument in positive or not np.isfinite([lo[used], hi[used]]).all()):
                found[argument] = None
    return list(found)[::-1]


def _without_factor(node: Scalar) -> Scalar:
    """The node that one is a number times, so that u and -u are matters of one variable."""
    rest = [a for a in node.args if a.op != "num"]
    return rest[0] if node.op == "*" and len(rest) == 1 else node
