"""Destroy and repair under annealing: nodes, columns, codings are taken apart, repaired, kept or undone."""

from __future__ import annotations

import numpy as np
from numba import njit

from .drawing import draw
from .moves import begin, dissolve, put, repair, rollback, split, strengthen, take
from .nodes import key_of, node_cost
from .state import (
    BITS,
    C_COUNT,
    C_DIGITS,
    C_PLUS,
    C_ROOM,
    COST,
    DIGITS,
    FIRST_NODE,
    FORMS,
    FULL,
    JOURNAL,
    KEYS,
    LEAST,
    LIVE_NODES,
    NODES,
    QUEUE,
    RECORD,
    SHIFT_A,
    SHIFT_B,
    SIGN_A,
    SIGN_B,
    SPAN,
    T_SHIFT,
    T_SIGN,
    T_WIRE,
    TERM,
    W_COST,
    W_ROWS,
    WEAK,
    A,
    B,
    State,
    below,
    random_bits,
)
from .table import count_up, key_on, pair_key
from .terms import term_at
from .tree import reparent, rip

LONGER = 8  # one recoding in so many may take a digit more


@njit
def prepared(s, room, queue, journal):
    """The state with a table for `room` times its pairs, a heap and a journal of so many rows."""
    pairs, most = 0, 1
    for c in range(s.c.shape[0]):
        count = s.c[c, C_COUNT]
        pairs, most = pairs + count * count // 2, max(most, count)
    # A trial may bring back much that was merged: room for whole columns besides.
    wanted, size = room * (pairs + 4 * most * most + s.t.shape[0]), 1 << 10
    while size <= wanted:
        size *= 2
    s.g[KEYS] = s.g[QUEUE] = s.g[JOURNAL] = 0
    table = np.full((size, 3), -1, np.int64)
    heap, moves = np.zeros((queue, 2), np.int64), np.zeros((journal, 8), np.int64)
    ready = State(s.g, s.t, s.c, s.c_terms, s.w, s.x, s.lists, table, heap, moves)
    _count_all(ready)
    return ready


@njit(_nrt=False)
def _count_all(s):
    """The table of all pairs and nodes."""
    for c in range(s.c.shape[0]):
        for x in range(s.c[c, C_COUNT]):
            t = s.c_terms[c, x]
            for y in range(x):
                o = s.c_terms[c, y]
                count_up(
                    s,
                    pair_key(
                        s.t[o, T_WIRE],
                        s.t[o, T_SHIFT],
                        s.t[o, T_SIGN],
                        s.t[t, T_WIRE],
                        s.t[t, T_SHIFT],
                        s.t[t, T_SIGN],
                    ),
                )
    for k in range(s.g[NODES]):
        w = s.lists[LIVE_NODES, k]
        key_on(s, key_of(s, w), w)


