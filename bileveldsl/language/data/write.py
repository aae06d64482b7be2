"""Writing the data of parameters, for models that are saved from Python."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bileveldsl.files import atomic_write


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an npz file that appears complete or not at all; equal arrays give equal bytes.

    Parameters
    ----------
    path : the file, replaced when it exists.
    arrays : by name; any shape, and any type but Python objects.

    Raises
    ------
    BlvError
        E415 when the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "ridge.npz")
    ...     write_npz(path, {"y": np.array([1.0, 2.0])})
    ...     np.load(path)["y"]
    array([1., 2.])
    """
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            # `numpy.savez` takes the names as keyword arguments and so cannot hold one called `file`.
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
