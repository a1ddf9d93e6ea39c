"""From the columns of a state to the adders that sum them: nodes in order, and per column its last wire."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .nodes import width_of
from .state import (
    BITS,
    C_COUNT,
    FIRST_NODE,
    FIRST_SUM,
    SHIFT_A,
    SHIFT_B,
    SIGN_A,
    SIGN_B,
    T_SHIFT,
    T_SIGN,
    T_WIRE,
    A,
    B,
)

# Scalars of a drawing, in Drawing.size.
DRAWN, PRICE, FINAL = range(3)


class Drawing(NamedTuple):
    """nodes (n, 6) as `result.Adder`, of wires numbered inputs and constants first, then the nodes in their
    order; outputs (columns, 2): wire (-1: the constant 0) and shift. x: properties of these wires; the rest
    is scratch."""

    size: np.ndarray
    nodes: np.ndarray
    outputs: np.ndarray
    final: np.ndarray  # nodes of the best drawing so far
    final_outputs: np.ndarray
    x_depth: np.ndarray
    x_lo: np.ndarray
    x_hi: np.ndarray
    wire: np.ndarray  # of a wire of the state, its wire in the drawing, -1: not drawn yet
    shift: np.ndarray
    stack: np.ndarray
    term: np.ndarray  # (terms of a column, 5): wire, shift, sign, depth, top bit
    known: np.ndarray  # hash table: the place of a node in nodes, -1: none


@njit
def make_drawing(s):
    wires = s.w.shape[0]
    columns = s.c.shape[0]
    nodes = s.t.shape[0] + wires + columns
    whole = np.int64
    power = 4
    while 1 << power < 2 * nodes:
        power += 1
    return Drawing(
        np.zeros(3, np.int64), np.zeros((nodes, 6), whole), np.zeros((columns, 2), whole),
        np.zeros((nodes, 6), whole), np.zeros((columns, 2), whole),
        np.zeros(wires + nodes, whole), np.zeros(wires + nodes), np.zeros(wires + nodes),
        np.zeros(wires, whole), np.zeros(wires, whole), np.zeros(2 * wires + columns + 8, whole),
        np.zeros((s.c_terms.shape[1] + 2, 5), whole),
        np.full(1 << power, -1, whole),
    )  # fmt: skip


@njit(_nrt=False)
def _place(d, a, b, sa, sb, ga, gb):
    """The slot of this node in the table: of the equal node drawn before, else an empty one."""
    h = np.uint64(a)
    for x in (b, sa, sb, ga, gb):
        h = (h ^ np.uint64(x & 0xFFFFFFFF)) * np.uint64(0x9E3779B97F4A7C15)
        h ^= h >> np.uint64(29)
    mask = np.int64(d.known.shape[0] - 1)
    slot = np.int64(h & np.uint64(0x7FFFFFFF)) & mask
    n = d.nodes
    while True:
        k = d.known[slot]
        same = k >= 0 and n[k, 0] == a and n[k, 1] == b and n[k, 2] == sa and n[k, 3] == sb
        if k < 0 or (same and n[k, 4] == ga and n[k, 5] == gb):
            return slot
        slot = (slot + 1) & mask


@njit(_nrt=False)
def _add(s, d, a, sa, ga, b, sb, gb):
    """A node of the drawing, its operands' common shift left out, drawn once only; (wire, that shift)."""
    base = min(sa, sb)
    sa, sb = sa - base, sb - base
    if b < a or (b == a and sb < sa):
        a, sa, ga, b, sb, gb = b, sb, gb, a, sa, ga
    slot = _place(d, a, b, sa, sb, ga, gb)
    if d.known[slot] >= 0:
        return s.g[FIRST_SUM] + d.known[slot], base
    k = d.size[DRAWN]
    d.known[slot] = k
    n = d.nodes
    n[k, 0], n[k, 1], n[k, 2], n[k, 3], n[k, 4], n[k, 5] = a, b, sa, sb, ga, gb
    d.size[DRAWN] = k + 1
    w = s.g[FIRST_SUM] + k
    xa, xb = 2.0**sa, 2.0**sb
    la, ha, lb, hb = d.x_lo[a] * xa, d.x_hi[a] * xa, d.x_lo[b] * xb, d.x_hi[b] * xb
    if ga < 0:
        la, ha = -ha, -la
    if gb < 0:
        lb, hb = -hb, -lb
    d.x_lo[w], d.x_hi[w] = la + lb, ha + hb
    d.x_depth[w] = max(d.x_depth[a], d.x_depth[b]) + 1
    if s.g[BITS]:
        free = abs(sa - sb) if (ga if sa < sb else gb) > 0 else 0
        d.size[PRICE] += max(width_of(la + lb, ha + hb) - free, 1)
    else:
        d.size[PRICE] += 1
    return w, base


