"""Time limits that are kept where the time is spent: loops `check` the clock, and the block whose time is up ends.

The factorization of one matrix cannot be cut short: where it takes long, the clock is asked for the time beforehand.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar


class OutOfTime(Exception):
    """The time of a block that is being worked in is up."""


class until:
    """A block of work that ends, without an exception, once its time or that of a block around it is up.

    Parameters
    ----------
    deadline
        In the time of `time.monotonic`.

    Examples
    --------
    >>> with until(time.monotonic() - 1) as work:
    ...     check()
    ...     print("not reached")
    >>> work.cut
    True
    """

    def __init__(self, deadline: float):
        self.deadline = deadline
        self.cut = False
        """Whether work in it was left undone for want of time."""

    def __enter__(self) -> until:
        self._outer = _innermost.get()
        if self._outer is not None:
            self.deadline = min(self.deadline, self._outer.deadline)
        self._token: Token[until | None] = _innermost.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        _innermost.reset(self._token)
        ended = isinstance(error, OutOfTime)
        self.cut |= ended
        if self._outer is not None:
            self._outer.cut |= self.cut
        return ended


_innermost: ContextVar[until | None] = ContextVar("innermost", default=None)


def check(seconds: float = 0.0) -> None:
    """Ends the innermost block if its time is up, or would be by the end of a step that takes about so many seconds."""
    block = _innermost.get()
    if block is not None and time.monotonic() + seconds > block.deadline:
        raise OutOfTime


def left() -> float:
    """The seconds that are left to the innermost block, infinite outside of all."""
    block = _innermost.get()
    return math.inf if block is None else max(block.deadline - time.monotonic(), 0.0)


def share(part: float) -> float:
    """The deadline of a block that may take a part of the time that is left."""
    return time.monotonic() + part * left()


Prover = TypeVar("Prover", bound=Callable[..., Any])


def timed(otherwise: Any = None) -> Callable[[Prover], Prover]:
    """A prover that ends at its question's deadline, and then has found what is given here."""

    def bounded(prover: Prover) -> Prover:
        @wraps(prover)
        def run(question: Any, *args: Any, **options: Any) -> Any:
            with until(question.deadline):
                return prover(question, *args, **options)
            return otherwise

        return run  # type: ignore[return-value]

    return bounded
