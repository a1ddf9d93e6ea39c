"""A real factor as a dyadic one, m * 2**-e, and the exact set of accumulators where their codes differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from fxsim.quantizers.codec import fractions

MODES = ("single", "gemmlowp")


@dataclass(frozen=True)
class Dyadic:
    """The factor multiplier * 2**-shift.

    `of` takes the nearest one whose multiplier has `bits` bits: m = round(mantissa * 2**bits), ties up, for a
    factor = mantissa * 2**exponent with 1/2 <= mantissa < 1 (frexp), and e = bits - exponent. One bit gives
    the nearest power of two. Raises ValueError for a multiplier below 1 or a negative shift.
    """

    multiplier: int
    shift: int

    def __post_init__(self) -> None:
        for name, least in (("multiplier", 1), ("shift", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} of Dyadic must be an integer, not {value!r}")
            if value < least:
                raise ValueError(f"{name} of Dyadic must be at least {least}, not {value}")

    @classmethod
    def of(cls, factor: Any, bits: int = 31) -> Self:
        """The nearest factor with a multiplier of `bits` bits (1..62)."""
        real = _positive(factor)
        if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= 62:
            raise ValueError(f"bits of a multiplier must lie in 1..62, not {bits!r}")
        exponent = _exponent(real)
        scaled = real * Fraction(2) ** (bits - exponent)
        m, e = (scaled + Fraction(1, 2)).__floor__(), bits - exponent
        if m == 1 << bits:
            m, e = m >> 1, e - 1
        if e < 0:
            raise ValueError(
                f"factor must be below 2**{bits} for a multiplier of {bits} bits, not {factor!r}"
            )
        return cls(m, e)

    @property
    def factor(self) -> Fraction:
        """The exact factor."""
        return Fraction(self.multiplier, 1 << self.shift)

    def code(self, acc: int, mode: str = "single") -> int:
        """The integer that requantization in this mode makes of an accumulator, before zero point and clip.

        single    (acc * m + 2**(e-1)) >> e: one rounding, ties up
        gemmlowp  RoundingDivideByPOT(SRDHM(acc, m), e - 31): ties up, then ties away from zero
        """
        if check_mode(mode) == "single":
            return (acc * self.multiplier + ((1 << self.shift) >> 1)) >> self.shift
        k = self.shift - 31
        if k <= 0:  # a factor of 1/2 or more is shifted left before the one rounding
            return self.code(acc)
        inner = (acc * self.multiplier + (1 << 30)) >> 31
        half = 1 << (k - 1)
        return (inner + half) >> k if inner >= 0 else -((-inner + half) >> k)


def check_mode(mode: str) -> str:
    """The mode's name; ValueError where there is no such mode."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    return mode


@dataclass(frozen=True)
class Agreement:
    """Where code(acc) = clip(round(acc * factor)) of two factors or modes differ, over every acc in lo..hi.

    count       accumulators with unlike codes; 0 proves the two equal on the whole range
    first       the smallest |acc| of them, or None: below it the two are equal
    examples    the first intervals of them, (least, greatest), ascending
    """

    lo: int
    hi: int
    count: int
    first: int | None
    examples: tuple[tuple[int, int], ...]

    @property
    def exact(self) -> bool:
        """True where the codes are equal everywhere."""
        return not self.count

    @property
    def rate(self) -> Fraction:
        """The share of accumulators with unlike codes."""
        return Fraction(self.count, self.hi - self.lo + 1)


def certify(
    dyadic: Dyadic, factor: Any, lo: int, hi: int, least: int, greatest: int, mode: str = "single"
) -> Agreement:
    """Compare `dyadic` in `mode` with the real factor, rounded once with ties up, on all acc in lo..hi.

    Both are monotone steps of the accumulator, so that each is known by the accumulators where its codes
    least+1..greatest begin, and the two differ exactly between the two beginnings of some code. This counts
    all of lo..hi in a few operations for each code, whatever the accumulator's width. Codes are those before
    the zero point; they are clipped to least..greatest.
    """
    real = _positive(factor)

    def begins(code: int) -> int:  # the least acc with acc * factor >= code - 1/2
        n, d = (2 * code - 1) * real.denominator, 2 * real.numerator
        return -(-n // d)

    return _compare(begins, _beginnings(dyadic, check_mode(mode)), lo, hi, least, greatest)


def differ(dyadic: Dyadic, lo: int, hi: int, least: int, greatest: int) -> Agreement:
    """Where the single rounding and gemmlowp's double rounding of one factor differ, as `certify` counts."""
    single, double = (_beginnings(dyadic, m) for m in MODES)
    return _compare(single, double, lo, hi, least, greatest)


def least_bits(factor: Any, lo: int, hi: int, least: int, greatest: int, most: int = 31) -> Dyadic:
    """The dyadic factor of the fewest multiplier bits whose codes equal the real factor's on all of lo..hi.

    Raises ValueError where none of up to `most` bits does.
    """
    for bits in range(1, most + 1):
        found = Dyadic.of(factor, bits)
        if certify(found, factor, lo, hi, least, greatest).exact:
            return found
    raise ValueError(
        f"factor must have a multiplier of at most {most} bits that is exact on {lo}..{hi}, not {factor!r}"
    )


def _beginnings(dyadic: Dyadic, mode: str) -> Callable[[int], int]:
    m, e = dyadic.multiplier, dyadic.shift

    def single(code: int) -> int:  # acc * m + half >= code << e
        return -(((1 << e >> 1) - (code << e)) // m)

    def double(code: int) -> int:
        """The least acc of the code: the inner code that begins it, then the acc that begins that one."""
        k = e - 31
        if k <= 0:
            return single(code)
        # Ties away: half up above zero, and from code 0 down a tie belongs to the code below.
        inner = (code << k) - (1 << (k - 1)) + (code <= 0)
        return -(((1 << 30) - (inner << 31)) // m)

    return single if mode == "single" else double


def _compare(
    a: Callable[[int], int], b: Callable[[int], int], lo: int, hi: int, least: int, greatest: int
) -> Agreement:
    if lo > hi or least > greatest:
        raise ValueError(f"ranges must not be empty, not {lo}..{hi} and {least}..{greatest}")
    if greatest - least > 1 << 20:
        raise ValueError(f"codes must be at most 2**20 to be compared, not {greatest - least + 1}")
    intervals: list[tuple[int, int]] = []
    for code in range(least + 1, greatest + 1):
        x, y = a(code), b(code)
        start, stop = max(min(x, y), lo), min(max(x, y), hi + 1)
        if start >= stop:
            continue
        if intervals and start <= intervals[-1][1] + 1:
            intervals[-1] = (intervals[-1][0], max(intervals[-1][1], stop - 1))
        else:
            intervals.append((start, stop - 1))
    count = sum(stop - start + 1 for start, stop in intervals)
    nearest = [0 if s <= 0 <= e else min(abs(s), abs(e)) for s, e in intervals]
    return Agreement(lo, hi, count, min(nearest, default=None), tuple(intervals[:8]))


def _positive(factor: Any) -> Fraction:
    real = fractions(factor)
    if real.ndim or real.item() <= 0:
        raise ValueError(f"factor must be one positive number, not {factor!r}")
    return Fraction(real.item())


def _exponent(real: Fraction) -> int:
    """The e with 2**(e-1) <= real < 2**e."""
    e = real.numerator.bit_length() - real.denominator.bit_length()
    return e + (real >= Fraction(2) ** e)


__all__ = ["MODES", "Agreement", "Dyadic", "certify", "check_mode", "differ", "least_bits"]
