"""Equality with Keras, node by node: the codes that Keras' numbers are, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.compare.keras import run
from fxsim.compare.reference import decode
from fxsim.graph import Graph


def mismatches(graph: Graph, path: Path, x: Sequence[np.ndarray[Any, Any]]) -> dict[str, int]:
    """Elements that differ, per name; every name with a value must be computed by Keras.

    Where the value is on a binary grid, Keras' float is the code times the LSB exactly. Elsewhere (averages,
    plain batch norm) Keras rounds the real value to float32, and the code is the one nearest to it.
    """
    codes, reals = graph.codes(*x), run(path, graph, x)
    out = {}
    for name, entry in graph.names.items():
        if entry.value is None:
            continue
        assert name in reals, f"Keras does not compute {name!r}"
        found, _ = decode(name, entry, reals[name], len(x[0]))
        off = int((found != codes[name]).sum())
        if entry.affine.is_identity:
            exact = np.ldexp(np.asarray(codes[name], np.float64), -entry.value.type.frac)
            off = int((exact != reals[name]).sum())
        out[name] = off
    return out
