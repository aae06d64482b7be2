"""The answer to a bilevel program: the point, what was verified about it, and how it was found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from bileveldsl.language.diagnostics import BlvError, Diagnostic

if TYPE_CHECKING:
    import numpy as np

SCHEMA = "bileveldsl.solution/1"

Sense = Literal["minimize", "maximize"]
Value: TypeAlias = "float | np.ndarray"
Member: TypeAlias = "str | int | tuple[str | int, ...]"


class Status(Enum):
    """What the verification established; `sentence` says it to a person, `exit_code` to a shell.

    A status whose follower was not shown to answer optimally never exits with 0.
    """

    GLOBALLY_OPTIMAL = (
        "globally_optimal", 0,
        "Globally optimal: feasible, the follower answers optimally, and no better upper value exists.",
    )  # fmt: skip
    LOCALLY_OPTIMAL = (
        "locally_optimal", 0,
        "Locally optimal: feasible, the follower answers optimally, and the first-order conditions hold.",
    )  # fmt: skip
    STATIONARY = (
        "stationary", 4,
        "Stationary: the method came to rest here, but that the follower answers optimally could not be established.",
    )  # fmt: skip
    FEASIBLE = (
        "feasible", 0,
        "Feasible: the constraints hold and the follower answers optimally; the upper value may not be the best.",
    )  # fmt: skip
    INFEASIBLE = ("infeasible", 3, "Infeasible: no point satisfies the constraints of both levels.")
    UNBOUNDED = ("unbounded", 3, "Unbounded: the upper objective improves without limit.")
    LOWER_INFEASIBLE = ("lower_infeasible", 3, "Lower level infeasible: the follower has no feasible answer.")
    LOWER_UNBOUNDED = ("lower_unbounded", 3, "Lower level unbounded: the follower's objective improves without limit.")
    LIMIT = ("limit", 4, "Stopped at a limit: this is the best point found, with its verification.")
    NOT_VERIFIED = ("not_verified", 4, "Not verified: the follower can do better than here, so this is not a solution.")

    exit_code: int
    sentence: str

    def __new__(cls, value: str, exit_code: int = 0, sentence: str = "") -> Status:
        status = object.__new__(cls)
        status._value_ = value
        status.exit_code = exit_code
        status.sentence = sentence
        return status


@dataclass(frozen=True)
class Objective:
    """The value of one level's objective in the user's own sense; `None` where there is no point."""

    name: str  # "upper", or the follower's
    sense: Sense
    objective: float | None


@dataclass(frozen=True)
class Verification:
    """What was measured at the point, independently of the backend; `None` where it could not be."""

    lower_gap: float | None = None  # f(x, y) - min f(x, .), relative to 1 + |f|
    lower_gap_method: str = "none"
    upper_violation: float | None = None
    lower_violation: float | None = None
    hypergradient_norm: float | None = None
    global_bound: float | None = None
    global_gap: float | None = None
    tolerance: float = 1e-6


@dataclass(frozen=True)
class Work:
    """How often functions were evaluated: f is the upper objective, g the lower one.

    `hvp` counts products with g_yy, `cross` those with g_xy, and `hessian` whole Hessians g_yy. Where functions are
    sampled, one of a batch counts as one, and `epochs` tells how often all sampled data was gone through.
    """

    f: int = 0
    g: int = 0
    grad_f: int = 0
    grad_g: int = 0
    hvp: int = 0
    cross: int = 0
    hessian: int = 0
    iterations: int = 0
    epochs: float = 0.0


class AxisMembers(NamedTuple):
    """An axis of a value: the name of its set or dim, and the members in order."""

    name: str
    members: tuple[Member, ...]


Axes: TypeAlias = "tuple[AxisMembers, ...]"


class Named(Protocol):
    """Anything with a name, such as the handle of a variable."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Solution:
    """The answer and its evidence; index it with a variable's name or handle.

    Scalars are floats, arrays are float64 with one axis for each index of the variable.
    """

    model: str
    status: Status
    message: str
    backend: str | None
    backend_reason: str
    upper: Objective
    lower: tuple[Objective, ...]
    values: Mapping[str, Value]
    verification: Verification
    path: tuple[str, ...] = ()
    duals: Mapping[str, Value] = field(default_factory=dict)
    certificates: tuple[Mapping[str, Any], ...] = ()
    work: Work = Work()
    seconds: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    options: Mapping[str, str | float | bool | None] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    model_sha256: str = ""
    data_sha256: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, Axes] = field(default_factory=dict)  # of the values and duals over named sets

    def __getitem__(self, variable: str | Named) -> Value:
        name = variable if isinstance(variable, str) else variable.name
        if name not in self.values:
            from bileveldsl.language.data.request import instead_of, quote

            message = f"the solution has no value for {quote(name)}"
            raise BlvError([Diagnostic("E634", message, help=instead_of(name, self.values))])
        return self.values[name]

    __iter__ = None  # a solution is no sequence; its `values` can be iterated

    def to_json(self) -> dict[str, Any]:
        """The solution as the documented object, ready for `json.dump(..., allow_nan=False)`."""
        lower = [{"name": o.name, "sense": o.sense, "objective": encode(o.objective)} for o in self.lower]
        return {
            "schema": SCHEMA,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "data_sha256": dict(self.data_sha256),
            "status": self.status.value,
            "message": self.message,
            "backend": self.backend,
            "backend_reason": self.backend_reason,
            "path": list(self.path),
            "upper": {"sense": self.upper.sense, "objective": encode(self.upper.objective)},
            "lower": lower,
            "values": {name: self._encoded(name, value) for name, value in self.values.items()},
            "duals": {name: self._encoded(name, value) for name, value in self.duals.items()},
            "verification": encode(vars(self.verification)),
            "certificates": encode(self.certificates),
            "work": dict(vars(self.work)),
            "seconds": encode(self.seconds),
            "seed": self.seed,
            "options": encode(self.options),
            "versions": dict(self.versions),
        }

    def _encoded(self, name: str, value: Value) -> Any:
        """A value over named sets tells its members; others are numbers and nested lists."""
        if name not in self.axes:
            return encode(value)
        members = [axis.members for axis in self.axes[name]]
        index = [[_plain(label) for label in row] for row in product(*members)]
        flat = encode(value.ravel()) if hasattr(value, "ravel") else [encode(value)]
        return {"axes": [axis.name for axis in self.axes[name]], "index": index, "data": flat}

    @staticmethod
    def from_json(data: Any) -> Solution:
        """The solution in the documented object.

        Raises
        ------
        BlvError
            E632 where a field is missing or of the wrong kind, E633 where the object is of another schema.
        """
        from bileveldsl.solution_json import decode

        return decode(data)

    @staticmethod
    def read(path: str | Path) -> Solution:
        """The solution in a json file; E630 to E633 where it holds none.

        The file may come from anyone: its size and depth are bounded, and nothing in it is run.
        """
        from bileveldsl.solution_json import read

        return read(Path(path))

    def write(self, path: str | Path) -> None:
        """Write the solution to a json file, all of it or nothing."""
        from bileveldsl.files import atomic_write_text

        atomic_write_text(Path(path), self.to_text())

    def to_text(self) -> str:
        """The solution as json text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"

    def summary(self) -> str:
        """What a person wants to know, the status first."""
        from bileveldsl.summary import text

        return text(self)

    def _repr_html_(self) -> str:
        from bileveldsl.summary import html

        return html(self)


def encode(value: Any) -> Any:
    """Arrays as nested lists, and numbers that are not finite as the texts "inf", "-inf", "nan"."""
    if isinstance(value, Mapping):
        return {key: encode(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(entry) for entry in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return encode(value.tolist())  # an array or a scalar of NumPy


def _plain(member: Member) -> Any:
    return list(member) if isinstance(member, tuple) else member
