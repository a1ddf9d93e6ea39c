"""Newton's reciprocal and 1/sqrt: every operand of 16 bits, the seed tables, the pipelines and the bounds."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest

from fxsim.iterate.zoo import newton

WIDTH = 16


def worst_reciprocal(y, d, width=WIDTH):
    """max |y - 1/d| in LSB, exactly: |y d - 2**(2 width)| / d."""
    off = np.abs(y.astype(object) * d - (1 << (2 * width)))
    return max(Fraction(int(a), int(b)) for a, b in zip(off.ravel(), d.ravel(), strict=True))


def worst_rsqrt(y, d, width=WIDTH):
    """max |y - 1/sqrt d| in LSB from 1/sqrt d to 40 more bits."""
    fine = 40
    roots = [isqrt((1 << (3 * width + 2 * fine)) // int(v)) for v in d.ravel()]
    return max(abs(Fraction((int(a) << fine) - r, 1 << fine)) for a, r in zip(y.ravel(), roots, strict=True))


@pytest.mark.parametrize(
    "seed_bits, expected", [(4, (3972, 120, 0.60, 0.50)), (6, (1016, 8.0, 0.50)), (8, (256, 0.99, 0.50))]
)
def test_errors_of_the_reciprocal_of_every_operand(seed_bits, expected):
    d = np.arange(1 << 15, 1 << 16)[:, None]
    sweeps = len(expected) - 1
    u = newton.reciprocal(WIDTH, seed_bits, sweeps)
    s = u.solve_raw(newton.reciprocal_seed(d, WIDTH, seed_bits), history=True, d=d)
    assert set(s.status) == {"count"} and set(s.steps) == {sweeps}
    for k, want in enumerate(expected):
        worst = worst_reciprocal(s.history[k], d)
        assert round(float(worst), 0 if want > 9 else 1 if want == 8.0 else 2) == want
        assert worst <= newton.reciprocal_bound(WIDTH, seed_bits, k)
        assert newton.reciprocal_bound(WIDTH, seed_bits, k) <= worst * Fraction(107, 100) + Fraction(1, 2)


@pytest.mark.parametrize(
    "guard, expected", [(0, (1012, 12, 1.0)), (2, (1012, 12, 0.64)), (None, (1012, 12, 0.50))]
)
def test_errors_of_rsqrt_of_every_operand(guard, expected):
    d = np.arange(1 << 14, 1 << 16)[:, None]
    u = newton.rsqrt(WIDTH, 6, 3, guard=guard)
    s = u.solve_raw(newton.rsqrt_seed(d, WIDTH, 6), history=True, d=d)
    worst = [worst_rsqrt(s.history[k], d) for k in range(4)]
    assert len(set(newton.rsqrt_seed(d, WIDTH, 6).ravel())) <= 96
    assert [round(float(w)) for w in worst[:2]] == list(expected[:2])
    assert round(float(worst[3]), 1 if guard == 0 else 2) == expected[2]
    for k in range(4):
        assert worst[k] <= newton.rsqrt_bound(WIDTH, 6, k, guard)


def test_default_sweeps_give_less_than_one_lsb():
    assert [newton.reciprocal(16, b).cap for b in (4, 6, 8)] == [2, 2, 2]
    assert newton.reciprocal(24, 6).cap == 2 and newton.reciprocal(32, 8).cap == 2
    assert newton.rsqrt(16, 6).cap == 2 and newton.rsqrt(16, 6, guard=0).cap == 2


@pytest.mark.parametrize("width, seed_bits", [(6, 2), (8, 3), (10, 1)])
def test_pipeline_is_the_unit_bit_for_bit(width, seed_bits):
    d = np.arange(1 << (width - 1), 1 << width)[:, None]
    u, g = newton.reciprocal(width, seed_bits), newton.reciprocal_pipeline(width, seed_bits)
    got = u.solve_raw(newton.reciprocal_seed(d, width, seed_bits), d=d).raw
    assert np.array_equal(g.run_raw(d), got)
    assert worst_reciprocal(got, d, width) <= newton.reciprocal_bound(width, seed_bits, u.cap) < 1
    d = np.arange(1 << (width - 2), 1 << width)[:, None]
    u, g = newton.rsqrt(width, seed_bits), newton.rsqrt_pipeline(width, seed_bits)
    got = u.solve_raw(newton.rsqrt_seed(d, width, seed_bits), d=d).raw
    assert np.array_equal(g.run_raw(d), got)
    assert worst_rsqrt(got, d, width) <= newton.rsqrt_bound(width, seed_bits, u.cap) < 1


def test_lanes_are_independent():
    d = np.array([[40000, 65535, 32768]])
    seed = newton.reciprocal_seed(d)
    s = newton.reciprocal(lanes=3).solve_raw(seed, d=d)
    one = newton.reciprocal().solve_raw(seed.T, d=d.T)
    assert s.raw.ravel().tolist() == one.raw.ravel().tolist() and s.raw[0, 2] == 2 << 16


@pytest.mark.parametrize("make", [newton.example, newton.rsqrt_example])
def test_example_is_right_to_the_bound(make):
    e = make()
    s = e.solve()
    bound = newton.reciprocal_bound(16, 4, 2) if make is newton.example else newton.rsqrt_bound(16, 6, 2)
    assert len(s.raw) == 64 and np.max(e.errors(s)) <= bound / (1 << 16)


def test_reference_of_a_root_is_below_it_by_less_than_its_last_bit():
    (r,) = newton.reference(np.array([30000]), 16, root=True)
    d, step = Fraction(30000, 1 << 16), Fraction(1, 1 << 128)
    assert r * r * d <= 1 < (r + step) ** 2 * d
    assert newton.reference(np.array([49152]), 16)[0] == Fraction(4, 3)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: newton.reciprocal(1), "width must be an integer in 2..64, not 1"),
        (lambda: newton.reciprocal(8, 8), "seed_bits must be less than width, not 8 of 8"),
        (lambda: newton.rsqrt(8, 0), "seed_bits must be an integer in 1..16, not 0"),
        (lambda: newton.reciprocal_seed([5]), "d must be raw 32768..65535, not 5..5"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
