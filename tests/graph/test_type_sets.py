"""The proven sets of TensorType at their limits: long strides, and what is no set."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import TensorType
from fxsim.boundary import FormatEncoder
from fxsim.trace import Builder


@pytest.mark.parametrize("stride", [60, 61, 62, 63, 65, 90])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_long_stride_is_checked_in_full(stride: int, shape: tuple[int, ...]) -> None:
    t = TensorType(shape, 0, np.array(0), np.array(1 << 100, object), stride)
    for k in (0, 1, 3):
        assert np.all(t.contains(np.full(shape, k << stride, object)))
    for bad in (1 << (stride - 1), 1, (1 << stride) + 1):
        assert not np.any(t.contains(np.full(shape, bad, object)))
    b = Builder()
    x = b.input("x", t, FormatEncoder(t.lane()))
    g = b.finish([x + 1])
    with pytest.raises(ValueError, match="multiple of"):
        g.run_raw(np.full((3, *shape), 1 << (stride - 1), object))
    out = g.run_raw(np.full((3, *shape), 1 << stride, object))
    assert set(out.ravel().tolist()) == {(1 << stride) + 1}


def test_what_is_no_set_is_refused() -> None:
    zero, seven = np.zeros(2, np.int64), np.full(2, 7)
    with pytest.raises(ValueError, match="stride must not be negative, not -1"):
        TensorType((2,), 0, zero, seven, -1)
    with pytest.raises(ValueError, match=r"lo, hi and stride must broadcast to \(2,\), not \[\(3,\)"):
        TensorType((2,), 0, np.zeros(3, np.int64), np.full(3, 7))
    with pytest.raises(ValueError, match="lo must not exceed hi"):
        TensorType((2,), 0, seven, zero)


def test_an_unread_input_still_checks_its_set() -> None:
    t = TensorType((2,), 0, np.array([0, 3]), np.array([0, 9]))
    g = fxsim.trace(lambda x, y: y + 1, t, fxsim.SQ(4, 0))
    with pytest.raises(ValueError, match=r"raw 0\.\.0, not 1 at index \(1, 0\)"):
        g.run_raw([[0, 3], [1, 3]], [1, 1])
