"""PyTorch as reference: the integer codes of every quantizer, as the module itself computes them."""

from __future__ import annotations

import operator
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim.graph import Graph
from fxsim.integers import Array


def run(module: Any, graph: Graph, x: Array | Sequence[Array]) -> dict[str, Array]:
    """{quantizer's name in `graph.names`: integer codes as `graph.codes` gives them}, computed by torch.

    `graph` is `fxsim.load(module, example=...)`; x is one array per input of forward, batch first. Brevitas
    modules run as they are, and the QuantTensors of their quantizers are taken (`QuantTensor.int()`); any
    other module or ExportedProgram runs node by node, and the codes of its (fake) quantizers are taken,
    without their zero point. The module is not changed. ImportError without the extra.
    """
    from fxsim.load.torch.capture import require_torch

    torch = require_torch("comparing with torch")
    arrays = [x] if isinstance(x, np.ndarray) else list(x)
    args = tuple(torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays)
    if isinstance(module, torch.export.ExportedProgram):
        found = _batched(torch, module, args)
    elif any(c.__module__.startswith("brevitas.") for m in module.modules() for c in type(m).__mro__):
        found = _hooked(torch, module, graph, args)
    else:
        from fxsim.load.torch.capture import exported

        rows = _fixed_batch(module) or len(args[0])
        found = _batched(torch, exported(module, tuple(_filled(torch, a, rows) for a in args))[0], args)
    return {k: v for k, v in found.items() if k in graph.names and graph.names[k].value is not None}


def _fixed_batch(module: Any) -> int:
    """The batch that a captured GraphModule asks for; 0 for any."""
    nodes = getattr(getattr(module, "graph", None), "nodes", ())
    values = [n.meta.get("val") for n in nodes if n.op == "placeholder"]
    sizes = [v.shape[0] for v in values if hasattr(v, "shape") and len(v.shape)]
    return sizes[0] if sizes and isinstance(sizes[0], int) else 0


def _filled(torch: Any, a: Any, rows: int) -> Any:
    """The first rows, filled up with zeros."""
    a = a[:rows]
    return torch.cat([a, torch.zeros(rows - len(a), *a.shape[1:])]) if len(a) < rows else a


def _hooked(torch: Any, module: Any, graph: Graph, args: tuple[Any, ...]) -> dict[str, Array]:
    """The QuantTensors of a Brevitas module's proxies, by forward hooks, in the order of their calls.

    A proxy that stands at several places, or is called several times, has one name for each call.
    """
    from brevitas.proxy.quant_proxy import QuantProxyFromInjector

    places: dict[Any, list[str]] = {}
    for path, m in module.named_modules(remove_duplicate=False):
        of_parameters = path.endswith(("weight_quant", "bias_quant"))
        if isinstance(m, QuantProxyFromInjector) and m.is_quant_enabled and not of_parameters:
            layer, _, kind = path.rpartition(".")
            places.setdefault(m, []).append(path if kind == "input_quant" or not layer else layer)
    calls: dict[Any, list[Array]] = {m: [] for m in places}

    def take(proxy: Any, inputs: Any, out: Any) -> None:
        if hasattr(out, "bit_width") and out.scale is not None:
            codes = torch.round(out.value / out.scale + out.zero_point)
            calls[proxy].append(codes.detach().to(torch.int64).numpy())

    hooks = [m.register_forward_hook(take) for m in places]
    try:
        with torch.no_grad():
            module(*args)
    finally:
        for h in hooks:
            h.remove()
    found: dict[str, Array] = {}
    for m, paths in places.items():
        known = [k for k in graph.names if re.sub(r"@\d+$", "", k) in paths]
        if len(known) != len(calls[m]):  # a call whose result nothing uses has no name
            known = [f"{paths[0]}@{i}" if i else paths[0] for i in range(len(calls[m]))]
        found |= dict(zip(known, calls[m], strict=True))
    return found


def _batched(torch: Any, program: Any, args: tuple[Any, ...]) -> dict[str, Array]:
    """The program in batches of its own size, the last one filled up with zeros."""
    from fxsim.load.torch.program import functional

    program = functional(program)
    first = next(n.meta["val"].shape[0] for n in program.graph.nodes if _is_tensor(program, n))
    total = len(args[0])
    size = first if isinstance(first, int) else total
    parts = []
    for start in range(0, total, size):
        rows = [_filled(torch, a[start:], size) for a in args]
        kept = min(size, total - start)
        parts.append({k: v[:kept] for k, v in _interpreted(torch, program, rows).items()})
    return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _is_tensor(program: Any, node: Any) -> bool:
    """Is this node a tensor that the user gives?"""
    given = node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    return given and hasattr(node.meta.get("val"), "shape")


def _interpreted(torch: Any, program: Any, args: Sequence[Any]) -> dict[str, Array]:
    """One batch, node by node."""
    from fxsim.load.torch.names import names

    graph, signature = program.graph, program.graph_signature
    known = names(program)
    found: dict[str, Array] = {}

    class Codes(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, n: Any) -> Any:
            result = super().run_node(n)
            schema = getattr(n.target, "_schema", None)
            if n.op == "call_function" and schema is not None:
                given = {
                    a.name: v
                    for a, v in zip(schema.arguments, self.map_nodes_to_values(n.args, n), strict=False)
                }
                codes = _codes(torch, schema.name, given, result)
                if codes is not None:
                    found[known[n]] = codes
            return result

    state = {**program.state_dict, **program.constants}
    stored = {
        **signature.inputs_to_parameters, **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }  # fmt: skip
    user = iter(args)
    flat = [
        state[stored[n.name]] if n.name in stored else next(user) if _is_tensor(program, n) else n.meta["val"]
        for n in graph.nodes
        if n.op == "placeholder"
    ]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Codes(program.graph_module).run(*flat)
    return found


def _codes(torch: Any, op: str, given: dict[str, Any], result: Any) -> Array | None:
    """The codes without zero point that a quantizer's node made; None for any other node."""
    if op.startswith("quantized_decomposed::quantize_per"):
        zero = given.get("zero_points", given.get("zero_point"))
        codes = result.to(torch.int64) - _spread(torch, zero, given.get("axis"), result.ndim)
    elif op.startswith(("aten::fake_quantize", "aten::_fake_quantize")):
        y = result[0] if isinstance(result, tuple) else result
        scale = _spread(torch, given["scale"], given.get("axis"), y.ndim)
        codes = torch.round(y.to(torch.float64) / scale).to(torch.int64)
    else:
        return None
    return np.asarray(codes.numpy())


def _spread(torch: Any, value: Any, axis: Any, rank: int) -> Any:
    """A parameter shaped to broadcast along its axis."""
    if not isinstance(value, torch.Tensor):
        return value
    if axis is None:
        return value.reshape(())
    return value.reshape([-1 if i == operator.index(axis) % rank else 1 for i in range(rank)])
