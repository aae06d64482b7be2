"""Try the language with very many texts: nothing but a `BlvError` may come of any, in little time and memory.

Run as `python benchmarks/fuzz_language.py [--cases N] [--seed S] [--first K] [--depth parse|elaborate|check]`. Each
text is tried in a process of its own kind, with limits on processor time and memory. Exits with 1 when something is
found; each finding is printed once, with the shortest text that still shows it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: threads reserve address space

import argparse
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.language.fuzz_cases import Case, case, smaller
from tests.language.fuzz_examine import DEPTHS, Outcome, examine

CPU_SECONDS = 5
MEMORY = 2**30  # beyond what the process has when it begins
CASES_OF_A_WORKER = 1_000
MINIMIZING_SECONDS = 90


# ---- one worker --------------------------------------------------------------------------------------


class TimeIsUp(BaseException):
    """No `except Exception` may swallow it."""


def _time_is_up(*_: object) -> None:
    raise TimeIsUp


def _limited(sample: Case, depth: str) -> Outcome:
    """`examine` within the limits; what Python can name comes back with its place."""
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    used = resource.getrusage(resource.RUSAGE_SELF)
    whole = int(used.ru_utime + used.ru_stime) + 2 * CPU_SECONDS  # for a hang outside of Python's own loop
    resource.setrlimit(resource.RLIMIT_CPU, (whole, resource.RLIM_INFINITY))
    try:
        return examine(sample.text, sample.folder, depth)
    except TimeIsUp:
        return _finding("hang", sys.exc_info()[2])
    except MemoryError:
        return _finding("memory", sys.exc_info()[2])
    except Exception as error:
        return _finding(f"{type(error).__name__}: {error}"[:200], sys.exc_info()[2])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _finding(kind: str, trace: Any) -> Outcome:
    frames = traceback.extract_tb(trace)
    ours = [f"{Path(f.filename).name}:{f.name}" for f in frames if "bileveldsl" in f.filename]
    written = "".join(traceback.format_list(frames[-12:]))
    # A loop is left at whatever line it is in; where it was entered says more.
    return Outcome(kind, (ours[3] if kind == "hang" and len(ours) > 3 else ours[-1] if ours else "",), written)


def _serve(connection: Connection) -> None:
    for text in ("upper { var x; minimize x + }", "upper { var x; minimize x^2 }\nlower { var y; minimize (y - x)^2 }"):
        examine(text, Path(), "check")  # imports
    signal.signal(signal.SIGPROF, _time_is_up)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, resource.RLIM_INFINITY))
    while (task := connection.recv()) is not None:
        connection.send(_limited(*task))


class Worker:
    """A process that examines one text after the other; it is replaced when it dies, and now and then."""

    def __init__(self) -> None:
        self.process: Any = None
        self.served = 0

    def _start(self) -> None:
        self.stop()
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other,), daemon=True)
        self.process.start()
        other.close()
        self.served = 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def examine(self, sample: Case, depth: str) -> Outcome:
        if self.process is None or self.served >= CASES_OF_A_WORKER:
            self._start()
        self.served += 1
        try:
            self.connection.send((sample, depth))
            if self.connection.poll(60 * CPU_SECONDS):
                outcome: Outcome = self.connection.recv()
                if outcome.is_finding:
                    self.stop()  # what it holds now might count against the next
                return outcome
            kind = "hang"
        except (EOFError, ConnectionError):
            self.process.join()
            kind = "hang" if -self.process.exitcode == signal.SIGXCPU else f"died of signal {-self.process.exitcode}"
        self.stop()
        return Outcome(kind)


# ---- a campaign --------------------------------------------------------------------------------------


def minimized(sample: Case, depth: str, outcome: Outcome, worker: Worker) -> str:
    """A text from which no piece can be taken without losing the finding, or the shortest found in time."""
    deadline = time.monotonic() + MINIMIZING_SECONDS
    text, size = sample.text, max(1, len(sample.text) // 40)
    while size and time.monotonic() < deadline:
        for candidate in smaller(text, size):
            found = worker.examine(sample._replace(text=candidate), depth)
            if (found.kind, found.detail) == (outcome.kind, outcome.detail):
                text = candidate
                break
            if time.monotonic() > deadline:
                break
        else:
            size //= 2
    return text


def campaign(seed: int, first: int, count: int, depth: str, write: Any) -> Counter[str]:
    """Examine the cases `first`, `first + 1`, ... of a seed; how many came to what."""
    worker, counts, known = Worker(), Counter[str](), set[tuple[str, ...]]()
    begin = time.monotonic()
    for number in range(first, first + count):
        sample = case(seed, number)
        outcome = worker.examine(sample, depth)
        counts["finding" if outcome.is_finding else outcome.kind] += 1
        counts.update(outcome.detail if outcome.kind == "refused" else ())
        signature = (outcome.kind.split(":")[0], *outcome.detail)
        if outcome.is_finding and signature not in known:
            known.add(signature)
            text = minimized(sample, depth, outcome, worker)
            shown = text if len(text) < 2_000 else f"{text[:1_000]}\n... {len(text)} characters ...\n{text[-500:]}"
            title = f"\n== case {seed}:{number}: {outcome.kind} {' '.join(outcome.detail)}"
            write(f"{title}\n{outcome.trace}{shown!r}\n{shown}")
        if (number + 1 - first) % 1_000 == 0:
            write(f"{number + 1 - first} cases, {time.monotonic() - begin:.0f} s, {counts['finding']} findings")
    worker.stop()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--depth", choices=DEPTHS, default="elaborate")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # what a mutant may write would be written here
        counts = campaign(given.seed, given.first, given.cases, given.depth, lambda text: print(text, flush=True))
    kinds = ("accepted", "refused", "finding")
    print(", ".join(f"{counts[kind]} {kind}" for kind in kinds))
    print(" ".join(f"{code}:{n}" for code, n in sorted(counts.items()) if code not in kinds))
    return 1 if counts["finding"] else 0


if __name__ == "__main__":
    sys.exit(main())
