"""Writes small .tflite files with the schema's object classes, and runs them in LiteRT on every tensor."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

TYPES = {np.dtype(getattr(np, k.lower())): getattr(schema.TensorType, k) for k in
         ("INT8", "UINT8", "INT16", "INT32", "INT64", "FLOAT32", "FLOAT16")}  # fmt: skip
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH")


class Writer:
    """One subgraph under construction; tensors are their indices."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, "test"
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.graph.name = "main"
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        scale: Any = None,
        zero: Any = 0,
        dtype: Any = np.int8,
        data: Any = None,
        axis: int = 0,
        signature: Sequence[int] | None = None,
    ) -> int:
        t = schema.TensorT()
        t.name, t.shape, t.type = name, np.array(shape, np.int32), TYPES.get(np.dtype(dtype))
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.array(scale, np.float32))
            q.zeroPoint = np.broadcast_to(np.array(zero, np.int64), q.scale.shape).copy()
            q.quantizedDimension = axis
            t.quantization = q
        if signature is not None:
            t.shapeSignature = np.array(signature, np.int32)
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, data: Any, scale: Any = None, zero: Any = 0, axis: int = 0) -> int:
        data = np.asarray(data)
        return self.tensor(name, data.shape, scale, zero, data.dtype, data, axis)

    def integers(self, name: str, values: Any) -> int:
        return self.constant(name, np.array(values, np.int32))

    def op(self, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        self.model.operatorCodes.append(code)
        o = schema.OperatorT()
        o.opcodeIndex = len(self.model.operatorCodes) - 1
        o.inputs, o.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        kind = options.pop("kind", None)
        if kind is not None:
            o.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            o.builtinOptions = getattr(schema, f"{kind}T")()
            for k, v in options.items():
                assert hasattr(o.builtinOptions, k), k
                setattr(o.builtinOptions, k, v)
        self.graph.operators.append(o)

    def ends(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        self.graph.inputs, self.graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)

    def bytes(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def save(self, path: Path) -> Path:
        path.write_bytes(self.bytes())
        return path


def interpreter(path: Path, resolver: Any = OpResolverType.BUILTIN_REF) -> Any:
    """LiteRT with its reference kernels, every tensor kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Interpreter(
            model_path=str(path),
            experimental_op_resolver_type=resolver,
            experimental_preserve_all_tensors=True,
        )
    found.allocate_tensors()
    return found


def litert(path: Path, *inputs: Any, resolver: Any = OpResolverType.BUILTIN_REF) -> dict[str, np.ndarray]:
    """Every tensor that LiteRT computes for a batch of samples, by name, batch first."""
    found = interpreter(path, resolver)
    given = found.get_input_details()
    rows: dict[str, list[np.ndarray]] = {}
    for k in range(len(inputs[0])):
        for d, x in zip(given, inputs, strict=True):
            found.set_tensor(d["index"], np.asarray(x[k], d["dtype"]).reshape(d["shape"]))
        found.invoke()
        for d in found.get_tensor_details():
            if d["name"]:
                try:
                    rows.setdefault(d["name"], []).append(found.get_tensor(d["index"]).copy())
                except ValueError:
                    continue
    return {k: np.stack(v) for k, v in rows.items()}


def equal(rng: np.random.Generator, path: Path, samples: int, rescale: str = "auto") -> Any:
    """Loads the file and compares every named tensor's codes with LiteRT's on random codes; the graph."""
    import fxsim

    graph = fxsim.load(path, rescale=rescale)
    raw = [rng.integers(-128, 128, (samples, *i.type.shape)) for i in graph.inputs]
    for x in raw:
        x[0], x[1] = -128, 127
    want = litert(path, *raw)
    got = codes_of(graph, *raw)
    assert set(got) == {k for k, n in graph.names.items() if n.value is not None}
    for name, codes in got.items():
        expected = want[name]
        if expected.dtype == np.float32:
            affine = graph.names[name].affine
            reals = affine.apply(codes, 0, codes.ndim - 1).astype(np.float32)
            assert np.array_equal(reals.reshape(samples, -1), expected.reshape(samples, -1)), name
        else:
            assert np.array_equal(codes.reshape(samples, -1), expected.reshape(samples, -1)), name
    outputs = graph.run_raw(*raw)
    for name, y in zip(graph.output_names, outputs if len(graph.outputs) > 1 else [outputs], strict=True):
        assert np.array_equal(y, got[name]), name
    return graph


def codes_of(graph: Any, *raw: Any) -> dict[str, np.ndarray]:
    """The raw integers of every named tensor, for raw inputs."""
    names = [k for k, n in graph.names.items() if n.value is not None]
    shown = graph.exposing(*(n for n in names if n not in graph.output_names))
    found = shown.run_raw(*raw)
    found = found if isinstance(found, (tuple, list)) else [found]
    return dict(zip(shown.output_names, found, strict=True))
