"""Handlers of the quantizers: the host's input codes, weights, exact casts, and rescaled codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from fxsim.load.nodes.curved import curve_codes
from fxsim.load.rescale import rescale
from fxsim.load.steps import BIPOLAR, StepFunction
from fxsim.load.sums import quantized_sum
from fxsim.load.terms import Curve
from fxsim.trace import Tensor, maximum, minimum


@dataclass(frozen=True)
class Quantizer:
    """The parameters of one quantizer node: code = clip(round(x / scale + zero), lo, hi), float arrays as
    stored; `lo` and `hi` are integers, one or shaped to broadcast like the scale.

    Bipolar ones (BipolarQuant, a signed 1-bit Quant) have the codes -1 and +1, +1 from 0 on.
    """

    scale: Array
    zero: Array
    lo: Array
    hi: Array
    rounding: str = "ROUND"
    bipolar: bool = False

    @classmethod
    def of_bits(
        cls, scale: Array, zero: Array, bits: Array, signed: bool, narrow: bool, rounding: str
    ) -> Quantizer:
        """The code range of QONNX's Quant, of one bit width or several."""
        top = [1 << (int(b) - signed) for b in bits.ravel()]
        lo = [narrow - t if signed else 0 for t in top]
        hi = [t - 1 if signed else t - 1 - narrow for t in top]
        ends = [exact(np.array(e, object).reshape(bits.shape)) for e in (lo, hi)]
        return cls(scale, zero, ends[0], ends[1], rounding, signed and bool(np.all(bits == 1)))

    @property
    def ends(self) -> tuple[int, int]:
        """The least and the greatest code of all channels."""
        return int(self.lo.min()), int(self.hi.max())


