"""Handlers of the arithmetic between quantizers: matrix products, constants, batch norm and ReLU."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.constants import to_raw
from fxsim.integers import Array, IntArray, shift_left, to_object
from fxsim.load.affine import (
    Activation,
    Channels,
    Constant,
    Line,
    Symbol,
    as_fractions,
    channels,
    log2,
)
from fxsim.load.loader import Loader, handles
from fxsim.load.model import FileNode
from fxsim.load.nodes.curved import mapped
from fxsim.load.rescale import reaches
from fxsim.load.steps import Reach
from fxsim.load.terms import Both, Curve, Number, Term
from fxsim.trace import maximum

# Weights without a quantizer are taken as they are if they are dyadic numbers of few bits, such as -1 and +1.
PLAIN_WEIGHT_BITS = 16
ZERO = Channels((Fraction(0),))


@handles("Gemm")
def gemm(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """alpha * activation @ weights (transposed if transB) + beta * bias."""
    if node.get("transA", 0):
        raise loader.error(
            node, "has transA = 1, which transposes the batch axis", "export it with transA = 0"
        )
    codes, scale = weights(loader, node, operands[1])
    if node.get("transB", 0):
        codes, scale = codes.T, scale.T
    alpha, beta = (Fraction(float(np.float32(node.get(k, 1.0)))) for k in ("alpha", "beta"))
    bias = None
    if len(operands) > 2 and operands[2] is not None:
        bias = loader.constant(node, operands[2], "bias")
    return dense(loader, node, operands[0], (codes, np.asarray(scale * alpha)), bias, beta)


def weights(loader: Loader, node: FileNode, symbol: Symbol | None) -> tuple[Array, Array]:
    """(integer codes (K, N), exact scales of the same shape) of the second operand."""
    codes, scale = coded(loader, node, symbol, "weight matrix as second operand")
    if codes.ndim > 2 and set(codes.shape[:-2]) == {1}:
        codes, scale = codes.reshape(codes.shape[-2:]), scale.reshape(codes.shape[-2:])
    if codes.ndim != 2:
        raise loader.error(node, f"has weights of shape {codes.shape}", "use a matrix (inputs, outputs)")
    return codes, scale


def coded(
    loader: Loader, node: FileNode, symbol: Symbol | None, what: str = "weight tensor as second operand"
) -> tuple[Array, Array]:
    """(integer codes, exact scales of the same shape) of constant weights."""
    w = loader.constant(node, symbol, what)
    if w.codes is not None and w.scale is not None:
        return w.codes, np.broadcast_to(as_fractions(w.scale), w.codes.shape)
    try:
        raw, frac = to_raw(w.values, "weights")
        plain = np.abs(raw).max(initial=0) < 1 << PLAIN_WEIGHT_BITS
    except ValueError:
        plain = False
    if not plain:
        raise loader.error(
            node, "has no scale for its weights: they are not quantized", "put a Quant node on the weights"
        )
    return raw, np.full(raw.shape, Fraction(2) ** -frac, object)


def dense(
    loader: Loader,
    node: FileNode,
    operand: Symbol | None,
    weight: tuple[Array, Array],
    bias: Constant | None,
    beta: Fraction = Fraction(1),
) -> Activation:
    """The exact integer product of codes, as a "dense" block; scales and offsets go into the result's lines.

    real_j = sum_k (s * v_k + o_k) * w_kj * t_j = s * t_j * (v @ w)_j + t_j * (o @ w)_j. Powers of two t_j
    shift the integer weights instead, so that the result's value is the real one, and a quantized bias is an
    aligned Add.
    """
    x = loader.materialised(node, loader.activation(node, operand, "its first operand"))
    codes, scale = weight
    if not x.shape or x.shape[-1] != codes.shape[0]:
        raise loader.error(node, f"multiplies {x.shape} by {codes.shape}", "inner sizes must be equal")
    if x.axis is not None and (x.axis != len(x.shape) - 1 or len({li.scale for li in x.lines}) > 1):
        raise loader.error(
            node, "multiplies codes of unequal scales", "use one scale per tensor for the Quant before it"
        )
    if np.any(scale != scale[:1]):
        raise loader.error(
            node,
            "has weight scales that vary along the inputs",
            "use one scale per tensor or per output channel",
        )
    columns = scale[0].tolist()
    raw, frac, left = powers_of_two(codes, columns)
    params = {"weight": IntArray(raw), "weight_frac": frac, "bias": None, "bias_frac": 0}
    with loader.builder.block("dense", loader.block_name(node), [x.tensor], params) as outputs:
        y = x.tensor @ loader.builder.apply(ops.Const(IntArray(raw), frac))
        sums = offsets(x, codes, columns)
        axis = len(y.shape) - 1
        lines = tuple(Line(x.lines[0].scale * s, o) for s, o in zip(left, sums, strict=True))
        result = Activation(y, lines, axis if len(lines) > 1 else None).settled()
        if bias is not None:
            result = biased(result, bias, beta, params)
        outputs.append(result.tensor)
    return result


def powers_of_two(codes: Array, columns: list[Fraction]) -> tuple[Array, int, list[Fraction]]:
    """(integer weights, frac, what is left of each column's scale): powers of two go into the integers."""
    powers = [log2(s) for s in columns]
    known = [p for p in powers if p is not None]
    if len(known) != len(powers) or not known:
        return codes, 0, columns
    least = min(known)
    raw = shift_left(codes, np.array([p - least for p in known], np.int64))
    return raw, -least, [Fraction(1)] * len(columns)


def offsets(x: Activation, codes: Array, columns: list[Fraction]) -> list[Fraction]:
    """What the operand's offsets (zero points) add to each output, exactly."""
    if all(li.offset == 0 for li in x.lines):
        return [Fraction(0)] * len(columns)
    o = np.array([li.offset for li in x.lines] * (codes.shape[0] if len(x.lines) == 1 else 1), object)
    return [Fraction(v) * s for v, s in zip((o @ to_object(codes)).tolist(), columns, strict=True)]


def biased(x: Activation, bias: Constant, beta: Fraction, params: dict[str, Any] | None = None) -> Activation:
    """x + beta * bias: an aligned Add of integers where both are fixed-point, else new offsets."""
    values = np.asarray(bias.fractions() * beta)
    spread = channels(values, x.shape)
    if not x.identity or not _fixed_point(x, bias, spread):
        return x.map(lambda line, v: line.then(Fraction(1), v), spread)
    raw, frac = to_raw(np.array(spread.values, object), "bias")
    if params is not None:
        full = raw if spread.axis is not None else np.broadcast_to(raw, x.shape[-1:])
        params.update(bias=IntArray(full), bias_frac=frac)
    shaped = (
        raw.reshape(())
        if spread.axis is None
        else raw.reshape((-1,) + (1,) * (len(x.shape) - 1 - spread.axis))
    )
    return Activation(x.tensor + x.tensor.builder.apply(ops.Const(IntArray(shaped), frac)))


def _fixed_point(x: Activation, c: Constant, values: Channels) -> bool:
    """Is the constant quantized by a power of two, or a multiple of the tensor's LSB?"""
    if c.scale is not None and all(log2(s) is not None for s in as_fractions(c.scale).ravel()):
        return True
    return all((v * Fraction(2) ** x.tensor.frac).denominator == 1 for v in values.values)


def scaled(x: Activation, factor: Channels) -> Activation:
    """x * factor; a power of two moves the point."""
    return x.map(lambda line, f: line.then(f, Fraction(0)), factor).settled()


@handles("BatchNormalization")
def batch_norm(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """gamma * (x - mean) / sqrt(var + eps) + beta per channel, exact but for the root, which is a double."""
    if node.get("training_mode", 0):
        raise loader.error(node, "is in training mode", "export the model in evaluation mode")
    x = loader.activation(node, operands[0])
    gamma, beta, mean, var = (
        loader.constant(node, o, what).fractions().ravel()
        for o, what in zip(operands[1:], ("scale", "bias", "mean", "variance"), strict=True)
    )
    if not x.shape or any(len(v) != x.shape[0] for v in (gamma, beta, mean, var)):
        raise loader.error(
            node, f"has {len(gamma)} channels for a tensor {x.shape}", "the channels must be axis 1"
        )
    eps = float(np.float32(node.get("epsilon", 1e-5)))
    root = [Fraction(math.sqrt(float(v) + eps)) for v in var]
    if any(r == 0 for r in root):
        raise loader.error(node, "has a variance and epsilon of 0", "use a positive epsilon")
    slope = [g / r for g, r in zip(gamma, root, strict=True)]
    shift = [b - m * a for b, m, a in zip(beta, mean, slope, strict=True)]
    axis = 0 if len(slope) > 1 else None
    return x.map(
        lambda line, a, b: line.then(a, b), Channels(tuple(slope), axis), Channels(tuple(shift), axis)
    )


@handles("Relu")
def relu(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """max(x, 0): a "relu" block on fixed-point values, else a clamp that the next quantizer takes in."""
    x = loader.real(node, operands[0])
    if isinstance(x, Curve) or not x.identity:
        return clamped(x, ZERO, None)
    with loader.builder.block("relu", loader.block_name(node), [x.tensor]) as outputs:
        outputs.append(maximum(x.tensor, 0))
    return Activation(outputs[0])


@handles("Clip")
def clip(loader: Loader, node: FileNode, operands: list[Any]) -> Symbol:
    """Constant bounds, as attributes or inputs: a clamp that the next quantizer takes in."""
    x = loader.real(node, operands[0])
    bounds: list[Channels | None] = []
    for i, name in enumerate(("min", "max"), 1):
        value: Any = node.get(name)
        if len(operands) > i and operands[i] is not None:
            value = loader.constant(node, operands[i], name).values
        finite = value is not None and bool(np.isfinite(value))
        bounds.append(Channels((Fraction(float(np.asarray(value).ravel()[0])),)) if finite else None)
    return clamped(x, *bounds)


def clamped(x: Activation | Curve, low: Channels | None, high: Channels | None) -> Activation | Curve:
    """min(max(x, low), high); a bound that no code of the channel passes leaves no clamp."""
    none: Any = (None,)
    ends = [Channels(none) if c is None else c for c in (low, high)]
    if isinstance(x, Curve):
        return mapped(x, _bounded, *ends)
    unit = Fraction(2) ** -x.tensor.frac
    axis = next((a for a in (x.axis, *(c.axis for c in ends)) if a is not None), None)
    found: Any = tuple(reaches(x.tensor, axis))

    def clip(line: Line, reach: Reach, low: Fraction | None, high: Fraction | None) -> Line:
        ends = sorted(line.scale * end * unit + line.offset for end in (reach.lo, reach.hi))
        free = low is None or ends[0] >= low, high is None or ends[1] <= high
        return line.clip(None if free[0] else low, None if free[1] else high)

    return x.map(clip, Channels(found, axis), *ends)


def _bounded(term: Term, low: Fraction | None, high: Fraction | None) -> Term:
    term = term if low is None else Both("max", term, Number.of(low))
    return term if high is None else Both("min", term, Number.of(high))
