"""Truncated increments rest inside their bound, in more than 20,000 systems; nearest rounding does not.

The systems run in the plain integer model; a sample of every kind runs as units, with the same states and
steps.
"""

from fractions import Fraction

import linear_figures
import numpy as np
import plain_updates
import pytest

from fxsim import SQ
from fxsim.iterate import assign, increment_trunc, red_black, sequential, unit
from fxsim.iterate.references.rational import solve
from fxsim.iterate.zoo.affine import affine
from fxsim.iterate.zoo.linear import sor

SIGNED, ADVERSARIAL, WEIGHTED, ORDERS, CLAMPED, RELAXED, TABLES = 1800, 3000, 500, 1000, 1000, 500, 1200
EXHAUSTIVE = (16**2 + 24**2 + 28**2) * 9
CAP = 20000
ROUGH = SQ(16, 6, rounding="RND", overflow="SAT")


def test_there_are_enough_systems():
    kinds = (SIGNED, ADVERSARIAL, WEIGHTED, ORDERS, CLAMPED, RELAXED, TABLES, EXHAUSTIVE)
    assert EXHAUSTIVE == 14544 and sum(kinds) >= 20000


def exact_points(m, b, frac):
    """The fixed points of x = (m x + b) / 2**frac, as Fractions."""
    eye = np.eye(m.shape[1], dtype=np.int64) << frac
    return np.array([solve(eye - a, r) for a, r in zip(m, b, strict=True)], object)


def check_bound(m, b, frac, x, bounds, sample=60):
    """|x - x*| < bounds (rows, n), in floating point everywhere, and exactly in the first rows."""
    eye = np.eye(m.shape[1])
    points = np.linalg.solve(eye - m / 2.0**frac, b[:, :, None] / 2.0**frac)[:, :, 0]
    limits = np.broadcast_to(np.array(bounds, float), x.shape)
    assert np.all(np.abs(x - points) < limits + 1e-6)
    if not sample:
        return
    exact = exact_points(m[:sample], b[:sample], frac)
    listed = np.broadcast_to(np.array(bounds, object), x.shape)[:sample]
    assert np.all(np.abs(x[:sample].astype(object) - exact) < listed)


def rests(m, b, x, frac, **how):
    """The states at rest; every row comes to one."""
    x, steps, fixed = plain_updates.run(m, b, x, frac, "INC", CAP, **how)
    assert fixed.all()
    return x, steps


def signed(rng, rows, n, total):
    """Integer matrices of random signs whose rows have sums of magnitudes of exactly `total`."""
    cuts = np.sort(rng.integers(0, total + 1, (rows, n, n - 1)), axis=2)
    edges = np.concatenate([np.zeros((rows, n, 1), int), cuts, np.full((rows, n, 1), total)], axis=2)
    return np.diff(edges, axis=2) * rng.choice([-1, 1], (rows, n, n))


def same_as_unit(m, b, x, frac, mode="INC", schedule=None, groups=None, cap=400, state=None):
    """Whether a unit makes the same states, steps and status of one system as the plain model."""
    update = {"INC": increment_trunc(), "RND": assign("RND"), "RND_CONV": assign("RND_CONV")}[mode]
    # b has `frac` bits below the LSB of the state, here 2**-4.
    form = SQ(12, 4, overflow="SAT") if state is None else state
    u = affine(
        m / 2.0**frac, frac=4, b=SQ(8, 4 + frac), state=form, update=update, schedule=schedule, cap=cap
    )
    s = u.solve_raw(x, b=b, certified=False)
    clamp = {} if state is None else {"lo": form.lo, "hi": form.hi}
    wanted = plain_updates.run(m[None], b[None], x[None], frac, mode, cap, groups, **clamp)
    found = (s.raw.tolist(), int(s.steps), s.status == "fixed")
    return found == (wanted[0][0].tolist(), int(wanted[1][0]), bool(wanted[2][0]))


