"""Models built in Python that several tests look at."""

from __future__ import annotations

from typing import Any

import numpy as np

import bileveldsl as blv
from bileveldsl.language import ast
from bileveldsl.language.diagnostics import Source
from bileveldsl.language.parse import parse


def reparsed(model: blv.Model) -> ast.Model:
    return parse(Source("print", model.to_blv()))


def ridge(samples: int = 30) -> tuple[blv.Model, Any]:
    """The example of the language's description, word for word."""
    data = np.random.default_rng(0)
    X_train, y_train = data.normal(size=(samples, 4)), data.normal(size=samples)
    X_val, y_val = data.normal(size=(10, 4)), data.normal(size=10)

    m = blv.Model("ridge")
    n, k, p = m.dim("n", "m", "p")
    X, y = m.param("X", n, p, value=X_train), m.param("y", n, value=y_train)
    Xv, yv = m.param("Xv", k, p, value=X_val), m.param("yv", k, value=y_val)
    loglam = m.upper.var("loglam", p, between=(-8, 4), start=0)
    w = m.lower.var("w", p)
    m.upper.minimize(blv.sumsq(Xv @ w - yv) / k)
    m.lower.minimize(blv.sumsq(X @ w - y) / n + blv.sum(blv.exp(loglam) * w**2))
    return m, w