@njit(_nrt=False)
def reprice(s, drawing, bits, least):
    """Cost in adders or in full-adder bits from here on; the present state becomes the drawing.

    In bits a node costs its own, and a term of a column what the adders of the columns come to on average.
    """
    g = s.g
    g[BITS] = bits
    nodes, sums = np.int64(0), np.int64(0)
    for k in range(g[NODES]):
        w = s.lists[LIVE_NODES, k]
        n = s.w
        s.w[w, W_COST] = node_cost(
            s, n[w, A], n[w, B], n[w, SHIFT_A], n[w, SHIFT_B], n[w, SIGN_A], n[w, SIGN_B]
        )
        nodes += s.w[w, W_COST]
    for c in range(s.c.shape[0]):
        if s.c[c, C_COUNT] > 0:
            sums += s.c[c, C_COUNT] - 1 + (1 if s.c[c, C_PLUS] == 0 else 0)
    least[1] = np.int64(1) << 60
    draw(s, drawing, least)
    g[TERM], g[LEAST] = 1, 1
    if bits and sums > 0:
        g[TERM] = max(1, (2 * (least[1] - nodes) + sums) // (2 * sums))
        g[LEAST] = max(1, g[TERM] // 2)
    g[COST] = nodes + sums * g[TERM]
    least[0] = g[COST]


@njit(_nrt=False)
def expose(s, c, i):
    """Split terms of column c until input i stands alone in it."""
    row = np.int64(1) << (i & 63)
    k = 0
    while k < s.c[c, C_COUNT] and not s.g[FULL]:
        t = s.c_terms[c, k]
        w = s.t[t, T_WIRE]
        if w >= s.g[FIRST_NODE] and s.w[w, W_ROWS] & row:
            split(s, t)
        else:
            k += 1


@njit(_nrt=False)
def recode(s, c, i):
    """Another signed-digit form of input i in column c, by one of these, either way:

    2**(k+2) - 2**k = 2**(k+1) + 2**k, which keeps the digits' number, and 2**k = 2**(k+1) - 2**k, which does
    not.
    """
    g = s.g
    expose(s, c, i)
    longer = below(g, LONGER) == 0
    roomy = s.c[c, C_ROOM] > 1 and s.c[c, C_DIGITS] + 2 < s.c_terms.shape[1] and g[DIGITS] + 2 < s.t.shape[0]
    found = 0
    x = y = -1
    for k in range(s.c[c, C_COUNT]):
        t = s.c_terms[c, k]
        if s.t[t, T_WIRE] != i:
            continue
        shift, sign = s.t[t, T_SHIFT], s.t[t, T_SIGN]
        up1, up2 = term_at(s, c, i, shift + 1), term_at(s, c, i, shift + 2)
        u, fits = -1, False
        if up1 < 0 and up2 >= 0 and s.t[up2, T_SIGN] != sign:
            u, fits = up2, True
        elif up1 >= 0 and (s.t[up1, T_SIGN] != sign or (up2 < 0 and shift + 2 < g[SPAN])):
            u, fits = up1, True
        elif longer and roomy and up1 < 0 and shift + 1 < g[SPAN]:
            fits = True
        if fits:
            found += 1
            if below(g, found) == 0:
                x, y = t, u
    if found == 0:
        return
    low, sign = s.t[x, T_SHIFT], s.t[x, T_SIGN]
    gap, other = 0, 0
    if y >= 0:
        gap, other = s.t[y, T_SHIFT] - low, s.t[y, T_SIGN]
        take(s, y)
    take(s, x)
    if gap == 2:
        put(s, c, i, low, other)
        put(s, c, i, low + 1, other)
    elif gap == 0:
        put(s, c, i, low, -sign)
        put(s, c, i, low + 1, sign)
    elif other == sign:
        put(s, c, i, low, -sign)
        put(s, c, i, low + 2, sign)
    else:
        put(s, c, i, low, other)


@njit(_nrt=False)
def _within_room(s):
    """Whether every column can still keep its depth."""
    least = s.c[0, C_ROOM]
    for c in range(1, s.c.shape[0]):
        least = min(least, s.c[c, C_ROOM])
    return least >= 0


@njit(_nrt=False)
def _trial(s, weights, near, choices, temperature, recodings):
    """One destroy and repair, with `recodings` a recoding; whether it was kept."""
    g = s.g
    before = g[COST]
    begin(s)
    kind = 3 if recodings else below(g, 16)
    if kind == 0 and near.shape[0] > 0:
        c, k = below(g, near.shape[0]), below(g, near.shape[1])
        if near[c, k, 0] > -2:
            reparent(s, weights, c, near[c, k, 0], near[c, k, 1], near[c, k, 2])
    elif kind < 3:
        rip(s, below(g, s.c.shape[0]), 64)
    elif kind < 7 and choices.shape[0] > 0:
        # Most often a coefficient that has another form as short.
        k = below(g, choices.shape[0] if below(g, 4) == 0 or g[FORMS] == 0 else g[FORMS])
        recode(s, choices[k, 0], choices[k, 1])
        if not _within_room(s):
            g[FULL] = 1
    else:
        # Mostly one: more are kept seldom in a large matrix, and lead out of dead ends in a small one.
        for _ in range(1 + (below(g, 3) if below(g, 4) == 0 else 0)):
            if g[NODES] > 0 and not g[FULL]:
                dissolve(s, s.lists[LIVE_NODES, below(g, g[NODES])])
    strengthen(s)
    repair(s)
    while g[WEAK] > 0 and not g[FULL]:
        strengthen(s)
        repair(s)
    change = g[COST] - before
    if g[FULL] or (change > 0 and random_bits(g) >= 4294967296.0 * np.exp(-change / temperature)):
        rollback(s)
        return False
    g[JOURNAL] = 0
    g[RECORD] = 0
    return True


@njit(_nrt=False)
def anneal(s, drawing, weights, near, choices, trials, temperature, least, recodings=False):
    """`trials` trials; a state of less cost than least[0] is drawn if that betters the drawing's cost
    least[1]."""
    g = s.g
    kept = 0
    for _ in range(trials):
        if _trial(s, weights, near, choices, temperature, recodings):
            kept += 1
            if g[COST] < least[0]:
                least[0] = g[COST]
                draw(s, drawing, least)
    return kept
