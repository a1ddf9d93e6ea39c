"""Translators of products with weights: linear, matrix products, convolutions, batch norm, layer norm."""

from __future__ import annotations

from typing import Any

from fxsim.load.torch.program import Program, translates


@translates("aten::linear")
def linear(p: Program, node: Any, a: dict[str, Any]) -> str:
    """x @ weight.T + bias, over the last axis."""
    rank = len(p.sizes(node.args[0]))
    if rank == 2:
        inputs = [a["input"], a["weight"], *([] if a["bias"] is None else [a["bias"]])]
        return p.emit("Gemm", inputs, p.name(node), transB=1)
    weight = p.emit("Transpose", [a["weight"]], p.name(node, "weight"), perm=(1, 0))
    if a["bias"] is None:
        return p.emit("MatMul", [a["input"], weight], p.name(node))
    y = p.emit("MatMul", [a["input"], weight], p.name(node, "product"))
    return p.emit("Add", [y, a["bias"]], p.name(node))


@translates("aten::addmm")
def addmm(p: Program, node: Any, a: dict[str, Any]) -> str:
    """beta * bias + alpha * x @ weight."""
    inputs = [a["mat1"], a["mat2"], a["self"]]
    return p.emit("Gemm", inputs, p.name(node), alpha=float(a["alpha"]), beta=float(a["beta"]))


@translates("aten::matmul", "aten::mm", "aten::bmm")
def matmul(p: Program, node: Any, a: dict[str, Any]) -> str:
    """x @ weight."""
    other = a["other"] if "other" in a else a["mat2"]
    return p.emit("MatMul", [a["self"], other], p.name(node))


@translates("aten::conv1d", "aten::conv2d", "aten::conv3d")
def conv(p: Program, node: Any, a: dict[str, Any]) -> str:
    """A convolution; padding as numbers, "valid" or "same" (the odd one after)."""
    n = len(p.sizes(node.args[1])) - 2
    return _conv(p, node, a, n)


@translates("aten::convolution")
def convolution(p: Program, node: Any, a: dict[str, Any]) -> str:
    """The core form of convolutions and transposed ones."""
    n = len(p.sizes(node.args[1])) - 2
    return _transposed(p, node, a, n) if a["transposed"] else _conv(p, node, a, n)


@translates("aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d")
def conv_transpose(p: Program, node: Any, a: dict[str, Any]) -> str:
    """A transposed convolution."""
    return _transposed(p, node, a, len(p.sizes(node.args[1])) - 2)


def _batched(p: Program, node: Any, n: int) -> None:
    shape = p.sizes(node.args[0])
    if len(shape) != n + 2:
        raise p.error(node, f"has an input of shape {shape}", f"give it a batch axis: {n + 2} axes")


def _conv(p: Program, node: Any, a: dict[str, Any], n: int) -> str:
    _batched(p, node, n)
    kernel = p.sizes(node.args[1])[2:]
    stride, dilation = spread(a["stride"], n), spread(a["dilation"], n)
    pads = padding(a["padding"], kernel, dilation)
    inputs = [a["input"], a["weight"], *([] if a["bias"] is None else [a["bias"]])]
    return p.emit(
        "Conv", inputs, p.name(node), strides=stride, dilations=dilation, pads=pads, group=int(a["groups"]),
        kernel_shape=tuple(kernel),
    )  # fmt: skip


def _transposed(p: Program, node: Any, a: dict[str, Any], n: int) -> str:
    _batched(p, node, n)
    inputs = [a["input"], a["weight"], *([] if a["bias"] is None else [a["bias"]])]
    return p.emit(
        "ConvTranspose", inputs, p.name(node), strides=spread(a["stride"], n),
        dilations=spread(a["dilation"], n), pads=spread(a["padding"], n) * 2,
        output_padding=spread(a["output_padding"], n), group=int(a["groups"]),
        kernel_shape=tuple(p.sizes(node.args[1])[2:]),
    )  # fmt: skip


def spread(value: Any, n: int) -> tuple[int, ...]:
    """One number per axis."""
    values = tuple(int(v) for v in (value if isinstance(value, (tuple, list)) else (value,)))
    return values * n if len(values) == 1 else values


def padding(value: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """ONNX pads (all before, all after) of torch's padding."""
    n = len(kernel)
    if value == "valid":
        return (0,) * 2 * n
    if value == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return (*(t // 2 for t in total), *(t - t // 2 for t in total))
    return spread(value, n) * 2


@translates(
    "aten::batch_norm", "aten::_native_batch_norm_legit_no_training", "aten::native_batch_norm",
    "aten::cudnn_batch_norm",
)  # fmt: skip
def batch_norm(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """Batch normalization in evaluation mode; the native forms give a tuple."""
    x = a["input"]
    if a.get("training"):
        raise p.error(node, "is in training mode", "call module.eval() before torch.export.export")
    mean, var = a["running_mean"], a["running_var"]
    if mean is None or var is None:
        raise p.error(node, "has no running statistics", "train it with track_running_stats=True")
    weight = p.torch.ones_like(mean) if a["weight"] is None else a["weight"]
    bias = p.torch.zeros_like(mean) if a["bias"] is None else a["bias"]
    y = p.emit("BatchNormalization", [x, weight, bias, mean, var], p.name(node), epsilon=float(a["eps"]))
    return y if p.op(node) == "aten::batch_norm" else (y, None, None, None)


@translates("aten::layer_norm", "aten::native_layer_norm")
def layer_norm(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """Layer normalization over the last axes."""
    shape = tuple(a["normalized_shape"])
    weight = p.torch.ones(shape) if a["weight"] is None else a["weight"]
    inputs = [a["input"], weight, *([] if a["bias"] is None else [a["bias"]])]
    y = p.emit("LayerNormalization", inputs, p.name(node), axis=-len(shape), epsilon=float(a["eps"]))
    return y if p.op(node) == "aten::layer_norm" else (y, None, None)
