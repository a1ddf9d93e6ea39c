"""Linear systems solved exactly: what an iteration's answer is measured against."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt, lcm
from typing import Any

import numpy as np

from fxsim.integers import Array, exact, matmul, subtract, to_object

PRIMES = (2147483647, 2147483629, 2147483587)


def fractions(values: Any, frac: int = 0) -> Array:
    """The exact values * 2**-frac as an object array of Fractions; integers, floats or Fractions."""
    a = np.asarray(values)
    scale = Fraction(1, 1 << frac)
    found = np.empty(a.shape, object)
    for i in np.ndindex(a.shape):
        v: Any = a[i]
        found[i] = Fraction(int(v) if isinstance(v, (int, np.integer)) else v) * scale
    return found


def solve(a: Any, b: Any) -> Array:
    """x with a x = b, as Fractions, (n,) or (n, k) as b is; a (n, n), integers, floats or Fractions.

    p-adic lifting (Dixon 1982): the digits of x to a prime base, one product with the inverse modulo the
    prime each; the fractions with the common denominator come from the digits, and are then put into the
    equations, so that the answer is proven whatever the way to it. ValueError for a singular matrix.
    """
    top, below = _integers(a)
    right, under = _integers(b)
    n = len(top)
    if top.shape != (n, n) or right.shape[:1] != (n,) or right.ndim > 2:
        raise ValueError(f"a x = b must be square with one row per equation, not {top.shape}, {right.shape}")
    columns = right.reshape(n, -1)
    prime, inverse = _inverse(top)
    # Cramer and Hadamard: |det| and the numerators are below the products of the rows' 2-norms.
    size, grown = 1, 1
    for row, largest in zip(top.tolist(), np.max(np.abs(columns), axis=1, initial=0).tolist(), strict=True):
        square = sum(v * v for v in row)
        size *= isqrt(square) + 1
        grown *= isqrt(square + largest * largest) + 1
    digits: Array = np.zeros(columns.shape, object)
    rest, base = columns, 1
    while base <= 2 * size * grown:
        digit = _product(inverse, exact(np.remainder(rest, prime)), prime)
        digits = digits + to_object(digit) * base
        rest = exact(subtract(rest, matmul(top, digit)) // prime)
        base *= prime
    below_all, numerators = _reconstruct(digits, base, grown)
    if np.any(matmul(to_object(top), numerators) != to_object(columns) * below_all):
        raise ArithmeticError("the lifted solution must solve the equations")
    scale = Fraction(below, under * below_all)
    found = np.empty(columns.shape, object)
    found.ravel()[:] = [v * scale for v in numerators.ravel().tolist()]
    return found.reshape(right.shape)


def _integers(values: Any) -> tuple[Array, int]:
    """(integers, denominator) with values = integers / denominator."""
    a = np.asarray(values)
    if a.dtype.kind in "iub":
        return exact(a), 1
    listed = fractions(a)
    below = lcm(*(v.denominator for v in listed.ravel())) if listed.size else 1
    raw = np.array([int(v * below) for v in listed.ravel()], object).reshape(a.shape)
    return exact(raw), below


def _inverse(a: Array) -> tuple[int, Array]:
    """A prime and the inverse of `a` modulo it."""
    n = len(a)
    for p in PRIMES:
        m = np.concatenate([np.remainder(a, p).astype(np.int64), np.eye(n, dtype=np.int64)], axis=1)
        for k in range(n):
            rows = np.flatnonzero(m[k:, k]) + k
            if not len(rows):
                break
            if rows[0] != k:
                m[[k, rows[0]]] = m[[rows[0], k]]
            m[k] = m[k] * pow(int(m[k, k]), -1, p) % p
            factor = m[:, k].copy()
            factor[k] = 0
            m = (m - factor[:, None] * m[k] % p) % p
        else:
            return p, m[:, n:]
    raise ValueError("the matrix must be regular, not singular")


def _product(a: Array, b: Array, p: int) -> Array:
    """a @ b modulo p < 2**31, in int64: b in halves of 16 bits."""
    low, high = a @ (b & 0xFFFF) % p, a @ (b >> 16) % p
    found: Array = (low + (high << 16)) % p
    return found


def _reconstruct(digits: Array, base: int, largest: int) -> tuple[int, Array]:
    """(d, numerators): the fractions numerators / d, of numerators up to `largest`, that are `digits` modulo
    `base`."""
    below = 1
    flat = digits.ravel().tolist()
    for v in flat:
        r0, r1, t0, t1 = base, v * below % base, 0, 1
        if abs(_centred(r1, base)) <= largest:
            continue
        while r1 > largest:
            q = r0 // r1
            r0, r1, t0, t1 = r1, r0 - q * r1, t1, t0 - q * t1
        below *= abs(t1)
    numerators = np.empty(digits.shape, object)
    numerators.ravel()[:] = [_centred(v * below, base) for v in flat]
    return below, numerators


def _centred(v: int, base: int) -> int:
    v %= base
    return v - base if 2 * v > base else v
