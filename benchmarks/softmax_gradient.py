"""Gradient and Hessian-vector product of a weighted softmax loss: generated code against code written by hand.

Run as `python benchmarks/softmax_gradient.py [--engine numpy jax] [--samples N] [--repeats K]`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import bileveldsl as blv
from bileveldsl.execute.engine import Engine, engine
from bileveldsl.execute.problem import CompiledProblem, compile_problem

FEATURES, CLASSES, REGULARIZATION = 784, 10, 1e-3


def model(X: np.ndarray, Y: np.ndarray) -> Any:
    """Hyper-cleaning: the leader weighs the samples, the follower fits the classifier."""
    m = blv.Model("softmax")
    n, p, c = m.dim("n", "p", "c")
    data, labels = m.param("X", n, p, value=X), m.param("Y", n, c, value=Y)
    s = m.upper.var("s", n)
    W = m.lower.var("W", p, c)
    m.upper.minimize(blv.sumsq(W))
    loss = blv.logsumexp(data @ W, c) - blv.sum(labels * (data @ W), c)
    m.lower.minimize(blv.dot(blv.sigmoid(s), loss) / n + REGULARIZATION * blv.sumsq(W))
    return m


class NumpyByHand:
    """What one would write in NumPy, with the softmax computed from shifted exponentials."""

    def __init__(self, X: np.ndarray, Y: np.ndarray):
        self.X, self.Y = X, Y

    def softmax(self, W: np.ndarray) -> np.ndarray:
        Z = self.X @ W
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)

    def gradient(self, s: np.ndarray, w: np.ndarray) -> np.ndarray:
        W = w.reshape(FEATURES, CLASSES)
        weights = 1 / (1 + np.exp(-s)) / len(s)
        G = self.X.T @ (weights[:, None] * (self.softmax(W) - self.Y)) + 2 * REGULARIZATION * W
        return G.ravel()

    def product(self, s: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        W, V = w.reshape(FEATURES, CLASSES), v.reshape(FEATURES, CLASSES)
        weights = 1 / (1 + np.exp(-s)) / len(s)
        P, R = self.softmax(W), self.X @ V
        T = P * (R - np.sum(P * R, axis=1, keepdims=True))
        return (self.X.T @ (weights[:, None] * T) + 2 * REGULARIZATION * V).ravel()


class JaxByHand:
    """What one would write in JAX: the loss, differentiated by JAX."""

    def __init__(self, X: np.ndarray, Y: np.ndarray):
        import jax
        import jax.numpy as jnp

        self.data = jnp.asarray(X), jnp.asarray(Y)

        def loss(data: Any, s: Any, w: Any) -> Any:
            W = w.reshape(FEATURES, CLASSES)
            Z = data[0] @ W
            losses = jax.nn.logsumexp(Z, axis=1) - jnp.sum(data[1] * Z, axis=1)
            return jax.nn.sigmoid(s) @ losses / len(s) + REGULARIZATION * jnp.sum(W**2)

        first = jax.grad(loss, argnums=2)
        self._gradient = jax.jit(first)
        self._product = jax.jit(lambda data, s, w, v: jax.jvp(lambda w: first(data, s, w), (w,), (v,))[1])

    def gradient(self, s: Any, w: Any) -> Any:
        return self._gradient(self.data, s, w)

    def product(self, s: Any, w: Any, v: Any) -> Any:
        return self._product(self.data, s, w, v)


def milliseconds(calls: list[Callable[[], Any]], wait: Callable[[Any], Any], repeats: int) -> list[float]:
    """The median time of each call; the calls take turns, so that other work on the machine hits all of them."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats + 1):  # the first round, with compilation, is left out below
        for record, call in zip(times, calls, strict=True):
            begin = time.perf_counter()
            wait(call())
            record.append(1e3 * (time.perf_counter() - begin))
    return [statistics.median(record[1:]) for record in times]


def compare(chosen: Engine, problem: CompiledProblem, by_hand: Any, repeats: int) -> None:
    random = np.random.default_rng(1)
    s, w, v = (chosen.asarray(random.normal(size=k) / 10) for k in (problem.nx, problem.ny, problem.ny))
    pairs = {
        "gradient": (lambda: problem.grad_f_y(s, w), lambda: by_hand.gradient(s, w)),
        "Hessian-vector product": (lambda: problem.hvp(s, w, v), lambda: by_hand.product(s, w, v)),
    }
    for name, (ours, theirs) in pairs.items():
        np.testing.assert_allclose(ours(), theirs(), rtol=1e-8, atol=1e-12)
        generated, hand = milliseconds([ours, theirs], chosen.block, repeats)
        print(f"{chosen.name:6} {name:24} {generated:10.2f} {hand:10.2f} {generated / hand:7.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["numpy", "jax"], nargs="+", default=["numpy", "jax"])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    X = random.normal(size=(arguments.samples, FEATURES))
    Y = np.eye(CLASSES)[random.integers(0, CLASSES, arguments.samples)]
    program = model(X, Y).program()
    print(f"{'engine':6} {f'median of {arguments.repeats}, ms':24} {'generated':>10} {'by hand':>10} {'ratio':>7}")
    for name in arguments.engine:
        chosen = engine(name)
        problem = compile_problem(program, chosen)
        for oracle in ("grad_f_y", "hvp"):
            problem.function(oracle)
        compare(chosen, problem, {"numpy": NumpyByHand, "jax": JaxByHand}[name](X, Y), arguments.repeats)
        print(f"{name:6} derivation and code generation of both: {1e3 * problem.compile_seconds:.0f} ms")


if __name__ == "__main__":
    main()
