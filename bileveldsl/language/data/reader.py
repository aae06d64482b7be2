"""Parameters and sets read from npz, npy, csv, json and parquet files, each file opened and judged once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from bileveldsl.language.ast import DataSource
from bileveldsl.language.data import delimited, parquet, tree
from bileveldsl.language.data.files import digest, locate, unreadable
from bileveldsl.language.data.indexed import require_sizes
from bileveldsl.language.data.members import LabelledAxis, Member
from bileveldsl.language.data.npz import Archive, SingleArray
from bileveldsl.language.data.request import LIMIT_BYTES, Request
from bileveldsl.language.data.values import FILL_IN, require, to_float64
from bileveldsl.language.diagnostics import Span

T = TypeVar("T")


class Contents(Protocol):
    """What a file holds, once its structure is known."""

    def array(self, request: Request) -> np.ndarray: ...


@runtime_checkable
class Labelled(Contents, Protocol):
    """What a file holds that has labels beside its numbers."""

    def members(self, request: Request, arity: int | None) -> list[Member]: ...

    def indexed(self, request: Request, axes: Sequence[LabelledAxis]) -> np.ndarray: ...


@dataclass(frozen=True)
class Format:
    load: Callable[[Path, Request], Contents]
    growth: int | None  # bytes of memory that reading takes for one byte of the file, at worst; None: judged by array


FORMATS = {
    ".npz": Format(lambda path, request: Archive(path), None),
    ".npy": Format(lambda path, request: SingleArray(path), None),
    ".csv": Format(delimited.load, 8),
    ".json": Format(tree.load, 32),
    ".parquet": Format(parquet.load, 1),
}


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads the arrays and sets that `from` clauses name; keeps what it has opened.

    Parameters
    ----------
    root : folder that relative paths start at: the model file's.
    overrides : arrays that stand in for data of files, by path and keys; the keys are written out
        also where the model leaves them to the parameter's name: `("ridge.npz", ("X",))`.
    safe : refuse files outside `root`, however they are reached.
    limit_bytes : memory that one array, or one file while it is read, may take; mapped arrays take none.
    """

    root: Path
    overrides: Mapping[tuple[str, tuple[str, ...]], np.ndarray] = field(default_factory=dict)
    safe: bool = False
    limit_bytes: int = LIMIT_BYTES
    digests: dict[str, str] = field(default_factory=dict, init=False)
    """The SHA-256 of every file read so far, by its path as the model writes it."""
    _contents: dict[str, Contents] = field(default_factory=dict, init=False, repr=False)

    def read_array(self, source: DataSource, default_key: str, rank: int, where: Span) -> np.ndarray:
        """The array a `from` clause names, every entry finite and exactly what the file says.

        Parameters
        ----------
        source : the path and keys of the clause.
        default_key : the parameter's name, which is the key where the clause has none.
        rank : number of the parameter's axes.
        where : the clause, for diagnostics.

        Returns
        -------
        array : float64, C order, with exactly `rank` dimensions; large ones may be views of the file (see `mapped`).

        Raises
        ------
        BlvError
            E401 to E414, with `where` as the place.

        Notes
        -----
        npz: the key names an array. npy: no keys. json: keys walk down objects; without keys the
        parameter's name is the key if the file holds an object. csv: a parameter with one axis takes
        the column that the key names in the header row, or without a key the only column of a file
        without header; a scalar takes a column of one row; a parameter with two axes takes the whole
        table, whose header row is optional. The first row of a csv is a header unless all its
        fields are numbers. parquet: like csv.

        Examples
        --------
        >>> import tempfile
        >>> from bileveldsl.language.diagnostics import Source
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "tolls.csv").write_text("arc,cost\\nab,2\\nbc,5\\n")
        ...     where = Span(Source("toll.blv", ""), 0, 0)
        ...     Reader(Path(folder)).read_array(DataSource("tolls.csv", span=where), "cost", 1, where)
        array([2., 5.])
        """
        request = Request(source.path, source.keys, default_key, rank, where, self.limit_bytes)
        if (given := self.overrides.get((source.path, request.resolved_keys))) is not None:
            return _given(given, request)
        return self._read(request, lambda contents: contents.array(request))

    def read_set(self, source: DataSource, default_key: str, where: Span, arity: int | None) -> list[Member]:
        """The members of the set that a `from` clause names, in the order of the file.

        Parameters
        ----------
        source : the path and keys of the clause.
        default_key : the set's name, which is the key where the clause has none.
        where : the clause, for diagnostics.
        arity : labels that make one member, where the set is `within` others; None if the data may tell.

        Returns
        -------
        members : labels, or tuples of labels where `arity` is 2 or more; distinct, and none if the file has none.

        Raises
        ------
        BlvError
            E401 to E404, E406, E407, E410 to E413, E416, E417 or E420, with `where` as the place.

        Notes
        -----
        csv and parquet: a key names one column; without a key a set of single labels is the column with the
        set's name or else the first column, and a set of tuples is the first `arity` columns. A csv of labels
        needs a header row, unless its first row is all numbers. A csv column is integers if all its entries are
        integers as Python prints them (at most 18 digits), and text otherwise, without the spaces around it.
        json: a list of texts and integers, or of lists of them; keys as for arrays. Labels that read alike,
        such as `1` and `"1"`, are one label.

        Examples
        --------
        >>> import tempfile
        >>> from bileveldsl.language.diagnostics import Source
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "arcs.csv").write_text("tail,head,cost\\na,b,2\\nb,c,5\\n")
        ...     where = Span(Source("toll.blv", ""), 0, 0)
        ...     Reader(Path(folder)).read_set(DataSource("arcs.csv", span=where), "ARCS", where, 2)
        [('a', 'b'), ('b', 'c')]
        """
        request = Request(source.path, source.keys, default_key, 1, where, self.limit_bytes)

        def members(contents: Contents) -> list[Member]:
            if isinstance(contents, Labelled):
                return contents.members(request, arity)
            raise request.error("E403", f"{request.file} holds no labels", "save the members of a set as csv or json")

        return self._read(request, members)

    def read_indexed(
        self, source: DataSource, default_key: str, axes: Sequence[LabelledAxis], where: Span
    ) -> np.ndarray:
        """The array a `from` clause names, with its entries in the order of the sets that it is over.

        Parameters
        ----------
        source : the path and keys of the clause.
        default_key : the parameter's name, which is the key where the clause has none.
        axes : the sets and dims that the parameter is declared over, in that order.
        where : the clause, for diagnostics.

        Returns
        -------
        array : float64, C order, shape `[axis.size for axis in axes]`, every entry finite.

        Raises
        ------
        BlvError
            E401 to E414 and E416 to E421, with `where` as the place.

        Notes
        -----
        Labels are compared as text, members have to match exactly, and their order in the file is free.
        csv and parquet: the first columns hold the labels, one for each label of each axis; the values stand in
        the column that the key or else the parameter's name names, or in the only further column. json: objects
        inside objects, one for each label; or a list of rows of labels and a value; or nested lists in the order
        of the sets. npz and npy: arrays in the order of the sets. If all axes are dims, `read_array` says how
        the file is read.

        Examples
        --------
        >>> import tempfile
        >>> from bileveldsl.language.diagnostics import Source
        >>> arcs = LabelledAxis("ARCS", 2, [("a", "b"), ("b", "c")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "arcs.csv").write_text("tail,head,cost\\nb,c,5\\na,b,2\\n")
        ...     where = Span(Source("toll.blv", ""), 0, 0)
        ...     Reader(Path(folder)).read_indexed(DataSource("arcs.csv", span=where), "cost", [arcs], where)
        array([2., 5.])
        """
        request = Request(source.path, source.keys, default_key, len(axes), where, self.limit_bytes)
        if (given := self.overrides.get((source.path, request.resolved_keys))) is not None:
            return require_sizes(_given(given, request), request.subject, axes, request)
        labelled = any(not isinstance(axis.members, int) for axis in axes)

        def array(contents: Contents) -> np.ndarray:
            if labelled and isinstance(contents, Labelled):
                return contents.indexed(request, axes)
            return require_sizes(contents.array(request), request.subject, axes, request)

        return self._read(request, array)

    def _read(self, request: Request, take: Callable[[Contents], T]) -> T:
        """What `take` makes of the file's contents; blame the file for what goes wrong outside the program."""
        try:
            return take(self._open(request))
        except MemoryError:
            raise request.error("E412", f"not enough memory to read {request.subject}", "read smaller arrays") from None
        except OSError as error:
            raise unreadable(request, error) from error

    def _open(self, request: Request) -> Contents:
        if request.path not in self._contents:
            suffix = Path(request.path).suffix.lower()
            if suffix not in FORMATS:
                known = ", ".join(FORMATS)
                raise request.error("E403", f"{request.file} has no format that can be read", f"save it as {known}")
            growth = FORMATS[suffix].growth
            path = locate(self.root, request, self.safe, None if growth is None else self.limit_bytes // growth)
            sha256 = digest(path)
            self._contents[request.path] = FORMATS[suffix].load(path, request)
            self.digests[request.path] = sha256
        return self._contents[request.path]


def _given(array: np.ndarray, request: Request) -> np.ndarray:
    """An array that stands in for a file's, under the same rules."""
    subject = f"the value given for {request.subject}"
    require(array.dtype, array.shape, request, subject)
    if np.ma.is_masked(array):
        raise request.error("E408", f"{subject} has masked entries", FILL_IN)
    return to_float64(array, request, subject)
