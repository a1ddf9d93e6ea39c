"""What Python calls, compiled once and kept in Numba's cache on disk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from . import HERE, content, linear
from . import anneal as annealing
from . import digits as signed_digits
from . import drawing as drawings
from . import greedy as greedy_pass
from . import tree as trees
from .state import BITS, C_PARENT, COST, FORMS, make_state

COLD = 1e-3  # a temperature at which nothing worse is kept
SMALL = (2, 1 << 11, 1 << 12)  # room for the few trials that follow a greedy pass


@njit
def _one(lo, hi, n_in, n_cols, span, terms, longest, digits, parents, limit, bits, salt, seed):
    """One greedy pass."""
    s = make_state(lo, hi, n_in, n_cols, span, terms, longest, seed)
    s.g[BITS] = bits
    greedy_pass.load(s, digits, limit)
    for c in range(n_cols):
        s.c[c, C_PARENT] = parents[c]
    greedy_pass.greedy(s, salt)
    d = drawings.make_drawing(s)
    least = np.full(2, 1 << 60, np.int64)
    drawings.draw(s, d, least)
    least[0] = s.g[COST]
    return s, d, least


def _entries(version: str) -> tuple[Any, ...]:
    # A value that a function closes over is part of its key in the cache. Numba looks at one file only, and
    # would keep code of the others that has changed.

    @njit(cache=True)
    def first(lo, hi, n_in, n_cols, span, terms, longest, digits, parents, limit, bits, salt, seed, trials):
        """After a greedy pass and `trials` recodings that keep what is no worse: state, drawing, (cost in the
        state, cost of the drawing), and the coefficients to recode.

        Of the first trials after a greedy pass, recodings gain the most.
        """
        version  # noqa: B018
        s, d, least = _one(
            lo, hi, n_in, n_cols, span, terms, longest, digits, parents, limit, bits, salt, seed
        )
        choices, s.g[FORMS] = signed_digits.coefficients(digits, n_in)
        if trials > 0 and least[1] > 0:
            s = annealing.prepared(s, *SMALL)
            if bits:
                annealing.reprice(s, d, 1, least)
            none, nowhere = np.zeros((0, 0), np.int64), np.zeros((0, 0, 4), np.int64)
            annealing.anneal(s, d, none, nowhere, choices, trials, COLD, least, True)
        return s, d, least, choices

    @njit(cache=True)
    def anneal(s, d, weights, near, choices, trials, temperature, least):
        version  # noqa: B018
        return annealing.anneal(s, d, weights, near, choices, trials, temperature, least)

    @njit(cache=True)
    def prepared(s):
        version  # noqa: B018
        return annealing.prepared(s, 4, 1 << 16, 1 << 15)

    @njit(cache=True)
    def reprice(s, d, bits, least):
        version  # noqa: B018
        annealing.reprice(s, d, bits, least)

    @njit(cache=True)
    def matrix_digits(weights, drop):
        version  # noqa: B018
        return signed_digits.matrix_digits(weights, drop)

    @njit(cache=True)
    def rows(nodes, first_node):
        version  # noqa: B018
        return linear.rows(nodes, first_node)

    @njit(cache=True)
    def loads(digits, columns):
        version  # noqa: B018
        return signed_digits.loads(digits, columns)

    @njit(cache=True)
    def relatives(weights, count):
        version  # noqa: B018
        return trees.relatives(weights, count)

    @njit(cache=True)
    def tree_digits(digits, weights, near, extra, first_sum):
        version  # noqa: B018
        place = trees.spanning_tree(near, extra)
        parents = np.full(weights.shape[1], -1, np.int64)
        for c in range(weights.shape[1]):
            if place[c] >= 0:
                parents[c] = near[c, place[c], 0]
        return trees.tree_digits(digits, weights, near, place, first_sum), parents

    return first, anneal, prepared, reprice, matrix_digits, rows, loads, relatives, tree_digits


_compiled = _entries(content(HERE))
first, anneal, prepared, reprice, matrix_digits, rows, loads, relatives, tree_digits = _compiled
