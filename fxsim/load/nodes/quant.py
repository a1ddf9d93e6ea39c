"""Handlers of the quantizers: the host's input codes, weights, exact casts, and rescaled codes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.boundary import QUANT_ROUNDINGS, QuantEncoder, round_real
from fxsim.formats import Format, Overflow, from_qonnx
from fxsim.integers import Array, IntArray, exact, subtract
from fxsim.load.affine import Activation, Channels, Constant, Line, RealInput, Symbol, channels, log2
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.rescale import rescale
from fxsim.load.steps import BIPOLAR, StepFunction
from fxsim.trace import maximum, minimum


@dataclass(frozen=True)
class Quantizer:
    """The parameters of one quantizer node: code = clip(round(x / scale + zero), lo, hi), float32 arrays as
    stored.

    Bipolar ones (BipolarQuant, a signed 1-bit Quant) have the codes -1 and +1, +1 from 0 on.
    """

    scale: Array
    zero: Array
    lo: int
    hi: int
    rounding: str = "ROUND"
    bipolar: bool = False

    @classmethod
    def of_bits(
        cls, scale: Array, zero: Array, bits: int, signed: bool, narrow: bool, rounding: str
    ) -> Quantizer:
        """The code range of QONNX's Quant."""
        lo = -(1 << (bits - 1)) + narrow if signed else 0
        hi = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1 - narrow
        return cls(scale, zero, lo, hi, rounding, signed and bits == 1)


