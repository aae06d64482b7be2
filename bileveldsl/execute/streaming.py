"""Problems whose data stays in files: every oracle is the mean over blocks of the data, which are read one by one.

All oracles are linear in F and f, and these are affine in their sums over the axes that the levels name as
`minibatch`. So an oracle of the whole is the mean of that of samples which together hold each position once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bileveldsl.calculus.expr import symbols_of
from bileveldsl.certify.facts import Fact
from bileveldsl.execute.engine import Engine
from bileveldsl.execute.namespace import Array
from bileveldsl.execute.problem import CompiledProblem, PureOracles
from bileveldsl.execute.sampling import NotSampled, split_program
from bileveldsl.language.data.mapped import is_mapped
from bileveldsl.program import Program

BLOCK_BYTES = 2**25  # of each array that is in memory at once


class StreamedProblem(CompiledProblem):
    """A compiled problem with so many blocks of data, of which one is in memory; for engines that do not compile.

    Raises
    ------
    NotSampled
        Where an objective is not affine in its sums over the axes named as `minibatch`.
    """

    def __init__(self, program: Program, engine: Engine, facts: Iterable[Fact], blocks: int):
        split, batches = split_program(program, blocks)
        super().__init__(split, engine, facts)
        self.program = program
        self.blocks = blocks
        self._batches = tuple(batch for found in batches.values() for batch in found)

    def bind(self, constants: Mapping[str, Array]) -> PureOracles:
        return _Streamed(self, constants)

    def arrays(self, constants: Mapping[str, Array]) -> Iterator[Mapping[str, Array]]:
        """The constants with the data of one block after the other."""
        for number in range(self.blocks):
            found = dict(constants)
            for batch in self._batches:
                found |= batch.block(self.constants, number, self.blocks)
            yield found

    def _evaluate(self, name: str, *vectors: Array) -> Any:
        self._count(name)
        return self.pure._evaluate(name, *vectors)


class _Streamed(PureOracles):
    """The means over all blocks."""

    def __init__(self, problem: StreamedProblem, constants: Mapping[str, Array]):
        super().__init__(problem, constants)
        self._streamed = problem

    def _evaluate(self, name: str, *vectors: Array) -> Any:
        function, blocks = self._streamed.function(name), self._streamed.blocks
        total: list[Any] = []
        for arrays in self._streamed.arrays(self._constants):
            found = function.with_constants(arrays, *vectors)
            parts = found if isinstance(found, tuple) else (found,)
            total = [a + b for a, b in zip(total, parts, strict=True)] if total else list(parts)
        means = tuple(part / blocks for part in total)
        return means if isinstance(found, tuple) else means[0]


def streamed(program: Program, engine: Engine, facts: Iterable[Fact]) -> StreamedProblem | None:
    """The problem in blocks, if it has mapped data along the axes named as `minibatch` that can be split."""
    blocks = 1
    for level in program.levels:
        dims = {axis.dim for axis in level.minibatch}
        for symbol in symbols_of(level.objective):
            if symbol.role == "data" and is_mapped(symbol.value) and dims.intersection(symbol.dims):
                longest = max(dim.size for dim in symbol.dims if dim in dims)
                blocks = max(blocks, min(math.ceil(8 * math.prod(symbol.shape) / BLOCK_BYTES), longest))
    if blocks == 1 or engine.vmap is not None:
        return None
    try:
        return StreamedProblem(program, engine, facts, blocks)
    except NotSampled:
        return None
