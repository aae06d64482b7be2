"""Names for sub-expressions that are long and occur more than once, so that formulas stay readable."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from bileveldsl.calculus.expr import (
    Axis,
    Contract,
    Delta,
    Expr,
    Leaf,
    Map,
    Symbol,
    apply,
    argument,
    distinct_axes,
    leaf,
    rebuild,
    rename,
    symbols_of,
    topological,
)  # fmt: skip
from bileveldsl.calculus.notation.matrix import MatrixForm
from bileveldsl.calculus.notation.pieces import NoMatrixForm
from bileveldsl.calculus.notation.softmax import extract_softmax
from bileveldsl.calculus.notation.subscripts import Labels

LETTERS = {0: "abcdefgh", 1: "ruvabcdefgh", 2: "ZRSMABCDEFG"}
MIN_WEIGHT = 12  # characters below which only a matrix product gets a name
MIN_SAVING = 8  # characters that a name has to save
MAX_DEFINITIONS = 20
MAX_NODES = 2000  # counting is repeated for each definition


def with_definitions(
    exprs: Sequence[Expr], taken: Iterable[str] = ()
) -> tuple[list[tuple[Symbol, Expr]], list[Expr]]:
    """Name long sub-expressions that several places share.

    Parameters
    ----------
    exprs
        Expressions that are shown together.
    taken
        Names that mean something else.

    Returns
    -------
    definitions
        Symbols with what they stand for, over `symbol.axes`; one may use those before it.
    exprs
        The expressions with the symbols in place.

    Examples
    --------
    >>> from bileveldsl.calculus.expr import Dim, contract
    >>> n, p = Dim("n", 3), Dim("p", 2)
    >>> X, w = Symbol("X", "data", (n, p)), Symbol("w", "variable", (p,))
    >>> r = apply(sympy.exp(-argument(0) / 3), [contract([leaf(X), leaf(w)], w.axes)])
    >>> definitions, exprs = with_definitions([contract([r], r.axes), contract([leaf(X), r], r.axes), r])
    >>> [(symbol.name, body) for symbol, body in definitions], exprs
    ([('r', exp(-X @ w/3))], [sum(r), X.T @ r, r])
    """
    taken = set(taken)
    definitions: list[tuple[Symbol, Expr]] = []
    current = list(exprs)
    for _ in range(MAX_DEFINITIONS):
        everything = [*current, *(body for _, body in definitions)]
        best = _most_saving(everything, taken)
        if best is None:
            break
        replaced = _replace(everything, best)
        current, bodies = replaced[: len(current)], replaced[len(current) :]
        definitions = [(symbol, body) for (symbol, _), body in zip(definitions, bodies, strict=True)]
        definitions.append((best.symbol, rename(best.expr, dict(zip(best.order, best.symbol.axes, strict=True)))))
    return _in_order(definitions), current


@dataclass(frozen=True)
class _Definition:
    """A symbol for an expression with canonical labels, given in the order of the symbol's own."""

    symbol: Symbol
    expr: Expr
    order: tuple[Axis, ...]

    def at(self, node: Expr) -> Expr | None:
        """The symbol in place of a node that differs from the expression at most in its labels."""
        expr, labels = _canonical(node)
        return leaf(self.symbol, [labels[axis] for axis in self.order]) if expr is self.expr else None


def _canonical(node: Expr) -> tuple[Expr, dict[Axis, Axis]]:
    """The node with the smallest labels, and for each of those the label of the node."""
    labels = distinct_axes([axis.dim for axis in node.axes])
    return rename(node, dict(zip(node.axes, labels, strict=True))), dict(zip(labels, node.axes, strict=True))


def _parts(node: Expr) -> list[tuple[Expr, int]]:
    """What a node is written with, and how often each occurs in it."""
    if not isinstance(node, Map):
        return [(child, 1) for child in node.children]
    fn, softmaxes = extract_softmax(node)
    if fn in softmaxes:
        return [(softmaxes[fn].logits, 1)]
    symbols = {argument(k): child for k, child in enumerate(node.children)}
    symbols |= {symbol: softmax.node for symbol, softmax in softmaxes.items()}
    often = Counter(s for s in sympy.preorder_traversal(fn) if s.is_Symbol) if len(fn.args) < MAX_NODES else {}
    return [(part, often.get(symbol, 1)) for symbol, part in symbols.items() if symbol in fn.free_symbols]


