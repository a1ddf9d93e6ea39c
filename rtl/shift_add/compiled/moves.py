"""Moves of a trial, each journalled so that it can be undone; and the greedy repair made of them."""

from __future__ import annotations

from numba import njit

from .matches import find_matches, keep_feasible, orient
from .nodes import create, delete, key_of, node_cost
from .state import (
    C_DIGITS,
    C_PARENT,
    DIGITS,
    FULL,
    H_COUNT,
    H_KEY,
    H_NODE,
    JOURNAL,
    MATCH_A,
    MATCH_B,
    QUEUE,
    RECORD,
    SHIFT_A,
    SHIFT_B,
    SIGN_A,
    SIGN_B,
    STACK,
    T_COL,
    T_SHIFT,
    T_SIGN,
    T_WIRE,
    TERM,
    W_DEPS,
    W_FIRST,
    W_HEAD,
    W_LIVE,
    W_USES,
    WEAK,
    WEAK_NODES,
    WIRES_FREE,
    A,
    B,
    random_bits,
)
from .table import find_key, key_off, key_on, pop, push, unpack
from .terms import add_term, remove_term, term_at

MERGE, SPLIT, CREATE, DELETE, ADD, REMOVE, PARENT = range(7)


@njit(_nrt=False)
def log(s, kind, x, y, z):
    g = s.g
    n = g[JOURNAL]
    j = s.journal
    j[n, 0], j[n, 1], j[n, 2], j[n, 3] = kind, x, y, z
    g[JOURNAL] = n + 1
    # Loops look at FULL before each move, so half the journal is more than what can still come.
    if 2 * n > j.shape[0]:
        g[FULL] = 1


@njit(_nrt=False)
def _count_digit(s, c, way):
    s.c[c, C_DIGITS] += way
    s.g[DIGITS] += way


@njit(_nrt=False)
def put(s, c, w, shift, sign):
    add_term(s, c, w, shift, sign)
    _count_digit(s, c, 1)
    log(s, ADD, w, c, shift)


@njit(_nrt=False)
def take(s, t):
    log(s, REMOVE, s.t[t, T_WIRE], s.t[t, T_COL], s.t[t, T_SHIFT] * 2 + (s.t[t, T_SIGN] > 0))
    _count_digit(s, s.t[t, T_COL], -1)
    remove_term(s, t)


@njit(_nrt=False)
def _join(s, c, w, base, u, v, sign):
    remove_term(s, u)
    remove_term(s, v)
    add_term(s, c, w, base, sign)


@njit(_nrt=False)
def _part(s, c, w, base, t, sign):
    n = s.w
    remove_term(s, t)
    add_term(s, c, n[w, A], base + n[w, SHIFT_A], sign * n[w, SIGN_A])
    add_term(s, c, n[w, B], base + n[w, SHIFT_B], sign * n[w, SIGN_B])


@njit(_nrt=False)
def merge(s, w, u, v):
    """Term u of a and term v of b, the operands of node w, become one term of w."""
    c, base = s.t[u, T_COL], s.t[u, T_SHIFT] - s.w[w, SHIFT_A]
    _join(s, c, w, base, u, v, s.t[u, T_SIGN] * s.w[w, SIGN_A])
    log(s, MERGE, w, c, base)


@njit(_nrt=False)
def split(s, t):
    """A term of a node becomes the terms of its two operands."""
    c, w, base = s.t[t, T_COL], s.t[t, T_WIRE], s.t[t, T_SHIFT]
    _part(s, c, w, base, t, s.t[t, T_SIGN])
    log(s, SPLIT, w, c, base)


@njit(_nrt=False)
def make(s, a, b, sa, sb, ga, gb):
    w = create(s, a, b, sa, sb, ga, gb)
    key_on(s, key_of(s, w), w)
    log(s, CREATE, w, 0, 0)
    return w


@njit(_nrt=False)
def drop(s, w):
    n = s.g[JOURNAL]
    log(s, DELETE, w, 0, 0)
    for k in range(6):
        s.journal[n, 2 + k] = s.w[w, A + k]
    key_off(s, key_of(s, w), w)
    delete(s, w)


