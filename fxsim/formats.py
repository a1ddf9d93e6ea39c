"""Fixed-point formats: how many bits, where the point is, and what a cast into the format does.

A value is ``raw * 2**-frac`` with an integer raw of `width` bits and ``frac = width - int_bits``. `int_bits`
counts the sign bit, as ap_fixed and apytypes do; it may be negative or exceed the width.
"""

from __future__ import annotations

import dataclasses
import operator
import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Self, SupportsIndex, cast

_PREFIX = re.compile(r"^(AP|AC|SC)_")


class _Mode(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> _Mode:
        if isinstance(value, str) and (name := _PREFIX.sub("", value)) in cls.__members__:
            return cls[name]
        raise ValueError(f"{cls.__name__.lower()} must be one of {', '.join(cls)}, not {value!r}")


class Rounding(_Mode):
    """What a cast does with the bits below the new LSB (names of ap_fixed; RND_CONV_ODD is ac_fixed's)."""

    TRN = "TRN"  #: toward minus infinity
    TRN_ZERO = "TRN_ZERO"  #: toward zero
    RND = "RND"  #: nearest, tie toward plus infinity
    RND_MIN_INF = "RND_MIN_INF"  #: nearest, tie toward minus infinity
    RND_ZERO = "RND_ZERO"  #: nearest, tie toward zero
    RND_INF = "RND_INF"  #: nearest, tie away from zero
    RND_CONV = "RND_CONV"  #: nearest, tie to the even code
    RND_CONV_ODD = "RND_CONV_ODD"  #: nearest, tie to the odd code


class Overflow(_Mode):
    """What a cast does with a rounded integer that does not fit (names of ap_fixed)."""

    WRAP = "WRAP"  #: modulo 2**width; with N >= 1 the top N bits saturate
    SAT = "SAT"  #: the nearest code that fits
    SAT_SYM = "SAT_SYM"  #: as SAT, and the least signed code becomes its successor
    SAT_ZERO = "SAT_ZERO"  #: zero
    WRAP_SM = "WRAP_SM"  #: sign-magnitude wrap, signed formats only


@dataclass(frozen=True)
class Format:
    """A fixed-point type: `width` bits of which `int_bits` (the sign bit included) stand left of the point.

    `rounding`, `overflow` and `saturation_bits` (the N of ap_fixed, 0 unless WRAP or WRAP_SM saturates its
    top N bits) say what a cast into this format loses; they never change what a raw integer of it means.

    Raises TypeError where a number is not an integer, ValueError for a width below 1, a saturation_bits
    outside 0..width, or WRAP_SM without a sign.
    """

    width: int
    int_bits: int
    signed: bool = True
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP
    saturation_bits: int = 0

    def __post_init__(self) -> None:
        def normalise(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        for name in ("width", "int_bits", "saturation_bits"):
            normalise(name, _integer(name, getattr(self, name)))
        if self.signed not in (False, True):
            raise TypeError(f"signed must be a bool, not {self.signed!r}")
        normalise("signed", bool(self.signed))
        normalise("rounding", Rounding(self.rounding))
        normalise("overflow", Overflow(self.overflow))
        if self.width < 1:
            raise ValueError(f"width must be at least 1, not {self.width!r}")
        if not 0 <= self.saturation_bits <= self.width:
            raise ValueError(f"saturation_bits must be in 0..{self.width}, not {self.saturation_bits!r}")
        if self.overflow is Overflow.WRAP_SM and not self.signed:
            raise ValueError(
                "overflow must be WRAP, SAT, SAT_SYM or SAT_ZERO for an unsigned format, not WRAP_SM"
            )

    @property
    def frac(self) -> int:
        """Bits right of the point: one LSB is ``2**-frac``."""
        return self.width - self.int_bits

    @property
    def lo(self) -> int:
        """The least raw integer of the bits (also under SAT_SYM, whose casts avoid it)."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        """The greatest raw integer of the bits."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def lsb(self) -> Fraction:
        """The value of one raw step, ``2**-frac``."""
        return Fraction(2) ** -self.frac

    def replace(self, **changes: Any) -> Self:
        """The same format with some fields changed."""
        return dataclasses.replace(self, **changes)

    def __str__(self) -> str:
        return (
            f"ap_{'' if self.signed else 'u'}fixed<{self.width},{self.int_bits},AP_{self.rounding},"
            f"AP_{self.overflow},{self.saturation_bits}>"
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """The format written as ap_fixed, ac_fixed, hls4ml or Q notation; ``parse(str(f)) == f``.

        ``ap_fixed<W,I[,Q[,O[,N]]]>``, ``ap_ufixed<...>``, ``fixed<...>`` and ``ufixed<...>`` (hls4ml, modes
        with or without ``AP_``), ``ap_int<W>``, ``ap_uint<W>``, ``int<W>``, ``uint<W>``,
        ``ac_fixed<W,I[,S[,Q[,O]]]>``, ``ac_int<W[,S]>``, and ``SQ<I>.<F>`` or ``UQ<I>.<F>``, where the sign
        bit counts in I. What is not written defaults as in the vendors' headers: TRN, WRAP, N = 0, S = true.

        Raises TypeError for anything but a string, ValueError for a string of none of these forms.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a string such as 'ap_fixed<16,6>', not {text!r}")
        compact = re.sub(r"\s+", "", text)
        if match := re.fullmatch(r"(ap_|ac_)?(u?)(fixed|int)<([^<>]*)>", compact):
            vendor, unsigned, kind, arguments = match.groups()
            return cls(*_template(text, vendor == "ac_", bool(unsigned), kind, arguments.split(",")))
        if match := re.fullmatch(r"([SU])Q(-?\d+)\.(-?\d+)", compact):
            int_bits, frac = int(match[2]), int(match[3])
            return cls(int_bits + frac, int_bits, match[1] == "S")
        raise _unreadable(text)


def _template(text: str, ac: bool, unsigned: bool, kind: str, arguments: list[str]) -> tuple[Any, ...]:
    numbers = 1 if kind == "int" else 2
    most = (2 if kind == "int" else 5) if ac else (1 if kind == "int" else 5)
    if (ac and unsigned) or not numbers <= len(arguments) <= most:
        raise _unreadable(text)
    sizes, modes = arguments[:numbers], arguments[numbers:]
    if not all(re.fullmatch(r"[+-]?\d+", size) for size in sizes):
        raise _unreadable(text)
    signed = not unsigned
    if ac and modes:
        if modes[0] not in ("true", "false", "1", "0"):
            raise _unreadable(text)
        signed = modes.pop(0) in ("true", "1")
    saturation = "0"
    if len(modes) == 3:
        saturation = modes.pop()
        if not saturation.isdecimal():
            raise _unreadable(text)
    rounding = Rounding(modes[0]) if modes else Rounding.TRN
    overflow = Overflow(modes[1]) if len(modes) > 1 else Overflow.WRAP
    return int(sizes[0]), int(sizes[-1]), signed, rounding, overflow, int(saturation)


def _unreadable(text: str) -> ValueError:
    return ValueError(
        "format must be written as ap_fixed<W,I[,Q[,O[,N]]]>, ap_ufixed<...>, ap_int<W>, ap_uint<W>, "
        "fixed<...>, ufixed<...>, int<W>, uint<W>, ac_fixed<W,I[,S[,Q[,O]]]>, ac_int<W[,S]>, SQ<I>.<F> or "
        f"UQ<I>.<F>, not {text!r}"
    )


def _integer(name: str, value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    return operator.index(cast(SupportsIndex, value))


def SQ(
    int_bits: int,
    frac_bits: int,
    *,
    rounding: Rounding | str = Rounding.TRN,
    overflow: Overflow | str = Overflow.WRAP,
    n: int = 0,
) -> Format:
    """Signed, `int_bits` left of the point (sign bit included) and `frac_bits` right of it."""
    return _q(int_bits, frac_bits, True, rounding, overflow, n)


def UQ(
    int_bits: int,
    frac_bits: int,
    *,
    rounding: Rounding | str = Rounding.TRN,
    overflow: Overflow | str = Overflow.WRAP,
    n: int = 0,
) -> Format:
    """Unsigned, `int_bits` left of the point and `frac_bits` right of it."""
    return _q(int_bits, frac_bits, False, rounding, overflow, n)


def from_kif(
    k: int,
    i: int,
    f: int,
    *,
    rounding: Rounding | str = Rounding.TRN,
    overflow: Overflow | str = Overflow.WRAP,
    n: int = 0,
) -> Format:
    """HGQ's triple: `k` = 1 for a sign bit, `i` integer bits **without** the sign, `f` fractional bits.

    QKeras' ``quantized_bits(bits, integer)`` is ``from_kif(1, integer, bits - 1 - integer)``.
    """
    if k not in (0, 1):
        raise ValueError(f"k must be 0 (unsigned) or 1 (signed), not {k!r}")
    return _q(_integer("i", i) + int(k), f, bool(k), rounding, overflow, n)


def _q(
    int_bits: int, frac_bits: int, signed: bool, rounding: Rounding | str, overflow: Overflow | str, n: int
) -> Format:
    int_bits = _integer("int_bits", int_bits)
    width = int_bits + _integer("frac_bits", frac_bits)
    return Format(width, int_bits, signed, Rounding(rounding), Overflow(overflow), n)


_QONNX_ROUNDING = {
    "ROUND": Rounding.RND_CONV,
    "HALF_EVEN": Rounding.RND_CONV,
    "FLOOR": Rounding.TRN,
    "DOWN": Rounding.TRN_ZERO,
    "HALF_UP": Rounding.RND_INF,  # QONNX rounds ties away from zero here, whatever the name suggests
    "HALF_DOWN": Rounding.RND_ZERO,
}


def from_qonnx(
    bits: float,
    *,
    signed: bool,
    narrow: bool = False,
    rounding_mode: str = "ROUND",
    scale: float | Fraction = 1,
) -> Format:
    """The format of a QONNX Quant node with zero point 0 and a power-of-two `scale`; it saturates.

    Raises ValueError where no fixed-point format does the same: a scale that is no power of two, CEIL and UP
    (away from zero), an unsigned narrow range, and the bipolar signed 1-bit node.
    """
    if bits != int(bits):
        raise ValueError(f"bits must be a whole number, not {bits!r}")
    exact = Fraction(scale)
    if exact <= 0 or exact.numerator & (exact.numerator - 1) or exact.denominator & (exact.denominator - 1):
        raise ValueError(f"scale must be a power of two, not {scale!r}")
    frac = exact.denominator.bit_length() - exact.numerator.bit_length()
    mode = rounding_mode.upper()
    if mode not in _QONNX_ROUNDING:
        raise ValueError(
            f"rounding_mode must be one of {', '.join(_QONNX_ROUNDING)}, not {rounding_mode!r}"
            + (" (no fixed-point format rounds that way)" if mode in ("CEIL", "UP") else "")
        )
    if signed and bits == 1:
        raise ValueError(
            "bits must be at least 2 for a signed Quant node, not 1: that node is bipolar (-1 or +1)"
        )
    if narrow and not signed:
        raise ValueError(
            "narrow must be False for an unsigned Quant node, not True: no format ends at 2**bits - 2"
        )
    width = int(bits)
    overflow = Overflow.SAT_SYM if narrow else Overflow.SAT
    return Format(width, width - frac, bool(signed), _QONNX_ROUNDING[mode], overflow)
