"""Where a pair of terms stands in the columns, and which of the places can be replaced together."""

from __future__ import annotations

from numba import njit

from .nodes import node_cost
from .state import BITS, LIMITED, SPAN, random_bits


@njit(_nrt=False)
def room_taken(s, a, b):
    """What a merge of wires a and b takes from its column's room: 2**depth after less before."""
    da, db = s.w_depth[a], s.w_depth[b]
    return (2 << max(da, db)) - (1 << da) - (1 << db) if s.g[LIMITED] else 0


@njit(_nrt=False)
def find_matches(s, a, b, d, opposite):
    """Writes the terms of a and b that fit together to match_a, match_b, those without room left out; their
    number."""
    at = s.at
    span = s.g[SPAN]
    u = s.w_head[b]
    while u >= 0:
        at[s.t_col[u] * span + s.t_shift[u]] = u
        u = s.t_next[u]
    need = room_taken(s, a, b)
    n = 0
    u = s.w_head[a]
    while u >= 0:
        c, shift = s.t_col[u], s.t_shift[u] + d
        if 0 <= shift < span and need <= s.c_room[c]:
            # What another pair left in `at` is told by its wire and place.
            v = at[c * span + shift]
            if (
                v >= 0 and s.t_col[v] == c and s.t_wire[v] == b and s.t_shift[v] == shift
                and (s.t_sign[v] != s.t_sign[u]) == opposite
            ):  # fmt: skip
                s.match_a[n], s.match_b[n] = u, v
                n += 1
        u = s.t_next[u]
    return n


@njit(_nrt=False)
def _gain(s, u, v, flip):
    """Change of a column's positive terms when u, v become one term; flip: the node is b - a."""
    sign = -s.t_sign[u] if flip else s.t_sign[u]
    return (1 if sign > 0 else 0) - (s.t_sign[u] > 0) - (s.t_sign[v] > 0)


@njit(_nrt=False)
def keep_feasible(s, n, a, b, flip):
    """Of n found matches those that can be made one after another, moved to the front; their number.

    A term is used once, a column keeps its depth, and a column that has a positive term keeps one.
    """
    need = room_taken(s, a, b)
    kept = 0
    for k in range(n):
        u, v = s.match_a[k], s.match_b[k]
        c = s.t_col[u]
        room, plus = s.c_room[c], s.c_plus[c]
        clash = False
        for e in range(kept):
            x, y = s.match_a[e], s.match_b[e]
            if s.t_col[x] == c:
                room -= need
                plus += _gain(s, x, y, flip)
                clash = clash or x == v or y == u
        if clash or room < need or (plus > 0 and plus + _gain(s, u, v, flip) <= 0):
            continue
        s.match_a[kept], s.match_b[kept] = u, v
        kept += 1
    return kept


@njit(_nrt=False)
def orient(s, n, a, b, d, opposite):
    """Whether the new node of an opposite pair is better b - a than a - b."""
    if not opposite:
        return False
    if s.g[BITS]:
        base = max(-d, 0)
        straight = node_cost(s, a, b, base, base + d, 1, -1)
        turned = node_cost(s, a, b, base, base + d, -1, 1)
        if straight != turned:
            return turned < straight
    balance = 0
    for k in range(n):
        # The node's term has the sign of a's term, or if turned that of b's.
        balance += 1 if s.t_sign[s.match_a[k]] < 0 else -1
    return balance > 0 or (balance == 0 and random_bits(s.g) & 1 == 1)
