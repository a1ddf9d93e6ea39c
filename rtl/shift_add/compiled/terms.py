"""Terms of columns: their lists, what they cost, and the room their depth leaves.

Depth: a column meets depth D if and only if sum(2**depth(term)) <= 2**D over its terms (Kraft's inequality
for binary trees), one term of depth 0 more where none is positive, for then the sum is 0 - (...).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .state import (
    C_COUNT,
    C_PLUS,
    C_ROOM,
    COST,
    FREE_TERMS,
    H_COUNT,
    H_NODE,
    LEAST,
    LIMITED,
    RECORD,
    T_COL,
    T_NEXT,
    T_POS,
    T_PREV,
    T_SHIFT,
    T_SIGN,
    T_WIRE,
    TERM,
    TERMS_FREE,
    W_DEPTH,
    W_HEAD,
    W_USES,
    doubt,
    random_bits,
)
from .table import count_down, count_up, pair_key, push


@njit(_nrt=False)
def link_term(s, c, w, shift, sign):
    """A new term in its lists; pairs are not counted."""
    g = s.g
    g[TERMS_FREE] -= 1
    t = s.lists[FREE_TERMS, g[TERMS_FREE]]
    s.t[t, T_COL], s.t[t, T_WIRE], s.t[t, T_SHIFT], s.t[t, T_SIGN] = c, w, shift, sign
    n = s.c[c, C_COUNT]
    s.c_terms[c, n] = t
    s.t[t, T_POS] = n
    s.c[c, C_COUNT] = n + 1
    first = s.w[w, W_HEAD]
    s.t[t, T_NEXT], s.t[t, T_PREV] = first, -1
    if first >= 0:
        s.t[first, T_PREV] = t
    s.w[w, W_HEAD] = t
    s.w[w, W_USES] += 1
    _account(s, c, w, n == 0, s.c[c, C_PLUS] == 0, sign, 1)
    if sign > 0:
        s.c[c, C_PLUS] += 1
    return t


@njit(_nrt=False)
def unlink_term(s, t):
    g = s.g
    c, w, sign = s.t[t, T_COL], s.t[t, T_WIRE], s.t[t, T_SIGN]
    n = s.c[c, C_COUNT] - 1
    last = s.c_terms[c, n]
    p = s.t[t, T_POS]
    s.c_terms[c, p] = last
    s.t[last, T_POS] = p
    s.c[c, C_COUNT] = n
    a, b = s.t[t, T_PREV], s.t[t, T_NEXT]
    if a >= 0:
        s.t[a, T_NEXT] = b
    else:
        s.w[w, W_HEAD] = b
    if b >= 0:
        s.t[b, T_PREV] = a
    s.w[w, W_USES] -= 1
    s.t[t, T_COL] = -1
    s.lists[FREE_TERMS, g[TERMS_FREE]] = t
    g[TERMS_FREE] += 1
    if sign > 0:
        s.c[c, C_PLUS] -= 1
    _account(s, c, w, n == 0, s.c[c, C_PLUS] == 0, sign, -1)


@njit(_nrt=False)
def _account(s, c, w, empty, lonely, sign, way):
    """Cost and room of a term that comes (way 1) to, or goes (-1) from, a column otherwise empty, without
    plus.

    Terms but the first cost; so does the 0 of 0 - (...), which the first term brings if it is negative, and
    the first positive one spares.
    """
    g = s.g
    if sign < 0:
        zero = way if empty else 0
    else:
        zero = -way if lonely and not empty else 0
    g[COST] += g[TERM] * (zero + (0 if empty else way))
    if g[LIMITED]:
        s.c[c, C_ROOM] -= zero + way * (np.int64(1) << s.w[w, W_DEPTH])


@njit(_nrt=False)
def add_term(s, c, w, shift, sign):
    """A new term, its pairs counted; while moves are recorded, those that may be worth a node go to the
    heap."""
    g = s.g
    for k in range(s.c[c, C_COUNT]):
        o = s.c_terms[c, k]
        key = pair_key(s.t[o, T_WIRE], s.t[o, T_SHIFT], s.t[o, T_SIGN], w, shift, sign)
        i = count_up(s, key)
        if g[RECORD] and (s.h[i, H_COUNT] >= 2 or s.h[i, H_NODE] >= 0):
            # For a new node the least cost stands: the true one is reckoned when the pair's turn comes.
            gain = s.h[i, H_COUNT] * g[TERM] - (0 if s.h[i, H_NODE] >= 0 else g[LEAST])
            push(s, (gain << 32) | random_bits(g), key)
    link_term(s, c, w, shift, sign)


@njit(_nrt=False)
def remove_term(s, t):
    c, w, shift, sign = s.t[t, T_COL], s.t[t, T_WIRE], s.t[t, T_SHIFT], s.t[t, T_SIGN]
    for k in range(s.c[c, C_COUNT]):
        o = s.c_terms[c, k]
        if o != t:
            count_down(s, pair_key(s.t[o, T_WIRE], s.t[o, T_SHIFT], s.t[o, T_SIGN], w, shift, sign))
    unlink_term(s, t)
    doubt(s, w)


@njit(_nrt=False)
def term_at(s, c, w, shift):
    """The term of wire w at `shift` in column c, or -1."""
    for k in range(s.c[c, C_COUNT]):
        t = s.c_terms[c, k]
        if s.t[t, T_WIRE] == w and s.t[t, T_SHIFT] == shift:
            return t
    return -1
