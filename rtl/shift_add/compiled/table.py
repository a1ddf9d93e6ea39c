"""Pairs of terms: their keys, how often each stands in the columns, and the heap of those worth a node."""

from __future__ import annotations

import numpy as np
from numba import njit

from .state import FULL, H_COUNT, H_KEY, H_NODE, KEYS, QUEUE

_HALF = 32768
SPAN_LIMIT = _HALF  # shifts that a key can tell apart
WIRE_LIMIT = 1 << 23  # wires that a key can name


@njit(_nrt=False)
def pack(a, b, d, opposite):
    return (np.int64(a) << 40) | (np.int64(b) << 17) | (np.int64(d + _HALF) << 1) | np.int64(opposite)


@njit(_nrt=False)
def unpack(key):
    """(a, b, d, opposite): the sum a + (b << d), or a - (b << d) if opposite; a <= b, and d > 0 if a is b."""
    return key >> 40, (key >> 17) & 0x7FFFFF, ((key >> 1) & 0xFFFF) - _HALF, key & 1


@njit(_nrt=False)
def pair_key(wa, sa, ga, wb, sb, gb):
    """Key of the pair of two terms, whatever their order, their common shift and their common sign."""
    opposite = 1 if ga != gb else 0
    if wa > wb or (wa == wb and sa > sb):
        wa, wb = wb, wa
        sa, sb = sb, sa
    return pack(wa, wb, sb - sa, opposite)


@njit(_nrt=False)
def _home(key, mask):
    return ((key * np.int64(-7046029254386353131)) >> 24) & mask


@njit(_nrt=False)
def find_key(s, key):
    """The slot of a key, or the empty one where it would be."""
    mask = s.h.shape[0] - 1
    i = _home(key, mask)
    while s.h[i, H_KEY] != key and s.h[i, H_KEY] != -1:
        i = (i + 1) & mask
    return i


@njit(_nrt=False)
def _drop_key(s, i):
    """Empty slot i, and close the gap in its run of slots."""
    mask = s.h.shape[0] - 1
    s.g[KEYS] -= 1
    k = i
    while True:
        k = (k + 1) & mask
        if s.h[k, H_KEY] == -1:
            break
        if ((k - _home(s.h[k, H_KEY], mask)) & mask) >= ((k - i) & mask):
            s.h[i, H_KEY], s.h[i, H_COUNT], s.h[i, H_NODE] = s.h[k, H_KEY], s.h[k, H_COUNT], s.h[k, H_NODE]
            i = k
    s.h[i, H_KEY] = -1


@njit(_nrt=False)
def _slot(s, key):
    i = find_key(s, key)
    if s.h[i, H_KEY] == -1:
        s.h[i, H_KEY], s.h[i, H_COUNT], s.h[i, H_NODE] = key, 0, -1
        s.g[KEYS] += 1
        if 4 * s.g[KEYS] > 3 * s.h.shape[0]:
            s.g[FULL] = 1
    return i


@njit(_nrt=False)
def count_up(s, key):
    i = _slot(s, key)
    s.h[i, H_COUNT] += 1
    return i


@njit(_nrt=False)
def count_down(s, key):
    i = find_key(s, key)
    s.h[i, H_COUNT] -= 1
    if s.h[i, H_COUNT] == 0 and s.h[i, H_NODE] < 0:
        _drop_key(s, i)


@njit(_nrt=False)
def key_on(s, key, w):
    """Node w is what the pair `key` sums to; the first such node stays."""
    i = _slot(s, key)
    if s.h[i, H_NODE] < 0:
        s.h[i, H_NODE] = w


@njit(_nrt=False)
def key_off(s, key, w):
    i = find_key(s, key)
    if s.h[i, H_KEY] == key and s.h[i, H_NODE] == w:
        s.h[i, H_NODE] = -1
        if s.h[i, H_COUNT] == 0:
            _drop_key(s, i)


@njit(_nrt=False)
def push(s, rank, key):
    """A candidate; the heap hands out the highest rank first. What does not fit is forgotten."""
    n = s.g[QUEUE]
    if n >= s.q.shape[0]:
        return
    q = s.q
    s.g[QUEUE] = n + 1
    while n > 0:
        p = (n - 1) >> 1
        if q[p, 0] >= rank:
            break
        q[n, 0], q[n, 1] = q[p, 0], q[p, 1]
        n = p
    q[n, 0], q[n, 1] = rank, key


@njit(_nrt=False)
def pop(s):
    q = s.q
    rank, key = q[0, 0], q[0, 1]
    n = s.g[QUEUE] - 1
    s.g[QUEUE] = n
    if n > 0:
        r, x = q[n, 0], q[n, 1]
        i = 0
        while True:
            c = 2 * i + 1
            if c >= n:
                break
            if c + 1 < n and q[c + 1, 0] > q[c, 0]:
                c += 1
            if q[c, 0] <= r:
                break
            q[i, 0], q[i, 1] = q[c, 0], q[c, 1]
            i = c
        q[i, 0], q[i, 1] = r, x
    return rank, key