def _most_saving(roots: Sequence[Expr], taken: set[str]) -> _Definition | None:
    """The sub-expression whose name saves most characters, if any saves enough."""
    uses: Counter[Expr] = Counter()
    seen: set[Expr] = set()
    stack = [_canonical(root)[0] for root in roots]
    uses.update(stack)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if len(seen) > MAX_NODES:
            return None
        for part, often in _parts(node):
            canonical = _canonical(part)[0]
            uses[canonical] += often
            stack.append(canonical)
    best, most = None, MIN_SAVING
    form = MatrixForm(Labels())
    for node, count in uses.items():
        if count > 1 and len(node.axes) <= 2 and not isinstance(node, Leaf | Delta):
            try:
                order, weight = _oriented(form, node)
            except NoMatrixForm:
                continue
            saving = (count - 1) * weight - count - 5
            if saving > most and (weight >= MIN_WEIGHT or (isinstance(node, Contract) and node.axes)):
                best, most = (node, order), saving
    if best is None:
        return None
    node, order = best
    name = _new_name(node, taken.union(symbol.name for symbol in symbols_of(*roots)))
    return _Definition(Symbol(name, "variable", tuple(axis.dim for axis in order)), node, order)


def _oriented(form: MatrixForm, node: Expr) -> tuple[tuple[Axis, ...], int]:
    """The labels of a node in the order in which it reads best, and the characters it takes."""
    orders = [node.axes, node.axes[::-1]]
    formulas = [form.formula(node, *order) for order in orders]
    best = min((0, 1), key=lambda k: (formulas[k].transposes, formulas[k].weight))
    return orders[best], formulas[best].weight


def _new_name(node: Expr, taken: set[str]) -> str:
    letters = LETTERS[len(node.axes)]
    if isinstance(node, Map) and extract_softmax(node)[0].is_Symbol:
        letters = "S" + letters if node.axes else letters
    numbered = (f"{letters[0]}{k}" for k in itertools.count(1))
    return next(name for name in itertools.chain(letters, numbered) if name not in taken)


def _replace(roots: Sequence[Expr], definition: _Definition) -> list[Expr]:
    done: dict[Expr, Expr] = {}
    for node in topological(roots):
        named = definition.at(node)
        if named is not None:
            done[node] = named
        elif isinstance(node, Map):
            done[node] = _replace_in_map(node, done, definition)
        else:
            done[node] = rebuild(node, [done[child] for child in node.children])
    return [done[root] for root in roots]


def _replace_in_map(node: Map, done: Mapping[Expr, Expr], definition: _Definition) -> Expr:
    """A Map on new children; a softmax inside its function is a place for the symbol too, and stays one."""
    fn, softmaxes = extract_softmax(node)
    operands = [done[child] for child in node.children]
    values = {}
    for symbol, softmax in softmaxes.items():
        whole, logits = definition.at(softmax.node), definition.at(softmax.logits)
        total = rebuild(softmax.total, [done[child] for child in softmax.total.children])
        if whole is not None:
            values[symbol] = _operand(whole, operands)
        elif logits is not None:
            values[symbol] = sympy.exp(_operand(logits, operands) - _operand(total, operands))
        else:
            place = argument(node.children.index(softmax.total))
            values[symbol] = softmax.plain.xreplace({place: _operand(total, operands)})
    return apply(fn.xreplace(values), operands)


def _operand(node: Expr, operands: list[Expr]) -> sympy.Symbol:
    """The placeholder for one more operand."""
    operands.append(node)
    return argument(len(operands) - 1)


def _in_order(definitions: Sequence[tuple[Symbol, Expr]]) -> list[tuple[Symbol, Expr]]:
    """Definitions after those that they use."""
    ordered: list[tuple[Symbol, Expr]] = []
    left = list(definitions)
    while left:
        open_symbols = {symbol for symbol, _ in left}
        ready = next(item for item in left if open_symbols.isdisjoint(symbols_of(item[1])))
        ordered.append(ready)
        left.remove(ready)
    return ordered
