"""Cast in hardware: a rounding carry from the dropped bits, then what overflow logic the range needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxsim.casting import round_shift
from fxsim.formats import Overflow, Rounding
from fxsim.integers import exact
from fxsim.ops import Cast
from rtl.lower.netlist import Netlist, Wire


def cast(
    nl: Netlist, op: Cast, wires: np.ndarray, src_frac: int, lo: np.ndarray, hi: np.ndarray
) -> np.ndarray:
    """`op` on an object array of wires at `src_frac`; lo, hi are the proven raw ends of the results.

    Rounding never reverses an order, so a clamped source (a ReLU) is rounded first and clamped then: its
    clamp becomes one with that of saturation, of fewer bits, and its rounding constant joins the sum before.
    """
    frac, width, signed = (a.astype(int) for a in op.parameters(wires.shape))
    out = np.empty(wires.shape, object)
    if not wires.size:
        return out
    sources = [nl.unclamped(w) for w in wires.ravel()]
    ends = zip(*((v.lo, v.hi, least, most) for v, least, most in sources), strict=True)
    rounded_ends = [round_shift(_array(e, wires.shape), src_frac - frac, op.rounding).ravel() for e in ends]
    parts = zip(np.ndindex(wires.shape), sources, *(e.tolist() for e in rounded_ends), strict=True)
    for i, (v, _, _), low, high, least, most in parts:
        drop, w = int(src_frac - frac[i]), int(width[i])
        spread = op.result_frac - int(frac[i])
        if not w or lo[i] == hi[i]:
            out[i] = nl.const(int(lo[i]) if w else 0)
            continue
        q = nl.clamp(rounded(nl, v, drop, op.rounding, (low, high)), least, most)
        ends_q = (int(lo[i]) >> spread, int(hi[i]) >> spread)
        out[i] = nl.shift(fitted(nl, op, wires[i], drop, q, w, bool(signed[i]), ends_q), spread)
    return out


def _array(values: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    a = np.empty(len(values), object)
    a[:] = values
    return exact(a.reshape(shape))


def rounded(nl: Netlist, v: Wire, drop: int, rounding: Rounding, bounds: tuple[int, int]) -> Wire:
    """v / 2**drop rounded, proven to lie in `bounds`.

    The floor of v plus a constant where the mode allows it, since the constant costs nothing beside another;
    else the floor of v, plus a carry that the mode takes from the dropped bits.
    """
    if drop <= v.zeros or (v.is_constant and not v.value):
        return nl.shift(v, -drop)
    half = 1 << drop - 1
    match rounding:
        case Rounding.TRN:
            return nl.floor(v, drop)
        case Rounding.RND:
            return nl.floor(nl.add(v, nl.const(half)), drop)
        case Rounding.RND_MIN_INF:  # ties go down: short of half by one unit of v
            return nl.floor(nl.add(v, nl.const(half - (1 << v.zeros))), drop)
    floor, negative = nl.floor(v, drop), nl.less(v, nl.const(0))
    if rounding is Rounding.TRN_ZERO:
        return nl.add(floor, nl.both(negative, nl.any_low(v, drop)), bounds)
    at_least_half, beyond = nl.bit(v, drop - 1), nl.any_low(v, drop - 1)
    match rounding:  # where a tie goes up
        case Rounding.RND_ZERO:
            up = negative
        case Rounding.RND_INF:
            up = nl.flip(negative)
        case Rounding.RND_CONV:
            up = nl.bit(v, drop)
        case _:
            up = nl.flip(nl.bit(v, drop))
    return nl.add(floor, nl.both(at_least_half, nl.either(beyond, up)), bounds)


def fitted(
    nl: Netlist, op: Cast, source: Wire, drop: int, q: Wire, width: int, signed: bool, bounds: tuple[int, int]
) -> Wire:
    """The rounded q in `width` bits by the overflow mode of `op`; `source` had `drop` bits more."""
    top = (1 << (width - signed)) - 1
    bottom = -top - 1 if signed else 0
    if op.overflow is Overflow.SAT_SYM and signed and width > 1:
        bottom = -top
    if bottom <= q.lo and q.hi <= top:
        return q
    if op.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        return nl.fit(nl.clamp(q, bottom, top), *bounds)
    over, under = nl.at_least(q, nl.const(top + 1)), nl.less(q, nl.const(bottom))
    if op.overflow is Overflow.SAT_ZERO:
        return nl.mux(nl.either(over, under), nl.const(0), q, (min(bounds[0], 0), max(bounds[1], 0)))
    low = nl.low(q, width, signed)
    if op.overflow is Overflow.WRAP and not op.n:
        return nl.fit(low, *bounds)
    negative = nl.less(q, nl.const(0))
    bent = _bent(nl, op, source, drop, low, negative, width, signed)
    return nl.fit(nl.mux(nl.either(over, under), bent, low), *bounds)


def _bent(
    nl: Netlist, op: Cast, source: Wire, drop: int, low: Wire, negative: Wire, width: int, signed: bool
) -> Wire:
    """What the sign-keeping wraps make of a q that is out of range; `low` is q mod 2**width."""
    n = op.n
    if op.overflow is Overflow.WRAP_SM:
        sign = nl.bit(low, width - 1)
        if n == 0:
            position = drop + width
            above = 0 <= position < (op.source_width or 0)
            flip = nl.differ(nl.bit(source, position) if above else nl.const(0), sign)
        elif n == 1:
            flip = nl.differ(sign, negative)
        else:
            flip = nl.flip(nl.differ(nl.bit(low, width - n), negative))
        low = nl.mux(flip, nl.invert(low), low)
        if n == 0:
            return low
    rest = (nl.low(low, width - n), width - n)
    if not signed:
        return nl.cat([rest, *[(nl.const(1), 1)] * n], False)
    magnitude = nl.flip(negative)
    return nl.cat([rest, *[(magnitude, 1)] * (n - 1), (negative, 1)], True)
