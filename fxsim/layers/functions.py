"""Functions of fixed-point tensors as units with proven errors: table, or table and linear interpolation.

The result's format is `out` (nearest, saturating); `low_bits` of the code are interpolated, 0 gives one table
of all codes. Errors are exact over all codes, in LSB of the result; "rises" and "falls" are proven, "-" is
neither; "step" is the Lipschitz constant, LSB of the result per LSB of the operand; "tables" are bits.

| unit | input | output | low_bits | max error | | step | tables |
|---|---|---|---|---|---|---|---|
| sigmoid 8 bit | SQ4.4 | UQ0.8 | 0 | 0.497 | rises | 4 | 2048 |
| sigmoid 12 bit | SQ4.8 | UQ0.12 | 5 | 0.871 | rises | 4 | 3584 |
| tanh 8 bit | SQ3.5 | SQ1.7 | 0 | 0.497 | rises | 4 | 2048 |
| tanh 12 bit | SQ3.9 | SQ1.11 | 5 | 0.871 | rises | 4 | 3584 |
| tanh 12 bit, interpolated | SQ3.9 | SQ1.11 | 5 | 1.367 | rises | 4 | 3584 |
| gelu 8 bit | SQ4.4 | SQ4.4 | 0 | 0.498 | - | 2 | 2048 |
| gelu 12 bit | SQ4.8 | SQ4.8 | 5 | 0.695 | - | 2 | 3584 |
| exp2 8 bit | SQ4.4 | UQ4.4 | 0 | 0.522 | rises | 10 | 176 |
| exp2 12 bit | SQ4.8 | UQ1.11 | 4 | 0.902 | rises | 11 | 544 |
| log2 8 bit | UQ4.4 | SQ4.4 | 0 | 0.499 | rises | 64 | 640 |
| log2 12 bit | UQ6.6 | SQ4.8 | 6 | 0.557 | rises | 512 | 704 |
| reciprocal 8 bit | UQ4.4 | UQ4.4 | 0 | 0.498 | falls | 127 | 1408 |
| reciprocal 12 bit | UQ6.6 | UQ1.11 | 6 | 0.702 | falls | 123 | 1088 |
| rsqrt 8 bit | UQ4.4 | UQ2.6 | 0 | 0.523 | falls | 74 | 2816 |
| rsqrt 12 bit | UQ6.6 | UQ3.9 | 6 | 0.521 | falls | 1199 | 2112 |

A log2, reciprocal or rsqrt of 0 gives the format's end, as does what it cannot hold. `table` prints this one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from fxsim.formats import SQ, UQ, Format
from fxsim.layers.function_unit import FunctionUnit
from fxsim.layers.leading_one import Exp2, Log2, Reciprocal, Reduced, Rsqrt
from fxsim.trace import Tensor


def _direct(function: str, x: Tensor, out: Format, low_bits: int, fit: str) -> Tensor:
    lo, hi = x.type.bounds
    return FunctionUnit(function, lo, hi, x.frac, out, low_bits, None, fit)(x)


def sigmoid(x: Tensor, out: Format, low_bits: int = 0, fit: str = "best") -> Tensor:
    """1 / (1 + e**-x)."""
    return _direct("sigmoid", x, out, low_bits, fit)


def tanh(x: Tensor, out: Format, low_bits: int = 0, fit: str = "best") -> Tensor:
    """(e**x - e**-x) / (e**x + e**-x)."""
    return _direct("tanh", x, out, low_bits, fit)


def gelu(x: Tensor, out: Format, low_bits: int = 0, fit: str = "best") -> Tensor:
    """x times the normal distribution at x, with the error function, not its tanh form."""
    return _direct("gelu", x, out, low_bits, fit)


def exp(x: Tensor, out: Format, low_bits: int = 0, fit: str = "best") -> Tensor:
    """e**x."""
    return _direct("exp", x, out, low_bits, fit)


def exp2(x: Tensor, out: Format, low_bits: int = 0) -> Tensor:
    """2**x: an octave's table, shifted by the whole part of x."""
    return Exp2(_source(x), out, low_bits)(x)


