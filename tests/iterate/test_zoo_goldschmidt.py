"""Goldschmidt's division: errors that stay, guard bits, the pipeline and the bound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fxsim.iterate.zoo import goldschmidt as zoo_function
from fxsim.iterate.zoo import names
from fxsim.iterate.zoo.goldschmidt import (
    bound,
    example,
    goldschmidt,
    goldschmidt_pipeline,
    goldschmidt_start,
    reference,
)

D = np.arange(1 << 15, 1 << 16)[:, None]


def worst(n, d, width, guard):
    """max |Q(n) - 1/d| in LSB of `width`, n rounded to it to nearest, exactly."""
    q = (n.astype(object) + (1 << guard >> 1)) >> guard
    off = np.abs(q * d - (1 << (2 * width)))
    return max(Fraction(int(a), int(b)) for a, b in zip(off.ravel(), d.ravel(), strict=True))


@pytest.mark.parametrize("guard, expected", [(0, 2.4), (2, 1.06), (4, 0.67)])
def test_errors_of_every_divisor(guard, expected):
    u = goldschmidt(16, 6, guard, 3)
    s = u.solve_raw(goldschmidt_start(D, 16, 6, guard), history=True)
    got = [worst(n, D, 16, guard) for n in s.history["n"]]
    assert round(float(got[2]), 1 if guard == 0 else 2) == expected
    assert got[3] == got[2]  # q is 1 and stays: what is lost is never repaired
    for k in range(4):
        assert got[k] <= bound(16, 6, guard, k)


def test_default_sweeps():
    assert [goldschmidt(w).cap for w in (8, 16, 24, 32)] == [1, 2, 2, 3]


@pytest.mark.parametrize("width, seed_bits, guard", [(6, 3, 0), (8, 3, 4), (8, 3, 10)])
def test_pipeline_is_the_unit_bit_for_bit(width, seed_bits, guard):
    d = np.arange(1 << (width - 1), 1 << width)
    a = np.arange((1 << width) + 1)
    a, d = (v.reshape(-1, 1) for v in np.meshgrid(a, d))
    s = goldschmidt(width, seed_bits, guard).solve_raw(goldschmidt_start(d, width, seed_bits, guard, a))
    rounded = (s.raw["n"] + (1 << guard >> 1)) >> guard
    got = goldschmidt_pipeline(width, seed_bits, guard).run_raw(a, d)
    assert np.array_equal(got, rounded)
    limit = bound(width, seed_bits, guard, goldschmidt(width, seed_bits, guard).cap)
    off = np.abs(got * d - (a << width)) / d
    assert off.max() <= limit < (1.6 if guard else 6)


def test_example_is_right_to_the_bound():
    e = example()
    s = e.solve()
    assert len(s.raws[0]) == 64 and np.max(e.errors(s)) <= bound(16, 6, 4, e.unit.cap) / (1 << 16)
    assert reference(np.array([3]), 2, np.array([1]))[0] == Fraction(1, 3)


def test_the_library_finds_it():
    assert zoo_function is goldschmidt and "goldschmidt" in names()


def test_bad_guard():
    with pytest.raises(ValueError, match=r"guard must be an integer in 0..64, not -1"):
        goldschmidt(guard=-1)
