"""Recursive filters as iterations: what each rounding leaves of a state that should fall to 0."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate import assign, cycle, increment_trunc, unit

WORD = SQ(12, 0, overflow="SAT")


def first_order(a, update):
    """x <- Q(a x)."""
    return unit(lambda x: x * a, {"x": (WORD, (1,))}, update=update, stop=cycle(), cap=5000)


def second_order(matrix, update):
    m = np.asarray(matrix)
    return unit(lambda x: x @ m.T, {"x": (WORD, (2,))}, update=update, stop=cycle(), cap=5000)


@pytest.mark.parametrize(
    "update, residues",
    [
        (assign("RND"), (-7, 8)),  # .5 / (1 - a) = 8, where the tie 7.5 goes up
        (assign("RND_INF"), (-8, 8)),
        (assign("TRN"), (-15, 0)),
        (assign("TRN_ZERO"), (0, 0)),
        (increment_trunc(), (-15, 15)),
    ],
)
def test_what_is_left_of_a_slow_decay(update, residues):
    """a = 15/16. Notes: round 8, floor 15, magnitude truncation 0."""
    s = first_order(Fraction(15, 16), update).solve_raw(np.arange(-2000, 2001)[:, None])
    assert set(s.status) == {"fixed"}
    assert (int(s.raw.min()), int(s.raw.max())) == residues


def test_nearest_rounding_of_a_negative_pole_oscillates():
    """a = -15/16: of 121 starts only 0 comes to rest."""
    starts = np.arange(-60, 61)[:, None]
    s = first_order(Fraction(-15, 16), assign("RND_INF")).solve_raw(starts)
    assert int(np.sum(s.status == "cycle")) == 120 and s.status[60] == "fixed"
    for update in (assign("TRN_ZERO"), increment_trunc()):
        s = first_order(Fraction(-15, 16), update).solve_raw(starts)
        assert set(s.status) == {"fixed"} and np.all(s.raw == 0)


def turned(r, turn):
    c, s = (round(r * f(turn) * 1024) / 1024 for f in (np.cos, np.sin))
    return [[c, -s], [s, c]]


def direct(r, turn):
    return [[round(2 * r * np.cos(turn) * 1024) / 1024, -round(r * r * 1024) / 1024], [1, 0]]


@pytest.mark.parametrize("form", [turned, direct])
def test_second_order_pole_of_radius_97(form):
    """Notes: of 200 starts nearest rounding brings none to 0 and magnitude truncation all.

    For the turned form ||trunc v|| <= ||v|| proves it; the direct form has no such proof.
    """
    starts = np.random.default_rng(0).integers(100, 400, (200, 2))
    nearest = second_order(form(0.97, 0.3), assign("RND_INF")).solve_raw(starts)
    shorter = second_order(form(0.97, 0.3), assign("TRN_ZERO")).solve_raw(starts)
    assert not np.any(np.all(nearest.raw == 0, axis=1))
    assert np.all(shorter.raw == 0) and set(shorter.status) == {"fixed"}


def test_increments_truncated_stop_a_filter_but_far_from_zero():
    """T4 needs a max-norm: |M| of this turned form has spectral radius 1.2, so that nothing is promised."""
    made = second_order(turned(0.97, 0.3), increment_trunc())
    known = made.certify()
    assert known.norm == "2" and known.contracts and known.terminates_by == "cycle"
