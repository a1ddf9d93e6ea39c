"""The rescale block of a TFLite layer: per channel a certified multiply-add-shift, or thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Format, Overflow
from fxsim.integers import Array, IntArray, to_object
from fxsim.load.certificate import signed_digits
from fxsim.load.rescale import reaches
from fxsim.load.tflite.certificate import Certificate, certify
from fxsim.load.tflite.rounding import Channel, Rule
from fxsim.trace import Builder, Tensor, concat, maximum, minimum, select

INT32 = 1 << 31


def rescale(
    builder: Builder,
    name: str,
    x: Tensor,
    rules: Sequence[Rule],
    axis: int | None,
    zero: int,
    bounds: tuple[int, int],
    method: str,
) -> Tensor:
    """clip(rule(raw) + zero, *bounds) of x's raw integers, as a "rescale" block: the runtime's own codes.

    `rules` is one per index of `axis`, or one. Each is taken as the steps it makes over the accumulators that
    the types prove reachable, and built in one of two ways that step at the same places:

    dyadic     (acc * M + C) >> S of the least S, saturated; C differs for acc < 0 where ties go away from 0
    threshold  lo + the number of steps reached

    `method` is "auto" (the cheaper in adder bits, as in `fxsim.load.rescale`), "dyadic" or "threshold". The
    params have the keys of `fxsim.load.rescale`; `constant` (without its half) is that of acc >= 0 and
    `negative` that of acc < 0; `near_ties` is empty, as the runtime rounds in integers.
    Raises ValueError for sums that may leave int32.
    """
    lo, hi = x.type.bounds
    if lo < -INT32 or hi >= INT32:
        raise ValueError(
            f"its sums may leave int32 ({lo}..{hi}), where the runtime wraps; use fewer inputs or bits"
        )
    found = [
        Channel(rule, zero, *bounds, r.lo, r.hi) for rule, r in zip(rules, reaches(x, axis), strict=True)
    ]
    certificates = [certify(c) for c in found]
    costs = [_costs(c, k) for c, k in zip(found, certificates, strict=True)]
    total = {m: sum(c[i] for c in costs) for i, m in enumerate(("dyadic", "threshold"))}
    if method == "auto":
        method = min(total, key=lambda m: total[m])
    dyadic = [method == "dyadic" and k is not None for k in certificates]
    params = record(found, certificates, dyadic, axis, total)
    with builder.block("rescale", name, [x], params) as outputs:
        parts, order = [], []
        for wanted in (True, False):
            chosen = [i for i, d in enumerate(dyadic) if d is wanted]
            if not chosen:
                continue
            part = x if len(chosen) == len(found) else x.take(chosen, axis or 0)
            if wanted:
                known = [k for i in chosen if (k := certificates[i]) is not None]
                parts.append(_dyadic(builder, part, known, axis, bounds))
            else:
                parts.append(_thresholds(builder, part, [found[i] for i in chosen], axis))
            order += chosen
        whole = parts[0] if len(parts) == 1 else concat(parts, axis or 0).take(np.argsort(order), axis or 0)
        outputs.append(whole)
    return outputs[0]


def _costs(channel: Channel, certificate: Certificate | None) -> tuple[int, int]:
    """Estimated adder bits (dyadic, threshold) of one channel."""
    width = max(channel.most.bit_length(), (-1 - channel.least).bit_length()) + (channel.least < 0)
    first, last = channel.ends()
    thresholds = (last - first) * (width + 1)
    if certificate is None:
        return thresholds, thresholds
    adders = max(signed_digits(certificate.multiplier) - 1, 0) + any(certificate.constant)
    code = max(channel.hi - channel.lo, 1).bit_length()
    return adders * (width + certificate.bits) + 2 * code, thresholds


def record(
    channels: Sequence[Channel],
    certificates: Sequence[Certificate | None],
    dyadic: Sequence[bool],
    axis: int | None,
    costs: dict[str, int],
) -> dict[str, Any]:
    """The block's params: everything that reproduces it, as plain data."""
    none = Certificate(0, (0, 0), 0)
    known = [k or none for k in certificates]
    return {
        "method": "dyadic" if all(dyadic) else "mixed" if any(dyadic) else "threshold",
        "axis": axis,
        "rounding": type(channels[0].rule).__name__,
        "scale": tuple(c.rule.factor for c in channels),
        "offset": tuple(c.zero for c in channels),
        "low": IntArray([c.lo for c in channels]),
        "high": IntArray([c.hi for c in channels]),
        "reach": IntArray([(c.least, c.most, 1) for c in channels]),
        "dyadic": IntArray([int(d) for d in dyadic]),
        "bits": IntArray([-1 if k is None else k.bits for k in certificates]),
        "multiplier": IntArray([k.multiplier for k in known]),
        "constant": IntArray([k.constant[1] - k.half for k in known]),
        "negative": IntArray([k.constant[0] - k.half for k in known]),
        "shift": IntArray([k.shift for k in known]),
        "reasons": tuple("" if k else "its steps lie on no line" for k in certificates),
        "cost": costs,
        "near_ties": IntArray(np.zeros((0, 4), np.int64)),
        "near_count": 0,
    }


