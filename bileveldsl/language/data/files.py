"""Finding a data file, and knowing it again by its digest."""

from __future__ import annotations

import hashlib
import stat
from itertools import islice
from pathlib import Path

from bileveldsl.language.data.request import SMALLER, Request, instead_of, size
from bileveldsl.language.diagnostics import BlvError


def locate(root: Path, request: Request, safe: bool, most_bytes: int | None) -> Path:
    """The regular file that the request names, with symbolic links resolved, of at most `most_bytes` where given."""
    try:
        base = root.resolve()
        path = (base / request.path).resolve()
        if safe and not path.is_relative_to(base):
            raise request.error(
                "E411",
                f"{request.file} lies outside the folder of the model",
                "copy the file into that folder; in safe mode nothing else is read",
            )
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path, request) from None
    except (OSError, ValueError, RuntimeError) as error:  # no permission; a null character; a loop of links
        raise unreadable(request, error) from error
    if not stat.S_ISREG(status.st_mode):
        found = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise request.error("E402", f"{request.file} is {found}", "name a data file")
    if most_bytes is not None and status.st_size > most_bytes:
        raise request.error(
            "E412",
            f"{request.file} has {size(status.st_size)}, more than the {size(most_bytes)} that are read",
            SMALLER,
        )
    return path


def digest(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(request: Request, error: Exception) -> BlvError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return request.error("E402", f"{request.file} cannot be read: {why}", "check the path and the file's permissions")


def _missing(path: Path, request: Request) -> BlvError:
    message = f"there is no file {request.file}"
    try:
        near = [entry for entry in islice(path.parent.iterdir(), 1000) if entry.suffix.lower() == path.suffix.lower()]
    except OSError:
        return request.error("E401", message, "its folder does not exist; paths start at the folder of the model")
    if not near:
        return request.error(
            "E401", message, f"its folder has no {path.suffix} file; paths start at the model's folder"
        )
    return request.error("E401", message, f"in its folder {instead_of(path.name, sorted(e.name for e in near))}")
