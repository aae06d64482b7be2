"""What several tests of backends need."""

from collections import Counter

import pytest

from bileveldsl.execute.codegen import Function
from bileveldsl.execute.problem import CompiledProblem


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each oracle was evaluated, counted where its compiled function is fetched."""
    counted: Counter[str] = Counter()
    fetch = CompiledProblem.function

    def function(problem: CompiledProblem, name: str) -> Function:
        counted[name] += 1
        return fetch(problem, name)

    monkeypatch.setattr(CompiledProblem, "function", function)
    return counted
