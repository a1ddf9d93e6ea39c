"""Certificates: the figures of the theorems, what is refused and why, and every counterexample orbit."""

import json
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest

from fxsim.formats import SQ, UQ
from fxsim.iterate import (
    anchor,
    assign,
    count,
    cycle,
    damped,
    delta,
    increment_trunc,
    relax,
    residual,
    sequential,
    theorems,
    two_step,
    unchanged,
    unit,
)
from fxsim.iterate.certify import certify, require
from fxsim.iterate.slopes.step import step_slopes
from fxsim.layers import functions
from fxsim.layers.softmax import Softmax
from fxsim.trace import concat

INTEGERS = SQ(8, 0, overflow="SAT")


def affine(M, fmt=INTEGERS, b=None, **options):
    A = np.array(M)
    held = SQ(fmt.int_bits - 1, fmt.frac) if b is None else b
    return unit(lambda x, b: (A @ x) + b, {"x": (fmt, len(A))}, {"b": (held, len(A))}, **options)


def orbit(u, x, sweeps, **parameters):
    """The raw states of so many sweeps."""
    s = u.solve_raw(np.array(x), certified=False, history=True, **parameters)
    return [row.tolist() for row in np.asarray(s.history)[: sweeps + 1]]


# -- figures of the theorems -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "L, steps, bits", [((1, 2), 15, 1), ((3, 4), 37, 2), ((7, 8), 78, 3), ((15, 16), 162, 4)]
)
def test_a_priori_steps_and_guard_bits(L, steps, bits):
    """T2: K for L**K 2**15 u <= 1 u is 15/37/78/162; guard bits of nearest 1/2/3/4, one more truncated."""
    L = Fraction(*L)
    assert theorems.steps_to(L, Fraction(1 << 15), Fraction(1)) == steps
    assert theorems.guard_bits(Fraction(1, 2) / (1 - L)) == bits
    nearest = certify(affine([[float(L)]], SQ(20, 0, overflow="SAT"), update=assign("RND"), stop=delta(99)))
    r = Fraction(1, 2) / (1 - L)
    assert nearest.a_priori(1 << 15, r + 1) == steps
    assert nearest.a_priori(1 << 15, r) is None
    truncated = certify(affine([[float(L)]]))
    assert truncated.terminates_by == "T4" and truncated.radius == (1 / (1 - L),)
    assert truncated.guard_bits == bits + 1


@pytest.mark.parametrize("mode", ["RND", "RND_MIN_INF", "RND_ZERO", "TRN", "TRN_ZERO", "RND_CONV", "RND_INF"])
@pytest.mark.parametrize(
    "L, strict, loose", [((1, 2), 1, 2), ((3, 4), 3, 4), ((7, 8), 7, 8), ((9, 16), 2, 2)]
)
def test_least_change_by_rounding_mode(mode, L, strict, loose):
    """T3: ceil(1 / (1 - L)) - 1, and floor(1 / (1 - L)) where ties depend on x."""
    c = certify(affine([[float(Fraction(*L))]], update=assign(mode), stop=cycle()))
    assert c.m_star == (loose if mode in ("RND_CONV", "RND_INF") else strict)


def test_least_change_is_exact():
    """Floats give 1 - 0.9 as 0.09999999999999998, and m* = 10."""
    modes = [SQ(2, 0, rounding="RND").rounding]
    assert theorems.least_change(Fraction(9, 10), Fraction(0), modes) == 9
    assert theorems.least_change(Fraction(9, 10), Fraction(1, 2), modes) == 19


def test_a_posteriori_and_delta_radius():
    c = certify(affine([[0.5]], update=assign("RND"), stop=delta(3)))
    assert c.terminates_by == "tolerance"
    assert c.a_posteriori(3) == ((Fraction(3, 2) + Fraction(1, 2)) * 2,) == c.radius
    floor = certify(affine([[0.5]], update=assign("TRN"), stop=delta(3)))
    assert floor.radius == ((Fraction(3, 2) + 1) * 2,)


def test_units_of_value_and_of_lsb():
    c = certify(affine([[0.5]], SQ(2, 6, overflow="SAT")))
    assert c.delta == (Fraction(1, 64),) and c.delta_ulps == (1,)
    assert c.radius == (Fraction(1, 32),) == c.of("x") and c.radius_ulps == (2,)
    with pytest.raises(ValueError, match="state must be one of x"):
        c.of("y")