@njit(_nrt=False)
def _set_term(d, k, w, shift, sign):
    t = d.term
    t[k, 0], t[k, 1], t[k, 2] = w, shift, sign
    t[k, 3], t[k, 4] = d.x_depth[w], width_of(d.x_lo[w], d.x_hi[w]) + shift


@njit(_nrt=False)
def _least(d, n):
    """The shallowest term, of equals the one whose top bit is lowest."""
    t, k = d.term, 0
    for e in range(1, n):
        if t[e, 3] < t[k, 3] or (t[e, 3] == t[k, 3] and t[e, 4] < t[k, 4]):
            k = e
    return k


@njit(_nrt=False)
def _column(s, d, c):
    """Adds the terms of a column, least depth first (Huffman): as shallow as their Kraft sum allows."""
    n = s.c[c, C_COUNT]
    plus = False
    for k in range(n):
        u = s.c_terms[c, k]
        w = s.t[u, T_WIRE]
        _set_term(d, k, d.wire[w], s.t[u, T_SHIFT] + d.shift[w], s.t[u, T_SIGN])
        plus = plus or s.t[u, T_SIGN] > 0
    if n == 0:
        d.outputs[c, 0], d.outputs[c, 1] = -1, 0
        return
    t = d.term
    if not plus:
        # 0 - t as t - 2t: the same width as a negator, and a node like any other.
        k = _least(d, n)
        w, base = _add(s, d, t[k, 0], 0, 1, t[k, 0], 1, -1)
        _set_term(d, k, w, t[k, 1], 1)
    while n > 1:
        k = _least(d, n)
        for e in range(5):
            t[n - 1, e], t[k, e] = t[k, e], t[n - 1, e]
        k = _least(d, n - 1)
        ga, gb = t[k, 2], t[n - 1, 2]
        sign = max(ga, gb)
        w, base = _add(s, d, t[k, 0], t[k, 1], ga * sign, t[n - 1, 0], t[n - 1, 1], gb * sign)
        _set_term(d, k, w, base, sign)
        n -= 1
    d.outputs[c, 0], d.outputs[c, 1] = t[0, 0], t[0, 1]


@njit(_nrt=False)
def draw(s, d, least):
    """Draws the state; the drawing stays (final) if its cost is less than least[1], which then holds it."""
    first_sum, first_node = s.g[FIRST_SUM], s.g[FIRST_NODE]
    d.size[DRAWN], d.size[PRICE] = 0, 0
    for k in range(d.known.shape[0]):
        d.known[k] = -1
    for w in range(d.wire.shape[0]):
        d.wire[w] = w if w < first_sum else -1
        d.shift[w] = 0
    for w in range(first_sum):
        d.x_lo[w], d.x_hi[w], d.x_depth[w] = s.x[w, 0], s.x[w, 1], 0
    stack = d.stack
    for column in range(s.c.shape[0]):
        n = 1
        stack[0] = first_sum + column
        while n > 0:
            w = stack[n - 1]
            if d.wire[w] >= 0:
                n -= 1
                continue
            ready = True
            if w >= first_node:
                for e in range(2):
                    x = s.w[w, A + e]
                    if d.wire[x] < 0:
                        stack[n] = x
                        n += 1
                        ready = False
                if ready:
                    a, b = s.w[w, A], s.w[w, B]
                    sa, sb = s.w[w, SHIFT_A] + d.shift[a], s.w[w, SHIFT_B] + d.shift[b]
                    d.wire[w], d.shift[w] = _add(
                        s, d, d.wire[a], sa, s.w[w, SIGN_A], d.wire[b], sb, s.w[w, SIGN_B]
                    )
            else:
                c = w - first_sum
                for k in range(s.c[c, C_COUNT]):
                    x = s.t[s.c_terms[c, k], T_WIRE]
                    if d.wire[x] < 0 and ready:
                        stack[n] = x
                        n += 1
                        ready = False
                if ready:
                    _column(s, d, c)
                    d.wire[w], d.shift[w] = max(d.outputs[c, 0], 0), d.outputs[c, 1]
            if ready:
                n -= 1
    if d.size[PRICE] < least[1]:
        least[1] = d.size[PRICE]
        d.size[FINAL] = d.size[DRAWN]
        for k in range(d.size[DRAWN]):
            for e in range(6):
                d.final[k, e] = d.nodes[k, e]
        for c in range(d.outputs.shape[0]):
            d.final_outputs[c, 0], d.final_outputs[c, 1] = d.outputs[c, 0], d.outputs[c, 1]
