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

# Columns of State.t, a term; of State.c, a column; of State.w, a wire; of State.h, a slot of the table.
T_COL, T_WIRE, T_SHIFT, T_SIGN, T_POS, T_NEXT, T_PREV = range(7)
(
    C_COUNT,  # terms
    C_DIGITS,  # terms that it would have without nodes
    C_ROOM,  # what is left of 2**depth, by Kraft's sum of 2**depth over the terms
    C_PLUS,  # positive terms
    C_PARENT,  # the column whose sum is a term of this one; -1: none
) = range(5)
(
    W_HEAD,  # its last term
    W_USES,  # terms
    W_DEPS,  # nodes that read it
    W_FIRST,  # the last of these, twice, and 1 more if it is operand b; the next ones are in W_NEXT, W_PREV
    W_DEPTH,
    W_LIVE,
    W_ROWS,  # bit i % 64 set: input i may be part of the wire
    W_COST,
    W_PLACE,  # of a live node, in the list of them
    W_NEXT,  # of operand a, then of operand b
    _,
    W_PREV,
    _,
    A,  # of a node, as `result.Adder`, from here
    B,
    SHIFT_A,
    SHIFT_B,
    SIGN_A,
    SIGN_B,
) = range(19)
H_KEY, H_COUNT, H_NODE = range(3)

# Rows of State.lists.
FREE_TERMS, FREE_WIRES, LIVE_NODES, WEAK_NODES, STACK, MATCH_A, MATCH_B, AT = range(8)


class State(NamedTuple):
    """Few arrays, for a call passes them all.

    lists holds stacks, and scratch: STACK nodes to dissolve, MATCH_A and MATCH_B matched terms, AT the terms
    of one wire at [column * SPAN + shift].
    """

    g: np.ndarray  # scalars
    t: np.ndarray  # terms
    c: np.ndarray  # columns
    c_terms: np.ndarray  # (columns, longest): their terms
    w: np.ndarray  # wires
    x: np.ndarray  # (wires, 2): lowest and highest value
    lists: np.ndarray
    h: np.ndarray  # table of pairs: key, count, node
    q: np.ndarray  # heap of pairs: rank, key
    journal: np.ndarray


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

    The greedy pass needs no table, heap, journal: they are put in before annealing (`anneal.prepared`).
    """
    rows = lo.shape[0]
    wires = rows + terms
    g = np.zeros(20, np.int64)
    longest_list = max(2 * wires + 256, n_cols * span)
    s = State(
        g,
        np.full((terms, 7), -1, np.int64),
        np.zeros((n_cols, 5), np.int64),
        np.zeros((n_cols, longest), np.int64),
        np.zeros((wires, 19), np.int64),
        np.zeros((wires, 2)),
        np.full((8, longest_list), -1, np.int64),
        np.zeros((1, 3), np.int64),
        np.zeros((1, 2), np.int64),
        np.zeros((1, 8), np.int64),
    )
    for k in range(terms):
        s.lists[FREE_TERMS, k], s.lists[FREE_WIRES, k] = terms - 1 - k, wires - 1 - k
    for c in range(n_cols):
        s.c[c, C_ROOM], s.c[c, C_PARENT] = NO_LIMIT, -1
    for w in range(wires):
        s.w[w, W_HEAD] = s.w[w, W_FIRST] = -1
    g[TERMS_FREE], g[WIRES_FREE], g[SPAN], g[TERM], g[LEAST] = terms, terms, span, 1, 1
    g[FIRST_NODE], g[FIRST_SUM] = rows, rows - n_cols
    g[RANDOM] = (seed + 1) * 7046029254386353131
    for _ in range(4):
        random_bits(g)
    for i in range(rows):
        s.w[i, W_LIVE], s.x[i, 0], s.x[i, 1] = 1, lo[i], hi[i]
        if i < n_in:
            s.w[i, W_ROWS] = 1 << (i & 63)
    return s


@njit(_nrt=False)
def doubt(s, w):
    """While moves are recorded, a node left with fewer than two readers is to be looked at again."""
    g = s.g
    if (
        g[RECORD]
        and w >= g[FIRST_NODE]
        and s.w[w, W_USES] + s.w[w, W_DEPS] < 2
        and g[WEAK] < s.lists.shape[1]
    ):
        s.lists[WEAK_NODES, g[WEAK]] = w
        g[WEAK] += 1
