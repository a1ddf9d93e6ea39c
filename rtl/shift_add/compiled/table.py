"""Pairs of terms: their keys, how often each stands in the columns, and the heap of those worth a node."""

from __future__ import annotations

import numpy as np
from numba import njit

from .state import FULL, KEYS, QUEUE

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
    mask = s.h_key.shape[0] - 1
    i = _home(key, mask)
    while s.h_key[i] != key and s.h_key[i] != -1:
        i = (i + 1) & mask
    return i


@njit(_nrt=False)
def _drop_key(s, i):
    """Empty slot i, and close the gap in its run of slots."""
    mask = s.h_key.shape[0] - 1
    s.g[KEYS] -= 1
    k = i
    while True:
        k = (k + 1) & mask
        if s.h_key[k] == -1:
            break
        if ((k - _home(s.h_key[k], mask)) & mask) >= ((k - i) & mask):
            s.h_key[i], s.h_count[i], s.h_node[i] = s.h_key[k], s.h_count[k], s.h_node[k]
            i = k
    s.h_key[i] = -1


@njit(_nrt=False)
def _slot(s, key):
    i = find_key(s, key)
    if s.h_key[i] == -1:
        s.h_key[i], s.h_count[i], s.h_node[i] = key, 0, -1
        s.g[KEYS] += 1
        if 4 * s.g[KEYS] > 3 * s.h_key.shape[0]:
            s.g[FULL] = 1
    return i


@njit(_nrt=False)
def count_up(s, key):
    i = _slot(s, key)
    s.h_count[i] += 1
    return i


@njit(_nrt=False)
def count_down(s, key):
    i = find_key(s, key)
    s.h_count[i] -= 1
    if s.h_count[i] == 0 and s.h_node[i] < 0:
        _drop_key(s, i)


@njit(_nrt=False)
def key_on(s, key, w):
    """Node w is what the pair `key` sums to; the first such node stays."""
    i = _slot(s, key)
    if s.h_node[i] < 0:
        s.h_node[i] = w


@njit(_nrt=False)
def key_off(s, key, w):
    i = find_key(s, key)
    if s.h_key[i] == key and s.h_node[i] == w:
        s.h_node[i] = -1
        if s.h_count[i] == 0:
            _drop_key(s, i)


@njit(_nrt=False)
def push(s, rank, key):
    """A candidate; the heap hands out the highest rank first. What does not fit is forgotten."""
    n = s.g[QUEUE]
    if n >= s.q_rank.shape[0]:
        return
    q, k = s.q_rank, s.q_key
    s.g[QUEUE] = n + 1
    while n > 0:
        p = (n - 1) >> 1
        if q[p] >= rank:
            break
        q[n], k[n] = q[p], k[p]
        n = p
    q[n], k[n] = rank, key


@njit(_nrt=False)
def pop(s):
    q, k = s.q_rank, s.q_key
    rank, key = q[0], k[0]
    n = s.g[QUEUE] - 1
    s.g[QUEUE] = n
    if n > 0:
        r, x = q[n], k[n]
        i = 0
        while True:
            c = 2 * i + 1
            if c >= n:
                break
            if c + 1 < n and q[c + 1] > q[c]:
                c += 1
            if q[c] <= r:
                break
            q[i], k[i] = q[c], k[c]
            i = c
        q[i], k[i] = r, x
    return rank, key
