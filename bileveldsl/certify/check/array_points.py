"""Points and directions over arrays that show what a function is not, all of them feasible."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flint import arb, ctx, fmpq

from bileveldsl.certify.check.array_jets import ArrayJets
from bileveldsl.certify.check.array_model import Model, Symbol
from bileveldsl.certify.check.ranges import End, at_most
from bileveldsl.certify.check.reading import mapping, rational, record, sequence
from bileveldsl.certify.check.terms import DIGITS, Rejected

PRECISIONS = (64, 256, 2048)
_NUMBERS = 1 << 21

_STRICT = {"> 0": "> 0", ">= 0": "> 0", "!= 0": "!= 0", "in [-1, 1]": "in (-1, 1)"}

Point = dict[int, list[fmpq]]
"""The elements of variables, by the number of the symbol."""


def read_point(model: Model, data: Any) -> Point:
    """The elements of the variables that an object names: one number for all of one, or whole numbers times a unit."""
    numbers = {s.name: k for k, s in enumerate(model.symbols) if not s.is_data}
    found: Point = {}
    for name, item in mapping(data).items():
        if name not in numbers:
            raise Rejected("a point has a value for what is no variable")
        symbol = model.symbols[numbers[name]]
        count = math.prod(symbol.sizes)
        if count > _NUMBERS:
            raise Rejected("a point has too many elements")
        if isinstance(item, dict):
            fields = record(item, {"unit", "numbers"})
            unit, values = rational(fields["unit"]), [_whole(v) for v in sequence(fields["numbers"], _NUMBERS)]
            if len(values) != count:
                raise Rejected("a point does not have the sizes of its variables")
            found[numbers[name]] = [unit * v for v in values]
        else:
            found[numbers[name]] = [rational(item)] * count
    return found


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value.bit_length() > DIGITS:
        raise Rejected("a whole number of bounded size is expected")
    return value


def require_curvature(
    model: Model, own: Sequence[int], level: str, node: int, proof: Any, holds: Callable[[arb], bool]
) -> None:
    """Rejects unless something holds of v'Hv / v'v at a feasible point, around which H is continuous.

    The boxes have room in the direction, if perhaps on one side only, so that there are points inside, as near as one
    likes, with nearly the same curvature.
    """
    fields = record(proof, {"kind", "point", "direction"})
    point, direction = read_point(model, fields["point"]), read_point(model, fields["direction"])
    square = sum((v * v for values in direction.values() for v in values), fmpq(0))
    if not square or not set(direction) <= set(own):
        raise Rejected("the direction is not one of the own variables")
    for k, values in direction.items():
        if any(v != 0 and low == high for v, (low, high) in zip(values, bounds(model.symbols[k]), strict=True)):
            raise Rejected("the direction moves a variable that its bounds fix")
    _require_bounds(model, point)
    _require_feasible(model, level, point)
    reason = "the curvature at the point is not such"
    for precision in PRECISIONS:  # more digits tell a number from another, and from 0
        with ctx.workprec(precision):
            try:
                second = ArrayJets(model, _balls(point), _balls(direction))(model.scalar[node]).orders[2]
            except Rejected as error:
                reason = str(error)
                continue
            found = arb(0) if second is None else 2 * second[0] / arb(square)
            if found.is_finite() and holds(found):
                return
    raise Rejected(reason)


def _balls(point: Point) -> dict[int, list[arb]]:
    return {k: [arb(v) for v in values] for k, values in point.items()}


def bounds(symbol: Symbol) -> Iterator[tuple[End, End]]:
    """Of each element of a variable."""
    for k in range(math.prod(symbol.sizes)):
        yield symbol.lower[k % len(symbol.lower)], symbol.upper[k % len(symbol.upper)]


def _require_bounds(model: Model, point: Point) -> None:
    for k, values in point.items():
        for value, (low, high) in zip(values, bounds(model.symbols[k]), strict=True):
            if not (at_most(low, value) and at_most(value, high)):
                raise Rejected("the point is not within the bounds")


def _require_feasible(model: Model, level: str, point: Point) -> None:
    """Every condition of the statement counts, with room around it, and each constraint of the level."""
    for node, relation in model.conditions:
        if not _holds(model, point, node, _STRICT[relation]):
            raise Rejected("the point does not satisfy a condition with room around it")
    for constraint in model.constraints:
        if constraint.level == level and not _holds(model, point, constraint.node, constraint.relation):
            raise Rejected(f"the point does not satisfy the constraint {constraint.label[:60]}")


def _holds(model: Model, point: Point, node: int, relation: str) -> bool:
    for precision in PRECISIONS:
        with ctx.workprec(precision):
            values = ArrayJets(model, _balls(point), {})(model.scalar[node]).orders[0]
            if all(_is_so(arb(v), relation) for v in values):
                return True
    return False


def _is_so(value: arb, relation: str) -> bool:
    if relation == "in (-1, 1)":
        return bool(value > -1) and bool(value < 1)
    if relation == "!= 0":
        return bool(value != 0)
    return bool(value > 0) if relation == "> 0" else bool(value <= 0) if relation == "<= 0" else bool(value == 0)
