"""One greedy pass: the most frequent pair becomes a node, again and again, the newest first among equals.

The counts of existing pairs only fall, so pairs are filed by an old count and counted again when its turn
comes. Only the pairs of a new node can bring new counts, and these are known when it is made; the table is
not needed.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .matches import find_matches, keep_feasible, orient
from .nodes import create
from .state import (
    C_COUNT,
    C_DIGITS,
    C_ROOM,
    DIGITS,
    FIRST_NODE,
    LIMITED,
    MATCH_A,
    MATCH_B,
    SPAN,
    T_COL,
    T_NEXT,
    T_SHIFT,
    T_SIGN,
    T_WIRE,
    W_HEAD,
)
from .table import pack, pair_key, unpack
from .terms import link_term, unlink_term

_GOLDEN = -7046029254386353131  # 2**64 over the golden ratio: multiplying by it spreads neighbouring keys


@njit(_nrt=False)
def load(s, digits, limit):
    """Fill the columns from rows (column, wire, shift, sign) and give them `limit` adders of depth; -1:
    any."""
    if limit >= 0:
        s.g[LIMITED] = 1
        for c in range(s.c.shape[0]):
            s.c[c, C_ROOM] = 1 << limit
    for k in range(digits.shape[0]):
        link_term(s, digits[k, 0], digits[k, 1], digits[k, 2], digits[k, 3])
        s.c[digits[k, 0], C_DIGITS] += 1
    s.g[DIGITS] = digits.shape[0]


@njit
def _longer(a, size):
    out = np.zeros(size, np.int64)
    for k in range(a.shape[0]):
        out[k] = a[k]
    return out


@njit
def _first_pairs(s):
    """Keys of all pairs that stand at least twice, and their counts, counted row by row."""
    span, rows = s.g[SPAN], s.g[FIRST_NODE]
    counts = np.zeros(rows * 2 * span * 2, np.int64)
    touched = np.zeros(counts.shape[0], np.int64)
    keys, found = np.zeros(1024, np.int64), np.zeros(1024, np.int64)
    n = 0
    for a in range(rows):
        m = 0
        u = s.w[a, W_HEAD]
        while u >= 0:
            c, shift, sign = s.t[u, T_COL], s.t[u, T_SHIFT], s.t[u, T_SIGN]
            for k in range(s.c[c, C_COUNT]):
                v = s.c_terms[c, k]
                b, d = s.t[v, T_WIRE], s.t[v, T_SHIFT] - shift
                if b > a or (b == a and d > 0):
                    i = ((b * 2 * span + d + span) << 1) | (1 if s.t[v, T_SIGN] != sign else 0)
                    if counts[i] == 0:
                        touched[m] = i
                        m += 1
                    counts[i] += 1
            u = s.t[u, T_NEXT]
        for k in range(m):
            i = touched[k]
            if counts[i] >= 2:
                if n == keys.shape[0]:
                    keys, found = _longer(keys, 2 * n), _longer(found, 2 * n)
                e = i >> 1
                keys[n] = pack(a, e // (2 * span), e % (2 * span) - span, i & 1)
                found[n] = counts[i]
                n += 1
            counts[i] = 0
    return keys[:n], found[:n]


@njit(_nrt=False)
def _rank(count, key, salt):
    """Most frequent first, of equals the newest wires, then by a hash."""
    newest = (key >> 40) + ((key >> 17) & 0x7FFFFF)
    return (np.int64(count) << 45) | (newest << 20) | ((((key ^ salt) * np.int64(_GOLDEN)) >> 40) & 0xFFFFF)


@njit(_nrt=False)
def _sift_up(rank, key, n, r, x):
    while n > 0:
        p = (n - 1) >> 1
        if rank[p] >= r:
            break
        rank[n], key[n] = rank[p], key[p]
        n = p
    rank[n], key[n] = r, x


@njit(_nrt=False)
def _sift_down(rank, key, n, r, x):
    """(r, x) in the place of the top of a heap of n entries."""
    i = 0
    while True:
        c = 2 * i + 1
        if c >= n:
            break
        if c + 1 < n and rank[c + 1] > rank[c]:
            c += 1
        if rank[c] <= r:
            break
        rank[i], key[i] = rank[c], key[c]
        i = c
    rank[i], key[i] = r, x


@njit
def greedy(s, salt):
    """The pass; `salt` decides between equals."""
    first, counts = _first_pairs(s)
    n = first.shape[0]
    q_rank, q_key = np.zeros(2 * n + 1024, np.int64), np.zeros(2 * n + 1024, np.int64)
    for k in range(n):
        _sift_up(q_rank, q_key, k, _rank(counts[k], first[k], salt), first[k])
    local_key, local_count = np.full(1024, -1, np.int64), np.zeros(1024, np.int64)
    touched = np.zeros(1024, np.int64)
    while n > 0:
        rank, key = q_rank[0], q_key[0]
        a, b, d, opposite = unpack(key)
        found = find_matches(s, a, b, d, opposite)
        count, flip = 0, False
        if found >= 2:
            flip = orient(s, found, a, b, d, opposite)
            count = keep_feasible(s, found, a, b, flip)
        if count < rank >> 45:  # an old count: filed again by the new one
            if count >= 2:
                _sift_down(q_rank, q_key, n, _rank(count, key, salt), key)
            else:
                n -= 1
                _sift_down(q_rank, q_key, n, q_rank[n], q_key[n])
            continue
        base = max(-d, 0)
        ga, gb = 1, 1
        if opposite:
            ga, gb = (-1, 1) if flip else (1, -1)
        w = create(s, a, b, base, base + d, ga, gb)
        total = 0
        for k in range(count):
            u, v = s.lists[MATCH_A, k], s.lists[MATCH_B, k]
            c, shift, sign = s.t[u, T_COL], s.t[u, T_SHIFT] - base, s.t[u, T_SIGN] * ga
            unlink_term(s, u)
            unlink_term(s, v)
            link_term(s, c, w, shift, sign)
            total += s.c[c, C_COUNT]
        # What was left for want of a positive term may be worth a node of the other sign.
        if found - count >= 2:
            _sift_down(q_rank, q_key, n, _rank(found - count, key, salt), key)
        else:
            n -= 1
            _sift_down(q_rank, q_key, n, q_rank[n], q_key[n])
        if 2 * total > local_key.shape[0]:
            size = 2 * local_key.shape[0]
            while size < 2 * total:
                size *= 2
            local_key, local_count = np.full(size, -1, np.int64), np.zeros(size, np.int64)
            touched = np.zeros(size, np.int64)
        m = _new_pairs(s, w, local_key, local_count, touched)
        if n + m > q_rank.shape[0]:
            q_rank, q_key = _longer(q_rank, 2 * (n + m)), _longer(q_key, 2 * (n + m))
        for k in range(m):
            i = touched[k]
            if local_count[i] >= 2:
                _sift_up(q_rank, q_key, n, _rank(local_count[i], local_key[i], salt), local_key[i])
                n += 1
            local_key[i] = -1


@njit(_nrt=False)
def _new_pairs(s, w, local_key, local_count, touched):
    """Counts the pairs of node w with the other terms of its columns in a small table; the number of its
    slots."""
    mask, m = local_key.shape[0] - 1, 0
    u = s.w[w, W_HEAD]
    while u >= 0:
        c, shift, sign = s.t[u, T_COL], s.t[u, T_SHIFT], s.t[u, T_SIGN]
        for k in range(s.c[c, C_COUNT]):
            v = s.c_terms[c, k]
            if s.t[v, T_WIRE] == w and s.t[v, T_SHIFT] <= shift:
                continue
            x = pair_key(s.t[v, T_WIRE], s.t[v, T_SHIFT], s.t[v, T_SIGN], w, shift, sign)
            i = ((x * np.int64(_GOLDEN)) >> 24) & mask
            while local_key[i] != x and local_key[i] != -1:
                i = (i + 1) & mask
            if local_key[i] == -1:
                local_key[i], local_count[i] = x, 0
                touched[m] = i
                m += 1
            local_count[i] += 1
        u = s.t[u, T_NEXT]
    return m
