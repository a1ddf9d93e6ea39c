"""Functions between two quantizers as tables: every code of the operand, computed once."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fxsim import ops
from fxsim.formats import Overflow
from fxsim.integers import Array, IntArray, shift_left
from fxsim.load.affine import Activation, log2
from fxsim.load.keras.loader import Loader
from fxsim.load.keras.quantizer import Quantizer
from fxsim.load.keras.symbols import Mapped
from fxsim.trace import Tensor

MAX_CODES = 1 << 16
MAX_STEPPED, MAX_LEVELS = 1 << 24, 1 << 12
# Back ends' float32 functions differ by a few units in the last place.
ULPS = 8


def _sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _erf(x: Array) -> Array:
    return np.array([math.erf(v) for v in x.ravel().tolist()]).reshape(x.shape)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

FUNCTIONS: dict[str, Callable[..., Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": np.exp,
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "elu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "celu": lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "log_sigmoid": lambda x: -_softplus(-x),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x, slope=0.2: np.where(x >= 0, x, x * slope),
    "squareplus": lambda x, b=4.0: (x + np.sqrt(x * x + b)) / 2,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "exp of minus": lambda x, scale=1.0: np.exp(-x * scale),
    "exp": lambda x, scale=1.0: np.exp(x * scale),
    "reciprocal": lambda x, epsilon=1e-7: 1 / (x + epsilon),
}
"""Keras' activations by name, in float64; the results are rounded to float32 as Keras' own are."""


def tabled(loader: Loader, mapped: Mapped, q: Quantizer, name: str) -> Activation:
    """q(function(x)) as a "table" block: one table, or one for each element whose format differs.

    Entries are the file's quantizer of the float32 function of every code in the operand's proven range.
    Beyond 65,536 codes a monotone table becomes thresholds, one for each step (params: form). `max_error`
    is the entries' largest distance from the function in LSB of the finest format, where it saturates too.
    `near_ties` counts the entries that a float32 function 8 units in the last place off would change: with
    0, every back end of Keras gives these codes. ValueError where the table is too large and not monotone.
    """
    x, function, parameters = mapped.inner.settled(), mapped.function, mapped.parameters
    t = x.tensor
    if len(x.lines) > 1 or x.clamped:
        raise ValueError(
            f"quantizer {name!r} takes {function} of values with a scale per channel; quantize them first"
        )
    lo, hi = t.type.bounds
    if hi - lo >= MAX_STEPPED:
        raise _too_large(name, function, hi - lo + 1)
    reals = _reals(x, np.arange(lo, hi + 1), mapped.affine)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        real = np.asarray(FUNCTIONS[function](reals, *parameters), np.float64)
        y = real.astype(np.float32)
    if np.isnan(y).any():
        raise ValueError(
            f"quantizer {name!r} takes {function} where it is not defined, at {reals[np.isnan(y)][0]:g}"
        )
    y = np.clip(y, -np.finfo(np.float32).max, np.finfo(np.float32).max)
    rows, channel, near, error, frac = _rows(q, t.shape, y, real, reals != 0)
    stepped = hi - lo >= MAX_CODES
    params: dict[str, Any] = {
        "function": function, "parameters": tuple(float(p) for p in parameters), "affine": mapped.affine,
        "near_ties": near,
        "max_error": error, "rounding": str(q.rounding), "overflow": str(q.overflow),
        "form": "thresholds" if stepped else "table",
    }  # fmt: skip
    with loader.builder.block("table", loader.block_name(name), [t], params) as outputs:
        axis = _axis(channel) if len(rows) > 1 else None
        flat = t if len(rows) == 1 or axis is not None else t.reshape(-1)
        if axis is not None:
            rows = rows[np.moveaxis(channel, axis, 0).reshape(channel.shape[axis], -1)[:, 0]]
        elif len(rows) > 1:
            rows, axis = rows[channel.ravel()], 0
        if stepped:
            codes = _thresholds(loader, flat, rows, lo, axis, frac, name, function)
        else:
            entries = IntArray(rows[0] if axis is None else rows)
            codes = loader.builder.apply(ops.Table(entries, lo, frac, axis, function, error), flat)
        outputs.append(codes if codes.shape == t.shape else codes.reshape(t.shape))
    return Activation(outputs[0])


def _too_large(name: str, function: str, codes: int) -> ValueError:
    return ValueError(
        f"quantizer {name!r} takes {function} of {codes} codes, more than the {MAX_CODES} of a table (or "
        f"{MAX_STEPPED} where it is monotone with at most {MAX_LEVELS} steps); give the function an input "
        f"quantizer of fewer bits (QUnaryFunctionLUT)"
    )


def _reals(x: Activation, codes: Array, affine: tuple[float, float] | None) -> Array:
    """The float32 numbers of an operand's codes, behind the float32 affine map, as float64."""
    line = x.lines[0]
    unit = line.scale * Fraction(2) ** -x.tensor.frac
    if line.offset == 0 and log2(unit) is not None:
        exact = codes * float(unit)
    else:
        exact = np.array([float(unit * int(c) + line.offset) for c in codes])
    reals = exact.astype(np.float32)
    if affine is not None:
        reals = reals * np.float32(affine[0]) + np.float32(affine[1])
    return reals.astype(np.float64)


