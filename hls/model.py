"""The hls4ml ModelGraph of a plan: layer dictionaries in, types verified, generated headers written too."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hls4ml.backends import get_backend
from hls4ml.model.graph import ModelGraph

from fxsim.cache import digest
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Node
from hls.builds import built
from hls.compile import INCLUDE
from hls.crossing import entry
from hls.layers import flat, function_name, header, register
from hls.lower import Port
from hls.lower.code import Code
from hls.plan import Layer, Plan

SETTINGS = "hls4ml_config.yml"
WIDE = 256
"""Wider lanes, or points further off, may need types beyond ap_fixed's default limit of 1,024 bits."""


class FxsimModel(ModelGraph):
    """hls4ml's ModelGraph whose project also gets `fx_files` {path in the project: text}, at every write.

    Headers of generated layers belong to this project alone, which is why they are not registered as sources
    of the backend: it would copy them into every project of the process.
    """

    fx_files: Mapping[str, str] = {}
    fx_bridge: str = ""
    fx_wide: bool = False

    def write(self) -> None:
        """The hls4ml project with the generated headers and the raw entry, under a stamp of its content."""
        super().write()
        folder = Path(self.config.get_output_dir())
        for path, text in self.fx_files.items():
            (folder / path).write_text(text)
        bridge = folder / f"{self.config.get_project_name()}_bridge.cpp"
        bridge.write_text(bridge.read_text() + self.fx_bridge)
        if self.fx_wide:
            build = folder / "build_lib.sh"
            build.write_text(build.read_text().replace("-fPIC", "-fPIC -DAP_INT_MAX_W=32768"))
            defines = folder / "firmware" / "ap_types" / "ap_common.h"
            defines.write_text(
                defines.read_text().replace("#define AP_INT_MAX_W 1024", "#define AP_INT_MAX_W 32768")
            )
        self._stamp(folder)

    def _stamp(self, folder: Path) -> None:
        """The same project gets the same stamp, where hls4ml draws a random one."""
        firmware = sorted(p for p in (folder / "firmware").rglob("*") if p.suffix in (".cpp", ".h", ".txt"))
        # The letters keep YAML from reading digits as a number, which it would then write in quotes.
        stamp = "fx" + digest(*(t for p in firmware for t in (p.name, p.read_text())))[:8]
        for name, line in (("build_lib.sh", r"^(LIB_STAMP=).*$"), (SETTINGS, r"^(Stamp: ).*$")):
            text, found = re.subn(line, rf"\g<1>{stamp}", (folder / name).read_text(), flags=re.MULTILINE)
            if found != 1:
                raise RuntimeError(f"hls4ml's {name} has no stamp; this version of hls4ml is not supported")
            (folder / name).write_text(text)
        self.config.config["Stamp"] = stamp

    def _compile(self) -> None:
        """Load the compiled project; RuntimeError where its folder holds another project by now."""
        folder, stamp = Path(self.config.get_output_dir()), self.config.config["Stamp"]
        script = folder / "build_lib.sh"
        if not script.exists() or f"LIB_STAMP={stamp}\n" not in script.read_text():
            raise RuntimeError(f"folder {folder} does not hold this project any more; export it again")
        self._top_function_lib = ctypes.CDLL(str(built(folder, self.config.get_project_name())))


def model_graph(plan: Plan, backend: str, project: str, folder: Path) -> FxsimModel:
    """The ModelGraph of the plan; RuntimeError where hls4ml's passes changed a layer or a type."""
    register(backend)
    config = get_backend(backend).create_initial_config(io_type="io_parallel")
    config.update(OutputDir=str(folder), ProjectName=project, Backend=backend)
    tensors = tensor_names(plan)
    layers, precisions = [], {}
    for name, node in zip(plan.inputs, plan.nodes, strict=True):
        layers.append({"class_name": "InputLayer", "name": name, "input_shape": flat(node.type.shape)})
        precisions[name] = {"result": precision(plan.formats[node])}
    for layer in plan.layers:
        description, types = _described(layer, tensors)
        layers.append(description)
        precisions[layer.name] = types
    config["HLSConfig"] = {
        "Model": {"Precision": {"default": "fixed<16,6>"}, "ReuseFactor": 1, "Strategy": "Latency"},
        "LayerName": {
            n: {"Precision": p, "ReuseFactor": 1, "Strategy": "Latency"} for n, p in precisions.items()
        },
    }
    model = FxsimModel.from_layer_list(
        config, layers, inputs=list(plan.inputs), outputs=[e.name for e in plan.ends]
    )
    verify(model, plan, tensors)
    headers = {p.name: p.read_text() for p in sorted(INCLUDE.glob("*.h"))}
    headers |= {f"{function_name(layer)}.h": header(layer) for layer in plan.layers if layer.kind == "custom"}
    model.fx_files = {f"firmware/nnet_utils/{name}": text for name, text in headers.items()}
    model.fx_bridge = _raw_entry(model, plan, project)
    model.fx_wide = any(max(n.type.max_width, abs(n.type.frac)) > WIDE for n in plan.values)
    return model


def raw_ports(plan: Plan) -> tuple[list[Port], list[Port]]:
    """The ports of the project's entry for raw codes."""
    inputs = [Port(f"in{k}", Code.of(n.type), n.type) for k, n in enumerate(plan.nodes)]
    outputs = [
        Port(f"out{k}", Code.of(e.outputs[0].type), e.outputs[0].type) for k, e in enumerate(plan.ends)
    ]
    return inputs, outputs


