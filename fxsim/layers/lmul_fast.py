"""Sums of L-Mul products in NumPy: as matrix products where ranges prove them exact, else by a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fxsim.integers import INT64_BITS, Array, add, exact, shift_left
from fxsim.layers.lmul import LMul
from fxsim.quantizers.codec import code_array

TABLE_BITS = 20
"""Greatest number of bits of two codes for which all products are kept in a table."""

PRODUCT_BITS = 4
"""Greatest number of mantissa bits for which 2**m matrix products are taken instead."""


def lmul_product_raw(x: Any, y: Any, unit: LMul) -> Array:
    """The integers that `lmul_product` gives, elementwise and broadcast: raw at frac = `unit.frac`."""
    f, m = unit.format, unit.format.mantissa_bits
    a, b = _codes(x, unit), _codes(y, unit)
    mask, one = (1 << f.magnitude_bits) - 1, 1 << m
    total = (a & mask) + (b & mask) - unit.offset
    kept = ((a & mask) >= one) & ((b & mask) >= one) & (total >= unit.least << m)
    total = np.where(kept, np.minimum(total, f.largest), unit.least << m)
    value = shift_left(np.where(kept, (total & (one - 1)) + one, 0), (total >> m) - unit.least)
    return exact(np.where((a ^ b) > mask, exact(-value), value))


def lmul_matmul_raw(x: Any, w: Any, unit: LMul) -> Array:
    """x (..., K) by w (K, N) codes: the integers that `lmul_matmul` gives, raw at frac = `unit.frac`.

    Three ways, the first that is exact for these codes:

    1. m <= 4, no product can underflow or saturate (the least and greatest operands decide), and a float
       holds the sums: the product is 2**(Ex + Ey) * G[Mx, My] with one small matrix G for the mantissas and
       their carry, so that 2**m matrix products, laid side by side, are one BLAS product, in float32 up to
       2**24 and in float64 up to 2**53, over parts of K where all of K could pass that;
    2. two codes of at most 20 bits: a table of all products, gathered;
    3. the integer formula, one k at a time, in Python integers beyond 62 bits.

    Raises ValueError for codes outside 0..2**bits - 1 and for shapes that do not fit.
    """
    a, b = _codes(x, unit), _codes(w, unit)
    if not a.ndim or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        raise ValueError(f"x and w must have shapes (..., K) and (K, N), not {a.shape} and {b.shape}")
    lead = a.shape[:-1]
    rows = a.reshape(math.prod(lead), a.shape[-1])  # -1 for the rows would fail for K = 0
    out = _as_products(rows, b, unit)
    if out is None:
        out = _summed(rows, b, unit)
    return out.reshape(*lead, b.shape[1])


def _codes(codes: Any, unit: LMul) -> Array:
    return code_array(codes, 0, (1 << unit.format.bits) - 1)


def _as_products(x: Array, w: Array, unit: LMul) -> Array | None:
    """The sums by matrix products, or None where they might not be exact."""
    f, m = unit.format, unit.format.mantissa_bits
    mask, one = (1 << f.magnitude_bits) - 1, 1 << m
    size_x, size_w = x & mask, w & mask
    used_x, used_w = size_x >= one, size_w >= one
    if m > PRODUCT_BITS:
        return None
    if not used_x.any() or not used_w.any():
        return np.zeros((len(x), w.shape[1]), np.int64)
    least_x, least_w = int(size_x[used_x].min()), int(size_w[used_w].min())
    most_x, most_w = int(size_x.max()), int(size_w.max())
    if least_x + least_w - unit.offset < unit.least << m or most_x + most_w - unit.offset > f.largest:
        return None
    base_x, base_w = least_x >> m, least_w >> m
    i = np.arange(one)
    carried = i[:, None] + i + unit.bonus
    mantissas = ((carried & (one - 1)) + one) << (carried >> m)
    largest = int(mantissas.max()) << (most_x >> m) - base_x + (most_w >> m) - base_w
    if largest * x.shape[1] >= 1 << INT64_BITS or largest >= 1 << 53:
        return None
    # float32 holds integers up to 2**24 and is the faster by more than the cuts of K cost.
    dtype, exact_bits = (np.float32, 24) if largest << 4 < 1 << 24 else (np.float64, 53)
    step = ((1 << exact_bits) - 1) // largest
    scaled_x = _scaled(x > mask, used_x, (size_x >> m) - base_x, dtype)
    scaled_w = _scaled(w > mask, used_w, (size_w >> m) - base_w, dtype)
    # One column of x for every mantissa it may have: (rows, K, 2**m) by (K, 2**m, N).
    spread = np.zeros((*x.shape, one), dtype)
    np.put_along_axis(spread, (x & (one - 1))[..., None], scaled_x[..., None], -1)
    columns = mantissas.astype(dtype)[:, w & (one - 1)] * scaled_w
    table = columns.transpose(1, 0, 2).reshape(-1, w.shape[1])
    rows = spread.reshape(len(x), -1)
    total = np.zeros((len(x), w.shape[1]), np.int64)
    for k in range(0, x.shape[1] * one, step * one):
        total += (rows[:, k : k + step * one] @ table[k : k + step * one]).astype(np.int64)
    shift = base_x + base_w - f.bias - unit.least
    # Every term is an integer at the products' frac, so a right shift loses nothing.
    return shift_left(total, shift) if shift >= 0 else total >> -shift


def _scaled(negative: Array, used: Array, power: Array, dtype: Any) -> Array:
    """+-2**power, 0 where the operand is zero."""
    sign = np.where(used, np.where(negative, -1, 1), 0).astype(dtype)
    return np.asarray(np.ldexp(sign, np.where(used, power, 0)))


def _summed(x: Array, w: Array, unit: LMul) -> Array:
    """The sums of a table's entries or of the formula, one k at a time."""
    f = unit.format
    total: Array = np.zeros((len(x), w.shape[1]), np.int64)
    codes = np.arange(1 << f.bits) if 2 * f.bits <= TABLE_BITS else None
    table = None if codes is None else lmul_product_raw(codes[:, None], codes, unit)
    width = f.mantissa_bits + 1 + (f.largest >> f.mantissa_bits) - unit.least + len(w).bit_length()
    fits = width < INT64_BITS
    for k in range(x.shape[1]):
        if table is None:
            part = lmul_product_raw(x[:, k, None], w[k], unit)
        else:
            part = table.ravel()[(x[:, k, None] << f.bits) + w[k]]
        total = total + part if fits else add(total, part)
    return total
