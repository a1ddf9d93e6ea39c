"""The rescale block: per channel exact steps become a certified multiply-add-shift, or thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow
from fxsim.integers import IntArray, to_object
from fxsim.load.certificate import Certificate, certify, signed_digits
from fxsim.load.steps import BIPOLAR, Reach, StepFunction
from fxsim.trace import Builder, Tensor, concat, maximum, minimum


@dataclass(frozen=True)
class Channel:
    """One channel: its step function, its accumulator's proven set, its certificate or why it has none."""

    steps: StepFunction
    reach: Reach
    certificate: Certificate | str

    @cached_property
    def costs(self) -> dict[str, int]:
        return {"dyadic": dyadic_cost(self), "threshold": threshold_cost(self)}


def cost(channels: Sequence[Channel], method: str) -> int:
    """Estimated adder bits of a block by this method; channels without a certificate always cost thresholds.

    Threshold: a comparator of W bits and one bit of counting per distinct level inside the reachable range.
    Dyadic: (signed digits of M - 1, plus 1 for a constant) adders of W + bits(M) bits, and two comparisons of
    the code.
    """
    return sum(c.costs[method] for c in channels)


def threshold_cost(channel: Channel) -> int:
    """Adder bits of the thresholds of one channel."""
    least, greatest = channel.steps.codes(channel.reach)
    levels = {channel.steps.level(j) for j in range(least + 1, greatest + 1)} if channel.steps.a else set()
    return len(levels) * (_width(channel.reach) + 1)


def dyadic_cost(channel: Channel) -> int:
    """Adder bits of multiply, add and saturate of one channel."""
    c = channel.certificate
    if isinstance(c, str):
        return threshold_cost(channel)
    adders = max(signed_digits(c.multiplier) - 1, 0) + (c.offset + c.half != 0)
    code = max(channel.steps.hi - channel.steps.lo, 1).bit_length()
    return adders * (_width(channel.reach) + c.bits) + 2 * code


def _width(reach: Reach) -> int:
    return (
        max(reach.hi.bit_length(), (-1 - reach.lo).bit_length())
        + (reach.lo < 0)
        - (reach.step.bit_length() - 1)
    )


def reaches(x: Tensor, axis: int | None) -> list[Reach]:
    """The proven raw set per index of `axis`, joined over the other axes."""
    t = x.type
    if axis is None:
        rows = [tuple(a.ravel() for a in (t.lo, t.hi, t.stride))]
    else:
        moved = [np.moveaxis(a, axis, 0).reshape(t.shape[axis], -1) for a in (t.lo, t.hi, t.stride)]
        rows = list(zip(*moved, strict=True))
    out = []
    for lo, hi, stride in rows:
        least, greatest, log = int(lo.min()), int(hi.max()), int(stride.min())
        out.append(Reach(least, greatest, 1 << log if least != greatest else 1))
    return out


def rescale(
    builder: Builder,
    name: str,
    x: Tensor,
    steps: Sequence[StepFunction],
    axis: int | None,
    power: int,
    method: str,
) -> Tensor:
    """clip(round(a * raw + b)) of x's raw integers, as a "rescale" block; the code is the result's raw
    integer.

    `steps` is one function per index of `axis` (or one). `power` moves the result's point: value = code *
    2**power. `method` is "auto", "dyadic" or "threshold". The block's params are the record: per channel the
    exact function (scale, offset, low, high), the reachable set (reach: lo, hi, step), the certificate (bits,
    multiplier, offset B and shift, -1 bits for none, with `reasons`), and `near_ties` (channel, code, first
    and last accumulator near the step to that code).
    """
    pairs = list(zip(steps, reaches(x, axis), strict=True))
    known = {pair: certify(*pair) for pair in set(pairs)}  # channels are often alike
    channels = [Channel(f, r, known[f, r]) for f, r in pairs]
    if method == "auto":
        method = "dyadic" if cost(channels, "dyadic") <= cost(channels, "threshold") else "threshold"
    certified = [method == "dyadic" and isinstance(c.certificate, Certificate) for c in channels]
    params = record(channels, axis, certified)
    with builder.block("rescale", name, [x], params) as outputs:
        raw = x << x.frac if x.frac else x
        parts, order = [], []
        for dyadic in (True, False):
            chosen = [i for i, c in enumerate(certified) if c is dyadic]
            if not chosen:
                continue
            whole = len(chosen) == len(channels)
            part = raw if whole else raw.take(chosen, axis or 0)
            build = _dyadic if dyadic else _thresholds
            parts.append(build(builder, part, [channels[i] for i in chosen], axis))
            order += chosen
        code = parts[0] if len(parts) == 1 else concat(parts, axis or 0).take(np.argsort(order), axis or 0)
        if steps[0].rounding == BIPOLAR:
            code = code * 2 - 1
        outputs.append(code << power if power else code)
    return outputs[0]


