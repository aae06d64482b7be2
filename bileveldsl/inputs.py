"""What a user gives beside the model: values of parameters, settings, starting points."""

from __future__ import annotations

import json
import numbers
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bileveldsl.backend import Backend
from bileveldsl.language.ast import Param
from bileveldsl.language.diagnostics import BlvError, Diagnostic
from bileveldsl.program import Program
from bileveldsl.solution import Solution

if TYPE_CHECKING:
    from bileveldsl.execute.layout import Layout
    from bileveldsl.execute.problem import CompiledProblem
    from bileveldsl.model import Model

SETTINGS: Mapping[str, Any] = {"seed": 0, "starts": 1, "time_limit": None, "tol": 1e-6}
"""Settings of a solve with their defaults; a model's `options { }` may hold them."""

CHOICES = ("backend", "engine")
"""What `options { }` may hold besides the settings above and those of the backend."""


LARGEST = 2**63
"""What a solution object can hold."""


def parameter_values(model: Model, given: Mapping[str, Any], files: Sequence[str | Path]) -> dict[str, Any]:
    """Values that replace parameters of the model: those of npz and json files, then the ones given by name.

    Raises
    ------
    BlvError
        E211 for a name that is no parameter of the model, E4xx for a file at fault.
    """
    parameters = {item.name: item for item in model.ast().items if isinstance(item, Param)}
    values: dict[str, Any] = {}
    for path in files:
        values |= _file_values(Path(path), parameters)
    values |= given
    unknown = [name for name in values if name not in parameters]
    if unknown:
        from bileveldsl.language.data.request import instead_of

        raise BlvError(
            Diagnostic(
                "E211",
                f"a value is given for {name}, which is no parameter of the model",
                help=instead_of(name, parameters),
            )
            for name in unknown
        )
    return values


def _file_values(path: Path, parameters: Mapping[str, Param]) -> dict[str, np.ndarray]:
    """The arrays of a file under the names of parameters."""
    from bileveldsl.language.ast import DataSource
    from bileveldsl.language.data import Reader

    reader = Reader(path.parent)
    result = {}
    for name in _names(path):
        if name in parameters:
            item = parameters[name]
            source = DataSource(path.name, (name,), span=item.span)
            result[name] = reader.read_array(source, name, len(item.axes), item.name_span or item.span)
    if not result:
        text = f"{path} holds no value of a parameter of the model"
        raise BlvError([Diagnostic("E404", text, help=f"the parameters are {', '.join(parameters) or 'none'}")])
    return result


def _names(path: Path) -> list[str]:
    """The keys of an npz or json file."""
    import zipfile

    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        if path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            return list(content) if isinstance(content, dict) else []
    except (OSError, ValueError, zipfile.BadZipFile, RecursionError) as error:
        raise BlvError([Diagnostic("E402", f"{path} cannot be read: {error}")]) from None
    raise BlvError([Diagnostic("E403", f"{path} has an unknown format", help="give an npz or a json file")])


def settings_of(program: Program, given: Mapping[str, Any]) -> dict[str, Any]:
    """A value for every setting: the one given, else the model's, else the default."""
    result = {}
    for name, default in SETTINGS.items():
        value = given.get(name)
        result[name] = program.options.get(name, default) if value is None else value
    wrong = []
    for name, (lowest, whole) in {
        "seed": (0, True),
        "starts": (1, True),
        "time_limit": (0, False),
        "tol": (0, False),
    }.items():
        value = result[name]
        if value is None and name == "time_limit":
            continue
        number = isinstance(value, numbers.Real) and not isinstance(value, bool) and lowest <= float(value) < LARGEST
        if not number or (name == "tol" and value == 0) or (whole and value != int(value)):
            kind = f"a whole number >= {lowest}" if whole else "a positive number"
            wrong.append(Diagnostic("E608", f"the setting {name} is {value!r}", help=f"it must be {kind}"))
    if wrong:
        raise BlvError(wrong)
    result |= {name: int(result[name]) for name in ("seed", "starts")}
    result |= {name: float(result[name]) for name in ("time_limit", "tol") if result[name] is not None}
    return {**result, "start": given.get("start")}


def backend_options(program: Program, given: Mapping[str, Any], backend: Backend) -> dict[str, Any]:
    """The backend's options: the ones given and those of the model, which may also hold settings of the solve."""
    known = {option.name for option in backend.options}
    own = {k: v for k, v in program.options.items() if k not in SETTINGS and k not in CHOICES}
    if str(program.options.get("backend", "auto")) not in ("auto", backend.name):
        own = {name: value for name, value in own.items() if name in known}  # meant for the other backend
    return {**own, **given}


def engine_name(program: Program, given: str, backend: Backend) -> Literal["auto", "numpy", "jax"]:
    """The engine given, else that of the model, if the backend runs with it."""
    name: Any = program.options.get("engine", "auto") if given == "auto" else given
    if name not in ("auto", *backend.capabilities.engines):
        expected = " or ".join(("auto", *backend.capabilities.engines))
        raise BlvError([Diagnostic("E608", f"the engine is {name!r}", help=f"with {backend.name} it is {expected}")])
    return name


def starting_points(problem: CompiledProblem, settings: Mapping[str, Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The model's start (or that of an earlier solution), then random ones within the bounds."""
    x, y = np.array(problem.x_start), np.array(problem.y_start)
    start: Solution | None = settings["start"]
    if start is not None:
        x, y = packed(problem.x, start), packed(problem.y, start)
        x = np.clip(x, problem.x_lower, problem.x_upper)
    yield x, y
    random = np.random.default_rng(settings["seed"])
    for _ in range(settings["starts"] - 1):
        yield (
            _random(random, x, problem.x_lower, problem.x_upper),
            _random(random, y, problem.y_lower, problem.y_upper),
        )


def packed(layout: Layout, start: Solution) -> np.ndarray:
    """The flat vector of a solution's values; E635 where they are not those of this model."""
    values = {}
    for part in layout.parts:
        value = np.asarray(start[part.name], dtype=float)
        if value.shape != part.shape or not np.isfinite(value).all():
            text = f"the solution has {part.name} of shape {value.shape}, the model of shape {part.shape}"
            raise BlvError([Diagnostic("E635", text, help="give a solution of the same model")])
        values[part.name] = value
    return layout.pack(values)


def _random(random: np.random.Generator, centre: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Uniform between bounds, else normal about the centre with three times its size."""
    share, normal = random.random(centre.size), random.standard_normal(centre.size)
    boxed = np.isfinite(lower) & np.isfinite(upper)
    low, high, middle = np.where(boxed, lower, 0.0), np.where(boxed, upper, 0.0), np.where(boxed, 0.0, centre)
    within = low * (1 - share) + high * share  # high - low might overflow
    return np.clip(np.where(boxed, within, middle + 3 * (1 + np.abs(middle)) * normal), lower, upper)
