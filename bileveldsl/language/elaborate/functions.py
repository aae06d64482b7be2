"""The functions of the language: what each takes, and the expression it builds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy

from bileveldsl.calculus import functions as f
from bileveldsl.calculus.expr import Axis, IndexMap, argument, contract, multiply, reduce, select
from bileveldsl.language.elaborate.tensor import ShapeError, Tensor, align, elementwise, number

a0, a1 = argument(0), argument(1)

ELEMENTWISE: dict[str, sympy.Expr] = {
    "exp": sympy.exp(a0),
    "log": sympy.log(a0),
    "sqrt": sympy.sqrt(a0),
    "abs": sympy.Abs(a0),
    "sin": sympy.sin(a0),
    "cos": sympy.cos(a0),
    "tan": sympy.tan(a0),
    "asin": sympy.asin(a0),
    "acos": sympy.acos(a0),
    "atan": sympy.atan(a0),
    "sinh": sympy.sinh(a0),
    "cosh": sympy.cosh(a0),
    "tanh": sympy.tanh(a0),
    "sigmoid": f.sigmoid(a0),
    "softplus": f.softplus(a0),
}

DOMAINS = {"log": "> 0", "sqrt": ">= 0", "asin": "in [-1, 1]", "acos": "in [-1, 1]", "entropy": ">= 0"}
"""Functions of one argument that are not defined everywhere, with the condition on it."""


@dataclass(frozen=True)
class Reduction:
    """A function of one or two arrays that sums, or otherwise reduces, all axes or the one that is named."""

    arrays: int
    build: Callable[[Sequence[Tensor], tuple[Axis, ...]], Tensor]
    needs_axis: bool = False


def _rest(tensor: Tensor, over: tuple[Axis, ...]) -> tuple[Axis, ...]:
    return tuple(axis for axis in tensor.axes if axis not in over)


def _sum(fn: sympy.Expr) -> Callable[[Sequence[Tensor], tuple[Axis, ...]], Tensor]:
    """The sum over axes of an elementwise function."""

    def build(arrays: Sequence[Tensor], over: tuple[Axis, ...]) -> Tensor:
        body = elementwise(fn, arrays)
        return Tensor(contract([body.expr], over), _rest(arrays[0], over))

    return build


def _reduce(operation: str) -> Callable[[Sequence[Tensor], tuple[Axis, ...]], Tensor]:
    def build(arrays: Sequence[Tensor], over: tuple[Axis, ...]) -> Tensor:
        return Tensor(reduce(operation, arrays[0].expr, over), _rest(arrays[0], over))  # type: ignore[arg-type]

    return build


def _norminf(arrays: Sequence[Tensor], over: tuple[Axis, ...]) -> Tensor:
    return _reduce("max")([elementwise(sympy.Abs(a0), arrays)], over)


def _softmax(arrays: Sequence[Tensor], over: tuple[Axis, ...]) -> Tensor:
    total = reduce("logsumexp", arrays[0].expr, over)
    body = elementwise(sympy.exp(a0 - a1), [Tensor(arrays[0].expr), Tensor(total)])
    return Tensor(body.expr, arrays[0].axes)


def _product(arrays: Sequence[Tensor], over: tuple[Axis, ...]) -> Tensor:
    """A product has no node of its own: its derivative where factors vanish is right only factor by factor."""
    expr = arrays[0].expr
    for axis in over:
        if axis.size > 1000:
            raise ShapeError(
                "E305", f"prod over {axis.size} factors", "take logarithms and sum, for more than 1000 factors"
            )
        expr = multiply(*(select(expr, [(axis, IndexMap.of(k))]) for k in range(axis.size)))
    return Tensor(expr, _rest(arrays[0], over))


REDUCTIONS: dict[str, Reduction] = {
    "sum": Reduction(1, _sum(a0)),
    "sumsq": Reduction(1, _sum(a0**2)),
    "dot": Reduction(2, _sum(a0 * a1)),
    "prod": Reduction(1, _product),
    "norm": Reduction(1, _reduce("norm")),
    "norm1": Reduction(1, _sum(sympy.Abs(a0))),
    "norminf": Reduction(1, _norminf),
    "logsumexp": Reduction(1, _reduce("logsumexp")),
    "softmax": Reduction(1, _softmax),
    "entropy": Reduction(1, _sum(-f.xlogx(a0))),
    "kl": Reduction(2, _sum(f.relative_entropy(a0, a1))),
}

EXTREMA = {"min": (f.minimum, "min"), "max": (f.maximum, "max")}

NAMES = frozenset({*ELEMENTWISE, *REDUCTIONS, *EXTREMA, "huber"})


def call_elementwise(name: str, arrays: Sequence[Tensor]) -> Tensor:
    _count(name, arrays, 1, 1)
    return elementwise(ELEMENTWISE[name], arrays)


def call_huber(arrays: Sequence[Tensor]) -> Tensor:
    """`huber(x)` or `huber(x, threshold)`: x^2/2 near zero, linear beyond the threshold (1 by default)."""
    _count("huber", arrays, 1, 2)
    return elementwise(f.huber(a0, a1), [*arrays, number(1)][:2])


def call_extremum(name: str, arrays: Sequence[Tensor], over: tuple[Axis, ...] | None) -> Tensor:
    """`max(a)` and `max(a, axis)` reduce an array; `max(a, b, ...)` is elementwise."""
    function, operation = EXTREMA[name]
    if len(arrays) == 1:
        return _reduce(operation)(arrays, arrays[0].axes if over is None else over)
    if over is not None or not arrays:
        raise ShapeError(
            "E305",
            f"{name} takes one array and an axis, or several arrays",
            f"{name}(a), {name}(a, axis) or {name}(a, b)",
        )
    result = arrays[0]
    for other in arrays[1:]:
        result = elementwise(function(a0, a1), [result, other])
    return result


def call_reduction(name: str, arrays: Sequence[Tensor], over: tuple[Axis, ...] | None) -> Tensor:
    reduction = REDUCTIONS[name]
    _count(name, arrays, reduction.arrays, reduction.arrays)
    aligned = align(arrays, "combine")
    if len(aligned) == 2 and len({t.axes for t in aligned}) == 2:
        raise ShapeError(
            "E303", f"{name} needs two arrays with equal axes", f"give {name} two arrays", [t.described for t in arrays]
        )
    return reduction.build(aligned, aligned[0].axes if over is None else over)


def _count(name: str, arrays: Sequence[Tensor], least: int, most: int) -> None:
    if not least <= len(arrays) <= most:
        wanted = f"{least}" if least == most else f"{least} or {most}"
        raise ShapeError(
            "E305",
            f"{name} takes {wanted} argument{'s' if most > 1 else ''}, {len(arrays)} given",
            f"see {name} in the language reference",
        )
