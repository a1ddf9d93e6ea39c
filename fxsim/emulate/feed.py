"""Feeding a frame: raw codes or real values of a batch, checked and laid out batch-last, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fxsim.boundary import Encoder, FormatEncoder, check_real
from fxsim.emulate import carriers as c
from fxsim.formats import Overflow, Rounding
from fxsim.graph import Graph, Input
from fxsim.integers import Array, exact
from fxsim.types import TensorType

# feed(rows, at, n): samples at .. at + n into rows (elements, lanes); rows None checks only.
Feed = Callable[[Array | None, int, int], None]


def check_raw(raw: Array, node: Input) -> Array:
    """raw as integers of the input's set; TypeError or ValueError names the input and the first bad index."""
    a = _integers(raw, node)
    bad = np.argwhere(~node.type.contains(a))
    if len(bad):
        where = tuple(int(i) for i in bad[0])
        own = where[a.ndim - node.type.ndim :]
        lo, hi = int(node.type.lo[own]), int(node.type.hi[own])
        step = int(node.type.stride[own]) if lo != hi else 0
        multiple = f" and a multiple of {1 << step}" if step else ""
        raise ValueError(
            f"input {node.name!r} must lie in raw {lo}..{hi}{multiple}, not {a[where]} at index {where}"
        )
    return a


def _integers(raw: Array, node: Input) -> Array:
    if raw.dtype.kind in "iub" and raw.dtype != np.uint64:
        return raw
    try:
        return exact(raw)
    except TypeError:
        raise TypeError(f"input {node.name!r} must be integers, not {raw.dtype}") from None


def raw_feed(raw: Array, node: Input) -> Feed:
    """Checked raw codes; integers of any dtype."""
    a = _integers(raw, node)
    flat = a.reshape(len(a), node.type.size)
    legal = _legal(node.type, a.dtype)
    scratch = _Scratch()

    def feed(rows: Array | None, at: int, n: int) -> None:
        part = flat[at : at + n]
        if not legal(part):
            check_raw(raw, node)
        if rows is not None:
            scratch.turn(part, rows[:, :n])

    return feed


def _legal(t: TensorType, dtype: np.dtype[Any]) -> Callable[[Array], bool]:
    """Are all codes of (n, elements) in the proven sets? The cheapest test that says so."""
    strides = np.where(t.is_constant, 0, t.stride).reshape(-1)
    if t.size == 0:
        return lambda part: True
    if dtype.kind == "O" or c.is_wide(t):
        return lambda part: bool(np.all(t.contains(part.reshape(-1, *t.shape))))
    lo, hi = t.lo.reshape(-1), t.hi.reshape(-1)
    mask = (np.int64(1) << strides.astype(np.int64)) - 1
    uniform = bool(np.all(lo == lo[0]) and np.all(hi == hi[0]))
    least, most = int(lo.max()), int(hi.min())
    if dtype.kind == "b":
        span = (0, 1)
    else:
        info = np.iinfo(dtype) if dtype.kind in "iu" else None
        span = (int(info.min), int(info.max)) if info else (-(1 << 64), 1 << 64)
    within = least <= span[0] and span[1] <= most

    def legal(part: Array) -> bool:
        if not within:
            if uniform:
                if not (
                    least <= np.minimum.reduce(part, axis=None) and np.maximum.reduce(part, axis=None) <= most
                ):
                    return False
            elif not (np.all(lo <= part.min(axis=0)) and np.all(part.max(axis=0) <= hi)):
                return False
        return not mask.any() or not np.any(part.astype(np.int64) & mask)

    return legal


def encoded_feed(x: Array, node: Input, encoder: Encoder) -> Feed:
    """Codes of real values by the input's encoder; a format's own rounding has a fast exact path."""
    if x.dtype.kind not in "iubf" or x.dtype.itemsize > 8:
        x = check_real(x, node.name)
    legal = _legal(node.type, np.dtype(np.float64))
    work = _fast_dtype(encoder, x)
    flat = x.reshape(len(x), node.type.size)

    def slow(rows: Array | None, at: int, n: int) -> None:
        try:
            raw = encoder.encode(x[at : at + n], node.name)
        except ValueError:
            encoder.encode(x, node.name)  # names the index in the whole batch
            raise
        part = raw.reshape(n, node.type.size)
        if not legal(part):
            check_raw(encoder.encode(x, node.name), node)
        if rows is not None:
            np.copyto(rows[:, :n], part.T, casting="unsafe")

    if work is None or not isinstance(encoder, FormatEncoder):
        return slow
    f, step = encoder.format, 2.0**encoder.format.frac
    scale = work.type(step)
    whole_range, safe = _same_range(node.type, f), _SAFE * 2.0**-f.frac
    least, most = float(f.lo), float(f.hi)
    if f.overflow is Overflow.SAT_SYM and f.width > 1 and f.signed:
        least = -most
    saturates = f.overflow in (Overflow.SAT, Overflow.SAT_SYM)
    scratch = _Scratch()

    def quick(rows: Array | None, at: int, n: int) -> None:
        part = flat[at : at + n]
        low, high = float(np.minimum.reduce(part, axis=None)), float(np.maximum.reduce(part, axis=None))
        if not (-safe < low and high < safe):  # NaN fails every comparison
            return slow(rows, at, n)
        q = scratch.like(part, work)
        np.multiply(part, scale, out=q)
        _round(q, f.rounding)
        if low * step < least or high * step > most:  # else no code can lie outside
            if saturates:
                np.clip(q, least, most, out=q)
            elif not (least <= q.min() and q.max() <= most):
                return slow(rows, at, n)
        if not whole_range and not legal(q):
            return slow(rows, at, n)
        if rows is not None:
            scratch.turn(q, rows[:, :n])

    return quick


