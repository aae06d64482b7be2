"""Questions about where a claim is made: feasible points, the whole space, convexity and smoothness on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flint import fmpq

from bileveldsl.certify.check.domains import natural, plain
from bileveldsl.certify.check.elementary import FUNCTIONS
from bileveldsl.certify.check.enclosures import PRECISIONS, Enclosure, ball, enclose, exact, is_sharp
from bileveldsl.certify.check.goals import CONDITIONS, Context, boxes
from bileveldsl.certify.check.ranges import INF, ZERO, Range, less
from bileveldsl.certify.check.reading import Condition, Problem
from bileveldsl.certify.check.terms import Rejected, Table

_SMOOTH = frozenset(
    {"num", "var", "pi", "e", "+", "*", "exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "softplus", "sigmoid"}
)


def require_twice_differentiable(context: Context, root: int, own: Sequence[int]) -> None:
    """Rejects unless a node is continuous on the region and twice continuously differentiable inside it, in `own`."""
    table = context.table
    [whole] = enclose(table, [root], context.box, context.known)
    if not whole.defined:
        raise Rejected("the function may not be defined on all of the region")
    require_smooth(table, root, own, context.interior, context.known)


def require_smooth_at(context: Context, root: int, own: Sequence[int], point: Mapping[int, fmpq]) -> None:
    """Rejects unless a node is twice continuously differentiable in `own` around a point."""
    require_smooth(context.table, root, own, {k: Range(v, v) for k, v in point.items()}, {})


def require_smooth(
    table: Table, root: int, own: Sequence[int], box: Mapping[int, Range], known: Mapping[int, Range]
) -> None:
    """Rejects unless a node is twice continuously differentiable in `own` at every point of a box."""
    enclosure = Enclosure(table, [root], known)
    require_smooth_by(table, root, own, dict(zip(enclosure.nodes, enclosure.all(box), strict=True)))


def require_smooth_by(table: Table, root: int, own: Sequence[int], ranges: Mapping[int, Range]) -> None:
    """The same where the ranges of all nodes are given."""
    moving = table.dependent([root], own)
    for node in moving:
        operation, value = table.operation[node], table.value[node]
        arguments = [ranges[child] for child in table.arguments[node]]
        moves = [child in moving for child in table.arguments[node]]
        if not is_smooth(operation, value, arguments, moves):
            raise Rejected(f"{operation} may not be twice differentiable on all of the interior")


def is_smooth(operation: str, value: object, arguments: list[Range], moves: list[bool]) -> bool:
    """Whether an operation is twice continuously differentiable for arguments in some ranges, where they move."""
    if operation in _SMOOTH:
        return True
    if not all(a.defined for a in arguments):
        return False
    first = arguments[0]
    if operation == "^":
        assert isinstance(value, fmpq)
        return first.positive if value.q != 1 else value >= 0 or first.nonzero
    if operation in ("log", "xlogx", "pow"):
        return first.positive
    if operation == "abs":
        return first.nonzero
    if operation in ("sign", "step"):  # at 0 it jumps, be it on the boundary
        return less(ZERO, first.lo) or less(first.hi, ZERO)
    if operation in ("asin", "acos"):
        return less(fmpq(-1), first.lo) and less(first.hi, fmpq(1))
    if operation == "tan":
        return FUNCTIONS["tan"](first).defined
    if operation in ("max", "min"):
        ahead = list(enumerate(arguments if operation == "max" else [-a for a in arguments]))
        return any(all(i == j or less(b.hi, a.lo) for j, b in ahead) for i, a in ahead)
    if operation == "huber":
        threshold = arguments[1]
        inside = less(-threshold.lo, first.lo) and less(first.hi, threshold.lo)
        beyond = less(threshold.hi, first.lo) or less(first.hi, -threshold.hi)
        return not moves[1] and threshold.nonnegative and (inside or beyond)
    if operation == "relative_entropy":
        return arguments[1].positive and (first.positive or (first.nonnegative and not moves[0]))
    return False


# ---- the region of a claim ------------------------------------------------------------------


def context_of(problem: Problem, own: Sequence[int], roots: Sequence[int], level: str = "") -> Context:
    """Where a claim about some nodes is made: the boxes, and the conditions that may come from these nodes.

    A condition on what only occurs in other functions is left out, which makes the region larger. The leader's
    functions are judged where they have a value, which no condition of the statement says.
    """
    here = set(problem.table.reachable(roots)) if problem.conditions else set()
    conditions = tuple(c for c in problem.conditions if c.node in here or c.node not in problem.nodes)
    if level == "upper":
        conditions += tuple(c for c in natural_domain(problem, roots) if c not in conditions)
    return Context(problem, tuple(own), boxes(problem, conditions), conditions, level)


def natural_domain(problem: Problem, roots: Sequence[int]) -> list[Condition]:
    """What must hold for nodes to have a value, but for what their boxes show."""
    free, table = boxes(problem, ()), problem.table
    open_ = [said for said in natural(table, roots) if not _holds_on(problem, Condition(*said), free)]
    return [Condition(*said) for said in plain(table, open_)]


def is_everything(problem: Problem, own: Sequence[int]) -> bool:
    """Whether no bound and no condition restricts the own variables."""
    for index in own:
        variable = problem.variables[index]
        if variable.integer or variable.lower != -INF or variable.upper != INF:
            return False
    wanted, free = set(own), boxes(problem, ())
    restricting = [c for c in problem.conditions if problem.table.variables([c.node]) & wanted]
    return all(_holds_on(problem, c, free) for c in restricting)


def without_own_conditions(context: Context, own: Sequence[int], box: Mapping[int, Range], where: str) -> Context:
    """The context without the conditions on own variables, once they are seen to hold everywhere on a box."""
    free: list[Condition] = []
    for condition in context.conditions:
        if not context.table.variables([condition.node]) & set(own):
            free.append(condition)
            continue
        [r] = enclose(context.table, [condition.node], box)
        if not r.defined or not _within(r, condition.relation):
            raise Rejected(f"a condition may not hold {where}")
    return context.only(free)


def _holds_on(problem: Problem, condition: Condition, box: Mapping[int, Range]) -> bool:
    [r] = enclose(problem.table, [condition.node], box)
    return r.defined and _within(r, condition.relation)


def _within(r: Range, relation: str) -> bool:
    limit = CONDITIONS[relation]
    return not less(r.lo, limit.lo) and not less(limit.hi, r.hi) and (not limit.apart or r.nonzero)


# ---- points ---------------------------------------------------------------------------------


def require_feasible(context: Context, point: Mapping[int, fmpq]) -> None:
    """Rejects unless a point lies in all bounds, satisfies the conditions with room, and the level's constraints."""
    require_inside(context, point)
    for constraint in context.problem.constraints:
        if constraint.level == context.level and not _holds_at(context, constraint.node, constraint.relation, point):
            raise Rejected(f"the point does not satisfy the constraint {constraint.label[:60]}")


