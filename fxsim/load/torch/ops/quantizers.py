"""Translators of quantizers: Brevitas' (as frozen), pt2e's quantize and dequantize, and fake quantization."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.integers import Array
from fxsim.load.torch.handlers import DOMAIN
from fxsim.load.torch.program import Program, translates


@translates("fxsim_torch::parameter")
def parameter(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Weights or biases: codes of which the zero point is taken off, and their scale."""
    return constant_codes(p, node, a["codes"].numpy(), a["scale"].numpy())


def constant_codes(p: Program, node: Any, codes: Array, scale: Array) -> str:
    """Integers with a scale, as DequantizeLinear of a constant; the scale varies along one axis at most."""
    wide = [i for i, n in enumerate(scale.shape) if n != 1]
    if len(wide) > 1:
        raise p.error(
            node, f"has scales of shape {scale.shape}", "use one scale per tensor or per output channel"
        )
    axis = wide[0] + codes.ndim - scale.ndim if wide else None
    flat = np.asarray(scale.reshape(-1) if wide else scale.reshape(()), np.float32)
    return p.emit("DequantizeLinear", [codes, flat], p.name(node), axis=axis)


@translates("fxsim_torch::quant")
def quant(p: Program, node: Any, a: dict[str, Any]) -> str:
    """clip(round(x / scale + zero point)), in Brevitas' order."""
    inputs = [a["x"], a["scale"], a["zero"]]
    return p.emit("Quant", inputs, p.name(node), DOMAIN, low=a["low"], high=a["high"], rounding=a["rounding"])


@translates("fxsim_torch::bipolar")
def bipolar(p: Program, node: Any, a: dict[str, Any]) -> str:
    """scale where x >= 0, else -scale."""
    return p.emit("BipolarQuant", [a["x"], a["scale"]], p.name(node), "qonnx.custom_op.general")


@translates("fxsim_torch::ternary")
def ternary(p: Program, node: Any, a: dict[str, Any]) -> str:
    """scale * sign(x) where |x| > threshold, else 0."""
    return p.emit("Ternary", [a["x"], a["scale"], a["threshold"]], p.name(node), DOMAIN)


@translates("fxsim_torch::trunc")
def trunc(p: Program, node: Any, a: dict[str, Any]) -> str:
    """Codes of an accumulator, divided and rounded."""
    inputs = [a["x"], a["scale"], a["out_scale"], a["zero"], a["out_zero"]]
    return p.emit("Trunc", inputs, p.name(node), DOMAIN, low=a["low"], high=a["high"], rounding=a["rounding"])


