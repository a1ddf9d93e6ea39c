"""Indexing, axes and shifts of traced tensors mean what NumPy means, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

import fxsim
from fxsim import SQ
from fxsim.trace import Tensor

X = np.arange(12).reshape(4, 3) - 5


def traced(fn: Callable[[Any], Any], shape: tuple[int, ...] = (4, 3)) -> Any:
    return fxsim.trace(fn, SQ(8, 0), shape=shape).run_raw(X.reshape(shape))


def test_every_slice_is_numpys() -> None:
    ends = [None, -9, -4, -1, 0, 1, 3, 4, 9]
    for start, stop, step in product(ends, ends, [None, 1, 2, -1, -2, 7, -7]):
        s = slice(start, stop, step)
        assert np.array_equal(traced(lambda x, s=s: x[s]), X[s]), s


@pytest.mark.parametrize(
    "key",
    [
        np.array([True, False, True, True]), [False, True, False, False], np.zeros(4, bool), [-1, 0, -4, 2],
        np.array([[-1, 1], [0, 0]]), -1, np.int64(-4), (slice(None), -1), (..., 0), (1, 2), (..., 0, 0),
    ],
)  # fmt: skip
def test_arrays_and_integers_index_as_in_numpy(key: Any) -> None:
    assert np.array_equal(traced(lambda x: x[key]), X[key])


def test_take_counts_from_the_end() -> None:
    for axis in (0, 1, -1, -2):
        assert np.array_equal(traced(lambda x, a=axis: x.take([-1, 0], a)), np.take(X, [-1, 0], axis))


@pytest.mark.parametrize(
    "use, error, message",
    [
        (lambda x: x[True], TypeError, "index must be integers"),
        (lambda x: x[x], TypeError, "index must be integers"),
        (lambda x: x[None], TypeError, "index must be integers"),
        (lambda x: x[[True, False]], IndexError, r"boolean index must have shape \(4,\), not \(2,\)"),
        (lambda x: x[[4]], TypeError, r"indices of Gather must lie in 0\.\.3"),
        (lambda x: x[[-5]], TypeError, r"indices of Gather must lie in 0\.\.3"),
        (lambda x: x.take([0], 2), TypeError, "axis of Gather"),
        (lambda x: x.take([0], None), TypeError, "axis of Gather"),
        (lambda x: x.sum(axis=0.7), TypeError, "axis of Sum must be an integer, not 0.7"),
        (lambda x: x.transpose(0.0, 1), TypeError, "axis of Transpose must be an integer, not 0.0"),
        (lambda x: x << np.array([1, 2, 3]), TypeError, "power of Scale must be an integer, not array"),
        (lambda x: x >> 1.0, TypeError, "power of Scale must be an integer, not -1.0"),
        (lambda x: x << False, TypeError, "power of Scale must be an integer, not False"),
    ],
)  # fmt: skip
def test_wrong_indices_are_refused(
    use: Callable[[Tensor], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        traced(use)


def test_argmax_of_many_elements_keeps_every_index_that_can_win() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        lo = rng.integers(-9, 9, (5, 2))
        hi = lo + rng.integers(0, 6, (5, 2))
        t = fxsim.TensorType((5, 2), 0, lo, hi)
        out = fxsim.trace(lambda x: x.argmax(0), t).outputs[0].type
        for j in range(2):
            wins = [
                i
                for i in range(5)
                if all(hi[i, j] > lo[k, j] if k < i else hi[i, j] >= lo[k, j] for k in range(5) if k != i)
            ]
            assert (out.lo[j], out.hi[j]) == (wins[0], wins[-1])


def test_one_element_of_a_wide_tensor_is_taken() -> None:
    """Codes beyond 62 bits are Python integers, which NumPy's take gives without an array around them."""
    wide = fxsim.trace(lambda x: (x.take(np.array(2)), x[[1, 0]]), SQ(70, 0), shape=(3,))
    one, two = wide.run_raw(np.array([[1, 2, 1 << 68]], object))
    assert wide.outputs[0].type.shape == () and (one.tolist(), two.tolist()) == ([1 << 68], [[2, 1]])
