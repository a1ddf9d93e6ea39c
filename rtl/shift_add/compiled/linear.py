"""What each wire of a graph is, as integer multiples of the inputs and constants."""

from __future__ import annotations

import numpy as np
from numba import njit

WIDEST = 1 << 61  # bounds of two wires, shifted, and their sum stay within 64 bits below it


@njit
def rows(nodes, first_node):
    """(rows, bounds) of nodes (n, 6) as `result.Adder`: wire w is the sum of rows[w, i] * wire i.

    bounds[w] is at least the sum of |rows[w]|. Both have no elements if a bound reaches 2**61, where 64 bits
    might not do.
    """
    n = nodes.shape[0]
    table = np.zeros((first_node + n, first_node), np.int64)
    bounds = np.ones(first_node + n, np.int64)
    for w in range(first_node):
        table[w, w] = 1
    for k in range(n):
        a, b, shift_a, shift_b, sign_a, sign_b = nodes[k]
        w = first_node + k
        if shift_a > 60 or shift_b > 60 or bounds[a] >= WIDEST >> shift_a or bounds[b] >= WIDEST >> shift_b:
            return np.zeros((0, 0), np.int64), np.zeros(0, np.int64)
        bounds[w] = (bounds[a] << shift_a) + (bounds[b] << shift_b)
        if bounds[w] >= WIDEST:
            return np.zeros((0, 0), np.int64), np.zeros(0, np.int64)
        for i in range(first_node):
            table[w, i] = sign_a * (table[a, i] << shift_a) + sign_b * (table[b, i] << shift_b)
    return table, bounds