def log2(x: Tensor, out: Format, low_bits: int = 0) -> Tensor:
    """log2 x for x >= 0."""
    return Log2(_source(x), out, low_bits)(x)


def reciprocal(x: Tensor, out: Format, low_bits: int = 0) -> Tensor:
    """1 / x for x >= 0."""
    return Reciprocal(_source(x), out, low_bits)(x)


def rsqrt(x: Tensor, out: Format, low_bits: int = 0) -> Tensor:
    """1 / sqrt x for x >= 0."""
    return Rsqrt(_source(x), out, low_bits)(x)


def _source(x: Tensor) -> Format:
    """The narrowest format with the operand's codes, of 2 bits and without a negative frac at least."""
    lane = x.type.lane()
    if lane.frac < 0:
        raise ValueError(f"operand must have a frac of at least 0, not {lane.frac}")
    grow = max(2 - lane.width, 0)
    return Format(lane.width + grow, lane.int_bits + grow, lane.signed)


# The units of the table above: (unit, how it is called), 8 bits as tables and 12 bits with interpolation.
STANDARD: dict[str, Callable[[], FunctionUnit | Reduced]] = {
    "sigmoid 8 bit": lambda: FunctionUnit.of("sigmoid", SQ(4, 4), UQ(0, 8)),
    "sigmoid 12 bit": lambda: FunctionUnit.of("sigmoid", SQ(4, 8), UQ(0, 12), 5),
    "tanh 8 bit": lambda: FunctionUnit.of("tanh", SQ(3, 5), SQ(1, 7)),
    "tanh 12 bit": lambda: FunctionUnit.of("tanh", SQ(3, 9), SQ(1, 11), 5),
    "tanh 12 bit, interpolated": lambda: FunctionUnit.of("tanh", SQ(3, 9), SQ(1, 11), 5, "interpolate"),
    "gelu 8 bit": lambda: FunctionUnit.of("gelu", SQ(4, 4), SQ(4, 4)),
    "gelu 12 bit": lambda: FunctionUnit.of("gelu", SQ(4, 8), SQ(4, 8), 5),
    "exp2 8 bit": lambda: Exp2(SQ(4, 4), UQ(4, 4)),
    "exp2 12 bit": lambda: Exp2(SQ(4, 8), UQ(1, 11), 4),
    "log2 8 bit": lambda: Log2(UQ(4, 4), SQ(4, 4)),
    "log2 12 bit": lambda: Log2(UQ(6, 6), SQ(4, 8), 6),
    "reciprocal 8 bit": lambda: Reciprocal(UQ(4, 4), UQ(4, 4)),
    "reciprocal 12 bit": lambda: Reciprocal(UQ(6, 6), UQ(1, 11), 6),
    "rsqrt 8 bit": lambda: Rsqrt(UQ(4, 4), UQ(2, 6)),
    "rsqrt 12 bit": lambda: Rsqrt(UQ(6, 6), UQ(3, 9), 6),
}


def table() -> str:
    """The rows of this module's table, measured now."""
    rows = []
    for name, make in STANDARD.items():
        unit = make()
        if isinstance(unit, FunctionUnit):
            width, frac = (unit.hi - unit.lo).bit_length(), unit.frac
            source, octave = Format(width, width - frac, unit.lo < 0), unit
        else:
            source, octave = unit.source, unit.octave
        facts = unit.facts
        way = {1: "rises", -1: "falls", 0: "-"}[facts.monotone]
        error = _up(facts.max_error)
        rows.append(
            f"| {name} | {_short(source)} | {_short(unit.out)} | {unit.low_bits} | {error} | {way} "
            f"| {facts.lipschitz} | {octave.table_bits} |"
        )
    return "\n".join(rows)


def _up(value: Fraction) -> str:
    """Three decimals, rounded up: still a bound."""
    thousandths = -(-value * 1000 // 1)
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def _short(fmt: Format) -> str:
    return f"{'S' if fmt.signed else 'U'}Q{fmt.int_bits}.{fmt.frac}"
