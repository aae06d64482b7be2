"""A solution in words and figures, for a terminal and for a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bileveldsl.language.data.request import printable
from bileveldsl.solution import Solution, Value

if TYPE_CHECKING:
    import numpy as np

SHOWN = 8  # entries of an array beyond which it is abbreviated
ROWS = 40  # variables shown


def text(solution: Solution) -> str:
    """The solution as lines of text, the status first."""
    lines = [printable(line) for line in _head(solution)]
    for _, group in groupby(_rows(solution), key=lambda row: row[0]):
        entries = [(printable(name), value) for _, name, value in group]
        width = max(len(name) for name, _ in entries)
        lines.append("")
        for name, value in entries:
            first, *more = value.split("\n")
            lines.append(f"  {name:<{width}}  {printable(first)}")
            lines.extend(f"  {'':<{width}}  {printable(line)}" for line in more)
    return "\n".join(lines) + "\n"


def html(solution: Solution) -> str:
    """The solution as a table for a notebook."""
    status, *message = _head(solution)
    parts = [f"<p><strong>{escape(status)}</strong></p>", *(f"<p>{escape(line)}</p>" for line in message), "<table>"]
    for _, name, value in _rows(solution):
        parts.append(f"<tr><th>{escape(name)}</th><td><pre>{escape(value)}</pre></td></tr>")
    return "\n".join([*parts, "</table>"])


def _head(solution: Solution) -> list[str]:
    sentence = solution.status.sentence
    return [sentence] if solution.message in ("", sentence) else [sentence, solution.message]


def _rows(solution: Solution) -> Iterator[tuple[str, str, str]]:
    """Section, name and value of every row."""
    yield from (("objective", name, value) for name, value in _objectives(solution))
    yield from (("verified", name, value) for name, value in _verified(solution))
    for table, prefix in ((solution.values, ""), (solution.duals, "dual of ")):
        for name in list(table)[:ROWS]:
            yield "values", f"{prefix}{name}{_shape(table[name])}", _abbreviate(table[name])
        if len(table) > ROWS:
            yield "values", "…", f"{len(table) - ROWS} more"
    yield from (("facts", name, value) for name, value in _facts(solution))
    yield from (("way", name, value) for name, value in _way(solution))


def _objectives(solution: Solution) -> Iterator[tuple[str, str]]:
    for objective in (solution.upper, *solution.lower):
        value = "no value" if objective.objective is None else _number(objective.objective)
        yield f"{objective.name} objective", f"{value}  ({objective.sense})"


def _verified(solution: Solution) -> Iterator[tuple[str, str]]:
    found = solution.verification
    if found.lower_gap is not None:
        how = f"by {found.lower_gap_method}, tolerance {_number(found.tolerance)}"
        yield "lower gap", f"{_number(found.lower_gap)}  ({how})"
    elif solution.values:
        yield "lower gap", "could not be bounded"
    if found.upper_violation is not None:
        yield "upper violation", _number(found.upper_violation)
    if found.lower_violation is not None:
        yield "lower violation", _number(found.lower_violation)
    if found.hypergradient_norm is not None:
        yield "hyper-gradient norm", _number(found.hypergradient_norm)
    if found.global_bound is not None:
        gap = "" if found.global_gap is None else f"  (gap {_number(found.global_gap)})"
        yield "global bound", f"{_number(found.global_bound)}{gap}"


def _facts(solution: Solution) -> Iterator[tuple[str, str]]:
    for fact in solution.certificates:
        constant = f"({_number(fact['constant'])})" if isinstance(fact.get("constant"), (int, float)) else ""
        rule = f" by {fact['rule']}" if fact.get("rule") and fact["verdict"] != "assumed" else ""
        yield str(fact["of"]), f"{fact['fact']}{constant} {fact['verdict']}{rule}"


def _way(solution: Solution) -> Iterator[tuple[str, str]]:
    if solution.backend is not None:
        reason = f": {solution.backend_reason}" if solution.backend_reason else ""
        yield "backend", f"{solution.backend}{reason}"
    if solution.path:
        yield "path", " → ".join(solution.path)
    counts = [f"{count if name != 'epochs' else f'{count:.3g}'} {name}"
              for name, count in vars(solution.work).items() if count]  # fmt: skip
    if counts:
        yield "work", ", ".join(counts)
    if solution.seconds:
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in solution.seconds.items())
        yield "seconds", f"{sum(solution.seconds.values()):.2f}  ({stages})"


def _shape(value: Value) -> str:
    return "" if isinstance(value, float) or not value.ndim else str(list(value.shape))


def _abbreviate(value: Value) -> str:
    """A number, or an array with its middle left out where it is long."""
    import numpy as np

    if isinstance(value, float) or not value.ndim:
        return _number(float(value))
    edge = 3 if value.ndim == 1 else 2 if value.ndim == 2 else 1
    with np.printoptions(threshold=SHOWN, edgeitems=edge, formatter={"float_kind": _number}):
        return np.array2string(value, separator=", ")


def _number(value: float | np.floating[Any]) -> str:
    return f"{value:.6g}"
