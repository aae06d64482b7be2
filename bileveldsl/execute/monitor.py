"""What watches a run: the time limit, Ctrl-C, the best point so far, the event log and the progress line."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

import numpy as np

PATIENCE = 2.0  # seconds before the first word of progress: most runs are over by then
INTERVAL = 0.2  # seconds between two words of progress

Reason = Literal["time", "interrupt", "not finite"]


@dataclass(frozen=True)
class ProgressEvent:
    """How far a run has come."""

    elapsed: float  # seconds
    iteration: int
    objective: float | None
    measures: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Reported:
    """A point that a run has reached."""

    x: np.ndarray
    y: np.ndarray
    iteration: int
    objective: float
    measures: Mapping[str, float]
    merit: float


class Stop(Exception):
    """Ends a run from within: raised by a Monitor, turned into a point by the driver."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass
class Monitor:
    """Watches one run; solvers call `report` once an iteration, or `check` inside long ones.

    Parameters
    ----------
    tolerance : float
        What the solver's stopping measure should reach.
    time_limit : float, optional
        Seconds from now on.
    stated : float, optional
        The limit as the user stated it, where `time_limit` is what is left of it; for the message.
    seed : int
        For every random choice of the solver.
    log : text stream, optional
        Gets one JSON object a line, at once; numbers that are not finite are strings.
    progress : callable, optional
        Called with a ProgressEvent, at most five times a second and not in the first two seconds.
    clock : callable
        Seconds, never going back.
    """

    tolerance: float = 1e-6
    time_limit: float | None = None
    seed: int = 0
    log: TextIO | None = None
    progress: Callable[[ProgressEvent], None] | None = None
    clock: Callable[[], float] = time.monotonic
    stated: float | None = None
    best: Reported | None = None
    iteration: int = 0
    stopped: Reason | None = None
    """Why the run was cut short, if it was."""
    notes: list[str] = field(default_factory=list)
    """What the user should hear of beside the result."""

    def __post_init__(self) -> None:
        self._start = self.clock()
        self._next_word = self._start + PATIENCE

    @property
    def elapsed(self) -> float:
        return self.clock() - self._start

    @property
    def remaining(self) -> float:
        """Seconds until the time limit."""
        return math.inf if self.time_limit is None else self.time_limit - self.elapsed

    def report(
        self,
        objective: float,
        measures: Mapping[str, float],
        point: tuple[np.ndarray, np.ndarray],
        iteration: int | None = None,
        merit: float | None = None,
    ) -> None:
        """Take note of the point (x, y) after an iteration.

        Parameters
        ----------
        objective : float
            F at the point.
        measures : mapping
            How close the point is to an answer, by name: a hyper-gradient norm, a residual.
        point : pair of ndarray
            Flat x and y; copied.
        iteration : int, optional
            Its number; one more than the last by default.
        merit : float, optional
            The best point is the one of least merit. Without it the latest is the best, since F alone says
            little while the follower is not yet optimal.

        Raises
        ------
        Stop
            At the time limit, and for a point that is not finite or has a NaN measure, which is not kept.
        """
        self.iteration = self.iteration + 1 if iteration is None else iteration
        x, y = (np.array(part, dtype=float) for part in point)
        numbers = {name: float(value) for name, value in measures.items()}
        now = Reported(x, y, self.iteration, float(objective), numbers, -math.inf if merit is None else float(merit))
        self.event("iteration", iteration=now.iteration, objective=now.objective, **numbers)
        finite = math.isfinite(now.objective) and np.isfinite(x).all() and np.isfinite(y).all()
        if not finite or any(map(math.isnan, numbers.values())):
            raise Stop("not finite", f"iteration {now.iteration} gave values that are not finite")
        if self.best is None or now.merit <= self.best.merit:
            self.best = now
        if self.progress and self.clock() >= self._next_word:
            self._next_word = self.clock() + INTERVAL
            self.progress(ProgressEvent(self.elapsed, now.iteration, now.objective, numbers))
        self.check()

    def bounds(self, objective: float, bound: float, iteration: int) -> None:
        """Tell of a search that holds the best value between two numbers; values of 1e20 and more are infinite."""
        now = self.clock()
        if now < self._next_word:
            return
        self._next_word = now + INTERVAL
        known = {name: value for name, value in (("best", objective), ("bound", bound)) if abs(value) < 1e20}
        self.event("bounds", iteration=iteration, **known)
        if self.progress:
            measures = {"bound": known.get("bound", -math.inf)}
            self.progress(ProgressEvent(self.elapsed, iteration, known.get("best"), measures))

    def check(self) -> None:
        """Raise Stop when the time limit is reached."""
        if self.remaining <= 0:
            limit = self.time_limit if self.stated is None else self.stated
            raise Stop("time", f"stopped at the time limit of {limit:.3g} s")

    def event(self, name: str, **fields: Any) -> None:
        """Write a line to the log."""
        if self.log is None:
            return
        line = {"event": name, "seconds": self.elapsed, **fields}
        try:
            self.log.write(json.dumps({key: _plain(value) for key, value in line.items()}, allow_nan=False) + "\n")
            self.log.flush()
        except OSError as error:  # a full disk must not cost a long run its result
            self.log = None
            self.notes.append(f"the event log is incomplete: {error.strerror}")


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
