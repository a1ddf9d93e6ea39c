"""Slopes and errors of function blocks over all their codes, against the functions in floating point."""

from fractions import Fraction
from math import erf

import numpy as np
import pytest

import fxsim
from fxsim.formats import SQ, UQ
from fxsim.iterate.slopes import slopes
from fxsim.layers import functions
from fxsim.layers.softmax import Softmax
from fxsim.trace import maximum

FUNCTIONS = {
    "sigmoid": (SQ(4, 4), UQ(0, 8), lambda x: 1 / (1 + np.exp(-x))),
    "tanh": (SQ(3, 5), SQ(1, 7), np.tanh),
    "gelu": (SQ(4, 4), SQ(4, 6), lambda x: x * 0.5 * (1 + np.vectorize(erf)(x / 2**0.5))),
    "exp": (SQ(3, 4), UQ(4, 5), np.exp),
    "exp2": (SQ(3, 4), UQ(3, 6), np.exp2),
    "log2": (UQ(3, 4), SQ(4, 5), lambda x: np.log2(np.maximum(x, 1e-300))),
    "reciprocal": (UQ(3, 4), UQ(3, 5), lambda x: 1 / np.maximum(x, 1e-300)),
    "rsqrt": (UQ(3, 4), UQ(2, 6), lambda x: np.maximum(x, 1e-300) ** -0.5),
}


def clipped(name, x):
    source, out, f = FUNCTIONS[name]
    x = np.clip(x, float(source.lo * source.lsb), float(source.hi * source.lsb))
    return np.clip(f(x), float(out.lo * out.lsb), float(out.hi * out.lsb))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("low_bits", [0, 2])
@pytest.mark.parametrize("rounded", [False, True])
def test_functions(name, low_bits, rounded):
    """The ideal map is the function of the exact operand, clipped to the unit's codes and its result's."""
    source, out, _ = FUNCTIONS[name]
    fine = source if not rounded else source.replace(width=source.width + 2)
    nearest = source.replace(rounding="RND", overflow="SAT")

    def fn(x):
        y = x.cast(nearest) if rounded else x
        return getattr(functions, name)(y, out, low_bits)

    graph = fxsim.trace(fn, fine)
    (s,) = slopes(graph, ["x"])
    lo, hi, error = (float(v.fractions().ravel()[0]) for v in (s.lo, s.hi, s.error))
    codes = np.arange(fine.lo, fine.hi + 1)
    x = codes * float(fine.lsb)
    ideal = clipped(name, x)
    assert np.max(np.abs(graph.run_raw(codes) * float(out.lsb) - ideal)) <= error + 1e-12
    slope = np.diff(ideal) / np.diff(x)
    assert lo - 1e-9 <= slope.min() and slope.max() <= hi + 1e-9
    if name != "log2":  # whose slope just above 2**-8 no two codes show
        assert max(abs(lo), abs(hi)) <= 2.1 * np.abs(slope).max()
    assert s.rising == (name in ("sigmoid", "tanh", "exp", "exp2", "log2"))


@pytest.mark.parametrize("base", ["e", "2"])
@pytest.mark.parametrize("direct", [True, False])
def test_softmax(base, direct):
    """Of an affine map and of rounded scores: every difference within the Jacobian's bounds and the gain."""
    rng = np.random.default_rng(3)
    A = rng.integers(-8, 9, (4, 3)) / 8
    scores = SQ(3, 3, rounding="RND", overflow="SAT")
    soft = Softmax(scores, 4, UQ(1, 7), base, direct=direct)
    graph = fxsim.trace(lambda x: soft((A @ x).cast(scores)), SQ(2, 4), shape=(3,))
    (s,) = slopes(graph, ["x"], [1, 2, 3])
    lo, hi = (v.fractions().astype(float) for v in (s.lo, s.hi))
    error, gain = (v.fractions().astype(float) for v in (s.error, s.gain))
    raw = rng.integers(-32, 32, (400, 3))

    def ideal(x):
        y = np.clip(x @ A.T, -4, 3.875)
        p = np.exp(y if base == "e" else y * np.log(2))
        return p / p.sum(axis=1, keepdims=True)

    p = ideal(raw / 16)
    assert np.all(np.abs(graph.run_raw(raw) / 128 - p) <= error + 1e-12)
    x, z = rng.uniform(-2, 1.9, (2, 2000, 3))
    d, dp = x - z, ideal(x) - ideal(z)
    least = np.minimum(d[:, :, None] * lo, d[:, :, None] * hi).sum(axis=1)
    most = np.maximum(d[:, :, None] * lo, d[:, :, None] * hi).sum(axis=1)
    assert np.all(least - 1e-12 <= dp) and np.all(dp <= most + 1e-12)
    assert np.all(np.abs(dp) <= gain * np.max(np.abs(d) / [1, 2, 3], axis=1)[:, None] + 1e-12)
    factor = 1 if base == "e" else np.log(2)
    assert float(s.two_norm()) <= np.linalg.norm(A, 2) * factor / 2 * (1 + 1e-6)
    assert np.all(np.linalg.norm(dp, axis=1) <= float(s.two_norm()) * np.linalg.norm(d, axis=1) + 1e-12)


def test_softmax_of_many():
    """ln b / 2 of the greatest row sum, whatever the number of elements; entries alone sum to more."""
    soft = Softmax(SQ(3, 3), 64, UQ(1, 7), "2", exp_frac=8)
    _graph, (s,) = (g := fxsim.trace(lambda x: soft(x), SQ(3, 3), shape=(64,))), slopes(g, ["x"])
    assert Fraction(34, 100) < s.gain.greatest() < Fraction(35, 100)  # ln 2 / 2
    assert s.lo.fractions()[0, 1] == -s.hi.fractions()[5, 5] > Fraction(-174, 1000)


def test_one_of_one():
    soft = Softmax(SQ(3, 3), 1, UQ(1, 7))
    (s,) = slopes(fxsim.trace(lambda x: soft(maximum(x, 0)), SQ(3, 3), shape=(1,)), ["x"])
    assert not np.any(s.hi.raw) and s.error.greatest() < Fraction(1, 64)
