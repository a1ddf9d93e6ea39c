"""TRANSPOSE_CONV: the operand spread out by its stride, then a convolution with the turned kernel."""

from __future__ import annotations

from fxsim import ops
from fxsim.load.tflite.flatfile import FileOp
from fxsim.load.tflite.loader import Loader, handles
from fxsim.load.tflite.products import bias, image, pads, requantized, sums, weights
from fxsim.load.tflite.rounding import Multiplier
from fxsim.load.tflite.symbols import Codes


@handles("TRANSPOSE_CONV")
def transpose_conv(loader: Loader, op: FileOp) -> Codes:
    """y[o] = sum over f of x[(o + pad - f) / stride] * w[f], where that is whole; weights (O, kh, kw, I).

    Between the elements of x stand stride - 1 zero points, so that one dense convolution has all sums.
    """
    x, q = image(loader, op, 2)
    w, scales = weights(loader, op, 0, 4)
    shape = loader.whole(op, 0, "output shape")
    steps = op.options["StrideH"], op.options["StrideW"]
    if len(shape) != 4 or shape[3] != w.shape[0] or min(shape) < 1 or min(steps) < 1:
        raise loader.error(op, f"makes {shape} with strides {steps}", "it must be (batch, y, x, outputs)")
    if w.shape[3] != x.tensor.shape[2]:
        raise loader.error(
            op, f"has weights {w.shape} for {x.tensor.shape[2]} channels", "their last axis must match"
        )
    before, _ = pads(loader, op, shape[1:3], w.shape[1:3], steps, (1, 1))
    h, v, c = x.tensor.shape
    loader.room(op, h * steps[0], v * steps[1], c)
    builder, name = loader.builder, loader.block_name(f"{op.short}_spread")
    with builder.block("flatten", name, [x.tensor]) as outputs:
        wide = x.tensor.reshape(h, 1, v, 1, c)
        wide = builder.apply(ops.Pad((0,) * 5, (0, steps[0] - 1, 0, steps[1] - 1, 0), q.zero), wide)
        wide = wide.reshape(h * steps[0], v * steps[1], c)[: (h - 1) * steps[0] + 1, : (v - 1) * steps[1] + 1]
        # What lies before and after; where less than nothing is wanted, the operand is cut.
        low = [k - 1 - p for k, p in zip(w.shape[1:3], before, strict=True)]
        high = [
            out - n - b + k - 1
            for out, n, b, k in zip(shape[1:3], wide.shape, low, w.shape[1:3], strict=False)
        ]
        cut = [slice(max(-b, 0), n - max(-e, 0)) for b, e, n in zip(low, high, wide.shape, strict=False)]
        if any(s.start >= s.stop for s in cut):
            raise loader.error(op, f"makes {shape} of {loader.shape(x)}", "the sizes must belong together")
        outputs.append(wide[tuple(cut)])
    ends = tuple(max(e, 0) for e in low), tuple(max(e, 0) for e in high)
    window = ops.Window(w.shape[1:3], (1, 1), (1, 1), ends[0], ends[1], q.zero)
    loader.room(op, *(n + b + e for n, b, e in zip(outputs[0].shape, *ends, strict=False)), c)
    loader.room(op, *shape[1:3], *w.shape[1:3], c)
    kernel = w[:, ::-1, ::-1].transpose(1, 2, 3, 0)
    b = bias(loader, op, w.sum(axis=(1, 2, 3)), q, 3)
    y = sums(loader, op, Codes(outputs[0], x.lead), kernel, window, 1, b)
    return requantized(loader, op, Codes(y, x.lead), q, scales, Multiplier.of)
