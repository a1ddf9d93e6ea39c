"""QUANTIZE and DEQUANTIZE: where reals become codes, codes other codes, and codes reals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fxsim.boundary import FormatEncoder, QuantEncoder
from fxsim.integers import Array
from fxsim.load.rescale import rescale
from fxsim.load.steps import StepFunction
from fxsim.load.tflite.activations import unary
from fxsim.load.tflite.flatfile import FileOp, FileTensor
from fxsim.load.tflite.gemmlowp import multiply
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.rounding import Multiplier
from fxsim.load.tflite.symbols import Codes, Decoded, Quant, Real, Symbol
from fxsim.types import TensorType


@handles("QUANTIZE")
def quantize(loader: Loader, op: FileOp) -> Symbol:
    """Of a float input: the host's rule. Of int8 or uint8 codes: a table of another scale and zero point."""
    t = loader.tensor(op, 0)
    symbol, out = loader.symbols[t.index], loader.result(op, True)
    if isinstance(symbol, Real):
        return quantized_input(loader, t, out)
    x, q = loader.operand(op, 0, True)
    factor = Multiplier.of(q.real / out.real)

    def code(v: Array) -> Array:
        return multiply(v - q.zero, factor.m, factor.e) + out.zero

    return unary(loader, op, x, code, "requantize", of=q.bounds, to=out.bounds)


@handles("DEQUANTIZE")
def dequantize(loader: Loader, op: FileOp) -> Symbol:
    """The reals scale * (code - zero), on the host."""
    x, q = loader.operand(op, 0, True)
    return Decoded(x, q.affine)


def quantized_input(loader: Loader, t: FileTensor, q: Quant) -> Codes:
    """The codes of an input: clip(round(x / scale) + zero) in float32, ties away from zero.

    The host computes them. With `input=Format` the graph does, by the exact rational x / scale.
    """
    lead = len(t.shape) > 1
    if lead and t.shape[0] != loader.batch:
        raise ValueError(f"input {t.name!r} has a batch of {t.shape[0]}, another input one of {loader.batch}")
    if loader.input is None:
        encoder = QuantEncoder((q.real,), (0.0,), *q.bounds, rounding="HALF_UP", after=q.zero)
        return Codes(loader.enter(t, q, encoder), lead)
    loader.room_of(t)
    shape = t.shape[1:] if lead else t.shape
    known = next((n for n in loader.builder.inputs if n.name == t.name), None)
    if known is not None:
        raise ValueError(f"input {t.name!r} is quantized in two ways; give the model one QUANTIZE for it")
    x = loader.builder.input(t.name, TensorType.of(loader.input, shape), FormatEncoder(loader.input))
    if t.type == "FLOAT32":
        del loader.builder.names[t.name]
    x.named(t.name)
    lo, hi = (v - q.zero for v in q.bounds)
    slope = Fraction(2) ** -loader.input.frac / Fraction(q.real)
    steps = StepFunction(slope, Fraction(0), lo, hi, "HALF_UP")
    label = loader.block_name(f"{t.name}_quantize")
    y = rescale(loader.builder, label, x, [steps], None, 0, loader.rescale)
    return Codes(y + np.int64(q.zero) if q.zero else y, lead)
