"""Nash mirror prox and exponentiated gradients: rates within the bound, proven distances, refusals."""

from fractions import Fraction

import numpy as np
import pytest

from fxsim.iterate.references import rational
from fxsim.iterate.softmax import softmax_exact
from fxsim.iterate.updates import assign
from fxsim.iterate.zoo.mirror_prox import (
    coefficients,
    distance,
    example,
    exponentiated_gradient,
    mirror_prox,
    reference,
    rock_paper_scissors,
)
from fxsim.layers.references import PRECISION, log2


def antisymmetric(n, seed):
    values = np.random.default_rng(seed).uniform(-1, 1, (n, n))
    return (values - values.T) / 2


def policies(l):
    p = 2.0**l
    return p / p.sum(-1, keepdims=True)


@pytest.mark.parametrize(
    ("P", "beta", "steps"),
    [(rock_paper_scissors() / 2, 0.1, 74), (antisymmetric(8, 0), 0.1, 97), (antisymmetric(8, 0), 0.5, 20)],
)
def test_divergence_falls_as_the_paper_says_and_the_integers_come_to_rest(P, beta, steps):
    rng = np.random.default_rng(1)
    l_ref, start = (-rng.integers(0, k << 12, len(P)) for k in (2, 4))
    unit = mirror_prox(P, beta, update=assign("RND"))
    found = unit.solve_raw(start - start.max(), l_ref=l_ref - l_ref.max(), history=True)
    assert found.status == "fixed" and abs(int(found.steps) - steps) < 25
    exact = reference(P, beta, (l_ref - l_ref.max()) / 4096)[0]
    wanted = np.array([float(p) for p in softmax_exact(list(exact))])
    seen = policies(found.history / 4096)
    divergence = (wanted * np.log(wanted / seen)).sum(-1)
    above = divergence[1:] > 1e-4  # below it the roundings are seen
    factors = (divergence[1:] / divergence[:-1])[above]
    assert factors.max() < 1 / (1 + 2 * beta)
    assert np.max(np.abs(seen[-1] - wanted)) <= 2.2e-4
    proven = distance(P, beta, found.raw / 4096, (l_ref - l_ref.max()) / 4096)
    assert np.abs(seen[-1] - wanted).sum() <= proven < Fraction(1, 500)


def test_the_reference_solves_the_game_of_the_coefficients():
    P = antisymmetric(4, 3)
    shrink, pull, game = coefficients(P, 0.3)
    assert shrink + pull == 1 and np.array_equal(game, -game.T)
    l_ref = np.array([0, -1, -0.5, -2])
    (l,) = reference(P, 0.3, l_ref)
    pi = softmax_exact(list(l))
    r = [pull * (Fraction(float(f)) - v) for f, v in zip(l_ref, l, strict=True)]
    r = [
        a + sum(int(g) * p for g, p in zip(row, pi, strict=True)) / (1 << 14)
        for a, row in zip(r, game, strict=True)
    ]
    assert max(r) - min(r) < Fraction(1, 1 << 60) and max(l) == 0
    assert distance(P, 0.3, l, l_ref) <= Fraction(1, 1 << 64)
    # A larger beta keeps the policy nearer to the reference.
    assert np.abs(np.array(reference(P, 9, l_ref)[0] - l_ref, float)).max() < 0.2


def test_default_update_rests_where_nearest_rounding_goes_round():
    shown = example()
    found = shown.solve()
    nearest = mirror_prox(rock_paper_scissors(5), 0.25, frac=10, update=assign("RND")).solve_raw(
        **shown.problems
    )
    assert np.sum(found.status == "cycle") <= 2 and np.sum(nearest.status == "cycle") >= 5
    assert set(found.status) <= {"fixed", "cycle"} and shown.unit.certify().terminates_by == "cycle"
    l_ref = shown.problems["l_ref"]
    exact = shown.reference()
    assert np.max(np.abs(found.raw - exact * 1024)) < 30
    for l, star, far in zip(found.raw, exact, l_ref, strict=True):
        pi, wanted = (softmax_exact([Fraction(v) for v in a]) for a in (l / 1024, star))
        bound = distance(rock_paper_scissors(5), 0.25, l / 1024, far / 1024)
        assert sum(abs(a - b) for a, b in zip(pi, wanted, strict=True)) <= bound < Fraction(1, 100)


