"""One op at a time on codes of one format: the graph's typing rules and NumPy table, without a graph.

Each function names the op that computes and the format of its result (`fxsim.growth`); none has arithmetic of
its own. `FxArray` is these functions behind Python's operators.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fxsim import growth, ops
from fxsim.casting import to_double
from fxsim.emulate import apply
from fxsim.formats import Format
from fxsim.graph import Input, Op, Value
from fxsim.integers import Array, exact, shift_left, trailing_zeros
from fxsim.types import TensorType

_DOUBLE_BITS = 53


class Codes(NamedTuple):
    """Raw integers (int64, or Python integers beyond 62 bits) of one format."""

    codes: Array
    format: Format


def evaluate(op: Op, format: Format, *operands: Codes) -> Codes:
    """The NumPy table's rule of `op`; `format` is the result's and covers what the op's typing rule infers.

    All elements of an operand have one format, so the typing rule is asked about one cell (axes of length 1):
    it refuses what it must and places the point, at a cost that does not grow with the arrays.
    """
    cells = tuple(
        Input(TensorType.of(x.format, (1,) * x.codes.ndim), f"x{i}") for i, x in enumerate(operands)
    )
    cell = op.infer(*(c.type for c in cells))
    assert cell.frac == format.frac, (op, cell.frac, format)
    node = Value(TensorType.of(format, cell.shape), op, cells)
    return Codes(exact(apply(node, *(x.codes[None] for x in operands))[0]), format)


def add(a: Codes, b: Codes) -> Codes:
    format = growth.add_format(a.format, b.format)
    return evaluate(ops.Add(), format, *_aligned_pair(a, b))


def subtract(a: Codes, b: Codes) -> Codes:
    format = growth.sub_format(a.format, b.format)
    return evaluate(ops.Sub(), format, *_aligned_pair(a, b))


def multiply(a: Codes, b: Codes) -> Codes:
    _broadcast(a, b)
    return evaluate(ops.Mul(), growth.mul_format(a.format, b.format), a, b)


def negate(a: Codes) -> Codes:
    return evaluate(ops.Neg(), growth.neg_format(a.format), a)


def absolute(a: Codes) -> Codes:
    if not a.format.signed:
        return a
    minus = negate(a)
    return evaluate(ops.Max(), minus.format, a, minus)


def compare(kind: str, a: Codes, b: Codes) -> Array:
    """Booleans of ``a kind b`` for kind lt, le, eq, ne."""
    truth = evaluate(ops.Compare(kind), Format(1, 1, False), *_aligned_pair(a, b))
    return truth.codes.astype(bool)


def matmul(a: Codes, b: Codes) -> Codes:
    """The exact product: the format of one product, and ceil(log2(K)) integer bits more for K of them."""
    x, y = a.codes.shape, b.codes.shape
    if not x or not y or x[-1] != y[-2 if len(y) > 1 else 0] or not x[-1]:
        raise ValueError(f"shapes {x} and {y} must agree in their inner sizes, at least 1")
    return evaluate(ops.MatMul(), growth.sum_format(growth.mul_format(a.format, b.format), x[-1]), a, b)


def divide(a: Codes, b: Codes) -> Codes:
    """ap_fixed's quotient, truncated toward zero. ZeroDivisionError names the first zero divisor."""
    _broadcast(a, b)
    zero = b.codes == 0
    if np.any(zero):
        raise ZeroDivisionError(f"divisor must not be {first(b.codes, zero)}")
    format = growth.div_format(a.format, b.format)
    width = growth.div_operand_width(a.format, b.format)
    # The exact quotient may need one bit more than the width at which ap_fixed divides: there min / -1 wraps.
    whole = Format(width + 1, width + 1 - format.frac, format.signed)
    dividend = align(a, a.format.frac + max(b.format.frac, 0))
    wrapped = cast(evaluate(ops.Div(), whole, dividend, b), Format(width, width - format.frac, format.signed))
    return Codes(wrapped.codes, format)


def scale(a: Codes, power: int) -> Codes:
    """The value times 2**power: the point moves."""
    moved = a.format.replace(int_bits=a.format.int_bits + power)
    return evaluate(ops.Scale(power), moved, a)


def total(a: Codes, axes: tuple[int, ...]) -> Codes:
    """The exact sum over `axes`."""
    terms = prod(a.codes.shape[axis] for axis in axes)
    return evaluate(ops.Sum(axes), growth.sum_format(a.format, max(terms, 1)), a)


def cast(a: Codes, format: Format) -> Codes:
    return evaluate(ops.Cast.to(format, source_width=a.format.width), format, a)


def accumulate(a: Codes, format: Format, axis: int) -> Codes:
    """``acc += x`` along `axis` >= 0, in ascending order from 0, each exact sum cast to `format`."""
    return evaluate(ops.Accumulate(axis, format, a.format), format, a)


def align(x: Codes, frac: int) -> Codes:
    """The same values with `frac` fractional bits, at least as many as before."""
    more = frac - x.format.frac
    if not more:
        return x
    return evaluate(ops.Shift(more), Format(x.format.width + more, x.format.int_bits, x.format.signed), x)


def lift(number: object) -> Codes | None:
    """A number or NumPy array exactly, in the narrowest format that holds it; None for other types.

    Integers have no fractional bits, floats as few as hold them. ValueError names the first NaN or infinity.
    """
    if not isinstance(number, (bool, int, float, np.generic, np.ndarray)):
        return None
    a = np.asarray(number)
    if a.dtype.kind == "f" and a.dtype.itemsize <= 8:
        codes, frac = _dyadic(a.astype(np.float64))
    elif a.dtype.kind in "biuO":
        codes, frac = exact(a), 0
    else:
        raise TypeError(f"operand must hold integers, or floats of at most 64 bits, not {a.dtype}")
    return Codes(codes, TensorType.constant(codes, frac).lane())


def real(x: Codes) -> NDArray[np.float64]:
    """The values as float64. OverflowError names the first that float64 does not hold exactly."""
    values, lost = to_double(x.codes, x.format.frac)
    if np.any(lost):
        raise OverflowError(f"float64 does not hold code {first(x.codes, lost)} of {x.format}; use codes")
    return values


def first(a: Array, bad: Array) -> str:
    """The first bad element and its index, for messages."""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{a[index]} at index {index}" if index else f"{a[()]}"


def _dyadic(a: Array) -> tuple[Array, int]:
    bad = ~np.isfinite(a)
    if np.any(bad):
        raise ValueError(f"operand must be finite, not {first(a, bad)}")
    significand, exponent = np.frexp(a)
    whole = np.ldexp(significand, _DOUBLE_BITS).astype(np.int64)
    zeros = trailing_zeros(whole, _DOUBLE_BITS)
    fracs = np.where(whole == 0, 0, _DOUBLE_BITS - exponent.astype(np.int64) - zeros)
    frac = max(int(fracs.max(initial=0)), 0)
    return shift_left(np.right_shift(whole, zeros), frac - fracs), frac


def _aligned_pair(a: Codes, b: Codes) -> tuple[Codes, Codes]:
    _broadcast(a, b)
    frac = max(a.format.frac, b.format.frac)
    return align(a, frac), align(b, frac)


def _broadcast(a: Codes, b: Codes) -> None:
    try:
        np.broadcast_shapes(a.codes.shape, b.codes.shape)
    except ValueError:
        raise ValueError(f"shapes {a.codes.shape} and {b.codes.shape} must broadcast") from None
