"""The code that all shift-add weights share: fields of zero, sign and shift, each one signed power of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fxsim.integers import INT64_BITS, Array, exact
from fxsim.ops.common import check_int
from fxsim.quantizers.codec import code_array
from fxsim.quantizers.digits import Digits, sparse, value


@dataclass(frozen=True)
class Fields:
    """Codes of integers raw = sum_k (0 if zero_k else (-1)**sign_k * 2**shift_k), k < terms.

    terms   fields of a code
    most    greatest shift
    bound   greatest |raw| of a weight; 0 stands for terms * 2**most, which no code can pass. Shift-add
            hardware is as wide as this asks for, and wraps what is beyond it

    Field k lies in the code's bits k * width .. (k + 1) * width - 1: its lowest bits are the shift, then come
    the sign (1 is minus) and zero (1 is 0). Raises ValueError for no field, a negative shift, a bound that
    the fields cannot reach, and codes of more than 62 bits.
    """

    terms: int
    most: int
    bound: int = 0

    def __post_init__(self) -> None:
        for name, least in (("terms", 1), ("most", 0)):
            object.__setattr__(self, name, check_int(name, getattr(self, name), least))
        if self.most > INT64_BITS:
            raise ValueError(f"most must be at most {INT64_BITS}, not {self.most}")
        reached = self.terms << self.most
        if not 0 <= check_int("bound", self.bound) <= reached:
            raise ValueError(f"bound must lie in 0..{reached} (terms * 2**most), not {self.bound!r}")
        object.__setattr__(self, "bound", self.bound or reached)
        if self.bits > INT64_BITS:
            raise ValueError(f"terms and most must give codes of at most {INT64_BITS} bits, not {self.bits}")

    @property
    def shift_bits(self) -> int:
        """Bits of a shift."""
        return self.most.bit_length()

    @property
    def width(self) -> int:
        """Bits of a field."""
        return self.shift_bits + 2

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return self.terms * self.width

    def unpack(self, codes: Array) -> tuple[Array, Array, Array]:
        """(zero, sign, shift) of codes, each of shape (*codes.shape, terms).

        Raises ValueError for no code, and for a shift beyond `most`, naming the first.
        """
        a = code_array(codes, 0, (1 << self.bits) - 1)
        field = a[..., None] >> np.arange(self.terms) * self.width
        shift = field & (1 << self.shift_bits) - 1
        sign, zero = field >> self.shift_bits & 1, field >> self.shift_bits + 1 & 1
        code_array(np.where(zero, 0, shift), 0, self.most, "shifts")
        return zero, sign, shift

    def pack(self, zero: Array, sign: Array, shift: Array) -> Array:
        """Codes of fields, each of shape (..., terms): the inverse of `unpack`. ValueError as there."""
        zero, sign, shift = np.broadcast_arrays(
            code_array(zero, 0, 1, "zero"), code_array(sign, 0, 1, "sign"),
            code_array(shift, 0, self.most, "shifts"),
        )  # fmt: skip
        if zero.shape[-1:] != (self.terms,):
            raise ValueError(f"fields must have {self.terms} terms on their last axis, not {zero.shape}")
        field = zero << self.shift_bits + 1 | sign << self.shift_bits | shift
        return np.asarray((field << np.arange(self.terms) * self.width).sum(axis=-1), np.int64)

    def raw(self, codes: Array) -> Array:
        """The integers of codes. ValueError as `unpack`."""
        zero, sign, shift = self.unpack(codes)
        one = np.ones_like(shift) if self.most < INT64_BITS - self.terms else shift.astype(object) * 0 + 1
        return exact((np.where(zero, 0, 1 - 2 * sign) * (one << shift)).sum(axis=-1))

    def of(self, raw: Array, digits: Callable[[int], Digits] = sparse) -> Array:
        """Codes of integers, each split by `digits` (default: as few terms as can be, the highest first).

        Raises ValueError for an integer that needs more terms or a greater shift, naming the first.
        """
        raw = exact(raw)
        found = np.empty(raw.shape, np.int64)
        known: dict[int, int] = {}
        for i, v in np.ndenumerate(raw):
            n = int(v)
            if n not in known:
                known[n] = self._code(n, digits(n), i)
            found[i] = known[n]
        return found

    def _code(self, n: int, digits: Sequence[tuple[int, int]], at: tuple[int, ...]) -> int:
        taken: list[tuple[int, int]] = []
        while digits and digits[0][1] > self.most and len(taken) < self.terms:
            # Above 2**most only copies of it help: 256 is 128 + 128 where the greatest shift is 7.
            taken.append((digits[0][0], self.most))
            digits = sparse(n - value(taken))
        digits = (*taken, *digits)
        if len(digits) > self.terms or any(shift > self.most for _, shift in digits):
            raise ValueError(
                f"integers must be sums of {self.terms} signed powers of two up to 2**{self.most}, "
                f"not {n} at {at}"
            )
        fields = [shift | (sign < 0) << self.shift_bits for sign, shift in digits]
        fields += [1 << self.shift_bits + 1] * (self.terms - len(fields))
        return sum(f << k * self.width for k, f in enumerate(fields))
