"""Where a pair of terms stands in the columns, and which of the places can be replaced together."""

from __future__ import annotations

from numba import njit

from .nodes import node_cost
from .state import (
    AT,
    BITS,
    C_PLUS,
    C_ROOM,
    LIMITED,
    MATCH_A,
    MATCH_B,
    SPAN,
    T_COL,
    T_NEXT,
    T_SHIFT,
    T_SIGN,
    T_WIRE,
    W_DEPTH,
    W_HEAD,
    random_bits,
)


@njit(_nrt=False)
def room_taken(s, a, b):
    """What a merge of wires a and b takes from its column's room: 2**depth after less before."""
    da, db = s.w[a, W_DEPTH], s.w[b, W_DEPTH]
    return (2 << max(da, db)) - (1 << da) - (1 << db) if s.g[LIMITED] else 0


@njit(_nrt=False)
def find_matches(s, a, b, d, opposite):
    """Writes the terms of a and b that fit together to match_a, match_b, those without room left out; their
    number."""
    at = s.lists
    span = s.g[SPAN]
    u = s.w[b, W_HEAD]
    while u >= 0:
        at[AT, s.t[u, T_COL] * span + s.t[u, T_SHIFT]] = u
        u = s.t[u, T_NEXT]
    need = room_taken(s, a, b)
    n = 0
    u = s.w[a, W_HEAD]
    while u >= 0:
        c, shift = s.t[u, T_COL], s.t[u, T_SHIFT] + d
        if 0 <= shift < span and need <= s.c[c, C_ROOM]:
            # What another pair left in `at` is told by its wire and place.
            v = at[AT, c * span + shift]
            if (
                v >= 0 and s.t[v, T_COL] == c and s.t[v, T_WIRE] == b and s.t[v, T_SHIFT] == shift
                and (s.t[v, T_SIGN] != s.t[u, T_SIGN]) == opposite
            ):  # fmt: skip
                s.lists[MATCH_A, n], s.lists[MATCH_B, n] = u, v
                n += 1
        u = s.t[u, T_NEXT]
    return n


@njit(_nrt=False)
def _gain(s, u, v, flip):
    """Change of a column's positive terms when u, v become one term; flip: the node is b - a."""
    sign = -s.t[u, T_SIGN] if flip else s.t[u, T_SIGN]
    return (1 if sign > 0 else 0) - (s.t[u, T_SIGN] > 0) - (s.t[v, T_SIGN] > 0)


@njit(_nrt=False)
def keep_feasible(s, n, a, b, flip):
    """Of n found matches those that can be made one after another, moved to the front; their number.

    A term is used once, a column keeps its depth, and a column that has a positive term keeps one.
    """
    need = room_taken(s, a, b)
    kept = 0
    for k in range(n):
        u, v = s.lists[MATCH_A, k], s.lists[MATCH_B, k]
        c = s.t[u, T_COL]
        room, plus = s.c[c, C_ROOM], s.c[c, C_PLUS]
        clash = False
        for e in range(kept):
            x, y = s.lists[MATCH_A, e], s.lists[MATCH_B, e]
            if s.t[x, T_COL] == c:
                room -= need
                plus += _gain(s, x, y, flip)
                clash = clash or x == v or y == u
        if clash or room < need or (plus > 0 and plus + _gain(s, u, v, flip) <= 0):
            continue
        s.lists[MATCH_A, kept], s.lists[MATCH_B, kept] = u, v
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
        balance += 1 if s.t[s.lists[MATCH_A, k], T_SIGN] < 0 else -1
    return balance > 0 or (balance == 0 and random_bits(s.g) & 1 == 1)
