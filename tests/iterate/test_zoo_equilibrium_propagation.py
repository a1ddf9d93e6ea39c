"""Equilibrium propagation: rest at the least energy, exact references, gradients, refusals."""

from fractions import Fraction

import numpy as np
import pytest

from fxsim import data
from fxsim.iterate.updates import assign
from fxsim.iterate.zoo.equilibrium_propagation import (
    digit_net,
    equilibrium_propagation,
    example,
    gradient,
    reference,
)


def net(seed, n=20, inputs=6):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, n)) / np.sqrt(n) / 2
    W = np.rint((A + A.T) / 2 * 256) / 256
    np.fill_diagonal(W, 0)
    return W, np.rint(rng.normal(size=(n, inputs)) * 32) / 64, rng


def gradient_error(seed, frac, beta, **options):
    """|estimate - true gradient| / |true gradient|, the true one by implicit differentiation in floats."""
    W, U, rng = net(seed)
    n, outputs = len(W), 4
    x, y = rng.integers(0, 257, 6), rng.integers(0, 257, outputs)
    common = {"outputs": outputs, "frac": frac, "cap": 5000, **options}
    certified = "update" not in options
    free = equilibrium_propagation(W, U, 0.375, **common).solve_raw(x=x, certified=certified)
    plus, minus = (
        equilibrium_propagation(W, U, 0.375, beta=s * beta, **common).solve_raw(
            free.raw, x=x, y=y, certified=certified
        )
        for s in (1, -1)
    )
    assert free.status == plus.status == minus.status == "fixed"
    found = gradient(plus.raw, minus.raw, beta, frac).astype(float)
    s = np.array(reference(W, U, 0.375, x / 256, outputs=outputs)[0], float)
    inside = (s > 0) & (s < 1)
    error, adjoint = np.zeros(n), np.zeros(n)
    error[-outputs:] = s[-outputs:] - y / 256
    adjoint[inside] = np.linalg.solve((np.eye(n) - W)[np.ix_(inside, inside)], error[inside])
    true = np.outer(adjoint, s) + np.outer(s, adjoint)
    return np.linalg.norm(found - true) / np.linalg.norm(true)


def test_gradient_error_is_least_about_the_third_root_of_an_lsb():
    # Bias beta**2 at 22 bits; the rounded states at 10.
    fine = {k: gradient_error(0, 22, Fraction(1, 1 << k)) for k in (2, 4, 6)}
    assert fine[6] < 0.001 < fine[4] < 0.01 < fine[2]
    coarse = {k: gradient_error(0, 10, Fraction(1, 1 << k), dt=1, update=assign("RND")) for k in (3, 8)}
    assert coarse[3] < 0.1 < coarse[8]


def test_rests_within_the_dead_zone_of_the_exact_point():
    for seed in range(4):
        W, U, rng = net(seed, 12)
        W = W * 0.5
        x, y = rng.integers(0, 257, (10, 6)), rng.integers(0, 257, (10, 3))
        for beta in (0, Fraction(1, 8), Fraction(-1, 8)):
            unit = equilibrium_propagation(W, U, beta=beta, outputs=3)
            given = {"x": x, "y": y} if beta else {"x": x}
            found = unit.solve_raw(**given)
            assert unit.certify().terminates_by == "descent"
            assert np.all(found.status == "fixed")
            wanted = reference(W, U, 0, x / 256, beta=beta, outputs=3, y=y / 256)
            # T4: u / (1 - L) with L = 1 - dt (1 - |W|_inf - max(-beta, 0)).
            gap = 1 - Fraction(np.abs(W).sum(1).max()) - max(-Fraction(beta), 0)
            assert gap > 0
            worst = max(
                abs(Fraction(int(a), 4096) - b) for a, b in zip(found.raw.flat, wanted.flat, strict=True)
            )
            assert worst < Fraction(4, 4096) / gap


def test_a_step_too_long_has_no_proof():
    # lambda_max(I - W) = 4.5; the two components inhibit each other.
    W = np.array([[0, -3.5], [-3.5, 0]])
    slow, fast = (equilibrium_propagation(W, [[1], [1]], dt=k, cap=50) for k in (2, 0))
    assert slow.certify().terminates_by == "descent" and not fast.proofs
    with pytest.raises(ValueError, match="may not stop"):
        fast.solve_raw(x=256)
    # From 0 both go to 1, and from 1 both to 0.
    assert fast.solve_raw(x=256, certified=False).status == "cap"
    assert slow.solve_raw(x=256).status == "fixed"


def test_energy_never_rises_and_the_cube_is_kept():
    W, U, rng = net(9)
    x = rng.integers(0, 257, (30, 6))
    start = rng.integers(0, 4097, (30, 20))
    found = equilibrium_propagation(W, U).solve_raw(start, x=x, history=True)
    assert np.all(found.status == "fixed")
    s = found.history.astype(object)
    A = (np.eye(20) - W) * 256
    E = (s @ A.astype(int).astype(object) * s).sum(-1) * 64 - 2 * 4096 * (
        s * (x @ (U * 64).astype(int).T).astype(object)
    ).sum(-1)
    assert np.all(E[1:] <= E[:-1])
    assert found.history.min() == 0 and found.history.max() <= 4096


def test_digits():
    W, U, b, x = digit_net()
    unit = equilibrium_propagation(W, U, b, outputs=10, x=example().unit.map.inputs[1].type.lane())
    found = unit.solve_raw(x=x)
    assert np.all(found.status == "fixed")
    labels = data.digits_samples()[1]
    assert np.mean(found.raw.argmax(1) == labels) > 0.78


def test_example():
    shown = example()
    found = shown.solve()
    assert np.all(found.status == "fixed")
    assert max(shown.errors(found).ravel()) <= max(shown.unit.certify().radius) < Fraction(10, 4096)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: equilibrium_propagation([[0, 1], [0, 0]], [[1], [1]]), "W must be a symmetric matrix"),
        (lambda: equilibrium_propagation([0, 1], [[1], [1]]), "W must be a symmetric matrix"),
        (lambda: equilibrium_propagation([[0]], [[1], [1]]), "U must have 1 rows"),
        (lambda: equilibrium_propagation([[0]], [[1]], [1, 2]), "b must be one number or 1"),
        (lambda: equilibrium_propagation([[0]], [[1]], outputs=2), r"outputs must be an integer in 1\.\.1"),
        (lambda: equilibrium_propagation([[0]], [[1]], beta=[1]), "beta must be one number"),
        (lambda: equilibrium_propagation([[0]], [[1]], dt=-1), "dt must be an integer of at least 0"),
    ],
)
def test_refuses(make, text):
    with pytest.raises(ValueError, match=text):
        make()
