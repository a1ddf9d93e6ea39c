"""Halpern's anchor and damping on non-expansive maps: rates, the floor at half the bits, frozen anchors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate import anchor, assign, count, cycle, unchanged, unit
from fxsim.iterate.references import rational
from fxsim.iterate.zoo.halpern import (
    averaging,
    best_steps,
    example,
    halpern,
    krasnoselskii_mann,
    lambdas,
    reference,
    residual_bound,
    rotation,
    rounding,
    turn,
)

SINE = float(np.sqrt(3) / 2)
TURN = np.array([[0.5, -SINE], [SINE, 0.5]])


def residuals(history, frac):
    x = history / 2.0**frac
    return np.linalg.norm(x - x @ TURN.T, axis=-1)


def circle(frac, rows=8):
    a = np.arange(rows) * np.pi / 4 + 0.1
    return np.round(np.stack([np.cos(a), np.sin(a)], axis=1) * 2**frac * 0.999).astype(np.int64)


def test_rotation_never_converges_by_itself():
    plain = unit(
        turn(60), {"x": (SQ(3, 12, overflow="SAT"), (2,))}, update=assign("RND"), stop=count(500), cap=500
    )
    s = plain.solve_raw(circle(12), history=True)
    assert residuals(s.history, 12).min() > 0.99


def test_rates_of_halpern_on_the_rotation():
    """Notes: .17, 1.8e-2, 1.8e-3 after 10, 100, 1000 sweeps; it swings between 1 / k and 2 / k."""
    made = rotation(60, 20, steps=1010)
    s = made.solve_raw(circle(20), history=True)
    assert set(s.status) == {"count"} and set(s.steps) == {1010}
    found = residuals(s.history, 20)
    delta = rounding(2, Fraction(1, 1 << 20), Fraction(1, 1 << 25), 1)
    for k in range(1, 1011):
        assert found[k].max() <= residual_bound(k, 1, delta)
    for k, low, high in ((10, 0.09, 0.18), (100, 0.9e-2, 2.0e-2), (1000, 0.9e-3, 2.1e-3)):
        assert low < found[k].max() < found[k - 1 : k + 5].max() < high


@pytest.mark.parametrize("frac, floor", [(8, 2.2e-2), (12, 1.7e-3)])
def test_floors_are_the_root_of_the_lsb(frac, floor):
    """In the notes 2.2e-2 and 1.7e-3, and at 16 and 20 bits 7e-4 and 1.6e-4 (benchmarks)."""
    delta = rounding(2, Fraction(1, 1 << frac))
    steps = best_steps(1, delta)
    assert abs(steps - float(2 / delta) ** 0.5) < 1
    found = residuals(rotation(60, frac, steps=1500).solve_raw(circle(frac), history=True).history, frac)
    assert found[steps].max() <= residual_bound(steps, 1, delta) < 2.1 * float(2 * delta) ** 0.5
    assert floor / 5 < found[-6:].mean() < 2 * floor
    assert rotation(60, frac).cap == steps


def test_lambdas():
    assert lambdas(3, 4) == [Fraction(1, 2), Fraction(5, 16), Fraction(1, 4)]
    table = lambdas(100, 12)
    assert all(abs(v - Fraction(1, k + 2)) <= Fraction(1, 1 << 13) for k, v in enumerate(table))


@pytest.mark.parametrize("frozen", [2, 5])
def test_frozen_anchor_ends_in_its_certified_ball(frozen):
    frac = 12
    made = rotation(60, frac, frozen=frozen)
    known = made.certify()
    assert 0 < known.L - (1 - Fraction(1, 1 << frozen)) < 1e-8 and known.terminates_by == "count"
    x0 = circle(frac)
    s = made.solve_raw(x0)
    # x = l x0 + (1 - l) R x, R of the stored coefficients
    q = rational.fractions(np.array([[1 << 27, -int(SINE * 2**28)], [int(SINE * 2**28), 1 << 27]]), 28)
    l = Fraction(1, 1 << frozen)
    eye = rational.fractions(np.eye(2, dtype=np.int64))
    true = rational.solve(eye - q * (1 - l), (rational.fractions(x0, frac) * l).T).T
    assert np.all(np.abs(rational.fractions(s.raw, frac) - true) <= np.array(known.radius, object))
    lam, delta = float(l), 2**-0.5 / 2**frac
    assert residuals(s.raw, frac).max() <= 2 * lam + 2 * delta / lam


def test_an_anchor_is_not_enclosed_from_two_corners():
    """x <- x0 / 2 + x / 4 is order-preserving, but its fixed point 2 x0 / 3 follows the corner."""
    x, half = {"x": (SQ(4, 6, overflow="SAT"), (1,))}, Fraction(1, 2)
    ends = []
    for rounding_mode, start in (("TRN", -512), ("CEIL", 511)):
        made = unit(
            lambda x: x >> 1, x, update=anchor([half], assign(rounding_mode)), stop=unchanged(), cap=99
        )
        ends.append(int(made.solve_raw([start], certified=False).raw[0]))
        assert not made.certify().enclosure and made.certify().width is None
    assert ends == [-342, 341]


def test_averaging_finds_the_mean():
    made = averaging(8, 16)
    x0 = np.random.default_rng(0).integers(-(1 << 16), 1 << 16, (20, 8))
    s = made.solve_raw(x0)
    true = reference(x0, 16)
    off = np.abs(rational.fractions(s.raw, 16) - true).max(axis=1)
    # ||x - mean|| <= ||x - T x|| / (2 sin(pi / 8)), and ||x0 - mean|| <= sqrt 8
    delta = rounding(8, Fraction(1, 1 << 16), Fraction(1, 1 << 23), Fraction(283, 100))
    limit = residual_bound(made.cap, Fraction(283, 100), delta) / Fraction(765, 1000)
    assert float(max(off)) <= limit and true[0][0] == Fraction(int(x0[0].sum()), 8 << 16)


def test_averaging_ends_in_its_certified_radius():
    made = averaging(4, 10)
    known = made.certify()
    starts = np.random.default_rng(3).integers(-2048, 2048, (200, 4))
    s = made.solve_raw(np.concatenate([starts, [[2047, -2048, 2047, -2048], [2047, 2047, -2048, -2048]]]))
    assert known.terminates_by == "count" and "the radius is around the mean of the start" in known.notes
    means = np.concatenate([starts.mean(axis=1), [-0.5, -0.5]])[:, None]
    assert np.abs(s.raw - means).max() <= float(known.radius_ulps[0]) < 400
    assert averaging(4, 10, stop=count(9)).certify().radius is None


def test_example_is_within_the_bound():
    e = example()
    s = e.solve()
    rows = e.start
    R = Fraction(3, 2)  # of rows in 0..1 around their mean: sqrt 8 / 2
    delta = rounding(8, Fraction(1, 1 << 16), Fraction(1, 1 << 23), R)
    assert len(rows) == 32 and set(s.status) == {"count"}
    assert np.max(e.errors(s)) <= residual_bound(e.unit.cap, R, delta) / Fraction(765, 1000)
    assert float(np.max(e.errors(s))) < 0.01


def test_krasnoselskii_mann_converges_where_the_map_turns():
    x = {"x": (SQ(3, 12, overflow="SAT"), (2,))}
    made = krasnoselskii_mann(turn(60), x)
    s = made.solve_raw(circle(12))
    assert set(s.status) == {"fixed"} and np.abs(s.raw).max() <= 2  # the half-way turn has L = .866
    slow = krasnoselskii_mann(turn(60), x, s=4, steps=50)
    assert set(slow.solve_raw(circle(12)).status) == {"count"}
    assert made.certify().terminates_by == "cycle" and made.stops == (cycle(), count(1000))


def test_several_states_share_one_anchor():
    """The rotation as two scalar states."""
    fmt = SQ(3, 10, overflow="SAT")
    made = halpern(lambda a, b: (-b, a), {"a": (fmt, ()), "b": (fmt, ())}, steps=30)
    s = made.solve_raw({"a": [1024, 0], "b": [0, 1024]})
    assert max(np.abs(s.raws[0]).max(), np.abs(s.raws[1]).max()) <= 2 * 1024 / 31


@pytest.mark.parametrize(
    "bad, message",
    [
        (dict(R=0), "R must be positive, not 0"),
        (dict(frozen=0), "frozen must be an integer of at least 1, not 0"),
        (dict(steps=0), "steps must be an integer of at least 1, not 0"),
    ],
)
def test_bad_arguments(bad, message):
    with pytest.raises(ValueError, match=message):
        rotation(60, 8, **bad)
