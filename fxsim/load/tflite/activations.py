"""Functions of one code: each is the table of what the runtime gives for its 256 codes."""

from __future__ import annotations

from collections.abc import Callable
from math import erfc

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray
from fxsim.load.tflite.clip import code_range
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.gemmlowp import divide_by_power, multiply, quantize_multiplier
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.rescale import clamped
from fxsim.load.tflite.rounding import Multiplier
from fxsim.load.tflite.symbols import CODES, Codes, Quant

ALL = np.arange(CODES[0], CODES[1] + 1, dtype=np.int64)
F32 = np.float32


def unary(
    loader: Loader,
    op: FileOp,
    x: Codes,
    code: Callable[[Array], Array],
    kind: str,
    near: tuple[int, ...] = (),
    of: tuple[int, int] = CODES,
    to: tuple[int, int] = CODES,
) -> Codes:
    """clip(code(x)) as a table, or as the clamp that it is, in a block of this kind.

    `of` and `to` are the least and greatest codes of operand and result.
    `near` are the operand's codes whose entry a float library of another rounding may give one more or less.
    """
    every = np.arange(of[0], of[1] + 1)
    entries = np.clip(code(every), *to)
    lo, hi = int(entries.min()), int(entries.max())
    params = {"near": IntArray(np.array(near, np.int64)), "low": lo, "high": hi}
    with loader.builder.block(kind, loader.block_name(op.short), [x.tensor], params) as outputs:
        if np.array_equal(entries, np.clip(every, lo, hi)):
            y = clamped(x.tensor, (lo, hi))
            outputs.append(y if y is not x.tensor else x.tensor.reshape(x.tensor.shape))
        else:
            outputs.append(loader.builder.apply(ops.Table(IntArray(entries), of[0], function=kind), x.tensor))
    return Codes(outputs[0], x.lead)


RELUS = {"RELU": "RELU", "RELU6": "RELU6", "RELU_N1_TO_1": "RELU_N1_TO_1", "RELU_0_TO_1": "RELU_0_TO_1"}


@handles(*RELUS)
def relu(loader: Loader, op: FileOp) -> Codes:
    """A clamp of the requantized codes."""
    x, q = loader.operand(op, 0)
    out = loader.result(op)
    factor, bounds = Multiplier.of(float(q.scale / out.scale)), code_range(out, RELUS[op.op])

    def code(v: Array) -> Array:
        return np.asarray(np.clip(out.zero + multiply(v - q.zero, factor.m, factor.e), *bounds))

    return unary(loader, op, x, code, "relu")


@handles("LEAKY_RELU")
def leaky_relu(loader: Loader, op: FileOp) -> Codes:
    """x, or alpha * x below 0: two multipliers."""
    x, q = loader.operand(op, 0)
    out, alpha = loader.result(op), F32(op.options["Alpha"])
    if not np.isfinite(alpha):
        raise loader.error(op, f"has alpha {alpha}", "it must be a finite number")
    return unary(loader, op, x, _leaky(q, out, float(q.scale * alpha / out.scale)), "leaky_relu")


def _leaky(q: Quant, out: Quant, slope: float) -> Callable[[Array], Array]:
    factor, (m, e) = Multiplier.of(float(q.scale / out.scale)), quantize_multiplier(abs(slope))

    def code(v: Array) -> Array:
        x = v - q.zero
        below = multiply(np.minimum(x, 0), m, e) * (-1 if slope < 0 else 1)
        return out.zero + np.where(x >= 0, multiply(np.maximum(x, 0), factor.m, factor.e), below)

    return code


@handles("PRELU")
def prelu(loader: Loader, op: FileOp) -> Codes:
    """x, or alpha * x below 0, alpha constant: a table for each alpha that shares one."""
    x, q = loader.operand(op, 0)
    out, a = loader.result(op), loader.quant(loader.tensor(op, 1).index, str(op))
    alpha = loader.fixed(op, 1, "alpha").astype(np.int64) - a.zero
    shape = loader.shape(x)
    full = np.broadcast_to(alpha, shape)[0 if x.lead else ...].reshape(-1, x.tensor.shape[-1])
    factor = Multiplier.of(float(q.scale / out.scale))
    m, e = quantize_multiplier(float(q.scale * a.scale / out.scale))
    v = ALL - q.zero
    above = multiply(np.maximum(v, 0), factor.m, factor.e)

    def entries(values: Array) -> Array:
        below = multiply(np.minimum(v, 0) * values[:, None], m, e)
        return np.asarray(np.clip(out.zero + np.where(v >= 0, above, below), *CODES))

    shared = bool(np.all(full == full[:1]))
    t = x.tensor if shared else x.tensor.reshape(-1)
    rows = entries(full[0] if shared else full.reshape(-1))
    table = ops.Table(IntArray(rows), CODES[0], axis=t.ndim - 1, function="prelu")
    with loader.builder.block("prelu", loader.block_name(op.short), [x.tensor]) as outputs:
        y = loader.builder.apply(table, t)
        outputs.append(y if shared else y.reshape(x.tensor.shape))
    return Codes(outputs[0], x.lead)


