"""Sheets laid out as text and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bileveldsl.show.equations import Row
from bileveldsl.show.sheet import Problem, Sheet
from bileveldsl.show.style import AsciiStyle


def text_page(sheet: Sheet, style: AsciiStyle) -> str:
    """Lines of text: the leader's problem with the followers' inside, then the other sections."""
    lines = [sheet.name, "", *_problem_lines(sheet.leader, sheet.followers, "", style)]
    for section in sheet.sections:
        if section.rows or section.note:
            lines += ["", section.title, *(f"  {line}" for line in _aligned(section.rows))]
            lines += [f"  {section.note}"] if section.note else []
    return "\n".join(lines) + "\n"


def _problem_lines(problem: Problem, followers: Sequence[Problem], indent: str, style: AsciiStyle) -> Iterator[str]:
    objective = problem.objective
    yield f"{indent}{problem.sense}  {objective.left} = {objective.right}"
    if problem.domains:
        yield f"{indent}over      {', '.join(problem.domains)}"
    for note in problem.notes:
        yield f"{indent}({note})"
    if problem.constraints or followers:
        yield f"{indent}subject to"
    for line in _aligned(problem.constraints):
        yield f"{indent}  {line}"
    for follower in followers:
        yield f"{indent}  {', '.join(follower.names)} solve{'s' if len(follower.names) == 1 else ''}"
        yield from _problem_lines(follower, (), indent + "    ", style)


def _aligned(rows: Iterable[Row]) -> Iterator[str]:
    """Rows with their labels and their relations under each other."""
    rows = list(rows)
    labels = max((len(row.label) for row in rows if row.label), default=-2) + 2
    lefts = max((len(row.left) for row in rows if len(row.left) <= 30), default=0)
    for row in rows:
        label = f"{row.label}:" if row.label else ""
        remark = f"   ({row.remark})" if row.remark else ""
        yield f"{label:<{labels}}{row.left:<{lefts}} {row.relation} {row.right}{remark}"


def latex_page(sheet: Sheet, style: AsciiStyle) -> str:
    r"""One displayed `aligned` block for the program and one for each section."""
    blocks = [_block(_problem_rows(sheet.leader, sheet.followers, style))]
    for section in sheet.sections:
        rows = [_row(row, style, " &") for row in section.rows]
        rows += [f"& {style.words(section.note)}"] if section.note else []
        if rows:
            blocks.append(rf"\paragraph{{{section.title}}}" + "\n" + _block(rows))
    return "\n".join(blocks)


def _block(rows: Iterable[str]) -> str:
    body = " \\\\\n".join(rows)
    return f"\\[\n\\begin{{aligned}}\n{body}\n\\end{{aligned}}\n\\]\n"


def _row(row: Row, style: AsciiStyle, before_relation: str = " ") -> str:
    label = f" && {style.words(f'({row.label})')}" if row.label else ""
    remark = rf" \quad ({row.remark})" if row.remark else ""
    return f"{row.left}{before_relation}{row.relation} {row.right}{remark}{label}"


def _problem_rows(problem: Problem, followers: Sequence[Problem], style: AsciiStyle) -> Iterator[str]:
    yield rf"{_operator(problem)} \quad & {_row(problem.objective, style)}"
    constraints = [_row(row, style) for row in problem.constraints]
    for follower in followers:
        names = ", ".join(follower.names)
        names = rf"\left({names}\right)" if len(follower.names) > 1 else names
        constraints.append(rf"{names} \in \arg{_operator(follower)} \; {_row(follower.objective, style)}")
        for k, row in enumerate(follower.constraints):
            word = style.words("s.t.") if k == 0 else r"\phantom{\text{s.t.}}"
            constraints.append(rf"\qquad {word} \quad {_row(row, style)}")
        constraints += [rf"\qquad {style.words(f'({note})')}" for note in follower.notes]
    for k, constraint in enumerate(constraints):
        yield f"& {constraint}" if k else rf"\text{{s.t.}} \quad & {constraint}"
    for note in problem.notes:
        yield f"& {style.words(f'({note})')}"


def _operator(problem: Problem) -> str:
    name = r"\min" if problem.sense == "minimize" else r"\max"
    if not problem.domains:
        return name
    below = r" \\ ".join(problem.domains)
    return f"{name}_{{{below}}}" if len(problem.domains) == 1 else rf"{name}_{{\substack{{{below}}}}}"
