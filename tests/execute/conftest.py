"""Both engines; the JAX one only where JAX is installed."""

import pytest

from bileveldsl.execute.engine import Engine, jax_engine, numpy_engine


@pytest.fixture(params=["numpy", "jax"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "jax":
        pytest.importorskip("jax")
        return jax_engine()
    return numpy_engine()
