"""The three searches behind one call, each answer turned into a neutral graph; imports happen in `load`."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from .graphs import Builder, Graph
from .matrices import Array, gen

MODES = {"unlimited": -1, "min": 0}  # hard_dc of da4ml and alkaid
Solver = Callable[[Array, str], Any]


def peers() -> dict[str, Solver]:
    """da4ml and alkaid as solve(W, mode) for 8-bit signed inputs, imported and called once.

    Their options are the defaults but for hard_dc, which is 0 for the least depth.
    """
    import alkaid.cmvm
    import da4ml.cmvm

    def da4ml_solve(weights: Array, mode: str) -> Any:
        intervals = [(-128.0, 127.0, 1.0)] * len(weights)
        return da4ml.cmvm.solve(weights.astype(np.float32), hard_dc=MODES[mode], qintervals=intervals)

    def alkaid_solve(weights: Array, mode: str) -> Any:
        intervals = [(-128.0, 127.0, 1.0)] * len(weights)
        return alkaid.cmvm.cmvm_solve(weights.astype(np.float32), hard_dc=MODES[mode], qintervals=intervals)

    return _warm({"da4ml": da4ml_solve, "alkaid": alkaid_solve})


@contextmanager
def uncached() -> Iterator[None]:
    """Nothing that `rtl.shift_add` solved before is remembered inside, in memory or on disk."""
    from rtl.shift_add import solver

    for function in vars(solver).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()
    before = os.environ.get("FXSIM_CACHE")
    os.environ["FXSIM_CACHE"] = f"{_scratch()}/{next(_CALLS)}"
    try:
        yield
    finally:
        del os.environ["FXSIM_CACHE"]
        if before is not None:
            os.environ["FXSIM_CACHE"] = before


_CALLS = itertools.count()


@cache
def _scratch() -> str:
    """A folder for the caches of all calls, made once: calls timed around it are of microseconds."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def ours(effort: float | str, seed: int = 0, objective: str = "adders") -> Solver:
    """`rtl.shift_add.solve` with this effort, compiled and called once; no answer comes out of a cache."""
    from rtl import shift_add

    def solve(weights: Array, mode: str, effort: float | str = effort) -> Any:
        limit = None if mode == "unlimited" else mode
        with uncached():
            return shift_add.solve(weights, max_depth=limit, effort=effort, seed=seed, objective=objective)

    _warm({"": lambda weights, mode: solve(weights, mode, "fast" if effort == "fast" else 0.01)})
    return solve


def _warm(solvers: dict[str, Solver]) -> dict[str, Solver]:
    for solve in solvers.values():
        for mode in MODES:
            solve(gen(3, 4, 0), mode)
    return solvers


def neutral(answer: Any, n_in: int) -> Graph:
    """The graph of any tool's answer: da4ml's pipeline, alkaid's two programs, or an AdderGraph."""
    if hasattr(answer, "nodes"):
        return _ours(answer)
    builder = Builder(n_in)
    terms: list[Any] = [(i, 0, 1) for i in range(n_in)]
    for stage in getattr(answer, "solutions", answer):
        wires: list[Any] = []
        for op in stage.ops:
            kind, first, second, shift = _operation(op)
            if kind == -1:
                wires.append(_scaled(terms[first], stage.inp_shifts[first], 1))
            else:
                wires.append(builder.add(wires[first], _scaled(wires[second], shift, -1 if kind else 1)))
        terms = [
            None if k < 0 else _scaled(wires[k], shift, -1 if negative else 1)
            for k, shift, negative in zip(stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True)
        ]
    return builder.graph(terms)


def _operation(op: Any) -> tuple[int, int, int, int]:
    """(kind, first, second, shift) of an operation: kind -1 reads input `first`, 0 adds, 1 subtracts."""
    if hasattr(op, "addr"):  # alkaid
        kind, shift = op.opcode, op.data[0]
        first, second = (op.data[0], -1) if kind == -1 else op.addr
    else:
        kind, first, second, shift = op.opcode, op.id0, op.id1, op.data
    if kind not in (-1, 0, 1):
        raise ValueError(f"operations of a matrix product must be inputs, additions, subtractions, not {op}")
    return kind, first, second, shift


def _scaled(term: Any, shift: int, sign: int) -> Any:
    return None if term is None else (term[0], term[1] + shift, term[2] * sign)


def _ours(graph: Any) -> Graph:
    constants = len(getattr(graph, "constants", ()))
    if constants:
        raise ValueError("a graph of a matrix product alone must have no constants")
    builder = Builder(graph.n_in)
    wires: list[Any] = [(i, 0, 1) for i in range(graph.n_in)]
    for n in graph.nodes:
        a, b = _scaled(wires[n.a], n.shift_a, n.sign_a), _scaled(wires[n.b], n.shift_b, n.sign_b)
        wires.append(builder.add(a, b))
    return builder.graph(
        None if o.wire is None else _scaled(wires[o.wire], o.shift, o.sign) for o in graph.outputs
    )
