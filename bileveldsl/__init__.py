"""A modelling language and solver for bilevel optimization."""

from importlib import import_module
from pathlib import Path
from typing import Any

from bileveldsl.language.function_names import FUNCTION_NAMES

__version__ = "0.1.0"

_package = Path(__file__).parent
if not (_package / "backends").is_dir():  # a source checkout: `backends/` and `grammar/` lie beside the package
    __path__.append(str(_package.parent))

_HOMES = {
    "BlvError": "language.diagnostics",
    "Certificate": "certificate",
    "Diagnostic": "language.diagnostics",
    "Model": "model",
    "Solution": "solution",
    "Status": "solution",
    "load": "model",
    "loads": "model",
    "between": "language.embedded",
    "forall": "language.embedded",
    "indices": "language.embedded",
    "integers": "language.embedded",
    **dict.fromkeys(FUNCTION_NAMES, "language.embedded.functions"),
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Public names are imported at first use, so that `import bileveldsl` and `--help` stay fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bileveldsl' has no attribute {name!r}")
    return getattr(import_module(f"bileveldsl.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