# Of 960 starts 54, 336, 816 and 886 cycled, with errors of at most .529, .667, 3.53 and 7.52 LSB.
@pytest.mark.parametrize(
    "slope, measured, worst", [(1, 54, "9/17"), (8, 336, "2/3"), (14, 816, "53/15"), (15, 886, "233/31")]
)
def test_scalar_maps_under_nearest_rounding(slope, measured, worst, rng):
    b, x = rng.integers(-1600, 1600, (960, 1)), rng.integers(-100, 100, (960, 1))
    cycling = {}
    for sign in (-1, 1):
        m = np.full((960, 1, 1), sign * slope)
        found, _, fixed = plain_updates.run(m, b, x, 4, "RND", 500)
        cycling[sign] = int(np.sum(~fixed))
        errors = np.abs(found * (16 - sign * slope) - b)  # times 16 - sign slope
        assert np.all(errors * (16 - slope) <= 8 * (16 - sign * slope))
        period = plain_updates.periods(m, b, found, 4, "RND")
        assert np.array_equal(period, np.where(fixed, 1, 2))
        if sign < 0:
            assert errors.max() <= Fraction(worst) * (16 + slope)
        rests(m, b, x, 4)
    share = measured / 960
    assert abs(cycling[-1] - measured) < 2.58 * np.sqrt(2 * 960 * share * (1 - share))  # 99 %
    assert cycling[1] == 0


def every_pair(total):
    """All rows (p, q) with |p| + |q| = total."""
    return np.array([(p, q) for p in range(-total, total + 1) for q in {total - abs(p), abs(p) - total}])


@pytest.mark.parametrize("total", [4, 6, 7])
def test_every_map_of_two_components(total):
    """Coefficients k / 8 with both rows at L, nine right-hand sides, all 441 starts of -10..10."""
    rows = every_pair(total)
    x0, y0 = (a.ravel().astype(np.int16) for a in np.meshgrid(np.arange(-10, 11), np.arange(-10, 11)))
    right = np.array([(p, q) for p in (0, 3, 5) for q in (0, 3, 5)])
    systems = [(r, s, c) for r in rows for s in rows for c in right]
    assert len(systems) == len(rows) ** 2 * 9
    for at in range(0, len(systems), 96):
        part = systems[at : at + 96]
        a, b, c, d, e, f = (
            np.array([(*r, *s, *h) for r, s, h in part], np.int16)[:, k : k + 1] for k in range(6)
        )
        x, y = np.broadcast_to(x0, (len(part), 441)), np.broadcast_to(y0, (len(part), 441))
        for _ in range(400):
            # Towards zero: // and shifts go down, so that a negative increment has 7 added.
            p, q = (a - 8) * x + b * y + e, c * x + (d - 8) * y + f
            p, q = (p + ((p >> 15) & 7)) >> 3, (q + ((q >> 15) & 7)) >> 3
            x, y = x + p, y + q
            if not (p.any() or q.any()):
                break
        else:
            raise AssertionError("a system did not come to rest")
        a, b, c, d, e, f, x, y = (v.astype(np.int64) for v in (a, b, c, d, e, f, x, y))
        # x* = (numerators) / det by Cramer; the error is below 8 / (8 - total).
        det = (8 - a) * (8 - d) - b * c
        assert np.all(det > 0)
        if at % 960 == 0:
            p = (np.array([part[0][0], part[0][1]]), np.array(part[0][2]), np.array([at % 17 - 8, 9]))
            assert same_as_unit(*p, 3)
        for v, numerator in ((x, (8 - d) * e + b * f), (y, (8 - a) * f + c * e)):
            assert np.all(np.abs(v * det - numerator) * (8 - total) < 8 * det)


