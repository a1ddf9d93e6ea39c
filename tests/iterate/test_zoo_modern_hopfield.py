"""Modern Hopfield memory and attention: recall in one step, the proven error of a step, refusals."""

import sys
from fractions import Fraction

import numpy as np
import pytest

import fxsim
from fxsim.formats import SQ, UQ, Format
from fxsim.iterate.softmax import LOG2_E, dyadic, evaluation_error, softmax_exact, softmax_of
from fxsim.iterate.stops import unchanged
from fxsim.iterate.updates import increment_trunc
from fxsim.iterate.zoo.modern_hopfield import (
    attention,
    digit_patterns,
    example,
    flipped,
    modern_hopfield,
    reference,
)
from fxsim.layers.softmax import Softmax

module = sys.modules["fxsim.iterate.zoo.modern_hopfield"]


@pytest.mark.parametrize("size", [64, 512])
@pytest.mark.parametrize("beta", [0.25, 0.5, 1])
def test_twelve_of_64_bits_come_back_after_one_update(size, beta):
    patterns = np.random.default_rng(size).choice([-1, 1], (size, 64))
    unit = modern_hopfield(patterns, beta)
    found = unit.solve_raw(flipped(patterns[:40], 12, 1) << 10)
    assert np.all(found.steps == 1) and np.all(found.status == "count")
    assert np.array_equal(np.where(found.raw > 0, 1, -1), patterns[:40])


def test_digit_images_come_back_and_more_steps_end_at_a_fixed_point():
    patterns = digit_patterns()
    start = flipped(patterns, 6, 5) << 10
    once = modern_hopfield(patterns, 0.5).solve_raw(start)
    assert np.array_equal(np.where(once.raw > 0, 1, -1), patterns)
    settled = modern_hopfield(patterns, 0.5, steps=20).solve_raw(start)
    assert np.all(settled.status == "fixed") and int(settled.steps.max()) < 20
    assert np.array_equal(np.where(settled.raw > 0, 1, -1), patterns)


def softmax_bound(score_frac, size, out, exp_frac, width):
    """Of one probability: the block's, and the rounded exponents' (2-Lipschitz inverse: ln 2 / 2 each)."""
    block = Softmax(SQ(width - score_frac, score_frac), size, out, "2", exp_frac=exp_frac, direct=False)
    return block.bound * out.lsb + Fraction(7, 20) * Fraction(1, 2 << score_frac)


def test_one_step_is_within_the_softmax_bound():
    rng = np.random.default_rng(3)
    patterns = rng.choice([-1, 1], (4, 12))
    start = rng.integers(-(1 << 8), (1 << 8) + 1, (60, 12))
    unit = modern_hopfield(patterns, 0.25, frac=8, score_frac=8, exp_frac=12)
    found = unit.solve_raw(start)
    assert unit.formats[0].replace(overflow="WRAP", rounding="TRN") == SQ(2, 8)
    bound = 4 * softmax_bound(8, 4, UQ(1, 8), 12, 15) + Fraction(1, 2 << 8)
    wanted = reference(patterns, 0.25, start, 8)
    worst = max(
        abs(Fraction(int(a), 256) - b) for a, b in zip(found.raw.ravel(), wanted.ravel(), strict=True)
    )
    assert Fraction(1, 1 << 10) < worst <= bound < Fraction(1, 20)


def test_a_small_beta_contracts_to_the_mean_of_the_patterns():
    patterns = np.random.default_rng(5).choice([-1, 1], (4, 3))
    settled = {"stop": unchanged(), "cap": 200}
    rough = modern_hopfield(patterns, 0.1, frac=8, score_frac=8, **settled)
    unit = modern_hopfield(
        patterns, 0.1, frac=8, score_frac=8, update=increment_trunc(evaluation_error(rough)), **settled
    )
    assert unit.certify().terminates_by == "T4'" and unit.certify().L < 1
    start = np.random.default_rng(6).integers(-256, 257, (40, 3))
    found = unit.solve_raw(start)
    assert np.all(found.status == "fixed")
    wanted = reference(patterns, 0.1, start[:1], 8, 60)[0]
    worst = max(abs(Fraction(int(v), 256) - w) for row in found.raw for v, w in zip(row, wanted, strict=True))
    assert worst <= max(unit.certify().radius)


