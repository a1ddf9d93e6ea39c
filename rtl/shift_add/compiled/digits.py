"""Canonical signed digits of a matrix as rows of terms, and which coefficients have other forms as short."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit
def matrix_digits(weights, drop):
    """Rows (column, row, shift, sign), column by column; digits at shifts from drop[column] on are left out.

    Modulo 2**drop the sign of the digit below is free: it is +1, which never needs a negation.
    """
    n, m = weights.shape
    total = 0
    for c in range(m):
        for i in range(n):
            x = weights[i, c] ^ (3 * weights[i, c])
            while x != 0:
                x &= x - 1
                total += 1
    out = np.zeros((total, 4), np.int64)
    e = 0
    for c in range(m):
        for i in range(n):
            v, shift = weights[i, c], 0
            while v != 0 and shift < drop[c]:
                if v & 1:
                    digit = 2 - (v & 3)
                    free = shift == drop[c] - 1
                    out[e, 0], out[e, 1], out[e, 2], out[e, 3] = c, i, shift, 1 if free else digit
                    e += 1
                    v -= digit
                v >>= 1
                shift += 1
    return out[:e]


@njit
def coefficients(digits, n_in):
    """(column, input) of the coefficients that are not 0, and how many of them, at the front, have other
    forms.

    These have 2**(k+2) - 2**k among their digits, which is also 2**(k+1) + 2**k.
    """
    total = digits.shape[0]
    out, rest = np.zeros((total, 2), np.int64), np.zeros((total, 2), np.int64)
    n = m = 0
    k = 0
    while k < total:
        c, i = digits[k, 0], digits[k, 1]
        other = False
        k += 1
        while k < total and digits[k, 0] == c and digits[k, 1] == i:
            near = digits[k, 2] - digits[k - 1, 2] == 2 and digits[k, 3] != digits[k - 1, 3]
            other = other or near
            k += 1
        if i >= n_in:
            continue
        if other:
            out[n, 0], out[n, 1] = c, i
            n += 1
        else:
            rest[m, 0], rest[m, 1] = c, i
            m += 1
    for k in range(m):
        out[n + k, 0], out[n + k, 1] = rest[k, 0], rest[k, 1]
    return out[: n + m], n


@njit
def loads(digits, columns):
    """Per column, the Kraft sum of its digits: their number, one more if none is positive."""
    out, plus = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    for k in range(digits.shape[0]):
        out[digits[k, 0]] += 1
        plus[digits[k, 0]] += digits[k, 3] > 0
    for c in range(columns):
        if out[c] > 0 and plus[c] == 0:
            out[c] += 1
    return out
