"""How long `check` takes for a model of many lines, stage by stage.

Run as `python benchmarks/check_time.py [--lines N] [--profile] [MODEL]`. Without a MODEL one is made: scalar variables,
definitions and constraints at both levels, about as many lines as asked for. Imports are done before the clock starts.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from bileveldsl.certify.claims import check_claims
from bileveldsl.certify.lower_level import certify
from bileveldsl.check import _verdict
from bileveldsl.language.diagnostics import Source
from bileveldsl.language.parse import load_source, parse
from bileveldsl.model import Model, loads

T = TypeVar("T")


def scalar_model(lines: int, seed: int = 0) -> str:
    """A model of scalars: a fifth each of parameters, definitions, variables of either level, and constraints."""
    random = Random(seed)
    count = max(2, lines // 5)

    def some(kind: str, most: int = 4) -> list[str]:
        return [f"{kind}{random.randrange(count)}" for _ in range(random.randint(2, most))]

    params = [f"param a{k} = {random.randint(1, 99) / 10}" for k in range(count)]
    lets = [
        f"let t{k} = {' + '.join(f'a{random.randrange(count)}*{name}' for name in some('y'))}" for k in range(count)
    ]
    xs = [f"  var x{k} in [0, {random.randint(1, 9)}] start 1" for k in range(count)]
    ys = [f"  var y{k} >= 0" for k in range(count)]
    caps = [f"  cap{k}: {' + '.join(some('y'))} + x{k} <= {random.randint(5, 50)}" for k in range(count)]
    squares = " +\n    ".join(f"(y{k} - x{random.randrange(count)} - a{k})^2" for k in range(count))
    total = " + ".join(f"t{k}^2" for k in range(0, count, 10)) + " + " + " + ".join(f"x{k}" for k in range(count))
    upper = ["upper {", *xs, f"  minimize {total}", "}"]
    lower = ["lower {", *ys, f"  minimize {squares}", *caps, "}"]
    return "\n".join([*params, *lets, *upper, *lower, ""])


def stages(source: Source, folder: Path) -> dict[str, float]:
    """The seconds of processor time of each stage of a check."""
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], T]) -> T:
        begin = time.process_time()
        result = work()
        seconds[name] = time.process_time() - begin
        return result

    tree = timed("parse", lambda: parse(source))
    model = Model.from_ast(tree, folder)
    program = timed("elaborate", model.program)
    facts = timed("certify", lambda: certify(program))
    claimed = timed("claims", lambda: check_claims(program, facts)[0])
    timed("verdict", lambda: _verdict(program, claimed, ()))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--lines", type=int, default=2_000)
    parser.add_argument("--profile", action="store_true", help="also print where the time goes")
    given: Any = parser.parse_args()
    loads("upper { var x; minimize x^2 }\nlower { var y; minimize (y - x)^2 }").check()  # imports
    source = load_source(given.model) if given.model else Source("generated.blv", scalar_model(given.lines))
    folder = given.model.parent if given.model else Path()
    print(f"{source.text.count(chr(10))} lines, {len(source.text):,} characters")
    profile = cProfile.Profile()
    seconds = profile.runcall(stages, source, folder) if given.profile else stages(source, folder)
    for stage, spent in {**seconds, "sum": sum(seconds.values())}.items():
        print(f"{stage:10} {spent:6.2f} s")
    if given.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    main()
