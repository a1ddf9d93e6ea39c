"""Step functions, certificates, thresholds and near ties against brute force over whole ranges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from fxsim import TensorType
from fxsim.boundary import QUANT_ROUNDINGS, FormatEncoder, round_real
from fxsim.data import digits_model
from fxsim.load import load
from fxsim.load.certificate import Certificate, certify, signed_digits, simplest
from fxsim.load.rescale import rescale
from fxsim.load.steps import NEAR, Reach, StepFunction, boundary, round_exact
from fxsim.trace import Builder

HALF_MODES = ("ROUND", "HALF_EVEN", "HALF_UP", "HALF_DOWN")


def random_steps(rng: np.random.Generator, rounding: str) -> tuple[StepFunction, Reach]:
    """A line in lowest terms or with a small denominator (ties), either sign, over a small reachable set."""
    d = int(rng.choice([1, 2, 4, 6, 1 << 20, 999983]))
    a = Fraction(int(rng.integers(-d, d + 1)) or 1, d) * Fraction(1, int(rng.integers(1, 40)))
    b = Fraction(int(rng.integers(-8 * d, 8 * d)), d)
    lo = int(rng.integers(-9, 1))
    step = 1 << int(rng.integers(0, 3))
    low = int(rng.integers(-200, 100)) // step * step
    return StepFunction(a, b, lo, lo + int(rng.integers(0, 16)), rounding), Reach(
        low, low + step * int(rng.integers(0, 120)), step
    )


def values(reach: Reach) -> range:
    return range(reach.lo, reach.hi + 1, reach.step)


@pytest.mark.parametrize("rounding", QUANT_ROUNDINGS)
def test_rounding_equals_the_hosts_on_quarters(rounding) -> None:
    y = np.arange(-40, 41) / 4
    want = round_real(y, rounding).astype(int).tolist()
    assert [round_exact(Fraction(v), rounding) for v in y.tolist()] == want


@pytest.mark.parametrize("rounding", QUANT_ROUNDINGS)
def test_levels_and_edges_are_where_the_code_steps(rounding, rng) -> None:
    for _ in range(60):
        f, reach = random_steps(rng, rounding)
        codes = {v: f.code(v) for v in values(reach)}
        assert f.codes(reach) == (min(codes.values()), max(codes.values()))
        for j in range(f.lo + 1, f.hi + 1):
            level = f.level(j)
            assert all((c >= j) == (v >= level if f.a > 0 else v <= level) for v, c in codes.items())
            inside, outside = f.edge(j, reach)
            if inside is not None:
                assert codes[inside] >= j
            if outside is not None:
                assert codes[outside] < j


@pytest.mark.parametrize("rounding", QUANT_ROUNDINGS)
def test_certificates_hold_on_every_reachable_value(rounding, rng) -> None:
    found = 0
    for _ in range(80):
        f, reach = random_steps(rng, rounding)
        c = certify(f, reach)
        if isinstance(c, str):
            assert "no multiplier" in c
            continue
        found += 1
        assert all(c.code(v, f.lo, f.hi) == f.code(v) for v in values(reach))
    assert found > 20


def working(f: StepFunction, reach: Reach, multipliers: range, shift: int) -> bool:
    """Does any M have a constant C with clip((v * M + C) >> shift) equal to the code at every v?"""
    v = np.array(values(reach))
    code = np.array([f.code(int(i)) for i in v])
    product = v[:, None] * np.array(multipliers)
    low = ((code << shift)[:, None] - product)[code > f.lo].max(axis=0, initial=-(1 << 50))
    high = (((code + 1) << shift)[:, None] - 1 - product)[code < f.hi].min(axis=0, initial=1 << 50)
    return bool(np.any(low <= high))


def test_no_smaller_shift_works(rng) -> None:
    checked = 0
    for _ in range(60):
        f, reach = random_steps(rng, str(rng.choice(HALF_MODES)))
        c = certify(f, reach)
        shift = 9 if isinstance(c, str) else c.shift
        for s in range(min(shift, 9)):
            assert not working(f, reach, range(-1024, 1025), s), (f, reach, s)
            checked += 1
    assert checked > 100


def test_a_slope_of_one_half_with_ties_to_even_has_no_certificate() -> None:
    c = certify(StepFunction(Fraction(1, 2), Fraction(0), 0, 15), Reach(0, 40))
    assert isinstance(c, str) and "exact ties" in c
    assert isinstance(
        certify(StepFunction(Fraction(1, 2), Fraction(0), 0, 15, "HALF_UP"), Reach(0, 40)), Certificate
    )


def test_whole_range_of_trained_channels() -> None:
    graph = load(digits_model("digits_mlp_w4a4_floatscale_bn"), rescale="dyadic")
    for block in graph.blocks:
        if block.kind != "rescale":
            continue
        p = block.params
        for c in range(0, 32, 3):
            lo, hi, step = p["reach"].array[c].tolist()
            f = StepFunction(p["scale"][c], p["offset"][c], int(p["low"].array[c]), int(p["high"].array[c]))
            m, b, s = (int(p[k].array[c]) for k in ("multiplier", "constant", "shift"))
            acc = np.arange(lo, hi + 1, step)
            got = np.clip((acc * m + b + (1 << (s - 1))) >> s, f.lo, f.hi)
            assert got.tolist() == [f.code(int(v)) for v in acc]


@pytest.mark.parametrize("bipolar", [False, True])
def test_dyadic_and_threshold_blocks_agree_on_every_accumulator(bipolar, rng) -> None:
    """Channels of both signs, a constant one, and one with ties that has no certificate: a mixed block."""
    lines = [
        (Fraction(7, 97), Fraction(1, 3)),
        (Fraction(-5, 61), Fraction(2)),
        (Fraction(0), Fraction(3)),
        (Fraction(1, 2), Fraction(0)),
    ]
    if bipolar:
        steps = [StepFunction(a, b, 0, 1, "BIPOLAR") for a, b in lines]
    else:
        steps = [StepFunction(a, b, -4, 7 - i % 2) for i, (a, b) in enumerate(lines)]
    shape = (4, 3)
    acc = np.broadcast_to(np.arange(-150, 151)[:, None, None], (301, *shape))
    want = [[2 * f.code(int(v)) - 1 if bipolar else f.code(int(v)) for f in steps] for v in acc[:, 0, 0]]
    methods = set()
    for method in ("dyadic", "threshold", "auto"):
        builder = Builder()
        fmt_type = TensorType(shape, 2, np.full(shape, -150), np.full(shape, 150))
        x = builder.input("x", fmt_type, FormatEncoder(fmt_type.lane()))
        y = rescale(builder, "r", x, steps, 0, 0, method)
        graph = builder.finish([y])
        methods.add(graph.blocks[0].params["method"])
        got = graph.run_raw(acc)
        assert np.array_equal(got, np.broadcast_to(np.array(want)[:, :, None], got.shape)), method
        assert np.all(graph.outputs[0].type.contains(got))
    assert methods >= ({"threshold", "dyadic"} if bipolar else {"threshold", "mixed"})


def test_near_ties_are_the_accumulators_close_to_a_threshold(rng) -> None:
    found = 0
    unit = 1 << 24  # of a, b and t: all comparisons below are of integers
    v = np.arange(-4096, 4097, 2)
    for _ in range(40):
        a = Fraction(int(rng.integers(1, 1 << 20)), unit) * int(rng.choice([-1, 1]))
        b = Fraction(int(rng.integers(-(1 << 20), 1 << 20)), 1 << 18)
        f, reach = StepFunction(a, b, 0, 15), Reach(-4096, 4096, 2)
        for j in range(1, 16):
            t = boundary(j, "ROUND")[0]
            q = (t - b) / a
            distance = np.abs(int(a * unit) * v + int((b - t) * unit))
            want = v[distance <= math.floor(NEAR * (abs(a * q) + abs(b) + abs(t)) * unit)].tolist()
            span = f.near(j, reach)
            assert (list(range(span[0], span[1] + 1, 2)) if span else []) == want
            relative = v[distance <= math.floor(NEAR * abs(a * q) * unit)].tolist()
            assert set(relative) <= set(want)
            found += len(want)
    assert found


def test_simplest_constant_and_signed_digits() -> None:
    for low in range(-40, 41):
        for high in range(low, 41):
            v = simplest(low, high)
            assert low <= v <= high
            zeros = max((w & -w if w else 1 << 20) for w in range(low, high + 1))
            assert (v & -v if v else 1 << 20) == zeros
    assert [signed_digits(m) for m in (0, 1, 2, 3, 5, 7, 11, 15, 23, -7)] == [0, 1, 1, 2, 2, 2, 3, 2, 3, 2]
