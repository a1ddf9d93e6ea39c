"""The form that all codecs share: registration, description, exact values, bad input."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from fxsim import quantizers
from fxsim.quantizers import codec
from fxsim.quantizers.codec import code_array, fractions


@pytest.fixture
def halves(monkeypatch):
    monkeypatch.setattr(codec, "_CODECS", {})

    @quantizers.register("halves")
    @dataclass(frozen=True)
    class Halves(quantizers.Codec):
        """value = code / 2."""

        bits: int = 4
        frac = 1
        scale = Fraction(1, 3)

        def encode(self, values):
            return np.array([round(v / self.scale * 2) for v in fractions(values).ravel()])

        def raw(self, codes):
            return code_array(codes, 0, (1 << self.bits) - 1)

    return Halves


def test_values_are_exact_and_described(halves):
    assert halves().quantize([1.0, Fraction(1, 6)]).tolist() == [6, 1]
    assert halves().decode([6, 1]).tolist() == [1.0, 1 / 6]
    assert quantizers.names() == ("halves",)
    assert quantizers.describe("halves") == "halves: Halves(bits: 'int' = 4)\n\nvalue = code / 2."
    with pytest.raises(ValueError, match="name must be one of halves, not 'half'"):
        quantizers.describe("half")
    with pytest.raises(ValueError, match="name of a codec must be new, not 'halves', which is Halves"):
        quantizers.register("halves")(halves)


def test_bad_values_are_named(halves):
    with pytest.raises(ValueError, match=r"values must be finite, not nan at index \(1,\)"):
        halves().encode([0.0, np.nan])
    with pytest.raises(TypeError, match=r"values must be real numbers, not 'x' at index \(0,\)"):
        halves().encode(np.array(["x"], object))
    with pytest.raises(TypeError, match="values must be real numbers, not complex128"):
        halves().encode([1j])
    with pytest.raises(ValueError, match=r"codes must lie in 0..15, not 16 at \(2,\)"):
        halves().raw([0, 1, 16])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint64, bool])
def test_every_dtype_is_exact(dtype):
    values = np.array([1, 0], dtype)
    assert fractions(values).tolist() == [1, 0]
    if np.dtype(dtype).kind == "f":
        third = dtype(1) / dtype(3)
        assert fractions(np.array([third])).tolist() == [Fraction(float(third))]
    assert fractions([Fraction(1, 3), 2, 0.5]).tolist() == [Fraction(1, 3), 2, Fraction(1, 2)]