def _raw_entry(model: ModelGraph, plan: Plan, project: str) -> str:
    """C++ for the bridge: a batch of raw codes through the top function, without the detour over float64."""
    inputs, outputs = raw_ports(plan)
    variables = [(p, v, True) for p, v in zip(inputs, model.get_input_variables(), strict=True)]
    variables += [(p, v, False) for p, v in zip(outputs, model.get_output_variables(), strict=True)]
    arguments = [p.declaration(given) for p, _, given in variables]
    lines = ["", "// Raw codes in and out: one int64 a code, or 32-bit limbs where a lane is wider."]
    lines += ['#include "firmware/nnet_utils/fx_crossing.h"', '#include "firmware/nnet_utils/fx_types.h"', ""]
    lines.append(f"static void {project}_codes({', '.join(arguments)}) {{")
    lines += [f"    static {v.type.name} {p.name}_value[{p.size}];" for p, v, _ in variables]
    lines += [f"    fx::values({p.name}, {p.name}_value, {p.size});" for p in inputs]
    lines.append(f"    {project}({', '.join(p.name + '_value' for p, _, _ in variables)});")
    lines += [f"    fx::codes({p.name}_value, {p.name}, {p.size});" for p in outputs]
    return "\n".join([*lines, "}", "", entry(f"{project}_raw", f"{project}_codes", inputs, outputs)])


def tensor_names(plan: Plan) -> dict[Node, str]:
    """The hls4ml variable that holds each tensor; copies at the end do not rename what they copy."""
    names = dict(zip(plan.nodes, plan.inputs, strict=True))
    for layer in plan.layers:
        for o, name in zip(layer.outputs, output_names(layer), strict=True):
            names.setdefault(o, name)
    return names


def output_names(layer: Layer) -> list[str]:
    return (
        [layer.name] if len(layer.outputs) == 1 else [f"{layer.name}__{k}" for k in range(len(layer.outputs))]
    )


def _described(layer: Layer, tensors: Mapping[Node, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The layer dictionary and its precisions."""
    inputs = [tensors[i] for i in layer.inputs]
    types = {"result": precision(layer.formats[0])}
    head = {"name": layer.name, "inputs": inputs}
    if layer.kind == "dense":
        assert layer.weight is not None and layer.bias is not None
        assert layer.weight_format and layer.bias_format and layer.accumulator
        n_in, n_out = layer.weight.shape
        types |= {
            "weight": precision(layer.weight_format),
            "bias": precision(layer.bias_format),
            "accum": precision(layer.accumulator),
        }
        values = {
            "weight_data": np.ldexp(layer.weight.astype(np.float64), -layer.weight_format.frac),
            "bias_data": np.ldexp(layer.bias.astype(np.float64), -layer.bias_format.frac),
        }
        return head | {
            "class_name": "Dense",
            "n_in": n_in,
            "n_out": n_out,
            "data_format": "channels_last",
        } | values, types
    if layer.kind == "relu":
        n_in = layer.outputs[0].type.size
        return head | {"class_name": "Activation", "activation": "relu", "n_in": n_in}, types
    if layer.kind == "reshape":
        return head | {"class_name": "Reshape", "target_shape": list(layer.outputs[0].type.shape)}, types
    outputs = [[flat(o.type.shape), precision(f)] for o, f in zip(layer.outputs, layer.formats, strict=True)]
    head |= {"class_name": "FxsimBlock", "outputs": output_names(layer)}
    return head | {"fx_function": function_name(layer), "fx_outputs": outputs}, types


def precision(f: Format) -> str:
    """`f` in hls4ml's notation, such as fixed<8,4,RND_CONV,SAT>."""
    parts = [f"{f.width}", f"{f.int_bits}"]
    if (f.rounding, f.overflow) != (Rounding.TRN, Overflow.WRAP):
        parts += [str(f.rounding), str(f.overflow)]
    return f"{'' if f.signed else 'u'}fixed<{','.join(parts)}>"


def verify(model: ModelGraph, plan: Plan, tensors: Mapping[Node, str]) -> None:
    """hls4ml's passes may fuse layers or replace types: RuntimeError unless all are as asked for."""
    asked = [*plan.inputs, *(layer.name for layer in plan.layers)]
    found = [layer.name for layer in model.get_layers()]
    if sorted(asked) != sorted(found):
        raise RuntimeError(f"hls4ml changed the layers: asked for {asked}, got {found}")
    for name, node in zip(plan.inputs, plan.nodes, strict=True):
        _same(name, "input", model.graph[name].get_output_variable().type.precision, plan.formats[node])
    for layer in plan.layers:
        node = model.graph[layer.name]
        for o, f in zip(output_names(layer), layer.formats, strict=True):
            _same(layer.name, "result", node.get_output_variable(o).type.precision, f)
        if layer.kind == "dense":
            assert layer.weight_format and layer.bias_format and layer.accumulator
            _same(layer.name, "weight", node.get_weights("weight").type.precision, layer.weight_format)
            _same(layer.name, "bias", node.get_weights("bias").type.precision, layer.bias_format)
            _same(layer.name, "accum", node.types["accum_t"].precision, layer.accumulator)
        if [*node.inputs] != [tensors[i] for i in layer.inputs]:
            raise RuntimeError(f"hls4ml rewired layer {layer.name}: its inputs are {node.inputs}")
    if [*model.outputs] != [e.name for e in plan.ends]:
        raise RuntimeError(f"hls4ml changed the outputs to {model.outputs}")


def _same(layer: str, what: str, found: Any, asked: Format) -> None:
    if Format.parse(found.definition_cpp()) != asked:
        raise RuntimeError(
            f"hls4ml changed the {what} type of layer {layer} from {asked} to {found.definition_cpp()}"
        )