class _Scratch:
    """Arrays that live as long as a feed, one per dtype."""

    def __init__(self) -> None:
        self.arrays: dict[np.dtype[Any], Array] = {}

    def like(self, part: Array, dtype: np.dtype[Any]) -> Array:
        """An uninitialised array of part's shape."""
        a = self.arrays.get(dtype)
        if a is None or len(a) < len(part):
            a = self.arrays[dtype] = np.empty(part.shape, dtype)
        return a[: len(part)]

    def turn(self, part: Array, rows: Array) -> None:
        """rows = part transposed; converting wide numbers first, row by row in cache, is twice as fast."""
        if part.dtype != rows.dtype and part.dtype.itemsize == 8 and rows.dtype == c.F32:
            narrow = self.like(part, c.F32)
            np.copyto(narrow, part, casting="unsafe")
            part = narrow
        np.copyto(rows, part.T, casting="unsafe")


_SAFE = 2.0**60


def _fast_dtype(encoder: Encoder, x: Array) -> np.dtype[Any] | None:
    """The float dtype in which the encoder is exact: scaling by 2**frac loses nothing, and the bounds fit."""
    if not isinstance(encoder, FormatEncoder) or not x.size:
        return None
    f = encoder.format
    narrow = x.dtype.kind in "iub" and x.dtype.itemsize <= 4
    if not (x.dtype in (np.float16, np.float32, np.float64) or narrow):
        return None
    if not 0 <= f.frac <= c.MOST_POINT or f.width > c.BITS[c.F64]:
        return None
    return c.F32 if x.dtype in (np.float16, np.float32) and f.width <= c.BITS[c.F32] else c.F64


def _same_range(t: TensorType, f: Any) -> bool:
    return bool(np.all(t.lo == f.lo) and np.all(t.hi == f.hi) and np.all(t.stride == 0))


def _round(q: Array, mode: Rounding) -> None:
    """q rounded to integers in place. q - rint(q) is exact, so ties are told from near ties."""
    if mode is Rounding.TRN:
        np.floor(q, out=q)
        return
    if mode is Rounding.TRN_ZERO:
        np.trunc(q, out=q)
        return
    if mode is Rounding.RND_CONV:
        np.rint(q, out=q)
        return
    nearest = np.rint(q)
    rest = q - nearest
    tie = np.abs(rest) == 0.5
    match mode:
        case Rounding.RND:
            nearest += tie & (rest > 0)
        case Rounding.RND_MIN_INF:
            nearest -= tie & (rest < 0)
        case Rounding.RND_CONV_ODD:
            nearest += np.where(tie, 2 * rest, 0)
        case _:
            # Away from zero where the rest has the sign of q; toward zero where it has the other one.
            outward = tie & ((rest > 0) == (q > 0))
            inward = tie & ((rest > 0) != (q > 0))
            nearest += np.where(outward if mode is Rounding.RND_INF else inward, 2 * rest, 0)
    np.copyto(q, nearest)


def batched(
    graph: Graph, positional: Sequence[Any], named: Mapping[str, Any] | None = None
) -> tuple[list[Array], bool]:
    """Inputs in order, each with a batch axis, and whether all came without one.

    TypeError for a missing, surplus or unknown input, ValueError for another shape or unequal batches.
    """
    names = [n.name for n in graph.inputs]
    if len(positional) > len(names):
        raise TypeError(f"the graph has {len(names)} inputs {names}, but {len(positional)} were given")
    given = dict(zip(names, positional, strict=False))
    for k, v in (named or {}).items():
        if k not in names:
            raise TypeError(f"no input is named {k!r}; the inputs are {names}")
        if k in given:
            raise TypeError(f"input {k!r} was given twice")
        given[k] = v
    missing = [n for n in names if n not in given]
    if missing:
        raise TypeError(f"missing inputs {missing}; the inputs are {names}")
    arrays, singles = [], []
    for node in graph.inputs:
        shape = node.type.shape
        try:
            a = np.asarray(given[node.name])
        except ValueError:  # rows of different lengths
            raise ValueError(f"input {node.name!r} must have shape {('batch', *shape)} or {shape}") from None
        if a.shape == shape:
            a, single = a[None], True
        elif a.ndim == len(shape) + 1 and a.shape[1:] == shape:
            single = False
        else:
            raise ValueError(
                f"input {node.name!r} must have shape {('batch', *shape)} or {shape}, not {a.shape}"
            )
        arrays.append(a)
        singles.append(single)
    if len({len(a) for a in arrays}) > 1 or len(set(singles)) > 1:
        raise ValueError(f"inputs must share one batch size, not {[a.shape for a in arrays]}")
    return arrays, all(singles) and bool(singles)