def _thresholds(
    loader: Loader, x: Tensor, rows: Array, lo: int, axis: int | None, frac: int, name: str, function: str
) -> Tensor:
    """The rows as counts of thresholds: entries[0] + #{steps reached}, for rising and falling rows."""
    falling = np.array([row[-1] < row[0] for row in rows])
    rising = np.where(falling[:, None], rows[:, ::-1], rows)
    least, most = rising[:, 0], rising[:, -1]
    n = int((most - least).max(initial=0))
    if np.any(np.diff(rising, axis=1) < 0) or not 0 < n <= MAX_LEVELS:
        raise _too_large(name, function, rows.shape[1])
    hi = lo + rows.shape[1] - 1
    levels = np.empty((len(rows), n), np.int64)
    for row, values, down in zip(levels, rising, falling, strict=True):
        first = np.searchsorted(values, values[0] + np.arange(1, n + 1), "left")
        row[:] = np.sort(hi - first) if down else lo + first  # beyond the range where it is never reached
    op = ops.Threshold(IntArray(levels), axis, IntArray(falling.astype(np.int64)))
    base = least if axis is not None else least[:1]
    column = base.reshape(()) if axis is None else base.reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    code = loader.builder.apply(op, x) + loader.builder.apply(ops.Const(IntArray(column)))
    return code << -frac


def _rows(
    q: Quantizer, shape: tuple[int, ...], y: Array, real: Array, rounded: Array
) -> tuple[Array, Array, int, Fraction, int]:
    """(entries per distinct format, each element's row, near ties, error in LSB, frac) of the results y."""
    formats = np.stack([np.broadcast_to(a, shape).ravel() for a in q.elements(shape, batch=True)])
    kinds, row = np.unique(formats, axis=1, return_inverse=True)
    frac = int(kinds[0][kinds[1] > 0].max(initial=0)) if np.any(kinds[1] > 0) else 0
    entries, near, error = [], 0, Fraction(0)
    for f, w, s in kinds.T.tolist():
        parts = [q.codes(v, np.array(f), np.array(w), np.array(s)) for v in (y, *_around(y, rounded))]
        near += int(np.count_nonzero(np.any([p != parts[0] for p in parts[1:]], axis=0)))
        own = shift_left(parts[0], frac - f if w else 0)
        entries.append(own)
        if w:
            error = max(error, _error(own, frac, real / q.scaler, q))
    return np.stack(entries), row.reshape(shape), near, error, frac


def _error(codes: Array, frac: int, real: Array, q: Quantizer) -> Fraction:
    finite = np.isfinite(real)
    if q.overflow is Overflow.WRAP or not finite.any():
        finite = finite & (np.abs(real) < 2.0**62)
    distance = np.abs(np.ldexp(real[finite], frac) - codes[finite].astype(np.float64))
    return Fraction(float(distance.max(initial=0.0)))


def _around(y: Array, rounded: Array) -> tuple[Array, Array]:
    """y, a few units in the last place up and down where it is rounded (functions of 0 are exact)."""
    step = np.where(rounded, np.spacing(np.abs(y)) * np.float32(ULPS), np.float32(0))
    top = np.finfo(np.float32).max
    with np.errstate(over="ignore"):
        return np.clip(y + step, -top, top), np.clip(y - step, -top, top)


def _axis(channel: Array) -> int | None:
    """The only axis along which the rows differ, if there is one."""
    varying = [i for i in range(channel.ndim) if np.any(channel != np.take(channel, [0], i))]
    return varying[0] if len(varying) == 1 else None
