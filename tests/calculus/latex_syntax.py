"""Checks that a text is well-formed LaTeX mathematics: what TeX itself would refuse."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\\begin\{\w+\*?\}|\\end\{\w+\*?\}|\\[A-Za-z]+|\\.|[{}^_&]|\s+|.", re.DOTALL)
ARGUMENTS = {r"\frac": 2, r"\sqrt": 1, r"\mathrm": 1, r"\mathbf": 1, r"\mathbb": 1, r"\text": 1, r"\operatorname": 1}
DELIMITERS = {"(", ")", "[", "]", "|", ".", r"\lVert", r"\rVert", r"\langle", r"\rangle"}


def check_latex(text: str) -> None:
    """Raise AssertionError unless groups, delimiters, environments and scripts are in order."""
    tokens = [token for token in TOKEN.findall(text) if not token.isspace()]
    position = _list(tokens, 0, "")
    assert position == len(tokens), f"unexpected {tokens[position]}"


def _list(tokens: list[str], position: int, end: str) -> int:
    """Read atoms with their scripts up to a closing token."""
    scripts = {"^", "_"}  # nothing to put a script on yet
    while position < len(tokens):
        token = tokens[position]
        if token == end or token in ("}", r"\right") or token.startswith(r"\end"):
            break
        if token in ("^", "_"):
            assert token not in scripts, f"a second or stray {token} at {tokens[max(position - 8, 0):position + 3]}"
            scripts.add(token)
            position = _argument(tokens, position + 1)
            continue
        scripts = {"^", "_"} if token in ("&", r"\\") else set()
        position = _atom(tokens, position)
    return position


def _atom(tokens: list[str], position: int) -> int:
    token = tokens[position]
    if token == "{":
        return _closed(tokens, _list(tokens, position + 1, "}"), "}")
    if token == r"\left":
        assert tokens[position + 1] in DELIMITERS
        position = _list(tokens, position + 2, r"\right")
        assert tokens[position + 1] in DELIMITERS
        return _closed(tokens, position, r"\right") + 1
    if token.startswith(r"\begin"):
        return _closed(tokens, _list(tokens, position + 1, ""), token.replace("begin", "end"))
    position += 1
    for _ in range(ARGUMENTS.get(token, 0)):
        position = _argument(tokens, position)
    return position


def _argument(tokens: list[str], position: int) -> int:
    assert tokens[position] == "{", f"a braced argument, not {tokens[position]}"
    return _atom(tokens, position)


def _closed(tokens: list[str], position: int, end: str) -> int:
    assert position < len(tokens) and tokens[position] == end, f"{end} is missing"
    return position + 1
