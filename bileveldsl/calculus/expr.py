"""The constructors of the expression DAG: they keep a normal form, so that equal expressions are the same node.

The nodes themselves, their labels and the walks over them are in `bileveldsl.calculus.nodes`, elementwise operations
in `bileveldsl.calculus.elementwise`; all are importable from here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeGuard

import numpy as np
import sympy

from bileveldsl.calculus.elementwise import (
    ONE,
    ZERO,
    add,
    apply,
    constant,
    divide,
    multiply,
    negate,
    serial,
    subtract,
    union,
    without_common_factors,
)
from bileveldsl.calculus.nodes import (
    Axis,
    Contract,
    Delta,
    Dim,
    Expr,
    IndexMap,
    Leaf,
    Map,
    Reduce,
    Scatter,
    Select,
    Symbol,
    argument,
    bound_axes,
    constant_value,
    depends_on,
    distinct_axes,
    leaves,
    symbols_of,
    topological,
)

__all__ = [
    "ONE", "ZERO", "Axis", "Contract", "Delta", "Dim", "Expr", "IndexMap", "Leaf", "Map", "Reduce", "Scatter", "Select",
    "Symbol", "add", "apply", "argument", "bound_axes", "constant", "constant_value", "contract", "delta", "depends_on",
    "distinct_axes", "divide", "is_incidence", "leaf", "leaves", "multiply", "negate", "power", "rebuild", "reduce",
    "rename", "scatter", "select", "size", "substitute", "subtract", "symbols_of", "topological",
]  # fmt: skip

# ---- leaves ---------------------------------------------------------------------------------


def leaf(symbol: Symbol, axes: Sequence[Axis] | None = None) -> Expr:
    """The symbol at the given labels (its own distinct ones by default); a repeated label takes the diagonal."""
    labels = symbol.axes if axes is None else tuple(axes)
    if len(set(labels)) == len(labels):
        return Leaf._make(labels, (), symbol)
    repeated = {label for label in labels if labels.count(label) > 1}
    own = distinct_axes(symbol.dims, labels)
    own = tuple(mine if label in repeated else label for mine, label in zip(own, labels, strict=True))
    node = Leaf._make(own, (), symbol)
    for label in sorted(repeated):
        diagonal = IndexMap.of(np.arange(label.size), "diagonal")
        node = select(node, [(mine, diagonal) for mine, at in zip(own, labels, strict=True) if at == label], label)
    return node


def delta(a: Axis, b: Axis) -> Expr:
    return ONE if a == b else Delta._make((min(a, b), max(a, b)), ())


_sizes: dict[Dim, Symbol] = {}


def size(dim: Dim) -> Expr:
    """The size of an index set, as a scalar with its name."""
    if dim.name.isdigit():
        return constant(dim.size)
    symbol = _sizes.setdefault(dim, Symbol(dim.name, "size", (), np.asarray(float(dim.size))))
    return leaf(symbol)


def power(a: Expr, b: Expr) -> Expr:
    """a to the power of b; the square of a Euclidean norm is the sum of squares, which is smooth."""
    if isinstance(a, Reduce) and a.operation == "norm" and constant_value(b) == 2:
        return contract([*a.children, *a.children], a.over)
    return apply(argument(0) ** argument(1), [a, b])


# ---- contractions ---------------------------------------------------------------------------


def contract(factors: Sequence[Expr], over: Iterable[Axis]) -> Expr:
    """The sum of the product of the factors over the labels `over`, in normal form.

    Numbers and factors without a summed label leave the sum; factors that share no summed label are summed
    apart; a Delta with a summed label renames; a label that no factor has counts the size of its index set.
    """
    bound = list(dict.fromkeys(over))
    if not bound:
        return multiply(*factors, ONE)
    flat = [part for factor in factors for part in _factors(factor)]
    flat, bound = _absorb_deltas(flat, bound)
    for position, factor in enumerate(flat):
        if is_incidence(factor) and factor.along in bound:
            return _absorb_incidence(factor, flat[:position] + flat[position + 1 :], bound)
    flat = _with_equal_labels_multiplied(flat)
    outside: list[Expr] = [size(axis.dim) for axis in bound if not any(axis in f.axes for f in flat)]
    groups: list[tuple[set[Axis], list[Expr]]] = []
    for factor in flat:
        summed = {axis for axis in factor.axes if axis in bound}
        if not summed:
            outside.append(factor)
            continue
        members = [factor]
        apart = []
        for group in groups:
            if group[0] & summed:
                summed |= group[0]
                members = group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (summed, members)]
    return multiply(*outside, *(_sum(members, summed) for summed, members in groups), ONE)


def _factors(node: Expr) -> list[Expr]:
    """A node as a product: the factors of a Map that multiplies, a square as a repeated factor."""
    if not isinstance(node, Map) or not node.children:
        return [node]
    fn, nodes = _with_products_open(node)
    result: list[Expr] = []
    for piece in itertools.chain.from_iterable(without_common_factors(part) for part in sympy.Mul.make_args(fn)):
        base, exponent = piece.as_base_exp()
        twice = exponent == 2 and base != sympy.E
        factor = apply(base if twice else piece, nodes)
        result += (_factors(factor) if factor in nodes else [factor]) * (2 if twice else 1)
    return result


def _with_products_open(node: Map) -> tuple[sympy.Expr, list[Expr]]:
    """The function of a Map with each child that is a product over fewer labels replaced by its factors."""
    nodes: dict[Expr, sympy.Symbol] = {}
    opened = {}
    for symbol, child in node.operands.items():
        parts = [child]
        if isinstance(child, Map) and child.fn.is_Mul:
            parts = [apply(factor, child.children) for factor in child.fn.args]
        opened[symbol] = sympy.Mul(*(nodes.setdefault(part, argument(len(nodes))) for part in parts))
    return node.fn.xreplace(opened), list(nodes)


def _with_equal_labels_multiplied(factors: Sequence[Expr]) -> list[Expr]:
    """The factors with those over the same labels multiplied and taken apart again: x, x^3 gives x^4."""
    groups: dict[frozenset[Axis], list[Expr]] = {}
    for factor in factors:
        groups.setdefault(frozenset(factor.axes), []).append(factor)
    return [part for group in groups.values() for part in (_factors(multiply(*group)) if group[1:] else group)]


def _absorb_deltas(factors: list[Expr], bound: list[Axis]) -> tuple[list[Expr], list[Axis]]:
    for position, factor in enumerate(factors):
        if not isinstance(factor, Delta):
            continue
        a, b = factor.axes
        gone, kept = (a, b) if a in bound else (b, a)
        if gone not in bound:
            continue
        rest = [rename(other, {gone: kept}) for k, other in enumerate(factors) if k != position]
        flat = [part for other in rest for part in _factors(other)]
        return _absorb_deltas(flat, [axis for axis in bound if axis != gone])
    return factors, bound


def is_incidence(node: Expr) -> TypeGuard[Select]:
    """Whether a node is [i(a) = v]: an identity matrix seen through positions along one of its labels."""
    return isinstance(node, Select) and isinstance(node.children[0], Delta) and len(node.at) == 1


def _absorb_incidence(incidence: Select, factors: Sequence[Expr], bound: Sequence[Axis]) -> Expr:
    """The sum over a of [i(a) = v] times factors: v is replaced by i(a) where it is summed, too, else it is a scatter.

    Either way no product of the two index sets is formed.
    """
    ((_, positions),), along = incidence.at, incidence.along
    (target,) = (axis for axis in incidence.axes if axis != along)
    if target in bound:
        moved = [select(factor, [(target, positions)], along) for factor in factors]
        return contract(moved, [axis for axis in bound if axis != target])
    apart = [factor for factor in factors if along not in factor.axes and not set(factor.axes) & set(bound)]
    together = [select(factor, [(target, positions)], along) for factor in factors if factor not in apart]
    inner = contract(together, [axis for axis in bound if axis != along])
    return multiply(scatter(inner, [(target, positions)], along), *apart)


def _sum(factors: Sequence[Expr], over: set[Axis]) -> Expr:
    """A Contract of factors that all hang together, its summed labels renamed to the smallest free ones."""
    free = {axis for factor in factors for axis in factor.axes} - over
    _, wanted, renamed = _with_bound_labels(factors, sorted(over), free)
    axes = tuple(axis for axis in union(factor.axes for factor in renamed) if axis not in wanted)
    return Contract._make(axes, tuple(renamed), wanted)


def _with_bound_labels(
    nodes: Sequence[Expr], bound: Sequence[Axis], free: set[Axis], kind: Callable[[Axis], Any] = lambda axis: axis.dim
) -> tuple[tuple[Axis, ...], tuple[Axis, ...], list[Expr]]:
    """The bound labels in order, the smallest labels that can take their place, and the nodes with these, by age.

    Labels of one kind could be put in any order: that which gives the oldest nodes is taken, so that expressions that
    differ in the names of bound labels only are equal.
    """
    kinds = sorted(kind(axis) for axis in bound)
    orders = [tuple(sorted(bound, key=kind))]
    if len(bound) <= 4:
        orders = [order for order in itertools.permutations(bound) if [kind(axis) for axis in order] == kinds]
    wanted = distinct_axes([axis.dim for axis in orders[0]], free)
    choices = []
    for order in orders:
        names = dict(zip(order, wanted, strict=True))
        choices.append((order, wanted, sorted((rename(node, names) for node in nodes), key=serial)))
    return min(choices, key=lambda choice: [node.serial for node in choice[2]])


def reduce(operation: Literal["logsumexp", "max", "min", "norm"], node: Expr, over: Iterable[Axis]) -> Expr:
    """log-sum-exp, maximum, minimum or Euclidean norm over some labels of a node.

    A label that the node lacks repeats its value: it changes a log-sum-exp by log(size) and a norm by sqrt(size).
    """
    inner = sorted(axis for axis in set(over) if axis in node.axes)
    for axis in sorted(set(over) - set(node.axes)):
        if operation == "logsumexp":
            node = apply(argument(0) + sympy.log(argument(1)), [node, size(axis.dim)])
        elif operation == "norm":
            node = apply(argument(0) * sympy.sqrt(argument(1)), [node, size(axis.dim)])
    if not inner:
        return apply(sympy.Abs(argument(0)), [node]) if operation == "norm" else node
    _, wanted, (node,) = _with_bound_labels([node], inner, set(node.axes) - set(inner))
    return Reduce._make(tuple(a for a in node.axes if a not in wanted), (node,), operation, wanted)


# ---- selections -----------------------------------------------------------------------------


def select(node: Expr, at: Sequence[tuple[Axis, IndexMap]], along: Axis | None = None) -> Expr:
    """Elements of a node at positions; a label that the node lacks is left out, since it is constant there.

    Where the node has the label `along` itself, the two are one: `X[n, p]` at `p` along `n` is `X[n, index[n]]`.
    """
    used = [(axis, index) for axis, index in at if axis in node.axes]
    if not used:
        return node
    if isinstance(node, Map):  # elementwise work commutes with taking elements, and shrinks
        done: dict[Expr, Expr] = {}
        for part in topological([node], through=lambda n: isinstance(n, Map)):
            if isinstance(part, Map):
                done[part] = apply(part.fn, [done[child] for child in part.children])
            else:
                done[part] = select(part, at, along)
        return done[node]
    new = along if any(index.positions.ndim for _, index in used) else None
    if new and new in node.axes and all(axis != new for axis, _ in used):
        used.append((new, IndexMap.of(np.arange(new.size))))
    if isinstance(node, Delta) and (known := _select_delta(node, used)):
        return known
    if new and len(used) == 1 and _is_identity(*used[0], new):
        return rename(node, {used[0][0]: new})
    maps = dict(used)
    free = (set(node.axes) - set(maps)) | ({new} if new else set())
    order, wanted, (node,) = _with_bound_labels([node], list(maps), free, lambda axis: (axis.dim, maps[axis].key))
    axes = tuple(axis for axis in node.axes if axis not in wanted) + ((new,) if new else ())
    return Select._make(axes, (node,), wanted, new, *(maps[axis] for axis in order))


def _select_delta(node: Delta, at: Sequence[tuple[Axis, IndexMap]]) -> Expr | None:
    """Elements of an identity matrix where they are one number, or one row."""
    if len(at) == 2:
        hits = at[0][1].positions == at[1][1].positions
        return ONE if hits.all() else None if hits.any() else ZERO
    (axis, index), *_ = at
    other = node.axes[1] if axis == node.axes[0] else node.axes[0]
    return None if index.positions.ndim else scatter(ONE, [(other, index)])


def scatter(node: Expr, at: Sequence[tuple[Axis, IndexMap]], along: Axis | None = None) -> Expr:
    """The adjoint of `select`: a node over the labels of `at`, zero where nothing was added.

    Where the node has a label of `at` besides, the two are one, as are two equal labels in `at`: only the elements
    in which they agree are added.
    """
    at = sorted(at, key=lambda item: (item[0], item[1].positions.ndim))
    for (axis, index), (other, same) in itertools.pairwise(at):
        if axis == other:
            a, b = distinct_axes([axis.dim, axis.dim], {*node.axes, *([along] if along else [])})
            node = multiply(node, select(delta(a, b), [(a, index), (b, same)], along))
    at = list(dict(at).items())
    if all(index.positions.ndim == 0 for _, index in at):
        along = None
    node = select(node, [(axis, index) for axis, index in at if axis != along], along)
    if constant_value(node) == 0:
        return node
    if along and len(at) == 1 and _is_identity(*at[0], along):
        return rename(node, {along: at[0][0]})
    targets = tuple(axis for axis, _ in at)
    if along:
        (inner,) = distinct_axes([along.dim], (set(node.axes) - {along}) | set(targets))
        node, along = rename(node, {along: inner}), inner
    axes = tuple(axis for axis in node.axes if axis != along) + targets
    return Scatter._make(axes, (node,), targets, along, *(index for _, index in at))


def _is_identity(axis: Axis, index: IndexMap, along: Axis) -> bool:
    return axis.dim == along.dim and bool(np.array_equal(index.positions, np.arange(axis.size)))


# ---- renaming -------------------------------------------------------------------------------


def rename(root: Expr, names: Mapping[Axis, Axis]) -> Expr:
    """The node with free labels renamed, all at once; bound labels that would capture a name get new ones.

    Iterative, and every node remembers its renamings: a chain of n operations that each rename costs n steps, not n^2.
    """

    def find(node: Expr, active: Mapping[Axis, Axis]) -> Expr | None:
        return node.renamed.get(frozenset(active.items())) if active else node

    tasks = [(root, _restricted(names, root))]
    while True:
        node, active = tasks[-1]
        result = find(node, active)
        if result is None:
            inner = active | _bound_names(node, active)
            needed = [(child, _restricted(inner, child)) for child in node.children]
            children = [find(*task) for task in needed]
            ready = [child for child in children if child is not None]
            if len(ready) < len(needed):
                tasks += [task for task, child in zip(needed, children, strict=True) if child is None]
                continue
            result = _with_labels(node, ready, inner)
            node.renamed[frozenset(active.items())] = result
            if len({active.get(axis, axis) for axis in node.axes}) == len(node.axes):
                result.renamed[frozenset((new, old) for old, new in active.items())] = node
        tasks.pop()
        if not tasks:
            return result


def _restricted(names: Mapping[Axis, Axis], node: Expr) -> dict[Axis, Axis]:
    return {old: new for old, new in names.items() if old != new and old in node.axes}


def _bound_names(node: Expr, active: Mapping[Axis, Axis]) -> dict[Axis, Axis]:
    """The names that the bound labels of a node take in normal form once its free labels are renamed."""
    bound = bound_axes(node)
    created = {axis for axis in node.axes if not any(axis in child.axes for child in node.children)}
    free = created | {axis for child in node.children for axis in child.axes if axis not in bound}
    wanted = distinct_axes([axis.dim for axis in bound], {active.get(axis, axis) for axis in free})
    return dict(zip(bound, wanted, strict=True))


def _with_labels(node: Expr, children: Sequence[Expr], names: Mapping[Axis, Axis]) -> Expr:
    """The same operation on renamed children, its own labels renamed too."""
    if isinstance(node, Leaf):
        return leaf(node.symbol, [names.get(a, a) for a in node.axes])
    if isinstance(node, Delta):
        return delta(*(names.get(a, a) for a in node.axes))
    if isinstance(node, Map):
        return apply(node.fn, children)
    if isinstance(node, Contract):
        return contract(children, [names.get(a, a) for a in node.over])
    if isinstance(node, Reduce):
        return reduce(node.operation, children[0], [names.get(a, a) for a in node.over])
    if isinstance(node, Select | Scatter):
        at = [(names.get(axis, axis), index) for axis, index in node.at]
        along = names.get(node.along, node.along) if node.along else None
        return select(children[0], at, along) if isinstance(node, Select) else scatter(children[0], at, along)
    raise TypeError(type(node))


def substitute(roots: Sequence[Expr], values: Mapping[Symbol, Expr]) -> list[Expr]:
    """The nodes with symbols replaced by expressions over the symbols' own labels (`symbol.axes`)."""
    done: dict[Expr, Expr] = {}
    for node in topological(roots):
        if isinstance(node, Leaf) and node.symbol in values:
            own = node.symbol.axes
            done[node] = rename(values[node.symbol], dict(zip(own, node.axes, strict=True)))
        elif any(done[child] is not child for child in node.children):
            done[node] = rebuild(node, [done[child] for child in node.children])
        else:
            done[node] = node
    return [done[root] for root in roots]


def rebuild(node: Expr, children: Sequence[Expr]) -> Expr:
    """The same operation on other children."""
    return _with_labels(node, children, {})