@handles("Quant", "IntQuant", "BipolarQuant", domain="qonnx")
def quant(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Quantize a constant (float32, as the file), the host's input, or an activation (exact)."""
    q = quantizer(loader, node, operands)
    x = operands[0]
    if isinstance(x, Constant):
        return quantized_constant(node, x, q)
    if isinstance(x, RealInput):
        return host_codes(loader, node, x, q)
    return codes(loader, node, loader.activation(node, x), q)


def quantizer(loader: Loader, node: FileNode, operands: list[Any]) -> Quantizer:
    """The node's checked parameters."""
    need = 2 if node.op == "BipolarQuant" else 4
    if len(operands) < need or any(o is None for o in operands[:need]):
        raise loader.error(node, f"needs {need} inputs", "give its scale, zero point and bit width")
    scale = parameter(loader, node, operands[1], "scale")
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise loader.error(node, "has a scale that is not positive and finite", "retrain or export it again")
    if node.op == "BipolarQuant":
        return Quantizer.of_bits(scale, np.zeros((), np.float32), 1, True, False, "ROUND")
    zero = parameter(loader, node, operands[2], "zero point")
    width = parameter(loader, node, operands[3], "bit width")
    if np.any(width != width.ravel()[0]):
        raise loader.error(node, "has a bit width per channel", "use one bit width per tensor")
    bits = float(width.ravel()[0])
    if bits != int(bits) or bits < 1 or bits > 64:
        raise loader.error(node, f"has the bit width {bits}", "use a whole number in 1..64")
    if np.any(zero != np.rint(zero)):
        raise loader.error(node, "has a zero point that is no integer", "use an integer zero point")
    rounding = str(node.get("rounding_mode", "ROUND")).upper()
    if rounding not in QUANT_ROUNDINGS:
        raise loader.error(
            node, f"has the rounding mode {rounding!r}", f"use one of {', '.join(QUANT_ROUNDINGS)}"
        )
    return Quantizer.of_bits(
        scale, zero, int(bits), bool(node.get("signed", 1)), bool(node.get("narrow", 0)), rounding
    )


def parameter(loader: Loader, node: FileNode, symbol: Symbol | None, what: str) -> Array:
    """A constant parameter as float32."""
    return np.asarray(loader.constant(node, symbol, what).values, np.float32)


def quantized_constant(node: FileNode, x: Constant, q: Quantizer) -> Constant:
    """Weights by the file's own float32 rule; the zero point is taken off the codes. ValueError for NaN."""
    if np.isnan(x.values).any():
        at = tuple(int(i) for i in np.argwhere(np.isnan(x.values))[0])
        raise ValueError(f"{node} quantizes a constant that is NaN at {at}; train or export the model again")
    y = np.asarray(x.values, np.float32) / q.scale + q.zero
    if q.bipolar:
        code = np.where(y >= 0, 1, -1)
    else:
        # The bounds of wide quantizers are no floats, so they are applied once more to the integers.
        near = np.clip(round_real(y, q.rounding), float(q.lo), float(q.hi)).ravel().tolist()
        code = exact(np.array([min(max(int(v), q.lo), q.hi) for v in near], object).reshape(y.shape))
    code = subtract(code, q.zero.astype(np.int64))
    return Constant((code.astype(np.float32) * q.scale).astype(np.float32), code, q.scale)


def host_codes(loader: Loader, node: FileNode, x: RealInput, q: Quantizer) -> Activation:
    """The graph's input: codes that the host makes by the file's own float32 rule."""
    if q.bipolar:
        raise loader.error(
            node, "is a bipolar input quantizer", "pass input=Format, so that it becomes hardware"
        )
    scale, zero = channels(q.scale, x.shape), channels(q.zero, x.shape)
    axes = {c.axis for c in (scale, zero)} - {None}
    if axes and x.wiring:
        raise loader.error(
            node,
            "quantizes the reshaped input per channel",
            "quantize before the reshape, or pass input=Format",
        )
    axis = axes.pop() if axes else None
    encoder = QuantEncoder(
        tuple(float(v) for v in scale.values),
        tuple(float(v) for v in zero.values),
        q.lo,
        q.hi,
        q.rounding,
        axis,
    )
    power = log2(scale.values[0]) if axis is None and zero.values[0] == 0 else None
    tensor = loader.encoded(node, x, encoder, 0 if power is None else -power)
    return Activation(tensor) if power is not None else dequantized(Activation(tensor), scale, zero)


def dequantized(code: Activation, scale: Channels, zero: Channels) -> Activation:
    """real = (code - zero) * scale."""
    return code.map(lambda line, s, z: line.then(s, -z * s), scale, zero)


def codes(loader: Loader, node: FileNode, x: Activation, q: Quantizer) -> Activation:
    """Quantize an activation: one Cast where all scales are powers of two, else the exact steps."""
    scale, zero = channels(q.scale, x.shape), channels(q.zero, x.shape)
    power = (
        log2(scale.values[0])
        if scale.axis is None and len(zero.values) == 1 and zero.values[0] == 0
        else None
    )
    if power is not None and x.identity and not q.bipolar:
        fmt = enclosing(q, scale.values[0])
        if fmt is not None:
            # A symmetric format never saturates to its least code.
            least = -fmt.hi if fmt.overflow is Overflow.SAT_SYM else fmt.lo
            exact_range = (least, fmt.hi) == (q.lo, q.hi)
            params = {"format": fmt} | ({} if exact_range else {"low": q.lo, "high": q.hi})
            with loader.builder.block("quantize", loader.block_name(node), [x.tensor], params) as outputs:
                y = x.tensor.cast(fmt)
                for join, end in ((maximum, q.lo), (minimum, q.hi)) if not exact_range else ():
                    y = join(y, loader.builder.apply(ops.Const(IntArray(np.array(end)), y.frac)))
                outputs.append(y)
            return Activation(outputs[0])
    if q.hi - q.lo >= 1 << 16:
        raise loader.error(
            node,
            f"has {(q.hi - q.lo).bit_length()} bits behind a float scale",
            "use at most 16 bits, or a power-of-two scale",
        )
    steps = x.map(lambda line, s, z: line.then(1 / s, z), scale, zero)
    axis = steps.axis if steps.axis is not None else 0 if x.shape else None
    lines = steps.lines * (x.shape[axis] if steps.axis is None and axis is not None else 1)
    functions = [step_function(line, q, x.tensor.frac) for line in lines]
    tensor = rescale(
        loader.builder, loader.block_name(node), x.tensor, functions, axis, power or 0, loader.rescale
    )
    return Activation(tensor) if power is not None else dequantized(Activation(tensor), scale, zero)


def enclosing(q: Quantizer, scale: Fraction) -> Format | None:
    """The narrowest saturating format that holds lo..hi, None for CEIL and UP, by which no format rounds."""
    signed = q.lo < 0
    bits = max(q.hi.bit_length() if q.hi > 0 else 0, (-1 - q.lo).bit_length() if signed else 0) + signed
    narrow = signed and bits > 1 and q.lo == 1 - (1 << (bits - 1))
    try:
        return from_qonnx(
            max(bits, 1 + signed), signed=signed, narrow=narrow, rounding_mode=q.rounding, scale=scale
        )
    except ValueError:
        return None


def step_function(line: Line, q: Quantizer, frac: int) -> StepFunction:
    """The code as a function of the raw integer: a line in code units, its clamps as a smaller code range."""
    unit = Fraction(2) ** -frac
    if q.bipolar:
        whole = StepFunction(line.scale * unit, line.offset, 0, 1, BIPOLAR)
    else:
        whole = StepFunction(line.scale * unit, line.offset, q.lo, q.hi, q.rounding)
    return whole.clamped(*(None if v is None else v / unit for v in (line.low, line.high)))
