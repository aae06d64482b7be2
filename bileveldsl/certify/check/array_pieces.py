"""A function over arrays as a sum of weighted functions of affine nodes, with ranges of their second derivatives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from flint import fmpq

from bileveldsl.certify.check.array_curvature import ArrayCurvature
from bileveldsl.certify.check.array_model import Model
from bileveldsl.certify.check.array_ranges import ArrayRanges, Field
from bileveldsl.certify.check.derivatives import gradient
from bileveldsl.certify.check.goals import Context
from bileveldsl.certify.check.ranges import INF, ZERO, End, Range, less, number
from bileveldsl.certify.check.reading import Problem
from bileveldsl.certify.check.region import require_smooth
from bileveldsl.certify.check.second import FewArguments
from bileveldsl.certify.check.terms import BINARY, MANY, UNARY, Rejected

_FRESH = 1 << 41  # the index of a variable that stands for an argument
_PIECES = 10_000

KNOWN = {"softplus": Range(ZERO, fmpq(1, 4)), "huber": Range(ZERO, fmpq(1))}
"""Second derivatives of functions in their first argument, where the others are >= 0."""


@dataclass(frozen=True, eq=False)
class Piece:
    """The sum over `over` and the labels of `inner` of the weights times a function of `inner`.

    Its second derivative lies in `second`; `inner`, a node of the table, is affine. Where `inner` is None no more is
    known than that the Hessian of the function lies between the ends of `second` times the identity.
    """

    weights: tuple[int, ...]
    over: tuple[int, ...]
    second: Field
    inner: int | None
    form: tuple[int, int] | None = None
    """The symbols K of data and y of y'Ky, which the weights are of; its Hessian is K + K'."""

    def bend(self, ranges: ArrayRanges) -> Field:
        """The weights times the second derivative, summed over the labels that the affine node lacks."""
        fields = [ranges(w) for w in self.weights]
        labels, columns = ranges.together([*fields, self.second])
        products = [reduce(lambda a, b: a * b, row) for row in zip(*columns, strict=True)]
        inside = ranges.model.labels_of(self.inner) if self.inner is not None else frozenset()
        return ranges.total(Field(labels, products), [a for a in self.over if a not in inside])


class Pieces:
    """The pieces of scalar nodes of a model; `suggested` are ranges that second derivatives may be shown to have."""

    def __init__(
        self, model: Model, ranges: ArrayRanges, curvature: ArrayCurvature, suggested: Sequence[tuple[End, End]] = ()
    ):
        self._suggested = suggested
        self.model = model
        self.ranges = ranges
        self.curvature = curvature
        self.moves = curvature.moves

    def __call__(self, scalar: int) -> list[Piece]:
        found = []
        for piece in self._product((), scalar, ()):
            found.append(piece)
            if len(found) > _PIECES:
                raise Rejected("a function has too many terms")
        return found

    def _product(self, weights: tuple[int, ...], node: int, over: tuple[int, ...]) -> Iterator[Piece]:
        """Of the sum over labels of weights times a node."""
        table = self.model.table
        factors = self._factors(node)
        fixed = (*weights, *(f for f in factors if not self.moves(f)))
        moving = [f for f in factors if self.moves(f)]
        if len(moving) == 1:
            yield from self._factor(fixed, moving[0], over)
        elif len(moving) == 2 and moving[0] == moving[1] and self.curvature(moving[0]).affine:
            yield Piece(fixed, over, Field((), [Range(fmpq(2), fmpq(2), True)]), moving[0])
        elif len(moving) == 2 and moving[0] == moving[1] and (hinge := self._hinge(fixed, moving[0], over)) is not None:
            yield hinge
        elif moving:
            yield self._form(fixed, moving, over) or self._curved(fixed, table.mul(moving), over)

    def _hinge(self, fixed: tuple[int, ...], node: int, over: tuple[int, ...]) -> Piece | None:
        """The square of max(0, e), e affine: its second derivative in e is 0 on one side and 2 on the other."""
        table = self.model.table
        arguments = table.arguments[node]
        if table.operation[node] != "max" or len(arguments) != 2 or not any(table.number(a) == 0 for a in arguments):
            return None
        inner = next((a for a in arguments if table.number(a) != 0), arguments[0])
        if not self.moves(inner) or not self.curvature(inner).affine:
            return None
        bends = Range(ZERO, fmpq(2))
        atoms = [k for k in sorted(table.variables([inner])) if self.moves.node(k)]
        slopes = gradient(table, inner, atoms)
        if len(atoms) == 1 and self.curvature.node(atoms[0]).affine and not self.moves(slopes[0]):
            square = self.ranges(table.power(slopes[0], 2))
            return Piece(fixed, over, Field(square.labels, [r * bends for r in square.values]), table.var(atoms[0]))
        return Piece(fixed, over, Field((), [bends]), inner)

    def _form(self, fixed: tuple[int, ...], moving: Sequence[int], over: tuple[int, ...]) -> Piece | None:
        """A sum of products as a quadratic form with the elements of an array of data as its coefficients."""
        model, table = self.model, self.model.table
        apart, labels, waiting = list[int](), set(over), [*fixed, *moving]
        while waiting:
            each = waiting.pop()
            atom = model.nodes[table.value[each]] if table.operation[each] == "var" else None
            if table.operation[each] == "*":
                waiting += table.arguments[each]
            elif atom is not None and atom.kind == "contract" and self.moves(each):
                names = model.fresh(atom.bound)
                labels |= set(names.values())
                waiting += [model.renamed(model.scalar[c], names) for c in atom.children]
            else:
                apart.append(each)
        own = [f for f in apart if self.moves(f)]
        data = [f for f in apart if f not in own and model.labels_of(f)]
        if len(own) != 2 or len(data) != 1 or any(table.operation[f] != "var" for f in (*own, *data)):
            return None
        first, second, matrix = (model.nodes[table.value[f]] for f in (*own, *data))
        if any(n.kind != "leaf" for n in (first, second, matrix)) or first.symbol != second.symbol:
            return None
        met = (*first.labels, *second.labels)
        if len(met) != 2 or not model.symbols[matrix.symbol].is_data or set(met) != set(matrix.labels):
            return None
        if met[0] == met[1] or labels != set(met):
            return None
        weights = tuple(f for f in apart if f not in own and f not in data)
        return Piece(weights, (), Field((), [Range(fmpq(1), fmpq(1), True)]), None, (matrix.symbol, first.symbol))

    def _factors(self, node: int) -> list[int]:
        """The factors of a product, a square of what varies being two of them."""
        table, found, stack = self.model.table, [], [node]
        while stack:
            each = stack.pop()
            if table.operation[each] == "*":
                stack += table.arguments[each]
            elif table.operation[each] == "^" and table.value[each] == 2 and self.moves(each):
                stack += [table.arguments[each][0]] * 2
            else:
                found.append(each)
        return found

    def _factor(self, fixed: tuple[int, ...], node: int, over: tuple[int, ...]) -> Iterator[Piece]:
        model, table = self.model, self.model.table
        operation = table.operation[node]
        if self.curvature(node).affine:
            yield Piece(fixed, over, Field((), [number(0)]), None)
            return
        if operation == "+":
            for term in table.arguments[node]:
                if self.moves(term):
                    yield from self._product(fixed, term, over)
            return
        atom = model.nodes[table.value[node]] if operation == "var" else None
        if atom is not None and atom.kind in ("contract", "logsumexp"):
            names = model.fresh(atom.bound)
            inside = [model.renamed(model.scalar[c], names) for c in atom.children]
            if atom.kind == "contract":
                yield from self._product(fixed, table.mul(inside), (*over, *names.values()))
                return
            if self.curvature(inside[0]).affine:
                # The Hessian of log-sum-exp is diag(p) - pp', between 0 and 1/2.
                yield Piece(fixed, over, Field((), [Range(ZERO, fmpq(1, 2))]), inside[0])
                return
        bent = self._bent(fixed, node, over) if atom is None else None
        yield bent or self._curved(fixed, node, over)

    def _curved(self, fixed: tuple[int, ...], node: int, over: tuple[int, ...]) -> Piece:
        found = self.curvature(node)
        if not found.known:
            raise Rejected("nothing is known of how a term bends")
        side = Range(ZERO, INF) if found.convex else Range(-INF, ZERO)
        return Piece(fixed, over, Field((), [side]), None)

    # ---- functions of one affine expression ----

    def _bent(self, fixed: tuple[int, ...], node: int, over: tuple[int, ...]) -> Piece | None:
        """An elementwise function as one of a single affine node: one that it is built on, or its whole argument."""
        table = self.model.table
        atoms = [k for k in sorted(table.variables([node])) if self.moves.node(k)]
        fields = {k: self.ranges.node(k) for k in table.variables([node])}
        if len(atoms) == 1 and self.curvature.node(atoms[0]).affine:
            second = self._second(node, atoms[0], fields)
            if second is not None:
                return Piece(fixed, over, second, table.var(atoms[0]))
        operation, arguments = table.operation[node], table.arguments[node]
        moving = [k for k, a in enumerate(arguments) if self.moves(a)]
        if len(moving) != 1 or operation not in UNARY | BINARY | MANY | {"^"}:
            return None
        inner = arguments[moving[0]]
        if not self.curvature(inner).affine:
            return None
        outer = [table.var(_FRESH) if k == moving[0] else a for k, a in enumerate(arguments)]
        function = table.power(outer[0], table.value[node]) if operation == "^" else table.call(operation, outer)
        others = {k: fields[k] for a in arguments if a != inner for k in table.variables([a])}
        second = self._second(function, _FRESH, {**others, _FRESH: self.ranges(inner)})
        return None if second is None else Piece(fixed, over, second, inner)

    def _second(self, function: int, index: int, fields: dict[int, Field]) -> Field | None:
        """The range of the second derivative by the variable `index`; None where it has none."""
        table = self.model.table
        try:
            known = KNOWN.get(table.operation[function])
            arguments = table.arguments[function]
            if known is not None and not any(index in table.variables([a]) for a in arguments[1:]):
                [slope] = gradient(table, arguments[0], [index])
                nonnegative = all(self.ranges.function(a, _only(fields, table.variables([a]))).whole.nonnegative
                                  for a in arguments[1:])  # fmt: skip
                if nonnegative and index not in table.variables([slope]):
                    square = self.ranges.function(table.power(slope, 2), _only(fields, table.variables([slope])))
                    return Field(square.labels, [r * known for r in square.values])
            box = {k: field.whole for k, field in fields.items()}
            require_smooth(table, function, [index], box, self.ranges.known(function))
            second = self._root_of_quadratic(function, index)
            if second is None:
                [slope] = gradient(table, function, [index])
                [second] = gradient(table, slope, [index])
        except Rejected:
            return None
        inside = table.variables([second])
        field = self.ranges.function(second, _only(fields, inside))
        if index in inside or self.moves.any(inside - {_FRESH}):
            # Positive everywhere in y need not be bounded away from 0 there.
            whole = self._narrowed(function, index, box, field.whole)
            meets = [r.meet(whole) for r in field.values]
            return Field(field.labels, [Range(r.lo, r.hi, less(ZERO, r.lo), r.defined) for r in meets])
        return field

    def _narrowed(self, function: int, index: int, box: dict[int, Range], found: Range) -> Range:
        """The range of a second derivative, with those of the suggested ends that bisection shows to hold."""
        table = self.model.table
        context = Context(Problem(table, (), {}, (), ()), (index,), box)
        few = FewArguments(context, (index,), lambda node: index in table.variables([node]))

        def holds(end: End, sign: int) -> bool:
            if isinstance(end, float):
                return False
            parabola = table.mul([table.num(-end / 2), table.power(table.var(index), 2)])
            return few.bends(table.add([function, parabola]), lambda node: table.operation[node] == "var", sign)

        for low, high in self._suggested:
            if less(found.lo, low) and holds(low, 1):
                found = found.meet(Range(low, INF))
            if less(high, found.hi) and holds(high, -1):
                found = found.meet(Range(-INF, high))
        return found

    def _root_of_quadratic(self, function: int, index: int) -> int | None:
        """(2 q q'' - q'^2) / (4 q^(3/2)), the second derivative of sqrt(q), q quadratic; its numerator is constant."""
        table = self.model.table
        if table.operation[function] != "^" or table.value[function] != fmpq(1, 2):
            return None
        [base] = table.arguments[function]
        [slope] = gradient(table, base, [index])
        [bend] = gradient(table, slope, [index])
        if index in table.variables([bend]):
            return None
        at_zero = table.substituted([base, slope], {table.var(index): table.num(0)})
        squares = table.mul([table.num(-1), table.power(at_zero[1], 2)])
        numerator = table.add([table.mul([table.num(2), at_zero[0], bend]), squares])
        return table.mul([table.num(fmpq(1, 4)), numerator, table.power(base, fmpq(-3, 2))])


def _only(fields: dict[int, Field], indices: Sequence[int] | frozenset[int]) -> dict[int, Field]:
    return {k: fields[k] for k in indices}
