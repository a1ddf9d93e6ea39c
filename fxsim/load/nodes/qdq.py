"""Handlers of plain ONNX quantization: QuantizeLinear, the Clip behind it (QCDQ), and DequantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fxsim.integers import Array, subtract
from fxsim.load.affine import Activation, Constant, RealInput, Symbol, as_fractions, channels
from fxsim.load.loader import Loader, handles
from fxsim.load.model import INTEGER_TYPES, FileNode
from fxsim.load.nodes.quant import Quantizer, codes, host_codes
from fxsim.load.terms import Curve

# NumPy names of the types of zero points: (bits, signed).
TYPES = {f"{'' if signed else 'u'}int{bits}": (bits, signed) for bits, signed in INTEGER_TYPES.values()}


@dataclass(frozen=True)
class Linear:
    """real = (code - zero) * scale; `scale` (float32) and `zero` broadcast against the tensor of the file."""

    scale: Array
    zero: Array
    dtype: str | None


@handles("QuantizeLinear")
def quantize_linear(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """saturate(round half-even(x / scale) + zero point).

    The zero point is added behind the rounding, so that the codes of the graph leave it away: the tensor is
    round(x / scale) in the shifted range, and its line adds the zero point. Constants and the host's input
    are quantized in float32, as in the file; activations exactly. A Clip right behind narrows the range.
    """
    x = operands[0]
    if x is None:
        raise loader.error(node, "has no input", "connect its first input")
    shape = x.values.shape if isinstance(x, Constant) else (loader.batch, *x.shape)
    p = linear(loader, node, operands, shape)
    unbatched(loader, node, x, p)
    lo, hi = code_range(loader, node, p)
    if isinstance(x, Constant):
        bits, signed = code_type(loader, node, p)
        return Constant(rounded(node, x, p, lo, hi).astype(f"{'' if signed else 'u'}int{max(bits, 8)}"))
    return quantized(loader, node, x, p, *clipped(loader, node, lo, hi))


def quantized(
    loader: Loader, node: FileNode, x: Activation | Curve | RealInput, p: Linear, lo: int, hi: int
) -> Activation:
    """The codes lo..hi of an activation or of the host's input, as a tensor whose real value is the code."""
    zero = p.zero.ravel()[:1].reshape(()) if np.all(p.zero == p.zero.ravel()[0]) else p.zero
    q = Quantizer(p.scale, np.zeros((), np.float32), np.asarray(lo - zero), np.asarray(hi - zero))
    y = host_codes(loader, node, x, q) if isinstance(x, RealInput) else codes(loader, node, x, q)
    scale, offset = channels(p.scale, y.shape), channels(zero, y.shape)
    return y.map(lambda line, s, z: line.then(1 / s, z), scale, offset)


