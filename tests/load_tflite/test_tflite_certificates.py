"""The runtime's roundings and their smallest multiply-add-shift, by brute force over whole ranges."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim.layers.dyadic import Dyadic
from fxsim.load.tflite.certificate import certify
from fxsim.load.tflite.gemmlowp import (
    divide_by_power,
    exp_negative,
    high_multiply,
    multiply,
    quantize_multiplier,
)
from fxsim.load.tflite.rescale import rescale
from fxsim.load.tflite.rounding import Average, Channel, DoubleProduct, Multiplier, Rule
from fxsim.trace import Builder
from fxsim.types import TensorType


def draw(rng: np.random.Generator) -> Rule:
    kind = rng.integers(3)
    real = float(np.exp(rng.uniform(np.log(1e-3), np.log(2.0))))
    if kind == 0:
        return Multiplier.of(real)
    return DoubleProduct(real) if kind == 1 else Average(int(rng.integers(1, 40)))


def random_channel(rng: np.random.Generator) -> Channel:
    zero, ends = int(rng.integers(-128, 128)), sorted(rng.integers(-4000, 4000, 2).tolist())
    lo = -128 if rng.integers(2) else zero
    return Channel(draw(rng), zero, lo, 127, *ends)


def test_a_certificate_is_the_rule_everywhere(rng: np.random.Generator) -> None:
    for _ in range(200):
        c = random_channel(rng)
        found = certify(c)
        assert found is not None, c
        acc = np.arange(c.least, c.most + 1)
        assert [found.code(int(a), c.lo, c.hi) for a in acc] == c.code(acc).tolist(), c


def test_levels_are_where_codes_begin(rng: np.random.Generator) -> None:
    for _ in range(200):
        c = random_channel(rng)
        acc = np.arange(c.least, c.most + 1)
        codes = c.code(acc)
        assert np.all(np.diff(codes) >= 0)
        want = [int(acc[np.argmax(codes >= j)]) for j in range(int(codes[0]) + 1, int(codes[-1]) + 1)]
        assert c.levels().tolist() == want, c


def test_no_smaller_shift_works(rng: np.random.Generator) -> None:
    for _ in range(60):
        rule, ends = draw(rng), sorted(rng.integers(-60, 60, 2).tolist())
        c = Channel(rule, 0, -128, 127, *ends)
        found = certify(c)
        assert found is not None
        acc = np.arange(c.least, c.most + 1)
        want = c.code(acc)
        for shift in range(found.shift):
            for m in range(int(2 * rule.factor * (1 << shift)) + 3):
                for part in (acc < 0, acc >= 0):
                    # y = (acc * m + C) >> shift: every C that fits the first element, tried on all.
                    if not part.any():
                        continue
                    a, w = acc[part], want[part]
                    base = (int(w[0]) << shift) - int(a[0]) * m
                    if any(np.array_equal((a * m + base + d) >> shift, w) for d in range(1 << shift)):
                        continue
                    break
                else:
                    raise AssertionError(f"shift {shift}, multiplier {m} works for {c}, not only {found}")


@pytest.mark.parametrize("method", ["auto", "dyadic", "threshold"])
def test_the_block_is_the_rule(rng: np.random.Generator, method: str) -> None:
    for k in range(20):
        builder = Builder()
        lo, hi = -int(rng.integers(1, 3000)), int(rng.integers(1, 3000))
        x = builder.input("x", TensorType((3,), 0, lo, hi), fxsim.boundary.FormatEncoder(fxsim.SQ(16, 0)))
        rules, zero = [draw(rng) for _ in range(3 if k % 2 else 1)], int(rng.integers(-128, 128))
        bounds = (-128, 127) if k % 3 else (zero, 100 if zero < 100 else 127)
        y = rescale(builder, "r", x, rules, 0 if len(rules) > 1 else None, zero, bounds, method)
        graph = builder.finish([y])
        raw = np.stack([np.arange(lo, hi + 1)] * 3, 1)
        want = np.stack(
            [Channel(rules[i % len(rules)], zero, *bounds, lo, hi).code(raw[:, i]) for i in range(3)], 1
        )
        assert np.array_equal(graph.run_raw(raw), want)
        params = graph.blocks[0].params
        assert params["method"] == ("threshold" if method == "threshold" else params["method"])
        assert set(params["cost"]) == {"dyadic", "threshold"}


def test_sums_beyond_int32_are_refused() -> None:
    builder = Builder()
    x = builder.input("x", TensorType((), 0, 0, 1 << 31), fxsim.boundary.FormatEncoder(fxsim.UQ(32, 0)))
    with pytest.raises(ValueError, match=r"its sums may leave int32 \(0\.\.2147483648\)"):
        rescale(builder, "r", x, [Average(3)], None, 0, (-128, 127), "auto")


def test_the_multiplier_is_that_of_the_requantize_layer(rng: np.random.Generator) -> None:
    for _ in range(100):
        real = float(np.exp(rng.uniform(np.log(1e-6), np.log(0.99))))
        rule = Multiplier.of(real)
        dyadic = Dyadic.of(real)
        assert (rule.m, 31 - rule.e) == (dyadic.multiplier, dyadic.shift)
        acc = rng.integers(-(1 << 24), 1 << 24, 50)
        assert rule(acc).tolist() == [dyadic.code(int(a), "gemmlowp") for a in acc]


def test_multipliers_at_the_ends() -> None:
    assert quantize_multiplier(0.5) == (1 << 30, 0)
    assert quantize_multiplier(1 - 2.0**-40) == (1 << 30, 1)
    assert quantize_multiplier(2.0**-33) == (0, 0) and quantize_multiplier(0.0) == (0, 0)
    assert multiply(np.array([3, -3]), 1 << 30, 2).tolist() == [6, -6]
    with pytest.raises(ValueError, match="bits, beyond int32"):
        multiply(np.array([1 << 20]), 1 << 30, 20)


def test_rounded_products_and_shifts() -> None:
    assert high_multiply(np.array([1, -1, 3]), 1 << 30).tolist() == [1, 0, 2]  # ties up
    assert divide_by_power(np.array([-3, -2, -1, 1, 2, 3]), 1).tolist() == [-2, -1, -1, 1, 1, 2]  # ties away
    assert divide_by_power(np.array([5]), 0).tolist() == [5]
    assert high_multiply(-(1 << 31), -(1 << 31)) == (1 << 31) - 1


def test_exp_is_near_exp() -> None:
    a = -np.linspace(0, 20, 400)
    codes = exp_negative(np.round(a * (1 << 26)).astype(np.int64))
    assert codes[0] == (1 << 31) - 1
    assert np.abs(codes / 2.0**31 - np.exp(a)).max() < 1e-6
