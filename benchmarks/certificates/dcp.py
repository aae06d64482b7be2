"""The same functions judged by CVXPY's disciplined convex programming, the leader's variables as parameters."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from bileveldsl.certify.scalars import Scalar, topological
from bileveldsl.certify.statement import Statement


def verdict(found: Statement, root: Scalar, own: tuple[int, ...]) -> str:
    """"convex", "convex, not DPP", "unknown", or "other function" where CVXPY restricts the domain of the function."""
    import cvxpy as cp

    try:
        expression, narrowed = _expression(found, root, own)
    except (NotImplementedError, ValueError, ArithmeticError, cp.error.DCPError) as error:
        return f"unknown ({type(error).__name__})"
    if not expression.is_convex():
        return "unknown"
    if narrowed:
        return "other function"
    return "convex" if expression.is_dcp(dpp=True) else "convex, not DPP"


def _expression(found: Statement, root: Scalar, own: tuple[int, ...]) -> tuple[Any, bool]:
    import cvxpy as cp

    lo, hi = found.box
    symbols: dict[int, Any] = {}
    for k, v in enumerate(found.variables):
        nonneg, nonpos = bool(lo[k] >= 0), bool(hi[k] <= 0)
        made = cp.Variable if k in own else cp.Parameter
        symbols[k] = made(name=v.name, nonneg=nonneg, nonpos=nonpos and not nonneg)
    done: dict[Scalar, Any] = {}
    narrowed = False
    for node in topological([root]):
        args = [done[a] for a in node.args]
        if node.op == "num":
            done[node] = cp.Constant(float(node.value))
        elif node.op == "var":
            done[node] = symbols[node.value]
        elif node.op == "^":
            exponent = Fraction(node.value)
            done[node] = cp.power(args[0], float(exponent) if exponent.denominator > 1 else int(exponent))
            whole = exponent.denominator == 1 and exponent > 0
            # CVXPY takes odd powers, and even ones above 2 of rational form, on the nonnegative half line only.
            narrowed |= whole and int(exponent) % 2 == 1 and exponent > 1 and not args[0].is_nonneg()
        else:
            done[node] = _atom(cp, node.op, args)
    return done[root], narrowed


def _atom(cp: Any, op: str, args: list[Any]) -> Any:
    if op == "+":
        return sum(args[1:], args[0])
    if op == "*":
        fixed = [a for a in args if not a.variables()]
        moving = [a for a in args if a.variables()]
        return math.prod([*fixed[1:], *moving], start=fixed[0]) if fixed else math.prod(args[1:], start=args[0])
    one = {"exp": cp.exp, "log": cp.log, "abs": cp.abs, "softplus": cp.logistic, "xlogx": lambda u: -cp.entr(u)}
    if op in one:
        return one[op](args[0])
    if op in ("max", "min"):
        return (cp.maximum if op == "max" else cp.minimum)(*args)
    if op == "pi":
        return cp.Constant(math.pi)
    if op == "huber" and args[1].is_constant():
        return cp.huber(args[0], float(args[1].value)) / 2
    raise NotImplementedError(op)
