"""Entries of hls4ml's tables as its C++ computes them: float32 by the C library that the simulation links."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache

import numpy as np

from fxsim.formats import Format
from fxsim.integers import Array
from hls.plugin.types import from_real


@cache
def _library() -> ctypes.CDLL:
    """The C library's mathematics. g++ links the same one, so that not even the last bit can differ."""
    return ctypes.CDLL(ctypes.util.find_library("m") or "libm.so.6")


def _called(name: str, kind: type[ctypes.c_float] | type[ctypes.c_double], x: Array) -> Array:
    function = getattr(_library(), name)
    function.argtypes, function.restype = [kind], kind
    dtype = np.float32 if kind is ctypes.c_float else np.float64
    return np.array([function(v) for v in x.astype(dtype).ravel().tolist()], dtype).reshape(x.shape)


def expf(x: Array) -> Array:
    """e**x in float32."""
    return _called("expf", ctypes.c_float, x)


def tanhf(x: Array) -> Array:
    """tanh x in float32."""
    return _called("tanhf", ctypes.c_float, x)


def log(x: Array) -> Array:
    """The natural logarithm in float64."""
    return _called("log", ctypes.c_double, x)


def _sigmoid(x: Array) -> Array:
    return 1.0 / (np.float32(1) + expf(-x)).astype(np.float64)


def _softplus(x: Array) -> Array:
    return log(expf(x).astype(np.float64) + 1.0)


def _softsign(x: Array) -> Array:
    wide = x.astype(np.float64)
    return wide / (np.abs(wide) + 1.0)


def _elu(x: Array) -> Array:
    return expf(x).astype(np.float64) - 1.0


SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


def _selu(x: Array) -> Array:
    return SELU_SCALE * (SELU_ALPHA * (expf(x).astype(np.float64) - 1.0))


# nnet_activation.h: what `<name>_fcn_float` returns, before it is rounded to float32.
FLOAT_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "tanh": tanhf,
    "softplus": _softplus,
    "softsign": _softsign,
    "elu": _elu,
    "selu": _selu,
}


def entries(name: str, points: Array, table: Format) -> Array:
    """Raw table entries: the function at `points` (float64, rounded to float32 first), in float32, cast to
    the table's type by its own rounding and overflow."""
    with np.errstate(over="ignore"):
        values = FLOAT_FUNCTIONS[name](points.astype(np.float32)).astype(np.float32)
    return from_real(values.astype(np.float64), table)


def symmetric_points(size: int, reach: float) -> Array:
    """Where the tables over -reach..reach are computed: 2 reach (i - size / 2) / size."""
    index = np.arange(size, dtype=np.float64)
    half = np.float64(np.float32(size)) / 2.0
    return 2 * reach * (index - half) / np.float64(np.float32(size))


def negative_points(size: int) -> Array:
    """Where the tables over -8..0 are computed: -8 i / size."""
    return -8.0 * np.arange(size, dtype=np.float64) / np.float64(np.float32(size))


def softmax_points(size: int, address: Format) -> Array:
    """float32 values of the address type's codes whose top bits count 0..size - 1 and whose others are 0."""
    bits = address_bits(size)
    index = np.arange(size, dtype=np.int64)
    if address.signed:
        index = np.where(index >= 1 << (bits - 1), index - (1 << bits), index)
    return np.ldexp(index.astype(np.float64), address.int_bits - bits).astype(np.float32)


def address_bits(size: int) -> int:
    """hls4ml's ceillog2."""
    return (size - 1).bit_length()


def exponentials(size: int, address: Format, scale: float, negative: bool, table: Format) -> Array:
    """Raw entries of the softmax's table of exponentials: e**(+-scale x) in float32, x from the address."""
    x = (softmax_points(size, address) * np.float32(scale)).astype(np.float32)
    with np.errstate(over="ignore"):
        values = expf(-x if negative else x)
    return from_real(values.astype(np.float64), table)


def inverses(size: int, address: Format, table: Format) -> Array:
    """Raw entries of the softmax's table of inverses: 1 / x in float32; 1 / 0 is infinite, which saturates or
    wraps to 0."""
    with np.errstate(divide="ignore"):
        values = np.float32(1) / softmax_points(size, address)
    return from_real(values.astype(np.float64), table)


def legacy_exponentials(size: int, table: Format) -> Array:
    """Raw entries of the legacy softmax's table of exponentials, over -8..8."""
    with np.errstate(over="ignore"):
        values = expf(symmetric_points(size, 8.0).astype(np.float32))
    return from_real(values.astype(np.float64), table)


def legacy_inverses(size: int, table: Format) -> Array:
    """Raw entries of the legacy softmax's table of inverses, over 0..64; 0 at 0."""
    x = (64.0 * np.arange(size) / np.float64(np.float32(size))).astype(np.float32).astype(np.float64)
    return from_real(np.where(x > 0, 1.0 / np.where(x > 0, x, 1.0), 0.0), table)


def inverse_roots(size: int, epsilon_power: int, range_power: int, table: Format) -> Array:
    """Raw entries of the layer normalization's table: 1 / sqrtf(10**-epsilon + i 2**-range / size),
    the argument in float32."""
    least, most = np.float32(10.0**-epsilon_power), np.float32(2.0**-range_power)
    step = np.float32(most / np.float32(size))
    x = least + step * np.arange(size).astype(np.float32)
    return from_real(1.0 / np.sqrt(x.astype(np.float32)).astype(np.float64), table)