def _column(values: Sequence[int], x: Tensor, axis: int | None) -> IntArray:
    a = to_object(np.array(values, object))
    return IntArray(a.reshape(()) if axis is None else a.reshape((-1,) + (1,) * (x.ndim - 1 - axis)))


def _dyadic(
    builder: Builder, x: Tensor, found: Sequence[Certificate], axis: int | None, bounds: tuple[int, int]
) -> Tensor:
    """(x * M + C) >> S, saturated. One point for the whole tensor: channels of smaller S are shifted left."""
    frac = max(c.shift for c in found)
    y = x * builder.apply(
        ops.Const(_column([c.multiplier << (frac - c.shift) for c in found], x, axis), frac)
    )
    negative, positive = (
        builder.apply(ops.Const(_column([c.constant[i] << (frac - c.shift) for c in found], x, axis), frac))
        for i in (0, 1)
    )
    if any(c.constant[0] != c.constant[1] for c in found):
        y = y + select(x < 0, negative, positive)
    elif any(c.constant[0] for c in found):
        y = y + positive
    return saturated(y, bounds)


def saturated(y: Tensor, bounds: tuple[int, int]) -> Tensor:
    """clip(floor(y), *bounds): one cast where a format ends at the bounds, else a cast and a clamp."""
    lo, hi = bounds
    width = hi.bit_length() + (lo < 0)
    if lo in (0, -hi - 1) and hi > 0 and not hi & (hi + 1):
        return y.cast(Format(width, width, lo < 0, overflow=Overflow.SAT))
    return clamped(y.cast(Format(8, 8, overflow=Overflow.SAT)), bounds)


def clamped(x: Tensor, bounds: tuple[int, int]) -> Tensor:
    """min(max(x, lo), hi), where the type does not prove it already."""
    lo, hi = x.type.bounds
    x = x if lo >= bounds[0] else maximum(x, bounds[0])
    return x if hi <= bounds[1] else minimum(x, bounds[1])


def _thresholds(builder: Builder, x: Tensor, channels: Sequence[Channel], axis: int | None) -> Tensor:
    """The least code of all channels, and one more for every step reached."""
    ends = [c.ends() for c in channels]
    lo, hi = min(e[0] for e in ends), max(e[1] for e in ends)
    if lo == hi:
        return builder.apply(ops.Const(IntArray(np.full(x.shape, lo, np.int64))))
    rows: list[Array] = [
        np.concatenate(
            [np.full(first - lo, c.least, np.int64), c.levels() if first < last else [],
             np.full(hi - last, c.most + 1, np.int64)]
        ).astype(np.int64)
        for c, (first, last) in zip(channels, ends, strict=True)
    ]  # fmt: skip
    code = builder.apply(ops.Threshold(IntArray(np.array(rows)), axis), x)
    return code + lo if lo else code
