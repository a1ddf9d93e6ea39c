"""Random samples of every kind of input quantizer reach both ends of its codes, and hardly pass them."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim import SQ, UQ
from fxsim.boundary import Encoder, FormatEncoder, QuantEncoder
from fxsim.encoders import ElementEncoder
from fxsim.host import FloatEncoder, HostStep, LevelEncoder, SteppedEncoder
from fxsim.integers import IntArray

FORMATS = {"frac": IntArray([2, 0, 1]), "width": IntArray([3, 4, 0]), "signed": IntArray([1, 0, 1])}
QUANT = QuantEncoder((0.5,), (3.0,), 0, 7)
CHANNELS = QuantEncoder((0.5, 1.0, 3.0), (0.0,), (-4, -2, 0), (3, 1, 7), axis=0)
ENCODERS: dict[str, tuple[Encoder, list[int], list[int]]] = {
    "format": (FormatEncoder(SQ(2, 1, rounding="RND")), [-4] * 3, [3] * 3),
    "unsigned": (FormatEncoder(UQ(2, 1, rounding="RND")), [0] * 3, [7] * 3),
    "quant": (QUANT, [0] * 3, [7] * 3),
    "per channel": (CHANNELS, [-4, -2, 0], [3, 1, 7]),
    "after": (QuantEncoder((0.25,), (0.0,), -8, 7, after=-5), [-8] * 3, [7] * 3),
    "bipolar": (QuantEncoder((1.0,), (0.0,), 0, 1, "BIPOLAR"), [0] * 3, [1] * 3),
    "levels": (LevelEncoder(((-1.0, 0.0, 1.0),)), [0] * 3, [3] * 3),
    "one level": (LevelEncoder(((0.0,),)), [0] * 3, [1] * 3),
    "floats": (FloatEncoder((2.0,), 2, 1, 6), [-6] * 3, [6] * 3),
    # The finest element decides the point: 4 bits at 2**0 are multiples of 4.
    "elements": (ElementEncoder(**FORMATS), [-4, 0, 0], [3, 15 << 2, 0]),
    "stepped": (SteppedEncoder((HostStep("Mul", (-2.0,)), HostStep("Sub", (1.0,))), QUANT), [0] * 3, [7] * 3),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENCODERS)
def test_ends_are_reached(kind: str, rng: np.random.Generator) -> None:
    encoder, least, most = ENCODERS[kind]
    lo, hi = encoder.span(1)
    x = (lo + rng.random((20_000, 3)) * (hi - lo)).astype(np.float32)
    codes = encoder.encode(x, "x")
    assert codes.min(axis=0).tolist() == least and codes.max(axis=0).tolist() == most


def test_no_inverse() -> None:
    with pytest.raises(ValueError, match="step DivBy has no inverse"):
        SteppedEncoder((HostStep("DivBy", (1.0,)),), QUANT).span(1)
