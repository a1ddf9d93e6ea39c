"""The lossy ops: Cast (rounding, then overflow) and Accumulate (an ordered sum with a cast at every step)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxsim import ranges
from fxsim.casting import cast_raw
from fxsim.formats import Format, Overflow, Rounding
from fxsim.graph import Op
from fxsim.integers import Array, IntArray, add, exact, shift_left
from fxsim.ops.common import check_axis, check_int
from fxsim.ranges import Range
from fxsim.types import TensorType, int_array

# Modes without a closed interval rule are enumerated up to this many codes an element, else widened to the
# format.
ENUMERATE = 1 << 10


@dataclass(frozen=True)
class Cast(Op):
    """Round to `frac`, then wrap or saturate to `width` bits; each may differ per element (scalars
    broadcast).

    raw = overflow(round(x * 2**(frac - x.frac))) << (max(frac) - frac): the result's frac is the finest of
    `frac`, coarser elements have stride. Width 0 gives 0. `n` is the N of ap_fixed's wrap modes;
    `source_width` is the declared width of the source, which WRAP_SM with n = 0 needs. Lost: the low bits
    below `frac` and the bits that overflow takes.
    """

    frac: IntArray
    width: IntArray
    signed: IntArray
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP
    n: int = 0
    source_width: int | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "frac", int_array(self.frac))
        put(self, "width", int_array(self.width))
        put(self, "signed", int_array(self.signed))
        put(self, "rounding", Rounding(self.rounding))
        put(self, "overflow", Overflow(self.overflow))
        check_int("n of Cast", self.n, 0)
        if self.source_width is not None:
            check_int("source_width of Cast", self.source_width, 1)
        if not self.frac.array.size:
            raise ValueError("frac of Cast must hold at least one number, not none")
        if np.any(self.width.array < 0):
            raise ValueError(f"width of Cast must not be negative, not {int(self.width.array.min())}")
        if np.any((self.signed.array != 0) & (self.signed.array != 1)):
            raise ValueError("signed of Cast must hold 0 or 1")
        if self.overflow is Overflow.WRAP_SM:
            if not np.all(self.signed.array):
                raise ValueError("overflow WRAP_SM is defined for signed formats only")
            if not self.n and self.source_width is None:
                raise ValueError(
                    "source_width must be given for WRAP_SM with n = 0, which reads a bit above it"
                )

    @classmethod
    def to(cls, fmt: Format, source_width: int | None = None) -> Cast:
        """A cast of every element to `fmt`."""
        return cls(
            IntArray(fmt.frac), IntArray(fmt.width), IntArray(int(fmt.signed)),
            fmt.rounding, fmt.overflow, fmt.saturation_bits, source_width,
        )  # fmt: skip

    @property
    def result_frac(self) -> int:
        return int(self.frac.array.max())

    def parameters(self, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
        """(frac, width, signed) broadcast to `shape`."""
        try:
            f, w, s = (np.broadcast_to(a.array, shape) for a in (self.frac, self.width, self.signed))
        except ValueError:
            shapes = [a.shape for a in (self.frac, self.width, self.signed)]
            raise TypeError(f"Cast parameters of shapes {shapes} do not broadcast to {shape}") from None
        return f, w, s

    def apply(self, raw: Array, src_frac: int, shape: tuple[int, ...] | None = None) -> Array:
        """The cast of raw integers at `src_frac` (batch axes first), at the result's frac."""
        q = cast_raw(
            raw, src_frac=src_frac, frac=self.frac.array, width=self.width.array, signed=self.signed.array,
            rounding=self.rounding, overflow=self.overflow, n=self.n, source_width=self.source_width,
        )  # fmt: skip
        spread = self.result_frac - self.frac.array
        return q if not np.any(spread) else shift_left(q, spread)

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        self.parameters(a.shape)
        return TensorType.from_range(cast_range(self, a.range, a.frac), self.result_frac)


def cast_range(op: Cast, r: Range, src_frac: int) -> Range:
    """The set of codes that a cast reaches, at the result's frac.

    Rounding a set of multiples is again one: all integers between the rounded ends where the stride is finer
    than the result's LSB, else multiples of the remaining stride. Overflow is then analysed per mode.
    """
    if r.shape == ():  # arithmetic on 0-d object arrays gives Python ints, which np.where then refuses
        return cast_range(op, r.reshape(1), src_frac).at(0)
    frac, width, signed = op.parameters(r.shape)
    q = _rounded(op, r, src_frac, frac)
    one = np.ones(r.shape, np.int64)
    top = shift_left(one, np.maximum(width - signed, 0)) - 1
    top = np.where(width == 0, 0, top)
    bottom = np.where(signed == 1, -top - 1, 0)
    bottom = np.where(width == 0, 0, bottom)
    fits = (bottom <= q.lo) & (q.hi <= top)
    if op.overflow is Overflow.SAT_SYM:
        bottom = np.where((signed == 1) & (width > 1), -top, bottom)
        fits = (bottom <= q.lo) & (q.hi <= top)
    if np.all(fits):
        out = q
    elif op.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        out = _saturated(q, bottom, top)
    elif op.overflow is Overflow.SAT_ZERO:
        inside, some = ranges.clip(q, bottom, top)
        zero = ranges.constant(np.zeros(r.shape, np.int64))
        out = ranges.union(inside, zero, some, ~fits)
    elif op.overflow is Overflow.WRAP and op.n == 0:
        out = _wrapped(q, bottom, top, width)
    else:
        out = _enumerated(op, r, src_frac, q, bottom, top, fits)
    spread = op.result_frac - frac
    if not np.any(spread):
        return out
    return ranges.make(shift_left(out.lo, spread), shift_left(out.hi, spread), out.stride + spread)