def test_attention_is_one_step_with_values():
    rng = np.random.default_rng(4)
    keys, values = rng.integers(-2, 3, (6, 8)), rng.integers(-7, 8, (6, 3))
    graph = attention(keys, values, SQ(2, 6), 0.5, frac=12, score_frac=9)
    queries = rng.integers(-128, 128, (50, 8))
    factor = dyadic(LOG2_E / 2, 10, "beta")
    got = graph.run_raw(queries)
    p = graph.blocks[0].params
    out = Format.parse(p["out"])
    layer = Softmax(
        Format.parse(p["source"]), 6, out, p["base"], p["exp_frac"], p["index_frac"], direct=False
    )
    # Every p is off by the block's bound, and by 2**(2 e) - 1 <= 2 e for scores that are off by e each.
    each = layer.bound * Fraction(1, 1 << out.frac) + 2 * Fraction(1, 1 << 10)
    most = [each * int(v) for v in np.abs(values).sum(axis=0)]
    unit = Fraction(1, 1 << graph.outputs[0].type.frac)
    for row, q in zip(got, queries, strict=True):
        scores = [Fraction(int(s), 64) for s in keys @ q]
        p = softmax_exact([factor * s for s in scores])
        ideal = [sum(int(v) * w for v, w in zip(c, p, strict=True)) for c in values.T]
        assert all(abs(int(r) * unit - w) <= m for r, w, m in zip(row, ideal, most, strict=True))
    assert np.array_equal(attention(keys, keys, SQ(2, 6)).run_raw(queries).shape, (50, 8))


def test_softmax_exact_sums_to_one_and_rounds_its_constant():
    p = softmax_exact([Fraction(k, 3) for k in range(7)])
    assert sum(p) == 1 and abs(p[6] / p[3] - 2) < Fraction(1, 1 << 120)
    # 2**(1 / LOG2_E) is e: enclosures of both sides meet.
    e = fxsim.layers.references.exp(Fraction(1))
    again = fxsim.layers.references.exp2(LOG2_E)
    assert abs(e[0] - again[0]) < 16


def test_example():
    shown = example()
    found = shown.solve()
    assert len(found.steps) == 16
    assert max(shown.errors(found).ravel()) < Fraction(1, 100)
    again = reference(digit_patterns(3), 1, shown.start[:1], 10, 2)
    assert again.shape == (1, 64)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: modern_hopfield([1, -1]), ValueError, "patterns must be integers with 2 axes"),
        (lambda: modern_hopfield([[0.5, 1]]), ValueError, "patterns must be integers"),
        (lambda: modern_hopfield([[1, -1]], 0), ValueError, "beta must be positive, not 0"),
        (lambda: modern_hopfield([[1, -1]], 1e-9), ValueError, "beta must be at least 3.4e-04"),
        (lambda: modern_hopfield([[1, -1]], float("nan")), ValueError, "beta must be finite"),
        (lambda: modern_hopfield([[1, -1]], "1"), TypeError, "beta must be a number"),
        (lambda: modern_hopfield([[1, -1]], steps=0), ValueError, "steps must be an integer of at least 1"),
        (lambda: attention([[1]], [[1], [2]], SQ(2, 2)), ValueError, "values must have one row per key, 1"),
    ],
)
def test_refuses(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_scores_are_rounded_once_and_never_saturate():
    graph = fxsim.trace(lambda x: softmax_of(x, UQ(1, 6), 3), SQ(3, 5), shape=(2,))
    raw = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)), -1).reshape(-1, 2)
    got = graph.run_raw(raw)
    rounded = ((raw + 2) >> 2) / 8.0
    ideal = 1 / (1 + 2.0 ** (rounded[:, ::-1] - rounded))
    assert np.max(np.abs(got / 64 - ideal)) < 1 / 64


@pytest.mark.parametrize("base", ["2", "e"])
def test_powers_are_zero_where_the_bound_stops_looking(base):
    block = Softmax(SQ(7, 6), 3, UQ(1, 6), base, direct=False)
    far = np.arange((block.exp_frac + 4) << 6, 1 << 13)
    graph = fxsim.trace(lambda x: block(x), SQ(7, 6), shape=(3,))
    x = np.stack([np.full(far.size, 4095), 4095 - far, 4095 - far], -1)
    assert np.array_equal(graph.run_raw(x), np.broadcast_to([64, 0, 0], x.shape))
    assert block.bound == Softmax(SQ(9, 6), 3, UQ(1, 6), base, direct=False).bound
