"""Quantizing a tensor of a Keras model: on the host, by one cast, by exact steps, or by a table."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.encoders import ElementEncoder
from fxsim.formats import Format, Overflow, Rounding
from fxsim.host import HostStep, SteppedEncoder
from fxsim.integers import Array, IntArray
from fxsim.load.affine import Activation, Line, log2
from fxsim.load.keras.loader import Loader
from fxsim.load.keras.quantizer import FLOAT_BITS, Quantizer
from fxsim.load.keras.symbols import HostInput, Mapped, Symbol
from fxsim.load.keras.tables import tabled
from fxsim.load.rescale import reaches, rescale
from fxsim.load.steps import Reach, StepFunction
from fxsim.trace import Tensor
from fxsim.types import TensorType

# A rounding as a mode of `StepFunction` and what it adds before: RND is floor(y + 1/2).
STEPS = {
    Rounding.RND: ("FLOOR", Fraction(1, 2)),
    Rounding.RND_MIN_INF: ("CEIL", Fraction(-1, 2)),
    Rounding.RND_CONV: ("HALF_EVEN", Fraction(0)),
    Rounding.RND_INF: ("HALF_UP", Fraction(0)),
    Rounding.RND_ZERO: ("HALF_DOWN", Fraction(0)),
    Rounding.TRN: ("FLOOR", Fraction(0)),
    Rounding.TRN_ZERO: ("DOWN", Fraction(0)),
}


def quantized(loader: Loader, x: Symbol, q: Quantizer | None) -> Symbol:
    """The tensor behind the quantizer, recorded under its name; x itself where it is a dummy."""
    if q is None:
        return x
    key = (q.name + loader.suffix, x)
    if key in loader.quantized:  # a quantizer that several layers share
        return loader.quantized[key]
    if isinstance(x, HostInput):
        out = _on_host(loader, x, q)
    elif isinstance(x, Mapped):
        out = _rescaled_after(tabled(loader, x, q, q.name), q)
    else:
        out = _rescaled_after(_codes(loader, _scaled_before(x, q), q), q)
    loader.name(q.name, out)
    loader.quantized[key] = out
    return out


def _scaled_before(x: Activation, q: Quantizer) -> Activation:
    """x / scaler."""
    if q.scaler == 1:
        return x
    return x.map(lambda line: line.then(1 / Fraction(q.scaler), Fraction(0))).settled()


def _rescaled_after(x: Activation, q: Quantizer) -> Activation:
    """x * scaler * gain + shift: on the tensor where both are powers of two, else in its line."""
    scale, shift = Fraction(q.scaler) * Fraction(q.gain), Fraction(q.shift)
    if scale == 1 and shift == 0:
        return x
    return shifted(x.map(lambda line: line.then(scale, shift)))


def shifted(x: Activation) -> Activation:
    """The same reals, a common power-of-two scale and a dyadic offset moved into the tensor."""
    if len(x.lines) > 1 or x.clamped or x.identity:
        return x
    line = x.lines[0]
    sign = -1 if line.scale < 0 else 1
    power = log2(line.scale * sign) if line.scale else None
    if power is None or log2(Fraction(line.offset.denominator)) is None:
        return x
    t = (-x.tensor if sign < 0 else x.tensor) << power
    if line.offset:
        frac = line.offset.denominator.bit_length() - 1
        t = t + t.builder.apply(ops.Const(IntArray(np.array(int(line.offset * (1 << frac)))), frac))
    return Activation(t)


def _on_host(loader: Loader, x: HostInput, q: Quantizer) -> Activation:
    """The graph's input: codes that the host makes by the file's own float32 arithmetic."""
    formats = q.elements(x.shape, batch=True)
    places = x.places().ravel()
    size = int(np.prod(x.start, dtype=np.int64))
    # Elements that nothing reads get no bits; what padding quantizes to is 0 in every format.
    own = [np.full(size + 1, -1, np.int64) for _ in formats]
    for array, wide in zip(own, formats, strict=True):
        flat = wide.ravel()
        array[places] = flat
        if np.any(array[places][places > 0] != flat[places > 0]):
            raise ValueError(
                f"quantizer {q.name!r} gives copies of one element of input {x.name!r} different formats; "
                f"quantize the input first, or pass input=Format to fxsim.load"
            )
    unread = np.ones(size + 1, bool)
    unread[places] = False
    frac, width, signed = (np.where(unread, 0, a)[1:].reshape(x.start) for a in own)
    unread = unread[1:].reshape(x.start)
    if np.any(~unread):
        frac = np.where(unread, frac[~unread].min(), frac)
    own_encoder = ElementEncoder(
        IntArray(_narrow(frac)),
        IntArray(_narrow(width)),
        IntArray(_narrow(signed)),
        q.rounding,
        q.overflow,
    )
    before = x.before if q.scaler == 1 else (*x.before, HostStep("Div", (q.scaler,)))
    encoder = SteppedEncoder(before, own_encoder) if before else own_encoder
    known = loader.encoded.get(x.name)
    if known is not None and known[0] != encoder:
        raise ValueError(
            f"quantizer {q.name!r} quantizes the input {x.name!r} in a second way; pass input=Format to "
            f"fxsim.load, so that both are hardware, or put one Quantizer layer before them"
        )
    if known is None:
        tensor = loader.builder.input(x.name, encoded_type(own_encoder, x.start), encoder)
        known = loader.encoded[x.name] = (encoder, tensor)
    tensor = known[1]
    if x.wiring:
        with loader.builder.block("flatten", loader.block_name(f"{q.name}_input"), [tensor]) as outputs:
            for op in x.wiring:
                tensor = loader.builder.apply(op, tensor)
            outputs.append(tensor)
    return _rescaled_after(Activation(tensor), q)


def encoded_type(encoder: ElementEncoder, shape: tuple[int, ...]) -> TensorType:
    """The type of the codes of an encoder: what a cast of anything can give."""
    wide = Format(160, 80)  # finer and wider than every format of a file
    cast = ops.Cast(encoder.frac, encoder.width, encoder.signed, encoder.rounding, encoder.overflow)
    return cast.infer(TensorType.of(wide, shape))


def _narrow(a: Array) -> Array:
    """One number where all are equal, else the array with axes of equal entries as size 1."""
    for axis in range(a.ndim):
        first = np.take(a, [0], axis)
        if a.shape[axis] > 1 and np.all(a == first):
            a = first
    return a.reshape(()) if a.size == 1 else a


def _codes(loader: Loader, x: Activation, q: Quantizer) -> Activation:
    """One cast where the value is the real one, else the exact steps of the line, then the overflow."""
    x = x.settled()
    frac, width, signed = q.elements(x.shape, batch=True)
    cast = ops.Cast(
        IntArray(_narrow(frac)), IntArray(_narrow(width)), IntArray(_narrow(signed)), q.rounding, q.overflow
    )
    if x.identity:
        with loader.builder.block("quantize", loader.block_name(q.name), [x.tensor], described(cast, x)) as o:
            o.append(x.tensor.cast(cast))
        return Activation(o[0])
    tensor = _stepped(loader, x, q, frac, width, signed)
    return Activation(tensor if q.overflow is not Overflow.WRAP else tensor.cast(cast))


def described(cast: ops.Cast, x: Activation) -> dict[str, Any]:
    """The params of a quantize block: `format` in words or as a Format, and the cast's arrays.

    `float32_exact` says that every operand fits the 24 bits of float32, so that Keras rounds nothing.
    """
    arrays = {"frac": cast.frac, "width": cast.width, "signed": cast.signed}
    single = all(a.array.ndim == 0 for a in arrays.values()) and int(cast.width.array) > 0
    if single:
        w, f = int(cast.width.array), int(cast.frac.array)
        fmt: Any = Format(w, w - f, bool(cast.signed.array), cast.rounding, cast.overflow)
    else:
        widths = cast.width.array
        fmt = (
            f"{widths.size} formats of {widths.min()}..{widths.max()} bits, {cast.rounding}, {cast.overflow}"
        )
    return (
        {"format": fmt}
        | arrays
        | {
            "rounding": str(cast.rounding),
            "overflow": str(cast.overflow),
            "float32_exact": float32_holds(x.tensor),
        }
    )


def float32_holds(t: Tensor) -> bool:
    """Are all codes of the tensor numbers of float32, with a bit to spare for the half that rounding adds?"""
    lo, hi = t.type.bounds
    return max(abs(lo), abs(hi)) < 1 << (FLOAT_BITS - 1)


def _stepped(loader: Loader, x: Activation, q: Quantizer, frac: Array, width: Array, signed: Array) -> Tensor:
    """round(line(raw) * 2**frac) as certified multiply-add-shift or thresholds; saturation is in the steps.

    Elements are grouped along the one axis on which formats and lines vary; all elements where there is none.
    """
    shape = x.shape
    varies = {i for a in (frac, width, signed) for i in range(a.ndim) if _narrow_axis(a, i)}
    varies |= {x.axis} if x.axis is not None else set()
    axis = next(iter(varies), len(shape) - 1) if len(varies) <= 1 and shape else None
    tensor = x.tensor
    lines = np.empty(shape, object)
    place = np.zeros(shape, int) if x.axis is None else np.indices(shape)[x.axis]
    for i in np.ndindex(shape):
        lines[i] = x.lines[place[i]]
    flat = axis is None
    if flat:
        tensor, axis = tensor.reshape(-1), 0
    columns = [np.moveaxis(a.reshape(tensor.shape), axis or 0, 0) for a in (lines, frac, width, signed)]
    picks = [c.reshape(tensor.shape[axis or 0], -1)[:, 0] for c in columns]
    functions = [
        _function(line, int(f), int(w), int(s), q, tensor.frac, reach)
        for line, f, w, s, reach in zip(*picks, reaches(tensor, axis), strict=True)
    ]
    fracs = [int(f) for f in picks[1]]
    code = rescale(
        loader.builder, loader.block_name(q.name), tensor, functions, axis,
        -fracs[0] if len(set(fracs)) == 1 else 0, loader.rescale,
    )  # fmt: skip
    if len(set(fracs)) > 1:
        top = max(fracs)
        column = np.array([1 << (top - f) for f in fracs], object).reshape(
            (-1,) + (1,) * (tensor.ndim - 1 - (axis or 0))
        )
        code = (code * loader.builder.apply(ops.Const(IntArray(column)))) << -top
    return code.reshape(shape) if flat else code


def _narrow_axis(a: Array, axis: int) -> bool:
    return bool(np.any(a != np.take(a, [0], axis)))


def _function(
    line: Line, frac: int, width: int, signed: int, q: Quantizer, own: int, reach: Reach
) -> StepFunction:
    """One element's code as a function of the raw integer: unclipped under WRAP, whose cast follows."""
    mode, more = STEPS[q.rounding]
    unit = Fraction(2) ** frac
    a, b = line.scale * unit * Fraction(2) ** -own, line.offset * unit + more
    if q.overflow is Overflow.WRAP:
        ends = sorted(a * e + b for e in (reach.lo, reach.hi))
        lo, hi = ends[0].__floor__() - 1, ends[1].__ceil__() + 1
    elif width == 0:
        lo = hi = 0
    else:
        hi = (1 << (width - signed)) - 1
        lo = -hi - (q.overflow is Overflow.SAT) if signed else 0
    low, high = (None if v is None else v * Fraction(2) ** own for v in (line.low, line.high))
    return StepFunction(a, b, lo, hi, mode).clamped(low, high)
