"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bileveldsl.language.diagnostics import BlvError, Diagnostic


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write, which takes its place at `path` when the block ends without an error.

    What stood at `path` before stays until then. Devices and pipes are written directly.

    Raises
    ------
    BlvError
        E415 when the folder is missing, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder, "greeting")) as file:
    ...         _ = file.write(b"hello")
    ...     Path(folder, "greeting").read_bytes()
    b'hello'
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as file:
                yield file
            return
        target = Path(os.path.realpath(path))  # a link stays a link
        if target.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(None, "it is write-protected")
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                temporary.chmod(target.stat().st_mode)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        why = "its folder does not exist" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        mend = "name a file in a folder that exists and that you may write to"
        raise BlvError([Diagnostic("E415", f'cannot write "{path}": {why}', help=mend)]) from error


def atomic_write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, so that the file is complete or unchanged.

    Raises
    ------
    BlvError
        E415, as `atomic_write`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     atomic_write_text(Path(folder, "model.blv"), "model toy\\n")
    ...     Path(folder, "model.blv").read_text()
    'model toy\\n'
    """
    with atomic_write(path) as file:
        file.write(text.encode())
