"""Reading a table as hls4ml's C++ does: a number becomes an int, is clamped, and picks an entry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fxsim import ops
from fxsim.formats import Format
from fxsim.integers import Array, IntArray, exact
from fxsim.trace import Tensor, maximum, minimum, select, trace
from fxsim.types import TensorType

INT = Format(32, 32)

# An operand of at most this many codes, or of no more than the table has entries, gets a table of its codes:
# index, clamps and casts are then in its entries.
CODES = 1 << 8

# Errors are enumerated over all codes of operands with at most this many.
ENUMERATED = 1 << 18


def whole(x: Tensor, frac: int, factor: int, shift: int) -> Tensor:
    """int(x * factor / 2**shift) of C++, not yet wrapped to 32 bits: every step truncates toward zero.

    `frac` is that of the declared type of x, at which the quotient is kept: it only matters below 0.
    """
    y = x
    power = (factor & -factor).bit_length() - 1
    if factor >> power != 1:
        y = y * (factor >> power)
    y = y << (power - shift)
    for at in (min(frac, 0), 0):
        if y.frac > at:
            width = max(y.type.max_width - y.frac, 1) + 1 + at
            y = y.cast(Format(max(width, 1), max(width, 1) - at, rounding="TRN_ZERO"))
    return y


def bounded(index: Tensor, size: int, negative: int) -> Tensor:
    """The index wrapped to C++'s int, then at most size - 1; a negative one becomes `negative`."""
    index = index.cast(INT)
    if index.type.bounds[0] < 0:
        inside = maximum(index, 0)
        index = select(index < 0, negative, inside) if negative else inside
    return index if index.type.bounds[1] < size else minimum(index, size - 1)


def picked(index: Tensor, raw: Array, frac: int) -> Tensor:
    """raw[index] * 2**-frac."""
    return index.builder.apply(ops.Table(IntArray(exact(raw)), 0, frac), index)


def fitted(raw: Array, source: Format, target: Format) -> Array:
    """Codes of one type cast to another, by the rounding and overflow of the target."""
    cast = ops.Cast.to(target, source_width=source.width)
    return cast.apply(exact(raw), source.frac)


def unit(
    x: Tensor,
    function: str,
    size: int,
    build: Callable[[Tensor], Tensor],
    real: Callable[[Array], Array] | None = None,
) -> Tensor:
    """build(x), elementwise, in a block `table` with its largest error against the real function.

    One table of all codes where x has few of them, else the logic that `build` makes. `max_error` is over all
    codes between the bounds of x, in the unit of the result; None where x has too many.
    """
    low, high = x.type.bounds
    few = high - low < max(CODES, size)
    results = _results(x, build) if (real is not None and high - low < ENUMERATED) or few else None
    error = None
    if results is not None and real is not None:
        raw, frac = results
        points = np.ldexp(np.arange(low, high + 1).astype(np.float64), -x.frac)
        with np.errstate(over="ignore"):
            error = float(np.abs(np.ldexp(raw.astype(np.float64), -frac) - real(points)).max())
    params = {"function": function, "entries": size, "max_error": error}
    with x.builder.block("table", function, [x], params) as outputs:
        if few:
            assert results is not None
            raw, frac = results
            outputs.append(x.builder.apply(ops.Table(IntArray(raw), low, frac, None, function), x))
        else:
            outputs.append(build(x))
    return outputs[0]


def _results(x: Tensor, build: Callable[[Tensor], Tensor]) -> tuple[Array, int]:
    """build's codes and frac for every code between the bounds of x."""
    low, high = x.type.bounds
    graph = trace(build, TensorType((), x.frac, np.asarray(low), np.asarray(high)), name="table")
    return exact(graph.run_raw(np.arange(low, high + 1))), graph.outputs[0].type.frac
