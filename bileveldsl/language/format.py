"""The canonical text of a model, made from its tokens and comments so that none of them can be lost."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from bileveldsl.language.alignment import align
from bileveldsl.language.diagnostics import BlvError, Source
from bileveldsl.language.layout import lay_out, pieces
from bileveldsl.language.parse import parse


def format_source(source: Source) -> str:
    """The text of a model in its canonical form.

    Every statement has its line, every block its braces at the ends of lines, with two blanks of indentation inside.
    Lines that go on in an expression are broken where the user breaks them, and stand below what they go on. Binary
    operators but `^` have a blank on either side; `from`, `within`, the constraints behind labels, and comments behind
    statements stand below each other in neighbouring lines. At most one blank line stays, and one is put around each
    block.

    Parameters
    ----------
    source : Source
        The text and where it is from.

    Returns
    -------
    str
        With the tokens and comments of `source` in their order and an equal tree; formatting it changes nothing.

    Raises
    ------
    BlvError
        With every syntax error of the text (E1xx).

    Examples
    --------
    >>> text = "upper{var x;  minimize x^2+y #the leader\\n}\\n\\n\\nlower {var y\\n minimize(y-x)^2}"
    >>> print(format_source(Source("toy.blv", text)), end="")
    upper {
      var x
      minimize x^2 + y  #the leader
    }
    <BLANKLINE>
    lower {
      var y
      minimize (y - x)^2
    }
    """
    tree = parse(source)
    text = _canonical(source.text)
    if text != source.text:
        _check(source, tree, Source(source.path, text))
    return text


def _canonical(text: str) -> str:
    lines = lay_out(text)
    align(lines)
    return "".join(f"\n{line.text}\n" if line.blank_above else f"{line.text}\n" for line in lines)


def _check(source: Source, tree: Any, formatted: Source) -> None:
    """Refuse a text that is no rearrangement of blanks and lines; the fault is ours."""
    try:
        same = [p.text for p in pieces(source.text)] == [p.text for p in pieces(formatted.text)]
        same = same and _equal(tree, parse(formatted)) and _canonical(formatted.text) == formatted.text
    except BlvError:
        same = False
    if not same:
        raise RuntimeError(f"the formatted text of {source.path} is not the same model, so it stays as it is")


def _equal(one: Any, other: Any) -> bool:
    """Whether two trees are equal, without recursion: a sum of thousands of terms is a tree as deep."""
    pairs = [(one, other)]
    while pairs:
        a, b = pairs.pop()
        if type(a) is not type(b):
            return False
        if is_dataclass(a):
            pairs += [(getattr(a, field.name), getattr(b, field.name)) for field in fields(a) if field.compare]
        elif isinstance(a, tuple):
            if len(a) != len(b):
                return False
            pairs += zip(a, b, strict=True)
        elif a != b:
            return False
    return True
