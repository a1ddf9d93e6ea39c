"""Registers with linear feedback: the sequence by its recurrence, periods, draws; and stochastic rounding."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim import SQ, UQ
from fxsim.layers.lfsr import POLYNOMIALS, Lfsr
from fxsim.layers.stochastic import round_raw, stochastic_cast, stochastic_rounder

FACTORS = {8: (3, 5, 17), 16: (3, 5, 17, 257), 24: (3, 5, 7, 13, 17, 241), 32: (3, 5, 17, 257, 65537)}
"""Primes of 2**n - 1."""


def sequence(name: str, seed: int, count: int) -> list[int]:
    """The bits that the recurrence a[m + n] = sum of a[m + n - e] gives, the seed's first."""
    n = POLYNOMIALS[name][0]
    a = [seed >> k & 1 for k in range(n)]
    for m in range(count):
        a.append(sum(a[m + n - e] for e in POLYNOMIALS[name]) % 2)
    return a


def reduced_power(name: str, exponent: int) -> int:
    """x**exponent modulo the polynomial over GF(2), by squaring."""
    modulus = 1 | sum(1 << e for e in POLYNOMIALS[name])

    def product(a: int, b: int) -> int:
        out = 0
        while b:
            if b & 1:
                out ^= a
            a, b = a << 1, b >> 1
            if a.bit_length() == modulus.bit_length():
                a ^= modulus
        return out

    result, base = 1, 2
    for bit in bin(exponent)[:1:-1]:
        result = product(result, base) if bit == "1" else result
        base = product(base, base)
    return result


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials_are_primitive(name):
    n = POLYNOMIALS[name][0]
    order = (1 << n) - 1
    assert reduced_power(name, order) == 1
    assert all(order % p == 0 and reduced_power(name, order // p) != 1 for p in FACTORS[n])
    rest = order
    for p in FACTORS[n]:
        while rest % p == 0:
            rest //= p
    assert rest == 1


@pytest.mark.parametrize("name", ["lfsr8", "lfsr16"])
def test_every_state_but_zero_comes_once(name):
    register = Lfsr(name, seed=1)
    state, seen = 1, set()
    while state not in seen:
        seen.add(state)
        state = register.next(state)
    assert len(seen) == (1 << register.width) - 1 and 0 not in seen and register.next(0) == 0


def test_the_worked_register():
    """Section 9: 16 bits, seed 0xACE1, b = bit0 ^ bit2 ^ bit3 ^ bit5, s = (s >> 1) | (b << 15)."""
    register = Lfsr()
    assert (register.taps, register.polynomial) == ((0, 2, 3, 5), "x^16 + x^14 + x^13 + x^11 + 1")
    state = want = 0xACE1
    for _ in range(100):
        fed = (want ^ want >> 2 ^ want >> 3 ^ want >> 5) & 1
        want = want >> 1 | fed << 15
        state = register.next(state)
        assert state == want


@pytest.mark.parametrize("steps", [1, 2, 5, 8, 13, 40])
@pytest.mark.parametrize("name", POLYNOMIALS)
def test_steps_as_graph(name, steps, rng):
    register = Lfsr(name, seed=3)
    graph = fxsim.trace(lambda s: register.step(s, steps), UQ(register.width, 0))
    x = np.concatenate([rng.integers(0, 1 << register.width, 50), [0, 1, (1 << register.width) - 1]])
    for state, got in zip(x.tolist(), graph.run_raw(x).tolist(), strict=True):
        bits = sequence(name, state, steps)[steps:]
        assert got == register.next(state, steps) == sum(b << k for k, b in enumerate(bits))


def test_draws_are_row_major_and_share_no_bit(rng):
    register = Lfsr("lfsr16", seed=99)
    bits = sequence("lfsr16", 99, 7 * 6)
    want = [sum(bits[7 * k + 7 + j] << j for j in range(7)) for k in range(5)]
    drawn, state = register.draws(5, 7)
    assert drawn.tolist() == want and state == register.next(99, 35)

    def step(s):
        r, s = register.draw(s, (2, 3), 4, steps=3)
        return s, r

    machine = fxsim.Machine((register.seed,), fxsim.trace(step, UQ(16, 0)))
    (r,), (last,) = machine.free_run(1, 5)
    drawn, state = register.draws(5 * 6, 4, steps=3)
    assert r.ravel().tolist() == drawn.tolist() and last[0] == state


@pytest.mark.parametrize("raw", [1000, -1000, 37, -1, 255, -32768, 32767])
def test_the_mean_over_all_draws_is_exact(raw):
    """Section 0.4: 1000 >> 8 has mean 3.906250 over all r, -1000 has -3.906250."""
    graph = fxsim.trace(lambda x, r: stochastic_cast(x, r, SQ(9, 0)), SQ(8, 8), UQ(8, 0))
    got = graph.run_raw(np.full(256, raw), np.arange(256))
    assert got.tolist() == [(raw + r) >> 8 for r in range(256)]
    assert Fraction(int(got.sum()), 256) == Fraction(raw, 256)


@pytest.mark.parametrize("target", [SQ(4, 0), SQ(4, 0, overflow="SAT"), UQ(3, 1, overflow="SAT")])
def test_a_stream_of_tensors(target, rng):
    source = SQ(6, 4)
    register = Lfsr("lfsr24", seed=12345)
    machine = stochastic_rounder(source, target, (2, 3), register, steps=2)
    x = rng.integers(source.lo, source.hi + 1, (1, 30, 2, 3))
    (got,), _ = machine.run_raw(x)
    s, state, want = source.frac - target.frac, register.seed, []
    for q in x.ravel().tolist():
        state = register.next(register.next(state))
        y = (q + (state & (1 << s) - 1)) >> s
        wrapped = (y - target.lo) % (1 << target.width) + target.lo
        want.append(min(max(y, target.lo), target.hi) if target.overflow == "SAT" else wrapped)
    assert got.ravel().tolist() == want
    np.testing.assert_array_equal(round_raw(x[0], source, target, register, steps=2), got[0])


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="name must be one of lfsr8, lfsr16, lfsr24, lfsr32, not 'crc'"):
        Lfsr("crc")
    with pytest.raises(ValueError, match=r"seed of lfsr8 must lie in 1\.\.255, not 0"):
        Lfsr("lfsr8", 0)
    with pytest.raises(TypeError, match=r"seed must be an integer, not 1\.5"):
        Lfsr("lfsr8", 1.5)
    with pytest.raises(ValueError, match=r"bits of a draw from lfsr8 must lie in 1\.\.8, not 9"):
        Lfsr("lfsr8", 1).draws(1, 9)
    with pytest.raises(ValueError, match="steps of a draw must be at least 1, not 0"):
        Lfsr("lfsr8", 1).draws(1, 8, steps=0)
    with pytest.raises(TypeError, match=r"state of lfsr8 must be a scalar UQ\(8, 0\)"):
        fxsim.trace(Lfsr("lfsr8", 1).step, UQ(7, 0))
    with pytest.raises(ValueError, match="at least one element"):
        fxsim.trace(lambda s: Lfsr().draw(s, (0,), 3), UQ(16, 0))
    with pytest.raises(ValueError, match="fmt must have fewer than the 4 fraction bits of x, not 4"):
        fxsim.trace(lambda x: stochastic_cast(x, x, SQ(4, 4)), SQ(4, 4))
    with pytest.raises(ValueError, match=r"random must be integers of raw 0\.\.3, not scalar u3"):
        fxsim.trace(lambda x, r: stochastic_cast(x, r, SQ(4, 2)), SQ(4, 4), UQ(3, 0))
    with pytest.raises(ValueError, match="target must have fewer"):
        stochastic_rounder(SQ(4, 4), SQ(4, 5))