def _rounded(op: Cast, r: Range, src_frac: int, frac: Array) -> Range:
    from fxsim.casting import round_shift

    shift = src_frac - frac
    lo, hi = round_shift(r.lo, shift, op.rounding), round_shift(r.hi, shift, op.rounding)
    return ranges.make(lo, hi, np.maximum(np.where(lo == hi, 0, r.stride) - shift, 0))


def _saturated(q: Range, bottom: Array, top: Array) -> Range:
    inside, some = ranges.clip(q, bottom, top)
    above, below = q.hi > top, q.lo < bottom
    out = ranges.union(inside, ranges.constant(top), some, above | (~some & ~below))
    return ranges.union(out, ranges.constant(bottom), some | above, below)


def _wrapped(q: Range, bottom: Array, top: Array, width: Array) -> Range:
    """q mod 2**width: a shifted copy if no period boundary is crossed, else every multiple of the stride."""
    period = shift_left(np.ones(q.shape, np.int64), width)
    turns_lo, turns_hi = (q.lo - bottom) // period, (q.hi - bottom) // period
    lo, hi = q.lo - turns_lo * period, q.hi - turns_hi * period
    crosses = turns_lo != turns_hi
    step = np.where(crosses, np.minimum(q.stride, width), 0)
    lo = np.where(crosses, bottom, lo)
    hi = np.where(crosses, top + 1 - shift_left(np.ones(q.shape, np.int64), step), hi)
    hi = np.maximum(lo, hi)
    # A stride of `width` or more maps every code of a crossing set onto the one code that is 0 mod 2**width.
    lo = np.where(crosses & (q.stride >= width), 0, lo)
    hi = np.where(crosses & (q.stride >= width), 0, hi)
    return ranges.make(exact(lo), exact(hi), np.minimum(q.stride, 1 << 16))


def _enumerated(op: Cast, r: Range, src_frac: int, q: Range, bottom: Array, top: Array, fits: Array) -> Range:
    """Sign-preserving wraps: every source code of small sets is cast; larger sets are widened to the
    format."""
    many = ranges.count(r) > ENUMERATE
    lo, hi, stride = np.array(q.lo, object), np.array(q.hi, object), np.array(q.stride)
    frac, width, signed = op.parameters(r.shape)
    seen: dict[tuple[int, ...], tuple[int, int, int]] = {}
    for i in map(tuple, np.argwhere(~fits)):
        if many[i]:
            lo[i], hi[i], stride[i] = int(bottom[i]), int(top[i]), 0
            continue
        key = tuple(int(v[i]) for v in (*r, frac, width, signed))
        if key not in seen:
            step = 1 if key[0] == key[1] else 1 << key[2]
            codes = np.array(range(key[0], key[1] + 1, step), object)
            cast = cast_raw(
                codes, src_frac=src_frac, frac=key[3], width=key[4], signed=key[5], rounding=op.rounding,
                overflow=op.overflow, n=op.n, source_width=op.source_width,
            )  # fmt: skip
            u = ranges.constant(exact(cast))
            seen[key] = int(u.lo.min()), int(u.hi.max()), int(u.stride.min())
        lo[i], hi[i], stride[i] = seen[key]
    return ranges.make(exact(lo), exact(hi), stride)


@dataclass(frozen=True)
class Accumulate(Op):
    """acc = cast(acc + x_i) over `axis` (dropped) in ascending order, acc = 0 before: HLS's `acc += x`.

    The exact sum is cast to `format` at every step, so low bits and overflow are lost in the order of the
    elements. `term` is the declared format of the elements, which only WRAP_SM with n = 0 asks for (by
    default the accumulator's own): the sum is declared one bit wider than both.
    """

    axis: int
    format: Format
    term: Format | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.format, Format):
            raise TypeError(f"format of Accumulate must be a fxsim.Format, not {self.format!r}")

    def step(self, frac: int) -> tuple[Cast, int]:
        """(the cast of one step, the frac of the exact sum it casts) for operands of `frac`."""
        sum_frac = max(frac, self.format.frac)
        term = self.term or self.format
        mixed = (
            self.format.signed != term.signed
        )  # an unsigned operand takes one more bit beside a signed one
        int_bits = max(f.int_bits + (mixed and not f.signed) for f in (self.format, term))
        return Cast.to(self.format, source_width=int_bits + sum_frac + 1), sum_frac

    def infer(self, *args: TensorType) -> TensorType:
        (a,) = args
        axis = check_axis(self, self.axis, a.ndim)
        cast, sum_frac = self.step(a.frac)
        shape = a.shape[:axis] + a.shape[axis + 1 :]
        acc = ranges.constant(np.zeros(shape, np.int64))
        for i in range(a.shape[axis]):
            x = Range(*(np.take(v, i, axis) for v in a.range))
            acc = cast_range(
                cast,
                _sum(_shifted(acc, sum_frac - self.format.frac), _shifted(x, sum_frac - a.frac)),
                sum_frac,
            )
        return TensorType.from_range(acc, self.format.frac)


def _shifted(r: Range, k: int) -> Range:
    return r if k == 0 else ranges.make(shift_left(r.lo, k), shift_left(r.hi, k), r.stride + k)


def _sum(a: Range, b: Range) -> Range:
    return ranges.make(add(a.lo, b.lo), add(a.hi, b.hi), np.minimum(a.stride, b.stride))
