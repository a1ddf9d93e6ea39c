"""Shift-add products with weights that are loaded at run time: fields of zero, sign and shift."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from fxsim import ops
from fxsim.formats import UQ, Format, Overflow, Rounding
from fxsim.integers import Array, IntArray, bit_length, exact, magnitude_bits, matmul, to_object
from fxsim.machine import Machine
from fxsim.quantizers.codec import code_array
from fxsim.quantizers.fields import Fields
from fxsim.trace import Tensor, select, trace


class Fielded(Protocol):
    """A codec whose weights are fields, but whose codes are shorter."""

    bits: int
    form: Fields

    def fields(self, codes: Array) -> Array: ...


def shift_product(x: Tensor, codes: Tensor, form: Fields, frac: int = 0, name: str = "product") -> Tensor:
    """x * raw(codes) * 2**-frac, element by element (broadcast): terms shifts, terms - 1 additions.

    x      any tensor
    codes  field codes of `form`, unsigned integers of at most form.bits bits: weights loaded at run time
    frac   of the weights

    Exact for every weight of |raw| <= form.bound: the result has the bits of x and of bound, and a sign. A
    code beyond that, or with a shift beyond form.most, wraps to this width.

    A field's term is ((x where not zero, else 0) ^ -sign) + sign, shifted left by a variable count. Raises
    TypeError for codes that are no integers of form.bits bits.
    """
    _check(codes, form)
    with x.builder.block("shift_product", name, [x, codes], _params(form, frac)) as outputs:
        y = _sum_of_terms(x << x.frac, codes, form)
        outputs.append(_fitted(y, _greatest(x), form) >> x.frac + frac)
    return outputs[0]


def shift_dot(x: Tensor, codes: Tensor, form: Fields, frac: int = 0, name: str = "dot") -> Tensor:
    """sum over the last axis of x * raw(codes) * 2**-frac, broadcast: exact, as `shift_product` is.

    The accumulator is as wide as the sum of max |x| * form.bound asks for.
    """
    _check(codes, form)
    with x.builder.block("shift_dot", name, [x, codes], _params(form, frac)) as outputs:
        y = _sum_of_terms(x << x.frac, codes, form)
        greatest = np.broadcast_to(_greatest(x), y.shape)
        y = y.sum(axis=-1)
        outputs.append(_fitted(y, np.asarray(greatest.sum(axis=-1), object), form) >> x.frac + frac)
    return outputs[0]


def shift_matmul(x: Tensor, codes: Tensor, form: Fields, frac: int = 0, name: str = "matmul") -> Tensor:
    """x @ raw(codes) * 2**-frac for x (..., n) and codes (n, m): one shift-add unit for each pair, exact."""
    if codes.ndim != 2 or x.ndim < 1 or x.shape[-1] != codes.shape[0]:
        raise TypeError(f"shift_matmul needs x (..., n) and codes (n, m), not {x.shape} and {codes.shape}")
    rows = x.reshape(*x.shape[:-1], 1, x.shape[-1])
    return shift_dot(rows, codes.T, form, frac, name)


def shift_matmul_raw(x: Any, codes: Any, form: Fields) -> Array:
    """The raw integers that `shift_matmul` gives, x (..., n) raw and codes (n, m): one matrix product.

    Shifts and signs of whole weights are products with integers, so the codes are decoded once and BLAS takes
    the rest, in float64 where n * max |x| * max |weight| <= 2**53 proves every partial sum exact, else in
    integers.

    Raises ValueError for shapes that do not fit, and for a weight beyond form.bound, which the hardware
    wraps.
    """
    a, w = exact(x), form.raw(codes)
    if w.ndim != 2 or a.ndim < 1 or a.shape[-1] != w.shape[0]:
        raise ValueError(f"x and codes must have shapes (..., n) and (n, m), not {a.shape} and {w.shape}")
    code_array(w, -form.bound, form.bound, "weights")
    if a.size and a.shape[-1] << magnitude_bits(a) + magnitude_bits(w) <= 1 << 53:
        return np.asarray(np.matmul(a.astype(np.float64), w.astype(np.float64)), np.int64)
    return matmul(a, w)


def shift_accumulate(
    acc: Tensor, x: Tensor, codes: Tensor, form: Fields, fmt: Format, name: str = "mac"
) -> Tensor:
    """cast(acc + x * raw(codes)) to the accumulator's format: one step of a sum over time."""
    with acc.builder.block("shift_mac", name, [acc, x, codes], _params(form, 0)) as outputs:
        outputs.append((acc + shift_product(x, codes, form)).cast(fmt))
    return outputs[0]


