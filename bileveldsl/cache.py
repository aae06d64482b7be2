"""What took long to prove, kept on disk: small JSON objects by the digest of all that they follow from.

They lie in `bileveldsl/` of $XDG_CACHE_HOME, or of `~/.cache`; BILEVELDSL_CACHE=off switches them off. A cache is a
convenience: whatever is wrong with it, an entry is just not there.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from bileveldsl.language.diagnostics import BlvError

ENTRIES = 256
LARGEST = 4_000_000
"""Bytes of an entry."""


def folder() -> Path | None:
    """Where entries lie, or None where none are kept."""
    if os.environ.get("BILEVELDSL_CACHE", "").lower() in ("off", "0", "no", "false"):
        return None
    base = os.environ.get("XDG_CACHE_HOME", "")
    with suppress(RuntimeError):  # there may be no home
        return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "bileveldsl"
    return None


def load(key: str) -> Any:
    """The entry with this key, or None."""
    place = folder()
    if place is None:
        return None
    try:
        path = place / f"{key}.json"
        with path.open("rb") as file:
            if not _ours(file.fileno()):
                return None
            content = file.read(LARGEST + 1)
        return json.loads(content) if len(content) <= LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None


def store(key: str, entry: Any) -> None:
    """Keep an entry; the oldest give way when there are too many."""
    from bileveldsl.files import atomic_write

    place = folder()
    if place is None:
        return
    try:
        content = json.dumps(entry, allow_nan=False).encode()
        if len(content) > LARGEST:
            return
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic_write(place / f"{key}.json") as file:
            file.write(content)
        _prune(place)
    except (OSError, ValueError, RecursionError, BlvError):
        return


def _ours(descriptor: int) -> bool:
    """Whether a file is the user's own: facts are relied on, and not everyone is to make them."""
    return not hasattr(os, "getuid") or os.fstat(descriptor).st_uid == os.getuid()


def _prune(place: Path) -> None:
    entries = sorted(place.glob("*.json"), key=_age, reverse=True)
    for path in entries[ENTRIES:]:
        path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process was quicker to remove it
        return 0.0
