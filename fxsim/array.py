"""FxArray: an eager fixed-point array whose operators are exact and grow; only casts lose bits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fxsim import eager
from fxsim.casting import from_double
from fxsim.eager import Codes
from fxsim.formats import Format, Overflow, Rounding
from fxsim.integers import INT64_BITS, Array, exact, to_object

_SHOWN = 64  # elements beyond which repr and str abbreviate


class FxArray:
    """Integers `codes` of one `format`; element = ``code * 2**-format.frac``. Immutable.

    ``+ - * @ abs`` and `sum` are exact: the result's format grows as ap_fixed's does (`fxsim.growth`). ``/``
    has ap_fixed's quotient format and truncates toward zero. ``<<`` and ``>>`` by an int move the binary
    point, exactly. Only `cast` and `accumulate` lose bits, as their formats say. NumPy arrays and Python or
    NumPy numbers may stand on either side of an operator: they are taken exactly, in the narrowest format
    that holds them. Comparisons give NumPy booleans.

    Raises TypeError where codes are not integers, ValueError (naming the first bad index) where the format
    lacks one. `format` may be a string that `Format.parse` reads.
    """

    __slots__ = ("_codes", "_format")
    __array_ufunc__ = None  # NumPy operands on the left defer to the reflected operators here
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, codes: ArrayLike, format: Format | str) -> None:
        fmt = _format(format)
        a = exact(codes)
        outside = (a < fmt.lo) | (a > fmt.hi)
        if np.any(outside):
            raise ValueError(f"codes must be in {fmt.lo}..{fmt.hi} ({fmt}), not {eager.first(a, outside)}")
        self._set(a, fmt)

    def _set(self, codes: Array, format: Format) -> None:
        self._codes = np.array(codes)
        self._codes.setflags(write=False)
        self._format = format

    @classmethod
    def _of(cls, result: Codes) -> FxArray:
        new = cls.__new__(cls)
        new._set(*result)
        return new

    @classmethod
    def from_float(
        cls,
        values: ArrayLike,
        format: Format | str | None = None,
        *,
        bits: int | None = None,
        int_bits: int | None = None,
        frac_bits: int | None = None,
        signed: bool = True,
        quantization: Rounding | str | None = None,
        overflow: Overflow | str | None = None,
    ) -> FxArray:
        """Real numbers cast to `format`, or to two of bits, int_bits (sign bit included) and frac_bits.

        Modes that are not given come from `format`; without one they are RND_INF and WRAP, as in apytypes.
        Raises ValueError for NaN and infinity, naming the first bad index.
        """
        if format is None:
            quantization = quantization or Rounding.RND_INF
        fmt = _specified(format, bits, int_bits, frac_bits, signed, quantization, overflow)
        return cls._of(Codes(from_double(values, fmt), fmt))

    @classmethod
    def from_bits(
        cls,
        bit_patterns: ArrayLike,
        format: Format | str | None = None,
        *,
        bits: int | None = None,
        int_bits: int | None = None,
        frac_bits: int | None = None,
        signed: bool = True,
    ) -> FxArray:
        """Words 0..2**bits - 1, read in two's complement if signed: the inverse of `to_bits`."""
        fmt = _specified(format, bits, int_bits, frac_bits, signed)
        words = exact(bit_patterns)
        outside = (words < 0) | (words >= 1 << fmt.width)
        if np.any(outside):
            raise ValueError(
                f"bit_patterns must be in 0..2**{fmt.width} - 1, not {eager.first(words, outside)}"
            )
        wide = to_object(words) if fmt.width > INT64_BITS else words
        return cls._of(Codes(exact(np.where(words > fmt.hi, wide - (1 << fmt.width), wide)), fmt))

    def to_bits(self) -> Array:
        """The words of format.width bits as integers from 0 (int64, or object beyond 62 bits)."""
        wide = to_object(self._codes) if self._format.width > INT64_BITS else self._codes
        return exact(wide & ((1 << self._format.width) - 1))

    def to_numpy(self) -> NDArray[np.float64]:
        """The values as float64; OverflowError, naming the first index, where float64 does not hold one."""
        return eager.real(self._pair)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.to_numpy(), dtype=dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return FxArray, (np.array(self._codes), self._format)

    @property
    def codes(self) -> Array:
        """The raw integers: int64, or Python integers beyond 62 bits; read-only."""
        return self._codes

    @property
    def format(self) -> Format:
        return self._format

    @property
    def shape(self) -> tuple[int, ...]:
        return self._codes.shape

    @property
    def ndim(self) -> int:
        return self._codes.ndim

    @property
    def size(self) -> int:
        return self._codes.size

    @property
    def T(self) -> FxArray:
        return self.transpose()

    def transpose(self, *axes: int) -> FxArray:
        return self._moved(self._codes.transpose(*axes))

    def reshape(self, *shape: Any) -> FxArray:
        return self._moved(self._codes.reshape(*shape))

    def __getitem__(self, key: Any) -> FxArray:
        return self._moved(self._codes[key])

    def _moved(self, codes: Any) -> FxArray:
        return self._of(Codes(exact(codes), self._format))

    def __len__(self) -> int:
        return len(self._codes)

    def __iter__(self) -> Iterator[FxArray]:
        return (self[i] for i in range(len(self)))

    def __float__(self) -> float:
        return float(self.to_numpy())

    def __bool__(self) -> bool:
        return bool(self._codes)

    def __repr__(self) -> str:
        codes = np.array2string(self._codes, separator=", ", threshold=_SHOWN, prefix="FxArray(")
        return f"FxArray({codes}, '{self._format}')"

    def __str__(self) -> str:
        try:
            return np.array2string(self.to_numpy(), threshold=_SHOWN, floatmode="unique")
        except OverflowError:
            return f"{np.array2string(self._codes, threshold=_SHOWN)} * 2**{-self._format.frac}"

    def is_identical(self, other: object) -> bool:
        """Same shape, width, point, sign and codes; the modes, which say what a cast loses, may differ."""
        if not isinstance(other, FxArray):
            return False
        a, b = self._format, other._format
        same = (a.width, a.int_bits, a.signed) == (b.width, b.int_bits, b.signed)
        return same and np.array_equal(self._codes, other._codes)

    def cast(
        self,
        format: Format | str | None = None,
        *,
        bits: int | None = None,
        int_bits: int | None = None,
        frac_bits: int | None = None,
        signed: bool | None = None,
        quantization: Rounding | str | None = None,
        overflow: Overflow | str | None = None,
    ) -> FxArray:
        """Rounded, then fitted into `format`, or into two of bits, int_bits and frac_bits.

        int_bits or frac_bits alone keeps the other. Modes that are not given come from `format`; without one
        they are TRN and WRAP. Lost: the bits below the new LSB, and those that overflow takes.
        """
        if format is None and bits is None and (int_bits is None) != (frac_bits is None):
            int_bits = self._format.int_bits if int_bits is None else int_bits
            frac_bits = self._format.frac if frac_bits is None else frac_bits
        keep = self._format.signed if signed is None else signed
        target = _specified(format, bits, int_bits, frac_bits, keep, quantization, overflow)
        return self._of(eager.cast(self._pair, target))

    def accumulate(self, format: Format | str, axis: int = -1) -> FxArray:
        """HLS's ``acc += x`` along `axis` (dropped), in ascending order from 0, each sum cast to `format`."""
        return self._of(eager.accumulate(self._pair, _format(format), self._axis(axis)))

    def sum(self, axis: int | tuple[int, ...] | None = None) -> FxArray:
        """The exact sum over `axis` (all axes if None): ceil(log2(terms)) integer bits more."""
        axes = range(self.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return self._of(eager.total(self._pair, tuple(self._axis(a) for a in axes)))

    @property
    def _pair(self) -> Codes:
        return Codes(self._codes, self._format)

    def _axis(self, axis: int) -> int:
        at = operator.index(axis)
        if not -self.ndim <= at < self.ndim:
            raise ValueError(f"axis must be in {-self.ndim}..{self.ndim - 1}, not {axis!r}")
        return at % self.ndim

    def __pos__(self) -> FxArray:
        return self

    def __neg__(self) -> FxArray:
        return self._of(eager.negate(self._pair))

    def __abs__(self) -> FxArray:
        return self._of(eager.absolute(self._pair))

    def __add__(self, other: object) -> FxArray:
        return _binary(eager.add, self, other)

    def __radd__(self, other: object) -> FxArray:
        return _binary(eager.add, other, self)

    def __sub__(self, other: object) -> FxArray:
        return _binary(eager.subtract, self, other)

    def __rsub__(self, other: object) -> FxArray:
        return _binary(eager.subtract, other, self)

    def __mul__(self, other: object) -> FxArray:
        return _binary(eager.multiply, self, other)

    def __rmul__(self, other: object) -> FxArray:
        return _binary(eager.multiply, other, self)

    def __matmul__(self, other: object) -> FxArray:
        return _binary(eager.matmul, self, other)

    def __rmatmul__(self, other: object) -> FxArray:
        return _binary(eager.matmul, other, self)

    def __truediv__(self, other: object) -> FxArray:
        return _binary(eager.divide, self, other)

    def __rtruediv__(self, other: object) -> FxArray:
        return _binary(eager.divide, other, self)

    def __lshift__(self, power: int) -> FxArray:
        return self._of(eager.scale(self._pair, operator.index(power)))

    def __rshift__(self, power: int) -> FxArray:
        return self << -operator.index(power)

    def __lt__(self, other: object) -> NDArray[np.bool_]:
        return _compare("lt", self, other)

    def __le__(self, other: object) -> NDArray[np.bool_]:
        return _compare("le", self, other)

    def __gt__(self, other: object) -> NDArray[np.bool_]:
        return _compare("lt", other, self)

    def __ge__(self, other: object) -> NDArray[np.bool_]:
        return _compare("le", other, self)

    def __eq__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        return _compare("eq", self, other)

    def __ne__(self, other: object) -> NDArray[np.bool_]:  # type: ignore[override]
        return _compare("ne", self, other)


def _binary(rule: Callable[[Codes, Codes], Codes], left: object, right: object) -> FxArray:
    a, b = _operand(left), _operand(right)
    if a is None or b is None:
        return NotImplemented  # type: ignore[no-any-return]
    return FxArray._of(rule(a, b))


def _compare(kind: str, left: object, right: object) -> NDArray[np.bool_]:
    a, b = _operand(left), _operand(right)
    if a is None or b is None:
        return NotImplemented  # type: ignore[no-any-return]
    return eager.compare(kind, a, b)


def _operand(x: object) -> Codes | None:
    return x._pair if isinstance(x, FxArray) else eager.lift(x)


def _format(format: Format | str) -> Format:
    if isinstance(format, Format):
        return format
    if isinstance(format, str):
        return Format.parse(format)
    raise TypeError(f"format must be a fxsim.Format or a string such as 'ap_fixed<16,6>', not {format!r}")


def _specified(
    format: Format | str | None,
    bits: int | None,
    int_bits: int | None,
    frac_bits: int | None,
    signed: bool,
    quantization: Rounding | str | None = None,
    overflow: Overflow | str | None = None,
) -> Format:
    sizes = {"bits": bits, "int_bits": int_bits, "frac_bits": frac_bits}
    given = {name: size for name, size in sizes.items() if size is not None}
    if format is not None and given:
        raise ValueError(f"format must stand alone, not beside {', '.join(given)}")
    if format is None and len(given) != 2:
        raise ValueError(f"exactly two of bits, int_bits and frac_bits must be given, not {list(given)}")
    for name, size in given.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{name} must be an integer, not {size!r}")
    if format is not None:
        fmt = _format(format)
    elif "bits" not in given:
        fmt = Format(given["int_bits"] + given["frac_bits"], given["int_bits"], signed)
    else:
        fmt = Format(given["bits"], given.get("int_bits", given["bits"] - given.get("frac_bits", 0)), signed)
    modes = {"rounding": quantization, "overflow": overflow}
    return fmt.replace(**{name: mode for name, mode in modes.items() if mode is not None})