def shift_accumulator(x: Format, form: Fields, fmt: Format, name: str = "shift_mac") -> Machine:
    """A machine with one MAC: inputs x, code and clear (1 starts a new sum with this product); output: the
    sum so far, in `fmt`.
    """

    def step(acc: Tensor, x: Tensor, code: Tensor, clear: Tensor) -> tuple[Tensor, Tensor]:
        total = shift_accumulate(select(clear, 0, acc), x, code, form, fmt)
        return total, total

    graph = trace(step, fmt, x, UQ(form.bits, 0), UQ(1, 0), name=name, output_names=["acc", "sum"])
    return Machine((IntArray(0),), graph)


def decode_fields(codes: Tensor, codec: Fielded, name: str = "decode") -> Tensor:
    """Field codes of `codec.form` from the codec's own codes of `codec.bits` bits, by a table."""
    table = codec.fields(np.arange(1 << codec.bits))
    if codes.frac or codes.type.bounds[0] < 0 or codes.type.bounds[1] >> codec.bits:
        raise TypeError(f"codes must be unsigned integers of {codec.bits} bits, not {codes.type}")
    with codes.builder.block("decode_fields", name, [codes], {"fields": IntArray(table)}) as outputs:
        outputs.append(codes.builder.apply(ops.Table(IntArray(table)), codes))
    return outputs[0]


def _params(form: Fields, frac: int) -> dict[str, int]:
    return {"terms": form.terms, "most": form.most, "bound": form.bound, "frac": frac}


def _check(codes: Tensor, form: Fields) -> None:
    low, high = codes.type.bounds
    if codes.frac or low < 0 or high >> form.bits:
        raise TypeError(f"codes must be unsigned integers of {form.bits} bits, not {codes.type}")


def _sum_of_terms(x: Tensor, codes: Tensor, form: Fields) -> Tensor:
    total: Tensor | None = None
    for k in range(form.terms):
        at = k * form.width
        sign = _bits(codes, at + form.shift_bits, 1)
        # Gating first, and the negation as an XOR and a carry, leaves one LUT for each bit of x.
        term = (select(_bits(codes, at + form.shift_bits + 1, 1), 0, x) ^ -sign) + sign
        if form.shift_bits:
            term = term << _bits(codes, at, form.shift_bits)
        total = term if total is None else total + term
    assert total is not None
    return total


def _bits(codes: Tensor, at: int, width: int) -> Tensor:
    """Bits at .. at + width - 1 as an unsigned integer: wires."""
    return (codes >> at).cast(UQ(width, 0))


def _greatest(x: Tensor) -> Array:
    return np.asarray(np.maximum(np.abs(to_object(x.type.lo)), np.abs(to_object(x.type.hi))), object)


def _fitted(y: Tensor, greatest: Array, form: Fields) -> Tensor:
    """y in the bits of +-greatest * bound, where its proven type has more."""
    width = bit_length(np.asarray(np.broadcast_to(greatest, y.shape) * form.bound, object)) + 1
    if np.all(y.type.width <= width):
        return y
    signed = np.ones(y.shape, np.int64)
    fracs = np.full(y.shape, y.frac, np.int64)
    return y.cast(ops.Cast(IntArray(fracs), IntArray(width), IntArray(signed), Rounding.TRN, Overflow.WRAP))
