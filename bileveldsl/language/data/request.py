"""What one `from` clause asks for, and the words in which it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from bileveldsl.language.diagnostics import BlvError, Diagnostic, Span

LIMIT_BYTES = 8 * 2**30  # memory that one array, or one file while it is read, may take
LISTED = 8  # names shown in one message
SHOWN = 60  # characters shown of one text
REASON = 200  # characters shown of a decoder's complaint

SMALLER = "store the data as smaller arrays, in npz files rather than csv or json, or raise the limit"


@dataclass(frozen=True)
class Request:
    """An array of `rank` dimensions for the parameter `name`, out of the file `path`."""

    path: str
    keys: tuple[str, ...]  # as written; () means the parameter's own name
    name: str
    rank: int
    where: Span | None
    limit_bytes: int

    @property
    def resolved_keys(self) -> tuple[str, ...]:
        return self.keys or (self.name,)

    @property
    def file(self) -> str:
        return f'"{printable(self.path)}"'

    @property
    def subject(self) -> str:
        """The data asked for, as the language writes it: `"ridge.npz"["X"]`."""
        return self.file + "".join(f"[{quote(key)}]" for key in self.resolved_keys)

    @property
    def axes(self) -> str:
        return f"{quote(self.name)} has {count(self.rank, 'axis', 'axes')}"

    def error(self, code: str, message: str, help: str) -> BlvError:
        return BlvError([Diagnostic(code, message, self.where, help=help)])

    def wrong_rank(self, found: str, help: str = "") -> BlvError:
        mend = f"declare {quote(self.name)} with the axes that the data has, or store data with the axes declared"
        return self.error("E405", f"{found}, but {self.axes}", help or mend)

    def damaged(self, why: str, help: str = "") -> BlvError:
        mend = "the file is damaged or not what its name says: write it anew"
        return self.error("E410", f"{self.file} {printable(why[:REASON])}", help or mend)

    def not_utf8(self, error: UnicodeDecodeError) -> BlvError:
        return self.damaged(f"is not UTF-8 text (byte {error.start})", "save the file with the encoding UTF-8")

    def too_large(self, subject: str, nbytes: int, help: str = SMALLER) -> BlvError:
        limit = size(self.limit_bytes)
        return self.error("E412", f"{subject} needs {size(nbytes)}, more than the limit of {limit}", help)


def quote(text: str) -> str:
    """`text` in quotes, on one line, cut when long, with nothing in it that a terminal would obey."""
    shown = printable(text[:SHOWN])
    return f'"{shown}…"' if len(text) > SHOWN else f'"{shown}"'


def printable(text: str) -> str:
    """`text` with every control character escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def listing(names: Iterable[str]) -> str:
    """The first few of `names`, quoted, and how many more there are."""
    names = list(names)
    return some([quote(name) for name in names[:LISTED]], len(names))


def some(shown: Sequence[str], number: int) -> str:
    """The first few of `number` things, and how many more there are."""
    shown = shown[:LISTED]
    return ", ".join(shown) + (f" and {number - len(shown)} more" if number > len(shown) else "")


def instead_of(name: str, known: Iterable[str]) -> str:
    """The mend for an unknown `name`: its nearest neighbour, and what there is."""
    names = list(islice(known, 1000))
    near = get_close_matches(name.lower(), [n.lower() for n in names], n=1)
    nearest = next((n for n in names if near and n.lower() == near[0]), None)
    suggestion = f"did you mean {quote(nearest)}? " if nearest is not None else ""
    return suggestion + (f"there is {listing(names)}" if names else "there is none")


def count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def size(number: int) -> str:
    """A number of bytes for a person."""
    scale = min((number.bit_length() - 1) // 10, 4) if number else 0
    return f"{number / 2 ** (10 * scale):.3g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[scale]}"
