"""Problems in the neutral form (a list of JSON objects, see `--help`) as models of the language."""

from __future__ import annotations

import re
from typing import Any


def expression(text: str) -> str:
    """An infix string with `**` as an expression of the language."""
    return re.sub(r"\bE\b", "exp(1)", text.replace("**", "^"))


def bound(limits: list[float | None] | None) -> str:
    low, high = limits or (None, None)
    if low is not None and high is not None:
        return f" in [{low!r}, {high!r}]"
    return f" >= {low!r}" if low is not None else f" <= {high!r}" if high is not None else ""


def to_blv(problem: dict[str, Any]) -> str:
    """The text of a model; constraints keep their order, upper inequalities G1.., equalities H1.., lower g1.., h1.."""
    start = dict(zip(problem.get("upper_vars", []) + problem["lower_vars"], problem.get("start") or [], strict=False))
    lines = ["model " + re.sub(r"\W", "_", problem["name"])]
    for level, variables, objective, groups in (
        ("upper", problem.get("upper_vars", []), "F", ("G", "H")),
        ("lower", problem["lower_vars"], "f", ("g", "h")),
    ):
        lines.append(f"{level} {{")
        for name in variables:
            kind = " : integer" if name in problem.get("integer_vars", []) else ""
            first = f" start {start[name]!r}" if name in start else ""
            lines.append(f"  var {name}{kind}{bound(problem['bounds'].get(name))}{first}")
        lines.append(f"  minimize {expression(problem[objective])}")
        for group, relation in zip(groups, ("<=", "=="), strict=True):
            for number, text in enumerate(problem.get(group, []), start=1):
                lines.append(f"  {group}{number}: {expression(text)} {relation} 0")
        lines.append("}")
    return "\n".join(lines) + "\n"