def test_unequal_grids_and_weights():
    """T = (4 y + b, x / 16) contracts in a weighted max-norm only; x has 2 and y 5 fraction bits."""
    u = unit(
        lambda x, y, b: ((y << 2) + b, x >> 4),
        {"x": (SQ(6, 2, overflow="SAT"), 1), "y": (SQ(4, 5, overflow="SAT"), 1)}, {"b": (SQ(3, 2), 1)},
    )  # fmt: skip
    c = certify(u)
    assert c.terminates_by == "T4" and Fraction(1, 2) <= c.L < Fraction(52, 100)
    # (I - |M|)**-1 u with u = (1/4, 1/32): x: (1/4 + 4/32) / (3/4) = 1/2, y: (1/32 + 1/64) / (3/4) = 1/16
    for radius, least in zip(c.radius, (Fraction(1, 2), Fraction(1, 16)), strict=True):
        assert least <= radius <= least * (1 + Fraction(1, 10**5))
    assert c.of("y") == c.radius[1:]


def test_players_contract_by_their_small_gains():
    """Two rotations of 2-norm 3/4 that push each other by 2 and 1/64: only norms of the players show it."""
    turn = np.array([[3, -3], [3, 3]]) * 17 / 96
    turn = np.round(turn * 64) / 64

    def made(stop):
        return unit(
            lambda x, y: (turn @ x + (y << 1), turn @ y + (x >> 6)),
            {"x": (INTEGERS, 2), "y": (INTEGERS, 2)}, update=assign("RND"), stop=stop,
            cap=500, name="players",
        )  # fmt: skip

    c = certify(made(cycle()))
    assert c.norm == "block" and c.weights[0] == c.weights[1] > c.weights[2] == c.weights[3]
    # sqrt(2) turn + sqrt(2 / 64), from below: the square root of a square of 40 bits
    least = Fraction(isqrt(2 << 80), 1 << 40) * Fraction(turn[1, 1]) + Fraction(isqrt(2 << 74), 1 << 40)
    assert least <= c.L <= least * (1 + Fraction(1, 1000)) < 1
    assert c.a_priori(100, 1000) is not None and "max of 2-norms" in c.page()
    with pytest.raises(ValueError, match="may not stop"):
        require(made(unchanged()))
    assert by(made(delta(c.m_star))) == "tolerance"
    rng = np.random.default_rng(11)
    start = {"x": rng.integers(-128, 128, (300, 2)), "y": rng.integers(-128, 128, (300, 2))}
    s = made(delta(c.m_star)).solve_raw(start)
    found = certify(made(delta(c.m_star)))
    assert set(s.status.tolist()) == {"tolerance"}
    assert np.max(np.abs(s.raw["x"])) <= float(max(found.of("x"))) and found.of("x") > found.of("y")
    assert np.max(np.abs(s.raw["y"])) <= float(max(found.of("y")))


def test_gains_are_in_lsb_of_each_component():
    u = unit(
        lambda x, y: (y << 2, x >> 4),
        {"x": (SQ(6, 2, overflow="SAT"), 1), "y": (SQ(4, 5, overflow="SAT"), 1)},
    )  # fmt: skip
    assert step_slopes(u).gains((1, 1)) == [Fraction(4, 8), Fraction(8, 16)]
    assert step_slopes(u).gains((3, 5)) == [Fraction(5, 2), Fraction(3, 2)]


# -- which stops are legal -------------------------------------------------------------------------------


def by(u):
    return certify(u).terminates_by


def test_increments_of_a_contraction():
    M = [[0.25, -0.5], [0.375, 0.5]]
    assert by(affine(M)) == "T4"
    assert by(affine(M, schedule=sequential())) == "T4"
    assert by(affine(M, stop=delta(0))) == "T4"
    assert by(affine(M, update=damped(1))) == "T4"
    assert Fraction(15, 16) == certify(affine(M, update=damped(1))).L
    assert by(affine([[1.5]])) is None


