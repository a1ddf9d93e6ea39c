"""The three searches behind one call, each answer turned into a neutral graph; imports happen in `load`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .graphs import Builder, Graph

MODES = {"unlimited": -1, "min": 0}  # hard_dc of da4ml and alkaid
Solver = Callable[[np.ndarray, str], Any]
TOOLS = ("ours", "da4ml", "alkaid")


def load() -> dict[str, Solver]:
    """name -> solve(W, mode), imported, and called once for each mode so that everything is compiled."""
    import alkaid.cmvm
    import da4ml.cmvm

    def da4ml_solve(weights: np.ndarray, mode: str) -> Any:
        intervals = [(-128.0, 127.0, 1.0)] * len(weights)
        return da4ml.cmvm.solve(weights.astype(np.float32), hard_dc=MODES[mode], qintervals=intervals)

    def alkaid_solve(weights: np.ndarray, mode: str) -> Any:
        intervals = [(-128.0, 127.0, 1.0)] * len(weights)
        return alkaid.cmvm.cmvm_solve(
            weights.astype(np.float32), hard_dc=MODES[mode], qintervals=intervals
        )

    return {"da4ml": da4ml_solve, "alkaid": alkaid_solve}


def neutral(answer: Any, n_in: int) -> Graph:
    """The graph of any tool's answer: da4ml's pipeline, alkaid's two programs, or an AdderGraph."""
    if hasattr(answer, "nodes"):
        return _ours(answer)
    stages = getattr(answer, "solutions", answer)
    builder = Builder(n_in)
    terms: list[Any] = [(i, 0, 1) for i in range(n_in)]
    for stage in stages:
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
        kind = op.opcode
        first, second = (op.data[0], -1) if kind == -1 else op.addr
    else:
        kind, first, second = op.opcode, op.id0, op.id1
    if kind not in (-1, 0, 1):
        raise ValueError(f"operations of a matrix product must be inputs, additions, subtractions, not {op}")
    data = op.data[0] if isinstance(op.data, tuple) else op.data
    return kind, first, second, data


def _scaled(term: Any, shift: int, sign: int) -> Any:
    return None if term is None else (term[0], term[1] + shift, term[2] * sign)


def _ours(graph: Any) -> Graph:
    builder = Builder(graph.n_in)
    wires: list[Any] = [(i, 0, 1) for i in range(graph.n_in)]
    for n in graph.nodes:
        wires.append(
            builder.add(_scaled(wires[n.a], n.shift_a, n.sign_a), _scaled(wires[n.b], n.shift_b, n.sign_b))
        )
    return builder.graph(None if o.wire is None else _scaled(wires[o.wire], o.shift, o.sign) for o in graph.outputs)