@handles("DequantizeLinear")
def dequantize_linear(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """(code - zero point) * scale: a line on an activation, integers with a scale for constants."""
    x = operands[0]
    if isinstance(x, Constant):
        return dequantized_constant(loader, node, x, linear(loader, node, operands, x.values.shape))
    x = loader.activation(node, x)
    p = linear(loader, node, operands, (loader.batch, *x.shape))
    unbatched(loader, node, x, p)
    return dequantized(x, p)


def dequantized(x: Activation, p: Linear) -> Activation:
    """real = (code - zero) * scale; a power of two moves the point."""
    scale, zero = channels(p.scale, x.shape), channels(p.zero, x.shape)
    return x.map(lambda line, s, z: line.then(s, -z * s), scale, zero).settled()


def dequantized_constant(loader: Loader, node: FileNode, x: Constant, p: Linear) -> Constant:
    """Weights and biases: integers without their zero point, and the scale."""
    if x.values.dtype.kind not in "iu" and x.values.dtype.name not in TYPES:
        raise loader.error(
            node, f"dequantizes a constant of type {x.values.dtype.name}", f"use {', '.join(TYPES)} or int32"
        )
    code = subtract(x.values.astype(np.int64), p.zero)
    return Constant((code.astype(np.float32) * p.scale).astype(np.float32), code, p.scale)


def linear(loader: Loader, node: FileNode, operands: list[Any], shape: tuple[int, ...]) -> Linear:
    """The checked scale and zero point, shaped to broadcast against `shape` (batch first)."""
    if node.get("block_size", 0):
        raise loader.error(
            node, "is quantized in blocks (block_size)", "use one scale per tensor or per axis"
        )
    given = loader.constant(node, operands[1] if len(operands) > 1 else None, "scale").values
    symbol = operands[2] if len(operands) > 2 else None
    zeros = None if symbol is None else loader.constant(node, symbol, "zero point").values
    return checked(loader, node, given, zeros, shape, int(node.get("axis", 1)))


def unbatched(loader: Loader, node: FileNode, x: Symbol, p: Linear) -> None:
    """ValueError if an activation has parameters per sample."""
    if not isinstance(x, Constant) and any(a.ndim and len(a) > 1 for a in (p.scale, p.zero)):
        raise loader.error(
            node, "has parameters along the batch axis", "use one per tensor, or along an axis from 1 on"
        )


def checked(
    loader: Loader, node: FileNode, scale: Array, zeros: Array | None, shape: tuple[int, ...], axis: int
) -> Linear:
    """A Linear of these arrays: one value, or one per index of `axis`."""
    if scale.dtype != np.float32:
        raise loader.error(node, f"has a scale of type {scale.dtype.name}", "use a float32 scale")
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise loader.error(node, "has a scale that is not positive and finite", "retrain or export it again")
    dtype = None
    if zeros is None:
        zeros = np.zeros((), np.int64)
    else:
        dtype = zeros.dtype.name
        if dtype not in (*TYPES, "int32"):
            raise loader.error(
                node,
                f"has a zero point of type {dtype}",
                f"use one of {', '.join(TYPES)}, which are integers",
            )
    wide = [along(loader, node, a, shape, axis) for a in (scale, zeros.astype(np.int64))]
    return Linear(wide[0], wide[1], dtype)


def along(loader: Loader, node: FileNode, a: Array, shape: tuple[int, ...], axis: int) -> Array:
    """One value, or a list along `axis`, shaped to broadcast against `shape`."""
    if a.size == 1:
        return a.reshape(())
    if a.ndim != 1 or not -len(shape) <= axis < len(shape) or len(a) != shape[axis]:
        raise loader.error(
            node, f"has parameters of shape {a.shape} along axis {axis} of {shape}",
            "use one per tensor, or one per index of its axis",
        )  # fmt: skip
    return a.reshape([-1 if i == axis % len(shape) else 1 for i in range(len(shape))])


def code_type(loader: Loader, node: FileNode, p: Linear) -> tuple[int, bool]:
    """(bits, signed) of the codes: the zero point's type, else output_dtype, else uint8."""
    if p.dtype is not None:
        if p.dtype not in TYPES:
            raise loader.error(node, f"quantizes to {p.dtype}", f"use one of {', '.join(TYPES)}")
        return TYPES[p.dtype]
    number = int(node.get("output_dtype", 0)) or 2
    if number not in INTEGER_TYPES:
        raise loader.error(node, f"has the output_dtype {number}", f"use one of {', '.join(TYPES)}")
    return INTEGER_TYPES[number]


def code_range(loader: Loader, node: FileNode, p: Linear) -> tuple[int, int]:
    """(least, greatest) of that type."""
    bits, signed = code_type(loader, node, p)
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


def rounded(node: FileNode, x: Constant, p: Linear, lo: int, hi: int) -> Array:
    """A constant's codes by the file's own float32 rule. ValueError for NaN."""
    if np.isnan(x.values).any():
        at = tuple(int(i) for i in np.argwhere(np.isnan(x.values))[0])
        raise ValueError(f"{node} quantizes a constant that is NaN at {at}; train or export the model again")
    y = np.rint(np.asarray(x.values, np.float32) / p.scale).astype(np.float64)
    return np.asarray(np.clip(y + p.zero, lo, hi))


def clipped(loader: Loader, node: FileNode, lo: int, hi: int) -> tuple[int, int]:
    """The range, narrowed by a Clip that is the only reader of the node and has constant bounds."""
    name = node.outputs[0]
    readers = [n for n in loader.model.nodes if name in n.inputs]
    if len(readers) != 1 or readers[0].op != "Clip" or readers[0].inputs[0] != name:
        return lo, hi
    if name in loader.model.outputs:
        return lo, hi
    ends = [lo, hi]
    for i, bound in enumerate(readers[0].inputs[1:3]):
        if bound:
            known = loader.symbols.get(bound)
            if not isinstance(known, Constant):
                return lo, hi
            end = as_fractions(known.values).ravel()[0]
            ends[i] = max(lo, -(-end // 1)) if i == 0 else min(hi, end // 1)
    if ends[0] > ends[1]:
        return lo, hi
    if ends != [lo, hi]:
        loader.reasons[name] = "the Clip after it is built into the quantizer"
    return ends[0], ends[1]
