"""Time of extracting the sparse matrix of flow balances on a network, against its number of arcs.

    python benchmarks/structure.py
"""

from __future__ import annotations

import time

import numpy as np

from bileveldsl.calculus.expr import Axis, Dim, IndexMap, Symbol, contract, delta, leaf, select, subtract
from bileveldsl.calculus.sparse import affine_form


def balance(arcs: int) -> tuple[float, int]:
    """Seconds and nonzeros of `sum(f[a] if tail(a) = v) - sum(f[a] if head(a) = v)` over a tenth as many nodes."""
    nodes = max(2, arcs // 10)
    random = np.random.default_rng(0)
    arc, node = Axis(Dim("ARCS", arcs)), Axis(Dim("NODES", nodes))
    flow = Symbol("f", "variable", (arc.dim,))
    inner = Axis(node.dim, 1)
    sides = []
    for _ in range(2):
        ends = IndexMap.of(random.integers(0, nodes, arcs))
        sides.append(contract([leaf(flow), select(delta(node, inner), [(inner, ends)], arc)], [arc]))
    begin = time.perf_counter()
    form = affine_form(subtract(*sides), [node], [flow])
    return time.perf_counter() - begin, form.matrix.nnz


if __name__ == "__main__":
    print(f"{'arcs':>9} {'nonzeros':>9} {'seconds':>8} {'us/nonzero':>10}")
    for arcs in (1_000, 10_000, 100_000, 1_000_000):
        seconds, count = balance(arcs)
        print(f"{arcs:>9} {count:>9} {seconds:8.3f} {1e6 * seconds / count:10.2f}")
