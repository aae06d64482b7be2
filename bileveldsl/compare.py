"""Several backends on one model: the same verification for each, and why one does not take part."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bileveldsl import registry
from bileveldsl.language.diagnostics import BlvError

if TYPE_CHECKING:
    from bileveldsl.model import Model
    from bileveldsl.solution import Solution


@dataclass(frozen=True)
class Moment:
    """What a backend reported after some seconds: its objective and its own measures."""

    seconds: float
    objective: float
    measures: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Row:
    """One backend's run: its solution, or the reason why there is none; `history` is what it reported on the way."""

    backend: str
    solution: Solution | None
    reason: str = ""
    seconds: float = 0.0
    history: tuple[Moment, ...] = field(default=(), repr=False)

    @property
    def calls(self) -> int | None:
        """Oracle calls of every kind."""
        if self.solution is None:
            return None
        return sum(number for name, number in vars(self.solution.work).items() if name not in ("iterations", "epochs"))

    def to_json(self) -> dict[str, Any]:
        """The row as an object for `json.dump(..., allow_nan=False)`."""
        from bileveldsl.solution import encode

        row: dict[str, Any] = {"backend": self.backend, "reason": self.reason or None, "seconds": self.seconds}
        if self.solution is None:
            return row | {"status": None}
        found = self.solution
        return row | {
            "status": found.status.value, "message": found.message, "objective": encode(found.upper.objective),
            "lower_gap": encode(found.verification.lower_gap),
            "hypergradient_norm": encode(found.verification.hypergradient_norm),
            "calls": self.calls, "work": dict(vars(found.work)),
        }  # fmt: skip


def compare(model: Model, backends: Sequence[str] = (), **settings: Any) -> tuple[Row, ...]:
    """Solve a model with several backends, each from the same start and verified by the same means.

    Parameters
    ----------
    model
        From `load`, `loads`, or built in Python.
    backends
        Their names; every one that admits the model by default.
    settings
        As for `solve`: seed, time_limit, tol, set, data, engine and so on hold for each of them.

    Returns
    -------
    tuple of Row
        In the order given, or that of the registry. A backend that was asked for and refuses the model has its
        reason, and no solution.

    Raises
    ------
    BlvError
        When the model, its data or a setting is at fault, or a name is no backend's.

    Examples
    --------
    >>> import bileveldsl as blv
    >>> text = "model m; upper { var x; minimize (x - 3)^2 + y^2 }; lower { var y; minimize (y - x)^2 }"
    >>> [row.solution.status.value for row in compare(blv.loads(text), ["implicit", "f2ba"])]
    ['locally_optimal', 'locally_optimal']
    """
    names = list(backends) or [entry.name for entry in registry.entries()]
    known = {entry.name for entry in registry.entries()}
    rows = []
    for name in names:
        if name not in known:
            registry.get(name)  # says that there is none, and what it may be called
        row = _run(model, name, settings)
        if backends or row.solution is not None:
            rows.append(row)
    return tuple(rows)


REFUSALS = ("E602", "E603", "E606", "E608")
"""A backend that is missing, broken, does not accept the model, or does not run on the engine."""


def _run(model: Model, name: str, settings: Mapping[str, Any]) -> Row:
    from bileveldsl.solve import solve

    begin = time.perf_counter()
    with TemporaryDirectory() as folder:
        log = Path(folder) / "events.jsonl"
        try:
            solution = solve(model, name, log=log, **settings)
        except BlvError as error:
            first = error.diagnostics[0]
            if first.code not in REFUSALS:
                raise
            return Row(name, None, first.label or first.message)
        return Row(name, solution, "", time.perf_counter() - begin, _history(log))


def _history(log: Path) -> tuple[Moment, ...]:
    """The iterations of an event log; what was not finite is left out."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event.pop("event") != "iteration":
            continue
        event.pop("iteration")
        numbers = {key: float(value) for key, value in event.items() if not isinstance(value, str)}
        if "objective" in numbers:
            found.append(Moment(numbers.pop("seconds"), numbers.pop("objective"), numbers))
    return tuple(found)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Save curves of the objectives and of the first measure of each backend against time.

    Raises
    ------
    BlvError
        E602 when matplotlib is not installed.
    """
    from bileveldsl.language.diagnostics import Diagnostic

    try:
        from matplotlib.figure import Figure
    except ImportError:
        mend = "pip install matplotlib"
        raise BlvError([Diagnostic("E602", "a plot needs matplotlib, which is not installed", help=mend)]) from None
    figure = Figure(figsize=(9, 4), layout="constrained")
    above, below = figure.subplots(1, 2)
    for row in rows:
        if not row.history:
            continue
        seconds = [moment.seconds for moment in row.history]
        above.plot(seconds, [moment.objective for moment in row.history], label=row.backend)
        measure = next(iter(row.history[-1].measures), None)
        if measure is not None:
            sizes = [moment.measures.get(measure, float("nan")) for moment in row.history]
            below.semilogy(seconds, sizes, label=f"{row.backend}: {measure.replace('_', ' ')}")
    above.set(xlabel="seconds", ylabel="objective")
    below.set(xlabel="seconds", ylabel="measure")
    for axes in (above, below):
        if axes.lines:
            axes.legend(fontsize="small")
    figure.savefig(path)
