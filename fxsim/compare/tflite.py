"""LiteRT as reference: what its reference kernels compute for every tensor that a graph has a name for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.graph import Graph
from fxsim.integers import Array


def run(path: Path, graph: Graph, x: Sequence[Array] | Array) -> dict[str, Array]:
    """{tensor name in `graph.names`: values, batch first}, computed by LiteRT with its reference kernels.

    `graph` is `fxsim.load(path)`; x is one array of real values per input, (samples, ...). Integers are the
    codes that `graph.codes` gives, floats are real values (what DEQUANTIZE made). An int8 input is quantized
    by the graph's own encoder, as the file has no operator for it. ImportError without the extra.
    """
    from fxsim.load.tflite.flatfile import read

    file = read(Path(path))
    arrays = [x] if isinstance(x, np.ndarray) else list(x)
    found = interpreter(Path(path))
    feeds = {}
    for node, encoder, values in zip(graph.inputs, graph.encoders, arrays, strict=True):
        t = next(file.tensors[i] for i in file.inputs if file.tensors[i].name == node.name)
        if t.type == "FLOAT32":
            feeds[t.index] = values.astype(np.float32)
        else:
            feeds[t.index] = encoder.encode(values, node.name).astype(np.int8)
    wanted = {t.index: t.name for t in file.tensors if t.name in graph.names and t.data is None}
    wanted = {i: k for i, k in wanted.items() if graph.names[k].value is not None}
    first = file.tensors[file.inputs[0]].shape
    step, samples = first[0] if len(first) > 1 else 1, len(arrays[0])
    rows: dict[str, list[Array]] = {k: [] for k in wanted.values()}
    for at in range(0, samples, step):
        for i, values in feeds.items():
            part = values[at : at + step]
            full = np.concatenate([part, np.repeat(part[-1:], step - len(part), 0)])
            found.set_tensor(i, full.reshape(file.tensors[i].shape))
        found.invoke()
        for i, name in wanted.items():
            value = np.array(found.get_tensor(i))
            rows[name].append(value.reshape(step, -1)[: samples - at])
    shapes = {k: n.value.type.shape for k, n in graph.names.items() if n.value is not None}
    return {k: np.concatenate(v).reshape(samples, *shapes[k]) for k, v in rows.items()}


def interpreter(path: Path) -> Any:
    """LiteRT on a file: one thread, reference kernels, every tensor kept, ready to be fed."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as e:
        raise ImportError("comparing with LiteRT needs ai-edge-litert: install fxsim-hdl[reference]") from e
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # keeping all tensors is what is wanted here
        found = Interpreter(
            model_path=str(path),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
    found.allocate_tensors()
    return found
