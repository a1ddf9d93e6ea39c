"""Column differences: a column as another one, shifted and signed, and the digits of what is left."""

from __future__ import annotations

import numpy as np
from numba import njit

from .moves import PARENT, log, put, split, take
from .state import C_COUNT, C_DIGITS, C_PARENT, DIGITS, FIRST_NODE, FIRST_SUM, FULL, T_WIRE, random_bits

SHIFTS = 3  # a parent is taken times 1, 2 or 4


@njit(_nrt=False)
def digits_of(value):
    """Digits of the canonical signed-digit form."""
    x = value ^ (3 * value)
    n = 0
    while x != 0:
        x &= x - 1
        n += 1
    return n


@njit
def relatives(weights, count):
    """Per column the `count` cheapest ways: (column or -1, shift, sign, digits of the rest, one more for a
    column)."""
    n, m = weights.shape
    out = np.full((m, count, 4), -2, np.int64)
    for c in range(m):
        for k in range(count):
            out[c, k, 3] = 1 << 40
    zero = np.ones(m, np.bool_)
    for i in range(n):
        for c in range(m):
            zero[c] = zero[c] and weights[i, c] == 0
    for c in range(m):
        for q in range(-1, m):
            # A column of zeros has no wire, and needs none.
            if q == c or (q >= 0 and (zero[q] or zero[c])):
                continue
            for option in range(2 * SHIFTS if q >= 0 else 1):
                shift, sign = option >> 1, 1 - 2 * (option & 1)
                total = 1 if q >= 0 else 0
                for i in range(n):
                    total += digits_of(weights[i, c] - (sign * (weights[i, q] << shift) if q >= 0 else 0))
                k = count
                while k > 0 and out[c, k - 1, 3] > total:
                    k -= 1
                if k < count:
                    for e in range(count - 1, k, -1):
                        for f in range(4):
                            out[c, e, f] = out[c, e - 1, f]
                    out[c, k, 0], out[c, k, 1], out[c, k, 2], out[c, k, 3] = q, shift, sign, total
        _keep_the_column_itself(weights, out, c)
    return out


@njit
def _keep_the_column_itself(weights, out, c):
    """To have no parent is always among the ways: last, if all others are cheaper."""
    total = 0
    for i in range(weights.shape[0]):
        total += digits_of(weights[i, c])
    last = out.shape[1] - 1
    for k in range(last + 1):
        if out[c, k, 0] == -1:
            return
    out[c, last, 0], out[c, last, 1], out[c, last, 2], out[c, last, 3] = -1, 0, 1, total


@njit
def spanning_tree(near, extra):
    """Per column its place in `near`: a forest of least total digits (Prim), a parent costing `extra` / 256
    more."""
    m = near.shape[0]
    place = np.full(m, -1, np.int64)
    for _ in range(m):
        low, at, best = 1 << 60, -1, -1
        for c in range(m):
            if place[c] >= 0:
                continue
            for k in range(near.shape[1]):
                q = near[c, k, 0]
                if q == -2 or (q >= 0 and place[q] < 0):
                    continue
                total = near[c, k, 3] * 256 + (extra if q >= 0 else 0)
                if total < low:
                    low, at, best = total, c, k
        if at < 0:
            break
        place[at] = best
    return place


@njit
def tree_digits(digits, weights, near, place, first_sum):
    """Rows (column, wire, shift, sign) of the columns as children of the tree; `digits` where it has no
    parent."""
    n, m = weights.shape
    out = np.zeros((digits.shape[0] + m * (n * 33 + 1), 4), np.int64)
    e = 0
    for k in range(digits.shape[0]):
        c = digits[k, 0]
        if place[c] < 0 or near[c, place[c], 0] < 0:
            for f in range(4):
                out[e, f] = digits[k, f]
            e += 1
    for c in range(m):
        if place[c] < 0 or near[c, place[c], 0] < 0:
            continue
        q, shift, sign = near[c, place[c], 0], near[c, place[c], 1], near[c, place[c], 2]
        for i in range(n):
            v = weights[i, c] - sign * (weights[i, q] << shift)
            at = 0
            while v != 0:
                if v & 1:
                    digit = 2 - (v & 3)
                    out[e, 0], out[e, 1], out[e, 2], out[e, 3] = c, i, at, digit
                    e += 1
                    v -= digit
                v >>= 1
                at += 1
        out[e, 0], out[e, 1], out[e, 2], out[e, 3] = c, first_sum + q, shift, sign
        e += 1
    return out[:e]


@njit(_nrt=False)
def rip(s, c, keep):
    """Split the nodes of column c again and again; each stays with probability keep / 256."""
    k = 0
    while k < s.c[c, C_COUNT] and not s.g[FULL]:
        t = s.c_terms[c, k]
        if s.t[t, T_WIRE] >= s.g[FIRST_NODE] and (random_bits(s.g) & 255) >= keep:
            split(s, t)
        else:
            k += 1


@njit(_nrt=False)
def reparent(s, weights, c, q, shift, sign):
    """Column c as sign * (column q << shift) and the digits of the rest; q < 0: all digits."""
    g = s.g
    a = q
    while a >= 0:  # no column may need itself
        if a == c:
            return
        a = s.c[a, C_PARENT]
    rip(s, c, 0)
    if g[DIGITS] - s.c[c, C_DIGITS] + s.c_terms.shape[1] > s.t.shape[0]:
        g[FULL] = 1
    if g[FULL]:
        return
    while s.c[c, C_COUNT] > 0:
        take(s, s.c_terms[c, s.c[c, C_COUNT] - 1])
    log(s, PARENT, c, s.c[c, C_PARENT], 0)
    s.c[c, C_PARENT] = q
    for i in range(weights.shape[0]):
        v = weights[i, c]
        if q >= 0:
            v -= sign * (weights[i, q] << shift)
        place = 0
        while v != 0:
            if v & 1:
                digit = 2 - (v & 3)
                put(s, c, i, place, digit)
                v -= digit
            v >>= 1
            place += 1
    if q >= 0:
        put(s, c, g[FIRST_SUM] + q, shift, sign)