def test_assignment_of_a_contraction():
    M = [[0.5]]
    nearest = assign("RND")
    assert by(affine(M, update=nearest)) is None
    assert by(affine(M, update=nearest, stop=delta(1))) == "tolerance"
    assert by(affine(M, update=nearest, stop=delta(0))) is None
    assert by(affine(M, update=nearest, stop=count(9))) == "count"
    assert by(affine(M, update=nearest, stop=cycle())) == "cycle"
    assert by(affine(M, update=nearest, stop=(unchanged(), count(9)))) == "count"
    c = certify(affine(M, update=nearest))
    assert any("increment_trunc()" in a for a in c.alternatives)
    assert any("delta(1)" in a for a in c.alternatives)
    with pytest.raises(ValueError, match=r"unit 'unit' may not stop: .*\n  - .*increment_trunc"):
        require(affine(M, update=nearest))


def test_a_map_without_rounding_comes_to_rest():
    u = unit(lambda x: concat([x[1:], x[:1] * 0]), {"x": (INTEGERS, 2)}, update=assign("RND"))
    assert certify(u).m_star == 0 and by(u) == "tolerance"


def test_a_residual_needs_another_stop():
    def made(stop):
        return unit(
            lambda x: x >> 1, {"x": (INTEGERS, 1)}, stop=stop, residual=lambda x: x.argmax(0) + 0, name="r"
        )

    assert by(made(residual(0))) is None
    assert by(made((residual(0), unchanged()))) == "T4"  # the residual need not have slopes


def test_anchors():
    M = [[0.5]]
    assert by(affine(M, update=anchor([0.5, 0.25], increment_trunc()))) == "T4"
    assert certify(affine(M, update=anchor([0.5, 0.25], increment_trunc()))).radius is None
    c = certify(affine(M, update=anchor([0.25], increment_trunc())))
    assert Fraction(3, 8) == c.L and c.radius == (Fraction(8, 5),)
    assert by(affine(M, update=anchor([0.5, 0]), stop=cycle())) is None
    assert by(affine(M, update=anchor([0.5]), stop=cycle())) == "cycle"


def test_two_step_has_its_own_jacobian():
    """I - J + J**2, which for J = [[1/2, -1/4], [1/4, 1/2]] is 11/16 I."""
    u = affine([[0.5, -0.25], [0.25, 0.5]], b=SQ(5, 0), update=two_step(), stop=cycle())
    assert Fraction(11, 16) == certify(u).L
    # y = Q(T(x)) is off by half an LSB, and T(y) - y by up to (1/2 + 1/4) / 2.
    assert certify(u).epsilon == (Fraction(3, 8), Fraction(3, 8))
    # Where y may saturate, the slope of the first half step may be 0 too.
    assert Fraction(11, 16) < certify(affine([[0.5, -0.25], [0.25, 0.5]], update=two_step(), stop=cycle())).L


def test_over_relaxation_is_not_monotone():
    M = [[0.5]]
    c = certify(affine(M, update=relax(1.25, assign("TRN"))))
    assert Fraction(3, 8) == c.L and c.enclosure
    c = certify(affine(M, update=relax(2.5, assign("TRN")), stop=cycle()))
    assert Fraction(1, 4) == c.L and not c.enclosure


def test_saturation_keeps_the_contraction():
    u = unit(lambda x: (x >> 1).cast(SQ(3, 1, overflow="SAT")), {"x": (INTEGERS, 1)})
    assert by(u) == "T4" and Fraction(1, 2) == certify(u).L
    with pytest.raises(ValueError, match="may wrap"):
        require(unit(lambda x: (x >> 1).cast(SQ(3, 1)), {"x": (INTEGERS, 1)}))


# -- T4': maps with an error -----------------------------------------------------------------------------


def test_shrinking_by_the_maps_error():
    fmt = SQ(4, 6, overflow="SAT")

    def made(eps):
        return unit(
            lambda x, b: functions.sigmoid(x, UQ(0, 6)) + b,
            {"x": (fmt, 1)},
            {"b": (SQ(2, 6), 1)},
            update=increment_trunc(eps),
            name="s",
        )

    plain = certify(made(0))
    assert plain.terminates_by is None and 0 < plain.epsilon[0] < fmt.lsb
    (how,) = [a for a in plain.alternatives if "increment_trunc(eps)" in a]
    eps = Fraction(how.split("at least ")[1].split(" ")[0])
    assert eps >= plain.epsilon[0]
    c = certify(made(eps))
    assert c.terminates_by == "T4'" and Fraction(1, 4) == c.L
    assert c.radius == ((fmt.lsb + eps + plain.epsilon[0]) / Fraction(3, 4),)
    s = made(eps).solve_raw(np.arange(fmt.lo, fmt.hi + 1).reshape(-1, 1), b=np.array([64]))
    x = 1.5
    for _ in range(200):
        x = 1 + 1 / (1 + np.exp(-x))
    assert set(s.status.tolist()) == {"fixed"}
    assert np.max(np.abs(s.x - x)) <= float(c.radius[0])


