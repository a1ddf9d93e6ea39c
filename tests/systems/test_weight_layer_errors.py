"""Layers with coded weights and the runtime shift-add MAC: constants of batch norm, and bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fxsim import SQ, UQ, trace
from fxsim.layers import (
    conv2d,
    decode_fields,
    dense,
    elementwise,
    linear,
    shift_dot,
    shift_matmul,
    shift_product,
)  # fmt: skip
from fxsim.quantizers import Binary
from fxsim.quantizers.fields import Fields
from tests.systems.test_weight_layers import APOT, POT, TWO


def test_batch_norm_constants() -> None:
    gain, offset = elementwise.batch_norm_constants([2.0, -1], [0.5, 0.25], [3.0, -1], [4.0, 0.25], 0.0)
    assert gain.tolist() == [1, -2] and offset.tolist() == [-2.5, -1.75]
    with pytest.raises(ValueError, match=r"variance \+ epsilon must be above 0, not -1.0"):
        elementwise.batch_norm_constants(1, 0, 0, [1.0, -1.0], 0.0)


def X(shape, build):
    return lambda: trace(build, SQ(2, 3), shape=shape)


def codes(x):
    return x.cast(UQ(5, 0))


BAD = [
    (X((3,), lambda x: dense(x, [[0.1], [0.2], [0.3]])), ValueError, "bits to be exact; quantize it first"),
    (X((3,), lambda x: dense(x, [[1], [2]])), TypeError, r"dense needs x \(..., n\) and weights"),
    (X((2,), lambda x: dense(x, [[1], [2]], 3)), TypeError, r"bias must have shape \(1,\), one number"),
    (X((2,), lambda x: dense(x, [[1], [2]], [0.1])), ValueError, "bits to be exact; quantize it first"),
    (X((2,), lambda x: dense(x, [[1.0], [np.inf]], codec=POT)), ValueError, "finite, not inf at index"),
    (X((2,), lambda x: dense(x, [[1], [2]], [1], codec=Binary((1, 2), axis=0))), ValueError,
     "scales of the weights must be along the outputs, axis 1, not 0"),
    (X((4, 4), lambda x: conv2d(x, np.ones((2, 2, 1, 1)))), TypeError, r"conv2d needs x \(height"),
    (X((4, 4, 3), lambda x: conv2d(x, np.ones((2, 2, 2, 1)))), TypeError, "conv2d needs x"),
    (X((4, 4, 2), lambda x: conv2d(x, np.ones((2, 2, 1, 3)), groups=2)), TypeError, "conv2d needs x"),
    (X((4, 4, 1), lambda x: conv2d(x, np.ones((2, 2, 1, 1)), padding="full")), ValueError,
     r'padding must be "valid", "same" or integers, not \'full\''),
    (X((4, 4, 1), lambda x: conv2d(x, np.ones((2, 2, 1, 1)), stride=(1, 2, 3))), ValueError,
     r"stride must be an integer or two, not \(1, 2, 3\)"),
    (X((4, 4, 1), lambda x: conv2d(x, np.ones((5, 2, 1, 1)))), TypeError, "does not fit axis 0"),
    (X((4, 4, 1), lambda x: elementwise.max_pool(x, 2, 1, 2)), ValueError, "padding must be less than size"),
    (X((4, 4, 1), lambda x: elementwise.average_pool(x, 3)), ValueError, "reciprocal must be a format"),
    (X((4, 2), lambda x: elementwise.batch_norm(x, [1, 2, 3], 0)), TypeError, "gain must be one number, or"),
    (X((4, 2), lambda x: elementwise.prelu(x, [1, 2, 3])), TypeError, "slope must be one number, or"),
    (X((4, 2), lambda x: elementwise.shortcut(x, x[0])), TypeError, "tensors of one shape, not"),
    (X((4,), lambda x: shift_product(x, x, TWO)), TypeError, "unsigned integers of 10 bits, not"),
    (X((4,), lambda x: shift_dot(x, codes(x), Fields(1, 2))), TypeError, "integers of 4 bits, not"),
    (X((4,), lambda x: shift_matmul(x, codes(x), TWO)), TypeError, "matmul needs x"),
    (X((4,), lambda x: decode_fields(x, APOT)), TypeError, "unsigned integers of 5 bits, not"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_named(call, error, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_padding_of_sides() -> None:
    rest = ((4, 4), (3, 3), (1, 1), (1, 1))
    assert linear.pads(2, *rest) == ((2, 2), (2, 2))
    assert linear.pads((1, 2), *rest) == ((1, 2), (1, 2))
    assert linear.pads(((1, 0), (0, 2)), *rest) == ((1, 0), (0, 2))
    assert linear.pads([(1, 0), 2], *rest) == ((1, 2), (0, 2))
    assert linear.pads("valid", *rest) == ((0, 0), (0, 0))
    with pytest.raises(ValueError, match=r"padding must be an integer, two, or two pairs, not \(1, 2, 3\)"):
        linear.pads((1, 2, 3), *rest)


def test_same_padding_of_all_strides() -> None:
    for n, k, s, d in itertools.product(range(1, 9), (1, 2, 3, 5), (1, 2, 3), (1, 2)):
        (a, _), (b, _) = linear.pads("same", (n, n), (k, k), (s, s), (d, d))
        assert (n + a + b - d * (k - 1) - 1) // s + 1 == -(-n // s) and 0 <= b - a <= 1
