"""The search's working state: columns of signed shifted wires as flat arrays.

A term is sign * (wire << shift) in one column; a column is the sum of its terms. Every term is in the list of
its column and in the list of its wire's uses; every node is in the lists of dependents of its two operands.
The wires are rows (inputs, then constants, then the sums of the columns themselves), then nodes.

The functions of this package are compiled without reference counts (`_nrt=False`: they allocate nothing):
counting the arrays of a state at every call would take eight times as long as the search.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

NO_LIMIT = 1 << 60  # room of a column that has no depth to keep

# Scalars of a state, in State.g.
(
    TERMS_FREE,  # terms in the stack of free ones
    WIRES_FREE,  # node wires in the stack of free ones
    COST,  # nodes, and per column its terms - 1, one more if none is positive, each at its cost
    LIMITED,  # 1 if columns have a depth to keep
    SPAN,  # shifts are in 0..SPAN-1
    FIRST_SUM,  # wires below are inputs and constants
    FIRST_NODE,  # wires below are rows
    QUEUE,  # entries in the heap
    JOURNAL,  # rows in the journal
    RECORD,  # 1 while moves are written to the journal and candidates to the heap
    KEYS,  # keys in the table
    RANDOM,  # state of the random numbers
    NODES,  # live nodes
    FULL,  # 1 if an array was too short: the trial is undone
    WEAK,  # entries in the stack of nodes that may be used too seldom
    BITS,  # 1 if nodes cost their full-adder bits, 0 if each costs 1
    TERM,  # what a term of a column costs, but for the first: 1, or the mean full-adder bits of its adder
    DIGITS,  # terms that all columns would have without nodes: never more than there is room for
    FORMS,  # of the coefficients that may be recoded, how many at the front have a form as short
    LEAST,  # what a node is taken to cost before its operands are looked at
) = range(20)

# Columns of State.node.
A, B, SHIFT_A, SHIFT_B, SIGN_A, SIGN_B = range(6)


class State(NamedTuple):
    """Arrays by what they describe: g scalars, t terms, c columns, w wires, d dependents, h table, q heap."""

    g: np.ndarray
    t_col: np.ndarray
    t_wire: np.ndarray
    t_shift: np.ndarray
    t_sign: np.ndarray
    t_pos: np.ndarray
    t_next: np.ndarray
    t_prev: np.ndarray
    t_free: np.ndarray
    c_terms: np.ndarray
    c_count: np.ndarray
    c_digits: np.ndarray  # terms that the column would have without nodes
    c_room: np.ndarray  # what is left of 2**depth, by Kraft's sum of 2**depth over the terms
    c_plus: np.ndarray  # positive terms
    c_parent: np.ndarray  # the column whose sum is a term of this one; -1: none
    w_head: np.ndarray
    w_uses: np.ndarray
    w_deps: np.ndarray
    w_first: np.ndarray
    w_depth: np.ndarray
    w_live: np.ndarray
    w_rows: np.ndarray  # bit i % 64 set: input i may be part of the wire
    w_lo: np.ndarray
    w_hi: np.ndarray
    w_cost: np.ndarray
    w_place: np.ndarray  # place of a live node in w_list
    node: np.ndarray  # (wires, 6): a, b, shift_a, shift_b, sign_a, sign_b
    w_list: np.ndarray
    w_free: np.ndarray
    w_weak: np.ndarray
    d_next: np.ndarray
    d_prev: np.ndarray
    h_key: np.ndarray
    h_count: np.ndarray
    h_node: np.ndarray
    q_rank: np.ndarray
    q_key: np.ndarray
    journal: np.ndarray
    at: np.ndarray  # scratch: the term of one wire at [column * SPAN + shift]
    match_a: np.ndarray  # scratch: matched terms
    match_b: np.ndarray
    stack: np.ndarray  # scratch: nodes to dissolve


@njit(_nrt=False)
def random_bits(g):
    """32 random bits (xorshift64*)."""
    x = np.uint64(g[RANDOM])
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    g[RANDOM] = np.int64(x)
    return np.int64((x * np.uint64(2685821657736338717)) >> np.uint64(32))


@njit(_nrt=False)
def below(g, n):
    """A random integer in 0..n-1."""
    return (random_bits(g) * n) >> 32


@njit
def make_state(lo, hi, n_in, n_cols, span, terms, longest, seed):
    """An empty state of rows with intervals lo..hi, room for `terms` terms, `longest` of them in a column.

    The greedy pass needs no table, heap, journal: they are put in before annealing (`search.Annealer`).
    """
    i32 = np.int32
    rows = lo.shape[0]
    wires = rows + terms
    g = np.zeros(20, np.int64)
    s = State(
        g,
        np.full(terms, -1, i32), np.zeros(terms, i32), np.zeros(terms, i32), np.zeros(terms, i32),
        np.zeros(terms, i32), np.zeros(terms, i32), np.zeros(terms, i32),
        np.arange(terms - 1, -1, -1).astype(i32),
        np.zeros((n_cols, longest), i32), np.zeros(n_cols, i32), np.zeros(n_cols, i32),
        np.full(n_cols, NO_LIMIT, np.int64),
        np.zeros(n_cols, i32), np.full(n_cols, -1, i32),
        np.full(wires, -1, i32), np.zeros(wires, i32), np.zeros(wires, i32), np.full(wires, -1, i32),
        np.zeros(wires, i32), np.zeros(wires, i32), np.zeros(wires, np.int64),
        np.zeros(wires), np.zeros(wires), np.zeros(wires, np.int64), np.zeros(wires, i32),
        np.zeros((wires, 6), i32), np.zeros(terms, i32), np.arange(wires - 1, rows - 1, -1).astype(i32),
        np.zeros(4 * wires + 4096, i32), np.full(2 * wires, -1, i32), np.full(2 * wires, -1, i32),
        np.zeros(1, np.int64), np.zeros(1, i32), np.zeros(1, i32),
        np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros((1, 8), i32),
        np.full(n_cols * span, -1, i32), np.zeros(terms, i32), np.zeros(terms, i32), np.zeros(wires, i32),
    )  # fmt: skip
    g[TERMS_FREE], g[WIRES_FREE], g[SPAN], g[TERM], g[LEAST] = terms, terms, span, 1, 1
    g[FIRST_NODE], g[FIRST_SUM] = rows, rows - n_cols
    g[RANDOM] = (seed + 1) * 7046029254386353131
    for _ in range(4):
        random_bits(g)
    for i in range(rows):
        s.w_live[i], s.w_lo[i], s.w_hi[i] = 1, lo[i], hi[i]
        if i < n_in:
            s.w_rows[i] = 1 << (i & 63)
    return s


@njit(_nrt=False)
def doubt(s, w):
    """While moves are recorded, a node left with fewer than two readers is to be looked at again."""
    g = s.g
    if g[RECORD] and w >= g[FIRST_NODE] and s.w_uses[w] + s.w_deps[w] < 2 and g[WEAK] < s.w_weak.shape[0]:
        s.w_weak[g[WEAK]] = w
        g[WEAK] += 1
