"""Matrix products and convolutions with constant weights of any codec: shift-add graphs in hardware."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.constants import to_raw
from fxsim.integers import Array, IntArray
from fxsim.layers.formats import Step, fitted, quantized
from fxsim.quantizers.channels import spread
from fxsim.quantizers.codec import Codec, fractions
from fxsim.trace import Tensor, concat


def dense(
    x: Tensor,
    weights: Any,
    bias: Any = None,
    *,
    codec: Codec | None = None,
    bias_format: Step = None,
    out: Step = None,
    name: str = "dense",
) -> Tensor:
    """cast(x @ W + b) for x (..., n), real weights (n, m), bias (m,); the sum is exact.

    codec        of the weights: W is raw * 2**-frac of their codes. None: they are exact as they are
    bias_format  the bias is quantized to it. None: it is exact
    out          format of the result. None: it keeps all bits

    The codec's scale is not in the hardware: y = scale * result, in real numbers, and the bias is divided by
    it before it is quantized. Scales for each output channel (`codec.scales`) go the same way.

    Raises TypeError for shapes that do not fit, ValueError for weights or a bias that are neither exact nor
    quantized, and for scales along another axis than the outputs.
    """
    w, frac = coded(weights, codec)
    if w.ndim != 2 or x.ndim < 1 or x.shape[-1] != w.shape[0]:
        raise TypeError(f"dense needs x (..., n) and weights (n, m), not {x.shape} and {w.shape}")
    builder = x.builder
    b = None if bias is None else quantized(builder, unscaled_bias(bias, codec, w), bias_format)
    with builder.block("dense", name, [x], params(w, frac, b)) as outputs:
        y = x @ builder.apply(ops.Const(IntArray(w), frac))
        outputs.append(y if b is None else y + b)
    return fitted(outputs[0], out)


def conv2d(
    x: Tensor,
    weights: Any,
    bias: Any = None,
    *,
    codec: Codec | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] | Sequence[Sequence[int]] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias_format: Step = None,
    out: Step = None,
    name: str = "conv2d",
) -> Tensor:
    """cast(sum of x[i, j, c] * W[i, j, c, o] over each window + b) for x (height, width, channels), real
    weights (kernel height, kernel width, channels / groups, outputs), bias (outputs,): exact, channels last.

    padding  zeros: n on all sides; (n, m) on top and bottom, and on both sides; ((top, bottom), (left,
             right)); "valid" for none; "same" so that the result has ceil(size / stride) positions, the odd
             one at the end
    groups   outputs o of group g see the channels of group g only

    codec, bias_format, out and errors as `dense`.
    """
    w, frac = coded(weights, codec)
    if w.ndim != 4 or x.ndim != 3 or groups < 1 or x.shape[2] != w.shape[2] * groups or w.shape[3] % groups:
        raise TypeError(
            "conv2d needs x (height, width, channels) and weights (kernel height, kernel width, channels / "
            f"{groups}, outputs), not {x.shape} and {w.shape}"
        )
    kernel = w.shape[:2]
    steps, gaps = pair(stride, "stride"), pair(dilation, "dilation")
    before, after = pads(padding, x.shape[:2], kernel, steps, gaps)
    builder = x.builder
    b = None if bias is None else quantized(builder, unscaled_bias(bias, codec, w), bias_format)
    extra = {
        "stride": list(steps), "dilation": list(gaps), "before": list(before), "after": list(after),
        "groups": groups,
    }  # fmt: skip
    with builder.block("conv2d", name, [x], params(w, frac, b) | extra) as outputs:
        windows = builder.apply(ops.Window(tuple(kernel), steps, gaps, before, after), x)
        per, made = w.shape[2], w.shape[3] // groups
        parts = []
        for g in range(groups):
            part = windows[..., g * per : (g + 1) * per] if groups > 1 else windows
            rows = part.reshape(*part.shape[:2], kernel[0] * kernel[1] * per)
            columns = w[..., g * made : (g + 1) * made].reshape(-1, made)
            parts.append(rows @ builder.apply(ops.Const(IntArray(columns), frac)))
        y = parts[0] if groups == 1 else concat(parts, axis=2)
        outputs.append(y if b is None else y + b)
    return fitted(outputs[0], out)


def coded(weights: Any, codec: Codec | None) -> tuple[Array, int]:
    """(raw, frac) of weights."""
    return to_raw(weights, "weights") if codec is None else (codec.quantize(weights), codec.frac)


def unscaled_bias(bias: Any, codec: Codec | None, w: Array) -> Array:
    """The bias in units of the product: divided by the scales of the weights."""
    b = fractions(bias)
    if b.shape != w.shape[-1:]:
        raise TypeError(f"bias must have shape {w.shape[-1:]}, one number for each output, not {b.shape}")
    axis = getattr(codec, "axis", None)
    if codec is None or axis is None:
        return np.asarray(b / (Fraction(1) if codec is None else codec.scale), object)
    if axis % w.ndim != w.ndim - 1:
        raise ValueError(f"scales of the weights must be along the outputs, axis {w.ndim - 1}, not {axis}")
    return np.asarray(b / spread(codec.scales, 0, b.shape), object)  # type: ignore[attr-defined]


def params(w: Array, frac: int, bias: Tensor | None) -> dict[str, Any]:
    """What a reading needs to know of the block."""
    found: dict[str, Any] = {"weight": IntArray(w), "weight_frac": frac, "bias": None, "bias_frac": 0}
    if bias is not None:
        found |= {"bias": IntArray(bias.type.lo), "bias_frac": bias.frac}
    return found


def pair(value: int | Sequence[int], what: str) -> tuple[int, int]:
    """One integer for both axes, or two."""
    found = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    if len(found) != 2 or any(isinstance(v, bool) or not isinstance(v, (int, np.integer)) for v in found):
        raise ValueError(f"{what} must be an integer or two, not {value!r}")
    return int(found[0]), int(found[1])


def pads(
    padding: Any, size: Sequence[int], kernel: Sequence[int], steps: Sequence[int], gaps: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(before, after) on both axes."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ValueError(f'padding must be "valid", "same" or integers, not {padding!r}')
        if padding == "valid":
            return (0, 0), (0, 0)
        total = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(size, kernel, steps, gaps, strict=True)
        ]
        return (total[0] // 2, total[1] // 2), (total[0] - total[0] // 2, total[1] - total[1] // 2)
    sides: Any = (padding, padding) if isinstance(padding, (int, np.integer)) else padding
    if not isinstance(sides, (tuple, list)) or len(sides) != 2:
        raise ValueError(f"padding must be an integer, two, or two pairs, not {padding!r}")
    (top, bottom), (left, right) = (pair(p, "padding") for p in sides)
    return (top, left), (bottom, right)