def require_inside(context: Context, point: Mapping[int, fmpq]) -> None:
    """Rejects unless a point lies in all bounds and satisfies the conditions with room.

    Every condition of the statement counts, and what has no value has to occur in none of them.
    """
    problem = context.problem
    for index, value in point.items():
        if not context.box.get(index, Range(-INF, INF)).contains(value):
            raise Rejected("the point is not within the bounds")
    for condition in problem.conditions:
        if not _holds_at(context, condition.node, _STRICT[condition.relation], point):
            raise Rejected("the point does not satisfy a condition with room around it")


_STRICT = {"> 0": "> 0", ">= 0": "> 0", "!= 0": "!= 0", "in [-1, 1]": "in (-1, 1)"}


def _holds_at(context: Context, node: int, relation: str, point: Mapping[int, fmpq]) -> bool:
    value: Any = exact(context.table, node, point)
    if value is None:
        for precision in PRECISIONS:
            [value] = ball(context.table, [node], point, precision)
            if is_sharp(value):
                break
        if not value.is_finite() or relation == "== 0":
            return False
    if relation == "in (-1, 1)":
        return bool(value > -1) and bool(value < 1)
    if relation == "!= 0":
        return bool(value > 0) or bool(value < 0)
    return bool(value > 0) if relation == "> 0" else bool(value <= 0) if relation == "<= 0" else bool(value == 0)
