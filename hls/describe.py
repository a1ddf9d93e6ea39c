"""Layers as hls4ml's layer dictionaries, with the precisions of their types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import Array
from hls.kinds import Layer
from hls.layers import flat, function_name

Described = tuple[dict[str, Any], dict[str, str]]
AXES = {1: ("width",), 2: ("height", "width")}
SIDES = {1: (("left", "right"),), 2: (("top", "bottom"), ("left", "right"))}
OWN = {
    "dense": "Dense", "conv": "Conv", "depthwise": "DepthwiseConv", "max_pool": "MaxPooling",
    "average_pool": "AveragePooling", "relu": "Activation (relu)", "leaky_relu": "LeakyReLU",
    "merge": "Merge", "concat": "Concatenate", "reshape": "Reshape", "transpose": "Transpose",
    "pad": "ZeroPadding2D",
}  # fmt: skip


def title(layer: Layer) -> str:
    """What a report calls the layer."""
    if layer.kind == "custom":
        return "generated"
    text = OWN[layer.kind]
    if "window" in layer.sizes:
        text += f"{len(layer.sizes['window'])}D"
    return f"hls4ml {text} ({layer.sizes['op']})" if layer.kind == "merge" else f"hls4ml {text}"


def described(layer: Layer, inputs: Sequence[str], outputs: Sequence[tuple[str, int]]) -> Described:
    """The layer dictionary and its precisions."""
    head: dict[str, Any] = {"name": layer.name, "inputs": list(inputs)}
    types = {"result": precision(layer.formats[0])}
    if layer.kind == "custom":
        made = [[flat(layer.outputs[k].type.shape), precision(layer.formats[k])] for _, k in outputs]
        return head | {
            "class_name": "FxsimBlock", "outputs": [name for name, _ in outputs],
            "fx_function": function_name(layer), "fx_outputs": made,
        }, types  # fmt: skip
    if layer.accumulator is not None:
        types["accum"] = precision(layer.accumulator)
    if layer.weight is not None:
        assert layer.bias is not None and layer.weight_format and layer.bias_format
        types |= {"weight": precision(layer.weight_format), "bias": precision(layer.bias_format)}
        values = reals(layer.weight, layer.weight_format)
        head |= {"weight_data": values, "bias_data": reals(layer.bias, layer.bias_format)}
        if layer.kind == "depthwise":
            head |= {"depthwise_data": values, "depth_multiplier": 1}
    return head | attributes(layer, types), types


def attributes(layer: Layer, types: dict[str, str]) -> dict[str, Any]:
    """What hls4ml wants to know of the layer, by kind."""
    kind, sizes, y = layer.kind, layer.sizes, layer.outputs[0].type
    if kind == "dense":
        assert layer.weight is not None
        n_in, n_out = layer.weight.shape
        return {"class_name": "Dense", "n_in": n_in, "n_out": n_out, "data_format": "channels_last"}
    if "window" in sizes:
        return windowed(layer)
    if kind == "relu":
        return {"class_name": "Activation", "activation": "relu", "n_in": y.size}
    if kind == "leaky_relu":
        raw, frac = sizes["slope"]
        types["param"] = precision(sizes["param"])
        slope = {"activation": "leakyrelu", "activ_param": raw / 2**frac}
        return {"class_name": "LeakyReLU", **slope, "n_in": y.size}
    if kind == "merge":
        return {"class_name": "Merge", "op": sizes["op"]}
    if kind == "concat":
        return {"class_name": "Concatenate", "op": f"concatenate{y.ndim}d", "axis": sizes["axis"] + 1}
    if kind == "reshape":
        return {"class_name": "Reshape", "target_shape": list(y.shape)}
    if kind == "transpose":
        return {"class_name": "Transpose", "perm": sizes["perm"]}
    height, width, channels = layer.inputs[0].type.shape
    return {
        "class_name": "ZeroPadding2D", "in_height": height, "in_width": width, "n_chan": channels,
        "out_height": y.shape[0], "out_width": y.shape[1], "data_format": "channels_last",
        **pads(sizes["before"], sizes["after"]),
    }  # fmt: skip


def windowed(layer: Layer) -> dict[str, Any]:
    """Convolutions and pools: one or two spatial axes before the channels."""
    sizes, kind = layer.sizes, layer.kind
    n = len(sizes["window"])
    out: dict[str, Any] = {"data_format": "channels_last", **pads(sizes["before"], sizes["after"])}
    out["padding"] = "same" if any((*sizes["before"], *sizes["after"])) else "valid"
    window = "pool" if kind.endswith("pool") else "filt"
    made = layer.outputs[0].type.shape
    for k, axis in enumerate(AXES[n]):
        out[f"in_{axis}"], out[f"out_{axis}"] = sizes["space"][k], made[k]
        out[f"{window}_{axis}"], out[f"stride_{axis}"] = sizes["window"][k], sizes["stride"][k]
    if window == "pool":
        name = "MaxPooling" if kind == "max_pool" else "AveragePooling"
        if n == 1:
            out["n_in"], out["n_out"] = out.pop("in_width"), out.pop("out_width")
        return out | {"class_name": f"{name}{n}D", "n_filt": sizes["channels"], "count_pad": False}
    assert layer.weight is not None
    filters = layer.weight.shape[-1] if kind == "conv" else sizes["channels"]
    for axis in AXES[n]:
        out[f"dilation_{axis}"] = 1
    name = "Conv" if kind == "conv" else "DepthwiseConv"
    return out | {"class_name": f"{name}{n}D", "n_chan": sizes["channels"], "n_filt": filters}


def pads(before: Sequence[int], after: Sequence[int]) -> dict[str, int]:
    names = SIDES[len(before)]
    return {
        f"pad_{name}": int(v)
        for (first, last), b, a in zip(names, before, after, strict=True)
        for name, v in ((first, b), (last, a))
    }


def reals(raw: Array, f: Format) -> Array:
    return np.ldexp(raw.astype(np.float64), -f.frac)


def precision(f: Format) -> str:
    """`f` in hls4ml's notation, such as fixed<8,4,RND_CONV,SAT>."""
    parts = [f"{f.width}", f"{f.int_bits}"]
    if (f.rounding, f.overflow) != (Rounding.TRN, Overflow.WRAP):
        parts += [str(f.rounding), str(f.overflow)]
    return f"{'' if f.signed else 'u'}fixed<{','.join(parts)}>"
