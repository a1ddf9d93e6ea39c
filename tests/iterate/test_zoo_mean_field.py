"""Mean field of one-hot groups: certified radius, cycles of nearest rounding, the proximal step, evidence."""

from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim.formats import SQ
from fxsim.iterate.prox import proximal
from fxsim.iterate.stops import cycle, unchanged
from fxsim.iterate.updates import assign, increment_trunc
from fxsim.iterate.zoo.mean_field import (
    boltzmann,
    digit_clusters,
    example,
    mean_field,
    monotone_dbm,
    reference,
)

EITHER = (unchanged(), cycle())


def within(found, wanted, frac):
    """The greatest distance in LSB."""
    pairs = zip(found.raw.ravel(), wanted.ravel(), strict=True)
    return max(abs(int(a) - b * (1 << frac)) for a, b in pairs)


def test_example_is_inside_its_certified_radius():
    shown = example()
    found = shown.solve()
    assert np.all(found.status == "fixed")
    certificate = shown.unit.certify()
    assert certificate.terminates_by == "T4'" and certificate.L < 1
    errors = shown.errors(found).reshape(len(found.steps), -1)
    assert all(e <= r for row in errors for e, r in zip(row, certificate.radius, strict=True))


def test_neighbours_correct_the_nearest_prototype():
    W, b, classes = digit_clusters(30, 24)
    found = mean_field(W, 3, shared=True, frac=8).solve_raw(b=b)
    alone, together = (np.mean(v.argmax(2) == classes) for v in (b, found.raw))
    assert 0.7 < alone < together


def test_nearest_rounding_cycles_and_the_certified_update_does_not():
    cycles = {"nearest": 0, "certified": 0}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        Phi = boltzmann(rng.normal(size=(6, 16)), 2, bound=Fraction(19, 20))
        b = rng.integers(-64, 65, (5, 8, 2))
        for name, options in (("nearest", {"update": assign("RND"), "stop": EITHER}), ("certified", {})):
            unit = mean_field(Phi, 2, frac=8, **options)
            found = unit.solve_raw(b=b)
            assert name == "nearest" or np.all(found.status == "fixed")
            cycles[name] += int(np.sum(found.status == "cycle"))
    # 9 of 60 in the mean; 99 % of samples lie in 3..17.
    assert 3 <= cycles["nearest"] <= 17 and not cycles["certified"]


@pytest.mark.parametrize("sign", [-1, 1])
def test_every_start_of_a_small_grid_comes_to_rest(sign):
    # Two groups of two, coupled as strongly as the certificate allows: all 65,536 states of 4 bits.
    Phi = sign * np.array(
        [[0, 0, 1.75, -0.125], [0, 0, -0.125, 1.75], [1.75, -0.125, 0, 0], [-0.125, 1.75, 0, 0]]
    )
    unit = mean_field(Phi, 2, frac=3, b=SQ(3, 3))
    start = np.stack(np.meshgrid(*[np.arange(16)] * 4, indexing="ij"), -1).reshape(-1, 2, 2)
    for b in ([[0, 0], [0, 0]], [[3, -1], [0, 2]]):
        found = unit.solve_raw(start, b=b)
        assert np.all(found.status == "fixed")
        (wanted,) = reference(Phi, 2, np.array([b]) / 8)
        low, high = found.raw.min(0), found.raw.max(0)
        radius = max(unit.certify().radius) * 8
        assert all(
            abs(int(v) - w * 8) <= radius
            for e in (low, high)
            for v, w in zip(e.flat, wanted.flat, strict=True)
        )


@pytest.mark.parametrize("bound", [Fraction(3, 8), Fraction(27, 32)])
@pytest.mark.parametrize("options", [{}, {"damp": False}])
def test_errors_stay_in_the_radius(bound, options):
    rng = np.random.default_rng(11)
    Phi = boltzmann(rng.normal(size=(5, 12)), 3, bound=bound)
    b = rng.integers(-256, 257, (4, 4, 3))
    unit = mean_field(Phi, 3, frac=9)
    if options:
        eps = unit.update.then.eps * 2
        unit = mean_field(Phi, 3, frac=9, update=increment_trunc(eps))
    found = unit.solve_raw(b=b)
    assert np.all(found.status == "fixed")
    worst = within(found, reference(Phi, 3, b / 256), 9)
    assert 0 < worst <= max(unit.certify().radius) * 512


def test_a_strong_coupling_is_refused_cycles_undamped_and_rests_damped():
    # Two groups of two that repel each other: q_1 and q_2 change places for ever.
    Phi = -5 * np.kron([[0, 1], [1, 0]], np.eye(2))
    with pytest.raises(ValueError, match="may not stop"):
        mean_field(Phi, 2, frac=6).solve_raw(b=0)
    start = np.array([[60, 4], [60, 4]])
    plain = mean_field(Phi, 2, frac=6, update=assign("RND"), stop=EITHER).solve_raw(start, b=0)
    slow = mean_field(Phi, 2, frac=6, stop=EITHER).solve_raw(start, b=0)
    assert plain.status == "cycle" and slow.status == "fixed"
    with pytest.raises(ValueError, match="row sums of magnitudes below 2"):
        reference(Phi, 2, np.zeros((2, 2)))


