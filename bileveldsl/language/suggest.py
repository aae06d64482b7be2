"""The nearest known word to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 60
"""Nobody misspells a longer word, and comparing two takes the product of their lengths."""


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate within a third of the word's length in edits, the first of the nearest; upper and lower case agree.

    Parameters
    ----------
    word : str
        What was written.
    candidates : iterable of str
        What could have been meant.

    Returns
    -------
    str or None
        None when nothing is near enough.

    Examples
    --------
    >>> closest("minimise", ["maximize", "minimize"])
    'minimize'
    >>> closest("x", ["toll", "cost"]) is None
    True
    """
    if len(word) > LONGEST:
        return None
    best, nearest = None, max(1, len(word) // 3) + 1
    for candidate in candidates:
        if candidate == word or abs(len(candidate) - len(word)) >= nearest:
            continue
        distance = edits(word.casefold(), candidate.casefold())
        if distance < nearest and distance < max(len(word), len(candidate)):
            best, nearest = candidate, distance
    return best


def edits(a: str, b: str) -> int:
    """How many insertions, deletions, substitutions and swaps of neighbours lead from one word to the other.

    The optimal string alignment distance: no part is edited twice (Boytsov, Indexing methods for approximate
    dictionary searching, 2011, section 2.2).

    Examples
    --------
    >>> edits("minimise", "minimize"), edits("vra", "var"), edits("", "abc")
    (1, 1, 3)
    """
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        current = [i]
        for j, y in enumerate(b, start=1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, previous = previous, current
    return previous[-1]
