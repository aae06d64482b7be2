"""The options and arguments that several subcommands share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click


@dataclass
class Settings:
    """What holds for the whole run."""

    debug: bool = False


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.obj.debug = True


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_set_debug, help="Show Python's traceback of an error."
)

READABLE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

model_argument = click.argument("model", type=READABLE)

safe_option = click.option("--safe", is_flag=True, help="Read data only from the folder of MODEL and those below it.")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one json object and nothing else.")


class Pair(click.ParamType[tuple[str, str]]):
    """`NAME=VALUE`, as a tuple of two texts."""

    def __init__(self, name: str):
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, separator, text = value.partition("=")
        if not separator or not key.strip() or not text.strip():
            self.fail(f"{value!r} is not of the form {self.name}", param, ctx)
        return key.strip(), text.strip()


def mapping(_: click.Context, __: click.Parameter, pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The pairs of a repeatable option; a name that stands twice is a mistake."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.BadParameter(f"{name} is given more than once")
    return dict(pairs)


def numbers(context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, str], ...]) -> dict[str, float]:
    """The pairs of a repeatable option whose values are finite numbers."""
    result = {}
    for name, text in mapping(context, option, pairs).items():
        try:
            result[name] = float(text)
        except ValueError:
            raise click.BadParameter(f"the value of {name} is {text!r}, not a number") from None
        if not math.isfinite(result[name]):
            raise click.BadParameter(f"the value of {name} is {text!r}, not a finite number")
    return result


def positive(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    """A finite number above zero, if given."""
    if value is not None and not 0 < value < math.inf:
        raise click.BadParameter(f"{value:g} is not a finite number above 0")
    return value


budget_option = click.option(
    "--certify-budget", type=float, default=10.0, show_default=True, callback=positive, metavar="SECONDS",
    help="What is not proved after this time is unknown.",
)  # fmt: skip


def writable(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """A file that can be written when the work is done, said before the work begins."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.BadParameter(f"the folder of {str(path)!r} does not exist")
    return path