def test_observed_groups_are_their_evidence():
    rng = np.random.default_rng(5)
    Phi = boltzmann(rng.normal(size=(4, 9)), 3)
    b = rng.integers(-256, 257, (3, 3))
    evidence = np.array([[256, 0, 0], [0, 0, 0], [0, 0, 0]])
    unit = mean_field(Phi, 3, frac=8, mask=True)
    found = unit.solve_raw(np.array(evidence), b=b, observed=[1, 0, 0], evidence=evidence)
    assert found.status == "fixed" and np.array_equal(found.raw[0], evidence[0])
    # The two others alone, with the evidence in their b.
    rest = Phi[3:, 3:]
    field = (b / 256)[1:] + (Phi[3:, 0]).reshape(2, 3)
    wanted = reference(rest, 3, field)[0]
    worst = max(abs(int(a) - w * 256) for a, w in zip(found.raw[1:].ravel(), wanted.ravel(), strict=True))
    assert worst <= max(unit.certify().radius) * 256
    free = unit.solve_raw(b=b, observed=[0, 0, 0], evidence=evidence)
    assert np.array_equal(free.raw, mean_field(Phi, 3, frac=8, update=unit.update).solve_raw(b=b).raw)


def level(t, a):
    """p with a log p + (1 - a) p = t."""
    low, high = np.full(t.shape, -60.0), np.zeros(t.shape)
    for _ in range(70):
        mid = (low + high) / 2
        above = a * mid + (1 - a) * np.exp(mid) > t
        low, high = np.where(above, low, mid), np.where(above, mid, high)
    return np.exp(low)


@pytest.mark.parametrize(("alpha", "frac", "size"), [(3, 8, 4), (1, 7, 2), (2, 10, 5)])
def test_proximal_step_is_within_its_bound(alpha, frac, size):
    graph = fxsim.trace(lambda y: proximal(y, alpha, frac), SQ(2, 10), shape=(size,))
    y = np.random.default_rng(alpha).integers(-2048, 2048, (300, size))
    got = graph.run_raw(y)
    a = 2.0**-alpha
    v = y / 1024 - y.max(1, keepdims=True) / 1024
    low, high = np.zeros((300, 1)), np.full((300, 1), 2.0)
    for _ in range(60):
        mid = (low + high) / 2
        over = level(1 - a + v - mid, a).sum(1, keepdims=True) >= 1
        low, high = np.where(over, mid, low), np.where(over, high, mid)
    exact = level(1 - a + v - low, a)
    assert np.max(np.abs(got - exact * 2.0**frac)) <= (3 * size + 5) / 4
    assert got.sum(1).min() >= 1 << frac and graph.outputs[0].type.bounds == (0, 1 << frac)


def test_the_machine_has_the_fixed_point_of_the_mean_field():
    rng = np.random.default_rng(8)
    Phi = boltzmann(rng.normal(size=(4, 9)), 3, bound=Fraction(3, 8))
    b = rng.integers(-128, 129, (6, 3, 3))
    found = monotone_dbm(Phi, 3, frac=10).solve_raw(b=b)
    assert set(found.status) <= {"fixed", "cycle"} and int(found.steps.max()) <= 80
    # alpha = 1/8: an error of 3.5 LSB in a step is 8 times as large in the point where it rests.
    assert within(found, reference(Phi, 3, b / 256), 10) <= 28


def test_the_machine_goes_where_the_plain_softmax_does_not():
    Phi = -5 * np.kron([[0, 1], [1, 0]], np.eye(2))
    Phi = Phi - 6 * np.eye(4)  # repelling itself too: I - Phi stays positive definite
    found = monotone_dbm(Phi, 2, alpha=4).solve_raw(np.array([[250, 6], [250, 6]]), b=[[256, 0], [0, 128]])
    assert found.status in ("fixed", "cycle") and found.raw[0, 0] > 128 > found.raw[1, 0]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mean_field([[0, 1]], 2), "Phi must be a square matrix"),
        (lambda: mean_field(np.zeros((3, 3)), 2), "Phi must have 2 rows per group, not 3 in all"),
        (lambda: mean_field(np.zeros((4, 4)), 1), "classes must be an integer of at least 2"),
        (lambda: monotone_dbm([[0, 1], [0, 0]], 2), "Phi must be symmetric with I - Phi positive definite"),
        (lambda: monotone_dbm([[0, 1], [1, 0]], 2), "Phi must be symmetric with I - Phi positive definite"),
        (lambda: monotone_dbm(np.zeros((2, 2)), 2, alpha=0), r"alpha must be an integer in 1\.\.8"),
    ],
)
def test_refuses(make, text):
    with pytest.raises(ValueError, match=text):
        make()
