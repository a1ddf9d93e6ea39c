"""The Keras reference: what Keras itself computes for every tensor that a graph has a name for."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fxsim.graph import Graph
from fxsim.integers import Array

BACKENDS = ("torch", "jax", "tensorflow")
BATCH = 256
# The parts of HGQ2's composite layers, by the names that the loader gives them.
PARTS = {
    "_key_dense": "key", "_query_dense": "query", "_value_dense": "value", "_softmax": "softmax",
    "_output_dense": "attention_output", "exp_table": "exp_table", "inv_table": "inv_table",
}  # fmt: skip


def run(path: Path, graph: Graph, x: Array | Sequence[Array]) -> dict[str, Array]:
    """{name: real values (float64), batch first} of each name of `graph` that Keras computes for x.

    The file is loaded by Keras (with HGQ2, in Keras' safe mode), evaluated for inference in batches, and
    every layer and quantizer is recorded under the loader's name of it. `x` is one array, or a list with
    one for each input. ImportError names the extra; errors of Keras pass through.
    """
    keras = _keras()
    model = keras.saving.load_model(path, compile=False)
    inputs = [x] if isinstance(x, np.ndarray) else list(x)
    parts: dict[str, list[Array]] = {}
    names = {k for k, n in graph.names.items() if n.value is not None}
    recorder = Recorder(keras, model, names)
    for start in range(0, max(len(inputs[0]), 1), BATCH):
        batch = [
            keras.ops.convert_to_tensor(np.asarray(v[start : start + BATCH], np.float32)) for v in inputs
        ]
        for name, values in recorder(batch).items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _keras() -> Any:
    """keras, with a back end that is installed where nobody chose one."""
    if "keras" not in sys.modules and "KERAS_BACKEND" not in os.environ:
        found = [b for b in BACKENDS if importlib.util.find_spec(b)]
        if found:
            os.environ["KERAS_BACKEND"] = found[0]
    try:
        import keras
    except ImportError as e:
        raise ImportError("the Keras reference needs keras and hgq2: install fxsim-hdl[reference]") from e
    if importlib.util.find_spec("hgq"):
        import hgq.layers  # noqa: F401  # registers HGQ2's layers
    return keras


class Recorder:
    """Evaluates a model and keeps what its layers and quantizers return, by the loader's names.

    Further calls of a shared layer get the suffix _call1, ... in the order of the model's configuration.
    """

    def __init__(self, keras: Any, model: Any, names: set[str]) -> None:
        self.keras, self.model, self.names = keras, model, names
        self.labels: dict[int, str] = {}
        self.nodes: dict[int, list[int]] = {}
        self._network(model, "")

    def __call__(self, batch: list[Any]) -> dict[str, Array]:
        self.found: dict[str, Array] = {}
        for tensor, values in zip(self.model.inputs, batch, strict=True):
            self._keep(id(tensor._keras_history.operation), "", values)
        self.counts: list[dict[int, int]] = [{}]
        self.suffixes = [""]
        with self._recording():
            self.model(batch if len(batch) > 1 else batch[0], training=False)
        return self.found

    def _network(self, model: Any, prefix: str) -> None:
        """Labels of a model's layers, and which node each of their calls is."""
        function = getattr(model, "_functional", None) or model
        depths = sorted(function._nodes_by_depth, reverse=True)
        order = [node for depth in depths for node in function._nodes_by_depth[depth]]
        own = set(order)
        for node in order:
            calls = [n for n in node.operation._inbound_nodes if n in own]
            self.nodes.setdefault(id(node.operation), []).append(calls.index(node))
        for operation in function.operations:
            label = prefix + operation.name
            self.labels.setdefault(id(operation), label)
            if isinstance(operation, self.keras.Model):
                self._network(operation, f"{label}/")
            else:
                self._layer(operation, label)

    def _layer(self, layer: Any, label: str) -> None:
        """Labels of a layer's own quantizers and parts."""
        for key in ("iq", "oq"):
            q = getattr(layer, f"_{key}", None)
            if q is None:
                continue
            if hasattr(q, "quantizers"):
                for i, one in enumerate(q.quantizers):
                    self.labels.setdefault(id(one), f"{label}_{key}_{i}")
            else:
                self.labels.setdefault(id(q), f"{label}_{key}")
        for attribute, part in PARTS.items():
            inner = getattr(layer, attribute, None)
            if inner is not None and id(inner) not in self.labels:
                self.labels[id(inner)] = f"{label}_{part}"
                self._layer(inner, f"{label}_{part}")

    @contextmanager
    def _recording(self) -> Iterator[None]:
        operation = self.keras.Operation
        original = operation.__call__
        recorder = self

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            order = recorder.nodes.get(id(self))
            suffix = recorder.suffixes[-1]
            if order is not None:
                count = recorder.counts[-1].get(id(self), 0)
                recorder.counts[-1][id(self)] = count + 1
                node = order[count % len(order)]
                suffix += f"_call{node}" if node else ""
            recorder.suffixes.append(suffix)
            recorder.counts.append({})
            try:
                result = original(self, *args, **kwargs)
            finally:
                recorder.suffixes.pop()
                recorder.counts.pop()
            recorder._keep(id(self), suffix, result)
            return result

        operation.__call__ = call
        try:
            yield
        finally:
            operation.__call__ = original

    def _keep(self, key: int, suffix: str, result: Any) -> None:
        label = self.labels.get(key, "") + suffix
        if label in self.names and not isinstance(result, (tuple, list, dict)):
            values = self.keras.ops.convert_to_numpy(result)
            self.found[label] = np.asarray(values, np.float64)