@handles("HARD_SWISH")
def hard_swish(loader: Loader, op: FileOp) -> Codes:
    """x * relu6(x + 3) / 6 in the runtime's 16-bit fixed point."""
    x, q = loader.operand(op, 0)
    out = loader.result(op)
    fine = F32(1.0 / 128.0) * q.scale
    m_out, e_out = _short(float(fine / out.scale))
    m_relu, e_relu = _short(float(fine / (F32(3.0) / F32(32768.0))))
    if e_relu > 30:
        raise loader.error(op, f"has an input scale of {q.real:.6g}", "calibrate it again")
    if e_out > 0:
        raise loader.error(op, "has an output scale below 1/128 of its input's", "calibrate it again")

    def code(v: Array) -> Array:
        wide = (v - q.zero) << 7
        gate = wide if e_relu <= 0 else _saturate(wide << (e_relu - 1))
        gate = _high16(gate, m_relu)
        gate = _saturate(gate << 1) if e_relu > 0 else divide_by_power(gate, -e_relu)
        gate = (gate + (1 << 15)) >> 1
        product = gate * _high16(wide, m_out)
        high = np.where(product >= 0, product >> 15, -(-product >> 15))
        return divide_by_power(high, -e_out) + out.zero

    return unary(loader, op, x, code, "hard_swish")


def _short(real: float) -> tuple[int, int]:
    """The multiplier in 16 bits, and its exponent."""
    m, e = quantize_multiplier(real)
    return min((m + (1 << 15)) >> 16, (1 << 15) - 1), e


def _saturate(v: Array) -> Array:
    return np.asarray(np.clip(v, -(1 << 15), (1 << 15) - 1))


def _high16(a: Array, b: int) -> Array:
    return np.asarray(np.minimum((a * b + (1 << 14)) >> 15, (1 << 15) - 1))


@handles("LOGISTIC")
def logistic(loader: Loader, op: FileOp) -> Codes:
    """1 / (1 + exp(-x)) in float32, rounded to a code."""

    def f(v: Array) -> Array:
        grown = np.exp(-v.astype(np.float64)).astype(F32)
        return np.asarray(F32(1) / (F32(1) + grown), F32)

    return _function(loader, op, f, "logistic")


@handles("TANH")
def tanh(loader: Loader, op: FileOp) -> Codes:
    """tanh(x) in float32, rounded to a code."""
    return _function(loader, op, lambda v: np.tanh(v.astype(np.float64)).astype(F32), "tanh")


@handles("ELU")
def elu(loader: Loader, op: FileOp) -> Codes:
    """x, or exp(x) - 1 below 0, in float32, rounded to a code."""

    def f(v: Array) -> Array:
        below = np.exp(np.minimum(v, 0).astype(np.float64)).astype(F32) - F32(1)
        return np.where(v < 0, below, v).astype(F32)

    return _function(loader, op, f, "elu")


@handles("GELU")
def gelu(loader: Loader, op: FileOp) -> Codes:
    """x / 2 * erfc(-x / sqrt 2), or its approximation by tanh, in float32, rounded to a code."""

    def exactly(v: Array) -> Array:
        inner = (v * F32(-np.sqrt(0.5))).astype(np.float64)
        return F32(0.5) * v * np.array([erfc(float(x)) for x in inner]).astype(F32)

    def nearly(v: Array) -> Array:
        inner = F32(2 / np.sqrt(np.pi) * np.sqrt(0.5)) * (v + F32(0.044715) * v * v * v)
        return F32(0.5) * v * (F32(1) + np.tanh(inner.astype(np.float64)).astype(F32))

    return _function(loader, op, nearly if op.options["Approximate"] else exactly, "gelu")


def _function(loader: Loader, op: FileOp, f: Callable[[Array], Array], kind: str) -> Codes:
    """The runtime's table of a float32 function: round(f(scale * (code - zero)) * (1 / s_y)) + zero_y.

    f is correctly rounded here. A C library may be one ulp off, which matters for the entries named `near`.
    """
    x, q = loader.operand(op, 0)
    out = loader.result(op)
    with np.errstate(over="ignore"):
        reals = f(q.scale * (ALL - q.zero).astype(F32))
    scaled = reals * (F32(1) / out.scale)

    def rounded(v: Array) -> Array:
        return np.copysign(np.floor(np.abs(v.astype(np.float64)) + 0.5), v).astype(np.int64)

    low, high = (np.nextafter(np.nextafter(scaled, F32(e)), F32(e)) for e in (-np.inf, np.inf))
    near = tuple(int(c) for c in ALL[rounded(low) != rounded(high)])
    return unary(loader, op, x, lambda v: rounded(scaled) + out.zero, kind, near)
