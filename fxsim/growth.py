"""Result formats of exact arithmetic, as ap_fixed_base.h's RType has them: wide enough that nothing is lost.

The results carry the default modes (TRN, WRAP): an exact result has nothing to round. ac_fixed grows alike.
"""

from __future__ import annotations

from fxsim.formats import Format


def mul_format(a: Format, b: Format) -> Format:
    """Of ``a * b``: widths add, integer bits add, signed if either is."""
    return Format(a.width + b.width, a.int_bits + b.int_bits, a.signed or b.signed)


def union_format(a: Format, b: Format) -> Format:
    """The least format that holds every value of both (ap_fixed's type of ``a & b``)."""
    int_bits = max(a.int_bits + (b.signed and not a.signed), b.int_bits + (a.signed and not b.signed))
    return Format(int_bits + max(a.frac, b.frac), int_bits, a.signed or b.signed)


def add_format(a: Format, b: Format) -> Format:
    """Of ``a + b``: the format that holds both, and one integer bit more."""
    both = union_format(a, b)
    return Format(both.width + 1, both.int_bits + 1, both.signed)


def sub_format(a: Format, b: Format) -> Format:
    """Of ``a - b``: as add_format, always signed."""
    return add_format(a, b).replace(signed=True)


def neg_format(a: Format) -> Format:
    """Of ``-a``: one integer bit more, signed."""
    return Format(a.width + 1, a.int_bits + 1, True)


def div_format(a: Format, b: Format) -> Format:
    """Of ``a / b``, truncated toward zero: b's sign and fractional bits added to a's integer bits.

    The quotient has ``a.frac - min(b.frac, 0)`` fractional bits; min / -1 is the one value that may wrap
    (see div_operand_width).
    """
    return Format(b.signed + a.width + max(b.frac, 0), b.signed + a.int_bits + b.frac, a.signed or b.signed)


def div_operand_width(a: Format, b: Format) -> int:
    """The width at which ap_fixed divides: the quotient wraps to so many bits, then extends to div_format."""
    return max(a.width + max(b.frac, 0) + (b.signed and not a.signed), b.width + (a.signed and not b.signed))


def sum_format(a: Format, terms: int) -> Format:
    """Of the exact sum of `terms` values of `a`: ceil(log2(terms)) integer bits more."""
    if terms < 1:
        raise ValueError(f"terms must be at least 1, not {terms!r}")
    grown = (terms - 1).bit_length()
    return Format(a.width + grown, a.int_bits + grown, a.signed)
