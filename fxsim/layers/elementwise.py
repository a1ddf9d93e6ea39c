"""Batch norm, activation, shortcut and pooling in fixed point, each with the formats of its own steps."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.layers.formats import Step, fitted, quantized
from fxsim.layers.linear import pads, pair
from fxsim.quantizers.codec import fractions
from fxsim.trace import Tensor, concat, maximum, minimum, select


def batch_norm_constants(
    gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float = 1e-5
) -> tuple[np.ndarray, np.ndarray]:
    """(gain, offset) in float64: gain * x + offset = gamma * (x - mean) / sqrt(variance + epsilon) + beta.

    Raises ValueError where variance + epsilon is not above 0.
    """
    spread = np.asarray(variance, np.float64) + epsilon
    if not np.all(spread > 0):
        raise ValueError(f"variance + epsilon must be above 0, not {float(np.min(spread))}")
    gain = np.asarray(gamma, np.float64) / np.sqrt(spread)
    return gain, np.asarray(beta, np.float64) - np.asarray(mean, np.float64) * gain


def batch_norm(
    x: Tensor,
    gain: Any,
    offset: Any,
    *,
    gain_format: Step = None,
    offset_format: Step = None,
    out: Step = None,
    name: str = "batch_norm",
) -> Tensor:
    """cast(gain * x + offset) for channels last (or one gain for all), rounded once, as QFX and FracBNN do.

    gain_format, offset_format  of the constants. None: they are exact
    out                         of the result. None: it keeps all bits

    `batch_norm_constants` makes gain and offset; a codec's scale of the weights before goes into the gain.
    Raises ValueError for constants that are neither exact nor quantized, TypeError for shapes that do not
    broadcast to x.
    """
    g, b = (_channels(v, x, n) for v, n in ((gain, "gain"), (offset, "offset")))
    with x.builder.block("batch_norm", name, [x]) as outputs:
        y = x * quantized(x.builder, g, gain_format) + quantized(x.builder, b, offset_format)
        outputs.append(fitted(y, out))
    return outputs[0]


def relu(x: Tensor, limit: Any = None, *, out: Step = None, name: str = "relu") -> Tensor:
    """cast(max(x, 0)), or of min(max(x, 0), limit) for an exact limit."""
    with x.builder.block("relu", name, [x]) as outputs:
        y = maximum(x, 0)
        outputs.append(y if limit is None else minimum(y, limit))
    return fitted(outputs[0], out)


def prelu(
    x: Tensor, slope: Any, *, slope_format: Step = None, out: Step = None, name: str = "prelu"
) -> Tensor:
    """cast(x if x >= 0 else slope * x), one slope for each channel (last axis) or for all."""
    a = _channels(slope, x, "slope")
    with x.builder.block("prelu", name, [x]) as outputs:
        outputs.append(fitted(select(x < 0, x * quantized(x.builder, a, slope_format), x), out))
    return outputs[0]


def shortcut(a: Tensor, b: Tensor, *, out: Step = None, name: str = "shortcut") -> Tensor:
    """cast(a + b) of one shape, their points aligned."""
    if a.shape != b.shape:
        raise TypeError(f"shortcut needs two tensors of one shape, not {a.shape} and {b.shape}")
    with a.builder.block("shortcut", name, [a, b]) as outputs:
        outputs.append(fitted(a + b, out))
    return outputs[0]


def downsample(
    x: Tensor, size: int = 2, channels: int = 2, *, out: Step = None, name: str = "downsample"
) -> Tensor:
    """FracBNN's shortcut across a stride: the average of size x size windows, the channels `channels` times.

    (height, width, c) -> (height / size, width / size, channels * c). As `average_pool`.
    """
    with x.builder.block("downsample", name, [x]) as outputs:
        y = average_pool(x, size, out=out)
        outputs.append(concat([y] * channels, axis=2) if channels > 1 else y)
    return outputs[0]


def max_pool(
    x: Tensor,
    size: int | Sequence[int] = 2,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    *,
    out: Step = None,
    name: str = "max_pool",
) -> Tensor:
    """cast(the greatest of each window) of x (height, width, channels); padding never wins.

    stride   default: size
    padding  as `fxsim.layers.conv2d`. Raises ValueError where a window would lie in it as a whole
    """
    kernel = pair(size, "size")
    steps = kernel if stride is None else pair(stride, "stride")
    before, after = pads(padding, x.shape[:2], kernel, steps, (1, 1))
    if any(p >= k for sides in (before, after) for p, k in zip(sides, kernel, strict=True)):
        raise ValueError(f"padding must be less than size {kernel}, not {padding!r}")
    window = ops.Window(kernel, steps, (1, 1), before, after, x.type.bounds[0])
    with x.builder.block("max_pool", name, [x]) as outputs:
        y = x.builder.apply(window, x)
        outputs.append(fitted(y.reshape(*y.shape[:2], -1, y.shape[-1]).max(axis=2), out))
    return outputs[0]


def average_pool(
    x: Tensor,
    size: int | Sequence[int] = 2,
    stride: int | Sequence[int] | None = None,
    *,
    reciprocal: Step = None,
    out: Step = None,
    name: str = "average_pool",
) -> Tensor:
    """cast(sum of each window / its elements) of x (height, width, channels), rounded once.

    Windows of 2**k elements are divided exactly, by moving the point. Others are multiplied by 1 / elements
    in the format `reciprocal`, whose error is relative to the result. Raises ValueError where it is missing.
    """
    kernel = pair(size, "size")
    steps = kernel if stride is None else pair(stride, "stride")
    count = kernel[0] * kernel[1]
    power = count.bit_length() - 1
    if count != 1 << power and reciprocal is None:
        raise ValueError(f"reciprocal must be a format for windows of {count} elements, no power of two")
    with x.builder.block("average_pool", name, [x]) as outputs:
        y = x.builder.apply(ops.Window(kernel, steps, (1, 1), (0, 0), (0, 0)), x).sum(axis=(2, 3))
        if reciprocal is None:
            y = y >> power
        else:
            y = y * quantized(x.builder, Fraction(1, count), reciprocal)
        outputs.append(fitted(y, out))
    return outputs[0]


def _channels(values: Any, x: Tensor, what: str) -> np.ndarray:
    v = fractions(values)
    if v.shape not in ((), x.shape[-1:], x.shape):
        raise TypeError(f"{what} must be one number, or one for each channel of {x.shape}, not {v.shape}")
    return v