def test_mean_field_by_softmax():
    """L = |Phi|_inf / 2 from the softmax block, although its entries alone sum to more."""
    phi = np.array([[0, 1, -0.5], [1, 0, 0.25], [-0.5, 0.25, 0]])
    soft = Softmax(SQ(3, 4), 3, UQ(1, 8))
    u = unit(
        lambda q: soft((phi @ q).cast(SQ(3, 4, rounding="RND", overflow="SAT"))),
        {"q": (UQ(1, 8, overflow="SAT"), 3)}, update=increment_trunc(Fraction(1, 8)), name="mean_field",
    )  # fmt: skip
    c = certify(u)
    assert Fraction(3, 4) >= c.L and c.terminates_by == "T4'"


# -- T5: order-preserving maps ---------------------------------------------------------------------------


def value_like(update, start, b=None, stop=None):
    return affine(
        [[0.5, 0.25], [0, 0.75]], SQ(6, 2, overflow="SAT"), UQ(2, 2) if b is None else b, update=update,
        start=start, **({} if stop is None else {"stop": stop}),
    )  # fmt: skip


@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV", "RND_ZERO"])
def test_a_corner_start_of_a_monotone_map(rounding):
    c = certify(value_like(assign(rounding), 0))
    assert c.terminates_by == "T5" and c.enclosure and c.needs_start
    assert c.radius_ulps == tuple([(1 if rounding == "TRN" else Fraction(1, 2)) * 4] * 2)
    assert max(c.width) == Fraction(2, 4) * 4  # 2 u / (1 - L)
    assert by(value_like(assign(rounding), -128)) == "T5"
    assert by(value_like(assign(rounding), 127)) == "T5"
    assert by(value_like(assign(rounding), 5)) is None
    assert by(value_like(assign(rounding), 0, SQ(3, 2))) is None  # b of either sign: no corner
    assert by(value_like(assign(rounding), -128, SQ(3, 2))) == "T5"  # the register's minimum


def test_floor_and_ceil_enclose():
    fmt, b = SQ(6, 2, overflow="SAT"), np.array([[k, 11 - k] for k in range(12)])
    low = value_like(assign("TRN"), fmt.lo).solve_raw(b=b)
    high = value_like(assign("RND"), fmt.hi).solve_raw(b=b)
    assert set(low.status.tolist()) == {"fixed"} == set(high.status.tolist())
    A = np.array([[0.5, 0.25], [0, 0.75]])
    exact = np.linalg.solve(np.eye(2) - A, b.T).T
    assert np.all(low.raw <= exact + 1e-9)


# -- the counterexamples ---------------------------------------------------------------------------------


def test_ties_to_even_orbit():
    """T(x) = 3/2 - x/2 runs 0, 2, 0, 2: delta(1) = ceil(1 / (1 - L)) - 1 would never fire."""

    def made(rounding, stop):
        return unit(
            lambda x: Fraction(3, 2) - (x >> 1), {"x": (INTEGERS, 1)}, update=assign(rounding), stop=stop,
            cap=20, name="ties",
        )  # fmt: skip

    u = made("RND_CONV", delta(1))
    assert orbit(u, [0], 4) == [[0], [2], [0], [2], [0]]
    assert u.solve_raw(np.array([0]), certified=False).status == "cap"
    with pytest.raises(ValueError, match="least m that always fires, which is 2"):
        require(u)
    assert by(made("RND_CONV", delta(2))) == "tolerance"
    assert by(made("RND", delta(1))) == "tolerance"


