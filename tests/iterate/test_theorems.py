"""T1 to T5 by brute force in plain integers: 24,000 systems come to rest in their bounds, nearest does not.

A system is T(x) = (M x + b) / D with integer M, b, D; states are integers, one LSB is 1. Known figures are
those of the table of measurements that the theorems came with.
"""

from fractions import Fraction
from math import ceil, sqrt

import numpy as np
import pytest

from fxsim.formats import Rounding
from fxsim.iterate import theorems

RND = [Rounding.RND]


def target(M, x, b):
    """D T(x) for x (systems, starts, n)."""
    return np.einsum("sij,skj->ski", M, x) + b[:, None, :]


def toward_zero(r, D, eps=0):
    """sign(r) floor(max(|r| - eps, 0)) of r / D, eps over D too."""
    return np.sign(r) * (np.maximum(np.abs(r) - eps, 0) // D)


def truncated(M, x, b, D):
    return x + toward_zero(target(M, x, b) - D * x, D)


def nearest(M, x, b, D):
    return (2 * target(M, x, b) + D) // (2 * D)


def run(step, x, sweeps):
    """(states after so many sweeps, per start whether the last sweep changed something)."""
    for _ in range(sweeps):
        last, x = x, step(x)
        if np.array_equal(last, x):
            break
    return x, np.any(x != last, axis=-1)


def solutions(M, b, D):
    n = M.shape[-1]
    return np.linalg.solve(D * np.eye(n) - M, b[..., None].astype(float))[..., 0]


def signed_rows(rng, systems, n, total):
    """Matrices whose rows have magnitudes summing to `total`, with random signs."""
    cuts = np.sort(rng.integers(0, total + 1, (systems, n, n - 1)), axis=-1)
    parts = np.diff(np.concatenate([np.zeros((systems, n, 1)), cuts, np.full((systems, n, 1), total)], -1))
    return (parts * rng.choice([-1, 1], parts.shape)).astype(np.int64)


# -- one dimension ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("L16, ran", [(1, 54), (8, 336), (14, 816), (15, 886)])
def test_scalar_slopes(L16, ran):
    """Known: slope -L: 54 / 336 / 816 / 886 of 960 starts cycle, with period 2; slope +L: none. Here by
    random offsets: within the 99 % binomial interval of the figure."""
    rng = np.random.default_rng(L16)
    N, D = 9600, 1 << 12
    c, x = rng.integers(-4 * D, 4 * D, N), rng.integers(-10, 11, (N, 1, 1))
    M = np.full((N, 1, 1), L16 * D // 16)
    down, moving = run(lambda y: nearest(-M, y, c[:, None], D), x, 400)
    rate = np.mean(moving)
    assert abs(ran / 960 - rate) <= 2.576 * sqrt(rate * (1 - rate) * (1 / 960 + 1 / N))
    again = nearest(-M, nearest(-M, down, c[:, None], D), c[:, None], D)
    assert np.array_equal(again, down)  # period 1 or 2
    L = Fraction(L16, 16)
    radius = float(theorems.ball(L, [Fraction(1, 2)], (1,)))
    assert np.max(np.abs(down[:, 0] - solutions(-M, c[:, None], D))) <= radius
    change = np.abs(nearest(-M, down, c[:, None], D) - down)
    assert np.max(change) <= theorems.least_change(L, Fraction(0), RND)
    assert not np.any(run(lambda y: nearest(M, y, c[:, None], D), x, 400)[1])
    assert not np.any(run(lambda y: truncated(-M, y, c[:, None], D), x, 400)[1])


@pytest.mark.parametrize("L16", [8, 14, 15])
def test_least_change_is_the_least(L16):
    """Some offset and start change by m* for ever, so that delta(m* - 1) would not fire."""
    D = 1 << 8
    c = np.arange(-2 * D, 2 * D)
    x = np.broadcast_to(np.arange(-20, 21)[None, :, None], (len(c), 41, 1))
    M = np.full((len(c), 1, 1), -L16 * D // 16)
    last = run(lambda y: nearest(M, y, c[:, None], D), x, 300)[0]
    change = np.abs(nearest(M, last, c[:, None], D) - last)
    assert np.max(change) == theorems.least_change(Fraction(L16, 16), Fraction(0), RND)


# -- contractions in a max-norm --------------------------------------------------------------------------


@pytest.mark.parametrize("L", [Fraction(1, 2), Fraction(3, 4), Fraction(9, 10)])
@pytest.mark.parametrize("n", [2, 4, 8, 16])
def test_signed_matrices(n, L):
    """Known: 1800 systems: nearest cycles in 19 to 45 % of them, truncated increments in none."""
    rng = np.random.default_rng(n)
    S, D = 150, 320
    M, b = signed_rows(rng, S, n, int(L * D)), rng.integers(-8 * D, 8 * D, (S, n))
    x = rng.integers(-60, 61, (S, 20, n))
    exact = solutions(M, b, D)[:, None, :]
    rest, moving = run(lambda y: truncated(M, y, b, D), x, 400)
    assert not np.any(moving)
    assert np.max(np.abs(rest - exact)) < theorems.ball(L, [Fraction(1)] * n, (1,) * n)
    end, moving = run(lambda y: nearest(M, y, b, D), x, 400)
    assert np.any(moving)
    assert np.max(np.abs(end - exact)) <= theorems.ball(L, [Fraction(1, 2)] * n, (1,) * n)
    m = theorems.least_change(L, Fraction(0), RND)
    after = nearest(M, end, b, D)
    assert np.max(np.abs(after - end)) <= m
    wide = (Fraction(m),) * n
    assert np.max(np.abs(after - exact)) <= theorems.after_change(L, [Fraction(1, 2)] * n, (1,) * n, wide)


def test_every_matrix_of_eighths():
    """All 12,769 M with coefficients k / 8 and row sums up to 7/8 (those of 6/8 and 4/8 are among them)."""
    rows = np.array([(p, q) for p in range(-7, 8) for q in range(-7, 8) if abs(p) + abs(q) <= 7])
    first, second = np.meshgrid(np.arange(len(rows)), np.arange(len(rows)), indexing="ij")
    M = np.stack([rows[first.ravel()], rows[second.ravel()]], axis=1)
    assert len(M) == 12769
    b = np.random.default_rng(1).integers(-40, 41, (len(M), 2))
    grid = np.arange(-10, 11, 4)
    x = np.broadcast_to(np.stack(np.meshgrid(grid, grid), -1).reshape(1, -1, 2), (len(M), 36, 2))
    rest, moving = run(lambda y: truncated(M, y, b, 8), x, 200)
    assert not np.any(moving)
    off = np.abs(rest - solutions(M, b, 8)[:, None, :]).max(axis=(1, 2))
    sums = np.abs(M).sum(axis=2).max(axis=1)
    for k in range(8):
        assert np.all(off[sums == k] < 8 / (8 - k) + 1e-9)


def adversarial(rng, n, skew):
    """A permutation with signs, or an antisymmetric matrix, scaled to L = 63/64."""
    if skew:
        A = rng.integers(-9, 10, (n, n))
        A = A - A.T
        top = np.abs(A).sum(axis=1).max()
        return A * 63 // top if top else A
    M = np.zeros((n, n), np.int64)
    M[np.arange(n), rng.permutation(n)] = 63 * rng.choice([-1, 1], n)
    return M


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_adversarial_matrices(n):
    """Known: L = 63/64, permutations and antisymmetric: truncated 0 of 3000 cycle, nearest 613 of 1000."""
    rng = np.random.default_rng(n)
    M = np.stack([adversarial(rng, n, k % 2) for k in range(600)])
    b, x = rng.integers(-640, 641, (600, n)), rng.integers(-40, 41, (600, 3, n))
    rest, moving = run(lambda y: truncated(M, y, b, 64), x, 3000)
    assert not np.any(moving)
    assert np.max(np.abs(rest - solutions(M, b, 64)[:, None, :])) < 64
    _, moving = run(lambda y: nearest(M, y, b, 64), x[:, :1], 1500)
    assert np.mean(moving) > 0.3


def ordered(M, x, b, D, groups, box=None):
    """A sweep of truncated increments, one group after another, each from the newest values."""
    x = x.copy()
    for group in groups:
        part = np.einsum("sij,skj->ski", M[:, group], x) + b[:, None, group]
        x[..., group] += toward_zero(part - D * x[..., group], D)
        if box is not None:
            x[..., group] = np.clip(x[..., group], *box)
    return x


@pytest.mark.parametrize("groups", ["one by one", "random", "two colors", "clamped"])
def test_weighted_norms_in_any_order(groups):
    """Known: max-norm with weights, 0.95: 0 of 500 do not end. |M| w <= 0.95 w; rows sum to far more."""
    rng = np.random.default_rng(len(groups))
    S, n, D = 500, 5, 640
    w = rng.integers(1, 40, (S, n))
    base = signed_rows(rng, S, n, D * 95 // 100)
    # Entry (i, j) times w_i / w_j, toward zero: |M| w <= 0.95 D w.
    M = np.sign(base) * (np.abs(base) * w[:, :, None] // w[:, None, :])
    assert np.all(np.einsum("sij,sj->si", np.abs(M), w) <= D * 95 // 100 * w)
    assert np.mean(np.abs(M).sum(axis=2).max(axis=1) > D) > 0.9
    b, x = rng.integers(-20 * D, 20 * D, (S, n)), rng.integers(-300, 301, (S, 4, n))
    order = [[int(i)] for i in rng.permutation(n)]
    kinds = {
        "one by one": [[i] for i in range(n)], "random": order, "two colors": [[0, 2, 4], [1, 3]],
        "clamped": [[i] for i in range(n)],
    }  # fmt: skip
    box = (-100, 90) if groups == "clamped" else None
    rest, moving = run(lambda y: ordered(M, y, b, D, kinds[groups], box), x, 3000)
    assert not np.any(moving)
    if box is None:
        bound = w * (1 / w).max(axis=1, keepdims=True) / 0.05
        assert np.all(np.abs(rest - solutions(M, b, D)[:, None, :]) < bound[:, None, :] + 1e-9)
        direct = np.linalg.solve(np.eye(n) - np.abs(M) / D, np.ones((S, n, 1)))[..., 0]
        assert np.all(np.abs(rest - solutions(M, b, D)[:, None, :]) < direct[:, None, :] + 1e-9)


def test_unequal_grids():
    """Two grids, 1 and 1/8, with the state in LSBs: rows sum to more than 1, the weighted norm to 0.9."""
    rng = np.random.default_rng(5)
    S, D = 400, 640
    base = signed_rows(rng, S, 2, D * 9 // 10)
    u = np.array([8, 1])
    M = np.sign(base) * (np.abs(base) * u[None, None, :] // u[None, :, None])  # u_j / u_i, toward zero
    b, x = rng.integers(-9 * D, 9 * D, (S, 2)), rng.integers(-99, 100, (S, 6, 2))
    rest, moving = run(lambda y: truncated(M, y, b, D), x, 1000)
    assert not np.any(moving)
    off = np.abs(rest - solutions(M, b, D)[:, None, :])
    # w = 1 in values is 1 / u in LSBs; |x_i - x*_i| < w_i max_j (u_j / w_j) / (1 - L): 8 in values.
    assert np.all(off[..., 0] < 10) and np.all(off[..., 1] < 80)


# -- T4': a map that is evaluated with an error ----------------------------------------------------------


@pytest.mark.parametrize("eps, ran", [(Fraction(1, 4), 24), (Fraction(1, 2), 32), (Fraction(1), 48)])
def test_noisy_maps(eps, ran):
    """Known: errors like a table's, L = 15/16: plain truncation cycles, shrunk truncation in 0 of 1200. The
    table's bounds are 24, 34.2 and 52.9 for its own maps; here they are (1 + 2 eps) / (1 - L)."""
    rng = np.random.default_rng(int(8 * eps))
    L, D, n, S = Fraction(15, 16), 640, 3, 1200
    M, b = signed_rows(rng, S, n, int(L * D)), rng.integers(-8 * D, 8 * D, (S, n))
    x = rng.integers(-60, 61, (S, 4, n))
    e = int(eps * D)
    salt = rng.integers(1, 1 << 20, (n, n))

    def noise(y):
        """A fixed table: a hash of the state in -e..e."""
        h = (y @ salt) * 2654435761 % 4294967296
        return h % (2 * e + 1) - e

    def step(y, shrink):
        return y + toward_zero(target(M, y, b) + noise(y) - D * y, D, shrink)

    plain = run(lambda y: step(y, 0), x, 800)[1]
    assert np.any(plain)
    rest, moving = run(lambda y: step(y, e), x, 800)
    assert not np.any(moving)
    bound = theorems.ball(L, [1 + 2 * eps] * n, (1,) * n)
    assert bound == ran
    assert np.max(np.abs(rest - solutions(M, b, D)[:, None, :])) < bound
    _, moving = run(lambda y: (2 * (target(M, y, b) + noise(y)) + D) // (2 * D), x, 800)
    assert np.any(moving)


def test_the_stop_by_change_counts_the_maps_error():
    """T3 with eps: no sweep of a cycle changes a component by more than ceil((1 + 2 eps) / (1 - L)) - 1."""
    rng = np.random.default_rng(77)
    L, D, S, n, eps = Fraction(3, 4), 64, 800, 2, Fraction(1, 2)
    M, b = signed_rows(rng, S, n, int(L * D)), rng.integers(-8 * D, 8 * D, (S, n))
    x, salt, e = rng.integers(-60, 61, (S, 8, n)), rng.integers(1, 1 << 20, (n, n)), int(eps * D)
    m, least = theorems.least_change(L, eps, RND), np.full((S, 8), 1 << 30)
    for _ in range(200):
        noise = (x @ salt) * 2654435761 % 4294967296 % (2 * e + 1) - e
        new = (2 * (target(M, x, b) + noise) + D) // (2 * D)
        least, x = np.minimum(least, np.abs(new - x).max(axis=-1)), new
    assert m == 7 and np.max(least) <= m


# -- T5 --------------------------------------------------------------------------------------------------


def test_order_preserving_maps_enclose():
    """Floor from below and ceil from above: at rest, x* between them, less than 2 / (1 - L) apart."""
    rng = np.random.default_rng(9)
    S, n, D, L = 600, 6, 640, Fraction(9, 10)
    M, b = np.abs(signed_rows(rng, S, n, int(L * D))), rng.integers(-8 * D, 8 * D, (S, n))
    far = np.full((S, 1, n), 8 * 10)  # |b| / (1 - L)
    low, moving = run(lambda y: target(M, y, b) // D, -far, 1000)
    assert not np.any(moving)
    high, moving = run(lambda y: -(-target(M, y, b) // D), far, 1000)
    assert not np.any(moving)
    exact = solutions(M, b, D)[:, None, :]
    assert np.all(low <= exact + 1e-9) and np.all(exact <= high + 1e-9)
    assert np.max(high - low) < 2 / (1 - L)
    for start in (-far, far):
        assert not np.any(run(lambda y: nearest(M, y, b, D), start, 1000)[1])
    warm = rng.integers(-80, 81, (S, 40, n))
    assert np.any(run(lambda y: nearest(M, y, b, D), warm, 300)[1])  # from elsewhere it may cycle


# -- energies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5])
def test_over_relaxation_of_random_definite_matrices(n):
    """0 < c_i a_ii < 2, one component after another: truncated increments rest with |c r| < 1, all 900."""
    rng = np.random.default_rng(n)
    S, bits = 300, 12
    B = rng.integers(-6, 7, (S, n, n))
    A = np.einsum("sij,skj->sik", B, B) + np.eye(n, dtype=np.int64)
    d = np.einsum("sii->si", A)
    c = np.maximum((rng.uniform(0.1, 1.95, (S, n)) * (1 << bits) / d).astype(np.int64), 1)
    assert np.all(c * d < 2 << bits)
    b, x = rng.integers(-60, 61, (S, n)), rng.integers(-60, 61, (S, 4, n))
    # x + C (b - A x) over 2**bits
    M = (np.eye(n, dtype=np.int64) << bits) - c[:, :, None] * A
    rest, moving = run(lambda y: ordered(M, y, c * b, 1 << bits, [[i] for i in range(n)]), x, 4000)
    assert not np.any(moving)
    assert np.all(np.abs(c[:, None] * (b[:, None] - np.einsum("sij,skj->ski", A, rest))) < 1 << bits)


def test_nearest_over_relaxation_never_stops():
    """Known: 6 x 6 Poisson: nearest with omega > 1 stops in 0 of 48 runs in 600 sweeps; truncated in all."""
    side = 6
    n = side * side
    A = 4 * np.eye(n, dtype=np.int64)
    for i in range(n):
        for j in range(n):
            near = abs(i // side - j // side) + abs(i % side - j % side) == 1
            A[i, j] -= near
    rng = np.random.default_rng(6)
    for sixteenths in (20, 24, 28, 30):
        M = ((np.eye(n, dtype=np.int64) << 6) - sixteenths * A)[None]
        b, x = rng.integers(-200, 201, (1, n)), rng.integers(-500, 501, (1, 12, n))

        def sweep(y, rounding, M=M, b=b, c=sixteenths):
            y = y.copy()
            for i in range(n):
                t = y @ M[0, i] + c * b[0, i]
                y[..., i] = rounding(t, y[..., i])
            return y

        half = lambda t, old: (t + 32) >> 6  # noqa: E731
        zero = lambda t, old: old + toward_zero(t - (old << 6), 64)  # noqa: E731
        assert not np.any(run(lambda y, f=zero: sweep(y, f), x, 600)[1])
        assert np.all(run(lambda y, f=half: sweep(y, f), x, 600)[1])


# -- the formulas ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("L", [Fraction(1, 3), Fraction(9, 10), Fraction(63, 64), Fraction(999, 1000)])
def test_steps_are_the_least(L):
    for start in (2, 1000, 1 << 30):
        k = theorems.steps_to(L, Fraction(start), Fraction(1))
        assert L**k * start <= 1 < L ** (k - 1) * start
    assert theorems.steps_to(L, Fraction(1, 2), Fraction(1)) == 0
    assert theorems.steps_to(Fraction(0), Fraction(5), Fraction(1)) == 1


def test_long_powers_are_rounded_up():
    L = Fraction(12345, 12377)
    exact = L**9000
    assert exact <= theorems.power_above(L, 9000) <= exact * (1 + Fraction(1, 10**60))
    assert theorems.power_above(L, 3) == L**3


def test_guard_bits_of_an_error():
    for e, g in ((Fraction(1, 2), 0), (Fraction(51, 100), 1), (Fraction(1), 1), (Fraction(4), 3)):
        assert theorems.guard_bits(e) == g


def test_other_norms():
    L = Fraction(3, 4)
    # The 2-norm of nearest rounding: sum of squares <= n / (1 - L)**2 = 16 n.
    assert theorems.least_change_in(L, [Fraction(1)] * 9, None) == 12
    assert theorems.least_change_in(L, [Fraction(1)] * 2, (1, 3)) == 12
    assert theorems.size([Fraction(3), Fraction(4)], None) == 5
    players = theorems.Blocks((2, 1), (1, 2))
    assert theorems.size([Fraction(3), Fraction(4), Fraction(11)], players) == Fraction(11, 2)
    assert theorems.size([Fraction(3), Fraction(4), Fraction(9)], players) == 5
    assert theorems.components(Fraction(5), players, 3) == (5, 5, 10)
    assert theorems.least_change_in(L, [Fraction(3), Fraction(4), Fraction(0)], players) == 40
    r = theorems.ball(L, [Fraction(1)] * 2, None)
    assert r * r >= 32 and ceil(r * r) == 33
