"""The one place that knows which backends exist: those built in, and those that installed plugins offer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from bileveldsl.backend import Backend
from bileveldsl.language.diagnostics import BlvError, Diagnostic

GROUP = "bileveldsl.backends"

BUILT_IN = {
    "implicit": "bileveldsl.backends.implicit:Implicit",
    "f2ba": "bileveldsl.backends.f2ba:F2BA",
    "f2bsa": "bileveldsl.backends.f2bsa:F2BSA",
    "pbgd": "bileveldsl.backends.pbgd:PBGD",
    "bome": "bileveldsl.backends.bome:BOME",
    "galet": "bileveldsl.backends.galet:Galet",
    "rxgf": "bileveldsl.backends.rxgf:Rxgf",
    "scip": "bileveldsl.backends.scip:Scip",
    "milp": "bileveldsl.backends.milp:Milp",
    "kkt": "bileveldsl.backends.kkt:Kkt",
    "augmented": "bileveldsl.backends.augmented:Augmented",
}


@dataclass(frozen=True)
class Entry:
    """A name under which a backend is offered; `target` is its class, as `module:Class`."""

    name: str
    origin: str  # "built in", or the plugin that offers it
    target: str

    def load(self) -> Backend:
        """The backend; E603 where a plugin is broken."""
        if self.origin == "built in":
            module, attribute = self.target.split(":")
            backend: Backend = getattr(import_module(module), attribute)()
            return backend
        try:
            loaded = EntryPoint(self.name, self.target, GROUP).load()()
            complete = isinstance(loaded, Backend) and (loaded.available(), loaded.capabilities.describe())
        except Exception as error:  # a stranger's code may fail in any way, and must not take the others with it
            raise _broken(self, f"{type(error).__name__}: {error}") from error
        if not complete:
            raise _broken(self, "it has not the attributes of a backend")
        if loaded.name != self.name:
            raise _broken(self, f"it calls itself {loaded.name!r}")
        return loaded


def entries() -> tuple[Entry, ...]:
    """Every name that a backend is offered under, those built in first; nothing is imported."""
    offered = [Entry(name, "built in", target) for name, target in BUILT_IN.items()]
    taken = set(BUILT_IN)
    for plugin in _plugins():
        if plugin.name not in taken:
            taken.add(plugin.name)
            offered.append(plugin)
    return tuple(offered)


def backends() -> tuple[Backend, ...]:
    """The backends that can be loaded; a broken plugin is left out, and `entries` tells of it."""
    loaded = []
    for entry in entries():
        try:
            loaded.append(entry.load())
        except BlvError:
            continue
    return tuple(loaded)


def shadowed() -> tuple[Diagnostic, ...]:
    """A warning W601 for each plugin that is ignored because its name is taken."""
    first = {entry.name: entry for entry in entries()}
    return tuple(
        Diagnostic(
            "W601",
            f"the backend `{plugin.name}` of {plugin.origin} is ignored",
            help=f"the name is taken ({first[plugin.name].origin}): the plugin must offer it under another one",
        )
        for plugin in _plugins()
        if plugin != first[plugin.name]
    )


def get(name: str) -> Backend:
    """The backend of that name, ready to use.

    Raises
    ------
    BlvError
        E601 when there is none, E602 when something that it needs is not installed, E603 when its plugin is broken.

    Examples
    --------
    >>> get("f2ba").name
    'f2ba'
    """
    offered = {entry.name: entry for entry in entries()}
    if name not in offered:
        from bileveldsl.language.data.request import instead_of, quote

        raise BlvError([Diagnostic("E601", f"there is no backend {quote(name)}", help=instead_of(name, offered))])
    backend = offered[name].load()
    if missing := backend.available():
        raise BlvError([Diagnostic("E602", f"the backend `{name}` cannot run here", help=missing)])
    return backend


def _plugins() -> Iterator[Entry]:
    offered = [
        Entry(point.name, f"{point.dist.name} {point.dist.version}" if point.dist else "a plugin", point.value)
        for point in entry_points(group=GROUP)
    ]
    yield from sorted(offered, key=lambda entry: (entry.name, entry.origin))


def _broken(entry: Entry, why: str) -> BlvError:
    message = f"the backend `{entry.name}` of {entry.origin} is broken: {why}"
    return BlvError([Diagnostic("E603", message, help="update or remove the plugin")])
