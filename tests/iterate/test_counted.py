"""Counted stops: the least K for a range and a metric, and certificates of many sweeps."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate import count, theorems, unchanged, unit
from fxsim.iterate.counted import counted, sweeps
from fxsim.iterate.updates import assign

FORMAT = SQ(1, 9, overflow="SAT")


@pytest.mark.parametrize(
    "L, weights, K", [(Fraction(1, 2), None, 10), (Fraction(1, 2), (1, 16), 12), (Fraction(0), None, 1)]
)
def test_sweeps_is_the_least_number(L, weights, K):
    """sqrt 2 * 1023 LSB fall below one in 11 halvings, and 4 times that in 13; 1023 in 10."""
    formats = [FORMAT] if weights is None else [FORMAT] * 2
    assert sweeps(L, formats, weights) == (K if weights is None else K + 1)


def made(matrix, **options):
    m = np.asarray(matrix)
    return lambda **more: unit(
        lambda x: x @ m.T, {"x": (FORMAT, (len(m),))}, update=assign("RND"), **{**more, **options}
    )


def test_counted_reaches_the_certified_ball():
    turn, L = np.array([[3, -4], [4, 3]]) * 3 / 16, Fraction(15, 16)
    u = counted(made(turn), L, [FORMAT] * 2)
    known = u.certify()
    assert u.stops == (unchanged(), count(u.cap)) and known.norm == "2" and 0 <= known.L - L < 1e-8
    assert sweeps(L, [FORMAT] * 2) == 113 <= u.cap <= 114
    assert all(r <= theorems.ball(known.L, (Fraction(1, 2),) * 2, None) + 1 for r in known.radius_ulps)


def test_counted_takes_more_sweeps_for_a_certificate_of_another_norm():
    skew = np.array([[0, 7], [0, 0]]) / 8
    u = counted(made(skew), Fraction(1, 8), [FORMAT] * 2)
    assert u.certify().norm == "max" and u.cap > sweeps(Fraction(1, 8), [FORMAT] * 2)


def test_a_certificate_of_many_sweeps_can_be_printed():
    """L**K of thousands of digits is rounded up: Python prints no integer beyond 4300 digits."""
    turn = np.round(np.array([[3, -4], [4, 3]]) / 5 * 2**20) / 2**20 * (1 - 2**-6)
    u = made(turn, stop=count(900), cap=900)()
    known = u.certify()
    assert known.terminates_by == "count" and known.norm == "2"
    assert Fraction(json.loads(known.json())["radius"][0]) == known.radius[0] and "radius" in repr(known)
    assert theorems.power_above(Fraction(3, 5), 900) >= Fraction(3, 5) ** 900
