"""A ModelGraph that runs on the emulator: predict and trace with hls4ml's shapes, dtypes and rounding."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from hls4ml.model.graph import ModelGraph

from fxsim.graph import Graph
from hls.plugin import traps
from hls.plugin.translate import translate
from hls.plugin.types import fmt, from_real, is_integer, to_real

_graphs: weakref.WeakKeyDictionary[ModelGraph, Graph] = weakref.WeakKeyDictionary()
_cores: weakref.WeakKeyDictionary[ModelGraph, Any] = weakref.WeakKeyDictionary()


class FxsimModel(ModelGraph):
    """hls4ml's ModelGraph of this backend. `integer_graph` is its fxsim.Graph, for every tool of fxsim."""

    @property
    def integer_graph(self) -> Graph:
        """The network as a graph of exact integers; made on first use."""
        return emulator(self)

    def compile(self) -> None:
        """Make the emulator; `write` writes the project."""
        emulator(self)

    @property
    def core(self) -> Any:
        """The network in hardware, a `rtl.Core`; made on first use."""
        return core(self)

    def simulate(self, x: Any = None, **options: Any) -> Any:
        """Simulate the Verilog in Verilator on samples as `predict` takes them (by default the project's
        vectors), against the emulator; `options` and result of `rtl.verify`, with pauses on both sides."""
        import rtl
        from hls.plugin.writer import vectors

        raw = vectors(self, emulator(self)) if x is None else encode(self, x)
        return rtl.verify(core(self), *raw, raw=True, **({"idle": 0.25, "backpressure": 0.25} | options))

    def trace(self, x: Any) -> tuple[Any, dict[str, Any]]:
        """(predict(x), {layer name: its output (samples, *shape)}) for the layers whose `Trace` is set."""
        return trace(self, x)


def adopt(model: ModelGraph) -> None:
    """Make a finished ModelGraph a FxsimModel, in place: hls4ml makes the object itself, before the backend's
    passes, and asks the backend for `predict` only."""
    model.__class__ = FxsimModel
    _graphs.pop(model, None)
    _cores.pop(model, None)


def emulator(model: ModelGraph) -> Graph:
    """The model's graph, translated once."""
    if model not in _graphs:
        _graphs[model] = translate(model)
        traps.warn(traps.check(model, _graphs[model]))
        if type(model) is ModelGraph:  # loaded from a file, where no pass of the backend ran
            model.__class__ = FxsimModel
    return _graphs[model]


def core(model: ModelGraph) -> Any:
    """The model's hardware, built once: by ClockPeriod where the configuration has one and Part is a family
    with a delay model (ecp5, ice40), else with MaxDepthPerStage adders between registers."""
    import rtl

    if model not in _cores:
        get = model.config.get_config_value
        family, period = str(get("Part") or "").lower()[:5], get("ClockPeriod")
        clocked = period and family in ("ecp5", "ice40")
        options = {"family": family, "clock_mhz": 1e3 / float(period)} if clocked else {}
        depth = get("MaxDepthPerStage", 4)
        _cores[model] = rtl.build(
            emulator(model), max_depth_per_stage=depth, effort=get("Effort", "fast"), **options
        )
    return _cores[model]


def predict(model: ModelGraph, x: Any) -> Any:
    """What the compiled Vitis project returns for x, bit for bit.

    x  float32 or float64 (a list of arrays for several inputs), (samples, *shape) or (samples, size), or one
       sample. Outputs are flat, (samples, size), of x's dtype; of one sample without the first axis; a list
       for several outputs.

    Inputs are cast to the input layer's type as its C++ does (WRAP wraps; NaN and infinity count as 2**1024).
    Raises TypeError for other dtypes, ValueError for shapes that hls4ml would misread.
    """
    graph = emulator(model)
    raw, samples, dtype = _encode(model, graph, x)
    return _shaped(model, _run(graph, raw), graph, samples, dtype)


def trace(model: ModelGraph, x: Any) -> tuple[Any, dict[str, Any]]:
    """(what `predict` returns, every traced layer's output)."""
    graph = emulator(model)
    raw, samples, dtype = _encode(model, graph, x)
    names = {
        layer.name: layer.outputs[0]
        for layer in model.get_layers()
        if layer.get_attr("trace", False) and layer.class_name not in ("Input", "InputLayer")
    }
    inner = [n for n in dict.fromkeys(names.values()) if n not in graph.output_names]
    exposed = graph.exposing(*inner) if inner else graph
    found = dict(zip(exposed.output_names, _run(exposed, raw), strict=True))
    y = _shaped(model, [found[n] for n in graph.output_names], graph, samples, dtype)
    frac = {n: node.type.frac for n, node in zip(exposed.output_names, exposed.outputs, strict=True)}
    return y, {layer: to_real(found[n], frac[n], dtype) for layer, n in names.items()}


def encode(model: ModelGraph, x: Any) -> list[np.ndarray]:
    """Raw integers (samples, *shape) of each input, as the C++ casts them. Errors as `predict`."""
    return _encode(model, emulator(model), x)[0]


def _encode(model: ModelGraph, graph: Graph, x: Any) -> tuple[list[np.ndarray], int, Any]:
    if len(graph.inputs) == 1:
        arrays: Sequence[Any] = [x[0] if isinstance(x, (list, tuple)) and len(x) == 1 else x]
    else:
        if not isinstance(x, (list, tuple)) or len(x) != len(graph.inputs):
            count = len(x) if isinstance(x, (list, tuple)) else type(x).__name__
            raise ValueError(f"x must be a list of {len(graph.inputs)} arrays, one per input, not {count}")
        arrays = x
    raw, counts, dtype = [], [], None
    for a, node, variable in zip(arrays, graph.inputs, model.get_input_variables(), strict=True):
        a = np.asarray(a)
        if a.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"input {node.name!r} must be float32 or float64, not {a.dtype}; use x.astype(np.float32)"
            )
        dtype = dtype or a.dtype
        shape = node.type.shape
        if a.ndim and len(a) and a.size == len(a) * node.type.size and a.ndim > 1:
            n = len(a)
        elif a.size == node.type.size and a.shape in (shape, (node.type.size,)):
            n = 1
        elif a.ndim and not len(a):
            n = 0
        else:
            dims = ", ".join(map(str, shape))
            raise ValueError(
                f"input {node.name!r} must have shape (samples, {dims}), flat (samples, {node.type.size}), "
                f"or that of one sample, not {a.shape}"
            )
        kind = variable.type.precision
        raw.append(from_real(a.reshape(n, *shape).astype(np.float64), fmt(kind), is_integer(kind)))
        counts.append(n)
    if len(set(counts)) != 1:
        raise ValueError(f"all inputs must have the same number of samples, not {counts}")
    traps.warn(traps.check_inputs(graph, [np.asarray(a) for a in arrays]))
    return raw, counts[0], dtype


def _run(graph: Graph, raw: list[np.ndarray]) -> list[np.ndarray]:
    out = graph.run_raw(*raw)
    return list(out) if isinstance(out, tuple) else [out]


def _shaped(model: ModelGraph, codes: list[np.ndarray], graph: Graph, samples: int, dtype: Any) -> Any:
    y = [
        to_real(c.reshape(samples, node.type.size), node.type.frac, dtype)
        for c, node in zip(codes, graph.outputs, strict=True)
    ]
    if samples == 1:
        y = [a[0] for a in y]
    return y[0] if len(y) == 1 else y
