"""A ReLU folded into the cast behind it: the rounding that only x >= 0 allows must not show below 0."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import Format, Overflow, Rounding, TensorType
from fxsim.emulate import evaluate


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("rounding", list(Rounding))
def test_relu_and_cast(rounding: Rounding, overflow: Overflow) -> None:
    """-16..22 in units of 1/32 LSB: all that is negative rounds to 0, so that no bound seems to cut."""
    x = TensorType((4,), 4, np.full(4, -16), np.full(4, 22), np.zeros(4, np.int64))
    fmt = Format(5, 6, True, rounding, overflow)
    graph = fxsim.trace(lambda t: fxsim.maximum(t, 0).cast(fmt), x)
    raw = np.repeat(np.arange(-16, 23)[:, None], 4, axis=1)
    np.testing.assert_array_equal(graph.run_raw(raw), evaluate(graph, [raw])[graph.outputs[0]])