@translates("quantized_decomposed::quantize_per_tensor", "quantized_decomposed::quantize_per_channel")
def quantize(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """clip(rint(x * (1 / scale)) + zero point); the reciprocal is rounded to float32, not the quotient."""
    if not isinstance(a["input"], str):
        return p._folded(node)
    _, reciprocal, zero, axis = parameters(p, node, a)
    low, high = whole(a["quant_min"]), whole(a["quant_max"])
    return rounded(p, node, a["input"], (reciprocal, zero), axis, (low, high), p.name(node))


def rounded(
    p: Program, node: Any, x: str, parameters: tuple[Array, Array], axis: int | None, ends: tuple[int, int],
    name: str,
) -> str:  # fmt: skip
    """clip(rint(x * reciprocal) + zero point): a product with float32 constants, then a rounding."""
    rank = len(p.sizes(node.args[0]))
    shape = [-1 if axis is not None and i == axis % rank else 1 for i in range(rank)]
    reciprocal, zero = (v.reshape(shape) if v.size > 1 else v.reshape(()) for v in parameters)
    scaled = p.emit("Mul", [x, reciprocal], p.name(node, "scaled"))
    return p.emit("Round", [scaled, zero], name, DOMAIN, low=ends[0], high=ends[1])


@translates("quantized_decomposed::dequantize_per_tensor", "quantized_decomposed::dequantize_per_channel")
def dequantize(p: Program, node: Any, a: dict[str, Any]) -> str:
    """(code - zero point) * scale."""
    scale, _, zero, axis = parameters(p, node, a)
    x = a["input"]
    if not isinstance(x, str):
        rank = x.ndim
        shape = [-1 if i == axis else 1 for i in range(rank)]
        codes = x.to(p.torch.int64) - p.torch.from_numpy(zero.reshape(shape) if zero.ndim else zero)
        return constant_codes(p, node, codes.numpy(), scale.reshape(shape) if scale.ndim else scale)
    return p.emit("DequantizeLinear", [x, scale, zero.astype(np.int32)], p.name(node), axis=axis)


def parameters(p: Program, node: Any, a: dict[str, Any]) -> tuple[Array, Array, Array, int | None]:
    """(scale, reciprocal) in float32, zero point, axis, as the decomposed ops compute them.

    A Python scale is a double, whose reciprocal is taken in double; a tensor of scales keeps its own type.
    """
    per_channel = "scales" in a
    given = a["scales"] if per_channel else a["scale"]
    zeros = a["zero_points"] if per_channel else a["zero_point"]
    if isinstance(given, str) or isinstance(zeros, str):
        raise p.error(node, "has a scale computed from the input", "quantize with static scales")
    scale = (
        given if isinstance(given, p.torch.Tensor) else p.torch.tensor(float(given), dtype=p.torch.float64)
    )
    if not per_channel:
        scale = scale.reshape(()).to(p.torch.float64)
    zero = np.zeros(scale.shape, np.int64)
    if zeros is not None:
        zero = np.asarray(zeros.numpy() if isinstance(zeros, p.torch.Tensor) else zeros).reshape(scale.shape)
    if np.any(zero != np.rint(zero)):
        raise p.error(node, "has a zero point that is no integer", "use an integer zero point")
    checked = scale.numpy()
    if not np.all(np.isfinite(checked)) or not np.all(checked > 0):
        raise p.error(node, "has a scale that is not positive and finite", "calibrate or train it again")
    reciprocal = (1.0 / scale).to(p.torch.float32).numpy()
    axis = int(a["axis"]) if per_channel else None
    return scale.to(p.torch.float32).numpy(), reciprocal, zero.astype(np.int64), axis


def whole(value: Any) -> int:
    """A bound as an int."""
    return int(value.item() if hasattr(value, "item") else value)


@translates(
    "aten::fake_quantize_per_tensor_affine", "aten::fake_quantize_per_channel_affine",
    "aten::fake_quantize_per_tensor_affine_cachemask", "aten::fake_quantize_per_channel_affine_cachemask",
    "aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
    "aten::_fake_quantize_learnable_per_tensor_affine", "aten::_fake_quantize_learnable_per_channel_affine",
)  # fmt: skip
def fake_quantize(p: Program, node: Any, a: dict[str, Any]) -> Any:
    """(clip(rint(x * (1 / scale)) + zero point) - zero point) * scale, all in float32."""
    given, zeros = a["scale"], a["zero_point"]
    if isinstance(given, str) or isinstance(zeros, str):
        raise p.error(node, "has a scale computed from the input", "quantize with static scales")
    enabled = a.get("fake_quant_enabled")
    axis = int(a["axis"]) if "axis" in a else None
    low, high = int(a["quant_min"]), int(a["quant_max"])
    scale = np.asarray(given.detach().numpy() if hasattr(given, "detach") else given, np.float32)
    zero = np.asarray(zeros.detach().numpy() if hasattr(zeros, "detach") else zeros)
    if "learnable" in p.op(node):
        zero = np.clip(np.rint(zero), low, high)
    if axis is None:
        scale, zero = scale.reshape(()), zero.reshape(())
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise p.error(node, "has a scale that is not positive and finite", "calibrate or train it again")
    if np.any(zero != np.rint(zero)):
        raise p.error(node, "has a zero point that is no integer", "use an integer zero point")
    zero = zero.astype(np.int64)
    reciprocal = (np.float32(1) / scale).astype(np.float32)
    x = a["self"]
    if enabled is not None and not bool(enabled[0]):
        result: Any = x
    elif isinstance(x, str):
        y = rounded(p, node, x, (reciprocal, zero), axis, (low, high), p.name(node, "codes"))
        result = p.emit("DequantizeLinear", [y, scale, zero.astype(np.int32)], p.name(node), axis=axis)
    else:
        result = _constant(p, node, x.numpy(), scale, reciprocal, zero, axis, low, high)
    return (result, None) if "cachemask" in p.op(node) else result


def _constant(
    p: Program, node: Any, x: Array, scale: Array, reciprocal: Array, zero: Array, axis: int | None,
    low: int, high: int,
) -> str:  # fmt: skip
    """Weights: the codes by torch's rule, compared with what torch makes of them."""
    shape = [-1 if i == axis else 1 for i in range(x.ndim)] if axis is not None else []
    s, r, z = (v.reshape(shape) if axis is not None else v for v in (scale, reciprocal, zero))
    codes = np.clip(np.rint(x * r) + z, low, high).astype(np.int64) - z
    expected = p._folded(node)
    expected = expected[0] if isinstance(expected, tuple) else expected
    if not np.array_equal(codes.astype(np.float32) * s, expected.detach().numpy()):
        raise p.error(node, "gives weights that are no codes times its scale", "use finite weights")
    return constant_codes(p, node, codes, s)
