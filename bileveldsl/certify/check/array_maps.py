"""The matrix of an affine node of a model over arrays, by the rules of differentiation, less identities in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from flint import fmpq

from bileveldsl.certify.check.array_curvature import Moving
from bileveldsl.certify.check.array_model import Model
from bileveldsl.certify.check.array_ranges import FEW, ArrayRanges, at_offsets, offsets, places, strides_of
from bileveldsl.certify.check.array_spectra import FloatRow, Matrix, ceiling, rational, rounded
from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.terms import Rejected

_ENTRIES = 1 << 27
_LISTED = 1 << 25
_TERMS = 1000
_BITS = 50


class TooLarge(Rejected):
    """A matrix is not formed: it has too many entries, or they are no array of data."""


@dataclass(frozen=True)
class Term:
    """The sum over `over` of the product of factors, for the element of a symbol that `columns` names.

    `columns` has a label for each index of the symbol. `where` holds (label, positions, label along them): the product
    counts only where the first label is at the position.
    """

    symbol: int
    columns: tuple[int, ...]
    factors: tuple[int, ...] = ()
    over: frozenset[int] = frozenset()
    where: tuple[tuple[int, int, int | None], ...] = ()


@dataclass(frozen=True)
class Block:
    """Some columns of a matrix: a number times the rows that a function gives."""

    row: FloatRow
    width: int
    scale: fmpq
    products: bool = False
    """Whether its entries are products of two floats."""


class Maps:
    """The matrices of affine nodes in some symbols."""

    def __init__(self, model: Model, ranges: ArrayRanges, moves: Moving):
        self.model = model
        self.ranges = ranges
        self._moves = moves

    def terms(self, scalar: int) -> list[Term]:
        """The derivative of an affine node of the table, by the symbols."""
        table = self.model.table
        atoms = [k for k in sorted(table.variables([scalar])) if self._moves.node(k)]
        found: list[Term] = []
        for k, slope in zip(atoms, gradient(table, scalar, atoms), strict=True):
            if self._moves(slope):
                raise Rejected("an expression is not seen to be affine")
            extra = () if table.number(slope) == 1 else (slope,)
            found += [replace(t, factors=(*t.factors, *extra)) for t in self._of_node(k)]
            if len(found) > _TERMS:
                raise Rejected("a matrix has too many terms")
        return found

    def _of_node(self, k: int) -> Iterator[Term]:
        model, node = self.model, self.model.nodes[k]
        if node.kind == "leaf":
            yield Term(node.symbol, node.labels)
        elif node.kind == "contract":
            moving = [c for c in node.children if self._moves.node(c)]
            if len(moving) != 1:
                raise Rejected("a product of expressions that vary is not affine")
            names = model.fresh(node.bound)
            inner = [model.renamed(model.scalar[c], names) for c in node.children]
            factors = tuple(s for s, c in zip(inner, node.children, strict=True) if c != moving[0])
            below = next(s for s, c in zip(inner, node.children, strict=True) if c == moving[0])
            for t in self.terms(below):
                yield replace(t, factors=(*t.factors, *factors), over=t.over | set(names.values()))
        elif node.kind == "select":
            names = model.fresh(label for label, _ in node.at)
            for t in self.terms(model.renamed(model.scalar[node.children[0]], names)):
                where = tuple((names[label], p, node.along) for label, p in node.at)
                yield replace(t, over=t.over | set(names.values()), where=(*t.where, *where))
        elif node.kind == "scatter":
            names = model.fresh(() if node.along is None else (node.along,))
            along = None if node.along is None else names[node.along]
            for t in self.terms(model.renamed(model.scalar[node.children[0]], names)):
                where = tuple((label, p, along) for label, p in node.at)
                yield replace(t, over=t.over | set(names.values()), where=(*t.where, *where))
        else:
            raise Rejected(f"a {node.kind} is not affine")

    def matrix(self, scalar: int) -> tuple[Matrix, fmpq]:
        """A matrix and a number: their product times identities is the matrix of the node."""
        model = self.model
        terms = self.terms(scalar)
        if not terms:
            raise Rejected("an expression does not vary")
        stripped = self._identities(sorted(model.labels_of(scalar)), terms)
        rows = [a for a in sorted(model.labels_of(scalar)) if a not in stripped]
        starts, count = {}, 0
        for t in terms:
            if t.symbol not in starts:
                starts[t.symbol] = count
                count += model.size([a for a in t.columns if a not in stripped])
        if model.size(rows) * count > _ENTRIES:
            raise TooLarge("a matrix has too many entries")
        work = max(model.size({*rows, *t.over, *(a for a in t.columns if a not in stripped)}) for t in terms)
        if max(work, model.size(rows) * count) <= FEW:
            return rational(self._small(terms, rows, stripped, starts, count))
        return self._large(terms, rows, stripped)

    def _identities(self, rows: Sequence[int], terms: Sequence[Term]) -> frozenset[int]:
        """The row labels that in every term are an index of the symbol, the same for one symbol, and nothing else."""
        found = []
        for a in rows:
            slots: dict[int, int] = {}
            for t in terms:
                used = {b for f in t.factors for b in self.model.labels_of(f)}
                used |= {b for label, _, along in t.where for b in (label, along) if b is not None}
                slot = t.columns.index(a) if a in t.columns else -1
                if a in used or slot < 0 or slots.setdefault(t.symbol, slot) != slot:
                    break
            else:
                found.append(a)
        return frozenset(found)

    def _small(
        self, terms: Sequence[Term], rows: list[int], stripped: frozenset[int], starts: dict[int, int], count: int
    ) -> list[list[fmpq]]:
        """Every entry exactly."""
        model, sizes = self.model, self.model.sizes
        result = [[fmpq(0)] * count for _ in range(model.size(rows))]
        for t in terms:
            columns = [a for a in t.columns if a not in stripped]
            labels = list(dict.fromkeys([*rows, *sorted(t.over), *columns]))
            index = {a: places((a,), labels, sizes) for a in labels}
            down, across = places(rows, labels, sizes), _flat([index[a] for a in columns], [sizes[a] for a in columns])
            kept = list(range(model.size(labels)))
            for label, p, along in t.where:
                where = model.positions[p]
                if isinstance(where, int):
                    kept = [i for i in kept if index[label][i] == where]
                else:
                    assert along is not None
                    kept = [i for i in kept if index[label][i] == where[index[along][i]]]
            values = [self._exact(f, labels) for f in t.factors]
            for i in kept:
                entry = prod((v[i] for v in values), start=fmpq(1))
                result[down[i]][starts[t.symbol] + (across[i] if across else 0)] += entry
        return result

    def _exact(self, scalar: int, labels: list[int]) -> list[fmpq]:
        field = self.ranges(scalar)
        if not all(r.exact and r.defined for r in field.values):
            raise Rejected("the entries of a matrix are not known exactly")
        return [field.values[p].lo for p in places(field.labels, labels, self.model.sizes)]

    def _large(self, terms: Sequence[Term], rows: list[int], stripped: frozenset[int]) -> tuple[Matrix, fmpq]:
        """Blocks of data beside each other, one for each symbol, times a number."""
        if len({t.symbol for t in terms}) < len(terms):
            raise TooLarge("a large matrix is a sum of several")
        blocks = [self._block(t, rows, [a for a in t.columns if a not in stripped]) for t in terms]
        columns, products = sum(block.width for block in blocks), any(block.products for block in blocks)
        scale = abs(blocks[0].scale)
        if any(abs(block.scale) != scale for block in blocks):
            raise TooLarge("a large matrix has blocks of several scales")
        if len(blocks) == 1:
            return rounded(blocks[0].row, self.model.size(rows), columns, products), scale

        def beside(r: int, start: int, stop: int) -> Sequence[float]:
            signed = ((-1.0 if block.scale < 0 else 1.0, block) for block in blocks)
            return [sign * v for sign, block in signed for v in block.row(r, 0, block.width)][start:stop]

        return rounded(beside, self.model.size(rows), columns, products), scale

    def _block(self, term: Term, rows: list[int], columns: list[int]) -> Block:
        """Numbers times an array of data, and perhaps arrays over the rows, over rows and columns."""
        model = self.model
        if term.where or set(columns) & set(rows) or term.over != frozenset(columns):
            raise TooLarge("a large matrix is not an array of data")
        scale, arrays = self._apart(term.factors)
        width = model.size(columns)
        across_rows = [k for k in arrays if not set(model.nodes[k].labels) & set(columns)]
        whole = [k for k in arrays if k not in across_rows]
        if len(whole) > 1 or len(across_rows) > 1:  # one product of floats errs by less than what rounding may
            raise TooLarge("the entries of a large matrix are products of arrays")
        entries = self._rows_of(whole[0], rows, columns) if whole else (lambda r, start, stop: [1.0] * (stop - start))
        if not across_rows:
            return Block(entries, width, scale)
        times = self._rows_of(across_rows[0], rows, [])

        def scaled(r: int, start: int, stop: int) -> Sequence[float]:
            [factor] = times(r, 0, 1)
            return [factor * v for v in entries(r, start, stop)]

        return Block(scaled, width, scale, bool(whole))

    def _apart(self, factors: Iterable[int]) -> tuple[fmpq, list[int]]:
        """A product of numbers and arrays of data as one number and the nodes of the arrays."""
        model, table = self.model, self.model.table
        scale, arrays, waiting = fmpq(1), list[int](), list(factors)
        while waiting:
            each = waiting.pop()
            value = table.number(each)
            if value is not None:
                scale *= value
            elif table.operation[each] == "*":
                waiting += table.arguments[each]
            else:
                node = model.nodes[table.value[each]] if table.operation[each] == "var" else None
                if node is None or node.kind != "leaf" or not model.symbols[node.symbol].is_data:
                    raise TooLarge("a large matrix is not an array of data")
                arrays.append(table.value[each])
        return scale, arrays

    def _rows_of(self, k: int, rows: list[int], columns: list[int]) -> FloatRow:
        """The rows of an array of data."""
        node = self.model.nodes[k]
        values = self.model.symbols[node.symbol].values
        strides = {**dict.fromkeys([*rows, *columns], 0), **strides_of(node.labels, self.model.sizes)}
        assert values is not None  # it is data
        down, across = (offsets(labels, strides, self.model.sizes) for labels in (rows, columns))
        return lambda r, start, stop: at_offsets(values, down[r], across[start:stop])

    # ---- lists of entries ----

    def norm_above(self, scalar: int) -> fmpq:
        """The upper bound |A|_1 |A|_inf of |A|^2, from a list of the entries that are not 0 by their form."""
        rows = sorted(self.model.labels_of(scalar))
        along_rows = [0] * self._bounded(rows)
        along_columns: dict[int, list[int]] = {}
        terms = self.terms(scalar)
        for t in terms:
            free = sorted({*rows, *t.over, *t.columns} - {label for label, _, _ in t.where})
            if self._bounded(free) > _LISTED >> 3:
                raise Rejected("a matrix has too many entries")
            entries = self._sizes(t, free)
            sums = along_columns.setdefault(t.symbol, [0] * self._bounded(t.columns))
            for into, labels in ((along_rows, rows), (sums, t.columns)):
                for place, entry in zip(self._index(t, labels, free), entries, strict=True):
                    into[place] += entry
        widest = max(max(sums, default=0) for sums in along_columns.values())
        return fmpq(max(along_rows, default=0) * widest) / fmpq(2) ** (2 * _BITS)

    def _bounded(self, labels: Iterable[int]) -> int:
        size = self.model.size(labels)
        if size > _LISTED:
            raise Rejected("a matrix has too many rows or columns")
        return size

    def _index(self, term: Term, labels: Sequence[int], free: list[int]) -> list[int]:
        """For each element over the free labels the place among those over some labels, free or known by positions."""
        sizes, known = self.model.sizes, {label: (p, along) for label, p, along in term.where}
        result = [0] * self.model.size(free)
        for label in labels:
            if label in known:
                p, along = known[label]
                where = self.model.positions[p]
                if isinstance(where, int):
                    values = [where] * len(result)
                else:
                    assert along is not None
                    values = [where[k] for k in places((along,), free, sizes)]
            else:
                values = places((label,), free, sizes)
            size = sizes[label]
            result = [r * size + v for r, v in zip(result, values, strict=True)]
        return result

    def _sizes(self, term: Term, free: list[int]) -> list[int]:
        """The absolute values of the entries of a term, rounded up to integers over 2^_BITS."""
        table, factor = self.model.table, fmpq(1)
        arrays = []
        for f in term.factors:
            value = table.number(f)
            if value is None:
                arrays.append(f)
            else:
                factor *= abs(value)
        unit = factor * fmpq(2) ** _BITS
        if len(arrays) > 1:
            raise Rejected("the entries of a matrix are products of arrays")
        if not arrays:
            return [ceiling(unit)] * self.model.size(free)
        node = self.model.nodes[self.model.node_of(arrays[0])]
        values = self.model.symbols[node.symbol].values if node.kind == "leaf" else None
        if values is None:
            raise Rejected("the entries of a matrix are not an array of data")
        rounded_up = [ceiling(abs(fmpq(*v.as_integer_ratio())) * unit) for v in values]
        return [rounded_up[p] for p in places(node.labels, free, self.model.sizes)]


def _flat(indices: Sequence[list[int]], sizes: Sequence[int]) -> list[int]:
    """One number for several indices."""
    result = list(indices[0]) if indices else []
    for index, size in zip(indices[1:], sizes[1:], strict=True):
        result = [p * size + i for p, i in zip(result, index, strict=True)]
    return result
