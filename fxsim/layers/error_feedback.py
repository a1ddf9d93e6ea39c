"""Error feedback: quantizers that carry what they cut off into the next step, plain and as in EControl."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.formats import SQ, Format
from fxsim.integers import IntArray
from fxsim.machine import Machine
from fxsim.trace import Tensor, trace
from fxsim.types import TensorType


def error_feedback(
    source: Format, code: Format, shape: tuple[int, ...] = (), residual: Format | None = None
) -> Machine:
    """Residual carry: y = Q(x + e), e' = e + x - y, from e = 0; gives y.

    source, code   formats of x and of y; Q is the cast to `code`, its rounding and overflow
    residual       format of e where Q may saturate: e' is cast to it, which loses what it does not hold. By
                   default e is exact: the bits below the LSB of `code`, with a sign; nothing is ever lost,
                   and sum(y) = sum(x) - e at every time, so that the error of a sum of any length is below
                   one LSB of `code`

    Source: Seide et al., Interspeech 2014; Karimireddy et al., arXiv 1901.09847 (with Q any contraction).
    Raises ValueError where `code` is not coarser than `source`, or could overflow without a `residual`.
    """
    exact = _rounding_residual(source, code)
    carried = exact if residual is None else residual
    if residual is None:
        lo, hi = _total(source, exact)
        unit = 1 << source.frac - code.frac
        if lo < code.lo * unit or hi > code.hi * unit:
            raise ValueError(
                f"code must hold x + e, raw {lo}..{hi} at {source.frac} fraction bits, or residual be given; "
                f"{code} does not"
            )

    def step(e: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        with x.builder.block("error_feedback", "error_feedback", [e, x], {"code": str(code)}) as outputs:
            total = e + x
            y = total.cast(code)
            left = (total - y).cast(carried)  # exact by default: wrapping low bits whose range is known
            outputs += [left, y]
        return left, y

    types = TensorType.of(carried, shape), TensorType.of(source, shape)
    return Machine((IntArray(np.zeros(shape, np.int64)),), trace(step, *types, name="error_feedback"))


def econtrol(
    source: Format,
    code: Format,
    residual: Format,
    estimate: Format,
    shift: int,
    shape: tuple[int, ...] = (),
) -> Machine:
    """EControl's quantizer with the feedback 2**-shift: gives the message y and the estimate h'.

        y = Q(2**-shift e + x - h),   h' = h + y,   e' = e + x - h'

    x is the gradient of a worker; y is what it sends, h what all who add the messages up know of x, and e the
    sum of all that h lacked. shift = 0 and h = 0 is `error_feedback`. Both states begin at 0.

    source, code         formats of x and of y; Q is the cast to `code`, its rounding and overflow
    residual, estimate   formats of e and h: e' and h' are cast to them, and what they do not hold is lost;
                         a receiver that adds the messages up must do it in the format of h

    Source: Gao, Islamov, Stich, arXiv 2311.05645, with the compressor Q and eta = 2**-shift.
    Raises ValueError for a negative shift, a residual coarser than x, h or y, or an estimate coarser than y.
    """
    if isinstance(shift, bool) or not isinstance(shift, (int, np.integer)) or shift < 0:
        raise ValueError(f"shift of the feedback must be an integer of at least 0, not {shift!r}")
    finest = max(source.frac, estimate.frac)
    if residual.frac < finest:
        raise ValueError(f"residual must have the {finest} fraction bits of x and h, not {residual.frac}")
    if estimate.frac < code.frac:
        raise ValueError(f"estimate must have the {code.frac} fraction bits of code, not {estimate.frac}")

    def step(e: Tensor, h: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        with x.builder.block(
            "econtrol", "econtrol", [e, h, x], {"code": str(code), "shift": shift}
        ) as outputs:
            missing = x - h
            y = ((e >> shift) + missing).cast(code)
            known = (h + y).cast(estimate)
            left = (e + (x - known)).cast(residual)
            outputs += [left, known, y]
        return left, known, y, known

    types = (TensorType.of(f, shape) for f in (residual, estimate, source))
    zero: Any = IntArray(np.zeros(shape, np.int64))
    return Machine((zero, zero), trace(step, *types, name="econtrol"))


def _rounding_residual(source: Format, code: Format) -> Format:
    """What any rounding from `source` to the LSB of `code` leaves: less than one LSB, of either sign."""
    bits = source.frac - code.frac
    if bits < 1:
        raise ValueError(f"code must have fewer than the {source.frac} fraction bits of x, not {code.frac}")
    return SQ(1 - code.frac, source.frac)


def _total(source: Format, residual: Format) -> tuple[int, int]:
    """Raw ends of x + e: |e| is below one LSB of the code."""
    return source.lo + residual.lo + 1, source.hi + residual.hi