@pytest.mark.parametrize("total", [32, 48, 58])
def test_signed_maps(total, rng):
    """L = 1/2, 3/4 and .9: nearest rounding ends in a cycle in 19 to 45 % of them."""
    share = []
    for n, count in ((2, 150), (3, 150), (4, 100), (8, 100), (16, 100)):
        m = signed(rng, count, n, total)
        b, x = rng.integers(-3000, 3000, (count, n)), rng.integers(-300, 300, (count, n))
        found, _ = rests(m, b, x, 6)
        check_bound(m, b, 6, found, Fraction(64, 64 - total))
        near, _, fixed = plain_updates.run(m, b, x, 6, "RND", 600)
        check_bound(m, b, 6, near, Fraction(32, 64 - total) + Fraction(1, 1000))
        share.append(np.mean(~fixed))
        assert same_as_unit(m[0], b[0], x[0], 6) and same_as_unit(m[1], b[1], x[1], 6, "RND")
        cycling = ~fixed
        if cycling.any():
            period = plain_updates.periods(m[cycling], b[cycling], near[cycling], 6, "RND")
            assert np.all(period > 1) and np.all(period <= 64)
            step = plain_updates.sweep(m[cycling], b[cycling], near[cycling], 6, "RND") - near[cycling]
            assert np.abs(step).max() <= -(-64 // (64 - total)) - 1  # m* of T3
    assert 0.1 < np.mean(share) < 0.6


def adversarial(rng, count, n):
    """Signed permutations and antisymmetric maps with L = 63/64."""
    m = np.zeros((count, n, n), np.int64)
    for k in range(count):
        if k % 2:
            m[k, np.arange(n), rng.permutation(n)] = 63 * rng.choice([-1, 1], n)
        else:
            upper = np.triu(rng.integers(-20, 21, (n, n)), 1)
            whole = upper - upper.T
            most = max(1, np.abs(whole).sum(axis=1).max())
            m[k] = np.trunc(whole * 63 / most).astype(np.int64)
    return m


def test_permutations_and_antisymmetric_maps(rng):
    cycles = 0
    for n in (2, 3, 4, 5, 6):
        m = adversarial(rng, ADVERSARIAL // 5, n)
        b, x = rng.integers(-2000, 2000, m.shape[:2]), rng.integers(-200, 200, m.shape[:2])
        found, _ = rests(m, b, x, 6)
        check_bound(m, b, 6, found, 64)
        _, _, fixed = plain_updates.run(m[:200], b[:200], x[:200], 6, "RND", 3000)
        cycles += int(np.sum(~fixed))
        for k in range(4):
            assert same_as_unit(m[k], b[k], x[k], 6, cap=3000)
            assert same_as_unit(m[k], b[k], x[k], 6, "RND", cap=300)
    assert 500 <= cycles <= 900  # of 1000; 613 were measured


def weighted(rng, count, n):
    """(matrices on the raw integers of unequal grids, weights in LSB, L): contractions in a weighted
    max-norm that are none in the plain one; 18 bits."""
    c = rng.uniform(-1, 1, (count, n, n))
    c *= 0.95 / np.abs(c).sum(axis=2, keepdims=True)
    w = 2.0 ** rng.uniform(-3, 3, (count, n))
    a = np.round(c * w[:, :, None] / w[:, None, :] * 2**12).astype(np.int64)
    fracs = rng.integers(0, 4, (count, n))
    # T_i(x) / u_i = sum_j a_ij (u_j / u_i) (x_j / u_j), u_i = 2**-fracs_i.
    m = a << (6 + fracs[:, :, None] - fracs[:, None, :])
    lsb = w * 2.0**fracs
    L = (np.abs(m) / 2.0**18 * lsb[:, None, :] / lsb[:, :, None]).sum(axis=2).max(axis=1)
    assert np.all(L < 0.97) and np.mean(np.abs(m).sum(axis=2).max(axis=1) > 1 << 18) > 0.5
    return m, lsb, L


@pytest.mark.parametrize("order", ["parallel", "sequential", "random"])
def test_weighted_norms_on_unequal_grids(order, rng):
    how = {"parallel": {}, "sequential": {"groups": [[3], [0], [2], [1]]}}.get(order)
    if how is None:
        how = {"orders": lambda: [[int(i)] for i in rng.permutation(4)]}
    m, lsb, L = weighted(rng, WEIGHTED, 4)
    b, x = rng.integers(-(2**25), 2**25, (WEIGHTED, 4)), rng.integers(-300, 300, (WEIGHTED, 4))
    found, _ = rests(m, b, x, 18, **how)
    # |x_i - x*_i| < w_i max_j (u_j / w_j) / (1 - L), here in LSB.
    check_bound(m, b, 18, found, lsb * (1 / lsb).max(axis=1)[:, None] / (1 - L)[:, None], sample=0)


def test_a_unit_of_two_grids(rng):
    """x of 4 and y of 7 bits: the same map on raw integers as in the plain model."""
    for _ in range(4):
        a, b, c, d = (rng.integers(-25, 26, (2, 2)) for _ in range(4))
        form_x, form_y = SQ(8, 4, overflow="SAT"), SQ(8, 7, overflow="SAT")

        def step(x, y, p, q, a=a, b=b, c=c, d=d):
            return ((x @ a.T + y @ b.T) >> 7) + p, ((x @ c.T + y @ d.T) >> 7) + q

        u = unit(step, {"x": (form_x, 2), "y": (form_y, 2)}, {"p": (SQ(4, 4), 2), "q": (SQ(4, 7), 2)})
        assert u.certify().terminates_by == "T4"
        # In LSB: x' = (a x + b y / 8) / 128 + p, y' = (8 c x + d y) / 128 + q; ten bits in all.
        m = np.block([[8 * a, b], [64 * c, 8 * d]])
        p, q = rng.integers(-100, 100, (5, 2)), rng.integers(-900, 900, (5, 2))
        s = u.solve_raw(p=p, q=q)
        right = np.concatenate([p, q], axis=1) << 10
        x, steps, fixed = plain_updates.run(np.broadcast_to(m, (5, 4, 4)), right, 0 * right, 10, "INC", 900)
        assert fixed.all() and np.array_equal(np.concatenate(s.raws, axis=1), x)
        assert np.array_equal(s.steps, steps)


def test_groups_and_random_orders(rng):
    half = ORDERS // 2
    m = signed(rng, ORDERS, 5, 60)
    b, x = rng.integers(-3000, 3000, (ORDERS, 5)), rng.integers(-300, 300, (ORDERS, 5))
    groups = [[4, 1], [0, 2, 3]]
    found, _ = rests(m[:half], b[:half], x[:half], 6, groups=groups)
    check_bound(m[:half], b[:half], 6, found, 16)

    def orders():
        return np.array_split(rng.permutation(5), rng.integers(1, 6))

    found, _ = rests(m[half:], b[half:], x[half:], 6, orders=orders)
    check_bound(m[half:], b[half:], 6, found, 16)
    for k in range(3):
        assert same_as_unit(m[k], b[k], x[k], 6, "INC", red_black(groups), groups)
        singles = [[i] for i in range(5)]
        assert same_as_unit(m[k], b[k], x[k], 6, "INC", sequential(), singles)
        assert same_as_unit(m[k], b[k], x[k], 6, "RND", sequential(), singles, cap=90)


@pytest.mark.parametrize("groups", [None, [[0], [1], [2], [3]]])
def test_clamped_states(groups, rng):
    """The register's ends clip: x* and the bound are those of the clipped map."""
    m = signed(rng, CLAMPED, 4, 60)
    b, x = rng.integers(-9000, 9000, (CLAMPED, 4)), rng.integers(-64, 64, (CLAMPED, 4))
    found, _ = rests(m, b, x, 6, lo=-64, hi=63, groups=groups)
    point = np.zeros((CLAMPED, 4))
    for _ in range(1000):
        point = np.clip((np.matmul(m, point[:, :, None])[:, :, 0] + b) / 64, -64, 63)
    on_end = np.isin(found, (-64, 63))
    assert 0.1 < np.mean(on_end) < 0.9
    assert np.all(np.abs(found - point) < 16 + 1e-6)
    state = SQ(3, 4, overflow="SAT")  # raw -64..63
    schedule = None if groups is None else sequential()
    for k in range(4):
        assert same_as_unit(m[k], b[k], x[k], 6, "INC", schedule, groups, state=state)


def relaxed(rng, n):
    """(A, c, b): a symmetric positive definite integer matrix, c = omega / a_ii at 14 bits, omega in 0..2."""
    root = rng.integers(-6, 7, (n, n + 1))
    a = root @ root.T + np.eye(n, dtype=np.int64)
    omega = rng.uniform(0.05, 1.95, n)
    c = np.maximum(np.round(omega / np.diag(a) * 2**14).astype(np.int64), 1)
    assert np.all(c * np.diag(a) < 2 << 14)
    return a, c, rng.integers(-2000, 2000, n)


def test_relaxation_of_positive_definite_systems(rng):
    for n in (2, 3, 4, 5, 6):
        count = RELAXED // 5
        made = [relaxed(rng, n) for _ in range(count)]
        a, c, b = (np.stack(v) for v in zip(*made, strict=True))
        m = (np.eye(n, dtype=np.int64) << 14) - c[:, :, None] * a
        x = rng.integers(-300, 300, (count, n))
        how = {"groups": [[i] for i in range(n)]}
        if n % 2:
            how = {"orders": lambda n=n: [[int(i)] for i in rng.permutation(n)]}
        found, _ = rests(m, b * c, x, 14, **how)
        # |c_i (b - A x)_i| < 1 LSB, hence |x - x*| < |(C A)^-1| 1.
        r = b - np.matmul(a, found[:, :, None])[:, :, 0]
        assert np.all(np.abs(r * c) < 1 << 14)
        bound = np.abs(np.linalg.inv(c[:, :, None] / 2.0**14 * a)).sum(axis=2)
        check_bound(m, b * c, 14, found, bound, sample=0)


def test_relaxation_as_units(rng):
    for n in (2, 4):
        for omega in (Fraction(1, 3), Fraction(1), Fraction(15, 8)):
            a, _, b = relaxed(rng, n)
            u = sor(a, omega, frac=4, coefficient_frac=14, b=SQ(9, 4), state=SQ(14, 4, overflow="SAT"))
            assert u.certify().terminates_by == "energy"
            s = u.solve_raw(b=b)
            c = np.array([int(omega / int(v) * 2**15 + 1) // 2 for v in np.diag(a)])
            c -= (c * np.diag(a) > 1 << 14) & (omega <= 1)
            m = (np.eye(n, dtype=np.int64) << 14) - c[:, None] * a
            groups = [[i] for i in range(n)]
            x, steps, fixed = plain_updates.run(m[None], (b * c)[None], 0 * b[None], 14, "INC", 900, groups)
            assert fixed.all() and np.array_equal(s.raw, x[0]) and s.steps == steps[0]


@pytest.mark.parametrize("eps, cycling", [(1, 0.0), (4, 0.02), (8, 0.2)])
def test_tables_with_an_error(eps, cycling, rng):
    """Targets of L = 15/16 with an error of up to eps quarters of an LSB, the same at the same state:
    increments that are shrunk by it come to rest, others may not."""
    plain_cycles, count = 0, TABLES // 3
    table = rng.integers(-eps * 16, eps * 16 + 1, 1 << 12)
    mix = rng.integers(1, 1 << 12, (8, 8)) | 1

    def noise(x):
        return table[(x @ mix[: x.shape[1], : x.shape[1]]) & 0xFFF]

    for n in (2, 3, 4, 5):
        m = signed(rng, count // 4, n, 60)
        b, x = rng.integers(-3000, 3000, (count // 4, n)), rng.integers(-100, 100, (count // 4, n))
        found, _ = rests(m, b, x, 6, eps=eps * 16, noise=noise)
        check_bound(m, b, 6, found, (1 + Fraction(eps, 2)) * 16)
        # The error may even differ from evaluation to evaluation.
        found, _ = rests(
            m, b, x, 6, eps=eps * 16, noise=lambda v: rng.integers(-eps * 16, eps * 16 + 1, v.shape)
        )
        check_bound(m, b, 6, found, (1 + Fraction(eps, 2)) * 16)
        _, _, fixed = plain_updates.run(m, b, x, 6, "INC", 2000, noise=noise)
        plain_cycles += int(np.sum(~fixed))
    assert plain_cycles >= cycling * count


# 200 of 200 rested in at most 256 steps, of other objectives.
def test_descent_of_objectives_that_are_not_convex():
    stopped, steps = linear_figures.nonconvex_descent(100)
    assert stopped == 100 and steps < 600


def test_a_unit_whose_map_has_an_error(rng):
    """Targets rounded to two bits below the LSB: an error of 1/8 LSB, which eps covers."""
    for k in range(4):
        a = signed(rng, 1, 3, 60)[0]
        u = unit(
            lambda x, b, a=a: ((x @ a.T) >> 6).cast(ROUGH) + b,
            {"x": (SQ(10, 4, overflow="SAT"), 3)}, {"b": (SQ(5, 6), 3)}, update=increment_trunc(2.0**-7),
        )  # fmt: skip
        assert u.certify().terminates_by == "T4'"
        b = rng.integers(-500, 500, 3)
        s = u.solve_raw(b=b)
        x = [0] * 3
        steps = 0
        while True:
            steps += 1
            # In eighths of an LSB, of which eps is one.
            r = [2 * (((sum(int(p) * v for p, v in zip(row, x, strict=True)) + 8) >> 4) + int(h)) - 8 * v
                 for row, h, v in zip(a, b, x, strict=True)]  # fmt: skip
            d = [(max(abs(v) - 1, 0) >> 3) * (1 if v > 0 else -1) for v in r]
            if not any(d):
                break
            x = [v + w for v, w in zip(x, d, strict=True)]
        assert (s.raw.tolist(), int(s.steps), s.status) == (x, steps, "fixed"), k
