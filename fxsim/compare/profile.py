"""What data do to a graph's tensors: bits never used, saturation, and the error that rounding leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fxsim import ops
from fxsim.boundary import Encoder, FormatEncoder, QuantEncoder
from fxsim.compare.real import column, ends, real_rules
from fxsim.formats import Overflow
from fxsim.graph import Graph, Name, Node, Value
from fxsim.integers import Array, bit_length, trailing_zeros
from fxsim.load.steps import BIPOLAR


@dataclass(frozen=True, eq=False)
class TensorProfile:
    """One named tensor over the data. Codes are raw integers, errors are real values.

    width           bits of the widest element, as in hardware
    low, high       least and greatest code that occurred; proven_low, proven_high what can occur
    needed          bits that hold low..high, less the low bits that are 0 in every code
    dead            width - needed: bits that carry nothing on these data
    constant        elements (of `size`) that had one code in all samples, though they can have several
    saturated_low, saturated_high  fraction of codes that were clipped to an end of the quantizer's range,
                    because the value before it lay beyond; None where the tensor is no saturating quantizer's
    error_max, error_rms  |quantized - unrounded| of the real values, where "unrounded" is the same network in
                    float64 with no rounding anywhere before (ranges are kept)
    sqnr            10 log10(mean(unrounded^2) / mean(error^2)), dB; infinite where there is no error
    """

    name: str
    shape: tuple[int, ...]
    width: int
    low: int
    high: int
    proven_low: int
    proven_high: int
    needed: int
    constant: int
    size: int
    saturated_low: float | None
    saturated_high: float | None
    error_max: float
    error_rms: float
    sqnr: float
    codes: Array

    @property
    def dead(self) -> int:
        return self.width - self.needed


def profile(graph: Graph, x: Sequence[Array]) -> list[TensorProfile]:
    """A profile of every named tensor, in the graph's order, for real samples of every input.

    x   one array per input, (samples, *shape)

    One sample after another is not needed: all are evaluated at once, so memory grows with samples times
    tensors. Raises ValueError as `Graph.run` for bad samples, and for a graph without named tensors.
    """
    from fxsim.emulate import evaluate
    from fxsim.emulate.feed import batched

    arrays, _ = batched(graph, tuple(x))
    raw = [e.encode(a, i.name) for e, a, i in zip(graph.encoders, arrays, graph.inputs, strict=True)]
    entries = [(k, n) for k, n in graph.names.items() if n.value is not None]
    entries = entries or [
        (k, Name(v, a))
        for k, v, a in zip(graph.output_names, graph.outputs, graph.output_affines, strict=True)
    ]
    order = graph.index
    entries.sort(key=lambda pair: order[pair[1].value])  # type: ignore[index]
    codes = evaluate(graph, raw)
    starts = [unrounded(e, r, a) for e, r, a in zip(graph.encoders, raw, arrays, strict=True)]
    real = real_rules.fold(graph, [values for values, _ in starts])
    clipped: dict[Node, tuple[float, float] | None] = {
        i: share for i, (_, share) in zip(graph.inputs, starts, strict=True)
    }
    for _, entry in entries:
        assert entry.value is not None
        source = unwired(entry.value)
        share = clipped[source] if source in clipped else saturated(graph, source, codes)
        clipped[entry.value] = share
    return [_tensor(name, entry, codes, real, clipped, len(raw[0])) for name, entry in entries]


def unrounded(encoder: Encoder, raw: Array, x: Array) -> tuple[Array, tuple[float, float] | None]:
    """(the input before the host's rounding, in raw codes; fractions clipped low and high, if it clips)."""
    if isinstance(encoder, QuantEncoder) and encoder.rounding != BIPOLAR:
        rank = x.ndim - 1
        scale, zero, lo, hi = (
            column([float(n) for n in np.ravel(np.array(v, object))], rank, encoder.axis)
            for v in (encoder.scale, encoder.zero_point, *encoder.bounds())
        )
        code = x.astype(np.float64) / scale + zero + encoder.after
    elif isinstance(encoder, FormatEncoder):
        f = encoder.format
        code, lo, hi = np.ldexp(x.astype(np.float64), f.frac), np.array(f.lo), np.array(f.hi)
    else:
        return np.asarray(raw, np.float64), None
    return np.clip(code, lo, hi), (float(np.mean(code < lo - 0.5)), float(np.mean(code > hi + 0.5)))


def _tensor(
    name: str, entry: Name, codes: dict[Node, Array], real: dict[Node, Array],
    clipped: dict[Node, tuple[float, float] | None], samples: int,
) -> TensorProfile:  # fmt: skip
    node = entry.value
    assert node is not None
    t = node.type
    c = np.broadcast_to(codes[node], (samples, *t.shape))
    least, most = c.min(axis=0), c.max(axis=0)
    free = np.not_equal(t.lo, t.hi)
    scale = column([abs(float(s)) for s in entry.affine.scale], t.ndim, entry.affine.axis)
    wanted = np.ldexp(np.broadcast_to(real[node], c.shape), -t.frac) * scale
    error = np.ldexp(c.astype(np.float64), -t.frac) * scale - wanted
    noise, power = float(np.mean(error**2)), float(np.mean(wanted**2))
    sqnr = np.inf if noise == 0 else -np.inf if power == 0 else 10 * float(np.log10(power / noise))
    share = clipped[node]
    return TensorProfile(
        name=name, shape=t.shape, width=t.max_width, low=int(least.min()), high=int(most.max()),
        proven_low=int(t.bounds[0]), proven_high=int(t.bounds[1]), needed=_needed(c),
        constant=int(np.sum((least == most) & free)), size=t.size,
        saturated_low=None if share is None else share[0],
        saturated_high=None if share is None else share[1],
        error_max=float(np.abs(error).max()), error_rms=noise**0.5, sqnr=sqnr, codes=c,
    )  # fmt: skip


def _needed(c: Array) -> int:
    """Bits of a format that holds all the codes: sign, magnitude, less the common trailing zeros."""
    if not c.size:
        return 0
    low, high = c.min(), c.max()
    magnitudes = np.array([low if low >= 0 else -1 - low, high if high >= 0 else -1 - high])
    width = int(bit_length(magnitudes).max()) + bool(low < 0)
    zeros = int(trailing_zeros(c.ravel(), 64).min())
    return max(width - min(zeros, width), 0)


def unwired(node: Node) -> Node:
    """The value whose elements these are, in another shape or order."""
    while isinstance(node, Value) and isinstance(node.op, (ops.Reshape, ops.Transpose)):
        node = node.args[0]
    return node


def saturated(graph: Graph, node: Node, codes: dict[Node, Array]) -> tuple[float, float] | None:
    """The fractions of elements that a saturating Cast, or the steps of a rescale block, clipped low and
    high: the value before it lay more than half a code beyond the end. None for anything else."""
    block = next((b for b in graph.blocks if b.kind == "rescale" and node in b.outputs), None)
    if block is not None:
        p, rank = block.params, block.inputs[0].type.ndim
        scale, offset, low, high = (
            column([float(v) for v in values], rank, p["axis"])
            for values in (p["scale"], p["offset"], p["low"].array, p["high"].array)
        )
        y, half = scale * codes[block.inputs[0]].astype(np.float64) + offset, np.asarray(0.5)
    elif isinstance(node, Value) and isinstance(node.op, ops.Cast):
        if node.op.overflow in (Overflow.WRAP, Overflow.WRAP_SM):
            return None
        y = np.ldexp(codes[node.args[0]].astype(np.float64), node.type.frac - node.args[0].type.frac)
        low, high = ends(node)
        half = np.exp2(node.type.frac - node.op.parameters(node.type.shape)[0].astype(np.float64)) / 2
    else:
        return None
    return float(np.mean(y < low - half)), float(np.mean(y > high + half))
