"""CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED: exact int32 sums, then the runtime's rounding per channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.integers import Array, IntArray
from fxsim.load.tflite.clip import fused
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.options import PADDINGS
from fxsim.load.tflite.rescale import rescale
from fxsim.load.tflite.rounding import DoubleProduct, Multiplier, Rule
from fxsim.load.tflite.symbols import Codes, Quant
from fxsim.trace import Tensor, concat


@handles("CONV_2D")
def conv(loader: Loader, op: FileOp) -> Codes:
    """Strides, SAME and VALID padding, dilations, groups (by the weights' depth); weights (O, kh, kw, I)."""
    x, q = image(loader, op)
    w, scales = weights(loader, op, 0, 4)
    made, per, depth = w.shape[0], w.shape[3], x.tensor.shape[2]
    if not per or depth % per or made % (depth // per):
        raise loader.error(
            op, f"has weights {w.shape} for {depth} channels", "channels must be a multiple of their depth"
        )
    window = windows(loader, op, x, w.shape[1:3], q.zero)
    kernel = w.transpose(1, 2, 3, 0)
    y = sums(loader, op, x, kernel, window, depth // per, bias(loader, op, w.sum(axis=(1, 2, 3)), q))
    return requantized(loader, op, Codes(y, x.lead), q, scales, Multiplier.of)


@handles("DEPTHWISE_CONV_2D")
def depthwise(loader: Loader, op: FileOp) -> Codes:
    """One kernel per output channel, weights (1, kh, kw, O), O a multiple of the input's channels."""
    x, q = image(loader, op)
    w, scales = weights(loader, op, 3, 4)
    made, depth = w.shape[3], x.tensor.shape[2]
    if w.shape[0] != 1 or made % depth:
        raise loader.error(
            op, f"has weights {w.shape} for {depth} channels", "they must be (1, height, width, outputs)"
        )
    window = windows(loader, op, x, w.shape[1:3], q.zero)
    y = sums(
        loader, op, x, w.transpose(1, 2, 0, 3), window, depth, bias(loader, op, w.sum(axis=(0, 1, 2)), q)
    )
    return requantized(loader, op, Codes(y, x.lead), q, scales, Multiplier.of)


@handles("FULLY_CONNECTED")
def fully_connected(loader: Loader, op: FileOp) -> Codes:
    """x @ W.T + b over the last axis or all of them; weights (O, K), which may have a zero point.

    The reference kernel multiplies by the scale in double precision, other than convolutions.
    """
    if op.options["WeightsFormat"]:
        raise NotImplementedError(f"{op} has shuffled weights; convert with the default weights format")
    x, q = loader.operand(op, 0)
    w, scales = weights(loader, op, 0, 2, True)
    size, made = x.tensor.type.size, w.shape[0]
    if not w.shape[1] or size % w.shape[1]:
        raise loader.error(op, f"has weights {w.shape} for {size} inputs", "use weights (outputs, inputs)")
    rows, lead = size // w.shape[1], x.lead
    if op.options["KeepNumDims"]:
        if x.tensor.ndim == 0 or x.tensor.shape[-1] != w.shape[1]:
            raise loader.error(op, f"keeps the axes of {loader.shape(x)}", f"the last must be {w.shape[1]}")
        shape: tuple[int, ...] = (*x.tensor.shape[:-1], made)
    elif lead and rows == 1:
        shape = (made,)
    else:
        if loader.batch > 1:
            raise loader.error(op, f"joins the batch with the axes of {loader.shape(x)}", "use a batch of 1")
        # A row without a batch axis of its own is one sample, as the runtime's result (1, made) says.
        shape, lead = ((made,), True) if rows == 1 else ((rows, made), False)
    b = bias(loader, op, w.sum(axis=1), q)
    columns = w.T
    params = {
        "weight": IntArray(columns), "weight_frac": 0,
        "bias": None if b is None else IntArray(b), "bias_frac": 0,
    }  # fmt: skip
    flat = x.tensor if x.tensor.shape[-1:] == (w.shape[1],) else x.tensor.reshape(rows, w.shape[1])
    builder = loader.builder
    with builder.block("dense", loader.block_name(op.short), [flat], params) as outputs:
        y = flat @ builder.apply(ops.Const(IntArray(columns)))
        outputs.append(y if b is None else y + builder.apply(ops.Const(IntArray(b))))
    y = requantized(loader, op, Codes(outputs[0]), q, scales, DoubleProduct).tensor
    return Codes(y if y.shape == shape else y.reshape(shape), lead)


def image(loader: Loader, op: FileOp, position: int = 0) -> tuple[Codes, Quant]:
    """The operand (batch, height, width, channels)."""
    x, q = loader.operand(op, position)
    if not x.lead or x.tensor.ndim != 3 or not x.tensor.type.size:
        raise loader.error(
            op, f"has an operand of shape {loader.shape(x)}", "it must be (batch, height, width, channels)"
        )
    return x, q


def weights(
    loader: Loader, op: FileOp, axis: int, rank: int, shifted: bool = False, position: int = 1
) -> tuple[Array, Array]:
    """(int64 weights without their zero point, float32 scales along `axis` or one)."""
    t = loader.tensor(op, position)
    w = loader.fixed(op, position, "weight tensor")
    if t.type not in ("INT8", "INT4"):
        raise NotImplementedError(f"{op} has weights of {t.type}; convert with int8 weights")
    if w.ndim != rank or not w.size:
        raise loader.error(op, f"has weights of shape {w.shape}", f"they must have {rank} axes")
    q = t.quantization
    if q is None:
        raise loader.error(op, f"has no scale for its weights, {t}", "convert with quantized weights")
    if len(q.scale) not in (1, w.shape[axis]) or (len(q.scale) > 1 and q.axis % rank != axis):
        raise loader.error(
            op, f"has {len(q.scale)} scales along axis {q.axis} of its weights {w.shape}",
            f"give one, or one per index of axis {axis}",
        )  # fmt: skip
    if not (np.isfinite(q.scale).all() and (q.scale > 0).all()):
        bad = q.scale[~(np.isfinite(q.scale) & (q.scale > 0))][0]
        raise loader.error(op, f"has a weight scale of {bad}", "scales must be positive and finite")
    if np.any(q.zero) and not (shifted and len(q.scale) == 1):
        raise loader.error(
            op, "has weights with a zero point", "the runtime takes it as 0; quantize symmetrically"
        )
    return w.astype(np.int64) - int(q.zero[0]), q.scale


def bias(loader: Loader, op: FileOp, sums: Array, q: Quant, position: int = 2) -> Array | None:
    """What is added to products of codes: the file's bias, less the zero point times the weights' sums."""
    whole = -q.zero * sums
    if loader.has(op, position):
        t, b = loader.tensor(op, position), loader.fixed(op, position, "bias")
        if t.type != "INT32" or b.size != len(sums):
            raise loader.error(
                op,
                f"has a bias of {t.type} {b.shape}",
                f"it must be INT32, one for each of {len(sums)} outputs",
            )
        whole = whole + b.reshape(-1).astype(np.int64)
    return whole if np.any(whole) else None


def windows(loader: Loader, op: FileOp, x: Codes, kernel: Sequence[int], fill: int) -> ops.Window:
    """The operator's windows over axes 0 and 1; `fill` is the code of padding."""
    o = op.options
    steps = o["StrideH"], o["StrideW"]
    gaps = o.get("DilationHFactor", 1), o.get("DilationWFactor", 1)
    if min(*steps, *gaps, *kernel) < 1:
        raise loader.error(op, f"has stride {steps}, dilation {gaps}, kernel {tuple(kernel)}", "use 1 on")
    before, after = pads(loader, op, x.tensor.shape[:2], kernel, steps, gaps)
    found = ops.Window(tuple(kernel), steps, gaps, before, after, fill if any(before) or any(after) else 0)
    positions = found.positions(x.tensor.shape)
    if min(positions) < 1:
        raise loader.error(
            op, f"has windows of {tuple(kernel)} that do not fit {x.tensor.shape[:2]}", "use SAME padding"
        )
    padded = [n + b + a for n, b, a in zip(x.tensor.shape, before, after, strict=False)]
    loader.room(op, *padded, x.tensor.shape[2])
    loader.room(op, *positions, *kernel, x.tensor.shape[2])
    return found


def pads(
    loader: Loader,
    op: FileOp,
    space: Sequence[int],
    kernel: Sequence[int],
    steps: Sequence[int],
    gaps: Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(before, after): SAME gives ceil(size / stride) positions, the odd element at the end."""
    kind = PADDINGS.get(op.options["Padding"])
    if kind is None:
        raise loader.error(op, f"has padding {op.options['Padding']}", "use SAME (0) or VALID (1)")
    if kind == "VALID":
        return (0, 0), (0, 0)
    total = [
        max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        for n, k, s, d in zip(space, kernel, steps, gaps, strict=True)
    ]
    return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)


def sums(
    loader: Loader, op: FileOp, x: Codes, kernel: Array, window: ops.Window, groups: int, b: Array | None
) -> Tensor:
    """Windows of (height, width, channels) times weights (*kernel, channels / groups, outputs), plus b."""
    builder = loader.builder
    params: dict[str, Any] = {
        "weight": IntArray(kernel), "weight_frac": 0,
        "bias": None if b is None else IntArray(b), "bias_frac": 0,
        "stride": window.stride, "dilation": window.dilation, "before": window.before,
        "after": window.after, "groups": groups,
    }  # fmt: skip
    params |= {"fill": window.fill} if window.fill else {}
    with builder.block("conv2d", loader.block_name(op.short), [x.tensor], params) as outputs:
        found = builder.apply(window, x.tensor)
        per, made = kernel.shape[2], kernel.shape[3] // groups
        if per == 1 and groups > 1:
            y = _each(found, kernel[:, :, 0], made)
        else:
            parts = []
            for g in range(groups):
                part = found[..., g * per : (g + 1) * per] if groups > 1 else found
                rows = part.reshape(*part.shape[:2], -1)
                columns = kernel[..., g * made : (g + 1) * made].reshape(-1, made)
                parts.append(rows @ builder.apply(ops.Const(IntArray(columns))))
            y = parts[0] if groups == 1 else concat(parts, axis=2)
        outputs.append(y if b is None else y + builder.apply(ops.Const(IntArray(b))))
    return outputs[0]


def _each(found: Tensor, kernel: Array, made: int) -> Tensor:
    """A kernel for each channel: elementwise products, summed over the window."""
    builder = found.builder
    if made > 1:
        found = found.take(np.repeat(np.arange(found.shape[-1]), made), found.ndim - 1)
    rows = found.reshape(*found.shape[:2], -1, found.shape[-1])
    return (rows * builder.apply(ops.Const(IntArray(kernel.reshape(-1, kernel.shape[-1]))))).sum(axis=2)


def requantized(loader: Loader, op: FileOp, acc: Codes, q: Quant, scales: Array, rule: Any) -> Codes:
    """The codes of the sums: per channel (last axis) by `rule` of s_x * s_w / s_y in double precision."""
    out = loader.result(op)
    rules: list[Rule] = [rule(q.real * float(s) / out.real) for s in scales]
    axis = acc.tensor.ndim - 1 if len(rules) > 1 else None
    y = rescale(
        loader.builder, loader.block_name(f"{op.short}_rescale"), acc.tensor, rules, axis, out.zero,
        fused(loader, op), loader.rescale,
    )  # fmt: skip
    return Codes(y, acc.lead)