@handles("Quant", "IntQuant", "BipolarQuant", domain="qonnx")
def quant(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Quantize a constant (float32, as the file), the host's input, or an activation (exact)."""
    q = quantizer(loader, node, operands)
    x = operands[0]
    if isinstance(x, Constant):
        return quantized_constant(node, x, q)
    if isinstance(x, RealInput):
        return host_codes(loader, node, x, q)
    return codes(loader, node, loader.real(node, x), q)


def quantizer(loader: Loader, node: FileNode, operands: list[Any]) -> Quantizer:
    """The node's checked parameters."""
    need = 2 if node.op == "BipolarQuant" else 4
    if len(operands) < need or any(o is None for o in operands[:need]):
        raise loader.error(node, f"needs {need} inputs", "give its scale, zero point and bit width")
    scale = parameter(loader, node, operands[1], "scale")
    if not np.all(np.isfinite(scale)) or not np.all(scale > 0):
        raise loader.error(node, "has a scale that is not positive and finite", "retrain or export it again")
    if node.op == "BipolarQuant":
        return Quantizer.of_bits(scale, np.zeros((), np.float32), np.ones((), int), True, False, "ROUND")
    zero = parameter(loader, node, operands[2], "zero point")
    width = parameter(loader, node, operands[3], "bit width")
    signed = bool(node.get("signed", 1))
    bad = [w for w in width.ravel().tolist() if not 1 <= w <= 64 or w != int(w)]
    if bad or not width.size:
        raise loader.error(
            node, f"has the bit width {(bad or ['nothing'])[0]}", "use a whole number in 1..64"
        )
    if signed and np.any(width == 1) and not np.all(width == 1):
        raise loader.error(
            node, "has channels of 1 signed bit, which are -1 and 1, beside wider ones", "give them 2 bits"
        )
    if np.any(zero != np.rint(zero)) or np.any(np.abs(zero) >= 1 << 53):
        raise loader.error(
            node, "has a zero point that is no integer below 2**53", "use an integer zero point"
        )
    rounding = str(node.get("rounding_mode", "ROUND")).upper()
    if rounding not in QUANT_ROUNDINGS:
        raise loader.error(
            node, f"has the rounding mode {rounding!r}", f"use one of {', '.join(QUANT_ROUNDINGS)}"
        )
    bits = width.ravel()[0] if np.all(width == width.ravel()[0]) else width
    return Quantizer.of_bits(
        scale, zero, np.asarray(bits, np.int64), signed, bool(node.get("narrow", 0)), rounding
    )


def parameter(loader: Loader, node: FileNode, symbol: Symbol | None, what: str) -> Array:
    """A constant parameter as float32 (or float64 if it is stored so). ValueError unless it is finite."""
    a = loader.constant(node, symbol, what).values
    a = np.asarray(a, np.float64 if a.dtype == np.float64 else np.float32)
    if not np.all(np.isfinite(a)):
        raise loader.error(
            node, f"has a {what} that is not positive and finite" if what == "scale" else
            f"has a {what} that is not finite", "retrain or export it again",
        )  # fmt: skip
    return a


def quantized_constant(node: FileNode, x: Constant, q: Quantizer) -> Constant:
    """Weights by the file's own float32 rule; the zero point is taken off the codes. ValueError for NaN."""
    values = np.asarray(x.values, np.float64 if x.values.dtype == np.float64 else np.float32)
    if np.isnan(values).any():
        at = tuple(int(i) for i in np.argwhere(np.isnan(values))[0])
        raise ValueError(f"{node} quantizes a constant that is NaN at {at}; train or export the model again")
    with np.errstate(over="ignore"):
        y = values / q.scale + q.zero
    if q.bipolar:
        code = np.where(y >= 0, 1, -1)
    else:
        # The bounds of wide quantizers are no floats, so they are applied once more to the integers.
        ends = [np.broadcast_to(e.astype(object), y.shape) for e in (q.lo, q.hi)]
        near = np.clip(round_real(y, q.rounding), *(e.astype(np.float64) for e in ends)).ravel().tolist()
        rows = zip(near, *(e.ravel() for e in ends), strict=True)
        code = exact(np.array([min(max(int(v), lo), hi) for v, lo, hi in rows], object).reshape(y.shape))
    code = subtract(code, q.zero.astype(np.int64))
    with np.errstate(over="ignore"):  # infinite values, as in the reference; their codes are not
        values = (code.astype(np.float32) * q.scale).astype(np.float32)
    return Constant(values, code, q.scale)


def host_codes(loader: Loader, node: FileNode, x: RealInput, q: Quantizer) -> Activation:
    """The graph's input: codes that the host makes by the file's own float32 rule."""
    if q.scale.dtype != np.float32:
        raise loader.error(
            node, f"has a scale of type {q.scale.dtype.name} for the real input", "store it as float32"
        )
    scale, zero = channels(q.scale, x.shape), channels(q.zero, x.shape)
    found = [x.unwired(a) for a in (q.scale, q.zero, q.lo, q.hi)]
    axes = {c.axis for c in found} - {None}
    if len(axes) > 1:
        raise loader.error(node, "has parameters along different axes of the input", "use one axis")
    axis = axes.pop() if axes else None
    s, z = (tuple(float(v) for v in c.values) for c in found[:2])
    lo, hi = (int(c.values[0]) if c.axis is None else tuple(int(v) for v in c.values) for c in found[2:])
    encoder = QuantEncoder(s, z, lo, hi, "BIPOLAR" if q.bipolar else q.rounding, axis)
    if q.bipolar:
        bits = loader.encoded(node, x, encoder, axis)
        return dequantized(Activation(bits * 2 - 1), scale, zero).settled()
    power = log2(scale.values[0]) if axis is None and zero.values[0] == 0 else None
    tensor = loader.encoded(node, x, encoder, axis, 0 if power is None else -power)
    return Activation(tensor) if power is not None else dequantized(Activation(tensor), scale, zero)


def dequantized(code: Activation, scale: Channels, zero: Channels) -> Activation:
    """real = (code - zero) * scale."""
    return code.map(lambda line, s, z: line.then(s, -z * s), scale, zero)


def codes(loader: Loader, node: FileNode, x: Activation | Curve, q: Quantizer) -> Activation:
    """Quantize an activation: one Cast where all scales are powers of two, else the exact steps."""
    if isinstance(x, Curve):
        return curve_codes(loader, node, x, q)
    scale, zero = channels(q.scale, x.shape), channels(q.zero, x.shape)
    low, high = channels(q.lo, x.shape), channels(q.hi, x.shape)
    one = scale.axis is None and zero.axis is None and low.axis is None and high.axis is None
    power = log2(scale.values[0]) if scale.axis is None and all(v == 0 for v in zero.values) else None
    if power is not None and one and x.identity and not q.bipolar:
        fmt = enclosing(q, scale.values[0])
        if fmt is not None:
            # A symmetric format never saturates to its least code.
            least = -fmt.hi if fmt.overflow is Overflow.SAT_SYM else fmt.lo
            exact_range = (least, fmt.hi) == q.ends
            params = {"format": fmt} | (
                {} if exact_range else dict(zip(("low", "high"), q.ends, strict=True))
            )
            with loader.builder.block("quantize", loader.block_name(node), [x.tensor], params) as outputs:
                y = x.tensor.cast(fmt)
                for join, end in zip((maximum, minimum), q.ends, strict=True) if not exact_range else ():
                    y = join(y, loader.builder.apply(ops.Const(IntArray(np.array(end)), y.frac)))
                outputs.append(y)
            return Activation(outputs[0])
    span = q.ends[1] - q.ends[0]
    if span >= 1 << 16:
        raise loader.error(
            node,
            f"has {span.bit_length()} bits behind a float scale",
            "use at most 16 bits, or a power-of-two scale",
        )
    steps = x.map(lambda line, s, z: line.then(1 / s, z), scale, zero)
    tensor = stepped(loader, node, steps, q, low, high, power or 0)
    return Activation(tensor) if power is not None else dequantized(Activation(tensor), scale, zero)


def stepped(
    loader: Loader, node: FileNode, y: Activation, q: Quantizer, low: Channels, high: Channels, power: int
) -> Tensor:
    """round(y) clipped to low..high as a "rescale" block, per channel of y and of its range."""
    axes = {a for a in (y.axis, low.axis, high.axis) if a is not None}
    if len(axes) > 1:
        raise loader.error(node, "has scales and bit widths along different axes", "use one axis")
    axis = axes.pop() if axes else 0 if y.shape else None
    n = 1 if axis is None else y.shape[axis]
    rows = [row * (n if len(row) == 1 else 1) for row in (y.lines, tuple(low.values), tuple(high.values))]
    functions = [
        step_function(line, int(lo), int(hi), q, y.tensor.frac) for line, lo, hi in zip(*rows, strict=True)
    ]
    name = loader.block_name(node)
    parts = loader.sums.get(y.tensor.node)
    if parts is not None and loader.rescale != "threshold":
        # The functions are of the raw integer; the sum's coefficients are of values.
        of_value = [replace(f, a=f.a * Fraction(2) ** y.tensor.frac) for f in functions]
        made = quantized_sum(loader.builder, name, parts, of_value, axis, power)
        if made is not None:
            return made
    return rescale(loader.builder, name, y.tensor, functions, axis, power, loader.rescale)


def enclosing(q: Quantizer, scale: Fraction) -> Format | None:
    """The narrowest saturating format that holds lo..hi, None for CEIL and UP, by which no format rounds."""
    lo, hi = q.ends
    signed = lo < 0
    bits = max(hi.bit_length() if hi > 0 else 0, (-1 - lo).bit_length() if signed else 0) + signed
    narrow = signed and bits > 1 and lo == 1 - (1 << (bits - 1))
    try:
        return from_qonnx(
            max(bits, 1 + signed), signed=signed, narrow=narrow, rounding_mode=q.rounding, scale=scale
        )
    except ValueError:
        return None


def step_function(line: Line, lo: int, hi: int, q: Quantizer, frac: int) -> StepFunction:
    """The code as a function of the raw integer: a line in code units, its clamps as a smaller code range."""
    unit = Fraction(2) ** -frac
    if q.bipolar:
        whole = StepFunction(line.scale * unit, line.offset, 0, 1, BIPOLAR)
    else:
        whole = StepFunction(line.scale * unit, line.offset, lo, hi, q.rounding)
    return whole.clamped(*(None if v is None else v / unit for v in (line.low, line.high)))
