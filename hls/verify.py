"""What hls4ml's passes left of a plan, read back: layers, wires, types, strategies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fxsim.formats import Format
from hls.kinds import Layer
from hls.plan import Plan
from hls.target import DISTRIBUTED
from hls.wiring import Wires

STREAMING = ("Clone", "Repack", "ZeroPadding1D", "ZeroPadding2D")
"""Classes that hls4ml puts between the layers of a stream; none changes a value."""


def verify(model: Any, plan: Plan, wired: Wires) -> None:
    """hls4ml's passes may fuse layers or replace types: RuntimeError unless all are as asked for."""
    asked = [*plan.inputs, *(layer.name for layer in plan.layers)]
    found = {layer.name: layer for layer in model.get_layers()}
    between = {n: v for n, v in found.items() if n not in asked and _streaming(plan, v)}
    repacked = {f"repack_{layer.name}" for layer in plan.layers if layer.kind == "reshape"} & set(between)
    kept = {n for n in found if n not in between} | {n.removeprefix("repack_") for n in repacked}
    if set(asked) != kept:
        raise RuntimeError(f"hls4ml changed the layers: asked for {asked}, got {[*found]}")
    for name, node in zip(plan.inputs, plan.nodes, strict=True):
        same(name, "input", found[name].get_output_variable().type.precision, plan.formats[node])
    for layer, inputs, outputs in zip(plan.layers, wired.inputs, wired.outputs, strict=True):
        node = found.get(layer.name) or found[f"repack_{layer.name}"]
        for name, k in outputs if layer.kind == "custom" else [(node.outputs[0], 0)]:
            same(layer.name, "result", node.get_output_variable(name).type.precision, layer.formats[k])
        if plan.settings.get(layer.name, ("",))[0] != DISTRIBUTED:  # which has its constants in its code
            _weights(layer, node)
        if [_source(model, between, repacked, i) for i in node.inputs] != [*inputs]:
            raise RuntimeError(f"hls4ml rewired layer {layer.name}: its inputs are {node.inputs}")
    formats = dict(zip(plan.inputs, (plan.formats[n] for n in plan.nodes), strict=True))
    for layer, outputs in zip(plan.layers, wired.outputs, strict=True):
        formats |= {name: layer.formats[k] for name, k in outputs}
    for name, node in between.items():
        before = formats[_behind(between, node)]
        for o in node.outputs:
            same(name, "result", node.get_output_variable(o).type.precision, before)
    _settings(model, plan)
    written = dict(zip(plan.layers, wired.outputs, strict=True))
    if [*model.outputs] != [name for e in plan.ends for name, _ in written[e]]:
        raise RuntimeError(f"hls4ml changed the outputs to {model.outputs}")


def _streaming(plan: Plan, node: Any) -> bool:
    return plan.target.stream and node.class_name in STREAMING


def _behind(between: dict[str, Any], node: Any) -> str:
    """The variable that the first of a row of inserted layers reads."""
    name: str = node.inputs[0]
    while (inserted := _writer(between, name)) is not None:
        name = inserted.inputs[0]
    return name


def _writer(between: dict[str, Any], name: str) -> Any:
    return next((n for n in between.values() if name in n.outputs), None)


def _source(model: Any, between: dict[str, Any], repacked: set[str], name: str) -> str:
    """The variable that reaches a layer as `name`, through what hls4ml put between."""
    while (inserted := _writer(between, name)) is not None:
        if inserted.name in repacked:
            return inserted.name.removeprefix("repack_")  # type: ignore[no-any-return]
        name = inserted.inputs[0]
    return name


def _weights(layer: Layer, node: Any) -> None:
    for what in ("weight", "bias"):
        asked = getattr(layer, f"{what}_format")
        if asked is not None:
            same(layer.name, what, node.get_weights(what).type.precision, asked)
    if layer.kind == "leaky_relu":
        same(layer.name, "slope", node.types["param_t"].precision, layer.sizes["param"])
    if layer.accumulator is None:
        return
    accumulator = node.types["accum_t"].precision
    if layer.kind == "max_pool":  # Catapult widens it
        f, asked = _format(accumulator), layer.accumulator
        if f.int_bits < asked.int_bits or f.frac < asked.frac or f.signed != asked.signed:
            same(layer.name, "accum", accumulator, layer.accumulator)
    else:
        same(layer.name, "accum", accumulator, layer.accumulator)


def _settings(model: Any, plan: Plan) -> None:
    for name, (strategy, factor) in plan.settings.items():
        node = model.graph[name]
        found: Sequence[Any] = node.get_attr("strategy"), node.get_attr("reuse_factor")
        if found[0] is not None and (str(found[0]).lower(), found[1]) != (strategy.lower(), factor):
            raise RuntimeError(
                f"hls4ml changed layer {name} from {strategy}, reuse factor {factor} to {found}"
            )


def _format(precision: Any) -> Format:
    return Format.parse(precision.definition_cpp())


def same(layer: str, what: str, found: Any, asked: Format) -> None:
    if _format(found) != asked:
        raise RuntimeError(
            f"hls4ml changed the {what} type of layer {layer} from {asked} to {found.definition_cpp()}"
        )
