"""Proofs: believed where they hold and belong to the map, refused where not; radii by brute force."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from fxsim.formats import SQ
from fxsim.iterate import (
    assign,
    damped,
    increment_trunc,
    parallel,
    red_black,
    relax,
    sequential,
    two_step,
    unit,
    zoo,
)
from fxsim.iterate.certify import certify, require
from fxsim.iterate.norms import inverse_above
from fxsim.iterate.proofs import Descent, IntegerEnergy, SymmetricRelaxation
from fxsim.iterate.references.rational import fractions, solve
from fxsim.iterate.slopes.step import step_slopes
from fxsim.trace import maximum, minimum, select

STATE = SQ(9, 0, overflow="SAT")


def poisson(n):
    """-u'' on n points."""
    return 2 * np.eye(n, dtype=np.int64) - np.eye(n, k=1, dtype=np.int64) - np.eye(n, k=-1, dtype=np.int64)


def relaxation(A, c, proofs=(), fmt=STATE, b=None, **options):
    """x + C (b - A x), one component after another."""
    A, c = np.array(A), np.broadcast_to(c, len(A))
    options = {"schedule": sequential(), **options}
    held = SQ(5, fmt.frac) if b is None else b
    return unit(
        lambda x, b: x + (b - A @ x) * c, {"x": (fmt, len(A))}, {"b": (held, len(A))},
        proofs=proofs, name="relaxed", **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "omega", [Fraction(1), Fraction(5, 4), Fraction(3, 2), Fraction(7, 4), Fraction(15, 8)]
)
def test_over_relaxation_comes_to_rest_within_its_radius(omega):
    A, c = poisson(6), omega / 2
    u = relaxation(A, float(c), [SymmetricRelaxation.of(A, float(c))], cap=3000)
    found = certify(u)
    assert found.terminates_by == "energy" and not found.needs_start
    # || A**-1 D ||_inf u / omega, with A**-1 >= 0
    wide = max(solve(fractions(A), fractions(np.diag(A)))) / omega
    assert wide <= max(found.radius) <= wide * (1 + Fraction(1, 10**5))
    rng = np.random.default_rng(3)
    b = rng.integers(-8, 9, (40, 6))
    s = u.solve_raw(rng.integers(-40, 41, (40, 6)), b=b)
    assert set(s.status.tolist()) == {"fixed"}
    exact = np.linalg.solve(A.astype(float), b.T).T
    assert np.all(np.abs(s.raw - exact) <= np.array([float(r) for r in found.radius]) + 1e-9)
    assert np.all(np.abs((b - s.raw @ A) * float(c)) < 1)


def test_without_the_proof_it_is_refused():
    with pytest.raises(ValueError, match=r"(?s)may not stop.*fxsim\.iterate\.proofs"):
        require(relaxation(poisson(6), 0.75))


def test_nearest_rounding_up_to_omega_one_only():
    A = poisson(6)

    def made(c, **options):
        return relaxation(A, c, [SymmetricRelaxation.of(A, c)], cap=600, **options)

    rng = np.random.default_rng(4)
    start, b = rng.integers(-40, 41, (30, 6)), rng.integers(-8, 9, (30, 6))
    for rounding in ("RND", "RND_MIN_INF", "RND_ZERO", "RND_INF", "RND_CONV"):
        found = certify(made(0.5, update=assign(rounding)))
        assert found.terminates_by == "energy"
        truncated = certify(made(0.5))
        wide = max(solve(fractions(A), fractions(np.diag(A))))  # || A**-1 D ||_inf, at omega = 1
        for certificate, least in ((found, wide / 2), (truncated, wide)):
            assert least <= max(certificate.radius) <= least * (1 + Fraction(1, 10**5))
        s = made(0.5, update=assign(rounding)).solve_raw(start, b=b)
        assert set(s.status.tolist()) == {"fixed"}
        exact = np.linalg.solve(A.astype(float), b.T).T
        assert np.all(np.abs(s.raw - exact) <= np.array([float(r) for r in found.radius]) + 1e-9)
    for c in (0.75, 0.875):
        over = made(c, update=assign("RND"))
        with pytest.raises(ValueError, match="nearest rounding of one component at a time"):
            certify(over)
        s = over.solve_raw(start, certified=False, b=b)
        assert "cap" in set(s.status.tolist())  # some run for ever
    with pytest.raises(ValueError, match="nearest rounding of one component"):
        certify(made(0.5, update=assign("TRN")))
    with pytest.raises(ValueError, match="nearest rounding of one component"):
        certify(made(0.5, update=assign("RND"), schedule=red_black([[0, 2, 4], [1, 3, 5]])))


def test_relax_multiplies_the_coefficients():
    A = poisson(5)
    u = relaxation(A, 0.5, [SymmetricRelaxation.of(A, 0.75)], update=relax(1.5))
    assert certify(u).terminates_by == "energy"
    with pytest.raises(ValueError, match="must belong to the unit's map"):
        certify(relaxation(A, 0.5, [SymmetricRelaxation.of(A, 0.5)], update=relax(1.5)))


def test_the_wrong_matrix_does_not_belong():
    A = poisson(4)
    wrong = A.copy()
    wrong[0, 3] = wrong[3, 0] = 1
    with pytest.raises(ValueError, match=r"its dT_0/dx_3 is 0, that of I - C A -1/2"):
        certify(relaxation(A, 0.5, [SymmetricRelaxation.of(wrong, 0.5)]))
    with pytest.raises(ValueError, match="must have 4 components"):
        certify(relaxation(A, 0.5, [SymmetricRelaxation.of(poisson(3), 0.5)]))
    with pytest.raises(ValueError, match="plain or relaxed update"):
        certify(relaxation(A, 0.5, [SymmetricRelaxation.of(A, 0.5)], update=two_step(), schedule=parallel()))


def test_matrices_that_prove_nothing():
    with pytest.raises(ValueError, match="symmetric"):
        SymmetricRelaxation.of([[2, 1], [0, 2]], 0.5)
    with pytest.raises(ValueError, match="positive"):
        SymmetricRelaxation.of([[2]], -0.5)
    indefinite = np.array([[2, 3], [3, 2]])
    with pytest.raises(ValueError, match="positive definite"):
        certify(relaxation(indefinite, 0.5, [SymmetricRelaxation.of(indefinite, 0.5)]))
    with pytest.raises(
        ValueError, match=r"c_i a_ii must lie in 0\.\.2, both excluded, but component 0 has 2"
    ):
        certify(relaxation(poisson(3), 1, [SymmetricRelaxation.of(poisson(3), 1)]))


def test_groups_that_move_at_once():
    """(2 / omega) D - A: red-black passes for every omega, the block [[10, 9, 9], ...] at once does not."""
    A = poisson(6)
    colors = red_black([[0, 2, 4], [1, 3, 5]])
    for omega in (1, 1.5, 1.875):
        u = relaxation(A, omega / 2, [SymmetricRelaxation.of(A, omega / 2)], schedule=colors)
        assert certify(u).terminates_by == "energy"
    block = np.array([[10, 9, 9], [9, 10, 9], [9, 9, 10]])
    c = 13 / 128
    alone = relaxation(block, c, [SymmetricRelaxation.of(block, c)])
    assert certify(alone).terminates_by == "energy"
    at_once = relaxation(block, c, [SymmetricRelaxation.of(block, c)], schedule=parallel(), cap=50)
    s = at_once.solve_raw(np.array([1, 1, 1]), certified=False, history=True, b=np.zeros(3, np.int64))
    assert s.status == "cap" and np.asarray(s.history)[:3].tolist() == [[1, 1, 1], [-1, -1, -1], [1, 1, 1]]
    with pytest.raises(ValueError, match="2 C - C A C must be positive definite for the 3 components"):
        require(at_once)


def test_descent_of_an_indefinite_quadratic_in_a_box():
    """Equilibrium propagation: s <- clip(s + dt (W s + b - s), 0, 1), W symmetric, no contraction."""
    W = np.array([[0, 3, -2], [3, 0, 1], [-2, 1, 0]])
    A = np.eye(3, dtype=np.int64) - W
    fmt = SQ(2, 6, overflow="SAT")

    def made(eta, proofs, **options):
        return unit(
            lambda s, b: minimum(maximum(s + (b - A @ s) * eta, 0), 1), {"s": (fmt, 3)}, {"b": (SQ(2, 6), 3)},
            proofs=proofs, name="relaxed", **options,
        )  # fmt: skip

    u = made(0.25, [Descent.of(A, 0.25)])
    found = certify(u)
    assert found.terminates_by == "descent" and found.radius is None and not found.contracts
    rng = np.random.default_rng(8)
    s = u.solve_raw(rng.integers(fmt.lo, fmt.hi + 1, (200, 3)), b=rng.integers(-64, 65, (200, 3)))
    assert set(s.status.tolist()) == {"fixed"} and s.raw.min() >= 0 and s.raw.max() <= 64
    # eta < 2 / L_f, strictly: the largest eigenvalue of A is 4.6
    assert certify(made(0.375, [Descent.of(A, 0.375)])).terminates_by == "descent"
    with pytest.raises(ValueError, match="positive definite for the 3 components"):
        certify(made(0.5, [Descent.of(A, 0.5)]))
    with pytest.raises(ValueError, match="linear map where the update relaxes it"):
        certify(made(0.5, [Descent.of(A, 0.25)], update=damped(1)))


def test_a_clipped_map_has_no_radius_of_the_linear_one():
    A = np.array([[10, 9], [9, 10]])

    def made(clip):
        def step(x, b):
            y = x + ((b - A @ x) >> 4)
            return minimum(maximum(y, -5), 5) if clip else y

        return unit(step, {"x": (STATE, 2)}, {"b": (SQ(5, 0), 2)}, proofs=[Descent.of(A, 1 / 16)])

    (proof,) = made(True).proofs
    assert proof.verify(made(False), step_slopes(made(False))).radius is not None
    assert proof.verify(made(True), step_slopes(made(True))).radius is None


def test_a_clip_off_the_grid_is_no_clip_of_the_state():
    u = unit(
        lambda s: maximum(s - (s >> 1), Fraction(1, 2)), {"s": (STATE, 1)}, proofs=[Descent.of([[1]], 0.5)]
    )
    with pytest.raises(ValueError, match="clipped onto points of the grid"):
        certify(u)


def test_descent_at_the_edge_of_the_step():
    """eta = 2 / L_f exactly: x <- -x, which need not stop."""
    u = unit(lambda x: x - x * 2, {"x": (STATE, 1)}, proofs=[Descent.of([[1]], 2)], cap=9)
    assert u.solve_raw(np.array([3]), certified=False).status == "cap"
    with pytest.raises(ValueError, match="both excluded"):
        certify(u)


def test_a_map_with_an_error_needs_shrunk_increments():
    A = poisson(3)
    coarse = SQ(12, 0, rounding="RND", overflow="SAT")

    def made(eps):
        return unit(
            lambda x, b: x + ((b - A @ x) * 0.75).cast(coarse), {"x": (STATE, 3)}, {"b": (SQ(5, 0), 3)},
            proofs=[SymmetricRelaxation.of(A, 0.75)], schedule=sequential(), update=increment_trunc(eps),
        )  # fmt: skip

    with pytest.raises(ValueError, match="whose error increment_trunc"):
        certify(made(0))
    assert certify(made(0.5)).terminates_by == "energy"


# -- the integer energy ----------------------------------------------------------------------------------


def hopfield(W, proofs, **options):
    W = np.array(W)
    return unit(
        lambda x: _signs(W @ x, W @ x, x) if options.get("twice") else _signs(h := W @ x, h, x),
        {"x": (SQ(2, 0, overflow="SAT"), len(W))}, update=assign("TRN"), proofs=proofs, start=1,
        schedule=options.get("schedule", sequential()),
    )  # fmt: skip


def _signs(h, k, x):
    return select(h > 0, 1, select(k < 0, -1, x))


def test_hopfield_by_its_integer_energy():
    rng = np.random.default_rng(2)
    W = rng.integers(-4, 5, (5, 5))
    W = W + W.T
    np.fill_diagonal(W, 0)
    u = hopfield(W, [IntegerEnergy(W)])
    found = certify(u)
    assert found.terminates_by == "finite" and found.L is None and found.radius is None
    starts = np.array(list(product((-2, -1, 0, 1), repeat=5)))
    assert set(u.solve_raw(starts).status.tolist()) == {"fixed"}
    with pytest.raises(ValueError, match="may not stop"):
        require(hopfield(W, []))
    with pytest.raises(ValueError, match="at once may alternate"):
        certify(hopfield(W, [IntegerEnergy(W)], schedule=parallel()))
    other = W.copy()
    other[0, 1] += 1
    other[1, 0] += 1
    with pytest.raises(ValueError, match="matrix of the unit's field"):
        certify(hopfield(W, [IntegerEnergy(other)]))
    with pytest.raises(ValueError, match="one field h"):
        certify(hopfield(W, [IntegerEnergy(W)], twice=True))


def test_what_is_no_net():
    with pytest.raises(ValueError, match="symmetric"):
        IntegerEnergy(np.array([[0, 1], [2, 0]]))
    with pytest.raises(ValueError, match="diagonal"):
        IntegerEnergy(np.array([[-1, 1], [1, 0]]))
    W = np.array([[0, 1], [1, 0]])
    u = unit(
        lambda x: select(W @ x > 0, 1, -1) + x * 0, {"x": (SQ(2, 0, overflow="SAT"), 2)},
        update=assign("TRN"), schedule=sequential(), proofs=[IntegerEnergy(W)],
    )  # fmt: skip
    with pytest.raises(ValueError, match="must be of a map select"):
        certify(u)


# -- the library's own units take them -------------------------------------------------------------------


def test_library_units_with_proofs():
    A = poisson(4)
    u = zoo.sor(A, 1.5, frac=6, proofs=[SymmetricRelaxation.of(A, 0.75)])
    assert certify(u).terminates_by == "energy"
    W = np.array([[0, 0.75, -0.5], [0.75, 0, 0.25], [-0.5, 0.25, 0]])
    u = zoo.equilibrium_propagation(W, np.eye(3), proofs=[Descent.of(np.eye(3) - W, 0.25)])
    assert certify(u).terminates_by == "descent"


def test_inverse_above():
    A = poisson(6)
    found = inverse_above(A, 1, [Fraction(1)] * 6)
    exact = solve(fractions(A, 1), fractions(np.ones(6, np.int64)))
    assert all(w <= v <= w * (1 + Fraction(1, 10**5)) for v, w in zip(found, exact, strict=True))
    assert inverse_above(np.ones((2, 2), np.int64), 0, [Fraction(1)] * 2) is None