def record(channels: Sequence[Channel], axis: int | None, certified: Sequence[bool]) -> dict[str, Any]:
    """The block's params: everything that proves and reproduces it, as plain data."""
    method = "dyadic" if all(certified) else "mixed" if any(certified) else "threshold"
    found = [c.certificate if isinstance(c.certificate, Certificate) else None for c in channels]
    near = near_ties(channels)
    return {
        "method": method,
        "axis": axis,
        "rounding": channels[0].steps.rounding,
        "scale": tuple(c.steps.a for c in channels),
        "offset": tuple(c.steps.b for c in channels),
        "low": IntArray([c.steps.lo for c in channels]),
        "high": IntArray([c.steps.hi for c in channels]),
        "reach": IntArray(
            to_object(np.array([(c.reach.lo, c.reach.hi, c.reach.step) for c in channels], object))
        ),
        "dyadic": IntArray([int(c) for c in certified]),
        "bits": IntArray([-1 if c is None else c.bits for c in found]),
        "multiplier": _ints([0 if c is None else c.multiplier for c in found]),
        "constant": _ints([0 if c is None else c.offset for c in found]),
        "shift": IntArray([0 if c is None else c.shift for c in found]),
        "reasons": tuple(c.certificate if isinstance(c.certificate, str) else "" for c in channels),
        "cost": {m: cost(channels, m) for m in ("dyadic", "threshold")},
        "near_ties": IntArray(np.array(near, object).reshape(-1, 4) if near else np.zeros((0, 4), np.int64)),
        "near_count": sum((last - first) // channels[c].reach.step + 1 for c, _, first, last in near),
    }


def near_ties(channels: Sequence[Channel]) -> list[tuple[int, int, int, int]]:
    """(channel, code, first, last): accumulators where a float32 reference may give code or code - 1."""
    out = []
    for i, c in enumerate(channels):
        if c.steps.a == 0:
            continue
        least, greatest = c.steps.codes(c.reach)
        for j in range(max(least, c.steps.lo + 1), min(greatest + 1, c.steps.hi) + 1):
            span = c.steps.near(j, c.reach)
            if span is not None:
                out.append((i, j, *span))
    return out


def _ints(values: Sequence[int]) -> IntArray:
    return IntArray(to_object(np.array(values, object)))


def _column(values: Sequence[int], x: Tensor, axis: int | None) -> IntArray:
    """One integer per channel, shaped to broadcast against x."""
    a = to_object(np.array(values, object))
    return IntArray(a.reshape(()) if axis is None else a.reshape((-1,) + (1,) * (x.ndim - 1 - axis)))


def _dyadic(builder: Builder, x: Tensor, channels: Sequence[Channel], axis: int | None) -> Tensor:
    """(x * M + C) >> S, saturated. One point for the whole tensor: channels of smaller S are shifted left."""
    found = [c.certificate for c in channels if isinstance(c.certificate, Certificate)]
    frac = max(c.shift for c in found)
    factor = _column([c.multiplier << (frac - c.shift) for c in found], x, axis)
    constant = _column([(c.offset + c.half) << (frac - c.shift) for c in found], x, axis)
    y = x * builder.apply(ops.Const(factor, frac))
    if np.any(constant.array != 0):
        y = y + builder.apply(ops.Const(constant, frac))
    return floored(y, [(c.steps.lo, c.steps.hi) for c in channels], axis)


def floored(y: Tensor, ranges: Sequence[tuple[int, int]], axis: int | None) -> Tensor:
    """clip(floor(y), lo, hi), one range for all or one per index of `axis`."""
    bounds = set(ranges)
    fmt = _saturating(*bounds.pop()) if len(bounds) == 1 else None
    if fmt is not None:
        return y.cast(fmt)
    lo, hi = y.type.bounds
    width = max((lo >> y.frac).bit_length(), (hi >> y.frac).bit_length()) + 1
    whole = y.cast(Format(width, width))
    whole = maximum(whole, y.builder.apply(ops.Const(_column([r[0] for r in ranges], y, axis))))
    return minimum(whole, y.builder.apply(ops.Const(_column([r[1] for r in ranges], y, axis))))


def _saturating(lo: int, hi: int) -> Format | None:
    """The integer format whose saturation is a clip to lo..hi, if there is one."""
    width = hi.bit_length() + (lo < 0)
    if hi <= 0 or hi & (hi + 1):
        return None
    if lo in (0, -hi - 1):
        return Format(width, width, lo < 0, overflow=Overflow.SAT)
    return Format(width, width, overflow=Overflow.SAT_SYM) if lo == -hi else None


def _thresholds(builder: Builder, x: Tensor, channels: Sequence[Channel], axis: int | None) -> Tensor:
    """lo + #{levels reached}; levels beyond the reachable set stand just outside it or at its end."""
    reached = [c.steps.codes(c.reach) for c in channels]
    lo, hi = min(r[0] for r in reached), max(r[1] for r in reached)
    rows, falling = [], []
    for c, (least, greatest) in zip(channels, reached, strict=True):
        down = c.steps.a < 0
        always, never = (c.reach.hi, c.reach.lo - 1) if down else (c.reach.lo, c.reach.hi + 1)
        row = [
            always if j <= least else never if j > greatest else c.steps.level(j)
            for j in range(lo + 1, hi + 1)
        ]
        rows.append(sorted(row))
        falling.append(int(down))
    if hi == lo:
        zeros = np.full(x.shape, lo, np.int64)
        return builder.apply(ops.Const(IntArray(zeros)))
    levels = IntArray(to_object(np.array(rows, object)))
    code = builder.apply(ops.Threshold(levels, axis, IntArray(falling)), x)
    return code + lo if lo else code
