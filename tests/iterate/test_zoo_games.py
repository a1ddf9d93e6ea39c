"""Games: small-gain certificates where the 2-norm has none, extragradient, proximal point, and divergence."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fxsim import SQ
from fxsim.iterate import count, increment_trunc, two_step, unchanged, unit
from fxsim.iterate.references import rational
from fxsim.iterate.zoo import games

B = Fraction(410, 4096)  # 0.1 on a grid
ETA = Fraction(1, 8)
TURN = [[0, -1], [1, 0]]
SADDLE = np.array([[0, 1], [-1, 0]])
WIDE = SQ(26, 12, overflow="SAT")


def close(value, expected, digits):
    return round(float(value), digits) == expected


def metric_error(raw, true, weights, frac=12):
    """Per row sum w_i e_i**2 in LSB**2, exactly."""
    return [
        sum(w * (int(r) - t * (1 << frac)) ** 2 for w, r, t in zip(weights, *pair, strict=True))
        for pair in zip(raw, true, strict=True)
    ]


def test_small_gain_certificate_where_the_two_norm_has_none():
    H = games.two_player(4, B, [[1]])
    plain = np.linalg.eigvalsh((H + H.T).astype(float) / 2)[0]
    assert close(plain, -1.05, 2)
    with pytest.raises(ValueError, match="H must be monotone in the metric of weights"):
        games.small_gain(H, (1, 1), weights=(1, 1))
    known = games.small_gain(H, (1, 1))
    assert known.weights == (4096, 163680)  # L21 / L12 = 410 / 16384
    assert close(known.alpha, 0.367, 3) and close(known.beta, 1.633, 3)  # .368, 1.632 for b = .1 itself
    assert close(known.most, 0.276, 3) and close(known.contraction(ETA), 0.9746, 4)
    assert close(games.step_norm(H, ETA, known.weights), 0.9541, 4)


def test_small_gain_bounds_are_true_of_the_matrix():
    rng = np.random.default_rng(0)
    H = np.round(rng.normal(size=(5, 5)) * 8) / 64 + np.eye(5)
    known = games.small_gain(H, (2, 1, 2))
    root = np.sqrt(np.array(known.weights, float))
    scaled = H * root[:, None] / root
    assert 0 <= np.linalg.eigvalsh((scaled + scaled.T) / 2)[0] - float(known.alpha) < 1e-6
    assert 0 <= float(known.beta) - np.linalg.norm(scaled, 2) < 1e-6
    assert games.step_norm(H, ETA, known.weights) <= known.contraction(ETA)


def test_feasible_ratios():
    low, high = games.ratio_band((1, 1), (4, Fraction(1, 10)))
    assert close(low, 5.08, 2) and close(high, 314.9, 1)
    H = games.two_player(4, B, [[1]])
    low, high = games.ratio_band((1, 1), (4, B))
    assert games.small_gain(H, (1, 1), (1, low * Fraction(1001, 1000))).alpha > 0
    assert games.small_gain(H, (1, 1), (1, high * Fraction(999, 1000))).alpha > 0
    for ratio in (low * Fraction(99, 100), high * Fraction(101, 100)):
        with pytest.raises(ValueError, match="H must be monotone"):
            games.small_gain(H, (1, 1), (1, ratio))
    with pytest.raises(ValueError, match="L12 L21 must be less than"):
        games.ratio_band((1, 1), (4, Fraction(1, 4)))


def test_small_gain_nash_ends_in_its_ball():
    """Notes: fixed after 175 sweeps, 22.2 <= 31.2 LSB in the metric (.1, .1, 4, 4); truncated after 177."""
    H = games.two_player(4, B, TURN)
    made = games.small_gain_nash(H, (2, 2), ETA)
    weights = games.small_gain(H, (2, 2)).weights
    r = games.radius(games.step_norm(H, ETA, weights), weights)
    c = np.random.default_rng(0).integers(-4096, 4096, (20, 4))
    true = games.reference(H, rational.fractions(c, 12))
    s = made.solve_raw(c=c)
    assert set(s.status) == {"fixed"} and 100 <= s.steps.min() <= s.steps.max() <= 180
    worst = max(metric_error(s.raw, true, weights))
    scale = Fraction(4, max(weights))  # the notes' weights are b and a
    assert 20**2 < worst * scale < 26**2 and 31**2 < r**2 * scale < Fraction(63, 2) ** 2
    still = games.small_gain_nash(H, (2, 2), ETA, update=increment_trunc(), stop=unchanged())
    assert still.certify().terminates_by == "T4"
    s = still.solve_raw(c=c)
    assert set(s.status) == {"fixed"} and 100 <= s.steps.min() <= s.steps.max() <= 180
    assert max(metric_error(s.raw, true, weights)) <= 4 * r**2


def test_default_eta_contracts_and_a_large_one_is_refused():
    H = games.two_player(4, B, TURN)
    assert games.small_gain_nash(H, (2, 2)) == games.small_gain_nash(H, (2, 2), ETA)
    with pytest.raises(ValueError, match=r"eta must be less than 0.2755 to contract, not 2"):
        games.small_gain_nash(H, (2, 2), 2)


def test_rotation_by_descent_extragradient_and_proximal_point():
    """From (1, 1), 400 sweeps: descent 2.6e5, extragradient 3 LSB, proximal point 7 LSB."""
    eta, one = Fraction(1, 4), [4096, 4096]
    assert close(games.extragradient_norm(SADDLE, eta), 0.9703, 4)
    assert close(games.extragradient_norm(SADDLE, eta) ** 2, 0.941406, 6)  # 1 - eta**2 + eta**4
    options = dict(state=WIDE, stop=count(400), cap=400)
    inward = games.extragradient(SADDLE, eta, **options).solve_raw(one, c=0)
    near = games.proximal_point(SADDLE, eta, **options).solve_raw(one, c=0)
    assert np.hypot(*inward.raw) <= 3 and np.hypot(*near.raw) <= 7.3

    outward = unit(
        lambda x: x - (x @ SADDLE.T) * eta,
        {"x": (WIDE, (2,))},
        update=increment_trunc(),
        stop=count(400),
        cap=400,
    )
    assert round(float(np.hypot(*outward.solve_raw(one).x)), -4) == 260000
    with pytest.raises(ValueError, match="H must be monotone in the metric"):
        games.small_gain_nash(SADDLE, (1, 1), eta)
    with pytest.raises(ValueError, match="eta must make extragradient contract, not 1"):
        games.extragradient(SADDLE, 1)


def test_proximal_contraction_is_one_over_root():
    V = games.proximal_matrix(SADDLE, Fraction(1, 4), 16)
    assert close(np.linalg.norm(V / 2**16, 2), 0.9701, 4)


def test_extragradient_is_the_update_two_step_bit_for_bit():
    eta, c = Fraction(1, 4), np.random.default_rng(1).integers(-2000, 2000, (10, 2))
    options = dict(state=WIDE, stop=count(60), cap=60)
    made = games.extragradient(SADDLE, eta, **options)
    plain = unit(
        lambda x, c: x - ((x @ SADDLE.T) - c) * eta, {"x": (WIDE, (2,))}, {"c": (SQ(1, 12), (2,))},
        update=two_step(), stop=count(60), cap=60,
    )  # fmt: skip
    assert np.array_equal(
        made.solve_raw(c=c, history=True).history, plain.solve_raw(c=c, history=True).history
    )
    assert close(made.certify().L, 0.9703, 4) and made.certify().norm == "2"


@pytest.mark.parametrize("make", [games.example, games.bilinear_example])
def test_examples_end_in_the_certified_ball(make):
    e = make()
    s = e.solve()
    found = e.unit.certify()
    assert len(s.raw) == 8 and found.terminates_by == "count" and found.contracts
    assert np.all(e.errors(s) <= np.array(found.radius, object))


def test_every_start_ends_in_the_ball():
    H = games.two_player(2, Fraction(1, 8), [[1]])
    made = games.small_gain_nash(H, (1, 1), Fraction(1, 4), frac=5)
    fmt = made.formats[0]
    starts = np.stack(np.meshgrid(*[np.arange(fmt.lo, fmt.hi + 1, 3)] * 2), axis=-1).reshape(-1, 2)
    true = games.reference(H, rational.fractions([[9, -13]], 5))
    s = made.solve_raw(starts, c=[9, -13])
    radius = np.array(made.certify().radius, object)
    off = np.abs(rational.fractions(s.raw, 5) - true)
    assert np.all(off <= radius) and np.all(radius * 32 < 20)
    plain = games.small_gain_nash(H, (1, 1), Fraction(1, 4), frac=5, stop=made.stops, cap=made.cap).certify()
    assert "the radius is that of the players' metric" in made.certify().notes and plain.contracts


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: games.small_gain(np.eye(3), (1, 1)), "players must have 3 components in all, not 2"),
        (lambda: games.small_gain(np.eye(2), (1, 1), (1, 0)), "weights must be positive"),
        (lambda: games.extragradient(np.zeros((2, 3)), 1), r"H must have shape \(n, n\), not \(2, 3\)"),
        (lambda: games.extragradient(SADDLE, 0), "eta must be one positive number, not 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
