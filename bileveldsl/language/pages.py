"""The page of each diagnostic code: why it is raised, an example, and its fix."""

from __future__ import annotations

import re
from importlib.resources import files

_FOLDER = files("bileveldsl.language") / "explain"


def page(code: str) -> str | None:
    """The page of a code as Markdown.

    Parameters
    ----------
    code : str
        Such as `E303`, in upper or lower case.

    Returns
    -------
    str or None
        None when there is no such code.

    Examples
    --------
    >>> page("e120").splitlines()[0]
    '# E120: `**` is not an operator'
    """
    name = code.upper()
    return (_FOLDER / f"{name}.md").read_text(encoding="utf-8") if name in codes() else None


def codes() -> list[str]:
    """Every code that has a page, in order."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return sorted(name.removesuffix(".md") for name in names if re.fullmatch(r"[EW][0-9]{3}\.md", name))