def test_without_the_half_step_the_pull_of_the_reference_has_to_be_stronger():
    game = rock_paper_scissors()
    start, l_ref = [0, -4096, -8192], [0, 0, 0]
    for beta, extra, rests in ((0.1, True, True), (0.1, False, False), (2, False, True)):
        found = mirror_prox(game, beta, extra=extra).solve_raw(start, l_ref=l_ref)
        near = float(np.abs(policies(found.x) - 1 / 3).sum()) < 0.01
        assert near == rests


def least_squares(seed, rows=64, n=16):
    rng = np.random.default_rng(seed)
    A = np.rint(rng.normal(size=(rows, n)) / np.sqrt(rows) * 64) / 64
    signs = rng.choice([-1, 1], n)
    b = np.rint(A @ (signs * rng.uniform(0.3, 2, n)) * 256).astype(np.int64)
    return A, signs, b


def test_exponentiated_gradient_finds_the_weights_of_given_signs():
    A, signs, b = least_squares(0)
    found = exponentiated_gradient(A, signs).solve_raw(b=b, history=True)
    assert found.status == "fixed" and int(found.steps) < 300
    a = rational.fractions(A)
    exact = rational.solve(a.T @ a, a.T @ rational.fractions(b, 8))
    assert all(w * int(s) > 0 for w, s in zip(exact, signs, strict=True))
    weights = signs * 2.0 ** (found.raw / 4096)
    assert np.max(np.abs(weights - exact.astype(float))) < 0.01
    # In the logarithms, by enclosures of log2 of the exact weights.
    wanted = [Fraction(sum(log2(abs(w))), 2 << PRECISION) for w in exact]
    worst = max(abs(Fraction(int(v), 4096) - w) for v, w in zip(found.raw, wanted, strict=True))
    assert worst < Fraction(1, 20)
    objective = ((A @ (signs * 2.0 ** (found.history / 4096)).T - b[:, None] / 256) ** 2).sum(0)
    assert np.all(np.diff(objective) < 1e-3)


def test_a_weight_of_the_other_sign_fades():
    found = exponentiated_gradient([[1.0, 0.5], [0.5, 1.0]], [1, 1]).solve_raw(b=[256, -128])
    # The best weights are 5/3 and -4/3; the second cannot change its sign.
    assert found.status == "fixed" and found.raw[1] < -2 * 4096


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: mirror_prox([[0, 1]], 1), ValueError, "P must be a square matrix of finite numbers"),
        (lambda: mirror_prox([[0, np.nan], [0, 0]], 1), ValueError, "P must be a square matrix of finite"),
        (lambda: mirror_prox(np.zeros((2, 2)), 0), ValueError, "beta and eta must be positive, not 0"),
        (lambda: mirror_prox(np.zeros((2, 2)), 1, eta=-1), ValueError, "beta and eta must be positive"),
        (lambda: mirror_prox(np.zeros((2, 2)), 1e-9), ValueError, "must be seen at 14 bits"),
        (lambda: rock_paper_scissors(4), ValueError, "n must be odd and at least 3, not 4"),
        (lambda: exponentiated_gradient([1, 2], [1]), ValueError, "A must be a matrix"),
        (lambda: exponentiated_gradient([[1, 2]], [1, 0]), ValueError, "signs must be 2 of -1 and 1"),
        (lambda: exponentiated_gradient([[1, 2]], [1, 1], eta=0), ValueError, "eta must be one positive"),
    ],
)
def test_refuses(make, error, text):
    with pytest.raises(error, match=text):
        make()
