"""AVERAGE_POOL_2D, MAX_POOL_2D, MEAN, REDUCE_MAX, REDUCE_MIN and ARG_MAX."""

from __future__ import annotations

import numpy as np

from fxsim import ops
from fxsim.integers import Array
from fxsim.load.tflite.clip import fused
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.gemmlowp import quantize_multiplier
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.products import image, windows
from fxsim.load.tflite.rescale import clamped, rescale
from fxsim.load.tflite.rounding import Average, Multiplier, Rule
from fxsim.load.tflite.symbols import CODES, Codes
from fxsim.trace import Tensor


@handles("AVERAGE_POOL_2D")
def average_pool(loader: Loader, op: FileOp) -> Codes:
    """The sum of the codes in a window by their number, padding left out, rounded, ties away from zero."""
    x, window = _pooled(loader, op)
    counts = _counts(x.tensor.shape[:2], window)
    with loader.builder.block("average_pool", loader.block_name(op.short), [x.tensor]) as outputs:
        outputs.append(loader.builder.apply(window, x.tensor).sum(axis=(2, 3)))
    y, axis = outputs[0], None
    shape, rules = y.shape, [Average(int(c)) for c in np.unique(counts)]
    if len(rules) > 1:
        y, axis = y.reshape(-1, shape[-1]), 0
        rules = [Average(int(c)) for c in counts.ravel()]
    y = _rescaled(loader, op, y, list(rules), axis, 0, fused(loader, op))
    return Codes(y if y.shape == shape else y.reshape(shape), x.lead)


@handles("MAX_POOL_2D")
def max_pool(loader: Loader, op: FileOp) -> Codes:
    """The greatest code of a window; padding never wins."""
    x, window = _pooled(loader, op, CODES[0])
    with loader.builder.block("max_pool", loader.block_name(op.short), [x.tensor]) as outputs:
        y = loader.builder.apply(window, x.tensor)
        y = y.reshape(*y.shape[:2], -1, y.shape[-1]).max(axis=2)
        outputs.append(clamped(y, fused(loader, op)))
    return Codes(outputs[0], x.lead)


def _pooled(loader: Loader, op: FileOp, fill: int = 0) -> tuple[Codes, ops.Window]:
    x, _ = image(loader, op)
    window = windows(loader, op, x, (op.options["FilterHeight"], op.options["FilterWidth"]), fill)
    if np.any(_counts(x.tensor.shape[:2], window) == 0):
        raise loader.error(op, "has windows that lie in the padding as a whole", "use a smaller filter")
    return x, window


def _counts(space: tuple[int, ...], window: ops.Window) -> Array:
    """How many elements of each window lie in the image."""
    sides = []
    for n, k, s, b, p in zip(
        space, window.kernel, window.stride, window.before, window.positions(space), strict=True
    ):
        first = np.arange(p) * s - b
        sides.append(np.minimum(first + k, n) - np.maximum(first, 0))
    return np.asarray(np.multiply.outer(np.maximum(sides[0], 0), np.maximum(sides[1], 0)))


@handles("MEAN")
def mean(loader: Loader, op: FileOp) -> Codes:
    """The sum over axes without its zero point, times one multiplier that has 1 / elements in it."""
    x, q = loader.operand(op, 0)
    out, axes = loader.result(op), _axes(loader, op, x)
    count = int(np.prod([x.tensor.shape[a] for a in axes]))
    m, e = quantize_multiplier(q.real / out.real)
    shift = min(count.bit_length() - 1, 32, 31 + e)
    m, e = (m << shift) // count, e - shift
    if not m or e > 30:
        raise loader.error(op, f"has a factor of {q.real / out.real:.6g}", "calibrate its scales again")
    with loader.builder.block("mean", loader.block_name(op.short), [x.tensor]) as outputs:
        y = x.tensor.sum(axis=tuple(axes))
        outputs.append(y - q.zero * count if q.zero else y)
    y = _rescaled(loader, op, outputs[0], [Multiplier(m, e)], None, out.zero, CODES)
    return _kept(op, x, y, axes)


@handles("REDUCE_MAX", "REDUCE_MIN")
def reduce_extremum(loader: Loader, op: FileOp) -> Codes:
    """The greatest or least code over axes."""
    x, _ = loader.operand(op, 0)
    axes, y = _axes(loader, op, x), x.tensor
    with loader.builder.block(op.op.lower(), loader.block_name(op.short), [x.tensor]) as outputs:
        for a in sorted(axes, reverse=True):
            y = y.max(axis=a) if op.op == "REDUCE_MAX" else y.min(axis=a)
        outputs.append(y)
    return _kept(op, x, y, axes)


@handles("ARG_MAX")
def arg_max(loader: Loader, op: FileOp) -> Codes:
    """The first index of the greatest code along an axis."""
    x, _ = loader.operand(op, 0)
    axis = loader.axis(op, x, loader.whole(op, 1, "axis")[0])
    return Codes(x.tensor.argmax(axis=axis), x.lead)


def _axes(loader: Loader, op: FileOp, x: Codes) -> list[int]:
    axes = sorted({loader.axis(op, x, a) for a in loader.whole(op, 1, "axis")})
    if not axes:
        raise loader.error(op, "has no axis", "leave it away")
    return axes


def _kept(op: FileOp, x: Codes, y: Tensor, axes: list[int]) -> Codes:
    if not op.options["KeepDims"]:
        return Codes(y, x.lead)
    return Codes(y.reshape([1 if i in axes else n for i, n in enumerate(x.tensor.shape)]), x.lead)


def _rescaled(
    loader: Loader,
    op: FileOp,
    y: Tensor,
    rules: list[Rule],
    axis: int | None,
    zero: int,
    bounds: tuple[int, int],
) -> Tensor:
    name = loader.block_name(f"{op.short}_rescale")
    return rescale(loader.builder, name, y, rules, axis, zero, bounds, loader.rescale)
