"""Nodes: two-input adders over shifted wires, their ranges, and what they cost."""

from __future__ import annotations

import math

from numba import njit

from .state import (
    BITS,
    COST,
    FREE_WIRES,
    LIVE_NODES,
    NODES,
    SHIFT_A,
    SHIFT_B,
    SIGN_A,
    SIGN_B,
    W_COST,
    W_DEPS,
    W_DEPTH,
    W_FIRST,
    W_HEAD,
    W_LIVE,
    W_NEXT,
    W_PLACE,
    W_PREV,
    W_ROWS,
    W_USES,
    WIRES_FREE,
    A,
    B,
    doubt,
)
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
    la, ha, lb, hb = s.x[a, 0] * xa, s.x[a, 1] * xa, s.x[b, 0] * xb, s.x[b, 1] * xb
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
    w = s.lists[FREE_WIRES, g[WIRES_FREE]]
    node = s.w
    node[w, A], node[w, B], node[w, SHIFT_A], node[w, SHIFT_B] = a, b, sa, sb
    node[w, SIGN_A], node[w, SIGN_B] = ga, gb
    s.w[w, W_DEPTH] = max(s.w[a, W_DEPTH], s.w[b, W_DEPTH]) + 1
    s.w[w, W_HEAD], s.w[w, W_USES], s.w[w, W_DEPS], s.w[w, W_FIRST] = -1, 0, 0, -1
    s.w[w, W_LIVE] = 1
    s.w[w, W_ROWS] = s.w[a, W_ROWS] | s.w[b, W_ROWS]
    s.x[w, 0], s.x[w, 1] = ends_of(s, a, b, sa, sb, ga, gb)
    s.w[w, W_COST] = node_cost(s, a, b, sa, sb, ga, gb)
    s.w[w, W_PLACE] = g[NODES]
    s.lists[LIVE_NODES, g[NODES]] = w
    g[NODES] += 1
    g[COST] += s.w[w, W_COST]
    for e in range(2):
        x, slot = node[w, A + e], 2 * w + e
        first = s.w[x, W_FIRST]
        s.w[w, W_NEXT + e], s.w[w, W_PREV + e] = first, -1
        if first >= 0:
            s.w[first >> 1, W_PREV + (first & 1)] = slot
        s.w[x, W_FIRST] = slot
        s.w[x, W_DEPS] += 1
    return w


@njit(_nrt=False)
def delete(s, w):
    """Forget a node without uses and dependents."""
    g = s.g
    for e in range(2):
        x = s.w[w, A + e]
        p, q = s.w[w, W_PREV + e], s.w[w, W_NEXT + e]
        if p >= 0:
            s.w[p >> 1, W_NEXT + (p & 1)] = q
        else:
            s.w[x, W_FIRST] = q
        if q >= 0:
            s.w[q >> 1, W_PREV + (q & 1)] = p
        s.w[x, W_DEPS] -= 1
        doubt(s, x)
    s.w[w, W_LIVE] = 0
    s.lists[FREE_WIRES, g[WIRES_FREE]] = w
    g[WIRES_FREE] += 1
    p = s.w[w, W_PLACE]
    last = s.lists[LIVE_NODES, g[NODES] - 1]
    s.lists[LIVE_NODES, p] = last
    s.w[last, W_PLACE] = p
    g[NODES] -= 1
    g[COST] -= s.w[w, W_COST]


@njit(_nrt=False)
def key_of(s, w):
    """Key of the pair that node w sums."""
    n = s.w
    opposite = 1 if n[w, SIGN_A] != n[w, SIGN_B] else 0
    return pack(n[w, A], n[w, B], n[w, SHIFT_B] - n[w, SHIFT_A], opposite)
