"""Where the nodes of a program come from: the stretches of the source that they were written as."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bileveldsl.calculus.expr import Axis, Expr, Map, apply, constant_value, rename, symbols_of
from bileveldsl.language.diagnostics import Span


@dataclass(eq=False)
class Places:
    """The spans of nodes, in the order in which they were worked out; equal expressions are one node of several."""

    spans: dict[Expr, dict[Span, None]] = field(default_factory=dict)
    _unlabelled: dict[Expr, list[Span]] = field(default_factory=dict)

    def note(self, node: Expr, span: Span) -> None:
        """Keep that a node was written at a span; numbers are no one's place."""
        if constant_value(node) is None:
            self.spans.setdefault(node, {})[span] = None

    def find(self, node: Expr, within: Span, depth: int = 3) -> Span | None:
        """The place of a node, within a span where it has one there, or elsewhere, as in a definition.

        A node that was not written as such, as a part of a sum, stands where its parts do, which have parts down to a
        `depth`; None where these do not tell.
        """
        if not self._unlabelled:
            for each, spans in self.spans.items():
                self._unlabelled.setdefault(_unlabelled(each), []).extend(spans)
        exact = self._written(node, within)
        if exact is not None or not depth:
            return exact
        if isinstance(node, Map):
            number, rest = node.fn.as_coeff_Mul()
            if number != 1:
                return self.find(apply(rest, node.children), within, depth)
        parts = _parts(node)
        found = [self.find(part, within, depth - 1) for part in parts]
        inside = [span for span in found if span is not None and _contains(within, span)]
        if not inside or len(inside) < len(parts):
            return None
        whole = inside[0]
        for span in inside[1:]:
            whole = whole.to(span)
        return whole

    def _written(self, node: Expr, within: Span) -> Span | None:
        spans = self._unlabelled.get(_unlabelled(node), ())
        first = next((span for span in spans if _contains(within, span)), spans[0] if spans else None)
        same = [span for span in spans if first and span.source is first.source and span.start == first.start]
        return max(same, key=lambda span: span.end, default=first)  # `x[i]` and not only its `x`


def _unlabelled(node: Expr) -> Expr:
    """The node with labels that depend on their order alone: sums and families give theirs other labels."""
    labels = {axis: Axis(axis.dim, -1 - k) for k, axis in enumerate(node.axes)}
    return rename(node, labels) if labels else node


def _parts(node: Expr) -> list[Expr]:
    """What a node is put together from that holds variables: terms or factors, else its children."""
    parts: Iterable[Expr] = node.children
    if isinstance(node, Map) and (node.fn.is_Add or node.fn.is_Mul):
        parts = (apply(part, node.children) for part in node.fn.args)
    return [part for part in parts if any(symbol.role == "variable" for symbol in symbols_of(part))]


def _contains(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end
