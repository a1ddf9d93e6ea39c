"""How the weights of a folded layer are shared out: over processing elements and over ticks."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxsim.integers import Array, exact, multiply
from rtl.stream.folded_nest import Nest


def integers(name: str, weights: Any, channels: int) -> Array:
    """Weights of a layer, checked: (kh, kw, channels, out), depthwise (kh, kw, channels)."""
    w = np.asarray(weights)
    if w.dtype.kind not in "iuO":
        raise TypeError(f"weights of {name} must be integers, not {w.dtype}")
    if w.ndim not in (3, 4) or w.shape[2] != channels or not w.size:
        raise ValueError(
            f"weights of {name} must have shape (kh, kw, {channels}, out) or (kh, kw, {channels}), "
            f"not {w.shape}"
        )
    return exact(w)


def feasible(elements: int, out: int | None) -> list[int]:
    """The numbers of processing elements that divide a layer, ascending; depthwise where out is None."""
    return (
        _divisors(elements)
        if out is None
        else sorted({a * b for a in _divisors(out) for b in _divisors(elements)})
    )


def split(name: str, pe: int, elements: int, out: int | None) -> tuple[int, int]:
    """(pi, po) of `pe` processing elements; depthwise (out None): both are pe."""
    if isinstance(pe, bool) or not isinstance(pe, (int, np.integer)) or pe < 1:
        raise ValueError(f"pe of {name} must be an integer of at least 1, not {pe!r}")
    pe = int(pe)
    if out is None:
        if elements % pe:
            raise ValueError(f"pe of {name} must divide its {elements} elements of a beat, not {pe}")
        return pe, pe
    found = [d for d in range(1, out + 1) if out % d == 0 and pe % d == 0 and elements % (pe // d) == 0]
    if found:
        return pe // found[-1], found[-1]
    able = feasible(elements, out)
    near = [v for v in able if v < pe][-1:] + [v for v in able if v > pe][:1]
    raise ValueError(
        f"pe of {name} must be a product of a divisor of {out} and a divisor of {elements}, for example "
        f"{' or '.join(map(str, near))}, not {pe}"
    )


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def read_span(
    name: str, bits: int, signed: bool, lo: int | None, hi: int | None, fill: int, nest: Nest
) -> tuple[int, int]:
    """The interval of what a tick reads, the padding included."""
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    lo, hi = least if lo is None else lo, most if hi is None else hi
    if not least <= lo <= hi <= most:
        raise ValueError(f"lo and hi of {name} must lie in {least}..{most}, not {lo!r} and {hi!r}")
    if isinstance(fill, bool) or not isinstance(fill, (int, np.integer)):
        raise ValueError(f"fill of {name} must be an integer, not {fill!r}")
    if nest.padded:
        lo, hi = min(lo, fill), max(hi, fill)
    return lo, hi


def result_span(w: Array, span: tuple[int, int], code_bits: int | None) -> tuple[int, int]:
    """The interval of all results."""
    w = w.reshape(-1, w.shape[-1] if w.ndim == 4 else w.shape[2])
    if code_bits is not None:
        corners = [v * c for v in span for c in (-(1 << code_bits - 1), (1 << code_bits - 1) - 1)]
        return min(corners) * len(w), max(corners) * len(w)
    a, b = (multiply(w, exact(v)) for v in span)
    return int(np.minimum(a, b).sum(axis=0).min()), int(np.maximum(a, b).sum(axis=0).max())


def ordered_weights(w: Array, nest: Nest, pi: int, po: int) -> Array:
    """The weights in the order of a position's ticks: (ticks, pi, po), depthwise (ticks, pi)."""
    kh, kw = nest.kernel
    if nest.depthwise:
        return w.reshape(kh, kw, -1, pi).transpose(2, 0, 1, 3).reshape(-1, pi)
    a = w.reshape(kh, kw, nest.words * nest.slices, pi, nest.groups, po)
    return a.transpose(4, 0, 1, 2, 3, 5).reshape(-1, pi, po)
