"""Terms of columns: their lists, what they cost, and the room their depth leaves.

Depth: a column meets depth D if and only if sum(2**depth(term)) <= 2**D over its terms (Kraft's inequality
for binary trees), one term of depth 0 more where none is positive, for then the sum is 0 - (...).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .state import COST, LEAST, LIMITED, RECORD, TERM, TERMS_FREE, doubt, random_bits
from .table import count_down, count_up, pair_key, push


@njit(_nrt=False)
def link_term(s, c, w, shift, sign):
    """A new term in its lists; pairs are not counted."""
    g = s.g
    g[TERMS_FREE] -= 1
    t = s.t_free[g[TERMS_FREE]]
    s.t_col[t], s.t_wire[t], s.t_shift[t], s.t_sign[t] = c, w, shift, sign
    n = s.c_count[c]
    s.c_terms[c, n] = t
    s.t_pos[t] = n
    s.c_count[c] = n + 1
    first = s.w_head[w]
    s.t_next[t], s.t_prev[t] = first, -1
    if first >= 0:
        s.t_prev[first] = t
    s.w_head[w] = t
    s.w_uses[w] += 1
    _account(s, c, w, n == 0, s.c_plus[c] == 0, sign, 1)
    if sign > 0:
        s.c_plus[c] += 1
    return t


@njit(_nrt=False)
def unlink_term(s, t):
    g = s.g
    c, w, sign = s.t_col[t], s.t_wire[t], s.t_sign[t]
    n = s.c_count[c] - 1
    last = s.c_terms[c, n]
    p = s.t_pos[t]
    s.c_terms[c, p] = last
    s.t_pos[last] = p
    s.c_count[c] = n
    a, b = s.t_prev[t], s.t_next[t]
    if a >= 0:
        s.t_next[a] = b
    else:
        s.w_head[w] = b
    if b >= 0:
        s.t_prev[b] = a
    s.w_uses[w] -= 1
    s.t_col[t] = -1
    s.t_free[g[TERMS_FREE]] = t
    g[TERMS_FREE] += 1
    if sign > 0:
        s.c_plus[c] -= 1
    _account(s, c, w, n == 0, s.c_plus[c] == 0, sign, -1)


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
        s.c_room[c] -= zero + way * (np.int64(1) << s.w_depth[w])


@njit(_nrt=False)
def add_term(s, c, w, shift, sign):
    """A new term, its pairs counted; while moves are recorded, those that may be worth a node go to the
    heap."""
    g = s.g
    for k in range(s.c_count[c]):
        o = s.c_terms[c, k]
        key = pair_key(s.t_wire[o], s.t_shift[o], s.t_sign[o], w, shift, sign)
        i = count_up(s, key)
        if g[RECORD] and (s.h_count[i] >= 2 or s.h_node[i] >= 0):
            # For a new node the least cost stands: the true one is reckoned when the pair's turn comes.
            gain = s.h_count[i] * g[TERM] - (0 if s.h_node[i] >= 0 else g[LEAST])
            push(s, (gain << 32) | random_bits(g), key)
    link_term(s, c, w, shift, sign)


@njit(_nrt=False)
def remove_term(s, t):
    c, w, shift, sign = s.t_col[t], s.t_wire[t], s.t_shift[t], s.t_sign[t]
    for k in range(s.c_count[c]):
        o = s.c_terms[c, k]
        if o != t:
            count_down(s, pair_key(s.t_wire[o], s.t_shift[o], s.t_sign[o], w, shift, sign))
    unlink_term(s, t)
    doubt(s, w)


@njit(_nrt=False)
def term_at(s, c, w, shift):
    """The term of wire w at `shift` in column c, or -1."""
    for k in range(s.c_count[c]):
        t = s.c_terms[c, k]
        if s.t_wire[t] == w and s.t_shift[t] == shift:
            return t
    return -1
