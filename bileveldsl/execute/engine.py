"""The two ways to run generated code and solver loops: NumPy as it is, and JAX compiled.

Solvers are written once with an engine's primitives. `auto` is NumPy, which always works and has no compile
time; JAX pays where a run takes many cheap steps, since it compiles whole loops.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from bileveldsl.execute.namespace import Array, JaxNamespace, Namespace, NumpyNamespace
from bileveldsl.language.diagnostics import BlvError, Diagnostic

State = TypeVar("State")


@dataclass(frozen=True, eq=False)
class Engine:
    """An array namespace with its control flow; every callable has the signature of `jax.lax`.

    Attributes
    ----------
    asarray : puts an array on the engine's device, as float64 (or int64 for integers)
    jit : makes a function of arrays fast; under NumPy it only keeps arithmetic from warning, as values tell
    fori_loop : (lower, upper, body(i, state), state) -> state
    while_loop : (condition(state), body(state), state) -> state
    cond : (predicate, if_true(*operands), if_false(*operands), *operands) -> result
    block : waits until the arrays of a state are computed
    vmap : (function, in_axes) -> the function for many arguments at once, as `jax.vmap`; None where there is none
    """

    name: str
    xp: Namespace
    asarray: Callable[[Any], Array]
    jit: Callable[[Callable[..., Any]], Callable[..., Any]]
    fori_loop: Callable[[Any, Any, Callable[[Any, State], State], State], State]
    while_loop: Callable[[Callable[[State], Any], Callable[[State], State], State], State]
    cond: Callable[..., Any]
    block: Callable[[State], State]
    vmap: Callable[..., Callable[..., Any]] | None = None

    def compile(self, name: str, source: str) -> Callable[..., Any]:
        """The function `name` that the source text defines over the namespace `xp`."""
        variables: dict[str, Any] = {"xp": self.xp}
        exec(compile(source, f"<{name}>", "exec"), variables)  # the text is the code generator's own
        return variables[name]


def engine(name: Literal["auto", "numpy", "jax"] = "auto") -> Engine:
    """The engine of that name; `auto` is NumPy."""
    return {"auto": numpy_engine, "numpy": numpy_engine, "jax": jax_engine}[name]()


@functools.cache
def numpy_engine() -> Engine:
    """The engine that always works."""
    return Engine(
        name="numpy",
        xp=NumpyNamespace(),
        asarray=_numpy_array,
        jit=_quiet,
        fori_loop=_fori_loop,
        while_loop=_while_loop,
        cond=lambda predicate, if_true, if_false, *operands: (if_true if predicate else if_false)(*operands),
        block=lambda state: state,
    )


@functools.cache
def jax_engine() -> Engine:
    """The engine that compiles; making it switches JAX to float64 for the whole process (`jax_enable_x64`).

    Raises
    ------
    BlvError
        E602 when JAX is not installed.
    """
    try:
        import jax
    except ImportError:
        mend = "pip install 'bileveldsl[jax]', or use the numpy engine"
        raise BlvError([Diagnostic("E602", "the jax engine needs JAX, which is not installed", help=mend)]) from None
    jax.config.update("jax_enable_x64", True)
    return Engine(
        name="jax",
        xp=JaxNamespace(),
        asarray=lambda value: jax.numpy.asarray(_numpy_array(value)),
        jit=jax.jit,
        fori_loop=jax.lax.fori_loop,
        while_loop=jax.lax.while_loop,
        cond=jax.lax.cond,
        block=jax.block_until_ready,
        vmap=jax.vmap,
    )


def _numpy_array(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array if array.dtype == np.int64 else array.astype(np.float64, copy=False)


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return run


def _fori_loop(lower: int, upper: int, body: Callable[[int, State], State], state: State) -> State:
    for index in range(lower, upper):
        state = body(index, state)
    return state


def _while_loop(condition: Callable[[State], Any], body: Callable[[State], State], state: State) -> State:
    while condition(state):
        state = body(state)
    return state
