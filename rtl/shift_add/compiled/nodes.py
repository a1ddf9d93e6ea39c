"""Nodes: two-input adders over shifted wires, their ranges, and what they cost."""

from __future__ import annotations

import math

from numba import njit

from .state import BITS, COST, NODES, SHIFT_A, SHIFT_B, SIGN_A, SIGN_B, WIRES_FREE, A, B, doubt
from .table import pack


@njit(_nrt=False)
def _length(x):
    """Bits of the integer x >= 0."""
    return math.frexp(x)[1] if x >= 1.0 else 0


@njit(_nrt=False)
def width_of(lo, hi):
    """Bits of lo..hi, as `result.interval_width`."""
    return max(_length(hi), _length(-1.0 - lo)) + 1 if lo < 0 else _length(hi)


@njit(_nrt=False)
def ends_of(s, a, b, sa, sb, ga, gb):
    """Interval of the node for independent operands; exact up to 2**53, and a close estimate beyond."""
    xa, xb = 2.0**sa, 2.0**sb
    la, ha, lb, hb = s.w_lo[a] * xa, s.w_hi[a] * xa, s.w_lo[b] * xb, s.w_hi[b] * xb
    if ga < 0:
        la, ha = -ha, -la
    if gb < 0:
        lb, hb = -hb, -lb
    return la + lb, ha + hb


@njit(_nrt=False)
def node_cost(s, a, b, sa, sb, ga, gb):
    """1, or the full-adder bits: the width less the low bits where one operand passes through."""
    if not s.g[BITS]:
        return 1
    lo, hi = ends_of(s, a, b, sa, sb, ga, gb)
    lower = ga if sa < sb else gb
    free = abs(sa - sb) if lower > 0 else 0
    return max(width_of(lo, hi) - free, 1)


@njit(_nrt=False)
def create(s, a, b, sa, sb, ga, gb):
    """A node; the wire that `delete` freed last, so that undoing gives every node its wire back."""
    g = s.g
    g[WIRES_FREE] -= 1
    w = s.w_free[g[WIRES_FREE]]
    node = s.node
    node[w, A], node[w, B], node[w, SHIFT_A], node[w, SHIFT_B] = a, b, sa, sb
    node[w, SIGN_A], node[w, SIGN_B] = ga, gb
    s.w_depth[w] = max(s.w_depth[a], s.w_depth[b]) + 1
    s.w_head[w], s.w_uses[w], s.w_deps[w], s.w_first[w] = -1, 0, 0, -1
    s.w_live[w] = 1
    s.w_rows[w] = s.w_rows[a] | s.w_rows[b]
    s.w_lo[w], s.w_hi[w] = ends_of(s, a, b, sa, sb, ga, gb)
    s.w_cost[w] = node_cost(s, a, b, sa, sb, ga, gb)
    s.w_place[w] = g[NODES]
    s.w_list[g[NODES]] = w
    g[NODES] += 1
    g[COST] += s.w_cost[w]
    for e in range(2):
        x, slot = node[w, e], 2 * w + e
        first = s.w_first[x]
        s.d_next[slot], s.d_prev[slot] = first, -1
        if first >= 0:
            s.d_prev[first] = slot
        s.w_first[x] = slot
        s.w_deps[x] += 1
    return w


@njit(_nrt=False)
def delete(s, w):
    """Forget a node without uses and dependents."""
    g = s.g
    for e in range(2):
        x, slot = s.node[w, e], 2 * w + e
        p, q = s.d_prev[slot], s.d_next[slot]
        if p >= 0:
            s.d_next[p] = q
        else:
            s.w_first[x] = q
        if q >= 0:
            s.d_prev[q] = p
        s.w_deps[x] -= 1
        doubt(s, x)
    s.w_live[w] = 0
    s.w_free[g[WIRES_FREE]] = w
    g[WIRES_FREE] += 1
    p = s.w_place[w]
    last = s.w_list[g[NODES] - 1]
    s.w_list[p] = last
    s.w_place[last] = p
    g[NODES] -= 1
    g[COST] -= s.w_cost[w]


@njit(_nrt=False)
def key_of(s, w):
    """Key of the pair that node w sums."""
    n = s.node
    opposite = 1 if n[w, SIGN_A] != n[w, SIGN_B] else 0
    return pack(n[w, A], n[w, B], n[w, SHIFT_B] - n[w, SHIFT_A], opposite)