def test_two_norm_orbit():
    """M = [[-3, -5], [5, -3]] / 8 has 2-norm 0.729, and truncated increments run round for ever."""
    M = np.array([[-3, -5], [5, -3]]) / 8
    u = unit(lambda x: M @ x, {"x": (INTEGERS, 2)}, cap=40, name="rotation")
    assert orbit(u, [1, 1], 4) == [[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]]
    assert u.solve_raw(np.array([1, 1]), certified=False).status == "cap"
    c = certify(u)
    assert c.norm == "2" and c.L**2 - Fraction(34, 64) < Fraction(1, 10**6) and c.terminates_by is None
    with pytest.raises(ValueError, match="2-norms alone"):
        require(u)
    m = c.m_star
    fired = unit(lambda x: M @ x, {"x": (INTEGERS, 2)}, stop=delta(m), cap=10**4, name="rotation")
    assert by(fired) == "tolerance"
    grid = np.array([[i, j] for i in range(-128, 128, 9) for j in range(-128, 128, 9)])
    assert set(fired.solve_raw(grid).status.tolist()) == {"tolerance"}


def test_simultaneous_block_orbit():
    """A = [[10, 9, 9], [9, 10, 9], [9, 9, 10]] relaxed all at once: (1, 1, 1) and back."""
    A = np.array([[10, 9, 9], [9, 10, 9], [9, 9, 10]])
    u = unit(lambda x: x - ((A @ x) * 13 >> 7), {"x": (INTEGERS, 3)}, cap=40, name="block")
    assert orbit(u, [1, 1, 1], 2) == [[1, 1, 1], [-1, -1, -1], [1, 1, 1]]
    with pytest.raises(ValueError, match="not proven to contract"):
        require(u)


def test_warm_start_orbit():
    """T = (3/4 x2, 3/4 x1) is order-preserving; from (0, 1) nearest runs (1, 0), (0, 1)."""

    def made(start):
        return unit(
            lambda x: x[::-1] * Fraction(3, 4), {"x": (INTEGERS, 2)}, update=assign("RND"), start=start,
            cap=20, name="warm",
        )  # fmt: skip

    assert orbit(made([0, 1]), [0, 1], 2) == [[0, 1], [1, 0], [0, 1]]
    with pytest.raises(ValueError, match="not proven to be below or above"):
        require(made([0, 1]))
    assert by(made([100, 100])) == "T5" and made([100, 100]).solve_raw().status == "fixed"
    with pytest.raises(ValueError, match=r"below or above its image.*row 1 is not"):
        made([100, 100]).solve_raw([[60, 80], [0, 1]])
    assert made([100, 100]).solve_raw([[60, 80], [80, 60]]).status.tolist() == ["fixed", "fixed"]


def test_coarse_carry_orbit():
    """T = 0.3 with the dropped bits kept beside a coarse x: 0, 0, 0, 1, 1, 0 ..., never at rest."""

    def step(x, carry):
        total = (x * 0 + Fraction(77, 256)) + carry
        whole = total.cast(SQ(8, 0, rounding="RND", overflow="SAT"))
        return whole, total - whole

    u = unit(
        step, {"x": (INTEGERS, 1), "carry": (SQ(2, 8, overflow="SAT"), 1)}, update=assign("TRN"), cap=60,
        name="carry",
    )  # fmt: skip
    s = u.solve_raw({"x": np.array([0]), "carry": np.array([0])}, certified=False, history=True)
    seen = np.asarray(s.history["x"] if isinstance(s.history, dict) else s.history[0]).ravel()
    assert s.status == "cap" and set(seen.tolist()) == {0, 1}
    with pytest.raises(ValueError, match="may not stop"):
        require(u)


# -- how it is told --------------------------------------------------------------------------------------


def test_json_and_page():
    c = certify(affine([[0.5, 0.25], [0, 0.5]], SQ(4, 6, overflow="SAT")))
    read = json.loads(c.json())
    assert read["L"] == "3/4" and read["terminates_by"] == "T4" and read["radius"][1] == "1/32"
    assert [Fraction(v) for v in read["radius"]] == list(c.radius)
    page = c.page()
    assert "| L (max-norm of LSBs) | 3/4 = 0.75 |" in page and "stops by T4" in page
    refused = certify(affine([[2]]))
    assert "**may not stop**" in refused.page() and "stop=count(K)" in refused.page()
    assert json.loads(refused.json())["radius"] is None
    with pytest.raises(ValueError, match="must be proven to contract"):
        refused.a_posteriori(1)


def test_the_certificate_is_made_once():
    u = affine([[0.5]])
    assert certify(u) is certify(u) is u.certify()
