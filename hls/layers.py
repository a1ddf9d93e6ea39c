"""The generated hls4ml layer: inputs and outputs of given types, and one C++ function between their codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from hls4ml.backends import get_backend
from hls4ml.backends.template import FunctionCallTemplate
from hls4ml.model import layers as hls4ml_layers
from hls4ml.model.attributes import Attribute

from hls.kinds import Body, Layer
from hls.lower import ports, source


class FxsimBlock(hls4ml_layers.Layer):
    """An hls4ml layer: `fx_outputs` = [(shape, precision), ..] come from the C++ function `fx_function`."""

    _expected_attributes: ClassVar = [
        Attribute("fx_function", value_type=str),
        Attribute("fx_outputs", value_type=list),
    ]

    def initialize(self) -> None:
        convert = self.model.config.backend.convert_precision_string
        for k, (shape, precision) in enumerate(self.attributes["fx_outputs"]):
            tail = "" if len(self.outputs) == 1 else f"_{k}"
            self.add_output_variable(
                shape,
                self.outputs[k],
                f"layer{{index}}{tail}_out",
                f"layer{{index}}{tail}_t",
                convert(precision),
            )

    def get_layer_precision(self) -> dict[str, Any]:
        """The types to define: hls4ml's own list has that of the last output only."""
        return {v.type.name: v.type for v in self.variables.values()}


class FxsimBlockCall(FunctionCallTemplate):
    """`nnet::function(in0, .., out0, ..);` with the function's own header."""

    def __init__(self) -> None:
        super().__init__(FxsimBlock)

    def transform(self, model: Any, node: Any) -> bool:
        self.include_header = [f"nnet_utils/{node.get_attr('fx_function')}.h"]
        return bool(super().transform(model, node))

    def format(self, node: Any) -> str:
        variables = [node.get_input_variable(i) for i in node.inputs] + [
            node.get_output_variable(o) for o in node.outputs
        ]
        return f"nnet::{node.get_attr('fx_function')}({', '.join(v.name for v in variables)});"


def register(backend: str) -> None:
    """Make the layer known to hls4ml and to this backend; a second call changes nothing."""
    if hls4ml_layers.layer_map.get(FxsimBlock.__name__) is not FxsimBlock:
        hls4ml_layers.register_layer(FxsimBlock.__name__, FxsimBlock)
    chosen = get_backend(backend)
    if not any(name.endswith(":fxsimblock_function_template") for name in chosen._get_layer_templates()):
        chosen.register_template(FxsimBlockCall)


def header(layer: Layer, written: Sequence[int], stream: bool) -> str:
    """Text of the header of a generated layer: the function over codes, and its wrapper over hls4ml's types.

    `written` are the numbers of the outputs that the wrapper writes, in order: a stream may carry one again.
    """
    name = function_name(layer)
    body = layer.body
    pipelined = body is None and not stream  # a body has loops of its own
    if body is None:
        assert layer.graph is not None
        codes = f"{name}_codes"
        body = Body(
            source(layer.graph, codes), *ports(layer.graph, codes), lambda a: f"{codes}({', '.join(a)})"
        )
    text = body.text.replace('"fx_ops.h"', '"fx_types.h"')
    end = text.rindex("\n#endif")
    return text[:end] + "\n" + wrapper(name, body, written, stream, pipelined) + text[end:]


def wrapper(name: str, body: Body, written: Sequence[int], stream: bool, pipelined: bool) -> str:
    """C++ of the function between arrays or streams of hls4ml's types, around the body's own."""
    inputs, made = body.inputs, [body.outputs[k] for k in written]
    types = [f"class in{k}_T" for k in range(len(inputs))] + [f"class out{k}_T" for k in range(len(made))]
    if stream:
        arguments = [f"in{k}_T &in{k}" for k in range(len(inputs))]
        arguments += [f"out{k}_T &out{k}" for k in range(len(made))]
    else:
        arguments = [f"const in{k}_T in{k}[{p.size}]" for k, p in enumerate(inputs)]
        arguments += [f"out{k}_T out{k}[{p.size}]" for k, p in enumerate(made)]
    raw = [(f"in{k}_raw", p) for k, p in enumerate(inputs)]
    raw += [(f"out{k}_raw", p) for k, p in enumerate(body.outputs)]
    lines = [
        "namespace nnet {",
        "",
        f"template <{', '.join(types)}>",
        f"void {name}({', '.join(arguments)}) {{",
    ]
    lines += ["#pragma HLS PIPELINE II=1"] if pipelined else []
    for array, p in raw:
        lines.append(f"    {p.code} {array}[{p.size}];")
        lines.append(f"#pragma HLS ARRAY_PARTITION variable={array} complete")
    read, write = ("pull", "push") if stream else ("codes", "values")
    lines += [f"    fx::{read}(in{k}, in{k}_raw, {p.size});" for k, p in enumerate(inputs)]
    lines.append(f"    {body.call([array for array, _ in raw])};")
    lines += [f"    fx::{write}(out{n}_raw, out{k}, {body.outputs[n].size});" for k, n in enumerate(written)]
    return "\n".join([*lines, "}", "", "} // namespace nnet", ""])


def function_name(layer: Layer) -> str:
    return f"fx_{layer.name}"


def flat(shape: tuple[int, ...]) -> list[int]:
    """A shape that hls4ml accepts: at least one axis."""
    return list(shape) if shape and math.prod(shape) else [max(math.prod(shape), 1)]
