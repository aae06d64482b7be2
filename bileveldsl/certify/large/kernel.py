"""Functions of fewer numbers than their variables have elements: along some line they do not vary."""

from __future__ import annotations

import math
from typing import Any

from bileveldsl.calculus.expr import Expr, depends_on
from bileveldsl.certify.curvature import Composition
from bileveldsl.certify.region import Region

KERNEL = "kernel"


def kernel(root: Expr, region: Region, composition: Composition) -> dict[str, Any] | None:
    """A proof that a function is not strongly convex, as it is one of a few affine expressions; None where it is not.

    With fewer expressions than elements there is a direction in which none of them changes.
    """
    symbols = region.level.symbols
    if any((v.lower == v.upper).any() for v in region.level.variables):
        return None
    restricting = [c.expr for c in region.conditions]
    restricting += [e for c in region.level.constraints for e in (c.lower, c.body, c.upper) if e is not None]
    if any(depends_on(e, symbols) for e in restricting):
        return None
    count = sum(math.prod(node.shape) for node in _inner(root, composition))
    return {"kind": KERNEL} if count < sum(math.prod(s.shape) for s in symbols) else None


def _inner(root: Expr, composition: Composition) -> set[Expr]:
    """Affine nodes such that the root varies only with them."""
    found, seen, stack = set[Expr](), {root}, [root]
    while stack:
        node = stack.pop()
        if not composition.depends(node):
            continue
        if composition(node).affine:
            found.add(node)
            continue
        fresh = set(node.children) - seen
        seen |= fresh
        stack += fresh
    return found