@njit(_nrt=False)
def dissolve(s, w):
    """Split every use of node w, its dependents first, and drop them."""
    n = 1
    s.lists[STACK, 0] = w
    while n > 0:
        x = s.lists[STACK, n - 1]
        if s.w[x, W_FIRST] >= 0:
            s.lists[STACK, n] = s.w[x, W_FIRST] >> 1
            n += 1
            continue
        while s.w[x, W_HEAD] >= 0 and not s.g[FULL]:
            split(s, s.w[x, W_HEAD])
        if s.g[FULL]:
            return
        drop(s, x)
        n -= 1


@njit(_nrt=False)
def strengthen(s):
    """Dissolve nodes of one use in a column, and none in nodes: no adder is lost, and their terms are free
    again."""
    g = s.g
    while g[WEAK] > 0 and not g[FULL]:
        g[WEAK] -= 1
        w = s.lists[WEAK_NODES, g[WEAK]]
        if s.w[w, W_LIVE] and s.w[w, W_DEPS] == 0 and s.w[w, W_USES] < 2:
            if s.w[w, W_HEAD] >= 0:
                split(s, s.w[w, W_HEAD])
            drop(s, w)


@njit(_nrt=False)
def repair(s):
    """Merge the best pairs on the heap until none saves anything."""
    g = s.g
    term = g[TERM]
    while g[QUEUE] > 0 and not g[FULL]:
        rank, key = pop(s)
        i = find_key(s, key)
        if s.h[i, H_KEY] == -1:
            continue
        w, count = s.h[i, H_NODE], s.h[i, H_COUNT]
        if count < (1 if w >= 0 else 2):
            continue
        a, b, d, opposite = unpack(key)
        n = find_matches(s, a, b, d, opposite)
        base = max(-d, 0)
        ga, gb, cost = 1, 1, 0
        if w >= 0:
            flip = s.w[w, SIGN_A] < 0
        else:
            flip = orient(s, n, a, b, d, opposite)
            if opposite:
                ga, gb = (-1, 1) if flip else (1, -1)
            cost = node_cost(s, a, b, base, base + d, ga, gb)
        n = keep_feasible(s, n, a, b, flip)
        gain = n * term - cost
        if gain <= 0 or (w < 0 and n < 2):
            continue
        if gain < rank >> 32:
            push(s, (gain << 32) | random_bits(g), key)
            continue
        if w < 0:
            if g[WIRES_FREE] == 0:
                g[FULL] = 1
                return
            w = make(s, a, b, base, base + d, ga, gb)
        for k in range(n):
            merge(s, w, s.lists[MATCH_A, k], s.lists[MATCH_B, k])


@njit(_nrt=False)
def begin(s):
    """Start a trial."""
    g = s.g
    g[JOURNAL], g[QUEUE], g[WEAK], g[FULL], g[RECORD] = 0, 0, 0, 0, 1


@njit(_nrt=False)
def rollback(s):
    """Undo the journal, last first."""
    g, n = s.g, s.w
    g[RECORD] = 0
    for k in range(g[JOURNAL] - 1, -1, -1):
        kind, w, c, base = s.journal[k, 0], s.journal[k, 1], s.journal[k, 2], s.journal[k, 3]
        if kind == MERGE:
            t = term_at(s, c, w, base)
            _part(s, c, w, base, t, s.t[t, T_SIGN])
        elif kind == SPLIT:
            u = term_at(s, c, n[w, A], base + n[w, SHIFT_A])
            v = term_at(s, c, n[w, B], base + n[w, SHIFT_B])
            _join(s, c, w, base, u, v, s.t[u, T_SIGN] * n[w, SIGN_A])
        elif kind == ADD:
            remove_term(s, term_at(s, c, w, base))
            _count_digit(s, c, -1)
        elif kind == REMOVE:
            add_term(s, c, w, base >> 1, 1 if base & 1 else -1)
            _count_digit(s, c, 1)
        elif kind == CREATE:
            key_off(s, key_of(s, w), w)
            delete(s, w)
        elif kind == DELETE:
            j = s.journal
            x = create(s, j[k, 2], j[k, 3], j[k, 4], j[k, 5], j[k, 6], j[k, 7])
            key_on(s, key_of(s, x), x)
        else:
            s.c[w, C_PARENT] = c
    g[JOURNAL] = 0
    g[QUEUE] = 0
    g[WEAK] = 0
