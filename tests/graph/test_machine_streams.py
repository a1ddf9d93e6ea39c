"""Machines: long streams, and bad codes named with their time."""

from __future__ import annotations

import numpy as np
import pytest

import fxsim
from fxsim import SQ, Machine
from fxsim.integers import IntArray


def counter() -> Machine:
    step = fxsim.trace(lambda s, x: ((s + x).cast(SQ(8, 0)), s), SQ(8, 0), SQ(4, 0), shape=((2,), (2,)))
    return Machine((IntArray(np.array([0, 5])),), step)


def test_a_stream_is_a_running_sum() -> None:
    x = np.random.default_rng(0).integers(-8, 8, (3, 700, 2))
    (out,), (state,) = counter().run_raw(x)
    total = np.cumsum(np.concatenate([np.broadcast_to([0, 5], (3, 1, 2)), x], 1), 1)
    wrapped = (total + 128) % 256 - 128
    assert np.array_equal(out, wrapped[:, :-1]) and np.array_equal(state, wrapped[:, -1])


def test_a_bad_code_is_named_with_its_time() -> None:
    x = np.zeros((3, 4, 2), np.int64)
    x[1, 2, 1] = 99
    with pytest.raises(ValueError, match=r"input 'x' must lie in raw -8\.\.7, not 99 at index \(1, 2, 1\)"):
        counter().run_raw(x)
    with pytest.raises(TypeError, match="input 'x' must be integers"):
        counter().run_raw(x / 2)


def test_init_is_a_sequence() -> None:
    with pytest.raises(TypeError, match="init must be a tuple of arrays, one per state tensor, not 0"):
        Machine(0, counter().step)  # type: ignore[arg-type]
